// node client.mjs HOST:PORT [SYMBOL TIMEFRAME]...
//
// Follows a server, resumes when the connection breaks, and prints one JSON line for each message of the stream and for
// each end of one. Ends when its input does.

import * as grpc from "@grpc/grpc-js";
import { StreamState } from "./replica.mjs";
import { frameLine, print } from "./report.mjs";
import { decode, encode } from "./schema.mjs";

const HELLO_TIMEOUT_MS = 10_000;
const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 30_000;
const BUILDING_DELAY_MS = 1000;
const FATAL = new Set([
  grpc.status.INVALID_ARGUMENT,
  grpc.status.UNAUTHENTICATED,
  grpc.status.PERMISSION_DENIED,
  grpc.status.UNIMPLEMENTED,
]);

const [address, ...named] = process.argv.slice(2);
const channels = [];
for (let index = 0; index < named.length; index += 2) {
  channels.push({ symbol: named[index], timeframe: named[index + 1] });
}
const state = new StreamState();
let streams = 0;
let delayMs = FIRST_DELAY_MS;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Open one stream and read it to its end; return {why, askedMs, building, fatal}. */
function oneStream() {
  // A subchannel pool of its own: a connection that is dead must not be used twice.
  const client = new grpc.Client(address, grpc.credentials.createInsecure(), { "grpc.use_local_subchannel_pool": 1 });
  const resume = state.resumePoints();
  const servedBefore = state.joined || streams > 0;
  state.connecting();
  streams++;
  return new Promise((resolve) => {
    const call = client.makeServerStreamRequest(
      "/liqscape.v1.StreamService/Subscribe",
      (request) => Buffer.from(encode("SubscribeRequest", request)),
      (bytes) => bytes,
      { channels, resume },
    );
    let askedMs;
    let silence;
    const end = (outcome) => {
      clearTimeout(silence);
      call.removeAllListeners("data");
      call.on("error", () => {});
      call.cancel();
      client.close();
      state.disconnected(outcome.why);
      resolve({ askedMs, ...outcome });
    };
    const listen = (ms) => {
      clearTimeout(silence);
      silence = setTimeout(() => end({ why: `nothing heard for ${ms} ms` }), ms);
    };
    listen(HELLO_TIMEOUT_MS);
    call.on("data", (bytes) => {
      let frame;
      try {
        frame = decode("Frame", bytes);
      } catch (error) {
        end({ why: `no frame: ${error.message}` });
        return;
      }
      const effect = state.apply(frame);
      askedMs = effect.reconnectAfterMs ?? askedMs;
      print(frameLine(state, frame, effect, { streams }));
      if (effect.broken) end({ why: effect.broken });
      else listen(3 * state.heartbeatMs);
    });
    call.on("end", () => end({ why: "the server ended the stream" }));
    call.on("error", (error) => {
      const [retryAfter] = error.metadata?.get("retry-after-ms") ?? [];
      if (retryAfter !== undefined) askedMs = Number(retryAfter);
      end({
        why: error.message,
        askedMs,
        building: error.code === grpc.status.FAILED_PRECONDITION,
        fatal: FATAL.has(error.code) || (error.code === grpc.status.NOT_FOUND && !servedBefore),
      });
    });
  });
}

process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
process.stdout.on("error", () => process.exit(0)); // nobody reads any more

for (;;) {
  const before = Date.now();
  const ended = await oneStream();
  if (Date.now() - before > 5000) delayMs = FIRST_DELAY_MS;
  const jitterMs = Math.random() * delayMs;
  const waitMs = ended.askedMs === undefined ? (ended.building ? BUILDING_DELAY_MS : jitterMs) : ended.askedMs + jitterMs;
  print({ event: "end", why: ended.why, fatal: ended.fatal === true, building: ended.building === true });
  if (ended.fatal) process.exit(1);
  if (!ended.building) delayMs = Math.min(2 * delayMs, LONGEST_DELAY_MS);
  await sleep(waitMs);
}

// node session.mjs HOST:PORT WINDOW [SYMBOL TIMEFRAME]...
//
// Holds one session: acknowledges what it has applied, and rejects what it has found broken. Prints one JSON line for each
// message and for the end, and ends when its input does. Lines of the input tell it what to do:
//
//     hold                           acknowledge nothing more
//     go                             acknowledge all there is, and each message again
//     change [SYMBOL TIMEFRAME]...   ask for other channels; none = all
//     spoil SYMBOL TIMEFRAME         break what is held of a channel, as a fault of the memory would
//
// TIMEFRAME is a name, or a name and how many rows are to be one: 24h/4.

import { createInterface } from "node:readline";
import * as grpc from "@grpc/grpc-js";
import { StreamState } from "./replica.mjs";
import { frameLine, print } from "./report.mjs";
import { decode, encode } from "./schema.mjs";

const REJECT_REASONS = { gap: 1, checksum: 2, malformed: 3 };

function selector(symbol, words) {
  const [timeframe, rowFold = 0] = words.split("/");
  return { symbol, timeframe, rowFold: Number(rowFold) };
}

const pairs = (words) => words.flatMap((symbol, index) => (index % 2 === 0 ? [selector(symbol, words[index + 1])] : []));

const [address, window, ...named] = process.argv.slice(2);
const state = new StreamState();
const client = new grpc.Client(address, grpc.credentials.createInsecure());
const call = client.makeBidiStreamRequest(
  "/liqscape.v1.StreamService/Session",
  (request) => Buffer.from(encode("SessionRequest", { request })),
  (bytes) => bytes,
);
const say = (kind, value) => call.write({ case: kind, value });
let frames = 0; // received and applied, of every kind
let holds = false;

function acknowledge() {
  if (!holds && frames > 0) say("acknowledge", { frames: BigInt(frames) });
}

function reject(faults) {
  for (const { sourceId, channelId, outcome } of faults) {
    // What waits for its keyframe has been rejected before.
    const reason = REJECT_REASONS[outcome];
    if (reason !== undefined) say("reject", { channelIds: [channelId], reason, details: outcome, sourceId });
  }
}

function end(why, fatal) {
  print({ event: "end", why, fatal, building: false });
  process.exit(fatal ? 1 : 0);
}

call.on("data", (bytes) => {
  const frame = decode("Frame", bytes);
  const effect = state.apply(frame);
  frames++;
  print(frameLine(state, frame, effect, { streams: 1, frames, refused: state.refused }));
  if (effect.broken && effect.faults.length === 0) end(effect.broken, true);
  reject(effect.faults);
  acknowledge();
});
call.on("end", () => end("the server ended the session", false));
call.on("error", (error) => end(error.message, true));

function spoil(symbol, timeframe) {
  const replica = state.channels().find((one) => one.symbol === symbol && one.timeframe === timeframe);
  replica.ring.forEach((level, index) => (replica.ring[index] = level ^ 1)); // deltas would soon mend a single cell
}

const commands = {
  hold: () => (holds = true),
  go: () => {
    holds = false;
    acknowledge();
  },
  change: (...words) => say("change", { channels: pairs(words) }),
  spoil,
};

say("open", { channels: pairs(named), maxInFlight: Number(window) });
for await (const line of createInterface({ input: process.stdin })) {
  const [command, ...words] = line.split(" ");
  commands[command](...words);
}
process.exit(0);

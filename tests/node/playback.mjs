// node playback.mjs HOST:PORT FROM UNTIL STEP [SYMBOL TIMEFRAME]...
//
// Plays a past span as fast as it is acknowledged: minutes since 1970, UNTIL excluded. Holds it in the state that holds a
// live stream, prints one JSON line for each message and for the end, and closes its side once the playback has stopped.

import * as grpc from "@grpc/grpc-js";
import { StreamState } from "./replica.mjs";
import { frameLine, print } from "./report.mjs";
import { decode, encode } from "./schema.mjs";

const STOPPED = 3;

const [address, from, until, step, ...named] = process.argv.slice(2);
const channels = named.flatMap((word, index) =>
  index % 2 === 0 ? [{ symbol: word, timeframe: named[index + 1] }] : [],
);
const state = new StreamState();
const client = new grpc.Client(address, grpc.credentials.createInsecure());
const call = client.makeBidiStreamRequest(
  "/liqscape.v1.StreamService/Playback",
  (request) => Buffer.from(encode("PlaybackRequest", { request })),
  (bytes) => bytes,
);
const say = (kind, value) => call.write({ case: kind, value });
let frames = 0;

function end(why, fatal) {
  print({ event: "end", why, fatal, building: false });
  process.exit(fatal ? 1 : 0);
}

call.on("data", (bytes) => {
  const frame = decode("Frame", bytes);
  const effect = state.apply(frame);
  frames++;
  const position = frame.control.case === "playback" ? frame.control.value : undefined;
  print(frameLine(state, frame, effect, { minute: position?.minute ?? null, stopped: position?.stopped ?? 0 }));
  if (effect.broken) end(effect.broken, true);
  if (frame.sections.length > 0) say("acknowledge", { frames: BigInt(frames) });
  if (position?.state === STOPPED) call.end();
});
call.on("end", () => end("the playback has ended", false));
call.on("error", (error) => end(error.message, true));

say("open", { channels, fromMinute: BigInt(from), untilMinute: BigInt(until), stepMinutes: Number(step), speed: 0 });

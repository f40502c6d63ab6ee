// node frames.mjs
//
// Reads lines: `new` begins a new client, `connecting` a new stream of it, anything else is a frame in hex. Answers each
// frame with a line: what the client concludes from it, or `unread` where the bytes are no frame.

import { crc32 } from "node:zlib";
import { createInterface } from "node:readline";
import { StreamState } from "./replica.mjs";
import { decode } from "./schema.mjs";

let state = new StreamState();

function answer(hex) {
  let frame;
  try {
    frame = decode("Frame", new Uint8Array(Buffer.from(hex, "hex")));
  } catch {
    return "unread";
  }
  const { broken, reconnectAfterMs = -1 } = state.apply(frame);
  const { gap, checksum, malformed, lagged, epochs, conflated, unknown } = state.counters;
  return [
    state.outOfSync() === "" ? "in sync" : "out of sync",
    broken ? "broken" : "whole",
    `after ${reconnectAfterMs}`,
    `counted ${[gap, checksum, malformed, lagged, epochs, conflated, unknown]}`,
    ...state.resumePoints().map(({ epoch, tick }) => `resume ${epoch} ${tick}`),
    ...state.channels().map((replica) => {
      const held = [replica.tick, replica.generation, replica.newestColumn, crc32(replica.ring)];
      return `${replica.channelId} ${held} ${replica.why === ""}`;
    }),
  ].join("; ");
}

for await (const line of createInterface({ input: process.stdin })) {
  if (line === "new") state = new StreamState();
  else if (line === "connecting") state.connecting();
  else process.stdout.write(`${answer(line)}\n`);
}

// node frames.mjs
//
// The lines of tests/node/frames.mjs, answered by the state of the page.

import { createInterface } from "node:readline";
import { FrameSchema } from "../../clients/web/protocol/liqscape/v1/stream_pb.js";
import { crc32 } from "../../clients/web/stream/crc32.js";
import { fromBinary } from "../../clients/web/stream/protobuf.js";
import { StreamState } from "../../clients/web/stream/stream_state.js";

let state = new StreamState();

async function answer(hex) {
  let frame;
  try {
    frame = fromBinary(FrameSchema, new Uint8Array(Buffer.from(hex, "hex")));
  } catch {
    return "unread";
  }
  const { broken, reconnectAfterMs = -1 } = await state.apply(frame);
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
  else process.stdout.write(`${await answer(line)}\n`);
}

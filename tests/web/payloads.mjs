// node payloads.mjs
//
// The lines of tests/node/payloads.mjs, answered by the decoder of the page.

import { createInterface } from "node:readline";
import { Encoding } from "../../clients/web/protocol/liqscape/v1/stream_pb.js";
import { BadPayload } from "../../clients/web/stream/bad_payload.js";
import { crc32 } from "../../clients/web/stream/crc32.js";
import { decodeDelta, decodeKeyframe } from "../../clients/web/stream/decoding.js";

async function answer(line) {
  const [encoding, columns, rows, newestColumn, hex = ""] = line.split(" ");
  const payload = new Uint8Array(Buffer.from(hex, "hex"));
  const [number, width, height] = [Number(encoding), Number(columns), Number(rows)];
  try {
    if (number === Encoding.TIME_DIFFERENCE_ZLIB) {
      return `yes ${crc32(await decodeKeyframe(number, payload, width, height, Number(newestColumn)))}`;
    }
    const { starts, lengths, levels } = await decodeDelta(number, payload, width * height);
    const summed = Buffer.alloc(5 * levels.length);
    let at = 0;
    starts.forEach((start, run) => {
      for (let index = start; index < start + lengths[run]; index++, at++) {
        summed.writeUInt32LE(index, 5 * at);
        summed[5 * at + 4] = levels[at];
      }
    });
    return `yes ${crc32(summed)}`;
  } catch (error) {
    if (error instanceof BadPayload) return "no";
    throw error;
  }
}

for await (const line of createInterface({ input: process.stdin })) process.stdout.write(`${await answer(line)}\n`);

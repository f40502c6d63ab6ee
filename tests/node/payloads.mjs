// node payloads.mjs
//
// Reads `ENCODING COLUMNS ROWS NEWEST_COLUMN HEX` lines, KEYFRAME or DELTA by encoding, and answers each with a line:
// `no`, or `yes CRC32` of the ring (keyframe) or of the changed cells: each index as little-endian uint32, then its level.

import { crc32 } from "node:zlib";
import { createInterface } from "node:readline";
import { BadPayload, Encoding, decodeDelta, decodeKeyframe } from "./decoding.mjs";

function answer(line) {
  const [encoding, columns, rows, newestColumn, hex = ""] = line.split(" ");
  const payload = new Uint8Array(Buffer.from(hex, "hex"));
  const [number, width, height] = [Number(encoding), Number(columns), Number(rows)];
  try {
    if (number === Encoding.TIME_DIFFERENCE_ZLIB) {
      return `yes ${crc32(decodeKeyframe(number, payload, width, height, BigInt(newestColumn)))}`;
    }
    const cells = [];
    decodeDelta(number, payload, width * height, (index, level) => cells.push([index, level]));
    const summed = Buffer.alloc(5 * cells.length);
    cells.forEach(([index, level], at) => {
      summed.writeUInt32LE(index, 5 * at);
      summed[5 * at + 4] = level;
    });
    return `yes ${crc32(summed)}`;
  } catch (error) {
    if (error instanceof BadPayload) return "no";
    throw error;
  }
}

for await (const line of createInterface({ input: process.stdin })) process.stdout.write(`${answer(line)}\n`);

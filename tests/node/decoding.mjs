// Payload bytes -> levels, as proto/README.md and clients/README.md put it. Every byte is suspect: nothing is allocated
// beyond what the ring allows, and what does not parse exactly is a BadPayload.

import { crc32, inflateSync } from "node:zlib";

export class BadPayload extends Error {}

export const MAX_RING_CELLS = 16_777_216;
const MAX_VARINT_BYTES = 5;

export const Encoding = { RLE8: 1, RLE8_ZLIB: 2, TIME_DIFFERENCE_ZLIB: 3 };

function readVarint(bytes, offset, end) {
  let value = 0;
  for (let index = 0; index < MAX_VARINT_BYTES; index++) {
    if (offset + index >= end) throw new BadPayload("the data end inside a varint");
    const byte = bytes[offset + index];
    value += (byte & 0x7f) * 2 ** (7 * index); // no shifts: they would cut at 32 bits
    if (byte < 0x80) return [value, offset + index + 1];
  }
  throw new BadPayload(`a varint of more than ${MAX_VARINT_BYTES} bytes`);
}

function inflate(payload, limitBytes) {
  let found;
  try {
    found = inflateSync(payload, { maxOutputLength: limitBytes, info: true });
  } catch (error) {
    throw new BadPayload(`zlib: ${error.message}`);
  }
  if (found.engine.bytesWritten !== payload.length) throw new BadPayload("bytes behind the zlib stream");
  return found.buffer;
}

const headerLimit = (cells) => 2 * cells + Math.floor(cells / 128);

/** Call visit(index, level) for each changed cell, in ascending order, but only once all of the payload is known to be good. */
export function decodeDelta(encoding, payload, cells, visit) {
  if (encoding === Encoding.RLE8_ZLIB) payload = inflate(payload, headerLimit(cells) + cells + 6);
  else if (encoding !== Encoding.RLE8) throw new BadPayload(`encoding ${encoding} of a delta`);
  const [headerBytes, headerStart] = readVarint(payload, 0, payload.length);
  const headerEnd = headerStart + headerBytes;
  if (headerEnd > payload.length) throw new BadPayload("the header is longer than what follows");
  if (headerBytes > headerLimit(cells)) throw new BadPayload("the header is longer than the ring can need");
  const passes = [() => {}, visit];
  for (const seen of passes) {
    let offset = headerStart;
    let index = 0;
    let level = headerEnd;
    while (offset < headerEnd) {
      let gap, length;
      [gap, offset] = readVarint(payload, offset, headerEnd);
      [length, offset] = readVarint(payload, offset, headerEnd);
      if (length < 1) throw new BadPayload("a run of no cells");
      index += gap;
      if (index + length > cells) throw new BadPayload("a cell outside of the ring");
      if (level + length > payload.length) throw new BadPayload("levels are missing");
      for (const end = index + length; index < end; ) seen(index++, payload[level++]);
    }
    if (level !== payload.length) throw new BadPayload("levels are left over");
  }
}

/** Return the ring, position by position. */
export function decodeKeyframe(encoding, payload, columns, rows, newestColumn) {
  if (encoding !== Encoding.TIME_DIFFERENCE_ZLIB) throw new BadPayload(`encoding ${encoding} of a keyframe`);
  const differences = inflate(payload, columns * rows);
  if (differences.length !== columns * rows) throw new BadPayload("not one byte a cell");
  const ring = new Uint8Array(columns * rows);
  const oldest = newestColumn - BigInt(columns) + 1n;
  let before;
  for (let age = 0; age < columns; age++) {
    const start = positionOf(oldest + BigInt(age), columns) * rows;
    for (let row = 0; row < rows; row++) {
      // A Uint8Array keeps the lowest eight bits, which is what undoes a difference modulo 256.
      ring[start + row] = differences[age * rows + row] + (before === undefined ? 0 : ring[before + row]);
    }
    before = start;
  }
  return ring;
}

/** Return where an absolute column sits in the ring; columns before 1970 are negative. */
export function positionOf(column, columns) {
  const count = BigInt(columns);
  return Number(((column % count) + count) % count);
}

export function ringChecksum(ring, columns, rows, newestColumn) {
  const summed = Buffer.alloc(8 + 4 * columns);
  summed.writeBigInt64LE(newestColumn, 0);
  for (let position = 0; position < columns; position++) {
    summed.writeUInt32LE(crc32(ring.subarray(position * rows, (position + 1) * rows)), 8 + 4 * position);
  }
  return crc32(summed);
}

export function levelLowerBound(level) {
  return level < 8 ? level * 64 : (8 + (level & 7)) * 2 ** ((level >> 3) - 1 + 6);
}

export function levelValue(level) {
  if (level === 0) return 0;
  const [low, high] = [levelLowerBound(level), levelLowerBound(level + 1)];
  return level === 255 ? low : (2 * low * high) / (low + high);
}

/** Return the level of an amount of USD; takes a BigInt, because 53 bits are not enough for the last levels. */
export function levelOfUsd(usd) {
  const x = usd >> 6n;
  if (x < 8n) return Number(x);
  const msb = BigInt(x.toString(2).length - 1);
  const level = ((msb - 2n) << 3n) + ((x >> (msb - 3n)) & 7n);
  return Number(level < 255n ? level : 255n);
}

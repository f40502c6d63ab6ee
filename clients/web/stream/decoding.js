// Payload bytes -> levels, as proto/README.md and clients/README.md put it. Every byte is suspect: nothing is allocated
// beyond what the ring allows, and what does not parse exactly is a BadPayload.

import { Encoding } from "../protocol/liqscape/v1/stream_pb.js";
import { BadPayload } from "./bad_payload.js";
import { crc32 } from "./crc32.js";
import { inflate } from "./inflate.js";

/** Cells of a ring at most: small enough to allocate on a server's word. */
export const MAX_RING_CELLS = 1 << 24;

const MAX_VARINT_BYTES = 5;
const CHECKSUM_HEAD_BYTES = 8;

/**
 * Changed cells in runs: run i covers `lengths[i]` cells from `starts[i]` on; `levels` holds those of all runs in order.
 * @typedef {{starts: number[], lengths: number[], levels: Uint8Array}} Runs
 */

/**
 * Return where an absolute column sits in the ring; columns before 1970 are negative.
 * @param {number} column
 * @param {number} columns
 */
export function positionOf(column, columns) {
  return ((column % columns) + columns) % columns;
}

/**
 * Decode the payload of a delta, in either of its two encodings.
 * @param {number} encoding
 * @param {Uint8Array} payload
 * @param {number} cells size of the ring
 * @returns {Promise<Runs>}
 */
export async function decodeDelta(encoding, payload, cells) {
  if (encoding === Encoding.RLE8) return decodeRuns(payload, cells);
  if (encoding !== Encoding.RLE8_ZLIB) throw new BadPayload(`encoding ${encoding} of a delta`);
  return decodeRuns(await inflate(payload, headerLimitBytes(cells) + cells + MAX_VARINT_BYTES + 1), cells);
}

/**
 * Decode the payload of a keyframe.
 * @param {number} encoding
 * @param {Uint8Array} payload
 * @param {number} columns
 * @param {number} rows
 * @param {number} newestColumn
 * @returns {Promise<Uint8Array<ArrayBuffer>>} the ring, position by position
 */
export async function decodeKeyframe(encoding, payload, columns, rows, newestColumn) {
  if (encoding !== Encoding.TIME_DIFFERENCE_ZLIB) throw new BadPayload(`encoding ${encoding} of a keyframe`);
  const differences = await inflate(payload, columns * rows);
  if (differences.length !== columns * rows) throw new BadPayload("not one byte a cell");
  const ring = new Uint8Array(columns * rows);
  const oldest = newestColumn - columns + 1;
  let before = positionOf(oldest, columns) * rows;
  ring.set(differences.subarray(0, rows), before);
  for (let age = 1; age < columns; age++) {
    const start = positionOf(oldest + age, columns) * rows;
    // A Uint8Array keeps the lowest eight bits, which is what undoes a difference modulo 256.
    for (let row = 0; row < rows; row++) ring[start + row] = differences[age * rows + row] + ring[before + row];
    before = start;
  }
  return ring;
}

/**
 * Return the checksum of a ring from the crc32 of each of its columns.
 * @param {number} newestColumn
 * @param {Uint32Array} sums by position
 */
export function checksumOf(newestColumn, sums) {
  const view = new DataView(new ArrayBuffer(CHECKSUM_HEAD_BYTES + 4 * sums.length));
  view.setBigInt64(0, BigInt(newestColumn), true);
  sums.forEach((sum, position) => view.setUint32(CHECKSUM_HEAD_BYTES + 4 * position, sum, true));
  return crc32(new Uint8Array(view.buffer));
}

/**
 * A header needs no more: each run has a cell of its own, a varint of v takes at most 1 + v / 128 bytes, and all gaps
 * and lengths together are at most the cells.
 * @param {number} cells
 */
function headerLimitBytes(cells) {
  return 2 * cells + Math.floor(cells / 128);
}

/**
 * @param {Uint8Array} bytes
 * @param {number} cells
 * @returns {Runs}
 */
function decodeRuns(bytes, cells) {
  const reader = new VarintReader(bytes);
  const headerBytes = reader.next(bytes.length);
  const headerEnd = reader.at + headerBytes;
  if (headerEnd > bytes.length) throw new BadPayload("the header is longer than what follows");
  if (headerBytes > headerLimitBytes(cells)) throw new BadPayload("the header is longer than the ring can need");
  /** @type {number[]} */
  const starts = [];
  /** @type {number[]} */
  const lengths = [];
  let index = 0;
  let total = 0;
  while (reader.at < headerEnd) {
    const start = index + reader.next(headerEnd);
    const length = reader.next(headerEnd);
    if (length < 1) throw new BadPayload("a run of no cells");
    index = start + length;
    if (index > cells) throw new BadPayload("a cell outside of the ring");
    total += length;
    starts.push(start);
    lengths.push(length);
  }
  const levels = bytes.subarray(headerEnd);
  if (total !== levels.length) throw new BadPayload(`${total} cells are named, ${levels.length} levels are there`);
  return { starts, lengths, levels };
}

class VarintReader {
  /** @param {Uint8Array} bytes */
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  /**
   * Read one unsigned LEB128 number.
   * @param {number} end exclusive
   */
  next(end) {
    let value = 0;
    for (let index = 0; index < MAX_VARINT_BYTES; index++) {
      if (this.at >= end) throw new BadPayload("the data end inside a varint");
      const byte = this.bytes[this.at++];
      value += (byte & 0x7f) * 2 ** (7 * index); // no shifts: they would cut at 32 bits
      if (byte < 0x80) return value;
    }
    throw new BadPayload(`a varint of more than ${MAX_VARINT_BYTES} bytes`);
  }
}

// One zlib stream -> bytes, by what the browser has, within a bound.

import { BadPayload } from "./bad_payload.js";

/** Bytes that are given to the stream at once. Deflate makes at most 1032 bytes of one: what is held beyond the bound
 * before it is noticed is this much times 1032. */
const SLICE_BYTES = 4096;

const ADLER_MODULUS = 65521;
/** Bytes that can be summed before the second sum passes 2^32. */
const ADLER_RUN = 5552;
const TRAILER_BYTES = 4;

/**
 * Inflate one zlib stream that ends exactly where the payload ends.
 * @param {Uint8Array} payload
 * @param {number} limitBytes what it may inflate to at most
 * @returns {Promise<Uint8Array>}
 * @throws {BadPayload} it is damaged, cut short, too long, or followed by something else
 */
export async function inflate(payload, limitBytes) {
  const stream = new DecompressionStream("deflate");
  const writer = stream.writable.getWriter();
  const reader = stream.readable.getReader();
  writer.closed.catch(() => {}); // whoever reads hears of it too
  const flow = { held: 0 };
  const writing = write(writer, payload, flow, limitBytes).catch(() => {});
  /** @type {Uint8Array[]} */
  const parts = [];
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      parts.push(value);
      flow.held += value.length;
      if (flow.held > limitBytes) throw new BadPayload(`zlib: more than ${limitBytes} bytes`);
    }
  } catch (error) {
    await reader.cancel().catch(() => {});
    throw error instanceof BadPayload ? error : new BadPayload(`zlib: ${/** @type {Error} */ (error).message}`);
  }
  await writing;
  const bytes = join(parts, flow.held);
  // Older engines end quietly where bytes follow the stream. The sum of a zlib stream is its end, so it must be ours.
  if (adler32(bytes) !== trailer(payload)) throw new BadPayload("zlib: the stream does not end with the payload");
  return bytes;
}

/**
 * @param {WritableStreamDefaultWriter<BufferSource>} writer
 * @param {Uint8Array} payload
 * @param {{held: number}} flow
 * @param {number} limitBytes
 */
async function write(writer, payload, flow, limitBytes) {
  for (let start = 0; start < payload.length && flow.held <= limitBytes; start += SLICE_BYTES) {
    await writer.write(/** @type {Uint8Array<ArrayBuffer>} */ (payload.subarray(start, start + SLICE_BYTES)));
  }
  await writer.close();
}

/**
 * @param {Uint8Array[]} parts
 * @param {number} size
 */
function join(parts, size) {
  if (parts.length === 1) return parts[0];
  const joined = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** @param {Uint8Array} payload */
function trailer(payload) {
  const at = payload.length - TRAILER_BYTES;
  if (at < 0) throw new BadPayload("zlib: cut short");
  return new DataView(payload.buffer, payload.byteOffset + at, TRAILER_BYTES).getUint32(0);
}

/** @param {Uint8Array} bytes */
function adler32(bytes) {
  let [low, high] = [1, 0];
  for (let start = 0; start < bytes.length; start += ADLER_RUN) {
    const end = Math.min(start + ADLER_RUN, bytes.length);
    for (let at = start; at < end; at++) {
      low += bytes[at];
      high += low;
    }
    low %= ADLER_MODULUS;
    high %= ADLER_MODULUS;
  }
  return ((high << 16) | low) >>> 0;
}

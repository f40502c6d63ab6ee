// One zlib stream -> bytes, by what the browser has, within a bound.

import { BadPayload } from "./bad_payload.js";

/** Bytes that are given to the stream at once. Deflate makes at most 1032 bytes of one: what is held beyond the bound
 * before it is noticed is this much times 1032. */
const SLICE_BYTES = 4096;

/** An empty zlib stream, and a byte behind it. */
const FOLLOWED = Uint8Array.of(0x78, 0x9c, 0x03, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00);

/**
 * Inflate one zlib stream that ends exactly where the payload ends.
 * @param {Uint8Array} payload
 * @param {number} limitBytes what it may inflate to at most
 * @returns {Promise<Uint8Array>}
 * @throws {BadPayload} it is damaged, cut short, too long, or followed by something else
 */
export async function inflate(payload, limitBytes) {
  const inflated = await inflateStart(payload, limitBytes);
  // Without its last byte a stream is cut short, unless it had ended before.
  if ((await isLenient()) && (await ends(payload.subarray(0, -1), limitBytes))) {
    throw new BadPayload("zlib: bytes behind the stream");
  }
  return inflated;
}

/** @type {Promise<boolean> | undefined} */
let lenient;

/** Return whether this engine ends quietly where bytes follow a stream: the standard forbids it, older ones do. */
function isLenient() {
  return (lenient ??= ends(FOLLOWED, 0));
}

/**
 * @param {Uint8Array} payload
 * @param {number} limitBytes
 */
function ends(payload, limitBytes) {
  return inflateStart(payload, limitBytes).then(
    () => true,
    () => false,
  );
}

/**
 * Inflate a zlib stream; bytes behind it are refused where the engine refuses them.
 * @param {Uint8Array} payload
 * @param {number} limitBytes
 */
async function inflateStart(payload, limitBytes) {
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
  return join(parts, flow.held);
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

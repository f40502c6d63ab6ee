// crc32 with the polynomial of zlib, eight bytes a step.

const POLYNOMIAL = 0xedb88320;

/** Table k: what a byte does to the sum when k more bytes follow it. */
const TABLES = makeTables();

function makeTables() {
  const tables = Array.from({ length: 8 }, () => new Uint32Array(256));
  for (let byte = 0; byte < 256; byte++) {
    let sum = byte;
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ POLYNOMIAL : sum >>> 1;
    tables[0][byte] = sum;
  }
  for (let byte = 0; byte < 256; byte++) {
    for (let table = 1; table < 8; table++) {
      const before = tables[table - 1][byte];
      tables[table][byte] = (before >>> 8) ^ tables[0][before & 0xff];
    }
  }
  return tables;
}

/**
 * Return the crc32 of some bytes.
 * @param {Uint8Array} bytes
 * @param {number} start
 * @param {number} end exclusive
 */
export function crc32(bytes, start = 0, end = bytes.length) {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = TABLES;
  let sum = -1;
  let at = start;
  for (; at + 8 <= end; at += 8) {
    sum ^= bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
    sum =
      t7[sum & 0xff] ^
      t6[(sum >>> 8) & 0xff] ^
      t5[(sum >>> 16) & 0xff] ^
      t4[sum >>> 24] ^
      t3[bytes[at + 4]] ^
      t2[bytes[at + 5]] ^
      t1[bytes[at + 6]] ^
      t0[bytes[at + 7]];
  }
  for (; at < end; at++) sum = (sum >>> 8) ^ t0[(sum ^ bytes[at]) & 0xff];
  return (sum ^ -1) >>> 0;
}

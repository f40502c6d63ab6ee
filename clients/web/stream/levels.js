// Levels of the wire <-> USD, as proto/README.md puts it: one byte a cell on a constant logarithmic scale.

export const LEVELS = 256;

/**
 * Return the USD at which a level begins, inclusive.
 * @param {number} level
 */
export function levelStartUsd(level) {
  return level < 8 ? level * 64 : (8 + (level & 7)) * 2 ** ((level >> 3) + 5);
}

/**
 * Return what a level stands for: the harmonic mean of its bounds; 0 for 0, the lower bound for 255.
 * @param {number} level
 */
export function levelUsd(level) {
  if (level === 0) return 0;
  const [low, high] = [levelStartUsd(level), levelStartUsd(level + 1)];
  return level === LEVELS - 1 ? low : (2 * low * high) / (low + high);
}

/** USD that each level stands for. */
export const LEVEL_USD = Float64Array.from({ length: LEVELS }, (_, level) => levelUsd(level));

const floats = new Float32Array(1);
const bits = new Uint32Array(floats.buffer);
/** Exponent bias of a float32, and the two octaves that levels below 8 fill, in eighths of an octave. */
const FIRST_EIGHTH = (127 + 2) << 3;

/**
 * Return the level of an amount. A float32 holds its exponent and then its fraction: the top three bits of the fraction
 * are the eighths of an octave that the scale counts.
 * @param {number} usd not negative
 */
export function levelOfUsd(usd) {
  // An amount of 2^53 and more has no fraction; below, what is cut away must not round up to the next level.
  const steps = Math.floor(usd / 64);
  if (steps < 8) return steps;
  floats[0] = steps < 0x1000000 ? steps : topBits(steps);
  return Math.min(LEVELS - 1, (bits[0] >>> 20) - FIRST_EIGHTH);
}

/**
 * Cut a whole number to 24 significant bits, so that a float32 holds it without rounding.
 * @param {number} value
 */
function topBits(value) {
  const unit = 2 ** (Math.floor(Math.log2(value)) - 22);
  return Math.floor(value / unit) * unit;
}

// Numbers, times and durations as people read them. Every number is of fixed width in its place.

const USD_UNITS = /** @type {const} */ ([
  [1e12, "T"],
  [1e9, "B"],
  [1e6, "M"],
  [1e3, "K"],
]);

/**
 * Return an amount in three digits: $12.3M.
 * @param {number} usd
 */
export function formatUsd(usd) {
  for (const [size, letter] of USD_UNITS) {
    if (usd >= 0.9995 * size) {
      const scaled = usd / size;
      return `$${scaled.toFixed(scaled >= 99.95 ? 0 : scaled >= 9.995 ? 1 : 2)}${letter}`;
    }
  }
  return `$${Math.round(usd)}`;
}

/**
 * Return a price with thousands apart.
 * @param {number} price
 * @param {number} decimals
 */
export function formatPrice(price, decimals) {
  return price.toLocaleString("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
}

/**
 * Return the decimals that tell neighbouring multiples of a step apart.
 * @param {number} step
 */
export function decimalsOf(step) {
  return step > 0 ? Math.max(0, Math.min(8, Math.ceil(-Math.log10(step) - 1e-9))) : 0;
}

/**
 * Return an instant, UTC: 2026-11-26 14:49:03.
 * @param {number} ms since 1970
 */
export function formatInstant(ms) {
  return new Date(ms).toISOString().slice(0, 19).replace("T", " ");
}

/**
 * Return the time of an instant, UTC: 14:49:03.
 * @param {number} ms since 1970
 */
export function formatClock(ms) {
  return new Date(ms).toISOString().slice(11, 19);
}

/**
 * Return a duration in one or two units: 0.4 s, 12 s, 3 min 20 s, 2 h 5 min.
 * @param {number} ms
 */
export function formatAge(ms) {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 100) return `${whole} s`;
  if (whole < 6000) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/**
 * Return a share with as many digits as it deserves.
 * @param {number} share 0..1
 */
export function formatShare(share) {
  const percent = 100 * share;
  // 99.96 % is not all of it.
  if (percent >= 99.95 && percent < 100) return ">99.9 %";
  return `${percent.toFixed(percent >= 10 && percent === Math.round(percent) ? 0 : 1)} %`;
}

/**
 * Return text of a server without characters that could change how the rest is read.
 * @param {string} text
 */
export function plain(text) {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, " ").slice(0, 400);
}

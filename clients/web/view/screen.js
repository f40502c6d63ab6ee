// How small the screen is, and what can still be told apart on it.

const SMALL_SCREEN = 480;
/** Rows thinner than this, CSS pixels, are summed: what is thinner than a pixel would vanish by chance. */
const THINNEST_ROW = 1;
/** The same on a small screen, where dense gradients cannot be read. */
const THINNEST_ROW_SMALL = 2;
/** Of a row: rows as thin as they may be are not summed because coordinates are rounded. */
const ROUNDING = 0.01;

/** Return whether this is a phone, held upright. */
export function isSmall() {
  return window.innerWidth <= SMALL_SCREEN;
}

/**
 * Return how many rows have to be one, so that they can be told apart.
 * @param {number} rowPixels height of a row, CSS pixels
 */
export function rowsInOne(rowPixels) {
  const thinnest = isSmall() ? THINNEST_ROW_SMALL : THINNEST_ROW;
  return Math.max(1, Math.ceil(thinnest / rowPixels - ROUNDING));
}

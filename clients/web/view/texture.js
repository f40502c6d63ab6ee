// Levels -> pixels: an off-screen canvas of a pixel a cell, of which only changed columns are drawn again.

import { LEVELS, LEVEL_USD, levelOfUsd } from "../stream/levels.js";

/**
 * What can be drawn: the ring of a channel, or a grid that was asked for.
 * @typedef {{axes: import("../stream/axes.js").GridAxes | undefined, ring: Uint8Array, newestColumn: number,
 *   keyframes: number, stale: Uint8Array}} Levels
 */

/** Column c of a ring lies at x = c modulo columns; the highest price is at y = 0. */
export class Texture {
  constructor() {
    this.canvas = new OffscreenCanvas(1, 1);
    this.context = /** @type {OffscreenCanvasRenderingContext2D} */ (this.canvas.getContext("2d", { alpha: false }));
    /** Rows of the ring in a row of the picture. */
    this.fold = 1;
    /** Folded rows before the lowest row of the ring: rows are folded by absolute number, whatever is shown. */
    this.offset = 0;
    this.histogram = new Uint32Array(LEVELS);
    /** Columns drawn since the start, for measurements. */
    this.columnsDrawn = 0;
    /** @type {Levels | undefined} */
    this.levels = undefined;
    this.keyframes = 0;
    /** Level of each pixel, folded; column-major like the ring. */
    this.folded = new Uint8Array(0);
    /** @type {ImageData | undefined} */
    this.image = undefined;
    this.pixels = new Uint32Array(0);
    /** @type {Uint32Array | undefined} */
    this.palette = undefined;
  }

  get height() {
    return this.canvas.height;
  }

  /**
   * Bring the picture up to date.
   * @param {Levels} levels
   * @param {number} fold rows of the ring in a row of the picture
   * @param {Uint32Array} palette pixel of each level
   */
  update(levels, fold, palette) {
    const axes = levels.axes;
    if (axes === undefined) return;
    if (levels !== this.levels || levels.keyframes !== this.keyframes || fold !== this.fold) {
      this.#begin(levels, axes, fold);
    }
    const repaint = palette !== this.palette;
    this.palette = palette;
    let first = -1;
    for (let position = 0; position <= axes.columns; position++) {
      const changed = position < axes.columns && (repaint || levels.stale[position] === 1);
      if (changed) {
        if (levels.stale[position] === 1) this.#fold(levels.ring, position, axes.rows);
        levels.stale[position] = 0;
        this.#paint(position, palette);
        if (first < 0) first = position;
      } else if (first >= 0) {
        this.#put(first, position);
        first = -1;
      }
    }
  }

  /**
   * Return the level that stands at a cell of the picture.
   * @param {number} position of the ring
   * @param {number} row of the picture, the lowest is 0
   */
  levelAt(position, row) {
    return this.folded[position * this.height + row];
  }

  /**
   * @param {Levels} levels
   * @param {import("../stream/axes.js").GridAxes} axes
   * @param {number} fold
   */
  #begin(levels, axes, fold) {
    this.levels = levels;
    this.keyframes = levels.keyframes;
    this.fold = fold;
    this.offset = ((axes.firstRow % fold) + fold) % fold;
    const height = Math.ceil((axes.rows + this.offset) / fold);
    this.canvas.width = axes.columns;
    this.canvas.height = height;
    this.folded = new Uint8Array(axes.columns * height);
    this.histogram.fill(0);
    this.histogram[0] = axes.columns * height;
    this.image = new ImageData(axes.columns, height);
    this.pixels = new Uint32Array(this.image.data.buffer);
    levels.stale.fill(1);
    this.palette = undefined;
  }

  /**
   * @param {Uint8Array} ring
   * @param {number} position
   * @param {number} rows
   */
  #fold(ring, position, rows) {
    const { folded, histogram, fold, offset, height } = this;
    const to = position * height;
    const from = position * rows;
    if (fold === 1) {
      for (let row = 0; row < height; row++) {
        histogram[folded[to + row]]--;
        histogram[(folded[to + row] = ring[from + row])]++;
      }
      return;
    }
    for (let row = 0; row < height; row++) {
      const end = Math.min(rows, (row + 1) * fold - offset);
      let usd = 0;
      for (let at = Math.max(0, row * fold - offset); at < end; at++) usd += LEVEL_USD[ring[from + at]];
      histogram[folded[to + row]]--;
      histogram[(folded[to + row] = levelOfUsd(usd))]++;
    }
  }

  /**
   * @param {number} position
   * @param {Uint32Array} palette
   */
  #paint(position, palette) {
    const { folded, pixels, height } = this;
    const width = this.canvas.width;
    const from = position * height;
    for (let row = 0, at = (height - 1) * width + position; row < height; row++, at -= width) {
      pixels[at] = palette[folded[from + row]];
    }
    this.columnsDrawn++;
  }

  /**
   * @param {number} first
   * @param {number} end exclusive
   */
  #put(first, end) {
    if (this.image !== undefined) this.context.putImageData(this.image, 0, 0, first, 0, end - first, this.height);
  }
}

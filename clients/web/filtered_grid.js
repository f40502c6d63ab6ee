// A filtered view that the server does not stream: an exact grid that was asked for, in the form of a channel's levels, and
// how old it is.

import { ask } from "./api.js";
import { GridAxes } from "./stream/axes.js";
import { positionOf } from "./stream/decoding.js";
import { levelOfUsd } from "./stream/levels.js";

const CELL_BYTES = 8;

/**
 * @typedef {import("./page_state.js").Choices} Choices
 * @typedef {import("./view/texture.js").Levels & {axes: GridAxes, takenMs: number, watermarkMs: number}} FilteredGrid
 */

let taken = 0;

/**
 * Ask for the grid of the choices.
 * @param {Choices} choices
 * @param {number | undefined} rowSteps base steps of a row; undefined: those of the default channel
 * @param {AbortSignal} signal
 * @returns {Promise<FilteredGrid>}
 */
export async function askFilteredGrid({ symbol, timeframe, venues, leverages, side }, rowSteps, signal) {
  const parameters = { symbol, timeframe, venues, leverages, side, base_steps_per_row: rowSteps };
  const { header, fragments } = await ask("/v1/grid", parameters, signal);
  const axes = axesOf(header.axes);
  const newestColumn = Number(header.newest_column);
  const ring = new Uint8Array(axes.cells);
  for (const fragment of fragments) {
    const cells = bytesOf(fragment.cells);
    for (let index = 0; index < fragment.columns; index++) {
      const column = newestColumn - axes.columns + 1 + fragment.column_index + index;
      const start = positionOf(column, axes.columns) * axes.rows;
      levelsOf(cells, index * axes.rows, header.usd_per_weighted_lot, ring, start);
    }
  }
  const watermarkMs = Number(BigInt(header.source_watermark_unix_ns) / 1_000_000n);
  const stale = new Uint8Array(axes.columns).fill(1);
  return { axes, ring, newestColumn, keyframes: ++taken, stale, takenMs: Date.now(), watermarkMs };
}

/**
 * Return the axes of an answer in JSON.
 * @param {any} json
 */
export function axesOf(json) {
  return new GridAxes({
    $typeName: "liqscape.v1.Axes",
    columnMinutes: json.column_minutes,
    columns: json.columns,
    firstRow: BigInt(json.first_row),
    rows: json.rows,
    baseStepsPerRow: json.base_steps_per_row,
    baseStep: BigInt(json.base_step),
    priceDecimals: json.price_decimals,
  });
}

/**
 * Return the bytes of a text in base64.
 * @param {string} text
 */
export function bytesOf(text) {
  const characters = atob(text);
  const bytes = new Uint8Array(characters.length);
  for (let at = 0; at < bytes.length; at++) bytes[at] = characters.charCodeAt(at);
  return new DataView(bytes.buffer);
}

/**
 * Return a little-endian int64 as a number; beyond 2^53 the last digits are lost.
 * @param {DataView} view
 * @param {number} index of the number
 */
export function wholeAt(view, index) {
  return view.getInt32(index * CELL_BYTES + 4, true) * 2 ** 32 + view.getUint32(index * CELL_BYTES, true);
}

/**
 * Turn weighted lots of one column into levels.
 * @param {DataView} cells
 * @param {number} from index of the first
 * @param {number[]} usdPerLot by row
 * @param {Uint8Array} ring
 * @param {number} to
 */
function levelsOf(cells, from, usdPerLot, ring, to) {
  for (let row = 0; row < usdPerLot.length; row++) {
    const lots = wholeAt(cells, from + row);
    ring[to + row] = lots > 0 ? levelOfUsd(lots * usdPerLot[row]) : 0;
  }
}

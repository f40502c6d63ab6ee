// The live book by price alone, as /v1/map answers: USD by row, side and group of tiers, and the cumulative curves.

import { ask } from "./api.js";
import { bytesOf, wholeAt } from "./filtered_grid.js";
import { formatShare, plain } from "./format.js";

/**
 * Tiers are drawn in three groups, from this leverage on: what is low takes a long way of the price to be reached.
 * Positions that a venue states have no tier, leverage 0, and are drawn with the lowest.
 */
export const GROUPS = [
  { from: 0, text: "up to 10×" },
  { from: 20, text: "20× to 25×" },
  { from: 50, text: "50× and more" },
];

/**
 * USD by row of one side, a Float64Array a group of tiers.
 * @typedef {Float64Array[]} SideRows
 * @typedef {{
 *   firstRow: number, rows: number, rowHeight: number, price: number, takenMs: number,
 *   long: SideRows, short: SideRows, longCumulative: number[], shortCumulative: number[],
 *   beside: Beside | undefined,
 * }} LiquidationMap
 */

/**
 * A market by its daily report: no part of the map. In a few words, and in all.
 * @typedef {{text: string, title: string}} Beside
 */

/**
 * Ask for the map of the choices, on rows of the grid that is shown, or on multiples of them.
 * @param {import("./page_state.js").Choices} choices
 * @param {import("./stream/axes.js").GridAxes} axes
 * @param {number} fold rows of the grid in a row of the map
 * @param {AbortSignal} signal
 * @returns {Promise<LiquidationMap>}
 */
export async function askMap({ symbol, venues, leverages, side }, axes, fold, signal) {
  const parameters = {
    symbol,
    venues,
    leverages,
    side,
    breakdown: "leverage",
    base_steps_per_row: axes.baseStepsPerRow * fold,
    price_low: axes.priceAt(0),
    price_high: axes.priceAt(axes.rows),
  };
  const { header, fragments } = await ask("/v1/map", parameters, signal);
  const { rows, price_decimals: decimals, base_step: step, base_steps_per_row: steps } = header.axis;
  const map = {
    firstRow: Number(header.axis.first_row),
    rows,
    rowHeight: (Number(step) * steps) / 10 ** decimals,
    price: Number(header.mark_price) / 10 ** decimals,
    takenMs: Date.now(),
    long: GROUPS.map(() => new Float64Array(rows)),
    short: GROUPS.map(() => new Float64Array(rows)),
    longCumulative: header.long_cumulative_usd,
    shortCumulative: header.short_cumulative_usd,
    beside: besideOf(header.context),
  };
  const usd = header.usd_per_weighted_lot;
  for (const fragment of fragments) {
    const cells = bytesOf(fragment.cells);
    for (let index = 0; index < fragment.series; index++) {
      const series = header.series[fragment.series_index + index];
      const group = GROUPS.findLastIndex(({ from }) => series.leverage >= from);
      const sums = (series.side === "POSITION_SIDE_LONG" ? map.long : map.short)[group];
      for (let row = 0; row < rows; row++) sums[row] += wholeAt(cells, index * rows + row) * usd[row];
    }
  }
  return map;
}

/**
 * Return what is force-closed by the time the price has come to a level, and of which side.
 * @param {LiquidationMap} map
 * @param {number} price
 */
export function goneAt(map, price) {
  const row = Math.floor(price / map.rowHeight + 1e-9) - map.firstRow;
  if (row < 0 || row >= map.rows) return undefined;
  const isBelow = price < map.price;
  return { side: isBelow ? "longs" : "shorts", usd: (isBelow ? map.longCumulative : map.shortCumulative)[row] };
}

/**
 * Return what is said of the market beside a map, undefined where there is none.
 * @param {any[]} context as /v1/map answers
 * @returns {Beside | undefined}
 */
export function besideOf([market]) {
  if (market === undefined) return undefined;
  const { venue, symbol, trade_date: day, covered_share: covered, warning, label, meaning } = market;
  const coins = `${Math.round(market.open_interest_base).toLocaleString("en-US")} ${symbol}`;
  const both = covered === undefined ? "" : `, ${formatShare(covered)} of both covered`;
  const text = plain(`${venue.toUpperCase()} ${day}: ${coins}${both}`);
  return { text, title: plain([label, warning, meaning].filter((part) => part !== "").join("; ")) };
}

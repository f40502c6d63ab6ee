// What is at the cursor: cell, price row, time, USD; and who holds what of the row now.

import { decimalsOf, formatPrice, formatShare, formatUsd, plain } from "../format.js";
import { LEVEL_USD } from "../stream/levels.js";
import { byId, make } from "./dom.js";

const MOST_VENUES = 5;
const MOST_TIERS = 9;

/**
 * @typedef {{side: "long" | "short", usd: number}} Share
 * @typedef {{price_low: number, price_high: number, usd: number,
 *   by_venue: (Share & {venue: string})[], by_leverage: (Share & {leverage: number})[]}} Row  as /v1/row answers
 * @typedef {{startSeconds: number, endSeconds: number, low: number, high: number, level: number, fold: number,
 *   price: number | undefined, gone: {side: string, usd: number} | undefined}} Cell
 */

export class Readout {
  constructor() {
    this.container = byId("readout", HTMLDivElement);
    this.container.append(hint());
    this.shown = "";
  }

  /**
   * @param {Cell | undefined} cell
   * @param {Row | string | undefined} row of the live book; a text where there is none, with the reason
   */
  show(cell, row) {
    const key = JSON.stringify([cell, row]);
    if (key === this.shown) return;
    this.shown = key;
    if (cell === undefined) this.container.replaceChildren(hint());
    else this.container.replaceChildren(...cellLines(cell), ...rowLines(row));
  }
}

function hint() {
  return make("p", { className: "quiet-line" }, "Point at a cell, tap it, or press an arrow key on the chart, to see its price, time and USD.");
}

/** @param {Cell} cell */
function cellLines({ startSeconds, endSeconds, low, high, level, fold, price, gone }) {
  const decimals = decimalsOf(high - low);
  const [day, start] = new Date(startSeconds * 1000).toISOString().split("T");
  const end = new Date(endSeconds * 1000).toISOString().slice(11, 16);
  const middle = (low + high) / 2;
  const distance = price === undefined ? "" : `${middle >= price ? "+" : "−"}${formatShare(Math.abs(middle / price - 1))}`;
  const lines = [
    make(
      "div",
      { className: "where" },
      make("span", {}, `${formatPrice(low, decimals)} – ${formatPrice(high, decimals)}`),
      make("span", { className: middle >= (price ?? middle) ? "short" : "long" }, distance),
    ),
    make("div", { className: "quiet-line" }, `${day} ${start.slice(0, 5)} – ${end} UTC`),
    make("div", { className: "big" }, level === 0 ? "–" : formatUsd(LEVEL_USD[level])),
    make("div", { className: "quiet-line" }, fold === 1 ? "opened in this window, open then" : `${fold} rows together, open then`),
  ];
  if (gone !== undefined) {
    lines.push(make("div", { className: "quiet-line" }, `${formatUsd(gone.usd)} of ${gone.side} gone by this price`));
  }
  return lines;
}

/** @param {Row | string | undefined} row */
function rowLines(row) {
  if (row === undefined) return [];
  if (typeof row === "string") return [make("p", { className: "quiet-line" }, plain(row))];
  const title = make("h3", {}, `Open now in this row: ${formatUsd(row.usd)}`);
  if (row.usd === 0) return [title];
  return [
    title,
    bars(row.by_venue.map((share) => ({ ...share, name: plain(share.venue) })), row.usd, MOST_VENUES),
    make("h3", {}, "by leverage"),
    bars(row.by_leverage.map((share) => ({ ...share, name: share.leverage ? `${share.leverage}×` : "stated" })), row.usd, MOST_TIERS),
  ];
}

/**
 * @param {(Share & {name: string})[]} shares
 * @param {number} all
 * @param {number} most
 */
function bars(shares, all, most) {
  /** @type {Map<string, {long: number, short: number}>} */
  const sums = new Map();
  for (const { name, side, usd } of shares) {
    const sum = sums.get(name) ?? { long: 0, short: 0 };
    sum[side] += usd;
    sums.set(name, sum);
  }
  const sorted = [...sums].toSorted(([, a], [, b]) => b.long + b.short - a.long - a.short);
  const container = make("div", { className: "bars" });
  for (const [name, { long, short }] of sorted.slice(0, most)) {
    const bar = make("span", { className: "bar" }, part("l", long / all), part("s", short / all));
    const share = make("span", { className: "share" }, formatShare((long + short) / all));
    container.append(make("span", {}, name), bar, share);
  }
  return container;
}

/**
 * @param {string} className
 * @param {number} share
 */
function part(className, share) {
  const made = make("i", { className });
  made.style.width = `${100 * share}%`;
  return made;
}

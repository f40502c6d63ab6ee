// What is seen, as a picture and as a table.

import { decimalsOf, formatInstant, formatUsd } from "../format.js";
import { positionOf } from "../stream/decoding.js";
import { LEVEL_USD, levelStartUsd } from "../stream/levels.js";
import { make } from "./dom.js";
import { STEPS, coloursOf } from "./scales.js";

const HEAD_HEIGHT = 46;
const FOOT_HEIGHT = 34;
const MARGIN = 14;
const GROUND = "#0b0e13";
const TEXT = "#e3e9f1";
const QUIET = "#9aa6b6";

/**
 * What stands beside a picture or above a table.
 * @typedef {{symbol: string, timeframe: string, price: string, facts: string[], scale: import("./scales.js").ScaleName,
 *   brightness: import("./scales.js").Brightness, isStale: boolean}} Caption
 */

/**
 * Return chart and map with a caption that says what they are, as a canvas.
 * @param {HTMLCanvasElement} chart
 * @param {HTMLCanvasElement | undefined} map
 * @param {Caption} caption
 */
export function picture(chart, map, caption) {
  const ratio = window.devicePixelRatio;
  const font = getComputedStyle(document.body).fontFamily;
  const width = chart.width + (map?.width ?? 0);
  const canvas = make("canvas", { width, height: chart.height + (HEAD_HEIGHT + FOOT_HEIGHT) * ratio });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.fillStyle = GROUND;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(chart, 0, HEAD_HEIGHT * ratio);
  if (map !== undefined) context.drawImage(map, chart.width, HEAD_HEIGHT * ratio);
  context.scale(ratio, ratio);
  context.textBaseline = "middle";
  context.fillStyle = TEXT;
  context.font = `600 17px ${font}`;
  const title = `${caption.symbol} ${caption.timeframe}   ${caption.price}`;
  context.fillText(title, MARGIN, HEAD_HEIGHT / 2);
  const titleWidth = context.measureText(title).width;
  context.font = `12px ${font}`;
  context.fillStyle = QUIET;
  context.fillText(caption.facts.join("  ·  "), MARGIN + titleWidth + 22, HEAD_HEIGHT / 2 + 1);
  drawLegend(context, caption, canvas.height / ratio - FOOT_HEIGHT / 2);
  context.textAlign = "right";
  context.fillText("liqscape", width / ratio - MARGIN, canvas.height / ratio - FOOT_HEIGHT / 2);
  return canvas;
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Caption} caption
 * @param {number} y
 */
function drawLegend(context, { scale, brightness: { dim, bright }, isStale }, y) {
  const colours = coloursOf(scale, isStale);
  const [from, to] = [formatUsd(levelStartUsd(dim)), formatUsd(levelStartUsd(bright))];
  context.fillText(from, MARGIN, y);
  const left = MARGIN + context.measureText(from).width + 8;
  for (let step = 0; step < STEPS; step += 2) {
    context.fillStyle = `rgb(${colours.subarray(3 * step, 3 * step + 3).join()})`;
    context.fillRect(left + step * 0.7, y - 5, 2, 10);
  }
  context.fillStyle = QUIET;
  context.fillText(`${to} a cell, estimate`, left + STEPS * 0.7 + 8, y);
}

/**
 * Return the cells in view that hold something, as a table with a head of comments.
 * @param {import("./texture.js").Levels} levels
 * @param {{first: number, last: number}} columns absolute
 * @param {{top: number, bottom: number}} prices
 * @param {string[]} comments
 */
export function table(levels, columns, prices, comments) {
  const axes = levels.axes;
  if (axes === undefined) return "";
  const decimals = decimalsOf(axes.rowHeight);
  const lines = comments.map((comment) => `# ${comment.replace(/[\r\n]+/g, " ")}`);
  lines.push("column_start_utc,price_low,price_high,usd,usd_from,usd_below");
  const oldest = levels.newestColumn - axes.columns + 1;
  const [bottom, top] = [Math.max(0, axes.rowAt(prices.bottom)), Math.min(axes.rows - 1, axes.rowAt(prices.top))];
  for (let column = Math.max(oldest, columns.first); column <= Math.min(levels.newestColumn, columns.last); column++) {
    const time = formatInstant(axes.startSeconds(column) * 1000);
    const start = positionOf(column, axes.columns) * axes.rows;
    for (let row = bottom; row <= top; row++) {
      const level = levels.ring[start + row];
      if (level === 0) continue;
      const edges = [axes.priceAt(row).toFixed(decimals), axes.priceAt(row + 1).toFixed(decimals)];
      lines.push([time, ...edges, Math.round(LEVEL_USD[level]), levelStartUsd(level), levelStartUsd(level + 1)].join());
    }
  }
  return `${lines.join("\n")}\n`;
}

/**
 * Hand a file to the user.
 * @param {Blob} blob
 * @param {string} name
 */
export function save(blob, name) {
  const address = URL.createObjectURL(blob);
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

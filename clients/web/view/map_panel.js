// The map beside the price axis: a bar a row, longs and shorts, brighter with leverage; what is gone by then; and clusters.

import { decimalsOf, formatAge, formatPrice, formatUsd } from "../format.js";
import { byId, setText } from "./dom.js";

const LONG = ["#12705a", "#1fae8a", "#5df2c8"];
const SHORT = ["#86303f", "#d24b60", "#ff9aa8"];
const CURVE_LONG = "rgba(45, 212, 167, 0.95)";
const CURVE_SHORT = "rgba(255, 107, 129, 0.95)";
const PRICE_LINE = "#ffffff";
const CURSOR_LINE = "rgba(139, 151, 167, 0.9)";
/** A map that could not be renewed for so long is drawn as old. */
const OLD_AFTER_MS = 15_000;
/** Share of the width that the longest bar takes: the end of the curve stays readable. */
const FULL_BAR = 0.92;
/** Bars of rows are summed up to this height, CSS pixels. */
const THINNEST_BAR = 2;

/** Clusters that could not be renewed for so long are not drawn: they may have gone. */
const CLUSTERS_OLD_AFTER_MS = 60_000;
const CLUSTER = "#e8ecf2";
/** Space of a cluster's bracket, at the right edge, CSS pixels; the first of each side is thicker. */
const BRACKET = { inset: 3, tick: 4, line: 1.25, firstLine: 2.5 };
/** Amounts stand beside brackets where the panel is so wide, and so far from each other; CSS pixels. */
const LABELS = { leastWidth: 110, apart: 12, edge: 20, font: "10px system-ui, sans-serif" };

/** @typedef {import("../liquidation_map.js").LiquidationMap} LiquidationMap */

export class MapPanel {
  /** @param {import("./price_chart.js").PriceChart} chart */
  constructor(chart) {
    this.chart = chart;
    this.box = byId("map-box", HTMLDivElement);
    this.canvas = byId("map", HTMLCanvasElement);
    this.scale = byId("map-scale", HTMLDivElement);
    this.shorts = byId("map-shorts", HTMLSpanElement);
    this.longs = byId("map-longs", HTMLSpanElement);
    this.context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    /** @type {LiquidationMap | undefined} */
    this.map = undefined;
    /** @type {import("../clusters.js").Clusters | undefined} */
    this.found = undefined;
    /** @type {number | undefined} */
    this.cursorPrice = undefined;
    this.drawnFor = "";
  }

  /** @param {boolean} isShown */
  setShown(isShown) {
    this.box.hidden = !isShown;
    this.drawnFor = "";
  }

  /**
   * Return how many rows of a grid make a bar that can be seen: finer ones need not be asked for.
   * @param {import("../stream/axes.js").GridAxes} axes
   */
  fold(axes) {
    const view = this.chart.visiblePrices();
    if (view === undefined) return 1;
    return Math.max(1, Math.ceil((THINNEST_BAR * (view.top - view.bottom)) / (axes.rowHeight * view.height)));
  }

  /** Draw where something has changed since: prices in view, size, cursor, map. */
  draw() {
    const view = this.chart.visiblePrices();
    const { map, canvas, cursorPrice } = this;
    if (view === undefined || this.box.hidden) return;
    const isOld = map !== undefined && Date.now() - map.takenMs > OLD_AFTER_MS;
    const ratio = window.devicePixelRatio;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    const price = this.chart.lastPrice;
    const clusters = this.#clusters();
    const key = [map?.takenMs, clusters.length && this.found?.takenMs, view.top, view.bottom, width, height, ratio, cursorPrice, price, isOld].join();
    if (key === this.drawnFor || width === 0) return;
    this.drawnFor = key;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.box.style.opacity = isOld ? "0.5" : "";
    if (map === undefined) return;
    const largest = this.#drawBars(map, view, width);
    const { shorts, longs } = this.#drawCurves(map, view, width);
    this.#drawClusters(clusters, view, width);
    if (price !== undefined) this.#line(view, price, width, PRICE_LINE);
    if (cursorPrice !== undefined) this.#line(view, cursorPrice, width, CURSOR_LINE);
    setText(this.shorts, `shorts ${formatUsd(shorts)}`);
    setText(this.longs, `longs ${formatUsd(longs)}`);
    setText(this.scale, isOld ? `${formatAge(Date.now() - map.takenMs)} old` : `bars to ${formatUsd(largest)}`);
    const said = `up to ${formatUsd(largest)} a bar, ${formatUsd(longs)} of longs and ${formatUsd(shorts)} of shorts in view`;
    canvas.setAttribute("aria-label", `Open positions by price: ${said}${inWords(clusters)}`);
  }

  #clusters() {
    const isOld = this.found === undefined || Date.now() - this.found.takenMs > CLUSTERS_OLD_AFTER_MS;
    return isOld || this.found === undefined ? [] : this.found.clusters;
  }

  /**
   * @param {import("../clusters.js").Cluster[]} clusters
   * @param {{top: number, bottom: number, height: number}} view
   * @param {number} width
   */
  #drawClusters(clusters, view, width) {
    const { context } = this;
    /** @type {number[]} */
    const labelled = [];
    context.save();
    context.strokeStyle = CLUSTER;
    context.fillStyle = CLUSTER;
    context.font = LABELS.font;
    context.textAlign = "right";
    context.textBaseline = "middle";
    context.shadowColor = "#000";
    context.shadowBlur = 3;
    for (const { rank, low, high, peak, usd } of clusters) {
      if (low > view.top || high < view.bottom) continue;
      const [top, bottom, middle] = [high, low, peak].map((price) => this.#y(view, price));
      const x = width - BRACKET.inset;
      context.lineWidth = rank === 1 ? BRACKET.firstLine : BRACKET.line;
      context.beginPath();
      context.moveTo(x - BRACKET.tick, top);
      context.lineTo(x, top);
      context.lineTo(x, bottom);
      context.lineTo(x - BRACKET.tick, bottom);
      context.stroke();
      const isFree = labelled.every((y) => Math.abs(y - middle) >= LABELS.apart);
      const isInside = middle > LABELS.edge && middle < view.height - LABELS.edge;
      if (width < LABELS.leastWidth || !isFree || !isInside) continue;
      labelled.push(middle);
      context.fillText(formatUsd(usd), x - BRACKET.tick - 3, middle);
    }
    context.restore();
  }

  /**
   * @param {LiquidationMap} map
   * @param {{top: number, bottom: number, height: number}} view
   * @param {number} width
   */
  #drawBars(map, view, width) {
    const pixelsPerRow = (map.rowHeight * view.height) / (view.top - view.bottom);
    const fold = Math.max(1, Math.ceil(THINNEST_BAR / pixelsPerRow));
    const first = Math.max(0, Math.floor(view.bottom / map.rowHeight) - map.firstRow);
    const last = Math.min(map.rows - 1, Math.ceil(view.top / map.rowHeight) - map.firstRow);
    /** @type {{row: number, parts: number[], sum: number}[]} */
    const bars = [];
    const start = Math.floor((first + map.firstRow) / fold) * fold - map.firstRow;
    for (let row = start; row <= last; row += fold) {
      const parts = [...map.long, ...map.short].map((rows) => {
        let usd = 0;
        for (let at = Math.max(0, row); at < Math.min(map.rows, row + fold); at++) usd += rows[at];
        return usd;
      });
      bars.push({ row, parts, sum: parts.reduce((sum, part) => sum + part, 0) });
    }
    const largest = Math.max(1, ...bars.map(({ sum }) => sum));
    const height = Math.max(1, fold * pixelsPerRow - (pixelsPerRow * fold > 4 ? 1 : 0));
    for (const { row, parts } of bars) {
      const y = this.#y(view, (map.firstRow + row + fold) * map.rowHeight);
      let x = 0;
      parts.forEach((part, index) => {
        const length = (part / largest) * width * FULL_BAR;
        this.context.fillStyle = [...LONG, ...SHORT][index];
        if (length > 0) this.context.fillRect(x, y, length, height);
        x += length;
      });
    }
    return largest;
  }

  /**
   * @param {LiquidationMap} map
   * @param {{top: number, bottom: number, height: number}} view
   * @param {number} width
   */
  #drawCurves(map, view, width) {
    const first = Math.max(0, Math.floor(view.bottom / map.rowHeight) - map.firstRow);
    const last = Math.min(map.rows - 1, Math.ceil(view.top / map.rowHeight) - map.firstRow);
    const priceRow = Math.min(last, Math.max(first, Math.floor(map.price / map.rowHeight) - map.firstRow));
    const [longs, shorts] = [map.longCumulative[first] ?? 0, map.shortCumulative[last] ?? 0];
    const most = Math.max(1, longs, shorts);
    this.#curve(map, view, map.longCumulative, first, priceRow, (usd) => (usd / most) * width * FULL_BAR, CURVE_LONG);
    this.#curve(map, view, map.shortCumulative, priceRow, last, (usd) => (usd / most) * width * FULL_BAR, CURVE_SHORT);
    return { longs, shorts };
  }

  /**
   * @param {LiquidationMap} map
   * @param {{top: number, bottom: number, height: number}} view
   * @param {number[]} curve
   * @param {number} first
   * @param {number} last
   * @param {(usd: number) => number} x
   * @param {string} colour
   */
  #curve(map, view, curve, first, last, x, colour) {
    const { context } = this;
    context.beginPath();
    for (let row = first; row <= last; row++) {
      context.lineTo(x(curve[row]), this.#y(view, (map.firstRow + row + 0.5) * map.rowHeight));
    }
    context.strokeStyle = colour;
    context.lineWidth = 1.5;
    context.stroke();
  }

  /**
   * @param {{top: number, bottom: number, height: number}} view
   * @param {number} price
   * @param {number} width
   * @param {string} colour
   */
  #line(view, price, width, colour) {
    const y = Math.round(this.#y(view, price)) + 0.5;
    if (y > view.height) return;
    this.context.beginPath();
    this.context.moveTo(0, y);
    this.context.lineTo(width, y);
    this.context.setLineDash([2, 3]);
    this.context.strokeStyle = colour;
    this.context.lineWidth = 1;
    this.context.stroke();
    this.context.setLineDash([]);
  }

  /**
   * @param {{top: number, bottom: number, height: number}} view
   * @param {number} price
   */
  #y(view, price) {
    return ((view.top - price) / (view.top - view.bottom)) * view.height;
  }
}

/**
 * Return clusters for people who hear the page.
 * @param {import("../clusters.js").Cluster[]} clusters
 */
function inWords(clusters) {
  const told = clusters.map(({ side, low, high, usd }) => {
    const decimals = decimalsOf(high - low);
    return `${formatUsd(usd)} of ${side} from ${formatPrice(low, decimals)} to ${formatPrice(high, decimals)}`;
  });
  return told.length > 0 ? `; clusters: ${told.join(", ")}` : "";
}

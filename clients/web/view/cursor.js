// The cell under the pointer, or where arrow keys have moved it: what it holds, and who holds what of its row now.

import { Refused, ask } from "../api.js";
import { goneAt } from "../liquidation_map.js";
import { positionOf } from "../stream/decoding.js";
import { byId } from "./dom.js";
import { Readout } from "./readout.js";

/** A pointer that moves on asks nothing. */
const REST_MS = 120;
const AGAIN_MS = 2000;
const PAGE_ROWS = 10;

/**
 * @typedef {import("./price_chart.js").Cursor} Place
 * @typedef {import("./readout.js").Row} Row
 */

export class Cursor {
  /** @param {import("../page.js").Page} page */
  constructor(page) {
    this.page = page;
    this.readout = new Readout();
    /** @type {Place | undefined} */
    this.place = undefined;
    /** @type {Row | string | undefined} */
    this.row = undefined;
    this.rowFor = "";
    this.askedMs = 0;
    this.current = new AbortController();
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    byId("chart", HTMLDivElement).addEventListener("keydown", (event) => this.#onKey(event));
  }

  /** @param {Place | undefined} place */
  move(place) {
    this.place = place;
    this.page.map.cursorPrice = place?.price;
    this.page.map.draw();
    this.refresh();
  }

  /** Show what is there now. */
  refresh() {
    const cell = this.#cell();
    if (cell === undefined) {
      this.rowFor = "";
      this.row = undefined;
      this.#stop();
    } else if (this.page.past.isOn) {
      this.#stop();
      this.rowFor = "";
      this.row = "Who holds what of a row is told of now alone.";
    } else {
      this.#wantRow((cell.low + cell.high) / 2, cell.fold);
    }
    this.readout.show(cell, this.row);
  }

  /** @returns {import("./readout.js").Cell | undefined} */
  #cell() {
    const { levels, chart, map } = this.page;
    const axes = levels?.axes;
    if (this.place === undefined || levels === undefined || axes === undefined) return undefined;
    const { column, price } = this.place;
    const { texture } = chart.heatmap;
    if (texture.levels !== levels) return undefined;
    const row = axes.rowAt(price);
    if (row < 0 || row >= axes.rows) return undefined;
    const folded = Math.floor((row + texture.offset) / texture.fold);
    const lowest = folded * texture.fold - texture.offset;
    const isInside = column <= levels.newestColumn && column > levels.newestColumn - axes.columns;
    return {
      startSeconds: axes.startSeconds(column),
      endSeconds: axes.startSeconds(column + 1),
      low: axes.priceAt(lowest),
      high: axes.priceAt(lowest + texture.fold),
      level: isInside ? texture.levelAt(positionOf(column, axes.columns), folded) : 0,
      fold: texture.fold,
      price: chart.lastPrice,
      gone: map.map === undefined ? undefined : goneAt(map.map, price),
    };
  }

  /**
   * @param {number} price
   * @param {number} fold
   */
  #wantRow(price, fold) {
    const { symbol, venues, leverages, side } = this.page.state.choices;
    const steps = (this.page.levels?.axes?.baseStepsPerRow ?? 1) * fold;
    const parameters = { symbol, price, venues, leverages, side, base_steps_per_row: steps };
    const key = JSON.stringify(parameters);
    const isOther = key !== this.rowFor;
    if (!isOther && performance.now() - this.askedMs < AGAIN_MS) return;
    this.#stop();
    if (isOther) this.row = undefined;
    this.rowFor = key;
    this.askedMs = performance.now();
    this.timer = setTimeout(() => void this.#askRow(parameters), isOther ? REST_MS : 0);
  }

  /** @param {Record<string, string | number | (string | number)[]>} parameters */
  async #askRow(parameters) {
    const { signal } = this.current;
    try {
      this.row = await ask("/v1/row", parameters, signal);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof Refused)) throw error;
      this.row = error.message;
    }
    this.refresh();
  }

  #stop() {
    clearTimeout(this.timer);
    this.current.abort();
    this.current = new AbortController();
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const { levels, chart } = this.page;
    const axes = levels?.axes;
    if (levels === undefined || axes === undefined) return;
    const height = axes.rowHeight * chart.heatmap.texture.fold;
    /** @type {Record<string, [number, number]>} */
    const steps = {
      ArrowLeft: [-1, 0],
      ArrowRight: [1, 0],
      ArrowUp: [0, height],
      ArrowDown: [0, -height],
      PageUp: [0, PAGE_ROWS * height],
      PageDown: [0, -PAGE_ROWS * height],
    };
    if (event.key === "Escape") {
      chart.chart.clearCrosshairPosition();
      this.move(undefined);
      return;
    }
    const step = steps[event.key];
    if (step === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    const middle = axes.priceAt(axes.rows / 2);
    const from = this.place ?? { column: levels.newestColumn, price: chart.lastPrice ?? middle };
    const oldest = levels.newestColumn - axes.columns + 1;
    const column = Math.max(oldest, Math.min(levels.newestColumn, from.column + step[0]));
    const lowest = axes.priceAt(0.5);
    const price = Math.max(lowest, Math.min(axes.priceAt(axes.rows - 0.5), from.price + step[1]));
    chart.setCursor({ column, price });
    this.move({ column, price });
  }
}

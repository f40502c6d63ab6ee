// The heatmap as a primitive of the chart, under the candles: the off-screen picture, stretched to prices and times.

import { positionOf } from "../stream/decoding.js";
import { rowsInOne } from "./screen.js";
import { Texture } from "./texture.js";

/**
 * @typedef {import("lightweight-charts").ISeriesPrimitive<import("lightweight-charts").Time>} Primitive
 * @typedef {import("lightweight-charts").SeriesAttachedParameter<import("lightweight-charts").Time>} Attached
 * @typedef {import("lightweight-charts").IPrimitivePaneView} PaneView
 * @typedef {Parameters<import("lightweight-charts").IPrimitivePaneRenderer["draw"]>[0]} Target
 */

/** @implements {Primitive} */
export class HeatmapLayer {
  constructor() {
    this.texture = new Texture();
    /** @type {import("./texture.js").Levels | undefined} */
    this.levels = undefined;
    this.palette = new Uint32Array(256);
    /** Absolute column of the chart's first bar. */
    this.firstColumn = 0;
    /** Called with each picture that is drawn. @type {() => void} */
    this.onDraw = () => {};
    /** @type {Attached | undefined} */
    this.host = undefined;
    /** Milliseconds that the newest pictures took, for measurements. @type {number[]} */
    this.drawMs = [];
    /** @type {PaneView[]} */
    this.views = [{ zOrder: () => "bottom", renderer: () => ({ draw: (target) => this.#draw(target) }) }];
  }

  /** @param {Attached} host */
  attached(host) {
    this.host = host;
  }

  detached() {
    this.host = undefined;
  }

  paneViews() {
    return this.views;
  }

  /** What is drawn has changed. */
  invalidate() {
    this.host?.requestUpdate();
  }

  /** Rows of the ring that are summed into one of the picture, for the zoom there is. */
  fold() {
    const { levels, host } = this;
    if (levels?.axes === undefined || host === undefined) return 1;
    const top = host.series.priceToCoordinate(levels.axes.priceAt(levels.axes.rows));
    const bottom = host.series.priceToCoordinate(levels.axes.priceAt(0));
    if (top === null || bottom === null || bottom <= top) return 1;
    return rowsInOne((bottom - top) / levels.axes.rows);
  }

  /** @param {Target} target */
  #draw(target) {
    const { levels, host } = this;
    const axes = levels?.axes;
    if (levels === undefined || axes === undefined || host === undefined) return;
    const started = performance.now();
    this.texture.update(levels, this.fold(), this.palette);
    const place = this.#place(levels, axes, host);
    if (place === undefined) return;
    target.useBitmapCoordinateSpace(({ context, bitmapSize, horizontalPixelRatio, verticalPixelRatio }) => {
      context.imageSmoothingEnabled = false;
      const y = Math.round(place.top * verticalPixelRatio);
      const height = Math.round(place.bottom * verticalPixelRatio) - y;
      for (const { from, columns, left } of place.pieces) {
        const x = Math.round(left * horizontalPixelRatio);
        const width = Math.round((left + columns * place.spacing) * horizontalPixelRatio) - x;
        if (columns > 0 && x < bitmapSize.width && x + width > 0) {
          context.drawImage(this.texture.canvas, from, 0, columns, this.texture.height, x, y, width, height);
        }
      }
    });
    this.drawMs.push(performance.now() - started);
    if (this.drawMs.length > 600) this.drawMs.shift();
    this.onDraw();
  }

  /**
   * Return where the picture lies, CSS pixels of the pane: in two pieces, because the ring begins somewhere inside it.
   * @param {import("./texture.js").Levels} levels
   * @param {import("../stream/axes.js").GridAxes} axes
   * @param {Attached} host
   */
  #place(levels, axes, host) {
    const scale = host.chart.timeScale();
    const oldest = levels.newestColumn - axes.columns + 1;
    /** @param {number} column */
    const centre = (column) =>
      scale.logicalToCoordinate(/** @type {import("lightweight-charts").Logical} */ (column - this.firstColumn));
    const [first, second] = [centre(oldest), centre(oldest + 1)];
    const { fold, offset, height } = this.texture;
    const top = host.series.priceToCoordinate(axes.priceAt(height * fold - offset));
    const bottom = host.series.priceToCoordinate(axes.priceAt(-offset));
    if (first === null || second === null || top === null || bottom === null) return undefined;
    const spacing = second - first;
    const from = positionOf(oldest, axes.columns);
    const left = first - spacing / 2;
    const pieces = [
      { from, columns: axes.columns - from, left },
      { from: 0, columns: from, left: left + (axes.columns - from) * spacing },
    ];
    return { top, bottom, spacing, pieces };
  }
}

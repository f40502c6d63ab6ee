// Marks where the price went through a band and positions there ended, over the heatmap and under nothing.

import { isSmall } from "./screen.js";

/**
 * @typedef {import("./heatmap_layer.js").Primitive} Primitive
 * @typedef {import("./heatmap_layer.js").Attached} Attached
 * @typedef {import("./heatmap_layer.js").PaneView} PaneView
 * @typedef {import("./heatmap_layer.js").Target} Target
 * @typedef {{column: number, price: number, usd: number}} Mark  price: the middle of the row
 */

/** Marks that are drawn, the largest in view: more hide what they stand on. */
const MOST = 160;
const MOST_SMALL = 50;
const SMALLEST_RADIUS = 1.2;
const LARGEST_RADIUS = 4;
const EDGE = "#05070a";
const FILL = "#ff4fd8";

/** @implements {Primitive} */
export class SweptLayer {
  constructor() {
    /** Largest first. @type {Mark[]} */
    this.marks = [];
    this.firstColumn = 0;
    this.isShown = true;
    /** @type {Attached | undefined} */
    this.host = undefined;
    /** @type {PaneView[]} */
    this.views = [{ zOrder: () => "top", renderer: () => ({ draw: (target) => this.#draw(target) }) }];
  }

  /** @param {Attached} host */
  attached(host) {
    this.host = host;
  }

  detached() {
    this.host = undefined;
  }

  paneViews() {
    return this.isShown ? this.views : [];
  }

  /** @param {Mark[]} marks */
  show(marks) {
    this.marks = marks.toSorted((a, b) => b.usd - a.usd);
    this.host?.requestUpdate();
  }

  /** @param {Target} target */
  #draw(target) {
    const { host, marks } = this;
    if (host === undefined || marks.length === 0) return;
    const scale = host.chart.timeScale();
    const largest = Math.sqrt(marks[0].usd);
    const most = isSmall() ? MOST_SMALL : MOST;
    target.useBitmapCoordinateSpace(({ context, bitmapSize, horizontalPixelRatio, verticalPixelRatio }) => {
      let drawn = 0;
      for (const { column, price, usd } of marks) {
        const x = scale.logicalToCoordinate(
          /** @type {import("lightweight-charts").Logical} */ (column - this.firstColumn),
        );
        const y = host.series.priceToCoordinate(price);
        if (x === null || y === null) continue;
        const [centreX, centreY] = [x * horizontalPixelRatio, y * verticalPixelRatio];
        if (centreX < 0 || centreY < 0 || centreX > bitmapSize.width || centreY > bitmapSize.height) continue;
        const radius = SMALLEST_RADIUS + (LARGEST_RADIUS - SMALLEST_RADIUS) * (Math.sqrt(usd) / largest);
        diamond(context, centreX, centreY, radius * horizontalPixelRatio);
        if (++drawn === most) break;
      }
    });
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {number} x
 * @param {number} y
 * @param {number} radius
 */
function diamond(context, x, y, radius) {
  context.beginPath();
  context.moveTo(x, y - radius);
  context.lineTo(x + radius, y);
  context.lineTo(x, y + radius);
  context.lineTo(x - radius, y);
  context.closePath();
  context.fillStyle = FILL;
  context.strokeStyle = EDGE;
  context.fill();
  context.stroke();
}

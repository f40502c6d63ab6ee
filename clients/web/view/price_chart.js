// The chart: axes, candles, crosshair and touch by lightweight-charts, the heatmap under the candles.

import { CandlestickSeries, ColorType, CrosshairMode, LineStyle, createChart } from "./chart_library.js";
import { HeatmapLayer } from "./heatmap_layer.js";
import { SCALES } from "./scales.js";
import { isSmall } from "./screen.js";
import { SweptLayer } from "./swept_layer.js";
import { decimalsOf, formatPrice } from "../format.js";
import { LivePrice } from "../live_price.js";

/**
 * @typedef {import("lightweight-charts").UTCTimestamp} Time
 * @typedef {import("../stream/channel_replica.js").ChannelReplica} ChannelReplica
 * @typedef {{column: number, price: number}} Cursor
 * @typedef {{title: string, price: number, colour: string, isDashed: boolean}} Line
 */

const BACKGROUND = "#050608";
const AXIS_TEXT = "#aab4c2";
const AXIS_LINE = "#232a33";
/** Bars of empty time right of the newest column. */
const ROOM_AHEAD = 6;

export class PriceChart {
  /** @param {HTMLElement} container */
  constructor(container) {
    this.heatmap = new HeatmapLayer();
    this.swept = new SweptLayer();
    /** @type {(cursor: Cursor | undefined) => void} */
    this.onCursor = () => {};
    /** Of the candles that are shown. @type {ChannelReplica | undefined} */
    this.replica = undefined;
    this.drawn = { keyframes: -1, newestColumn: 0 };
    this.live = new LivePrice();
    /** @type {import("lightweight-charts").IPriceLine[]} */
    this.lines = [];
    this.chart = createChart(container, {
      autoSize: true,
      layout: {
        background: { type: ColorType.Solid, color: BACKGROUND },
        textColor: AXIS_TEXT,
        fontFamily: getComputedStyle(container).fontFamily,
        fontSize: isSmall() ? 11 : 12,
        attributionLogo: false, // it brings a style of its own; the page names the library in its foot
      },
      grid: { vertLines: { visible: false }, horzLines: { visible: false } },
      crosshair: { mode: CrosshairMode.Normal, vertLine: { color: "#8b97a7" }, horzLine: { color: "#8b97a7" } },
      rightPriceScale: { borderColor: AXIS_LINE, scaleMargins: { top: 0, bottom: 0 } },
      timeScale: {
        borderColor: AXIS_LINE,
        timeVisible: true,
        secondsVisible: false,
        rightOffset: ROOM_AHEAD,
        minBarSpacing: 0.1,
      },
      localization: { locale: "en-GB" },
    });
    this.series = this.chart.addSeries(CandlestickSeries, {
      borderVisible: false,
      priceLineVisible: true,
      priceLineColor: "#ffffff",
      priceLineStyle: LineStyle.Dotted,
      autoscaleInfoProvider: () => this.#wholeRange(),
    });
    this.series.attachPrimitive(this.heatmap);
    this.series.attachPrimitive(this.swept);
    this.chart.subscribeCrosshairMove((event) => this.onCursor(this.#cursorOf(event)));
    // A finger that taps leaves no pointer behind: the place it tapped stays the cursor.
    this.chart.subscribeClick((event) => {
      const cursor = this.#cursorOf(event);
      if (cursor !== undefined) this.setCursor(cursor);
      this.onCursor(cursor);
    });
  }

  /** Mark price now. */
  get lastPrice() {
    return this.live.price;
  }

  /**
   * Show candles of a channel, all or those that have changed since.
   * @param {ChannelReplica} replica
   */
  show(replica) {
    const axes = replica.axes;
    if (axes === undefined) return;
    const { keyframes, newestColumn } = this.drawn;
    const isSame = replica === this.replica && replica.keyframes === keyframes;
    if (!isSame || replica.newestColumn !== newestColumn) {
      this.#showAll(replica, axes, isSame);
    } else {
      this.series.update(this.#bar(replica, axes, newestColumn));
    }
    this.heatmap.invalidate();
  }

  /** Show all of the window and its rows. */
  fit() {
    const axes = this.replica?.axes;
    if (axes === undefined) return;
    this.chart.timeScale().setVisibleLogicalRange({ from: 0, to: axes.columns - 1 + ROOM_AHEAD });
    this.chart.priceScale("right").setAutoScale(true);
  }

  /**
   * Use the colours of a scale for candles.
   * @param {import("./scales.js").ScaleName} name
   */
  colourCandles(name) {
    const { rising, falling } = SCALES[name];
    this.series.applyOptions({ upColor: rising, wickUpColor: rising, downColor: falling, wickDownColor: falling });
  }

  /**
   * Draw horizontal lines in place of those there are.
   * @param {Line[]} lines
   */
  showLines(lines) {
    for (const line of this.lines) this.series.removePriceLine(line);
    this.lines = lines.map(({ title, price, colour, isDashed }) =>
      this.series.createPriceLine({
        title,
        price,
        color: colour,
        lineWidth: 2,
        lineStyle: isDashed ? LineStyle.Dashed : LineStyle.Solid,
        axisLabelVisible: true,
      }),
    );
  }

  /**
   * Put the crosshair at a cell.
   * @param {Cursor} cursor
   */
  setCursor({ column, price }) {
    const axes = this.replica?.axes;
    if (axes !== undefined) this.chart.setCrosshairPosition(price, /** @type {Time} */ (axes.startSeconds(column)), this.series);
  }

  /** Return the prices at the edges of the pane, and its height in CSS pixels. */
  visiblePrices() {
    const height = this.chart.paneSize().height;
    const [top, bottom] = [this.series.coordinateToPrice(0), this.series.coordinateToPrice(height)];
    return top === null || bottom === null ? undefined : { top, bottom, height };
  }

  /** Return the absolute columns in view. */
  visibleColumns() {
    const range = this.chart.timeScale().getVisibleLogicalRange();
    const replica = this.replica;
    if (range === null || replica?.axes === undefined) return undefined;
    const oldest = replica.newestColumn - replica.axes.columns + 1;
    const first = Math.max(oldest, Math.round(range.from) + this.heatmap.firstColumn);
    const last = Math.min(replica.newestColumn, Math.round(range.to) + this.heatmap.firstColumn);
    return { first, last };
  }

  /**
   * @param {ChannelReplica} replica
   * @param {import("../stream/axes.js").GridAxes} axes
   * @param {boolean} keepView
   */
  #showAll(replica, axes, keepView) {
    const sameShape = this.replica?.symbol === replica.symbol && this.replica?.timeframe === replica.timeframe;
    this.replica = replica;
    this.drawn = { keyframes: replica.keyframes, newestColumn: replica.newestColumn };
    const oldest = replica.newestColumn - axes.columns + 1;
    this.heatmap.firstColumn = this.swept.firstColumn = oldest;
    const tickDecimals = decimalsOf(axes.rowHeight);
    const finest = Math.min(axes.priceDecimals, decimalsOf(axes.rowHeight / axes.baseStepsPerRow / 100));
    const decimals = isSmall() ? tickDecimals : finest; // a narrow axis leaves room for the map
    /** @param {number} price */
    const formatter = (price) => formatPrice(price, decimals);
    this.series.applyOptions({ priceFormat: { type: "custom", formatter, minMove: 10 ** -decimals } });
    /** @param {number[]} prices */
    const tickmarksPriceFormatter = (prices) => prices.map((price) => formatPrice(price, tickDecimals));
    this.chart.applyOptions({ localization: { tickmarksPriceFormatter } });
    const view = this.chart.timeScale().getVisibleLogicalRange();
    this.series.setData(Array.from({ length: axes.columns }, (_, index) => this.#bar(replica, axes, oldest + index)));
    if (keepView) return;
    if (!sameShape || view === null) this.fit();
    else this.chart.timeScale().setVisibleLogicalRange(view); // other columns, perhaps of another day, seen as before
  }

  /**
   * @param {ChannelReplica} replica
   * @param {import("../stream/axes.js").GridAxes} axes
   * @param {number} column
   */
  #bar(replica, axes, column) {
    const time = /** @type {Time} */ (axes.startSeconds(column));
    const prices = replica.candles.get(column);
    const [open, high, low, close] = prices?.map((price) => Number(price) / axes.priceUnit) ?? [];
    const told = prices && { open, high, low, close };
    return { time, ...this.live.candle(column * axes.columnMinutes, axes.columnMinutes, told) };
  }

  #wholeRange() {
    const axes = this.heatmap.levels?.axes ?? this.replica?.axes;
    if (axes === undefined) return null;
    return { priceRange: { minValue: axes.priceAt(0), maxValue: axes.priceAt(axes.rows) } };
  }

  /**
   * @param {import("lightweight-charts").MouseEventParams} event
   * @returns {Cursor | undefined}
   */
  #cursorOf(event) {
    if (event.point === undefined || event.logical === undefined) return undefined;
    const price = this.series.coordinateToPrice(event.point.y);
    return price === null ? undefined : { column: this.heatmap.firstColumn + event.logical, price };
  }
}

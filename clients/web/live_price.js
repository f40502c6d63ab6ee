// The price now, and the newest candle: what its channel has told of it, and what the price has done since. A channel in
// which no level changes tells no candles either, and one of few positions may rest for a whole column.

/** @typedef {{open: number, high: number, low: number, close: number}} Candle */

export class LivePrice {
  constructor() {
    /** Mark price now. @type {number | undefined} */
    this.price = undefined;
    /** UTC minute that it belongs to. */
    this.minute = 0;
    /** The column it was seen in, in absolute minutes, and the prices seen there. */
    this.fromMinute = 0;
    this.columnMinutes = 0;
    /** @type {Candle | undefined} */
    this.seen = undefined;
  }

  /** Another symbol is shown. */
  forget() {
    this.price = this.seen = undefined;
  }

  /**
   * @param {number} price
   * @param {number} minute
   * @param {number | undefined} columnMinutes of the channel that is shown; undefined: none is
   */
  note(price, minute, columnMinutes) {
    this.price = price;
    this.minute = minute;
    if (columnMinutes === undefined) return;
    const fromMinute = minute - (minute % columnMinutes);
    if (this.seen === undefined || fromMinute !== this.fromMinute || columnMinutes !== this.columnMinutes) {
      this.fromMinute = fromMinute;
      this.columnMinutes = columnMinutes;
      this.seen = { open: price, high: price, low: price, close: price };
    }
    this.seen.high = Math.max(this.seen.high, price);
    this.seen.low = Math.min(this.seen.low, price);
    this.seen.close = price;
  }

  /**
   * Return the candle of a column; undefined where nothing is known of it.
   * @param {number} fromMinute of the column
   * @param {number} columnMinutes
   * @param {Candle | undefined} told by the channel
   */
  candle(fromMinute, columnMinutes, told) {
    const { seen } = this;
    if (seen === undefined || fromMinute !== this.fromMinute || columnMinutes !== this.columnMinutes) return told;
    const { open, high, low } = told ?? seen;
    return { open, high: Math.max(high, seen.high), low: Math.min(low, seen.low), close: seen.close };
  }
}

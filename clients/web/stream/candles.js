// Trigger price by column: the wire's differences -> absolute price units.

import { MAX_PRICE, checkedColumn, magnitude } from "./axes.js";
import { BadPayload } from "./bad_payload.js";

/**
 * Open, high, low and close, price units.
 * @typedef {[bigint, bigint, bigint, bigint]} Prices
 */

/**
 * Decode candles that came over the wire.
 * @param {import("../protocol/liqscape/v1/stream_pb.js").Candles | undefined} message
 * @param {number} newestColumn
 * @returns {[number, Prices][]} in ascending columns
 */
export function decodeCandles(message, newestColumn) {
  if (message === undefined) return [];
  const { columnDifferences, openDifferences, highMinusOpen, openMinusLow, closeMinusOpen } = message;
  const count = columnDifferences.length;
  for (const field of [openDifferences, highMinusOpen, openMinusLow, closeMinusOpen]) {
    if (field.length !== count) throw new BadPayload("candles of unequal lengths");
  }
  /** @type {[number, Prices][]} */
  const found = [];
  let column = 0n;
  let open = 0n;
  let before = -Infinity;
  for (let index = 0; index < count; index++) {
    column += columnDifferences[index];
    open += openDifferences[index];
    const [high, low, close] = [highMinusOpen[index], openMinusLow[index], closeMinusOpen[index]];
    const number = checkedColumn(column);
    if (number <= before || number > newestColumn) throw new BadPayload("candles out of order");
    if ([open, high, low, close].some((part) => magnitude(part) >= MAX_PRICE)) {
      throw new BadPayload("candles out of range");
    }
    before = number;
    found.push([number, [open, open + high, open - low, open + close]]);
  }
  return found;
}

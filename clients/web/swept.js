// Where the price went through rows and positions there ended, as /v1/swept answers.

import { ask } from "./api.js";
import { axesOf } from "./filtered_grid.js";

/**
 * Ask for the marks of the choices.
 * @param {import("./page_state.js").Choices} choices
 * @param {AbortSignal} signal
 * @returns {Promise<import("./view/swept_layer.js").Mark[]>}
 */
export async function askSwept({ symbol, timeframe, venues, leverages, side, past }, signal) {
  const answer = await ask("/v1/swept", { symbol, timeframe, venues, leverages, side, as_of_minute: past }, signal);
  const axes = axesOf(answer.axes);
  return answer.columns.map((/** @type {number | string} */ column, /** @type {number} */ index) => ({
    column: Number(column),
    price: axes.priceAt(Number(answer.rows[index]) - axes.firstRow + 0.5),
    usd: answer.usd[index],
  }));
}

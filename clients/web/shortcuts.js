// What keys do.

import { DEFAULTS, SCALE_NAMES, TIMEFRAMES } from "./page_state.js";

/**
 * @param {import("./page.js").Page} page
 * @returns {import("./view/keyboard.js").Shortcut[]}
 */
export function shortcuts(page) {
  const { state } = page;
  return [
    {
      keys: TIMEFRAMES.map((_, index) => String(index + 1)),
      text: `timeframe: ${TIMEFRAMES.join(" ")}`,
      run: (key) => state.set({ timeframe: TIMEFRAMES[Number(key) - 1] }),
    },
    { keys: ["n"], text: "next symbol", run: () => page.nextSymbol() },
    { keys: ["c"], text: "next colour scale", run: () => state.set({ scale: after(SCALE_NAMES, state.choices.scale) }) },
    {
      keys: ["l"],
      text: "colours logarithmic or linear",
      run: () => state.set({ spread: state.choices.spread === "log" ? "linear" : "log" }),
    },
    {
      keys: ["d"],
      text: "both sides, longs, shorts",
      run: () => state.set({ side: after(/** @type {const} */ (["", "long", "short"]), state.choices.side) }),
    },
    { keys: ["x"], text: "no filter", run: () => state.set({ venues: DEFAULTS.venues, leverages: DEFAULTS.leverages, side: DEFAULTS.side }) },
    { keys: ["s"], text: "swept marks", run: () => state.set({ swept: !state.choices.swept }) },
    { keys: ["m"], text: "map of open positions", run: () => state.set({ map: !state.choices.map }) },
    { keys: [" "], text: "the past: play, or stay", run: () => page.pastBar.playOrStay() },
    { keys: ["["], text: "the past: a column back", run: () => page.pastBar.step(-1) },
    { keys: ["]"], text: "the past: a column on", run: () => page.pastBar.step(1) },
    { keys: ["0"], text: "back to now", run: () => state.set({ past: undefined }) },
    { keys: ["f"], text: "fit: the whole window and all rows", run: () => page.fit() },
    { keys: ["p"], text: "save a picture", run: () => page.saved.picture() },
    { keys: ["e"], text: "save a table (CSV)", run: () => page.saved.table() },
    { keys: ["?"], text: "this list", run: () => page.keyboard.open() },
  ];
}

/**
 * @template T
 * @param {readonly T[]} values
 * @param {T} value
 */
function after(values, value) {
  return values[(values.indexOf(value) + 1) % values.length];
}

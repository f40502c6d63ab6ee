// What is seen, saved: the picture and the table, and what must be said beside both.

import { formatInstant, formatShare, plain } from "./format.js";
import { coveredShare, msOf } from "./stream/market_state.js";
import { picture, save, table } from "./view/saving.js";

export class SavedView {
  /** @param {import("./page.js").Page} page */
  constructor(page) {
    this.page = page;
  }

  /** Hand the picture to the user. */
  picture() {
    const { chart, colours, isGrey, map, state, topBar } = this.page;
    const { choices } = state;
    const canvas = picture(chart.chart.takeScreenshot(true), choices.map && choices.past === undefined ? map.canvas : undefined, {
      symbol: choices.symbol,
      timeframe: choices.timeframe,
      price: topBar.price.textContent ?? "",
      facts: this.#facts(),
      scale: choices.scale,
      brightness: colours.brightness(),
      isStale: isGrey,
    });
    canvas.toBlob((blob) => blob !== null && save(blob, this.#fileName("png")));
  }

  /** Hand the cells in view to the user, as CSV. */
  table() {
    const { chart, levels, state } = this.page;
    const [columns, prices] = [chart.visibleColumns(), chart.visiblePrices()];
    if (levels === undefined || columns === undefined || prices === undefined) return;
    const { symbol, timeframe } = state.choices;
    const small = "usd stands for usd_from to usd_below; cells of less than 64 USD are left out";
    const text = table(levels, columns, prices, [`${symbol} ${timeframe}`, ...this.#facts(), small]);
    save(new Blob([text], { type: "text/csv" }), this.#fileName("csv"));
  }

  #facts() {
    const { filtered, isAskedFor, past, state, shownState: stream } = this.page;
    const { symbol, venues, leverages, side } = state.choices;
    const newest = stream.market.symbols.get(symbol);
    const share = coveredShare(stream.market.coverage(symbol));
    const filter = [...venues, ...leverages.map((leverage) => `${leverage}×`), side && `${side}s only`].filter(Boolean);
    const standing = this.page.standing();
    const streamedMs = newest && msOf(newest.sourceWatermarkUnixNs);
    const dataMs = isAskedFor ? filtered?.watermarkMs : streamedMs;
    return [
      stream.market.states(symbol).join(" "),
      past.isOn ? "THE PAST" : "",
      "estimate of a model",
      dataMs === undefined ? "" : `data to ${formatInstant(dataMs)} UTC`,
      share === undefined ? "" : `covered ${formatShare(share)} of open interest`,
      filter.length ? `filtered: ${filter.join(" ")}` : "",
      standing.phase === "in sync" ? "" : `NOT IN SYNC: ${plain(standing.why)}`,
    ].filter((fact) => fact !== "");
  }

  /** @param {string} ending */
  #fileName(ending) {
    const { symbol, timeframe } = this.page.state.choices;
    return `liqscape_${symbol}_${timeframe}_${new Date().toISOString().replace(/[-:]|\.\d+/g, "")}.${ending}`;
  }
}

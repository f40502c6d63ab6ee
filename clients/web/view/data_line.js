// Always in view: what the data are, how old, how much of the market they cover; and the table of sources.

import { formatAge, formatInstant, formatShare, plain } from "../format.js";
import { coveredShare, msOf } from "../stream/market_state.js";
import { byId, make, setText } from "./dom.js";

/** A live venue that has said nothing for longer is marked. */
const LATE_MS = 10_000;

/** Whose clock is not the one on the wall: the instant says more than an age. */
const OTHER_CLOCKS = ["SIMULATED", "REPLAY"];

/**
 * @typedef {import("../stream/stream_state.js").StreamState} StreamState
 * @typedef {import("../stream/connection.js").Connection} Connection
 */

export class DataLine {
  constructor() {
    this.states = byId("states", HTMLSpanElement);
    this.watermark = byId("watermark", HTMLElement);
    this.ageFact = byId("age-fact", HTMLSpanElement);
    this.age = byId("age", HTMLElement);
    this.covered = byId("covered", HTMLElement);
    this.besideFact = byId("beside-fact", HTMLSpanElement);
    this.beside = byId("beside", HTMLElement);
    this.oldestFact = byId("oldest-fact", HTMLSpanElement);
    this.oldest = byId("oldest", HTMLElement);
    this.sources = byId("sources", HTMLTableSectionElement);
    this.sourcesAge = byId("sources-age", HTMLTableCellElement);
    this.connection = byId("connection", HTMLParagraphElement);
    this.shownStates = "";
    /** @type {Map<string, {row: HTMLTableRowElement, age: HTMLTableCellElement, share: HTMLTableCellElement}>} */
    this.rows = new Map();
  }

  /**
   * @param {StreamState} state
   * @param {string} symbol
   * @param {number} serverNowMs clock of the server, as well as it is known
   */
  show(state, symbol, serverNowMs) {
    const newest = state.market.symbols.get(symbol);
    const names = state.market.states(symbol);
    this.#showStates(names);
    const coverage = state.market.coverage(symbol);
    const share = coveredShare(coverage);
    setText(this.covered, share === undefined ? "–" : formatShare(share));
    if (newest === undefined) {
      setText(this.watermark, "–");
      setText(this.age, "–");
      return;
    }
    const watermarkMs = msOf(newest.sourceWatermarkUnixNs);
    const isOtherClock = names.some((name) => OTHER_CLOCKS.includes(name));
    setText(this.watermark, `${formatInstant(watermarkMs)} UTC`);
    this.ageFact.hidden = isOtherClock;
    const ageMs = serverNowMs - watermarkMs;
    setText(this.age, formatAge(ageMs));
    this.ageFact.classList.toggle("late", ageMs > LATE_MS);
    // On another clock, a venue's age is how far it is behind the newest of all.
    this.#showSources(coverage, isOtherClock ? watermarkMs : serverNowMs, isOtherClock);
  }

  /** @param {import("../liquidation_map.js").Beside | undefined} market beside the map and no part of it */
  showBeside(market) {
    this.besideFact.hidden = market === undefined;
    if (market === undefined) return;
    setText(this.beside, market.text);
    this.besideFact.title = market.title;
  }

  /**
   * @param {Connection} connection
   * @param {StreamState} state
   */
  showConnection(connection, state) {
    const { connections, frames, bytes } = connection.totals;
    const sources = [...state.sources.values()].map(({ input }) => plain(input)).join(", ");
    const { conflated, gap, checksum, malformed } = state.counters;
    const found = gap + checksum + malformed;
    const parts = [
      sources,
      `server ${plain(state.serverVersion)}`,
      `${frames.toLocaleString("en-US")} messages, ${(bytes / 1e6).toFixed(1)} MB`,
      conflated > 0 ? `${conflated.toLocaleString("en-US")} ticks merged` : "",
      connections > 1 ? `connected ${connections} times` : "",
      found > 0 ? `${found} found broken and fetched again` : "",
    ];
    setText(this.connection, state.greeted ? parts.filter((part) => part !== "").join(" · ") : "");
  }

  /** @param {string[]} names */
  #showStates(names) {
    const key = names.join();
    if (key === this.shownStates) return;
    this.shownStates = key;
    this.states.replaceChildren(
      ...names.map((name) => {
        const isBad = !OTHER_CLOCKS.includes(name);
        return make("span", { className: isBad ? "state bad" : "state" }, plain(name));
      }),
    );
  }

  /**
   * @param {import("../protocol/liqscape/v1/stream_pb.js").VenueChunk[]} coverage
   * @param {number} nowMs
   * @param {boolean} isBehind
   */
  #showSources(coverage, nowMs, isBehind) {
    setText(this.sourcesAge, isBehind ? "Behind" : "Age");
    const names = coverage.map(({ instrument }) => instrument);
    if (names.length !== this.rows.size || names.some((name) => !this.rows.has(name))) this.#makeRows(names);
    let oldest = { venue: "", ageMs: -1 };
    for (const chunk of coverage) {
      const row = this.rows.get(chunk.instrument);
      const ageMs = Math.max(0, nowMs - msOf(chunk.watermarkUnixNs));
      if (ageMs > oldest.ageMs) oldest = { venue: chunk.venue, ageMs };
      if (row === undefined) continue;
      setText(row.age, formatAge(ageMs));
      row.age.classList.toggle("short", ageMs > LATE_MS);
      const share = coveredShare([chunk]);
      setText(row.share, share === undefined ? "–" : formatShare(share));
    }
    this.oldestFact.hidden = coverage.length < 2; // of one, the age is that of the data
    setText(this.oldest, `${plain(oldest.venue)} ${formatAge(oldest.ageMs)}${isBehind ? " behind" : ""}`);
    this.oldestFact.classList.toggle("late", oldest.ageMs > LATE_MS);
  }

  /** @param {string[]} names */
  #makeRows(names) {
    this.rows.clear();
    for (const name of names) {
      const [age, share] = [make("td"), make("td")];
      this.rows.set(name, { row: make("tr", {}, make("td", {}, plain(name)), age, share), age, share });
    }
    this.sources.replaceChildren(...[...this.rows.values()].map(({ row }) => row));
  }
}

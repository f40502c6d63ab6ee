// One's own position: its entry and the price that would force-close it, as lines of the chart.

import { decimalsOf, formatPrice, formatShare, plain } from "../format.js";
import { byId, make, setText } from "./dom.js";

const ENTRY_COLOUR = "#c8d3e2";
const LIQUIDATION_COLOUR = "#ff3355";

/**
 * @typedef {import("../page_state.js").Position} Position
 * @typedef {import("../instruments.js").Instruments} Instruments
 */

export class PositionPanel {
  /** @param {import("../page_state.js").PageState} state */
  constructor(state) {
    this.state = state;
    this.instrument = byId("position-instrument", HTMLSelectElement);
    this.side = byId("position-side", HTMLSelectElement);
    this.leverage = byId("position-leverage", HTMLSelectElement);
    this.entry = byId("position-entry", HTMLInputElement);
    this.result = byId("position-result", HTMLParagraphElement);
    this.clear = byId("position-clear", HTMLButtonElement);
    this.offeredFor = "";
    const form = byId("position", HTMLFormElement);
    form.oninput = () => this.#read();
    form.onsubmit = (event) => event.preventDefault();
    this.clear.onclick = () => {
      this.entry.value = "";
      state.set({ position: undefined });
    };
  }

  /**
   * Show the choices and return the lines they make.
   * @param {Instruments} instruments
   * @param {number | undefined} price now
   * @returns {import("./price_chart.js").Line[]}
   */
  show(instruments, price) {
    const { symbol, position } = this.state.choices;
    this.#offer(instruments, symbol, position);
    this.clear.hidden = position === undefined;
    if (position === undefined) {
      setText(this.result, "An entry price shows where it would be liquidated.");
      return [];
    }
    const found = instruments.liquidation(position, symbol);
    if (found === undefined) {
      setText(this.result, `${position.leverage}× is not offered here.`);
      return [];
    }
    const decimals = Math.max(2, decimalsOf(position.entry / 100_000));
    const distance = price === undefined ? "" : `, ${formatShare(Math.abs(found.price / price - 1))} from the price`;
    setText(
      this.result,
      `Liquidated at ${formatPrice(found.price, decimals)}${distance}; rules of ${plain(found.instrument.instrument)}` +
        ` of ${plain(found.instrument.rules_date)}, lowest maintenance tier, isolated margin.`,
    );
    const name = `${position.leverage}× ${position.side}`;
    return [
      { title: `${name} entry`, price: position.entry, colour: ENTRY_COLOUR, isDashed: true },
      { title: `${name} liquidation`, price: found.price, colour: LIQUIDATION_COLOUR, isDashed: false },
    ];
  }

  #read() {
    const entry = this.entry.valueAsNumber;
    const side = this.side.value === "short" ? "short" : "long";
    const instrument = this.instrument.value;
    const position = { side, leverage: Number(this.leverage.value), entry, instrument };
    this.state.set({ position: entry > 0 ? /** @type {Position} */ (position) : undefined });
  }

  /**
   * @param {Instruments} instruments
   * @param {string} symbol
   * @param {Position | undefined} position
   */
  #offer(instruments, symbol, position) {
    const key = `${symbol} ${instruments.of(symbol).length} ${position?.instrument}`;
    if (key !== this.offeredFor) {
      this.offeredFor = key;
      const all = instruments.of(symbol);
      fill(this.instrument, all.map(({ instrument }) => [instrument, plain(instrument)]), position?.instrument);
      const chosen = all.find(({ instrument }) => instrument === this.instrument.value);
      const tiers = (chosen?.tiers ?? []).map(({ leverage }) => /** @type {[string, string]} */ ([`${leverage}`, `${leverage}×`]));
      fill(this.leverage, tiers, String(position?.leverage ?? 10));
    }
    if (position === undefined || document.activeElement === this.entry) return;
    this.side.value = position.side;
    this.leverage.value = String(position.leverage);
    this.entry.value = String(position.entry);
  }
}

/**
 * @param {HTMLSelectElement} select
 * @param {[string, string][]} options value and text
 * @param {string | undefined} chosen
 */
function fill(select, options, chosen) {
  const before = chosen ?? select.value;
  select.replaceChildren(...options.map(([value, text]) => make("option", { value }, text)));
  if (options.some(([value]) => value === before)) select.value = before;
}

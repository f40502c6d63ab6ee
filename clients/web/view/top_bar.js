// Symbol, timeframe and price.

import { decimalsOf, formatPrice } from "../format.js";
import { Choice, byId, make, setText } from "./dom.js";

/** @typedef {import("../protocol/liqscape/v1/stream_pb.js").SymbolChunk} SymbolChunk */

/** Of a price that is shown: five figures and what follows. */
const SHOWN_FIGURES = 100_000;

export class TopBar {
  /** @param {import("../page_state.js").PageState} state */
  constructor(state) {
    this.state = state;
    this.symbol = byId("symbol", HTMLSelectElement);
    this.symbol.onchange = () => {
      state.set({ symbol: this.symbol.value, position: undefined, venues: [], leverages: [] });
      this.symbol.blur(); // keys are shortcuts again
    };
    this.price = byId("price", HTMLOutputElement);
    /** @type {Choice<string>} */
    this.timeframes = new Choice(byId("timeframes", HTMLDivElement), (timeframe) => state.set({ timeframe }));
    this.offeredFor = "";
    this.before = { symbol: "", price: 0 };
  }

  /**
   * @param {import("../instruments.js").Instruments} instruments
   * @param {string[]} timeframes
   */
  show(instruments, timeframes) {
    const { symbol, timeframe } = this.state.choices;
    const symbols = [...new Set([...instruments.symbols(), ...(symbol === "" ? [] : [symbol])])];
    if (symbols.join() !== this.offeredFor) {
      this.offeredFor = symbols.join();
      this.symbol.replaceChildren(...symbols.map((value) => make("option", { value }, value)));
    }
    if (this.symbol.value !== symbol) this.symbol.value = symbol;
    this.timeframes.offer(timeframes.map((value) => ({ value, text: value })), timeframes.join());
    this.timeframes.mark((value) => value === timeframe);
  }

  /**
   * @param {number | undefined} price
   * @param {SymbolChunk | undefined} chunk
   * @param {boolean} isCurrent
   */
  showPrice(price, chunk, isCurrent) {
    if (price === undefined || chunk === undefined) {
      setText(this.price, "–");
      return;
    }
    this.price.classList.toggle("old", !isCurrent);
    const decimals = Math.min(chunk.priceDecimals, Math.max(0, decimalsOf(price / SHOWN_FIGURES)));
    setText(this.price, formatPrice(price, decimals));
    const title = `${isCurrent ? "" : "NOT CURRENT "}${formatPrice(price, decimals)} ${chunk.symbol} · liqscape`;
    if (document.title !== title) document.title = title;
    if (chunk.symbol === this.before.symbol && price !== this.before.price) {
      this.price.classList.toggle("up", price > this.before.price);
      this.price.classList.toggle("down", price < this.before.price);
    }
    this.before = { symbol: chunk.symbol, price };
  }
}

// Venue, leverage and side: what is left of the market in the picture.

import { isFiltered } from "../page_state.js";
import { plain } from "../format.js";
import { Choice, byId } from "./dom.js";

/** @typedef {import("../instruments.js").Instruments} Instruments */

export class FilterPanel {
  /** @param {import("../page_state.js").PageState} state */
  constructor(state) {
    this.state = state;
    /** @type {Choice<"" | "long" | "short">} */
    this.side = new Choice(byId("side", HTMLDivElement), (side) => state.set({ side }));
    this.side.offer(
      [
        { value: "", text: "Both sides" },
        { value: "long", text: "Longs" },
        { value: "short", text: "Shorts" },
      ],
      "sides",
    );
    /** @type {Choice<string>} */
    this.venues = new Choice(byId("venues", HTMLDivElement), (venue) =>
      state.set({ venues: toggled(state.choices.venues, venue) }),
    );
    /** @type {Choice<number>} */
    this.leverages = new Choice(byId("leverages", HTMLDivElement), (leverage) =>
      state.set({ leverages: toggled(state.choices.leverages, leverage).toSorted((a, b) => a - b) }),
    );
    this.clear = byId("filter-clear", HTMLButtonElement);
    this.clear.onclick = () => state.set({ venues: [], leverages: [], side: "" });
  }

  /** @param {Instruments} instruments */
  show(instruments) {
    const { choices } = this.state;
    const venues = instruments.venuesOf(choices.symbol);
    const leverages = instruments.leveragesOf(choices.symbol);
    this.venues.offer(venues.map((value) => ({ value, text: plain(value) })), venues.join());
    this.leverages.offer(leverages.map((value) => ({ value, text: `${value}×` })), leverages.join());
    // Nothing pressed is everything: then all of them are what is seen.
    this.venues.mark((value) => choices.venues.includes(value));
    this.leverages.mark((value) => choices.leverages.includes(value));
    this.side.mark((value) => value === choices.side);
    this.clear.hidden = !isFiltered(choices);
  }
}

/**
 * @template T
 * @param {T[]} values
 * @param {T} value
 */
function toggled(values, value) {
  return values.includes(value) ? values.filter((other) => other !== value) : [...values, value];
}

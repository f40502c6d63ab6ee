// A filtered view is asked for now and then, so it says in the picture that it is filtered, and how old it is.

import { formatAge, formatClock, plain } from "../format.js";
import { isFiltered } from "../page_state.js";
import { byId, setText } from "./dom.js";

/** A view that could not be renewed for so long is drawn as old. */
const LATE_MS = 15_000;

export class FilterNote {
  constructor() {
    this.note = byId("filter-note", HTMLDivElement);
    /** @type {number | undefined} */
    this.takenMs = undefined;
    this.watermarkMs = 0;
    this.failure = "";
  }

  clear() {
    this.takenMs = undefined;
    this.failure = "";
  }

  /** @param {import("../filtered_grid.js").FilteredGrid} grid */
  take({ takenMs, watermarkMs }) {
    this.takenMs = takenMs;
    this.watermarkMs = watermarkMs;
    this.failure = "";
  }

  /** @param {string} reason */
  fail(reason) {
    this.failure = reason;
  }

  isLate() {
    return this.takenMs !== undefined && Date.now() - this.takenMs > LATE_MS;
  }

  /** @param {import("../page_state.js").Choices} choices */
  show(choices) {
    this.note.hidden = !isFiltered(choices);
    if (this.note.hidden) return;
    const { venues, leverages, side } = choices;
    const parts = [venues.map((venue) => plain(venue)).join(", "), leverages.map((leverage) => `${leverage}×`).join(" "), side && `${side}s`];
    const what = `Filtered: ${parts.filter(Boolean).join(" · ")}`;
    const failure = this.failure === "" ? "" : ` Not answered: ${plain(this.failure)}`;
    const age =
      this.takenMs === undefined
        ? " is being asked for."
        : `, not streamed: data to ${formatClock(this.watermarkMs)} UTC, asked for ${formatAge(Date.now() - this.takenMs)} ago.`;
    this.note.classList.toggle("late", this.isLate() || failure !== "");
    setText(this.note, what + age + failure);
  }
}

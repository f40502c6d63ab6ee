// That the picture is filtered; and where the server does not stream that, how often it is asked for, and how old it is.

import { formatAge, formatClock, plain } from "../format.js";
import { isFiltered } from "../page_state.js";
import { byId, setText } from "./dom.js";

/** A view that could not be renewed for so long is drawn as old. */
const LATE_MS = 15_000;

export class FilterNote {
  /** @param {number} everyMs how often a view that is not streamed is asked for */
  constructor(everyMs) {
    this.everyMs = everyMs;
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

  /**
   * @param {import("../page_state.js").Choices} choices
   * @param {string | undefined} refusal why the view is not streamed; undefined: it is
   */
  show(choices, refusal) {
    this.note.hidden = !isFiltered(choices);
    if (this.note.hidden) return;
    const { venues, leverages, side } = choices;
    const parts = [venues.map((venue) => plain(venue)).join(", "), leverages.map((leverage) => `${leverage}×`).join(" "), side && `${side}s`];
    const what = `Filtered: ${parts.filter(Boolean).join(" · ")}`;
    this.note.title = refusal === undefined ? "" : `Not streamed: ${plain(refusal)}`;
    if (refusal === undefined) {
      this.note.classList.remove("late");
      setText(this.note, what);
      return;
    }
    const often = `, refreshed every ${this.everyMs / 1000} s`;
    const failure = this.failure === "" ? "" : ` Not answered: ${plain(this.failure)}`;
    const age =
      this.takenMs === undefined
        ? ": being asked for."
        : `: data to ${formatClock(this.watermarkMs)} UTC, asked for ${formatAge(Date.now() - this.takenMs)} ago.`;
    this.note.classList.toggle("late", this.isLate() || failure !== "");
    setText(this.note, what + often + age + failure);
  }
}

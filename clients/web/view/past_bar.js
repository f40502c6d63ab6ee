// The bar below the chart: which minute is shown, and the ways to another. At its right end is now.

import { COLUMN_MINUTES, TIMEFRAMES, minuteOf, textOfMinute } from "../page_state.js";
import { Choice, byId, setText } from "./dom.js";

/** What a server holds of the past at least, once it has run for so long. */
const REACH_MINUTES = 1440;
/** Columns a second. */
const RATES = [1, 2, 5, 10];
const SECONDS_PER_MINUTE = 60;

export class PastBar {
  /**
   * @param {import("../page_state.js").PageState} state
   * @param {import("../stream/past.js").Past} past
   */
  constructor(state, past) {
    this.state = state;
    this.past = past;
    /** The newest minute that the server has told of; undefined before the first. @type {number | undefined} */
    this.liveMinute = undefined;
    this.rate = RATES[1];
    this.bar = byId("past", HTMLElement);
    this.slider = byId("past-slider", HTMLInputElement);
    this.shown = byId("past-shown", HTMLOutputElement);
    this.at = byId("past-at", HTMLInputElement);
    this.playButton = byId("past-play", HTMLButtonElement);
    this.liveButton = byId("past-live", HTMLButtonElement);
    this.back = byId("past-back", HTMLButtonElement);
    this.forward = byId("past-forward", HTMLButtonElement);
    /** The slider is being moved: it is where the user has it. */
    this.isMoved = false;
    this.slider.oninput = () => {
      this.isMoved = true;
      this.#showMinute(Number(this.slider.value));
    };
    this.slider.onchange = () => {
      this.isMoved = false;
      this.#go(Number(this.slider.value));
    };
    this.at.onchange = () => {
      const minute = minuteOf(this.at.value.slice(0, 16));
      if (minute !== undefined) this.#go(minute);
    };
    this.playButton.onclick = () => this.playOrStay();
    this.liveButton.onclick = () => state.set({ past: undefined });
    this.back.onclick = () => this.step(-1);
    this.forward.onclick = () => this.step(1);
    this.bar.addEventListener("click", ({ detail, target }) => {
      // Of a pointer: the space bar plays again. Who came by keys stays where they are.
      if (detail > 0 && target instanceof HTMLButtonElement) target.blur();
    });
    /** @type {Choice<number>} */
    this.rates = new Choice(byId("past-rate", HTMLDivElement), (rate) => {
      this.rate = rate;
      this.show();
    });
    this.rates.offer(
      RATES.map((rate) => ({ value: rate, text: `${rate}×`, label: `${rate} column${rate > 1 ? "s" : ""} a second` })),
      "rates",
    );
  }

  /** Minutes of a column of the timeframe that is chosen. */
  get columnMinutes() {
    return COLUMN_MINUTES[TIMEFRAMES.indexOf(this.state.choices.timeframe)];
  }

  /** Play on from the minute that is shown; from now: the last hour of columns. */
  playOrStay() {
    if (this.past.isPlaying) {
      this.past.pause();
      return;
    }
    if (this.liveMinute === undefined) return;
    if (!this.past.isOn) this.#go(this.liveMinute - SECONDS_PER_MINUTE * this.columnMinutes);
    this.past.play(this.liveMinute);
    this.show();
  }

  /** Go some columns back or on. @param {number} columns */
  step(columns) {
    const from = this.past.isOn ? this.past.wanted : this.liveMinute;
    if (from !== undefined) this.#go(from + columns * this.columnMinutes);
  }

  show() {
    const { liveMinute, past } = this;
    this.past.setSpeed(this.rate * this.columnMinutes * SECONDS_PER_MINUTE);
    this.bar.classList.toggle("on", past.isOn);
    this.rates.mark((rate) => rate === this.rate);
    this.liveButton.setAttribute("aria-pressed", String(!past.isOn));
    this.forward.disabled = !past.isOn;
    setText(this.playButton, past.isPlaying ? "❚❚" : "▶");
    this.playButton.setAttribute("aria-label", past.isPlaying ? "Stay at this minute" : "Play the past");
    this.slider.disabled = this.playButton.disabled = this.back.disabled = liveMinute === undefined;
    if (liveMinute === undefined || this.isMoved) return;
    const minute = past.isOn ? past.wanted : liveMinute;
    const first = Math.min(liveMinute - REACH_MINUTES, past.isOn ? minute - REACH_MINUTES / 2 : liveMinute);
    this.slider.min = String(first);
    this.slider.max = String(Math.max(liveMinute, minute));
    this.slider.value = String(minute);
    this.#showMinute(minute);
    if (document.activeElement !== this.at) this.at.value = past.isOn ? textOfMinute(minute) : "";
  }

  /** @param {number} minute */
  #showMinute(minute) {
    const isNow = minute >= (this.liveMinute ?? Infinity);
    const text = isNow ? "now" : `${textOfMinute(minute).replace("T", " ")} UTC`;
    setText(this.shown, text);
    this.slider.setAttribute("aria-valuetext", text);
  }

  /** @param {number} minute */
  #go(minute) {
    const { liveMinute } = this;
    if (liveMinute !== undefined && minute >= liveMinute) this.state.set({ past: undefined });
    else this.state.set({ past: Math.max(0, minute) });
  }
}

// A question that is asked again and again while the page is seen, and at once when its subject changes.

import { Refused } from "./api.js";

/** After a failure, so many times the usual pause. */
const PATIENCE = 2;

/** @template T */
export class Poller {
  /**
   * @param {number} everyMs from an answer to the next question
   * @param {(signal: AbortSignal) => Promise<T> | undefined} ask undefined: there is nothing to ask
   * @param {(answer: T) => void} onAnswer
   * @param {(error: Refused) => void} onRefused
   */
  constructor(everyMs, ask, onAnswer, onRefused) {
    this.everyMs = everyMs;
    this.ask = ask;
    this.onAnswer = onAnswer;
    this.onRefused = onRefused;
    this.current = new AbortController();
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
  }

  /**
   * Ask now; what is under way is of no interest any more.
   * @param {number} [afterMs]
   */
  restart(afterMs = 0) {
    this.stop();
    this.timer = setTimeout(() => void this.#once(), afterMs);
  }

  stop() {
    clearTimeout(this.timer);
    this.current.abort();
    this.current = new AbortController();
  }

  async #once() {
    const { signal } = this.current;
    let pauseMs = this.everyMs;
    try {
      const asked = document.hidden ? undefined : this.ask(signal);
      if (asked !== undefined) {
        const answer = await asked;
        if (signal.aborted) return;
        this.onAnswer(answer);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof Refused)) throw error;
      pauseMs = Math.max(PATIENCE * this.everyMs, error.retryAfterMs ?? 0);
      this.onRefused(error);
    }
    if (!signal.aborted) this.timer = setTimeout(() => void this.#once(), pauseMs);
  }
}

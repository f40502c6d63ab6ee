// In sync or not, in a way that nobody overlooks.

import { formatAge, formatClock, plain } from "../format.js";
import { byId, setText } from "./dom.js";

/**
 * @typedef {import("../stream/connection.js").Standing} Standing
 * @typedef {{standing: Standing, states: string[], inSyncMs: number | undefined, nowMs: number, silenceMs: number}} Situation
 *   inSyncMs: when the picture was last known to be the server's, by the wall clock; undefined = never
 */

/** Quicker than this a change of channels or a reconnection needs no banner: the picture is greyed, and the line says why. */
const PATIENCE_MS = 700;

const STALE_TEXT = "STALE: the source has sent nothing for longer than it should. What is shown is what was known then.";
const ENDED_TEXT = "ENDED: the source has ended. Nothing more will come; this is its last state.";

export class Banner {
  constructor() {
    this.banner = byId("banner", HTMLDivElement);
    this.sync = byId("sync", HTMLDivElement);
    // What is read aloud changes with the situation alone, ages stand beside it.
    this.bannerText = byId("banner-text", HTMLSpanElement);
    this.bannerAge = byId("banner-age", HTMLSpanElement);
    this.text = byId("sync-text", HTMLSpanElement);
    this.age = byId("sync-age", HTMLSpanElement);
    this.stage = byId("stage", HTMLElement);
    this.apartSinceMs = 0;
  }

  /** @param {Situation} situation */
  show({ standing, states, inSyncMs, nowMs, silenceMs }) {
    const isGood = standing.phase === "in sync";
    if (isGood) this.apartSinceMs = nowMs;
    this.sync.classList.toggle("good", isGood);
    setText(this.text, standing.phase);
    setText(this.age, isGood ? formatAge(silenceMs) : "");
    const isLong = !isGood && nowMs - this.apartSinceMs > PATIENCE_MS;
    this.stage.classList.toggle("old", !isGood);
    let text = "";
    let age = "";
    if (isLong) {
      text = apartText(standing);
      if (inSyncMs !== undefined) {
        age = `What is shown is the picture of ${formatClock(inSyncMs)} UTC, ${formatAge(nowMs - inSyncMs)} old.`;
      }
    } else if (states.includes("STALE")) text = STALE_TEXT;
    else if (states.includes("ENDED")) text = ENDED_TEXT;
    this.banner.classList.toggle("calm", standing.phase === "building");
    setText(this.bannerText, text);
    setText(this.bannerAge, age);
    this.banner.hidden = text === "";
  }

  /**
   * Say that it is the past that is shown.
   * @param {Standing} standing of it
   * @param {string} instant until when all of it is known, UTC; empty: no picture is held yet
   */
  showPast(standing, instant) {
    const isFailed = standing.phase === "failed";
    this.sync.classList.remove("good");
    this.stage.classList.toggle("old", isFailed);
    setText(this.text, isFailed ? "past: not held" : "the past");
    setText(this.age, "");
    this.banner.classList.toggle("calm", !isFailed);
    const what = instant === "" ? "" : ` What is shown is what was known at ${instant} UTC.`;
    const text = isFailed ? `NOT HELD: ${plain(standing.why)}.` : "THE PAST, not now.";
    setText(this.bannerText, text);
    setText(this.bannerAge, what);
    this.banner.hidden = false;
  }
}

/** @param {Standing} standing */
function apartText({ phase, why }) {
  const reason = why === "" ? "" : ` (${plain(why)})`;
  switch (phase) {
    case "building":
      return `BUILDING HISTORY: ${plain(why)}`;
    case "failed":
      return `NOT SERVED: ${plain(why)}.`;
    case "joining":
      return `OUT OF SYNC: the state of the server is coming.${reason}`;
    case "out of sync":
      return `OUT OF SYNC${reason}.`;
    default:
      return `RECONNECTING${reason}.`;
  }
}

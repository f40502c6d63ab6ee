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
    this.text = byId("sync-text", HTMLSpanElement);
    this.stage = byId("stage", HTMLElement);
    this.apartSinceMs = 0;
  }

  /** @param {Situation} situation */
  show({ standing, states, inSyncMs, nowMs, silenceMs }) {
    const isGood = standing.phase === "in sync";
    if (isGood) this.apartSinceMs = nowMs;
    this.sync.classList.toggle("good", isGood);
    setText(this.text, isGood ? `in sync · ${formatAge(silenceMs)}` : standing.phase);
    const isLong = !isGood && nowMs - this.apartSinceMs > PATIENCE_MS;
    this.stage.classList.toggle("old", !isGood);
    let text = "";
    if (isLong) text = apartText(standing, inSyncMs, nowMs);
    else if (states.includes("STALE")) text = STALE_TEXT;
    else if (states.includes("ENDED")) text = ENDED_TEXT;
    this.banner.classList.toggle("calm", standing.phase === "building");
    setText(this.banner, text);
    this.banner.hidden = text === "";
  }
}

/**
 * @param {Standing} standing
 * @param {number | undefined} inSyncMs
 * @param {number} nowMs
 */
function apartText({ phase, why }, inSyncMs, nowMs) {
  const picture =
    inSyncMs === undefined
      ? ""
      : ` What is shown is the picture of ${formatClock(inSyncMs)} UTC, ${formatAge(nowMs - inSyncMs)} old.`;
  const reason = why === "" ? "" : ` (${plain(why)})`;
  switch (phase) {
    case "building":
      return `BUILDING HISTORY: ${plain(why)}`;
    case "failed":
      return `NOT SERVED: ${plain(why)}.${picture}`;
    case "joining":
      return `OUT OF SYNC: the state of the server is coming.${reason}${picture}`;
    case "out of sync":
      return `OUT OF SYNC${reason}.${picture}`;
    default:
      return `RECONNECTING${reason}.${picture}`;
  }
}

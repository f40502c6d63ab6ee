// The connection: a WebSocket that is opened again for as long as the page is, and what is written to it and when.
// Everything from outside (socket, clock, timers, drawing, visibility) is passed in, so that it runs without a browser.

import { HEARTBEATS_UNTIL_DEAD, OpenStream } from "./open_stream.js";

const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 30_000;
/** History is being built: about as often as its progress changes. */
const BUILDING_DELAY_MS = 1000;
/** A stream that has been good for so long starts the delays over. */
const GOOD_AFTER_MS = 5000;
/** A server makes room for a channel of one's own once the one before has been given back, or somebody else's has. */
const FIRST_AGAIN_MS = 1500;
const AGAIN_MS = 30_000;
/** A page that was hidden for longer has a picture that is old until new data have come. */
const OLD_AFTER_HIDDEN_MS = 1500;

/** Close codes of the server: 4000 and the number of a gRPC status. */
const CLOSE_CODES = 4000;
const INVALID_ARGUMENT = 3;
const NOT_FOUND = 5;
const PERMISSION_DENIED = 7;
const RESOURCE_EXHAUSTED = 8;
const FAILED_PRECONDITION = 9;
const UNIMPLEMENTED = 12;
const UNAUTHENTICATED = 16;
const FATAL = new Set([INVALID_ARGUMENT, PERMISSION_DENIED, UNIMPLEMENTED, UNAUTHENTICATED]);
/** What a channel of one's own may be refused with where a default one is served. */
const REFUSALS = new Set([INVALID_ARGUMENT, NOT_FOUND, RESOURCE_EXHAUSTED]);

/**
 * @typedef {import("./session.js").Channel} Channel
 * @typedef {"connecting" | "building" | "joining" | "in sync" | "out of sync" | "waiting" | "failed" | "paused"} Phase
 * @typedef {{phase: Phase, why: string}} Standing  why: in words; empty while in sync
 * @typedef {import("./open_stream.js").Ending} Ending
 * @typedef {{
 *   open: () => Promise<WebSocket>,
 *   nowMs: () => number,
 *   wallMs: () => number,
 *   drawn: () => Promise<void>,
 *   isHidden: () => boolean,
 *   random: () => number,
 * }} Surroundings  drawn: resolves once a picture has been shown, and not while the page is hidden
 */

export class Connection {
  /**
   * @param {import("./stream_state.js").StreamState} state
   * @param {Surroundings} surroundings
   * @param {(effect: import("./stream_state.js").FrameEffect) => void} onFrame
   * @param {() => void} onStanding it may have changed
   */
  constructor(state, surroundings, onFrame, onStanding) {
    this.state = state;
    this.surroundings = surroundings;
    this.onFrame = onFrame;
    this.onStanding = onStanding;
    /** What is served, or will be. @type {Channel[]} */
    this.channels = [];
    /** What is to be served. @type {Channel[]} */
    this.wanted = [];
    /** What is better than nothing. @type {Channel[] | undefined} */
    this.otherwise = undefined;
    /** What was written last. @type {Channel[]} */
    this.asked = [];
    /** Why the server does not serve what is wanted; empty while it does, or has not said. */
    this.refusal = "";
    this.againMs = Infinity;
    this.cadenceMs = 0;
    this.totals = { connections: 0, frames: 0, bytes: 0, rejectedStreams: 0 };
    /** @type {OpenStream | undefined} */
    this.stream = undefined;
    /** @type {Standing | undefined} */
    this.apart = { phase: "connecting", why: "connecting" };
    this.delayMs = FIRST_DELAY_MS;
    this.servedBefore = false;
    this.isOld = false;
    this.hiddenSinceMs = Infinity;
    /** @type {() => void} */
    this.wake = () => {};
    this.isClosed = false;
  }

  /** Return whether what is held is the server's state now, and if not, why. @returns {Standing} */
  standing() {
    if (this.apart !== undefined) return this.apart;
    if (this.refusal !== "" && !this.isSecondChoice) return { phase: "failed", why: this.refusal };
    const why = this.state.outOfSync();
    if (!this.state.joined) {
      // A default channel has a grid at any time.
      const isMade = this.otherwise !== undefined && !this.isSecondChoice;
      return { phase: "joining", why: isMade ? "this view has its first grid made, which takes as long as a question for it" : why };
    }
    if (why !== "") return { phase: "out of sync", why };
    const silentMs = this.surroundings.nowMs() - (this.stream?.heardMs ?? 0);
    if (silentMs > HEARTBEATS_UNTIL_DEAD * this.state.heartbeatMs) {
      return { phase: "out of sync", why: `nothing heard for ${(silentMs / 1000).toFixed(0)} s` };
    }
    if (this.isOld) return { phase: "joining", why: "catching up: the page was hidden" };
    return { phase: "in sync", why: "" };
  }

  /** Milliseconds since anything was heard. */
  silenceMs() {
    return this.stream === undefined ? Infinity : this.surroundings.nowMs() - this.stream.heardMs;
  }

  /** Return whether what is served is not what is wanted, but better than nothing. */
  get isSecondChoice() {
    return this.channels === this.otherwise;
  }

  /**
   * Go over to other channels; before run(), those to begin with.
   * @param {Channel[]} channels
   * @param {Channel[]} [otherwise] what is to be served while the server refuses those; they are asked for again now and then
   */
  select(channels, otherwise) {
    this.wanted = channels;
    this.otherwise = otherwise;
    this.refusal = "";
    this.servedBefore = false;
    this.#use(channels);
  }

  /** @param {Channel[]} channels */
  #use(channels) {
    this.channels = this.asked = channels;
    if (this.stream === undefined) this.wake();
    else this.stream.change();
  }

  /** The server serves what was asked for last. */
  accepted() {
    this.channels = this.asked;
    if (!this.isSecondChoice) this.refusal = "";
  }

  /**
   * The server does not serve what was asked for last, and goes on with what it served before.
   * @param {string} why
   */
  refused(why) {
    const wasTriedAgain = this.isSecondChoice;
    this.refusal = why;
    // The first time it may be what we hold ourselves that leaves no room.
    this.againMs = this.surroundings.nowMs() + (wasTriedAgain ? AGAIN_MS : FIRST_AGAIN_MS);
    if (wasTriedAgain) this.asked = this.channels;
    else if (this.otherwise !== undefined) this.#use(this.otherwise);
  }

  /** Ask for what is wanted again, where it is time. */
  tryAgain() {
    const now = this.surroundings.nowMs();
    if (!this.isSecondChoice || !this.state.joined || now < this.againMs || this.surroundings.isHidden()) return;
    this.againMs = now + AGAIN_MS;
    this.asked = this.wanted;
    this.stream?.change();
  }

  /** The page was hidden, or is shown again. */
  visibilityChanged() {
    const now = this.surroundings.nowMs();
    if (this.surroundings.isHidden()) {
      this.hiddenSinceMs = now;
      return;
    }
    // What waits to be drawn came while nobody looked; the server holds back what is newer.
    if (now - this.hiddenSinceMs > OLD_AFTER_HIDDEN_MS) this.isOld = this.stream?.isDrawing ?? false;
    this.hiddenSinceMs = Infinity;
    this.wake();
    this.onStanding();
  }

  close() {
    this.isClosed = true;
    this.stream?.end({ why: "closed", code: 0 });
    this.wake();
  }

  /** Open streams, one after the other, until close(). */
  async run() {
    while (!this.isClosed) {
      this.#stand({ phase: "connecting", why: this.apart?.why || "connecting" });
      const startedMs = this.surroundings.nowMs();
      const ending = await this.#oneStream();
      if (this.isClosed) return;
      const status = ending.code >= CLOSE_CODES ? ending.code - CLOSE_CODES : 0;
      if (REFUSALS.has(status) && this.otherwise !== undefined && !this.isSecondChoice) {
        this.refused(ending.why);
        continue;
      }
      if (FATAL.has(status) || (status === NOT_FOUND && !this.servedBefore)) {
        this.#stand({ phase: "failed", why: ending.why });
        await this.#sleep(Infinity); // until other channels are asked for
        continue;
      }
      if (this.surroundings.nowMs() - startedMs > GOOD_AFTER_MS) this.delayMs = FIRST_DELAY_MS;
      if (this.surroundings.isHidden()) {
        this.#stand({ phase: "paused", why: "the page is hidden" });
        await this.#sleep(Infinity);
        continue;
      }
      const isBuilding = status === FAILED_PRECONDITION;
      const jitterMs = this.surroundings.random() * this.delayMs;
      const waitMs = isBuilding ? BUILDING_DELAY_MS : (ending.askedMs ?? 0) + jitterMs;
      if (!isBuilding) this.delayMs = Math.min(2 * this.delayMs, LONGEST_DELAY_MS);
      this.#stand({ phase: isBuilding ? "building" : "waiting", why: ending.why });
      await this.#sleep(waitMs);
    }
  }

  /** @returns {Promise<Ending>} */
  async #oneStream() {
    this.totals.connections++;
    let socket;
    try {
      socket = await this.surroundings.open();
    } catch (error) {
      const { message, code } = /** @type {Error & {code?: unknown}} */ (error);
      return { why: message, code: typeof code === "number" ? code : 0 };
    }
    const stream = new OpenStream(this, socket);
    this.stream = stream;
    this.isOld = false;
    const ending = await stream.ended;
    await stream.applying; // whatever was being applied belongs to what may be resumed
    this.stream = undefined;
    this.asked = this.channels; // what was not answered is not asked for any more
    this.state.disconnected(ending.why);
    return ending;
  }

  /** @param {number} ms */
  #sleep(ms) {
    return new Promise((resolve) => {
      const timer = ms === Infinity ? undefined : setTimeout(resolve, ms);
      this.wake = () => {
        clearTimeout(timer);
        resolve(undefined);
      };
    });
  }

  /** @param {Standing | undefined} apart */
  #stand(apart) {
    this.apart = apart;
    this.onStanding();
  }

  /** A frame has been applied. @param {import("./stream_state.js").FrameEffect} effect */
  applied(effect) {
    this.apart = undefined;
    if (effect.joined) this.servedBefore = true;
    this.onFrame(effect);
    this.onStanding();
  }
}

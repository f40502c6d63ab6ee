// The connection: a WebSocket that is opened again for as long as the page is, and what is written to it and when.
// Everything from outside (socket, clock, timers, drawing, visibility) is passed in, so that it runs without a browser.

import { Session } from "./session.js";

const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 30_000;
/** History is being built: about as often as its progress changes. */
const BUILDING_DELAY_MS = 1000;
const HELLO_TIMEOUT_MS = 10_000;
const HEARTBEATS_UNTIL_DEAD = 3;
/** A stream that has been good for so long starts the delays over. */
const GOOD_AFTER_MS = 5000;
/** Later than the quickest message by more than this: old data sit in buffers. */
const MAX_LAG_MS = 3000;
/** A page that was hidden for longer has a picture that is old until new data have come. */
const OLD_AFTER_HIDDEN_MS = 1500;
const CHECK_MS = 250;
/** WebSocket.readyState. */
const OPEN = 1;

/** Close codes of the server: 4000 and the number of a gRPC status. */
const CLOSE_CODES = 4000;
const INVALID_ARGUMENT = 3;
const NOT_FOUND = 5;
const PERMISSION_DENIED = 7;
const FAILED_PRECONDITION = 9;
const UNIMPLEMENTED = 12;
const UNAUTHENTICATED = 16;
const FATAL = new Set([INVALID_ARGUMENT, PERMISSION_DENIED, UNIMPLEMENTED, UNAUTHENTICATED]);

/**
 * @typedef {import("./session.js").Channel} Channel
 * @typedef {"connecting" | "building" | "joining" | "in sync" | "out of sync" | "waiting" | "failed" | "paused"} Phase
 * @typedef {{phase: Phase, why: string}} Standing  why: in words; empty while in sync
 * @typedef {{why: string, code: number, askedMs?: number | undefined}} Ending
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
    /** @type {Channel[]} */
    this.channels = [];
    this.cadenceMs = 0;
    this.totals = { connections: 0, frames: 0, bytes: 0, rejectedStreams: 0 };
    /** @type {Stream | undefined} */
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
    const why = this.state.outOfSync();
    if (!this.state.joined) return { phase: "joining", why };
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

  /**
   * Go over to other channels; before run(), those to begin with.
   * @param {Channel[]} channels
   */
  select(channels) {
    this.channels = channels;
    this.servedBefore = false;
    if (this.stream === undefined) this.wake();
    else this.stream.change();
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
    const stream = new Stream(this, socket);
    this.stream = stream;
    this.isOld = false;
    const ending = await stream.ended;
    await stream.applying; // whatever was being applied belongs to what may be resumed
    this.stream = undefined;
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

/** One WebSocket. */
class Stream {
  /**
   * @param {Connection} connection
   * @param {WebSocket} socket
   */
  constructor(connection, socket) {
    this.connection = connection;
    this.socket = socket;
    const { nowMs } = connection.surroundings;
    this.session = new Session(connection.state, (bytes) => this.#write(bytes), nowMs);
    this.heardMs = nowMs();
    this.quickestMs = Infinity;
    /** @type {Promise<void>} */
    this.applying = Promise.resolve();
    this.isDrawing = false;
    this.isOpen = true;
    /** Changes written and answered; the next is written once the one before is answered. */
    this.changes = { written: 0, answered: 0, isWanted: false };
    /** @type {number | undefined} */
    this.askedMs = undefined;
    /** @type {(ending: Ending) => void} */
    this.resolve = () => {};
    /** @type {Promise<Ending>} */
    this.ended = new Promise((resolve) => (this.resolve = resolve));
    this.timer = setInterval(() => this.#check(), CHECK_MS);
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => this.#hear(data);
    socket.onclose = ({ code, reason }) => {
      const why = reason || (code === 1000 ? "the server ended the stream" : "the connection broke");
      this.end({ why, code });
    };
    this.session.open(connection.channels, connection.cadenceMs);
  }

  /** Ask for the connection's channels. */
  change() {
    this.changes.isWanted = true;
    this.#writeChange();
  }

  /** @param {Ending} ending */
  end(ending) {
    if (!this.isOpen) return;
    this.isOpen = false;
    clearInterval(this.timer);
    this.socket.onmessage = this.socket.onclose = null;
    this.socket.close();
    this.resolve({ askedMs: this.askedMs, ...ending });
  }

  /** @param {unknown} data */
  #hear(data) {
    this.heardMs = this.connection.surroundings.nowMs();
    if (!(data instanceof ArrayBuffer)) {
      this.end({ why: "the server sent text", code: 0 });
      return;
    }
    this.connection.totals.frames++;
    this.connection.totals.bytes += data.byteLength;
    this.applying = this.applying.then(() => this.#apply(new Uint8Array(data)));
  }

  /** @param {Uint8Array} bytes */
  async #apply(bytes) {
    if (!this.isOpen) return;
    let taken;
    try {
      taken = await this.session.take(bytes);
    } catch (error) {
      this.end({ why: `no frame: ${/** @type {Error} */ (error).message}`, code: 0 });
      return;
    }
    const { frame, effect } = taken;
    this.askedMs = effect.reconnectAfterMs ?? this.askedMs;
    if (effect.selection !== undefined) {
      this.changes.answered = Number(effect.selection.changes);
      this.#writeChange();
    }
    if (effect.fatal !== "") {
      this.#giveUp(effect.fatal);
      return;
    }
    if (effect.hasData && !this.isDrawing) this.connection.isOld = false;
    this.connection.applied(effect);
    if (effect.hasData) void this.#acknowledge();
    this.#checkLag(frame);
  }

  /** Give credit back once what has come is on the screen. */
  async #acknowledge() {
    if (this.isDrawing) return;
    this.isDrawing = true;
    await this.connection.surroundings.drawn();
    this.isDrawing = false;
    if (this.isOpen) this.session.acknowledge();
  }

  /** @param {import("../protocol/liqscape/v1/stream_pb.js").Frame} frame */
  #checkLag(frame) {
    if (this.connection.surroundings.isHidden() || frame.sentUnixNs === 0n) return;
    const lagMs = this.connection.surroundings.wallMs() - Number(frame.sentUnixNs / 1_000_000n);
    this.quickestMs = Math.min(this.quickestMs, lagMs);
    if (lagMs - this.quickestMs > MAX_LAG_MS) this.end({ why: "messages came late", code: 0 });
  }

  #check() {
    const { state, surroundings } = this.connection;
    const limitMs = state.greeted ? HEARTBEATS_UNTIL_DEAD * state.heartbeatMs : HELLO_TIMEOUT_MS;
    const failure = this.session.failure();
    if (failure !== "") this.#giveUp(failure);
    else if (surroundings.nowMs() - this.heardMs > limitMs) {
      this.end({ why: `nothing heard for ${Math.round(limitMs / 1000)} s`, code: 0 });
    }
    this.connection.onStanding();
  }

  /** @param {string} why nothing that is held may be resumed */
  #giveUp(why) {
    this.connection.totals.rejectedStreams++;
    this.connection.state.forgetResumePoints();
    this.end({ why, code: 0 });
  }

  #writeChange() {
    const { changes } = this;
    if (!changes.isWanted || changes.written > changes.answered) return;
    changes.isWanted = false;
    changes.written++;
    this.session.change(this.connection.channels, this.connection.cadenceMs);
  }

  /** @param {Uint8Array} bytes */
  #write(bytes) {
    if (this.socket.readyState === OPEN) this.socket.send(/** @type {Uint8Array<ArrayBuffer>} */ (bytes));
  }
}

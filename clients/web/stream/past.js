// The past that is looked at: which minute of which channel is wanted, what is held of it, and the playback that brings it.
// Everything from outside (socket, clock, drawing) is passed in, so that it runs without a browser.

import { identityOf } from "./channel_replica.js";
import { PastStream } from "./past_stream.js";
import { StreamState } from "./stream_state.js";
import { PlaybackPosition_State as State, PlaybackPosition_Stop as Stop } from "../protocol/liqscape/v1/stream_pb.js";

/** After a line that broke, or a place that was not free yet: the one before is being given back. */
const RETRY_MS = 1500;
/** Close codes of the server: 4000 and the number of a gRPC status. */
const CLOSE_CODES = 4000;
const INVALID_ARGUMENT = 3;
const NOT_FOUND = 5;
const PERMISSION_DENIED = 7;
const OUT_OF_RANGE = 11;
const UNIMPLEMENTED = 12;
const DATA_LOSS = 15;
/** What asking again does not help against. */
const FINAL = new Set([INVALID_ARGUMENT, NOT_FOUND, PERMISSION_DENIED, OUT_OF_RANGE, UNIMPLEMENTED, DATA_LOSS]);

/**
 * @typedef {import("./channel_replica.js").Selector} Channel
 * @typedef {import("./connection.js").Standing} Standing
 */

export class Past {
  /**
   * @param {{open: () => Promise<WebSocket>, nowMs: () => number, drawn: () => Promise<void>}} surroundings see Connection
   * @param {(effect: import("./stream_state.js").FrameEffect) => void} onFrame
   * @param {() => void} onMoved the minute that is held, or whether it plays, has changed
   */
  constructor(surroundings, onFrame, onMoved) {
    this.surroundings = surroundings;
    this.onFrame = onFrame;
    this.onMoved = onMoved;
    this.isOn = false;
    /** What is held; of each playback its own. */
    this.state = new StreamState();
    /** @type {Channel | undefined} */
    this.channel = undefined;
    /** The minute that is wanted; while it plays, and after it has, that of the newest picture. */
    this.wanted = 0;
    /** It was asked for and has not come yet. */
    this.isSought = false;
    /** The minute of the picture that is held. @type {number | undefined} */
    this.minute = undefined;
    this.isPlaying = false;
    /** Seconds of the past a second. */
    this.speed = 60;
    /** Every minute that can be asked for is before this one. */
    this.untilMinute = 0;
    /** Why there is no picture of the minute that is wanted, or none after the one that is held; empty: there is. */
    this.why = "";
    /** @type {PastStream | undefined} */
    this.stream = undefined;
    /** Counts openings: whatever an earlier one brings is of no interest. */
    this.opening = 0;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
  }

  /** The channel that is held; undefined before its first picture. */
  get replica() {
    const { channel } = this;
    const found = channel && this.state.channel(channel.symbol, channel.timeframe, channel);
    return this.minute === undefined ? undefined : found;
  }

  /** Return whether what is held is what is wanted, and if not, why. @returns {Standing} */
  standing() {
    if (this.why !== "") return { phase: "failed", why: this.why };
    if (this.minute === undefined || this.isSought) return { phase: "joining", why: "the picture is being made" };
    return { phase: "in sync", why: "" };
  }

  /**
   * Show a minute.
   * @param {Channel} channel
   * @param {number} minute
   * @param {number} untilMinute later minutes cannot be asked for
   */
  show(channel, minute, untilMinute) {
    const isSame = this.isOn && this.channel !== undefined && identityOf(this.channel) === identityOf(channel);
    if (isSame && this.wanted === minute && !this.isPlaying && this.why === "") return;
    this.isOn = this.isSought = true;
    this.isPlaying = false;
    this.wanted = minute;
    this.why = "";
    this.untilMinute = Math.max(untilMinute, minute + 1);
    if (!isSame) this.minute = undefined;
    this.channel = channel;
    const wish = this.stream?.wish;
    if (isSame && wish !== undefined && wish.fromMinute <= minute && minute < wish.untilMinute) {
      this.stream?.pause();
      this.stream?.seek(minute);
    } else {
      this.#open();
    }
    this.onMoved();
  }

  /** Play on from what is held. @param {number} untilMinute later minutes cannot be asked for */
  play(untilMinute) {
    if (!this.isOn || this.isPlaying) return;
    this.isPlaying = true;
    this.why = "";
    const wish = this.stream?.wish;
    const isOver = wish === undefined || this.wanted + 1 >= wish.untilMinute;
    this.untilMinute = Math.max(untilMinute, this.untilMinute);
    if (isOver) this.#open();
    else this.stream?.play();
    this.onMoved();
  }

  /** Stay at what is held. */
  pause() {
    if (!this.isPlaying) return;
    this.isPlaying = false;
    this.stream?.pause();
    this.onMoved();
  }

  /** @param {number} speed seconds of the past a second */
  setSpeed(speed) {
    if (speed === this.speed) return;
    this.speed = speed;
    this.stream?.setSpeed(speed);
  }

  /** Nobody looks at the past any more. */
  leave() {
    this.isOn = this.isPlaying = this.isSought = false;
    this.minute = undefined;
    this.why = "";
    this.#close();
    this.onMoved();
  }

  #close() {
    this.opening++;
    clearTimeout(this.timer);
    this.stream?.close();
    this.stream = undefined;
  }

  /** Open a playback that begins at the minute that is wanted, in place of the one there is. */
  #open() {
    this.#close();
    void this.#connect(this.opening);
  }

  /** @param {number} opening */
  async #connect(opening) {
    let socket;
    try {
      socket = await this.surroundings.open();
    } catch (error) {
      const { message, code } = /** @type {Error & {code?: unknown}} */ (error);
      if (opening === this.opening) this.#ended(message, typeof code === "number" ? code : 0);
      return;
    }
    if (opening !== this.opening || this.channel === undefined) {
      socket.close();
      return;
    }
    const state = new StreamState();
    const { channel, wanted: fromMinute, untilMinute, speed } = this;
    const wish = { channel, fromMinute, untilMinute: Math.max(untilMinute, fromMinute + 1), speed, isPaused: !this.isPlaying };
    this.stream = new PastStream(socket, state, this.surroundings, wish, {
      applied: (effect) => {
        if (effect.hasData) this.state = state; // until then the picture before it is held
        this.onFrame(effect);
      },
      moved: (position) => this.#moved(position),
      ended: (why, code) => this.#ended(why, code),
    });
  }

  /** @param {import("./past_stream.js").Position} position */
  #moved(position) {
    this.minute = Number(position.minute);
    const isNotHeld = position.state === State.STOPPED && position.stopped === Stop.NOT_HELD;
    this.why = isNotHeld ? position.details : position.refused;
    if (position.state === State.STOPPED) this.isPlaying = false;
    if (this.minute === this.wanted) this.isSought = false;
    else if (!this.isSought) this.wanted = this.minute;
    this.onMoved();
  }

  /**
   * @param {string} why
   * @param {number} code
   */
  #ended(why, code) {
    this.stream = undefined;
    if (this.minute !== undefined && !this.isPlaying && !this.isSought) return; // the past does not change: what is held stays right without a line
    this.why = why;
    if (FINAL.has(code - CLOSE_CODES)) {
      this.isPlaying = false;
    } else {
      this.timer = setTimeout(() => {
        this.why = "";
        this.#open();
      }, RETRY_MS);
    }
    this.onMoved();
  }
}

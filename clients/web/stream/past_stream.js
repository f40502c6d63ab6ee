// One playback over a WebSocket (proto/README.md, "A playback"): what is written, and the pictures that come, applied and
// acknowledged once they are drawn. A playback cannot be resumed: whoever wants to go on opens another.

import { create, fromBinary, toBinary } from "./protobuf.js";
import {
  AcknowledgeSchema,
  FrameSchema,
  PlaybackOpenSchema,
  PlaybackPauseSchema,
  PlaybackPlaySchema,
  PlaybackRequestSchema,
  PlaybackSeekSchema,
  PlaybackSpeedSchema,
} from "../protocol/liqscape/v1/stream_pb.js";

/** Pictures that the server may send ahead of what has been drawn. */
const WINDOW = 2;
/** A first picture of long ago may take the server so long, and an idle playback says something each second. */
const SILENCE_MS = 30_000;
const CHECK_MS = 1000;
/** WebSocket.readyState. */
const OPEN = 1;

/**
 * @typedef {import("./channel_replica.js").Selector} Channel
 * @typedef {import("../protocol/liqscape/v1/stream_pb.js").PlaybackPosition} Position
 * @typedef {{channel: Channel, fromMinute: number, untilMinute: number, speed: number, isPaused: boolean}} Wish
 *   until: exclusive; speed: seconds of the past a second
 * @typedef {{
 *   applied: (effect: import("./stream_state.js").FrameEffect) => void,
 *   moved: (position: Position) => void,
 *   ended: (why: string, code: number) => void,
 * }} Listener  code: of the close; 0 = we have ended it
 */

export class PastStream {
  /**
   * @param {WebSocket} socket open
   * @param {import("./stream_state.js").StreamState} state a new one
   * @param {{nowMs: () => number, drawn: () => Promise<void>}} surroundings see Connection
   * @param {Wish} wish
   * @param {Listener} listener
   */
  constructor(socket, state, surroundings, wish, listener) {
    this.socket = socket;
    this.state = state;
    this.surroundings = surroundings;
    this.wish = wish;
    this.listener = listener;
    this.isOpen = true;
    this.frames = 0;
    this.acknowledged = 0;
    /** Messages up to which one with data waits for acknowledgement. */
    this.owed = 0;
    this.isDrawing = false;
    this.goodbye = "";
    /** @type {Promise<void>} */
    this.applying = Promise.resolve();
    this.heardMs = surroundings.nowMs();
    this.timer = setInterval(() => this.#check(), CHECK_MS);
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => this.#hear(data);
    socket.onclose = ({ code, reason }) => void this.#closed(code, reason);
    this.state.connecting();
    const { channel, fromMinute, untilMinute, speed, isPaused } = wish;
    const span = { fromMinute: BigInt(fromMinute), untilMinute: BigInt(untilMinute) };
    const value = create(PlaybackOpenSchema, { channels: [channel], ...span, speed, paused: isPaused, maxInFlight: WINDOW });
    this.#write({ case: "open", value });
  }

  play() {
    this.#write({ case: "play", value: create(PlaybackPlaySchema) });
  }

  pause() {
    this.#write({ case: "pause", value: create(PlaybackPauseSchema) });
  }

  /** @param {number} minute of the span */
  seek(minute) {
    this.#write({ case: "seek", value: create(PlaybackSeekSchema, { minute: BigInt(minute) }) });
  }

  /** @param {number} speed */
  setSpeed(speed) {
    this.#write({ case: "speed", value: create(PlaybackSpeedSchema, { speed }) });
  }

  /** End it without telling anybody. */
  close() {
    this.isOpen = false;
    clearInterval(this.timer);
    this.socket.onmessage = this.socket.onclose = null;
    this.socket.close();
  }

  /** @param {unknown} data */
  #hear(data) {
    this.heardMs = this.surroundings.nowMs();
    if (!(data instanceof ArrayBuffer)) this.#end("the server sent text", 0);
    else this.applying = this.applying.then(() => this.#apply(new Uint8Array(data)));
  }

  /** @param {Uint8Array} bytes */
  async #apply(bytes) {
    if (!this.isOpen) return;
    let frame;
    let effect;
    try {
      frame = fromBinary(FrameSchema, bytes);
      effect = await this.state.apply(frame);
    } catch (error) {
      this.#end(`no frame: ${/** @type {Error} */ (error).message}`, 0);
      return;
    }
    if (!this.isOpen) return;
    this.frames++;
    if (effect.broken !== "") {
      this.#end(effect.broken, 0);
      return;
    }
    const { control } = frame;
    if (control.case === "goingAway") this.goodbye = control.value.reason;
    this.listener.applied(effect);
    if (control.case === "playback") this.listener.moved(control.value);
    if (effect.hasData) {
      this.owed = this.frames;
      void this.#acknowledge();
    }
  }

  /** Give credit back once what has come is on the screen. */
  async #acknowledge() {
    if (this.isDrawing) return;
    this.isDrawing = true;
    await this.surroundings.drawn();
    this.isDrawing = false;
    if (!this.isOpen || this.owed <= this.acknowledged) return;
    this.acknowledged = this.owed;
    this.#write({ case: "acknowledge", value: create(AcknowledgeSchema, { frames: BigInt(this.owed) }) });
  }

  #check() {
    if (this.surroundings.nowMs() - this.heardMs > SILENCE_MS) this.#end(`nothing heard for ${SILENCE_MS / 1000} s`, 0);
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  async #closed(code, reason) {
    await this.applying; // what came before the end says why
    this.#end(this.goodbye || reason || "the connection broke", code);
  }

  /**
   * @param {string} why
   * @param {number} code
   */
  #end(why, code) {
    if (!this.isOpen) return;
    this.close();
    this.listener.ended(why, code);
  }

  /** @param {import("../protocol/liqscape/v1/stream_pb.js").PlaybackRequest["request"]} request */
  #write(request) {
    if (this.socket.readyState !== OPEN) return;
    const bytes = toBinary(PlaybackRequestSchema, create(PlaybackRequestSchema, { request }));
    this.socket.send(/** @type {Uint8Array<ArrayBuffer>} */ (bytes));
  }
}

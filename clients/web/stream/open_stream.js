// One WebSocket from its opening to its end: frames are applied in turn, acknowledged once they are drawn, and a line that
// is dead, late or beyond mending is ended.

import { Session } from "./session.js";

const HELLO_TIMEOUT_MS = 10_000;
export const HEARTBEATS_UNTIL_DEAD = 3;
/** Later than the quickest message by more than this: old data sit in buffers. */
const MAX_LAG_MS = 3000;
const CHECK_MS = 250;
/** WebSocket.readyState. */
const OPEN = 1;

/**
 * @typedef {{why: string, code: number, askedMs?: number | undefined}} Ending  code: of the close; 0 = we have ended it
 */

export class OpenStream {
  /**
   * @param {import("./connection.js").Connection} connection
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
    this.session.open(connection.asked, connection.cadenceMs);
  }

  /** Write what the connection asks for. */
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
      // An answer to what is asked for no more says nothing of what is.
      if (!this.changes.isWanted) this.#answered(effect.selection.refused);
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
    this.connection.tryAgain();
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

  /** @param {string} refused why; empty: it was not */
  #answered(refused) {
    if (refused === "") this.connection.accepted();
    else this.connection.refused(refused);
  }

  #writeChange() {
    const { changes } = this;
    if (!changes.isWanted || changes.written > changes.answered) return;
    changes.isWanted = false;
    changes.written++;
    this.session.change(this.connection.asked, this.connection.cadenceMs);
  }

  /** @param {Uint8Array} bytes */
  #write(bytes) {
    if (this.socket.readyState === OPEN) this.socket.send(/** @type {Uint8Array<ArrayBuffer>} */ (bytes));
  }
}

// What a connection lives in, made of plain objects: a clock that is moved, sockets that keep what is written, a screen
// that draws when it is told to.

import { mock } from "node:test";
import { SessionRequestSchema } from "../../clients/web/protocol/liqscape/v1/stream_pb.js";
import { Connection } from "../../clients/web/stream/connection.js";
import { fromBinary } from "../../clients/web/stream/protobuf.js";
import { StreamState } from "../../clients/web/stream/stream_state.js";

class FakeSocket {
  readyState = 1;
  written = [];

  send(bytes) {
    this.written.push(fromBinary(SessionRequestSchema, bytes).request);
  }

  close() {
    this.readyState = 3;
  }

  /** Return what was written of a kind. */
  of(kind) {
    return this.written.filter((request) => request.case === kind).map((request) => request.value);
  }
}

/** A connection and all around it. */
export class World {
  sockets = [];
  nowMs = 1000;
  isHidden = false;
  isReachable = true;
  refusal = undefined;
  waiting = [];
  effects = [];

  constructor() {
    mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
    this.state = new StreamState();
    this.connection = new Connection(
      this.state,
      {
        open: async () => this.#open(),
        nowMs: () => this.nowMs,
        wallMs: () => this.nowMs,
        drawn: () => new Promise((resolve) => this.waiting.push(resolve)),
        isHidden: () => this.isHidden,
        random: () => 1,
      },
      (effect) => this.effects.push(effect),
      () => {},
    );
    this.connection.select([{ symbol: "BTC", timeframe: "24h" }]);
  }

  get socket() {
    return this.sockets.at(-1);
  }

  get phase() {
    return this.connection.standing().phase;
  }

  async run() {
    void this.connection.run();
    await this.settle();
  }

  /** The server says something. */
  async hear(...frames) {
    for (const bytes of frames) {
      this.socket.onmessage?.({ data: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) });
    }
    await this.settle();
  }

  /** The screen shows what it was given. */
  async draw() {
    if (!this.isHidden) this.waiting.splice(0).forEach((resolve) => resolve());
    await this.settle();
  }

  async pass(ms) {
    for (let passed = 0; passed < ms; passed += 50) {
      this.nowMs += 50;
      mock.timers.tick(50);
      await this.settle();
    }
  }

  async end(code, reason = "") {
    this.socket.onclose?.({ code, reason });
    await this.settle();
  }

  /** Let everything that can go on go on. */
  async settle() {
    for (let before; before !== this.connection.stream?.applying; ) {
      before = this.connection.stream?.applying;
      await before;
    }
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  }

  close() {
    this.connection.close();
    mock.timers.reset();
  }

  #open() {
    if (this.refusal !== undefined) throw Object.assign(new Error("refused"), this.refusal);
    const socket = new FakeSocket();
    this.sockets.push(socket);
    return socket;
  }
}

// One session (proto/README.md, "A session"): what is written to the server, in bytes, and the frames it sends, applied.
// Knows no socket; the clock is passed in.

import { create, fromBinary, toBinary } from "./protobuf.js";
import {
  AcknowledgeSchema,
  ChangeSchema,
  FrameSchema,
  RejectSchema,
  Reject_Reason,
  SessionRequestSchema,
  SubscribeRequestSchema,
} from "../protocol/liqscape/v1/stream_pb.js";

/** Data messages that the server may send ahead of what has been drawn. */
const WINDOW = 2;
/** Of one channel on one session: what three keyframes have not mended is no accident of it. */
const MAX_REJECTS = 3;
/** From a reject to its keyframe. A join on a slow line takes as long. */
const MEND_WITHIN_MS = 10_000;
const MAX_DETAILS_CHARACTERS = 256;

const REASONS = {
  gap: Reject_Reason.GAP,
  checksum: Reject_Reason.CHECKSUM_DIFFERS,
  malformed: Reject_Reason.MALFORMED,
  waiting: Reject_Reason.MISSING,
};

/**
 * @typedef {import("./channel_replica.js").Selector} Channel
 * @typedef {import("./stream_state.js").StreamState} StreamState
 * @typedef {import("./channel_replica.js").ChannelReplica} ChannelReplica
 */

export class Session {
  /**
   * @param {StreamState} state
   * @param {(bytes: Uint8Array) => void} write
   * @param {() => number} nowMs never steps
   */
  constructor(state, write, nowMs) {
    this.state = state;
    this.write = write;
    this.nowMs = nowMs;
    /** Messages received, Hello included. */
    this.frames = 0;
    this.acknowledged = 0;
    /** Messages up to which one with data waits for acknowledgement. */
    this.owed = 0;
    /** @type {Map<ChannelReplica, {sinceMs: number, rejects: number, isMended: boolean}>} */
    this.mending = new Map();
  }

  /**
   * @param {Channel[]} channels
   * @param {number} cadenceMs
   */
  open(channels, cadenceMs) {
    const resume = this.state.holds(channels) ? this.state.resumePoints() : [];
    this.state.connecting();
    const value = create(SubscribeRequestSchema, { channels, cadenceMs, resume, maxInFlight: WINDOW });
    this.#write({ case: "open", value });
  }

  /**
   * @param {Channel[]} channels
   * @param {number} cadenceMs
   */
  change(channels, cadenceMs) {
    this.#write({ case: "change", value: create(ChangeSchema, { channels, cadenceMs }) });
  }

  /**
   * Apply a message; await the one before.
   * @param {Uint8Array} bytes
   */
  async take(bytes) {
    const frame = fromBinary(FrameSchema, bytes);
    this.frames++;
    const effect = await this.state.apply(frame);
    if (effect.hasData) this.owed = this.frames;
    this.#reject(effect);
    effect.fatal ||= this.failure();
    return { frame, effect };
  }

  /** What has come so far is done with. */
  acknowledge() {
    if (this.owed <= this.acknowledged) return;
    this.acknowledged = this.owed;
    this.#write({ case: "acknowledge", value: create(AcknowledgeSchema, { frames: BigInt(this.owed) }) });
  }

  /** Return why rejecting does not help; empty while there is hope. */
  failure() {
    for (const [replica, { sinceMs, rejects, isMended }] of this.mending) {
      if (rejects > MAX_REJECTS) return `${replica.why}, again after ${MAX_REJECTS} keyframes`;
      if (!isMended && this.nowMs() - sinceMs > MEND_WITHIN_MS) return `no keyframe came: ${replica.why}`;
    }
    return "";
  }

  /** @param {import("./stream_state.js").FrameEffect} effect */
  #reject(effect) {
    const held = new Set(this.state.channels());
    for (const [replica, mending] of this.mending) {
      if (!held.has(replica)) this.mending.delete(replica);
      else mending.isMended ||= replica.inSync;
    }
    for (const [replica, { sourceId, outcome, why }] of effect.damage) {
      const known = this.mending.get(replica);
      // A delta that was on its way when the channel was rejected says nothing new.
      if (outcome === "waiting" && known !== undefined && !known.isMended) continue;
      this.mending.set(replica, { sinceMs: this.nowMs(), rejects: (known?.rejects ?? 0) + 1, isMended: false });
      const reason = outcome in REASONS ? REASONS[/** @type {keyof typeof REASONS} */ (outcome)] : undefined;
      const details = why.slice(0, MAX_DETAILS_CHARACTERS);
      const value = create(RejectSchema, { channelIds: [replica.channelId], details, sourceId });
      if (reason !== undefined) value.reason = reason;
      this.#write({ case: "reject", value });
    }
  }

  /** @param {import("../protocol/liqscape/v1/stream_pb.js").SessionRequest["request"]} request */
  #write(request) {
    this.write(toBinary(SessionRequestSchema, create(SessionRequestSchema, { request })));
  }
}

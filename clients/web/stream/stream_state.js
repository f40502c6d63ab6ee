// What a client holds of a stream, over reconnects, and whether it may call it the server's state: clients/README.md,
// sections 2 to 4 and 10. No sockets and no clock: frames in, state out.

import { ChunkKind, Lagged_Reason } from "../protocol/liqscape/v1/stream_pb.js";
import { ChannelReplica, identityOf } from "./channel_replica.js";
import { MarketState } from "./market_state.js";

const DEFAULT_HEARTBEAT_MS = 1000;
/** A server that asks for more is still called dead after three times this. */
const MAX_HEARTBEAT_MS = 30_000;

/**
 * @typedef {import("../protocol/liqscape/v1/stream_pb.js").ChannelDescription} ChannelDescription
 * @typedef {import("./channel_replica.js").Selector} Selector
 * @typedef {{epoch: bigint, tick: bigint | undefined, input: string, channels: Map<number, ChannelReplica>}} Source
 * @typedef {{sourceId: string, outcome: import("./channel_replica.js").Outcome, why: string}} Damage
 */

/** What one frame did. */
export class FrameEffect {
  constructor() {
    /** @type {Set<ChannelReplica>} */
    this.changed = new Set();
    /** The frame carries more than a control message: it is to be acknowledged. */
    this.hasData = false;
    /** The frame ended a join. */
    this.joined = false;
    /** Why nothing on this stream helps; empty while all is well. */
    this.fatal = "";
    /** Channels that were found broken, or are and got something that does not mend them. @type {Map<ChannelReplica, Damage>} */
    this.damage = new Map();
    /** @type {number | undefined} */
    this.reconnectAfterMs = undefined;
    /** @type {import("../protocol/liqscape/v1/stream_pb.js").SelectionChanged | undefined} */
    this.selection = undefined;
  }

  /** Why a reader that cannot reject needs a new stream; empty while all is well. */
  get broken() {
    return this.fatal || (this.damage.values().next().value?.why ?? "");
  }
}

export class StreamState {
  constructor() {
    /** @type {Map<string, Source>} */
    this.sources = new Map();
    this.market = new MarketState();
    this.counters = { gap: 0, checksum: 0, malformed: 0, lagged: 0, epochs: 0, conflated: 0, unknown: 0, keyframes: 0 };
    this.heartbeatMs = DEFAULT_HEARTBEAT_MS;
    this.serverVersion = "";
    this.cadenceMs = 0;
    this.greeted = false;
    this.joined = false;
    this.resumed = false;
    this.lagged = "";
    this.why = "not connected";
  }

  /** A new stream begins: nothing is in sync until it has joined. */
  connecting() {
    this.greeted = this.joined = this.resumed = false;
    this.lagged = "";
    this.why = "connecting";
  }

  /** @param {string} why */
  disconnected(why) {
    this.greeted = this.joined = false;
    this.why = why;
  }

  channels() {
    return [...this.sources.values()].flatMap((source) => [...source.channels.values()]);
  }

  /**
   * Return the replica of a channel; another one after a change of epoch, so ask again each time.
   * @param {string} symbol
   * @param {string} timeframe
   * @param {Pick<Selector, "positions" | "rowFold">} [beside] what it is beside these; nothing: a default channel
   */
  channel(symbol, timeframe, beside = {}) {
    const identity = identityOf({ symbol, timeframe, ...beside });
    return this.channels().find((replica) => replica.identity === identity);
  }

  /** Return why what is held is not the server's state; empty where it is, as far as frames can tell. */
  outOfSync() {
    if (!this.greeted) return this.why;
    if (!this.joined) return "the join has not ended";
    return this.channels().find((channel) => !channel.inSync)?.why ?? "";
  }

  /**
   * Return whether these channels are held, in whatever state, and no others.
   * @param {readonly Selector[]} wanted
   */
  holds(wanted) {
    const names = new Set(wanted.map(identityOf));
    const channels = this.channels();
    return channels.length === names.size && channels.every(({ identity }) => names.has(identity));
  }

  /** Return the resume points of the next request; none unless every channel is held and unbroken. */
  resumePoints() {
    const channels = this.channels();
    if (channels.length === 0 || channels.some((channel) => !channel.inSync)) return [];
    const points = [];
    for (const [sourceId, { epoch, tick }] of this.sources) {
      if (tick === undefined) return [];
      points.push({ sourceId, epoch, tick });
    }
    return points;
  }

  /** Drop what could be resumed: the next stream begins with keyframes. */
  forgetResumePoints() {
    for (const source of this.sources.values()) source.tick = undefined;
  }

  /**
   * Apply a frame. Frames are applied one after the other: await the one before.
   * @param {import("../protocol/liqscape/v1/stream_pb.js").Frame} frame
   */
  async apply(frame) {
    const effect = new FrameEffect();
    const control = frame.control;
    effect.hasData = frame.sections.length > 0;
    this.counters.conflated += frame.ticksConflated;
    if (control.case === "hello") this.#hello(control.value, effect);
    if (!this.greeted) {
      effect.fatal = "data before Hello";
      return effect;
    }
    if (control.case === "lagged") {
      this.counters.lagged++;
      this.lagged = Lagged_Reason[control.value.reason] ?? String(control.value.reason);
    } else if (control.case === "selectionChanged") {
      this.#selectionChanged(control.value, effect);
    }
    for (const section of frame.sections) await this.#section(section, effect);
    if (control.case === "heartbeat") this.#heartbeat(control.value, effect);
    else if (control.case === "snapshotEnd") this.#snapshotEnd(effect);
    else if (control.case === "goingAway") effect.reconnectAfterMs = control.value.reconnectAfterMs;
    return effect;
  }

  /**
   * @param {import("../protocol/liqscape/v1/stream_pb.js").Hello} hello
   * @param {FrameEffect} effect
   */
  #hello(hello, effect) {
    this.greeted = true;
    this.joined = false;
    this.resumed = hello.resumed;
    this.serverVersion = hello.serverVersion;
    this.cadenceMs = hello.cadenceMs;
    this.heartbeatMs = Math.min(hello.heartbeatMs || DEFAULT_HEARTBEAT_MS, MAX_HEARTBEAT_MS);
    const before = this.sources;
    this.sources = new Map();
    for (const { sourceId, epoch, input } of hello.sources) {
      const old = before.get(sourceId);
      if (old !== undefined && old.epoch !== epoch) {
        this.counters.epochs++;
        this.market.forget();
      }
      const tick = hello.resumed && old?.epoch === epoch ? old.tick : undefined;
      this.sources.set(sourceId, { epoch, tick, input, channels: new Map() });
    }
    for (const description of hello.channels) {
      const source = this.#sourceOf(description, effect);
      if (source === undefined) continue;
      const old = before.get(description.sourceId);
      let replica = old?.epoch === source.epoch ? old.channels.get(description.channelId) : undefined;
      if (replica === undefined || replica.identity !== identityOf(description)) replica = new ChannelReplica(description);
      else if (!hello.resumed) replica.why = "no keyframe since the last join";
      source.channels.set(description.channelId, replica);
    }
  }

  /**
   * Go over to other channels. What is kept is not touched, so its chain goes on.
   * @param {import("../protocol/liqscape/v1/stream_pb.js").SelectionChanged} changed
   * @param {FrameEffect} effect
   */
  #selectionChanged(changed, effect) {
    effect.selection = changed;
    this.joined = false;
    this.cadenceMs = changed.cadenceMs;
    const before = new Map([...this.sources].map(([id, source]) => [id, source.channels]));
    for (const source of this.sources.values()) source.channels = new Map();
    for (const description of changed.continuing) {
      const source = this.#sourceOf(description, effect);
      const old = before.get(description.sourceId)?.get(description.channelId);
      const replica = old ?? new ChannelReplica(description);
      source?.channels.set(description.channelId, replica);
      if (old === undefined) this.#damaged(effect, replica, description.sourceId, "waiting");
    }
    for (const description of changed.starting) {
      this.#sourceOf(description, effect)?.channels.set(description.channelId, new ChannelReplica(description));
    }
  }

  /**
   * Return the source of a channel; undefined where the description makes no sense beside those before it.
   * @param {ChannelDescription} description
   * @param {FrameEffect} effect
   */
  #sourceOf(description, effect) {
    const { channelId, sourceId } = description;
    const source = this.sources.get(sourceId);
    if (source === undefined) {
      effect.fatal ||= `channel ${channelId} of the unknown source ${sourceId}`;
      return undefined;
    }
    const identity = identityOf(description);
    const taken = [...this.sources.values()].flatMap(({ channels }) => [...channels.values()]);
    if (source.channels.has(channelId) || taken.some((replica) => replica.identity === identity)) {
      effect.fatal ||= `channel ${channelId} is named twice`;
      return undefined;
    }
    return source;
  }

  /**
   * @param {import("../protocol/liqscape/v1/stream_pb.js").Section} section
   * @param {FrameEffect} effect
   */
  async #section(section, effect) {
    const source = this.sources.get(section.sourceId);
    if (source === undefined) {
      effect.fatal ||= `section of the unknown source ${section.sourceId}`;
      return;
    }
    if (source.epoch !== section.epoch) {
      this.#newEpoch(source, effect);
      return;
    }
    for (const { kind } of section.chunks) {
      if (kind.case === "channel") await this.#channelChunk(source, section.sourceId, kind.value, effect);
      else if (kind.case === "symbol") this.market.takeSymbol(kind.value);
      else if (kind.case === "venue") this.market.takeVenue(kind.value);
      else this.counters.unknown++;
    }
    if (section.complete && !effect.broken) move(source, section.tick);
  }

  /**
   * @param {Source} source
   * @param {string} sourceId
   * @param {import("../protocol/liqscape/v1/stream_pb.js").ChannelChunk} chunk
   * @param {FrameEffect} effect
   */
  async #channelChunk(source, sourceId, chunk, effect) {
    const replica = source.channels.get(chunk.channelId);
    if (replica === undefined) {
      this.counters.unknown++;
      return;
    }
    if (chunk.kind === ChunkKind.KEYFRAME) this.counters.keyframes++;
    const outcome = await replica.apply(chunk);
    if (outcome === "repeat") return;
    if (outcome === "applied") {
      effect.changed.add(replica);
      effect.damage.delete(replica); // a keyframe mends what was broken before it in the same frame
    } else {
      if (outcome !== "waiting") this.counters[outcome]++;
      this.#damaged(effect, replica, sourceId, outcome);
    }
  }

  /**
   * @param {FrameEffect} effect
   * @param {ChannelReplica} replica
   * @param {string} sourceId
   * @param {import("./channel_replica.js").Outcome} outcome
   */
  #damaged(effect, replica, sourceId, outcome) {
    if (outcome === "waiting" && effect.damage.has(replica)) return;
    effect.damage.set(replica, { sourceId, outcome, why: replica.why });
  }

  /**
   * @param {import("../protocol/liqscape/v1/stream_pb.js").Heartbeat} heartbeat
   * @param {FrameEffect} effect
   */
  #heartbeat(heartbeat, effect) {
    this.market.takeHeartbeat(heartbeat.states);
    for (const position of heartbeat.positions) {
      const source = this.sources.get(position.sourceId);
      if (source === undefined) continue;
      if (source.epoch !== position.epoch) this.#newEpoch(source, effect);
      else move(source, position.tick);
    }
  }

  /** @param {FrameEffect} effect */
  #snapshotEnd(effect) {
    this.joined = effect.joined = true;
    for (const [sourceId, source] of this.sources) {
      for (const replica of source.channels.values()) {
        if (!replica.inSync) this.#damaged(effect, replica, sourceId, "waiting");
      }
    }
  }

  /**
   * @param {Source} source
   * @param {FrameEffect} effect
   */
  #newEpoch(source, effect) {
    for (const replica of source.channels.values()) replica.why = "the engine has started anew";
    source.tick = undefined;
    effect.fatal ||= "the engine has started anew";
  }
}

/**
 * Move the resume point. Only forward: a fragment of a join may be older than what is held.
 * @param {Source} source
 * @param {bigint} tick
 */
function move(source, tick) {
  if (source.tick === undefined || tick > source.tick) source.tick = tick;
}

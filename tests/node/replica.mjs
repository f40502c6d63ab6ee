// What a client holds of a stream, and whether it may call it the server's state. No sockets: frames in, state out.
// Written from proto/README.md and clients/README.md; shares nothing with the Python client.

import { BadPayload, MAX_RING_CELLS, decodeDelta, decodeKeyframe, ringChecksum } from "./decoding.mjs";

const KEYFRAME = 1;
const DELTA = 2;
const MAX_ABSOLUTE_COLUMN = 1n << 40n;
const MAX_PRICE = 1n << 62n;
const MAX_COLUMN_MINUTES = 366 * 24 * 60;
const MAX_PRICE_DECIMALS = 18;
const MAX_HEARTBEAT_MS = 30_000;
const LAGGED_REASONS = [
  "UNSPECIFIED", "EPOCH_CHANGED", "OUT_OF_RING", "FROM_THE_FUTURE", "UNKNOWN_SOURCE", "CHANNEL_CLOSED",
];

const magnitude = (value) => (value < 0n ? -value : value);

function checkedAxes(axes) {
  if (axes === undefined) throw new BadPayload("a keyframe without axes");
  const cells = axes.columns * axes.rows;
  const rowHeight = axes.baseStep * BigInt(axes.baseStepsPerRow);
  const highest = (magnitude(axes.firstRow) + BigInt(axes.rows)) * rowHeight;
  if (cells < 1 || cells > MAX_RING_CELLS) throw new BadPayload(`a ring of ${cells} cells`);
  if (axes.columnMinutes < 1 || axes.columnMinutes > MAX_COLUMN_MINUTES) throw new BadPayload("absurd column minutes");
  if (rowHeight < 1n || highest >= MAX_PRICE) throw new BadPayload("absurd rows");
  if (axes.priceDecimals > MAX_PRICE_DECIMALS) throw new BadPayload("absurd decimals");
  return axes;
}

function checkedColumn(column) {
  if (magnitude(column) > MAX_ABSOLUTE_COLUMN) throw new BadPayload(`newest column ${column}`);
  return column;
}

/** Return [column, [open, high, low, close]] pairs, all BigInt. */
function decodeCandles(candles, newestColumn) {
  if (candles === undefined) return [];
  const { columnDifferences, openDifferences, highMinusOpen, openMinusLow, closeMinusOpen } = candles;
  const count = columnDifferences.length;
  for (const field of [openDifferences, highMinusOpen, openMinusLow, closeMinusOpen]) {
    if (field.length !== count) throw new BadPayload("candles of unequal lengths");
  }
  const found = [];
  let column = 0n;
  let open = 0n;
  for (let index = 0; index < count; index++) {
    const before = column;
    column += columnDifferences[index];
    open += openDifferences[index];
    const parts = [open, highMinusOpen[index], openMinusLow[index], closeMinusOpen[index]];
    if ((index > 0 && column <= before) || column > newestColumn || magnitude(column) > MAX_ABSOLUTE_COLUMN) {
      throw new BadPayload("candles out of order");
    }
    if (parts.some((part) => magnitude(part) >= MAX_PRICE)) throw new BadPayload("candles out of range");
    found.push([column, [open, open + parts[1], open - parts[2], open + parts[3]]]);
  }
  return found;
}

/** Return what a channel is, of everything that its description says: the same text for the same channel. */
function identity({ symbol, timeframe, rows, positions, rowFold = 0 }) {
  const tile = rows === undefined ? "" : String(rows.first >> 7n); // of 128 rows
  const { venues = [], leverages = [], side = 0, leverageShares = [] } = positions ?? {};
  const shares = leverageShares.map(({ leverage, sharePpm }) => [leverage, sharePpm]);
  const knownSide = side === 1 || side === 2 ? side : 0;
  return JSON.stringify([symbol, timeframe, tile, venues, leverages, knownSide, shares, rowFold || 1]);
}

/** One channel in one epoch. why: the reason that it is not in sync; empty where it is. */
export class ChannelReplica {
  constructor(description) {
    this.channelId = description.channelId;
    this.symbol = description.symbol;
    this.timeframe = description.timeframe;
    this.rowFold = description.rowFold || 1;
    this.identity = identity(description);
    this.why = "no keyframe yet";
    this.generation = 0;
    this.tick = 0n;
    this.newestColumn = 0n;
    this.axes = undefined;
    this.ring = new Uint8Array(0);
    this.candles = new Map();
    this.checksums = 0;
  }

  /** Apply a chunk; return "applied", "repeat", or what is wrong: "waiting", "gap", "checksum", "malformed". */
  apply(chunk) {
    const inSync = this.why === "";
    if (inSync && chunk.kind === KEYFRAME && chunk.tick < this.tick) return "repeat";
    if (inSync && chunk.kind === DELTA && chunk.tick <= this.tick) return "repeat";
    try {
      if (chunk.kind === KEYFRAME) return this.#replace(chunk);
      if (chunk.kind !== DELTA) throw new BadPayload(`chunk kind ${chunk.kind}`);
      return inSync ? this.#change(chunk) : "waiting";
    } catch (error) {
      if (!(error instanceof BadPayload)) throw error;
      return this.#broken("malformed", error.message);
    }
  }

  #replace(chunk) {
    const axes = checkedAxes(chunk.axes);
    if (chunk.checksum === undefined) throw new BadPayload("a keyframe without a checksum");
    const newestColumn = checkedColumn(chunk.newestColumn);
    const ring = decodeKeyframe(chunk.encoding, chunk.payload, axes.columns, axes.rows, newestColumn);
    const candles = decodeCandles(chunk.candles, newestColumn);
    this.checksums++;
    if (ringChecksum(ring, axes.columns, axes.rows, newestColumn) !== chunk.checksum) {
      return this.#broken("checksum", `of the keyframe of tick ${chunk.tick}`);
    }
    Object.assign(this, { axes, ring, newestColumn, generation: chunk.generation, tick: chunk.tick, why: "" });
    this.candles = new Map();
    this.#takeCandles(candles);
    return "applied";
  }

  #change(chunk) {
    if (chunk.generation !== this.generation) return this.#broken("gap", `generation ${chunk.generation} began unseen`);
    if (chunk.prevTick !== this.tick) {
      return this.#broken("gap", `${chunk.tick} follows ${chunk.prevTick}, but ${this.tick} is held`);
    }
    const newestColumn = checkedColumn(chunk.newestColumn);
    const candles = decodeCandles(chunk.candles, newestColumn);
    decodeDelta(chunk.encoding, chunk.payload, this.ring.length, (index, level) => {
      this.ring[index] = level;
    });
    this.newestColumn = newestColumn;
    this.tick = chunk.tick;
    this.#takeCandles(candles);
    if (chunk.checksum !== undefined) {
      this.checksums++;
      if (ringChecksum(this.ring, this.axes.columns, this.axes.rows, newestColumn) !== chunk.checksum) {
        return this.#broken("checksum", `after tick ${chunk.tick}`);
      }
    }
    return "applied";
  }

  #takeCandles(candles) {
    for (const [column, prices] of candles) this.candles.set(column, prices);
    const oldest = this.newestColumn - BigInt(this.axes.columns) + 1n;
    for (const column of this.candles.keys()) if (column < oldest) this.candles.delete(column);
  }

  #broken(outcome, text) {
    this.why = `${this.symbol} ${this.timeframe}: ${outcome}: ${text}`;
    return outcome;
  }
}

/** Every channel of a stream, over reconnects. */
export class StreamState {
  constructor() {
    this.sources = new Map(); // source id -> {epoch, tick: BigInt or undefined, channels: Map of channel id -> replica}
    this.connecting();
    this.why = "not connected";
    this.counters = { gap: 0, checksum: 0, malformed: 0, lagged: 0, epochs: 0, conflated: 0, unknown: 0, keyframes: 0 };
    this.heartbeatMs = 1000;
    this.refused = ""; // of a session: why its last change was not served
  }

  /** A new stream begins: nothing is in sync until it has joined. */
  connecting() {
    this.greeted = this.joined = this.resumed = false;
    this.lagged = "";
    this.why = "connecting";
  }

  disconnected(why) {
    this.greeted = this.joined = false;
    this.why = why;
  }

  channels() {
    return [...this.sources.values()].flatMap((source) => [...source.channels.values()]);
  }

  /** Return why what is held is not the server's state; empty where it is, as far as frames can tell. */
  outOfSync() {
    if (!this.greeted) return this.why;
    if (!this.joined) return "the join has not ended";
    return this.channels().find((channel) => channel.why !== "")?.why ?? "";
  }

  /** Return the resume points of the next request; none unless every channel is held and unbroken. */
  resumePoints() {
    const channels = this.channels();
    if (channels.length === 0 || channels.some((channel) => channel.why !== "")) return [];
    const sources = [...this.sources];
    if (sources.some(([, source]) => source.tick === undefined)) return [];
    return sources.map(([sourceId, { epoch, tick }]) => ({ sourceId, epoch, tick }));
  }

  /**
   * Apply a frame; return {changed: replicas, broken: why a new stream is needed, or "", reconnectAfterMs, faults}.
   * A session needs no new stream where faults has all that is broken: [{sourceId, channelId, outcome}].
   */
  apply(frame) {
    const effect = { changed: new Set(), broken: "", reconnectAfterMs: undefined, faults: [] };
    const { case: control, value } = frame.control;
    this.counters.conflated += frame.ticksConflated;
    if (control === "hello") this.#hello(value, effect);
    if (control === "selectionChanged") this.#selectionChanged(value);
    if (!this.greeted) return { ...effect, broken: "data before Hello" };
    if (control === "lagged") {
      this.counters.lagged++;
      this.lagged = LAGGED_REASONS[value.reason] ?? String(value.reason);
    }
    for (const section of frame.sections) this.#section(section, effect);
    if (control === "heartbeat") this.#heartbeat(value, effect);
    else if (control === "snapshotEnd") this.#snapshotEnd(effect);
    else if (control === "goingAway") effect.reconnectAfterMs = value.reconnectAfterMs;
    return effect;
  }

  #hello(hello, effect) {
    this.greeted = true;
    this.joined = false;
    this.resumed = hello.resumed;
    this.heartbeatMs = Math.min(hello.heartbeatMs || 1000, MAX_HEARTBEAT_MS);
    const before = this.sources;
    this.sources = new Map();
    for (const { sourceId, epoch } of hello.sources) {
      const old = before.get(sourceId);
      if (old !== undefined && old.epoch !== epoch) this.counters.epochs++;
      const tick = hello.resumed && old?.epoch === epoch ? old.tick : undefined;
      this.sources.set(sourceId, { epoch, tick, channels: new Map() });
    }
    for (const description of hello.channels) {
      const source = this.sources.get(description.sourceId);
      if (source === undefined) {
        effect.broken ||= `channel ${description.channelId} of the unknown source ${description.sourceId}`;
        continue;
      }
      const name = identity(description);
      if (source.channels.has(description.channelId) || this.channels().some((channel) => channel.identity === name)) {
        effect.broken ||= `channel ${description.channelId} is named twice`;
        continue;
      }
      const old = before.get(description.sourceId);
      let replica = old?.epoch === source.epoch ? old.channels.get(description.channelId) : undefined;
      if (replica?.identity !== name) {
        replica = new ChannelReplica(description);
      } else if (!hello.resumed) {
        replica.why = "no keyframe since the last join";
      }
      source.channels.set(description.channelId, replica);
    }
  }

  #selectionChanged({ continuing, starting, refused }) {
    const before = new Map(this.sources);
    this.joined = false;
    this.refused = refused;
    for (const [sourceId, source] of before) this.sources.set(sourceId, { ...source, channels: new Map() });
    for (const { sourceId, channelId } of continuing) {
      this.sources.get(sourceId).channels.set(channelId, before.get(sourceId).channels.get(channelId));
    }
    for (const description of starting) {
      this.sources.get(description.sourceId).channels.set(description.channelId, new ChannelReplica(description));
    }
  }

  #section(section, effect) {
    const source = this.sources.get(section.sourceId);
    if (source === undefined) {
      effect.broken ||= `section of the unknown source ${section.sourceId}`;
      return;
    }
    if (source.epoch !== section.epoch) {
      this.#newEpoch(source, effect);
      return;
    }
    const broken = new Map(); // a keyframe later in the section mends what was broken before it
    for (const { kind } of section.chunks) {
      if (kind.case === "symbol" || kind.case === "venue") continue; // prices and coverage: nothing to check
      const replica = kind.case === "channel" ? source.channels.get(kind.value.channelId) : undefined;
      if (replica === undefined) {
        this.counters.unknown++;
        continue;
      }
      if (kind.value.kind === KEYFRAME) this.counters.keyframes++;
      const outcome = replica.apply(kind.value);
      if (outcome === "repeat") continue;
      if (outcome === "applied") {
        effect.changed.add(replica);
        broken.delete(replica);
      } else {
        if (outcome in this.counters) this.counters[outcome]++;
        broken.set(replica, outcome);
      }
    }
    for (const [{ channelId }, outcome] of broken) {
      effect.faults.push({ sourceId: section.sourceId, channelId, outcome });
    }
    effect.broken ||= broken.keys().next().value?.why ?? "";
    if (section.complete && !effect.broken) this.#move(source, section.tick);
  }

  #heartbeat(heartbeat, effect) {
    for (const position of heartbeat.positions) {
      const source = this.sources.get(position.sourceId);
      if (source === undefined) continue;
      if (source.epoch !== position.epoch) this.#newEpoch(source, effect);
      else this.#move(source, position.tick);
    }
  }

  #snapshotEnd(effect) {
    this.joined = true;
    effect.broken ||= this.outOfSync();
  }

  #newEpoch(source, effect) {
    for (const replica of source.channels.values()) replica.why = "the engine has started anew";
    source.tick = undefined;
    effect.broken ||= "the engine has started anew";
  }

  #move(source, tick) {
    if (source.tick === undefined || tick > source.tick) source.tick = tick;
  }
}

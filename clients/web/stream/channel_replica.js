// What is held of one channel in one epoch, and whether it is the server's state. No sockets: chunks in, levels out.

import { ChunkKind, PositionFilter_Side } from "../protocol/liqscape/v1/stream_pb.js";
import { GridAxes, checkedColumn } from "./axes.js";
import { BadPayload } from "./bad_payload.js";
import { decodeCandles } from "./candles.js";
import { crc32 } from "./crc32.js";
import { checksumOf, decodeDelta, decodeKeyframe } from "./decoding.js";

/**
 * What became of a chunk: "waiting" = only a keyframe helps; the last three are why it is broken.
 * @typedef {"applied" | "repeat" | "waiting" | "gap" | "checksum" | "malformed"} Outcome
 */

/**
 * What a server says that a channel is; rows and positions are absent where it has all of them, rowFold is 0 where its
 * rows are those of the default channel.
 * @typedef {{channelId: number, symbol: string, timeframe: string,
 *   rows?: import("../protocol/liqscape/v1/stream_pb.js").RowSpan | undefined,
 *   positions?: import("../protocol/liqscape/v1/stream_pb.js").PositionFilter | undefined,
 *   rowFold?: number}} Description
 */

/**
 * A channel as it is asked for: a whole one. Lists in ascending order, as a server names them; rowFold 2, 4, 8 or 16.
 * @typedef {{symbol: string, timeframe: string, rowFold?: number,
 *   positions?: {venues: string[], leverages: number[], side: PositionFilter_Side}}} Selector
 */

/**
 * What both have in common.
 * @typedef {{symbol: string, timeframe: string, rows?: Description["rows"], rowFold?: number,
 *   positions?: {venues: string[], leverages: number[], side: PositionFilter_Side,
 *     leverageShares?: {leverage: number, sharePpm: number}[]} | undefined}} Named
 */

const TILE_BITS = 7n; // of 128 rows

/**
 * Return what a channel is as a text, the same for the same channel.
 * @param {Named} description
 */
export function identityOf({ symbol, timeframe, rows, positions, rowFold = 0 }) {
  const tile = rows === undefined ? "" : String(rows.first >> TILE_BITS);
  const { venues = [], leverages = [], side = 0, leverageShares = [] } = positions ?? {};
  const knownSide = side === PositionFilter_Side.LONG || side === PositionFilter_Side.SHORT ? side : 0;
  const shares = leverageShares.map(({ leverage, sharePpm }) => [leverage, sharePpm]);
  return JSON.stringify([symbol, timeframe, tile, venues, leverages, knownSide, shares, rowFold || 1]);
}

export class ChannelReplica {
  /** @param {Description} description */
  constructor(description) {
    this.channelId = description.channelId;
    this.symbol = description.symbol;
    this.timeframe = description.timeframe;
    /** See identityOf. */
    this.identity = identityOf(description);
    /** Why it is not in sync; empty where it is. */
    this.why = "no keyframe yet";
    this.generation = 0;
    /** Of the last chunk applied. */
    this.tick = 0n;
    this.newestColumn = 0;
    /** @type {GridAxes | undefined} */
    this.axes = undefined;
    /** Levels, column-major by position. */
    this.ring = new Uint8Array(0);
    /** By absolute column. @type {Map<number, import("./candles.js").Prices>} */
    this.candles = new Map();
    /** Checksums compared so far. */
    this.checksums = 0;
    /** Keyframes applied so far: whoever draws starts anew when it rises. */
    this.keyframes = 0;
    this.sums = new Uint32Array(0);
    /** Positions whose levels have changed since whoever draws last looked. */
    this.stale = new Uint8Array(0);
  }

  get inSync() {
    return this.why === "";
  }

  /**
   * Apply a chunk. Nothing is changed before all of it is known to be good, and nothing is awaited after that.
   * @param {import("../protocol/liqscape/v1/stream_pb.js").ChannelChunk} chunk
   * @returns {Promise<Outcome>}
   */
  async apply(chunk) {
    if (this.inSync && chunk.kind === ChunkKind.KEYFRAME && chunk.tick < this.tick) return "repeat";
    if (this.inSync && chunk.kind === ChunkKind.DELTA && chunk.tick <= this.tick) return "repeat";
    try {
      if (chunk.kind === ChunkKind.KEYFRAME) return await this.#replace(chunk);
      if (chunk.kind !== ChunkKind.DELTA) throw new BadPayload(`chunk kind ${chunk.kind}`);
      return this.inSync && this.axes !== undefined ? await this.#change(chunk, this.axes) : "waiting";
    } catch (error) {
      if (!(error instanceof BadPayload)) throw error;
      return this.#broken("malformed", error.message);
    }
  }

  /** @param {import("../protocol/liqscape/v1/stream_pb.js").ChannelChunk} chunk */
  async #replace(chunk) {
    const axes = new GridAxes(chunk.axes);
    if (chunk.checksum === undefined) throw new BadPayload("a keyframe without a checksum");
    const newestColumn = checkedColumn(chunk.newestColumn);
    const candles = decodeCandles(chunk.candles, newestColumn);
    const ring = await decodeKeyframe(chunk.encoding, chunk.payload, axes.columns, axes.rows, newestColumn);
    const sums = Uint32Array.from({ length: axes.columns }, (_, position) => columnSum(ring, position, axes.rows));
    this.checksums++;
    if (checksumOf(newestColumn, sums) !== chunk.checksum) {
      return this.#broken("checksum", `of the keyframe of tick ${chunk.tick}`);
    }
    Object.assign(this, { axes, ring, sums, newestColumn, generation: chunk.generation, tick: chunk.tick, why: "" });
    this.stale = new Uint8Array(axes.columns).fill(1);
    this.keyframes++;
    this.candles = new Map(candles);
    this.#forgetOldCandles(axes);
    return /** @type {const} */ ("applied");
  }

  /**
   * @param {import("../protocol/liqscape/v1/stream_pb.js").ChannelChunk} chunk
   * @param {GridAxes} axes
   */
  async #change(chunk, axes) {
    if (chunk.generation !== this.generation) return this.#broken("gap", `generation ${chunk.generation} began unseen`);
    if (chunk.prevTick !== this.tick) {
      return this.#broken("gap", `${chunk.tick} follows ${chunk.prevTick}, but ${this.tick} is held`);
    }
    const newestColumn = checkedColumn(chunk.newestColumn);
    const candles = decodeCandles(chunk.candles, newestColumn);
    const runs = await decodeDelta(chunk.encoding, chunk.payload, axes.cells);
    this.#write(runs, axes.rows);
    this.newestColumn = newestColumn;
    this.tick = chunk.tick;
    for (const [column, prices] of candles) this.candles.set(column, prices);
    this.#forgetOldCandles(axes);
    if (chunk.checksum !== undefined) {
      this.checksums++;
      if (checksumOf(newestColumn, this.sums) !== chunk.checksum) {
        return this.#broken("checksum", `after tick ${chunk.tick}`);
      }
    }
    return /** @type {const} */ ("applied");
  }

  /**
   * @param {import("./decoding.js").Runs} runs
   * @param {number} rows
   */
  #write({ starts, lengths, levels }, rows) {
    let at = 0;
    let summed = -1; // runs ascend, so a column is summed once the next one begins
    for (let run = 0; run < starts.length; run++) {
      const first = Math.floor(starts[run] / rows);
      const last = Math.floor((starts[run] + lengths[run] - 1) / rows);
      if (summed >= 0 && first > summed) this.#sum(summed, rows);
      this.ring.set(levels.subarray(at, at + lengths[run]), starts[run]);
      at += lengths[run];
      for (let position = first; position < last; position++) this.#sum(position, rows);
      summed = last;
    }
    if (summed >= 0) this.#sum(summed, rows);
  }

  /**
   * @param {number} position
   * @param {number} rows
   */
  #sum(position, rows) {
    this.sums[position] = columnSum(this.ring, position, rows);
    this.stale[position] = 1;
  }

  /** @param {GridAxes} axes */
  #forgetOldCandles(axes) {
    const oldest = this.newestColumn - axes.columns + 1;
    for (const column of this.candles.keys()) if (column < oldest) this.candles.delete(column);
  }

  /**
   * @param {"gap" | "checksum" | "malformed"} outcome
   * @param {string} text
   */
  #broken(outcome, text) {
    this.why = `${this.symbol} ${this.timeframe}: ${outcome}: ${text}`;
    return outcome;
  }
}

/**
 * @param {Uint8Array} ring
 * @param {number} position
 * @param {number} rows
 */
function columnSum(ring, position, rows) {
  return crc32(ring, position * rows, (position + 1) * rows);
}

// What a stream says beside levels: prices, what the data are, how much of open interest is covered.

import { DataState } from "../protocol/liqscape/v1/stream_pb.js";

const NS_PER_MS = 1_000_000n;

/**
 * Return nanoseconds since 1970 as milliseconds.
 * @param {bigint} ns
 */
export function msOf(ns) {
  return Number(ns / NS_PER_MS);
}

/**
 * Return the names of states; a state that this revision does not know is its number.
 * @param {number[]} states
 */
export function stateNames(states) {
  return states.map((state) => DataState[state] ?? `STATE ${state}`);
}

/**
 * Covered share of open interest: live / (live + uncovered), both sides, 0..1; undefined where nothing is known.
 * @param {import("../protocol/liqscape/v1/stream_pb.js").VenueChunk[]} coverage
 */
export function coveredShare(coverage) {
  let live = 0;
  let all = 0;
  for (const chunk of coverage) {
    const lot = 10 ** -chunk.lotDecimals;
    live += Number(chunk.liveLongLots + chunk.liveShortLots) * lot;
    all += Number(chunk.liveLongLots + chunk.liveShortLots + chunk.uncoveredLongLots + chunk.uncoveredShortLots) * lot;
  }
  return all > 0 ? live / all : undefined;
}

/** Newest price, stamps and coverage by symbol. */
export class MarketState {
  constructor() {
    /** @type {Map<string, import("../protocol/liqscape/v1/stream_pb.js").SymbolChunk>} */
    this.symbols = new Map();
    /** By instrument. @type {Map<string, import("../protocol/liqscape/v1/stream_pb.js").VenueChunk>} */
    this.venues = new Map();
    /** What the newest heartbeat says of all sources, where it is newer than any price. @type {string[]} */
    this.late = [];
  }

  /** An epoch is over: prices and coverage of other sources come again with the next tick. */
  forget() {
    this.symbols.clear();
    this.venues.clear();
    this.late = [];
  }

  /** @param {import("../protocol/liqscape/v1/stream_pb.js").SymbolChunk} chunk */
  takeSymbol(chunk) {
    this.symbols.set(chunk.symbol, chunk);
    this.late = [];
  }

  /** @param {import("../protocol/liqscape/v1/stream_pb.js").VenueChunk} chunk */
  takeVenue(chunk) {
    this.venues.set(chunk.instrument, chunk);
  }

  /** @param {number[]} states */
  takeHeartbeat(states) {
    // A heartbeat speaks of all sources together: only its warnings are carried over to a single symbol.
    this.late = stateNames(states).filter((name) => name === "STALE" || name === "ENDED");
  }

  /**
   * Return what the data of a symbol are: SIMULATED, REPLAY, STALE, ENDED; empty = live.
   * @param {string} symbol
   */
  states(symbol) {
    const newest = this.symbols.get(symbol);
    return [...new Set([...stateNames(newest?.states ?? []), ...this.late])];
  }

  /**
   * Return the newest coverage of each instrument of a symbol, by name.
   * @param {string} symbol
   */
  coverage(symbol) {
    const found = [...this.venues.values()].filter((chunk) => chunk.symbol === symbol);
    return found.sort((a, b) => (a.instrument < b.instrument ? -1 : 1));
  }
}

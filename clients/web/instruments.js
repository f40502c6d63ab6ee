// The instruments of the model, as /v1/instruments lists them.

import { ask } from "./api.js";

/**
 * @typedef {{leverage: number, long_liquidation_ratio: number, short_liquidation_ratio: number}} Tier
 * @typedef {{instrument: string, venue: string, symbol: string, contract: string, rules_date: string, tiers: Tier[]}} Instrument
 */

export class Instruments {
  /** @param {Instrument[]} all sorted by id */
  constructor(all) {
    this.all = all;
  }

  /** @returns {Promise<Instruments>} */
  static async ask() {
    const { instruments } = await ask("/v1/instruments");
    return new Instruments(instruments);
  }

  symbols() {
    return [...new Set(this.all.map(({ symbol }) => symbol))];
  }

  /** @param {string} symbol */
  of(symbol) {
    return this.all.filter((instrument) => instrument.symbol === symbol);
  }

  /** @param {string} symbol */
  venuesOf(symbol) {
    return [...new Set(this.of(symbol).map(({ venue }) => venue))].toSorted();
  }

  /** @param {string} symbol */
  leveragesOf(symbol) {
    const tiers = this.of(symbol).flatMap((instrument) => instrument.tiers);
    return [...new Set(tiers.map(({ leverage }) => leverage))].toSorted((a, b) => a - b);
  }

  /**
   * Return where a position would be force-closed; undefined where the venue allows no such leverage.
   * @param {import("./page_state.js").Position} position
   * @param {string} symbol
   */
  liquidation({ instrument, leverage, side, entry }, symbol) {
    const candidates = this.of(symbol);
    const found = candidates.find((candidate) => candidate.instrument === instrument) ?? candidates[0];
    const tier = found?.tiers.find((candidate) => candidate.leverage === leverage);
    if (found === undefined || tier === undefined) return undefined;
    const ratio = side === "long" ? tier.long_liquidation_ratio : tier.short_liquidation_ratio;
    return { instrument: found, price: entry * ratio };
  }
}

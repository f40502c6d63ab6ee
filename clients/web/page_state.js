// What the user has chosen, and the same in the address: a link shows another person the same view.

import { PositionFilter_Side } from "./protocol/liqscape/v1/stream_pb.js";

/**
 * @typedef {{side: "long" | "short", leverage: number, entry: number, instrument: string}} Position
 * @typedef {{
 *   symbol: string,
 *   timeframe: string,
 *   venues: string[],
 *   leverages: number[],
 *   side: "" | "long" | "short",
 *   scale: import("./view/scales.js").ScaleName,
 *   spread: import("./view/scales.js").Spread,
 *   dim: number | undefined,
 *   bright: number | undefined,
 *   swept: boolean,
 *   map: boolean,
 *   position: Position | undefined,
 *   past: number | undefined,
 * }} Choices  dim, bright: levels; undefined = chosen for the user. past: a minute since 1970 UTC; undefined = now
 */

export const TIMEFRAMES = ["12h", "24h", "3d", "1w", "2w", "1m", "3m", "6m", "1y"];
/** Minutes of a column of each. */
export const COLUMN_MINUTES = [1, 2, 5, 15, 30, 60, 180, 360, 720];
export const SCALE_NAMES = /** @type {const} */ (["yellow", "purple", "heat", "viridis"]);

/** @type {Choices} */
export const DEFAULTS = {
  symbol: "",
  timeframe: "24h",
  venues: [],
  leverages: [],
  side: "",
  scale: "yellow",
  spread: "log",
  dim: undefined,
  bright: undefined,
  swept: true,
  map: true,
  position: undefined,
  past: undefined,
};

const SIDES = {
  "": PositionFilter_Side.UNSPECIFIED,
  long: PositionFilter_Side.LONG,
  short: PositionFilter_Side.SHORT,
};
const MAX_LEVEL = 255;
const MS_PER_MINUTE = 60_000;
const NAME = /^[\w.:-]{1,64}$/;

/**
 * Read choices from the part of an address behind its #; whatever makes no sense is left at its default.
 * @param {string} hash
 * @returns {Choices}
 */
export function fromHash(hash) {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const text = (/** @type {string} */ name) => given.get(name) ?? "";
  const list = (/** @type {string} */ name) => text(name).split(",").filter((part) => NAME.test(part));
  /** @type {<T extends string>(name: string, allowed: readonly T[], otherwise: T) => T} */
  const one = (name, allowed, otherwise) => allowed.find((value) => value === text(name)) ?? otherwise;
  const level = (/** @type {string} */ name) => {
    const value = Number(text(name));
    return given.has(name) && Number.isInteger(value) && value >= 0 && value <= MAX_LEVEL ? value : undefined;
  };
  const [dim, bright] = [level("dim"), level("bright")];
  return {
    symbol: NAME.test(text("symbol")) ? text("symbol") : DEFAULTS.symbol,
    timeframe: one("timeframe", TIMEFRAMES, DEFAULTS.timeframe),
    venues: list("venues"),
    leverages: list("leverages").map(Number).filter((leverage) => Number.isInteger(leverage) && leverage > 0),
    side: one("side", ["", "long", "short"], DEFAULTS.side),
    scale: one("scale", SCALE_NAMES, DEFAULTS.scale),
    spread: one("spread", ["log", "linear"], DEFAULTS.spread),
    dim: dim !== undefined && bright !== undefined && dim >= bright ? undefined : dim,
    bright: dim !== undefined && bright !== undefined && dim >= bright ? undefined : bright,
    swept: text("swept") !== "off",
    map: text("map") !== "off",
    position: positionOf(text("position")),
    past: minuteOf(text("past")),
  };
}

/**
 * Return the choices as the part of an address behind its #; defaults are left out.
 * @param {Choices} choices
 */
export function toHash(choices) {
  const { position, swept, map } = choices;
  /** @type {[string, string][]} */
  const all = [
    ["symbol", choices.symbol],
    ["timeframe", choices.timeframe],
    ["venues", choices.venues.join(",")],
    ["leverages", choices.leverages.join(",")],
    ["side", choices.side],
    ["scale", choices.scale === DEFAULTS.scale ? "" : choices.scale],
    ["spread", choices.spread === DEFAULTS.spread ? "" : choices.spread],
    ["dim", choices.dim?.toString() ?? ""],
    ["bright", choices.bright?.toString() ?? ""],
    ["swept", swept ? "" : "off"],
    ["map", map ? "" : "off"],
    ["past", choices.past === undefined ? "" : textOfMinute(choices.past)],
    ["position", position ? [position.side, position.leverage, position.entry, position.instrument].join("~") : ""],
  ];
  return `#${all.filter(([, value]) => value !== "").map(([name, value]) => `${name}=${value}`).join("&")}`;
}

/**
 * @param {string} text side~leverage~entry~instrument
 * @returns {Position | undefined}
 */
function positionOf(text) {
  const [side, leverage, entry, instrument = ""] = text.split("~");
  const [times, price] = [Number(leverage), Number(entry)];
  if ((side !== "long" && side !== "short") || !(times > 0) || !(price > 0) || !Number.isFinite(price)) return undefined;
  if (instrument !== "" && !NAME.test(instrument)) return undefined;
  return { side, leverage: times, entry: price, instrument };
}

/**
 * Return a minute since 1970 as 2026-11-26T14:20, UTC.
 * @param {number} minute
 */
export function textOfMinute(minute) {
  return new Date(minute * MS_PER_MINUTE).toISOString().slice(0, 16);
}

/**
 * @param {string} text as textOfMinute returns
 * @returns {number | undefined} undefined where it is none
 */
export function minuteOf(text) {
  const ms = /^\d{4}-\d\d-\d\dT\d\d:\d\d$/.test(text) ? Date.parse(`${text}:00Z`) : NaN;
  return ms >= 0 ? ms / MS_PER_MINUTE : undefined;
}

/** The choices, whoever changes them, and those who want to know. */
export class PageState {
  constructor() {
    this.choices = fromHash(location.hash);
    /** @type {((choices: Choices, before: Choices) => void)[]} */
    this.listeners = [];
    window.addEventListener("hashchange", () => {
      if (location.hash !== toHash(this.choices)) this.#become(fromHash(location.hash));
    });
  }

  /** @param {(choices: Choices, before: Choices) => void} listener */
  onChange(listener) {
    this.listeners.push(listener);
  }

  /** @param {Partial<Choices>} changes */
  set(changes) {
    this.#become({ ...this.choices, ...changes });
    history.replaceState(null, "", toHash(this.choices));
  }

  /** @param {Choices} choices */
  #become(choices) {
    const before = this.choices;
    this.choices = choices;
    for (const listener of this.listeners) listener(choices, before);
  }
}

/**
 * Return the channel that shows the choices.
 * @param {Choices} choices
 * @param {number} rowFold rows of the default channel in one
 * @returns {import("./stream/channel_replica.js").Selector}
 */
export function channelOf(choices, rowFold) {
  const { symbol, timeframe, venues, leverages, side } = choices;
  /** @type {import("./stream/channel_replica.js").Selector} */
  const channel = { symbol, timeframe };
  if (rowFold > 1) channel.rowFold = rowFold;
  if (isFiltered(choices)) {
    const unique = { venues: [...new Set(venues)].toSorted(), leverages: [...new Set(leverages)].toSorted((a, b) => a - b) };
    channel.positions = { ...unique, side: SIDES[side] };
  }
  return channel;
}

/**
 * Return whether choices narrow down what is drawn.
 * @param {Choices} choices
 */
export function isFiltered({ venues, leverages, side }) {
  return venues.length > 0 || leverages.length > 0 || side !== "";
}

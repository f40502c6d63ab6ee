// Colour scales, from nothing to the most, and which colour an amount gets.

import { LEVELS, LEVEL_USD, levelStartUsd } from "../stream/levels.js";

/** Colours of a scale. */
export const STEPS = 256;

/**
 * @typedef {"yellow" | "purple" | "heat" | "viridis"} ScaleName
 * @typedef {"log" | "linear"} Spread
 * @typedef {{title: string, anchors: string, rising: string, falling: string}} Scale
 */

/**
 * By name; colours of candles stand out on all of a scale.
 * @type {Record<ScaleName, Scale>}
 */
export const SCALES = {
  yellow: {
    title: "Black to yellow",
    anchors: "050608 141004 292006 463606 6c5304 987500 cc9f00 ffcc00 ffea80 fffdf0",
    rising: "#e8f1ff",
    falling: "#3ea6ff",
  },
  purple: {
    title: "Purple to white",
    anchors: "07060d 180f33 33196a 5b2aa3 8a46cf b673e6 d9a5f3 f1d6fb ffffff",
    rising: "#59e0a7",
    falling: "#ff6b6b",
  },
  heat: {
    title: "Blue to red",
    anchors: "040a1c 08255c 0b4fa0 0f86b4 2fb58f 9ccc4c f0d43a f58a2a e0242a",
    rising: "#ffffff",
    falling: "#cf9bff",
  },
  viridis: {
    title: "Viridis (colour-blind safe)",
    anchors: "16061d 440154 472d7b 3b528b 2c728e 21918c 28ae80 5ec962 addc30 fde725",
    rising: "#ffffff",
    falling: "#ff9db0",
  },
};

/** What is drawn while not in sync: nobody takes it for a live picture. */
const STALE_ANCHORS = "08090b 1b1d20 33363b 50555c 737981";

/**
 * Return colours as red, green, blue: uint8[3 x STEPS], interpolated linearly between anchors at equal distances.
 * @param {string} anchors
 */
function interpolated(anchors) {
  const stops = anchors.split(" ").map((hex) => [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16)));
  const colours = new Uint8ClampedArray(3 * STEPS);
  for (let step = 0; step < STEPS; step++) {
    const place = (step / (STEPS - 1)) * (stops.length - 1);
    const below = Math.min(Math.floor(place), stops.length - 2);
    for (let channel = 0; channel < 3; channel++) {
      const [from, to] = [stops[below][channel], stops[below + 1][channel]];
      colours[3 * step + channel] = Math.round(from + (to - from) * (place - below));
    }
  }
  return colours;
}

/** @type {Map<string, Uint8ClampedArray>} */
const made = new Map();

/**
 * Return the colours of a scale, or those of a picture that is old.
 * @param {ScaleName} name
 * @param {boolean} isStale
 */
export function coloursOf(name, isStale) {
  const anchors = isStale ? STALE_ANCHORS : SCALES[name].anchors;
  const known = made.get(anchors) ?? interpolated(anchors);
  made.set(anchors, known);
  return known;
}

/**
 * How amounts become colours: everything up to `dim` is the first, everything from `bright` on is the last.
 * @typedef {{dim: number, bright: number, spread: Spread}} Brightness  dim and bright are levels
 */

/**
 * Return how far along a scale a level lies, 0..1.
 * @param {number} level
 * @param {Brightness} brightness
 */
export function intensity(level, { dim, bright, spread }) {
  if (level <= dim || level === 0) return 0;
  if (level >= bright) return 1;
  if (spread === "log") return (level - dim) / (bright - dim);
  const floor = LEVEL_USD[dim];
  return (LEVEL_USD[level] - floor) / (LEVEL_USD[bright] - floor);
}

/**
 * Return the USD whose colour lies so far along a scale: what a legend says there.
 * @param {Brightness} brightness
 * @param {number} share 0..1
 */
export function usdAlong({ dim, bright, spread }, share) {
  if (spread === "log") return levelStartUsd(Math.round(dim + share * (bright - dim)));
  const floor = levelStartUsd(dim);
  return floor + share * (levelStartUsd(bright) - floor);
}

/**
 * Return the colour of each level as a pixel of ImageData: uint32[256], opaque.
 * @param {ScaleName} name
 * @param {Brightness} brightness
 * @param {boolean} isStale
 */
export function palette(name, brightness, isStale) {
  const colours = coloursOf(name, isStale);
  const pixels = new Uint32Array(LEVELS);
  const bytes = new Uint8ClampedArray(pixels.buffer);
  for (let level = 0; level < LEVELS; level++) {
    const step = Math.round(intensity(level, brightness) * (STEPS - 1));
    bytes.set(colours.subarray(3 * step, 3 * step + 3), 4 * level);
    bytes[4 * level + 3] = 255;
  }
  return pixels;
}

/** Levels between the dimmest and the brightest that are chosen for the user: five octaves, a factor of 32. */
const AUTO_SPAN = 40;

/**
 * Choose what is dimmest and brightest from how often each level occurs: all but the few largest cells keep apart.
 * @param {Uint32Array} histogram uint32[256]
 * @param {Spread} spread
 * @returns {{dim: number, bright: number}}
 */
export function autoBrightness(histogram, spread) {
  let cells = 0;
  for (let level = 1; level < LEVELS; level++) cells += histogram[level];
  if (cells === 0) return { dim: 0, bright: 64 };
  let above = 0;
  let bright = LEVELS - 1;
  for (; bright > 16; bright--) {
    above += histogram[bright];
    if (above > cells / 1500) break;
  }
  return { dim: spread === "linear" ? 0 : Math.max(0, bright - AUTO_SPAN), bright };
}

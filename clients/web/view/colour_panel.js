// Colour scale, brightness, and the legend that says what a colour is in USD.

import { SCALE_NAMES } from "../page_state.js";
import { formatUsd } from "../format.js";
import { levelStartUsd } from "../stream/levels.js";
import { Choice, byId, make, setText } from "./dom.js";
import { isSmall } from "./screen.js";
import { SCALES, STEPS, autoBrightness, coloursOf, usdAlong } from "./scales.js";

const LEGEND_TICKS = 4;
const LEGEND_TICKS_SMALL = 3;
/** The brightness that is chosen for the user follows the market in steps: colours that flicker say nothing. */
const AUTO_HYSTERESIS = 5;

/**
 * @typedef {import("./scales.js").ScaleName} ScaleName
 * @typedef {import("./scales.js").Brightness} Brightness
 * @typedef {import("../page_state.js").PageState} PageState
 */

export class ColourPanel {
  /** @param {PageState} state */
  constructor(state) {
    this.state = state;
    /** @type {Choice<ScaleName>} */
    this.scales = new Choice(byId("scales", HTMLDivElement), (scale) => state.set({ scale }));
    this.scales.offer(
      SCALE_NAMES.map((value) => ({ value, text: swatch(value), label: SCALES[value].title })),
      "scales",
    );
    /** @type {Choice<import("./scales.js").Spread>} */
    this.spread = new Choice(byId("spread", HTMLDivElement), (spread) => state.set({ spread }));
    this.spread.offer(
      [
        { value: "log", text: "Logarithmic" },
        { value: "linear", text: "Linear" },
      ],
      "spread",
    );
    this.dim = byId("dim", HTMLInputElement);
    this.bright = byId("bright", HTMLInputElement);
    this.dimUsd = byId("dim-usd", HTMLOutputElement);
    this.brightUsd = byId("bright-usd", HTMLOutputElement);
    this.auto = byId("colour-auto", HTMLButtonElement);
    this.bar = byId("legend-bar", HTMLCanvasElement);
    this.ticks = byId("legend-ticks", HTMLOListElement);
    this.unit = byId("legend-unit", HTMLSpanElement);
    this.dim.oninput = () => state.set({ dim: Math.min(this.dim.valueAsNumber, this.brightness().bright - 1) });
    this.bright.oninput = () => state.set({ bright: Math.max(this.bright.valueAsNumber, this.brightness().dim + 1) });
    this.auto.onclick = () => state.set({ dim: undefined, bright: undefined });
    this.chosen = { dim: 60, bright: 110 };
    this.drawnFor = "";
  }

  /** What is in force. @returns {Brightness} */
  brightness() {
    const { dim = this.chosen.dim, bright = this.chosen.bright, spread } = this.state.choices;
    return { dim: Math.min(dim, bright - 1), bright, spread };
  }

  /**
   * Choose anew for whoever has chosen nothing; returns whether anything has changed.
   * @param {Uint32Array} histogram
   * @param {boolean} isAnother the picture has nothing to do with the one before
   */
  consider(histogram, isAnother) {
    const wanted = autoBrightness(histogram, this.state.choices.spread);
    const isFar = Math.abs(wanted.bright - this.chosen.bright) >= AUTO_HYSTERESIS || wanted.dim !== this.chosen.dim;
    const isNear = Math.abs(wanted.bright - this.chosen.bright) < AUTO_HYSTERESIS;
    const isSameSpread = (wanted.dim === 0) === (this.chosen.dim === 0);
    if (!isFar || (isNear && isSameSpread && !isAnother)) return false;
    this.chosen = wanted;
    return true;
  }

  /**
   * @param {string} unit what a cell is
   * @param {boolean} isStale
   */
  show(unit, isStale) {
    const brightness = this.brightness();
    const { scale } = this.state.choices;
    setText(this.unit, unit);
    const key = JSON.stringify([scale, brightness, isStale]);
    if (key === this.drawnFor) return;
    this.drawnFor = key;
    const { dim, bright, spread } = brightness;
    this.scales.mark((value) => value === scale);
    this.spread.mark((value) => value === spread);
    for (const [input, output, level, name] of /** @type {const} */ ([
      [this.dim, this.dimUsd, dim, "and less"],
      [this.bright, this.brightUsd, bright, "and more"],
    ])) {
      input.value = String(level);
      setText(output, formatUsd(levelStartUsd(level)));
      input.setAttribute("aria-valuetext", `${formatUsd(levelStartUsd(level))} ${name}`);
    }
    this.auto.hidden = this.state.choices.dim === undefined && this.state.choices.bright === undefined;
    paint(this.bar, scale, isStale);
    const count = isSmall() ? LEGEND_TICKS_SMALL : LEGEND_TICKS;
    const ticks = Array.from({ length: count }, (_, tick) => usdAlong(brightness, tick / (count - 1)));
    this.ticks.replaceChildren(...ticks.map((usd) => make("li", {}, formatUsd(usd))));
  }
}

/** @param {ScaleName} name */
function swatch(name) {
  const canvas = make("canvas", { width: 64, height: 1 });
  paint(canvas, name, false);
  return canvas;
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {ScaleName} name
 * @param {boolean} isStale
 */
function paint(canvas, name, isStale) {
  const context = canvas.getContext("2d");
  if (context === null) return;
  const colours = coloursOf(name, isStale);
  const image = context.createImageData(canvas.width, 1);
  for (let x = 0; x < canvas.width; x++) {
    const step = Math.round((x / (canvas.width - 1)) * (STEPS - 1));
    image.data.set(colours.subarray(3 * step, 3 * step + 3), 4 * x);
    image.data[4 * x + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

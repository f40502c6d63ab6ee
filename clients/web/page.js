// Builds every part of the page and joins them; nothing else knows the whole.

import { Refused, openPlayback, openStream, wantsToken } from "./api.js";
import { askClusters } from "./clusters.js";
import { askFilteredGrid } from "./filtered_grid.js";
import { decimalsOf, formatInstant, formatPrice } from "./format.js";
import { Instruments } from "./instruments.js";
import { askMap } from "./liquidation_map.js";
import { PageState, TIMEFRAMES, channelOf } from "./page_state.js";
import { Picture } from "./picture.js";
import { Poller } from "./poller.js";
import { SavedView } from "./saved_view.js";
import { shortcuts } from "./shortcuts.js";
import { Connection } from "./stream/connection.js";
import { msOf } from "./stream/market_state.js";
import { Past } from "./stream/past.js";
import { StreamState } from "./stream/stream_state.js";
import { askSwept } from "./swept.js";
import { Banner } from "./view/banner.js";
import { ColourPanel } from "./view/colour_panel.js";
import { Cursor } from "./view/cursor.js";
import { DataLine } from "./view/data_line.js";
import { FilterNote } from "./view/filter_note.js";
import { FilterPanel } from "./view/filter_panel.js";
import { Keyboard } from "./view/keyboard.js";
import { MapPanel } from "./view/map_panel.js";
import { PastBar } from "./view/past_bar.js";
import { PositionPanel } from "./view/position_panel.js";
import { PriceChart } from "./view/price_chart.js";
import { palette } from "./view/scales.js";
import { TopBar } from "./view/top_bar.js";
import { askToken } from "./view/token_dialog.js";
import { byId } from "./view/dom.js";

const SHOW_EVERY_MS = 250;
const GRID_EVERY_MS = 5000;
const MAP_EVERY_MS = 4000;
const SWEPT_EVERY_MS = 10_000;
/** A cluster is several rows high and moves slowly beside them. */
const CLUSTERS_EVERY_MS = 15_000;
const RETRY_MS = 1000;
/** Not in sync for longer, and the picture turns grey. */
const GREY_AFTER_MS = 700;

export class Page {
  constructor() {
    this.state = new PageState();
    this.stream = new StreamState();
    this.instruments = new Instruments([]);
    /** @type {Omit<import("./stream/connection.js").Surroundings, "open">} */
    const surroundings = {
      nowMs: () => performance.now(),
      wallMs: () => Date.now(),
      drawn: () => new Promise((resolve) => requestAnimationFrame(() => resolve())),
      isHidden: () => document.hidden,
      random: Math.random,
    };
    this.connection = new Connection(
      this.stream,
      { open: openStream, ...surroundings },
      (effect) => this.#onFrame(effect),
      () => this.#showStanding(),
    );
    this.past = new Past(
      { open: openPlayback, ...surroundings },
      (effect) => this.#onPastFrame(effect),
      () => this.#onPastMoved(),
    );
    this.picture = new Picture(this.state, this.stream, this.connection, this.past);
    this.chart = new PriceChart(byId("chart", HTMLDivElement));
    this.map = new MapPanel(this.chart);
    this.topBar = new TopBar(this.state);
    this.pastBar = new PastBar(this.state, this.past);
    this.line = new DataLine();
    this.banner = new Banner();
    this.colours = new ColourPanel(this.state);
    this.filters = new FilterPanel(this.state);
    this.filterNote = new FilterNote(GRID_EVERY_MS);
    this.position = new PositionPanel(this.state);
    this.cursor = new Cursor(this);
    this.saved = new SavedView(this);
    this.keyboard = new Keyboard(shortcuts(this));
    /** When the picture was last known to be the server's, wall clock. @type {number | undefined} */
    this.inSyncMs = undefined;
    this.isGrey = false;
    this.linesFor = "";
    /** Server clock minus ours, as the quickest message says. */
    this.clockOffsetMs = 0;
    this.gridPoller = new Poller(
      GRID_EVERY_MS,
      (signal) => (this.isAskedFor ? askFilteredGrid(this.state.choices, this.picture.rowSteps(), signal) : undefined),
      (grid) => this.#takeFiltered(grid),
      (error) => this.filterNote.fail(error.message),
    );
    this.mapPoller = new Poller(MAP_EVERY_MS, (signal) => this.#askMap(signal), (map) => this.#takeMap(map), () => {});
    this.clustersPoller = new Poller(
      CLUSTERS_EVERY_MS,
      (signal) => (this.state.choices.map && this.replica && !this.past.isOn ? askClusters(this.state.choices, signal) : undefined),
      (found) => this.#takeClusters(found),
      () => {},
    );
    this.sweptPoller = new Poller(
      SWEPT_EVERY_MS,
      (signal) => (this.state.choices.swept && this.replica && !this.past.isPlaying ? askSwept(this.state.choices, signal) : undefined),
      (marks) => this.chart.swept.show(marks),
      () => {},
    );
  }

  /** See Picture. */
  get replica() {
    return this.picture.replica;
  }

  /** See Picture. */
  get levels() {
    return this.picture.levels;
  }

  /** See Picture. */
  get isAskedFor() {
    return this.picture.isAskedFor;
  }

  /** See Picture. */
  get filtered() {
    return this.picture.filtered;
  }

  /** What is shown is held of this: the past, or the stream. */
  get shownState() {
    return this.past.isOn ? this.past.state : this.stream;
  }

  /** Return whether what is shown is what should be, and if not, why. */
  standing() {
    return this.past.isOn ? this.past.standing() : this.connection.standing();
  }

  async run() {
    this.state.onChange((choices, before) => this.#onChoices(choices, before));
    this.chart.onCursor = (cursor) => this.cursor.move(cursor);
    this.chart.heatmap.onDraw = () => this.#onDraw();
    document.addEventListener("visibilitychange", () => {
      this.connection.visibilityChanged();
      if (!document.hidden) this.#askAll();
    });
    byId("fit", HTMLButtonElement).onclick = () => this.fit();
    byId("png", HTMLButtonElement).onclick = () => this.saved.picture();
    byId("csv", HTMLButtonElement).onclick = () => this.saved.table();
    for (const [id, choice] of /** @type {const} */ ([["swept", "swept"], ["map-shown", "map"]])) {
      const input = byId(id, HTMLInputElement);
      input.onchange = () => this.state.set({ [choice]: input.checked });
    }
    setInterval(() => this.#show(), SHOW_EVERY_MS);
    const isNamed = this.state.choices.symbol !== "";
    if (isNamed) this.#start();
    await this.#learnInstruments();
    if (!isNamed) {
      const symbols = this.instruments.symbols();
      this.state.set({ symbol: symbols.includes("BTC") ? "BTC" : (symbols[0] ?? "BTC") });
      this.#start();
    } else if (this.connection.standing().phase === "failed") {
      this.connection.select(this.connection.wanted, this.connection.otherwise); // for want of a token that has been given meanwhile
    }
  }

  #start() {
    this.#onChoices(this.state.choices, undefined);
    void this.connection.run();
  }

  fit() {
    this.chart.fit();
  }

  nextSymbol() {
    const symbols = this.instruments.symbols();
    const symbol = symbols[(symbols.indexOf(this.state.choices.symbol) + 1) % symbols.length];
    if (symbol !== undefined) this.state.set({ symbol, position: undefined, venues: [], leverages: [] });
  }

  async #learnInstruments() {
    for (;;) {
      try {
        this.instruments = await Instruments.ask();
        return;
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        if (wantsToken(error)) await askToken();
        else this.connection.apart = { phase: "waiting", why: error.message };
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }

  /**
   * @param {import("./page_state.js").Choices} choices
   * @param {import("./page_state.js").Choices | undefined} before undefined: at the start
   */
  #onChoices(choices, before) {
    const isOtherChannel = choices.symbol !== before?.symbol || choices.timeframe !== before?.timeframe;
    const isOtherFilter = JSON.stringify(filterOf(choices)) !== JSON.stringify(before && filterOf(before));
    const isOtherMinute = choices.past !== before?.past;
    if (isOtherChannel || isOtherFilter) {
      this.picture.choose();
      this.filterNote.clear();
      this.chart.swept.show([]);
      this.map.found = undefined;
    }
    if (choices.past !== undefined) this.past.show(channelOf(choices, 1), choices.past, this.pastBar.liveMinute ?? 0);
    else if (this.past.isOn) this.past.leave();
    if (isOtherMinute) this.#beElsewhere();
    if (isOtherChannel || isOtherFilter || isOtherMinute) {
      this.#askAll();
    } else if (choices.swept !== before?.swept) {
      this.sweptPoller.restart();
    }
    if (choices.symbol !== before?.symbol) {
      this.map.map = undefined;
      this.line.showBeside(undefined);
      this.chart.live.forget();
    }
    this.chart.swept.isShown = choices.swept;
    this.chart.colourCandles(choices.scale);
    byId("swept", HTMLInputElement).checked = choices.swept;
    byId("map-shown", HTMLInputElement).checked = choices.map;
    this.map.setShown(choices.map && choices.past === undefined); // it is told of now alone
    if (choices.map && before?.map === false) this.clustersPoller.restart();
    this.colours.consider(this.chart.heatmap.texture.histogram, isOtherChannel || isOtherFilter);
    this.#repaint();
    this.#show();
  }

  /** Another minute is shown: nothing of the one before may stay. */
  #beElsewhere() {
    this.chart.swept.show([]);
    this.chart.live.forget();
    this.cursor.row = undefined;
    this.line.showBeside(undefined);
    this.#draw();
  }

  #askAll() {
    this.gridPoller.restart();
    this.mapPoller.restart();
    this.clustersPoller.restart();
    this.sweptPoller.restart();
  }

  /** @param {AbortSignal} signal */
  #askMap(signal) {
    const axes = this.replica?.axes;
    return axes !== undefined && this.state.choices.map && !this.past.isOn ? askMap(this.state.choices, axes, this.map.fold(axes), signal) : undefined;
  }

  /** @param {import("./liquidation_map.js").LiquidationMap} map */
  #takeMap(map) {
    this.map.map = map;
    this.map.draw();
    this.line.showBeside(map.beside);
  }

  /** @param {import("./clusters.js").Clusters} found */
  #takeClusters(found) {
    this.map.found = found;
    this.map.draw();
  }

  /** @param {import("./filtered_grid.js").FilteredGrid} grid */
  #takeFiltered(grid) {
    this.picture.filtered = grid;
    this.filterNote.take(grid);
    this.#showFilter();
    this.#draw();
  }

  /** @param {import("./stream/stream_state.js").FrameEffect} effect */
  #onFrame(effect) {
    const newest = this.stream.market.symbols.get(this.state.choices.symbol);
    if (newest !== undefined) {
      this.clockOffsetMs = msOf(newest.chunksEncodedUnixNs) - Date.now();
      this.pastBar.liveMinute = minuteOfNs(newest.sourceWatermarkUnixNs);
    }
    if (this.past.isOn) return; // it goes on behind what is shown
    if (newest !== undefined) {
      this.chart.live.note(priceOf(newest), minuteOfNs(newest.sourceWatermarkUnixNs), this.replica?.axes?.columnMinutes);
    }
    const replica = this.replica;
    if (replica?.inSync && effect.hasData) this.#draw();
    if (effect.joined) {
      this.#draw();
      this.#askAll();
    }
    this.cursor.refresh();
  }

  /** @param {import("./stream/stream_state.js").FrameEffect} effect */
  #onPastFrame(effect) {
    const shown = this.past.state.market.symbols.get(this.state.choices.symbol);
    this.chart.live.forget();
    if (shown !== undefined && shown.markPrice > 0n) this.chart.live.price = priceOf(shown);
    if (effect.hasData) this.#draw();
    this.cursor.refresh();
  }

  #onPastMoved() {
    const { past, state } = this;
    const isAtRest = past.isOn && !past.isPlaying && !past.isSought;
    if (isAtRest && state.choices.past !== past.wanted) state.set({ past: past.wanted });
    else if (isAtRest) this.sweptPoller.restart();
    else if (past.isPlaying) this.chart.swept.show([]);
    this.#draw();
    this.#show();
  }

  #draw() {
    const replica = this.replica;
    if (replica?.axes !== undefined && replica.inSync) this.chart.show(replica);
    this.chart.heatmap.levels = this.picture.take();
    this.chart.heatmap.invalidate();
  }

  /** A picture has been drawn. */
  #onDraw() {
    const { texture } = this.chart.heatmap;
    if (this.drawnKeyframes < 0) performance.mark("first picture");
    const isAnother = texture.keyframes !== this.drawnKeyframes || texture.levels !== this.drawnLevels;
    [this.drawnKeyframes, this.drawnLevels] = [texture.keyframes, texture.levels];
    if (this.colours.consider(texture.histogram, isAnother)) this.#repaint();
    this.map.draw();
  }

  drawnKeyframes = -1;
  /** @type {import("./view/texture.js").Levels | undefined} */
  drawnLevels = undefined;

  #repaint() {
    const brightness = this.colours.brightness();
    const { scale } = this.state.choices;
    const key = JSON.stringify([scale, brightness, this.isGrey]);
    if (key !== this.paletteFor) {
      this.paletteFor = key;
      this.chart.heatmap.palette = palette(scale, brightness, this.isGrey);
    }
    this.#draw();
    this.#showColours();
  }

  paletteFor = "";

  #showColours() {
    const axes = this.levels?.axes;
    const { fold } = this.chart.heatmap.texture;
    const height = axes === undefined ? 0 : axes.rowHeight * fold;
    const unit = axes === undefined ? "USD a cell" : `USD a row of ${formatPrice(height, decimalsOf(height))}`;
    this.colours.show(fold > 1 ? `about ${unit}` : unit, this.isGrey); // a sum of levels
  }

  #showStanding() {
    const standing = this.standing();
    const nowMs = Date.now();
    const isGood = standing.phase === "in sync";
    const { market } = this.shownState;
    const { symbol } = this.state.choices;
    const states = market.states(symbol);
    const silenceMs = this.connection.silenceMs();
    if (this.past.isOn) {
      this.banner.showPast(standing, this.past.minute === undefined ? "" : formatInstant((this.past.minute + 1) * 60_000 - 1));
    } else {
      if (isGood) this.inSyncMs = nowMs;
      this.banner.show({ standing, states, inSyncMs: this.inSyncMs, nowMs, silenceMs });
    }
    const isStale = states.includes("STALE");
    this.topBar.showPrice(this.chart.lastPrice, market.symbols.get(symbol), isGood && !isStale && !this.past.isOn);
    this.topBar.price.classList.toggle("then", this.past.isOn);
    const isLate = this.isAskedFor && this.filterNote.isLate();
    const isApart = this.past.isOn ? standing.phase === "failed" : !isGood && nowMs - (this.inSyncMs ?? 0) > GREY_AFTER_MS;
    const isGrey = isApart || isStale || isLate;
    if (isGrey !== this.isGrey) {
      this.isGrey = isGrey;
      this.#repaint();
    }
  }

  #showFilter() {
    this.filterNote.show(this.state.choices, this.isAskedFor ? this.connection.refusal : undefined);
  }

  /** Everything that changes with time alone. */
  #show() {
    const { choices } = this.state;
    this.#showStanding();
    this.topBar.show(this.instruments, TIMEFRAMES);
    this.pastBar.show();
    this.line.show(this.shownState, choices.symbol, Date.now() + this.clockOffsetMs);
    this.line.showConnection(this.connection, this.stream);
    this.filters.show(this.instruments);
    this.#showFilter();
    if (!document.hidden) this.picture.considerRows(this.chart.visiblePrices(), performance.now());
    this.#showColours();
    const lines = this.position.show(this.instruments, this.chart.lastPrice);
    const key = JSON.stringify(lines);
    if (key !== this.linesFor) {
      this.linesFor = key;
      this.chart.showLines(lines);
    }
    this.map.draw();
    this.cursor.refresh();
  }
}

/** @param {import("./protocol/liqscape/v1/stream_pb.js").SymbolChunk} chunk */
function priceOf({ markPrice, priceDecimals }) {
  return Number(markPrice) / 10 ** priceDecimals;
}

/** @param {bigint} ns since 1970 */
function minuteOfNs(ns) {
  return Math.floor(msOf(ns) / 60_000);
}

/** @param {import("./page_state.js").Choices} choices */
function filterOf({ venues, leverages, side }) {
  return { venues, leverages, side };
}

// What is drawn: the channel that shows what is chosen, now or at a minute of the past; or, where the server has no room for one of our own, the default
// channel, and of a filter the exact grid that is asked for now and then.

import { channelOf, isFiltered } from "./page_state.js";
import { RowFold } from "./row_fold.js";
import { isSmall, rowsInOne } from "./view/screen.js";

/** @typedef {import("./view/texture.js").Levels} Levels */

export class Picture {
  /**
   * @param {import("./page_state.js").PageState} state
   * @param {import("./stream/stream_state.js").StreamState} stream
   * @param {import("./stream/connection.js").Connection} connection
   * @param {import("./stream/past.js").Past} past
   */
  constructor(state, stream, connection, past) {
    this.state = state;
    this.stream = stream;
    this.connection = connection;
    this.past = past;
    this.rowFold = new RowFold(isSmall());
    /** The newest answer, of a filter that is not streamed. @type {import("./filtered_grid.js").FilteredGrid | undefined} */
    this.filtered = undefined;
    /** Drawn until the first levels of other rows, or of a stream in place of an answer, have come. @type {Levels | undefined} */
    this.kept = undefined;
  }

  /** The channel that is chosen, or the default one in its place; undefined while the server has not said that it is served. */
  get replica() {
    if (this.past.isOn) return this.past.replica;
    const [channel] = this.connection.channels;
    return channel && this.stream.channel(channel.symbol, channel.timeframe, channel);
  }

  /** Return whether a filter is chosen that the server does not stream. */
  get isAskedFor() {
    return isFiltered(this.state.choices) && this.connection.isSecondChoice && !this.past.isOn;
  }

  /** Return the levels that are drawn. */
  get levels() {
    const levels = this.isAskedFor ? this.filtered : this.replica;
    return levels?.axes === undefined ? this.kept : levels;
  }

  /** Return the levels that are drawn, and keep them for as long as there are no better ones. */
  take() {
    this.kept = this.levels;
    return this.kept;
  }

  /** Something else has been chosen: nothing of what was drawn has to do with it. */
  choose() {
    this.filtered = this.kept = undefined;
    this.#select();
  }

  /**
   * Go over to other rows where the zoom of a small screen has come to rest at others.
   * @param {{top: number, bottom: number, height: number} | undefined} view prices at the edges, and CSS pixels between
   * @param {number} nowMs
   */
  considerRows(view, nowMs) {
    const axes = this.replica?.axes;
    if (axes === undefined || view === undefined || this.past.isOn) return;
    const height = axes.rowHeight / (this.connection.channels[0].rowFold ?? 1);
    const rows = rowsInOne((height * view.height) / (view.top - view.bottom));
    if (this.rowFold.consider(rows, isSmall(), nowMs)) this.#select();
  }

  /** Return the base steps of a row of a grid that is asked for; undefined: those of the default channel. */
  rowSteps() {
    const axes = this.replica?.axes; // of the default channel
    return axes && this.rowFold.fold > 1 ? axes.baseStepsPerRow * this.rowFold.fold : undefined;
  }

  #select() {
    const wanted = channelOf(this.state.choices, this.rowFold.fold);
    const { symbol, timeframe } = wanted;
    const isDefault = wanted.positions === undefined && wanted.rowFold === undefined;
    this.connection.select([wanted], isDefault ? undefined : [{ symbol, timeframe }]);
  }
}

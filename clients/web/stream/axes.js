// Rows and columns of a channel, checked, in the user's units.

import { BadPayload } from "./bad_payload.js";
import { MAX_RING_CELLS } from "./decoding.js";

const MAX_COLUMN_MINUTES = 366 * 24 * 60;
const MAX_PRICE_DECIMALS = 18;
/** Minutes of two million years. */
const MAX_ABSOLUTE_COLUMN = 1n << 40n;
/** Price units. */
export const MAX_PRICE = 1n << 62n;

/** Axes of one generation. Row r, absolute, covers [r, r + 1) x rowHeight of the quote currency. */
export class GridAxes {
  /** @param {import("../protocol/liqscape/v1/stream_pb.js").Axes | undefined} message */
  constructor(message) {
    if (message === undefined) throw new BadPayload("a keyframe without axes");
    const { columnMinutes, columns, rows, baseStepsPerRow, baseStep, priceDecimals } = message;
    const height = baseStep * BigInt(baseStepsPerRow);
    const highest = (magnitude(message.firstRow) + BigInt(rows)) * height;
    if (columns * rows < 1 || columns * rows > MAX_RING_CELLS) throw new BadPayload(`a ring of ${columns * rows} cells`);
    if (columnMinutes < 1 || columnMinutes > MAX_COLUMN_MINUTES) throw new BadPayload("absurd column minutes");
    if (height < 1n || highest >= MAX_PRICE) throw new BadPayload("absurd rows");
    if (priceDecimals > MAX_PRICE_DECIMALS) throw new BadPayload("absurd decimals");
    this.columnMinutes = columnMinutes;
    this.columns = columns;
    this.rows = rows;
    this.firstRow = Number(message.firstRow);
    this.priceDecimals = priceDecimals;
    this.baseStepsPerRow = baseStepsPerRow;
    this.priceUnit = 10 ** priceDecimals;
    /** Quote currency. */
    this.rowHeight = Number(height) / this.priceUnit;
    this.rowHeightUnits = Number(height);
  }

  get cells() {
    return this.columns * this.rows;
  }

  /**
   * Return the lower edge of a row, counted from the lowest one.
   * @param {number} row
   */
  priceAt(row) {
    return ((this.firstRow + row) * this.rowHeightUnits) / this.priceUnit;
  }

  /**
   * Return the row a price lies in, counted from the lowest one; it may be outside.
   * @param {number} price
   */
  rowAt(price) {
    // Prices near an edge come from floating point: a price that prints as the edge belongs to the row above it.
    return Math.floor((price * this.priceUnit) / this.rowHeightUnits + 1e-9) - this.firstRow;
  }

  /**
   * Return the start of an absolute column, seconds since 1970.
   * @param {number} column
   */
  startSeconds(column) {
    return column * this.columnMinutes * 60;
  }
}

/**
 * Return a column as a number, or throw where its times would leave every calendar.
 * @param {bigint} column
 */
export function checkedColumn(column) {
  if (magnitude(column) > MAX_ABSOLUTE_COLUMN) throw new BadPayload(`column ${column} lies beyond any calendar`);
  return Number(column);
}

/** @param {bigint} value */
export function magnitude(value) {
  return value < 0n ? -value : value;
}

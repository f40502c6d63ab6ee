// lightweight-charts by path, with its types: the module that a browser loads has none beside it.

// @ts-ignore
import * as library from "../node_modules/lightweight-charts/dist/lightweight-charts.standalone.production.mjs";

/** @type {typeof import("lightweight-charts")} */
const typed = library;

export const { CandlestickSeries, ColorType, CrosshairMode, LineStyle, createChart } = typed;

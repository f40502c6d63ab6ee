// Values that the page shows: numbers as text, what an address says, colours, tables.

import assert from "node:assert/strict";
import { test } from "node:test";
import { bytesOf, wholeAt } from "../../clients/web/filtered_grid.js";
import { decimalsOf, formatAge, formatPrice, formatShare, formatUsd, plain } from "../../clients/web/format.js";
import { Instruments } from "../../clients/web/instruments.js";
import { clustersOf } from "../../clients/web/clusters.js";
import { besideOf, goneAt } from "../../clients/web/liquidation_map.js";
import { LivePrice } from "../../clients/web/live_price.js";
import { DEFAULTS, channelOf, fromHash, isFiltered, minuteOf, toHash } from "../../clients/web/page_state.js";
import { RowFold } from "../../clients/web/row_fold.js";
import { GridAxes } from "../../clients/web/stream/axes.js";
import { identityOf } from "../../clients/web/stream/channel_replica.js";
import { LEVEL_USD, levelOfUsd, levelStartUsd } from "../../clients/web/stream/levels.js";
import { coveredShare } from "../../clients/web/stream/market_state.js";
import { table } from "../../clients/web/view/saving.js";
import { autoBrightness, coloursOf, intensity, palette, usdAlong } from "../../clients/web/view/scales.js";

const AXES = { columnMinutes: 2, columns: 3, firstRow: 10n, rows: 4, baseStepsPerRow: 2, baseStep: 10n, priceDecimals: 1 };

test("amounts have three figures and a unit", () => {
  const texts = [0, 63.6, 999, 1000, 12_345, 999_600, 12_345_678, 1.5e9, 2e12].map(formatUsd);

  assert.deepEqual(texts, ["$0", "$64", "$999", "$1.00K", "$12.3K", "$1.00M", "$12.3M", "$1.50B", "$2.00T"]);
});

test("ages, shares and prices", () => {
  assert.deepEqual([40, 12_400, 200_000, 7_500_000].map(formatAge), ["0.0 s", "12 s", "3 min 20 s", "2 h 5 min"]);
  assert.deepEqual([1, 0.99961, 0.5, 0.1234, 0.001].map(formatShare), ["100 %", ">99.9 %", "50 %", "12.3 %", "0.1 %"]);
  assert.equal(formatPrice(93412.55, 1), "93,412.6");
  assert.deepEqual([40, 1, 0.5, 0.02, 0.0001].map(decimalsOf), [0, 0, 1, 2, 4]);
});

test("a market beside the map is told in a few words, and in all", () => {
  const market = {
    venue: "cme",
    symbol: "BTC",
    label: "CME, 2026-11-23, daily report, final",
    trade_date: "2026-11-23",
    open_interest_base: 143_949.6,
    covered_share: 0.375,
    warning: "little is explained",
    meaning: "for context\u202e",
  };
  const alone = { ...market, warning: "" };
  delete alone.covered_share;

  assert.equal(besideOf([]), undefined);
  assert.deepEqual(besideOf([market]), {
    text: "CME 2026-11-23: 143,950 BTC, 37.5 % of both covered",
    title: "CME, 2026-11-23, daily report, final; little is explained; for context ",
  });
  assert.deepEqual(besideOf([alone]), {
    text: "CME 2026-11-23: 143,950 BTC",
    title: "CME, 2026-11-23, daily report, final; for context ",
  });
});

test("choices name one channel, in whatever order they were made", () => {
  const chosen = { ...DEFAULTS, symbol: "BTC", timeframe: "1w" };
  const filtered = { ...chosen, venues: ["okx", "binance", "okx"], leverages: [100, 25], side: "short" };
  const positions = { venues: ["binance", "okx"], leverages: [25, 100], side: 2 };

  assert.deepEqual(channelOf(chosen, 1), { symbol: "BTC", timeframe: "1w" });
  assert.deepEqual(channelOf(chosen, 8), { symbol: "BTC", timeframe: "1w", rowFold: 8 });
  assert.deepEqual(channelOf(filtered, 1), { symbol: "BTC", timeframe: "1w", positions });
  const described = { channelId: 30, symbol: "BTC", timeframe: "1w", positions: { ...positions, leverageShares: [] }, rowFold: 4 };
  assert.equal(identityOf(channelOf(filtered, 4)), identityOf(described));
  assert.notEqual(identityOf(channelOf(filtered, 1)), identityOf(described));
});

test("rows are folded as a small screen needs, once its zoom has come to rest", () => {
  const fold = new RowFold(true);
  assert.equal(fold.fold, 4);

  assert.equal(fold.consider(4, true, 0), false);
  assert.equal(fold.consider(5, true, 1000), false);
  assert.equal(fold.consider(5, true, 1700), false);
  assert.equal(fold.consider(2, true, 1900), false); // still zooming
  assert.equal(fold.consider(2, true, 2600), false);
  assert.equal(fold.consider(2, true, 2700), true);
  assert.equal(fold.fold, 2);
  assert.equal(fold.consider(2, true, 9000), false);

  fold.consider(40, true, 10_000);
  assert.equal(fold.consider(40, true, 11_000), true);
  assert.equal(fold.fold, 16);
  fold.consider(40, false, 12_000); // turned on its side
  assert.equal(fold.consider(40, false, 13_000), true);
  assert.equal(fold.fold, 1);
  assert.equal(new RowFold(false).fold, 1);
});

test("the newest candle follows the price while its channel rests", () => {
  const live = new LivePrice();
  const told = { open: 10, high: 12, low: 9, close: 11 };
  for (const [price, minute] of [[50, 99], [13, 100], [8, 100], [10.5, 101]]) live.note(price, minute, 2);

  assert.deepEqual(live.candle(100, 2, told), { open: 10, high: 13, low: 8, close: 10.5 });
  assert.deepEqual(live.candle(98, 2, told), told);
  assert.deepEqual(live.candle(100, 5, told), told); // a column of another timeframe
  assert.deepEqual(live.candle(100, 2, undefined), { open: 13, high: 13, low: 8, close: 10.5 });
  assert.equal(live.candle(98, 2, undefined), undefined);

  live.note(7, 101, undefined);
  assert.deepEqual([live.price, live.candle(100, 2, told).low], [7, 8]);
  live.forget();
  assert.deepEqual([live.price, live.candle(100, 2, told)], [undefined, told]);
});

test("text of a server changes nothing around it", () => {
  assert.equal(plain("a\u0000b\u202ec\nd"), "a b c d");
});

test("an address holds every choice and gives it back", () => {
  const choices = {
    symbol: "ETH",
    timeframe: "1w",
    venues: ["binance", "okx"],
    leverages: [10, 125],
    side: "short",
    scale: "heat",
    spread: "linear",
    dim: 0,
    bright: 130,
    swept: false,
    map: false,
    position: { side: "long", leverage: 25, entry: 3100.5, instrument: "binance:ETHUSDT" },
    past: minuteOf("2026-11-26T14:20"),
  };

  assert.deepEqual(fromHash(toHash(choices)), choices);
  assert.deepEqual(fromHash(toHash({ ...DEFAULTS, symbol: "BTC" })), { ...DEFAULTS, symbol: "BTC" });
  assert.equal(toHash({ ...DEFAULTS, symbol: "BTC" }), "#symbol=BTC&timeframe=24h");
});

test("an address of nonsense is the default view", () => {
  const hash = "#symbol=%3Cscript%3E&timeframe=7m&venues=%00&leverages=x,-3&side=up&scale=pink&dim=900&position=long~0~x~&past=yesterday";

  assert.deepEqual(fromHash(hash), DEFAULTS);
  assert.equal(fromHash("#dim=90&bright=80").dim, undefined);
});

test("a filter is whatever narrows the picture down", () => {
  assert.equal(isFiltered(DEFAULTS), false);
  for (const part of [{ venues: ["okx"] }, { leverages: [10] }, { side: "long" }]) {
    assert.equal(isFiltered({ ...DEFAULTS, ...part }), true);
  }
});

test("every level stands for an amount within its bounds, and the bounds are its own", () => {
  for (let level = 0; level < 255; level++) {
    assert.equal(levelOfUsd(levelStartUsd(level)), level);
    assert.equal(levelOfUsd(levelStartUsd(level + 1) - 1), level);
    assert.equal(levelOfUsd(LEVEL_USD[level]), level);
  }
  assert.equal(levelOfUsd(2 ** 62), 255);
});

test("colours go from the first of a scale at the dimmest level to the last at the brightest", () => {
  const brightness = { dim: 40, bright: 80, spread: "log" };
  const colours = coloursOf("viridis", false);
  const bytes = new Uint8Array(palette("viridis", brightness, false).buffer);
  const colourOf = (level) => [...bytes.subarray(4 * level, 4 * level + 4)];

  for (const level of [0, 12, 40]) assert.deepEqual(colourOf(level), [...colours.subarray(0, 3), 255]);
  for (const level of [80, 255]) assert.deepEqual(colourOf(level), [...colours.subarray(-3), 255]);
  assert.equal(intensity(60, brightness), 0.5);
  const half = intensity(72, { ...brightness, spread: "linear" }); // half of the brightest amount
  assert.ok(Math.abs(half - 0.48) < 0.02, `${half}`);
});

test("a legend says where on the scale an amount is drawn", () => {
  for (const spread of ["log", "linear"]) {
    const brightness = { dim: 40, bright: 120, spread };
    for (const share of [0, 0.25, 0.5, 0.75, 1]) {
      const along = intensity(levelOfUsd(usdAlong(brightness, share)), brightness);
      assert.ok(Math.abs(along - share) < 0.05, `${spread} ${share}: ${along}`);
    }
  }
});

test("the brightness that is chosen leaves but the few largest cells above it", () => {
  const histogram = new Uint32Array(256);
  histogram.fill(1000, 30, 100);
  histogram[140] = 10;

  assert.deepEqual(autoBrightness(histogram, "log"), { dim: 59, bright: 99 });
  assert.deepEqual(autoBrightness(histogram, "linear"), { dim: 0, bright: 99 });
});

test("a table holds the cells in view that hold something", () => {
  const axes = new GridAxes(AXES);
  const ring = new Uint8Array(12);
  ring[0 * 4 + 1] = 5; // column 6, row 11: 22 to 24
  ring[1 * 4 + 2] = 85; // column 7, row 12: 24 to 26
  ring[2 * 4 + 3] = 9; // column 8, row 13: above what is seen
  const levels = { axes, ring, newestColumn: 8, keyframes: 1, stale: new Uint8Array(3) };

  const lines = table(levels, { first: 0, last: 99 }, { top: 25.9, bottom: 20 }, ["BTC 24h"]).trimEnd().split("\n");

  assert.deepEqual(lines, [
    "# BTC 24h",
    "column_start_utc,price_low,price_high,usd,usd_from,usd_below",
    "1970-01-01 00:12:00,22,24,349,320,384",
    "1970-01-01 00:14:00,24,26,441761,425984,458752",
  ]);
});

test("rows are half open: a price on an edge is of the row above", () => {
  const axes = new GridAxes({ ...AXES, baseStep: 1n, priceDecimals: 1 }); // rows of 0.2

  for (let row = 0; row < 4; row++) assert.equal(axes.rowAt(axes.priceAt(row)), row);
  assert.equal(axes.rowAt(2.599), 2);
});

test("64-bit cells are read little-endian", () => {
  const bytes = new Uint8Array(16);
  new DataView(bytes.buffer).setBigInt64(0, 12_345_678_901_234n, true);
  new DataView(bytes.buffer).setBigInt64(8, -2n, true);
  const view = bytesOf(Buffer.from(bytes).toString("base64"));

  assert.deepEqual([wholeAt(view, 0), wholeAt(view, 1)], [12_345_678_901_234, -2]);
});

test("what is gone by a price is of the side that the price runs through", () => {
  const map = { firstRow: 10, rows: 3, rowHeight: 10, price: 115, longCumulative: [9, 5, 1], shortCumulative: [0, 2, 7] };

  assert.deepEqual(goneAt(map, 104), { side: "longs", usd: 9 });
  assert.deepEqual(goneAt(map, 129), { side: "shorts", usd: 7 });
  assert.equal(goneAt(map, 99), undefined);
});

test("a position is liquidated where the rules of its instrument say", () => {
  const tiers = [{ leverage: 10, long_liquidation_ratio: 0.9036, short_liquidation_ratio: 1.0956 }];
  const instruments = new Instruments([{ instrument: "binance:BTCUSDT", venue: "binance", symbol: "BTC", tiers }]);
  const long = { side: "long", leverage: 10, entry: 65_000, instrument: "" };

  assert.equal(instruments.liquidation(long, "BTC").price, 65_000 * 0.9036);
  assert.equal(instruments.liquidation({ ...long, side: "short" }, "BTC").price, 65_000 * 1.0956);
  assert.equal(instruments.liquidation({ ...long, leverage: 50 }, "BTC"), undefined);
});

test("the covered share counts instruments in coins, whatever their lots", () => {
  const chunk = { liveShortLots: 0n, uncoveredLongLots: 0n, uncoveredShortLots: 0n };
  const coverage = [
    { ...chunk, lotDecimals: 2, liveLongLots: 300n },
    { ...chunk, lotDecimals: 0, liveLongLots: 0n, uncoveredLongLots: 1n },
  ];

  assert.equal(coveredShare(coverage), 0.75);
  assert.equal(coveredShare([]), undefined);
});

test("clusters of an answer are prices and amounts of a side", () => {
  const shared = { rank: 1, first_row: "950", lots: "1", price_low: 95_000, price_high: 95_400, peak_price: 95_250 };
  const answer = {
    clusters: [
      { ...shared, side: "POSITION_SIDE_LONG", usd: 2.5e8, isolated: true, stated_share: 0.25 },
      { ...shared, side: "POSITION_SIDE_SHORT", usd: 1e8, isolated: false, stated_share: 0 },
    ],
  };

  const [first, second] = clustersOf(answer);

  const prices = { rank: 1, low: 95_000, high: 95_400, peak: 95_250 };
  assert.deepEqual(first, { ...prices, side: "longs", usd: 2.5e8, isIsolated: true, statedShare: 0.25 });
  assert.deepEqual(second, { ...prices, side: "shorts", usd: 1e8, isIsolated: false, statedShare: 0 });
});

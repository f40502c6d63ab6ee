// node goldens.mjs FOLDER
//
// Reads every golden of the wire and prints, as JSON lines, what this client makes of it: {file, case, ...}. It judges
// nothing: the tests hold these lines against the goldens and against the Python client.

import { crc32 } from "node:zlib";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { BadPayload, Encoding, decodeDelta, decodeKeyframe, levelLowerBound, levelOfUsd, levelValue } from "./decoding.mjs";
import { ChannelReplica, StreamState } from "./replica.mjs";
import { decode, encode } from "./schema.mjs";

const [folder] = process.argv.slice(2);
const fromHex = (text) => new Uint8Array(Buffer.from(text, "hex"));
const toHex = (bytes) => Buffer.from(bytes).toString("hex");
const withBigInts = (_key, value) => (typeof value === "bigint" ? value.toString() : value);
const print = (line) => process.stdout.write(`${JSON.stringify(line, withBigInts)}\n`);

function held(replica) {
  return {
    channel: `${replica.symbol} ${replica.timeframe}`,
    tick: replica.tick,
    generation: replica.generation,
    newest_column: replica.newestColumn,
    ring: toHex(replica.ring),
    crc32: crc32(replica.ring),
    candles: Object.fromEntries(replica.candles),
  };
}

function readChunk(file, golden) {
  const chunk = decode("Chunk", fromHex(golden.chunk)).kind.value;
  const replica = new ChannelReplica({ channelId: 3, symbol: "BTC", timeframe: "24h" });
  if (golden.before !== undefined) {
    const { columns, rows } = golden.axes;
    Object.assign(replica, { why: "", generation: chunk.generation, tick: chunk.prevTick, axes: golden.axes });
    replica.ring = new Uint8Array(columns * rows);
    golden.before.cells.forEach((cell, index) => (replica.ring[cell] = golden.before.levels[index]));
  }
  print({ file, case: golden.what, outcome: replica.apply(chunk), checksums: replica.checksums, ...held(replica) });
}

function readRejected(file, cases) {
  for (const { why, encoding, columns, rows, payload } of cases) {
    const number = Encoding[encoding.replace("ENCODING_", "")];
    let reason = "";
    try {
      if (number === Encoding.TIME_DIFFERENCE_ZLIB) decodeKeyframe(number, fromHex(payload), columns, rows, 1000n);
      else decodeDelta(number, fromHex(payload), columns * rows, () => {});
    } catch (error) {
      if (!(error instanceof BadPayload)) throw error;
      reason = error.message;
    }
    print({ file, case: why, reason });
  }
}

function readStream(file, golden) {
  const state = new StreamState();
  for (const step of golden.steps) {
    if (step.connecting) state.connecting();
    const effect = state.apply(decode("Frame", fromHex(step.frame)));
    print({
      file,
      case: step.what,
      in_sync: state.outOfSync() === "",
      broken: effect.broken,
      resume: state.resumePoints(),
      reconnect_after_ms: effect.reconnectAfterMs ?? null,
      lagged: state.lagged,
      channels: Object.fromEntries(state.channels().map((replica) => [replica.channelId, held(replica)])),
    });
  }
}

function readLevels(file, golden) {
  const levels = [...Array(256).keys()];
  print({
    file,
    case: "scale",
    lower_bounds_usd: levels.map(levelLowerBound),
    values_usd: levels.map(levelValue),
    examples: golden.examples.map(({ usd }) => levelOfUsd(BigInt(usd))),
  });
}

function readMap(file, golden) {
  const wanted = { symbol: "BTC", leverages: [10, 20], baseStepsPerRow: 5, priceLow: 88_900, priceHigh: 89_250 };
  const parts = golden.parts.map((part) => decode("GetLiquidationMapResponse", fromHex(part)).part);
  const header = parts[0].value;
  const cells = parts.slice(1).flatMap(({ value }) => {
    const view = new DataView(value.cells.buffer, value.cells.byteOffset, value.cells.byteLength);
    const rows = header.axis.rows;
    return [...Array(value.series).keys()].map((series) =>
      [...Array(rows).keys()].map((row) => Number(view.getBigInt64(8 * (series * rows + row), true))),
    );
  });
  print({
    file,
    case: "map",
    request: toHex(encode("GetLiquidationMapRequest", { ...wanted, breakdown: [3], model: 1 })),
    epoch: header.epoch,
    tick: header.tick,
    price_row: header.priceRow,
    cells,
    long_cumulative: header.longCumulativeWeightedLots.map(Number),
    short_cumulative: header.shortCumulativeWeightedLots.map(Number),
    long_cumulative_usd: header.longCumulativeUsd,
    short_cumulative_usd: header.shortCumulativeUsd,
    usd_per_weighted_lot: header.usdPerWeightedLot,
  });
}

const READERS = { delta: readChunk, keyframe: readChunk, rejected: readRejected, stream: readStream };
Object.assign(READERS, { levels: readLevels, liquidation: readMap });

for (const name of readdirSync(folder).filter((name) => name.endsWith(".json")).sort()) {
  const reader = READERS[name.split(/[_.]/)[0]];
  if (reader === undefined) throw new Error(`nothing reads ${name}`);
  reader(name.replace(".json", ""), JSON.parse(readFileSync(join(folder, name), "utf-8")));
}

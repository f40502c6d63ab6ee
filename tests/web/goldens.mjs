// node goldens.mjs FOLDER
//
// Reads every golden of the wire and prints, as JSON lines, what the page's replica makes of it: {file, case, ...}, in
// the form of tests/node/goldens.mjs. It judges nothing: the tests hold these lines against the goldens.

import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { Encoding, ChunkSchema, FrameSchema } from "../../clients/web/protocol/liqscape/v1/stream_pb.js";
import { BadPayload } from "../../clients/web/stream/bad_payload.js";
import { ChannelReplica } from "../../clients/web/stream/channel_replica.js";
import { crc32 } from "../../clients/web/stream/crc32.js";
import { decodeDelta, decodeKeyframe } from "../../clients/web/stream/decoding.js";
import { GridAxes } from "../../clients/web/stream/axes.js";
import { LEVEL_USD, levelOfUsd, levelStartUsd } from "../../clients/web/stream/levels.js";
import { fromBinary } from "../../clients/web/stream/protobuf.js";
import { StreamState } from "../../clients/web/stream/stream_state.js";

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
    newest_column: String(replica.newestColumn),
    ring: toHex(replica.ring),
    crc32: crc32(replica.ring),
    candles: Object.fromEntries(replica.candles),
  };
}

async function readChunk(file, golden) {
  const chunk = fromBinary(ChunkSchema, fromHex(golden.chunk)).kind.value;
  const replica = new ChannelReplica({ channelId: 3, symbol: "BTC", timeframe: "24h" });
  if (golden.before !== undefined) {
    const { columns, rows } = golden.axes;
    // The sums of a ring that did not come by a keyframe; those of the columns that change are renewed.
    const ring = new Uint8Array(columns * rows);
    golden.before.cells.forEach((cell, index) => (ring[cell] = golden.before.levels[index]));
    const sums = Uint32Array.from({ length: columns }, (_, at) => crc32(ring, at * rows, (at + 1) * rows));
    const axes = Object.assign(Object.create(GridAxes.prototype), golden.axes);
    const stale = new Uint8Array(columns);
    Object.assign(replica, { why: "", generation: chunk.generation, tick: chunk.prevTick, axes, ring, sums, stale });
  }
  const outcome = await replica.apply(chunk);
  print({ file, case: golden.what, outcome, checksums: replica.checksums, ...held(replica) });
}

async function readRejected(file, cases) {
  for (const { why, encoding, columns, rows, payload } of cases) {
    const number = Encoding[encoding.replace("ENCODING_", "")];
    let reason = "";
    try {
      if (number === Encoding.TIME_DIFFERENCE_ZLIB) await decodeKeyframe(number, fromHex(payload), columns, rows, 1000);
      else await decodeDelta(number, fromHex(payload), columns * rows);
    } catch (error) {
      if (!(error instanceof BadPayload)) throw error;
      reason = error.message;
    }
    print({ file, case: why, reason });
  }
}

async function readStream(file, golden) {
  const state = new StreamState();
  for (const step of golden.steps) {
    if (step.connecting) state.connecting();
    const effect = await state.apply(fromBinary(FrameSchema, fromHex(step.frame)));
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
  print({
    file,
    case: "scale",
    lower_bounds_usd: [...LEVEL_USD.keys()].map(levelStartUsd),
    values_usd: [...LEVEL_USD],
    examples: golden.examples.map(({ usd }) => levelOfUsd(Number(usd))),
  });
}

const READERS = { delta: readChunk, keyframe: readChunk, rejected: readRejected, stream: readStream, levels: readLevels };

for (const name of readdirSync(folder).filter((name) => name.endsWith(".json")).sort()) {
  // Questions are asked as JSON, so the page never reads the bytes of a map.
  if (name === "liquidation_map.json") continue;
  const reader = READERS[name.split(/[_.]/)[0]];
  if (reader === undefined) throw new Error(`nothing reads ${name}`);
  await reader(name.replace(".json", ""), JSON.parse(readFileSync(join(folder, name), "utf-8")));
}

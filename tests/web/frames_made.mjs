// Frames of a small server: one source, channels of 3 columns x 4 rows.

import { deflateSync } from "node:zlib";
import { FrameSchema } from "../../clients/web/protocol/liqscape/v1/stream_pb.js";
import { crc32 } from "../../clients/web/stream/crc32.js";
import { checksumOf } from "../../clients/web/stream/decoding.js";
import { create, toBinary } from "../../clients/web/stream/protobuf.js";

export const COLUMNS = 3;
export const ROWS = 4;
export const HEARTBEAT_MS = 1000;
const NEWEST = 8; // column c at position c mod 3: columns 6, 7, 8 are in order

export const channel = (channelId, symbol, timeframe) => ({ channelId, sourceId: "engine-0", symbol, timeframe });
export const BTC = channel(7, "BTC", "24h");

/** Return the bytes of a frame. */
export function frame({ epoch = 5n, tick, chunks, sentMs = 0, ...control }) {
  const [[name, value] = []] = Object.entries(control);
  const section = { sourceId: "engine-0", epoch, tick, complete: true, chunks };
  return toBinary(
    FrameSchema,
    create(FrameSchema, {
      sections: chunks === undefined ? [] : [section],
      control: name === undefined ? { case: undefined } : { case: name, value },
      sentUnixNs: BigInt(sentMs) * 1_000_000n,
    }),
  );
}

export function hello({ resumed = false, epoch = 5n, channels = [BTC] } = {}) {
  const sources = [{ sourceId: "engine-0", epoch, tickMs: 250, states: [1], input: "made up" }];
  return frame({ hello: { heartbeatMs: HEARTBEAT_MS, sources, channels, resumed, maxInFlight: 2 } });
}

export const snapshotEnd = () => frame({ snapshotEnd: { keyframes: 1 } });
export const heartbeat = (tick) => frame({ heartbeat: { positions: [{ sourceId: "engine-0", epoch: 5n, tick }] } });

/** Return the chunk of a keyframe in which every cell has the same level. */
export function keyframe(tick, level = 9, { channelId = 7, checksum } = {}) {
  const column = new Uint8Array(ROWS).fill(level);
  const differences = new Uint8Array(COLUMNS * ROWS);
  differences.set(column);
  const sums = new Uint32Array(COLUMNS).fill(crc32(column));
  const axes = { columnMinutes: 2, columns: COLUMNS, firstRow: 10n, rows: ROWS, baseStepsPerRow: 2, baseStep: 10n };
  const value = {
    channelId,
    generation: 1,
    tick,
    kind: 1,
    axes,
    newestColumn: BigInt(NEWEST),
    encoding: 3,
    payload: new Uint8Array(deflateSync(differences)),
    checksum: checksum ?? checksumOf(NEWEST, sums),
  };
  return { kind: { case: "channel", value } };
}

/** Return the chunk of a delta that changes cell 1. */
export function delta(prevTick, tick, level, { channelId = 7 } = {}) {
  const payload = Uint8Array.of(2, 1, 1, level);
  const value = { channelId, generation: 1, prevTick, tick, kind: 2, newestColumn: BigInt(NEWEST), encoding: 1, payload };
  return { kind: { case: "channel", value } };
}

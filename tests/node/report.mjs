// What the clients say on stdout: one JSON line a message, 64-bit numbers as strings.

import { crc32 } from "node:zlib";

const withBigInts = (_key, value) => (typeof value === "bigint" ? value.toString() : value);

export const print = (line) => process.stdout.write(`${JSON.stringify(line, withBigInts)}\n`);

function described(replica) {
  return {
    channel: `${replica.symbol} ${replica.timeframe}${replica.rowFold > 1 ? `/${replica.rowFold}` : ""}`,
    tick: replica.tick,
    generation: replica.generation,
    newest_column: replica.newestColumn,
    crc32: crc32(replica.ring),
    candles: replica.candles.size,
    checksums: replica.checksums,
    why: replica.why,
  };
}

/** Return the line about a frame that has been applied. */
export function frameLine(state, frame, effect, more) {
  const why = effect.broken || state.outOfSync();
  return {
    event: "frame",
    control: frame.control.case ?? "",
    in_sync: why === "",
    why,
    resumed: state.resumed,
    lagged: state.lagged,
    counters: state.counters,
    resume: state.resumePoints(),
    // A frame that says something about the whole stream describes all of it.
    channels: (frame.control.case === undefined ? [...effect.changed] : state.channels()).map(described),
    ...more,
  };
}

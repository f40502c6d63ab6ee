"""How many bytes is a tick? Recorded weeks replayed, the last three days streamed: BTC and ETH, all nine timeframes.

    python -m benchmarks.bench_wire                         5-minute and 1-minute bars as ticks, stored
    python -m benchmarks.bench_wire --sets 5m --days 0.5    smaller, nothing stored

The past before those days is built first and is part of every grid. Then each bar is a tick, and the encoder's chunks
are measured as they would leave: deltas, keyframes sent in place of them, and the join keyframes that are kept for who
comes. A tick of minutes changes far more than one of 250 ms, and in short timeframes several columns enter at once, so
this is the wire at its worst.

Beside it, on some ticks spread evenly, the same grid as vendors send it: a JSON document with the prices of the rows,
the candles and every cell that is not empty as [column, row, value], plain and by gzip -6. Values are whole dollars;
once more with the level (0..255) for the value, which is the most that JSON can save. And, on every tick, JSON that has
learnt our trick: only the cells that changed, with levels, by gzip -6.

Everything encoded is decoded by the client's replicas: each checksum must hold (there is one in every chunk here), on
the ticks looked at the levels must be the engine's, and the engine's those of the dollars of a full recompute.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks import report
from liqscape.axes import TIMEFRAMES, last_minute_before
from liqscape.broadcast.encoder import StreamEncoder
from liqscape.broadcast.levels import LEVEL_LOWER_BOUNDS_USD
from liqscape.broadcast.ports import EncodedChunk, ShardDescription
from liqscape.clock import SystemClock
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.events import Event, TickEnd
from liqscape.feeds.history import HistorySource, recordings_folder
from liqscape.grid.shard import Shard
from liqscape.grid.updates import CandleColumns, Channel, ChannelAxes, ChannelUpdate
from liqscape.v1 import stream_pb2
from liqscape_client.replica import Replica

QUESTION: Final = "How many bytes is a tick of recorded market, beside the same grid as JSON?"
MANIFESTS: Final = {
    "5m": report.ROOT / "benchmarks" / "manifests" / "binance_usdm_5m_2025-12.toml",
    "1m": report.ROOT / "benchmarks" / "manifests" / "binance_usdm_1m_2025-05.toml",
}
SYMBOLS: Final = ("BTC", "ETH")
TICK_MINUTES: Final = {"5m": 5, "1m": 1}
MINUTES_PER_DAY: Final = 1440
DAYS: Final = 3.0
LOOKS: Final = 8
"""Ticks on which whole grids are written as JSON and compared; several seconds each."""

GZIP_LEVEL: Final = 6
WANTED_DELTA_BYTES: Final = 2048
WANTED_RATIO: Final = 50


@dataclass(slots=True)
class Sizes:
    """Bytes of one timeframe, both symbols.

    Attributes:
        ticks: of its channels, with or without a change.
        deltas, changed_json: by delta sent; the latter are the same cells as JSON, gzip.
        keyframes: sent in place of deltas, or kept for joins.
        sent: everything that left for a reader.
        json_plain, json_gzip, levels_gzip: of whole grids, by look.
    """

    ticks: int = 0
    deltas: list[int] = field(default_factory=list)
    changed_json: list[int] = field(default_factory=list)
    keyframes: list[int] = field(default_factory=list)
    sent: int = 0
    json_plain: list[int] = field(default_factory=list)
    json_gzip: list[int] = field(default_factory=list)
    levels_gzip: list[int] = field(default_factory=list)

    def summary(self, days: float) -> dict[str, float]:
        """Return the figures; bytes a day are of one channel, JSON's those of one document a tick."""
        delta = np.array(self.deltas)
        channels = len(SYMBOLS)
        return {
            "delta_median": float(np.median(delta)),
            "delta_p90": float(np.quantile(delta, 0.9, method="higher")),
            "delta_max": float(delta.max()),
            "delta_share_of_ticks": len(delta) / self.ticks,
            "keyframe_median": median(self.keyframes),
            "day": self.sent / days / channels,
            "json_median": median(self.json_plain),
            "json_gzip_median": median(self.json_gzip),
            "json_gzip_day": median(self.json_gzip) * self.ticks / days / channels,
            "levels_gzip_median": median(self.levels_gzip),
            "changed_json_gzip_median": median(self.changed_json),
            "changed_json_gzip_day": sum(self.changed_json) / days / channels,
            "gzip_over_delta": median(self.json_gzip) / float(np.median(delta)),
            "levels_gzip_over_delta": median(self.levels_gzip) / float(np.median(delta)),
            "changed_json_over_delta": median(self.changed_json) / float(np.median(delta)),
        }


class Measurement:
    """One recording, replayed."""

    def __init__(self, name: str, recordings: Path, days: float, looks: int) -> None:
        clock = SystemClock()
        self._source = HistorySource(MANIFESTS[name], recordings=recordings, clock=clock, speed=None, symbols=SYMBOLS)
        about = self._source.description
        self._shard = Shard(about.instruments, NumpyBackend(), clock.now_ns, with_open_only=False)
        tick_ms = TICK_MINUTES[name] * 60_000
        self._encoder = StreamEncoder(
            ShardDescription("wire", 1, tick_ms, False, True, about.name, self._shard.channels), clock.now_ns
        )
        self._ticks = round(days * MINUTES_PER_DAY / TICK_MINUTES[name])
        self._look_every = max(1, self._ticks // looks)
        self._replicas = {c.channel_id: Replica(c.symbol, c.timeframe.name, c.channel_id) for c in self._shard.channels}
        self.sizes = {frame.name: Sizes() for frame in TIMEFRAMES}
        self.other_bytes = 0  # chunks of symbols and venues
        self.looks = 0
        self.wrong: list[str] = []

    def run(self) -> None:
        """Build the past, then measure each tick."""
        number = 0
        for event in self._events():
            output = self._shard.accept(event)
            if output is None:
                continue
            number += 1
            record = self._encoder.encode(output)
            self.other_bytes += sum(map(len, (*record.symbols.values(), *record.venues.values())))
            for sizes in self.sizes.values():
                sizes.ticks += len(self._shard.symbols)
            for update, chunk in zip(output.channels, record.channels, strict=True):
                self._take(update, chunk)
            for keyframe in record.keyframes:
                self._sizes(keyframe.channel_id).keyframes.append(len(keyframe.data))
            if number % self._look_every == 0:
                self._look()

    def _events(self) -> Iterator[Event]:
        """Yield the recording; only the last ticks are rendered."""
        first = self._source.progress().total - self._ticks
        number = 0
        for event in self._source.iterate():
            if isinstance(event, TickEnd):
                number += 1
                yield TickEnd(event.time_ns, render=number > first)
            else:
                yield event

    def _sizes(self, channel_id: int) -> Sizes:
        return self.sizes[self._shard.channels[channel_id - 1].timeframe.name]

    def _take(self, update: ChannelUpdate, chunk: EncodedChunk) -> None:
        sizes = self._sizes(chunk.channel_id)
        sizes.sent += len(chunk.data)
        if chunk.keyframe:
            sizes.keyframes.append(len(chunk.data))
        else:
            sizes.deltas.append(len(chunk.data))
            sizes.changed_json.append(len(squeezed(changed_document(update, self._rows(chunk.channel_id)))))
        (parsed,) = stream_pb2.Section.FromString(chunk.data).chunks
        outcome = self._replicas[chunk.channel_id].apply(parsed.channel)
        if outcome.breaks or not parsed.channel.HasField("checksum"):
            self.wrong.append(f"chunk at tick {chunk.tick} of channel {chunk.channel_id}: {outcome.value}")

    def _rows(self, channel_id: int) -> int:
        return self._axes(self._shard.channels[channel_id - 1]).rows.count

    def _axes(self, channel: Channel) -> ChannelAxes:
        found = self._shard.engine(channel.symbol).axes(channel.channel_id)
        assert found is not None  # it has sent an update
        return found[1]

    def _look(self) -> None:
        """Write every grid as JSON; compare what clients hold with the engine, and the engine with a full recompute."""
        self.looks += 1
        for channel in self._shard.channels:
            engine, axes, sizes = (
                self._shard.engine(channel.symbol),
                self._axes(channel),
                self._sizes(channel.channel_id),
            )
            newest = engine.newest_column(channel.channel_id)
            levels = np.roll(engine.levels(channel.channel_id), -((newest + 1) % channel.timeframe.columns), axis=0)
            minute = last_minute_before(self._shard.end_ns)
            lots = engine.project(engine.capture(), channel.timeframe, minute, axes.rows, newest_column=newest)
            dollars = lots.astype(np.float64) * np.array(axes.scale.usd_per_weighted_lot(axes.rows), np.float64)
            where = f"{channel.symbol} {channel.timeframe.name} at tick {self._shard.tick}"
            if not np.array_equal(self._replicas[channel.channel_id].levels(), levels):
                self.wrong.append(f"{where}: a client's levels are not the engine's")
            if not np.array_equal(levels_of(dollars), levels):
                self.wrong.append(f"{where}: the engine's levels are not those of its dollars")
            candles = engine.candles(channel.channel_id, newest)
            prices = row_prices(axes)
            plain = grid_document(levels, np.floor(dollars).astype(np.int64), prices, candles)
            sizes.json_plain.append(len(plain))
            sizes.json_gzip.append(len(squeezed(plain)))
            sizes.levels_gzip.append(len(squeezed(grid_document(levels, levels, prices, candles))))


def levels_of(dollars: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return the level of each amount, by the table of lower bounds."""
    above = np.searchsorted(LEVEL_LOWER_BOUNDS_USD, dollars.reshape(-1), side="right")
    return (above - 1).astype(np.uint8).reshape(dollars.shape)


def row_prices(axes: ChannelAxes) -> list[float]:
    """Return the lower price of each row."""
    unit = axes.scale.base_step * axes.rows.multiple / 10**axes.scale.price_decimals
    return [round((axes.rows.first + row) * unit, 6) for row in range(axes.rows.count)]


def grid_document(
    levels: NDArray[np.uint8], values: NDArray[Any], prices: Sequence[float], candles: CandleColumns
) -> bytes:
    """Return a whole grid as JSON: [column, row, value] of each cell that is not empty."""
    columns, rows = np.nonzero(levels)
    return _document(columns, rows, values[columns, rows], candles, {"y_axis": list(prices)})


def changed_document(update: ChannelUpdate, row_count: int) -> bytes:
    """Return the cells of a delta as JSON: [column, row, level]; columns by position in the ring."""
    columns, rows = np.divmod(update.cells.astype(np.int64), row_count)
    return _document(columns, rows, update.levels, update.candles, {})


def squeezed(document: bytes) -> bytes:
    """Return a document as HTTP would carry it."""
    return gzip.compress(document, GZIP_LEVEL, mtime=0)


def _document(
    columns: NDArray[Any], rows: NDArray[Any], values: NDArray[Any], candles: CandleColumns, head: dict[str, Any]
) -> bytes:
    prices = np.stack((candles.column, candles.open, candles.high, candles.low, candles.close), axis=1)
    cells = np.stack((columns, rows, values.astype(np.int64)), axis=1)
    return json.dumps({**head, "cells": cells.tolist(), "candles": prices.tolist()}, separators=(",", ":")).encode()


def spread_of(deltas: Sequence[int]) -> str:
    """Say median, p90 and maximum of some sizes."""
    p50, p90, most = np.quantile(deltas, [0.5, 0.9, 1.0], method="higher").tolist()
    return f"{_size(p50)} / {_size(p90)} / {_size(most)}"


def figures_of(
    name: str, summaries: dict[str, dict[str, float]], deltas: Sequence[int], other_day: float
) -> dict[str, str]:
    """Return what a reader should see of one recording.

    Args:
        name: of the set.
        summaries: by timeframe.
        deltas: bytes of each, all channels together.
        other_day: bytes a symbol and day of chunks that are of no channel.
    """
    figures = {f"{name} ticks, any channel": f"delta {spread_of(deltas)}"}
    for frame, s in summaries.items():
        figures[f"{name} ticks, {frame}"] = (
            f"delta {_size(s['delta_median'])} / {_size(s['delta_p90'])} / {_size(s['delta_max'])},"
            f" keyframe {_size(s['keyframe_median'])}, {_size(s['day'])} a day;"
            f" JSON {_size(s['json_median'])}, gzip {_size(s['json_gzip_median'])} (x {s['gzip_over_delta']:,.0f}),"
            f" with levels {_size(s['levels_gzip_median'])} (x {s['levels_gzip_over_delta']:,.0f});"
            f" changed cells {_size(s['changed_json_gzip_median'])} (x {s['changed_json_over_delta']:.1f})"
        )
    ours, vendor, learnt = (
        sum(s[key] for s in summaries.values()) for key in ("day", "json_gzip_day", "changed_json_gzip_day")
    )
    figures[f"{name} ticks, a symbol a day"] = (
        f"{_size(ours + other_day)}; JSON gzip {_size(vendor)} (x {vendor / (ours + other_day):,.0f}), changed cells"
        f" {_size(learnt)} (x {learnt / (ours + other_day):.1f})"
    )
    return figures


def shortfalls(name: str, summaries: dict[str, dict[str, float]]) -> list[str]:
    """Return what was wanted and is not so."""
    found = []
    for frame, s in summaries.items():
        if s["delta_median"] > WANTED_DELTA_BYTES:
            found.append(f"{name} {frame} delta {_size(s['delta_median'])}")
        if s["gzip_over_delta"] < WANTED_RATIO:
            found.append(f"{name} {frame} x {s['gzip_over_delta']:.0f}")
    return found


def _size(count: float) -> str:
    """Say bytes in three digits or so, decimal units."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if count >= scale:
            return f"{count / scale:.{1 if count < 10 * scale else 0}f} {unit}"
    return f"{count:.0f} B"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and store; the status is 1 when something decoded is not what was encoded."""
    parser = argparse.ArgumentParser(description=QUESTION)
    parser.add_argument("--sets", nargs="+", choices=tuple(MANIFESTS), default=list(MANIFESTS), help="which ticks")
    parser.add_argument("--days", type=float, default=DAYS, help=f"that are streamed (default {DAYS:g})")
    parser.add_argument("--looks", type=int, default=LOOKS, help=f"ticks with whole grids as JSON (default {LOOKS})")
    parser.add_argument("--recordings", type=Path, default=recordings_folder(), help="the folder above market/")
    options = parser.parse_args(arguments)
    if options.looks < 1 or options.days * MINUTES_PER_DAY < options.looks * max(TICK_MINUTES.values()):
        parser.error("looks are 1 or more, and no more than there are ticks")
    figures: dict[str, str] = {}
    result: dict[str, Any] = {"days": options.days}
    missing, wrong = [], []
    for name in options.sets:
        measured = Measurement(name, options.recordings, options.days, options.looks)
        measured.run()
        summaries = {frame: sizes.summary(options.days) for frame, sizes in measured.sizes.items()}
        deltas = [size for sizes in measured.sizes.values() for size in sizes.deltas]
        shown = figures_of(name, summaries, deltas, measured.other_bytes / options.days / len(SYMBOLS))
        print("\n".join(f"  {measure:24s} {value}" for measure, value in shown.items()), flush=True)
        figures |= shown
        missing += shortfalls(name, summaries)
        wrong += measured.wrong
        result[name] = {"timeframes": summaries, "looks": measured.looks, "other_bytes": measured.other_bytes}
    figures["wanted and not reached: median delta 2 KB, 50 x under gzip JSON"] = "; ".join(missing) or "nothing"
    print(f"  wanted and not reached: {'; '.join(missing) or 'nothing'}")
    if wrong:
        print("\n".join(wrong[:10]), file=sys.stderr)
        return 1
    if (options.sets, options.days, options.looks) == (list(MANIFESTS), DAYS, LOOKS):
        report.store("wire", QUESTION, figures, result)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What does a viewport save? Tiles of 128 rows beside the whole channel, in the same ticks of a recorded market.

    python -m benchmarks.bench_tiles                      a day of 1-minute bars, stored
    python -m benchmarks.bench_tiles --days 0.1           smaller, nothing stored

As in bench_wire each bar is a tick, and the past before is built first. Three channels of BTC are encoded as for the
wire, and beside each all the tiles that cover its grid. Every chunk is applied by the client's replicas, in which each
checksum must hold, and at the end the tiles put side by side must be the whole channel. The tile of the price is the
busiest: it is where positions open and are swept.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks import report
from benchmarks.bench_wire import MANIFESTS, MINUTES_PER_DAY
from liqscape.axes import RowRange
from liqscape.broadcast.encoder import StreamEncoder
from liqscape.broadcast.ports import EncodedChunk, ShardDescription
from liqscape.clock import SystemClock
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.events import Event, TickEnd
from liqscape.feeds.history import HistorySource, recordings_folder
from liqscape.grid.channel_specs import ChannelSpec, tile_of
from liqscape.grid.shard import Shard
from liqscape.v1 import stream_pb2
from liqscape_client.replica import Outcome, Replica

QUESTION: Final = "How many bytes is a tile of 128 rows, beside the whole channel in the same ticks?"
SYMBOL: Final = "BTC"
FRAMES: Final = ("24h", "1w", "1m")
RECORDING: Final = "1m"
DAYS: Final = 1.0


@dataclass(slots=True)
class Track:
    """One channel: what was sent of it, and what a reader holds."""

    replica: Replica
    deltas: list[int] = field(default_factory=list)
    keyframes: list[int] = field(default_factory=list)

    def take(self, chunk: EncodedChunk) -> None:
        """Count a chunk and apply it."""
        (self.keyframes if chunk.keyframe else self.deltas).append(len(chunk.data))
        (parsed,) = stream_pb2.Section.FromString(chunk.data).chunks
        outcome = self.replica.apply(parsed.channel)
        if outcome is not Outcome.APPLIED:
            raise RuntimeError(f"channel {chunk.channel_id} at tick {chunk.tick}: {self.replica.reason}")


@dataclass(slots=True)
class Run:
    """The channels of a run: the whole ones by timeframe, their tiles by timeframe and number."""

    whole: dict[str, Track]
    tiles: dict[str, dict[int, Track]]
    price_tile: dict[str, int] = field(default_factory=dict)

    def check(self) -> None:
        """Raise if tiles put side by side are not the whole channel."""
        for name, track in self.whole.items():
            whole = track.replica.heatmap()
            tiles = [self.tiles[name][number].replica.heatmap() for number in sorted(self.tiles[name])]
            low = whole.axes.first_row - tiles[0].axes.first_row
            side_by_side = np.concatenate([tile.levels for tile in tiles], axis=1)
            if not np.array_equal(side_by_side[:, low : low + whole.axes.rows], whole.levels):
                raise RuntimeError(f"the tiles of {name} are not its rows")


def measure(recordings: Path, ticks: int) -> Run:
    """Replay the recording, and encode its last ticks."""
    clock = SystemClock()
    source = HistorySource(MANIFESTS[RECORDING], recordings=recordings, clock=clock, speed=None, symbols=(SYMBOL,))
    shard = Shard(source.description.instruments, NumpyBackend(), clock.now_ns, with_open_only=False)
    description = ShardDescription("tiles", 1, 60_000, False, True, source.description.name, shard.channels)
    encoder = StreamEncoder(description, clock.now_ns)
    by_id: dict[int, Track] = {}
    run = Run({}, {name: {} for name in FRAMES})
    for event in rendered(source, ticks + 1):
        output = shard.accept(event)
        if output is None:
            continue
        if not by_id:
            _begin(shard, run, by_id)
        for chunk in encoder.encode(output).channels:
            if chunk.channel_id in by_id:
                by_id[chunk.channel_id].take(chunk)
    run.check()
    engine = shard.engine(SYMBOL)
    mark_price = shard.view()[SYMBOL].mark_price
    for name in FRAMES:
        run.price_tile[name] = tile_of(engine.scale.base_row(mark_price) // _rows_of(shard, name).multiple)
    return run


def rendered(source: HistorySource, last: int) -> Iterator[Event]:
    """Yield a recording of which only the last ticks ask for grids."""
    first, number = source.progress().total - last, 0
    for event in source.iterate():
        if isinstance(event, TickEnd):
            number += 1
            yield TickEnd(event.time_ns, render=number > first)
        else:
            yield event


def _rows_of(shard: Shard, name: str) -> RowRange:
    return shard.view()[SYMBOL].channels[name].axes.rows


def _begin(shard: Shard, run: Run, by_id: dict[int, Track]) -> None:
    """Follow each whole channel from its first chunk on, and all of its tiles from the next tick on."""
    for channel in shard.channels:
        name = channel.timeframe.name
        if name not in FRAMES:
            continue
        run.whole[name] = by_id[channel.channel_id] = Track(Replica(SYMBOL, name, channel.channel_id))
        rows = _rows_of(shard, name)
        for number in range(tile_of(rows.first), tile_of(rows.first + rows.count - 1) + 1):
            tile = shard.on_demand.open(ChannelSpec(SYMBOL, name, None, number))
            run.tiles[name][number] = by_id[tile.channel_id] = Track(Replica(SYMBOL, name, tile.channel_id))


def summary(run: Run, ticks: int) -> dict[str, dict[str, float]]:
    """Return the figures by timeframe; bytes of a tick are those of deltas, on average over all ticks."""
    found = {}
    for name, whole in run.whole.items():
        tiles = run.tiles[name]
        busiest, others = tiles[run.price_tile[name]], [t for n, t in tiles.items() if n != run.price_tile[name]]
        found[name] = {
            "rows": whole.replica.heatmap().axes.rows,
            "tiles": len(tiles),
            "whole_delta_median": float(np.median(whole.deltas)),
            "whole_tick": sum(whole.deltas) / ticks,
            "price_tile_delta_median": float(np.median(busiest.deltas)),
            "price_tile_tick": sum(busiest.deltas) / ticks,
            "price_tile_share_of_ticks": len(busiest.deltas) / ticks,
            "other_tile_delta_median": float(np.median(np.concatenate([t.deltas for t in others]))),
            "other_tile_tick": sum(sum(t.deltas) for t in others) / len(others) / ticks,
            "other_tile_share_of_ticks": sum(len(t.deltas) for t in others) / len(others) / ticks,
            "all_tiles_tick": sum(sum(t.deltas) for t in tiles.values()) / ticks,
            "whole_keyframe": float(np.median(whole.keyframes)),
            "tile_keyframe": float(np.median([t.keyframes[0] for t in tiles.values()])),
        }
    return found


def figures(found: dict[str, dict[str, float]]) -> dict[str, str]:
    """Return what a reader should see."""
    return {
        f"{name}: whole / tile of the price / another tile": (
            f"median delta {f['whole_delta_median']:,.0f} / {f['price_tile_delta_median']:,.0f} /"
            f" {f['other_tile_delta_median']:,.0f} B; a tick {f['whole_tick']:,.0f} / {f['price_tile_tick']:,.0f} /"
            f" {f['other_tile_tick']:,.0f} B"
        )
        for name, f in found.items()
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description=QUESTION)
    parser.add_argument("--days", type=float, default=DAYS, help="of ticks; another number is not stored")
    parser.add_argument("--recordings", type=Path, default=recordings_folder(), help="the folder above market/")
    options = parser.parse_args(arguments)
    ticks = round(options.days * MINUTES_PER_DAY)
    found = summary(measure(options.recordings, ticks), ticks)
    for name, text in figures(found).items():
        print(f"{name}: {text}")
    if options.days == DAYS:
        report.store("tiles", QUESTION, figures(found), {"ticks": ticks, "tick_minutes": 1, "channels": found})
    return 0


if __name__ == "__main__":
    sys.exit(main())

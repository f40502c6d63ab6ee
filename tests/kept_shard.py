"""A small shard with journal and snapshots, for tests of its keeper: time is what the test says, maintenance too."""

from __future__ import annotations

import time
from itertools import islice
from pathlib import Path

from liqscape.device.backend import Backend
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.events import Event
from liqscape.grid.shard import Shard, TickObserver
from liqscape.grid.updates import TickOutput
from liqscape.journal.data_folder import DataFolder
from liqscape.journal.sqlite_store import Connect, connect_plainly
from liqscape.keeper import Keeper
from tests.crash.small_market import INSTRUMENTS, small_market
from tests.equal_shards import Stream
from tests.property.made_up_days import short_frames


def market_ticks(count: int, seed: int = 1) -> list[list[Event]]:
    """Return the first ticks of a small market."""
    return list(islice(small_market(seed), count))


def new_shard(on_closed: TickObserver | None = None, backend: Backend | None = None) -> Shard:
    """Return a shard of the small market that has taken nothing; of its channels one rolls in a tick, others wait."""
    with short_frames():
        return Shard(INSTRUMENTS, backend or NumpyBackend(), lambda: 0, rolls_per_tick=1, on_closed=on_closed)


def rendered_after(ticks: list[list[Event]], number: int) -> int:
    """Return the number of the first tick from this one on that is rendered."""
    return next(n for n in range(number, len(ticks)) if getattr(ticks[n - 1][-1], "render", False))


class KeptShard:
    """A shard, its keeper, and the stream of one who joined at its start.

    Args:
        folder: of its data.
        snapshot_seconds: see Keeper; none by default.
        connect: see DataFolder.

    Attributes:
        now: seconds, as the keeper sees them.
    """

    def __init__(
        self,
        folder: Path,
        snapshot_seconds: float = 1e9,
        sync: str = "second",
        connect: Connect = connect_plainly,
    ) -> None:
        self.now = 0.0
        self.folder = DataFolder(folder, connect=connect)
        self.keeper = Keeper(
            self.folder, {"made": "up"}, sync, snapshot_seconds, maintain_seconds=1e6, monotonic=lambda: self.now
        )
        self.shard = new_shard(self.keeper.record)
        self.first = self.keeper.restore(self.shard, lambda text: None)

    def take(self, ticks: list[list[Event]], until: int) -> None:
        """Take the ticks up to a number, as an engine does."""
        for tick in ticks[self.shard.tick : until]:
            output: TickOutput | None = None
            for event in tick:
                output = self.shard.accept(event)
            if output is not None:
                self.keeper.after_tick(self.shard)

    def let_snapshots_end(self) -> None:
        """Wait for the snapshot that is being written, and let the keeper take it over."""
        deadline = time.monotonic() + 30
        while self.keeper.is_snapshotting:
            assert time.monotonic() < deadline
            time.sleep(0.001)
            self.keeper.after_tick(self.shard)

    def stop(self) -> None:
        """End it in good order."""
        self.keeper.stop()


def reference(ticks: list[list[Event]], until: int) -> Shard:
    """Return a shard that took the ticks up to a number and never ended."""
    shard = new_shard()
    for tick in ticks[:until]:
        for event in tick:
            shard.accept(event)
    return shard


def sends_the_same(one: Shard, other: Shard, ticks: list[list[Event]]) -> bool:
    """Return whether two shards send the same to who joins now, from here to the end of the ticks."""
    streams = [(shard, Stream(shard)) for shard in (one, other)]
    sent = [[stream.send(shard.restate())] for shard, stream in streams]
    for tick in ticks[one.tick :]:
        for (shard, stream), mine in zip(streams, sent, strict=True):
            mine += [stream.send(shard.accept(event)) for event in tick]
    return sent[0] == sent[1]

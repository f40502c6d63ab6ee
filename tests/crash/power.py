"""Loses power at random operations of a disk and looks what a server finds when it is back.

    python -m tests.crash.power --losses 30

A small shard runs with journal and snapshots on a LossyDisk, in this process; maintenance and compaction happen between
ticks, so that a seed says everything. Power is lost before one of the operations of the disk: a write, a sync, a name
that comes or goes. What is left becomes the folder of the next life. Each start must be what a shard that never ended
was at the same tick, and by the policy of its journal

    tick     has every tick that was committed, and finds nothing damaged
    second   has every tick that was committed before the last maintenance had begun; what it lacks of those after
             it, it says, unless the witness was lost as well
    off      says so where what it finds is damaged
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from liqscape.errors import ConfigError, LiqscapeError
from liqscape.events import Event
from liqscape.grid.shard import Shard
from liqscape.journal.data_folder import DataFolder
from liqscape.journal.sqlite_store import SYNC_POLICIES, SqliteJournal
from liqscape.journal_command import compact
from tests.crash.lossy_disk import LossyDisk, PowerLoss
from tests.crash.lossy_sqlite import connecting
from tests.crash.small_market import small_market
from tests.equal_shards import fingerprint
from tests.kept_shard import KeptShard, new_shard

TICKS: Final = 70
"""Of a market; a case that has seen all of them begins with another one."""

LIFE_TICKS: Final = 40
SNAPSHOT_TICKS: Final = 6
MAINTAINED_SHARE: Final = 0.3
"""Of ticks after which maintenance is done."""

COMPACTED_SHARE: Final = 0.4
"""Of lives that begin with a compaction."""

OPERATIONS: Final = {"tick": 130, "second": 90, "off": 90}
"""Of a life on the disk, about; power is lost within them or when they are over."""


class Lost(Exception):
    """A start was not what it had to be."""


class Market:
    """Ticks, and what a shard that never ends is after each of them, as far as somebody has asked."""

    def __init__(self, seed: int) -> None:
        market = small_market(seed)
        self.ticks: list[list[Event]] = [next(market) for _ in range(TICKS)]
        self._shard: Shard = new_shard()
        self._states = [fingerprint(self._shard)]

    def state(self, tick: int) -> str:
        """Return the fingerprint after so many ticks."""
        while len(self._states) <= tick:
            for event in self.ticks[self._shard.tick]:
                self._shard.accept(event)
            self._states.append(fingerprint(self._shard))
        return self._states[tick]


@dataclass
class Found:
    """What was done; lives by what they were about when power was lost."""

    moments: Counter[str] = field(default_factory=Counter)
    committed: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    damaged: Counter[str] = field(default_factory=Counter)


class Case:
    """One folder, from life to life.

    Args:
        top: empty.
        market: what is lived.
        sync: policy of its journal.
        random: decides everything.
    """

    def __init__(self, top: Path, market: Market, sync: str, random: Random) -> None:
        self._top = top
        self._market = market
        self._sync = sync
        self._random = random
        self._number = 0
        self._folder = top / "0"
        self._folder.mkdir()
        self._owed = self._committed = 0
        self.about = ""
        self.is_over = False

    def live(self, found: Found) -> None:
        """Let a life be lived, lose power, and judge the next start.

        Raises:
            Lost: it is not what it had to be.
        """
        disk = LossyDisk(self._folder, self._random.randrange(OPERATIONS[self._sync]))
        dead: list[KeptShard] = []
        with disk.in_place():
            with contextlib.suppress(PowerLoss):
                self._run(disk, dead)
            disk.lose_power()
        found.moments[self.about] += 1
        found.committed += self._committed
        self._number += 1
        after = self._top / str(self._number)
        disk.left(self._random, after)
        _bury(dead)
        self._folder = after
        self._judge(found)

    def _run(self, disk: LossyDisk, dead: list[KeptShard]) -> None:
        connect = connecting(disk)
        if self._random.random() < COMPACTED_SHARE and (self._folder / "data" / "journal.sqlite").exists():
            self.about = "compaction"
            self._compact(connect)
        self.about = "start"
        kept = KeptShard.__new__(KeptShard)
        dead.append(kept)
        kept.__init__(self._folder / "data", SNAPSHOT_TICKS, self._sync, connect)  # type: ignore[misc]
        self._committed = max(self._committed, kept.keeper.committed_tick)
        last = min(TICKS, kept.shard.tick + self._random.randint(1, LIFE_TICKS))
        while kept.shard.tick < last:
            self.about = "ticks"
            kept.now = kept.shard.tick
            try:
                kept.take(self._market.ticks, kept.shard.tick + 1)
            finally:
                self._committed = kept.keeper.committed_tick
            if self._sync == "tick":
                self._owed = self._committed
            if kept.keeper.is_snapshotting:
                self.about = "snapshot"
                kept.let_snapshots_end()
            if self._random.random() < MAINTAINED_SHARE:
                self.about = "maintenance"
                kept.keeper.maintain()
                if self._sync != "off" and kept.keeper.counters["journal_failures"]:
                    raise Lost(f"{self._sync}: the journal has failed: {kept.keeper.message}")
                if self._sync == "second":
                    self._owed = self._committed
        self.about = "nothing"
        self.is_over = last == TICKS

    def _compact(self, connect: object) -> None:
        folder = DataFolder(self._folder / "data", connect=connect)  # type: ignore[arg-type]
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                compact(folder)
        finally:
            folder.close()

    def _judge(self, found: Found) -> None:
        where = f"{self._sync}, power lost in {self.about}, life {self._number}"
        try:
            again = KeptShard(self._folder / "data", 1e9, self._sync)
        except ConfigError as error:
            raise Lost(f"{where}: the next start is refused: {error}") from error
        try:
            tick, counters = again.shard.tick, again.keeper.counters
            if fingerprint(again.shard) != self._market.state(tick):
                raise Lost(f"{where}: another state at tick {tick}")
            if self._sync != "off" and tick < self._owed:
                raise Lost(f"{where}: tick {self._owed} must be there, and the last one is {tick}")
            if self._sync == "tick" and counters["damaged_files"]:
                raise Lost(f"{where}: damage is found where there must be none")
            if tick + counters["journal_ticks_lost"] > max(self._committed, tick) + 1:
                raise Lost(f"{where}: {counters['journal_ticks_lost']} ticks lost after {tick} are too many")
            found.lost[self._sync] += max(0, self._committed - tick)
            found.damaged[self._sync] += bool(counters["damaged_files"])
            self._owed, self._committed = tick, tick
        finally:
            again.stop()


def _bury(dead: list[KeptShard]) -> None:
    """Close what a dead process would not have closed; nothing of it reaches the disk any more."""
    for kept in dead:
        keeper = getattr(kept, "keeper", None)
        if keeper is not None:
            with contextlib.suppress(LiqscapeError, PowerLoss):
                keeper._stopping.set()
            if keeper._maintainer.is_alive():
                keeper._maintainer.join()
            keeper._writer.shutdown(wait=True, cancel_futures=True)
            if isinstance(keeper._journal, SqliteJournal):
                with contextlib.suppress(LiqscapeError, PowerLoss):
                    keeper._journal.close()
        if hasattr(kept, "folder"):
            kept.folder.close()


def run(losses: int, seed: int, syncs: tuple[str, ...] = tuple(SYNC_POLICIES)) -> Found:
    """Lose power so many times; return what was seen.

    Raises:
        Lost: a start was not what it had to be.
    """
    found, random = Found(), Random(seed)
    markets = [Market(seed + number) for number in range(2)]
    logging.disable(logging.CRITICAL)  # a start says at length what it finds
    try:
        with tempfile.TemporaryDirectory(prefix="liqscape-power-") as top:
            cases: dict[str, Case] = {}
            for number in range(losses):
                sync = syncs[number % len(syncs)]
                if sync not in cases or cases[sync].is_over:
                    folder = Path(top) / f"{sync}-{number}"
                    folder.mkdir()
                    cases[sync] = Case(folder, random.choice(markets), sync, random)
                cases[sync].live(found)
    finally:
        logging.disable(logging.NOTSET)
    return found


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="lose power and look what is left")
    parser.add_argument("--losses", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    started = time.monotonic()
    try:
        found = run(options.losses, options.seed)
    except Lost as error:
        print(f"LOST (seed {options.seed}): {error}")
        return 1
    print(json.dumps({**vars(found), "seconds": round(time.monotonic() - started, 1)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())

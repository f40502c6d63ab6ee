"""Some days of a market for an archive, in few ticks; a shard that keeps them; and what it served when.

A day begins and ends in every manner: in the middle of a tick, at its edge, or within an outage of hours.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqscape.archive.archivist import Archivist
from liqscape.archive.retention import Retention
from liqscape.axes import MINUTE_NS, TIMEFRAMES, RowRange, last_minute_before
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.events import Candle, Event, MarkPrice, OpenInterest, TickEnd
from liqscape.grid.shard import Shard
from liqscape.grid.updates import CandleColumns, Coverage, GridAnswer, TickOutput
from liqscape.instruments import Instrument, find_instrument
from liqscape.journal.data_folder import DataFolder
from liqscape.keeper import Keeper
from tests.unit.synthetic_market import make_instrument

INSTRUMENTS: Final = (make_instrument(), find_instrument("binance:BTCUSD_PERP"))
SYMBOL: Final = "BTC"
START_MINUTE: Final = 20_000 * 1440 + 1000
"""In the evening of a day."""

DAY: Final = 1440


@dataclass(frozen=True, slots=True)
class Pump:
    """The price is multiplied within some minutes, and stays there."""

    minute: int
    factor: float


def market(days: int, seed: int, history_ticks: int = 12, pump: Pump | None = None) -> list[list[Event]]:
    """Return the ticks of some days, each list with its TickEnd.

    Args:
        days: midnights that are passed.
        seed: of everything.
        history_ticks: of six hours each, at the beginning; none of them is rendered.
        pump: minutes count from the first tick after history.
    """
    random = Random(seed)
    minute = START_MINUTE - history_ticks * 360
    time_ns, price = minute * MINUTE_NS, 90_000.0
    levels = {i.instrument_id: 10**13 for i in INSTRUMENTS}
    ticks: list[list[Event]] = []
    day_ns = DAY * MINUTE_NS
    last = START_MINUTE // DAY * DAY + days * DAY + 300
    while time_ns < last * MINUTE_NS:
        is_history = len(ticks) < history_ticks
        seconds = 21_600 if is_history else random.choice((20, 60, 60, 300, 300, 900, 900, 1800))
        if not is_history and random.random() < 0.01:
            seconds = random.choice((5 * 3600, 11 * 3600, 26 * 3600))
        begin_ns, time_ns = time_ns, time_ns + seconds * 10**9
        if not is_history and random.random() < 0.4:  # to the end of a minute
            time_ns = -(-time_ns // MINUTE_NS) * MINUTE_NS
        elif not is_history and random.random() < 0.3:  # or somewhere within
            time_ns += random.randrange(1, MINUTE_NS)
        if time_ns // day_ns != begin_ns // day_ns and time_ns // day_ns % 2:
            time_ns = time_ns // day_ns * day_ns  # the day ends with a tick, and not within one
        price *= 1 + random.choice((-1, 1)) * random.choice((0.0003, 0.001, 0.004, 0.02))
        price = min(max(price, 30_000.0), 200_000.0)
        passed = time_ns // MINUTE_NS - START_MINUTE
        at = price * (pump.factor if pump is not None and passed >= pump.minute else 1)
        events: list[Event] = []
        for instrument in INSTRUMENTS:
            events += _bar(instrument, at, begin_ns, time_ns, random, levels)
        ticks.append([*events, TickEnd(time_ns, render=not is_history)])
    return ticks


def _bar(
    instrument: Instrument, price: float, begin_ns: int, end_ns: int, random: Random, levels: dict[str, int]
) -> Iterator[Event]:
    name, unit = instrument.instrument_id, 10**instrument.price_decimals
    prices = [int(price * (1 + random.uniform(-0.003, 0.003)) * unit) for _ in range(4)]
    if random.random() < 0.8:
        yield Candle(name, begin_ns, end_ns, prices[0], max(prices), min(prices), prices[3], random.randint(0, 10**11))
        yield MarkPrice(name, end_ns - 1, prices[3])
    if random.random() < 0.6:
        levels[name] = max(0, levels[name] + random.randint(-(10**10), 10**10))
        yield OpenInterest(name, end_ns - 1, levels[name])


@dataclass(frozen=True, slots=True)
class Served:
    """What was served of a timeframe at the end of a minute."""

    minute: int
    timeframe: str
    cells: bytes
    levels: bytes
    generation: int
    rows: RowRange
    base_step: int
    newest_column: int
    mark_price: int
    coverage: tuple[Coverage, ...]
    candles: bytes


class ArchivedShard:
    """A shard with keeper and archive on a folder, as an engine drives them.

    Args:
        folder: of its data.
        snapshot_ticks: rendered ticks between two snapshots.
        retention: of the archive.
        mixes: inflow shares by instrument id that are wanted from the next tick on; the prior where absent.

    Attributes:
        now: seconds, as the keeper sees them: one a tick.
    """

    def __init__(
        self,
        folder: Path,
        snapshot_ticks: int = 40,
        retention: Retention | None = None,
        mixes: Mapping[str, tuple[int, ...]] | None = None,
    ) -> None:
        self.now = 0.0
        self.folder = folder
        self.served: dict[tuple[int, str], Served] = {}
        data = DataFolder(folder)
        self.shard = Shard(
            INSTRUMENTS, NumpyBackend(), lambda: 0, mixes=mixes, on_closed=lambda *tick: self.keeper.record(*tick)
        )
        self.archivist = Archivist(folder / "archive", INSTRUMENTS, retention)
        self.keeper = Keeper(
            data,
            {"made": "up"},
            "off",
            snapshot_ticks,
            maintain_seconds=1e6,
            monotonic=lambda: self.now,
            archive=self.archivist,
        )
        self.keeper.restore(self.shard, lambda text: None)

    def take(self, ticks: list[list[Event]], until: int, noted: Iterable[int] = ()) -> None:
        """Take the ticks up to a number; note what is served at the end of some minutes.

        Args:
            ticks: of the market, from the very first one.
            until: number of the last one.
            noted: minutes.
        """
        wanted = set(noted)
        for tick in ticks[self.shard.tick : until]:
            output: TickOutput | None = None
            for event in tick:
                output = self.shard.accept(event)
            self.now += 1
            if output is not None:
                self.keeper.after_tick(self.shard)
                for log, work in self.shard.compactions():
                    log.adopt(work())
                minute = last_minute_before(self.shard.end_ns)
                if self.shard.end_ns % MINUTE_NS == 0 and minute in wanted:
                    self._note(minute)

    def let_snapshots_end(self) -> None:
        """Wait for the snapshot that is being written, and have the keeper take it over."""
        deadline = time.monotonic() + 30
        while self.keeper.is_snapshotting:
            assert time.monotonic() < deadline
            time.sleep(0.001)
            self.keeper.after_tick(self.shard)

    def killed(self, folder: Path) -> None:
        """Copy the folder as a kill at this moment may leave it, to go on from there; then end this one.

        The threads of snapshots and archive are writing meanwhile. What is written first is copied last, so that the
        copy holds nothing that stands on what it does not hold.
        """
        folder.mkdir()
        for name in ("settings.json", "journal.sqlite", "journal.sqlite-wal", "journal.head", "snapshots", "archive"):
            for path in sorted((self.folder / name).rglob("*")) or [self.folder / name]:
                target = folder / path.relative_to(self.folder)
                with contextlib.suppress(FileNotFoundError):
                    if path.is_dir():
                        target.mkdir(parents=True, exist_ok=True)
                    else:
                        target.parent.mkdir(parents=True, exist_ok=True)
                        shutil.copyfile(path, target)
        self.stop()

    def stop(self) -> None:
        """End it in good order."""
        self.keeper.stop()

    def _note(self, minute: int) -> None:
        view = self.shard.view()[SYMBOL]
        for frame in TIMEFRAMES:
            channel = view.channels[frame.name]
            cells = view.engine.project(view.ledger, frame, minute, channel.axes.rows, None, channel.newest_column)
            self.served[minute, frame.name] = Served(
                minute=minute,
                timeframe=frame.name,
                cells=digest(cells),
                levels=digest(view.engine.levels(channel.channel.channel_id)),
                generation=channel.generation,
                rows=channel.axes.rows,
                base_step=channel.axes.scale.base_step,
                newest_column=channel.newest_column,
                mark_price=view.mark_price,
                coverage=view.coverage,
                candles=candle_digest(channel.candles),
            )


def as_served(answer: GridAnswer, levels: NDArray[np.uint8]) -> Served:
    """Return an answer in the form of what was noted.

    Args:
        answer: of a question asked later.
        levels: of its cells.
    """
    ring = np.roll(levels, (answer.newest_column + 1) % len(levels), axis=0)  # column c sits at c modulo columns
    return Served(
        minute=answer.as_of_minute,
        timeframe=answer.axes.timeframe.name,
        cells=digest(answer.cells),
        levels=digest(ring),
        generation=answer.generation,
        rows=answer.axes.rows,
        base_step=answer.axes.scale.base_step,
        newest_column=answer.newest_column,
        mark_price=answer.mark_price,
        coverage=answer.coverage,
        candles=candle_digest(answer.candles),
    )


def rendered(ticks: list[list[Event]], minutes: Iterable[int], every: int) -> list[list[Event]]:
    """Return the same ticks, rendered at the end of some minutes, and of the others one in so many."""
    wanted, found = set(minutes), []
    for number, (*events, end) in enumerate(ticks):
        assert isinstance(end, TickEnd)
        is_wanted = end.time_ns % MINUTE_NS == 0 and last_minute_before(end.time_ns) in wanted
        found.append([*events, TickEnd(end.time_ns, end.render and (is_wanted or number % every == 0))])
    return found


def minute_ends(ticks: list[list[Event]]) -> list[int]:
    """Return the minutes that end with a rendered tick."""
    ends = [tick[-1] for tick in ticks]
    return [
        last_minute_before(end.time_ns)
        for end in ends
        if isinstance(end, TickEnd) and end.render and end.time_ns % MINUTE_NS == 0
    ]


def digest(array: NDArray[np.generic]) -> bytes:
    """Return a digest of the values of an array."""
    return hashlib.blake2b(np.ascontiguousarray(array).tobytes(), digest_size=16).digest()


def candle_digest(candles: CandleColumns) -> bytes:
    """Return a digest of candles."""
    columns = (candles.column, candles.open, candles.high, candles.low, candles.close)
    return digest(np.concatenate([np.asarray(column, np.int64) for column in columns]))

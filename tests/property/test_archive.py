"""I5 beyond a day: a grid asked for from the archive is the one that was served when its minute ended.

A market of some days, with outages and a price that makes rows coarser for good, runs through a shard that is stopped
and killed on the way. What is asked for later, in all nine timeframes, must be what was written down then: cells,
the levels that were streamed, rows, price, coverage, candles. `make prove` runs six markets, `make test` one.

Seen to fail when broken on purpose, one at a time:
- reader.py: a minute more, or one less, of the last day; merged events for a day that is not over, for columns that are
  no multiple of the bins, for rows that are no multiple of theirs;
- kept_days.py: the oldest day of the window left out;
- recorder.py: a day that ends an hour late; events before coarser rows told on the new ones; what was served told as of
  the minute before;
- merging.py: openings in the next bin; rows of the morning kept when the step of the evening is another one;
- price_pieces.py: the minute after the one asked for; states.py: axes of half an hour later;
- archivist.py: parts not written beside snapshots.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pytest

from liqscape.archive.manifest import DAY_MINUTES, day_of, joined_spans
from liqscape.archive.reader import ArchiveReader
from liqscape.axes import RowRange, Timeframe
from liqscape.device.numpy_backend import levels_of
from liqscape.events import Event
from liqscape.grid import event_log
from liqscape.grid.updates import GridQuery
from liqscape.past_answers import answer_past
from tests.archived_market import (
    INSTRUMENTS,
    START_MINUTE,
    SYMBOL,
    ArchivedShard,
    Pump,
    Served,
    as_served,
    market,
    minute_ends,
    rendered,
)
from tests.conftest import IS_FULL

PUMP = Pump(minute=1300, factor=11.0)
"""On the second day the base step becomes ten times itself."""


def run(folder: Path, ticks: list[list[Event]], noted: list[int], ends: dict[int, str]) -> ArchivedShard:
    """Run a market through shards that end at some ticks, killed or stopped; return the last one, stopped.

    What was served is that of all of them.
    """
    kept = ArchivedShard(folder / "0")
    served: dict[tuple[int, str], Served] = {}
    for number, (tick, manner) in enumerate(sorted(ends.items()), 1):
        kept.take(ticks, tick, noted)
        served |= kept.served
        if manner == "killed":
            kept.killed(folder / str(number))
        else:
            kept.stop()
        kept = ArchivedShard(folder / str(number) if manner == "killed" else kept.folder)
    kept.take(ticks, len(ticks), noted)
    kept.stop()
    kept.served |= served
    return kept


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 7) if IS_FULL else [1])
def test_grid_of_any_day_is_the_one_that_was_served(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_log, "COMPACT_MIN_EVENTS", 1)
    random = Random(seed)
    ticks = market(5 if IS_FULL else 3, seed, pump=PUMP)
    ends = [minute for minute in minute_ends(ticks) if minute < minute_ends(ticks)[-1] - 400]  # of sealed days
    seams = [minute for minute in ends if minute % DAY_MINUTES in (0, DAY_MINUTES - 1)]
    moves = [minute for minute in ends if abs(minute - START_MINUTE - PUMP.minute) < 60]  # rows, before and after
    noted = sorted({*seams, *moves, *random.sample(ends, 60 if IS_FULL else 4)})
    ticks = rendered(ticks, noted, every=12)
    stops = random.sample(range(30, len(ticks)), 6 if IS_FULL else 3)
    manners = {tick: random.choice(("killed", "killed", "stopped")) for tick in stops}

    kept = run(tmp_path, ticks, noted, manners)

    reader = ArchiveReader(kept.folder / "archive", INSTRUMENTS)
    retained = reader.retained(SYMBOL)
    assert retained is not None
    view = kept.shard.view()[SYMBOL]
    compared, differing = 0, []
    for (minute, name), was in sorted(kept.served.items()):
        if minute <= retained[1]:
            answer = answer_past(reader, view, GridQuery(SYMBOL, name, as_of_minute=minute), 1, lambda: None)
            now = as_served(answer, levels_of(answer.cells, answer.usd_per_weighted_lot))
            wrong = [field for field in Served.__slots__ if getattr(now, field) != getattr(was, field)]
            compared += 1
            if wrong:
                differing.append(f"{name} at {minute}: {', '.join(wrong)}")
    assert differing == []
    # The run says something only if all of this happened in it.
    assert compared >= 9 * (40 if IS_FULL else 6)
    assert any(minute % DAY_MINUTES == DAY_MINUTES - 1 for minute in noted)
    assert len({was.base_step for was in kept.served.values()}) == 2
    assert kept.archivist.counters["archive_holes"] == 0
    days = list(reader._manifests.read().values())
    assert len(joined_spans(span for day in days for span in day.spans)) == 1


@pytest.mark.slow
def test_own_windows_rows_and_filters_are_those_of_the_whole_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_log, "COMPACT_MIN_EVENTS", 1 << 40)  # the log in memory stays whole, to compare with
    ticks = rendered(market(3, seed=7), (), every=50)
    kept = ArchivedShard(tmp_path)
    kept.take(ticks, len(ticks))
    kept.stop()
    reader = ArchiveReader(tmp_path / "archive", INSTRUMENTS)
    retained = reader.retained(SYMBOL)
    assert retained is not None
    view = kept.shard.view()[SYMBOL]
    random, weights = Random(1), view.engine.weights.copy()
    weights[::3] = 0
    shapes = [(1, 1500), (7, 300), (15, 200), (45, 100), (90, 80), (60, 120), (360, 20), (540, 13), (720, 30)]
    compared = 0

    for minutes, columns in shapes:
        minute = random.randrange(START_MINUTE, retained[1])
        multiple = random.choice((1, 3, 5, 10))
        frame = Timeframe("", minutes, columns, 500, 1)
        rows = RowRange(3500 // multiple, 2500 // multiple, multiple)
        state = reader.state(SYMBOL, minute)
        assert state.scale == view.scale
        found = reader.grid(SYMBOL, frame, minute, rows, weights)
        wanted = view.engine.project(view.ledger, frame, minute, rows, weights)
        assert np.array_equal(found.cells, wanted), (minutes, columns, minute, multiple)
        compared += bool(wanted.any())

    assert compared >= 6
    assert day_of(retained[1]) - day_of(retained[0]) > 3

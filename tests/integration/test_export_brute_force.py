"""An export proves itself: grids, book and accounts follow from its events, in plain Python and by definition alone.

Nothing of the model checks the model here: the timeframes are typed again, tables are dictionaries, sums are loops.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from liqscape.axes import WEIGHT_ONE, SymbolScale, timeframe
from liqscape.device.numpy_backend import NumpyBackend, levels_of
from liqscape.events import PositionSide
from liqscape.export import export, parse_until
from liqscape.instruments import find_instrument
from liqscape.market.bars import Bar, PriceRange, TradedRows
from liqscape.positions.book import Cause, PositionBook
from tests.integration.synthetic_recording import write_recording

MANIFESTS = Path(__file__).parents[2] / "benchmarks" / "manifests"
INSTRUMENT = "binance:BTCUSDT"

WINDOWS = {
    "12h": (1, 720),
    "24h": (2, 720),
    "3d": (5, 864),
    "1w": (15, 672),
    "2w": (30, 672),
    "1m": (60, 720),
    "3m": (180, 720),
    "6m": (360, 720),
    "1y": (720, 730),
}
"""Minutes of a column and number of columns by timeframe."""

Cohort = tuple[int, int, str, str, int, str]
"""open minute, row, venue, instrument, tier, side"""


@dataclass(frozen=True)
class Exported:
    """What an export wrote, as Python values."""

    events: list[dict[str, Any]]
    live: list[dict[str, Any]]
    bars: list[dict[str, Any]]
    reconciliation: list[dict[str, Any]]
    grids: dict[str, list[list[int]]]
    axes: dict[str, list[int]]
    meta: dict[str, Any]

    @cached_property
    def history(self) -> dict[Cohort, list[tuple[int, int]]]:
        """Return (minute, lots) of each cohort, in time order."""
        found: dict[Cohort, list[tuple[int, int]]] = defaultdict(list)
        for event in self.events:
            found[cohort_of(event)].append((event["minute"], event["lots"]))
        return found

    @cached_property
    def weights(self) -> dict[tuple[str, str, int, str], int]:
        return {(w["venue"], w["instrument"], w["tier"], w["side"]): w["weight"] for w in self.meta["weights"]}


def read(folder: Path) -> Exported:
    def rows(name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = pq.read_table(folder / f"{name}.parquet").to_pylist()
        return found

    with np.load(folder / "grids.npz") as arrays:
        grids = {name: arrays[name].tolist() for name in WINDOWS}
        axes = {name: arrays[f"{name}_axes"].tolist() for name in WINDOWS}
    meta = json.loads((folder / "meta.json").read_text("utf-8"))
    return Exported(rows("events"), rows("live"), rows("bars"), rows("reconciliation"), grids, axes, meta)


def cohort_of(row: dict[str, Any]) -> Cohort:
    return row["open_minute"], row["row"], row["venue"], row["instrument"], row["tier"], row["side"]


def cells_by_definition(exported: Exported, name: str) -> dict[int, list[int]]:
    """Return the cells of each row of the grid that holds anything, oldest column first; rows beyond it included.

    A cell is the sum of lots x weight of what was opened in a column of the window and not after this column, and is
    still open at the end of it (or now), with its liquidation row in the row. What of a cohort is open then is the sum
    of its events up to then.
    """
    width, columns = WINDOWS[name]
    multiple = exported.axes[name][3]
    newest = exported.meta["until_minute"] // width
    oldest = newest - (columns - 1)
    weights = exported.weights
    changed: dict[int, list[int]] = defaultdict(lambda: [0] * columns)
    for (open_minute, row, *key), events in exported.history.items():
        if open_minute // width >= oldest:
            weight, line = weights[tuple(key)], changed[row // multiple]  # type: ignore[index]
            for minute, lots in events:
                line[minute // width - oldest] += lots * weight
    return {row: list(accumulate(line)) for row, line in changed.items()}


def check_grids(exported: Exported, names: Iterable[str] = WINDOWS) -> int:
    """Compare every cell of the grids; return how many of them are not zero."""
    filled = 0
    for name in names:
        width, columns = WINDOWS[name]
        first_column, column_minutes, first_row, _ = exported.axes[name]
        assert (column_minutes, first_column) == (width, exported.meta["until_minute"] // width - (columns - 1))
        grid = exported.grids[name]
        expected = cells_by_definition(exported, name)
        assert len(grid) == columns
        for row, cells in enumerate(zip(*grid, strict=True)):
            assert list(cells) == expected.get(first_row + row, [0] * columns), f"{name} row {first_row + row}"
            filled += columns - cells.count(0)
    return filled


def check_book(exported: Exported) -> None:
    """The live table is what the events leave open."""
    left = {cohort: sum(lots for _, lots in changes) for cohort, changes in exported.history.items()}
    live = {cohort_of(row): row["lots"] for row in exported.live}

    assert len(live) == len(exported.live)
    assert all(lots >= 0 for lots in left.values())
    assert live == {cohort: lots for cohort, lots in left.items() if lots}


def check_accounts(exported: Exported) -> None:
    """At every sample live + uncovered is open interest, live is the running sum of events, uncovered never grows."""
    running: dict[str, int] = defaultdict(int)
    uncovered: dict[str, int] = {}
    events = iter(exported.events)
    event = next(events, None)
    for sample in exported.reconciliation:
        while event is not None and event["minute"] <= sample["minute"]:
            running[event["side"]] += event["lots"]
            event = next(events, None)
        side = sample["side"]
        assert sample["live_lots"] + sample["uncovered_lots"] == sample["open_interest_lots"]
        assert sample["live_lots"] == running[side] >= 0
        assert 0 <= sample["uncovered_lots"] <= uncovered.get(side, sample["uncovered_lots"])
        uncovered[side] = sample["uncovered_lots"]
    first_bar = exported.bars[0]["minute"]
    told = {
        (s["minute"], s["side"]): s["open_interest_lots"] for s in exported.reconciliation if s["minute"] >= first_bar
    }
    in_bars = {(b["minute"], side): b["open_interest"] for b in exported.bars for side in ("long", "short")}
    assert told == {k: v for k, v in in_bars.items() if v is not None}


def check_events(exported: Exported) -> None:
    """Signs, order and causes are as the table says."""
    minutes = [event["minute"] for event in exported.events]
    assert minutes == sorted(minutes)
    for event in exported.events:
        assert (event["cause"] == "opened") == (event["lots"] > 0)
        assert (
            (event["open_minute"] == event["minute"]) if event["lots"] > 0 else (event["open_minute"] < event["minute"])
        )


@pytest.fixture(scope="module", params=[(300, 5), (220, 60)], ids=["5m", "1h"])
def made_up(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    bars, step_minutes = request.param
    folder = tmp_path_factory.mktemp("recording")
    manifest = write_recording(folder, bars=bars, step_minutes=step_minutes, seed=step_minutes)
    export(manifest, "BTC", None, folder / "out", recordings=folder)
    return read(folder / "out")


@pytest.mark.slow
def test_every_cell_of_nine_grids_follows_from_the_events(made_up: Exported) -> None:
    filled = check_grids(made_up)

    assert filled > 10_000
    assert {event["cause"] for event in made_up.events} == {"opened", "swept", "closed"}


@pytest.mark.slow
def test_book_and_accounts_follow_from_the_events(made_up: Exported) -> None:
    assert len(made_up.reconciliation) == 2 * (len(made_up.bars) + 1)  # the first sample stands before the first bar
    check_events(made_up)
    check_book(made_up)
    check_accounts(made_up)


@pytest.mark.slow
def test_a_changed_lot_is_noticed(made_up: Exported) -> None:
    broken = max(i for i, event in enumerate(made_up.events) if event["tier"] == 20 and event["cause"] == "opened")
    events = [{**e, "lots": e["lots"] + 1} if i == broken else e for i, e in enumerate(made_up.events)]
    changed = replace(made_up, events=events)

    with pytest.raises(AssertionError):
        check_book(changed)
    with pytest.raises(AssertionError):
        check_accounts(changed)
    with pytest.raises(AssertionError):
        check_grids(changed, ["3d"])


@pytest.mark.slow
@pytest.mark.recorded
def test_two_real_days_follow_from_their_events(tmp_path: Path, recordings: Path) -> None:
    manifest = MANIFESTS / "binance_usdm_5m_2025-12.toml"

    export(manifest, "BTC", parse_until("2025-12-03T00:00"), tmp_path / "out", recordings=recordings)

    exported = read(tmp_path / "out")
    assert exported.meta["until_minute"] == 29_411_999
    assert len(exported.bars) == 575
    check_events(exported)
    check_book(exported)
    check_accounts(exported)
    assert check_grids(exported) > 100_000


def one_bar_manifest(folder: Path) -> Path:
    """Write the manifest of the worked example: the one bar of set A that opens 2025-12-15 14:30."""
    text = (MANIFESTS / "binance_usdm_5m_2025-12.toml").read_text("utf-8")
    head, *series = text.split("[[series]]")
    kept = [s for s in series if 'symbol = "BTC"' in s]
    lines = "[[series]]".join([head, *kept]).splitlines()
    until = iter(("2025-12-15T14:30:00Z", "2025-12-15T14:35:00Z"))
    for number, line in enumerate(lines):
        if line.startswith("from ="):
            lines[number] = 'from = "2025-12-15T14:30:00Z"'
        elif line.startswith("to ="):
            lines[number] = f'to = "{next(until)}"'
    manifest = folder / "one_bar.toml"
    manifest.write_text("\n".join(lines), "utf-8")
    return manifest


@pytest.mark.recorded
@pytest.mark.slow
def test_the_worked_bar_gives_the_worked_lots_rows_and_cells(tmp_path: Path, recordings: Path) -> None:
    export(one_bar_manifest(tmp_path), "BTC", None, tmp_path / "out", recordings=recordings)
    exported = read(tmp_path / "out")

    opened = {side: sum(e["lots"] for e in exported.events if e["side"] == side) for side in ("long", "short")}
    before, after = exported.reconciliation[0], exported.reconciliation[-1]
    bar = exported.bars[0]
    assert (bar["open"], bar["high"], bar["low"], bar["close"], bar["traded"]) == (
        *(89353.0, 89365.1, 89012.3, 89040.6),
        224_118_200,
    )
    assert (exported.meta["base_step_text"], exported.meta["lot_size_text"]) == ("20", "0.00001")
    assert (before["open_interest_lots"], after["open_interest_lots"]) == (8_806_090_000, 8_835_180_800)
    assert {(e["minute"], e["cause"]) for e in exported.events} == {(29_430_154, "opened")}
    assert opened == {"long": 81_780_860, "short": 81_780_860}
    assert before["uncovered_lots"] - after["uncovered_lots"] == 52_690_060
    assert sum(opened.values()) / 2 + 52_690_060 == 224_118_200 * 6 // 10
    check_rows_and_cell(exported)


def liquidation_rows(leverage: int, side: str) -> Iterator[tuple[int, int]]:
    """Yield (entry row, liquidation row) of the worked bar in exact integers; maintenance is 0.4 %."""
    top, bottom = (
        ((leverage - 1) * 1000, leverage * 996) if side == "long" else ((leverage + 1) * 1000, leverage * 1004)
    )
    multiplier = (top << 32) // bottom
    for entry in range(4450, 4469):
        yield entry, ((2 * entry + 1) * multiplier) >> 33


def check_rows_and_cell(exported: Exported) -> None:
    share = {m["tier"]: m["inflow_share_millionths"] for m in exported.meta["mix"]}
    cohorts = {(e["tier"], e["side"], e["row"]): e["lots"] for e in exported.events}
    for tier, side in {(tier, side) for tier, side, _ in cohorts}:
        rows = [row for _, row in liquidation_rows(tier, side)]
        assert {row for t, s, row in cohorts if (t, s) == (tier, side)} == set(rows)
        total = sum(lots for (t, s, _), lots in cohorts.items() if (t, s) == (tier, side))
        assert abs(total - 81_780_860 * share[tier] / 1_000_000) < 1
        for row in set(rows):  # 4,304,255 lots an entry row before the split by tier
            assert abs(cohorts[tier, side, row] - rows.count(row) * 4_304_255.7 * share[tier] / 1e6) < 2
    rows_of = {(10, "long"): 4029, (10, "short"): 4885, (50, "long"): 4387}
    for (tier, side), row in rows_of.items():
        assert dict(liquidation_rows(tier, side))[4459] == row
    first_column, _, first_row, multiple = exported.axes["24h"]
    assert (first_column + 719, multiple) == (14_715_077, 2)
    cell = exported.grids["24h"][-1][2014 - first_row]
    others = sum(e["lots"] for e in exported.events if e["row"] in (4028, 4029))
    assert cell == others * 4096
    assert cohorts[10, "long", 4029] * 4096 == cell - 4096 * (others - cohorts[10, "long", 4029])
    assert cell == exported.grids["12h"][-1][2014 - exported.axes["12h"][2]]


def test_thirteen_per_cent_of_the_worked_bar_is_level_85() -> None:
    scale = SymbolScale.first_seen("BTC", 893_530, 1)
    instrument = find_instrument(INSTRUMENT)
    mix = (90_000, 100_000, 130_000, 180_000, 150_000, 150_000, 90_000, 90_000, 20_000)
    book = PositionBook("BTC", [instrument], scale, NumpyBackend(), {INSTRUMENT: mix})
    rows = TradedRows.evenly(224_118_200, 4450, 4468)
    trigger = PriceRange(893_530, 893_651, 890_123, 890_406)
    book.apply([Bar(INSTRUMENT, "BTC", 29_430_145, 29_430_149, None, None, 8_806_090_000, 0)])

    step = book.apply([Bar(INSTRUMENT, "BTC", 29_430_150, 29_430_154, trigger, rows, 8_835_180_800, 0)])

    (batch,) = step.events
    assert (batch.cause, batch.minute, scale.base_step) == (Cause.OPENED, 29_430_154, 200)
    key = 2 << 1 | PositionSide.LONG
    lots = {
        int(r): int(n)
        for r, n, k in zip(batch.cohorts.row, batch.cohorts.lots, batch.cohorts.key, strict=True)
        if k == key
    }
    assert lots[4029] in (559_553, 559_554)  # 4,304,255 x 13 %, before remainders
    frame = timeframe("24h")
    rows_of_grid = scale.row_range(frame, 890_406)
    factor = scale.usd_per_weighted_lot(rows_of_grid)[2014 - rows_of_grid.first]
    weighted = 559_553 * WEIGHT_ONE
    assert (rows_of_grid.multiple, frame.column_of(29_430_154), int(weighted * factor)) == (2, 14_715_077, 450_887)
    assert levels_of(np.array([weighted]), np.array([factor])).tolist() == [85]

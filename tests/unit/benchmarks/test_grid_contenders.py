"""Every contender answers the question of the grid engine; a wrong answer is seen."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks import grid_contenders
from benchmarks.grid_contenders import Contender, Window, add_in_a_loop, is_exact_in_float64, looped, with_histogram2d
from liqscape.axes import TIMEFRAMES, WEIGHT_ONE, RowRange
from liqscape.device.backend import CohortBatch, LedgerColumns
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.device.numpy_ledger import NumpyLedger
from liqscape.positions.weights import default_weights

NOW = 29_453_757
ROWS = RowRange(400, 40, 10)

Compute = Callable[[LedgerColumns, Window], NDArray[np.int64] | NDArray[np.float64]]


def some_ledger(span_minutes: int) -> NumpyLedger:
    """Return events of the last span_minutes, in, before and beside any window: rows and openings on every edge."""
    generator = np.random.default_rng(3)
    ledger = NumpyLedger()
    minutes = np.unique(np.concatenate((NOW - generator.integers(0, span_minutes, 200), [NOW])))
    for minute in minutes.tolist():
        count = 12
        opened = (minute - generator.integers(0, span_minutes // 2, count)).astype(np.int32)
        row = generator.integers(3990, 4411, count).astype(np.int32)
        row[:4] = (3999, 4000, 4399, 4400)
        key = generator.integers(0, 18, count).astype(np.uint16)
        sign = 1 if generator.random() < 0.7 else -1
        ledger.append(minute, CohortBatch(opened, row, key, generator.integers(1, 10**7, count)), sign, 0)
    return ledger


@pytest.mark.parametrize("name", ["12h", "3d", "1y"])
@pytest.mark.parametrize(
    "compute", [with_histogram2d, lambda events, window: looped(add_in_a_loop, events, window)], ids=["numpy", "loop"]
)
def test_peer_equals_the_full_recompute(name: str, compute: Compute) -> None:
    frame = next(f for f in TIMEFRAMES if f.name == name)
    view = some_ledger(3 * frame.columns * frame.column_minutes // 2).capture()
    window = Window(frame, NOW, ROWS)
    expected = NumpyBackend().project(view, frame, NOW, ROWS, default_weights(1))

    grid = compute(view.columns(), window)

    assert expected.any()
    assert np.array_equal(grid.astype(np.int64) * WEIGHT_ONE, expected)


@pytest.mark.slow
def test_peers_that_are_installed_equal_the_full_recompute_and_the_others_are_named() -> None:
    frame = TIMEFRAMES[2]
    view = some_ledger(3000).capture()
    expected = NumpyBackend().project(view, frame, NOW, ROWS, default_weights(1))

    peers, missing = grid_contenders.find_peers()

    assert len(peers) + len(missing) == 3
    for peer in peers:
        grid = peer.project(view.columns(), Window(frame, NOW, ROWS))
        assert np.array_equal(grid.astype(np.int64) * WEIGHT_ONE, expected), peer.name


def test_peer_that_cannot_be_imported_is_named_and_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> None:
        raise ImportError(f"no {name} here")

    monkeypatch.setattr(grid_contenders, "import_module", refuse)

    peers, missing = grid_contenders.find_peers()

    assert [peer.sums_in for peer in peers] == ["float64"]
    assert missing == [f"{name} is not compared: no {name} here" for name in ("boost_histogram", "numba")]


def test_contender_with_one_wrong_cell_is_found_out() -> None:
    windows = [Window(frame, NOW, ROWS) for frame in TIMEFRAMES[:2]]
    truth = {w.frame.name: np.full((w.frame.columns, ROWS.count), 8, np.int64) for w in windows}

    def compute(window: Window) -> NDArray[np.int64]:
        grid = np.full((window.frame.columns, ROWS.count), 2, np.int64)
        grid[5, 7] += window.frame.name == "24h"
        return grid

    contender = grid_contenders.time_contender("broken", windows, compute, truth, repeats=1, unit=4)

    assert contender.wrong_grids == ["24h"]
    assert contender.milliseconds == pytest.approx(sum(contender.by_timeframe.values()))


def test_raw_log_and_peers_are_compared_only_where_the_log_is_at_hand() -> None:
    view = some_ledger(3000).capture()
    windows = [Window(TIMEFRAMES[2], NOW, ROWS)]

    alone = list(grid_contenders.recompute_contenders(None, view, windows, 1, repeats=1))
    beside = list(grid_contenders.recompute_contenders(view, view, windows, 1, repeats=1))

    told = [found for found in (*alone, *beside) if isinstance(found, Contender)]
    assert [c.name for c in told[:3]] == ["from age tiers", "from age tiers", "from the raw log"]
    assert "histogram2d" in told[3].name
    assert len(alone) == 1
    assert not any(c.wrong_grids for c in told)


def test_lots_that_a_float_cannot_sum_are_told() -> None:
    def events(*lots: int) -> LedgerColumns:
        zeros = np.zeros(len(lots), np.int32)
        return LedgerColumns(zeros, zeros, zeros, zeros.astype(np.uint16), np.array(lots), zeros.astype(np.uint8))

    assert is_exact_in_float64(events((1 << 52), -(1 << 52) + 1))
    assert not is_exact_in_float64(events((1 << 52), -(1 << 52)))

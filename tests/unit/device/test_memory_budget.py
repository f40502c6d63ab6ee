"""What a book needs on a device, and who is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from liqscape.axes import MAX_GRID_ROWS, TIMEFRAMES
from liqscape.device import memory_budget
from liqscape.device.cuda_cohorts import _COLUMNS as OF_COHORT
from liqscape.device.cuda_ledger import _COLUMNS as OF_EVENT
from liqscape.device.memory_budget import BookNeed, MemoryBudget, need, needs, size_text
from liqscape.errors import ConfigError
from liqscape.feeds.simulated_venues import many_venues
from liqscape.grid.shard import MAX_RAW_EVENTS_WHILE_BUILDING
from liqscape.instruments import find_instrument

ONE = (find_instrument("binance:BTCUSDT"),)
MEASURED = Path(__file__).parents[3] / "benchmarks" / "results" / "grid.json"


def some_need(total: int, open_only: int = 0) -> BookNeed:
    return BookNeed(grids=total - open_only, cohorts=0, raw_events=0, merged_events=0, open_only=open_only)


def test_grids_are_nine_of_all_their_rows_twice_and_a_little() -> None:
    cells = sum(frame.columns for frame in TIMEFRAMES) * MAX_GRID_ROWS

    assert cells * 9 * 2 < need(ONE, with_open_only=False).grids < cells * 9 * 2 * 1.05


def test_events_and_cohorts_are_those_that_were_measured() -> None:
    """With what was measured of twenty instruments, all of which offer every leverage tier."""
    book = json.loads(MEASURED.read_text("utf-8"))["result"]["books"][-1]
    found = need(ONE * book["instruments"], with_open_only=False)

    assert book["instruments"] == 20
    assert found.merged_events == pytest.approx(2 * 19 * sum(book["tier_events"]), rel=0.02)
    assert found.cohorts == pytest.approx(4 * 26 * book["live_cohorts"], rel=0.02)
    assert memory_budget.MODEL_BOOK.raw_events_a_day * 20 == pytest.approx(book["raw_events"], rel=0.02)


def test_raw_log_is_as_long_as_building_lets_it_grow() -> None:
    places = 1 << MAX_RAW_EVENTS_WHILE_BUILDING.bit_length()
    assert places + places // 2 == memory_budget.RAW_PLACES_WHILE_BUILDING
    assert need(ONE, with_open_only=False).raw_events == 19 * (places + places // 2)
    assert need(ONE * 100, with_open_only=False).raw_events == 3 * 19 * 35_000_000


def test_bytes_of_an_event_are_those_of_its_columns() -> None:
    assert sum(np.dtype(dtype).itemsize for _, dtype in OF_EVENT) == memory_budget.RAW_EVENT_BYTES
    assert sum(np.dtype(dtype).itemsize for dtype in OF_COHORT.values()) == memory_budget.COHORT_BYTES


def test_fewer_leverage_tiers_need_less() -> None:
    deribit = (find_instrument("deribit:BTC-PERPETUAL"),)

    assert len(deribit[0].leverage_tiers) == 6
    six, nine = need(deribit, with_open_only=True), need(ONE, with_open_only=True)
    assert six.merged_events == pytest.approx(nine.merged_events * 6 / 9, abs=100)
    assert six.grids == nine.grids


def test_without_the_open_only_book_nothing_is_needed_for_it() -> None:
    both, alone = need(ONE, with_open_only=True), need(ONE, with_open_only=False)

    assert alone.open_only == 0
    assert both.total == alone.total + both.open_only
    assert both.open_only > both.raw_events


def test_needs_are_by_symbol() -> None:
    found = needs(many_venues(("BTC", "ETH")), with_open_only=True)

    assert list(found) == ["BTC", "ETH"]
    assert found["BTC"] == need(many_venues(("BTC",)), with_open_only=True)


def test_budget_is_given_to_one_after_the_other() -> None:
    budget = MemoryBudget(1000, reserve_bytes=100)

    budget.admit("BTC", some_need(500))
    budget.admit("ETH", some_need(400))

    assert budget.left_bytes == 0


def test_symbol_that_does_not_fit_is_refused_with_what_to_do() -> None:
    budget = MemoryBudget(9_000_000_000, reserve_bytes=1_000_000_000)
    budget.admit("BTC", some_need(7_200_000_000))

    with pytest.raises(ConfigError) as refused:
        budget.admit("ETH", some_need(1_500_000_000, open_only=1))

    assert str(refused.value) == (
        "the books of 'ETH' need up to 1.5 GB of device memory, and of what is free 800 MB are left for them;"
        " serve fewer symbols or venues, leave out the open-only book with --no-open-only,"
        " or compute on the host with --backend numpy"
    )
    assert budget.left_bytes == 800_000_000


def test_refusal_does_not_propose_what_is_done_already() -> None:
    with pytest.raises(ConfigError) as refused:
        MemoryBudget(0).admit("BTC", need(ONE, with_open_only=False))

    assert "--no-open-only" not in str(refused.value)


def test_sizes_are_for_people() -> None:
    assert [size_text(size) for size in (0, 60_250_000, 1_340_000_000)] == ["0 MB", "60 MB", "1.3 GB"]


def test_custom_channels_are_as_many_as_fit_and_no_more_than_the_limit() -> None:
    largest = max(frame.columns for frame in TIMEFRAMES) * MAX_GRID_ROWS * 9 * 2
    roomy, small, full = (MemoryBudget(size, reserve_bytes=0) for size in (1 << 34, 3 * largest, 1000))

    assert roomy.admit_custom_channels(ONE) == memory_budget.MAX_CUSTOM_CHANNELS == 64
    assert (1 << 34) - roomy.left_bytes == pytest.approx(64 * largest, rel=0.05)
    assert small.admit_custom_channels(ONE) == 2
    assert small.left_bytes < largest
    assert full.admit_custom_channels(ONE) == 0


def test_nine_custom_channels_need_what_the_default_ones_do() -> None:
    budget = MemoryBudget(1 << 34, reserve_bytes=0)
    budget.admit_custom_channels(ONE)
    each = ((1 << 34) - budget.left_bytes) / 64

    assert each == pytest.approx(
        need(ONE, with_open_only=False).grids * 864 / sum(f.columns for f in TIMEFRAMES), rel=0.01
    )

"""The measures that bench_model judges by, against values worked by hand."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.model_scores import (
    GUESSES,
    Collector,
    FourHourBar,
    average_ranks,
    periods,
    read_totals,
    scored_bars,
    spearman,
)
from liqscape.axes import SymbolScale
from liqscape.instruments import find_instrument
from liqscape.market.bars import Bar, PriceRange, TradedRows
from liqscape.positions.book import BookStep

BTC = "binance:BTCUSDT"
SCALE = SymbolScale("BTC", price_decimals=1, base_step=200, lot_decimals=5)


def bar(minute: int, *, low: int, high: int, open_interest: int | None, lots: int = 1_000_000) -> Bar:
    """Return a 60-minute bar that opens at its high and closes at its low; prices in tenths."""
    rows = TradedRows.evenly(lots, SCALE.base_row(low), SCALE.base_row(high))
    return Bar(BTC, "BTC", minute - 59, minute, PriceRange(high, high, low, low), rows, open_interest, 0)


def collector() -> Collector:
    return Collector(find_instrument(BTC), lambda symbol: SCALE)


def test_equal_values_share_the_mean_of_their_ranks() -> None:
    assert average_ranks([10, 30, 20, 20]).tolist() == [1, 4, 2.5, 2.5]


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ([1, 2, 3, 4], [10, 20, 300, 4000], 1.0),
        ([1, 2, 3, 4], [4, 3, 2, 1], -1.0),
        ([1, 2, 3, 4], [1, 3, 2, 4], 0.8),  # 1 - 6 x 2 / (4 x 15)
        ([1, 1, 2, 3], [1, 2, 3, 4], 0.9 / (0.9 * 1.0) ** 0.5),  # Pearson on ranks 1.5 1.5 3 4
    ],
)
def test_spearman_is_pearson_on_ranks(left: list[int], right: list[int], expected: float) -> None:
    assert spearman(left, right) == pytest.approx(expected)


def test_open_only_guess_is_what_rises_opened_and_a_crash_swept() -> None:
    watched = collector()
    calm = (900_000, 900_199)  # one base row, 4500
    hours = [(479, *calm, 10_000), (719, *calm, 10_500), (959, *calm, 9_000), (1199, 100, calm[0], 9_000)]

    for minute, low, high, open_interest in hours:
        watched.observe("BTC", [bar(minute, low=low, high=high, open_interest=open_interest)], BookStep((), ()))

    *quiet, crash = (watched.bars[number].open_only for number in (1, 2, 3, 4))
    assert quiet == [[0.0, 0.0]] * 3
    usd_at_entry = 500 * 90_010 / 100_000
    assert 0.66 * usd_at_entry < crash[0] < usd_at_entry
    assert crash[1] == 0


def test_collector_joins_bars_and_counts_minutes() -> None:
    watched = collector()

    for minute, low, high in ((479, 1000, 2000), (539, 900, 1500), (599, 1200, 3000)):
        watched.observe("BTC", [bar(minute, low=low, high=high, open_interest=None, lots=10)], BookStep((), ()))

    assert watched.bars == {
        1: FourHourBar(2000, 2000, 1000, 10, 60),
        2: FourHourBar(1500, 3000, 900, 20, 120),
    }


def test_bars_that_cannot_be_judged_are_left_out_and_counted() -> None:
    watched = collector()
    watched.bars = {n: FourHourBar(1, 1, 1, minutes=180 if n == 2 else 240) for n in range(5)}

    usable, left_out = scored_bars(watched, {0: (1, 1), 2: (1, 1), 4: (1, 1)})

    assert usable == [0, 4]
    assert left_out == {"candles do not cover the bar": 1, "no real total": 2}


def test_halves_part_at_the_middle_of_the_candles_and_leave_the_warm_up_out() -> None:
    watched = collector()
    watched.first_minute, watched.end_minute = 0, 40 * 1440

    found = periods(watched, range(240))

    assert {name: (bars[0], bars[-1]) for name, bars in found.items()} == {
        "after warm-up": (60, 239),
        "first half": (60, 119),
        "second half": (120, 239),
    }


def test_longs_follow_the_fall_and_shorts_the_rise() -> None:
    one = FourHourBar(open=1000, high=1010, low=950, traded=7)

    assert GUESSES["range of the bar"](one) == (0.05, 0.01)
    assert GUESSES["range x volume"](one) == pytest.approx((0.35, 0.07))


def test_totals_are_read_by_bar_and_partial_ones_left_out(tmp_path: Path) -> None:
    columns = {"time": [14_400_000, 28_800_000], "long": [1.0, 2.0], "short": [3.0, 4.0]}
    pq.write_table(pa.table({**columns, "partial": [False, True]}), tmp_path / "ms.parquet")
    pq.write_table(
        pa.table({**columns, "time": ["1970-01-01T04:00:00", "1970-01-01T08:00:00"]}), tmp_path / "text.parquet"
    )

    in_ms = read_totals(tmp_path / "ms.parquet", "time", "long", "short")
    in_text = read_totals(tmp_path / "text.parquet", "time", "long", "short")

    assert in_ms == {1: (1.0, 3.0)}
    assert in_text == {1: (1.0, 3.0), 2: (2.0, 4.0)}

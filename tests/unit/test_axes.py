"""Minutes, columns, base steps, lots, rows and the dollar of a weighted lot."""

from __future__ import annotations

from fractions import Fraction

import pytest

from liqscape.axes import (
    MAX_GRID_ROWS,
    ROW_MULTIPLES,
    TIMEFRAME_NAMES,
    TIMEFRAMES,
    WEIGHT_ONE,
    RowRange,
    SymbolScale,
    Timeframe,
    last_minute_before,
    minute_of,
    timeframe,
)
from liqscape.errors import InvalidArgument
from tests.unit.synthetic_market import BTC_SCALE, EXAMPLE_MINUTE, at

# First price as decimal text, decimal places of its tick size. From coins far below a cent to far above bitcoin.
FIRST_PRICES = [
    ("65000.0", 1),
    ("90800.0", 1),
    ("90800.00", 2),
    ("3333.33", 2),
    ("3333.34", 2),
    ("1.0", 1),
    ("9.9", 1),
    ("10", 0),
    ("1", 0),
    ("0.5123", 4),
    ("0.00001234", 8),
    ("0.000000123456", 12),
    ("0.00000012", 8),
    ("0.0003", 4),
    ("0.000000001", 9),
    ("999999.99", 2),
    ("16666.7", 1),
    ("16666.6", 1),
    ("99999999", 0),
]


def scale_of(text: str, decimals: int) -> SymbolScale:
    return SymbolScale.first_seen("X", int(Fraction(text) * 10**decimals), decimals)


def one_two_five_at_most(limit: Fraction) -> Fraction:
    """Return the largest of {1, 2, 5} x 10^k that is at most limit, by trying all of them."""
    return max(c for k in range(-20, 12) for c in (m * Fraction(10) ** k for m in (1, 2, 5)) if c <= limit)


@pytest.mark.parametrize(("price", "step"), [("65000.0", 10), ("90800.0", 20), ("66666.6", 10), ("66666.7", 20)])
def test_base_step_of_worked_prices(price: str, step: int) -> None:
    scale = scale_of(price, 1)

    assert scale.base_step == step * 10**scale.price_decimals


@pytest.mark.parametrize(("price", "decimals"), FIRST_PRICES)
def test_base_step_is_the_largest_one_two_five_up_to_three_myriads_of_the_price(price: str, decimals: int) -> None:
    scale = scale_of(price, decimals)

    step = Fraction(scale.base_step, 10**scale.price_decimals)
    assert scale.base_step >= 1
    assert step == one_two_five_at_most(Fraction(price) * 3 / 10_000)


@pytest.mark.parametrize(("price", "decimals"), FIRST_PRICES)
def test_price_unit_is_at_least_as_fine_as_the_tick_size(price: str, decimals: int) -> None:
    scale = scale_of(price, decimals)

    units = scale.price_units(int(Fraction(price) * 10**decimals), decimals)

    assert Fraction(units, 10**scale.price_decimals) == Fraction(price)


@pytest.mark.parametrize(
    ("price", "decimals", "lot_decimals"), [("65000.0", 1, 5), ("3000.00", 2, 4), ("1.0000", 4, 0)]
)
def test_lot_of_worked_prices(price: str, decimals: int, lot_decimals: int) -> None:
    assert scale_of(price, decimals).lot_decimals == lot_decimals


@pytest.mark.parametrize(("price", "decimals"), FIRST_PRICES)
def test_lot_is_the_largest_power_of_ten_worth_at_most_one_dollar(price: str, decimals: int) -> None:
    scale = scale_of(price, decimals)

    worth = Fraction(price) / Fraction(10) ** scale.lot_decimals
    assert worth <= 1 < 10 * worth


@pytest.mark.parametrize("price", [0, -1])
def test_first_price_that_is_not_positive_is_refused(price: int) -> None:
    with pytest.raises(InvalidArgument, match="a price is positive"):
        SymbolScale.first_seen("BTC", price, 1)


def test_price_finer_than_the_unit_is_refused_and_not_rounded() -> None:
    assert BTC_SCALE.price_units(8_935_300, 2) == 893_530

    with pytest.raises(InvalidArgument, match="finer"):
        BTC_SCALE.price_units(8_935_301, 2)


def test_base_row_is_the_floor_of_price_by_step() -> None:
    assert [BTC_SCALE.base_row(price) for price in (890_123, 893_651, 891_999, 892_000)] == [4450, 4468, 4459, 4460]


def test_table_of_timeframes() -> None:
    table = {f.name: (f.column_minutes, f.columns, f.span_permille, f.min_row_multiple) for f in TIMEFRAMES}

    assert table == {
        "12h": (1, 720, 120, 2),
        "24h": (2, 720, 120, 2),
        "3d": (5, 864, 200, 5),
        "1w": (15, 672, 200, 5),
        "2w": (30, 672, 300, 5),
        "1m": (60, 720, 300, 5),
        "3m": (180, 720, 500, 10),
        "6m": (360, 720, 500, 10),
        "1y": (720, 730, 500, 10),
    }
    assert list(table) == list(TIMEFRAME_NAMES)


@pytest.mark.parametrize("frame", TIMEFRAMES, ids=lambda f: f.name)
def test_window_is_the_newest_columns_and_the_last_holds_now(frame: Timeframe) -> None:
    for minute in (EXAMPLE_MINUTE, EXAMPLE_MINUTE + frame.column_minutes - 1, 30_000_001):
        newest = frame.column_of(minute)

        assert newest * frame.column_minutes <= minute < (newest + 1) * frame.column_minutes
        assert newest - frame.first_column(minute) + 1 == frame.columns


def test_timeframe_is_found_by_name_and_an_unknown_one_names_the_nine() -> None:
    assert timeframe("1m").column_minutes == 60

    with pytest.raises(InvalidArgument, match=r"'7m' is unknown; use one of 12h, 24h, 3d, 1w, 2w, 1m, 3m, 6m, 1y"):
        timeframe("7m")


def test_event_carries_the_last_minute_its_bar_covers() -> None:
    assert last_minute_before(at(EXAMPLE_MINUTE + 5)) == EXAMPLE_MINUTE + 4 == 29_430_154
    assert last_minute_before(at(EXAMPLE_MINUTE, 0.001)) == EXAMPLE_MINUTE
    assert minute_of(at(EXAMPLE_MINUTE + 5)) == EXAMPLE_MINUTE + 5
    assert minute_of(at(EXAMPLE_MINUTE, 59.999)) == EXAMPLE_MINUTE


PRICES_OF_ROWS = ["65000.0", "90800.0", "66666.7", "16666.6", "3333.3", "1.1", "99999.9", "166666.6"]


@pytest.mark.parametrize("frame", TIMEFRAMES, ids=lambda f: f.name)
@pytest.mark.parametrize("text", PRICES_OF_ROWS)
def test_rows_take_the_smallest_allowed_multiple_that_fits_the_span(frame: Timeframe, text: str) -> None:
    scale = scale_of(text, 1)
    price = scale.price_units(int(Fraction(text) * 10), 1)
    span = Fraction(price * frame.span_permille, 1000)
    allowed = [m for m in ROW_MULTIPLES if m >= frame.min_row_multiple and m % frame.row_multiple_unit == 0]

    rows = scale.row_range(frame, price)

    assert rows.multiple in allowed
    assert rows.count <= MAX_GRID_ROWS
    for smaller in allowed[: allowed.index(rows.multiple)]:
        assert 2 * span > (MAX_GRID_ROWS - 2) * scale.base_step * smaller, "a finer row would have fitted"


@pytest.mark.parametrize("frame", TIMEFRAMES, ids=lambda f: f.name)
@pytest.mark.parametrize("text", PRICES_OF_ROWS)
def test_rows_cover_the_span_to_within_a_row_and_hold_the_price_in_the_middle(frame: Timeframe, text: str) -> None:
    scale = scale_of(text, 1)
    price = scale.price_units(int(Fraction(text) * 10), 1)
    span = Fraction(price * frame.span_permille, 1000)

    rows = scale.row_range(frame, price)

    width = scale.base_step * rows.multiple
    assert rows.first * width <= price - span
    assert (rows.first + rows.count + 1) * width > price + span
    assert rows.first <= price // width < rows.first + rows.count
    assert abs(2 * (price // width - rows.first) - rows.count) <= 1
    assert rows.holds_in_middle_half(scale.base_row(price))


def test_rows_of_bitcoin_are_the_published_widths() -> None:
    widths = {f.name: BTC_SCALE.row_range(f, 908_000).multiple * 20 for f in TIMEFRAMES}

    assert widths["24h"] == 40
    assert set(widths.values()) <= {40, 100, 200}


def test_row_multiple_grows_with_the_price_until_it_is_cut_at_1024_rows() -> None:
    grown = BTC_SCALE.row_range(timeframe("24h"), 10 * 908_000)
    far = BTC_SCALE.row_range(timeframe("1y"), 1000 * 908_000)

    assert grown.multiple == 20
    assert (far.count, far.multiple) == (MAX_GRID_ROWS, ROW_MULTIPLES[-1])
    assert far.holds_in_middle_half(BTC_SCALE.base_row(1000 * 908_000))


def test_range_must_move_when_the_price_leaves_its_middle_half() -> None:
    rows = RowRange(first=100, count=40, multiple=5)

    held = [row for row in range(400, 800) if rows.holds_in_middle_half(row)]

    assert held == list(range((100 + 10) * 5, (100 + 30) * 5))


def test_dollar_of_a_weighted_lot_is_the_middle_price_times_the_lot() -> None:
    rows = RowRange(first=2014, count=3, multiple=2)

    factors = BTC_SCALE.usd_per_weighted_lot(rows)

    assert len(factors) == 3
    for index, factor in enumerate(factors):
        middle = Fraction(2 * (2014 + index) + 1, 2) * 2 * 20
        assert factor == float(middle / 10**5 / WEIGHT_ONE)


def test_weighted_lots_of_the_worked_example_are_450887_dollars() -> None:
    factor = BTC_SCALE.usd_per_weighted_lot(RowRange(2014, 1, 2))[0]

    assert int(559_553 * WEIGHT_ONE * factor) == 450_887


def test_dollar_of_a_lot_of_many_coins_is_its_worth() -> None:
    scale = scale_of("0.00001234", 8)
    row = scale.base_row(scale.price_units(1234, 8))

    factor = scale.usd_per_weighted_lot(RowRange(row, 1, 1))[0]

    middle = Fraction(2 * row + 1, 2) * Fraction(scale.base_step, 10**scale.price_decimals)
    assert factor == float(middle * 10**-scale.lot_decimals / WEIGHT_ONE)

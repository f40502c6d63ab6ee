"""The liquidation map against a sum over a plain dictionary, cohort by cohort."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from fractions import Fraction
from typing import Final

import numpy as np
import pytest

from liqscape.axes import WEIGHT_ONE, RowRange
from liqscape.device.backend import BookProfile, CohortBatch
from liqscape.device.book_profile import profile_of
from liqscape.errors import InvalidArgument, LimitExceeded, NotFound, QueryError
from liqscape.events import PositionSide
from liqscape.grid.liquidation_map import ABOVE, BELOW, INSIDE, LiquidationMap, MapGroup, liquidation_map
from liqscape.grid.updates import Breakdown, MapQuery, PositionModel, Provenance
from liqscape.instruments import LEVERAGE_TIERS
from liqscape.positions.mix import prior_inflow_mix
from liqscape.positions.stated_changes import UNPRICED_ROWS
from liqscape.positions.stated_events import profile_with
from liqscape.positions.weights import STATED_TIER_INDEX, make_key
from tests.unit.synthetic_market import BTC_SCALE, make_batch, make_instrument

QUERY: Final = MapQuery("BTC")
MARK_PRICE: Final = 900_010
"""90,001.0, in base row 4500 of 20 USD."""

INSTRUMENTS: Final = (
    replace(make_instrument("BTCUSDT"), venue="alpha"),
    replace(make_instrument("BTCUSDC", max_leverage=50), venue="alpha"),
    replace(make_instrument("BTC-PERP"), venue="beta"),
)
MIXES: Final = tuple(prior_inflow_mix(i.leverage_tiers) for i in INSTRUMENTS)
KEYS: Final = [
    (make_key(number, LEVERAGE_TIERS.index(leverage), side), number, leverage, side)
    for number, instrument in enumerate(INSTRUMENTS)
    for leverage in instrument.leverage_tiers
    for side in PositionSide
]


def made_up_book(count: int = 5000, seed: int = 1) -> CohortBatch:
    """Return cohorts on 150 rows around and far away from the price; several share key and row."""
    random = np.random.default_rng(seed)
    keys = np.array([key for key, *_ in KEYS], np.uint16)
    rows = np.concatenate((random.integers(4400, 4600, count - 200), random.integers(100, 20_000, 200)))
    return CohortBatch(
        np.sort(random.integers(0, 10**7, count)).astype(np.int32),
        rows.astype(np.int32),
        random.choice(keys, count),
        random.integers(1, 10**9, count),
    )


BOOK: Final = made_up_book()


def profiled(book: CohortBatch) -> BookProfile:
    return profile_of(book.key, book.row, book.lots)


def answer(query: MapQuery, book: CohortBatch = BOOK) -> LiquidationMap:
    return liquidation_map(
        query, profiled(book), instruments=INSTRUMENTS, mixes=MIXES, scale=BTC_SCALE, mark_price=MARK_PRICE
    )


def weight_of(query: MapQuery, number: int, leverage: int) -> int:
    """Return the weight of a tier by its definition."""
    if not query.leverage_shares:
        return WEIGHT_ONE
    share = MIXES[number][INSTRUMENTS[number].leverage_tiers.index(leverage)]
    return round(Fraction(dict(query.leverage_shares).get(leverage, 0), share) * WEIGHT_ONE)


def summed(query: MapQuery, multiple: int, book: CohortBatch = BOOK) -> dict[tuple[MapGroup, int], int]:
    """Return weighted lots by (group of the cells, row), zeros left out, cohort by cohort."""
    meaning = {key: (number, leverage, side) for key, number, leverage, side in KEYS}
    total: dict[tuple[MapGroup, int], int] = defaultdict(int)
    for row, key, lots in zip(book.row.tolist(), book.key.tolist(), book.lots.tolist(), strict=True):
        number, leverage, side = meaning[key]
        instrument = INSTRUMENTS[number]
        if query.venues and instrument.venue not in query.venues:
            continue
        if (query.leverages and leverage not in query.leverages) or query.side not in (None, side):
            continue
        by_instrument = Breakdown.INSTRUMENT in query.breakdown
        group = MapGroup(
            instrument.venue if by_instrument or Breakdown.VENUE in query.breakdown else "",
            instrument.instrument_id if by_instrument else "",
            leverage if Breakdown.LEVERAGE in query.breakdown else 0,
            side,
        )
        total[group, row // multiple] += lots * weight_of(query, number, leverage)
    return {cell: lots for cell, lots in total.items() if lots}


def found_in(result: LiquidationMap) -> dict[tuple[MapGroup, int], int]:
    """Return the cells that are not 0."""
    series, rows = np.nonzero(result.cells)
    return {
        (result.series.groups[s], r + result.rows.first): int(result.cells[s, r])
        for s, r in zip(series.tolist(), rows.tolist(), strict=True)
    }


OWN_MIX: Final = ((3, 100_000), (10, 400_000), (50, 500_000))


@pytest.mark.parametrize(
    "query",
    [
        QUERY,
        replace(QUERY, breakdown=frozenset(Breakdown)),
        replace(QUERY, breakdown=frozenset({Breakdown.VENUE})),
        replace(QUERY, breakdown=frozenset({Breakdown.LEVERAGE})),
        replace(QUERY, breakdown=frozenset({Breakdown.VENUE, Breakdown.LEVERAGE}), row_multiple=1),
        replace(QUERY, venues=("alpha",), breakdown=frozenset({Breakdown.INSTRUMENT})),
        replace(QUERY, side=PositionSide.SHORT, leverages=(3, 125)),
        replace(QUERY, leverage_shares=OWN_MIX, breakdown=frozenset({Breakdown.LEVERAGE})),
        replace(QUERY, price_low=89_000.0, price_high=91_000.0, row_multiple=7),
        replace(QUERY, price_low=95_000.0, price_high=300_000.0, row_multiple=100),
    ],
    # Not str: a set of enumerations is printed in another order in each process, and workers compare their tests.
    ids=lambda query: "+".join(sorted(part.value for part in query.breakdown)),
)
def test_map_is_the_sum_over_the_cohorts(query: MapQuery) -> None:
    result = answer(query)
    rows, expected = result.rows, summed(query, result.rows.multiple)

    zones: dict[tuple[MapGroup, int], int] = defaultdict(int)
    for (group, row), lots in expected.items():
        zone = BELOW if row < rows.first else INSIDE if row < rows.first + rows.count else ABOVE
        zones[group, zone] += lots
    held = range(rows.first, rows.first + rows.count)
    assert found_in(result) == {cell: lots for cell, lots in expected.items() if cell[1] in held}
    for number, group in enumerate(result.series.groups):
        assert result.series.weighted_lots[number].tolist() == [zones[group, zone] for zone in range(3)]


@pytest.mark.parametrize("price", [(None, None), (89_990.0, 90_030.0), (70_000.0, 80_000.0)])
def test_every_total_is_all_lots_of_the_book(price: tuple[float | None, float | None]) -> None:
    result = answer(replace(QUERY, price_low=price[0], price_high=price[1]))

    whole = int(BOOK.lots.sum()) * WEIGHT_ONE
    for totals in (result.series, result.by_side, result.by_venue, result.by_leverage):
        assert totals.weighted_lots.sum() == whole
        assert totals.usd.sum() == pytest.approx(result.by_side.usd.sum(), rel=1e-12)
    assert len(result.by_venue.groups) == 4
    assert [g.leverage for g in result.by_leverage.groups] == [x for x in LEVERAGE_TIERS for _ in PositionSide]


def test_usd_is_that_of_the_middle_of_each_row() -> None:
    result = answer(replace(QUERY, row_multiple=5))

    for number, group in enumerate(result.by_side.groups):
        exact: dict[int, Fraction] = defaultdict(Fraction)
        for (_, row), lots in summed(replace(QUERY, side=group.side), 5).items():
            low, high = result.rows.first, result.rows.first + result.rows.count
            zone = BELOW if row < low else INSIDE if row < high else ABOVE
            price = Fraction((2 * row + 1) * 5 * BTC_SCALE.base_step, 2 * 10**BTC_SCALE.price_decimals)
            exact[zone] += price * lots / WEIGHT_ONE / 10**BTC_SCALE.lot_decimals
        assert result.by_side.usd[number].tolist() == pytest.approx(
            [float(exact[zone]) for zone in range(3)], rel=1e-12
        )


@pytest.mark.parametrize("price", [(None, None), (89_000.0, 91_000.0), (95_000.0, 96_000.0), (80_000.0, 85_000.0)])
def test_curves_say_what_is_gone_when_the_price_has_passed_a_row(price: tuple[float | None, float | None]) -> None:
    query = replace(QUERY, price_low=price[0], price_high=price[1])
    result = answer(query)

    expected = summed(query, result.rows.multiple)
    long, short = (MapGroup("", "", 0, side) for side in PositionSide)
    for index in (0, 1, result.rows.count // 2, result.rows.count - 1):
        row = result.rows.first + index
        assert result.curves[0, index] == sum(n for (g, r), n in expected.items() if g == long and r >= row)
        assert result.curves[1, index] == sum(n for (g, r), n in expected.items() if g == short and r <= row)
    assert result.curves_usd[0, 0] == pytest.approx(result.by_side.usd[0, INSIDE:].sum(), rel=1e-12)
    assert result.curves_usd[1, -1] == pytest.approx(result.by_side.usd[1, :ABOVE].sum(), rel=1e-12)


def test_curve_of_a_side_that_is_filtered_out_is_flat() -> None:
    result = answer(replace(QUERY, side=PositionSide.SHORT))

    assert not result.curves[PositionSide.LONG].any()
    assert result.curves[PositionSide.SHORT, -1] == result.by_side.weighted_lots[0, :ABOVE].sum()


@pytest.mark.parametrize(("price", "row"), [(900_000, 2250), (899_999, 2249), (900_399, 2250), (900_400, 2251)])
def test_price_on_an_edge_lies_in_the_row_above_it(price: int, row: int) -> None:
    result = liquidation_map(
        replace(QUERY, row_multiple=2),
        profiled(BOOK),
        instruments=INSTRUMENTS,
        mixes=MIXES,
        scale=BTC_SCALE,
        mark_price=price,
    )

    assert result.price_row == row


def test_row_of_the_price_counts_in_both_curves() -> None:
    long, short = make_key(0, 3, PositionSide.LONG), make_key(0, 3, PositionSide.SHORT)
    book = make_batch((1, 4499, long, 5), (2, 4500, long, 7), (3, 4500, short, 11), (4, 4501, short, 13))

    result = answer(replace(QUERY, row_multiple=1, price_low=89_960.0, price_high=90_040.0), book)

    assert (result.rows, result.price_row) == (RowRange(4498, 5, 1), 4500)
    assert (result.curves // WEIGHT_ONE).tolist() == [[12, 12, 7, 0, 0], [0, 0, 11, 24, 24]]


def test_empty_book_is_a_map_of_zeros() -> None:
    result = answer(replace(QUERY, breakdown=frozenset({Breakdown.LEVERAGE})), make_batch())

    assert not result.cells.any()
    assert not result.curves.any()
    assert result.cells.shape == (18, result.rows.count)
    assert result.series.weighted_lots.tolist() == [[0, 0, 0]] * 18


def test_tier_that_no_chosen_venue_has_leaves_no_series() -> None:
    result = answer(replace(QUERY, venues=("alpha",), leverages=(125,), breakdown=frozenset({Breakdown.INSTRUMENT})))

    assert [g.instrument_id for g in result.series.groups] == ["alpha:BTCUSDT", "alpha:BTCUSDT"]


def test_default_rows_are_as_high_as_those_of_a_day_over_the_span_of_a_year() -> None:
    rows = answer(QUERY).rows

    assert (rows.multiple, rows.first, rows.count) == (2, 1120, 2260)


def test_open_only_book_and_own_mix_are_not_reconciled() -> None:
    assert answer(QUERY).reconciled
    assert not answer(replace(QUERY, model=PositionModel.OPEN_ONLY)).reconciled
    assert not answer(replace(QUERY, leverage_shares=OWN_MIX)).reconciled


@pytest.mark.parametrize(
    ("query", "error", "text"),
    [
        (replace(QUERY, venues=("gamma",)), NotFound, "venue 'gamma' is unknown; known are alpha, beta"),
        (replace(QUERY, leverages=(7,)), InvalidArgument, "leverages has 7; allowed are 3, 5, 10"),
        (replace(QUERY, row_multiple=0), InvalidArgument, "base_steps_per_row 0 is invalid; use 1 or more"),
        (replace(QUERY, price_low=200_000.0), InvalidArgument, "price_low 200000.0 is above price_high 13"),
        (replace(QUERY, price_high=1e12), InvalidArgument, "rows are too many; at most 16384 are allowed"),
        (replace(QUERY, max_cells=10), LimitExceeded, "cells; the limit of this caller is 10"),
        (replace(QUERY, leverage_shares=((3, 1_000_000),)), InvalidArgument, "below 16 is allowed"),
    ],
)
def test_bad_query_names_the_field_and_what_is_allowed(query: MapQuery, error: type[QueryError], text: str) -> None:
    with pytest.raises(error, match=text):
        answer(query)


def test_too_many_series_and_cells_are_refused() -> None:
    instruments = [make_instrument(f"BTC{number}") for number in range(114)]
    everything = replace(QUERY, breakdown=frozenset(Breakdown), price_low=90_000.0, price_high=90_500.0)

    def ask(query: MapQuery, count: int) -> LiquidationMap:
        mixes = [prior_inflow_mix(i.leverage_tiers) for i in instruments[:count]]
        return liquidation_map(
            query,
            profiled(make_batch()),
            instruments=instruments[:count],
            mixes=mixes,
            scale=BTC_SCALE,
            mark_price=MARK_PRICE,
        )

    assert ask(everything, 113).cells.shape == (2034, 13)
    with pytest.raises(InvalidArgument, match="2052 series x 13 rows are too many; at most 2048 series"):
        ask(everything, 114)
    with pytest.raises(InvalidArgument, match=r"1800 series x 2505 rows are too many; .* and 4194304 cells"):
        ask(replace(everything, price_low=80_000.0, price_high=130_090.0, row_multiple=1), 100)


STATED_KEYS: Final = [make_key(number, STATED_TIER_INDEX, side) for number in (0, 2) for side in PositionSide]
STATED: Final = make_batch(
    (1, 4450, STATED_KEYS[0], 1000),
    (1, 4450, STATED_KEYS[2], 20),
    (1, 4600, STATED_KEYS[1], 300),
    (1, UNPRICED_ROWS[PositionSide.LONG], STATED_KEYS[0], 7),
    (1, UNPRICED_ROWS[PositionSide.SHORT], STATED_KEYS[3], 9),
    (1, UNPRICED_ROWS[PositionSide.SHORT] - 1, STATED_KEYS[3], 5),
)
"""Lots that venues state: of instruments 0 (alpha) and 2 (beta)."""


def answer_with_stated(query: MapQuery) -> LiquidationMap:
    profile = profile_with(profiled(BOOK), STATED)
    return liquidation_map(query, profile, instruments=INSTRUMENTS, mixes=MIXES, scale=BTC_SCALE, mark_price=MARK_PRICE)


def test_stated_positions_are_in_the_map_and_a_series_of_their_own_by_leverage() -> None:
    query = replace(QUERY, breakdown=frozenset({Breakdown.LEVERAGE}), row_multiple=1)
    plain = answer(query)

    found = answer_with_stated(query)

    longs, shorts = found.series.groups[-2:]
    assert (longs.stated, longs.leverage, longs.side) == (True, 0, PositionSide.LONG)
    assert (shorts.stated, shorts.leverage, shorts.side) == (True, 0, PositionSide.SHORT)
    assert found.cells[:-2].tolist() == plain.cells.tolist()
    assert {cell: lots for cell, lots in found_in(found).items() if cell[0].stated} == {
        (longs, 4450): 1020 * WEIGHT_ONE,
        (shorts, 4600): 300 * WEIGHT_ONE,
    }
    assert found.by_leverage.groups[-2:] == (longs, shorts)
    assert (found.by_side.weighted_lots - plain.by_side.weighted_lots).sum(axis=1).tolist() == [
        1020 * WEIGHT_ONE,
        305 * WEIGHT_ONE,
    ]


def test_positions_without_a_price_are_told_apart_and_in_no_total() -> None:
    found = answer_with_stated(QUERY)
    longs_of_alpha = answer_with_stated(replace(QUERY, venues=("alpha",), side=PositionSide.LONG))

    assert found.without_price == (7 * WEIGHT_ONE, 9 * WEIGHT_ONE)
    assert longs_of_alpha.without_price == (7 * WEIGHT_ONE, 0)
    assert answer(QUERY).without_price == (0, 0)
    assert not any(group.stated for group in found.series.groups)


def test_price_beyond_all_rows_counts_above_at_its_own_middle_price() -> None:
    query = replace(QUERY, row_multiple=1, price_low=89_000.0, price_high=91_000.0)
    plain, found = answer(query), answer_with_stated(query)

    row = UNPRICED_ROWS[PositionSide.SHORT] - 1
    usd = 5 * WEIGHT_ONE * BTC_SCALE.usd_per_weighted_lot(RowRange(row, 1, 1))[0]
    stated = 300 * WEIGHT_ONE * BTC_SCALE.usd_per_weighted_lot(RowRange(4600, 1, 1))[0]
    more = found.by_side.usd[PositionSide.SHORT, ABOVE] - plain.by_side.usd[PositionSide.SHORT, ABOVE]
    assert more == pytest.approx(usd + stated)
    below = plain.by_side.usd[PositionSide.LONG, BELOW]
    assert (
        found.by_side.usd[PositionSide.LONG, BELOW] == below
    )  # made of each row's own price, however far apart they lie


@pytest.mark.parametrize(
    ("query", "sees"),
    [
        (replace(QUERY, provenance=Provenance.STATED), "stated"),
        (replace(QUERY, provenance=Provenance.ESTIMATED), "estimated"),
        (replace(QUERY, leverages=LEVERAGE_TIERS), "estimated"),
        (replace(QUERY, leverage_shares=OWN_MIX), "both"),
        (replace(QUERY, provenance=Provenance.STATED, leverage_shares=OWN_MIX), "stated"),
    ],
    ids=["stated", "estimated", "leverages", "own mix", "own mix of stated"],
)
def test_filters_by_provenance_and_leverage_part_stated_from_estimated(query: MapQuery, sees: str) -> None:
    found = answer_with_stated(query).by_side.weighted_lots.sum(axis=1)

    stated = np.array([1020, 305]) * WEIGHT_ONE
    estimated = answer(replace(query, provenance=None)).by_side.weighted_lots.sum(axis=1)
    expected = {"stated": stated, "estimated": estimated, "both": estimated + stated}[sees]
    assert found.tolist() == expected.tolist()


def test_stated_series_is_there_when_it_is_asked_for_and_nothing_is_stated() -> None:
    found = answer(replace(QUERY, provenance=Provenance.STATED))

    assert [group.side for group in found.series.groups] == list(PositionSide)
    assert not found.cells.any()
    with pytest.raises(InvalidArgument, match="leverages and provenance stated exclude each other"):
        answer(replace(QUERY, provenance=Provenance.STATED, leverages=(10,)))

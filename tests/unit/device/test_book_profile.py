"""Profiles: sums of cohorts by key and row, in lots, against a dictionary; and the arithmetic of lots."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from liqscape.device.backend import BookProfile, LotRates
from liqscape.device.book_profile import profile_of
from liqscape.device.lot_rates import lots_of
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.device.numpy_live import NumpyLiveTable
from liqscape.events import PositionSide
from liqscape.positions.weights import make_key

LINEAR, INVERSE = 0, 1
RATES = LotRates(np.array([False, True]), np.array([1, 10**7]), np.array([1, 3]))
"""A unit of the inverse instrument is 10^7 / 3 lots x (2 rows + 1): 477 on row 3493."""
LINEAR_RATES = LotRates(np.zeros(2, np.bool_), np.ones(2, np.int64), np.ones(2, np.int64))


def lots_by_definition(number: int, quantity: int, row: int) -> int:
    return quantity * 10**7 // ((2 * row + 1) * 3) if number == INVERSE else quantity


def as_dictionary(profile: BookProfile) -> dict[tuple[int, int], int]:
    """Return lots by (key, row), after checking order and types."""
    assert [column.dtype.name for column in (profile.key, profile.row, profile.lots)] == ["uint16", "int32", "int64"]
    names = list(zip(profile.key.tolist(), profile.row.tolist(), strict=True))
    assert names == sorted(set(names))
    return dict(zip(names, profile.lots.tolist(), strict=True))


def made_up_columns(count: int, seed: int = 1) -> tuple[NDArray[np.uint16], NDArray[np.int32], NDArray[np.int64]]:
    """Return key, row and quantity of cohorts of both instruments, many of one key and row."""
    random = np.random.default_rng(seed)
    keys = np.array([make_key(n, t, s) for n in (LINEAR, INVERSE) for t in (0, 4) for s in PositionSide], np.uint16)
    rows = np.where(
        random.random(count) < 0.9, random.integers(3480, 3500, count), random.integers(0, 3_000_000, count)
    )
    return random.choice(keys, count), rows.astype(np.int32), random.integers(0, 9, count)


@pytest.mark.parametrize("count", [1, 7, 1000])
def test_profile_does_not_depend_on_how_the_work_is_cut(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    key, row, lots = made_up_columns(1000)
    whole = profile_of(key, row, lots)
    monkeypatch.setattr("liqscape.device.book_profile._PROFILE_CELLS", 6_500_000)
    monkeypatch.setattr("liqscape.device.book_profile._PROFILE_SLICE", count)

    cut = profile_of(key, row, lots)

    expected: Counter[tuple[int, int]] = Counter()
    for name, quantity in zip(zip(key.tolist(), row.tolist(), strict=True), lots.tolist(), strict=True):
        expected[name] += quantity
    assert as_dictionary(cut) == as_dictionary(whole) == {name: n for name, n in expected.items() if n}


def test_profile_keeps_lots_beyond_what_a_float_can_count() -> None:
    key = np.zeros(4, np.uint16)

    profile = profile_of(key, np.array([9, 9, 8, 7], np.int32), np.array([2**60 + 1, 2**60 + 2, 1, 0]))

    assert as_dictionary(profile) == {(0, 8): 1, (0, 9): 2**61 + 3}


@pytest.mark.parametrize("rates", [RATES, LINEAR_RATES], ids=["inverse", "linear"])
def test_profile_of_a_table_is_the_sum_over_its_cohorts_in_lots(rates: LotRates) -> None:
    table = NumpyLiveTable(4)
    for minute in range(30):
        key, row, lots = made_up_columns(200, seed=minute)
        _, first = np.unique(row.astype(np.int64) << 16 | key, return_index=True)
        table.append(minute, row[first], key[first], lots[first] + 1, np.arange(len(first)))
    table.sweep(np.array([3495, 3483, 3496, 3481]))  # leaves ended cohorts among the others
    table.close(np.array([9, 9, 9, 9]))

    profile = table.profile(rates)()

    expected: Counter[tuple[int, int]] = Counter()
    cohorts, _ = table.cohorts()
    for key_, row_, quantity in zip(cohorts.key.tolist(), cohorts.row.tolist(), cohorts.lots.tolist(), strict=True):
        number = key_ >> 5 if rates is RATES else LINEAR
        expected[key_, row_] += lots_by_definition(number, quantity, row_)
    assert as_dictionary(profile) == {name: lots for name, lots in expected.items() if lots}
    assert rates is LINEAR_RATES or 0 in expected.values()  # a cohort far above is less than a lot


def test_profile_is_of_the_moment_it_was_asked_for() -> None:
    table = NumpyLiveTable(4)
    key, row = np.zeros(1, np.uint16), np.full(1, 10, np.int32)
    table.append(5, row, key, np.full(1, 7), np.zeros(1, np.int64))

    before = table.profile(LINEAR_RATES)
    table.append(5, row, key, np.full(1, 2), np.zeros(1, np.int64))
    after = table.profile(LINEAR_RATES)
    table.sweep(np.zeros(4, np.int64))

    assert as_dictionary(before()) == {(0, 10): 7}
    assert as_dictionary(after()) == {(0, 10): 9}
    assert as_dictionary(table.profile(LINEAR_RATES)()) == {}


@pytest.mark.parametrize("rates", [RATES, LINEAR_RATES], ids=["inverse", "linear"])
def test_profile_of_nothing_is_empty(rates: LotRates) -> None:
    assert as_dictionary(NumpyBackend().live_table(4).profile(rates)()) == {}


def test_lots_of_any_quantity_and_row_are_the_definition() -> None:
    quantities, rows = [0, 1, 2, 3, 10**4 + 7, 10**15], [0, 1, 17, 3333, 65_535, 1_000_003]
    cases = [(n, q, r) for n in (LINEAR, INVERSE) for q in quantities for r in rows if q < 10**15 or r > 17]
    key = np.array([make_key(n, 2, PositionSide.SHORT) for n, *_ in cases], np.uint16)

    lots = lots_of(RATES, np.array([q for _, q, _ in cases]), np.array([r for *_, r in cases], np.int32), key)

    assert lots.tolist() == [lots_by_definition(*case) for case in cases]


def test_lots_of_linear_instruments_are_the_quantities() -> None:
    key, row, quantity = made_up_columns(10)

    assert lots_of(LINEAR_RATES, quantity, row, key) is quantity

"""Rolls and plain ticks are told apart, misses and differences are said."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import bench_grid, report
from benchmarks.bench_grid import Book
from benchmarks.grid_contenders import Contender
from benchmarks.grid_ticks import Ticks, summarise_ticks


def some_ticks(p50: float = 1.0, p99: float = 2.0, wrong: list[str] | None = None) -> Ticks:
    return Ticks(100, p50, p99, 3.0, 90, p50, p99, 2.5, 3.0, {"12h": (1.5, 10)}, wrong or [])


def some_book(instruments: int, contenders: list[Contender], ticks: Ticks | None = None) -> Book:
    counts = (instruments * 1000, 10, 230, (5, 6), 253, 7, 182, 900)
    book = Book(instruments, *counts, merge_seconds=[1.0, 2.0], merge_hour_seconds=0.5)
    book.contenders, book.ticks = contenders, ticks
    return book


def contender(name: str, milliseconds: float, wrong: list[str] | None = None) -> Contender:
    return Contender(name, milliseconds, {"12h": milliseconds}, wrong or [])


def test_ticks_with_a_roll_are_reported_apart() -> None:
    spent = np.array([[1.0, 2.0], [5.0, 2.0], [1.0, 1.0], [7.0, 9.0]])
    rolled = np.array([[False, False], [True, False], [False, False], [True, True]])

    ticks = summarise_ticks(spent, rolled, ["12h", "24h"], [])

    assert (ticks.count, ticks.p50, ticks.most) == (4, 7.0, 16.0)
    assert (ticks.plain_count, ticks.plain_p50, ticks.plain_p99) == (2, 3.0, 3.0)
    assert (ticks.roll_p50, ticks.roll_most) == (16.0, 16.0)
    assert ticks.rolls_by_timeframe == {"12h": (6.0, 2), "24h": (9.0, 1)}


def test_ticks_without_a_roll_have_no_figures_of_rolls() -> None:
    ticks = summarise_ticks(np.ones((3, 1)), np.zeros((3, 1), np.bool_), ["12h"], [])

    assert (ticks.roll_p50, ticks.roll_most, ticks.rolls_by_timeframe) == (0.0, 0.0, {})


def test_contenders_stand_beside_the_tiers_as_ratios() -> None:
    book = some_book(1, [contender("from age tiers", 40.0), contender("other", 100.0)], some_ticks())

    figures = bench_grid.figures_of(book)

    assert figures["1 instrument, nine grids from age tiers"] == "40 ms"
    assert figures["1 instrument, nine grids other"] == "100 ms, 2.5 x"
    assert figures["1 instrument, ticks with a roll p50 / max"] == "2.50 / 3.00 ms (10)"


def test_whatever_is_faster_than_the_tiers_is_said() -> None:
    book = some_book(1, [contender("from age tiers", 40.0), contender("fast", 39.0), contender("slow", 41.0)])

    assert bench_grid.missed(book) == ["fast: 39 ms, tiers take 40 ms"]


@pytest.mark.parametrize(("instruments", "p50", "p99", "count"), [(1, 4.9, 19.9, 0), (1, 5, 20, 2), (20, 49, 999, 0)])
def test_slow_ticks_are_said(instruments: int, p50: float, p99: float, count: int) -> None:
    book = some_book(instruments, [contender("from age tiers", 1.0)], some_ticks(p50, p99))

    assert len(bench_grid.missed(book)) == count


def test_every_difference_is_named() -> None:
    parts = [contender("from age tiers", 1.0), contender("other", 2.0, ["3d", "1y"])]
    book = some_book(20, parts, some_ticks(wrong=["12h"]))

    assert bench_grid.wrong_grids(book) == [
        "20 instruments, other: 3d, 1y differ",
        "20 instruments, after the ticks 12h differ",
    ]


def test_default_run_keeps_what_it_has_each_time_it_knows_more(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = some_book(1, [contender("from age tiers", 40.0)]), some_book(20, [])
    stored: list[dict[str, str]] = []
    monkeypatch.setattr(report, "store", lambda name, question, figures, result: stored.append(figures))
    monkeypatch.setattr(bench_grid, "measure_all", lambda options: iter([[first], [first, second]]))

    assert bench_grid.main([]) == 0

    assert ["measured so far" in figures for figures in stored] == [True, True, False]
    assert "20 instruments, merge one more hour" not in stored[0]
    assert "20 instruments, merge one more hour" in stored[1]
    assert stored[2]["wanted and not reached"] == "nothing"


def test_run_ends_at_the_first_difference_and_does_not_store_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = some_book(1, [contender("from age tiers", 1.0), contender("other", 2.0, ["3d"])])
    monkeypatch.setattr(report, "store", lambda *_: pytest.fail("a wrong grid was stored"))
    monkeypatch.setattr(bench_grid, "measure_all", lambda options: iter([[wrong]]))

    assert bench_grid.main([]) == 1
    assert "other: 3d differ" in capsys.readouterr().err


@pytest.mark.slow
def test_small_run_has_equal_grids_and_stores_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(report, "store", lambda *_: pytest.fail("a partial run was stored"))
    monkeypatch.setattr(bench_grid, "MERGE_AT_EVENTS", 200_000)
    options = ("--days", "2", "--instruments", "2", "--ticks", "120", "--repeats", "1")

    status = bench_grid.main(options)

    assert status == 0
    assert "2 instruments, nine grids from age tiers" in capsys.readouterr().out

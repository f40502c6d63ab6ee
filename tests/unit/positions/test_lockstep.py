"""Books that step together do what they do alone, with one call of the backend a stage."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np
import pytest

from liqscape.device.backend import AppendRequest, CloseRequest, EndedCohorts, LiveTable, SweepRequest
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.errors import ModelError
from liqscape.market.bars import Bar
from liqscape.positions.book import BookStep, Cause, PositionBook
from liqscape.positions.lockstep import Request, Stages, appended, closed, run_together, swept
from liqscape.positions.open_only import OpenOnlyBook
from tests.unit.recording_backend import RecordingBackend
from tests.unit.synthetic_market import BTC, BTC_SCALE, EXAMPLE_MINUTE, as_tuples, make_bar, make_instrument

MINUTE = EXAMPLE_MINUTE
OTHER = make_instrument("BTCUSDC")
INSTRUMENTS = (BTC, OTHER)

Book = PositionBook | OpenOnlyBook


def make_books(backend: NumpyBackend) -> list[Book]:
    """Return three books, which agree in nothing but the backend."""
    return [
        PositionBook("BTC", INSTRUMENTS, BTC_SCALE, backend),
        OpenOnlyBook("BTC", INSTRUMENTS, BTC_SCALE, backend),
        PositionBook("BTC", [BTC], BTC_SCALE, backend),
    ]


def made_up_ticks(count: int, seed: int = 5) -> list[list[list[Bar]]]:
    """Return bars by tick and book: some with no bars, no price or no sample."""
    random, row = Random(seed), 4500
    ticks = []
    for number in range(count):
        row += random.randint(-60, 60)
        rows = None if random.random() < 0.2 and number else (row - random.randint(0, 9), row + random.randint(0, 9))
        both = [
            make_bar(
                MINUTE + number // 2,
                rows,
                lots=random.randint(0, 9000) if rows else 0,
                sample=random.randint(40_000, 60_000) if random.random() < 0.7 else None,
                instrument=instrument,
            )
            for instrument in INSTRUMENTS
        ]
        ticks.append([both, both if random.random() < 0.8 else [], both[:1]])
    return ticks


def told(step: BookStep) -> tuple[object, ...]:
    """Return a step in values that compare."""
    return (*((batch.minute, batch.cause, as_tuples(batch.cohorts)) for batch in step.events), step.samples)


def held(book: Book) -> tuple[object, ...]:
    cohorts, clocks = book.cohorts()
    return as_tuples(cohorts), clocks.tolist()


def test_books_together_do_what_they_do_alone() -> None:
    backend = NumpyBackend()
    together, alone = make_books(backend), make_books(backend)
    causes: set[Cause] = set()

    for bars in made_up_ticks(60):
        steps = run_together(backend, [book.stages(b) for book, b in zip(together, bars, strict=True)])
        singles = [book.apply(b) for book, b in zip(alone, bars, strict=True)]

        assert [told(step) for step in steps] == [told(step) for step in singles]
        causes |= {batch.cause for step in steps for batch in step.events}

    assert [held(book) for book in together] == [held(book) for book in alone]
    assert causes == {Cause.OPENED, Cause.SWEPT, Cause.CLOSED}


def test_order_of_the_books_decides_nothing() -> None:
    backend = NumpyBackend()
    forward, backward = make_books(backend), make_books(backend)

    for bars in made_up_ticks(40):
        steps = run_together(backend, [book.stages(b) for book, b in zip(forward, bars, strict=True)])
        turned = run_together(backend, [book.stages(b) for book, b in reversed(list(zip(backward, bars, strict=True)))])

        assert [told(step) for step in steps] == [told(step) for step in reversed(turned)]

    assert [held(book) for book in forward] == [held(book) for book in backward]


def tick_of(*bars: Bar) -> list[tuple[str, int]]:
    """Return the calls of a tick in which three books take these bars, after two that opened something."""
    backend = RecordingBackend()
    books = make_books(backend)
    for number, sample in enumerate((50_000, 54_000)):
        opening = make_bar(MINUTE + number, (4495, 4505), lots=9000, sample=sample)
        run_together(backend, [book.stages([opening]) for book in books])
    backend.calls.clear()

    run_together(backend, [book.stages(bars) for book in books])
    return backend.calls


def test_each_stage_is_one_call_with_the_books_that_need_it() -> None:
    calls = tick_of(make_bar(MINUTE + 2, (4495, 4505), lots=9000, sample=55_000))

    assert calls == [("sweep", 3), ("close", 2), ("append", 3)]  # the open-only book closes nothing


@pytest.mark.parametrize(
    ("bars", "calls"),
    [
        ([], []),
        ([make_bar(MINUTE + 2)], []),
        ([make_bar(MINUTE + 2, (4400, 4500), lots=9000)], [("sweep", 3)]),
        ([make_bar(MINUTE + 2, sample=54_000)], []),
        ([make_bar(MINUTE + 2, sample=54_100)], [("append", 3)]),
    ],
    ids=["no bars", "bar of nothing", "price alone", "unchanged sample alone", "risen sample alone"],
)
def test_stage_with_nothing_to_do_is_not_asked_for(bars: Sequence[Bar], calls: list[tuple[str, int]]) -> None:
    assert tick_of(*bars) == calls


def test_single_book_is_a_batch_of_one() -> None:
    backend = RecordingBackend()
    book = PositionBook("BTC", [BTC], BTC_SCALE, backend)
    book.apply([make_bar(MINUTE, (4495, 4505), lots=9000, sample=50_000)])

    book.apply([make_bar(MINUTE + 1, (4495, 4505), lots=9000, sample=54_000)])

    assert backend.calls == [("sweep", 1), ("sweep", 1), ("append", 1)]


def test_no_books_ask_for_nothing() -> None:
    backend = RecordingBackend()

    assert run_together(backend, list[Stages[int]]()) == []
    assert backend.calls == []


def requests(table: LiveTable) -> tuple[SweepRequest, CloseRequest, AppendRequest]:
    none = np.empty(0, np.int64)
    return (
        SweepRequest(table, np.zeros(2, np.int64)),
        CloseRequest(table, np.zeros(2, np.int64)),
        AppendRequest(table, MINUTE, none.astype(np.int32), none.astype(np.uint16), none, none),
    )


def test_each_answer_goes_to_who_asked() -> None:
    backend = NumpyBackend()
    tables = [backend.live_table(2) for _ in range(3)]
    for number, table in enumerate(tables):
        one = np.ones(1, np.int64)
        table.append(MINUTE, one.astype(np.int32), np.zeros(1, np.uint16), (number + 1) * one, one)

    def sweeps(table: LiveTable) -> Stages[int]:
        ended: EndedCohorts = yield from swept(requests(table)[0])
        return int(ended.lots.sum())

    def closes(table: LiveTable) -> Stages[int]:
        ended, reached = yield from closed(CloseRequest(table, np.array([2, 0])))
        return 10 * int(ended.lots.sum()) + int(reached[0])

    def appends(table: LiveTable) -> Stages[int]:
        held = yield from appended(AppendRequest(table, MINUTE, *more))
        return int(held[0])

    more = (np.ones(1, np.int32), np.zeros(1, np.uint16), np.full(1, 7), np.ones(1, np.int64))

    assert run_together(backend, [appends(tables[0]), closes(tables[1]), sweeps(tables[2])]) == [8, 21, 3]


@pytest.mark.parametrize("order", [(1, 0), (2, 1), (0, 0), (2, 0)])
def test_stages_out_of_order_are_a_defect(order: tuple[int, int]) -> None:
    backend = NumpyBackend()
    asked: list[Request] = [requests(backend.live_table(2))[stage] for stage in order]

    def book() -> Stages[None]:
        yield asked[0]
        yield asked[1]

    with pytest.raises(ModelError, match="after its turn"):
        run_together(backend, [book()])

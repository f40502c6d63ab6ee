"""I3 in the unit of each instrument, and lots that come out even, over venues that count in coins and in contracts."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given

from liqscape.axes import SymbolScale
from liqscape.device.backend import CohortBatch, LiveSnapshot
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.device.numpy_live import NumpyLiveTable
from liqscape.events import PositionSide, TickEnd
from liqscape.instruments import Instrument
from liqscape.market.bars import Bar
from liqscape.market.state import MarketState
from liqscape.positions.book import BookStep, Cause, PositionBook
from liqscape.positions.mix import SHARE_ONE
from liqscape.positions.weights import KEY_INSTRUMENT_SHIFT
from tests.conftest import fewer_examples
from tests.property.venue_days import INSTRUMENTS, VenueDay, venue_days
from tests.unit.synthetic_market import as_tuples, make_bar

Name = tuple[int, int, int]
"""Open minute, row, key."""

BIG_POSITIONS = {
    i.instrument_id: (
        SHARE_ONE - (len(i.maintenance_tiers) - 1) * 60_000,
        *[60_000] * (len(i.maintenance_tiers) - 1),
    )
    for i in INSTRUMENTS
}
"""A size mix that uses every maintenance tier, so that most positions are ladders."""


class ExhaustiveBackend(NumpyBackend):
    """A backend whose live table scans every cohort in every operation."""

    def live_table(self, groups: int, snapshot: LiveSnapshot | None = None) -> NumpyLiveTable:
        return NumpyLiveTable(groups, snapshot, exhaustive=True)


def lots_of(quantity: int, row: int, instrument: Instrument, scale: SymbolScale) -> int:
    """Return the definition of a cohort's lots."""
    if instrument.contract_value is None:
        return quantity
    middle = Fraction((2 * row + 1) * scale.base_step, 2) / 10**scale.price_decimals
    lots = quantity * instrument.contract_value * 10**scale.lot_decimals / middle
    return int(lots.numerator // lots.denominator)


class Audit:
    """Follows a book by its events and samples, in the unit of each instrument and in lots."""

    def __init__(self, book: PositionBook) -> None:
        self.book = book
        self.told: Counter[Name] = Counter()
        self.samples: dict[str, int] = {}
        self.swept_since: Counter[int] = Counter()
        self.uncovered: dict[tuple[str, PositionSide], int] = {}
        self.ledger = NumpyBackend().ledger()

    def follow(self, bars: list[Bar]) -> BookStep:
        before = self._quantities()
        step = self.book.apply(bars)
        for batch in step.events:
            assert batch.cohorts.lots.min() > 0
            for *name, lots in as_tuples(batch.cohorts):
                self.told[name[0], name[1], name[2]] += batch.sign * lots
            self.ledger.append(batch.minute, batch.cohorts, batch.sign, int(batch.cause))
        self._count_sweeps(bars, before)
        self._check_lots()
        self._check_accounts(bars, step)
        return step

    def _quantities(self) -> dict[Name, int]:
        return {(minute, row, key): quantity for minute, row, key, quantity in as_tuples(self.book.cohorts()[0])}

    def _count_sweeps(self, bars: list[Bar], before: dict[Name, int]) -> None:
        """Count what the trigger prices reached, in the unit of the instrument, from the cohorts alone."""
        by_name = {bar.instrument_id: bar for bar in bars}
        for (_, row, key), quantity in before.items():
            bar = by_name.get(self.book.instruments[key >> KEY_INSTRUMENT_SHIFT].instrument_id)
            if bar is None or bar.trigger is None:
                continue
            low, high = (self.book.scale.base_row(price) for price in (bar.trigger.low, bar.trigger.high))
            if row >= low if key & 1 == PositionSide.LONG else row <= high:
                self.swept_since[key >> KEY_INSTRUMENT_SHIFT << 1 | key & 1] += quantity

    def _check_lots(self) -> None:
        """Check that what every cohort ever told is what is left of it, and that a table's contracts say the same."""
        held = self._quantities()
        wanted = {
            name: lots_of(quantity, name[1], self.book.instruments[name[2] >> KEY_INSTRUMENT_SHIFT], self.book.scale)
            for name, quantity in held.items()
        }
        assert {name: lots for name, lots in self.told.items() if lots} == {
            n: lots for n, lots in wanted.items() if lots
        }
        in_lots: CohortBatch = self.book.cohorts_in_lots()
        assert in_lots.lots.tolist() == list(wanted.values())
        columns = self.ledger.capture().columns()
        by_row: Counter[tuple[int, int]] = Counter()
        for row, key, lots in zip(columns.row.tolist(), columns.key.tolist(), columns.lots.tolist(), strict=True):
            by_row[row, key] += lots
        live_by_row: Counter[tuple[int, int]] = Counter()
        for (_, row, key), lots in wanted.items():
            live_by_row[row, key] += lots
        assert {place: lots for place, lots in by_row.items() if lots} == +live_by_row

    def _check_accounts(self, bars: list[Bar], step: BookStep) -> None:
        sampled = {bar.instrument_id: bar.open_interest_lots for bar in bars if bar.open_interest_lots is not None}
        assert Counter(s.instrument_id for s in step.samples) == dict.fromkeys(sampled, 2)
        counted = self.book.lots_by_group().tolist()
        for number, instrument in enumerate(self.book.instruments):
            name = instrument.instrument_id
            account = self.book.account(name)
            for side in PositionSide:
                live, uncovered = account.live[side], account.uncovered[side]
                assert live == counted[2 * number + side]
                if name in sampled:
                    self.swept_since[2 * number + side] = 0
                    assert live + uncovered == sampled[name]
                else:
                    swept = self.swept_since[2 * number + side]
                    assert live + uncovered + swept == self.samples.get(name, 0)
                    assert account.swept[side] == swept
                if name in self.samples:
                    assert 0 <= uncovered <= self.uncovered[name, side], "uncovered grew"
                self.uncovered[name, side] = uncovered
        self.samples |= sampled


def steps_of(day: VenueDay) -> list[tuple[SymbolScale, list[Bar]]]:
    """Return the bars of each step of the book."""
    market = MarketState(day.instruments)
    steps = []
    for tick in day.ticks:
        for event in tick:
            if not isinstance(event, TickEnd):
                market.apply(event)
            else:
                bars = market.close_tick(event.time_ns)
                scale = market.scale("BTC")
                assert scale is not None
                steps.append((scale, bars))
    return steps


@pytest.mark.slow
@pytest.mark.parametrize("size_mixes", [None, BIG_POSITIONS], ids=["one price a position", "ladders"])
@fewer_examples(3)
@given(day=venue_days())
def test_books_of_several_venues_add_up_in_their_own_units_and_in_lots(
    size_mixes: dict[str, tuple[int, ...]] | None, day: VenueDay
) -> None:
    audit: Audit | None = None
    for scale, bars in steps_of(day):
        if audit is None:
            audit = Audit(PositionBook("BTC", day.instruments, scale, NumpyBackend(), size_mixes=size_mixes))
        audit.follow(bars)


@pytest.mark.slow
@fewer_examples(3)
@given(day=venue_days())
def test_near_set_tells_what_an_exhaustive_scan_tells(day: VenueDay) -> None:
    steps = steps_of(day)
    books = [
        PositionBook("BTC", day.instruments, steps[0][0], backend, size_mixes=BIG_POSITIONS)
        for backend in (NumpyBackend(), ExhaustiveBackend())
    ]

    for _, bars in steps:
        near, exhaustive = (book.apply(bars) for book in books)
        assert near.samples == exhaustive.samples
        told = [[(b.minute, b.cause, as_tuples(b.cohorts)) for b in step.events] for step in (near, exhaustive)]
        assert told[0] == told[1]


@pytest.mark.slow
@fewer_examples(2)
@given(day=venue_days(min_ticks=6, max_ticks=12))
def test_instrument_is_booked_the_same_alone_and_in_company(day: VenueDay) -> None:
    steps = steps_of(day)
    together = PositionBook("BTC", day.instruments, steps[0][0], NumpyBackend())
    alone = [PositionBook("BTC", [i], steps[0][0], NumpyBackend()) for i in day.instruments]

    for _, bars in steps:
        step = together.apply(bars)
        for number, (instrument, book) in enumerate(zip(day.instruments, alone, strict=True)):
            mine = [bar for bar in bars if bar.instrument_id == instrument.instrument_id]
            single = book.apply(mine)
            assert [s for s in step.samples if s.instrument_id == instrument.instrument_id] == list(single.samples)
            for cause in Cause:
                told = [c for b in step.events if b.cause is cause for c in as_tuples(b.cohorts) if c[2] >> 5 == number]
                wanted = [c for b in single.events if b.cause is cause for c in as_tuples(b.cohorts)]
                assert [(*c[:2], c[2] & 31, c[3]) for c in told] == wanted


def test_made_up_days_reach_ladders_joins_and_lots_of_less_than_one() -> None:
    """The properties above say something only if these happen; a fixed day of few contracts has them all."""
    scale = SymbolScale.first_seen("BTC", 900_000, 1)
    book = PositionBook("BTC", INSTRUMENTS, scale, NumpyBackend(), size_mixes=BIG_POSITIONS)
    audit = Audit(book)
    kraken = next(i for i in INSTRUMENTS if i.name == "PI_XBTUSD")
    audit.follow([make_bar(100, (4500, 4500), sample=0, instrument=kraken, scale=scale)])
    causes: Counter[Cause] = Counter()
    untold = 0
    for number, sample in enumerate((40, 75, 60, 90, 10, 30, 0)):
        bar = make_bar(101 + number // 2, (4500, 4500), lots=100, sample=sample, instrument=kraken, scale=scale)
        step = audit.follow([bar])
        causes.update(batch.cause for batch in step.events)
        untold += int((book.cohorts_in_lots().lots == 0).sum())

    assert causes[Cause.OPENED] >= 5
    assert causes[Cause.CLOSED] >= 3
    assert untold > 0
    rows_of_10x = {row for _, row, key in audit.told if key & 31 == 4}
    assert len(rows_of_10x) > 1  # all entered on one row: steps of ladders
    assert np.all([lots == 0 for lots in audit.told.values()])

"""The open-only book does what a dictionary of cohorts and Python's integers do, whatever the market does.

Seen to fail when broken on purpose, one at a time:
- open_only.py, stages: swept after the openings were placed as well; _opening: the rise as `abs(...)`, or a rise at the
  first sample; finish_sample only after a rise; _inflow: RowMap.of in place of RowMap.bankruptcy, one split for both
  sides;
- margin.py, bankruptcy: without `inverse`; the sides turned round;
- inflow.py, place: the fallback row where something was traded;
  finish_sample: without the reset of the trades; _merged: `merged[inverse] = ` in place of np.add.at;
- cohort_book.py, _sweep: the row of the low raised by one, or what was swept told in contracts; _last_row: always the
  symbol's; _numbered: the bars in the order given.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from fractions import Fraction
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqscape.axes import SymbolScale
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.events import Event, PositionSide, TickEnd
from liqscape.instruments import LEVERAGE_TIERS, Instrument
from liqscape.market.bars import Bar
from liqscape.market.state import MarketState
from liqscape.positions.book import BookStep, Cause
from liqscape.positions.mix import prior_inflow_mix
from liqscape.positions.open_only import OpenOnlyBook
from tests.conftest import fewer_examples
from tests.property.made_up_days import Day, days
from tests.property.venue_days import VenueDay, venue_days
from tests.unit.synthetic_market import as_tuples

Name = tuple[int, int, int]
"""Open minute, row, key."""

Told = dict[Name, int]


class DictionaryBook:
    """The same model from its definition: no arrays, no batches, no state but what is said here."""

    def __init__(self, instruments: Sequence[Instrument], scale: SymbolScale) -> None:
        self.instruments = instruments
        self.scale = scale
        self.open: dict[Name, int] = {}
        self.samples: dict[str, int] = {}
        self.traded: defaultdict[str, Counter[int]] = defaultdict(Counter)
        self.last_row: dict[str, int] = {}
        self.opened_ever: Counter[tuple[str, PositionSide]] = Counter()
        self.given: Counter[tuple[str, PositionSide, int]] = Counter()

    def apply(self, bars: Sequence[Bar]) -> tuple[Told, Told]:
        """Return what was swept and what opened, in lots."""
        by_id = {bar.instrument_id: bar for bar in bars}
        swept: Told = {}
        for name, held in list(self.open.items()):
            bar = by_id.get(self._instrument(name).instrument_id)
            if bar is not None and bar.trigger is not None and self._is_reached(name, bar):
                swept[name] = self._lots(name, held)
                del self.open[name]
        opened: Told = {}
        for number, instrument in enumerate(self.instruments):
            bar = by_id.get(instrument.instrument_id)
            if bar is not None:
                opened |= self._take(number, instrument, bar)
        return swept, opened

    def _take(self, number: int, instrument: Instrument, bar: Bar) -> Told:
        name = instrument.instrument_id
        if bar.trigger is not None:
            self.last_row[name] = bar.trigger.close // self.scale.base_step
        if bar.traded is not None and name in self.samples:
            for offset, lots in enumerate(bar.traded.lots.tolist()):
                self.traded[name][bar.traded.first_row + offset] += lots
        if bar.open_interest_lots is None:
            return {}
        rise = bar.open_interest_lots - self.samples.get(name, bar.open_interest_lots)
        weights = self.traded.pop(name, Counter())
        self.samples[name] = bar.open_interest_lots
        if rise <= 0:
            return {}
        entries = weights if weights.total() else Counter({self.last_row[name]: 1})
        before: Told = {}
        for side in PositionSide:
            for tier, lots in self._by_tier(instrument, side, rise).items():
                key = number << 5 | LEVERAGE_TIERS.index(tier) << 1 | side
                for row, part in self._by_row(lots, entries).items():
                    cohort = (bar.minute, end_row(row, tier, side, instrument), key)
                    before.setdefault(cohort, self._lots(cohort, self.open.get(cohort, 0)))
                    self.open[cohort] = self.open.get(cohort, 0) + part
        return {cohort: self._lots(cohort, self.open[cohort]) - lots for cohort, lots in before.items()}

    def _by_tier(self, instrument: Instrument, side: PositionSide, lots: int) -> dict[int, int]:
        """Give floors, then one each to those that are owed most over all time."""
        tiers = instrument.leverage_tiers
        shares = {t: Fraction(s, 10**6) for t, s in zip(tiers, prior_inflow_mix(tiers), strict=True)}
        book = (instrument.instrument_id, side)
        self.opened_ever[book] += lots
        parts = {tier: int(lots * share) for tier, share in shares.items()}
        owed = {t: self.opened_ever[book] * shares[t] - self.given[*book, t] - parts[t] for t in tiers}
        for tier in sorted(tiers, key=lambda t: (-owed[t], t))[: lots - sum(parts.values())]:
            parts[tier] += 1
        for tier, part in parts.items():
            self.given[*book, tier] += part
        return parts

    def _by_row(self, lots: int, entries: Counter[int]) -> dict[int, int]:
        running, total, parts = 0, entries.total(), {}
        for row in sorted(entries):
            until = running + entries[row]
            parts[row] = lots * until // total - lots * running // total
            running = until
        return {row: part for row, part in parts.items() if part}

    def _is_reached(self, name: Name, bar: Bar) -> bool:
        assert bar.trigger is not None
        _, row, key = name
        if key & 1 == PositionSide.LONG:
            return row >= bar.trigger.low // self.scale.base_step
        return row <= bar.trigger.high // self.scale.base_step

    def _lots(self, name: Name, quantity: int) -> int:
        instrument = self._instrument(name)
        if instrument.contract_value is None:
            return quantity
        middle = Fraction((2 * name[1] + 1) * self.scale.base_step, 2) / 10**self.scale.price_decimals
        return int(quantity * instrument.contract_value * 10**self.scale.lot_decimals / middle)

    def _instrument(self, name: Name) -> Instrument:
        return self.instruments[name[2] >> 5]


def end_row(entry_row: int, leverage: int, side: PositionSide, instrument: Instrument) -> int:
    """Return the row in which the initial margin is lost: of the base coin's worth in quote, or of it in base coin."""
    margin = Fraction(1 if side is PositionSide.SHORT else -1, leverage)
    ratio = 1 / (1 - margin) if instrument.contract == "inverse" else 1 + margin
    return (2 * entry_row + 1) * int(ratio * 2**32) >> 33


def steps_of(
    instruments: Sequence[Instrument], ticks: Sequence[Sequence[Event]]
) -> list[tuple[SymbolScale, list[Bar]]]:
    """Return the bars of each tick of one symbol."""
    market = MarketState(instruments)
    steps = []
    for tick in ticks:
        for event in tick:
            if not isinstance(event, TickEnd):
                market.apply(event)
                continue
            bars = market.close_tick(event.time_ns)
            scale = market.scale("BTC")
            assert scale is not None
            steps.append((scale, bars))
    return steps


def follow(instruments: Sequence[Instrument], ticks: Sequence[Sequence[Event]]) -> None:
    """Compare the book with the dictionary tick by tick."""
    steps = steps_of(instruments, ticks)
    book = OpenOnlyBook("BTC", instruments, steps[0][0], NumpyBackend())
    plain = DictionaryBook(instruments, steps[0][0])
    for _, bars in steps:
        step = book.apply(bars)

        swept, opened = plain.apply(bars)
        assert step.samples == ()
        assert told(step, Cause.SWEPT) == nonzero(swept)
        assert told(step, Cause.OPENED) == nonzero(opened)
        assert [batch.cause for batch in step.events] == [
            cause for cause, lots in ((Cause.SWEPT, swept), (Cause.OPENED, opened)) if nonzero(lots)
        ]
        assert all(batch.minute == bars[0].minute for batch in step.events)
        held, _ = book.cohorts()
        assert {(m, row, key): lots for m, row, key, lots in as_tuples(held)} == plain.open
        assert book.live_cohorts == len(plain.open)
        by_group: Counter[int] = Counter()
        for (_, _, key), lots in plain.open.items():
            by_group[key >> 5 << 1 | key & 1] += lots
        assert book.lots_by_group().tolist() == [by_group[group] for group in range(2 * len(instruments))]
        for batch in (held, book.cohorts_in_lots(), *(b.cohorts for b in step.events)):
            types = [column.dtype for column in (batch.open_minute, batch.row, batch.key, batch.lots)]
            assert types == [np.int32, np.int32, np.uint16, np.int64]


def told(step: BookStep, cause: Cause) -> Told:
    """Return the events of one cause."""
    cohorts = [c for batch in step.events if batch.cause is cause for c in as_tuples(batch.cohorts)]
    named = {(minute, row, key): lots for minute, row, key, lots in cohorts}
    assert len(named) == len(cohorts), "a cohort comes twice"
    return named


def nonzero(lots_by_name: Told) -> Told:
    return {name: lots for name, lots in lots_by_name.items() if lots}


@pytest.mark.slow
@given(day=days())
def test_book_does_what_a_dictionary_does_over_jumps_and_silence(day: Day) -> None:
    follow(day.instruments, day.ticks)


@pytest.mark.slow
@fewer_examples(2)
@given(day=venue_days())
def test_book_does_what_a_dictionary_does_over_linear_and_inverse_venues(day: VenueDay) -> None:
    follow(day.instruments, day.ticks)


@pytest.mark.slow
@fewer_examples(3)
@given(day=venue_days(), shuffle=st.randoms(use_true_random=False))
def test_order_of_the_instruments_in_a_tick_decides_nothing(day: VenueDay, shuffle: Random) -> None:
    steps = steps_of(day.instruments, day.ticks)
    sorted_book, shuffled_book = (OpenOnlyBook("BTC", day.instruments, steps[0][0], NumpyBackend()) for _ in range(2))
    for _, bars in steps:
        order = list(bars)
        shuffle.shuffle(order)

        one, other = sorted_book.apply(bars), shuffled_book.apply(order)

        assert [(b.minute, b.cause, as_tuples(b.cohorts)) for b in one.events] == [
            (b.minute, b.cause, as_tuples(b.cohorts)) for b in other.events
        ]
        assert as_tuples(sorted_book.cohorts()[0]) == as_tuples(shuffled_book.cohorts()[0])


@pytest.mark.slow
@fewer_examples(2)
@given(day=venue_days(min_ticks=6, max_ticks=12))
def test_instrument_is_booked_the_same_alone_and_in_company(day: VenueDay) -> None:
    steps = steps_of(day.instruments, day.ticks)
    together = OpenOnlyBook("BTC", day.instruments, steps[0][0], NumpyBackend())
    alone = [OpenOnlyBook("BTC", [i], steps[0][0], NumpyBackend()) for i in day.instruments]

    for _, bars in steps:
        step = together.apply(bars)
        for number, (instrument, book) in enumerate(zip(day.instruments, alone, strict=True)):
            single = book.apply([bar for bar in bars if bar.instrument_id == instrument.instrument_id])
            for cause in (Cause.SWEPT, Cause.OPENED):
                mine = {
                    (m, row, key & 31): lots for (m, row, key), lots in told(step, cause).items() if key >> 5 == number
                }
                assert mine == told(single, cause)

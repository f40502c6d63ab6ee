"""A market for engines that are killed: the same for the same seed, wild, and quick to compute."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Final

from liqscape.axes import MINUTE_NS
from liqscape.events import (
    Candle,
    Correction,
    Event,
    Funding,
    Gap,
    Liquidation,
    MarkPrice,
    OpenInterest,
    PositionSide,
    TakerSide,
    TickEnd,
    Trade,
)
from liqscape.instruments import Instrument
from tests.property.made_up_days import FIRST_ROW, INSTRUMENTS, ROW_USD
from tests.unit.synthetic_market import EXAMPLE_MINUTE

HISTORY_TICKS: Final = 8
"""Ticks at the beginning of which none is rendered."""

SILENT_TICKS: Final = {"BTC": 0, "ETH": 12}
"""Ticks before the first price of a symbol: samples of open interest are held until then."""

__all__ = ["INSTRUMENTS", "small_market"]


def small_market(seed: int) -> Iterator[list[Event]]:
    """Yield the events of one tick after the other, without end; each list ends with its TickEnd."""
    random = Random(seed)
    time_ns = EXAMPLE_MINUTE * MINUTE_NS
    rows = dict(FIRST_ROW)
    levels = {i.instrument_id: 10**10 for i in INSTRUMENTS}
    number = 0
    while True:
        number += 1
        begin_ns, time_ns = time_ns, time_ns + random.choice((1, 1, 5, 20, 60)) * 10**9
        events: list[Event] = []
        for symbol in rows:
            jump = random.choice((-60, -12, 12, 60)) if random.random() < 0.05 else random.randint(-3, 3)
            rows[symbol] = min(max(rows[symbol] + jump, 1200), 20_000)
        for instrument in INSTRUMENTS:
            if number > SILENT_TICKS[instrument.symbol]:
                events += _prices(instrument, rows[instrument.symbol], begin_ns, time_ns, random)
            if random.random() < 0.3 or number == 1:
                change = random.randint(-(10**9), 10**9)
                levels[instrument.instrument_id] = max(0, levels[instrument.instrument_id] + change)
                events.append(OpenInterest(instrument.instrument_id, time_ns - 1, levels[instrument.instrument_id]))
            events += _rarely(instrument, begin_ns, time_ns, random)
        render = number > HISTORY_TICKS and random.random() < 0.9
        yield [*events, TickEnd(time_ns, render)]


def _price(instrument: Instrument, row: int) -> int:
    unit = ROW_USD[instrument.symbol] * int(10**instrument.price_decimals)
    return row * unit + unit // 3


def _prices(instrument: Instrument, row: int, begin_ns: int, end_ns: int, random: Random) -> list[Event]:
    name, manner = instrument.instrument_id, random.randrange(4)
    path = [_price(instrument, r) for r in (row, row - random.randint(0, 4), row + random.randint(0, 4), row)]
    if manner == 0:
        return []
    if manner == 1:
        opened, low, high, closed = path
        return [Candle(name, begin_ns, end_ns, opened, high, low, closed, random.randint(0, 10**11))]
    trades: list[Event] = [Trade(name, begin_ns + 1, p, random.randint(0, 10**10), TakerSide.BUY) for p in path]
    if manner == 2:
        return trades
    return [*trades, *(MarkPrice(name, begin_ns + 2, price) for price in path)]


def _rarely(instrument: Instrument, begin_ns: int, end_ns: int, random: Random) -> list[Event]:
    name, said = instrument.instrument_id, random.random()
    if said < 0.02:
        return [Gap(name, begin_ns, end_ns, "made up", rejected=random.randrange(3))]
    if said < 0.03:
        return [Funding(name, begin_ns, 100, 8)]
    if said < 0.05:
        return [Liquidation(name, begin_ns, 1, 1, PositionSide.LONG)]
    if said < 0.06:
        return [Correction(name, end_ns - 1, begin_ns, end_ns - 1, 10**10, "made up")]
    if said < 0.07:
        return [Correction(name, end_ns - 1, begin_ns - 1, begin_ns, None if said < 0.065 else 1, "made up")]
    return []

"""Ticks of many instruments for the journal's benchmark: real market stage, made-up prices, quick to make."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Final

from liqscape.axes import MINUTE_NS
from liqscape.events import Event, MarkPrice, OpenInterest, TakerSide, TickEnd, Trade
from liqscape.instruments import Instrument, find_instrument
from liqscape.market.closed_tick import ClosedTick
from liqscape.market.state import MarketState

TRADES: Final = 4
"""An instrument and second, each at a price of its own: more than most of two hundred have."""

SAMPLE_SECONDS: Final = 5
"""Between two samples of open interest of an instrument."""

BEGIN_NS: Final = 29_430_150 * MINUTE_NS


def instruments_of(venues: int, symbols: int) -> tuple[Instrument, ...]:
    """Return as many instruments of as many symbols, all on the rules of one."""
    like = find_instrument("binance:BTCUSDT")
    return tuple(
        replace(like, venue=f"venue{venue:02}", symbol=f"C{symbol}", name=f"C{symbol}USDT")
        for venue in range(venues)
        for symbol in range(symbols)
    )


def closed_ticks(instruments: tuple[Instrument, ...], count: int, seed: int = 1) -> Iterator[ClosedTick]:
    """Yield ticks of a second."""
    random, market = Random(seed), MarketState(instruments)
    prices = {symbol: 900_000 for symbol in sorted({i.symbol for i in instruments})}
    levels = {i.instrument_id: 10**12 for i in instruments}
    for second in range(1, count + 1):
        end_ns = BEGIN_NS + second * 10**9
        for symbol, price in prices.items():
            prices[symbol] = max(100_000, price + random.randint(-300, 300))
        for number, instrument in enumerate(instruments):
            for event in _said(instrument, prices[instrument.symbol], number, second, end_ns, levels, random):
                market.apply(event)
        yield market.close(TickEnd(end_ns))


def _said(
    instrument: Instrument, price: int, number: int, second: int, end_ns: int, levels: dict[str, int], random: Random
) -> Iterator[Event]:
    name = instrument.instrument_id
    yield MarkPrice(name, end_ns - 3, price)
    for at in range(TRADES):
        traded = random.randint(1, 5 * 10**8)
        yield Trade(name, end_ns - 10 + at, price + random.randint(-250, 250), traded, TakerSide.BUY)
    if (second + number) % SAMPLE_SECONDS == 0:
        levels[name] += random.randint(-(10**9), 10**9)
        yield OpenInterest(name, end_ns - 2, levels[name])

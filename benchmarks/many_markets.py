"""As many simulated symbols and instruments as a benchmark wants, from a simulator that knows two symbols."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from liqscape.clock import SystemClock
from liqscape.events import Candle, Event, Liquidation, OpenInterest, TickEnd, Trade
from liqscape.feeds.simulate import PastSpan, SimulateSource
from liqscape.feeds.simulated_venues import HABITS, many_venues
from liqscape.instruments import Instrument

BASES: Final = ("BTC", "ETH")


class Market:
    """One symbol of so many instruments, from a simulator of its own.

    The instruments are the largest that can be simulated; beyond those they are copies under the name of another venue,
    with the same prices and a half, a third of the quantities.

    Args:
        number: of the symbol; decides base, seed and name.
        instruments: how many it shall have.
        past, tick_ms: of the simulator.
        start_ns: end of the past.
    """

    def __init__(self, number: int, instruments: int, past: tuple[PastSpan, ...], tick_ms: int, start_ns: int) -> None:
        base, self.seed = BASES[number % len(BASES)], 1 + number // len(BASES)
        self.symbol = base if self.seed == 1 else f"{base}{self.seed}"
        native = largest_venues(base)[:instruments]
        self.source = SimulateSource(
            clock=SystemClock(),
            seed=self.seed,
            symbols=(base,),
            instruments=native,
            tick_ms=tick_ms,
            past=past,
            start_ns=start_ns,
        )
        self._copies: dict[str, list[tuple[str, int]]] = {i.instrument_id: [] for i in native}
        self.instruments: list[Instrument] = []
        for position in range(instruments):
            original, divisor = native[position % len(native)], 1 + position // len(native)
            copy = renamed(original, self.symbol, divisor)
            self._copies[original.instrument_id].append((copy.instrument_id, divisor))
            self.instruments.append(copy)

    def ticks(self, live: int) -> Iterator[tuple[list[Event], TickEnd]]:
        """Yield the events of each step of past and present, and its end."""
        said: list[Event] = []
        for event in self.source.iterate(live):
            if isinstance(event, TickEnd):
                yield said, event
                said = []
            else:
                copies = self._copies.get(event.instrument_id, ())
                said += [scaled(replace(event, instrument_id=name), divisor) for name, divisor in copies]


def largest_venues(base: str) -> list[Instrument]:
    """Return the instruments of a base coin that can be simulated, by their open interest."""

    def share(instrument: Instrument) -> float:
        habits = HABITS.get((instrument.venue, instrument.contract))
        return 1.0 if habits is None else habits.open_interest_share  # the leader has no habits of its own

    return sorted(many_venues((base,)), key=share, reverse=True)


def renamed(instrument: Instrument, symbol: str, copy: int) -> Instrument:
    """Return an instrument under another symbol, and copies from the second one on under another venue."""
    venue = instrument.venue if copy == 1 else f"{instrument.venue}{copy}"
    name = instrument.name
    if symbol != instrument.symbol:
        # Some venues have a word of their own for a coin.
        name = name.replace(instrument.symbol, symbol, 1) if instrument.symbol in name else f"{name}_{symbol}"
    return replace(instrument, venue=venue, symbol=symbol, name=name)


def scaled(event: Event, divisor: int) -> Event:
    """Return an event with its quantities divided, rounded down."""
    if divisor == 1 or not isinstance(event, Candle | Trade | OpenInterest | Liquidation):
        return event
    if isinstance(event, Candle) and event.taker_buy_quantity is not None:
        event = replace(event, taker_buy_quantity=event.taker_buy_quantity // divisor)
    return replace(event, quantity=event.quantity // divisor)

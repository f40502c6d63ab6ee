"""What happens at a fake venue: trades, marks, liquidations and open interest, from a seed; all of it is remembered."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from liqscape.events import (
    Event,
    Funding,
    Liquidation,
    MarkPrice,
    OpenInterest,
    PositionSide,
    PrintPrice,
    TakerSide,
    Trade,
)
from liqscape.feeds.venues.dialect import Listing
from tests.fake_exchange.speaker import Prints

COIN = 10**8

MS = 1_000_000

MINUTE_NS = 60_000_000_000

STEP_PPB = 10_000
"""Rates of funding are multiples of it: the coarsest venue tells per cent with four digits."""


@dataclass(slots=True)
class Market:
    """Instruments that trade a few times in each step, all different.

    Attributes:
        listings: what is traded.
        generator: of everything.
        prints: of liquidations; None: there are none.
        price: quote, of the start.
        remembers: whether there is a truth.
        truth: every event, in the order in which it happened.
        open_interest: now, in units of events, by instrument id.
    """

    listings: Sequence[Listing]
    generator: random.Random
    prints: Prints | None = field(default_factory=lambda: Prints(PrintPrice.FILL, complete=False))
    price: float = 65_000.0
    remembers: bool = True
    truth: list[Event] = field(default_factory=list)
    open_interest: dict[str, int] = field(default_factory=dict)
    numbers: Counter[tuple[str, type]] = field(default_factory=Counter)
    paid_ns: int = 0

    def __post_init__(self) -> None:
        self.open_interest = {
            listing.instrument_id: (5_000_000 if listing.instrument.is_inverse else 50_000) * COIN
            for listing in self.listings
        }

    def step(self, now_ns: int, seconds: float) -> list[tuple[Event, int]]:
        """Return the events of the seconds that end now, each with its number."""
        happened: list[tuple[Event, int]] = []
        draw = self.generator
        self.price *= 1.0 + draw.gauss(0.0, 0.0002) * seconds**0.5
        time_ns = now_ns // MS * MS
        is_paid = time_ns >= self.paid_ns + MINUTE_NS
        if is_paid:
            self.paid_ns = time_ns
        for listing in self.listings:
            name, decimals = listing.instrument_id, listing.instrument.price_decimals
            price = max(1, round(self.price * 10**decimals))
            said: list[Event] = []
            for _ in range(draw.randint(1, 2)):
                # Whole units of the venue, so that what it says is exact; every trade another size.
                is_inverse = listing.instrument.is_inverse
                size = draw.randint(1, 10**5) * COIN if is_inverse else draw.randint(1, 10**6) * (COIN // 1000)
                grain = max(1, int(listing.unit * COIN))
                size = max(grain, size - size % grain)
                side = TakerSide.BUY if draw.random() < 0.5 else TakerSide.SELL
                self.open_interest[name] += draw.randint(-1, 1) * COIN * draw.randint(0, 20)
                said.append(Trade(name, time_ns, price + draw.randint(-20, 20), size, side))
            said.append(OpenInterest(name, time_ns, self.open_interest[name]))
            if is_paid:
                said.append(Funding(name, time_ns, draw.randint(-30, 30) * STEP_PPB, 8))
            said.append(MarkPrice(name, time_ns, price))
            if self.prints is not None and draw.random() < 0.1 * seconds:
                forced = draw.randint(1, 100) * COIN
                closed = PositionSide(draw.randint(0, 1))
                said.append(Liquidation(name, time_ns, price, forced, closed, self.prints.price, self.prints.complete))
            for event in said:
                happened.append((event, self._number(name, event)))
        if self.remembers:
            self.truth += [each for event, _ in happened for each in self._counted(event)]
        return happened

    def warm(self, now_ns: int) -> list[tuple[Event, int]]:
        """Return events of before anybody could listen, which are not of the truth."""
        remembers, self.remembers = self.remembers, False
        happened = self.step(now_ns, 1.0)
        self.remembers = remembers
        return happened

    def _number(self, name: str, event: Event) -> int:
        kind = Trade if isinstance(event, Liquidation) and self.prints and self.prints.is_trade else type(event)
        self.numbers[name, kind] += 1
        return self.numbers[name, kind]

    def _counted(self, event: Event) -> list[Event]:
        """Return what the model counts of an event: a liquidation that is printed as a trade is both."""
        if not isinstance(event, Liquidation) or self.prints is None or not self.prints.is_trade:
            return [event]
        taker = TakerSide.SELL if event.position_side is PositionSide.LONG else TakerSide.BUY
        return [Trade(event.instrument_id, event.time_ns, event.price, event.quantity, taker), event]

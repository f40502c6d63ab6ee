"""What happens at a fake venue: trades, marks, liquidations and open interest, from a seed; all of it is remembered."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from liqscape.events import Event, Funding, Liquidation, MarkPrice, OpenInterest, PositionSide, TakerSide, Trade
from liqscape.feeds.venues.dialect import Listing

COIN = 10**8

MS = 1_000_000


@dataclass(slots=True)
class Market:
    """Instruments that trade a few times in each step, all different.

    Attributes:
        listings: what is traded.
        generator: of everything.
        price: quote, of the start.
        remembers: whether there is a truth.
        truth: every event that the venue streams, in the order in which it happened.
        open_interest: now, in units of events, by instrument id.
    """

    listings: Sequence[Listing]
    generator: random.Random
    price: float = 65_000.0
    remembers: bool = True
    truth: list[Event] = field(default_factory=list)
    open_interest: dict[str, int] = field(default_factory=dict)
    numbers: Counter[tuple[str, type]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.open_interest = {listing.instrument_id: 50_000 * COIN for listing in self.listings}

    def step(self, now_ns: int, seconds: float) -> list[tuple[Event, int]]:
        """Return the events of the seconds that end now, each with its number."""
        happened: list[tuple[Event, int]] = []
        draw = self.generator
        self.price *= 1.0 + draw.gauss(0.0, 0.0002) * seconds**0.5
        time_ns = now_ns // MS * MS
        for listing in self.listings:
            name, decimals = listing.instrument_id, listing.instrument.price_decimals
            price = max(1, round(self.price * 10**decimals))
            # Whole units of the venue, so that what it says is exact; every trade another size.
            one = listing.unit * COIN * (1 if listing.instrument.is_inverse or listing.unit < 1 else Fraction(1, 1000))
            said: list[Event] = []
            for _ in range(draw.randint(1, 2)):
                size = int(draw.randint(1, 10**5) * one)
                side = TakerSide.BUY if draw.random() < 0.5 else TakerSide.SELL
                self.open_interest[name] += draw.randint(-1, 1) * COIN * draw.randint(0, 20)
                said.append(Trade(name, time_ns, price + draw.randint(-20, 20), size, side))
            said.append(OpenInterest(name, time_ns, self.open_interest[name]))
            said.append(MarkPrice(name, time_ns, price))
            if draw.random() < 0.1 * seconds:
                forced = int(draw.randint(1, 10**5) * one)
                side_closed = PositionSide(draw.randint(0, 1))
                said.append(Liquidation(name, time_ns, price, forced, side_closed))
            if draw.random() < 0.5 * seconds:
                said.append(Funding(name, time_ns, 100_000, 8))
            for event in said:
                self.numbers[name, type(event)] += 1
                happened.append((event, self.numbers[name, type(event)]))
        return happened

    def remember(self, event: Event) -> None:
        """Note an event that the venue has told, or would have told if it were well."""
        if self.remembers:
            self.truth.append(event)

"""Every venue that a live server listens to by default, as a process of its own that fails when it is told to.

    python -m benchmarks.soak_venues [--symbols BTC,ETH] [--step 2]

Prints its port. Then it takes a line of JSON at a time from stdin and answers each with one: {"house": "okx",
"fault": "SILENCE"} begins to fail (a name of tests.fake_exchange.faults.Fault), "heal" ends every fault, "drop" cuts
the connections, "interest" tells the open interest of the last minute. It ends with stdin. Markets run at real time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from typing import Any, Final

from liqscape.events import Event, OpenInterest
from liqscape.feeds.build import wanted_venues
from liqscape.feeds.venues.dialect import Listing
from tests.fake_exchange.every_venue import HOUSES
from tests.fake_exchange.faults import Fault
from tests.fake_exchange.hyperliquid import HyperliquidSpeaker
from tests.fake_exchange.market import Market
from tests.fake_exchange.scaled_time import ScaledTime
from tests.fake_exchange.server import FakeExchange, FakeVenue
from tests.fake_exchange.speaker import Prints

PRICES: Final = {"BTC": 65_000.0, "ETH": 3_200.0, "SOL": 140.0}
STEP_S: Final = 2.0
"""Between two steps of a market: all venues together say some 150 messages a second, which two cores serve beside."""

RECENT_STEPS: Final = 40
"""Of which open interest is told: longer than a poll of any venue takes to come round."""

SEED: Final = 20261126

NAMED: Final = "0x" + "c" * 40
"""An account for a file of --accounts. Two more are the parties of all trades: see HyperliquidSpeaker."""

HELD: Final = {
    NAMED: (("BTC", "250.5", "59000"), ("ETH", "-1200", "3700")),
    "0x" + "a" * 40: (("BTC", "-400", "71000"),),
    "0x" + "b" * 40: (("BTC", "90", None),),
}
"""Positions of accounts; see HyperliquidSpeaker.held."""


class Markets(Market):
    """A market for each symbol of a house, as one.

    Attributes:
        recent: open interest of the last steps by instrument id, units of events.
    """

    def __init__(self, listings: Sequence[Listing], seed: int, prints: Prints | None) -> None:
        super().__init__(listings, random.Random(seed), prints, remembers=False)
        by_symbol: dict[str, list[Listing]] = {}
        for listing in listings:
            by_symbol.setdefault(listing.instrument.symbol, []).append(listing)
        self._parts = [
            Market(of_symbol, random.Random(seed + n), self.prints, PRICES[symbol], remembers=False)
            for n, (symbol, of_symbol) in enumerate(by_symbol.items())
        ]
        for part in self._parts:
            part.open_interest = self.open_interest
        self.recent: dict[str, deque[int]] = defaultdict(lambda: deque(maxlen=RECENT_STEPS))

    def step(self, now_ns: int, seconds: float) -> list[tuple[Event, int]]:
        """See Market."""
        happened = [each for part in self._parts for each in part.step(now_ns, seconds)]
        for event, _ in happened:
            if isinstance(event, OpenInterest):
                self.recent[event.instrument_id].append(event.quantity)
        return happened


def houses(symbols: Sequence[str] | None) -> dict[str, FakeVenue]:
    """Return every house of which the default venues list one of the symbols."""
    _, listings = wanted_venues(None, symbols)
    found: dict[str, FakeVenue] = {}
    for number, (key, house) in enumerate(HOUSES.items()):
        traded = [listing for name in house.venues for listing in listings.get(name, ())]
        if traded:
            speaker = house.speaker(traded, frozenset(house.hosts))
            if isinstance(speaker, HyperliquidSpeaker):
                speaker.held.update(HELD)
            found[key] = FakeVenue(speaker, Markets(traded, SEED + number, speaker.prints))
    return found


async def obey(told: Mapping[str, str], venues: Mapping[str, FakeVenue]) -> dict[str, Any]:
    """Do what a line asks for; return what is answered."""
    what = told["fault"]
    if what == "interest":
        markets = [venue.market for venue in venues.values() if isinstance(venue.market, Markets)]
        return {name: list(levels) for market in markets for name, levels in market.recent.items()}
    venue = venues[told["house"]]
    if what == "heal":
        venue.heal()
    elif what == "drop":
        await venue.drop()
    else:
        venue.inject(Fault[what])
    return {"connects": venue.connects, "requests": venue.requests, "cuts": venue.cuts}


async def run(symbols: Sequence[str] | None, step_s: float) -> None:
    """Serve until stdin ends."""
    venues = houses(symbols)
    exchange = FakeExchange(list(venues.values()), ScaledTime(1.0, time.time_ns()), step_s)
    async with exchange.running():
        print(json.dumps({"address": exchange.address, "houses": list(venues)}), flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            print(json.dumps(await obey(json.loads(line), venues)), flush=True)


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--symbols", type=lambda text: text.split(","), help="base coins (default all)")
    parser.add_argument("--step", type=float, default=STEP_S, help="seconds between steps of the markets")
    options = parser.parse_args()
    asyncio.run(run(options.symbols, options.step))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Every venue that the fake exchange speaks for, all at once, each by its own dialect, each cut off once in a while.

A run of a few seconds serves all tests; LIQSCAPE_FEED_SECONDS makes it longer, in seconds of the venues.
"""

from __future__ import annotations

import asyncio
import os
import random

import pytest

from liqscape.events import Event, MarkPrice, OpenInterest, Trade
from liqscape.feeds.live.feeds import Feeds
from liqscape.feeds.live.holes import MARGIN_NS, PIECE_NS
from liqscape.feeds.status import FeedState
from tests.fake_exchange.audit import Flow, flows, made_up, unannounced, unreconciled
from tests.fake_exchange.scaled_time import ScaledTime
from tests.fake_exchange.server import FakeExchange
from tests.fake_exchange.venues import SPOKEN, spoken_venue

pytestmark = pytest.mark.slow

SECONDS = float(os.environ.get("LIQSCAPE_FEED_SECONDS", "75"))

FACTOR = 15.0 if SECONDS <= 75 else 10.0

CUT_EVERY_S = (12.0, 22.0) if SECONDS <= 75 else (35.0, 70.0)
"""In a long run each life is steady: a venue that cuts everybody off at once is tried ever more slowly."""

SEED = 20261127


class Run:
    """All venues, heard for a while."""

    def __init__(self) -> None:
        made = {name: spoken_venue(name, SEED + number) for number, name in enumerate(SPOKEN)}
        self.fakes = {name: fake for name, (_, _, fake) in made.items()}
        self.ids = {name: listings[0].instrument_id for name, (_, listings, _) in made.items()}
        self.instruments = tuple(listings[0].instrument for _, listings, _ in made.values())
        self.ticks: list[list[Event]] = []
        self.time = ScaledTime(FACTOR)
        self.exchange = FakeExchange(list(self.fakes.values()), self.time)
        self.gathered: list[Event] = []
        self.feeds = Feeds(
            [venue for venue, _, _ in made.values()],
            {venue.name: listings for venue, listings, _ in made.values()},
            self.gathered.extend,
            self.time,
            seed=SEED,
            rewrite=self.exchange.rewrite,
        )

    async def listen(self) -> None:
        draw = random.Random(SEED)
        async with self.exchange.running():
            listening = asyncio.create_task(self.feeds.run())
            dropping = [asyncio.create_task(self._drop(name, draw.uniform(*CUT_EVERY_S))) for name in self.fakes]
            while self.time.monotonic() < SECONDS:
                await self.time.sleep(1.0)
                self.ticks.append(list(self.gathered))
                self.gathered.clear()
            self.until_ns = self.time.now_ns() - PIECE_NS - 2 * MARGIN_NS
            for task in (listening, *dropping):
                task.cancel()
            await asyncio.gather(listening, *dropping, return_exceptions=True)

    async def _drop(self, name: str, every_s: float) -> None:
        """Cut the venue off again and again, and leave it in peace at the end."""
        while self.time.monotonic() < SECONDS - 35.0:
            await self.time.sleep(every_s)
            await self.fakes[name].drop()

    def heard(self, name: str) -> list[Event]:
        return [e for tick in self.ticks for e in tick if getattr(e, "instrument_id", "") == self.ids[name]]


@pytest.fixture(scope="module")
def run() -> Run:
    made = Run()
    asyncio.run(made.listen())
    return made


@pytest.mark.parametrize("name", SPOKEN)
def test_everything_is_heard_once_or_announced_as_missing(run: Run, name: str) -> None:
    happened, heard = run.fakes[name].market.truth, run.heard(name)

    assert unannounced(happened, heard, run.until_ns) == []
    assert made_up(happened, [e for e in heard if isinstance(e, Flow)]) == []
    assert sum(flows(heard).values()) > SECONDS / 2
    assert {Trade, MarkPrice, OpenInterest} <= {type(event) for event in heard}


@pytest.mark.parametrize("name", SPOKEN)
def test_at_the_end_every_venue_is_live_and_nothing_was_thrown_away(run: Run, name: str) -> None:
    status = next(status for status in run.feeds.statuses if status.venue == name)

    assert status.message == ""
    assert dict(status.rejected) == {}
    assert {c.state for c in status.channels if c.channel in ("trades", "mark", "open_interest")} == {FeedState.LIVE}


@pytest.mark.parametrize("name", ["cryptocom", "htx-linear"])
def test_a_venue_that_asks_whether_we_are_there_is_answered(run: Run, name: str) -> None:
    status = next(status for status in run.feeds.statuses if status.venue == name)
    cuts = SECONDS / CUT_EVERY_S[0] * len(next(d for d in run.feeds.desks if d.venue.name == name).endpoints)

    assert status.reconnects <= cuts + 1


def test_books_of_all_venues_add_up_to_every_sample(run: Run) -> None:
    samples, wrong = unreconciled(run.ticks, run.instruments)

    assert wrong == []
    assert samples > len(SPOKEN) * SECONDS / 8

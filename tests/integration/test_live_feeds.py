"""Venues that fail in every way, over real sockets: nothing is lost without being announced, and books add up.

One run of a few seconds serves all tests: a venue for each fault, its clock forty times as fast as ours, all in one
loop. LIQSCAPE_FEED_SECONDS makes it longer, in seconds of the venues.

Seen to fail when broken on purpose: desk.py, the hole of an ended line not kept (silence); numbered.py without numbers
(gap); plausibility.py without crossed units (wrong size), without the future (clock skew); connection.py without the
silence of the control channel (silence), without the limit of confirmation (unconfirmed), with tasks left behind.
"""

from __future__ import annotations

import asyncio
import os
import tracemalloc
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest

from liqscape.events import Event, OpenInterest
from liqscape.feeds.live.feeds import Feeds
from liqscape.feeds.live.holes import MARGIN_NS, PIECE_NS
from liqscape.feeds.status import FeedState, VenueStatus
from liqscape.instruments import Instrument
from tests.fake_exchange.audit import Flow, flows, gaps_of, is_true_silence, made_up, unannounced, unreconciled
from tests.fake_exchange.faults import REFUSALS, Fault
from tests.fake_exchange.patient_loop import run_patiently
from tests.fake_exchange.scaled_time import ScaledTime
from tests.fake_exchange.server import FakeExchange, FakeVenue
from tests.fake_exchange.venues import like_binance

pytestmark = pytest.mark.slow

SECONDS = float(os.environ.get("LIQSCAPE_FEED_SECONDS", "150"))

FACTOR = 40.0 if SECONDS <= 150 else 10.0

LONG_S = 600.0

MAX_GROWTH_BYTES = 1_000_000
"""Over a third of LONG_S: tracing itself, and numbers of a market that were not said before."""

FAULTY_FROM_S, FAULTY_S, HEALTHY_S = 15.0, 30.0, 95.0
"""A fault lasts longer than the silence of the control channel may, and health as long as a probation."""

SEED = 20261126


@dataclass(frozen=True, slots=True)
class Run:
    """What was heard, tick by tick, and what has happened."""

    ticks: list[list[Event]]
    venues: dict[str, FakeVenue]
    instruments: tuple[Instrument, ...]
    statuses: list[dict[str, VenueStatus]]
    until_ns: int
    tasks_left: list[str]
    memory: list[int]

    @property
    def heard(self) -> list[Event]:
        return [event for tick in self.ticks for event in tick]

    def states(self, venue: str, channel: str = "trades") -> set[FeedState]:
        return {c.state for each in self.statuses for c in each[venue].channels if c.channel == channel}


def _names() -> list[str]:
    return [fault.name.lower() for fault in Fault] + ["drop", "age", "well"]


async def _fail(name: str, venue: FakeVenue, time: ScaledTime, seconds: float) -> None:
    """Fail and be well in turn."""
    await time.sleep(FAULTY_FROM_S)
    while time.monotonic() < seconds - HEALTHY_S:
        if name == "drop":
            await venue.drop()
        elif name not in ("age", "well"):
            venue.inject(Fault[name.upper()])
            if Fault[name.upper()] in (*REFUSALS, Fault.DEAF, Fault.UNCONFIRMED):
                await venue.drop()  # it is new connections that are refused
        await time.sleep(FAULTY_S)
        venue.heal()
        await time.sleep(HEALTHY_S)


async def _listen(seconds: float, *, remembers: bool = True) -> Run:
    made = {
        name: like_binance(
            name.replace("_", "-"),
            SEED + number,
            (lambda e: replace(e, max_age_s=40.0)) if name == "age" else (lambda e: e),
        )
        for number, name in enumerate(_names())
    }
    for _, _, fake in made.values():
        fake.market.remembers = remembers
    time = ScaledTime(FACTOR, monotonic=asyncio.get_running_loop().time)
    exchange = FakeExchange([fake for _, _, fake in made.values()], time)
    gathered: list[Event] = []
    feeds = Feeds(
        [venue for venue, _, _ in made.values()],
        {venue.name: listings for venue, listings, _ in made.values()},
        gathered.extend,
        time,
        seed=SEED,
        rewrite=lambda url: exchange.rewrite(url),
    )
    ticks: list[list[Event]] = []
    statuses = []
    memory = []
    async with exchange.running():
        before = asyncio.all_tasks()
        listening = asyncio.create_task(feeds.run())
        failing = [asyncio.create_task(_fail(name, fake, time, seconds)) for name, (_, _, fake) in made.items()]
        while time.monotonic() < seconds:
            await time.sleep(1.0)
            if remembers:
                ticks.append(list(gathered))
                statuses.append({status.venue.replace("-", "_"): status for status in feeds.statuses})
            else:
                memory.append(tracemalloc.get_traced_memory()[0])
            gathered.clear()
        until_ns = time.now_ns()
        for task in (*failing, listening):
            task.cancel()
        await asyncio.gather(*failing, listening, return_exceptions=True)
        ticks.append(list(gathered))
        await asyncio.sleep(0.1)  # the server's handlers see that their sockets are gone
        left = [task.get_name() for task in asyncio.all_tasks() - before]
    instruments = tuple(listings[0].instrument for _, listings, _ in made.values())
    fakes = {name: fake for name, (_, _, fake) in made.items()}
    return Run(ticks, fakes, instruments, [s for s in statuses if s], until_ns - PIECE_NS - 2 * MARGIN_NS, left, memory)


@pytest.fixture(scope="module")
def run() -> Run:
    return run_patiently(_listen(SECONDS))


@pytest.mark.parametrize("name", _names())
def test_what_was_not_heard_was_announced(run: Run, name: str) -> None:
    happened = run.venues[name].market.truth

    missing = unannounced(happened, run.heard, run.until_ns)

    assert missing == []
    assert len(flows(happened)) > SECONDS


@pytest.mark.parametrize("name", [name for name in _names() if name != "wrong_size"])
def test_nothing_is_heard_that_has_not_happened_or_twice(run: Run, name: str) -> None:
    instrument_id = run.venues[name].market.listings[0].instrument_id
    heard = [event for event in run.heard if isinstance(event, Flow) and event.instrument_id == instrument_id]

    assert made_up(run.venues[name].market.truth, heard) == []


def test_books_add_up_to_every_sample_of_open_interest(run: Run) -> None:
    samples, wrong = unreconciled(run.ticks, run.instruments)

    assert wrong == []
    assert samples > len(run.venues) * SECONDS / 10


def test_no_task_outlives_the_feeds(run: Run) -> None:
    assert run.tasks_left == []


def test_a_venue_that_is_well_has_one_gap_before_its_first_message_and_is_live(run: Run) -> None:
    truth = run.venues["well"].market.truth
    gaps = [gap for gap in gaps_of(run.heard, "well:BTCUSDT") if not is_true_silence(gap, truth)]

    assert {gap.reason for gap in gaps} == {"connecting"}
    assert run.statuses[-1]["well"].message == ""
    assert {c.state for c in run.statuses[-1]["well"].channels} <= {FeedState.LIVE, FeedState.QUIET}


def test_a_connection_is_renewed_before_its_age_limit_without_a_gap(run: Run) -> None:
    truth = run.venues["age"].market.truth
    gaps = [gap for gap in gaps_of(run.heard, "age:BTCUSDT") if not is_true_silence(gap, truth)]

    assert {gap.reason for gap in gaps} == {"connecting"}
    assert run.statuses[-1]["age"].reconnects >= SECONDS // 40 - 1


@pytest.mark.parametrize(
    ("name", "state"),
    [("silence", FeedState.SILENT), ("legal", FeedState.BLOCKED), ("forbidden", FeedState.BLOCKED)],
)
def test_state_tells_what_is_wrong(run: Run, name: str, state: FeedState) -> None:
    assert state in run.states(name)


def test_a_connection_whose_subscriptions_are_not_confirmed_is_begun_anew(run: Run) -> None:
    assert any("not confirmed" in status["unconfirmed"].message for status in run.statuses)
    assert run.statuses[-1]["unconfirmed"].reconnects >= 2


def test_silence_is_told_from_quiet_by_the_control_channel(run: Run) -> None:
    assert FeedState.QUIET not in run.states("silence", "trades")
    assert FeedState.SILENT not in run.states("well", "liquidations")


@pytest.mark.parametrize("name", ["wrong_size", "clock_skew"])
def test_a_venue_that_keeps_failing_is_quarantined_and_comes_back(run: Run, name: str) -> None:
    reasons = Counter(gap.reason for gap in gaps_of(run.heard, f"{name.replace('_', '-')}:BTCUSDT"))

    assert FeedState.QUARANTINED in run.states(name)
    assert run.statuses[-1][name].quarantined == ()
    assert reasons["quarantined"] >= 1


def test_open_interest_in_other_units_is_never_believed(run: Run) -> None:
    samples = _samples(run.heard, "wrong-size:BTCUSDT")

    assert max(samples) < 2 * min(samples)
    assert run.statuses[-1]["wrong_size"].rejected["crossed units"] >= 3


@pytest.mark.parametrize("name", ["malformed", "duplicate", "gap"])
def test_what_was_thrown_away_is_counted_by_reason(run: Run, name: str) -> None:
    status = run.statuses[-1][name]
    told = {"malformed": status.rejected, "duplicate": status.ignored, "gap": {"trades are missing": 1}}[name]

    assert told[{"malformed": "malformed", "duplicate": "trade again", "gap": "trades are missing"}[name]] > 0
    if name == "gap":
        assert "trades are missing" in {gap.reason for gap in gaps_of(run.heard, "gap:BTCUSDT")}


def test_refused_venues_are_not_asked_often(run: Run) -> None:
    assert run.venues["legal"].connects < 10 + SECONDS / 30


@pytest.mark.skipif(LONG_S > SECONDS, reason=f"takes {LONG_S:g} seconds of the venues; LIQSCAPE_FEED_SECONDS sets them")
def test_memory_stays_flat_while_venues_fail_and_come_back() -> None:
    tracemalloc.start()
    try:
        memory = run_patiently(_listen(SECONDS, remembers=False)).memory
    finally:
        tracemalloc.stop()

    third = len(memory) // 3
    assert max(memory[-third:]) < max(memory[third:-third]) + MAX_GROWTH_BYTES


def _samples(events: Sequence[Event], instrument_id: str) -> list[int]:
    return [e.quantity for e in events if isinstance(e, OpenInterest) and e.instrument_id == instrument_id]

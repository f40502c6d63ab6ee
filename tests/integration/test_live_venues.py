"""Every venue of the registry at once, each by its own dialect, each failing in its own way, over real sockets.

A run of a few seconds serves all tests; LIQSCAPE_FEED_SECONDS makes it longer, in seconds of the venues: then each
venue fails in one way after another. What cannot be asked of a venue is said in the tables below.

Seen to fail when broken on purpose: desk.py, Hole of an ended line not kept; plausibility.py without crossed units;
bitget.py with snapshots of trades believed; phemex.py with a ping in 50 s.
"""

from __future__ import annotations

import asyncio
import os
import resource
import tracemalloc
from collections import defaultdict
from dataclasses import dataclass

import pytest

from liqscape.events import Event, Gap, Liquidation, MarkPrice, OpenInterest, Trade
from liqscape.feeds.live.feeds import Feeds
from liqscape.feeds.live.holes import MARGIN_NS, PIECE_NS
from liqscape.feeds.status import FeedState, VenueStatus
from liqscape.instruments import Instrument
from tests.fake_exchange.audit import Flow, Reconciled, flows, made_up, reconciled, unannounced
from tests.fake_exchange.every_venue import HOUSES, fake_house, heard_venues
from tests.fake_exchange.faults import REFUSALS, Fault
from tests.fake_exchange.patient_loop import run_patiently
from tests.fake_exchange.scaled_time import ScaledTime
from tests.fake_exchange.server import FakeExchange, FakeVenue

pytestmark = pytest.mark.slow

SECONDS = float(os.environ.get("LIQSCAPE_FEED_SECONDS", "130"))

FACTOR = 40.0 if SECONDS <= 150 else 8.0

STEP_S = 2.0
"""Between two steps of the markets: 30 venues say 60 messages a second of theirs, and a core serves them with ease."""

LONG_S = 600.0

FAULTY_FROM_S, FAULTY_S, HEALTHY_S = 1.0, 30.0, 75.0
"""Health lasts longer than a probation."""

HEARD_WITHIN_S = 60.0
"""Of all houses. Nothing goes wrong before: who is refused before it was heard may not be heard in a short run."""

SILENT_S = 15.0
"""By which a silence is longer than the control channels of a house may be silent."""

MAX_GROWTH_BYTES = 2_000_000
"""Over a third of LONG_S, of 30 venues: tracing itself, and numbers of a market that were not said before."""

SEED = 20261128

DROP = "drop"

ALL_FAULTS = (*Fault, DROP)

NUMBERED = frozenset({"binance-usdm", "binance-coinm", "aster", "kraken", "deribit", "coinbase-intl", "bitfinex"})
"""Houses that number their trades, or all their messages, without holes: of the others nobody can tell that one is
missing, and that cannot happen to a message in the middle of a connection."""

WITHOUT_IDS = frozenset({"cryptocom", "woox", "bingx"})
"""Houses that tell trades without an id of their own: of two that are equal nobody can tell whether they are two."""

BLOCKS = (Fault.LEGAL, Fault.FORBIDDEN)
"""Who refuses so is asked again after minutes."""

TELLS_NO_TRADES = frozenset({"coinbase-derivatives"})


@dataclass(frozen=True, slots=True)
class Injected:
    """A fault of a house, and when it was there."""

    fault: Fault | str
    from_ns: int
    to_ns: int


@dataclass(frozen=True, slots=True)
class Run:
    """What was heard, tick by tick, and what has happened."""

    ticks: list[list[Event]]
    houses: dict[str, FakeVenue]
    instruments: tuple[Instrument, ...]
    injected: dict[str, list[Injected]]
    statuses: list[dict[str, VenueStatus]]
    until_ns: int
    tasks_left: list[str]
    memory: list[int]

    def heard(self, key: str) -> list[Event]:
        ids = self.houses[key].speaker.listings
        return [e for tick in self.ticks for e in tick if getattr(e, "instrument_id", "") in ids]

    def happened(self, key: str) -> list[Event]:
        house = self.houses[key]
        told = (Liquidation,) if key in TELLS_NO_TRADES else (Trade, Liquidation)
        return [event for event in house.market.truth if isinstance(event, told)]


def faults_of(key: str) -> list[Fault | str]:
    """Return what goes wrong at a house in a run, in turn: another fault first at each."""
    first = list(HOUSES).index(key)
    turns = sum(1 for _ in zip(_beginnings(), ALL_FAULTS, strict=False))
    turned = [ALL_FAULTS[(first + n) % len(ALL_FAULTS)] for n in range(turns)]
    return [DROP if fault is Fault.GAP and key not in NUMBERED else fault for fault in turned]


def _beginnings() -> list[float]:
    """Return when faults begin: each leaves time to be well again."""
    cycle_s = FAULTY_S + HEALTHY_S
    return [at for at in (FAULTY_FROM_S + n * cycle_s for n in range(100)) if at + cycle_s <= SECONDS]


def _silence_s(key: str) -> float:
    """Return how long a house is silent: until every connection to it shows that."""
    endpoints = [e for venue, of_venue in heard_venues(key) for e in venue.dialect(of_venue).endpoints]
    return max([FAULTY_S, *(SILENT_S + endpoint.control_s for endpoint in endpoints)])


def without(*faults: Fault) -> list[str]:
    """Return the houses at which none of these goes wrong."""
    return [key for key in HOUSES if not set(faults) & set(faults_of(key))]


async def _fail(
    key: str, house: FakeVenue, time: ScaledTime, began: asyncio.Future[float], injected: list[Injected]
) -> None:
    """Fail and be well in turn, once the run has begun."""
    began_at = await asyncio.shield(began)
    for at, fault in zip(_beginnings(), faults_of(key), strict=False):
        await time.sleep(max(0.0, began_at + at - time.monotonic()))
        from_ns = time.now_ns()
        if isinstance(fault, Fault):
            house.inject(fault)
        if not isinstance(fault, Fault) or fault in (*REFUSALS, Fault.DEAF, Fault.UNCONFIRMED):
            await house.drop()  # it is new connections that are refused
        await time.sleep(_silence_s(key) if fault is Fault.SILENCE else FAULTY_S)
        house.heal()
        injected.append(Injected(fault, from_ns, time.now_ns()))


async def _listen(*, remembers: bool = True) -> Run:
    houses = {key: fake_house(key, SEED + n) for n, key in enumerate(HOUSES)}
    heard = [each for key in HOUSES for each in heard_venues(key)]
    for house in houses.values():
        house.market.remembers = remembers
    time = ScaledTime(FACTOR, monotonic=asyncio.get_running_loop().time)
    exchange = FakeExchange(list(houses.values()), time, STEP_S)
    gathered: list[Event] = []
    venues, listings = [venue for venue, _ in heard], {venue.name: of_venue for venue, of_venue in heard}
    feeds = Feeds(venues, listings, gathered.extend, time, seed=SEED, rewrite=exchange.rewrite)
    ticks: list[list[Event]] = []
    statuses: list[dict[str, VenueStatus]] = []
    memory: list[int] = []
    injected: dict[str, list[Injected]] = defaultdict(list)
    async with exchange.running():
        before = asyncio.all_tasks()
        listening = asyncio.create_task(feeds.run())
        began: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        failing = [asyncio.create_task(_fail(key, house, time, began, injected[key])) for key, house in houses.items()]
        unheard = {each.instrument_id for _, of_venue in heard for each in of_venue}
        while not began.done() or time.monotonic() < began.result() + SECONDS:
            await time.sleep(1.0)
            unheard -= {event.instrument_id for event in gathered if isinstance(event, OpenInterest)}
            if not began.done() and (not unheard or time.monotonic() > HEARD_WITHIN_S):
                began.set_result(time.monotonic())
            if remembers:
                ticks.append(list(gathered))
                statuses.append({status.venue: status for status in feeds.statuses})
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
    instruments = tuple(each.instrument for _, of_venue in heard for each in of_venue)
    last_ns = until_ns - PIECE_NS - 2 * MARGIN_NS
    return Run(ticks, houses, instruments, dict(injected), [s for s in statuses if s], last_ns, left, memory)


@pytest.fixture(scope="module")
def run() -> Run:
    return run_patiently(_listen())


@pytest.fixture(scope="module")
def books(run: Run) -> Reconciled:
    return reconciled(run.ticks, run.instruments)


@pytest.mark.parametrize("key", HOUSES)
def test_what_was_not_heard_was_announced(run: Run, key: str) -> None:
    happened = run.happened(key)

    missing = unannounced(happened, run.heard(key), run.until_ns)

    assert missing == []
    assert len(flows(happened)) > SECONDS / STEP_S or key in TELLS_NO_TRADES


@pytest.mark.parametrize("key", HOUSES)
def test_nothing_is_heard_that_has_not_happened_or_twice(run: Run, key: str) -> None:
    heard = [e for e in run.heard(key) if isinstance(e, Flow)]

    wrong = made_up(run.happened(key), heard)

    assert [event for event in wrong if not _is_excused(event, run.injected[key], key)] == []


def _is_excused(event: Flow, injected: list[Injected], key: str) -> bool:
    """Return whether nobody could know better: sizes in bounds, until samples show them; repeats without a number."""
    has_id = key not in WITHOUT_IDS and (key != "htx" or isinstance(event, Trade))
    excuses = {Fault.WRONG_SIZE} if has_id else {Fault.WRONG_SIZE, Fault.DUPLICATE}
    return any(each.fault in excuses and each.from_ns <= event.time_ns < each.to_ns + MARGIN_NS for each in injected)


def test_books_add_up_to_every_sample_of_open_interest(run: Run, books: Reconciled) -> None:
    assert books.wrong == []
    assert books.samples > len(run.instruments) * SECONDS / 10


def test_open_interest_in_other_units_is_never_believed(run: Run) -> None:
    samples: dict[str, list[int]] = defaultdict(list)
    for tick in run.ticks:
        for event in tick:
            if isinstance(event, OpenInterest):
                samples[event.instrument_id].append(event.quantity)

    assert samples.keys() == {instrument.instrument_id for instrument in run.instruments}
    assert {name: told for name, told in samples.items() if max(told) > 2 * min(told)} == {}
    assert sum(status.rejected.get("crossed units", 0) for status in run.statuses[-1].values()) >= 3


def test_what_the_model_could_not_make_fit_is_counted(run: Run, books: Reconciled) -> None:
    heard = [event for tick in run.ticks for event in tick]
    failed = sum(len(each) for each in run.injected.values())
    told = f"{len(heard)} events, {books.samples} samples, {books.counters['gaps']} gaps, {failed} faults"

    print(f"{told}, model errors of {sum(books.model_error_lots.values())} lots")
    assert books.model_error_lots.keys() == {e.instrument_id for e in heard if isinstance(e, OpenInterest)}
    assert books.counters["gaps"] == sum(isinstance(event, Gap) for event in heard)
    assert books.counters["liquidations_printed"] == sum(isinstance(event, Liquidation) for event in heard)


def test_no_task_outlives_the_feeds(run: Run) -> None:
    assert run.tasks_left == []


@pytest.mark.parametrize("key", [key for key in HOUSES if faults_of(key)[-1] not in BLOCKS])
def test_a_venue_is_heard_again_when_it_is_well(run: Run, key: str) -> None:
    ids = run.houses[key].speaker.listings

    heard = {type(e) for tick in run.ticks[-20:] for e in tick if getattr(e, "instrument_id", "") in ids}

    assert heard >= ({OpenInterest} if key in TELLS_NO_TRADES else {Trade, MarkPrice, OpenInterest})


def test_every_fault_was_seen_and_told(run: Run) -> None:
    injected = {each.fault for faults in run.injected.values() for each in faults}
    states = {c.state for each in run.statuses for status in each.values() for c in status.channels}

    assert injected == set(ALL_FAULTS)
    assert {FeedState.LIVE, FeedState.SILENT, FeedState.BLOCKED, FeedState.QUARANTINED} <= states


@pytest.mark.parametrize("key", without(Fault.SLOW_DRIP, Fault.DEAF, Fault.UNCONFIRMED))
def test_no_connection_is_cut_for_want_of_a_sign_of_life(run: Run, key: str) -> None:
    assert run.houses[key].cuts == 0


@pytest.mark.skipif(LONG_S > SECONDS, reason=f"takes {LONG_S:g} seconds of the venues; LIQSCAPE_FEED_SECONDS sets them")
def test_memory_stays_flat_while_venues_fail_and_come_back() -> None:
    tracemalloc.start()
    try:
        memory = run_patiently(_listen(remembers=False)).memory
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    third = len(memory) // 3
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"traced at most {peak >> 10} KiB, at the end {memory[-1] >> 10} KiB; resident at most {resident} KiB")
    assert max(memory[-third:]) < max(memory[third:-third]) + MAX_GROWTH_BYTES

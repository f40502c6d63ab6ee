"""Margin tables that venues tell while a server runs, over real sockets of a fake exchange."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from liqscape.broadcast.ports import TickRecord
from liqscape.build import build_engine
from liqscape.clock import SystemClock
from liqscape.config import ServeConfig, SourceConfig
from liqscape.device.choice import choose_backend
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.engine import EngineThread
from liqscape.feeds.live import table_fetching
from liqscape.feeds.live.feeds import Feeds
from liqscape.feeds.live.table_fetching import TableKeeper
from liqscape.feeds.tables import FETCHED, SHIPPED, TableBoard, TableStatus
from liqscape.feeds.venues.tier_sources import SOURCES
from liqscape.feeds.venues.tiers import UNBOUNDED, find_source, table_of
from liqscape.grid.shard import Shard
from liqscape.grid.updates import EngineStatus
from liqscape.instruments import MaintenanceTier, shipped_instruments
from liqscape.journal.data_folder import DataFolder
from liqscape.market.closed_tick import ClosedTick
from liqscape.metrics import Timings
from liqscape.recovery import recover
from tests.equal_shards import Stream, differences
from tests.fake_exchange.every_venue import HOUSES, fake_house, heard_venues
from tests.fake_exchange.faults import Fault
from tests.fake_exchange.scaled_time import START_NS, ScaledTime
from tests.fake_exchange.server import FakeExchange, FakeVenue

pytestmark = pytest.mark.slow

TELLING = [key for key in HOUSES if heard_venues(key)[0][0].instruments_of in set(SOURCES) - {"binance"}]

OKX = "okx:BTC-USDT-SWAP"


async def eventually(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 (nothing tells)
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("key", TELLING)
def test_every_venue_that_tells_its_table_speaks_and_is_read(key: str) -> None:
    fake = fake_house(key, seed=1)

    for _, listings in heard_venues(key):
        for listing in listings:
            instrument, asked = listing.instrument, find_source(listing.instrument.venue).request
            assert asked is not None
            request = asked(instrument)
            address = urlsplit(request.url)
            assert address.netloc in fake.speaker.hosts
            for event, number in fake.market.warm(START_NS):
                fake.speaker.say(event, number)
            body = fake.speaker.answer(address.path, request.query, fake.market.open_interest, START_NS)
            assert body is not None

            told, adjustments = table_of(instrument, body)

            shipped = list(instrument.maintenance_tiers)
            if key == "kraken":  # whose levels end nowhere
                shipped[-1] = replace(shipped[-1], notional_cap=UNBOUNDED)
            assert told == tuple(shipped)
            assert adjustments == instrument.adjustments


class Asking:
    """Feeds of one venue that ask for tables, in scaled time."""

    def __init__(self, key: str, factor: float = 50.0) -> None:
        self.fake: FakeVenue = fake_house(key, seed=1)
        self.time = ScaledTime(factor)
        self.exchange = FakeExchange([self.fake], self.time)
        self._heard = heard_venues(key)
        self.board = TableBoard(each.instrument for _, of_venue in self._heard for each in of_venue)
        self._keeper = TableKeeper(self.board, None)

    def _feeds(self) -> Feeds:
        return Feeds(
            [venue for venue, _ in self._heard],
            {venue.name: of_venue for venue, of_venue in self._heard},
            lambda events: None,
            self.time,
            seed=1,
            rewrite=self.exchange.rewrite,
            tables=self.board,
            asked_tables=self._keeper,
        )

    async def until(self, holds: Callable[[], bool]) -> None:
        """Run until something holds."""
        async with self.exchange.running():
            task = asyncio.create_task(self._feeds().run())
            try:
                await eventually(holds)
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    def status(self, name: str = OKX) -> TableStatus:
        (found,) = self.board.statuses([name])
        return found


@pytest.mark.parametrize(
    ("fault", "reason"),
    [(Fault.TOO_MANY, "HTTP 429"), (Fault.FORBIDDEN, "HTTP 403"), (Fault.LEGAL, "HTTP 451")],
)
async def test_venue_that_refuses_leaves_what_is_shipped(fault: Fault, reason: str) -> None:
    asking = Asking("okx")
    asking.fake.inject(fault)

    await asking.until(lambda: asking.status().failures > 0)

    assert (asking.status().origin, asking.status().failure) == (SHIPPED, reason)
    assert asking.board.told() == {}


async def test_venue_that_has_moved_its_tables_leaves_what_is_shipped() -> None:
    asking = Asking("okx")
    asking.fake.speaker.hides = frozenset({"/api/v5/public/position-tiers"})

    await asking.until(lambda: asking.status().failures > 0)

    assert (asking.status().origin, asking.status().failure) == (SHIPPED, "HTTP 404")


async def test_status_of_a_venue_has_its_tables_and_a_venue_with_many_is_asked_once() -> None:
    asking = Asking("kraken", factor=20.0)

    await asking.until(lambda: len(asking.board.told()) == 2)

    assert sorted(asking.board.told()) == ["kraken:PF_XBTUSD", "kraken:PI_XBTUSD"]
    assert asking.fake.requests == 2  # the listings, which every start asks for, and the tables


def first_rate(rate: str, leverage: int = 100) -> tuple[MaintenanceTier, ...]:
    return (
        MaintenanceTier(0, 1000, Fraction(rate), Fraction(0), leverage),
        MaintenanceTier(1000, 5000, Fraction(rate) * 2, Fraction(0), leverage // 2),
    )


class Sink:
    """Takes what an engine publishes, and forgets it."""

    def publish(self, record: TickRecord) -> None:
        """Do nothing."""


async def live(
    exchange: FakeExchange, data: Path | None, holds: Callable[[EngineStatus], bool], how: str = "fetch"
) -> tuple[EngineThread, EngineStatus]:
    """Run an engine that listens to OKX until its status is as wanted; return it, ended, and the status."""
    source = SourceConfig(
        kind="live", symbols=("BTC",), venues=("okx",), relay=exchange.address, margin_tables=how, kept_tables=data
    )
    config = ServeConfig(source=source, backend="numpy", data=data)
    engine = build_engine(
        config, SystemClock(), choose_backend, lambda _: Sink(), Timings(), on_end=lambda: None
    ).thread
    engine.start()
    try:
        async with asyncio.timeout(40):
            while not holds(status := await engine.status()):  # noqa: ASYNC110 (nothing tells)
                await asyncio.sleep(0.05)
    finally:
        await asyncio.to_thread(engine.stop)
    return engine, status


def okx_table(status: EngineStatus) -> TableStatus | None:
    """Return what is told of the table of one instrument, once anything is."""
    return next((t for feed in status.feeds for t in feed.tables if t.instrument_id == OKX), None)


def is_fetched(status: EngineStatus) -> bool:
    table = okx_table(status)
    return table is not None and table.origin == FETCHED


def has_failed(status: EngineStatus) -> bool:
    table = okx_table(status)
    return table is not None and table.failures > 0


async def rules_of(engine: EngineThread) -> tuple[int, str]:
    """Return first rate and date of the rules in force, as they are served."""
    served = {view.instrument_id: view for view in await engine.instruments()}
    return served[OKX].maintenance_margin_rate_ppm, served[OKX].rules_date


class Changes:
    """Notes the ticks of a replay that change terms."""

    def __init__(self) -> None:
        self.ticks: list[int] = []

    def begin(self, shard: Shard) -> None:
        """Do nothing."""

    def before_tick(self, tick: int, closed: ClosedTick) -> None:
        """Note a tick."""
        self.ticks += [tick] * len(closed.terms)


def replayed(data: Path) -> tuple[Shard, list[int]]:
    """Return a shard made of what a folder has kept, and the ticks of its journal that change terms."""
    shipped = [i for i in shipped_instruments().values() if i.venue == "okx" and i.symbol == "BTC"]
    shard, changes = Shard(shipped, NumpyBackend(), lambda: 0), Changes()
    with closing(DataFolder(data)) as folder:
        recover(folder, "second", shard, lambda text: None, changes).journal.close()
    return shard, changes.ticks


def grids_of(shard: Shard) -> dict[str, bytes]:
    """Return every grid as it is sent to who joins now."""
    sent = Stream(shard).send(shard.restate())
    return {name: data for name, data in sent.items() if name not in shard.symbols}  # those have stamps of the clock


@pytest.fixture
def asked_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have venues asked when ticks have gone by, and soon."""
    monkeypatch.setattr(table_fetching, "FIRST_S", 1.0)
    monkeypatch.setattr(table_fetching, "SPREAD_S", 0.1)


@pytest.mark.usefixtures("asked_soon")
async def test_told_table_takes_effect_between_ticks_and_later_servers_go_on_under_it(tmp_path: Path) -> None:
    fake, today = fake_house("okx", seed=1), datetime.now(UTC).date()
    exchange = FakeExchange([fake], ScaledTime(1.0, time.time_ns()), step_s=0.1)
    async with exchange.running():
        fake.speaker.tables[OKX] = first_rate("0.005")
        first, told = await live(exchange, tmp_path, lambda s: is_fetched(s) and s.counters["terms_changed"] > 0)
        rules, (again, changes) = await rules_of(first), replayed(tmp_path)

        fake.speaker.tables[OKX] = first_rate("0.05", 20)
        second, odd = await live(exchange, tmp_path, has_failed)
        fake.inject(Fault.FORBIDDEN)
        third, refused = await live(exchange, tmp_path, has_failed)

    assert rules[0] == 5000
    assert today <= date.fromisoformat(rules[1]) <= today + timedelta(days=1)
    assert min(changes) > 1  # ticks went by before it was told
    assert told.counters["margin_tables_taken"] == 1
    assert again.terms == first._shard.terms
    assert differences(first._shard, again) == []
    assert grids_of(first._shard) == grids_of(again)
    for engine, status, reason in (
        (second, odd, "refused: another unit of rates: 5 % from 0 at 20x; shipped 0.4 % from 0 at 100x"),
        (third, refused, "HTTP 403"),
    ):
        table = okx_table(status)
        assert table is not None
        assert (table.origin, table.failure) == (FETCHED, reason)
        assert status.counters["terms_changed"] == 0
        assert await rules_of(engine) == rules


@pytest.mark.usefixtures("asked_soon")
async def test_server_that_is_to_ask_nobody_goes_by_what_is_shipped() -> None:
    fake = fake_house("okx", seed=1)
    fake.speaker.tables[OKX] = first_rate("0.005")
    exchange = FakeExchange([fake], ScaledTime(1.0, time.time_ns()))
    async with exchange.running():
        engine, status = await live(exchange, None, lambda s: okx_table(s) is not None, "shipped")

    table = okx_table(status)
    assert table is not None
    assert (table.origin, table.read_ns) == (SHIPPED, 0)
    assert table.note == "no venue is asked: margin-tables is shipped"
    assert await rules_of(engine) == (4000, "2026-09-30")

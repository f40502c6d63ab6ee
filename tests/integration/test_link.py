"""The ports over a real unix socket: what is asked, answered, refused, cancelled and streamed arrives as it left."""

from __future__ import annotations

import asyncio
import contextlib
import stat
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import grpc
import numpy as np
import pytest

from liqscape.broadcast.accounts import Account, Ledger
from liqscape.broadcast.encoder import StreamEncoder
from liqscape.broadcast.in_process import MAX_QUEUED_RECORDS
from liqscape.broadcast.ports import EncodedChunk, QueryPort, ShardDescription, TickRecord
from liqscape.broadcast.ring import Ring
from liqscape.errors import (
    InputDataError,
    InvalidArgument,
    LimitExceeded,
    LiqscapeError,
    ModelError,
    NotFound,
    NotReady,
    OutOfRange,
    Unavailable,
)
from liqscape.feeds.source import Progress
from liqscape.grid.updates import EngineStatus, GridAnswer, GridQuery, MapQuery
from liqscape.link.asker import Asker, Late
from liqscape.link.engine_link import NO_ENGINE, EngineLink, LinkedFrames
from liqscape.link.fan import Fan
from liqscape.link.host import hosting, port_methods
from liqscape.link.messages import Records, unpack
from liqscape.link.places import engine_socket, socket_folder, supervisor_socket
from liqscape.link.reports import Reporter
from tests.fake_engine import FakeEngine, FakeQueries, grid_answer, map_answer

WAIT_S = 20.0
QUERY = GridQuery("BTC", "24h", venues=("binance",))


class Engine:
    """A made-up engine behind a socket."""

    def __init__(self, folder: Path) -> None:
        self.path = engine_socket(folder)
        self.fake = FakeEngine()
        self.queries = FakeQueries(self.fake, grid=grid_answer(40, 30), map=map_answer(rows=50))
        self.fan = Fan(self.fake.shard)
        self._encoder = StreamEncoder(self.fake.shard, now_ns=lambda: 3)

    def step(self, count: int = 1) -> None:
        for _ in range(count):
            self.fan.publish(self._encoder.encode(self.fake.step()))

    @contextlib.asynccontextmanager
    async def hosted(self) -> AsyncIterator[None]:
        async def progress() -> Progress:
            return Progress(3, 7, "bars")

        async with hosting(self.path, {**port_methods(self.queries), "progress": progress}, self.fan):
            yield


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    """Return an engine that can be asked."""
    with socket_folder() as folder:
        made = Engine(folder)
        async with hosting_and_linked(made):
            yield made


@contextlib.asynccontextmanager
async def hosting_and_linked(engine: Engine) -> AsyncIterator[EngineLink]:
    async with engine.hosted(), linked(engine.path) as link:
        yield link


@contextlib.asynccontextmanager
async def linked(path: Path) -> AsyncIterator[EngineLink]:
    link = EngineLink(path)
    try:
        yield link
    finally:
        await link.close()


@contextlib.asynccontextmanager
async def first_source(link: EngineLink) -> AsyncIterator[LinkedFrames]:
    async with contextlib.aclosing(link.sources()) as sources:
        async with asyncio.timeout(WAIT_S):
            source = await anext(sources)
        yield source


async def taken(source: LinkedFrames, until_tick: int) -> list[TickRecord]:
    """Return the records up to a tick."""
    records = []
    async with asyncio.timeout(WAIT_S):
        async for record in source.records():
            records.append(record)
            if record.tick >= until_tick:
                return records
    raise AssertionError("the stream has ended")


# ---- questions


async def test_every_method_of_the_port_answers_as_it_does_in_one_process(engine: Engine) -> None:
    async with linked(engine.path) as link:
        grid = await link.get_grid(QUERY)
        chart = await link.get_liquidation_map(MapQuery("BTC"))

        assert_same_grid(grid, grid_answer(40, 30))
        assert (chart.map.cells == map_answer(rows=50).map.cells).all()
        assert chart.map.by_venue.groups == map_answer(rows=50).map.by_venue.groups
        assert await link.status() == engine.queries.state
        assert await link.instruments() == await engine.queries.instruments()
        assert await link.progress() == Progress(3, 7, "bars")
        assert set(port_methods(engine.queries)) == {"get_grid", "get_liquidation_map", "status", "instruments"}
        assert set(vars(QueryPort)) & set(vars(EngineLink)) >= set(port_methods(engine.queries))


def assert_same_grid(grid: GridAnswer, expected: GridAnswer) -> None:
    assert (grid.cells == expected.cells).all()
    assert grid.cells.dtype == np.int64
    assert (grid.usd_per_weighted_lot == expected.usd_per_weighted_lot).all()
    assert (grid.axes, grid.coverage, grid.candles.column.tolist()) == (
        expected.axes,
        expected.coverage,
        expected.candles.column.tolist(),
    )


async def test_question_arrives_with_all_its_fields(engine: Engine) -> None:
    asked: list[GridQuery] = []

    class Listening(FakeQueries):
        async def get_grid(self, query: GridQuery) -> GridAnswer:
            asked.append(query)
            return await super().get_grid(query)

    question = replace(QUERY, leverages=(10, 25), price_low=90_000.5, max_cells=7, as_of_minute=5, columns=3)
    listening = Listening(engine.fake, grid=grid_answer(2, 2))
    path = engine.path.with_name("listening")
    async with hosting(path, port_methods(listening)), linked(path) as link:
        await link.get_grid(question)

    assert asked == [question]


ERRORS: list[LiqscapeError] = [
    InvalidArgument("columns is 0"),
    NotFound("symbol 'X' is unknown"),
    OutOfRange("minute 5 is not held"),
    NotReady("history is still being built", 0.4),
    LimitExceeded("too many cells", 250),
    Unavailable("the engine has failed: it broke"),
    InputDataError("a.parquet", 7, "price must rise"),
    ModelError("live and uncovered are not open interest"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_error_arrives_as_its_type_with_all_it_says(engine: Engine, error: LiqscapeError) -> None:
    engine.queries.error = error

    async with linked(engine.path) as link:
        with pytest.raises(LiqscapeError) as caught:
            await link.get_grid(QUERY)

    assert type(caught.value) is type(error)
    assert str(caught.value) == str(error)
    assert caught.value.__dict__ == error.__dict__


async def test_defect_of_the_engine_is_told_as_one_and_logged_where_it_is(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    engine.queries.error = ZeroDivisionError("a secret of the engine")

    async with linked(engine.path) as link:
        with pytest.raises(ModelError, match=r"^get_grid failed: ZeroDivisionError$"):
            await link.get_grid(QUERY)

    assert "question get_grid failed" in caplog.text


class Busy(FakeQueries):
    """Works for ever, and says how it was ended."""

    def __init__(self, engine: FakeEngine) -> None:
        super().__init__(engine)
        self.began = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def get_grid(self, query: GridQuery) -> GridAnswer:
        self.began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        raise AssertionError


@pytest.fixture
async def busy(engine: Engine) -> AsyncIterator[tuple[Busy, Path]]:
    made = Busy(engine.fake)
    path = engine.path.with_name("busy")
    async with hosting(path, port_methods(made)):
        yield made, path


async def test_cancelled_question_is_cancelled_in_the_engine(busy: tuple[Busy, Path]) -> None:
    queries, path = busy
    async with linked(path) as link:
        question = asyncio.create_task(link.get_grid(QUERY))
        await asyncio.wait_for(queries.began.wait(), WAIT_S)

        question.cancel()

        await asyncio.wait_for(queries.cancelled.wait(), WAIT_S)
        with pytest.raises(asyncio.CancelledError):
            await question


async def test_deadline_of_a_question_reaches_the_engine(busy: tuple[Busy, Path]) -> None:
    queries, path = busy
    asker = Asker(path, "the engine")
    with pytest.raises(Late, match=r"^the engine has not answered within 0\.2 s$") as caught:
        await asker.ask("get_grid", QUERY, timeout_s=0.2)

    await asyncio.wait_for(queries.cancelled.wait(), WAIT_S)
    assert caught.value.retry_after_ms == 1000
    await asker.close()


async def test_question_of_an_edge_that_has_gone_is_cancelled(busy: tuple[Busy, Path]) -> None:
    queries, path = busy
    link = EngineLink(path)
    question = asyncio.create_task(link.get_grid(QUERY))
    await asyncio.wait_for(queries.began.wait(), WAIT_S)

    await link.close()

    await asyncio.wait_for(queries.cancelled.wait(), WAIT_S)
    await asyncio.gather(question, return_exceptions=True)


async def test_edge_without_an_engine_answers_as_one_that_is_starting() -> None:
    with socket_folder() as folder:
        async with linked(engine_socket(folder)) as link:
            assert await link.status() == NO_ENGINE
            assert (await link.progress()).total == 0
            with pytest.raises(NotReady, match="the engine is starting") as caught:
                await link.get_grid(QUERY)
            with pytest.raises(NotReady, match="the engine is starting"):
                await link.instruments()

    assert caught.value.retry_after_ms == 1000


async def test_engine_that_has_ended_is_said_to_be_started_again(engine: Engine) -> None:
    path = engine.path.with_name("short")
    async with linked(path) as link:
        async with hosting(path, port_methods(engine.queries)):
            before = await link.status()

        after = await link.status()
        with pytest.raises(Unavailable, match="the engine has ended and is being started again") as caught:
            await link.get_grid(QUERY)
        async with hosting(path, port_methods(engine.queries)):
            again = await found_again(link)

    assert before.state == "serving"
    assert (after.state, after.epoch, after.tick) == ("building", before.epoch, before.tick)
    assert "is being started again" in after.message
    assert type(caught.value) is Unavailable
    assert caught.value.retry_after_ms == 1000
    assert again == before


async def found_again(link: EngineLink) -> EngineStatus:
    async with asyncio.timeout(WAIT_S):
        while (status := await link.status()).state != "serving":  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return status


async def test_sockets_lie_in_a_folder_that_nobody_else_can_enter(tmp_path: Path) -> None:
    with socket_folder() as folder:
        mode = stat.S_IMODE(folder.stat().st_mode)

    assert mode == 0o700
    assert not folder.exists()


async def test_folder_whose_path_is_too_long_for_a_socket_is_made_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * 90)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))

    with socket_folder() as folder:
        assert len(str(engine_socket(folder))) < 100
    assert not any(long.iterdir())


# ---- records


async def test_edge_that_comes_late_holds_the_same_past_and_gets_what_follows(engine: Engine) -> None:
    engine.step(150)
    kept = Ring.restored(1000, engine.fan._ring.past())

    async with linked(engine.path) as link, first_source(link) as source:
        engine.step(3)
        records = await taken(source, 153)

    assert source.shard == engine.fake.shard
    assert [record.tick for record in records] == [151, 152, 153]
    assert source.ring.past() == kept.past()
    assert source.ring.floor_tick < 150 - 20


def bulky_records(count: int, size_bytes: int) -> list[TickRecord]:
    """Return a chain of one channel: a keyframe, then a delta each tick."""
    chunks = [EncodedChunk(1, 1, tick == 1, tick - 1, tick, bytes(size_bytes)) for tick in range(1, count + 1)]
    return [TickRecord(chunk.tick, (chunk,), (), {}, {}, 0) for chunk in chunks]


async def test_past_of_many_megabytes_comes_in_parts(engine: Engine) -> None:
    path, fan = engine.path.with_name("bulky"), Fan(engine.fake.shard)
    for record in bulky_records(40, 300_000):
        fan.publish(record)

    async with hosting(path, {}, fan), linked(path) as link, first_source(link) as source:
        pass

    assert source.ring.chunk_bytes == 39 * 300_000  # the first keyframe is held apart
    assert source.ring.past() == fan._ring.past()


async def test_every_edge_gets_every_record_in_order(engine: Engine) -> None:
    async with (
        linked(engine.path) as one,
        linked(engine.path) as two,
        first_source(one) as first,
        first_source(two) as second,
    ):
        engine.step(30)

        got = await asyncio.gather(taken(first, 30), taken(second, 30))

    assert [[record.tick for record in records] for records in got] == [list(range(1, 31))] * 2
    assert got[0] == got[1]


async def test_slow_edge_has_its_ticks_merged_and_its_chain_is_whole(engine: Engine) -> None:
    path, fan = engine.path.with_name("slow"), Fan(engine.fake.shard)
    ticks, together = 1280, MAX_QUEUED_RECORDS // 2
    everything: list[TickRecord] = []
    async with (
        hosting(path, {}, fan),
        linked(path) as slow,
        linked(path) as quick,
        first_source(slow) as stalled,
        first_source(quick) as other,
        asyncio.timeout(WAIT_S),
    ):
        reading = other.records()
        for record in bulky_records(ticks, 20_000):
            fan.publish(record)
            if record.tick % together == 0:
                everything += [await anext(reading) for _ in range(together)]  # the other one does not read
        queued = max(len(edge._queue) for edge in fan._edges)
        records = await taken(stalled, ticks)

    assert [record.tick for record in everything] == list(range(1, ticks + 1))
    assert sum(record.ticks_merged for record in everything) == 0
    assert queued <= MAX_QUEUED_RECORDS
    assert sum(1 + record.ticks_merged for record in records) == ticks
    assert sum(record.ticks_merged for record in records) > ticks / 4
    ring = Ring.for_tick_ms(1000)
    for record in records:
        ring.append(record)  # raises where the chain is broken
    assert ring.head_tick == ticks


async def test_change_of_the_description_arrives_before_the_record_that_needs_it(engine: Engine) -> None:
    seen: list[tuple[int, ShardDescription]] = []
    changed = replace(engine.fake.shard, input="changed")
    async with linked(engine.path) as link, first_source(link) as source:
        engine.step()
        engine.fan.describe(changed)
        engine.step()
        async with asyncio.timeout(WAIT_S):
            async for record in source.records():
                seen.append((record.tick, source.shard))
                if record.tick == 2:
                    break

    assert seen[1] == (2, changed)


async def test_engine_that_comes_back_is_a_source_of_its_own(engine: Engine) -> None:
    path = engine.path.with_name("again")
    first, second = Fan(engine.fake.shard), Fan(replace(engine.fake.shard, epoch=5))
    async with linked(path) as link:
        sources = link.sources()
        async with hosting(path, {}, first), asyncio.timeout(WAIT_S):
            source = await anext(sources)
        rest = [record async for record in source.records()]
        async with hosting(path, {}, second), asyncio.timeout(WAIT_S):
            following = await anext(sources)

    assert rest == []
    assert following.shard.epoch == 5


async def test_edge_that_goes_leaves_nothing_behind(engine: Engine) -> None:
    async with linked(engine.path) as link, first_source(link):
        open_now = len(engine.fan._edges)

    async with asyncio.timeout(WAIT_S):
        while engine.fan._edges:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    assert open_now == 1


async def test_stream_of_records_is_refused_where_there_are_none(engine: Engine) -> None:
    path = engine.path.with_name("supervisor")
    asker = Asker(path, "the supervisor")
    async with hosting(path, {}):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await asker.records().read()
    await asker.close()

    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_messages_of_records_are_plain_values() -> None:
    assert unpack(b"\x80\x05N.") is None
    assert Records(()).shard is None


# ---- reports


async def test_process_hears_the_sum_of_all_and_makes_do_without_a_supervisor() -> None:
    ledger = Ledger()
    ledger.report(1, Account(counts={}))
    own = Account()
    own.counters.frames = 5
    other = Account()
    other.counters.frames = 7
    ledger.report(2, other)

    async def report(life: int, account: Account) -> Account:
        ledger.report(life, account)
        return ledger.whole()

    with socket_folder() as folder:
        path = supervisor_socket(folder)
        supervisor = Asker(path, "the supervisor")
        reporter = Reporter(supervisor, 3, own)
        alone = await reporter.whole()
        async with hosting(path, {"report": report}):
            together = await summed(reporter)
        after = await reporter.whole()
        await supervisor.close()

    assert alone.counters.frames == 5
    assert together.counters.frames == 12
    assert after.counters.frames == 12


async def summed(reporter: Reporter) -> Account:
    async with asyncio.timeout(WAIT_S):
        while (whole := await reporter.whole()).counters.frames < 12:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return whole


async def test_reports_are_made_while_running_and_once_more_at_the_end() -> None:
    heard: list[int] = []
    own = Account()

    async def report(_life: int, account: Account) -> Account:
        heard.append(account.counters.frames)
        return account

    with socket_folder() as folder:
        path = supervisor_socket(folder)
        supervisor = Asker(path, "the supervisor")
        reporter = Reporter(supervisor, 3, own)
        async with hosting(path, {"report": report}), reporter.running(), asyncio.timeout(WAIT_S):
            while not heard:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            own.counters.frames = 9
        await supervisor.close()

    assert heard[0] == 0
    assert heard[-1] == 9

"""The ChannelPort of an engine that ticks, is being built, has ended or has failed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from liqscape.broadcast.ports import ChannelPort, ShardDescription, TickRecord
from liqscape.channel_builds import BUILD_RETRY_SECONDS, ChannelBuilds
from liqscape.channel_desk import ChannelDesk
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.engine import EngineThread
from liqscape.errors import ModelError, NotFound, NotReady, Unavailable
from liqscape.events import Event, PositionSide
from liqscape.feeds.source import Progress, SourceDescription
from liqscape.grid.channel_specs import ChannelSpec, PositionFilter
from liqscape.grid.custom_channels import ChannelBuild
from liqscape.grid.shard import Shard
from liqscape.grid.updates import GridQuery
from tests.unit.synthetic_market import BTC, EXAMPLE_MINUTE, tick_end
from tests.unit.test_engine_queries import EXAMPLE, engine_of

WAIT_S = 30
LONGS = ChannelSpec("BTC", "24h", PositionFilter.of(side=PositionSide.LONG))
TILE = ChannelSpec("BTC", "24h", None, 17)


class ToldSource:
    """Events as a test tells them, from any thread, with all the time in between."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()
        self._begun = threading.Event()

    @property
    def description(self) -> SourceDescription:
        """Return what it is."""
        return SourceDescription(name="told", instruments=(BTC,), tick_ms=1000, simulated=True)

    def progress(self) -> Progress:
        """Return nothing."""
        return Progress(0, 0, "events")

    def tell(self, event: Event | None) -> None:
        """Have an event come; None = the end."""
        assert self._begun.wait(WAIT_S)
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._events.put_nowait, event)

    async def events(self) -> AsyncIterator[Event]:
        """Yield what is told."""
        self._loop = asyncio.get_running_loop()
        self._begun.set()
        while (event := await self._events.get()) is not None:
            yield event


class Run:
    """An engine that is stepped by hand, and what it publishes."""

    def __init__(self) -> None:
        self.source = ToldSource()
        self.records: list[TickRecord] = []
        self._came = threading.Condition()
        self._minute = EXAMPLE_MINUTE + 5
        self.shard = Shard([BTC], NumpyBackend(), lambda: 0)
        self.ended = threading.Event()
        self.engine = EngineThread(
            description=ShardDescription("test", 7, 1000, True, False, "told", self.shard.channels),
            source=self.source,
            shard=self.shard,
            backend_name="numpy",
            publish=self._publish,
            on_end=self.ended.set,
        )

    def _publish(self, record: TickRecord) -> None:
        with self._came:
            self.records.append(record)
            self._came.notify_all()

    def tell(self, *events: Event | None) -> None:
        for event in events:
            self.source.tell(event)

    def step(self) -> TickRecord:
        """Make a tick and return its record."""
        count = len(self.records)
        self._minute += 1
        self.source.tell(tick_end(self._minute))
        self.wait(lambda: len(self.records) > count)
        return self.records[-1]

    def wait(self, condition: Callable[[], bool]) -> None:
        with self._came:
            assert self._came.wait_for(condition, WAIT_S)


@contextmanager
def running() -> Iterator[Run]:
    run = Run()
    run.engine.start()
    try:
        yield run
    finally:
        run.engine.stop()


def started(run: Run) -> ChannelPort:
    run.tell(*EXAMPLE)
    run.wait(lambda: len(run.records) == 2)
    return run.engine.channels


async def test_tile_opened_between_two_ticks_begins_with_the_next_and_ends_with_one() -> None:
    with running() as run:
        port = started(run)

        channel = await port.open_channel(TILE)
        first = run.step()
        await port.close_channel(channel.channel_id)
        last = run.step()

        assert [(c.channel_id, c.keyframe) for c in first.channels if c.channel_id == channel.channel_id] == [
            (10, True)
        ]
        assert last.closed == (10,)
        assert (await run.engine.status()).counters["channels_closed"] == 1


async def test_custom_channel_is_built_beside_the_ticks_and_then_streamed() -> None:
    with running() as run:
        port = started(run)

        channel = await port.open_channel(LONGS)
        for _ in range(1000):
            record = run.step()
            if any(chunk.channel_id == channel.channel_id for chunk in record.channels):
                break

        (chunk,) = [chunk for chunk in record.channels if chunk.channel_id == channel.channel_id]
        assert chunk.keyframe
        assert (await run.engine.status()).counters["channel_builds_failed"] == 0


async def test_caller_that_has_gone_leaves_no_lease() -> None:
    with running() as run:
        port = started(run)
        reached, go_on = threading.Event(), threading.Event()

        def busy() -> None:
            reached.set()
            go_on.wait(WAIT_S)

        run.engine._between_ticks.submit(busy)
        assert await asyncio.to_thread(reached.wait, WAIT_S)
        waiting = asyncio.create_task(port.open_channel(TILE))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait({waiting})

        go_on.set()
        run.step()

        assert run.shard.on_demand.counters["tiles_open"] == 0


async def test_caller_that_goes_while_it_is_being_answered_leaves_no_lease() -> None:
    opening, go_on = threading.Event(), threading.Event()

    class Slow:
        """A shard that takes its time."""

        def __init__(self, shard: Shard) -> None:
            self._shard = shard

        def __getattr__(self, name: str) -> Any:
            if name == "on_demand" and not opening.is_set():
                opening.set()
                assert go_on.wait(WAIT_S)
            return getattr(self._shard, name)

    with running() as run:
        port = started(run)
        assert isinstance(port, ChannelDesk)
        port._shard = Slow(run.shard)  # type: ignore[assignment]
        waiting = asyncio.create_task(port.open_channel(TILE))
        assert await asyncio.to_thread(opening.wait, WAIT_S)
        waiting.cancel()
        await asyncio.wait({waiting})

        go_on.set()
        run.step()
        run.step()

        assert run.shard.on_demand.counters["channels_opened"] == 1
        assert run.shard.on_demand.counters["tiles_open"] == 0


async def test_channels_of_an_engine_that_is_being_built_has_ended_or_failed_are_refused() -> None:
    with running() as run:
        with pytest.raises(NotReady):
            await run.engine.channels.open_channel(TILE)
        port = started(run)
        kept = await port.open_channel(TILE)
        run.tell(None)
        assert run.ended.wait(WAIT_S)

        with pytest.raises(NotFound, match="the input has ended, and a new channel begins with a tick"):
            await port.open_channel(LONGS)
        assert run.records[-1].ended
        assert [chunk.channel_id for chunk in run.records[-1].channels] == [kept.channel_id]
        await port.close_channel(kept.channel_id)
    await port.close_channel(kept.channel_id)  # nothing is left that could answer

    failed = pytest.raises(Unavailable, match="the engine has failed: the books no longer add up")
    with engine_of(EXAMPLE, ModelError("the books no longer add up")) as engine, failed:
        await engine.channels.open_channel(TILE)


async def test_channel_opened_just_before_the_input_ends_comes_with_the_last_record() -> None:
    with running() as run:
        port = started(run)
        custom, tile = await port.open_channel(LONGS), await port.open_channel(replace(LONGS, tile=17))
        run.tell(None)
        assert run.ended.wait(WAIT_S)

        last = run.records[-1]
        assert last.ended
        assert {custom.channel_id, tile.channel_id} <= {c.channel_id for c in last.channels if c.keyframe}


async def test_channel_whose_grid_was_made_before_the_input_ends_comes_with_the_last_record() -> None:
    with running() as run:
        port = started(run)
        custom = await port.open_channel(LONGS)
        await run.engine.get_grid(GridQuery("BTC", "24h"))  # by the thread that makes first grids, after that one
        tile = await port.open_channel(replace(LONGS, tile=17))  # and so the engine has seen that the grid is made
        run.tell(None)
        assert run.ended.wait(WAIT_S)

        assert {custom.channel_id, tile.channel_id} <= {c.channel_id for c in run.records[-1].channels if c.keyframe}


class OneThread(Executor):
    """Work that is done when a test says so."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Future[Any], Callable[[], Any]]] = []

    def submit(self, work: Callable[..., Any], /, *_: Any, **__: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.waiting.append((future, work))
        return future

    def run(self) -> None:
        for future, work in self.waiting:
            try:
                future.set_result(work())
            except Exception as error:
                future.set_exception(error)
        self.waiting.clear()


def test_build_that_breaks_down_is_counted_and_tried_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 0.0
    executor = OneThread()
    shard = Shard([BTC], NumpyBackend(), lambda: 0)
    for event in EXAMPLE:
        shard.accept(event)
    builds = ChannelBuilds(executor, lambda: now_s)
    channel = shard.on_demand.open(LONGS)
    run = ChannelBuild.run
    monkeypatch.setattr(ChannelBuild, "run", lambda self: 1 / 0)
    builds.after_tick(shard)
    executor.run()

    builds.after_tick(shard)
    at_once = len(executor.waiting)
    monkeypatch.setattr(ChannelBuild, "run", run)
    now_s = BUILD_RETRY_SECONDS
    builds.after_tick(shard)
    executor.run()
    output = shard.accept(tick_end(EXAMPLE_MINUTE + 6))

    assert (builds.failed, at_once) == (1, 0)
    assert output is not None
    assert channel.channel_id in {update.channel.channel_id for update in output.channels}


def test_channel_closed_while_it_is_built_is_not_streamed() -> None:
    executor = OneThread()
    shard = Shard([BTC], NumpyBackend(), lambda: 0)
    for event in EXAMPLE:
        shard.accept(event)
    builds = ChannelBuilds(executor)
    channel = shard.on_demand.open(LONGS)
    builds.after_tick(shard)
    shard.on_demand.close(channel.channel_id)
    executor.run()
    builds.after_tick(shard)

    output = shard.accept(tick_end(EXAMPLE_MINUTE + 6))

    assert output is not None
    assert channel.channel_id not in {update.channel.channel_id for update in output.channels}
    assert executor.waiting == []

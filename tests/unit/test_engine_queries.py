"""Questions to an engine: before it has a price, when its input has ended, when it has failed, when nobody waits."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Final

import pytest

from liqscape.axes import WEIGHT_ONE
from liqscape.broadcast.ports import ShardDescription
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.engine import EngineThread
from liqscape.errors import InvalidArgument, LiqscapeError, ModelError, NotFound, NotReady, Unavailable
from liqscape.events import Event
from liqscape.feeds.source import Progress, SourceDescription
from liqscape.grid.shard import Shard
from liqscape.grid.updates import GridQuery, MapQuery, PositionModel
from tests.unit.synthetic_market import BTC, EXAMPLE_MINUTE, at, candle, mark, open_interest, tick_end

MINUTE: Final = EXAMPLE_MINUTE
EXAMPLE: Final[list[Event]] = [
    mark(at(MINUTE, -1), 908_000),
    open_interest(at(MINUTE), "88060.900"),
    tick_end(MINUTE),
    candle(MINUTE, MINUTE + 5, (893_530, 893_651, 890_123, 890_406), "2241.182"),
    open_interest(at(MINUTE + 5), "88351.808"),
    tick_end(MINUTE + 5),
]
WAIT_S: Final = 30


class ListedSource:
    """Events from a list, then an end or an error."""

    def __init__(self, events: list[Event], error: LiqscapeError | None) -> None:
        self._events = events
        self._error = error

    @property
    def description(self) -> SourceDescription:
        """Return what it is."""
        return SourceDescription(name="a list", instruments=(BTC,), tick_ms=1000, simulated=True)

    def progress(self) -> Progress:
        """Return nothing."""
        return Progress(0, 0, "events")

    async def events(self) -> AsyncIterator[Event]:
        """Yield the events without ever waiting."""
        for event in self._events:
            yield event
        if self._error is not None:
            raise self._error


@contextlib.contextmanager
def engine_of(
    events: list[Event], error: LiqscapeError | None = None, *, with_open_only: bool = True
) -> Iterator[EngineThread]:
    """Run an engine until its source has ended; it still answers then."""
    shard = Shard([BTC], NumpyBackend(), lambda: 0, with_open_only=with_open_only)
    ended = threading.Event()
    engine = EngineThread(
        description=ShardDescription("test", 7, 1000, True, False, "a list", shard.channels),
        source=ListedSource(events, error),
        shard=shard,
        backend_name="numpy",
        publish=lambda record: None,
        on_end=ended.set,
    )
    engine.start()
    assert ended.wait(WAIT_S)
    try:
        yield engine
    finally:
        engine.stop()


async def test_map_of_an_input_that_has_ended_is_that_of_its_last_tick() -> None:
    with engine_of(EXAMPLE) as engine:
        answer = await engine.get_liquidation_map(MapQuery("BTC"))

        assert (answer.tick, answer.epoch, answer.mark_price) == (2, 7, 890_406)
        assert (answer.map.by_side.weighted_lots.sum(axis=1) // WEIGHT_ONE).tolist() == [81_780_860] * 2
        assert answer.coverage[0].live_lots == (81_780_860, 81_780_860)


async def test_map_before_any_price_is_not_ready_and_an_unknown_symbol_is_not_found() -> None:
    with engine_of(EXAMPLE[1:3]) as engine:
        with pytest.raises(NotReady):
            await engine.get_liquidation_map(MapQuery("BTC"))
        with pytest.raises(NotFound, match="symbol 'DOGE' is unknown; known are BTC"):
            await engine.get_liquidation_map(MapQuery("DOGE"))


async def test_book_of_an_engine_that_has_failed_is_not_shown_while_its_last_grids_are() -> None:
    with engine_of(EXAMPLE, ModelError("the books no longer add up")) as engine:
        with pytest.raises(Unavailable, match="the engine has failed: the books no longer add up"):
            await engine.get_liquidation_map(MapQuery("BTC"))

        assert (await engine.get_grid(GridQuery("BTC", "24h"))).cells.any()


async def test_a_grid_that_nobody_waits_for_any_more_frees_the_query_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = threading.Event()
    project = NumpyBackend.project

    def endless(*arguments: object, **_: object) -> object:
        checkpoint = arguments[-1]
        assert callable(checkpoint)
        begun.set()
        while True:
            checkpoint()
            time.sleep(0.001)

    with engine_of(EXAMPLE) as engine:
        monkeypatch.setattr(NumpyBackend, "project", endless)
        asking = asyncio.create_task(engine.get_grid(GridQuery("BTC", "24h")))
        assert await asyncio.to_thread(begun.wait, WAIT_S)
        asking.cancel()
        monkeypatch.setattr(NumpyBackend, "project", project)

        answer = await asyncio.wait_for(engine.get_grid(GridQuery("BTC", "24h")), WAIT_S)

    assert answer.cells.any()
    assert asking.cancelled()


async def test_open_only_book_is_refused_by_an_engine_that_keeps_none() -> None:
    with engine_of(EXAMPLE, with_open_only=False) as engine:
        assert (await engine.get_grid(GridQuery("BTC", "24h"))).cells.any()
        with pytest.raises(InvalidArgument, match="not kept by this server"):
            await engine.get_grid(GridQuery("BTC", "24h", model=PositionModel.OPEN_ONLY))
        with pytest.raises(InvalidArgument, match="not kept by this server"):
            await engine.get_liquidation_map(MapQuery("BTC", model=PositionModel.OPEN_ONLY))


async def test_candle_that_was_not_final_at_the_minute_asked_for_is_left_out() -> None:
    with engine_of(EXAMPLE) as engine:
        whole, half = [
            (await engine.get_grid(GridQuery("BTC", "24h", as_of_minute=minute))).candles.column.tolist()
            for minute in (MINUTE + 1, MINUTE + 2)
        ]

    assert (MINUTE + 2) % 2 == 0, "a column of two minutes begins there"
    assert whole == half == [MINUTE // 2 - 1, MINUTE // 2]

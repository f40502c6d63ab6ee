"""A real engine whose input has ended, after some minutes in which rows move: it goes on answering questions."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqscape.broadcast.levels import LEVEL_LOWER_BOUNDS_USD
from liqscape.broadcast.ports import ShardDescription, TickRecord
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.engine import EngineThread
from liqscape.events import Event
from liqscape.feeds.simulate import PastSpan
from liqscape.feeds.simulated_venues import Crash, Scenario
from liqscape.feeds.source import Progress, SourceDescription
from liqscape.grid.shard import Shard
from liqscape.grid.updates import GridAnswer
from liqscape.instruments import find_instrument
from tests.property.live_market import START_MINUTE, Market, Segment

MINUTES: Final = 25
"""That are live."""

FIRST: Final = START_MINUTE
LAST: Final = START_MINUTE + MINUTES - 1
"""The newest minute that is held."""

CRASH: Final = Scenario(name="deep crash", crashes=(Crash(after_seconds=240, change=-0.25, seconds=600),))
"""Rows move twice, four to fourteen minutes after the beginning."""

_WAIT_S: Final = 60


class MarketSource:
    """Events of a market, then an end."""

    def __init__(self, market: Market) -> None:
        self._market = market

    @property
    def description(self) -> SourceDescription:
        """Return what it is."""
        return SourceDescription(name="a market", instruments=self._market.instruments, tick_ms=60_000, simulated=True)

    def progress(self) -> Progress:
        """Return nothing."""
        return Progress(0, 0, "events")

    async def events(self) -> AsyncIterator[Event]:
        """Yield the events."""
        for event in self._market.events(()):
            yield event


def market(*, minutes: int = MINUTES, scenario: Scenario = CRASH) -> Market:
    """Return two days of one instrument, the last minutes in ticks of a minute."""
    return Market(
        instruments=(find_instrument("binance:BTCUSDT"),),
        past=(PastSpan(2 * 1440, 60),),
        segments=(Segment(minutes, 60_000, scenario),),
    )


@contextlib.contextmanager
def past_engine(publish: Callable[[TickRecord], None] = lambda record: None) -> Iterator[EngineThread]:
    """Run an engine through the market to its end, and let it answer until the block is left."""
    its_market = market()
    shard = Shard(its_market.instruments, NumpyBackend(), lambda: 0)
    ended = threading.Event()
    engine = EngineThread(
        description=ShardDescription("past", 7, 60_000, True, False, "a market", shard.channels),
        source=MarketSource(its_market),
        shard=shard,
        backend_name="numpy",
        publish=publish,
        on_end=ended.set,
    )
    engine.start()
    assert ended.wait(_WAIT_S)
    try:
        yield engine
    finally:
        engine.stop()


def levels_window(answer: GridAnswer) -> NDArray[np.uint8]:
    """Return the levels of a grid, oldest column first: by the table of their bounds, not as servers make them."""
    usd = np.trunc(answer.cells * answer.usd_per_weighted_lot)
    return (np.searchsorted(LEVEL_LOWER_BOUNDS_USD, usd, side="right") - 1).astype(np.uint8)

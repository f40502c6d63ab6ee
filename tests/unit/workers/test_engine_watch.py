"""What a supervisor says of the data, from the engine's status alone, under a clock moved by hand."""

from __future__ import annotations

from liqscape.grid.updates import EngineStatus
from liqscape.v1 import stream_pb2
from liqscape.workers.engine_watch import EngineWatch
from tests.fake_engine import describe

STALE, SIMULATED, ENDED = (
    stream_pb2.DATA_STATE_STALE,
    stream_pb2.DATA_STATE_SIMULATED,
    stream_pb2.DATA_STATE_ENDED,
)


def status(state: str, tick: int, epoch: int = 7) -> EngineStatus:
    return EngineStatus(state, "", 1.0, None, epoch, tick, "numpy", "fake")


class Watched:
    def __init__(self) -> None:
        self.now_s = 100.0
        self.told = status("building", 0)
        self.watch = EngineWatch(self.ask, monotonic=lambda: self.now_s)
        self.watch.shard = describe(tick_ms=1000)

    async def ask(self) -> EngineStatus:
        return self.told

    async def see(self, state: str, tick: int, epoch: int = 7) -> tuple[stream_pb2.DataState, ...]:
        self.told = status(state, tick, epoch)
        await self.watch.status()
        return self.watch.states()


async def test_engine_that_builds_for_long_is_not_stale() -> None:
    watched = Watched()
    await watched.see("building", 3)
    watched.now_s += 60

    assert await watched.see("building", 900) == (SIMULATED,)


async def test_ticks_that_do_not_come_make_data_stale_until_one_does() -> None:
    watched = Watched()
    await watched.see("serving", 5)
    watched.now_s += 4.9
    just_not = await watched.see("serving", 5)
    watched.now_s += 0.2
    stale = await watched.see("serving", 5)

    fresh = await watched.see("serving", 6)

    assert (just_not, stale, fresh) == ((SIMULATED,), (SIMULATED, STALE), (SIMULATED,))


async def test_data_stay_stale_while_the_next_engine_builds() -> None:
    watched = Watched()
    await watched.see("serving", 5)
    watched.now_s += 10

    building = await watched.see("building", 70, epoch=8)
    serving = await watched.see("serving", 71, epoch=8)

    assert building == (SIMULATED, STALE)
    assert serving == (SIMULATED,)


async def test_input_that_has_ended_is_told_and_never_stale() -> None:
    watched = Watched()
    await watched.see("serving", 5)
    before = watched.watch.ended.is_set()
    watched.now_s += 60

    states = await watched.see("ended", 5)

    assert states == (SIMULATED, ENDED)
    assert (before, watched.watch.ended.is_set()) == (False, True)


async def test_nothing_is_said_before_an_engine_has_said_what_it_is() -> None:
    watched = Watched()
    watched.watch.shard = None

    assert watched.watch.states() == ()

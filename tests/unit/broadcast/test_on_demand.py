"""Tiles and custom channels of a hub: one lease for all readers, closed some time after the last has left."""

from __future__ import annotations

import asyncio

import pytest

from liqscape.broadcast import on_demand
from liqscape.broadcast.controls import describe_channels
from liqscape.broadcast.counters import StreamCounters
from liqscape.broadcast.cursor import Cursor
from liqscape.broadcast.encoder import StreamEncoder
from liqscape.broadcast.hub import Hub
from liqscape.broadcast.in_process import InProcessFrameSource
from liqscape.broadcast.on_demand import LINGER_S, OnDemand
from liqscape.broadcast.selections import Selection, Wanted
from liqscape.errors import InvalidArgument, LimitExceeded, NotFound, Unavailable
from liqscape.events import PositionSide
from liqscape.grid.channel_specs import ChannelSpec, PositionFilter
from liqscape.grid.updates import Channel
from liqscape.v1 import stream_pb2
from tests.fake_engine import FakeChannels, FakeEngine
from tests.wire_decoder import Replica

TENS = PositionFilter.of(leverages=[10])
LONGS = PositionFilter.of(side=PositionSide.LONG)
TILE = Wanted("BTC", "12h", rows=(100, 101))
CUSTOM = Wanted("BTC", "12h", positions=TENS)


class Origin:
    """An engine and a hub that are stepped by hand under a clock moved by hand."""

    def __init__(
        self, *, limit: int = 100, build_ticks: int = 0, desk: type[FakeChannels] = FakeChannels, with_port: bool = True
    ) -> None:
        self.now_s = 100.0
        self.engine = FakeEngine()
        self.desk = desk(self.engine, limit=limit, build_ticks=build_ticks)
        self.encoder = StreamEncoder(self.engine.shard, now_ns=lambda: 3)
        self.hub = Hub(
            InProcessFrameSource(self.engine.shard),
            channels=self.desk if with_port else None,
            now_ns=lambda: 4,
            monotonic=lambda: self.now_s,
        )

    async def step(self, count: int = 1) -> None:
        for _ in range(count):
            self.hub.append(self.encoder.encode(self.engine.step()))
            for _ in range(5):  # what it wants to close is closed by tasks
                await asyncio.sleep(0)

    async def hold(self, *wanted: Wanted) -> Selection:
        return await self.hub.hold(self.hub.plan(wanted))

    def join(self, selection: Selection, **options: float) -> tuple[Cursor, Replica]:
        return Cursor(self.hub, selection, **options), Replica()  # type: ignore[arg-type]


async def origin(*, limit: int = 100, build_ticks: int = 0) -> Origin:
    made = Origin(limit=limit, build_ticks=build_ticks)
    await made.step()
    return made


def read(cursor: Cursor, replica: Replica) -> list[str]:
    """Take what may go out now; return the control messages."""
    replica.controls.clear()
    while (frame := cursor.poll()) is not None:
        replica.apply(frame)
    return list(replica.controls)


async def test_readers_share_one_lease_and_one_channel() -> None:
    at = await origin()

    one, other = await asyncio.gather(at.hold(TILE, CUSTOM), at.hold(CUSTOM, TILE, TILE))
    third = await at.hold(TILE)

    assert one == other
    assert one.symbols == ("BTC",)
    assert set(third.channel_ids) < set(one.channel_ids)
    assert at.desk.calls == ["open", "open"]


async def test_channel_lives_on_for_a_while_after_its_last_reader() -> None:
    at = await origin()
    one, other = await at.hold(TILE), await at.hold(TILE)
    at.hub.release(one)
    at.now_s += 10 * LINGER_S
    await at.step()
    while_read = list(at.desk.calls)
    at.hub.release(other)

    at.now_s += LINGER_S - 0.1
    await at.step()
    lingering = list(at.desk.calls)
    again = await at.hold(TILE)
    at.hub.release(again)
    at.now_s += LINGER_S
    await at.step()
    anew = await at.hold(TILE)

    assert while_read == lingering == ["open"]
    assert again == one
    assert at.desk.calls == ["open", "close", "open"]
    assert set(anew.channel_ids).isdisjoint(one.channel_ids)
    assert at.hub.ring.held_since(one.channel_ids[0]) is not None
    await at.step()
    assert at.hub.ring.held_since(one.channel_ids[0]) is None
    assert at.hub.describe(one.channel_ids) == []


async def test_what_nobody_reads_makes_room_the_longest_idle_first() -> None:
    at = await origin(limit=2)
    first, second = await at.hold(CUSTOM), await at.hold(Wanted("BTC", "24h", positions=TENS))
    at.hub.release(second)
    at.now_s += 1
    at.hub.release(first)

    third = await at.hold(Wanted("ETH", "24h", row_fold=4))
    left = set(at.desk.leases)
    fourth = await at.hold(Wanted("ETH", "12h", positions=TENS))
    with pytest.raises(LimitExceeded, match="2 such channels are open"):
        await at.hold(CUSTOM)

    assert at.desk.calls == ["open", "open", "open", "close", "open", "open", "close", "open", "open"]
    assert set(at.desk.leases) == {*third.channel_ids, *fourth.channel_ids}
    assert left == {*first.channel_ids, *third.channel_ids}
    assert at.hub.counters.channels_refused == 1


SHORTS = Wanted("BTC", "12h", positions=PositionFilter.of(side=PositionSide.SHORT))


async def test_what_a_reader_gives_up_makes_room_for_what_it_asks_for() -> None:
    at = await origin(limit=1)
    first = await at.hold(CUSTOM)

    second = await at.hub.hold(at.hub.plan([SHORTS]), first)
    at.hub.release(first)
    await at.step()

    assert at.desk.calls == ["open", "open", "close", "open"]
    assert set(at.desk.leases) == set(second.channel_ids)
    assert at.hub.still_open(first).channel_ids == ()
    at.now_s += LINGER_S
    await at.step()
    assert set(at.desk.leases) == set(second.channel_ids)


async def test_what_a_reader_gives_up_stays_where_there_is_room_for_both() -> None:
    at = await origin(limit=2)
    first = await at.hold(CUSTOM)

    await at.hub.hold(at.hub.plan([SHORTS]), first)

    assert at.desk.calls == ["open", "open"]
    with pytest.raises(LimitExceeded):
        await at.hold(Wanted("ETH", "24h", row_fold=4))
    assert at.hub.still_open(first) == first


async def test_what_another_reads_too_or_is_asked_for_again_makes_no_room() -> None:
    at = await origin(limit=1)
    first, _ = await at.hold(CUSTOM), await at.hold(CUSTOM)

    with pytest.raises(LimitExceeded):
        await at.hub.hold(at.hub.plan([SHORTS]), first)
    at.hub.release(first)
    with pytest.raises(LimitExceeded):
        await at.hub.hold(at.hub.plan([CUSTOM, SHORTS]), first)

    assert set(at.desk.leases) == set(first.channel_ids)


async def test_room_that_one_reader_makes_is_taken_by_no_other() -> None:
    at = await origin(limit=1)
    first = await at.hold(CUSTOM)
    closing, go_on, close = asyncio.Event(), asyncio.Event(), at.desk.close_channel

    async def slowly(channel_id: int) -> None:
        await close(channel_id)
        closing.set()
        await go_on.wait()

    at.desk.close_channel = slowly  # type: ignore[method-assign]
    mine = asyncio.create_task(at.hub.hold(at.hub.plan([SHORTS]), first))
    await closing.wait()
    theirs = asyncio.create_task(at.hold(Wanted("ETH", "24h", row_fold=4)))
    for _ in range(5):
        await asyncio.sleep(0)
    go_on.set()
    held = await mine

    assert set(at.desk.leases) == set(held.channel_ids)
    with pytest.raises(LimitExceeded):
        await theirs


async def test_description_of_coarse_rows_names_their_fold() -> None:
    at = await origin()

    held = await at.hold(
        Wanted("BTC", "12h"), Wanted("BTC", "12h", row_fold=2), Wanted("BTC", "12h", (0, 5), row_fold=2)
    )
    described = describe_channels(at.hub, held.channel_ids)

    assert [(one.row_fold, one.HasField("rows")) for one in described] == [(0, False), (2, False), (2, True)]


async def test_refused_selection_keeps_nothing_open() -> None:
    at = await origin(limit=1)

    with pytest.raises(LimitExceeded):
        await at.hold(CUSTOM, Wanted("BTC", "24h", positions=TENS))
    await at.step()

    assert at.desk.leases == {}
    assert (await at.hold(CUSTOM)).channel_ids[0] in at.desk.leases


async def test_reader_that_leaves_while_its_channel_is_opened_leaves_no_lease() -> None:
    answered = asyncio.Event()

    class Slow(FakeChannels):
        async def open_channel(self, spec: ChannelSpec) -> Channel:
            await answered.wait()
            return await super().open_channel(spec)

    at = Origin(desk=Slow)
    await at.step()
    leaving = asyncio.create_task(at.hold(TILE))
    await asyncio.sleep(0)
    staying = asyncio.create_task(at.hold(TILE))
    await asyncio.sleep(0)

    leaving.cancel()
    await asyncio.wait({leaving})
    answered.set()
    held = await staying
    at.hub.release(held)
    at.now_s += LINGER_S
    await at.step()

    assert leaving.cancelled()
    assert at.desk.calls == ["open", "close"]
    assert at.desk.leases == {}


async def test_engine_that_does_not_answer_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_demand, "OPEN_WITHIN_S", 0.01)

    class Deaf(FakeChannels):
        async def open_channel(self, spec: ChannelSpec) -> Channel:
            await asyncio.Event().wait()
            raise AssertionError

    channels = OnDemand(Deaf(FakeEngine()), lambda: 0.0, StreamCounters())

    with pytest.raises(Unavailable, match=r"the engine has opened no channel within 0.01 s"):
        await channels.hold([ChannelSpec("BTC", "12h", TENS)])


async def test_hub_without_a_port_has_default_channels_alone() -> None:
    at = Origin(with_port=False)
    await at.step()

    with pytest.raises(
        NotFound, match="this server has default channels alone; leave rows, prices, positions and row_fold out"
    ):
        await at.hold(CUSTOM)


async def test_join_waits_for_a_channel_that_is_being_built_while_the_others_go_on() -> None:
    at = await origin(build_ticks=2)
    cursor, replica = at.join(await at.hold(Wanted("BTC", "12h"), CUSTOM))

    first = read(cursor, replica)
    await at.step()
    second = read(cursor, replica)
    waiting_at = {channel_id: channel.tick for channel_id, channel in replica.channels.items()}
    await at.step(2)
    third = read(cursor, replica)

    assert (first, second, third) == (["hello"], [], ["snapshot_end"])
    assert waiting_at == {1: 2, 5: 0}
    assert replica.is_whole
    assert {c: held.ring for c, held in replica.channels.items()} == {c: at.engine.truth[4][c].ring for c in (1, 5)}


async def test_stream_that_waits_for_a_channel_can_be_sent_away_and_is_never_left_in_silence() -> None:
    at = await origin(build_ticks=1000)
    cursor, replica = at.join(await at.hold(CUSTOM))
    read(cursor, replica)
    at.now_s += 1.0
    beating = read(cursor, replica)

    at.hub.close("the server is stopping", 1000)
    leaving = read(cursor, replica)

    assert beating == ["heartbeat"]
    assert leaving == ["going_away"]
    assert cursor.is_over


async def test_reject_of_a_channel_that_was_closed_is_passed_over_and_of_one_that_never_was_refused() -> None:
    at = await origin()
    held = await at.hold(TILE)
    at.hub.release(held)
    at.now_s += LINGER_S
    await at.step()
    cursor, _ = at.join(at.hub.select([]))

    cursor.reject("", held.channel_ids, stream_pb2.Reject.REASON_GAP)

    with pytest.raises(InvalidArgument, match=r"reject.channel_ids has 99, which is no channel of this epoch"):
        cursor.reject("", [99], stream_pb2.Reject.REASON_GAP)


async def test_price_of_the_symbol_comes_with_a_channel_that_begins_in_a_change() -> None:
    at = await origin()
    custom = await at.hold(Wanted("BTC", "12h", positions=LONGS))
    await at.step()
    cursor, replica = at.join(at.hub.select([("ETH", "12h")]))
    read(cursor, replica)

    replica.symbols.clear()
    cursor.change(custom, 0)
    read(cursor, replica)

    assert set(replica.symbols) == {"BTC"}
    assert replica.is_whole


def test_selectors_that_mean_the_same_are_one_plan() -> None:
    at = Origin()
    at.hub.append(at.encoder.encode(at.engine.step()))

    one = at.hub.plan([TILE, Wanted("BTC", "12h", rows=(0, 127)), Wanted("BTC", "12h", rows=(0, 128))])
    by_price = at.hub.plan([Wanted("BTC", "12h", prices=(2000.0, 2579.99))])
    whole = at.hub.plan([Wanted("BTC", "12h"), Wanted("BTC", "12h", positions=PositionFilter.of([], []))])

    assert [spec.tile for spec in one.specs] == [0, 1]
    assert one.specs == by_price.specs  # a row is 20 USD: rows 100 to 128
    assert (one.size, whole.size, len(whole.specs)) == (2, 1, 0)


def test_tiles_of_coarse_rows_are_numbered_by_those() -> None:
    at = Origin()
    at.hub.append(at.encoder.encode(at.engine.step()))

    by_row = at.hub.plan([Wanted("BTC", "12h", rows=(50, 128), row_fold=2)])
    by_price = at.hub.plan([Wanted("BTC", "12h", prices=(2000.0, 5120.0), row_fold=2)])
    whole = at.hub.plan([Wanted("BTC", "12h", row_fold=2), Wanted("BTC", "12h")])

    assert by_row.specs == tuple(ChannelSpec("BTC", "12h", None, tile, 2) for tile in (0, 1))
    assert by_price.specs == by_row.specs  # a coarse row is 40 USD
    assert whole.specs == (ChannelSpec("BTC", "12h", row_fold=2),)
    assert whole.size == 2


def test_price_at_the_edge_of_a_tile_belongs_to_the_upper_one() -> None:
    at = Origin()
    at.hub.append(at.encoder.encode(at.engine.step()))

    def tiles(low: float, high: float) -> list[int | None]:
        return [spec.tile for spec in at.hub.plan([Wanted("BTC", "12h", prices=(low, high))]).specs]

    assert tiles(2560.0, 2560.0) == [1]
    assert tiles(2559.99, 2559.99) == [0]
    assert tiles(0.0, 2560.0) == [0, 1]

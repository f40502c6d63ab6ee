"""Session on a real loopback socket: credits, changes, rejects, and peers that break the rules."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from liqscape.api.limits import ServiceLimits, SessionLimits
from liqscape.v1 import stream_pb2
from tests.integration.test_grpc_api import Server, assert_equals_engine, serving
from tests.wire_decoder import Replica

Request = stream_pb2.SessionRequest


class Session:
    """A peer of a session that says what a test tells it to."""

    def __init__(self, server: Server) -> None:
        self.call: grpc.aio.StreamStreamCall[bytes, bytes] = server.channel.stream_stream(
            "/liqscape.v1.StreamService/Session"
        )(timeout=20)
        self.replica = Replica(rejects=True)

    async def say(self, **request: Any) -> None:
        await self.call.write(Request(**request).SerializeToString())

    async def open(self, **fields: Any) -> None:
        await self.say(open=stream_pb2.SubscribeRequest(**fields))

    async def read(self) -> stream_pb2.Frame:
        data = await asyncio.wait_for(self.call.read(), 10)
        assert isinstance(data, bytes), "the session has ended"
        return self.replica.apply(data)

    async def acknowledge(self) -> None:
        await self.say(acknowledge=stream_pb2.Acknowledge(frames=self.replica.frames))

    async def read_until(self, done: Callable[[Replica], bool]) -> None:
        while not done(self.replica):
            await self.read()
            await self.acknowledge()

    async def join(self, **fields: Any) -> None:
        await self.open(**fields)
        await self.read_until(lambda replica: replica.is_whole)

    async def catch_up(self, server: Server) -> None:
        await self.read_until(lambda r: r.is_whole and r.resume is not None and r.resume.tick == server.engine.tick)

    async def read_to_the_end(self) -> None:
        while await asyncio.wait_for(self.call.read(), 10) is not grpc.aio.EOF:
            pass

    async def failure(self) -> tuple[str, str]:
        """Read to the end and return code and text."""
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.read_to_the_end()
        return caught.value.code().name, caught.value.details() or ""


def selectors(*pairs: tuple[str, str]) -> list[stream_pb2.ChannelSelector]:
    return [stream_pb2.ChannelSelector(symbol=s, timeframe=t) for s, t in pairs]


async def test_session_joins_follows_and_holds_what_the_engine_emitted() -> None:
    async with serving(steps=3) as server:
        session = Session(server)
        await session.join()

        for _ in range(20):
            await server.step()
            await session.catch_up(server)

        assert_equals_engine(session.replica, server.engine)


async def test_peer_that_does_not_acknowledge_gets_two_messages_of_data_and_then_all_at_once() -> None:
    async with serving() as server:
        session = Session(server)
        await session.join()
        for _ in range(2):
            await server.step()
            await session.read()

        await server.step(5)
        reading = asyncio.create_task(session.read())
        done, _ = await asyncio.wait({reading}, timeout=0.1)
        await session.acknowledge()
        frame = await reading

        assert not done
        assert frame.ticks_conflated == 4
        assert_equals_engine(session.replica, server.engine)


async def test_dropped_session_resumes_on_either_method() -> None:
    async with serving(rows=200) as server:
        await server.step(cells=600)
        session = Session(server)
        await session.join()
        session.call.cancel()
        await server.step(2)

        again = Session(server)
        again.replica = session.replica
        again.replica.connecting()
        await again.open(resume=[again.replica.resume])
        await again.catch_up(server)

        assert again.replica.keyframes == 0
        assert again.replica.lagged == []
        assert_equals_engine(again.replica, server.engine)


async def test_change_serves_other_channels_on_the_same_stream() -> None:
    async with serving() as server:
        session = Session(server)
        await session.join(channels=selectors(("BTC", "")))

        await session.say(change=stream_pb2.Change(channels=selectors(("BTC", "24h"), ("ETH", "")), cadence_ms=40))
        await session.read_until(lambda replica: replica.changes == 1 and replica.is_whole)
        await server.step()
        await session.catch_up(server)

        assert sorted(session.replica.names.values()) == [("BTC", "24h"), ("ETH", "12h"), ("ETH", "24h")]
        assert session.replica.cadence_ms == 100
        assert_equals_engine(session.replica, server.engine)
        assert (await server.status()).counters["session_changes"] == 1


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"channels": [("DOGE", "")]}, "symbol 'DOGE' is not served; served are BTC, ETH"),
        ({"channels": [("BTC", "7m")]}, "timeframe '7m' is unknown"),
        ({"cadence_ms": 5001}, "cadence_ms 5001 is too long"),
        ({"channels": [("BTC", "")] * 257}, "channels has 257 entries; at most 256 are allowed"),
    ],
)
async def test_change_that_cannot_be_served_is_answered_and_the_session_goes_on(
    change: dict[str, Any], text: str
) -> None:
    async with serving() as server:
        session = Session(server)
        await session.join(channels=selectors(("ETH", "")))

        fields: dict[str, Any] = {k: selectors(*v) if k == "channels" else v for k, v in change.items()}
        await session.say(change=stream_pb2.Change(**fields))
        await session.read_until(lambda replica: replica.changes == 1 and replica.is_whole)
        await server.step()
        await session.catch_up(server)

        assert session.replica.refused[0].startswith(text)
        assert sorted(session.replica.names.values()) == [("ETH", "12h"), ("ETH", "24h")]


async def test_rejected_channel_is_mended_on_the_same_stream() -> None:
    async with serving() as server:
        session = Session(server)
        await session.join()
        session.replica.channels[2].ring[0] ^= 1
        session.replica.channels[2].in_sync = False

        await session.say(
            reject=stream_pb2.Reject(
                channel_ids=[2], reason=stream_pb2.Reject.REASON_CHECKSUM_DIFFERS, details="seen by hand"
            )
        )
        await session.read_until(lambda replica: replica.is_whole)

        assert_equals_engine(session.replica, server.engine)
        counters = (await server.status()).counters
        assert counters["session_rejected_channels_checksum_differs"] == 1
        assert counters["stream_joins"] == 1


OPEN = Request(open=stream_pb2.SubscribeRequest())


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ([Request(acknowledge=stream_pb2.Acknowledge(frames=1))], "the first message of a session is acknowledge"),
        ([Request()], "the first message of a session is empty; it must be open"),
        ([OPEN, OPEN], "the session is open; send change for other channels"),
        ([OPEN, Request()], "message holds none of acknowledge, change and reject"),
        ([OPEN, Request(acknowledge=stream_pb2.Acknowledge(frames=99))], "acknowledge.frames 99 leads what was sent"),
        ([OPEN, Request(reject=stream_pb2.Reject())], "reject.channel_ids is empty"),
        ([OPEN, Request(reject=stream_pb2.Reject(channel_ids=[77]))], "reject.channel_ids has 77, which is no channel"),
        (
            [OPEN, Request(reject=stream_pb2.Reject(channel_ids=[1], details="x" * 257))],
            "reject.details has 257 characters; at most 256",
        ),
        ([Request(open=stream_pb2.SubscribeRequest(max_in_flight=9))], "max_in_flight 9 is too large; use 1 to 8"),
        ([OPEN, b"\x0a\xff\xff"], "request of 3 bytes is not a SessionRequest"),
    ],
)
async def test_peer_that_breaks_the_rules_is_told_which(messages: list[Request | bytes], text: str) -> None:
    async with serving() as server:
        session = Session(server)
        for message in messages:
            await session.call.write(message if isinstance(message, bytes) else message.SerializeToString())

        code, details = await session.failure()

        assert code == "INVALID_ARGUMENT"
        assert details.startswith(text)


async def test_session_without_a_first_message_is_ended() -> None:
    limits = ServiceLimits(sessions=SessionLimits(open_within_s=0.05))
    async with serving(limits=limits) as server:
        session = Session(server)

        assert (await session.failure())[1].startswith("nothing came for 0.05 s; open must be the first message")


async def test_peer_that_closes_its_side_is_forgotten() -> None:
    async with serving() as server:
        session = Session(server)
        await session.join()

        await session.call.done_writing()
        await session.read_to_the_end()

        assert await session.call.code() is grpc.StatusCode.OK
        assert (await server.status()).streams == 0


async def test_peer_that_never_acknowledges_is_ended_in_good_order() -> None:
    limits = ServiceLimits(sessions=SessionLimits(idle_after_s=0.05))
    async with serving(limits=limits) as server:
        session = Session(server)
        await session.open(max_in_flight=1)

        while "going_away" not in session.replica.controls:
            await session.read()

        assert await asyncio.wait_for(session.call.read(), 10) is grpc.aio.EOF
        assert await session.call.code() is grpc.StatusCode.OK
        assert (await server.status()).counters["sessions_idle"] == 1


async def test_peer_that_says_too_much_is_read_more_slowly_and_counted() -> None:
    limits = ServiceLimits(sessions=SessionLimits(requests_per_second=50, request_burst=5))
    async with serving(limits=limits) as server:
        session = Session(server)
        await session.join()
        started = time.monotonic()
        for _ in range(20):
            await session.say(change=stream_pb2.Change())

        await session.read_until(lambda replica: replica.changes == 20)

        assert time.monotonic() - started > 0.2
        assert (await server.status()).counters["session_requests_delayed"] >= 15


async def test_window_belongs_to_session_alone() -> None:
    async with serving() as server:
        call = server.subscribe(max_in_flight=2)

        with pytest.raises(grpc.aio.AioRpcError, match="max_in_flight belongs to Session"):
            await asyncio.wait_for(call.read(), 10)

"""Identity and limits on real sockets: one test a threat. The engine behind them is made up."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import time
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2

from liqscape.api.grpc_service import serve_grpc
from liqscape.api.limits import ADDRESS_LIMITS, DEFAULT_LIMITS, CallerLimits, ServiceLimits
from liqscape.broadcast.encoder import StreamEncoder
from liqscape.broadcast.hub import Hub
from liqscape.broadcast.in_process import InProcessFrameSource
from liqscape.config import TlsFiles
from liqscape.errors import NotFound
from liqscape.grid.updates import GridAnswer, GridQuery
from liqscape.logs import TextFormatter
from liqscape.v1 import query_pb2, stream_pb2
from liqscape_client import Client, NotAllowed, ServerError, Tls, Unreachable
from tests.certificates import Authority
from tests.fake_engine import FakeEngine, FakeQueries
from tests.token_files import add_token, revoke_token

SUBSCRIBE = "/liqscape.v1.StreamService/Subscribe"
SESSION = "/liqscape.v1.StreamService/Session"
GET_GRID = "/liqscape.v1.QueryService/GetGrid"
GET_STATUS = "/liqscape.v1.QueryService/GetStatus"
NO_TOKEN = "no valid token; send one as metadata 'authorization: Bearer liqs_...'"

Metadata = tuple[tuple[str, str], ...]


@dataclass
class Secured:
    """A server and the tokens it knows."""

    address: str
    queries: FakeQueries
    tokens: Path

    def add(self, name: str, *scopes: str, expires_in_s: int | None = None, **limits: int) -> str:
        return add_token(self.tokens, name, *scopes, expires_in_s=expires_in_s, **limits)

    def revoke(self, name: str) -> None:
        revoke_token(self.tokens, name)


@contextlib.asynccontextmanager
async def secured(
    folder: Path, *, tokens: bool = True, tls: TlsFiles | None = None, limits: ServiceLimits = DEFAULT_LIMITS
) -> AsyncIterator[Secured]:
    engine = FakeEngine()
    source = InProcessFrameSource(engine.shard)
    hub = Hub(source)
    server = Secured("", FakeQueries(engine), folder / "tokens.json")
    server.add("first", "admin")
    async with hub.running():
        running = await serve_grpc(
            "127.0.0.1:0", hub, server.queries, limits=limits, tls=tls, tokens=server.tokens if tokens else None
        )
        server.address = running.address
        source.publish(StreamEncoder(engine.shard).encode(engine.step(cells=2)))
        await hub.wait(5, for_tick=True)
        try:
            yield server
        finally:
            await running.stop(0.1)


def bearer(token: str) -> Metadata:
    return (("authorization", f"Bearer {token}"),)


def streaming(
    channel: grpc.aio.Channel, method: str, metadata: Metadata = (), request: bytes = b""
) -> grpc.aio.UnaryStreamCall[bytes, bytes]:
    call: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(method)
    return call(request, metadata=metadata)


async def drained(messages: AsyncIterable[object]) -> None:
    """Read to the end."""
    async with asyncio.timeout(10):
        async for _ in messages:
            pass


async def read_to_end(call: grpc.aio.StreamStreamCall[bytes, bytes]) -> None:
    """Read to the end a call that is written to as well."""
    async with asyncio.timeout(10):
        while await call.read() is not grpc.aio.EOF:
            continue


async def ending(
    address: str, method: str, metadata: Metadata = (), request: bytes = b""
) -> tuple[grpc.StatusCode, str, dict[str, str | bytes]]:
    """Call a method, read it to its end, and return how it ended; OK when its first message came."""
    async with grpc.aio.insecure_channel(address) as channel:
        call = streaming(channel, method, metadata, request)
        try:
            async with asyncio.timeout(10):
                message = await call.read()
        except grpc.aio.AioRpcError as error:
            return error.code(), error.details() or "", dict(error.trailing_metadata() or ())
        assert isinstance(message, bytes)
        return grpc.StatusCode.OK, "", {}


# ---- tokens


async def test_call_without_a_token_or_with_a_wrong_one_is_refused(tmp_path: Path) -> None:
    async with secured(tmp_path) as server:
        token = server.add("desk", "stream")
        wrong = token[:-1] + ("A" if token[-1] != "A" else "B")

        ends = [await ending(server.address, SUBSCRIBE, metadata) for metadata in ((), bearer(wrong), bearer("x"))]

        assert {(code, text) for code, text, _ in ends} == {(grpc.StatusCode.UNAUTHENTICATED, NO_TOKEN)}
        assert (await ending(server.address, SUBSCRIBE, bearer(token)))[0] is grpc.StatusCode.OK


async def test_refusal_does_not_wait_for_the_request(tmp_path: Path) -> None:
    async with secured(tmp_path) as server, grpc.aio.insecure_channel(server.address) as channel:
        call: grpc.aio.StreamUnaryCall[bytes, bytes] = channel.stream_unary(GET_STATUS)()  # sends nothing

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await asyncio.wait_for(call, 5)

        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_expired_token_is_refused_and_ends_its_stream(tmp_path: Path) -> None:
    async with secured(tmp_path) as server:
        token = server.add("desk", "stream", expires_in_s=2)
        async with grpc.aio.insecure_channel(server.address) as channel:
            call = streaming(channel, SUBSCRIBE, bearer(token))
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await drained(call)

        assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.UNAUTHENTICATED, NO_TOKEN)
        assert (await ending(server.address, SUBSCRIBE, bearer(token)))[:2] == (
            grpc.StatusCode.UNAUTHENTICATED,
            NO_TOKEN,
        )


async def test_revoked_token_is_refused_at_once_and_its_streams_end_but_no_others(tmp_path: Path) -> None:
    async with secured(tmp_path) as server:
        lost, kept = server.add("lost", "stream"), server.add("kept", "stream")
        async with (
            Client(server.address, token=lost) as client,
            Client(server.address, token=kept) as other,
            client.stream() as stream,
            other.stream() as running,
        ):
            await stream.wait_in_sync(10)
            await running.wait_in_sync(10)

            server.revoke("lost")
            refused = await ending(server.address, SUBSCRIBE, bearer(lost))
            started = time.monotonic()
            with pytest.raises(NotAllowed, match="no valid token"):
                await drained(stream)

            assert refused[:2] == (grpc.StatusCode.UNAUTHENTICATED, NO_TOKEN)
            assert time.monotonic() - started < 5
            assert running.state.in_sync
            assert running.totals.connections == 1


async def test_token_of_another_scope_is_told_which_is_needed(tmp_path: Path) -> None:
    async with secured(tmp_path) as server:
        stream, query = server.add("a", "stream"), server.add("b", "query")

        ends = [
            await ending(server.address, GET_STATUS, bearer(stream)),
            await ending(server.address, SUBSCRIBE, bearer(query)),
            await ending(server.address, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", bearer(query)),
        ]

        assert [code for code, _, _ in ends] == [grpc.StatusCode.PERMISSION_DENIED] * 3
        assert [text for _, text, _ in ends] == [
            "scope 'query' is needed; this token has stream",
            "scope 'stream' is needed; this token has query",
            "scope 'admin' is needed; this token has query",
        ]


async def test_health_needs_no_token_and_its_streams_have_places_of_their_own(tmp_path: Path) -> None:
    few = replace(DEFAULT_LIMITS, max_streams=1)
    async with secured(tmp_path, limits=few) as server, grpc.aio.insecure_channel(server.address) as channel:
        check: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/grpc.health.v1.Health/Check")
        watches = [streaming(channel, "/grpc.health.v1.Health/Watch") for _ in range(3)]
        for watch in watches:
            await asyncio.wait_for(watch.read(), 5)

        answer = health_pb2.HealthCheckResponse.FromString(await check(b"", timeout=5))

        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        token = server.add("desk", "stream")
        assert (await ending(server.address, SUBSCRIBE, bearer(token)))[0] is grpc.StatusCode.OK


async def test_admin_may_ask_what_the_server_offers(tmp_path: Path) -> None:
    method = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
    async with secured(tmp_path) as server, grpc.aio.insecure_channel(server.address) as channel:
        admin = server.add("boss", "admin")
        ask: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(method)
        call = ask(metadata=bearer(admin))
        await call.write(b"\x3a\x00")  # ServerReflectionRequest { list_services: "" }

        answer = await asyncio.wait_for(call.read(), 5)

        assert isinstance(answer, bytes)
        assert b"liqscape.v1.StreamService" in answer


async def test_session_is_bound_by_scope_channels_and_the_life_of_its_token(tmp_path: Path) -> None:
    one = stream_pb2.SubscribeRequest(channels=[stream_pb2.ChannelSelector(symbol="ETH", timeframe="24h")])
    opening = stream_pb2.SessionRequest(open=one).SerializeToString()
    everything = stream_pb2.SessionRequest(open=stream_pb2.SubscribeRequest()).SerializeToString()
    async with secured(tmp_path) as server, grpc.aio.insecure_channel(server.address) as channel:
        query, token = server.add("page", "query"), server.add("desk", "stream", channels=1)
        session: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(SESSION)

        async def refusal(request: bytes | None, of: str) -> grpc.StatusCode:
            call = session(metadata=bearer(of))
            with contextlib.suppress(grpc.aio.AioRpcError):
                if request is not None:
                    await call.write(request)
                await read_to_end(call)
            return await call.code()

        # Who is refused before anything is read writes nothing: a write that meets the refusal ends as INTERNAL here.
        codes = [await refusal(None, query), await refusal(everything, token), await refusal(None, "x")]
        call = session(metadata=bearer(token))
        await call.write(opening)
        assert isinstance(await asyncio.wait_for(call.read(), 5), bytes)
        server.revoke("desk")
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await read_to_end(call)

        assert codes == [
            grpc.StatusCode.PERMISSION_DENIED,
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            grpc.StatusCode.UNAUTHENTICATED,
        ]
        assert (ended.value.code(), ended.value.details()) == (grpc.StatusCode.UNAUTHENTICATED, NO_TOKEN)


# ---- messages


async def test_oversized_request_is_refused_before_it_is_read(tmp_path: Path) -> None:
    async with secured(tmp_path) as server:
        token = server.add("desk", "stream", "query")

        for method in (SUBSCRIBE, GET_STATUS):
            code, text, _ = await ending(server.address, method, bearer(token), b"\0" * (64 * 1024 + 1))
            assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert "larger than max" in text
        code, _, _ = await ending(server.address, SUBSCRIBE, bearer(token + "A" * 20_000))
        assert code is not grpc.StatusCode.OK
        assert (await ending(server.address, SUBSCRIBE, bearer(token)))[0] is grpc.StatusCode.OK


async def test_request_that_does_not_come_ends_its_call(tmp_path: Path) -> None:
    async with (
        secured(tmp_path, tokens=False, limits=replace(DEFAULT_LIMITS, request_timeout_s=0.2)) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        call: grpc.aio.StreamStreamCall[bytes, bytes] = channel.stream_stream(SUBSCRIBE)()
        with pytest.raises(grpc.aio.AioRpcError) as late:
            await asyncio.wait_for(call.read(), 5)
        empty: grpc.aio.StreamStreamCall[bytes, bytes] = channel.stream_stream(SUBSCRIBE)()
        await empty.done_writing()
        with pytest.raises(grpc.aio.AioRpcError) as nothing:
            await asyncio.wait_for(empty.read(), 5)

        assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert late.value.details() == "no whole request within 0.2 s"
        assert nothing.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_symbol_with_newlines_and_escape_codes_forges_no_line_of_the_log(tmp_path: Path) -> None:
    symbol = "B\n2026 ERROR forged\r\x1b[31m"
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(TextFormatter())
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        async with secured(tmp_path) as server:
            token = server.add("desk", "stream", "query")
            server.queries.error = ValueError(symbol)  # a defect that quotes its input
            grid = query_pb2.GetGridRequest(symbol=symbol, timeframe="24h").SerializeToString()
            selector = stream_pb2.ChannelSelector(symbol=symbol)
            stream = stream_pb2.SubscribeRequest(channels=[selector]).SerializeToString()
            failed = await ending(server.address, GET_GRID, bearer(token), grid)
            unknown = await ending(server.address, SUBSCRIBE, bearer(token), stream)
    finally:
        root.removeHandler(handler)

    assert failed[0] is grpc.StatusCode.INTERNAL
    assert unknown[0] is grpc.StatusCode.NOT_FOUND
    assert unknown[1].isprintable()
    log = written.getvalue()
    assert "forged" in log
    assert log.replace("\n", "").isprintable()
    assert all("  | " in line[:4] for line in log.splitlines() if "forged" in line)
    assert token not in log


# ---- TLS


async def ask(server: Secured, tls: Tls, token: str) -> None:
    async with Client(server.address, token=token, tls=tls, timeout_s=5) as client:
        await client.status()


async def test_right_authority_opens_and_a_wrong_one_or_clear_text_does_not(tmp_path: Path) -> None:
    authority, stranger = Authority.make(), Authority.make()
    right, wrong = authority.write(tmp_path / "ca.crt"), stranger.write(tmp_path / "other.crt")
    async with secured(tmp_path, tls=authority.issue(tmp_path)) as server:
        token = server.add("desk", "query")

        await ask(server, Tls(ca=right), token)
        with pytest.raises(Unreachable):
            await ask(server, Tls(ca=wrong), token)
        with pytest.raises(Unreachable):
            async with Client(server.address, timeout_s=5) as client:
                await client.status()
        with pytest.raises(NotAllowed):
            async with Client(server.address, tls=Tls(ca=right)) as client:
                await client.status()


async def test_client_certificate_is_asked_for_and_must_be_of_the_authority(tmp_path: Path) -> None:
    authority, stranger = Authority.make(), Authority.make()
    ca = authority.write(tmp_path / "ca.crt")
    files = replace(authority.issue(tmp_path), client_ca=ca)
    own, foreign = authority.issue(tmp_path, "client"), stranger.issue(tmp_path, "foreign")
    async with secured(tmp_path, tls=files) as server:
        token = server.add("desk", "query")

        await ask(server, Tls(ca, own.certificate, own.key), token)
        with pytest.raises(Unreachable):
            await ask(server, Tls(ca), token)
        with pytest.raises(Unreachable):
            await ask(server, Tls(ca, foreign.certificate, foreign.key), token)


async def test_renewed_certificate_is_served_without_a_restart(tmp_path: Path) -> None:
    first, second = Authority.make(), Authority.make()
    files = first.issue(tmp_path)
    async with secured(tmp_path, tls=files) as server:
        token = server.add("desk", "query")
        before, after = Tls(first.write(tmp_path / "first.crt")), Tls(second.write(tmp_path / "second.crt"))
        await ask(server, before, token)

        second.issue(tmp_path)

        await ask(server, after, token)
        with pytest.raises(Unreachable):
            await ask(server, before, token)


# ---- limits


async def test_each_limit_of_a_token_is_named_and_says_when_to_come_back(tmp_path: Path) -> None:
    async with secured(tmp_path) as server:
        token = server.add("desk", "stream", "query", streams=1, channels=1, queries_per_minute=2)
        one = stream_pb2.SubscribeRequest(channels=[stream_pb2.ChannelSelector(symbol="ETH", timeframe="24h")])
        async with grpc.aio.insecure_channel(server.address) as channel:
            all_channels = await ending(server.address, SUBSCRIBE, bearer(token))
            call = streaming(channel, SUBSCRIBE, bearer(token), one.SerializeToString())
            await call.read()
            second = await ending(server.address, SUBSCRIBE, bearer(token), one.SerializeToString())
            queries = [await ending(server.address, GET_STATUS, bearer(token)) for _ in range(3)]
        closed = await ending(server.address, SUBSCRIBE, bearer(token), one.SerializeToString())

        exhausted = grpc.StatusCode.RESOURCE_EXHAUSTED
        assert all_channels[0] is exhausted
        assert "channels are too many for a stream of token 'desk'; its limit is 1" in all_channels[1]
        assert "retry-after-ms" not in all_channels[2]  # waiting does not help
        assert second[:2] == (exhausted, "token 'desk' has 1 streams open, its limit")
        assert second[2]["retry-after-ms"] == "5000"
        assert "grpc-status-details-bin" in second[2]
        assert [code for code, _, _ in queries] == [grpc.StatusCode.OK, grpc.StatusCode.OK, exhausted]
        assert queries[2][1] == "token 'desk' may ask 2 queries a minute, and has"
        assert 20_000 < int(queries[2][2]["retry-after-ms"]) <= 30_001
        assert closed[0] is grpc.StatusCode.OK


async def test_cells_of_a_query_go_to_the_engine_as_the_limit_of_the_token(tmp_path: Path) -> None:
    async with secured(tmp_path) as server:
        token = server.add("desk", "query", cells=1000)
        asked: list[GridQuery] = []

        async def remembering(query: GridQuery) -> GridAnswer:
            asked.append(query)
            raise NotFound("gone")

        server.queries.get_grid = remembering  # type: ignore[method-assign]
        request = query_pb2.GetGridRequest(symbol="BTC", timeframe="24h").SerializeToString()

        await ending(server.address, GET_GRID, bearer(token), request)

        assert [query.max_cells for query in asked] == [1000]


async def test_without_tokens_the_limits_are_of_the_address(tmp_path: Path) -> None:
    own = CallerLimits(streams=1, channels=ADDRESS_LIMITS.channels, queries_per_minute=1, cells=1)
    async with secured(tmp_path, tokens=False, limits=replace(DEFAULT_LIMITS, per_address=own)) as server:
        async with grpc.aio.insecure_channel(server.address) as channel:
            call = streaming(channel, SUBSCRIBE)
            await call.read()
            stream = await ending(server.address, SUBSCRIBE)
        queries = [await ending(server.address, GET_STATUS) for _ in range(2)]

        assert stream[:2] == (grpc.StatusCode.RESOURCE_EXHAUSTED, "address 127.0.0.1 has 1 streams open, its limit")
        assert queries[1][:2] == (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "address 127.0.0.1 may ask 1 queries a minute, and has",
        )


async def test_full_server_refuses_who_has_the_most_and_serves_another(tmp_path: Path) -> None:
    async with secured(tmp_path, limits=replace(DEFAULT_LIMITS, max_streams=10)) as server:
        greedy, modest = server.add("greedy", "stream"), server.add("modest", "stream")
        async with grpc.aio.insecure_channel(server.address) as channel:
            calls = [streaming(channel, SUBSCRIBE, bearer(greedy)) for _ in range(9)]
            for call in calls:
                await call.read()

            refused = await ending(server.address, SUBSCRIBE, bearer(greedy))
            served = await ending(server.address, SUBSCRIBE, bearer(modest))

        assert refused[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "the rest is for others than token 'greedy', who has the most (9)" in refused[1]
        assert served[0] is grpc.StatusCode.OK


async def test_client_says_what_is_missing(tmp_path: Path) -> None:
    async with secured(tmp_path) as server:
        token = server.add("desk", "stream")
        async with Client(server.address, token=token) as client:
            with pytest.raises(NotAllowed, match="scope 'query' is needed") as caught:
                await client.status()

        assert isinstance(caught.value, ServerError)
        assert token not in repr(caught.value) + str(vars(caught.value))

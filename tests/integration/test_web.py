"""The HTTP server on real sockets: questions as JSON, sessions over a WebSocket, and those who should not get in.

The engine behind it is made up; what it answers by gRPC is what it has to answer here.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

from liqscape.api import health, web_service
from liqscape.api.grpc_service import RunningGrpcServer, serve_grpc
from liqscape.api.health import PublicHealth
from liqscape.api.http_door import DoorLimits
from liqscape.api.tls import HttpTls
from liqscape.api.web_assets import WebAssets
from liqscape.api.web_service import serving_web
from liqscape.broadcast.encoder import StreamEncoder
from liqscape.broadcast.hub import Hub
from liqscape.broadcast.hubs import Hubs
from liqscape.broadcast.in_process import InProcessFrameSource
from liqscape.errors import ConfigError, NotReady
from liqscape.v1 import stream_pb2
from tests.certificates import Authority
from tests.fake_engine import FakeEngine, FakeQueries, grid_answer, map_answer
from tests.token_files import add_token, revoke_token
from tests.wire_decoder import Replica

Request = stream_pb2.SessionRequest
PROTOCOLS = ("liqscape.v1",)


@dataclass
class Web:
    """A server, and a client of it."""

    url: str
    http: aiohttp.ClientSession
    engine: FakeEngine
    encoder: StreamEncoder
    source: InProcessFrameSource
    queries: FakeQueries
    grpc: RunningGrpcServer
    hub: Hub
    tokens: Path

    def tick(self) -> None:
        self.source.publish(self.encoder.encode(self.engine.step()))

    async def get(self, path: str, **headers: str) -> tuple[int, Any]:
        async with self.http.get(self.url + path, headers=headers) as response:
            return response.status, await response.json()

    def stream(self, query: str = "", **options: Any) -> Any:
        return self.http.ws_connect(f"{self.url}v1/stream{query}", protocols=PROTOCOLS, **options)

    def add(self, name: str, *scopes: str, **limits: int) -> str:
        return add_token(self.tokens, name, *scopes, **limits)

    def revoke(self, name: str) -> None:
        revoke_token(self.tokens, name)


@contextlib.asynccontextmanager
async def serving(
    folder: Path, *, tokens: bool = False, tls: HttpTls | None = None, client_tls: ssl.SSLContext | bool = True
) -> AsyncIterator[Web]:
    engine = FakeEngine()
    encoder = StreamEncoder(engine.shard)
    source = InProcessFrameSource(engine.shard)
    hub = Hub(source)
    queries = FakeQueries(engine, grid=grid_answer(60, 40), map=map_answer(4, 40))
    known = folder / "tokens.json"
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(hub.running())
        web = Web("", None, engine, encoder, source, queries, None, hub, known)  # type: ignore[arg-type]
        web.add("first", "admin")
        web.grpc = await serve_grpc("127.0.0.1:0", hub, queries, tokens=known if tokens else None)
        stack.push_async_callback(web.grpc.stop, 0.1)
        web.url = await stack.enter_async_context(
            serving_web(
                "127.0.0.1:0",
                web.grpc.calls,
                hub.monotonic,
                assets=WebAssets.find(page_folder(folder)),
                health=PublicHealth(Hubs(hub), queries.status),
                accounts=web.grpc.accounts,
                tls=None if tls is None else tls.context,
                tokens=tokens,
            )
        )
        web.http = await stack.enter_async_context(
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=client_tls, force_close=True),
                timeout=aiohttp.ClientTimeout(total=20),
            )
        )
        web.tick()
        await hub.wait(5, for_tick=True)
        yield web


def page_folder(folder: Path) -> Path:
    page = folder / "page"
    if not page.is_dir():
        page.mkdir()
        (page / "assets.json").write_text('{"files": ["index.html", "page.js"]}')
        (page / "index.html").write_text("<!doctype html><title>page</title>")
        (page / "page.js").write_text("export {};")
        (page / "secret.js").write_text("not in the list")
    return page


async def said(socket: aiohttp.ClientWebSocketResponse, **request: Any) -> None:
    await socket.send_bytes(Request(**request).SerializeToString())


async def joined(socket: aiohttp.ClientWebSocketResponse) -> Replica:
    replica = Replica(rejects=True)
    await said(socket, open=stream_pb2.SubscribeRequest())
    while not replica.is_whole:
        replica.apply(await socket.receive_bytes(timeout=10))
        await said(socket, acknowledge=stream_pb2.Acknowledge(frames=replica.frames))
    return replica


# ---- questions


async def test_grid_as_json_is_the_grid(tmp_path: Path) -> None:
    async with serving(tmp_path) as web:
        status, found = await web.get("v1/grid?symbol=BTC&timeframe=24h")

        assert status == 200
        assert found["header"]["symbol"] == "BTC"
        assert found["header"]["newest_column"] == "1719"
        cells = b"".join(base64.b64decode(fragment["cells"]) for fragment in found["fragments"])
        assert web.queries.grid is not None
        assert np.array_equal(np.frombuffer(cells, "<i8").reshape(60, 40), web.queries.grid.cells)


async def test_map_row_and_swept_as_json(tmp_path: Path) -> None:
    async with serving(tmp_path) as web:
        assert web.queries.map is not None
        totals = web.queries.map.map.series

        _, found = await web.get("v1/map?symbol=BTC&breakdown=venue,leverage")
        _, row = await web.get("v1/row?symbol=BTC&price=65000")
        _, swept = await web.get("v1/swept?symbol=BTC&timeframe=24h")

        cells = b"".join(base64.b64decode(fragment["cells"]) for fragment in found["fragments"])
        assert np.array_equal(np.frombuffer(cells, "<i8").reshape(4, 40), web.queries.map.map.cells)
        assert row["usd"] == pytest.approx(totals.usd[:, 1].sum())
        assert sum(share["usd"] for share in row["by_venue"]) == pytest.approx(row["usd"])
        assert {(share["venue"], share["side"]) for share in row["by_venue"]} == {
            ("venue0", "long"),
            ("venue1", "short"),
            ("venue2", "long"),
            ("venue3", "short"),
        }
        assert [share["usd"] for share in row["by_leverage"]] == sorted(
            (share["usd"] for share in row["by_leverage"]), reverse=True
        )
        # The made-up price is far below the made-up rows.
        assert (swept["columns"], swept["rows"], swept["usd"]) == ([], [], [])
        assert swept["axes"]["columns"] == 60


async def test_swept_rows_are_those_the_candles_went_through(tmp_path: Path) -> None:
    async with serving(tmp_path) as web:
        answer = web.queries.grid
        assert answer is not None
        cells = np.zeros_like(answer.cells)
        cells[57:59, 5] = 1000  # the price goes through row 5 in column 59, and half of it is gone
        cells[59, 5] = 400
        cells[58, 9] = 7  # not there any more in column 59 either, but the price was elsewhere
        row = answer.axes.rows
        units = answer.axes.scale.base_step * row.multiple
        price = (row.first + 5) * units
        candles = replace(
            answer.candles,
            low=np.array([0, price + 1]),
            high=np.array([0, price + 2]),
            open=np.array([0, price + 1]),
            close=np.array([0, price + 1]),
        )
        web.queries.grid = replace(answer, cells=cells, candles=candles)

        _, swept = await web.get("v1/swept?symbol=BTC&timeframe=24h")

        assert (swept["columns"], swept["rows"]) == ([1719], [row.first + 5])
        assert swept["usd"] == [pytest.approx(600 * answer.usd_per_weighted_lot[5])]


async def test_status_and_instruments_at_any_time(tmp_path: Path) -> None:
    async with serving(tmp_path) as web:
        _, status = await web.get("v1/status")
        _, instruments = await web.get("v1/instruments")

        assert status["state"] == "ENGINE_STATE_SERVING"
        assert status["counters"]["gaps"] == "4"
        assert [i["instrument"] for i in instruments["instruments"]] == ["binance:BTCUSDT", "binance:ETHUSDT"]


async def test_errors_name_what_is_wrong(tmp_path: Path) -> None:
    async with serving(tmp_path) as web:
        assert await web.get("v1/grid?symbol=BTC&timeframe=7h") == (
            400,
            {
                "error": {
                    "code": "INVALID_ARGUMENT",
                    "message": "timeframe '7h' is unknown; use one of 12h, 24h, 3d, 1w, 2w, 1m, 3m, 6m, 1y"
                    " (1m = 30 days)",
                }
            },
        )
        web.queries.error = NotReady("not yet")
        web.queries.state = replace(web.queries.state, state="building", progress=0.5, seconds_left=2.0)

        status, found = await web.get("v1/map?symbol=BTC")

        assert (status, found["error"]["code"]) == (409, "FAILED_PRECONDITION")
        assert found["error"]["retry_after_ms"] == 2000


# ---- health


async def test_health_needs_no_token_and_tells_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "VERDICT_HOLDS_S", 0.0)
    async with serving(tmp_path, tokens=True) as web:
        serving_now = await web.get("healthz")
        web.queries.state = replace(web.queries.state, state="failed", message="no such file: /home/secret")
        failed = await web.get("healthz")
        web.queries.state = replace(web.queries.state, state="building", progress=0.5)
        building = await web.get("healthz")
        web.queries.state = replace(web.queries.state, state="serving")
        web.hub.appended_at -= 60
        stale = await web.get("healthz")
        await web.grpc.drain(0)
        draining = await web.get("healthz")

        assert serving_now == (200, {"status": "serving"})
        assert failed == (503, {"status": "failed"})
        assert building == (503, {"status": "building"})
        assert stale == (503, {"status": "stale"})
        assert draining == (503, {"status": "draining"})


async def test_health_is_not_for_other_sites(tmp_path: Path) -> None:
    async with serving(tmp_path) as web:
        assert (await web.get("healthz", Origin="https://evil.example"))[0] == 403


# ---- sessions


async def test_a_session_is_what_the_engine_has_emitted(tmp_path: Path) -> None:
    async with serving(tmp_path) as web, web.stream() as socket:
        replica = await joined(socket)
        for _ in range(5):
            web.tick()
            frames = replica.frames
            while replica.frames == frames or replica.resume is None or replica.resume.tick != web.engine.tick:
                replica.apply(await socket.receive_bytes(timeout=10))
                await said(socket, acknowledge=stream_pb2.Acknowledge(frames=replica.frames))

        truth = web.engine.truth[web.engine.tick]
        assert {number: channel.ring for number, channel in truth.items()} == {
            number: bytes(channel.ring) for number, channel in replica.channels.items()
        }
        assert web.hub.counters.streams_open == 1
    assert web.hub.counters.streams_open == 0


async def test_nothing_is_sent_ahead_of_acknowledgements(tmp_path: Path) -> None:
    async with serving(tmp_path) as web, web.stream() as socket:
        replica = await joined(socket)
        received = 0
        for _ in range(6):
            web.tick()
            await web.hub.wait(5, for_tick=True)
        with contextlib.suppress(TimeoutError):
            while True:
                frame = stream_pb2.Frame.FromString(await socket.receive_bytes(timeout=0.5))
                received += bool(frame.sections)

        assert received == 2, "the window is two messages"
        assert replica.is_whole


async def test_who_breaks_the_rules_of_a_session_is_told(tmp_path: Path) -> None:
    async with serving(tmp_path) as web:
        async with web.stream() as socket:
            await socket.send_str("hello")
            message = await socket.receive(timeout=10)

            assert message.type == aiohttp.WSMsgType.CLOSE
            assert (message.data, message.extra) == (
                4003,
                "a text message came; send each request as a binary one",
            )
        async with web.stream() as socket:
            await said(socket, open=stream_pb2.SubscribeRequest(channels=[{"symbol": "XYZ"}]))
            message = await socket.receive(timeout=10)

            assert message.data == 4005
            assert "XYZ" in message.extra
        async with web.http.get(f"{web.url}v1/stream") as response:
            assert response.status == 400


async def test_a_server_that_stops_says_goodbye(tmp_path: Path) -> None:
    async with serving(tmp_path) as web, web.stream() as socket:
        replica = await joined(socket)
        web.hub.close("the server is stopping", 1000)
        while (message := await socket.receive(timeout=10)).type == aiohttp.WSMsgType.BINARY:
            replica.apply(message.data)
            await said(socket, acknowledge=stream_pb2.Acknowledge(frames=replica.frames))

        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1000)


# ---- tokens


async def test_tokens_are_asked_for_and_tickets_stand_for_them(tmp_path: Path) -> None:
    async with serving(tmp_path, tokens=True) as web:
        token = web.add("desk", "stream", "query")
        bearer = {"Authorization": f"Bearer {token}"}

        assert (await web.get("v1/status"))[0] == 401
        assert (await web.get("v1/status", Authorization="Bearer liqs_wrong"))[0] == 401
        assert (await web.get("v1/status", **bearer))[0] == 200
        async with web.http.post(f"{web.url}v1/ticket") as response:
            assert response.status == 401
        async with web.http.post(f"{web.url}v1/ticket", headers=bearer) as response:
            ticket = (await response.json())["ticket"]
        async with web.stream() as socket:
            assert (await socket.receive(timeout=10)).data == 4016
        async with web.stream(f"?ticket={ticket}") as socket:
            assert (await joined(socket)).is_whole
            web.revoke("desk")
            while (message := await socket.receive(timeout=10)).type == aiohttp.WSMsgType.BINARY:
                pass
            assert message.data == 4016
        with pytest.raises(aiohttp.WSServerHandshakeError, match="401"):
            await web.stream(f"?ticket={ticket}")


async def test_a_token_without_the_scope_gets_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path, tokens=True) as web:
        token = web.add("reader", "stream")

        status, found = await web.get("v1/grid?symbol=BTC&timeframe=24h", Authorization=f"Bearer {token}")

        assert (status, found["error"]["message"]) == (403, "scope 'query' is needed; this token has stream")


async def test_queries_a_minute_are_limited_as_by_grpc(tmp_path: Path) -> None:
    async with serving(tmp_path, tokens=True) as web:
        token = web.add("desk", "query", queries_per_minute=3)
        asked = [await web.get("v1/status", Authorization=f"Bearer {token}") for _ in range(4)]

        assert [status for status, _ in asked] == [200, 200, 200, 429]
        assert asked[3][1]["error"]["retry_after_ms"] > 0


# ---- other sites, other files, slow peers


async def test_other_sites_are_refused(tmp_path: Path) -> None:
    async with serving(tmp_path) as web:
        own = web.url.rstrip("/")

        assert (await web.get("v1/status", Origin=own))[0] == 200
        assert (await web.get("v1/status", Origin="https://evil.example"))[0] == 403
        assert (await web.get("v1/status", Host="evil.example"))[0] == 403
        for headers in ({"Origin": "https://evil.example"}, {"Host": "evil.example", "Origin": "http://evil.example"}):
            with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
                await web.stream(headers=headers)


@pytest.mark.parametrize(
    "path",
    [
        "/static/secret.js",
        "/static/../tokens.json",
        "/static/%2e%2e/tokens.json",
        "/static/..%2ftokens.json",
        "/static//etc/passwd",
        "/static/page.js%00",
        "/tokens.json",
        "/static/",
    ],
)
async def test_nothing_but_the_files_of_the_list(tmp_path: Path, path: str) -> None:
    async with serving(tmp_path) as web:
        host, port = web.url.removeprefix("http://").rstrip("/").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()

        assert answer.split(b" ")[1] in (b"404", b"400")
        assert not [secret for secret in (b"liqs_", b"root:", b"not in the list") if secret in answer]


async def test_the_page_and_its_headers(tmp_path: Path) -> None:
    async with serving(tmp_path) as web:
        for path, kind in (("", "text/html"), ("static/page.js", "text/javascript")):
            async with web.http.get(web.url + path) as response:
                assert (response.status, response.content_type) == (200, kind)
                policy = response.headers["Content-Security-Policy"]
                assert "default-src 'none'; script-src 'self'; style-src 'self';" in policy
                assert "unsafe" not in policy
                assert response.headers["X-Content-Type-Options"] == "nosniff"


async def test_a_page_that_lacks_a_file_says_which(tmp_path: Path) -> None:
    (page_folder(tmp_path) / "page.js").unlink()
    async with serving(tmp_path) as web, web.http.get(web.url) as response:
        assert response.status == 503
        assert "page.js" in await response.text()


async def test_slow_requests_are_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_service, "_LIMITS", DoorLimits(connections=2, request_bytes=4096, exchange_s=0.3))
    async with serving(tmp_path) as web:
        host, port = web.url.removeprefix("http://").rstrip("/").split(":")
        slow = [await asyncio.open_connection(host, int(port)) for _ in range(3)]
        for _, writer in slow:
            writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ")

        async with asyncio.timeout(10):
            for reader, _ in slow:
                with contextlib.suppress(ConnectionError):
                    assert await reader.read() == b""
        for _, writer in slow:
            writer.close()
        assert (await web.get("v1/status"))[0] == 200, "there is room again"


async def test_a_session_outlives_the_time_of_a_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_service, "_LIMITS", DoorLimits(connections=2, request_bytes=4096, exchange_s=0.3))
    async with serving(tmp_path) as web, web.stream() as socket:
        replica = await joined(socket)
        ends_at = asyncio.get_running_loop().time() + 0.6
        while asyncio.get_running_loop().time() < ends_at:
            web.tick()
            replica.apply(await socket.receive_bytes(timeout=10))
            await said(socket, acknowledge=stream_pb2.Acknowledge(frames=replica.frames))
            await asyncio.sleep(0.05)
        assert not socket.closed


# ---- TLS


async def test_https_and_a_renewed_certificate(tmp_path: Path) -> None:
    first, second = Authority.make(), Authority.make()
    files = first.issue(tmp_path)
    trusts_first = ssl.create_default_context(cafile=first.write(tmp_path / "first.pem"))
    trusts_second = ssl.create_default_context(cafile=second.write(tmp_path / "second.pem"))
    async with serving(tmp_path, tls=HttpTls(files), client_tls=trusts_first) as web:
        assert web.url.startswith("https://")
        assert (await web.get("v1/status"))[0] == 200
        async with web.stream() as socket:
            assert (await joined(socket)).is_whole

        second.issue(tmp_path)  # under the same names

        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await web.get("v1/status")
        async with web.http.get(f"{web.url}v1/status", ssl=trusts_second) as response:
            assert response.status == 200


async def test_an_address_beyond_this_machine_needs_tls_and_tokens(tmp_path: Path) -> None:
    async with serving(tmp_path) as web:
        verdict = PublicHealth(Hubs(web.hub), web.queries.status)
        given = (web.grpc.calls, web.hub.monotonic)
        beside: dict[str, Any] = {"assets": WebAssets(), "health": verdict, "accounts": web.grpc.accounts}
        with pytest.raises(ConfigError, match="without encryption"):
            async with serving_web("0.0.0.0:0", *given, **beside):
                pass
        taken = web.url.removeprefix("http://").rstrip("/")
        with pytest.raises(ConfigError, match="cannot listen on"):
            async with serving_web(taken, *given, **beside):
                pass

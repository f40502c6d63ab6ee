"""What operators see of a running server: /metrics and /healthz on a real socket, reflection, and its drain."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from prometheus_client.parser import text_string_to_metric_families

from liqscape.api import http_service
from liqscape.api.exposition import COUNTERS, REASONS
from liqscape.api.http_service import MAX_CONNECTIONS, MAX_REQUEST_BYTES, AskStatus, serving_http
from liqscape.api.query_service import QUERY_SERVICE
from liqscape.api.stream_service import STREAM_SERVICE
from liqscape.broadcast.accounts import OwnAccount
from liqscape.broadcast.hub import Hub
from liqscape.errors import ConfigError, NotFound
from liqscape.metrics import Stage
from liqscape.v1 import query_pb2, stream_pb2
from tests.integration.test_grpc_api import BUILDING, Server, failure_of, next_frame, read_until, serving
from tests.wire_decoder import Replica


def pages_of(server: Server) -> tuple[Hub, AskStatus, OwnAccount]:
    """Return what the pages are made from."""
    return server.hub, server.queries.status, OwnAccount(server.hub.counters, server.hub.timings)


@contextlib.asynccontextmanager
async def with_http(server: Server) -> AsyncIterator[tuple[str, int]]:
    """Serve the pages; yield host and port."""
    async with serving_http("127.0.0.1:0", *pages_of(server)) as address:
        host, _, port = address.rpartition(":")
        yield host, int(port)


async def answer_to(place: tuple[str, int], request: bytes) -> tuple[int, dict[str, str], str]:
    """Send bytes, read to the end of the connection; return status, headers and body."""
    reader, writer = await asyncio.open_connection(*place)
    try:
        writer.write(request)
        async with asyncio.timeout(10):
            answer = (await reader.read()).decode()
    finally:
        writer.close()
    head, _, body = answer.partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return int(first.split()[1]), headers, body


async def page(place: tuple[str, int], target: str, method: str = "GET") -> tuple[int, dict[str, str], str]:
    return await answer_to(place, f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())


def samples_of(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Return samples by name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


# ---- /metrics


async def test_scrape_and_get_status_say_the_same() -> None:
    async with serving(steps=3) as server, with_http(server) as place:
        replica, call = Replica(), server.subscribe()
        await read_until(call, replica, "snapshot_end")
        await server.step(2)
        replica.apply(await next_frame(call))
        await read_until(
            server.subscribe(resume=[stream_pb2.ResumePoint(source_id="shard-0", epoch=7, tick=1)]),
            Replica(),
            "snapshot_end",
        )
        server.queries.error = NotFound("no")
        with pytest.raises(grpc.aio.AioRpcError):
            await server.grid("XRP", "24h")
        await server.status()

        status = await server.status()
        code, headers, text = await page(place, "/metrics")

        assert code == 200
        assert headers["content-type"].startswith("text/plain; version=")
        found = samples_of(text)
        told = dict(status.counters)
        assert found["liqscape_streams_open", ()] == status.streams == 2
        assert found["liqscape_ticks_conflated_total", ()] == status.ticks_conflated
        assert found["liqscape_tick", ()] == status.tick
        assert found["liqscape_epoch_info", (("epoch", f"{status.epoch:016x}"),)] == 1
        for name, metric in COUNTERS.items():
            assert found[f"liqscape_{metric.metric}_total", ()] == told.get(name, 0), name
        for prefix, (metric, reasons) in REASONS.items():
            for reason in reasons:
                key = (f"liqscape_{metric.metric}_total", (("reason", reason),))
                assert found[key] == told.get(prefix + reason, 0), reason
        assert found["liqscape_stream_lagged_total", (("reason", "epoch_changed"),)] == 1
        assert found["liqscape_stream_frames_total", ()] > 5
        # Asking counts itself: the answer to the second GetStatus is the last that it does not know of.
        for method, code_name, more in (("GetStatus", "OK", 1), ("GetGrid", "NOT_FOUND", 0)):
            labels = (("code", code_name), ("method", method))
            asked = told[f"query_{method}_{code_name}".lower()]
            assert found["liqscape_query_duration_seconds_count", labels] == asked + more, method


async def test_stages_of_freshness_are_counted_where_they_end() -> None:
    async with serving(steps=3) as server:
        replica, call = Replica(), server.subscribe()
        await read_until(call, replica, "snapshot_end")
        joined = server.hub.timings.freshness[Stage.FRAME_TO_SENT].count

        await server.step()
        replica.apply(await next_frame(call))
        await asyncio.sleep(0)

        freshness = server.hub.timings.freshness
        assert joined == 0  # a join is no news
        assert freshness[Stage.FRAME_TO_SENT].count == 1
        assert 0 < freshness[Stage.FRAME_TO_SENT].sum < 5
        assert freshness[Stage.GRID_TO_FRAME].count == 4


async def test_openmetrics_is_given_to_those_who_ask() -> None:
    async with serving() as server, with_http(server) as place:
        request = b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: application/openmetrics-text; version=1.0.0\r\n\r\n"

        code, headers, text = await answer_to(place, request)

        assert code == 200
        assert headers["content-type"].startswith("application/openmetrics-text")
        assert text.endswith("# EOF\n")


async def test_scrape_names_no_peer_and_no_symbol_from_outside() -> None:
    async with serving() as server, with_http(server) as place:
        server.queries.error = NotFound("no")
        with pytest.raises(grpc.aio.AioRpcError):
            await server.grid("EVIL", "24h")
        await read_until(server.subscribe(), Replica(), "snapshot_end")

        _, _, text = await page(place, "/metrics")

        assert "EVIL" not in text
        assert "127.0.0.1" not in text


# ---- /healthz


async def verdict(place: tuple[str, int]) -> tuple[int, str]:
    code, _, body = await page(place, "/healthz")
    assert body.count("\n") == 1
    assert body.endswith("\n")
    return code, json.loads(body)["status"]


async def test_health_page_says_what_the_server_does() -> None:
    async with serving() as server, with_http(server) as place:
        serving_now = await verdict(place)
        server.queries.state = BUILDING
        building = await verdict(place)
        server.queries.state = replace(BUILDING, state="failed", message='it "broke"\nhere')
        failed = await verdict(place)
        server.queries.state = replace(BUILDING, state="ended")
        ended = await verdict(place)

        assert serving_now == (200, "serving")
        assert building == (503, "building")
        assert failed == (503, "failed")
        assert ended == (200, "ended")


async def test_health_page_says_when_ticks_fail_to_come() -> None:
    async with serving() as server, with_http(server) as place:
        server.hub.appended_at -= 60

        assert await verdict(place) == (503, "stale")


async def test_health_page_says_that_the_server_drains() -> None:
    async with serving() as server, with_http(server) as place:
        await server.running.drain(0)

        assert await verdict(place) == (503, "draining")


# ---- whoever else comes to the port


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/metrics/",
        "/metrics/../metrics/x",
        "/../../etc/passwd",
        "/..%2f..%2fetc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/static/../../../etc/passwd",
        "/metrics/..%5c..%5cetc",
        "//metrics",
        "/metrics%00",
    ],
)
async def test_other_paths_are_not_found(target: str) -> None:
    async with serving() as server, with_http(server) as place:
        code, headers, body = await page(place, target)

        assert code == 404
        assert "root:" not in body
        assert headers["server"] == "liqscape"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("target", ["/metrics", "/healthz"])
async def test_other_methods_are_not_allowed(method: str, target: str) -> None:
    async with serving() as server, with_http(server) as place:
        code, headers, _ = await page(place, target, method)

        assert code == 405
        assert headers["allow"] == "GET,HEAD"


async def test_head_has_no_body() -> None:
    async with serving() as server, with_http(server) as place:
        code, headers, body = await page(place, "/metrics", "HEAD")

        assert code == 200
        assert int(headers["content-length"]) > 1000
        assert body == ""


async def test_connection_carries_one_request() -> None:
    async with serving() as server, with_http(server) as place:
        two = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 2

        _, headers, body = await answer_to(place, two)

        assert headers["connection"] == "close"
        assert body == '{"status": "serving"}\n'


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: " + b"a" * MAX_REQUEST_BYTES + b"\r\n\r\n",
        b"GET /" + b"a" * MAX_REQUEST_BYTES + b" HTTP/1.1\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\n" + b"A: b\r\n" * 3000,
        b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n" + b"a" * 2 * MAX_REQUEST_BYTES,
    ],
    ids=["header", "line", "headers", "body"],
)
async def test_request_beyond_the_bound_ends_the_connection(request_bytes: bytes) -> None:
    async with serving() as server, with_http(server) as place:
        reader, writer = await asyncio.open_connection(*place)
        writer.write(request_bytes)

        answer = b""
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(5):
                answer = await reader.read()

        assert not answer.startswith(b"HTTP/1.1 200")
        writer.close()
        assert (await page(place, "/healthz"))[0] == 200


@pytest.mark.parametrize(
    "garbage", [b"\x00\x01\x02\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"\r\n" * 100]
)
async def test_garbage_is_answered_or_dropped_within_the_time_of_a_connection(
    monkeypatch: pytest.MonkeyPatch, garbage: bytes
) -> None:
    monkeypatch.setattr(http_service, "MAX_CONNECTION_S", 0.3)
    async with serving() as server, with_http(server) as place:
        reader, writer = await asyncio.open_connection(*place)
        writer.write(garbage)

        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(5):
                await reader.read()
        writer.close()

        assert (await page(place, "/healthz"))[0] == 200


async def test_client_that_sends_its_headers_in_drops_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_service, "MAX_CONNECTION_S", 0.4)
    async with serving() as server, with_http(server) as place:
        reader, writer = await asyncio.open_connection(*place)

        async def drip() -> None:
            with contextlib.suppress(ConnectionError):
                writer.write(b"GET /metrics HTTP/1.1\r\n")
                while True:
                    writer.write(b"X-a: b\r\n")
                    await writer.drain()
                    await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(5):
                await reader.read()
        dripping.cancel()
        writer.close()

        assert (await page(place, "/metrics"))[0] == 200


async def test_silent_clients_hold_few_places_and_not_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_service, "MAX_CONNECTION_S", 0.5)
    async with serving() as server, with_http(server) as place:
        silent = [await asyncio.open_connection(*place) for _ in range(MAX_CONNECTIONS)]
        reader, writer = await asyncio.open_connection(*place)
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(5):
                refused = await reader.read()  # the one too many is closed at once
                assert refused == b""
        writer.close()

        for reader, _ in silent:
            with contextlib.suppress(ConnectionError):
                async with asyncio.timeout(5):
                    assert await reader.read() == b""

        assert (await page(place, "/healthz"))[0] == 200
        for _, writer in silent:
            writer.close()


async def test_pages_leave_loopback_only_when_told() -> None:
    async with serving() as server:
        with pytest.raises(ConfigError, match="--insecure"):
            async with serving_http("0.0.0.0:0", *pages_of(server)):
                pass
        async with serving_http("0.0.0.0:0", *pages_of(server), insecure=True) as address:
            assert re.fullmatch(r"0\.0\.0\.0:\d+", address)


async def test_port_in_use_is_an_error_that_names_it() -> None:
    async with serving() as server, with_http(server) as (host, port):
        with pytest.raises(ConfigError, match=f"cannot listen on '{host}:{port}' for metrics"):
            async with serving_http(f"{host}:{port}", *pages_of(server)):
                pass


# ---- reflection


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_reflection_lists_and_describes_the_services(version: str) -> None:
    async with serving() as server:
        ask = server.channel.stream_stream(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        requests = [
            reflection_pb2.ServerReflectionRequest(list_services=""),
            reflection_pb2.ServerReflectionRequest(file_containing_symbol=STREAM_SERVICE),
            reflection_pb2.ServerReflectionRequest(file_containing_symbol="liqscape.v1.GetStatusResponse"),
            reflection_pb2.ServerReflectionRequest(file_containing_symbol="no.Such"),
        ]

        listed, stream, query, missing = [answer async for answer in ask(iter(requests), timeout=10)]

        names = {service.name for service in listed.list_services_response.service}
        assert {STREAM_SERVICE, QUERY_SERVICE, "grpc.health.v1.Health"} <= names
        files = b"".join(stream.file_descriptor_response.file_descriptor_proto)
        assert b"Subscribe" in files
        assert b"GetStatusResponse" in b"".join(query.file_descriptor_response.file_descriptor_proto)
        assert missing.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


# ---- drain


async def test_drain_turns_health_first_refuses_streams_and_lets_the_open_ones_go_in_turn() -> None:
    async with serving(steps=2) as server:
        calls = [server.subscribe() for _ in range(12)]
        for call in calls:
            await read_until(call, Replica(), "snapshot_end")
        watch = health_pb2_grpc.HealthStub(server.channel).Watch(health_pb2.HealthCheckRequest(), timeout=20)
        loop = asyncio.get_running_loop()
        order: list[tuple[float, str]] = []

        async def watch_health() -> None:
            async for answer in watch:
                if answer.status == health_pb2.HealthCheckResponse.NOT_SERVING:
                    order.append((loop.time(), "health"))
                    return

        async def follow(call: grpc.aio.UnaryStreamCall[bytes, bytes]) -> None:
            while True:
                frame = stream_pb2.Frame.FromString(await next_frame(call))
                if frame.HasField("going_away"):
                    order.append((loop.time(), "stream"))
                    assert frame.going_away.reason == "the server is stopping"
                    assert await call.code() is grpc.StatusCode.OK
                    return

        following = [asyncio.create_task(watch_health()), *(asyncio.create_task(follow(call)) for call in calls)]
        await asyncio.sleep(0.05)
        began = loop.time()
        draining = asyncio.create_task(server.running.drain(1.0))
        await asyncio.sleep(0.2)
        code, text, _ = await failure_of(server.subscribe())
        answered = await server.status()
        await draining
        took_s = loop.time() - began
        await asyncio.gather(*following)

        assert code is grpc.StatusCode.UNAVAILABLE
        assert text == "the server is stopping"
        assert answered.state == query_pb2.ENGINE_STATE_SERVING
        assert answered.message == "the server is stopping"
        times = [moment - began for moment, _ in sorted(order)]
        assert sorted(order)[0][1] == "health"
        assert len(times) == 13
        assert times[-1] - times[1] > 0.4  # of the four fifths of a second; how evenly, tests of cursors say
        assert took_s < 5


async def test_drain_of_a_server_without_streams_is_over_at_once() -> None:
    async with serving() as server:
        async with asyncio.timeout(1):
            await server.running.drain(60)


async def test_drain_does_not_wait_longer_than_told_for_readers_that_do_not_read() -> None:
    async with serving(steps=1, rows=4000) as server:
        call = server.subscribe()
        await next_frame(call)

        async with asyncio.timeout(5):
            await server.running.drain(0.2)

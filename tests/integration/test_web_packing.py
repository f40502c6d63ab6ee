"""Answers over HTTP as gzip, and /metrics behind the same gate as the rest, on real sockets.

Seen to fail when broken on purpose, one at a time: the ticket packed too; a file packed for who refuses it; one tag for
both forms of a file; a packed file kept after it has changed; /metrics answered without asking the gate.
"""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from liqscape.api import web_compression
from liqscape.v1 import stream_pb2
from tests.integration.test_web import Web, page_folder, serving

GZIP = {"Accept-Encoding": "gzip, deflate, br"}
PLAIN = {"Accept-Encoding": "identity"}
SCRIPT = b"export const value = 1;\n" * 100


async def fetched(web: Web, path: str, method: str = "GET", **headers: str) -> tuple[int, Any, bytes]:
    """Return status, headers and the bytes that crossed the wire."""
    async with (
        aiohttp.ClientSession(auto_decompress=False) as session,
        session.request(method, web.url + path, headers=headers) as response,
    ):
        return response.status, response.headers, await response.read()


async def test_answers_are_packed_for_who_accepts_that_and_mean_the_same(tmp_path: Path) -> None:
    async with serving(tmp_path) as web:
        for path in ("v1/grid?symbol=BTC&timeframe=24h", "v1/map?symbol=BTC&breakdown=venue", "v1/openapi.json"):
            _, plain_headers, plain = await fetched(web, path, **PLAIN)
            _, packed_headers, packed = await fetched(web, path, **GZIP)

            assert "Content-Encoding" not in plain_headers
            assert packed_headers["Content-Encoding"] == "gzip"
            assert plain_headers["Vary"] == packed_headers["Vary"] == "Accept-Encoding"
            assert packed_headers["Content-Type"] == plain_headers["Content-Type"] == "application/json"
            assert gzip.decompress(packed) == plain
            assert len(packed) < len(plain)


async def test_what_is_short_is_sent_as_it_is(tmp_path: Path) -> None:
    async with serving(tmp_path) as web:
        _, headers, body = await fetched(web, "v1/row?symbol=BTC&price=1", **GZIP)

        assert len(body) < web_compression.LEAST_BYTES
        assert "Content-Encoding" not in headers


async def test_a_ticket_is_never_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_compression, "LEAST_BYTES", 0)
    async with serving(tmp_path, tokens=True) as web:
        bearer = {"Authorization": f"Bearer {web.add('desk', 'query')}"}
        _, status_headers, _ = await fetched(web, "v1/status", **GZIP, **bearer)

        status, headers, body = await fetched(web, "v1/ticket", "POST", **GZIP, **bearer)

        assert status_headers["Content-Encoding"] == "gzip"
        assert (status, "Content-Encoding" in headers) == (200, False)
        assert body.startswith(b'{"ticket":')


async def test_files_are_packed_and_not_sent_again_to_who_has_them(tmp_path: Path) -> None:
    script = page_folder(tmp_path) / "page.js"
    script.write_bytes(SCRIPT)
    async with serving(tmp_path) as web:
        _, plain_headers, plain = await fetched(web, "static/page.js", **PLAIN)
        _, packed_headers, packed = await fetched(web, "static/page.js", **GZIP)
        tag = packed_headers["ETag"]
        again, again_headers, nothing = await fetched(web, "static/page.js", **GZIP, **{"If-None-Match": tag})
        other_form, _, _ = await fetched(web, "static/page.js", **PLAIN, **{"If-None-Match": tag})
        part, part_headers, some = await fetched(web, "static/page.js", **GZIP, Range="bytes=7-11")
        script.write_bytes(SCRIPT.replace(b"1", b"2"))
        os.utime(script, ns=(1, 1))
        changed, changed_headers, new = await fetched(web, "static/page.js", **GZIP, **{"If-None-Match": tag})

        assert plain == gzip.decompress(packed) == SCRIPT
        assert packed_headers["Content-Encoding"] == "gzip"
        assert packed_headers["Content-Type"] == plain_headers["Content-Type"]
        assert packed_headers["Vary"] == plain_headers["Vary"] == "Accept-Encoding"
        assert packed_headers["Content-Security-Policy"] == plain_headers["Content-Security-Policy"]
        assert tag != plain_headers["ETag"]
        assert (again, nothing, again_headers["ETag"]) == (304, b"", tag)
        assert (other_form, part, some, "Content-Encoding" in part_headers) == (200, 206, b"const", False)
        assert (changed, gzip.decompress(new)) == (200, SCRIPT.replace(b"1", b"2"))
        assert changed_headers["ETag"] != tag


async def test_metrics_are_behind_the_gate_and_say_what_the_status_says(tmp_path: Path) -> None:
    async with serving(tmp_path, tokens=True) as web:
        desk, reader = web.add("desk", "query", "stream", queries_per_minute=4), web.add("reader", "stream")
        bearer = {"Authorization": f"Bearer {desk}"}
        async with web.http.post(f"{web.url}v1/ticket", headers=bearer) as response:
            ticket = (await response.json())["ticket"]
        async with web.stream(f"?ticket={ticket}") as socket:
            await socket.send_bytes(stream_pb2.SessionRequest(open=stream_pb2.SubscribeRequest()).SerializeToString())
            await socket.receive_bytes(timeout=10)
            _, status = await web.get("v1/status", **bearer)
            code, headers, body = await fetched(web, "metrics", **GZIP, **bearer)

        families = text_string_to_metric_families(gzip.decompress(body).decode())
        found = {sample.name: sample.value for family in families for sample in family.samples}
        assert code == 200
        assert headers["Content-Type"].startswith("text/plain; version=")
        assert found["liqscape_tick"] == int(status["tick"])
        assert found["liqscape_streams_open"] == int(status["streams"]) == 1
        assert found["liqscape_gaps_total"] == int(status["counters"]["gaps"]) == 4
        assert found["liqscape_freshness_seconds_count"] >= 0
        assert found["process_resident_memory_bytes"] > 0
        assert (await fetched(web, "metrics"))[0] == 401
        assert (await fetched(web, "metrics", Authorization=f"Bearer {reader}"))[0] == 403
        assert (await fetched(web, "metrics?x=1", **bearer))[0] == 400
        assert [(await fetched(web, "metrics", **bearer))[0] for _ in range(3)] == [200, 200, 429]
        assert (await fetched(web, "metrics", Origin="https://evil.example"))[0] == 403

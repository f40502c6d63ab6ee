"""What `liqscape status` makes of an answer."""

from __future__ import annotations

import json

from liqscape.v1 import query_pb2, stream_pb2
from liqscape_client.status import lines, to_json

STATUS = query_pb2.GetStatusResponse(
    server_version="1.2.3",
    state=query_pb2.ENGINE_STATE_SERVING,
    progress=1.0,
    epoch=2**63 + 1,
    tick=1234,
    backend="numpy",
    input="simulate seed 1",
    states=[stream_pb2.DATA_STATE_SIMULATED],
    server_unix_ns=1_765_000_002 * 10**9,
    streams=2,
    ticks_conflated=7,
    counters={"gaps": 1, "stream_frames": 12345},
    latency_bounds_seconds=[0.0005, 0.25, 60.0],
    freshness=[
        query_pb2.StageLatency(stage="bar_to_grid", counts=[50, 45, 4, 1], sum_seconds=1.5),
        query_pb2.StageLatency(stage="sent_to_acknowledged", counts=[0, 0, 0, 0]),
    ],
    symbols=[
        query_pb2.SymbolStatus(
            symbol="BTC",
            mark_price=908_000,
            price_decimals=1,
            live_cohorts=1234,
            ledger_events=5678,
            tick_compute_ms=12.4,
            coverage=[
                stream_pb2.VenueChunk(
                    symbol="BTC",
                    venue="binance",
                    instrument="binance:BTCUSDT",
                    watermark_unix_ns=1_765_000_000 * 10**9,
                    live_long_lots=30,
                    uncovered_short_lots=10,
                    rejected_events=3,
                )
            ],
        )
    ],
)


def test_people_read_state_symbols_instruments_and_counters() -> None:
    assert lines(STATUS) == [
        "state     serving (SIMULATED)",
        "input     simulate seed 1",
        "server    1.2.3 on numpy, epoch 8000000000000001, tick 1,234",
        "streams   2 open, 7 ticks conflated",
        "  bar_to_grid           50% within 0.5 ms, 95% within 250 ms, 99% within 60000 ms, mean 15.0 ms, 100 in all",
        "  sent_to_acknowledged  nothing yet",
        "BTC       90,800.0, 1,234 cohorts, 5,678 events, grids in 12.4 ms",
        "  binance:BTCUSDT  75.0% covered, data to 2025-12-06 05:46:40 UTC (2.0 s ago), 3 rejected",
        "  gaps           1",
        "  stream_frames  12,345",
    ]


def test_line_of_a_server_that_is_not_ours_moves_no_cursor() -> None:
    forged = query_pb2.GetStatusResponse(
        input="a\x1b[2J\nstate     failed",
        message="\x07",
        symbols=[query_pb2.SymbolStatus(symbol="B\x9bTC", mark_price=1, price_decimals=2**32 - 1)],
    )

    shown = lines(forged)

    assert len(shown) == 5
    assert all(line.isprintable() for line in shown)


def test_latency_beyond_every_bound_says_so_and_one_without_bounds_nothing() -> None:
    latency = query_pb2.StageLatency(stage="x", counts=[0, 3], sum_seconds=9.0)

    shown = [
        lines(query_pb2.GetStatusResponse(freshness=[latency], latency_bounds_seconds=bounds))[4]
        for bounds in ([0.1], [])
    ]

    assert shown == [
        f"  {'x':<21} 50% {within}, 95% {within}, 99% {within}, mean 3,000.0 ms, 3 in all"
        for within in ("beyond 100 ms", "unknown")
    ]


def test_json_has_every_field_and_numbers_as_numbers() -> None:
    found = json.loads(json.dumps(to_json(STATUS)))

    assert set(found) == {field.name for field in query_pb2.GetStatusResponse.DESCRIPTOR.fields}
    assert found["epoch"] == 2**63 + 1
    assert found["seconds_left"] is None
    assert found["states"] == ["SIMULATED"]
    assert found["counters"] == {"gaps": 1, "stream_frames": 12345}
    assert found["freshness"][0] == {"stage": "bar_to_grid", "counts": [50, 45, 4, 1], "sum_seconds": 1.5}
    assert set(found["symbols"][0]) == {field.name for field in query_pb2.SymbolStatus.DESCRIPTOR.fields}
    assert found["symbols"][0]["coverage"][0]["uncovered_short_lots"] == 10

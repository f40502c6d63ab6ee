"""Stamps to percentiles."""

from __future__ import annotations

import numpy as np
import pytest

from liqscape.v1 import stream_pb2
from liqscape_client.connection import is_this_host
from liqscape_client.latency import Meter, histogram, newest_stamps, summarise

MS = 1_000_000
T0 = 1_765_809_000_000_000_000


def tick(*bars_closed_ms: int, sent_ms: int = 10, conflated: int = 0) -> stream_pb2.Frame:
    """Return a message of ticks whose bars closed at these times; grids 2 ms and chunks 5 ms later."""
    chunks = [
        stream_pb2.Chunk(
            symbol=stream_pb2.SymbolChunk(
                symbol="BTC",
                bars_closed_unix_ns=T0 + at * MS,
                grids_ready_unix_ns=T0 + (at + 2) * MS,
                chunks_encoded_unix_ns=T0 + (at + 5) * MS,
            )
        )
        for at in bars_closed_ms
    ]
    return stream_pb2.Frame(
        sections=[stream_pb2.Section(chunks=chunks)], sent_unix_ns=T0 + sent_ms * MS, ticks_conflated=conflated
    )


def test_stages_of_a_reader_with_a_replica() -> None:
    meter = Meter()

    meter.record(tick(0, conflated=3), 100, T0 + 14 * MS, has_replica=True)

    assert {stage: list(values) for stage, values in meter.samples.items() if values} == {
        "bar_to_grid": [2],
        "grid_to_encoded": [3],
        "encoded_to_sent": [5],
        "sent_to_applied": [4],
        "bar_to_applied": [14],
    }
    assert (meter.messages, meter.bytes, meter.ticks_conflated) == (1, 100, 3)


def test_stages_of_a_reader_without_one() -> None:
    meter = Meter()

    meter.record(tick(0), 100, T0 + 14 * MS, has_replica=False)

    assert {stage: list(values) for stage, values in meter.samples.items() if values} == {
        "encoded_to_sent": [5],
        "sent_to_parsed": [4],
        "bar_to_parsed": [14],
    }


def test_clock_of_another_host_is_brought_over() -> None:
    meter = Meter(server_ahead_ns=7 * MS)

    meter.record(tick(0), 100, T0 + 7 * MS, has_replica=True)

    assert list(meter.samples["bar_to_applied"]) == [14]
    assert list(meter.samples["encoded_to_sent"]) == [5]


def test_newest_tick_of_a_merged_message_counts() -> None:
    assert newest_stamps(tick(3, 9, 6)) == (T0 + 9 * MS, T0 + 11 * MS, T0 + 14 * MS)


def test_message_without_stamps_is_counted_and_not_timed() -> None:
    meter = Meter()
    unstamped = stream_pb2.Section(chunks=[stream_pb2.Chunk(symbol=stream_pb2.SymbolChunk(symbol="BTC"))])

    meter.record(stream_pb2.Frame(heartbeat=stream_pb2.Heartbeat()), 10, T0, has_replica=True)
    meter.record(stream_pb2.Frame(sections=[unstamped]), 10, T0, has_replica=True)

    assert (meter.messages, meter.heartbeats) == (2, 1)
    assert not any(meter.samples.values())


def test_percentiles_are_samples_that_occurred() -> None:
    summary = summarise([float(value) for value in range(100, 0, -1)])

    assert summary is not None
    assert (summary.count, summary.p50, summary.p95, summary.p99, summary.max) == (100, 50, 95, 99, 100)


def test_single_sample_is_every_percentile() -> None:
    summary = summarise([7.0])

    assert summary is not None
    assert (summary.p50, summary.p99, summary.max) == (7, 7, 7)


def test_no_sample_has_no_summary() -> None:
    assert summarise([]) is None


@pytest.mark.parametrize(
    "samples", [[5.0], [5.0, 5.0], [0.0, 0.0], [-3.0, 8.0], [1.0, 2.0, 400.0], list(np.linspace(0.1, 9, 1000))]
)
def test_histogram_holds_every_sample(samples: list[float]) -> None:
    edges, counts = histogram(samples)

    assert counts.sum() == len(samples)
    assert edges.size == counts.size + 1
    assert np.all(np.diff(edges) > 0)
    assert counts.size <= 16


@pytest.mark.parametrize(
    ("address", "same"),
    [
        ("127.0.0.1:50051", True),
        ("127.8.9.1:1", True),
        ("[::1]:50051", True),
        ("localhost:50051", True),
        ("unix:/run/liqscape", True),
        ("10.0.0.3:50051", False),
        ("example.org:443", False),
        ("[2001:db8::1]:443", False),
    ],
)
def test_only_loopback_is_certain_to_share_the_clock(address: str, same: bool) -> None:
    assert is_this_host(address) is same

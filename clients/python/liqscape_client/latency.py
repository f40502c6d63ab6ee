"""Refresh latency by stage: stamps of engine, transport and reader -> percentiles. No clock, no I/O."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqscape.v1 import stream_pb2

STAGES: Final[Mapping[str, str]] = {
    "bar_to_grid": "bars closed → grids",
    "grid_to_encoded": "grids → encoded",
    "encoded_to_sent": "encoded → sent",
    "sent_to_applied": "sent → applied",
    "bar_to_applied": "bars closed → applied",
    "sent_to_parsed": "sent → parsed",
    "bar_to_parsed": "bars closed → parsed",
}
"""Stages in the order in which data pass them. Sent = handed to the transport; applied = to a replica, with checksum;
parsed = by a reader without one."""

MAX_BINS: Final = 16
_NS_PER_MS: Final = 1e6


@dataclass(slots=True)
class Meter:
    """Samples and counters of a run.

    Attributes:
        server_ahead_ns: how far the server's clock is ahead of the reader's.
    """

    server_ahead_ns: int = 0
    samples: dict[str, array[float]] = field(default_factory=lambda: {stage: array("d") for stage in STAGES})
    messages: int = 0
    bytes: int = 0
    ticks_conflated: int = 0
    heartbeats: int = 0

    def record(self, frame: stream_pb2.Frame, size_bytes: int, done_unix_ns: int, *, has_replica: bool) -> None:
        """Take one message in.

        Args:
            frame: the message.
            size_bytes: its size on the wire, before framing.
            done_unix_ns: the reader's wall clock once the message was applied (or only parsed).
            has_replica: whether this reader applies; only one counts the stages inside the engine, or each tick would
                be counted once for every reader.
        """
        self.messages += 1
        self.bytes += size_bytes
        self.ticks_conflated += frame.ticks_conflated
        stamps = newest_stamps(frame)
        if stamps is None:
            self.heartbeats += frame.HasField("heartbeat")
            return
        bars_closed, grids_ready, chunks_encoded = stamps
        done = done_unix_ns + self.server_ahead_ns
        self._add("encoded_to_sent", frame.sent_unix_ns - chunks_encoded)
        if has_replica:
            self._add("bar_to_grid", grids_ready - bars_closed)
            self._add("grid_to_encoded", chunks_encoded - grids_ready)
            self._add("sent_to_applied", done - frame.sent_unix_ns)
            self._add("bar_to_applied", done - bars_closed)
        else:
            self._add("sent_to_parsed", done - frame.sent_unix_ns)
            self._add("bar_to_parsed", done - bars_closed)

    def _add(self, stage: str, nanoseconds: int) -> None:
        self.samples[stage].append(nanoseconds / _NS_PER_MS)


def newest_stamps(frame: stream_pb2.Frame) -> tuple[int, int, int] | None:
    """Return the engine's stamps of the newest tick in a message: bars closed, grids ready, chunks encoded.

    None where the message carries no tick, or the engine set no stamps.
    """
    newest: tuple[int, int, int] | None = None
    for section in frame.sections:
        for chunk in section.chunks:
            if not chunk.HasField("symbol") or not chunk.symbol.bars_closed_unix_ns:
                continue
            symbol = chunk.symbol
            stamps = (symbol.bars_closed_unix_ns, symbol.grids_ready_unix_ns, symbol.chunks_encoded_unix_ns)
            newest = stamps if newest is None else max(newest, stamps)
    return newest


@dataclass(frozen=True, slots=True)
class Summary:
    """Percentiles of a stage, milliseconds."""

    count: int
    p50: float
    p95: float
    p99: float
    max: float


def summarise(samples_ms: Sequence[float]) -> Summary | None:
    """Return the percentiles of a stage; None without samples.

    A percentile is the sample below or at which that share of all lie: one that really occurred, never in between.
    """
    if not len(samples_ms):
        return None
    ordered = np.sort(np.asarray(samples_ms, dtype=np.float64))
    p50, p95, p99 = np.percentile(ordered, (50, 95, 99), method="inverted_cdf").tolist()
    return Summary(ordered.size, p50, p95, p99, float(ordered[-1]))


def histogram(samples_ms: Sequence[float]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return edges, float64[n + 1] in milliseconds, and counts, int64[n], in bins that grow by a constant factor.

    Args:
        samples_ms: at least one sample; those below a microsecond count as one.
    """
    values = np.maximum(np.asarray(samples_ms, dtype=np.float64), 1e-3)
    low, high = float(values.min()), float(values.max())
    count = min(MAX_BINS, max(4, math.isqrt(values.size))) if high > low * 1.01 else 1
    edges = np.geomspace(low, max(high, low * 1.01), count + 1)
    # The ends must hold the extremes whatever rounding made of them.
    edges[0], edges[-1] = low, max(high, low * 1.01)
    counts, _ = np.histogram(values, edges)
    return edges, counts.astype(np.int64)

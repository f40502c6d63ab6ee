"""What one server gives at most."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class StallLimits:
    """When a pending write counts as what.

    Attributes:
        stalled_after_s: told by GetStatus. A reader on a bad line gets a frame through in this time.
        cut_after_s: the call is ended. By then the ring no longer holds what the reader would need.
        max_stalled: beyond so many, stalled calls are ended at once: each holds its message twice (benchmarks/
            bench_stalled.py), and the transport keeps one of the two until the peer takes it or its connection ends.
        check_every_s: how often all writers are looked at.
    """

    stalled_after_s: float = 10.0
    cut_after_s: float = 30.0
    max_stalled: int = 256
    check_every_s: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerLimits:
    """What one caller gets: a token, or an address where there are no tokens.

    Attributes:
        streams: open at one time.
        channels: of one stream.
        playbacks: of the streams, how many may play the past.
        queries_per_minute: of every kind; so many may come at once, then one each 60 s / so many.
        cells: of one grid or map.
    """

    streams: int
    channels: int
    queries_per_minute: int
    cells: int
    playbacks: int = 2


TOKEN_LIMITS: Final = CallerLimits(streams=64, channels=256, queries_per_minute=600, cells=4 << 20)
"""A token is a desk or a program: 50 screens and some room; 28 symbols with all nine timeframes; nine grids renewed
every second; and as many cells as the largest grid the engine makes for anyone."""

ADDRESS_LIMITS: Final = CallerLimits(streams=2048, channels=1024, queries_per_minute=6000, cells=4 << 20, playbacks=4)
"""An address is every program of a machine, or an office behind one router: half of the server, and ten times what a
token may ask."""

HEALTH_WATCHES: Final = 256
"""Health needs no token, so its streams must not take the places of those who have one."""

REQUEST_TIMEOUT_S: Final = 10.0
"""From the headers of a call to its whole request, at most 64 KiB: seconds on a very bad line. Who is slower holds a
call open for nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLimits:
    """What the peer of a Session may do.

    Attributes:
        open_within_s: from the call to its first message, a short one: a silent peer must not keep its place.
        idle_after_s: with its window full and no acknowledgement for so long, a session ends with GoingAway. A browser
            tab that was hidden for less goes on where it was; and one that is never shown again must not be sent a
            heartbeat each second for ever (80 us each: 4096 of them are a third of a core).
        requests_per_second: read from one peer. Ten ticks a second are as many acknowledgements; a request costs about
            50 us, so a peer out of hand costs half a percent of a core.
        request_burst: of these at once; the fragments of the largest join and a user who clicks fit ten times over.
    """

    open_within_s: float = 10.0
    idle_after_s: float = 300.0
    requests_per_second: float = 100.0
    request_burst: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceLimits:
    """Limits of the services.

    Attributes:
        max_streams: 40 KB each at rest, and at one message a second a third of a core (measured: 80 us a message).
        max_playbacks: all of them share the thread that answers questions, and each has at most one picture there.
        max_grid_calls: grids and maps; a default one is up to 7 MB until its last fragment has left: together about
            0.1 GB. One of the largest size allowed is 32 MB.
        max_grid_seconds: a recompute takes well under a second; who sets no deadline, or a longer one, gets this one.
        request_timeout_s: writers that do not write.
        stalls: readers that do not read.
        sessions: readers that do not acknowledge, and what they may say.
        per_address: callers without a token.
    """

    max_streams: int = 4096
    max_playbacks: int = 8
    max_grid_calls: int = 16
    max_grid_seconds: float = 30.0
    request_timeout_s: float = REQUEST_TIMEOUT_S
    stalls: StallLimits = field(default_factory=StallLimits)
    sessions: SessionLimits = field(default_factory=SessionLimits)
    per_address: CallerLimits = ADDRESS_LIMITS


DEFAULT_LIMITS: Final = ServiceLimits()
FULL_RETRY_AFTER_MS: Final = 5000
"""Streams last: a place is not free again within a moment."""

GRID_RETRY_AFTER_MS: Final = 500
"""Grids and maps leave in a fraction of a second."""

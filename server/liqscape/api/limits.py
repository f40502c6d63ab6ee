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
        max_stalled: beyond so many, stalled calls are ended at once: each holds up to 120 KiB of transport buffers.
        check_every_s: how often all writers are looked at.
    """

    stalled_after_s: float = 10.0
    cut_after_s: float = 30.0
    max_stalled: int = 256
    check_every_s: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceLimits:
    """Limits of the services.

    Attributes:
        max_streams: 40 KB each at rest, and at one message a second a third of a core (measured: 80 us a message).
        max_grid_calls: grids and maps; a default one is up to 7 MB until its last fragment has left: together about
            0.1 GB. One of the largest size allowed is 32 MB.
        max_grid_seconds: a recompute takes well under a second; who sets no deadline, or a longer one, gets this one.
        stalls: readers that do not read.
    """

    max_streams: int = 4096
    max_grid_calls: int = 16
    max_grid_seconds: float = 30.0
    stalls: StallLimits = field(default_factory=StallLimits)


DEFAULT_LIMITS: Final = ServiceLimits()
FULL_RETRY_AFTER_MS: Final = 5000
"""Streams last: a place is not free again within a moment."""

GRID_RETRY_AFTER_MS: Final = 500
"""Grids and maps leave in a fraction of a second."""

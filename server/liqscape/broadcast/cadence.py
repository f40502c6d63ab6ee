"""Cadence classes: how often at most a reader wants a message."""

from __future__ import annotations

from typing import Final

from liqscape.errors import InvalidArgument

CADENCE_CLASSES_MS: Final = (100, 250, 500, 1000, 5000)
"""A few classes only: readers of one class mostly share their bytes. Where ticks are longer they set the pace."""

CADENCE_SLACK: Final = 0.1
"""Share of the interval a message may leave early. Ticks jitter; without it one late tick would make every later one of
a class as slow as the tick wait for the rest of its interval."""


def cadence_class_ms(interval_ms: int) -> int:
    """Return the cadence class of a wanted interval: rounded up, 0 = every tick.

    Raises:
        InvalidArgument: it is above the slowest class.
    """
    if interval_ms == 0:
        return 0
    for class_ms in CADENCE_CLASSES_MS:
        if interval_ms <= class_ms:
            return class_ms
    allowed = ", ".join(map(str, CADENCE_CLASSES_MS))
    raise InvalidArgument(f"cadence_ms {interval_ms} is too long; use 0 (every tick) or up to the classes {allowed}")


def least_interval_s(cadence_ms: int) -> float:
    """Return the time that lies between two messages of a class at least, seconds."""
    return cadence_ms / 1000 * (1 - CADENCE_SLACK)

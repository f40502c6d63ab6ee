"""How often Python looks for cycles in a process that serves."""

from __future__ import annotations

import gc
from typing import Final

COLLECT_AFTER_OBJECTS: Final = 20_000
"""Each message to a reader makes some objects that die at once, and Python would look for cycles among them every 700:
that was a tenth of what a message costs. Cycles are rare here, and so many objects are a few MB."""


def collect_garbage_rarely() -> None:
    """Leave out of every later collection what has been imported by now, and begin one less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER_OBJECTS)

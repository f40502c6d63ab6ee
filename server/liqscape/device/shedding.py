"""Who gives way when the device's memory runs out: first what was asked beside the ticks, never the ticks.

The budget keeps this from happening (memory_budget.py); estimates can be wrong, and others may use the device too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqscape.device.runtime import DeviceFacts, Memory, OutOfDeviceMemory, Runtime, Stream

QUERY_RESERVE_BYTES: Final = 512 << 20
"""What must be free before questions are taken again after they had to give way: some of the largest grids at once."""


class TickRuntime:
    """The device as ticks see it: where there is no room, questions give way.

    Args:
        runtime: the device.
        give_way: ends what was asked beside the ticks, and returns once its memory is free.
    """

    def __init__(self, runtime: Runtime, give_way: Callable[[], None]) -> None:
        self._runtime = runtime
        self._give_way = give_way

    @property
    def facts(self) -> DeviceFacts:
        return self._runtime.facts

    def allocate(self, nbytes: int) -> Memory:
        try:
            return self._runtime.allocate(nbytes)
        except OutOfDeviceMemory:
            self._give_way()
            return self._runtime.allocate(nbytes)

    def pinned(self, nbytes: int) -> NDArray[np.uint8]:
        return self._runtime.pinned(nbytes)

    def stream(self, *, urgent: bool) -> Stream:
        return self._runtime.stream(urgent=urgent)

    def free_bytes(self) -> int:
        return self._runtime.free_bytes()


class QueryRuntime:
    """The device as questions see it: after they had to give way it has no room until there is enough again.

    Args:
        runtime: the device.
        reserve_bytes: what must be free again.

    Attributes:
        times_closed: how often questions had to give way.
    """

    def __init__(self, runtime: Runtime, reserve_bytes: int = QUERY_RESERVE_BYTES) -> None:
        self._runtime = runtime
        self._reserve_bytes = reserve_bytes
        self._closed = threading.Event()
        self.times_closed = 0

    @property
    def facts(self) -> DeviceFacts:
        return self._runtime.facts

    def close(self) -> None:
        """Give nothing more until there is enough again."""
        self.times_closed += 1
        self._closed.set()

    def allocate(self, nbytes: int) -> Memory:
        if self._closed.is_set():
            free = self._runtime.free_bytes()
            if free < self._reserve_bytes + nbytes:
                raise OutOfDeviceMemory(
                    f"only {free:,} bytes are free on {self.facts.name}: ticks need them before questions do"
                )
            self._closed.clear()
        return self._runtime.allocate(nbytes)

    def pinned(self, nbytes: int) -> NDArray[np.uint8]:
        return self._runtime.pinned(nbytes)

    def stream(self, *, urgent: bool) -> Stream:
        return self._runtime.stream(urgent=urgent)

    def free_bytes(self) -> int:
        return self._runtime.free_bytes()

"""Device memory that an operation writes before it reads: it stays where it is, and grows when more is needed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from liqscape.device.queue import DeviceArray, Queue
from liqscape.device.runtime import OutOfDeviceMemory

_ALIGNMENT: Final = 32
"""Of an array within an upload, in bytes: enough for every struct a kernel reads; and a whole number of its items."""

_MOST_AHEAD: Final = 1 << 15
"""Items read ahead, 1 MB of 32 bytes each: where there are more, a second wait is the least of it."""


class Scratch:
    """An array as long as was ever needed, or up to twice that.

    Operations of one queue may share it: they come one after the other.

    Args:
        queue: whose work uses it.
        dtype: of an item.
        zeroed: new memory is zeros; whoever uses it leaves zeros behind.
    """

    def __init__(self, queue: Queue, dtype: DTypeLike, *, zeroed: bool = False) -> None:
        self._queue = queue
        self._dtype = np.dtype(dtype)
        self._make = queue.zeros if zeroed else queue.empty
        self._array: DeviceArray | None = None

    def __len__(self) -> int:
        return 0 if self._array is None else len(self._array)

    def reserve(self, count: int) -> DeviceArray:
        """Return the first items. Those of an earlier call are lost where it has to grow.

        Raises:
            OutOfDeviceMemory: it keeps its size.
        """
        if self._array is None or count > len(self._array):
            try:
                self._array = self._make(1 << max(count - 1, 0).bit_length(), self._dtype)
            except OutOfDeviceMemory:
                self._array = self._make(count, self._dtype)
        return self._array.part(0, count)


class Upload:
    """Small tables that go to the device together."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._scratch = Scratch(queue, np.uint8)

    def send(self, arrays: Sequence[NDArray[Any]]) -> list[DeviceArray]:
        """Return the arrays on the device, until the next call. Raises OutOfDeviceMemory."""
        begins, end = [], 0
        for array in arrays:
            alignment = math.lcm(_ALIGNMENT, array.itemsize)
            begins.append(-(-end // alignment) * alignment)
            end = begins[-1] + array.nbytes
        host = np.empty(end, np.uint8)
        for array, begin in zip(arrays, begins, strict=True):
            host[begin : begin + array.nbytes] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        sent = self._scratch.reserve(end)
        if end:
            self._queue.write(sent, host)
        return [
            sent.part(begin, begin + array.nbytes).view(array.dtype)
            for array, begin in zip(arrays, begins, strict=True)
        ]


class Results:
    """Items of which only the device knows how many there are: usually read together with their number.

    Args:
        queue: whose work writes them.
        dtype: of an item.
        least: so many are read ahead even where few are expected.
    """

    def __init__(self, queue: Queue, dtype: DTypeLike, least: int) -> None:
        self._queue = queue
        self._scratch = Scratch(queue, dtype)
        self._least = least
        self._last = 0

    def collect(
        self,
        write: Callable[[DeviceArray], None],
        totals: DeviceArray,
        at_most: int,
        *,
        also: Sequence[DeviceArray] = (),
        check: Callable[[Sequence[NDArray[Any]]], None] | None = None,
    ) -> tuple[NDArray[np.uint32], NDArray[Any], list[NDArray[Any]]]:
        """Write the items and read them; waits once where they are not many more than the last time.

        Args:
            write: launches what writes all items, or none where they are more than the array it is given has.
            totals: uint32[n], on the device; their sum is the number of items.
            at_most: how many there can be.
            also: arrays to be read with the first wait.
            check: is given these first; what it raises ends the work.

        Returns:
            The totals, the items, and what was also read.

        Raises:
            OutOfDeviceMemory: there is no room; nothing was written.
        """
        room = self._scratch.reserve(max(self._least, len(self._scratch)))
        ahead = min(at_most, len(room), max(self._least, min(2 * self._last, _MOST_AHEAD)))
        write(room)
        counts, items, *others = self._queue.read_all([totals, room.part(0, ahead), *also])
        if check is not None:
            check(others)
        self._last = count = int(counts.sum(dtype=np.int64))
        if count > len(room):
            room = self._scratch.reserve(count)
            write(room)
            return counts, self._queue.read(room), others
        if count > ahead:
            return counts, np.concatenate((items, self._queue.read(room.part(ahead, count)))), others
        return counts, items[:count], others

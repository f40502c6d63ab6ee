"""Arrays on a device, and the work of one thread on them: copies and launches, in order.

A queue makes a stream safe to use: what goes up passes through pinned memory of its own, so callers may do with their
arrays what they like; and whatever a launch reads or writes stays allocated until the launch is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from liqscape.device.runtime import Memory, Moment, OutOfDeviceMemory, Runtime

_ALIGNMENT: Final = 256
"""Of every array in staging memory: what a device copies fastest, and aligned for every type."""

_STAGING_BYTES: Final = 8 << 20
"""A usual tick sends and receives well below it; what is larger goes through in pieces."""


@dataclass(frozen=True, slots=True)
class DeviceArray:
    """Consecutive items of one type in device memory.

    Attributes:
        memory: what holds them; kept while the array is.
        dtype: of an item.
        first: number of the first item, counted from the beginning of the memory.
        count: of items.
    """

    memory: Memory = field(repr=False)
    dtype: np.dtype[Any]
    first: int
    count: int

    def __post_init__(self) -> None:
        end = (self.first + self.count) * self.dtype.itemsize
        assert 0 <= self.first <= self.first + self.count, (self.first, self.count)
        assert end <= self.memory.nbytes, f"{end} bytes of {self.memory.nbytes}"

    def __len__(self) -> int:
        return self.count

    @property
    def address(self) -> int:
        """Return where the first item is."""
        return self.memory.address + self.first * self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Return the bytes of the items."""
        return self.count * self.dtype.itemsize

    def part(self, begin: int, end: int) -> DeviceArray:
        """Return items begin to end, which must be within the array; nothing is copied."""
        assert 0 <= begin <= end <= self.count, (begin, end, self.count)
        return DeviceArray(self.memory, self.dtype, self.first + begin, end - begin)

    def view(self, dtype: DTypeLike) -> DeviceArray:
        """Return the same bytes as items of another type."""
        wanted = np.dtype(dtype)
        begin, whole = self.first * self.dtype.itemsize, self.nbytes
        assert begin % wanted.itemsize == 0, (begin, wanted)
        assert whole % wanted.itemsize == 0, (whole, wanted)
        return DeviceArray(self.memory, wanted, begin // wanted.itemsize, whole // wanted.itemsize)


Argument: TypeAlias = DeviceArray | np.generic
"""Of a kernel: an array is passed as its address, a NumPy scalar by value."""


class Queue:
    """A stream with staging memory. One thread at a time uses it.

    Args:
        runtime: the device.
        urgent: its blocks go before those of other queues.
        staging_bytes: pinned memory for each direction.
    """

    def __init__(self, runtime: Runtime, *, urgent: bool, staging_bytes: int = _STAGING_BYTES) -> None:
        self.runtime = runtime
        self._stream = runtime.stream(urgent=urgent)
        self._up = runtime.pinned(staging_bytes)
        self._down = runtime.pinned(staging_bytes)
        self._sent = 0  # bytes of _up that may not be written yet
        self._held: list[DeviceArray] = []

    def empty(self, count: int, dtype: DTypeLike) -> DeviceArray:
        """Return an uninitialised array. Raises OutOfDeviceMemory."""
        wanted = np.dtype(dtype)
        # Kernels that read several items at once may read on to the next boundary.
        nbytes = -(-max(count, 1) * wanted.itemsize // _ALIGNMENT) * _ALIGNMENT
        return DeviceArray(self._allocate(nbytes), wanted, 0, count)

    def zeros(self, count: int, dtype: DTypeLike) -> DeviceArray:
        """Return an array of zeros. Raises OutOfDeviceMemory."""
        made = self.empty(count, dtype)
        self.fill(made, 0)
        return made

    def put(self, host: NDArray[Any]) -> DeviceArray:
        """Return a copy on the device of a host array of one dimension. Raises OutOfDeviceMemory."""
        made = self.empty(len(host), host.dtype)
        self.write(made, host)
        return made

    def write(self, to: DeviceArray, host: NDArray[Any]) -> None:
        """Copy a host array of the same type and length to the device; the caller may change it at once."""
        assert (host.dtype, len(host)) == (to.dtype, to.count), (host.dtype, len(host), to)
        source = np.ascontiguousarray(host).reshape(-1).view(np.uint8)
        self.hold(to)
        for begin in range(0, len(source), len(self._up)):
            piece = source[begin : begin + len(self._up)]
            if self._sent + len(piece) > len(self._up):
                self.wait()
                self.hold(to)
            staged = self._up[self._sent : self._sent + len(piece)]
            staged[:] = piece
            self._stream.upload(to.address + begin, staged)
            self._sent = -(-(self._sent + len(piece)) // _ALIGNMENT) * _ALIGNMENT

    def fill(self, to: DeviceArray, byte: int) -> None:
        """Set every byte of an array."""
        if to.count:
            self.hold(to)
            self._stream.fill(to.address, byte, to.nbytes)

    def copy(self, to: DeviceArray, source: DeviceArray) -> None:
        """Copy an array to another one of the same type and length that does not overlap it."""
        assert (to.dtype, to.count) == (source.dtype, source.count), (to, source)
        if to.count:
            self.hold(to, source)
            self._stream.copy(to.address, source.address, to.nbytes)

    def launch(self, kernel: str, blocks: int, threads: int, *arguments: Argument) -> None:
        """Run a kernel; none where there are no blocks, which CUDA refuses."""
        if not blocks:
            return
        self.hold(*(a for a in arguments if isinstance(a, DeviceArray)))
        values = [np.uint64(a.address) if isinstance(a, DeviceArray) else a for a in arguments]
        self._stream.launch(kernel, blocks, threads, values)

    def read(self, source: DeviceArray) -> NDArray[Any]:
        """Return a host copy of an array, once everything asked for before is done."""
        return self.read_all([source])[0]

    def read_all(self, sources: Sequence[DeviceArray]) -> list[NDArray[Any]]:
        """Return host copies of arrays, once everything asked for before is done; small ones wait only once."""
        found = [np.empty(source.count, source.dtype) for source in sources]
        waiting: list[tuple[NDArray[np.uint8], NDArray[np.uint8]]] = []
        used = 0
        for source, host in zip(sources, found, strict=True):
            self.hold(source)
            target = host.view(np.uint8)
            for begin in range(0, len(target), len(self._down)):
                piece = target[begin : begin + len(self._down)]
                if used + len(piece) > len(self._down):
                    self._receive(waiting)
                    used = 0
                staged = self._down[used : used + len(piece)]
                self._stream.download(staged, source.address + begin)
                waiting.append((piece, staged))
                used = -(-(used + len(piece)) // _ALIGNMENT) * _ALIGNMENT
        self._receive(waiting)
        return found

    def hold(self, *arrays: DeviceArray) -> None:
        """Keep arrays until everything asked for is done: those a launch finds by addresses in a table."""
        self._held.extend(arrays)

    def moment(self) -> Moment:
        """Return the moment at which everything asked for until now is done, for timing."""
        return self._stream.moment()

    def wait(self) -> None:
        """Wait until everything is done. Raises DeviceError."""
        self._stream.synchronize()
        self._sent = 0
        self._held.clear()

    def _allocate(self, nbytes: int) -> Memory:
        try:
            return self.runtime.allocate(nbytes)
        except OutOfDeviceMemory:
            if not self._held:
                raise
            self.wait()  # what is done holds on to nothing
            return self.runtime.allocate(nbytes)

    def _receive(self, waiting: list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]) -> None:
        self.wait()
        for target, staged in waiting:
            target[:] = staged
        waiting.clear()

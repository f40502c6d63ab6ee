"""A stand-in for a GPU as device.runtime.Runtime: the very kernels, run on the CPU, in memory that gives mistakes away.

Memory is filled with rubbish when it is given and when it is taken back. Copies and launches are put off until somebody
waits for them, as a slow device would: what is read too early is rubbish, and what a host changes too early, or frees,
changes what they see. An allocation beyond the capacity fails.
"""

from __future__ import annotations

import ctypes
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from liqscape.device.nvrtc import KERNEL_FILES, kernel_source
from liqscape.device.runtime import DeviceError, DeviceFacts, OutOfDeviceMemory
from tests.cuda import cpu_module
from tests.cuda.cpu_module import CpuModule, LaunchError, Order

FRESH: Final = 0x5A
STALE: Final = 0xA5
_ALIGNMENT: Final = 256


class CpuMemory:
    """See runtime.Memory."""

    def __init__(self, nbytes: int, on_free: Callable[[int], None]) -> None:
        held = np.full(nbytes + 2 * _ALIGNMENT, FRESH, np.uint8)
        self.nbytes = nbytes
        self.address = -(-held.ctypes.data // _ALIGNMENT) * _ALIGNMENT
        self._finalizer = weakref.finalize(self, _free, held, nbytes, on_free)


def _free(held: NDArray[np.uint8], nbytes: int, on_free: Callable[[int], None]) -> None:
    held[:] = STALE
    on_free(nbytes)


class CpuMoment:
    """See runtime.Moment."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def ms_since(self, earlier: CpuMoment) -> float:
        return (self.seconds - earlier.seconds) * 1000


class CpuStream:
    """See runtime.Stream."""

    def __init__(self, runtime: CpuRuntime) -> None:
        self._runtime = runtime
        self._waiting: list[Callable[[], None]] = []

    def upload(self, address: int, host: NDArray[Any]) -> None:
        assert host.flags.c_contiguous
        self._later(lambda: _move(address, host.ctypes.data, host.nbytes))

    def download(self, host: NDArray[Any], address: int) -> None:
        assert host.flags.c_contiguous
        _set(host.ctypes.data, FRESH, host.nbytes)
        self._later(lambda: _move(host.ctypes.data, address, host.nbytes))

    def copy(self, to_address: int, address: int, nbytes: int) -> None:
        assert to_address + nbytes <= address or address + nbytes <= to_address, "copies that overlap"
        self._later(lambda: _move(to_address, address, nbytes))

    def fill(self, address: int, byte: int, nbytes: int) -> None:
        self._later(lambda: _set(address, byte, nbytes))

    def launch(self, kernel: str, blocks: int, threads: int, arguments: Sequence[np.generic]) -> None:
        function, values = self._runtime.function(kernel), tuple(arguments)

        def run() -> None:
            self._runtime.launches.append(kernel)
            function((blocks,), (threads,), values)

        self._later(run)

    def moment(self) -> CpuMoment:
        made = CpuMoment()
        self._later(lambda: setattr(made, "seconds", time.perf_counter()))
        return made

    def synchronize(self) -> None:
        waiting, self._waiting = self._waiting, []
        with self._runtime.lock:
            for work in waiting:
                try:
                    work()
                except LaunchError as error:
                    raise DeviceError(str(error)) from error

    def _later(self, work: Callable[[], None]) -> None:
        self._waiting.append(work)
        if not self._runtime.is_slow:
            self.synchronize()


class CpuRuntime:
    """A device with a GPU's way of failing.

    Args:
        libraries: kernels as cpu_module.build makes them, see build_libraries; a module that is loaded keeps its order.
        capacity_bytes: of its memory.
        is_slow: put work off until somebody waits for it.

    Attributes:
        launches: names of the kernels launched so far.
    """

    def __init__(
        self, libraries: Sequence[Path | CpuModule], *, capacity_bytes: int = 4 << 30, is_slow: bool = True
    ) -> None:
        self.facts = DeviceFacts("the CPU in place of a GPU", 0, 1, capacity_bytes, 0)
        self.capacity_bytes = capacity_bytes
        self.is_slow = is_slow
        self.launches: list[str] = []
        self.lock = threading.RLock()  # one kernel at a time: its shared memory is static
        self._used = 0
        self._modules = [CpuModule(given) if isinstance(given, Path) else given for given in libraries]
        for module, given in zip(self._modules, libraries, strict=True):
            if isinstance(given, Path):
                module.set_order("forward")

    def set_order(self, order: Order, seed: int = 0) -> None:
        """Choose the order of threads and blocks from now on."""
        for module in self._modules:
            module.set_order(order, seed)

    def function(self, kernel: str) -> cpu_module.CpuKernel:
        """Return a kernel of any of the libraries."""
        for module in self._modules:
            try:
                return module.get_function(kernel)
            except AttributeError:
                continue
        raise LaunchError(f"there is no kernel {kernel!r}")

    def allocate(self, nbytes: int) -> CpuMemory:
        with self.lock:
            if self._used + nbytes > self.capacity_bytes:
                free = self.capacity_bytes - self._used
                raise OutOfDeviceMemory(f"{self.facts.name} has no {nbytes:,} bytes free, only {free:,}")
            self._used += nbytes
        return CpuMemory(nbytes, self._give_back)

    def pinned(self, nbytes: int) -> NDArray[np.uint8]:
        return np.full(nbytes, FRESH, np.uint8)

    def stream(self, *, urgent: bool) -> CpuStream:
        return CpuStream(self)

    def free_bytes(self) -> int:
        return self.capacity_bytes - self._used

    def _give_back(self, nbytes: int) -> None:
        self._used -= nbytes


def build_libraries(folder: Path) -> list[Path]:
    """Compile every kernel file this package ships."""
    return [cpu_module.build(kernel_source(file), folder) for file in KERNEL_FILES]


def _move(to: int, source: int, nbytes: int) -> None:
    ctypes.memmove(to, source, nbytes)


def _set(to: int, byte: int, nbytes: int) -> None:
    ctypes.memset(to, byte, nbytes)

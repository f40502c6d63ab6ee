"""The few parts of CuPy that cupy_runtime.py calls, over the CPU's memory and the kernels of a CpuRuntime.

As strict as CuPy: arguments of a launch are NumPy scalars, a stream is named, sizes and kinds of copies are checked.
Install it with monkeypatch.setitem(sys.modules, "cupy", make(libraries)).
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import numpy as np

from tests.cuda.cpu_runtime import CpuMemory, CpuRuntime

NAME = b"a device that is made up"
_SCALARS = {np.dtype(code).type for code in "ilqILQfd"}
HOST_TO_DEVICE, DEVICE_TO_HOST, DEVICE_TO_DEVICE = 1, 2, 3


class CUDARuntimeError(RuntimeError):
    """As CuPy's."""


class OutOfMemoryError(MemoryError):
    """As CuPy's."""


class Device:
    """Entered around every call, by thread; nested."""

    entered = threading.local()

    def __init__(self, number: int) -> None:
        if number != 0:
            raise CUDARuntimeError("cudaErrorInvalidDevice: invalid device ordinal")

    def __enter__(self) -> None:
        self.entered.depth = getattr(self.entered, "depth", 0) + 1

    def __exit__(self, *_: object) -> None:
        self.entered.depth -= 1

    @classmethod
    def check(cls) -> None:
        assert getattr(cls.entered, "depth", 0) > 0, "a call without its device"


class Pool:
    """As MemoryPool."""

    def __init__(self, capacity_bytes: int) -> None:
        self._runtime = CpuRuntime([], capacity_bytes=capacity_bytes)

    def malloc(self, nbytes: int) -> SimpleNamespace:
        Device.check()
        if nbytes > self._runtime.free_bytes():
            raise OutOfMemoryError(f"{nbytes} bytes")
        memory: CpuMemory = self._runtime.allocate(nbytes)
        return SimpleNamespace(ptr=memory.address, memory=memory)

    def free_bytes(self) -> int:
        return 0


class Stream:
    """As Stream: work is done at once, on a stream that is known by its number."""

    known: ClassVar[dict[int, Stream]] = {}

    def __init__(self, null: bool = False, non_blocking: bool = False, priority: int | None = None) -> None:
        Device.check()
        assert non_blocking
        assert priority in (0, -1)
        self.ptr = len(self.known) + 1
        self.known[self.ptr] = self

    def synchronize(self) -> None:
        """Do nothing: everything is done."""


class Event:
    """As Event."""

    def record(self, stream: Stream) -> None:
        assert isinstance(stream, Stream)


def _copy(to: int, source: int, size: int, kind: int, stream: int) -> None:
    Device.check()
    assert stream in Stream.known
    assert kind in (HOST_TO_DEVICE, DEVICE_TO_HOST, DEVICE_TO_DEVICE)
    ctypes.memmove(to, source, size)


def _set(to: int, value: int, size: int, stream: int) -> None:
    Device.check()
    assert stream in Stream.known
    ctypes.memset(to, value, size)


def make(libraries: Sequence[Path], *, capacity_bytes: int = 4 << 30) -> ModuleType:
    """Return a module that can stand for cupy."""
    kernels = CpuRuntime(libraries)

    class Module:
        """As function.Module: it takes machine code, which is looked at and no more."""

        def load(self, image: bytes) -> None:
            Device.check()
            assert image[:4] == b"\x7fELF"

        def get_function(self, name: str) -> Any:
            kernel = kernels.function(name)

            def launch(grid: tuple[int, ...], block: tuple[int, ...], args: tuple[Any, ...], *, stream: Stream) -> None:
                Device.check()
                assert isinstance(stream, Stream)
                assert all(type(a) in _SCALARS for a in args), args
                with kernels.lock:
                    kernel(grid, block, args)

            return launch

    module: Any = ModuleType("cupy")
    module.cuda = SimpleNamespace(
        Device=Device,
        Stream=Stream,
        Event=Event,
        MemoryPool=lambda: Pool(capacity_bytes),
        alloc_pinned_memory=bytearray,
        get_elapsed_time=lambda earlier, later: 1.5,
        memory=SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
        function=SimpleNamespace(Module=Module),
        runtime=SimpleNamespace(
            CUDARuntimeError=CUDARuntimeError,
            getDeviceProperties=lambda device: {
                "name": NAME,
                "major": 9,
                "minor": 0,
                "multiProcessorCount": 132,
                "totalGlobalMem": capacity_bytes,
            },
            driverGetVersion=lambda: 13000,
            memGetInfo=lambda: (capacity_bytes // 2, capacity_bytes),
            memcpyAsync=_copy,
            memsetAsync=_set,
            memcpyHostToDevice=HOST_TO_DEVICE,
            memcpyDeviceToHost=DEVICE_TO_HOST,
            memcpyDeviceToDevice=DEVICE_TO_DEVICE,
        ),
    )
    return module  # type: ignore[no-any-return]

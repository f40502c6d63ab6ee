"""The runtime of a real GPU: CuPy for memory, streams and launches, NVRTC for the kernels.

The only file that imports CuPy. Nothing here runs at import, so that a machine without a driver can say what it lacks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cupy
import numpy as np
from numpy.typing import NDArray

from liqscape.device.nvrtc import KERNEL_FILES, kernel_names, kernel_source, load_nvrtc
from liqscape.device.runtime import DeviceError, DeviceFacts, OutOfDeviceMemory

_URGENT = -1
"""Of a stream's priority: lower goes first, and every GPU has at least these two."""
_USUAL = 0


class CupyMemory:
    """See runtime.Memory."""

    __slots__ = ("_pointer", "nbytes")

    def __init__(self, pointer: Any, nbytes: int) -> None:
        self._pointer = pointer  # gives the memory back to the pool when it goes
        self.nbytes = nbytes

    @property
    def address(self) -> int:
        return int(self._pointer.ptr)


class CupyMoment:
    """See runtime.Moment."""

    def __init__(self, event: Any) -> None:
        self._event = event

    def ms_since(self, earlier: CupyMoment) -> float:
        return float(cupy.cuda.get_elapsed_time(earlier._event, self._event))


class CupyStream:
    """See runtime.Stream."""

    def __init__(self, stream: Any, functions: dict[str, Any], device: int) -> None:
        self._stream = stream
        self._functions = functions
        self._device = device
        self._runtime = cupy.cuda.runtime

    def upload(self, address: int, host: NDArray[Any]) -> None:
        self._copy(address, host.ctypes.data, host.nbytes, self._runtime.memcpyHostToDevice)

    def download(self, host: NDArray[Any], address: int) -> None:
        self._copy(host.ctypes.data, address, host.nbytes, self._runtime.memcpyDeviceToHost)

    def copy(self, to_address: int, address: int, nbytes: int) -> None:
        self._copy(to_address, address, nbytes, self._runtime.memcpyDeviceToDevice)

    def fill(self, address: int, byte: int, nbytes: int) -> None:
        with _translated(), cupy.cuda.Device(self._device):
            self._runtime.memsetAsync(address, byte, nbytes, self._stream.ptr)

    def launch(self, kernel: str, blocks: int, threads: int, arguments: Sequence[np.generic]) -> None:
        with _translated(), cupy.cuda.Device(self._device):
            self._functions[kernel]((blocks,), (threads,), tuple(arguments), stream=self._stream)

    def moment(self) -> CupyMoment:
        event = cupy.cuda.Event()
        event.record(self._stream)
        return CupyMoment(event)

    def synchronize(self) -> None:
        with _translated():
            self._stream.synchronize()

    def _copy(self, to: int, source: int, nbytes: int, kind: int) -> None:
        with _translated(), cupy.cuda.Device(self._device):
            self._runtime.memcpyAsync(to, source, nbytes, kind, self._stream.ptr)


class CupyRuntime:
    """See runtime.Runtime.

    Args:
        device: its number.
        extra_sources: whole texts of CUDA C++ by name, loaded beside the kernels of this package; for measuring.

    Raises:
        DeviceError: there is no such device, or no driver. NvrtcUnavailable, KernelCompileError: see nvrtc.
    """

    def __init__(self, device: int = 0, extra_sources: Mapping[str, str] | None = None) -> None:
        self._device = device
        with _translated(), cupy.cuda.Device(device):
            properties = cupy.cuda.runtime.getDeviceProperties(device)
            self.facts = DeviceFacts(
                name=properties["name"].decode(),
                compute_capability=10 * properties["major"] + properties["minor"],
                multiprocessors=properties["multiProcessorCount"],
                total_bytes=properties["totalGlobalMem"],
                driver_version=cupy.cuda.runtime.driverGetVersion(),
            )
            # A pool of our own: what others in this process allocate is theirs.
            self._pool = cupy.cuda.MemoryPool()
            self._modules: list[Any] = []
            self._functions: dict[str, Any] = {}
            sources = {file: kernel_source(file) for file in KERNEL_FILES} | dict(extra_sources or {})
            for file, source in sources.items():
                made = load_nvrtc().compile(source, "cubin", self.facts.compute_capability, name=file)
                module = cupy.cuda.function.Module()
                module.load(made.image)
                self._modules.append(module)
                self._functions.update({name: module.get_function(name) for name in kernel_names(source)})

    def allocate(self, nbytes: int) -> CupyMemory:
        try:
            with _translated(), cupy.cuda.Device(self._device):
                return CupyMemory(self._pool.malloc(nbytes), nbytes)
        except cupy.cuda.memory.OutOfMemoryError:
            free = self.free_bytes()
            raise OutOfDeviceMemory(f"{self.facts.name} has no {nbytes:,} bytes free, only {free:,}") from None

    def pinned(self, nbytes: int) -> NDArray[np.uint8]:
        with _translated(), cupy.cuda.Device(self._device):
            memory = cupy.cuda.alloc_pinned_memory(nbytes)
        return np.frombuffer(memory, np.uint8, nbytes)

    def stream(self, *, urgent: bool) -> CupyStream:
        with _translated(), cupy.cuda.Device(self._device):
            made = cupy.cuda.Stream(non_blocking=True, priority=_URGENT if urgent else _USUAL)
        return CupyStream(made, self._functions, self._device)

    def free_bytes(self) -> int:
        with _translated(), cupy.cuda.Device(self._device):
            free, _ = cupy.cuda.runtime.memGetInfo()
            return int(free) + int(self._pool.free_bytes())


class _translated:
    """Turns an error of the driver into one of this package."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, cupy.cuda.runtime.CUDARuntimeError) or type(error).__name__ == "CUDADriverError":
            raise DeviceError(f"CUDA: {error}") from error

"""Is there a GPU that can be used, and if not, what is missing? Nothing here raises: each answer is a reason in words.

The driver is looked for first, without CuPy, which is big and of no use without one. A device that is there has to pass
the self-test: its results are trusted from then on.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from typing import Final

from liqscape.device.backend import Backend
from liqscape.device.nvrtc import Nvrtc, NvrtcUnavailable, load_nvrtc
from liqscape.device.runtime import DeviceFacts, OutOfDeviceMemory, Runtime
from liqscape.device.self_test import first_difference
from liqscape.errors import LimitExceeded, LiqscapeError

DRIVER_LIBRARY: Final = "libcuda.so.1"
"""What a driver of NVIDIA installs; no wheel and no toolkit has it."""

INSTALL: Final = "pip install 'liqscape[gpu]'"

_CUPY_WHEELS: Final = ("cupy-cuda13x", "cupy-cuda12x", "cupy")


class GpuUnavailable(LiqscapeError):
    """Something that a GPU needs is not there; says what, and how to get it."""


@dataclass(frozen=True, slots=True)
class Software:
    """What a GPU needs beside itself, in words: what is there, or why not.

    Attributes:
        driver: of the GPU.
        cupy: for memory, streams and launches.
        compiler: of the kernels.
    """

    driver: str
    cupy: str
    compiler: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What a probe found.

    Attributes:
        backend: on the device; None where it cannot be used.
        reason: why it cannot be used, and what to do; else which device it is.
        facts: of the device, where there is one.
        free_bytes: of its memory, where it can be used.
        self_test: its result in words.
        self_test_ms: how long it took; None where it did not come to its end.
        is_broken: there is a device, but it does not do what it should.
    """

    backend: Backend | None
    reason: str
    facts: DeviceFacts | None = None
    free_bytes: int = 0
    self_test: str = "not run"
    self_test_ms: float | None = None
    is_broken: bool = False


def probe(device: int = 0, make_runtime: Callable[[int], Runtime] | None = None) -> Probe:
    """Return a backend on a device that has passed its self-test, or why there is none.

    Args:
        device: its number.
        make_runtime: from that number; a GPU's by default.
    """
    if device < 0:  # to CuPy it would be the current one
        return Probe(backend=None, reason=f"device {device} is no number of a device; they begin at 0")
    try:
        runtime = (make_runtime or cupy_runtime)(device)
    except GpuUnavailable as error:
        return Probe(backend=None, reason=str(error))
    except Exception as error:  # a probe never raises, whatever a driver or a library does
        return Probe(backend=None, reason=f"device {device} cannot be used: {_words(error)}")
    return _tested(runtime)


def cupy_runtime(device: int, *, driver: str = DRIVER_LIBRARY) -> Runtime:
    """Return the runtime of a GPU.

    Args:
        device: its number.
        driver: name of its library.

    Raises:
        GpuUnavailable: driver or CuPy is missing. Others: see CupyRuntime.
    """
    try:
        ctypes.CDLL(driver)
    except OSError as error:
        raise GpuUnavailable(
            f"no NVIDIA driver: {driver} cannot be loaded; a GPU needs its driver (in a container: --gpus all) and:"
            f" {INSTALL}"
        ) from error
    try:
        from liqscape.device.cupy_runtime import CupyRuntime
    except ImportError as error:
        raise GpuUnavailable(f"CuPy cannot be imported: {error}; install it with: {INSTALL}") from error
    return CupyRuntime(device)


def find_software(driver: str = DRIVER_LIBRARY, load_compiler: Callable[[], Nvrtc] = load_nvrtc) -> Software:
    """Return what is installed of all that a GPU needs; no GPU is touched and CuPy is not imported."""
    try:
        loaded = load_compiler()
        compiler = f"NVRTC {'.'.join(map(str, loaded.version))}, {loaded.path}"
    except NvrtcUnavailable as error:
        compiler = f"none: {error}"
    return Software(_driver(driver), _cupy(), compiler)


def cuda_version_text(version: int) -> str:
    """Return a CUDA version, 1000 x major + 10 x minor, as people write it: 13.0."""
    return f"{version // 1000}.{version % 1000 // 10}"


def _tested(runtime: Runtime) -> Probe:
    """Compare a small case with NumPy; the backend that is returned is a new one, without that case's tables."""
    facts = runtime.facts
    try:
        from liqscape.device.cuda_backend import CudaBackend

        started = time.perf_counter()
        difference = first_difference(CudaBackend(runtime))
        took_ms = (time.perf_counter() - started) * 1000
        if difference is not None:
            reason = f"the self-test on {facts.name} failed: {difference}; do not trust this device or its driver"
            return Probe(
                backend=None, reason=reason, facts=facts, self_test=difference, self_test_ms=took_ms, is_broken=True
            )
        return Probe(
            backend=CudaBackend(runtime),
            reason=facts.name,
            facts=facts,
            free_bytes=runtime.free_bytes(),
            self_test="equal to NumPy, bit for bit",
            self_test_ms=took_ms,
        )
    except (OutOfDeviceMemory, LimitExceeded) as error:
        reason = f"not enough memory for the self-test: {error}; end other programs that use the device"
        return Probe(backend=None, reason=reason, facts=facts, self_test="not enough memory")
    except Exception as error:  # see probe
        reason = f"the self-test on {facts.name} broke off: {_words(error)}"
        return Probe(backend=None, reason=reason, facts=facts, self_test=_words(error), is_broken=True)


def _driver(library: str) -> str:
    try:
        loaded = ctypes.CDLL(library)
        version = ctypes.c_int()
        status: int = loaded.cuDriverGetVersion(ctypes.byref(version))
    except (OSError, AttributeError) as error:
        return f"none: {error}"
    return f"knows CUDA {cuda_version_text(version.value)}" if not status else f"does not tell its version: {status}"


def _cupy() -> str:
    for wheel in _CUPY_WHEELS:
        try:
            return f"{metadata.version(wheel)} ({wheel})"
        except metadata.PackageNotFoundError:
            continue
    return f"none; install it with: {INSTALL}"


def _words(error: Exception) -> str:
    """Return an error of ours as it reads, of others with its kind."""
    return str(error) if isinstance(error, LiqscapeError) else f"{type(error).__name__}: {error}"

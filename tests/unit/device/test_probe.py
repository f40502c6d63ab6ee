"""Every way in which a GPU can be missing becomes a reason that says what to do; nothing is raised."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from liqscape.device.nvrtc import KernelCompileError, Nvrtc, NvrtcUnavailable
from liqscape.device.probe import INSTALL, cuda_version_text, cupy_runtime, find_software, probe
from liqscape.device.runtime import DeviceError, DeviceFacts, OutOfDeviceMemory, Runtime

NO_LIBRARY = "libno-such-driver.so.1"
SOME_LIBRARY = "libc.so.6"
"""In the place of a driver: a library that is everywhere."""


class FakeMemory:
    def __init__(self, nbytes: int) -> None:
        self.address = 0
        self.nbytes = nbytes


class FakeStream:
    """Takes everything and does nothing, but fails when it is waited for."""

    def __init__(self, failure: Exception | None) -> None:
        self._failure = failure

    def upload(self, address: int, host: NDArray[Any]) -> None: ...

    def download(self, host: NDArray[Any], address: int) -> None:
        host[:] = 0

    def copy(self, to_address: int, address: int, nbytes: int) -> None: ...

    def fill(self, address: int, byte: int, nbytes: int) -> None: ...

    def launch(self, kernel: str, blocks: int, threads: int, arguments: Sequence[np.generic]) -> None: ...

    def moment(self) -> Any:
        raise NotImplementedError

    def synchronize(self) -> None:
        if self._failure is not None:
            raise self._failure


class FakeRuntime:
    """A device that fails in a chosen way.

    Args:
        allocating, waiting: what happens then; nothing: it does nothing and says so, which is wrong.
    """

    def __init__(self, allocating: Exception | None = None, waiting: Exception | None = None) -> None:
        self.facts = DeviceFacts("a fake", 90, 1, 1 << 30, 13_000)
        self._allocating = allocating
        self._waiting = waiting

    def allocate(self, nbytes: int) -> FakeMemory:
        if self._allocating is not None:
            raise self._allocating
        return FakeMemory(nbytes)

    def pinned(self, nbytes: int) -> NDArray[np.uint8]:
        return np.zeros(nbytes, np.uint8)

    def stream(self, *, urgent: bool) -> FakeStream:
        return FakeStream(self._waiting)

    def free_bytes(self) -> int:
        return 1 << 30


def raising(error: Exception) -> Callable[[int], Runtime]:
    def make(device: int) -> Runtime:
        raise error

    return make


def test_no_driver_is_said_before_cupy_is_looked_for() -> None:
    found = probe(make_runtime=partial(cupy_runtime, driver=NO_LIBRARY))

    assert found.backend is None
    assert found.reason.startswith(f"no NVIDIA driver: {NO_LIBRARY} cannot be loaded")
    assert INSTALL in found.reason
    assert "cupy" not in sys.modules
    assert not found.is_broken


@pytest.mark.skipif(importlib.util.find_spec("cupy") is not None, reason="CuPy is installed here")
def test_driver_without_cupy_says_what_to_install() -> None:
    found = probe(make_runtime=partial(cupy_runtime, driver=SOME_LIBRARY))

    assert found.reason == f"CuPy cannot be imported: No module named 'cupy'; install it with: {INSTALL}"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (NvrtcUnavailable("libnvrtc is nowhere; install liqscape[gpu]"), "libnvrtc is nowhere; install liqscape[gpu]"),
        (DeviceError("CUDA: cudaErrorNoDevice: no CUDA-capable device"), "CUDA: cudaErrorNoDevice: no CUDA-capable"),
        (KernelCompileError("cannot compile kernels.cu for compute capability 61", "line 1"), "capability 61\nline 1"),
        (OutOfDeviceMemory("no 4 bytes free"), "no 4 bytes free"),
        (RuntimeError("something else"), "RuntimeError: something else"),
    ],
)
def test_device_that_cannot_be_opened_is_not_used_and_the_cause_is_told(error: Exception, said: str) -> None:
    found = probe(3, raising(error))

    assert found.backend is None
    assert found.reason.startswith("device 3 cannot be used: ")
    assert said in found.reason
    assert found.self_test == "not run"
    assert not found.is_broken


def test_negative_number_is_no_device() -> None:
    def fail(device: int) -> Runtime:
        raise AssertionError("there is nothing to open")

    assert probe(-1, fail).reason == "device -1 is no number of a device; they begin at 0"


def test_device_without_memory_is_not_broken() -> None:
    found = probe(make_runtime=lambda device: FakeRuntime(allocating=OutOfDeviceMemory("only 3 bytes are free")))

    assert found.backend is None
    assert found.reason == (
        "not enough memory for the self-test: only 3 bytes are free; end other programs that use the device"
    )
    assert not found.is_broken


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (DeviceError("CUDA: an illegal address"), "CUDA: an illegal address"),
        (KeyError("no_such_kernel"), "KeyError: 'no_such_kernel'"),
    ],
)
def test_device_that_breaks_off_is_broken(error: Exception, said: str) -> None:
    found = probe(make_runtime=lambda device: FakeRuntime(waiting=error))

    assert found.backend is None
    assert found.reason == f"the self-test on a fake broke off: {said}"
    assert found.facts is not None
    assert found.is_broken


def test_device_that_computes_nothing_is_broken() -> None:
    found = probe(make_runtime=lambda device: FakeRuntime())

    assert found.backend is None
    assert "self-test on a fake failed: " in found.reason
    assert "NumPy" in found.self_test
    assert found.is_broken


def test_software_that_is_not_there_is_named_with_what_installs_it() -> None:
    def no_compiler() -> Nvrtc:
        raise NvrtcUnavailable("libnvrtc is nowhere")

    found = find_software(NO_LIBRARY, no_compiler)

    assert found.driver.startswith(f"none: {NO_LIBRARY}")
    assert found.compiler == "none: libnvrtc is nowhere"


def test_library_that_is_no_driver_is_none() -> None:
    assert find_software(SOME_LIBRARY).driver.startswith("none: ")


def test_cuda_versions_read_as_people_write_them() -> None:
    assert [cuda_version_text(version) for version in (13_000, 12_090)] == ["13.0", "12.9"]

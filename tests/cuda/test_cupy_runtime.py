"""The runtime of real GPUs, with the calls it makes of CuPy answered by the CPU: the file is not dead without a GPU."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from liqscape.device.cuda_backend import CudaBackend
from liqscape.device.nvrtc import NvrtcUnavailable, load_nvrtc
from liqscape.device.queue import Queue
from liqscape.device.runtime import DeviceError, OutOfDeviceMemory
from liqscape.device.self_test import first_difference
from tests.cuda import fake_cupy

RUNTIME = "liqscape.device.cupy_runtime"


@pytest.fixture
def runtime_module(runtime_libraries: list[Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Return cupy_runtime over the fake."""
    try:
        load_nvrtc()
    except NvrtcUnavailable as error:
        pytest.skip(str(error))
    monkeypatch.setitem(sys.modules, "cupy", fake_cupy.make(runtime_libraries, capacity_bytes=1 << 30))
    monkeypatch.delitem(sys.modules, RUNTIME, raising=False)
    yield importlib.import_module(RUNTIME)
    sys.modules.pop(RUNTIME, None)


@pytest.mark.slow
def test_every_operation_is_that_of_numpy(runtime_module: ModuleType) -> None:
    runtime = runtime_module.CupyRuntime()

    assert first_difference(CudaBackend(runtime, threads=32)) is None
    assert runtime.facts.name == "a device that is made up"
    assert (runtime.facts.compute_capability, runtime.facts.multiprocessors) == (90, 132)
    assert runtime.free_bytes() == 1 << 29


@pytest.mark.slow
def test_errors_are_those_of_this_package(runtime_module: ModuleType) -> None:
    with pytest.raises(DeviceError, match="cudaErrorInvalidDevice"):
        runtime_module.CupyRuntime(1)
    with pytest.raises(OutOfDeviceMemory, match=r"made up has no 2,147,483,648 bytes free, only 536,870,912"):
        runtime_module.CupyRuntime().allocate(1 << 31)


@pytest.mark.slow
def test_moments_and_copies(runtime_module: ModuleType) -> None:
    queue = Queue(runtime_module.CupyRuntime(), urgent=True, staging_bytes=1024)
    earlier = queue.moment()
    numbers = np.arange(1000, dtype=np.int32)

    sent = queue.put(numbers)
    queue.copy(again := queue.zeros(1000, np.int32), sent)

    assert np.array_equal(queue.read(again), numbers)
    assert queue.moment().ms_since(earlier) == 1.5

"""The kernels as the CPU runs them, compiled once a session, whichever of its workers asks first."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from liqscape.device.nvrtc import kernel_source
from tests.cuda import cpu_module
from tests.cuda.cpu_module import CpuModule
from tests.cuda.cpu_runtime import CpuRuntime, build_libraries


@pytest.fixture(scope="session")
def build_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that holds what was compiled, or skip."""
    if cpu_module.compiler() is None:
        pytest.skip("no g++ on this machine")
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return tmp_path_factory.mktemp("kernels")
    folder = tmp_path_factory.getbasetemp().parent / "kernels"  # above the folders of the workers
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def kernel_library(build_folder: Path) -> Path:
    return cpu_module.build(kernel_source(), build_folder)


@pytest.fixture
def kernels(kernel_library: Path) -> CpuModule:
    """Return the kernels this package ships, in forward order."""
    module = CpuModule(kernel_library)
    module.set_order("forward")
    return module


@pytest.fixture(scope="session")
def runtime_libraries(build_folder: Path) -> list[Path]:
    """Return every kernel file this package ships, compiled once, for CpuRuntime."""
    return build_libraries(build_folder)


@pytest.fixture
def runtime(runtime_libraries: list[Path]) -> CpuRuntime:
    """Return a device that puts work off until somebody waits, with kernels in forward order."""
    return CpuRuntime(runtime_libraries)


@pytest.fixture
def few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every grid a tenth as high: the stand-in takes a second for the nine grids of a symbol, a GPU would not."""
    monkeypatch.setattr("liqscape.axes.ROW_MULTIPLES", (50, 100))

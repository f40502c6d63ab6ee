"""The self-test of a device, on the stand-in: it passes, and finds a mistake in any of the kernel files."""

from __future__ import annotations

from pathlib import Path

import pytest

from liqscape.device.nvrtc import (
    KERNEL_FILE,
    KERNEL_FILES,
    LEDGER_KERNEL_FILE,
    LIVE_KERNEL_FILE,
    PROFILE_KERNEL_FILE,
)
from liqscape.device.probe import probe
from tests.cuda import cpu_module
from tests.cuda.broken_kernels import with_change
from tests.cuda.cpu_runtime import CpuRuntime

pytestmark = pytest.mark.slow


def test_stand_in_passes_and_gives_a_backend(runtime: CpuRuntime) -> None:
    found = probe(make_runtime=lambda device: runtime)

    assert found.reason == runtime.facts.name
    assert found.backend is not None
    assert found.backend.name == "cupy"
    assert found.self_test == "equal to NumPy, bit for bit"
    assert found.self_test_ms is not None
    assert 0 < found.free_bytes <= runtime.capacity_bytes


def test_device_with_little_memory_is_not_used(runtime_libraries: list[Path]) -> None:
    found = probe(make_runtime=lambda device: CpuRuntime(runtime_libraries, capacity_bytes=1 << 20))

    assert found.backend is None
    assert found.reason.startswith("not enough memory for the self-test: the CPU in place of a GPU has no ")
    assert not found.is_broken


@pytest.mark.parametrize(
    ("file", "right", "wrong", "said"),
    [
        (KERNEL_FILE, "low[row] = high[row] = 0", "low[row] = 0", "advance"),
        (LIVE_KERNEL_FILE, "taken = (i64)search.lots;", "taken = (i64)search.lots - 1;", "close"),
        (LEDGER_KERNEL_FILE, "lots[out] = run_lots[run];", "lots[out] = -run_lots[run];", "advance"),
        (PROFILE_KERNEL_FILE, "rest = quantity - whole * divisor;", "rest = 0;", "profile"),
    ],
)
def test_wrong_kernel_is_found_out(
    runtime_libraries: list[Path], build_folder: Path, file: str, right: str, wrong: str, said: str
) -> None:
    libraries = list(runtime_libraries)
    libraries[KERNEL_FILES.index(file)] = cpu_module.build(with_change(right, wrong, file), build_folder)

    found = probe(make_runtime=lambda device: CpuRuntime(libraries))

    assert found.backend is None
    assert found.is_broken
    assert said in found.self_test
    assert "NumPy" in found.self_test

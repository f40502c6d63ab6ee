"""The kernels of the live table with a CPU thread for each CUDA thread, watched as in test_sanitizers.py."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from liqscape.device.nvrtc import LIVE_KERNEL_FILE, kernel_source
from tests.conftest import IS_FULL
from tests.cuda.broken_kernels import barriers, line_of, with_change, without_barrier
from tests.cuda.cpu_module import Sanitizer
from tests.cuda.small_live_table import small_source
from tests.cuda.test_sanitizers import watched

pytestmark = pytest.mark.slow


def watched_small(source: str, folder: Path, sanitizer: Sanitizer) -> subprocess.CompletedProcess[str]:
    return watched(small_source(source), folder, sanitizer, "tests.cuda.small_live_table")


@pytest.mark.parametrize("sanitizer", ["thread", "address"])
def test_kernels_are_clean_and_exact(build_folder: Path, sanitizer: Sanitizer) -> None:
    run = watched_small(kernel_source(LIVE_KERNEL_FILE), build_folder, sanitizer)

    assert run.stderr == ""
    assert run.returncode == 0


@pytest.mark.parametrize("number", range(barriers(LIVE_KERNEL_FILE)) if IS_FULL else [0])
def test_missing_barrier_is_a_race(build_folder: Path, number: int) -> None:
    run = watched_small(without_barrier(number, LIVE_KERNEL_FILE), build_folder, "thread")

    assert "data race" in run.stderr


def test_addition_that_is_not_atomic_is_a_race(build_folder: Path) -> None:
    plain = "sums[(i64)group * DIGITS + own_digit] += (u64)held;"
    source = with_change("atomicAdd(&sums[(i64)group * DIGITS + own_digit], (u64)held);", plain, LIVE_KERNEL_FILE)

    run = watched_small(source, build_folder, "thread")

    assert "data race" in run.stderr
    assert f".cu:{line_of(source, plain)}" in run.stderr


def test_access_out_of_bounds_is_reported(build_folder: Path) -> None:
    right = "if (inside) offsets[tile] = offset;"
    source = with_change(right, "if (inside) offsets[tile + 200] = offset;", LIVE_KERNEL_FILE)

    run = watched_small(source, build_folder, "address")

    assert "heap-buffer-overflow" in run.stderr
    assert run.returncode == 66

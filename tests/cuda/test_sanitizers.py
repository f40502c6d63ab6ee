"""The kernels with a CPU thread for each CUDA thread, watched for races and for accesses out of bounds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from liqscape.device.nvrtc import kernel_source
from tests.conftest import IS_FULL, ROOT
from tests.cuda import cpu_module
from tests.cuda.broken_kernels import barriers, line_of, with_change, without_barrier
from tests.cuda.cpu_module import Sanitizer

pytestmark = pytest.mark.slow

_RUNTIME: Final[dict[Sanitizer, str]] = {"thread": "libtsan.so", "address": "libasan.so"}


def watched(
    source: str, folder: Path, sanitizer: Sanitizer, program: str = "tests.cuda.small_market"
) -> subprocess.CompletedProcess[str]:
    """Run a small case on a source under a sanitizer, or skip where that cannot be."""
    compiler = cpu_module.compiler()
    assert compiler is not None
    name = _RUNTIME[sanitizer]
    found = subprocess.run([compiler, f"-print-file-name={name}"], check=True, capture_output=True, text=True)
    runtime = Path(found.stdout.strip())
    if not runtime.is_absolute():  # g++ then only repeats the name
        pytest.skip(f"g++ has no {name}")
    library = cpu_module.build(source, folder, sanitizer)
    environment = {
        **os.environ,
        "LD_PRELOAD": str(runtime),  # it must be in the process before Python itself
        "OPENBLAS_NUM_THREADS": "1",
        "TSAN_OPTIONS": "exitcode=66:halt_on_error=1",  # one race says it
        "ASAN_OPTIONS": "detect_leaks=0:exitcode=66",  # Python frees little when it ends
        "UBSAN_OPTIONS": "exitcode=66",
    }
    command = [sys.executable, "-m", program, str(library)]
    run = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=100)
    if "unexpected memory mapping" in run.stderr:
        pytest.skip("the thread sanitizer cannot work with this kernel's address layout")
    return run


@pytest.mark.parametrize("sanitizer", ["thread", "address"])
def test_kernels_are_clean_and_exact(build_folder: Path, sanitizer: Sanitizer) -> None:
    run = watched(kernel_source(), build_folder, sanitizer)

    assert run.stderr == ""
    assert run.returncode == 0


@pytest.mark.parametrize("number", range(barriers()) if IS_FULL else [1])
def test_missing_barrier_is_a_race(build_folder: Path, number: int) -> None:
    run = watched(without_barrier(number), build_folder, "thread")

    assert "data race" in run.stderr
    assert run.returncode == 66


@pytest.mark.parametrize(
    ("atomic", "plain"),
    [
        ("atomicAdd(&low[at], low_word);", "low[at]; low[at] = before + low_word;"),
        ("atomicAdd(&column[row], sum);", "column[row] += sum;"),  # between blocks
        *([("atomicAdd(&high[at], high_word);", "high[at] += high_word;")] if IS_FULL else []),
    ],
)
def test_addition_that_is_not_atomic_is_a_race(build_folder: Path, atomic: str, plain: str) -> None:
    source = with_change(atomic, plain)

    run = watched(source, build_folder, "thread")

    assert "data race" in run.stderr
    assert f".cu:{line_of(source, plain)}" in run.stderr
    assert run.returncode == 66


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("row += blockDim.x) low[row] =", "row += blockDim.x) low[row + 1] =", "index 1024 out of bounds"),
        ("&low[at], low_word", "&low[at + 1024], low_word", "global-buffer-overflow"),
        ("row < channel.rows; row += blockDim.x) {", "row <= channel.rows; row += blockDim.x) {", "out of bounds"),
    ][: None if IS_FULL else 2],
)
def test_access_out_of_bounds_is_reported(build_folder: Path, right: str, wrong: str, said: str) -> None:
    source = with_change(right, wrong)

    run = watched(source, build_folder, "address")

    assert said in run.stderr
    assert run.returncode == 66


def test_read_beyond_a_global_array_is_reported(build_folder: Path) -> None:
    source = kernel_source().replace("min(job.first_column + TILE_COLUMNS, channel.columns)", "job.first_column + 2000")

    run = watched(source, build_folder, "address")

    assert "heap-buffer-overflow" in run.stderr
    assert run.returncode == 66

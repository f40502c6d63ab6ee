"""The kernels of a compaction with a CPU thread for each CUDA thread, watched as in test_sanitizers.py."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from liqscape.device.nvrtc import LEDGER_KERNEL_FILE
from tests.conftest import IS_FULL
from tests.cuda.broken_kernels import BARRIER, line_of, with_change
from tests.cuda.cpu_module import Sanitizer
from tests.cuda.small_past import with_small_blocks
from tests.cuda.test_sanitizers import watched

pytestmark = pytest.mark.slow


def watched_small(source: str | None, folder: Path, sanitizer: Sanitizer) -> subprocess.CompletedProcess[str]:
    return watched(with_small_blocks(source), folder, sanitizer, "tests.cuda.small_past")


@pytest.mark.parametrize("sanitizer", ["thread", "address"])
def test_kernels_are_clean_and_exact(build_folder: Path, sanitizer: Sanitizer) -> None:
    run = watched_small(None, build_folder, sanitizer)

    assert run.stderr == ""
    assert run.returncode == 0


@pytest.mark.parametrize(
    "before",
    [  # two of the five, which all do: each takes seconds
        "if (lane == 0) atomicMin(&of_block[k], of_warp);\n        }\n    }",
        "to += has;\n        }\n    }",
    ][: None if IS_FULL else 1],
)
def test_missing_barrier_is_a_race(build_folder: Path, before: str) -> None:
    source = with_change(f"{before}\n    {BARRIER}", before, LEDGER_KERNEL_FILE)

    run = watched_small(source, build_folder, "thread")

    assert "data race" in run.stderr


def test_addition_that_is_not_atomic_is_a_race(build_folder: Path) -> None:
    plain = "run_lots[run] += (up_to_here -"  # where a run goes on in another block
    source = with_change("atomicAdd(&run_lots[run], up_to_here -", plain, LEDGER_KERNEL_FILE)

    run = watched_small(source, build_folder, "thread")

    assert "data race" in run.stderr
    assert f".cu:{line_of(source, plain)}" in run.stderr


def test_access_out_of_bounds_is_reported(build_folder: Path) -> None:
    source = with_change("to_codes[to] = code;", "to_codes[to + 60] = code;", LEDGER_KERNEL_FILE)

    run = watched_small(source, build_folder, "address")

    assert "heap-buffer-overflow" in run.stderr
    assert run.returncode == 66

"""Every kernel once, at small sizes, each result compared with NumPy's: what the sanitizers of CUDA look at.

    python3 benchmarks/gpu/every_kernel.py               on the GPU; sanitize.sh runs this
    python3 benchmarks/gpu/every_kernel.py --rehearse    on the CPU in place of a GPU

The status is 1 when a result differs, or when a kernel that is shipped was not launched.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent.parent
if __name__ == "__main__":
    sys.path[0:1] = [str(ROOT), str(ROOT / "server")]

import numpy as np  # noqa: E402
from numpy.random import PCG64, Generator  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from benchmarks.gpu.device_runtimes import gpu, stand_in  # noqa: E402
from benchmarks.gpu.made_events import DAY, FIRST_ROW, INSTRUMENTS, NOW, batch_at  # noqa: E402
from benchmarks.gpu.watched_runtime import WatchedRuntime  # noqa: E402
from liqscape.device.backend import AppendRequest, Backend  # noqa: E402
from liqscape.device.cuda_backend import CudaBackend  # noqa: E402
from liqscape.device.numpy_backend import NumpyBackend  # noqa: E402
from liqscape.device.nvrtc import KERNEL_FILES, kernel_names, kernel_source  # noqa: E402
from liqscape.device.runtime import Runtime  # noqa: E402
from liqscape.device.self_test import first_difference  # noqa: E402

_COHORTS: Final = 400


def check(runtime: Runtime) -> list[str]:
    """Return what is wrong, in words."""
    watched = WatchedRuntime(runtime)
    difference = first_difference(CudaBackend(watched))
    found = [] if difference is None else [difference]
    pairs = zip(_coarser(CudaBackend(watched)), _coarser(NumpyBackend()), strict=True)
    found += [f"{name} on coarser rows differs" for (name, one), (_, other) in pairs if not np.array_equal(one, other)]
    unused = sorted(shipped_kernels() - watched.launched)
    return found + [f"kernel {name} was not launched" for name in unused]


def shipped_kernels() -> set[str]:
    """Return the names of all kernels of the package."""
    return {name for file in KERNEL_FILES for name in kernel_names(kernel_source(file))}


def _coarser(backend: Backend) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield by name what a table and a ledger hold that was merged twice, after their rows were coarsened."""
    random = Generator(PCG64(3))
    table, ledger = backend.live_table(2 * INSTRUMENTS), backend.ledger()
    for minute in (NOW - 2 * DAY - 50, NOW - DAY - 50, NOW):
        new = batch_at(random, minute, FIRST_ROW, _COHORTS)
        clocks = random.integers(0, 1 << 30, len(new))
        backend.append([AppendRequest(table, minute, new.row, new.key, new.lots, clocks)])
        ledger.append(minute, new, 1, 0)
        ledger.adopt(ledger.capture().compacted(NOW - DAY if minute < NOW else NOW))
    table.coarsen_rows(10)
    ledger.coarsen_rows(10)
    cohorts, clocks = table.cohorts()
    yield "clocks", clocks
    for field in fields(cohorts):
        yield f"{field.name} of cohorts", getattr(cohorts, field.name)
    view = ledger.capture()
    for events in (view.columns(), *view.tiers()):
        for field in fields(events):
            yield f"{field.name} of events", getattr(events, field.name)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description="every kernel once, compared with NumPy")
    parser.add_argument("--rehearse", action="store_true", help="without a GPU")
    options = parser.parse_args(arguments)
    with stand_in() if options.rehearse else gpu(pooled=False) as runtime:
        wrong = check(runtime)
    print("\n".join(wrong) or f"{len(shipped_kernels())} kernels: equal to NumPy")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

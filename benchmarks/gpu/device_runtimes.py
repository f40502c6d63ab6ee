"""The device that the programs of this folder run on: a GPU, or the CPU in its place for a rehearsal."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from benchmarks.gpu.plan import probe_source
from liqscape.device.runtime import Runtime

PROBES: Final = "probes.cu"


@contextmanager
def gpu(*, pooled: bool = True) -> Iterator[Runtime]:
    """Give the first GPU, with the probes beside the kernels of the package.

    Args:
        pooled: as it is served; else every allocation is one of the driver's own, as sanitizers have to see it to know
            its end.
    """
    from liqscape.device.cupy_runtime import CupyRuntime

    runtime = CupyRuntime(extra_sources={PROBES: probe_source()})
    if not pooled:
        runtime._pool = _Unpooled()
    yield runtime


@contextmanager
def stand_in() -> Iterator[Runtime]:
    """Give the CPU in place of a GPU; g++ compiles the kernels, which takes some seconds."""
    from tests.cuda import cpu_module
    from tests.cuda.cpu_runtime import CpuRuntime, build_libraries

    with tempfile.TemporaryDirectory() as folder:
        libraries = [*build_libraries(Path(folder)), cpu_module.build(probe_source(), Path(folder))]
        yield CpuRuntime(libraries)


class _Unpooled:
    """In the place of CuPy's pool: every allocation by itself."""

    def __init__(self) -> None:
        self._cuda: Any = import_module("cupy").cuda

    def malloc(self, nbytes: int) -> Any:
        """Return memory that is freed when nobody refers to it any more."""
        return self._cuda.MemoryPointer(self._cuda.Memory(nbytes), 0)

    def free_bytes(self) -> int:
        """Return what is kept for later: nothing."""
        return 0

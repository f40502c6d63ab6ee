"""CUDA C++ compiled for the CPU, called like cupy.RawModule, with NumPy arrays as memory.

CpuModule(path).get_function(name)(grid, block, arguments). See shim/ for what stands in for a GPU.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

Sanitizer = Literal["thread", "address"]
Order = Literal["forward", "reverse", "shuffled"]

ORDERS: Final[tuple[Order, ...]] = ("forward", "reverse", "shuffled")
MAX_BLOCK_THREADS: Final = 1024

_SHIM: Final = Path(__file__).parent / "shim"
_FLAGS: Final = ("-std=c++20", "-g1", "-fPIC", "-ffp-contract=off", "-Wall", "-Wextra", "-Wno-unknown-pragmas")
_SANITIZER_FLAGS: Final[dict[Sanitizer, tuple[str, ...]]] = {
    "thread": ("-fsanitize=thread",),
    # Without being told, the address sanitizer leaves variables of a section of their own unguarded.
    "address": (
        "-fsanitize=address,undefined",
        "-fno-sanitize-recover=all",
        "-fsanitize-sections=cs_shared_0,cs_shared_1",
    ),
}


class LaunchError(Exception):
    """A kernel did what CUDA forbids, or was called with arguments that it does not have."""


def compiler() -> str | None:
    """Return the path of g++, if there is one."""
    return shutil.which("g++")


def kernels_of(source: str) -> dict[str, int]:
    """Return the kernels of a source text by name, in its order, with the threads of a block each allows."""
    found = re.findall(r'extern "C" __global__ void (?:__launch_bounds__\((\d+)[^)]*\) )?(\w+)\(', source)
    return {name: int(bound or MAX_BLOCK_THREADS) for bound, name in found}


def build(source: str, folder: Path, sanitizer: Sanitizer | None = None, *, ucontext: bool = False) -> Path:
    """Compile kernels for the CPU.

    Args:
        source: CUDA C++.
        folder: where the library goes, and the runtime, which is compiled once a folder and sanitizer. What was
            compiled there before, by whomever, is not compiled again.
        sanitizer: none: one CPU thread, fibers, a chosen order. One: a CPU thread for each CUDA thread.
        ucontext: switch fibers as on processors without a switch of our own.

    Returns:
        The library, for CpuModule.

    Raises:
        subprocess.CalledProcessError: g++ refused the source; its output is in the error's stderr.
    """
    flags = ["-O2"] if sanitizer is None else ["-O1", "-DCUDA_SHIM_THREADS", *_SANITIZER_FLAGS[sanitizer]]
    flags += [*_FLAGS, "-DCUDA_SHIM_UCONTEXT"] if ucontext else _FLAGS
    runtime = folder / f"runtime_{sanitizer}{'_ucontext' if ucontext else ''}.o"
    if not runtime.exists():
        _compile(runtime, *flags, "-c", str(_SHIM / ("fibers.cpp" if sanitizer is None else "threads.cpp")))
    name = hashlib.sha256(f"{flags} {source}".encode()).hexdigest()[:16]
    library = folder / f"kernels_{name}.so"
    if not library.exists():
        unit = folder / f"kernels_{name}.cpp"
        _write(folder / f"kernels_{name}.cu", source)
        _write(unit, _unit(f"kernels_{name}.cu", kernels_of(source), 1 if sanitizer is None else 2))
        _compile(library, *flags, "-shared", f"-I{_SHIM}", str(unit), str(runtime), "-lpthread")
    return library


def _unit(source_file: str, kernels: dict[str, int], multiprocessors: int) -> str:
    """Return the text that includes the kernels once for each copy of their shared memory, and makes them callable."""
    lines = ['#include "cuda_shim.h"']
    for copy in range(multiprocessors):
        lines += [f"#define {name} {name}_{copy}" for name in kernels]
        lines += ["#undef CUDA_SHIM_SHARED", f'#define CUDA_SHIM_SHARED "cs_shared_{copy}"']
        lines += [f"namespace copy_{copy} {{", f'#include "{source_file}"', "}"]
        lines += [f"#undef {name}" for name in kernels]
    for name, bound in kernels.items():
        lines.append(
            f'extern "C" {{ extern const int cuda_shim_bound_{name}; const int cuda_shim_bound_{name} = {bound}; }}'
        )
        lines += [
            f'extern "C" void cuda_shim_call_{name}(void** arguments) {{',
            "switch (cuda_shim::current->multiprocessor) {",
        ]
        for copy in range(multiprocessors):
            lines.append(f"case {copy}: return cuda_shim::call(&copy_{copy}::{name}_{copy}, arguments);")
        lines.append("} }")
        lines.append(
            f'extern "C" int cuda_shim_sizes_{name}(int* out) {{ return cuda_shim::sizes(&copy_0::{name}_0, out); }}'
        )
    return "\n".join(lines) + "\n"


def _compile(made: Path, *arguments: str) -> None:
    """Compile to a file that is there as a whole or not at all: other processes use the folder too."""
    path = compiler()
    assert path is not None, "tests that need g++ are skipped without it"
    part = made.with_suffix(f".{os.getpid()}")
    subprocess.run([path, *arguments, "-o", str(part)], check=True, capture_output=True, text=True)
    part.replace(made)


def _write(file: Path, text: str) -> None:
    part = file.with_suffix(f"{file.suffix}.{os.getpid()}")
    part.write_text(text, "utf-8")
    part.replace(file)


class CpuModule:
    """A library made by build."""

    def __init__(self, library: Path) -> None:
        self._library = ctypes.CDLL(str(library))
        self._library.cuda_shim_launch.restype = ctypes.c_char_p

    def set_order(self, order: Order, seed: int = 0) -> None:
        """Choose the order of threads and blocks from now on; without meaning where every thread is a CPU thread."""
        self._library.cuda_shim_order(ctypes.c_int(ORDERS.index(order)), ctypes.c_ulonglong(seed))

    def get_function(self, name: str) -> CpuKernel:
        """Return a kernel.

        Raises:
            AttributeError: there is none of that name.
        """
        return CpuKernel(self._library, name)


class CpuKernel:
    """A kernel of a CpuModule."""

    def __init__(self, library: ctypes.CDLL, name: str) -> None:
        self._name = name
        self._launch = library.cuda_shim_launch
        self._call = library[f"cuda_shim_call_{name}"]
        sizes = (ctypes.c_int * 64)()
        self._sizes = sizes[: library[f"cuda_shim_sizes_{name}"](sizes)]
        self._most_threads = ctypes.c_int.in_dll(library, f"cuda_shim_bound_{name}").value

    def __call__(self, grid: tuple[int, ...], block: tuple[int, ...], arguments: tuple[Any, ...]) -> None:
        """Run a launch to its end.

        Args:
            grid, block: numbers of blocks and of threads in one, each a tuple of one.
            arguments: arrays are passed as pointers, NumPy scalars by value.

        Raises:
            LaunchError: the arguments or the launch do not fit, or a barrier or a warp function is misused.
        """
        if len(grid) != 1 or len(block) != 1 or grid[0] < 1 or not 0 < block[0] <= self._most_threads:
            allowed = f"one dimension, at least one block, 1 to {self._most_threads} threads"
            raise LaunchError(f"{self._name}: grid {grid} of blocks {block}; allowed: {allowed}")
        if len(arguments) != len(self._sizes):
            raise LaunchError(f"{self._name} takes {len(self._sizes)} arguments, not {len(arguments)}")
        held = [self._in_memory(number, argument) for number, argument in enumerate(arguments)]
        pointers = (ctypes.c_void_p * len(held))(*(cell.ctypes.data for cell in held))
        problem: bytes | None = self._launch(self._call, ctypes.c_uint(grid[0]), ctypes.c_uint(block[0]), pointers)
        if problem is not None:
            raise LaunchError(f"{self._name}: {problem.decode()}")

    def _in_memory(self, number: int, argument: Any) -> np.ndarray[Any, Any]:
        """Return an array that holds the argument's bytes: the address of an array, or a scalar."""
        if isinstance(argument, np.ndarray):
            if not argument.flags.c_contiguous:
                raise LaunchError(f"{self._name}: argument {number} is not contiguous")
            value = np.array([argument.ctypes.data], np.uint64)
        elif isinstance(argument, np.generic):
            value = np.array([argument])
        else:
            kind = type(argument).__name__
            raise LaunchError(f"{self._name}: argument {number} is a {kind}, not an array or a NumPy scalar")
        if value.nbytes != self._sizes[number]:
            wanted = self._sizes[number]
            raise LaunchError(f"{self._name}: argument {number} has {value.nbytes} bytes, the kernel takes {wanted}")
        return value

"""Compile CUDA C++ through libnvrtc, with no GPU, no driver and no toolkit needed: the library comes as a wheel.

CuPy compiles too, but asks the driver for a device first, so it cannot check a build where there is none.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import importlib.util
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final, Literal

from liqscape.errors import LiqscapeError

COMMON_FILE: Final = "common.cu"
KERNEL_FILE: Final = "kernels.cu"
LIVE_KERNEL_FILE: Final = "live_kernels.cu"
LEDGER_KERNEL_FILE: Final = "ledger_kernels.cu"
PROFILE_KERNEL_FILE: Final = "profile_kernels.cu"
KERNEL_FILES: Final = (KERNEL_FILE, LIVE_KERNEL_FILE, LEDGER_KERNEL_FILE, PROFILE_KERNEL_FILE)
"""Each is compiled by itself; names of kernels are unique over all."""

KERNEL_OPTIONS: Final = ("--std=c++17", "--fmad=false", "--diag-suppress=177")
"""A fused multiply-add rounds once where NumPy rounds twice; levels would then differ from the definition. Warning 177,
of what is declared and not used, is no help where every file begins with common.cu.
"""

_INSTALL: Final = "install liqscape[gpu], or the wheel nvidia-cuda-nvrtc alone"

_Handle = ctypes.c_void_p


class NvrtcUnavailable(LiqscapeError):
    """There is no libnvrtc that can be loaded; says where it was looked for."""


class KernelCompileError(LiqscapeError):
    """The compiler refused the source or an option.

    Attributes:
        log: what it said, with file and line.
    """

    def __init__(self, message: str, log: str) -> None:
        self.log = log
        super().__init__(f"{message}\n{log}" if log else message)


@dataclass(frozen=True, slots=True)
class CompiledKernels:
    """What the compiler made.

    Attributes:
        image: a cubin, or PTX text without its final zero byte.
        log: its warnings; empty where it had none.
    """

    image: bytes
    log: str


def kernel_source(file: str = KERNEL_FILE) -> str:
    """Return the source of one of KERNEL_FILES, after what all of them have in common: NVRTC is given no includes."""
    folder = files("liqscape.device")
    return (folder / COMMON_FILE).read_text("utf-8") + (folder / file).read_text("utf-8")


def kernel_names(source: str) -> tuple[str, ...]:
    """Return the names of a source's kernels, in its order."""
    return tuple(re.findall(r'extern "C" __global__ void (?:__launch_bounds__\([^)]*\) )?(\w+)\(', source))


class Nvrtc:
    """A loaded libnvrtc."""

    def __init__(self, path: str) -> None:
        """Load the library.

        Raises:
            NvrtcUnavailable: it cannot be loaded, or is something else.
        """
        try:
            # libnvrtc opens this one by name and the wheel is on no search path; one that is loaded is found by name.
            for builtins in sorted(Path(path).parent.glob("libnvrtc-builtins.so*")):
                ctypes.CDLL(str(builtins))
            self._library = ctypes.CDLL(path)
            self._library.nvrtcGetErrorString.restype = ctypes.c_char_p
            major, minor = ctypes.c_int(), ctypes.c_int()
            status: int = self._library.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
        except (OSError, AttributeError) as error:
            raise NvrtcUnavailable(f"cannot load {path!r} as libnvrtc: {error}; {_INSTALL}") from error
        if status:
            raise NvrtcUnavailable(f"{path!r} does not tell its version: {self._reason(status)}; {_INSTALL}")
        self.path: Final = path
        self.version: Final = (major.value, minor.value)

    def compile(
        self,
        source: str,
        kind: Literal["ptx", "cubin"],
        compute_capability: int,
        options: Sequence[str] = KERNEL_OPTIONS,
        name: str = KERNEL_FILE,
    ) -> CompiledKernels:
        """Compile a source file.

        Args:
            source: CUDA C++.
            kind: cubin runs on GPUs of this compute capability; PTX is compiled by the driver for this one or a newer.
            compute_capability: 10 x major + minor: 90 for 9.0.
            options: of NVRTC, without the architecture.
            name: of the file, for the log.

        Raises:
            KernelCompileError: with the compiler's log.
        """
        architecture = f"--gpu-architecture={'sm' if kind == 'cubin' else 'compute'}_{compute_capability}"
        arguments = [option.encode() for option in (architecture, *options)]
        program = _Handle()
        self._check(
            self._library.nvrtcCreateProgram(
                ctypes.byref(program), source.encode(), name.encode(), ctypes.c_int(0), None, None
            ),
            f"cannot take {name} in",
        )
        try:
            status: int = self._library.nvrtcCompileProgram(
                program, ctypes.c_int(len(arguments)), (ctypes.c_char_p * len(arguments))(*arguments)
            )
            log = self._text(program, "ProgramLog").rstrip(b"\0").decode("utf-8", "replace").strip()
            if status:
                what = f"cannot compile {name} for compute capability {compute_capability}: {self._reason(status)}"
                raise KernelCompileError(what, log)
            image = self._text(program, "CUBIN" if kind == "cubin" else "PTX")
            # PTX is text and ends in a zero, a cubin is not and may end in one that belongs to it.
            return CompiledKernels(image if kind == "cubin" else image.rstrip(b"\0"), log)
        finally:
            self._library.nvrtcDestroyProgram(ctypes.byref(program))

    def _text(self, program: _Handle, what: str) -> bytes:
        """Return a result of a compilation, every byte of it."""
        size = ctypes.c_size_t()
        self._check(getattr(self._library, f"nvrtcGet{what}Size")(program, ctypes.byref(size)), f"no size of {what}")
        buffer = ctypes.create_string_buffer(size.value)
        self._check(getattr(self._library, f"nvrtcGet{what}")(program, buffer), f"no {what}")
        return buffer.raw

    def _check(self, status: int, message: str) -> None:
        if status:
            raise KernelCompileError(f"{message}: {self._reason(status)}", "")

    def _reason(self, status: int) -> str:
        text: bytes | None = self._library.nvrtcGetErrorString(ctypes.c_int(status))
        return text.decode() if text is not None else f"status {status}"


@functools.cache
def load_nvrtc() -> Nvrtc:
    """Load the first libnvrtc found: of the wheel, of a toolkit, of the system.

    Raises:
        NvrtcUnavailable: none is found, or the first one cannot be loaded.
    """
    for path in _candidates():
        return Nvrtc(path)
    raise NvrtcUnavailable(f"libnvrtc is neither in a wheel nor in a CUDA toolkit nor in the system; {_INSTALL}")


def _candidates() -> Iterator[str]:
    spec = importlib.util.find_spec("nvidia")
    wheels = [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec is not None else []
    for folder in wheels:
        yield from _newest_first(folder.glob("*/lib/libnvrtc.so.*"))
    for root in (os.environ.get("CUDA_PATH"), os.environ.get("CUDA_HOME"), "/usr/local/cuda"):
        if root:
            yield from _newest_first(Path(root).glob("lib64/libnvrtc.so*"))
    system = ctypes.util.find_library("nvrtc")
    if system is not None:
        yield system


def _newest_first(paths: Iterator[Path]) -> list[str]:
    return sorted(map(str, paths), key=lambda path: [int(n) for n in re.findall(r"\d+", Path(path).name)], reverse=True)

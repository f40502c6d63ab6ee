"""The compiler of CUDA C++, found and called through ctypes."""

from __future__ import annotations

import ctypes.util
from pathlib import Path

import pytest

from liqscape.device import nvrtc
from liqscape.device.nvrtc import (
    LIVE_KERNEL_FILE,
    KernelCompileError,
    Nvrtc,
    NvrtcUnavailable,
    kernel_source,
    load_nvrtc,
)
from liqscape.errors import LiqscapeError

EMPTY = 'extern "C" __global__ void empty() {}'


@pytest.fixture
def library() -> Nvrtc:
    try:
        return load_nvrtc()
    except NvrtcUnavailable as error:
        pytest.skip(str(error))


def test_cubin_is_whole(library: Nvrtc) -> None:
    made = library.compile(EMPTY, "cubin", 90)

    # An ELF file whose section headers, the last thing in it, end where it ends.
    assert made.image[:4] == b"\x7fELF"
    headers = int.from_bytes(made.image[40:48], "little")
    size, count = (int.from_bytes(made.image[at : at + 2], "little") for at in (58, 60))
    assert len(made.image) >= headers + size * count
    assert made.log == ""


def test_ptx_is_text(library: Nvrtc) -> None:
    made = library.compile(EMPTY, "ptx", 80)

    assert ".target sm_80" in made.image.decode("ascii")
    assert not made.image.endswith(b"\0")


def test_error_carries_the_log_with_file_and_line(library: Nvrtc) -> None:
    with pytest.raises(KernelCompileError, match=r"cannot compile sums\.cu for compute capability 90") as refused:
        library.compile("\n\n__device__ int f() { return oops; }", "ptx", 90, name="sums.cu")

    assert 'sums.cu(3): error: identifier "oops" is undefined' in refused.value.log
    assert refused.value.log in str(refused.value)
    assert isinstance(refused.value, LiqscapeError)


def test_architecture_that_the_compiler_does_not_know_is_refused(library: Nvrtc) -> None:
    with pytest.raises(KernelCompileError, match=r"compute capability 42.*INVALID_OPTION"):
        library.compile(EMPTY, "cubin", 42)


def test_warnings_are_kept(library: Nvrtc) -> None:
    made = library.compile("__device__ void f() { int unused; }", "ptx", 90, options=("--std=c++17",))

    assert "unused" in made.log


def test_multiplication_and_addition_stay_apart(library: Nvrtc) -> None:
    source = 'extern "C" __global__ void f(double* x) { x[0] = x[1] * x[2] + x[3]; }'

    assert b"fma.rn.f64" not in library.compile(source, "ptx", 90).image
    assert b"fma.rn.f64" in library.compile(source, "ptx", 90, options=()).image


def test_source_of_the_package_is_ascii() -> None:
    """So that it means the same to every compiler."""
    assert kernel_source().isascii()
    assert kernel_source(LIVE_KERNEL_FILE).isascii()


def test_file_that_is_not_the_compiler_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "libnvrtc.so.13"
    file.write_bytes(b"not a library")

    with pytest.raises(NvrtcUnavailable, match=r"cannot load .*libnvrtc\.so\.13.*liqscape\[gpu\]"):
        Nvrtc(str(file))


def test_library_that_is_something_else_is_refused() -> None:
    name = ctypes.util.find_library("c")
    assert name is not None

    with pytest.raises(NvrtcUnavailable, match="cannot load"):
        Nvrtc(name)


def test_no_library_at_all_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvrtc, "_candidates", lambda: iter(()))

    with pytest.raises(NvrtcUnavailable, match="neither in a wheel nor in a CUDA toolkit"):
        load_nvrtc.__wrapped__()


def test_toolkit_is_found_by_its_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("CUDA_PATH", str(tmp_path))
    (tmp_path / "lib64").mkdir()
    for version in ("9.9", "13", "12.9"):
        (tmp_path / "lib64" / f"libnvrtc.so.{version}").touch()

    found = [Path(path).name for path in nvrtc._candidates()]

    assert found[:3] == ["libnvrtc.so.13", "libnvrtc.so.12.9", "libnvrtc.so.9.9"]

"""NVRTC builds the kernels for every GPU we name, and the machine code is what it was meant to be."""

from __future__ import annotations

from functools import cache
from typing import Final

import pytest

from liqscape.device.nvrtc import (
    KERNEL_FILES,
    LEDGER_KERNEL_FILE,
    LIVE_KERNEL_FILE,
    PROFILE_KERNEL_FILE,
    NvrtcUnavailable,
    kernel_source,
    load_nvrtc,
)
from tests.conftest import IS_FULL
from tests.cuda import sass_gate
from tests.cuda.cpu_module import kernels_of
from tests.cuda.sass_gate import KernelCode

ARCHITECTURES: Final = (75, 80, 90, 100)
AS_PTX: Final = ARCHITECTURES if IS_FULL else (80, 100)
AS_MACHINE_CODE: Final = ARCHITECTURES if IS_FULL else (75, 90)
"""In `make test` each architecture is compiled for in one of two ways: each takes a second."""

# All threads that a multiprocessor can hold are 1,024 on 7.5 and 2,048 later, over 65,536 registers. 48 leave room for
# 40 warps, enough for the loads in flight.
MOST_REGISTERS: Final = {75: 64, 80: 48, 90: 48, 100: 48}

SPINS = """
extern "C" __global__ void spins(const unsigned long long* in, unsigned long long* out) {
    __shared__ unsigned long long sums[32];
    sums[threadIdx.x % 32] = 0;
    __syncthreads();
    atomicAdd(&sums[in[threadIdx.x] % 32], in[threadIdx.x]);
    __syncthreads();
    out[threadIdx.x] = sums[threadIdx.x % 32];
}
"""
SWAPS = """
extern "C" __global__ void swaps(unsigned* at) {
    while (atomicCAS(at, 0u, 1u) != 0) {}
}
"""
SPILLS = """
extern "C" __global__ void spills(const int* in, int* out) {
    int held[64];
    for (int i = 0; i < 64; i++) held[i] = in[i * 32];
    for (int i = 0; i < 64; i++) held[in[i] & 63] += i;
    int sum = 0;
    for (int i = 0; i < 64; i++) sum += held[i] * held[in[i] & 63];
    out[threadIdx.x] = sum;
}
"""
HOARDS = """
extern "C" __global__ void hoards(const int* in, int* out, int rounds) {
    int held[96], sum = 0;
#pragma unroll
    for (int i = 0; i < 96; i++) held[i] = in[i];
    for (int round = 0; round < rounds; round++) {
#pragma unroll
        for (int i = 0; i < 96; i++) held[i] += held[(i + 7) % 96] ^ round;
    }
#pragma unroll
    for (int i = 0; i < 96; i++) sum = sum * 3 + held[i];
    out[threadIdx.x] = sum;
}
"""


@cache
def compiled(source: str, architecture: int) -> dict[str, KernelCode]:
    """Return the machine code of a source, or skip."""
    if sass_gate.tool_folder() is None:
        pytest.skip("no cuobjdump with nvdisasm: install the wheels nvidia-cuda-cuobjdump and nvidia-cuda-nvdisasm")
    return sass_gate.read_kernels(build(source, architecture, "cubin"))


def build(source: str, architecture: int, kind: str) -> bytes:
    try:
        nvrtc = load_nvrtc()
    except NvrtcUnavailable as error:
        pytest.skip(str(error))
    made = nvrtc.compile(source, "cubin" if kind == "cubin" else "ptx", architecture)
    assert made.log == ""  # no warnings
    return made.image


@pytest.mark.slow
@pytest.mark.parametrize("architecture", AS_PTX)
@pytest.mark.parametrize("file", KERNEL_FILES)
def test_kernels_become_ptx(file: str, architecture: int) -> None:
    ptx = build(kernel_source(file), architecture, "ptx").decode()

    assert f".target sm_{architecture}" in ptx
    assert all(f".entry {name}(" in ptx for name in kernels_of(kernel_source(file)))
    assert "fma.rn.f64" not in ptx


@pytest.mark.slow
@pytest.mark.parametrize("architecture", AS_MACHINE_CODE)
@pytest.mark.parametrize("file", KERNEL_FILES)
def test_no_kernel_spins_spills_or_hoards_registers(file: str, architecture: int) -> None:
    kernels = compiled(kernel_source(file), architecture)

    assert set(kernels) == set(kernels_of(kernel_source(file)))
    assert {name: sass_gate.complaints(code, MOST_REGISTERS[architecture]) for name, code in kernels.items()} == {
        name: [] for name in kernels
    }


@pytest.mark.slow
@pytest.mark.parametrize("architecture", AS_MACHINE_CODE)
def test_sums_are_native_atomics(architecture: int) -> None:
    opcodes = compiled(kernel_source(), architecture)["project_columns"].opcodes

    atomics = {opcode for opcode in opcodes if opcode.startswith(("ATOM", "RED"))}
    assert {opcode for opcode in atomics if opcode.startswith("ATOMS")} == {"ATOMS.ADD"}
    (flush,) = (opcode for opcode in atomics if not opcode.startswith("ATOMS"))
    assert flush.startswith(("RED.E.ADD.64", "REDG.E.ADD.64"))


@pytest.mark.slow
@pytest.mark.parametrize("architecture", AS_MACHINE_CODE)
@pytest.mark.parametrize(
    ("file", "name"),
    [
        (LIVE_KERNEL_FILE, "sum_digits"),
        (LIVE_KERNEL_FILE, "sum_groups"),
        (LEDGER_KERNEL_FILE, "sum_runs"),
        (PROFILE_KERNEL_FILE, "sum_profile"),
    ],
)
def test_sums_of_cohorts_are_native_atomics(file: str, name: str, architecture: int) -> None:
    opcodes = compiled(kernel_source(file), architecture)[name].opcodes

    (flush,) = {opcode for opcode in opcodes if opcode.startswith(("ATOM", "RED"))}
    assert flush.startswith(("RED.E.ADD.64", "REDG.E.ADD.64"))


@pytest.mark.slow
@pytest.mark.parametrize("architecture", AS_MACHINE_CODE)
@pytest.mark.parametrize("file", KERNEL_FILES)
def test_every_load_says_which_memory_it_is_of(file: str, architecture: int) -> None:
    for code in compiled(kernel_source(file), architecture).values():
        assert [opcode for opcode in code.opcodes if opcode.partition(".")[0] in ("LD", "ST", "ATOM")] == []


@pytest.mark.slow
@pytest.mark.parametrize("architecture", AS_MACHINE_CODE)
@pytest.mark.parametrize(
    ("source", "name", "said"),
    [
        (SPINS, "spins", "compare-and-swap loop: ATOMS.CAS"),
        (SWAPS, "swaps", "compare-and-swap loop: ATOMG"),
        (SPILLS, "spills", "bytes of stack; none allowed"),
        (HOARDS, "hoards", f"registers; at most {MOST_REGISTERS[75]} allowed"),
    ],
)
def test_gate_stops_a_kernel_that_breaks_it(source: str, name: str, said: str, architecture: int) -> None:
    found = sass_gate.complaints(compiled(source, architecture)[name], MOST_REGISTERS[75])

    assert any(said in complaint for complaint in found), found

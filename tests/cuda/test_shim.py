"""What stands in for a GPU: does it do what CUDA does, and refuse what CUDA forbids?"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from liqscape.device.nvrtc import kernel_source
from tests.conftest import IS_FULL, ROOT
from tests.cuda import cpu_module
from tests.cuda.broken_kernels import barriers, with_change, without_barrier
from tests.cuda.cpu_module import ORDERS, CpuModule, LaunchError, Order
from tests.cuda.small_market import equals_numpy

WARP_FUNCTIONS = """
extern "C" __global__ void warp_functions(const unsigned* given, unsigned* out) {
    const unsigned lane = threadIdx.x % 32;
    const unsigned value = given[threadIdx.x];
    unsigned* mine = out + threadIdx.x * 6;
    mine[0] = __ballot_sync(0xffffffffu, value & 1);
    mine[1] = __shfl_sync(0xffffffffu, value, lane ^ 5);
    mine[2] = __shfl_up_sync(0xffffffffu, value, 3);
    mine[3] = __match_any_sync(0xffffffffu, value % 4);
    mine[4] = __reduce_add_sync(0xffffffffu, value);
    // Two halves of a warp, each by itself, one of them twice.
    const unsigned half = lane < 16 ? 0x0000ffffu : 0xffff0000u;
    if (lane < 16) mine[5] = __ballot_sync(half, value & 2);
    if (lane >= 16) mine[5] = __ballot_sync(half, value & 4);
    __syncwarp(0xffffffffu);
}
"""

MISTAKES = """
extern "C" __global__ void divergent_barrier(int* out) {
    if (threadIdx.x < 3) {
        __syncthreads();
    } else {
        __syncthreads();
    }
    out[threadIdx.x] = 1;
}
extern "C" __global__ void lane_left_out(unsigned* out) {
    out[threadIdx.x] = __ballot_sync(0xfffffffeu, true);
}
extern "C" __global__ void lane_absent(unsigned* out) {
    if (threadIdx.x != 7) out[threadIdx.x] = __shfl_sync(0xffffffffu, threadIdx.x, 7);
}
extern "C" __global__ void barrier_and_warp_function(unsigned* out) {
    if (threadIdx.x == 0) __syncthreads();
    out[threadIdx.x] = __ballot_sync(0xffffffffu, true);
}
extern "C" __global__ void uninitialised(unsigned* out) {
    __shared__ unsigned values[4];
    out[blockIdx.x * 4 + threadIdx.x] = values[threadIdx.x];
    values[threadIdx.x] = 0;
}
extern "C" __global__ void __launch_bounds__(64) in_turn(unsigned* counter, unsigned* out, unsigned first) {
    out[blockIdx.x * blockDim.x + threadIdx.x] = first + atomicAdd(counter, 1u);
}
extern "C" __global__ void after_a_return(unsigned* out) {
    if (threadIdx.x >= 40) return;
    __syncthreads();
    out[threadIdx.x] = __ballot_sync(threadIdx.x < 32 ? 0xffffffffu : 0x000000ffu, true);
}
"""


@pytest.fixture(scope="session")
def mistakes(build_folder: Path) -> CpuModule:
    return CpuModule(cpu_module.build(MISTAKES, build_folder))


@pytest.mark.parametrize("order", ORDERS)
def test_warp_functions(build_folder: Path, order: Order) -> None:
    module = CpuModule(cpu_module.build(WARP_FUNCTIONS, build_folder))
    module.set_order(order, 1)
    given = np.random.Generator(np.random.PCG64(1)).integers(0, 1000, 96).astype(np.uint32)
    out = np.zeros((96, 6), np.uint32)

    module.get_function("warp_functions")((1,), (96,), (given, out))

    for warp, found in zip(given.reshape(3, 32).tolist(), out.reshape(3, 32, 6).tolist(), strict=True):
        for lane, value in enumerate(warp):
            half = range(16) if lane < 16 else range(16, 32)
            assert found[lane] == [
                sum((other & 1) << i for i, other in enumerate(warp)),
                warp[lane ^ 5],
                warp[lane - 3] if lane >= 3 else value,
                sum(1 << i for i, other in enumerate(warp) if other % 4 == value % 4),
                sum(warp),
                sum(1 << i for i in half if warp[i] & (2 if lane < 16 else 4)),
            ]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "divergent_barrier",
            "block 0 cannot go on: 3 threads wait at __syncthreads of line 4; "
            "29 threads wait at __syncthreads of line 6",
        ),
        ("lane_left_out", "block 0, thread 0: __ballot_sync at line 11 leaves itself out of its mask"),
        ("lane_absent", "__shfl_sync at line 14 reads lane 7, which takes no part"),
        (
            "barrier_and_warp_function",
            "block 0 cannot go on: 31 threads wait at __ballot_sync of line 18; "
            "1 thread waits at __syncthreads of line 17",
        ),
    ],
)
def test_what_would_hang_or_be_undefined_is_an_error(mistakes: CpuModule, name: str, said: str) -> None:
    mistakes.set_order("forward")

    with pytest.raises(LaunchError, match=said):
        mistakes.get_function(name)((1,), (32,), (np.zeros(32, np.uint32),))


def test_threads_that_returned_hold_nobody_up(mistakes: CpuModule) -> None:
    out = np.zeros(64, np.uint32)

    mistakes.get_function("after_a_return")((1,), (64,), (out,))

    assert out.tolist() == [0xFFFFFFFF] * 32 + [0xFF] * 8 + [0] * 24


def test_shared_memory_is_rubbish_at_the_start_of_every_block(mistakes: CpuModule) -> None:
    out = np.zeros(8, np.uint32)

    mistakes.get_function("uninitialised")((2,), (4,), (out,))

    assert set(out.tolist()) == {0xA5A5A5A5}


@pytest.mark.parametrize(
    ("order", "seed", "expected"),
    [
        ("forward", 0, [10, 11, 12, 13, 14, 15]),
        ("reverse", 0, [15, 14, 13, 12, 11, 10]),
        ("shuffled", 1, None),
    ],
)
def test_orders_of_threads_and_blocks(mistakes: CpuModule, order: Order, seed: int, expected: list[int] | None) -> None:
    def run() -> list[int]:
        mistakes.set_order(order, seed)
        counter, out = np.zeros(1, np.uint32), np.zeros(6, np.uint32)
        mistakes.get_function("in_turn")((2,), (3,), (counter, out, np.uint32(10)))
        turns: list[int] = out.tolist()
        return turns

    found = run()

    assert found == run()
    assert sorted(found) == list(range(10, 16))
    assert found == expected or (expected is None and found not in ([*range(10, 16)], [*range(15, 9, -1)]))


@pytest.mark.parametrize(
    ("grid", "block", "arguments", "said"),
    [
        ((1,), (65,), 3, "1 to 64 threads"),
        ((0,), (32,), 3, "at least one block"),
        ((1, 2), (32,), 3, "one dimension"),
        ((1,), (32,), 2, "takes 3 arguments, not 2"),
    ],
)
def test_launch_that_does_not_fit_is_refused(
    mistakes: CpuModule, grid: Any, block: Any, arguments: int, said: str
) -> None:
    given = (np.zeros(64, np.uint32), np.zeros(64, np.uint32), np.uint32(0))[:arguments]

    with pytest.raises(LaunchError, match=said):
        mistakes.get_function("in_turn")(grid, block, given)


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (np.uint64(1), "argument 2 has 8 bytes, the kernel takes 4"),
        (1, "argument 2 is a int, not an array or a NumPy scalar"),
        (np.zeros((2, 2))[:, 0], "argument 2 is not contiguous"),
    ],
)
def test_argument_that_does_not_fit_is_refused(mistakes: CpuModule, last: Any, said: str) -> None:
    arrays = np.zeros(64, np.uint32), np.zeros(64, np.uint32)

    with pytest.raises(LaunchError, match=said):
        mistakes.get_function("in_turn")((1,), (32,), (*arrays, last))


def test_unknown_kernel_is_refused(mistakes: CpuModule) -> None:
    with pytest.raises(AttributeError, match="no_such_kernel"):
        mistakes.get_function("no_such_kernel")


def test_forms_without_a_mask_do_not_compile(build_folder: Path) -> None:
    source = 'extern "C" __global__ void old(unsigned* out) { out[0] = __ballot(true); }'

    with pytest.raises(subprocess.CalledProcessError, match="returned non-zero") as refused:
        cpu_module.build(source, build_folder)

    assert "__ballot" in refused.value.stderr


@pytest.mark.parametrize("order", ORDERS)
def test_small_market_is_exact(kernels: CpuModule, order: Order) -> None:
    kernels.set_order(order, 2)

    assert equals_numpy(kernels)


@pytest.mark.slow
def test_other_processors_switch_fibers_as_well(build_folder: Path) -> None:
    module = CpuModule(cpu_module.build(kernel_source(), build_folder, ucontext=True))
    module.set_order("shuffled", 4)

    assert equals_numpy(module)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(barriers()) if IS_FULL else [0, 3])
def test_missing_barrier_gives_a_wrong_result_in_every_order(build_folder: Path, number: int) -> None:
    broken = cpu_module.build(without_barrier(number), build_folder)

    for order in ORDERS:
        assert ends_well(broken, order) is False, order


@pytest.mark.slow
def test_shared_memory_that_is_not_zeroed_gives_a_wrong_result(build_folder: Path) -> None:
    broken = cpu_module.build(with_change("low[row] = high[row] = 0", "low[row] = 0"), build_folder)

    assert ends_well(broken, "forward") is False


def ends_well(library: Path, order: Order) -> bool:
    """Run the small market in a process of its own: a broken kernel may write anywhere."""
    command = [sys.executable, "-m", "tests.cuda.small_market", str(library), order]
    run = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, timeout=100)
    assert run.returncode in (0, 1, -signal.SIGSEGV, -signal.SIGABRT, -signal.SIGBUS), run.stderr
    return run.returncode == 0

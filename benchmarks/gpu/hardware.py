"""What the device does at its best: copies, additions, launches, reading back. The floors of everything else."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.random import PCG64, Generator

from benchmarks.gpu.outcome import Figure, Spread
from benchmarks.gpu.plan import SEED, Run
from benchmarks.gpu.watched_runtime import WARM_UP, device_ms, parts_ms
from liqscape.device.queue import DeviceArray, Queue

THREADS: Final = 256
BLOCKS_OF_MULTIPROCESSOR: Final = 16
"""Twice what fit at once, of blocks with as much shared memory as these."""
_GIGA: Final = 1e-6
"""Of something a millisecond, in units of 10^9 a second."""
_ADDED: Final = 3 << 20
"""So that the low half of a sum overflows every 1,365 additions, about as often as that of a grid."""
SHARED_KINDS: Final = ("halves", "wide", "narrow")


def measure_copies(run: Run) -> None:
    """Measure how many bytes a second move, and keep the best rate as the floor of the rest."""
    queue, nbytes = Queue(run.runtime, urgent=True), run.sizes.copy_bytes
    source, target = queue.empty(nbytes, np.uint8), queue.empty(nbytes, np.uint8)
    pattern = Generator(PCG64(SEED)).integers(0, 256, min(nbytes, 1 << 22), np.uint8)
    for begin in range(0, nbytes, len(pattern)):
        queue.write(source.part(begin, min(begin + len(pattern), nbytes)), pattern[: nbytes - begin])
    items, blocks = np.uint64(nbytes // 16), run.runtime.facts.multiprocessors * BLOCKS_OF_MULTIPROCESSOR
    sums = queue.zeros(THREADS, np.uint64)
    ways: tuple[tuple[str, str, float, Callable[[], None]], ...] = (
        ("copy.memcpy", "copy on the device, bytes read and written", 2.0, lambda: queue.copy(target, source)),
        (
            "copy.kernel",
            "the same by a kernel of 16 bytes a thread",
            2.0,
            lambda: queue.launch("probe_copy", blocks, THREADS, source, target, items),
        ),
        (
            "copy.read",
            "reading by a kernel of 16 bytes a thread",
            1.0,
            lambda: queue.launch("probe_read", blocks, THREADS, source, sums, items),
        ),
    )
    best = 0.0
    for key, what, times, work in ways:
        queue.fill(target, 0x5A)
        rate = device_ms(queue, work, run.sizes.repeats).rate(times * nbytes * _GIGA)
        run.outcome.add(Figure(key, what, "GB/s", rate))
        if times == 2.0:
            found = queue.read(target.part(nbytes - len(pattern), nbytes))
            expected = queue.read(source.part(nbytes - len(pattern), nbytes))
            run.outcome.compare(f"{what}: the copy", _differences("bytes", found, expected))
            best = max(best, rate.median)
    if best:
        run.outcome.facts["bandwidth_bytes_per_ms"] = best / _GIGA


def measure_transfers(run: Run) -> None:
    """Measure copies between host and device: from pinned memory, and as a queue makes them."""
    stream, nbytes = run.runtime.stream(urgent=True), run.sizes.transfer_bytes
    host, queue = run.runtime.pinned(nbytes), Queue(run.runtime, urgent=True)
    array = queue.empty(nbytes, np.uint8)
    host[:] = Generator(PCG64(SEED)).integers(0, 256, nbytes, np.uint8)
    ways: tuple[tuple[str, str, Callable[[], None]], ...] = (
        ("copy.up", "from pinned memory to the device", lambda: stream.upload(array.address, host)),
        ("copy.down", "from the device to pinned memory", lambda: stream.download(host, array.address)),
    )
    for key, what, work in ways:
        times = []
        for number in range(WARM_UP + run.sizes.repeats):
            begin = stream.moment()
            work()
            end = stream.moment()
            stream.synchronize()
            if number >= WARM_UP:
                times.append(end.ms_since(begin))
        run.outcome.add(Figure(key, what, "GB/s", Spread.of(times).rate(nbytes * _GIGA)))
    pageable = host.copy()

    def write() -> None:
        queue.write(array, pageable)
        queue.wait()

    rate = host_ms(write, run.sizes.repeats).rate(nbytes * _GIGA)
    run.outcome.add(Figure("copy.staged", "from any memory to the device through a queue", "GB/s", rate))


def measure_additions(run: Run) -> None:
    """Measure additions to global memory, by the number of cells, and in shared memory, of three kinds."""
    queue, sizes = Queue(run.runtime, urgent=True), run.sizes
    blocks = run.runtime.facts.multiprocessors * BLOCKS_OF_MULTIPROCESSOR
    each = max(1, sizes.additions // (blocks * THREADS))
    additions = each * blocks * THREADS
    for cells in sizes.grid_cells:
        sums = queue.zeros(cells, np.uint64)
        count, given = np.uint32(cells), np.uint32(_ADDED)

        def add_global(sums: DeviceArray = sums, count: np.uint32 = count, given: np.uint32 = given) -> None:
            queue.launch("probe_global_adds", blocks, THREADS, sums, count, np.uint32(each), given)

        rate = device_ms(queue, add_global, sizes.repeats).rate(additions * _GIGA)
        what = f"64-bit additions to {cells:,} cells of global memory"
        run.outcome.add(Figure(f"adds.global.{cells}", what, "G/s", rate))
        _compare_sum(run, what, queue.read(sums), additions)
    for kind in SHARED_KINDS:
        for same, where in ((0, "spread"), (1, "same")):
            sums = queue.zeros(1024, np.uint64)
            shared = (np.uint32(each), np.uint32(same), np.uint32(_ADDED))

            def add_shared(
                kind: str = kind,
                sums: DeviceArray = sums,
                shared: tuple[np.uint32, np.uint32, np.uint32] = shared,
            ) -> None:
                queue.launch(f"probe_{kind}", blocks, THREADS, sums, *shared)

            rate = device_ms(queue, add_shared, sizes.repeats).rate(additions * _GIGA)
            lanes = "each lane its row" if where == "spread" else "all lanes of a warp to one row"
            what = f"additions to shared memory, {_SHARED_WORDS[kind]}, {lanes}"
            run.outcome.add(Figure(f"adds.shared.{kind}.{where}", what, "G/s", rate))
            if kind != "narrow":
                _compare_sum(run, what, queue.read(sums), additions)


def measure_calls(run: Run) -> None:
    """Measure what a launch and an answer cost where there is nothing to do, and reading back changed cells."""
    queue, count = Queue(run.runtime, urgent=True), run.sizes.launches
    nowhere = np.uint64(0)

    def launch_all() -> None:
        for _ in range(count):
            queue.launch("probe_nothing", 1, THREADS, nowhere)

    def ask_only() -> float:
        started = time.perf_counter()
        launch_all()
        return (time.perf_counter() - started) * 1e6 / count

    def launch_one() -> None:
        queue.launch("probe_nothing", 1, THREADS, nowhere)
        queue.wait()

    on_device = device_ms(queue, launch_all, run.sizes.repeats).scaled(1e3 / count)
    asked = []
    for _ in range(run.sizes.repeats):
        asked.append(ask_only())
        queue.wait()
    run.outcome.add(Figure("launch.host", "asking for a launch", "us", Spread.of(asked)))
    run.outcome.add(Figure("launch.device", "one empty launch after the other", "us", on_device))
    alone = parts_ms(run.runtime, launch_one, max(run.sizes.repeats, run.sizes.launches // 10))
    what, note = (
        "an empty launch that an idle device waits for",
        'so much of every such part of "device alone" is not work',
    )
    run.outcome.add(Figure("launch.alone", what, "us", alone["probe_nothing"].scaled(1e3), note=note))
    word = queue.zeros(1, np.uint32)
    empty = host_ms(lambda: queue.read(word), max(run.sizes.repeats, run.sizes.launches // 10)).scaled(1e3)
    run.outcome.add(Figure("read.word", "reading four bytes back, nothing under way", "us", empty))
    for cells in run.sizes.changed_cells:
        index, level = queue.zeros(cells, np.uint32), queue.zeros(cells, np.uint8)
        taken = host_ms(lambda: queue.read_all([index, level]), run.sizes.repeats)  # noqa: B023
        down = next((f for f in run.outcome.figures if f.key == "copy.down"), None)
        floor = 5 * cells * _GIGA / down.spread.median if down is not None and down.spread.median else None
        run.outcome.add(Figure(f"read.cells.{cells}", f"reading {cells:,} changed cells back", "ms", taken, floor))


def host_ms(work: Callable[[], object], repeats: int) -> Spread:
    """Return the host's milliseconds for some work that waits for its end."""
    times = []
    for number in range(WARM_UP + repeats):
        started = time.perf_counter()
        work()
        if number >= WARM_UP:
            times.append((time.perf_counter() - started) * 1e3)
    return Spread.of(times)


_SHARED_WORDS: Final = {
    "halves": "two halves of 32 bits",
    "wide": "64 bits, a loop of compare-and-swap",
    "narrow": "32 bits",
}


def _compare_sum(run: Run, what: str, sums: np.ndarray[tuple[int], np.dtype[np.uint64]], additions: int) -> None:
    expected = additions * (WARM_UP + run.sizes.repeats) * _ADDED % (1 << 64)
    found = int(sums.sum(dtype=np.uint64))
    run.outcome.compare(what, [] if found == expected else [f"they add up to {found:,}, not to {expected:,}"])


def _differences(
    what: str, found: np.ndarray[tuple[int], np.dtype[np.uint8]], expected: np.ndarray[tuple[int], np.dtype[np.uint8]]
) -> list[str]:
    wrong = int(np.count_nonzero(found != expected))
    return [f"{wrong:,} {what} differ"] if wrong else []

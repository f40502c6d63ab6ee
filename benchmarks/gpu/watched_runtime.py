"""A runtime that remembers what it was asked for, and when asked to, how long the device took for each part of it.

Around every launch, copy and fill it then puts two moments. That costs the host some microseconds each, so times of the
host are taken without. Where the device has nothing else to do, a part includes what the host takes to ask for it: a
part with nothing in it is not zero (hardware.py measures one).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.gpu.outcome import Spread
from liqscape.device.queue import Queue
from liqscape.device.runtime import DeviceFacts, Memory, Moment, Runtime, Stream

WARM_UP = 2
"""Repetitions before those that count: the first loads code, the second finds clocks and caches as they will be."""


class WatchedRuntime:
    """See runtime.Runtime.

    Args:
        runtime: the device.

    Attributes:
        launched: names of the kernels launched so far.
        whole_ms: from the begin of the first part that was watched last to the end of the last one that is no download:
            with all the time that the device waited for the host.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.launched: set[str] = set()
        self.whole_ms = 0.0
        self._runtime = runtime
        self._is_watching = False
        self._spans: list[tuple[str, Moment, Moment]] = []
        self._streams: dict[int, Stream] = {}

    @property
    def facts(self) -> DeviceFacts:
        return self._runtime.facts

    def allocate(self, nbytes: int) -> Memory:
        return self._runtime.allocate(nbytes)

    def pinned(self, nbytes: int) -> NDArray[np.uint8]:
        return self._runtime.pinned(nbytes)

    def stream(self, *, urgent: bool) -> Stream:
        return _WatchedStream(self, self._runtime.stream(urgent=urgent))

    def free_bytes(self) -> int:
        return self._runtime.free_bytes()

    @contextmanager
    def watching(self) -> Iterator[dict[str, float]]:
        """Find out what a with-block costs the device: milliseconds by kernel, "upload", "download", "copy", "fill".

        The dictionary is filled, and everything waited for, when the block is over.
        """
        found: defaultdict[str, float] = defaultdict(float)
        self._spans.clear()
        self._is_watching = True
        try:
            yield found
        finally:
            self._is_watching = False
        for stream in self._streams.values():
            stream.synchronize()
        self._streams.clear()
        for name, begin, end in self._spans:
            found[name] += end.ms_since(begin)
        ends = [end for name, _, end in self._spans if name != "download"]
        self.whole_ms = ends[-1].ms_since(self._spans[0][1]) if ends else 0.0
        self._spans.clear()

    def span(self, stream: Stream, name: str, work: Callable[[], None]) -> None:
        """Do what a stream is asked for."""
        if not self._is_watching:
            work()
            return
        self._streams[id(stream)] = stream
        begin = stream.moment()
        work()
        self._spans.append((name, begin, stream.moment()))


class _WatchedStream:
    """See runtime.Stream."""

    def __init__(self, runtime: WatchedRuntime, stream: Stream) -> None:
        self._runtime = runtime
        self._stream = stream

    def upload(self, address: int, host: NDArray[Any]) -> None:
        self._runtime.span(self._stream, "upload", lambda: self._stream.upload(address, host))

    def download(self, host: NDArray[Any], address: int) -> None:
        self._runtime.span(self._stream, "download", lambda: self._stream.download(host, address))

    def copy(self, to_address: int, address: int, nbytes: int) -> None:
        self._runtime.span(self._stream, "copy", lambda: self._stream.copy(to_address, address, nbytes))

    def fill(self, address: int, byte: int, nbytes: int) -> None:
        self._runtime.span(self._stream, "fill", lambda: self._stream.fill(address, byte, nbytes))

    def launch(self, kernel: str, blocks: int, threads: int, arguments: Sequence[np.generic]) -> None:
        self._runtime.launched.add(kernel)
        self._runtime.span(self._stream, kernel, lambda: self._stream.launch(kernel, blocks, threads, arguments))

    def moment(self) -> Moment:
        return self._stream.moment()

    def synchronize(self) -> None:
        self._stream.synchronize()


def device_ms(queue: Queue, work: Callable[[], object], repeats: int) -> Spread:
    """Return the device's milliseconds from before to after some work on a queue."""
    times = []
    for number in range(WARM_UP + repeats):
        queue.wait()
        begin = queue.moment()
        work()
        end = queue.moment()
        queue.wait()
        if number >= WARM_UP:
            times.append(end.ms_since(begin))
    return Spread.of(times)


def parts_ms(runtime: WatchedRuntime, work: Callable[[], object], repeats: int) -> dict[str, Spread]:
    """Return the device's milliseconds by part of some work, which waits for its end; those of all of them as "all";
    and as "whole" see WatchedRuntime.whole_ms.
    """
    runs: list[dict[str, float]] = []
    whole: list[float] = []
    for number in range(WARM_UP + repeats):
        with runtime.watching() as found:
            work()
        if number >= WARM_UP:
            runs.append(dict(found))
            whole.append(runtime.whole_ms)
    names = sorted({name for run in runs for name in run})
    spreads = {name: Spread.of([run.get(name, 0.0) for run in runs]) for name in names}
    spreads["all"] = Spread.of([sum(run.values()) for run in runs])
    spreads["whole"] = Spread.of(whole)
    return spreads

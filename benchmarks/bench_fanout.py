"""What does a message to one of many clients cost beside the transport alone? 1 to 500 clients, 2 and 20 KB, at 4 Hz.

    python -m benchmarks.bench_fanout                           all, stored
    python -m benchmarks.bench_fanout --clients 100 --rounds 9  only these, nothing stored

Four servers, each a process (fanout_servers.py): the product's hub, cursors, stall watch and gRPC service over a
made-up source of frames, beside its floor, a grpc.aio server that writes the same bytes and does nothing else; and the
product by its WebSocket, beside an aiohttp server that does nothing else. They take turns several times, and which one
begins alternates. The receiver is a C program with a TCP connection a client (fanout_sink.c, compiled here by gcc),
because a receiver in Python costs more than the server.

By gRPC the stream is Subscribe, which nobody acknowledges. Over the WebSocket it is Session: the receiver acknowledges
every message, and the server takes that in, which its floor has not to.

Cost is processor time of the server's process, all threads, by the kernel's clock of that process, over messages
delivered; it includes making and joining each tick, which is all there is to one client. Latency is from the making of
a tick to the last byte of it in the receiver, on the same machine: mostly how long a burst to all clients takes. Every
client of the product must have got every tick of a window, alone or merged with others (counted as conflated). A
floor has no memory: where the machine is too busy its clients miss ticks, which is counted and flatters it.

A ratio is the median over rounds of windows of the same round, with the lowest and highest: other work on the machine
changes the cost of both alike.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks import report
from benchmarks.fanout_servers import SERVERS, SINK_OPTIONS, TICK_MS

QUESTION: Final = "what does a message to one of many clients cost beside its transport alone, at 4 Hz?"
CLIENTS: Final = (1, 10, 100, 500)
FRAME_BYTES: Final = (2_000, 20_000)
ROUNDS: Final = 5
SECONDS: Final = 3.0
WANTED_RATIOS: Final = {"liqscape": 1.25, "websocket": 2.0}
"""Product over floor, by door. A session takes in a message for each that it sends."""

FLOORS: Final = {"liqscape": "floor", "websocket": "websocket_floor"}
DOOR_NAMES: Final = {"liqscape": "", "websocket": "WebSocket, "}
"""What the name of a figure says; gRPC goes without."""

JUDGED_FROM_CLIENTS: Final = 100
"""With fewer, a message bears a share of the tick's own cost that no path of messages can change."""

_SINK_SOURCE: Final = Path(__file__).with_name("fanout_sink.c")
_WINDOW_LIMIT_S: Final = 120.0
_CPU_CLOCK_SCHED: Final = 2
_CPU_CLOCK_BITS: Final = 3


@dataclass(frozen=True, slots=True)
class Window:
    """One server under one sink.

    Attributes:
        cpu_ns: processor time of the server between the two lines of the sink.
        messages, bytes, delivered, conflated: of all clients; delivered counts ticks, conflated those that came behind
            another in one message.
        missed, repeated: ticks that did not come, or came again.
    """

    clients: int
    ticks: int
    messages: int
    bytes: int
    delivered: int
    conflated: int
    missed: int
    repeated: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    cpu_ns: int

    @property
    def microseconds_per_message(self) -> float:
        """Return processor time per delivered message."""
        return self.cpu_ns / self.messages / 1e3

    def problems(self, *, may_miss: bool = False) -> list[str]:
        """Return what is wrong with what the clients got."""
        expected = self.clients * self.ticks
        found = []
        if self.repeated or (self.missed and not may_miss):
            found.append(f"{self.missed} ticks missed, {self.repeated} repeated")
        if self.delivered + self.missed != expected or self.messages + self.conflated != self.delivered:
            found.append(f"{self.delivered} ticks in {self.messages} messages delivered, {expected} expected")
        return found


@dataclass(frozen=True, slots=True)
class Comparison:
    """All windows of one number of clients and one size, by server, in the order of their rounds."""

    clients: int
    frame_bytes: int
    windows: dict[str, list[Window]]

    def cost(self, name: str) -> float:
        """Return the median microseconds per message of a server."""
        return median(window.microseconds_per_message for window in self.windows[name])

    def ratios(self, name: str = "liqscape", over: str | None = None) -> list[float]:
        """Return the cost of a door of the product over that of its floor, or of another server, round by round."""
        pairs = zip(self.windows[name], self.windows[over or FLOORS[name]], strict=True)
        return [ours.microseconds_per_message / other.microseconds_per_message for ours, other in pairs]

    def latency(self, name: str) -> str:
        """Return the medians of p50 and p99 of a server in words."""
        p50, p99 = (median(getattr(w, field) for w in self.windows[name]) for field in ("p50_ms", "p99_ms"))
        return f"{p50:.1f} / {p99:.1f} ms"

    def problems(self) -> list[str]:
        """Return every window whose clients did not get what they should have."""
        return [
            f"{self.clients} clients, {self.frame_bytes} B, {name}: {problem}"
            for name, windows in self.windows.items()
            for window in windows
            for problem in window.problems(may_miss=name in FLOORS.values())
        ]

    def figures(self) -> dict[str, str]:
        """Return what a reader should see of every door that was measured."""
        found: dict[str, str] = {}
        for door in FLOORS:
            if door in self.windows:
                found |= self._figures_of(door)
        return found

    def _figures_of(self, door: str) -> dict[str, str]:
        who = f"{DOOR_NAMES[door]}{self.clients} client{'s' * (self.clients > 1)}, {self.frame_bytes // 1000} KB"
        floor = FLOORS[door]
        beside_grpc = "" if door == "liqscape" else f"; x {_spread(self.ratios(door, 'liqscape'))} beside gRPC"
        expected = self.clients * sum(window.ticks for window in self.windows[door])
        conflated = sum(window.conflated for window in self.windows[door]) / expected
        missed = sum(window.missed for window in self.windows[floor]) / expected
        late = f"; {conflated:.1%} of ticks conflated, floor {missed:.1%} missed" if conflated or missed else ""
        return {
            f"{who}, a message": (
                f"{self.cost(door):.0f} us, floor {self.cost(floor):.0f} us;"
                f" x {_spread(self.ratios(door))}{beside_grpc}"
            ),
            f"{who}, latency p50 / p99": f"{self.latency(door)}, floor {self.latency(floor)}{late}",
        }


def _spread(ratios: Sequence[float]) -> str:
    return f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def compile_sink(folder: Path) -> Path | None:
    """Return the receiver, or None where there is no gcc."""
    compiler = shutil.which("gcc")
    if compiler is None:
        return None
    sink = folder / "fanout_sink"
    options = ("-O2", "-std=gnu11", "-Wall", "-Wextra", "-Werror")
    subprocess.run((compiler, *options, "-o", str(sink), str(_SINK_SOURCE)), check=True)
    return sink


@contextmanager
def servers(frame_bytes: int) -> Iterator[dict[str, tuple[int, int]]]:
    """Run all servers; yield process id and port of each by name."""
    command = (sys.executable, "-m", "benchmarks.fanout_servers")
    running = {
        name: subprocess.Popen((*command, name, str(frame_bytes)), stdout=subprocess.PIPE, text=True, cwd=report.ROOT)
        for name in SERVERS
    }
    try:
        yield {name: (process.pid, _port_of(name, process)) for name, process in running.items()}
    finally:
        for process in running.values():
            process.terminate()
            process.communicate()


def _port_of(name: str, process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    word, _, port = process.stdout.readline().partition(" ")
    if word != "port":
        raise RuntimeError(f"server {name!r} did not say its port")
    return int(port)


def processor_ns(pid: int) -> int:
    """Return the processor time all threads of a process have used, by the kernel's clock of it."""
    return time.clock_gettime_ns(~pid << _CPU_CLOCK_BITS | _CPU_CLOCK_SCHED)


def measure(sink: Path, pid: int, port: int, clients: int, ticks: int, *options: str) -> Window:
    """Let a sink read one window of a server.

    Args:
        sink: the receiver.
        pid, port: of the server.
        clients: how many there are.
        ticks: length of the window.
        options: of the sink; "frames" where the server is a real one, and see SINK_OPTIONS.

    Raises:
        RuntimeError: the sink failed.
    """
    command = (str(sink), str(port), str(clients), str(ticks), *options)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        began = process.stdout.readline()
        before = processor_ns(pid)
        line = process.stdout.readline()
        cpu_ns = processor_ns(pid) - before
        process.wait(_WINDOW_LIMIT_S)
    if process.returncode or began != "begin\n":
        raise RuntimeError(f"the receiver of {clients} clients failed with status {process.returncode}")
    return Window(**json.loads(line), cpu_ns=cpu_ns)


def compare(sink: Path, clients: Sequence[int], frame_bytes: int, rounds: int, ticks: int) -> list[Comparison]:
    """Let all servers take turns at each number of clients."""
    found = []
    with servers(frame_bytes) as running:
        for count in clients:
            windows: dict[str, list[Window]] = {name: [] for name in running}
            for number in range(rounds):
                for name in list(running)[:: -1 if number % 2 else 1]:
                    windows[name].append(measure(sink, *running[name], count, ticks, *SINK_OPTIONS.get(name, ())))
            found.append(Comparison(count, frame_bytes, windows))
            for measure_name, value in found[-1].figures().items():
                print(f"  {measure_name:44s} {value}", flush=True)
    return found


def verdict(found: Sequence[Comparison], door: str = "liqscape") -> str:
    """Say whether a door of the product is as near to its floor as wanted."""
    judged = {(c.clients, c.frame_bytes): median(c.ratios(door)) for c in found if c.clients >= JUDGED_FROM_CLIENTS}
    wanted = WANTED_RATIOS[door]
    above = [f"{n} clients, {size // 1000} KB: x {ratio:.2f}" for (n, size), ratio in judged.items() if ratio > wanted]
    return "; ".join(above) or "nothing"


def _result_of(comparison: Comparison) -> dict[str, Any]:
    ratios = {door: comparison.ratios(door) for door in FLOORS}
    return asdict(comparison) | {"ratios": ratios, "websocket_over_grpc": comparison.ratios("websocket", "liqscape")}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and store; the status is 1 when a client did not get every tick."""
    parser = argparse.ArgumentParser(description=QUESTION)
    parser.add_argument("--clients", type=int, nargs="+", default=list(CLIENTS), help="how many (default 1 10 100 500)")
    parser.add_argument("--bytes", type=int, nargs="+", default=list(FRAME_BYTES), help="of a message")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"turns of each server (default {ROUNDS})")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"of a turn (default {SECONDS:g})")
    options = parser.parse_args(arguments)
    ticks = round(options.seconds * 1000 / TICK_MS)
    if min(*options.clients, *options.bytes, options.rounds, ticks) < 1:
        parser.error("clients, bytes, rounds and ticks are 1 or more")
    found: list[Comparison] = []
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        sink = compile_sink(Path(folder))
        if sink is None:
            print("gcc is not here to compile the receiver; nothing was measured", file=sys.stderr)
            return 1
        for frame_bytes in options.bytes:
            found += compare(sink, options.clients, frame_bytes, options.rounds, ticks)
    figures = {measure_name: value for c in found for measure_name, value in c.figures().items()}
    for door, wanted in WANTED_RATIOS.items():
        above = f"wanted and not reached: {DOOR_NAMES[door]}x {wanted} from {JUDGED_FROM_CLIENTS} clients on"
        figures[above] = verdict(found, door)
        print(f"  {above}: {figures[above]}")
    figures["other work: load before and after, of cores"] = (
        f"{load:.1f} and {os.getloadavg()[0]:.1f} of {os.cpu_count()}"
    )
    problems = [problem for comparison in found for problem in comparison.problems()]
    if problems:
        print("\n".join(problems), file=sys.stderr)
        return 1
    usual = (options.clients, options.bytes, options.seconds) == (list(CLIENTS), list(FRAME_BYTES), SECONDS)
    if usual and options.rounds >= ROUNDS:
        result: dict[str, Any] = {"rounds": options.rounds, "tick_ms": TICK_MS, "seconds": options.seconds}
        result["comparisons"] = [_result_of(comparison) for comparison in found]
        report.store("fanout", QUESTION, figures, result)
    return 0


if __name__ == "__main__":
    sys.exit(main())

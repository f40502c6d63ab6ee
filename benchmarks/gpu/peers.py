"""What people use for such grids on a GPU, on the same events and grids: weighted histograms, scattered additions.

Each peer gets what makes it fast: minutes as a column of their own, only the window's part of the log, everything on
the device already, its code compiled. Its work is what ours is but for the weights: the cell of each event, the events
that do not count left out, the additions, and the running sum along time. The library's call alone, with cells and
values ready, is timed as well. The times of all, ours too, are the device's, from the first thing asked for to the end
of the last, with whatever it waited for the host.

All of them run in a process of their own: whatever one of them does to the device, or to the process, ours goes on.
"""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TextIO

ROOT: Final = Path(__file__).resolve().parent.parent.parent
if __name__ == "__main__":
    sys.path[0:1] = [str(ROOT), str(ROOT / "server")]

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from benchmarks.gpu.made_events import NOW, make_year  # noqa: E402
from benchmarks.gpu.outcome import Comparison, Figure, Spread  # noqa: E402
from benchmarks.gpu.peer_calls import Peer, Window, find_peers, free_memory  # noqa: E402
from benchmarks.gpu.plan import SEED, Ask, Run, Sizes, asks_of  # noqa: E402
from benchmarks.gpu.projecting import ALL_FRAMES, MERGED, Ours  # noqa: E402
from benchmarks.gpu.watched_runtime import WARM_UP  # noqa: E402
from liqscape.device.backend import LedgerColumns  # noqa: E402

EXACT_BELOW: Final = 1 << 53
MOST_SECONDS: Final = 90.0
_BLOCK_EVENTS: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Task:
    """What the other process is to do.

    Attributes:
        count: events of the year, which is made anew there.
        ours: what our recompute takes, by timeframe.
    """

    sizes: Sizes
    count: int
    ours: dict[str, Ours]
    has_device: bool


def measure_peers(run: Run, count: int, ours: dict[str, Ours]) -> None:
    """Time every peer that is there on a year's events, and compare its grids with NumPy's.

    Raises:
        RuntimeError: the process did not come to its end; what it had found until then is kept.
    """
    task = Task(run.sizes, count, ours, run.runtime.facts.driver_version > 0)
    limit = max(10.0, min(MOST_SECONDS, run.outcome.seconds_left))
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "found"
        found.touch()
        command = (sys.executable, __file__, str(found))
        try:
            status: int | str = subprocess.run(command, input=pickle.dumps(task), timeout=limit, check=False).returncode
        except subprocess.TimeoutExpired:
            status = f"none after {limit:.0f} s"
        for line in found.read_text("utf-8").splitlines():
            _take(run, line)
    if status != 0:
        raise RuntimeError(f"the process of the peers ended with status {status}")


def _take(run: Run, line: str) -> None:
    """Take what the other process has found; a last line may have been cut off."""
    try:
        kind, values = json.loads(line)
    except ValueError:
        return
    if kind == "figure":
        run.outcome.add(Figure(**values | {"spread": Spread(**values["spread"])}))
    elif kind == "comparison":
        comparison = Comparison(**values)
        run.outcome.compare(comparison.what, [comparison.detail])
    else:
        run.outcome.skip(*values)


@dataclass(frozen=True, slots=True)
class Findings:
    """What is found goes to a file at once, a line each."""

    file: TextIO

    def add(self, figure: Figure) -> None:
        """Take a figure."""
        self._write("figure", asdict(figure))

    def compare(self, what: str, differences: Sequence[str]) -> None:
        """Take a comparison: what differs, in words."""
        self._write("comparison", asdict(Comparison(what, not differences, "; ".join(differences))))

    def skip(self, what: str, reason: str) -> None:
        """Take what was left out, and why."""
        self._write("skipped", [what, reason])

    def _write(self, kind: str, values: Any) -> None:
        print(json.dumps([kind, values]), file=self.file, flush=True)


def main() -> int:
    """Do the task that comes from standard input; write what is found to the file that is named."""
    task: Task = pickle.load(sys.stdin.buffer)
    with Path(sys.argv[1]).open("w", encoding="utf-8") as file:
        found = Findings(file)
        peers, missing = find_peers(task.has_device)
        for name, reason in missing:
            found.skip(f"peer {name} at {task.count:,} events", reason)
        year = make_year(task.count, SEED, task.sizes.days)
        asks = [ask for ask in asks_of(task.sizes, year.price) if ask.frame in task.sizes.peer_frames]
        best = [_measure_frame(found, task, year.events, ask, peers) for ask in asks]
        if len(asks) == len(task.sizes.frames):
            _compare_all(found, task, best)
    return 0


def _compare_all(found: Findings, task: Task, best: Sequence[dict[str, float]]) -> None:
    """Compare the grids of all timeframes: a library makes them one after the other, we in one call."""
    sums = {peer: sum(of_frame[peer] for of_frame in best) for peer in best[0] if all(peer in b for b in best)}
    if not sums:
        return
    fastest = min(sums, key=lambda peer: sums[peer])
    for key, end, words in (("raw", "", ""), ("merged", MERGED, ", from what a server keeps of these events")):
        ours = task.ours[ALL_FRAMES + end]
        if ours.whole_ms:
            ratio = Spread.of([sums[fastest] / ours.whole_ms])
            what = f"{task.count:,} events, {ALL_FRAMES}: best library call over ours{words}"
            said = f"{fastest} {sums[fastest]:.4g} ms; ours {ours.whole_ms:.4g} ms, kernels {ours.kernels_ms:.4g} ms"
            wanted = task.sizes.wanted_over_peers
            found.add(Figure(f"peer.{task.count}.all.{key}", what, "x", ratio, wanted=wanted, note=said))


def _measure_frame(
    found: Findings, task: Task, events: LedgerColumns, ask: Ask, peers: Sequence[Peer]
) -> dict[str, float]:
    """Measure a timeframe; return the milliseconds of each library by its name."""
    count, name = task.count, ask.frame.name
    ours = task.ours[name]
    part = _part(events, ask)
    truth = _unweighted(events, part, ask)
    most = int(np.abs(events.lots[part]).sum())
    best: dict[str, float] = {}
    for peer in peers:
        key, who = f"peer.{count}.{name}.{peer.name}", f"{count:,} events, {name}, {peer.name}"
        if peer.sums_in == "float64" and most >= EXACT_BELOW:
            found.skip(who, "it sums in float64, and these lots pass 2^53")
            continue
        try:
            best |= _measure_peer(found, task, peer, key, who, _window(events, part, ask, peer.put), truth)
        except Exception as error:  # out of memory, or a call that a version does not have
            found.skip(who, f"{type(error).__name__}: {error}")
        try:
            free_memory()
        except Exception as error:  # of a device that is lost
            found.skip(f"memory after {who}", f"{type(error).__name__}: {error}")
    if best and ours.whole_ms:
        fastest = min(best, key=lambda peer: best[peer])
        ratio = Spread.of([best[fastest] / ours.whole_ms])
        what = f"{count:,} events, {name}: best library call over ours"
        note = f"{fastest}; ours {ours.whole_ms:.4g} ms, of that kernels {ours.kernels_ms:.4g} ms"
        found.add(Figure(f"peer.{count}.{name}", what, "x", ratio, note=note))
    return best


def _measure_peer(
    found: Findings, task: Task, peer: Peer, key: str, who: str, window: Window, truth: NDArray[np.int64]
) -> dict[str, float]:
    """Return the milliseconds of a library's call by its name."""
    found.compare(who, _difference(peer.read(peer.whole(window)).reshape(truth.shape), truth))
    whole = _timed(peer, partial(peer.whole, window), task.sizes.repeats)
    found.add(Figure(key, f"{who}, whole", "ms", whole))
    if peer.has_call_alone:
        alone = _timed_alone(peer, window, task.sizes.repeats)
        found.add(Figure(f"{key}.alone", f"{who}, the call alone", "ms", alone))
    return {peer.name: whole.median} if peer.is_library else {}


def _part(events: LedgerColumns, ask: Ask) -> slice:
    first = ask.frame.first_column(NOW) * ask.frame.column_minutes
    begin, end = np.searchsorted(events.minute, np.array([first, NOW + 1], np.int32))
    return slice(int(begin), int(end))


def _window(events: LedgerColumns, part: slice, ask: Ask, put: Callable[[NDArray[Any]], Any]) -> Window:
    frame, rows = ask.frame, ask.rows
    return Window(
        minute=put(events.minute[part]),
        open_minute=put(events.open_minute[part]),
        row=put(events.row[part]),
        lots=put(events.lots[part]),
        first_minute=frame.first_column(NOW) * frame.column_minutes,
        column_minutes=frame.column_minutes,
        first_row=rows.first,
        multiple=rows.multiple,
        columns=frame.columns,
        rows=rows.count,
    )


def _unweighted(events: LedgerColumns, part: slice, ask: Ask) -> NDArray[np.int64]:
    """Return the grid of lots, by NumPy."""
    grid = np.zeros(ask.frame.columns * ask.rows.count, np.int64)
    for begin in range(part.start, part.stop, _BLOCK_EVENTS):
        block = slice(begin, min(begin + _BLOCK_EVENTS, part.stop))
        cells, counts = _window(events, block, ask, np.asarray).cells()
        np.add.at(grid, cells.astype(np.int64), events.lots[block] * counts)
    return np.cumsum(grid.reshape(ask.frame.columns, ask.rows.count), axis=0)


def _timed(peer: Peer, work: Callable[[], object], repeats: int) -> Spread:
    for _ in range(WARM_UP):
        work()
    return Spread.of([peer.timer(work) for _ in range(repeats)])


def _timed_alone(peer: Peer, window: Window, repeats: int) -> Spread:
    """Time the call with cells and values ready."""
    cells, counts = window.cells()
    return _timed(peer, partial(peer.add, cells, window.lots * counts, window.columns * window.rows), repeats)


def _difference(found: NDArray[Any], truth: NDArray[np.int64]) -> list[str]:
    wrong = int(np.count_nonzero(found.astype(np.int64) != truth))
    return [f"{wrong:,} of {truth.size:,} cells"] if wrong else []


if __name__ == "__main__":
    sys.exit(main())

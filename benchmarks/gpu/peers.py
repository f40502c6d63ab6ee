"""What people use for such grids on a GPU, on the same events and grids: weighted histograms, scattered additions.

Each peer gets what makes it fast: minutes as a column of their own, only the window's part of the log, everything on
the device already, its code compiled. Its work is what ours is but for the weights: the cell of each event, the events
that do not count left out, the additions, and the running sum along time. The library's call alone, with cells and
values ready, is timed as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.gpu.made_events import NOW
from benchmarks.gpu.outcome import Figure, Spread
from benchmarks.gpu.peer_calls import Peer, Window, find_peers, free_memory
from benchmarks.gpu.plan import Ask, Run
from benchmarks.gpu.projecting import Held
from benchmarks.gpu.watched_runtime import WARM_UP
from liqscape.device.backend import LedgerColumns

EXACT_BELOW: Final = 1 << 53
_BLOCK_EVENTS: Final = 1 << 20


def measure_peers(run: Run, count: int, held: Held) -> None:
    """Time every peer that is there on a year's events, and compare its grids with ours."""
    peers, missing = find_peers(run.runtime.facts.driver_version > 0)
    for name, reason in missing:
        run.outcome.skip(f"peer {name} at {count:,} events", reason)
    for ask in run.asks(held.year.price):
        if ask.frame in run.sizes.peer_frames:
            _measure_frame(run, count, held, ask, peers)
            free_memory()


def _measure_frame(run: Run, count: int, held: Held, ask: Ask, peers: Sequence[Peer]) -> None:
    ours = held.ours_ms[ask.frame.name]
    part = _part(held.year.events, ask)
    truth = _unweighted(held.year.events, part, ask)
    most = int(np.abs(held.year.events.lots[part]).sum())
    best: dict[str, float] = {}
    for peer in peers:
        if peer.sums_in == "float64" and most >= EXACT_BELOW:
            run.outcome.skip(f"{peer.name}, {ask.frame.name}", "it sums in float64, and these lots pass 2^53")
            continue
        key, who = f"peer.{count}.{ask.frame.name}.{peer.name}", f"{count:,} events, {ask.frame.name}, {peer.name}"
        try:
            window = _window(held.year.events, part, ask, peer.put)
            found = peer.read(peer.whole(window)).reshape(truth.shape)
            run.outcome.compare(who, _difference(found, truth))
            whole = _timed(peer, partial(peer.whole, window), run.sizes.repeats)
            alone = _timed_alone(peer, window, run.sizes.repeats) if peer.has_call_alone else None
        except Exception as error:  # out of memory, or a call that a version does not have
            run.outcome.skip(who, f"{type(error).__name__}: {error}")
            continue
        run.outcome.add(Figure(key, f"{who}, whole", "ms", whole, note=f"ours: {ours:.4g} ms"))
        if alone is not None:
            run.outcome.add(Figure(f"{key}.alone", f"{who}, the call alone", "ms", alone))
        if peer.is_library:
            best[peer.name] = whole.median
    if best and ours:
        name = min(best, key=lambda name: best[name])
        ratio = Spread.of([best[name] / ours])
        what = f"{count:,} events, {ask.frame.name}: best library call over ours"
        run.outcome.add(
            Figure(f"peer.{count}.{ask.frame.name}", what, "x", ratio, wanted=run.sizes.wanted_over_peers, note=name)
        )


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

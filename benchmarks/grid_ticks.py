"""The tick of nine channels: brought to now after each simulated second, columns rolling in turn as in a server."""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.grid_contenders import Window
from benchmarks.year_book import LiveTick, append_derived
from liqscape.axes import SymbolScale
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.device.numpy_ledger import NumpyLedger
from liqscape.grid.rolls import RollQueue
from liqscape.grid.updates import Channel
from liqscape.positions.weights import default_weights


@dataclass(frozen=True, slots=True)
class Ticks:
    """Milliseconds of bringing nine channels to now; rolls_by_timeframe are those of one channel, median and count."""

    count: int
    p50: float
    p99: float
    most: float
    plain_count: int
    plain_p50: float
    plain_p99: float
    roll_p50: float
    roll_most: float
    rolls_by_timeframe: dict[str, tuple[float, int]]
    wrong_grids: list[str]


def time_ticks(
    ledger: NumpyLedger, ticks: Sequence[LiveTick], windows: Sequence[Window], scale: SymbolScale, instruments: int
) -> Ticks:
    """Log the ticks one by one and time how long nine channels take to follow; compare them afterwards."""
    backend, weights = NumpyBackend(), default_weights(instruments)
    buffers = [
        backend.channel_buffer(w.frame, w.rows, weights, np.array(scale.usd_per_weighted_lot(w.rows), np.float64))
        for w in windows
    ]
    for window, buffer in zip(windows, buffers, strict=True):
        buffer.advance(ledger.capture(), window.now_minute)
    newest = [w.frame.column_of(w.now_minute) for w in windows]
    channels = [Channel(position, scale.symbol, w.frame) for position, w in enumerate(windows)]
    queue = RollQueue()
    spent = np.zeros((len(ticks), len(windows)))  # milliseconds
    rolled = np.zeros(spent.shape, np.bool_)
    gc.collect()
    for number, tick in enumerate(ticks):
        append_derived(ledger, tick, instruments)
        view = ledger.capture()
        due = [c for c in channels if c.timeframe.column_of(tick.minute) != newest[c.channel_id]]
        for position in queue.take(due, tick.end_ns):
            newest[position] = windows[position].frame.column_of(tick.minute)
            rolled[number, position] = True
        for position, buffer in enumerate(buffers):
            started = time.perf_counter()
            buffer.advance(view, tick.minute, newest[position])
            spent[number, position] = (time.perf_counter() - started) * 1e3
    wrong = []
    for window, buffer in zip(windows, buffers, strict=True):
        expected = backend.project(ledger.capture(), window.frame, ticks[-1].minute, window.rows, weights)
        if not np.array_equal(buffer.cells(), expected):
            wrong.append(window.frame.name)
    return summarise_ticks(spent, rolled, [w.frame.name for w in windows], wrong)


def summarise_ticks(
    spent: NDArray[np.float64], rolled: NDArray[np.bool_], names: Sequence[str], wrong_grids: list[str]
) -> Ticks:
    """Put plain ticks and ticks with a roll apart.

    Args:
        spent: float64[tick, channel], milliseconds.
        rolled: bool[tick, channel], whether a column rolled.
        names: timeframe of each channel.
        wrong_grids: passed on.
    """
    total, rolling = spent.sum(axis=1), rolled.any(axis=1)
    plain, rolls = total[~rolling], total[rolling]
    by_timeframe = {
        name: (float(np.median(spent[rolled[:, n], n])), int(rolled[:, n].sum()))
        for n, name in enumerate(names)
        if rolled[:, n].any()
    }
    return Ticks(
        count=len(total),
        p50=_quantile(total, 0.5),
        p99=_quantile(total, 0.99),
        most=_quantile(total, 1.0),
        plain_count=len(plain),
        plain_p50=_quantile(plain, 0.5),
        plain_p99=_quantile(plain, 0.99),
        roll_p50=_quantile(rolls, 0.5),
        roll_most=_quantile(rolls, 1.0),
        rolls_by_timeframe=by_timeframe,
        wrong_grids=wrong_grids,
    )


def _quantile(values: NDArray[np.float64], share: float) -> float:
    """Return a value that was measured, the next higher one; 0 where there is none."""
    return float(np.quantile(values, share, method="higher")) if len(values) else 0.0

"""A heatmap as a small picture: cells thinned out to a given size, price path and axis marks placed. Numbers only."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqscape_client.grids import Heatmap

_TIME_STEPS_MINUTES: Final = (
    5,
    10,
    15,
    30,
    60,
    120,
    180,
    240,
    360,
    720,
    1440,
    2880,
    10080,
    20160,
    43200,
    86400,
    129600,
)


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """What a renderer needs.

    Attributes:
        levels: uint8[x, y], the largest level of the cells under each point; oldest and lowest first.
        on_path: bool[x, y], where the price was.
        price_y: point of the price now; None where it lies outside.
        price_low, price_high: what y spans, quote currency.
        top_level: the largest level shown.
    """

    levels: NDArray[np.uint8]
    on_path: NDArray[np.bool_]
    price_y: int | None
    price_low: float
    price_high: float
    top_level: int

    def price_at(self, y: float) -> float:
        """Return the price at a height; 0 is the lower edge of the picture."""
        return self.price_low + (self.price_high - self.price_low) * y / len(self.levels[0])


def draw(
    heatmap: Heatmap, width: int, height: int, *, price: float | None, span_percent: float | None = None
) -> Picture:
    """Thin a heatmap out to width x height points; each shows the largest cell it stands for, so that none vanishes.

    Args:
        heatmap: what to draw.
        width: points along time, positive.
        height: points along price, positive.
        price: price now.
        span_percent: prices shown on each side of the price, in percent of it; None = all rows.
    """
    rows = _rows_shown(heatmap, price, span_percent)
    edges = heatmap.axes.price_edges()[rows.start : rows.stop + 1]
    levels = _thin(_thin(heatmap.levels[:, rows], width, 0), height, 1)
    low, high = float(edges[0]), float(edges[-1])

    def y_of(prices: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.floor((prices - low) / (high - low) * height)

    close = y_of(_last_known(heatmap.candles.close, width))
    before = np.concatenate((close[:1], close[:-1]))
    y = np.arange(height)
    # Each point is joined to the one before. What is not known is NaN, and every comparison with NaN is false.
    on_path = (y >= np.fmin(before, close)[:, None]) & (y <= np.fmax(before, close)[:, None])
    on_path[np.isnan(close)] = False
    price_y = None if price is None or not low <= price < high else int(y_of(np.array([price]))[0])
    return Picture(levels, on_path, price_y, low, high, int(levels.max()))


def _rows_shown(heatmap: Heatmap, price: float | None, span_percent: float | None) -> slice:
    rows = heatmap.levels.shape[1]
    if price is None or span_percent is None:
        return slice(0, rows)
    edges = heatmap.axes.price_edges()
    first = int(np.searchsorted(edges, price * (1 - span_percent / 100), side="right")) - 1
    last = int(np.searchsorted(edges, price * (1 + span_percent / 100), side="left"))
    first, last = max(0, first), min(rows, last)
    return slice(first, last) if first < last else slice(0, rows)


def _thin(values: NDArray[np.uint8], size: int, axis: int) -> NDArray[np.uint8]:
    """Return values with `size` entries along an axis: the largest of each bin, or repeated where there are too few."""
    count = values.shape[axis]
    if count < size:
        repeated: NDArray[np.uint8] = values.take(np.arange(size) * count // size, axis=axis)
        return repeated
    thinned: NDArray[np.uint8] = np.maximum.reduceat(values, np.arange(size) * count // size, axis=axis)
    return thinned


def _last_known(values: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Return the last value that is not NaN in each of `size` bins; NaN where there is none."""
    count = values.size
    newest = np.where(np.isnan(values), -1, np.arange(count))
    starts = np.arange(size) * count // size
    last = newest.take(starts) if count < size else np.maximum.reduceat(newest, starts)
    return np.where(last < 0, np.nan, values[last])


def price_marks(picture: Picture, lines: int, every: int) -> dict[int, float]:
    """Return the price at the middle of some text lines (each of equal height), by line counted from the top."""
    height = picture.levels.shape[1] / lines
    return {line: picture.price_at((lines - line - 0.5) * height) for line in range(lines // 2 % every, lines, every)}


def price_decimals(picture: Picture, lines: int, most: int) -> int:
    """Return the decimal places that tell neighbouring text lines apart, at most so many."""
    step = (picture.price_high - picture.price_low) / lines
    return max(0, min(most, math.ceil(-math.log10(step)) + 1)) if step > 0 else 0


def time_marks(heatmap: Heatmap, width: int, label_width: int) -> list[tuple[int, int, bool]]:
    """Return marks for the time axis: x, minute since 1970 UTC, and whether marks are days apart.

    Marks lie on round UTC times and at least label_width points apart.
    """
    axes = heatmap.axes
    first = (heatmap.newest_column - axes.columns + 1) * axes.column_minutes
    minutes = axes.columns * axes.column_minutes
    step = next((s for s in _TIME_STEPS_MINUTES if s * width / minutes >= label_width), minutes)
    start = -(-first // step) * step
    return [
        ((minute - first) * width // minutes, minute, step >= 1440) for minute in range(start, first + minutes, step)
    ]

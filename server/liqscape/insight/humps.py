"""Where lots lie close together: humps of a row of numbers, joined, split and bounded. Pure, integers alone.

    lots by row -> smoothed -> humps between valleys -> joined where the valley is shallow -> cut to their dense part

A hump is a local maximum of the smoothed rows with everything down to the valleys beside it. Two neighbours are one
when the valley between them is no valley to speak of, both are dense, and both together are not too wide; the pair with
the shallowest valley is joined first. What is left is bounded by its own highest row.
"""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liqscape.insight.cluster_thresholds import MILLION


@dataclass(frozen=True, slots=True)
class HumpRules:
    """What bounds a hump.

    Attributes:
        half_width: rows from the middle of the smoothing triangle to where it is 0, 1 or more; 1: nothing is smoothed.
        valley_ppm: neighbours are apart where the valley is below so many millionths of the lower one.
        edge_ppm: the dense part has at least so many millionths of its highest row.
        max_rows: of one hump, 1 or more.
    """

    half_width: int
    valley_ppm: int
    edge_ppm: int
    max_rows: int


@dataclass(frozen=True, slots=True)
class Hump:
    """Rows that belong together; `first` and `last` are inclusive, and they and `peak` hold lots."""

    first: int
    last: int
    peak: int


@dataclass(slots=True)
class _Part:
    """Rows `low` to `high` around a peak. `version` tells whether a joining that was thought of is still the same."""

    low: int
    high: int
    peak: int
    version: int = 0
    left: int = -1
    right: int = -1


def find_humps(lots: NDArray[np.int64], rules: HumpRules) -> list[Hump]:
    """Return the humps, ascending; no two share a row.

    Args:
        lots: int64[row], 0 or more; their sum times half_width is below 2^63.
        rules: what bounds them.
    """
    if not lots.any():
        return []
    smoothed = smooth(lots, rules.half_width)
    parts = _joined(smoothed, _parts(smoothed, lots), rules)
    return [_tight(lots, part.peak, *_dense(smoothed, part, rules)) for part in parts]


def smooth(lots: NDArray[np.int64], half_width: int) -> NDArray[np.int64]:
    """Return each row plus its neighbours, half_width - distance times each: int64[row], half_width^2 times as high."""
    box = np.ones(half_width, np.int64)
    triangle = np.convolve(box, box)
    smoothed: NDArray[np.int64] = np.convolve(lots, triangle)[half_width - 1 : half_width - 1 + len(lots)]
    return smoothed


def _parts(smoothed: NDArray[np.int64], lots: NDArray[np.int64]) -> list[_Part]:
    """Return every local maximum with the rows between the valleys beside it; these rows are all there are.

    Where a maximum is flat its peak is the row with the most lots, of equal ones the lowest price. It has some: from
    one row with lots to the next the smoothed rows are convex, so what is flat and highest ends at rows with lots.
    """
    starts = np.concatenate(([0], np.flatnonzero(np.diff(smoothed)) + 1))
    ends = np.append(starts[1:], len(smoothed)) - 1
    levels = smoothed[starts]
    before, after = np.append(-1, levels[:-1]), np.append(levels[1:], -1)
    peaks = np.flatnonzero((levels > before) & (levels > after))
    tops = [int(starts[at]) + int(np.argmax(lots[starts[at] : ends[at] + 1])) for at in peaks]
    parts = [_Part(0, len(smoothed) - 1, top) for top in tops]
    for number, (left, right) in enumerate(itertools.pairwise(parts)):
        low, high = int(peaks[number]), int(peaks[number + 1])
        valley = low + int(np.argmin(levels[low : high + 1]))
        left.high = int(starts[valley] + ends[valley]) // 2  # the row of the valley goes to the lower price
        right.low = left.high + 1
        left.right, right.left = number + 1, number
    return parts


def _joined(smoothed: NDArray[np.int64], parts: list[_Part], rules: HumpRules) -> list[_Part]:
    """Return the parts with neighbours joined, shallowest valley first; of equal ones the lowest price first.

    A joining only raises the lower of two peaks, so a valley gets deeper by it and never has to be put before others.
    """
    heights: list[int] = smoothed.tolist()
    gone = [False] * len(parts)
    waiting: list[tuple[int, int, int, int]] = []

    def consider(number: int) -> None:
        left = parts[number]
        if left.right < 0:
            return
        right = parts[left.right]
        lower = min(heights[left.peak], heights[right.peak])
        share = min(heights[left.high], heights[right.low]) * MILLION // lower
        if share >= rules.valley_ppm:
            heapq.heappush(waiting, (-share, left.low, number, left.version + right.version))

    for number in range(len(parts)):
        consider(number)
    while waiting:
        _, _, number, version = heapq.heappop(waiting)
        left = parts[number]
        if gone[number] or left.right < 0 or version != left.version + parts[left.right].version:
            continue
        other = left.right
        both = _union(smoothed, left, parts[other])
        if not _is_one(smoothed, left, parts[other], both, rules):
            continue
        both.version, both.right, both.left = version + 1, parts[other].right, left.left
        parts[number], gone[other] = both, True
        if both.right >= 0:
            parts[both.right].left = number
            consider(number)
        if both.left >= 0:
            consider(both.left)
    return [part for part, is_gone in zip(parts, gone, strict=True) if not is_gone]


def _union(smoothed: NDArray[np.int64], left: _Part, right: _Part) -> _Part:
    peak = left.peak if smoothed[left.peak] >= smoothed[right.peak] else right.peak
    return _Part(left.low, right.high, peak)


def _is_one(smoothed: NDArray[np.int64], left: _Part, right: _Part, both: _Part, rules: HumpRules) -> bool:
    """Return whether the dense part of both together has both peaks and is not too wide."""
    first, last = _extent(smoothed, both, rules.edge_ppm)
    return first <= left.peak and right.peak <= last and last - first < rules.max_rows


def _extent(smoothed: NDArray[np.int64], part: _Part, edge_ppm: int) -> tuple[int, int]:
    """Return the first and last row that is dense, seen from the peak of a part."""
    least = -(-int(smoothed[part.peak]) * edge_ppm // MILLION)
    dense = np.flatnonzero(smoothed[part.low : part.high + 1] >= least)
    return part.low + int(dense[0]), part.low + int(dense[-1])


def _dense(smoothed: NDArray[np.int64], part: _Part, rules: HumpRules) -> tuple[int, int]:
    """Return the dense part; where that is too wide the rows around the peak, the higher neighbour first."""
    low, high = _extent(smoothed, part, rules.edge_ppm)
    if high - low < rules.max_rows:
        return low, high
    first = last = part.peak
    while last - first + 1 < rules.max_rows:
        if last == high or (first > low and smoothed[first - 1] >= smoothed[last + 1]):
            first -= 1
        else:
            last += 1
    return first, last


def _tight(lots: NDArray[np.int64], peak: int, first: int, last: int) -> Hump:
    """Return the rows from the first to the last one with lots."""
    held = np.flatnonzero(lots[first : last + 1])
    return Hump(first + int(held[0]), first + int(held[-1]), peak)

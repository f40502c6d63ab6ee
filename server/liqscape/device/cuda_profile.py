"""The lots of one live table by key and row, summed on the device. The kernels are those of profile_kernels.cu."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqscape.device.backend import BookProfile, LotRates
from liqscape.device.cuda_cohorts import CudaCohorts, Place
from liqscape.device.cuda_marks import Marks
from liqscape.device.queue import DeviceArray, Queue
from liqscape.device.scratch import Results, Scratch

LARGEST_PROFILE_CELLS: Final = 1 << 23
"""64 MB: 400 keys over 20,000 base rows are done in one go."""

_KEYS_OF_INSTRUMENT: Final = 32

_ENTRY: Final = np.dtype([("lots", np.int64), ("row", np.int32), ("key", np.uint16), ("padding", np.uint16)])


class CudaProfiles:
    """Sums tables. The work of one thread.

    Args:
        queue: all work on the cohorts is in its order.
        marks: shared with others of that queue.
        cohorts: of all tables.
        most_cells: summed in one go; a cell is a key on a row, from the lowest row of the table to the highest.
        least_ahead: cells read with the first wait even where few are expected.
    """

    def __init__(self, queue: Queue, marks: Marks, cohorts: CudaCohorts, most_cells: int, least_ahead: int) -> None:
        self._queue = queue
        self._marks = marks
        self._cohorts = cohorts
        self._most_cells = most_cells
        self._sums = Scratch(queue, np.int64)
        self._found = Results(queue, _ENTRY, least_ahead)

    def profile(self, place: Place, rates: LotRates) -> BookProfile:
        """Return what a table holds. Waits once for its rows, and once for each most_cells of its cells.

        Raises:
            OutOfDeviceMemory.
        """
        parts = [np.empty(0, _ENTRY)]
        if place.live:
            low, high = self._row_range(place)
            rows = high - low + 1
            cells = (place.groups + 1) // 2 * _KEYS_OF_INSTRUMENT * rows
            for first in range(0, cells, self._most_cells):
                parts.append(self._part(place, rates, low, rows, first, min(self._most_cells, cells - first)))
        found = np.concatenate(parts)
        return BookProfile(*(np.ascontiguousarray(found[name]) for name in ("key", "row", "lots")))

    def _row_range(self, place: Place) -> tuple[int, int]:
        """Return the lowest and the highest row of the live cohorts."""
        limits = np.iinfo(np.int32)
        (found,) = self._cohorts.send((np.array([limits.max, limits.min], np.int32),))
        c = self._cohorts
        self._marks.launch("find_row_range", self._marks.tiles(place.count), *_own(place), c.row, c.lots, found)
        low, high = self._queue.read(found).tolist()
        return low, high

    def _part(self, place: Place, rates: LotRates, low: int, rows: int, first: int, cells: int) -> NDArray[np.void]:
        """Return the entries of some cells, ascending."""
        c, tiles = self._cohorts, self._marks.tiles(cells)
        sums, words = self._sums.reserve(cells), self._marks.words(tiles)
        span, _ = self._marks.spans([0], [cells])
        # A rate of 1 / 0 is one lot a unit.
        by_instrument = np.stack((rates.numerator, np.where(rates.is_inverse, rates.denominator, 0)), axis=1)
        sent_span, sent_rates = c.send((span, by_instrument.astype(np.int64).reshape(-1)))
        where = (np.int32(low), np.int64(rows), np.int64(first))
        self._queue.fill(sums, 0)
        summing = (c.row, c.key, c.lots, sent_rates, *where, np.uint32(cells), sums)
        self._marks.launch("sum_profile", self._marks.tiles(place.count), *_own(place), *summing)
        self._marks.launch("mark_filled", tiles, np.uint32(cells), sums, words)
        marked = self._marks.count(sent_span, words)

        def write(room: DeviceArray) -> None:
            filled = (sums, marked.words, marked.offsets, marked.totals, np.uint32(len(room)))
            self._marks.launch("write_profile", tiles, *filled, *where, room)

        return self._found.collect(write, marked.totals, min(cells, place.live))[1]


def _own(place: Place) -> tuple[np.uint32, np.uint32]:
    return np.uint32(place.first), np.uint32(place.count)

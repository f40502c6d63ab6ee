"""Taking lots from the cohorts of many live tables on a device: what a trigger price reaches, what closes by its clock.

Cohorts are marked first, then taken; until then nothing has changed. The kernels are those of live_kernels.cu.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from liqscape.device.backend import EndedCohorts
from liqscape.device.cuda_cohorts import Chosen, CudaCohorts, Place
from liqscape.device.cuda_marks import WARP, Marked, Marks
from liqscape.device.queue import DeviceArray, Queue
from liqscape.device.scratch import Results, Scratch
from liqscape.errors import ModelError

_DIGIT_BITS: Final = 8
_DIGITS: Final = 1 << _DIGIT_BITS
_NO_PLACE: Final = np.iinfo(np.uint32).max
_NOWHERE: Final = np.uint64(0)
"""A null pointer, in the place of an array."""

_SEARCH: Final = np.dtype(
    [
        ("lots", np.uint64),
        ("clock", np.uint64),
        ("open_lots", np.uint64),
        ("lowest", np.int64),
        ("place", np.uint32),
        ("padding", np.uint32),
    ]
)
_ENDED: Final = np.dtype(
    [
        ("lots", np.int64),
        ("left", np.int64),
        ("open_minute", np.int32),
        ("row", np.int32),
        ("key", np.uint16),
        ("padding", np.uint16, 3),
    ]
)


def _none(dtype: type) -> NDArray[Any]:
    return np.empty(0, dtype)


NONE_ENDED: Final = EndedCohorts(_none(np.int32), _none(np.int32), _none(np.uint16), _none(np.int64), _none(np.int64))


class CudaTaking:
    """Sweeps and closes. The work of one thread.

    Args:
        queue: all work on the cohorts is in its order.
        marks: shared with others of that queue.
        cohorts: of all tables.
        least_ahead: ended cohorts read with the first wait even where few are expected.
    """

    def __init__(self, queue: Queue, marks: Marks, cohorts: CudaCohorts, least_ahead: int) -> None:
        self._marks = marks
        self._cohorts = cohorts
        self._swept = Results(queue, _ENDED, least_ahead)
        self._closed = Results(queue, _ENDED, least_ahead)
        self._digit_sums = Scratch(queue, np.uint64, zeroed=True)

    def sweep(self, places: Sequence[Place], trigger_rows: Sequence[NDArray[np.int64]]) -> list[EndedCohorts]:
        """End every cohort that the trigger row of its group has reached, in each table."""
        c = self._cohorts
        chosen, (triggers,) = c.choose(places, (np.concatenate(trigger_rows),))
        marked = c.mark("mark_swept", chosen, chosen.first_groups, triggers, c.row, c.key, c.lots)
        totals, items, _ = self._swept.collect(
            lambda room: self._take(chosen, marked, None, room), marked.totals, _live(places)
        )
        return _by_table(places, totals, items)

    def close(
        self, places: Sequence[Place], lots: Sequence[NDArray[np.int64]]
    ) -> tuple[list[EndedCohorts], list[NDArray[np.int64]]]:
        """Close lots of each group in each table.

        Returns:
            What closed, and int64[group] the clock reached where lots were asked for, by table.

        Raises:
            ModelError: a group holds less.
        """
        c, wanted = self._cohorts, np.concatenate(lots)
        searches = np.zeros(len(wanted), _SEARCH)
        searches["lots"] = np.maximum(wanted, 0)
        searches["place"] = np.where(wanted > 0, 0, _NO_PLACE)
        searches["lowest"] = lowest = np.concatenate([place.lowest_clock for place in places])
        highest = np.concatenate([place.highest_clock for place in places])
        sums = self._digit_sums.reserve(len(wanted) * _DIGITS)
        chosen, (sent, refused) = c.choose(places, (searches, np.zeros(1, np.uint32)))
        # Clocks of a group lie close together, so they differ in few bits; and no place has more than there are places.
        widest = int((highest - lowest)[wanted > 0].max())
        last_place = max(place.count for place in places) - 1
        digits = [*_digits(max(widest, 1), of_clock=True), *_digits(last_place, of_clock=False)]
        for digit in digits:
            self._narrow(chosen, sent, refused, sums, digit, is_first=digit is digits[0])
        marked = c.mark("mark_due", chosen, chosen.first_groups, sent, c.key, c.lots, c.clock)
        ends = np.cumsum([len(one) for one in lots])[:-1]

        def check(others: Sequence[NDArray[Any]]) -> None:
            for one, held in zip(lots, np.split(others[0]["open_lots"].astype(np.int64), ends), strict=True):
                if (held < one).any():
                    raise ModelError(f"asked to close {one.tolist()} lots by group, of which {held.tolist()} are open")

        totals, items, (found,) = self._closed.collect(
            lambda room: self._take(chosen, marked, (sent, refused), room),
            marked.totals,
            _live(places),
            also=(sent,),
            check=check,
        )
        reached = found["clock"].astype(np.int64) + lowest
        for place, clocks in zip(places, np.split(np.where(wanted > 0, reached, lowest), ends), strict=True):
            place.lowest_clock = clocks
        return _by_table(places, totals, items), np.split(reached, ends)

    def _narrow(
        self,
        chosen: Chosen,
        searches: DeviceArray,
        refused: DeviceArray,
        sums: DeviceArray,
        digit: _Digit,
        *,
        is_first: bool,
    ) -> None:
        """Find the next digit of every search."""
        c, groups = self._cohorts, len(searches)
        kind, shift, bits = np.uint32(digit.of_clock), np.uint32(digit.shift), np.uint32(digit.bits)
        own = (chosen.table_of_tile, chosen.spans, chosen.first_groups, searches, kind, shift, bits)
        self._marks.launch("sum_digits", chosen.tiles, *own, c.key, c.lots, c.clock, sums)
        blocks = -(-groups * WARP // self._marks.sizes.threads)
        sizes = (np.uint32(groups), np.uint32(is_first), kind, bits)
        self._marks.launch("narrow_searches", blocks, *sizes, searches, sums, refused)

    def _take(
        self, chosen: Chosen, marked: Marked, searches: tuple[DeviceArray, DeviceArray] | None, room: DeviceArray
    ) -> None:
        """Take what is marked, of the last one of each search what it asks for; nothing where there is no room."""
        c = self._cohorts
        own = (chosen.table_of_tile, chosen.spans, chosen.first_groups)
        sizes = (np.uint32(len(marked.totals)), np.uint32(len(room)))
        placed = (marked.words, marked.offsets, marked.totals, *sizes)
        columns = (c.open_minute, c.row, c.key, c.lots)
        self._marks.launch("take_marked", chosen.tiles, *own, *(searches or (_NOWHERE,) * 2), *placed, *columns, room)


@dataclass(frozen=True, slots=True)
class _Digit:
    """Bits shift to shift + bits of clocks, or else of places."""

    of_clock: bool
    shift: int
    bits: int


def _digits(highest: int, *, of_clock: bool) -> list[_Digit]:
    """Return the digits of numbers up to a highest one, high digits first; none where that is 0."""
    ends = range(highest.bit_length(), 0, -_DIGIT_BITS)
    return [_Digit(of_clock, max(end - _DIGIT_BITS, 0), min(end, _DIGIT_BITS)) for end in ends]


def _live(places: Sequence[Place]) -> int:
    return sum(place.live for place in places)


def _by_table(places: Sequence[Place], totals: NDArray[np.uint32], items: NDArray[Any]) -> list[EndedCohorts]:
    """Return what was taken by table, and count what is left in each."""
    columns = [np.ascontiguousarray(items[name]) for name in ("open_minute", "row", "key", "lots", "left")]
    ends = np.cumsum(totals, dtype=np.int64)
    gone = np.append(0, np.cumsum(columns[-1] == 0))
    for place, count in zip(places, (gone[ends] - gone[ends - totals]).tolist(), strict=True):
        place.live -= count
    parts = [np.split(column, ends[:-1]) for column in columns]
    return [EndedCohorts(*of_table) for of_table in zip(*parts, strict=True)]

"""What stated positions are, and what a step does to them: values of stated_book.py, and the batches they become."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from liqscape.device.backend import CohortBatch
from liqscape.events import PositionSide, PositionStatement
from liqscape.positions.cohort_book import nothing
from liqscape.positions.weights import STATED_TIER_INDEX, make_key

UNPRICED_ROWS: Final = (0, 1 << 18)
"""Rows of positions without a liquidation price, by side: where a price never comes. The price itself is on row 3,333
when a base step is chosen and on 16,667 when it is made coarser. Rows much higher would cost a merge of old events bits
to sort by. Stated prices are kept between the two, exclusive."""

Cohort: TypeAlias = tuple[int, int, int]
"""Open minute, row, key."""


@dataclass(frozen=True, slots=True)
class AccountNews:
    """What is stated in a tick, and when.

    Attributes:
        minute: of its last event.
        time_ns: the source's clock at its end.
        statements: in their order.
        unheard_ns: how long nobody has listened before it; what was stated by then is not older for that.
    """

    minute: int
    time_ns: int
    statements: tuple[PositionStatement, ...] = ()
    unheard_ns: int = 0


@dataclass(frozen=True, slots=True)
class Released:
    """Lots that nobody states any more: they go on as estimated ones. row is None where no price was stated."""

    number: int
    side: PositionSide
    row: int | None
    lots: int


@dataclass(slots=True)
class Holding:
    """A position of one account: lots of the book, and lots stated. waits: for more to take the place of."""

    lots: int
    stated: int
    row: int
    open_minute: int
    stated_ns: int
    waits: bool


@dataclass(slots=True)
class StatedChanges:
    """What a step does to stated positions, for the ledger. One without a price is in no row and tells it nothing.

    Attributes:
        taken: int64[group], lots of estimated cohorts whose place is taken: they are to close by the clock.
        swept, closed, down, up: lots by cohort: reached by a price; closed by what the venue states, or cut; taken off
            a row or out of the known; put on one.
        leaving: group and what is held there, of those that are not stated any more.
    """

    taken: NDArray[np.int64]
    swept: dict[Cohort, int] = field(default_factory=dict)
    closed: dict[Cohort, int] = field(default_factory=dict)
    down: dict[Cohort, int] = field(default_factory=dict)
    up: dict[Cohort, int] = field(default_factory=dict)
    leaving: list[tuple[int, Holding]] = field(default_factory=list)


def batch_of(lots: Mapping[Cohort, int]) -> CohortBatch:
    """Return cohorts with any lots, ascending by open minute, row and key."""
    if not lots:
        return nothing()  # as in every step where nothing is stated
    named = sorted((cohort, count) for cohort, count in lots.items() if count)
    table = np.array([(*cohort, count) for cohort, count in named], np.int64).reshape(-1, 4)
    return CohortBatch(
        table[:, 0].astype(np.int32), table[:, 1].astype(np.int32), table[:, 2].astype(np.uint16), table[:, 3].copy()
    )


def add(into: dict[Cohort, int], cohort: Cohort, lots: int) -> None:
    """Count lots of a cohort."""
    into[cohort] = into.get(cohort, 0) + lots


def stated_key(group: int) -> int:
    """Return the key of what is stated of a group."""
    return make_key(group >> 1, STATED_TIER_INDEX, PositionSide(group & 1))


def is_priced(row: int, side: PositionSide) -> bool:
    """Return whether a position on a row has a liquidation price."""
    return row != UNPRICED_ROWS[side]


def is_reached(row: int, trigger_row: int, side: PositionSide) -> bool:
    """Return whether a trigger price has reached a row; see LiveTable.sweep."""
    return row >= trigger_row if side is PositionSide.LONG else row <= trigger_row

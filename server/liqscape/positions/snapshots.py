"""Books between two ticks, whole, as plain values: what the same books are made of again.

Two-element tuples are indexed by PositionSide: long, short.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liqscape.device.backend import LiveSnapshot
from liqscape.market.bars import TradedRows


@dataclass(frozen=True, slots=True, kw_only=True)
class InflowSnapshot:
    """What Inflow remembers: the last sample, the trades since, and what each slot of longs and shorts is owed."""

    last_sample: int | None
    traded: TradedRows | None
    credits: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSnapshot:
    """The accounts of one instrument, see InstrumentAccount."""

    live: tuple[int, int]
    uncovered: tuple[int, int]
    swept: tuple[int, int]
    model_error_lots: int
    watermark_ns: int
    inflow: InflowSnapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortsSnapshot:
    """Open cohorts, and the rows of the last prices: by instrument id, and of any."""

    live: LiveSnapshot
    last_rows: Mapping[str, int]
    last_row_of_any: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedSnapshot:
    """A StatedBook: arrays of one length, an element a position, by group and account.

    Attributes:
        account: see events.PositionStatement.
        key: of its cohort.
        lots, stated: held, and stated by the venue.
        row: of its cohort.
        open_minute: of its cohort.
        stated_ns: when it was so.
        waits: 1: for room for what is stated beyond what is held.
    """

    account: NDArray[np.int64]
    key: NDArray[np.uint16]
    lots: NDArray[np.int64]
    stated: NDArray[np.int64]
    row: NDArray[np.int32]
    open_minute: NDArray[np.int32]
    stated_ns: NDArray[np.int64]
    waits: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class BookSnapshot:
    """A PositionBook; accounts by instrument id, hazard int64[group]; stated is None where no position is."""

    cohorts: CohortsSnapshot
    accounts: Mapping[str, AccountSnapshot]
    hazard: NDArray[np.int64]
    stated: StatedSnapshot | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenOnlySnapshot:
    """An OpenOnlyBook; inflows by instrument id."""

    cohorts: CohortsSnapshot
    inflows: Mapping[str, InflowSnapshot]

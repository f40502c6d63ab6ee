"""The operations positions/ and grid/ need from an array device, as protocols; NumPy is their definition.

Every implementation returns bit-identical arrays. What crosses this seam is host arrays of what changed; tables,
ledgers and grids stay where the backend keeps them. Groups are instrument number x 2 + side (0 long, 1 short).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from liqscape.axes import RowRange, Timeframe

NO_TRIGGER: Final = np.iinfo(np.int64).max
"""In the trigger rows of a sweep: this group has no trigger price in this bar."""


@dataclass(frozen=True, slots=True)
class CohortBatch:
    """Lots that were opened or ended, in append order; lots are positive. All arrays have the same length.

    A live table counts in the unit of each instrument: lots, or the contracts of an inverse one. A ledger knows lots.
    """

    open_minute: NDArray[np.int32]
    row: NDArray[np.int32]
    key: NDArray[np.uint16]
    lots: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.lots)


@dataclass(frozen=True, slots=True)
class EndedCohorts(CohortBatch):
    """What was taken from cohorts of a live table, and what is left of each: 0 where it has ended."""

    left: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LedgerColumns:
    """Signed events in time order, host arrays of the same length: lots are negative for what ended."""

    minute: NDArray[np.int32]
    open_minute: NDArray[np.int32]
    row: NDArray[np.int32]
    key: NDArray[np.uint16]
    lots: NDArray[np.int64]
    cause: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class LotRates:
    """What a unit of each instrument is in lots, by the base row in which its cohort would be liquidated.

    n on row r are n lots, or floor(n x numerator / ((2 r + 1) x denominator)) of an inverse instrument, at the middle
    price of the row. (2 r + 1) x numerator x denominator is below 2^63 on every row there is.

    Attributes:
        is_inverse: bool[instrument].
        numerator, denominator: int64[instrument], positive; 1 where not inverse.
    """

    is_inverse: NDArray[np.bool_]
    numerator: NDArray[np.int64]
    denominator: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class BookProfile:
    """Open lots by key and base row, ascending by both and unique by them: uint16[n], int32[n], int64[n] > 0.

    A book of millions of cohorts has some hundred thousand of these, and every map can be made of them.
    """

    key: NDArray[np.uint16]
    row: NDArray[np.int32]
    lots: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LiveSnapshot:
    """A live table on the host, whole: what any backend makes the same table of.

    Attributes:
        cohorts: the open ones, in append order.
        clocks: int64[cohort].
        hazard: int64[group], the clock last reached by closes.
    """

    cohorts: CohortBatch
    clocks: NDArray[np.int64]
    hazard: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LedgerSnapshot:
    """A ledger on the host, whole: what any backend makes the same ledger of.

    Attributes:
        raw: events of the raw log.
        tiers: merged events of each age tier.
        limits: the open minute below which nothing is in tiers 0..k, for each tier k.
        merged_events: how many events, from the very first one, are in the tiers or have been dropped.
        until_minute: the last event minute merged; -1: none was.
        coarsened: how often rows were coarsened.
        unmerged: rows were coarsened since the last merge, so tiers hold events that agree.
    """

    raw: LedgerColumns
    tiers: tuple[LedgerColumns, ...]
    limits: tuple[int, ...]
    merged_events: int
    until_minute: int
    coarsened: int
    unmerged: bool


class LiveTable(Protocol):
    """Open cohorts of one symbol, each in the unit of its instrument, which the table need not know."""

    def __len__(self) -> int:
        """Return the number of open cohorts."""
        ...

    def append(
        self,
        open_minute: int,
        rows: NDArray[np.int32],
        keys: NDArray[np.uint16],
        lots: NDArray[np.int64],
        clocks: NDArray[np.int64],
    ) -> NDArray[np.int64]:
        """Open cohorts. One that shares minute, row and key with an open cohort joins it and takes its clock.

        Args:
            open_minute: never below that of an earlier call.
            rows, keys: pairs are unique within the call.
            lots: positive.
            clocks: used where no cohort is joined.

        Returns:
            int64[n], what each of them holds now: its lots, more where it joined.
        """
        ...

    def sweep(self, trigger_rows: NDArray[np.int64]) -> EndedCohorts:
        """End every cohort the trigger price has reached.

        Args:
            trigger_rows: int64[group]; a long ends when its row >= it, a short when its row <= it; NO_TRIGGER: none
                ends.
        """
        ...

    def close(self, lots: NDArray[np.int64]) -> tuple[EndedCohorts, NDArray[np.int64]]:
        """Close lots of each group in order (clock, append number), the last cohort in part.

        Args:
            lots: int64[group], at most what the group holds.

        Returns:
            What closed, and int64[group] the clock last reached (unchanged where nothing closed).
        """
        ...

    def coarsen_rows(self, multiple: int) -> None:
        """Put every cohort on the row that is multiple times as high.

        Cohorts that then share minute, row and key become one, in the place of the first and with its clock.
        """
        ...

    def lots_by_group(self) -> NDArray[np.int64]:
        """Return int64[group] of open lots, counted from the cohorts."""
        ...

    def cohorts(self) -> tuple[CohortBatch, NDArray[np.int64]]:
        """Return host copies of the open cohorts in append order, and their clocks."""
        ...

    def profile(self, rates: LotRates) -> Callable[[], BookProfile]:
        """Copy what is open now, fast, and return the work of summing it by key and row, for any thread.

        Each cohort is stated in lots before it is added; one of less than a lot adds nothing.
        """
        ...

    def capture(self) -> Callable[[], LiveSnapshot]:
        """Return the work of copying everything as it is now to the host, for any thread; see Backend.live_table."""
        ...


class LedgerView(Protocol):
    """A ledger as it was when captured: later appends do not change it. May be read from another thread."""

    def __len__(self) -> int:
        """Return the number of events held, raw and merged."""
        ...

    @property
    def appended(self) -> int:
        """Return how many events were ever appended."""
        ...

    @property
    def exact_from_minute(self) -> int:
        """Return the earliest minute as of which grids are exact; everything before it is merged."""
        ...

    def columns(self) -> LedgerColumns:
        """Return the raw events as host arrays, the last ones appended; not to be written to."""
        ...

    def tiers(self) -> tuple[LedgerColumns, ...]:
        """Return the merged events of each age tier as host arrays; see device.age_tiers."""
        ...

    @property
    def held_from_minute(self) -> int:
        """Return the open minute below which events have been dropped."""
        ...

    def tiers_from(self, first_minute: int, until_minute: int | None = None) -> range:
        """Return the numbers of the tiers that may hold something opened from first_minute to before until_minute."""
        ...

    def snapshot(self) -> LedgerSnapshot:
        """Return everything as host arrays, not to be written to; see Backend.ledger."""
        ...

    def compacted(self, now_minute: int) -> CompactedPast:
        """Merge what is older than a day at now_minute; changes nothing, may run on any thread. For Ledger.adopt."""
        ...


class CompactedPast(Protocol):
    """What LedgerView.compacted made; opaque but for its size."""

    @property
    def events(self) -> int:
        """Return the number of merged events."""
        ...

    @property
    def until_minute(self) -> int:
        """Return the last event minute merged."""
        ...


class Ledger(Protocol):
    """Signed events of one symbol: a raw log, in time order, of at least a day, and age tiers of what was before."""

    def __len__(self) -> int:
        """Return the number of events held, raw and merged."""
        ...

    @property
    def raw_events(self) -> int:
        """Return the number of events in the raw log."""
        ...

    def adopt(self, past: CompactedPast) -> None:
        """Put a compacted past in the place of the events it stands for. Costs nothing; grids stay the same.

        One made before rows were coarsened is thrown away.
        """
        ...

    def append(self, minute: int, batch: CohortBatch, sign: int, cause: int) -> None:
        """Log a batch at a minute not below the last one; lots are multiplied by sign (+1 or -1)."""
        ...

    def coarsen_rows(self, multiple: int) -> None:
        """Put every event on the row that is multiple times as high; views captured before keep theirs."""
        ...

    def capture(self) -> LedgerView:
        """Return the ledger as it is now, without copying."""
        ...


class ChannelBuffer(Protocol):
    """One generation of a channel: its grid, and the ring of levels it last said."""

    def advance(
        self, view: LedgerView, now_minute: int, newest_column: int | None = None
    ) -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
        """Bring the grid to now and return the ring cells whose level changed.

        The result never depends on how the work is done: a backend may recompute everything, or add only the events
        that came since the call before.

        Args:
            view: the ledger, at least as long as in the call before, with no event after now_minute.
            now_minute: never below that of the call before.
            newest_column: as in Backend.project; never below that of the call before.

        Returns:
            uint32[n] flat ring indices, strictly ascending, and their uint8[n] levels.
        """
        ...

    def cells(self) -> NDArray[np.int64]:
        """Return a host copy of the grid as of the last advance: int64[column, row], oldest column first."""
        ...

    def levels(self) -> NDArray[np.uint8]:
        """Return a host copy of the ring of levels, uint8[column position, row]."""
        ...


@dataclass(frozen=True, slots=True)
class SweepRequest:
    """A table, and what its sweep takes: int64[group]."""

    table: LiveTable
    trigger_rows: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class CloseRequest:
    """A table, and what its close takes: int64[group]."""

    table: LiveTable
    lots: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class AppendRequest:
    """A table, and what its append takes: int32[n], uint16[n], int64[n], int64[n]."""

    table: LiveTable
    open_minute: int
    rows: NDArray[np.int32]
    keys: NDArray[np.uint16]
    lots: NDArray[np.int64]
    clocks: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class AdvanceRequest:
    """A channel, and what its advance takes."""

    buffer: ChannelBuffer
    view: LedgerView
    now_minute: int
    newest_column: int | None = None


class Backend(Protocol):
    """A device.

    sweep, close, append and advance do the work of many tables or channels in one call, which is what a tick costs on a
    GPU. Each request names another table or channel, made by this backend; it gets what the method of that name
    returns, whatever stands beside it and in whichever order. After an error the tables and channels of the call may be
    in any state.
    """

    @property
    def name(self) -> str:
        """Return the name shown to people."""
        ...

    @property
    def recomputes_every_tick(self) -> bool:
        """Return whether advance makes every grid anew, so that the first grid of a channel is like any other.

        Where it does not, buffers may be made and first advanced on another thread than the engine's.
        """
        ...

    def sweep(self, asked: Sequence[SweepRequest]) -> list[EndedCohorts]:
        """End every cohort the trigger price has reached, in each table; see LiveTable.sweep.

        Returns:
            What ended, by request.
        """
        ...

    def close(self, asked: Sequence[CloseRequest]) -> list[tuple[EndedCohorts, NDArray[np.int64]]]:
        """Close lots of each group in each table; see LiveTable.close.

        Returns:
            What closed, and int64[group] the clock last reached, by request.

        Raises:
            ModelError: a group holds less.
        """
        ...

    def append(self, asked: Sequence[AppendRequest]) -> list[NDArray[np.int64]]:
        """Open cohorts in each table; see LiveTable.append.

        Returns:
            int64[n], what each cohort holds now, by request.

        Raises:
            ModelError: a clock is out of range.
        """
        ...

    def advance(self, asked: Sequence[AdvanceRequest]) -> list[tuple[NDArray[np.uint32], NDArray[np.uint8]]]:
        """Bring each channel to now; see ChannelBuffer.advance.

        Returns:
            uint32[n] flat ring indices, strictly ascending, and their uint8[n] levels, by request.
        """
        ...

    @property
    def counters(self) -> dict[str, int]:
        """Return what people should know of how the device fares, by name; from any thread."""
        ...

    def live_table(self, groups: int, snapshot: LiveSnapshot | None = None) -> LiveTable:
        """Make a table: empty, or as one was of which this is a snapshot, on whichever backend it was taken."""
        ...

    def ledger(self, snapshot: LedgerSnapshot | None = None) -> Ledger:
        """Make a ledger: empty, or as one was of which this is a snapshot, on whichever backend it was taken."""
        ...

    def project(
        self,
        view: LedgerView,
        frame: Timeframe,
        now_minute: int,
        rows: RowRange,
        weights: NDArray[np.uint16],
        newest_column: int | None = None,
        checkpoint: Callable[[], None] | None = None,
    ) -> NDArray[np.int64]:
        """Compute a grid from every event of the window: the full recompute.

        Cell (c, r) is the sum of lots x weight of what was opened in a column of the window and not after c, and is
        still open at the end of c (the newest one: now), with its liquidation row in r. Events after now_minute do not
        count.

        Args:
            view: the ledger.
            frame: column width and number of columns.
            now_minute: the last minute that counts.
            rows: the rows of the grid.
            weights: uint16[key].
            newest_column: absolute; that of now_minute by default. Below it the axes are behind (a roll that waits for
                its turn): minutes after the newest column count in it.
            checkpoint: called about every 10 ms of work; what it raises ends the work.

        Returns:
            int64[column, row] weighted lots, oldest column first.
        """
        ...

    def channel_buffer(
        self, frame: Timeframe, rows: RowRange, weights: NDArray[np.uint16], usd_per_weighted_lot: NDArray[np.float64]
    ) -> ChannelBuffer:
        """Make the buffer of a new generation of a channel: a ring of zeros."""
        ...

    def levels(self, cells: NDArray[np.int64], usd_per_weighted_lot: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Return the level of each cell: trunc(weighted lots x factor) USD on the eight-steps-an-octave scale."""
        ...

"""What the books of a symbol need on a device, and whether those of all symbols fit together.

Grids are exact, everything else is an estimate from books that were measured: what a market holds decides it, and
nobody knows that beforehand. It is of the worst moment, when history has just been built, and counts two copies of
whatever is copied when it grows or is merged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from liqscape.axes import MAX_GRID_ROWS, TIMEFRAMES, Timeframe
from liqscape.device.job_tables import CHANNEL, PROJECT_JOB, TILE_COLUMNS, WORDS_OF_COLUMN
from liqscape.device.shedding import QUERY_RESERVE_BYTES
from liqscape.errors import ConfigError
from liqscape.instruments import LEVERAGE_TIERS, Instrument

RAW_EVENT_BYTES: Final = 19
"""Row and open minute, 4 each, key 2, lots 8, cause 1. A merged event has the cause only in the youngest tiers."""

COHORT_BYTES: Final = 26
"""Open minute and row, 4 each, key 2, lots and clock, 8 each."""

RAW_PLACES_WHILE_BUILDING: Final = 3 << 22
"""Of a log that grid.shard merges when it has 7M events, which every one gets while a year is built: 8M, and half of
that while it doubled (a test holds the two together)."""

RAW_COPIES: Final = 3
"""A day's log that has just doubled has twice the places it needs; while it does, the old half is still there."""

MERGED_COPIES: Final = 2
"""A merge makes the new past beside the old one."""

COHORT_PLACES: Final = 4
"""The table doubles when it is full, and is copied to do so."""

GRID_COPIES: Final = 2
"""Where all channels begin a new generation, the old ones go when the new ones are there."""

SHARED_BYTES: Final = 256 << 20
"""What all symbols share: sorting in a merge 128 MB, a map of a live book 64 MB, lists of changes 5 MB; the kernels."""


MAX_CUSTOM_CHANNELS: Final = 64
"""Custom channels of a device at one time, of all symbols: as many as the default ones of seven symbols."""


@dataclass(frozen=True, slots=True)
class BookSizes:
    """What a book has for each instrument that offers every leverage tier.

    Attributes:
        raw_events_a_day: signed events of the last day, which are not merged.
        merged_events: of the year before.
        cohorts: open ones.
    """

    raw_events_a_day: int
    merged_events: int
    cohorts: int


MODEL_BOOK: Final = BookSizes(raw_events_a_day=350_000, merged_events=6_050_000, cohorts=185_000)
"""Source: benchmarks/results/grid.json, 2026-11-21, a simulated year by the minute: one instrument 350,311 raw,
5,963,673 merged, 183,212 cohorts; twenty 7,006,220, 120,909,223 and 3,664,240, so it grows in proportion. These are at
the dense end: each of the twenty trades as much as the first.
"""

OPEN_ONLY_BOOK: Final = BookSizes(raw_events_a_day=210_000, merged_events=1_900_000, cohorts=925_000)
"""Nothing closes but what the price reaches: fewer events, far more left open. Measured beside the model's book in the
simulated year of the demo, with one instrument of BTC and with seven: 0.51 and 0.61 of its raw events, 0.31 and 0.30 of
its merged ones, 4.6 and 5.0 times its cohorts. Of each the higher ratio, of the sizes above.
"""


@dataclass(frozen=True, slots=True)
class BookNeed:
    """Bytes of a symbol on a device, at most.

    Attributes:
        grids: nine grids, their levels, and what it takes to compute them.
        cohorts, raw_events, merged_events: of the model's book.
        open_only: all three of the open-only book.
    """

    grids: int
    cohorts: int
    raw_events: int
    merged_events: int
    open_only: int

    @property
    def total(self) -> int:
        """Return all of it."""
        return self.grids + self.cohorts + self.raw_events + self.merged_events + self.open_only


def need(instruments: Sequence[Instrument], *, with_open_only: bool) -> BookNeed:
    """Return what the books of one symbol need.

    Lots opened in a row are a cohort in each leverage tier, so a book grows with instruments x tiers. Size mixes, which
    make several cohorts of one, are not counted.

    Args:
        instruments: of the symbol.
        with_open_only: whether the open-only book is kept.
    """
    share = sum(len(i.leverage_tiers) for i in instruments) / len(LEVERAGE_TIERS)
    return BookNeed(
        _grid_bytes(len(instruments)),
        *_book_bytes(MODEL_BOOK, share),
        open_only=sum(_book_bytes(OPEN_ONLY_BOOK, share)) if with_open_only else 0,
    )


def needs(instruments: Sequence[Instrument], *, with_open_only: bool) -> dict[str, BookNeed]:
    """Return what each symbol needs, in the order of the symbols."""
    by_symbol = {s: [i for i in instruments if i.symbol == s] for s in sorted({i.symbol for i in instruments})}
    return {symbol: need(its, with_open_only=with_open_only) for symbol, its in by_symbol.items()}


class MemoryBudget:
    """The memory of a device, to be given to one symbol after the other.

    Args:
        total_bytes: free before there is any book.
        reserve_bytes: of it, for what symbols share and for questions, which need a grid or two of their own.
    """

    def __init__(self, total_bytes: int, reserve_bytes: int = SHARED_BYTES + QUERY_RESERVE_BYTES) -> None:
        self.left_bytes = max(total_bytes - reserve_bytes, 0)

    def admit(self, symbol: str, need: BookNeed) -> None:
        """Give a symbol what it needs.

        Raises:
            ConfigError: so much is not left.
        """
        if need.total > self.left_bytes:
            raise ConfigError(
                f"the books of {symbol!r} need up to {size_text(need.total)} of device memory, and of what is free"
                f" {size_text(self.left_bytes)} are left for them; serve fewer symbols or venues,"
                f"{' leave out the open-only book with --no-open-only,' if need.open_only else ''}"
                " or compute on the host with --backend numpy"
            )
        self.left_bytes -= need.total

    def admit_custom_channels(self, instruments: Sequence[Instrument]) -> int:
        """Give custom channels what they need, and return how many there may be: MAX_CUSTOM_CHANNELS where they fit.

        Args:
            instruments: of all symbols; each channel could be of the one that has the most.
        """
        most = max((sum(i.symbol == s for i in instruments) for s in {i.symbol for i in instruments}), default=0)
        each = max(_channel_bytes(most, (frame,)) for frame in TIMEFRAMES)
        count = min(MAX_CUSTOM_CHANNELS, self.left_bytes // each)
        self.left_bytes -= count * each
        return count


def size_text(size: int) -> str:
    """Return bytes for people: 1.3 GB, 60 MB, in thousands."""
    return f"{size / 1e9:,.1f} GB" if size >= 10**9 else f"{size / 1e6:,.0f} MB"


def _book_bytes(sizes: BookSizes, share: float) -> tuple[int, int, int]:
    """Return the bytes of cohorts, raw events and merged events."""
    raw_places = max(RAW_COPIES * round(sizes.raw_events_a_day * share), RAW_PLACES_WHILE_BUILDING)
    return (
        round(sizes.cohorts * share) * COHORT_PLACES * COHORT_BYTES,
        raw_places * RAW_EVENT_BYTES,
        round(sizes.merged_events * share) * MERGED_COPIES * RAW_EVENT_BYTES,
    )


def _grid_bytes(instruments: int) -> int:
    """Return the bytes of the nine default channels of a symbol."""
    return _channel_bytes(instruments, TIMEFRAMES)


def _channel_bytes(instruments: int, frames: Sequence[Timeframe]) -> int:
    """Return the bytes of channels with all the rows a grid can have, and of the tables and sums beside them."""
    columns = sum(frame.columns for frame in frames)
    tiles = sum(-(-frame.columns // TILE_COLUMNS) for frame in frames)
    grids = columns * MAX_GRID_ROWS * (8 + 1)
    sums = tiles * MAX_GRID_ROWS * 8
    words = columns * (WORDS_OF_COLUMN + 2) * 4  # what has changed, the offset of each column, and its channel
    jobs = columns * (len(TIMEFRAMES) + 1) * PROJECT_JOB.itemsize  # a job or more for each column of each run of events
    tables = len(frames) * (CHANNEL.itemsize + MAX_GRID_ROWS * 8 + instruments * 32 * 2)
    return GRID_COPIES * grids + sums + words + jobs + tables

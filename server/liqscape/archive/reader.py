"""Exact grids of minutes long past, from archived events. For one thread at a time; the server may go on writing.

Playback and questions both read through ArchiveReader:

    reader.retained("BTC")                      minutes that can be asked for
    reader.state("BTC", minute)                 price, coverage, units and axes as served at the end of a minute
    reader.grid("BTC", frame, minute)           the grid as served then: GridAt
    reader.candles("BTC", frame, minute)        the price over that grid
    reader.events("BTC", first, until, step)    raw events in order, to go on from a grid

A grid is the sum of the events of its window. Whole days come from merged tables where their bins fit into the columns
asked for: an event and its opening that lie in one bin each lie in one column each, so the sum is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liqscape.archive.day_files import Manifests, day_folder, read_columns, table_path
from liqscape.archive.event_columns import EVENT_COLUMNS, KeyReader
from liqscape.archive.kept_days import KeptDays
from liqscape.archive.manifest import DAY_MINUTES, DayManifest, day_of, day_text
from liqscape.archive.price_pieces import PIECE_COLUMNS, candles_of
from liqscape.archive.schema import COARSE_ROW_UNIT, MERGED_MINUTES, merged_name
from liqscape.archive.states import ArchivedMinute, state_at
from liqscape.axes import RowRange, SymbolScale, Timeframe
from liqscape.device.backend import LedgerColumns
from liqscape.device.numpy_grid import accumulate
from liqscape.errors import DataLoss, NotFound
from liqscape.grid.updates import CandleColumns, ChannelAxes
from liqscape.instruments import Instrument
from liqscape.journal.store import StoreDamaged
from liqscape.positions.weights import default_weights

Check = Callable[[], None]
"""Called every few milliseconds; raises if nobody waits any more."""


def never() -> None:
    """Do nothing: the check of who always waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GridAt:
    """A grid of a minute's end: int64[column, row] weighted lots, oldest column first; generation 0: never served."""

    state: ArchivedMinute
    axes: ChannelAxes
    generation: int
    newest_column: int
    cells: NDArray[np.int64]


class ArchiveReader:
    """Reads the archive of a data folder.

    Args:
        archive: its folder; it may not exist yet.
        instruments: all of the server; those of a symbol are numbered by their order by id, as in its keys.
    """

    def __init__(self, archive: Path, instruments: Sequence[Instrument]) -> None:
        self.archive = archive
        self._manifests = Manifests(archive)
        self._ids: dict[str, list[str]] = {}
        for instrument in sorted(instruments, key=lambda instrument: instrument.instrument_id):
            self._ids.setdefault(instrument.symbol, []).append(instrument.instrument_id)

    @classmethod
    def of_folder(cls, archive: Path) -> ArchiveReader:
        """Return a reader that takes the instruments from the days themselves, for who has no server."""
        reader = cls(archive, ())
        for manifest in reader._manifests.read().values():
            reader._ids |= {symbol: list(about.instruments) for symbol, about in manifest.symbols.items()}
        return reader

    @property
    def symbols(self) -> tuple[str, ...]:
        """Return the symbols that may be asked for."""
        return tuple(sorted(self._ids))

    def retained(self, symbol: str) -> tuple[int, int] | None:
        """Return the first and the last minute of the raw days kept of a symbol; None: there are none.

        Days may be missing between them; a question that needs one says so.
        """
        return self._kept(symbol).retained()

    def state(self, symbol: str, minute: int) -> ArchivedMinute:
        """Return a symbol as it was served at the end of a minute.

        Raises:
            OutOfRange: the minute is not kept; names the range that is.
            DataLoss: its day is missing or damaged; names it.
        """
        return self._state(self._kept(symbol), minute)

    def grid(
        self,
        symbol: str,
        frame: Timeframe,
        minute: int,
        rows: RowRange | None = None,
        weights: NDArray[np.uint16] | None = None,
        check: Check = never,
        state: ArchivedMinute | None = None,
    ) -> GridAt:
        """Return a grid as of the end of a minute, exact.

        Args:
            symbol: base coin.
            frame: one of the nine, or a window of one's own.
            minute: the last one included.
            rows: in base steps of then; those served then by default, or those for the price of then.
            weights: uint16[key]; every cohort in full by default.
            check: see Check.
            state: what state() has returned for this minute, if that was asked for before.

        Raises:
            OutOfRange: the window begins before what is kept; names the range.
            DataLoss: a day of the window is missing or damaged; names it.
        """
        kept = self._kept(symbol)
        if state is None:
            state = self._state(kept, minute)
        generation, served = state.axes.get(frame.name, (0, None))
        if rows is None:
            rows = state.scale.row_range(frame, state.mark_price) if served is None else served.rows
        if weights is None:
            weights = default_weights(len(self._ids[symbol]))
        first_minute = frame.first_column(minute) * frame.column_minutes
        cells = np.zeros((frame.columns, rows.count), np.int64)
        for day, last_minute in kept.window(first_minute, minute):
            table = self._table_for(kept, day, frame, state.scale, rows, last_minute)
            for events in self._read(symbol, day, table, state.scale.base_step, first_minute, last_minute, check):
                accumulate(cells, events, 0, len(events.lots), frame, first_minute, rows, weights)
        for column in range(1, frame.columns):
            cells[column] += cells[column - 1]
        return GridAt(
            state=state,
            axes=ChannelAxes(frame, state.scale, rows),
            generation=generation,
            newest_column=frame.column_of(minute),
            cells=cells,
        )

    def candles(self, symbol: str, frame: Timeframe, minute: int, check: Check = never) -> CandleColumns:
        """Return the trigger price by column of a window as of the end of a minute, as far as it is kept.

        Raises:
            DataLoss: see grid.
        """
        first_minute = frame.first_column(minute) * frame.column_minutes
        pieces: list[Mapping[str, Any]] = []
        for day in self._kept(symbol).days:
            if day_of(first_minute) <= day <= day_of(minute):
                with _naming(day):
                    path = day_folder(self.archive, day) / table_path(symbol, "prices")
                    pieces += read_columns(path, PIECE_COLUMNS, check)
        return candles_of(pieces, frame, minute)

    def events(
        self, symbol: str, first_minute: int, until_minute: int, base_step: int, check: Check = never
    ) -> Iterator[LedgerColumns]:
        """Yield the raw events of first_minute..until_minute in order, on rows of a base step.

        Args:
            symbol: base coin.
            first_minute: of the first event.
            until_minute: of the last event, included.
            base_step: that of then, or a multiple; see state.
            check: see Check.

        Raises:
            OutOfRange, DataLoss: see grid.
        """
        kept = self._kept(symbol)
        for day, last_minute in kept.window(first_minute, until_minute):
            if day.is_thin:
                raise kept.out_of_range(f"raw events of {day.day} are no longer kept")
            yield from self._read(symbol, day, "events", base_step, first_minute, last_minute, check)

    def files(self, symbol: str, table: str, first_minute: int, until_minute: int) -> list[Path]:
        """Return the files of a raw table of the days of first_minute..until_minute, in order.

        Raises:
            OutOfRange, DataLoss: see grid.
        """
        kept = self._kept(symbol)
        found: list[Path] = []
        for day, _ in kept.window(first_minute, until_minute):
            path = day_folder(self.archive, day.number) / table_path(symbol, table)
            if day.is_thin:
                raise kept.out_of_range(f"raw tables of {day.day} are no longer kept")
            if not path.exists():
                raise DataLoss(f"{day.day} of the archive is damaged: {path} is missing")
            found.append(path)
        return found

    def _state(self, kept: KeptDays, minute: int) -> ArchivedMinute:
        day = kept.day_at(minute)
        with _naming(day.number):
            folder = day_folder(self.archive, day.number)
            return state_at(folder, kept.symbol, minute, day)

    def _table_for(
        self, kept: KeptDays, day: DayManifest, frame: Timeframe, scale: SymbolScale, rows: RowRange, last_minute: int
    ) -> str:
        """Return the smallest table of a day that tells apart what the grid does."""
        is_whole = last_minute == (day.number + 1) * DAY_MINUTES - 1
        row_unit = COARSE_ROW_UNIT * day.symbols[kept.symbol].base_step
        if is_whole and rows.multiple * scale.base_step % row_unit == 0:
            folder = day_folder(self.archive, day.number)
            for minutes in reversed(MERGED_MINUTES):
                table = merged_name(minutes)
                if frame.column_minutes % minutes == 0 and (folder / table_path(kept.symbol, table)).exists():
                    return table
        if day.is_thin:
            widths = ", ".join(map(str, MERGED_MINUTES))
            raise kept.out_of_range(
                f"of {day.day} only merged events are kept; use column_minutes that are a multiple of one of {widths},"
                f" and base_steps_per_row that are one of {COARSE_ROW_UNIT}"
            )
        return "events"

    def _read(
        self,
        symbol: str,
        day: DayManifest,
        table: str,
        base_step: int,
        first_minute: int,
        last_minute: int,
        check: Check,
    ) -> Iterator[LedgerColumns]:
        keys = KeyReader(self._ids[symbol])
        with _naming(day.number):
            path = day_folder(self.archive, day.number) / table_path(symbol, table)
            for piece in read_columns(path, EVENT_COLUMNS, check):
                minutes = piece["minute"].to_numpy(zero_copy_only=False)
                edges = np.array([first_minute, last_minute + 1], np.int32)
                begin, end = np.searchsorted(minutes, edges).tolist()
                if begin < end:  # cut first: later rows may be coarser than those wanted
                    yield keys.events(
                        {name: column.slice(begin, end - begin) for name, column in piece.items()}, base_step
                    )
                if end < len(minutes):
                    return

    def _kept(self, symbol: str) -> KeptDays:
        if symbol not in self._ids:
            raise NotFound(f"symbol {symbol!r} is unknown; known are {', '.join(self.symbols)}")
        return KeptDays(symbol, self._manifests.read())


class _naming:
    """Turns damage met while a day is read into an answer that names the day."""

    def __init__(self, day: int) -> None:
        self._day = day

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, StoreDamaged):
            raise DataLoss(f"{day_text(self._day)} of the archive is damaged or gone: {error}") from error

"""Parquet columns of a manifest's series -> checked integer arrays.

The boundary for recorded data: whatever breaks a rule stops here as an InputDataError naming file, row and rule, before
anything is yielded. Rows count from 0, as table readers count them. Stamps are checked over the whole file, values over
the rows between `from` and `to`. Nothing is repaired except stamps within the declared tolerance, which are counted.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from liqscape.errors import ConfigError, InputDataError
from liqscape.events import QUANTITY_DECIMALS
from liqscape.feeds.manifest import Series, datetime_ns

RECORDINGS_VARIABLE: Final = "LIQSCAPE_RECORDINGS"

MAX_ROWS: Final = 20_000_000
"""Rows of a file: 38 years of minutes. Beyond it a file is not what its manifest says, and would only fill memory."""

_MAX_STAMP_NS: Final = 1 << 62
"""Year 2116; leaves room to add a step without leaving int64."""

_MAX_PRICE_UNITS: Final = 10**11
"""Up to here float64 holds a decimal of 10^-k, scaled by 10^k, to within 5e-5 of its integer."""

_TICK_TOLERANCE: Final = 1e-4
"""A scaled price farther than this from an integer is finer than the tick, not rounding noise of float64."""

_MAX_QUANTITY: Final = 4e10
"""Base coin; in units of 10^-8 this still fits int64."""

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class RecordedCandles:
    """Candles of one instrument, ascending.

    Attributes:
        open_ns: int64[candle], open stamps on the step grid.
        open, high, low, close: int64[candle], 10^-price_decimals quote.
        quantity: int64[candle], 10^-8 base coin.
        snapped: stamps moved onto the grid.
    """

    open_ns: Integers
    open: Integers
    high: Integers
    low: Integers
    close: Integers
    quantity: Integers
    snapped: int


@dataclass(frozen=True, slots=True)
class RecordedSamples:
    """Open interest of one instrument, ascending.

    Attributes:
        time_ns: int64[sample], instants on the step grid.
        quantity: int64[sample], 10^-8 base coin.
        snapped: stamps moved onto the grid.
    """

    time_ns: Integers
    quantity: Integers
    snapped: int


def recordings_folder() -> Path:
    """Return the folder above market/: LIQSCAPE_RECORDINGS, else ../shared from the project's root."""
    named = os.environ.get(RECORDINGS_VARIABLE)
    return Path(named) if named else Path.cwd().parent / "shared"


def read_candles(series: Series, folder: Path) -> RecordedCandles:
    """Read and check the candles of a series.

    Raises:
        ConfigError: Parquet cannot be read here.
        InputDataError: the file breaks a rule.
    """
    rows = _Rows(series, folder)
    prices = {name: rows.prices(series.columns[name]) for name in ("open", "high", "low", "close")}
    quantity = rows.quantities(series.columns["volume"], "a volume")
    top = np.maximum(prices["open"], prices["close"])
    bottom = np.minimum(prices["open"], prices["close"])
    rows.refuse(prices["high"] < top, lambda i: "high is below open or close")
    rows.refuse(prices["low"] > bottom, lambda i: "low is above open or close")
    return RecordedCandles(rows.time_ns, **prices, quantity=quantity, snapped=rows.snapped)


def read_samples(series: Series, folder: Path) -> RecordedSamples:
    """Read and check the open interest of a series.

    Raises:
        ConfigError: Parquet cannot be read here.
        InputDataError: the file breaks a rule.
    """
    rows = _Rows(series, folder)
    quantity = rows.quantities(series.columns["open_interest"], "an open interest")
    return RecordedSamples(rows.time_ns, quantity, rows.snapped)


def stamp_text(time_ns: int) -> str:
    """Return an instant as people read it, to the millisecond."""
    stamp = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_ns // 1000)
    return stamp.isoformat(timespec="milliseconds" if time_ns % 1_000_000_000 else "seconds").replace("+00:00", "Z")


class _Rows:
    """The rows of one file between `from` and `to`: time_ns is int64[row] on the grid."""

    def __init__(self, series: Series, folder: Path) -> None:
        self._arrow = _module("pyarrow")
        self._series = series
        self._first = 0
        self._table = self._read(folder)
        stamps = self._stamps()
        self._refuse_unsorted(stamps)
        step = series.step_ns
        grid = (stamps + step // 2) // step * step
        self._first = int(np.searchsorted(grid, series.from_ns, "left"))
        stop = int(np.searchsorted(grid, series.to_ns, "right"))
        if self._first >= stop:
            raise self._error(None, f"no row between {stamp_text(series.from_ns)} and {stamp_text(series.to_ns)}")
        self._table = self._table.slice(self._first, stop - self._first)
        self.time_ns: Integers = grid[self._first : stop]
        self.snapped = self._check_grid(stamps[self._first : stop])

    def prices(self, column: str) -> Integers:
        """Return int64[row] in the instrument's price units."""
        decimals = self._series.instrument.price_decimals
        values = self._floats(column)
        most = _MAX_PRICE_UNITS / 10**decimals
        bad = ~np.isfinite(values) | (values <= 0) | (values > most)
        self.refuse(bad, lambda i: f"column {column!r} is {values[i]}; a price is positive and at most {most:g}")
        scaled = values * 10.0**decimals
        units = np.rint(scaled)
        too_fine = (np.abs(scaled - units) > _TICK_TOLERANCE) | (units < 1)
        self.refuse(too_fine, lambda i: f"column {column!r} is {values[i]}; the tick size is 1e-{decimals}")
        return units.astype(np.int64)

    def quantities(self, column: str, what: str) -> Integers:
        """Return int64[row] in units of 10^-8 base coin."""
        values = self._floats(column)
        bad = ~np.isfinite(values) | (values < 0) | (values > _MAX_QUANTITY)
        self.refuse(bad, lambda i: f"column {column!r} is {values[i]}; {what} is finite, not negative, at most 4e10")
        return np.rint(values * 10.0**QUANTITY_DECIMALS).astype(np.int64)

    def refuse(self, bad: Flags, rule: Callable[[int], str]) -> None:
        """Raise for the first row flagged; rule gets its index among these rows."""
        if bad.any():
            index = int(np.argmax(bad))
            raise self._error(index, rule(index))

    def _error(self, index: int | None, rule: str) -> InputDataError:
        return InputDataError(self._series.file, None if index is None else self._first + index, rule)

    def _read(self, folder: Path) -> Any:
        series, path = self._series, folder / self._series.file
        if not path.is_file():
            raise self._error(
                None, f"no such file under the recordings folder {str(folder)!r}; {RECORDINGS_VARIABLE} names another"
            )
        wanted = [series.time_column, *series.columns.values()]
        try:
            with _module("pyarrow.parquet").ParquetFile(path) as file:
                names = list(file.schema_arrow.names)
                for column in wanted:
                    if names.count(column) != 1:
                        raise self._error(None, f"column {column!r} is missing or repeated; it has {', '.join(names)}")
                if file.metadata.num_rows > MAX_ROWS:
                    raise self._error(None, f"{file.metadata.num_rows} rows; at most {MAX_ROWS} are read")
                return file.read(columns=sorted(set(wanted)))
        except (OSError, self._arrow.ArrowException) as error:
            raise self._error(None, f"not readable as Parquet: {error}") from error

    def _column(self, name: str, fits: Callable[[Any], bool], allowed: str) -> Any:
        """Return a column (pyarrow ChunkedArray) without nulls and of a fitting type."""
        column = self._table.column(name)
        if not fits(column.type):
            raise self._error(None, f"column {name!r} has type {column.type}; allowed is {allowed}")
        if column.null_count:
            self.refuse(np.asarray(column.is_null(), dtype=np.bool_), lambda i: f"column {name!r} is null")
        return column

    def _floats(self, name: str) -> Floats:
        types = self._arrow.types
        column = self._column(name, lambda t: types.is_floating(t) or types.is_integer(t), "a number")
        return np.asarray(column.cast(self._arrow.float64(), safe=False), dtype=np.float64)

    def _stamps(self) -> Integers:
        """Return int64[row of the file], ns since 1970, as recorded."""
        unit, name, types = self._series.time_unit, self._series.time_column, self._arrow.types
        if unit == "text":
            texts = self._column(name, lambda t: types.is_string(t) or types.is_large_string(t), "text").to_pylist()
            return np.array([self._parse(i, text) for i, text in enumerate(texts)], dtype=np.int64)
        if unit == "timestamp":
            column = self._column(name, types.is_timestamp, "a timestamp")
            per = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[column.type.unit]
            column = column.cast(self._arrow.int64())
        else:
            column = self._column(name, types.is_integer, f"an integer, {unit} since 1970")
            per = {"s": 10**9, "ms": 10**6}[unit]
        values = np.asarray(column)
        bad = (values < 0) | (values > _MAX_STAMP_NS // per)
        self.refuse(bad, lambda i: f"column {name!r} is {values[i]}; a stamp lies between 1970 and 2116")
        return values.astype(np.int64) * per

    def _parse(self, index: int, text: str) -> int:
        try:
            stamp = datetime.fromisoformat(text)
        except ValueError:
            stamp = None
        if stamp is None or stamp.utcoffset() not in (None, timedelta(0)) or not 1970 <= stamp.year < 2116:
            column = self._series.time_column
            raise self._error(index, f"column {column!r} is {text!r}; a stamp is ISO and UTC, between 1970 and 2116")
        return datetime_ns(stamp)

    def _refuse_unsorted(self, stamps: Integers) -> None:
        late = np.zeros(len(stamps), dtype=np.bool_)
        late[1:] = stamps[1:] <= stamps[:-1]
        self.refuse(
            late,
            lambda i: (
                f"stamp {stamp_text(int(stamps[i]))} "
                + ("repeats the row before" if stamps[i] == stamps[i - 1] else "is earlier than the row before")
                + "; stamps ascend"
            ),
        )

    def _check_grid(self, stamps: Integers) -> int:
        """Refuse stamps beyond the tolerance or two on one step; return how many were moved."""
        series, off = self._series, np.abs(stamps - self.time_ns)
        self.refuse(
            off > series.tolerance_ns,
            lambda i: (
                f"stamp {stamp_text(int(stamps[i]))} is {off[i] / 1e9:g} s off the {series.step_ns // 10**9} s step; "
                f"the tolerance is {series.tolerance_ns / 1e9:g} s"
            ),
        )
        twice = np.zeros(len(stamps), dtype=np.bool_)
        twice[1:] = self.time_ns[1:] == self.time_ns[:-1]
        self.refuse(twice, lambda i: f"stamp {stamp_text(int(stamps[i]))} falls on the same step as the row before")
        return int(np.count_nonzero(off))


def _module(name: str) -> Any:
    """Import a part of pyarrow, which only the server extra brings."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigError("reading recordings needs pyarrow; run: pip install liqscape[server]") from error

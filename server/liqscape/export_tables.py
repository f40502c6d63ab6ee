"""The tables of an export: their columns, and how rows reach a file, batch by batch, as Parquet or CSV.

Strings are dictionary-encoded in Parquet and plain in CSV; a null is an empty CSV field. Nothing here depends on the
time of writing, so the same recording gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from liqscape.axes import SymbolScale
from liqscape.export_meta import SIDES
from liqscape.instruments import Instrument
from liqscape.market.bars import Bar
from liqscape.positions.book import BookStep, Cause
from liqscape.positions.weights import KEY_INSTRUMENT_SHIFT, leverages_of

BATCH_ROWS: Final = 1 << 18
"""Rows converted at once: 10 MB of ledger columns, and row groups large enough to compress well."""

_NAME: Final = pa.dictionary(pa.int16(), pa.string())
_COHORT: Final = (("venue", _NAME), ("instrument", _NAME), ("tier", pa.int16()), ("side", _NAME), ("lots", pa.int64()))


def _schema(*columns: tuple[str, Any], nullable: str = "") -> Any:
    return pa.schema([pa.field(name, kind, nullable=name == nullable) for name, kind in columns])


EVENTS: Final = _schema(
    ("minute", pa.int32()), ("open_minute", pa.int32()), ("row", pa.int32()), *_COHORT, ("cause", _NAME)
)
LIVE: Final = _schema(("open_minute", pa.int32()), ("row", pa.int32()), *_COHORT)
BARS: Final = _schema(
    ("minute", pa.int32()),
    ("instrument", _NAME),
    ("open", pa.float64()),
    ("high", pa.float64()),
    ("low", pa.float64()),
    ("close", pa.float64()),
    ("traded", pa.int64()),
    ("open_interest", pa.int64()),
    nullable="open_interest",
)
RECONCILIATION: Final = _schema(
    ("minute", pa.int32()),
    ("instrument", _NAME),
    ("side", _NAME),
    ("open_interest_lots", pa.int64()),
    ("live_lots", pa.int64()),
    ("uncovered_lots", pa.int64()),
    ("model_error_lots", pa.int64()),
)


class TableFile:
    """One table on its way to a file; a context manager that closes it.

    Args:
        folder: where the file goes.
        name: of the table, and of the file without its suffix.
        schema: one of this module's schemas.
        file_format: parquet or csv.
    """

    def __init__(self, folder: Path, name: str, schema: Any, file_format: str) -> None:
        self.name = f"{name}.{file_format}"
        self.rows = 0
        self._schema = schema
        path = folder / self.name
        if file_format == "parquet":
            self._writer: Any = pa.parquet.ParquetWriter(path, schema, compression="zstd")
        else:
            options = pa.csv.WriteOptions(quoting_style="none")  # no value holds a comma, a quote or a line break
            self._writer = pa.csv.CSVWriter(path, schema, write_options=options)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    def write(self, columns: Mapping[str, Any]) -> None:
        """Append rows: arrays, or sequences of Python values, by column name."""
        arrays = [_array(columns[field.name], field.type) for field in self._schema]
        batch = pa.record_batch(arrays, schema=self._schema)
        self._writer.write_batch(batch)
        self.rows += batch.num_rows


class RowBuffer:
    """Gathers single rows for a table; leaving it writes the rest.

    Args:
        table: where the rows go; its columns in the order of the rows.
    """

    def __init__(self, table: TableFile, columns: Sequence[str]) -> None:
        self._table = table
        self._columns = tuple(columns)
        self._rows: list[tuple[Any, ...]] = []

    def add(self, *row: Any) -> None:
        """Take one row."""
        self._rows.append(row)
        if len(self._rows) >= BATCH_ROWS:
            self.flush()

    def flush(self) -> None:
        """Write what was gathered."""
        if self._rows:
            self._table.write(dict(zip(self._columns, zip(*self._rows, strict=True), strict=True)))
            self._rows.clear()


class TickRecorder:
    """Writes what each tick did: its bars, and the accounts after each sample.

    Args:
        bars: table of BARS.
        samples: table of RECONCILIATION.
        scale_of: returns the scale of a symbol; asked once it has a bar.
    """

    def __init__(self, bars: TableFile, samples: TableFile, scale_of: Callable[[str], SymbolScale | None]) -> None:
        self._bars = RowBuffer(bars, BARS.names)
        self._samples = RowBuffer(samples, RECONCILIATION.names)
        self._scale_of = scale_of

    def observe(self, symbol: str, bars: list[Bar], step: BookStep) -> None:
        """Take a tick; a BarObserver of the shard."""
        scale = self._scale_of(symbol)
        assert scale is not None
        unit = 10**scale.price_decimals
        for bar in bars:
            price = bar.trigger
            if price is not None:
                traded = 0 if bar.traded is None else bar.traded.total
                prices = (price.open / unit, price.high / unit, price.low / unit, price.close / unit)
                self._bars.add(bar.minute, bar.instrument_id, *prices, traded, bar.open_interest_lots)
        for s in step.samples:
            accounts = (s.open_interest_lots, s.live_lots, s.uncovered_lots, s.model_error_lots)
            self._samples.add(s.minute, s.instrument_id, SIDES[s.side], *accounts)

    def flush(self) -> None:
        """Write what was gathered."""
        self._bars.flush()
        self._samples.flush()


class KeyColumns:
    """Keys -> the four columns that name a cohort's instrument, tier and side.

    Args:
        instruments: in the order in which keys number them.
    """

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        venues = sorted({i.venue for i in instruments})
        self._venues = venues
        self._venue_of = np.array([venues.index(i.venue) for i in instruments], np.int16)
        self._instruments = [i.instrument_id for i in instruments]

    def of(self, keys: NDArray[np.uint16]) -> dict[str, Any]:
        """Return the columns venue, instrument, tier (its leverage, 0: stated) and side for uint16[n] keys."""
        number = (keys >> KEY_INSTRUMENT_SHIFT).astype(np.int16)
        return {
            "venue": names(self._venue_of[number], self._venues),
            "instrument": names(number, self._instruments),
            "tier": leverages_of(keys),
            "side": names((keys & 1).astype(np.int16), SIDES),
        }


def names(index: NDArray[np.int16], texts: Sequence[str]) -> Any:
    """Return a dictionary-encoded column: texts[index]."""
    return pa.DictionaryArray.from_arrays(pa.array(index, pa.int16()), pa.array(texts, pa.string()))


def causes(numbers: NDArray[np.uint8]) -> Any:
    """Return a column of causes: opened, swept or closed."""
    return names(numbers.astype(np.int16), [cause.name.lower() for cause in Cause])


def batches(rows: int) -> Iterator[slice]:
    """Yield slices of at most BATCH_ROWS that cover range(rows)."""
    for begin in range(0, rows, BATCH_ROWS):
        yield slice(begin, min(begin + BATCH_ROWS, rows))


def _array(values: Any, kind: Any) -> Any:
    if isinstance(values, pa.Array):
        return values
    return pa.array(values, kind)

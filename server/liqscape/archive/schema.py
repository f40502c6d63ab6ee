"""The tables of an archived day: columns, types, and what is written beside them. docs/archive.md says it for readers.

Nothing here depends on the time of writing, so a day that is archived twice is the same twice.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

SCHEMA_VERSION: Final = 1
"""Of all tables together; another number for each other form."""

NAME: Final = pa.dictionary(pa.int16(), pa.string())
"""A text of which there are few."""

COARSE_ROW_UNIT: Final = 5
"""Base steps of a row in merged tables: every timeframe that reads them has rows of a multiple of it."""

MERGED_MINUTES: Final = (15, 60, 360)
"""Bins of the merged tables: 1w and 2w read the first, 1m and 3m the second, 6m and 1y the third."""

_COHORT: Final = (
    ("minute", pa.int32()),
    ("open_minute", pa.int32()),
    ("row", pa.int32()),
    ("base_step", pa.int64()),
    ("instrument", NAME),
    ("tier", pa.int16()),
    ("side", NAME),
    ("lots", pa.int64()),
)


def _schema(*columns: tuple[str, Any], nullable: Sequence[str] = ()) -> Any:
    return pa.schema([pa.field(name, kind, nullable=name in nullable) for name, kind in columns])


EVENTS: Final = _schema(*_COHORT, ("cause", NAME))
MERGED: Final = _schema(*_COHORT)
BARS: Final = _schema(
    ("tick", pa.int64()),
    ("instrument", NAME),
    ("first_minute", pa.int32()),
    ("minute", pa.int32()),
    ("open", pa.int64()),
    ("high", pa.int64()),
    ("low", pa.int64()),
    ("close", pa.int64()),
    ("base_step", pa.int64()),
    ("first_row", pa.int32()),
    ("traded", pa.list_(pa.field("element", pa.int64(), nullable=False))),
    ("open_interest", pa.int64()),
    ("watermark_ns", pa.int64()),
    nullable=("open", "high", "low", "close", "first_row", "traded", "open_interest"),
)
PRICES: Final = _schema(
    ("first_minute", pa.int32()),
    ("minute", pa.int32()),
    ("open", pa.int64()),
    ("high", pa.int64()),
    ("low", pa.int64()),
    ("close", pa.int64()),
)
MINUTES: Final = _schema(
    ("minute", pa.int32()),
    ("tick", pa.int64()),
    ("mark_price", pa.int64()),
    ("base_step", pa.int64()),
    ("source_watermark_ns", pa.int64()),
    ("mix", NAME),
)
AXES: Final = _schema(
    ("minute", pa.int32()),
    ("timeframe", NAME),
    ("generation", pa.int32()),
    ("base_step", pa.int64()),
    ("first_row", pa.int32()),
    ("rows", pa.int32()),
    ("base_steps_per_row", pa.int32()),
)
COVERAGE: Final = _schema(
    ("minute", pa.int32()),
    ("instrument", NAME),
    ("live_long_lots", pa.int64()),
    ("live_short_lots", pa.int64()),
    ("uncovered_long_lots", pa.int64()),
    ("uncovered_short_lots", pa.int64()),
    ("model_error_lots", pa.int64()),
    ("rejected_events", pa.int64()),
    ("watermark_ns", pa.int64()),
)


def merged_name(minutes: int) -> str:
    """Return the name of a merged table by the minutes of its bins."""
    return f"events_{minutes}m"


TABLES: Final[Mapping[str, Any]] = {
    "events": EVENTS,
    "bars": BARS,
    "axes": AXES,
    "coverage": COVERAGE,
    "minutes": MINUTES,
    "prices": PRICES,
    **{merged_name(minutes): MERGED for minutes in MERGED_MINUTES},
}
"""By name, which is that of the file without its ending."""

RAW_TABLES: Final = ("events", "bars", "axes", "coverage", "minutes")
"""Needed for questions about the day itself; the others are read by windows that end days later, and kept longer."""

_META: Final = b"liqscape."


def to_table(name: str, columns: Mapping[str, Any], about: Mapping[str, str]) -> Any:
    """Return a table with its checksum and what else is to be known about it in its metadata.

    Args:
        name: of TABLES.
        columns: arrays by column.
        about: texts by name.
    """
    schema = TABLES[name]
    arrays = [_column(columns[field.name], field.type) for field in schema]
    table = pa.Table.from_arrays(arrays, schema=schema)
    meta = {
        **about,
        "table": name,
        "schema_version": str(SCHEMA_VERSION),
        "rows": str(table.num_rows),
        "content_crc32": f"{content_crc32(table):08x}",
    }
    return table.replace_schema_metadata({_META + key.encode(): text.encode() for key, text in meta.items()})


def about_of(metadata: Mapping[bytes, bytes] | None) -> dict[str, str]:
    """Return what a file says about itself."""
    found = (metadata or {}).items()
    return {key[len(_META) :].decode(): text.decode() for key, text in found if key.startswith(_META)}


def content_crc32(table: Any) -> int:
    """Return the CRC-32 of a table's values, column by column; docs/archive.md has the recipe."""
    crc = 0
    for column in table.columns:
        array = column.combine_chunks()
        if isinstance(array, pa.ChunkedArray):
            array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
        crc = _crc_of(array, crc)
    return crc


def _crc_of(array: Any, crc: int) -> int:
    if pa.types.is_dictionary(array.type):
        texts = array.dictionary.to_pylist()
        table = np.array([zlib.crc32(text.encode()) for text in texts] or [0], np.int64)
        return zlib.crc32(table[array.indices.to_numpy(zero_copy_only=False)].data, crc)
    if array.null_count:
        crc = zlib.crc32(np.packbits(array.is_valid().to_numpy(zero_copy_only=False)).tobytes(), crc)
    if pa.types.is_list(array.type):
        lengths = array.value_lengths().fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
        return _crc_of(array.flatten(), zlib.crc32(lengths.data, crc))
    values = array.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    return zlib.crc32(values.data, crc)


def names(index: NDArray[np.int16], texts: Sequence[str]) -> Any:
    """Return a column of texts[index], each text that is used kept once, in the order of texts."""
    used = np.unique(index)
    place = np.zeros(len(texts) + 1, np.int16)
    place[used] = np.arange(len(used), dtype=np.int16)
    kept = pa.array([texts[number] for number in used.tolist()], pa.string())
    return pa.DictionaryArray.from_arrays(pa.array(place[index], pa.int16()), kept)


def _column(values: Any, kind: Any) -> Any:
    return values if isinstance(values, pa.Array) else pa.array(values, kind)

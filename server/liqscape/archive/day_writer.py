"""A day of the archive on the disk: written beside its place, and moved there when every file of it is safe."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq

from liqscape import __version__
from liqscape.archive.day_files import day_folder, file_crc32, table_path
from liqscape.archive.day_tables import tables_of
from liqscape.archive.manifest import (
    ArchivedFile,
    ArchivedSymbol,
    DayManifest,
    day_text,
    write_manifest,
)
from liqscape.archive.parts import Part
from liqscape.archive.schema import SCHEMA_VERSION, to_table
from liqscape.journal.snapshot_file import sync_folder
from liqscape.journal.store import StoreUnavailable

ROW_GROUP: Final = 1 << 17
"""Rows: 0.5 MB of events, small enough to be left out where a question wants another hour."""

_PRICES: Final = ("open", "high", "low", "close")
_EVENT: Final = ("minute", "open_minute", "row")
_CLIMBING: Final[Mapping[str, tuple[str, ...]]] = {
    "events": _EVENT,
    "bars": ("tick", *_PRICES, "watermark_ns"),
    "prices": _PRICES,
    "minutes": ("tick", "mark_price", "source_watermark_ns"),
    "coverage": ("watermark_ns",),
}
"""Columns, by table, whose neighbours are near: written as differences they take half the bytes of a dictionary."""


def write_day(
    archive: Path,
    part: Part,
    instruments: Mapping[str, Sequence[str]],
) -> DayManifest:
    """Write a day, whole or not at all, and on the disk when this returns; what was there must have been moved away.

    Args:
        archive: the folder of days.
        part: everything that is known of the day.
        instruments: ids by number, by symbol.

    Raises:
        StoreUnavailable: it cannot be written; nothing is left of it.
    """
    draft = archive / f".day={day_text(part.day)}.tmp"
    try:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        manifest = _write(draft, part, instruments)
        draft.rename(day_folder(archive, part.day))
        sync_folder(archive)
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        raise StoreUnavailable(f"{draft} cannot be written: {error.strerror or error}") from error
    return manifest


def _write(
    draft: Path,
    part: Part,
    instruments: Mapping[str, Sequence[str]],
) -> DayManifest:
    files: dict[str, ArchivedFile] = {}
    symbols: dict[str, ArchivedSymbol] = {}
    for symbol, found in part.symbols.items():
        (draft / table_path(symbol, "events")).parent.mkdir()
        about = {
            "software": f"liqscape {__version__}",
            "day": day_text(part.day),
            "symbol": symbol,
            "price_decimals": str(found.price_decimals),
            "lot_decimals": str(found.lot_decimals),
        }
        for name, columns in tables_of(found, instruments[symbol]).items():
            path = table_path(symbol, name)
            table = to_table(name, columns, about)
            _write_table(draft / path, table, _CLIMBING.get(name, _EVENT if name.startswith("events") else ()))
            size, crc = file_crc32(draft / path)
            files[path] = ArchivedFile(size=size, crc32=crc, rows=table.num_rows)
        sync_folder((draft / table_path(symbol, "events")).parent)
        symbols[symbol] = ArchivedSymbol(
            price_decimals=found.price_decimals,
            lot_decimals=found.lot_decimals,
            base_step=found.base_step,
            instruments=tuple(instruments[symbol]),
            mixes=found.mixes,
            first_minute=int(found.minutes.minute[0]) if len(found.minutes.minute) else -1,
            content=found.content,
        )
    manifest = DayManifest(
        schema_version=SCHEMA_VERSION, day=day_text(part.day), spans=part.spans, symbols=symbols, files=files
    )
    write_manifest(draft, manifest)
    return manifest


def _write_table(path: Path, table: Any, climbing: Sequence[str]) -> None:
    with path.open("wb") as file:
        pq.write_table(
            table,
            file,
            compression="zstd",
            compression_level=3,
            row_group_size=ROW_GROUP,
            use_dictionary=[name for name in table.schema.names if name not in climbing],
            column_encoding=dict.fromkeys(climbing, "DELTA_BINARY_PACKED"),
            write_page_checksum=True,
        )
        file.flush()
        os.fsync(file.fileno())

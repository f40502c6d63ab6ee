"""Where the files of an archive are, and one table of a day read in pieces. Reading never waits for writing.

archive/day=YYYY-MM-DD/manifest.json             see manifest
archive/day=YYYY-MM-DD/symbol=BTC/TABLE.parquet  see schema
archive/open/tick-N.part                         what the open day holds so far, see parts
archive/dropped.json                             what retention has dropped, see retention

What is damaged gets a name that ends with .bad and is not read. A folder whose name begins with a dot is being written.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from liqscape.archive.manifest import MANIFEST, DayManifest, day_number, day_text, read_manifest
from liqscape.journal.store import StoreDamaged

READ_ROWS: Final = 1 << 16
"""Rows read at once: some 3 ms, so whoever asks is never far from being heard."""

_DAY: Final = re.compile(r"day=(\d{4}-\d{2}-\d{2})")


def day_folder(archive: Path, day: int) -> Path:
    """Return the folder of a day."""
    return archive / f"day={day_text(day)}"


def table_path(symbol: str, table: str) -> str:
    """Return where a table lies in the folder of its day."""
    return f"symbol={symbol}/{table}.parquet"


def days_in(archive: Path) -> list[int]:
    """Return the days that have a folder, ascending."""
    found = (_DAY.fullmatch(path.name) for path in archive.iterdir()) if archive.is_dir() else ()
    return sorted(day_number(match[1]) for match in found if match is not None)


class Manifests:
    """The manifests of an archive, read again when they have changed. For one thread."""

    def __init__(self, archive: Path) -> None:
        self._archive = archive
        self._known: dict[int, tuple[tuple[int, int], DayManifest]] = {}

    def read(self) -> dict[int, DayManifest]:
        """Return the manifests of all days by day, ascending; a day whose manifest is missing or damaged has none."""
        found: dict[int, tuple[tuple[int, int], DayManifest]] = {}
        for day in days_in(self._archive):
            folder = day_folder(self._archive, day)
            try:
                about = (folder / MANIFEST).stat()
                stamp = (about.st_mtime_ns, about.st_ino)
                known = self._known.get(day)
                found[day] = known if known is not None and known[0] == stamp else (stamp, read_manifest(folder))
            except (OSError, StoreDamaged):
                continue
        self._known = found
        return {day: manifest for day, (_, manifest) in found.items()}


def read_columns(
    path: Path, columns: Sequence[str], check: Callable[[], None], rows: int = READ_ROWS
) -> Iterator[Mapping[str, Any]]:
    """Yield pieces of a table, in order: arrays by column. The checksum of each page is looked at.

    Args:
        path: of the file.
        columns: to read.
        check: called before each piece; what it raises ends the work.
        rows: of a piece, at most.

    Raises:
        StoreDamaged: the file is missing or not as it was written.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for batch in file.iter_batches(batch_size=rows, columns=list(columns), use_threads=False):
                check()
                yield {name: batch.column(name) for name in columns}
    except (OSError, pa.ArrowException) as error:
        raise StoreDamaged(f"{path}: {error}") from error


def file_crc32(path: Path, check: Callable[[], None] = lambda: None) -> tuple[int, int]:
    """Return bytes and CRC-32 of a file.

    Raises:
        OSError: it cannot be read.
    """
    size = crc = 0
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            check()
            size, crc = size + len(piece), zlib.crc32(piece, crc)
    return size, crc

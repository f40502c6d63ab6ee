"""The export command on the archive of a server: a stretch of the past as files that other programs can read.

`events` and `bars` have the columns of an export of a recording, on the rows at the end of the stretch; `grids.npz`
holds the nine grids as they were served at its last minute, and `meta.json` says what the numbers mean.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from liqscape import __version__
from liqscape.archive.manifest import DAY_MINUTES, minute_text
from liqscape.archive.reader import ArchiveReader
from liqscape.archive.states import ArchivedMinute
from liqscape.axes import MINUTE_NS, TIMEFRAMES, WEIGHT_ONE
from liqscape.errors import ConfigError, QueryError
from liqscape.export_meta import STATEMENT, UNITS, scale_of
from liqscape.export_tables import BARS, EVENTS, TableFile
from liqscape.feeds.recordings import stamp_text

DEFAULT_MINUTES: Final = DAY_MINUTES
"""Of a stretch whose beginning is not named."""


@dataclass(frozen=True, slots=True)
class ArchiveExport:
    """What was written: rows by file, the last minute included, and timeframes whose windows are no longer kept."""

    folder: Path
    until_minute: int
    rows: dict[str, int]
    left_out: dict[str, str]


def export_archive(
    archive: Path, symbol: str, from_ns: int | None, until_ns: int | None, out: Path, file_format: str = "parquet"
) -> ArchiveExport:
    """Write a stretch of an archive to a new folder, whole or not at all.

    Args:
        archive: of a server, which may be running.
        symbol: base coin.
        from_ns: begin; a day before the end where it is not named.
        until_ns: end, exclusive; that of the archive where it is not named.
        out: folder to make; one that exists must be empty.
        file_format: parquet or csv.

    Raises:
        ConfigError: the folder cannot be written, or a time is no whole minute.
        QueryError: the archive does not hold what is asked for.
    """
    reader = ArchiveReader.of_folder(archive)
    retained = reader.retained(symbol) if reader.symbols else None
    if retained is None:
        raise ConfigError(f"the archive {archive} holds no day of {symbol}")
    until = retained[1] if until_ns is None else _whole_minute("until", until_ns) - 1
    begin = until - DEFAULT_MINUTES + 1 if from_ns is None else _whole_minute("from", from_ns)
    if from_ns is None:
        begin = min(max(begin, retained[0]), until)
    if begin > until:
        raise ConfigError(f"from {minute_text(begin)} is not before until {minute_text(until + 1)}")
    out = out.resolve()
    draft = out.parent / f".{out.name}.{secrets.token_hex(4)}"
    try:
        draft.mkdir(parents=True)
        found = _Export(reader, symbol, begin, until, draft, file_format).write(out)
        draft.rename(out)
    except OSError as error:
        raise ConfigError(f"folder {str(out)!r} cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return found


def _whole_minute(name: str, time_ns: int) -> int:
    if time_ns % MINUTE_NS:
        raise ConfigError(f"{name} {stamp_text(time_ns)} is no whole minute")
    return time_ns // MINUTE_NS


class _Export:
    def __init__(
        self, reader: ArchiveReader, symbol: str, begin: int, until: int, folder: Path, file_format: str
    ) -> None:
        self._reader = reader
        self._symbol = symbol
        self._begin = begin
        self._until = until
        self._folder = folder
        self._format = file_format
        self._rows: dict[str, int] = {}

    def write(self, out: Path) -> ArchiveExport:
        state = self._reader.state(self._symbol, self._until)
        self._write_table("events", EVENTS, self._events(state))
        self._write_table("bars", BARS, self._bars(state))
        axes, left_out = self._write_grids()
        text = json.dumps(self._meta(state, axes, left_out), indent=1, ensure_ascii=False, allow_nan=False)
        (self._folder / "meta.json").write_text(text + "\n", encoding="utf-8")
        return ArchiveExport(out, self._until, self._rows, left_out)

    def _write_table(self, name: str, schema: Any, pieces: Iterator[Mapping[str, Any]]) -> None:
        with TableFile(self._folder, name, schema, self._format) as table:
            for piece in pieces:
                table.write(piece)
        self._rows[table.name] = table.rows

    def _pieces(self, name: str) -> Iterator[Any]:
        """Yield what the days of the stretch hold of a table."""
        for path in self._reader.files(self._symbol, name, self._begin, self._until):
            with pq.ParquetFile(path, page_checksum_verification=True) as file:
                for batch in file.iter_batches(use_threads=False):
                    kept = pc.and_(
                        pc.greater_equal(batch["minute"], self._begin), pc.less_equal(batch["minute"], self._until)
                    )
                    yield batch.filter(kept)

    def _events(self, state: ArchivedMinute) -> Iterator[Mapping[str, Any]]:
        for batch in self._pieces("events"):
            row, steps = (batch[name].to_numpy(zero_copy_only=False) for name in ("row", "base_step"))
            yield {
                **{name: batch[name] for name in EVENTS.names if name not in ("row", "venue")},
                "row": (row // (state.scale.base_step // steps)).astype(np.int32),
                "venue": _venues(batch["instrument"]),
            }

    def _bars(self, state: ArchivedMinute) -> Iterator[Mapping[str, Any]]:
        unit = 10**state.scale.price_decimals
        for batch in self._pieces("bars"):
            batch = batch.filter(pc.is_valid(batch["close"]))
            traded = [sum(lots) if lots else 0 for lots in batch["traded"].to_pylist()]
            prices = {name: pc.divide(pc.cast(batch[name], pa.float64()), float(unit)) for name in BARS.names[2:6]}
            yield {
                "minute": batch["minute"],
                "instrument": batch["instrument"],
                **prices,
                "traded": traded,
                "open_interest": batch["open_interest"],
            }

    def _write_grids(self) -> tuple[dict[str, list[int]], dict[str, str]]:
        """Write the grids and return their axes by timeframe, and why others could not be made."""
        arrays: dict[str, NDArray[np.int64]] = {}
        axes: dict[str, list[int]] = {}
        left_out: dict[str, str] = {}
        for frame in TIMEFRAMES:
            try:
                grid = self._reader.grid(self._symbol, frame, self._until)
            except QueryError as error:
                left_out[frame.name] = str(error)
                continue
            rows = grid.axes.rows
            first = grid.newest_column - frame.columns + 1
            axes[frame.name] = [first, frame.column_minutes, rows.first, rows.multiple]
            arrays |= {frame.name: grid.cells, f"{frame.name}_axes": np.array(axes[frame.name], np.int64)}
        np.savez_compressed(self._folder / "grids.npz", **arrays)  # type: ignore[arg-type]
        return axes, left_out

    def _meta(self, state: ArchivedMinute, axes: dict[str, list[int]], left_out: dict[str, str]) -> dict[str, Any]:
        return {
            "statement": STATEMENT,
            "software": f"liqscape {__version__}",
            "source": "the archive of a server",
            "symbol": self._symbol,
            "from_minute": self._begin,
            "until_minute": self._until,
            "until": stamp_text((self._until + 1) * MINUTE_NS),
            **scale_of(state.scale),
            "mark_price": state.mark_price / 10**state.scale.price_decimals,
            "weight_one": WEIGHT_ONE,
            "mix": {"version": state.mix, "inflow_share_millionths": state.mixes},
            "covered_share": {c.instrument_id: c.covered_share() for c in state.coverage},
            "model_error_lots": {c.instrument_id: c.model_error_lots for c in state.coverage},
            "timeframes": axes,
            "left_out": left_out,
            "rows": self._rows,
            "units": {name: text for name, text in UNITS.items() if not name.startswith("open_interest_lots")},
        }


def _venues(instruments: Any) -> Any:
    """Return the venues of dictionary-encoded instruments."""
    names = [name.partition(":")[0] for name in instruments.dictionary.to_pylist()]
    return pa.DictionaryArray.from_arrays(instruments.indices, pa.array(names, pa.string()))


def refuse_target(out: Path) -> None:
    """Refuse a folder that holds something.

    Raises:
        ConfigError: it does, or it is a file.
    """
    if out.is_dir():
        with os.scandir(out) as entries:
            if any(entries):
                raise ConfigError(f"folder {str(out)!r} is not empty; name a new or an empty one")
    elif os.path.lexists(out):
        raise ConfigError(f"{str(out)!r} is a file; name a folder")

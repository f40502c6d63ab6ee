"""The export command: what the model made of a recording, as files that other programs can read and check.

`events`, `live`, `bars` and `reconciliation` are tables, `grids.npz` holds the nine grids and `meta.json` says what
the numbers mean. The grids follow from the events and the weights alone, by the definition of a cell.
"""

from __future__ import annotations

import argparse
import json
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from liqscape.axes import MINUTE_NS, TIMEFRAMES, last_minute_before
from liqscape.clock import SystemClock
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.errors import ConfigError
from liqscape.events import TickEnd
from liqscape.export_archive import export_archive, refuse_target
from liqscape.export_meta import describe
from liqscape.export_tables import (
    BARS,
    EVENTS,
    LIVE,
    RECONCILIATION,
    KeyColumns,
    TableFile,
    TickRecorder,
    batches,
    causes,
)
from liqscape.feeds.history import HistorySource, recordings_folder
from liqscape.feeds.manifest import CANDLES, datetime_ns, load_manifest
from liqscape.feeds.recordings import stamp_text
from liqscape.grid.shard import Shard
from liqscape.terminal_progress import progress_bar

FORMATS: Final = ("parquet", "csv")

ReportProgress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, of how much."""


@dataclass(frozen=True, slots=True)
class ExportSummary:
    """What an export wrote: the folder, the last minute included, and rows by file."""

    folder: Path
    until_minute: int
    rows: dict[str, int]


def export(
    manifest: Path,
    symbol: str,
    until_ns: int | None,
    out: Path,
    *,
    recordings: Path,
    file_format: str = "parquet",
    progress: ReportProgress | None = None,
) -> ExportSummary:
    """Build the book of a symbol from a recording and write it to a new folder, whole or not at all.

    Args:
        manifest: of the recording.
        symbol: base coin.
        until_ns: data up to here, exclusive; None, or beyond the recording: all of it.
        out: folder to make; one that exists must be empty.
        recordings: folder the manifest's files are relative to.
        file_format: parquet or csv.
        progress: told how far the work has come.

    Raises:
        ConfigError: an argument is wrong, or the folder cannot be written.
        InputDataError: the recording breaks a rule.
    """
    if file_format not in FORMATS:
        raise ConfigError(f"format {file_format!r} is unknown; use one of {', '.join(FORMATS)}")
    out = out.resolve()
    refuse_target(out)
    _refuse_early(manifest, symbol, until_ns)
    source = HistorySource(
        manifest, recordings=recordings, clock=SystemClock(), speed=None, symbols=(symbol,), until_ns=until_ns
    )
    report = progress or (lambda what, done, total: None)
    # The folder appears under its name only when it is complete: no reader ever sees half an export.
    draft = out.parent / f".{out.name}.{secrets.token_hex(4)}"
    try:
        draft.mkdir(parents=True)
        summary = _Export(source, symbol, draft, file_format, report).write(out)
        draft.rename(out)
    except OSError as error:
        raise ConfigError(f"folder {str(out)!r} cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return summary


def add_export_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `liqscape export`."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--manifest", type=Path, metavar="FILE", help="manifest of a recording, to build the book from")
    source.add_argument("--data", type=Path, metavar="DIR", help="data folder of a server, to read its archive")
    parser.add_argument("--symbol", required=True, help="base coin, for example BTC")
    parser.add_argument("--until", metavar="ISO", help="UTC, exclusive, for example 2025-12-15T14:35 (default: all)")
    parser.add_argument("--from", dest="begin", metavar="ISO", help="with --data: UTC (default: a day before the end)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to make; may exist if empty")
    parser.add_argument("--format", choices=FORMATS, default=FORMATS[0], help="of the tables (default parquet)")
    parser.add_argument(
        "--recordings", type=Path, help="folder above market/ (default LIQSCAPE_RECORDINGS or ../shared)"
    )


def run_export(namespace: argparse.Namespace) -> int:
    """Run `liqscape export`; a mistake is raised as a LiqscapeError."""
    until_ns = None if namespace.until is None else parse_until(namespace.until)
    if namespace.data is not None:
        return _run_archive(namespace, until_ns)
    if namespace.begin is not None:
        raise ConfigError("from goes with --data; a recording is built from its beginning")
    with _terminal_progress() as progress:
        summary = export(
            namespace.manifest,
            namespace.symbol.upper(),
            until_ns,
            namespace.out,
            recordings=namespace.recordings or recordings_folder(),
            file_format=namespace.format,
            progress=progress,
        )
    counts = ", ".join(f"{rows:,} rows in {name}" for name, rows in summary.rows.items())
    print(f"wrote {summary.folder}: {counts}, grids.npz, meta.json")
    print(
        f"the last minute included begins at {stamp_text(summary.until_minute * MINUTE_NS)}; all of it is an estimate"
    )
    return 0


def _run_archive(namespace: argparse.Namespace, until_ns: int | None) -> int:
    refuse_target(namespace.out.resolve())
    begin_ns = None if namespace.begin is None else parse_until(namespace.begin, "from")
    archive = namespace.data / "archive"
    symbol = namespace.symbol.upper()
    found = export_archive(archive, symbol, begin_ns, until_ns, namespace.out, namespace.format)
    counts = ", ".join(f"{rows:,} rows in {name}" for name, rows in found.rows.items())
    print(f"wrote {found.folder}: {counts}, grids.npz, meta.json")
    for name, why in found.left_out.items():
        print(f"without the grid of {name}: {why}")
    print(f"the last minute included begins at {stamp_text(found.until_minute * MINUTE_NS)}; all of it is an estimate")
    return 0


def parse_until(text: str, name: str = "until") -> int:
    """Return nanoseconds since 1970 of an ISO date or stamp; one without an offset is UTC.

    Raises:
        ConfigError: it is neither.
    """
    try:
        return datetime_ns(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        raise ConfigError(f"{name} is {text!r}; allowed is an ISO stamp in UTC, such as '2025-12-15T14:35'") from None


def _refuse_early(manifest: Path, symbol: str, until_ns: int | None) -> None:
    """Refuse an end before the first candle of the symbol is complete; an unknown symbol is the source's affair."""
    candles = [s for s in load_manifest(manifest).series if s.kind == CANDLES and s.instrument.symbol == symbol]
    if until_ns is None or not candles:
        return
    begin = min(s.from_ns for s in candles)
    first_end = min(s.from_ns + s.step_ns for s in candles)
    end = max(s.to_ns + s.step_ns for s in candles)
    if until_ns < first_end:
        raise ConfigError(
            f"until is {stamp_text(until_ns)}; the recording of {symbol} runs from {stamp_text(begin)} to"
            f" {stamp_text(end)}, and its first bar ends at {stamp_text(first_end)}"
        )


class _Export:
    """One export on its way into a folder."""

    def __init__(
        self, source: HistorySource, symbol: str, folder: Path, file_format: str, report: ReportProgress
    ) -> None:
        self._source = source
        self._symbol = symbol
        self._folder = folder
        self._format = file_format
        self._report = report
        self._rows: dict[str, int] = {}

    def write(self, out: Path) -> ExportSummary:
        shard = self._build()
        if not shard.status():
            raise ConfigError(
                f"the recording of {self._symbol} has no price before the end asked for; ask for a later one"
            )
        self._write_events(shard)
        self._write_live(shard)
        axes = self._write_grids(shard)
        minute = last_minute_before(shard.end_ns)
        meta = describe(shard, self._symbol, self._source, axes, self._rows)
        text = json.dumps(meta, indent=1, ensure_ascii=False, allow_nan=False)
        (self._folder / "meta.json").write_text(text + "\n", encoding="utf-8")
        return ExportSummary(out, minute, dict(self._rows))

    @contextmanager
    def _table(self, name: str, schema: Any) -> Iterator[TableFile]:
        with TableFile(self._folder, name, schema, self._format) as table:
            yield table
        self._rows[table.name] = table.rows

    def _build(self) -> Shard:
        """Run the whole recording through the model, writing bars and reconciliation on the way."""
        with (
            self._table("bars", BARS) as bar_table,
            self._table("reconciliation", RECONCILIATION) as sample_table,
        ):
            # The scale is asked for only once the shard has seen a price, so the two may know each other.
            recorder = TickRecorder(bar_table, sample_table, lambda name: shard.market.scale(name))
            instruments = self._source.description.instruments
            shard = Shard(instruments, NumpyBackend(), SystemClock().now_ns, recorder.observe)
            for event in self._source.iterate():
                if isinstance(event, TickEnd):
                    shard.accept(TickEnd(event.time_ns, render=False))  # the grids are computed once, below
                    self._report("building", shard.tick, self._source.progress().total)
                else:
                    shard.accept(event)
            recorder.flush()
        return shard

    def _write_events(self, shard: Shard) -> None:
        ledger = shard.engine(self._symbol).capture().columns()
        keys = KeyColumns(shard.book(self._symbol).instruments)
        with self._table("events", EVENTS) as table:
            for part in batches(len(ledger.lots)):
                table.write(
                    {
                        "minute": ledger.minute[part],
                        "open_minute": ledger.open_minute[part],
                        "row": ledger.row[part],
                        "lots": ledger.lots[part],
                        "cause": causes(ledger.cause[part]),
                        **keys.of(ledger.key[part]),
                    }
                )
                self._report("writing events", part.stop, len(ledger.lots))

    def _write_live(self, shard: Shard) -> None:
        book = shard.book(self._symbol)
        live = book.cohorts_in_lots()
        keys = KeyColumns(book.instruments)
        with self._table("live", LIVE) as table:
            for part in batches(len(live)):
                table.write(
                    {
                        "open_minute": live.open_minute[part],
                        "row": live.row[part],
                        "lots": live.lots[part],
                        **keys.of(live.key[part]),
                    }
                )

    def _write_grids(self, shard: Shard) -> dict[str, NDArray[np.int64]]:
        """Write the nine grids at the last minute and return their axes by timeframe."""
        engine, minute = shard.engine(self._symbol), last_minute_before(shard.end_ns)
        price = shard.status()[0].mark_price
        view = engine.capture()
        arrays: dict[str, NDArray[np.int64]] = {}
        axes: dict[str, NDArray[np.int64]] = {}
        for number, frame in enumerate(TIMEFRAMES, 1):
            rows = engine.scale.row_range(frame, price)
            arrays[frame.name] = engine.project(view, frame, minute, rows)
            corner = (frame.first_column(minute), frame.column_minutes, rows.first, rows.multiple)
            axes[frame.name] = arrays[f"{frame.name}_axes"] = np.array(corner, np.int64)
            self._report("computing grids", number, len(TIMEFRAMES))
        self._report("writing grids", 0, 1)
        np.savez_compressed(self._folder / "grids.npz", **arrays)  # type: ignore[arg-type]
        self._report("writing grids", 1, 1)
        return axes


@contextmanager
def _terminal_progress() -> Iterator[ReportProgress | None]:
    """Yield a reporter that draws a bar with rate and time left, or None where nobody sees it."""
    if not sys.stderr.isatty():
        yield None
        return
    with progress_bar(Console(stderr=True)) as bar:
        tasks: dict[str, Any] = {}

        def report(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done)

        yield report

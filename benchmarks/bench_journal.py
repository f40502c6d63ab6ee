"""How many ticks a second does the journal take, and how many bytes are a day? Twenty venues of ten symbols at 1 Hz.

    python -m benchmarks.bench_journal                 every policy, stored
    python -m benchmarks.bench_journal --ticks 60      smaller, nothing stored

Beside it, in turn and in one run, plain SQLite doing the same inserts: the same bodies, a row a tick, one transaction
each, the same PRAGMAs, and nothing else. What the journal does beyond that is a checksum, and the witness of the newest
tick after each commit. Making a tick's body from its bars is timed apart. Neither waits for a checkpoint in an append;
both make one every hundred ticks, timed apart as well. What the journal holds afterwards is read back and compared.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks import report
from benchmarks.gpu.equal_payloads import same
from benchmarks.journal_market import closed_ticks, instruments_of
from liqscape.journal.sqlite_store import SYNC_POLICIES, SqliteJournal
from liqscape.journal.store import Record
from liqscape.market.closed_tick import ClosedTick
from liqscape.market.tick_codec import decode_tick, encode_tick

VENUES: Final = 20
SYMBOLS: Final = 10
TICKS: Final = 1200
ROUND_TICKS: Final = 100
"""So many are taken by one, then the same by the other."""

DAY_TICKS: Final = 86_400


@dataclass(frozen=True, slots=True)
class Speed:
    """Appends of one policy: ticks a second, and milliseconds of one."""

    ticks_a_second: float
    p50_ms: float
    p99_ms: float
    checkpoint_ms: float

    @classmethod
    def of(cls, seconds: Sequence[float], checkpoints: Sequence[float]) -> Speed:
        """Return the figures of the times of single appends."""
        p50, p99 = np.quantile(np.array(seconds), [0.5, 0.99], method="higher").tolist()
        return cls(len(seconds) / sum(seconds), 1e3 * p50, 1e3 * p99, 1e3 * float(np.median(checkpoints)))


class Plain:
    """SQLite, and nothing else."""

    def __init__(self, path: Path, sync: str) -> None:
        self._connection = sqlite3.connect(path)
        self._connection.execute("PRAGMA journal_mode = WAL").fetchone()
        self._connection.execute(f"PRAGMA synchronous = {SYNC_POLICIES[sync]}")
        self._connection.execute("PRAGMA wal_autocheckpoint = 0").fetchone()
        self._connection.execute("CREATE TABLE ticks (tick INTEGER PRIMARY KEY, body BLOB NOT NULL)")

    def append(self, record: Record) -> None:
        """Insert a row."""
        with self._connection:
            self._connection.execute("INSERT INTO ticks VALUES (?, ?)", record)

    def checkpoint(self) -> None:
        """Bring the log into the file."""
        self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()


def measure(records: Sequence[Record], sync: str, folder: Path) -> tuple[Speed, Speed, int, list[str]]:
    """Return the speeds of journal and plain SQLite, the bytes of the journal's file, and what is wrong with it."""
    times: tuple[list[float], list[float]] = ([], [])
    checkpoints: tuple[list[float], list[float]] = ([], [])
    path = folder / f"{sync}.sqlite"
    with closing(SqliteJournal(path, sync)) as journal, closing(Plain(folder / f"{sync}-plain.sqlite", sync)) as plain:
        appends = (partial(_append, journal), plain.append)
        maintain = (journal.maintain, plain.checkpoint)
        for begin in range(0, len(records), ROUND_TICKS):
            # Who comes first finds the disk as the other has left it, so they take turns at that too.
            for who in (0, 1) if begin // ROUND_TICKS % 2 == 0 else (1, 0):
                for record in records[begin : begin + ROUND_TICKS]:
                    times[who].append(_seconds(partial(appends[who], record)))
                checkpoints[who].append(_seconds(maintain[who]))
        wrong = [] if list(journal.read(records[0][0])) == list(records) else ["the journal holds something else"]
        journal.vacuum()
        size = path.stat().st_size
    return Speed.of(times[0], checkpoints[0]), Speed.of(times[1], checkpoints[1]), size, wrong


def encode(ticks: Sequence[ClosedTick]) -> tuple[list[Record], Speed, list[str]]:
    """Return the records of ticks, how long each took, and which is another after it is read back."""
    records: list[Record] = []
    times: list[float] = []
    for number, tick in enumerate(ticks, 1):
        began = time.perf_counter()
        body = encode_tick(tick)
        times.append(time.perf_counter() - began)
        records.append((number, body))
    wrong = [
        f"tick {n} is another"
        for n, body in records[:: max(1, len(records) // 50)]
        if not same(decode_tick(body), ticks[n - 1])
    ]
    return records, Speed.of(times, [0.0]), wrong


def _append(journal: SqliteJournal, record: Record) -> None:
    journal.append([record])


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description="how many ticks does the journal take?")
    parser.add_argument("--ticks", type=int, default=TICKS, help=f"of a second each (default {TICKS})")
    parser.add_argument("--folder", type=Path, help="on the disk to be measured (default: that of temporary files)")
    options = parser.parse_args(arguments)
    instruments = instruments_of(VENUES, SYMBOLS)
    records, encoding, wrong = encode(list(closed_ticks(instruments, options.ticks)))
    body = sum(len(body) for _, body in records) / len(records)
    figures = {
        "instruments, ticks": f"{len(instruments)}, {len(records):,}",
        "bytes of a tick's body": f"{body:,.0f}, {body / len(instruments):.0f} an instrument",
        "making it, p50 / p99": f"{encoding.p50_ms:.2f} / {encoding.p99_ms:.2f} ms",
    }
    result: dict[str, object] = {"encoding": asdict(encoding), "body_bytes": body}
    size = 0
    with tempfile.TemporaryDirectory(prefix="liqscape-journal-", dir=options.folder) as top:
        for sync in SYNC_POLICIES:
            ours, plain, size, found = measure(records, sync, Path(top))
            wrong += found
            ratio = ours.ticks_a_second / plain.ticks_a_second
            figures[f"{sync}: ticks a second, journal / plain SQLite"] = (
                f"{ours.ticks_a_second:,.0f} / {plain.ticks_a_second:,.0f}, x {ratio:.2f}"
            )
            figures[f"{sync}: an append p50 / p99, journal; plain SQLite"] = (
                f"{ours.p50_ms:.2f} / {ours.p99_ms:.2f}; {plain.p50_ms:.2f} / {plain.p99_ms:.2f} ms"
            )
            result[sync] = {"journal": asdict(ours), "plain": asdict(plain)}
    a_day = size / len(records) * DAY_TICKS
    figures["a day"] = f"{a_day / 1e9:.2f} GB, were it all kept; a server keeps what follows its oldest snapshot"
    result["bytes_a_day"] = a_day
    for name, value in figures.items():
        print(f"{name}: {value}")
    for what in wrong:
        print(f"WRONG: {what}")
    if options.ticks >= TICKS and not wrong:
        report.store("journal", "How many ticks does the journal take, and how many bytes are a day?", figures, result)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

"""The journal command: looks at a data folder, makes it smaller, sets aside what is damaged in it, or corrects it."""

from __future__ import annotations

import argparse
from contextlib import closing
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

from liqscape.archive.check import check_archive, set_damages_aside
from liqscape.corrections import correct
from liqscape.errors import ConfigError, LiqscapeError
from liqscape.events import QUANTITY_DECIMALS
from liqscape.folder_check import CheckedJournal, CheckedSnapshot, check_journal, check_snapshots
from liqscape.journal.data_folder import DataFolder
from liqscape.journal.store import Note, StoreDamaged
from liqscape.market.notes import told


def add_journal_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `journal`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    check = actions.add_parser("check", help="look at every checksum; a server may be running; 1 if anything is wrong")
    compact = actions.add_parser("compact", help="drop what no snapshot needs, and give the space back")
    repair = actions.add_parser("repair", help="set aside what is damaged, as the next start of a server would")
    repair.add_argument("--dry-run", action="store_true", help="only say what would be done")
    repair.add_argument(
        "--before",
        type=int,
        metavar="TICK",
        help="give that tick up and what follows: one that a start says it cannot take",
    )
    log = actions.add_parser("log", help="show corrections, and changes of mixes and rules, of all the past")
    correct_it = actions.add_parser("correct", help="tell the next start that something it was told was wrong")
    correct_it.add_argument("--instrument", required=True, metavar="ID", help="for example binance:BTCUSDT")
    correct_it.add_argument(
        "--to", required=True, metavar="TIME", help="of the sample, or end of the span, with a zone"
    )
    correct_it.add_argument("--from", dest="since", metavar="TIME", help="begin of the span (default: --to)")
    correct_it.add_argument(
        "--open-interest",
        metavar="QUANTITY",
        help="the right one, in base coins or contracts; without, the prices and trades of the span were wrong",
    )
    correct_it.add_argument("--reason", required=True, metavar="TEXT", help="kept with it")
    for action in (check, compact, repair, log, correct_it):
        action.add_argument("--data", type=Path, required=True, metavar="DIR", help="data folder of a server")


def run_journal(namespace: argparse.Namespace) -> int:
    """Do what was asked; returns 1 where something is wrong, or was."""
    read_only = namespace.action in ("check", "log") or (namespace.action == "repair" and namespace.dry_run)
    with closing(DataFolder(namespace.data, read_only=read_only)) as folder:
        if namespace.action == "check":
            return _check(folder)
        if namespace.action == "compact":
            return compact(folder)
        if namespace.action == "log":
            return _log(folder)
        if namespace.action == "correct":
            return _correct(folder, namespace)
        return _repair(folder, namespace.before, dry_run=namespace.dry_run)


def _check(folder: DataFolder) -> int:
    snapshots = check_snapshots(folder)
    journal = check_journal(folder, snapshots)
    archive = check_archive(folder.archive_path)
    for line in [*_lines(snapshots, journal), *archive.lines]:
        print(line)
    wrong = [snapshot.wrong for snapshot in snapshots if snapshot.wrong] + list(journal.wrong)
    wrong += [damage.wrong for damage in archive.damages]
    try:
        folder.settings()
    except LiqscapeError as error:
        wrong.append(str(error))
    for text in wrong:
        print(f"DAMAGED: {text}")
    if not wrong:
        print("everything is as it was written")
    return 1 if wrong else 0


def _lines(snapshots: list[CheckedSnapshot], journal: CheckedJournal) -> list[str]:
    lines = [
        f"snapshot  tick {s.tick:,}  {_mega(s.size)}  {'good' if s.wrong is None else 'damaged'}" for s in snapshots
    ]
    span = (
        "no ticks" if journal.oldest is None or journal.newest is None else f"{journal.oldest:,} to {journal.newest:,}"
    )
    good = "none" if not journal.good else f"{journal.good[0]:,} to {journal.good[-1]:,}"
    return [*lines, f"journal   {span}  {_mega(journal.size)}  after the newest good snapshot: {good}"]


def compact(folder: DataFolder) -> int:
    """Drop what no snapshot needs, give the space back, and say what that was. Killed, it has dropped less of it."""
    snapshots = check_snapshots(folder)
    if any(snapshot.wrong for snapshot in snapshots) or check_journal(folder, snapshots).wrong:
        print("something is damaged; see liqscape journal check, and repair it first")
        return 1
    removed = folder.snapshots.remove_unfinished() + folder.snapshots.prune()
    kept = folder.snapshots.ticks()
    before, dropped = folder.journal_path.stat().st_size, 0
    with closing(folder.open_journal()) as journal:
        while kept and (count := journal.truncate_before(kept[0] + 1)):
            dropped += count
        journal.vacuum()
    after = folder.journal_path.stat().st_size
    print(f"dropped {dropped:,} ticks and {removed} files; the journal has {_mega(after)}, before {_mega(before)}")
    return 0


def _repair(folder: DataFolder, before: int | None, *, dry_run: bool) -> int:
    snapshots = check_snapshots(folder)
    journal = check_journal(folder, snapshots)
    bad = [snapshot for snapshot in snapshots if snapshot.wrong]
    wrong, good = journal.wrong, journal.good
    if before is not None and before < good.stop:
        if before < good.start:
            raise ConfigError(f"--before is {before}; the snapshot of tick {good.start - 1} holds that tick already")
        given_up = f"ticks {before:,} to {good.stop - 1:,} are given up"
        wrong, good = (*wrong, given_up), range(good.start, before)
    archive = check_archive(folder.archive_path)
    if not bad and not wrong and not archive.damages:
        print("nothing is damaged")
        return 0
    would = "would be " if dry_run else ""
    for snapshot in bad:
        print(f"snapshot of tick {snapshot.tick:,} {would}set aside: {snapshot.wrong}")
        if not dry_run:
            folder.snapshots.set_aside(snapshot.tick)
    for damage in archive.damages:
        print(f"{damage.path} {would}set aside, what it held is missing in the archive: {damage.wrong}")
    if not dry_run:
        set_damages_aside(archive)
    if wrong:
        kept = f"ticks {good[0]:,} to {good[-1]:,} {would}kept" if good else "no tick is kept"
        print(f"journal {would}set aside, {kept}: {'; '.join(wrong)}")
        if not dry_run:
            opened = folder.try_journal()
            aside = folder.set_journal_aside(opened, good)
            print(f"what was there is in {', '.join(map(str, aside))}")
    return 1


def _log(folder: DataFolder) -> int:
    try:
        with closing(folder.open_journal()) as journal:
            for note in journal.notes():
                print(f"tick {note.tick:,}  {note.kind}  {_told(note)}")
    except StoreDamaged as error:
        print(f"DAMAGED: {error}")
        return 1
    return 0


def _told(note: Note) -> str:
    try:
        return told(note.kind, note.text)
    except (ValueError, KeyError, TypeError):
        return note.text  # of a later version, perhaps


def _correct(folder: DataFolder, namespace: argparse.Namespace) -> int:
    to_ns = _instant("--to", namespace.to)
    from_ns = to_ns if namespace.since is None else _instant("--from", namespace.since)
    quantity = None if namespace.open_interest is None else _quantity(namespace.open_interest)
    done = correct(folder, namespace.instrument, from_ns, to_ns, quantity, namespace.reason)
    what = "it is a sample now" if done.is_sampled else "it is noted, and changes no position"
    print(f"corrected in tick {done.tick:,}: {what}")
    return 0


def _instant(name: str, text: str) -> int:
    try:
        stamp = datetime.fromisoformat(text)
    except ValueError:
        stamp = None
    if stamp is None or stamp.tzinfo is None:
        raise ConfigError(f"{name} is {text!r}; use ISO 8601 with a zone, for example 2025-12-20T00:00Z")
    return (stamp - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000


def _quantity(text: str) -> int:
    try:
        units = Fraction(text) * 10**QUANTITY_DECIMALS
    except (ValueError, ZeroDivisionError):
        units = Fraction(-1)
    if units < 0 or units.denominator != 1:
        raise ConfigError(
            f"--open-interest is {text!r}; use a number of 0 or more with up to {QUANTITY_DECIMALS} decimals"
        )
    return int(units)


def _mega(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"

"""The journal command: looks at a data folder, makes it smaller, or sets aside what is damaged in it."""

from __future__ import annotations

import argparse
from contextlib import closing
from pathlib import Path

from liqscape.archive.check import check_archive, set_damages_aside
from liqscape.errors import LiqscapeError
from liqscape.folder_check import CheckedJournal, CheckedSnapshot, check_journal, check_snapshots
from liqscape.journal.data_folder import DataFolder


def add_journal_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `journal`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    check = actions.add_parser("check", help="look at every checksum; a server may be running; 1 if anything is wrong")
    compact = actions.add_parser("compact", help="drop what no snapshot needs, and give the space back")
    repair = actions.add_parser("repair", help="set aside what is damaged, as the next start of a server would")
    repair.add_argument("--dry-run", action="store_true", help="only say what would be done")
    for action in (check, compact, repair):
        action.add_argument("--data", type=Path, required=True, metavar="DIR", help="data folder of a server")


def run_journal(namespace: argparse.Namespace) -> int:
    """Do what was asked; returns 1 where something is wrong, or was."""
    read_only = namespace.action == "check" or (namespace.action == "repair" and namespace.dry_run)
    with closing(DataFolder(namespace.data, read_only=read_only)) as folder:
        if namespace.action == "check":
            return _check(folder)
        if namespace.action == "compact":
            return _compact(folder)
        return _repair(folder, dry_run=namespace.dry_run)


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


def _compact(folder: DataFolder) -> int:
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


def _repair(folder: DataFolder, *, dry_run: bool) -> int:
    snapshots = check_snapshots(folder)
    journal = check_journal(folder, snapshots)
    bad = [snapshot for snapshot in snapshots if snapshot.wrong]
    archive = check_archive(folder.archive_path)
    if not bad and not journal.wrong and not archive.damages:
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
    if journal.wrong:
        kept = f"ticks {journal.good[0]:,} to {journal.good[-1]:,} {would}kept" if journal.good else "no tick is kept"
        print(f"journal {would}set aside, {kept}: {'; '.join(journal.wrong)}")
        if not dry_run:
            opened = folder.try_journal()
            aside = folder.set_journal_aside(opened, journal.good)
            print(f"what was there is in {', '.join(map(str, aside))}")
    return 1


def _mega(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"

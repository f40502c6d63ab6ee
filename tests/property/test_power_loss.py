"""What each sync policy owes after a loss of power is there, and what is damaged is found: see tests/crash/power.py.

Seen to fail when broken on purpose, one at a time: in sqlite_store.py `tick` made NORMAL, `second` made OFF, no
checkpoint in maintain; in snapshot_file.py the file or its folder not synced; in disk.py a new folder's name not
synced; in head.py the new file not synced.
"""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from random import Random

import pytest
from hypothesis import settings

from liqscape.journal.disk import sync_folder
from liqscape.journal.sqlite_store import SqliteJournal
from tests.crash.lossy_disk import LossyDisk, PowerLoss
from tests.crash.lossy_sqlite import connecting
from tests.crash.power import run

LOSSES = 24 * settings().max_examples // 50


@pytest.mark.slow
def test_every_start_has_what_its_policy_owes() -> None:
    found = run(LOSSES, seed=2)

    assert sum(found.moments.values()) == LOSSES
    assert found.lost["tick"] == found.damaged["tick"] == 0
    assert found.lost["second"] + found.lost["off"] > 0, "no write was lost: the disk forgets nothing"


def test_disk_has_what_was_synced_and_may_forget_the_rest(tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    disk = LossyDisk(here)
    with disk.in_place():
        (here / "kept").write_bytes(b"old" * 1000)
        with (here / "kept").open("rb") as file:
            os.fsync(file.fileno())
        sync_folder(here)
        (here / "kept").write_bytes(b"new" * 1000)
        (here / "nameless").write_bytes(b"x")
        with (here / "nameless").open("rb") as file:
            os.fsync(file.fileno())
        (here / "kept").replace(here / "renamed")

    found = set()
    for seed in range(40):
        disk.left(Random(seed), tmp_path / str(seed))
        left = {path.name: path.read_bytes() for path in (tmp_path / str(seed)).iterdir()}
        assert len(left.keys() & {"kept", "renamed"}) == 1
        content = left.get("kept", left.get("renamed", b""))
        found |= {*left, content[:3], "torn" if content[:3] != content[-3:] else "whole"}
        assert len(content) == 3000
    assert found == {"kept", "renamed", "nameless", b"old", b"new", "torn", "whole"}


def test_maintenance_brings_ticks_to_the_disk_beside_somebody_who_reads(tmp_path: Path) -> None:
    """A reader of an older state keeps a checkpoint from going on; what was committed since must not wait for it."""
    here, after = tmp_path / "here", tmp_path / "after"
    here.mkdir()
    disk = LossyDisk(here)
    with disk.in_place():
        connect = connecting(disk)
        journal = SqliteJournal(here / "journal.sqlite", "second", connect=connect)
        journal.append([(1, b"one")])
        journal.maintain()
        journal.append([(2, b"two")])
        reader = connect((here / "journal.sqlite").as_uri())
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM ticks").fetchone() == (2,)
        for tick in (3, 4):
            journal.append([(tick, b"more")])
            journal.maintain()
        disk.left(Random(0), after, share=0.0)
        reader.close()
        journal.close()

    with closing(SqliteJournal(after / "journal.sqlite")) as left:
        assert [tick for tick, _ in left.read(1)] == [1, 2, 3, 4]


def test_nothing_is_done_after_power_was_lost(tmp_path: Path) -> None:
    disk = LossyDisk(tmp_path, lose_at=1)

    with disk.in_place():
        sync_folder(tmp_path)
        for _ in range(2):
            with pytest.raises(PowerLoss):
                sync_folder(tmp_path)

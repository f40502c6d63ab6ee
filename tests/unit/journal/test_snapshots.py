"""Files of snapshots: whole or not there, every bit under a checksum; the folder keeps some and sets bad ones aside."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from liqscape.journal.snapshot_file import StoredSnapshot, read_snapshot, write_snapshot
from liqscape.journal.snapshot_folder import SnapshotFolder
from liqscape.journal.store import StoreDamaged, StoreUnavailable

ARRAYS: list[NDArray[Any]] = [
    np.arange(1000, dtype=np.int64) * -(1 << 50),
    np.zeros((5, 0), np.int64),
    np.arange(6, dtype=np.int32).reshape(2, 3),
    np.array([0, 65535], np.uint16),
    np.array([7], np.uint8),
]


def snapshot(tick: int = 3) -> StoredSnapshot:
    return StoredSnapshot(1, tick, {"seed": 1}, {"arrays": [0, 1, 2, 3, 4], "none": None}, ARRAYS)


def test_snapshot_is_read_back(tmp_path: Path) -> None:
    size = write_snapshot(tmp_path / "a", snapshot())

    found = read_snapshot(tmp_path / "a")

    assert (found.version, found.tick, found.settings, found.tree) == (1, 3, {"seed": 1}, snapshot().tree)
    assert [(a.dtype, a.shape, a.tolist()) for a in found.arrays] == [(a.dtype, a.shape, a.tolist()) for a in ARRAYS]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert size == (tmp_path / "a").stat().st_size


@pytest.mark.slow
def test_every_flipped_bit_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_snapshot(path, snapshot())
    data = path.read_bytes()

    for at in range(len(data)):
        path.write_bytes(data[:at] + bytes([data[at] ^ (1 << at % 8)]) + data[at + 1 :])
        with pytest.raises(StoreDamaged, match=str(path)):
            read_snapshot(path)


@pytest.mark.slow
def test_every_cut_and_every_addition_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_snapshot(path, snapshot())
    data = path.read_bytes()

    for wrong in (*(data[:end] for end in range(len(data))), data + b"\0"):
        path.write_bytes(wrong)
        with pytest.raises(StoreDamaged, match=str(path)):
            read_snapshot(path)


def test_file_that_is_missing_is_damaged(tmp_path: Path) -> None:
    with pytest.raises(StoreDamaged, match="No such file"):
        read_snapshot(tmp_path / "a")


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_failure_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    path = tmp_path / "a"
    write_snapshot(path, snapshot(3))

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full) if failing == "fsync" else patch.setattr(Path, "replace", full)
        with pytest.raises(StoreUnavailable, match="cannot be written: No space left on device"):
            write_snapshot(path, snapshot(4))

    assert read_snapshot(path).tick == 3
    assert [found.name for found in tmp_path.iterdir()] == ["a"]


def test_file_is_on_the_disk_before_its_name_and_its_name_before_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def synced(handle: int) -> None:
        done.append(Path(os.readlink(f"/proc/self/fd/{handle}")).name)
        fsync(handle)

    def replaced(path: Path, target: Path) -> Path:
        done.append(f"{path.name} -> {target.name}")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", replaced)

    write_snapshot(tmp_path / "a", snapshot())

    assert done == ["a.tmp", "a.tmp -> a", tmp_path.name]


def test_folder_keeps_the_newest(tmp_path: Path) -> None:
    folder = SnapshotFolder(tmp_path / "snapshots", keep=2)
    assert folder.ticks() == []

    for tick in (1, 20, 300):
        folder.write(snapshot(tick))

    assert folder.ticks() == [20, 300]
    assert read_snapshot(folder.path(300)).tick == 300


def test_bad_one_is_set_aside_and_not_deleted(tmp_path: Path) -> None:
    folder = SnapshotFolder(tmp_path, keep=2)
    names = []
    for _ in range(2):
        folder.write(snapshot(1))
        names.append(folder.set_aside(1).name)

    assert names == ["tick-000000000001.snapshot.bad", "tick-000000000001.snapshot.bad1"]
    assert folder.ticks() == []
    assert len(list(tmp_path.iterdir())) == 2


def test_unfinished_ones_are_removed(tmp_path: Path) -> None:
    folder = SnapshotFolder(tmp_path)
    folder.write(snapshot(1))
    (tmp_path / (folder.path(2).name + ".tmp")).write_bytes(b"half")

    assert folder.remove_unfinished() == 1

    assert (folder.ticks(), len(list(tmp_path.iterdir()))) == ([1], 1)

"""Whatever happens to a file, a restart gives what was there or says what is missing, and never another state.

Seen to fail when broken on purpose, one at a time: in sqlite_store.py the checksum of a tick not looked at, the head
not looked at; in snapshot_file.py the checksum of an array not looked at.
"""

from __future__ import annotations

import logging
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqscape.errors import ConfigError
from liqscape.events import Event
from liqscape.journal.snapshot_folder import BAD
from tests.equal_shards import fingerprint
from tests.kept_shard import KeptShard, market_ticks, new_shard, rendered_after

TICKS: Final = rendered_after(market_ticks(80), 60)
"""The last one is rendered, so it is committed."""


def states_of(ticks: list[list[Event]]) -> dict[int, str]:
    """Return the fingerprint of a shard after each number of ticks, that nobody ever ended."""
    shard = new_shard()
    states = {0: fingerprint(shard)}
    for number, tick in enumerate(ticks, 1):
        for event in tick:
            shard.accept(event)
        states[number] = fingerprint(shard)
    return states


class Original:
    """A folder as a killed process leaves it: snapshots, and a journal partly in its own file, partly beside it.

    Args:
        top: an empty folder.
        beside: ticks that are beside it.

    Attributes:
        folder: as it was left.
        files: in it.
        states: fingerprint of what was there, by tick.
    """

    def __init__(self, top: Path, beside: int) -> None:
        self.folder = top / "original"
        ticks = market_ticks(TICKS)
        self.states = states_of(ticks)
        living = KeptShard(top / "living", snapshot_seconds=20)
        for second in range(TICKS + 1):
            living.now = second
            living.take(ticks, second)
            living.let_snapshots_end()
            if second == TICKS - beside:
                living.keeper.maintain()
        shutil.copytree(top / "living", self.folder)  # a copy has no locks, and no process that would tidy up
        living.stop()
        found = (path for path in sorted(self.folder.rglob("*")) if path.is_file() and path.stat().st_size)
        self.files = [path.relative_to(self.folder) for path in found]


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Original]:
    return {name: Original(tmp_path_factory.mktemp(name), beside) for name, beside in (("half", 5), ("whole", 0))}


def damage(path: Path, random: Random) -> str:
    """Do something to a file; return what, in words."""
    data = bytearray(path.read_bytes())
    at, how = random.randrange(len(data)), random.randrange(4)
    if how == 0:
        del data[at:]
        words = f"cut off at {at}"
    elif how == 1:
        count = random.choice((512, 4096))
        data[at : at + count] = bytes(len(data[at : at + count]))
        words = f"zeroes from {at}"
    else:
        data[at] ^= 1 << random.randrange(8)
        words = f"a bit at {at}"
    path.write_bytes(data)
    return f"{path.name}: {words}"


def judge(original: Original, folder: Path, what: str) -> bool:
    """Start again; return whether anything was said to be wrong.

    Raises:
        AssertionError: the state is another one than was there, or less than all of it and nothing was said.
    """
    try:
        again = KeptShard(folder)
    except ConfigError:
        return True
    try:
        tick, counters = again.shard.tick, again.keeper.counters
        assert fingerprint(again.shard) == original.states[tick], f"{what}: another state at tick {tick}"
        said = bool(counters["damaged_files"])
        assert tick == TICKS or said, f"{what}: only {tick} ticks, and nothing is said"
        assert counters["journal_ticks_lost"] in (0, TICKS - tick), what
        assert said == bool(list(folder.rglob(f"*{BAD}*"))), f"{what}: nothing was set aside"
        return said
    finally:
        again.stop()


@pytest.mark.parametrize("name", ["half", "whole"])
def test_undamaged_copy_is_whole(originals: dict[str, Original], tmp_path: Path, name: str) -> None:
    original = originals[name]
    shutil.copytree(original.folder, tmp_path / "copy")

    assert judge(original, tmp_path / "copy", "nothing") is False
    names = {path.name for path in original.files}
    assert {"journal.sqlite", "journal.sqlite-wal", "journal.head"} < names
    assert len([name for name in names if name.endswith(".snapshot")]) == 3


@pytest.mark.slow
@given(st.randoms(use_true_random=False))
def test_damaged_file_is_found_or_harmless(
    originals: dict[str, Original], tmp_path_factory: pytest.TempPathFactory, random: Random
) -> None:
    folder = tmp_path_factory.mktemp("copy") / "data"
    original = random.choice(list(originals.values()))
    shutil.copytree(original.folder, folder)
    what = damage(folder / random.choice(original.files), random)

    said = judge(original, folder, what)

    if said:
        assert damaged_files(folder) == 0, f"{what}: found again, though it was set aside"
    shutil.rmtree(folder)


def test_tick_that_is_not_what_was_committed_is_found(originals: dict[str, Original], tmp_path: Path) -> None:
    folder, wrong = tmp_path / "data", TICKS - 3
    shutil.copytree(originals["whole"].folder, folder)
    with closing(sqlite3.connect(folder / "journal.sqlite")) as journal, journal:
        (other,) = journal.execute("SELECT body FROM ticks WHERE tick = ?", (wrong + 1,)).fetchone()
        journal.execute("UPDATE ticks SET body = ? WHERE tick = ?", (other, wrong))  # it can be read like any

    assert judge(originals["whole"], folder, "the body of another tick") is True


@pytest.mark.parametrize(
    ("name", "file", "left", "words"),
    [
        ("whole", "journal.sqlite", 3, "the journal is damaged after tick"),
        ("half", "journal.sqlite-wal", 20, "the journal is damaged after tick"),
        ("half", "journal.head", 2, f"the journal is damaged after tick {TICKS}, 0 ticks are lost"),
        ("half", "snapshots", 2, "snapshot of tick"),
    ],
)
def test_cut_off_file_is_named_and_the_next_start_is_clean(
    originals: dict[str, Original],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    name: str,
    file: str,
    left: int,
    words: str,
) -> None:
    folder = tmp_path / "data"
    shutil.copytree(originals[name].folder, folder)
    path = folder / file
    if path.is_dir():
        path = sorted(path.iterdir())[-1]
    path.write_bytes(path.read_bytes()[: path.stat().st_size // left])

    assert judge(originals[name], folder, file) is True
    (said,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert words in said
    assert path.name.removesuffix("-wal") in said
    assert damaged_files(folder) == 0


def damaged_files(folder: Path) -> int:
    """Return how many damaged files one more start finds."""
    again = KeptShard(folder)
    again.stop()
    return again.keeper.counters["damaged_files"]

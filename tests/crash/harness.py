"""Kills engines at random moments and looks whether anything they had said was lost.

    python -m tests.crash.harness --kills 10

A child runs a small shard with journal and snapshots, and says in a pipe what it has committed and, as digests, what it
sends. It is killed (SIGKILL) after a random number of lines, or at a random moment of its start. Between two lives
there may be a compaction of the folder, in a child that is killed at a random moment of it. The next one must have
every tick that was said to be committed, and must send what the reference does, a shard in this process that nobody
kills. Now and then the newest snapshot is broken in between. Children are forked: with all modules loaded a process
starts in milliseconds.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import select
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import closing, redirect_stdout
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from random import Random
from typing import Final

from liqscape.events import Event
from liqscape.grid.updates import TickOutput
from liqscape.journal.data_folder import DataFolder
from liqscape.journal.snapshot_folder import SnapshotFolder
from liqscape.journal_command import compact
from liqscape.keeper import Keeper
from liqscape.market.closed_tick import ClosedTick
from tests.crash.small_market import small_market
from tests.equal_shards import Stream, fingerprint
from tests.kept_shard import new_shard

SNAPSHOT_TICKS: Final = 25
MAINTAIN_SECONDS: Final = 0.02
"""Often, so that many kills come in the middle of a checkpoint or a truncation."""

AHEAD: Final = 400
"""Ticks a child may run through; more than it lives to see."""

KILLS_OF_A_FOLDER: Final = 50
"""Then another market begins in a new folder: a shard that grows for ever would be slow."""

START_SHARE: Final = 0.15
"""Of children that are killed while they start."""

DAMAGED_SHARE: Final = 0.1
"""Of starts that find the newest snapshot broken; the one before and the journal since must do."""

COMPACTED_SHARE: Final = 0.3
"""Of lives before which the folder is compacted."""

COMPACTION_S: Final = 0.04
"""Somewhat more than one takes: it is killed within."""

LIMIT_S: Final = 60.0


class Lost(Exception):
    """An engine was not what it had said it was."""


@dataclass
class Found:
    """What was done; kills by what the child was about, and how many came while the journal was maintained."""

    kills: Counter[str] = field(default_factory=Counter)
    maintaining: int = 0
    committed: int = 0
    compared: int = 0
    snapshots: int = 0
    damaged: int = 0


class Child:
    """What is done in a process of its own, and told line by line in a pipe: its number is what it is given."""

    def __init__(self, do: Callable[[int], None]) -> None:
        self._read, write = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                os.close(self._read)
                logging.disable(logging.CRITICAL)
                do(write)
                status = 0
            except BaseException as error:
                os.write(write, f"failed {error!r} {traceback.format_exc()!r}\n".encode())
            finally:
                os._exit(status)
        os.close(write)
        self._data = b""

    def lines(self, count: int, seconds: float = LIMIT_S) -> list[str]:
        """Return so many lines more, or fewer when the child has ended or the time is over."""
        found: list[str] = []
        until = time.monotonic() + seconds
        while len(found) < count:
            line, separator, rest = self._data.partition(b"\n")
            if separator:
                found.append(line.decode())
                self._data = rest
                continue
            left = max(0.0, until - time.monotonic())
            if not select.select([self._read], [], [], left)[0]:
                break
            more = os.read(self._read, 1 << 16)
            if not more:
                break
            self._data += more
        return found

    def kill(self) -> list[str]:
        """Kill it and return what it had said."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        left = self.lines(1 << 30)
        os.close(self._read)
        return left


def _live(folder: Path, ticks: list[list[Event]], sync: str, damaged: int, pipe: int) -> None:
    def say(text: str) -> None:
        os.write(pipe, text.encode() + b"\n")

    def record(tick: int, closed: ClosedTick) -> None:
        keeper.record(tick, closed)
        if keeper.committed_tick == tick:
            say(f"committed {tick}")

    def maintain() -> None:
        say("maintaining")
        maintain_quietly()
        say("maintained")

    shard = new_shard(record)
    data = DataFolder(folder)
    keeper = Keeper(data, {}, sync, SNAPSHOT_TICKS, MAINTAIN_SECONDS, monotonic=lambda: float(shard.tick))
    maintain_quietly = keeper.maintain
    keeper.maintain = maintain  # type: ignore[method-assign]
    output = keeper.restore(shard, lambda text: None)
    if keeper.counters["damaged_files"] != damaged:
        raise Lost(f"{keeper.counters['damaged_files']} files were found damaged, not {damaged}")
    stream = Stream(shard)
    say(f"restored {shard.tick} {fingerprint(shard)} {_digest(stream, output)}")
    snapshots = 0
    for tick in ticks[shard.tick :]:
        for event in tick:
            output = shard.accept(event)
        digest = _digest(stream, output)
        if keeper.committed_tick == shard.tick:
            say(f"tick {shard.tick} {digest}")
        if output is not None:
            keeper.after_tick(shard)
        if keeper.is_snapshotting != snapshots % 2:
            snapshots += 1
            say("snapshot" if keeper.is_snapshotting else "kept")


def _compact(folder: Path, pipe: int) -> None:
    os.write(pipe, b"compacting\n")
    with closing(DataFolder(folder)) as data, open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        compact(data)
    os.write(pipe, b"compacted\n")


def _digest(stream: Stream, output: TickOutput | None) -> str:
    return hashlib.sha256(repr(stream.send(output)).encode()).hexdigest()[:16]


class Folder:
    """A data folder, the market it is of, and the reference: a shard that nobody kills."""

    def __init__(self, path: Path, seed: int) -> None:
        self._path = path
        self._market = small_market(seed)
        self._ticks: list[list[Event]] = []
        self._committed = 0
        self._broken: set[Path] = set()
        self._reference = new_shard()

    def live_and_die(self, random: Random, found: Found) -> None:
        """Let a child live for a while.

        Raises:
            Lost: something was lost, or is another.
        """
        self._ticks += islice(self._market, self._reference.tick + AHEAD - len(self._ticks))
        if random.random() < DAMAGED_SHARE:
            found.damaged += self._break_snapshot(random)
        damaged = sum(path.exists() for path in self._broken)  # until a start has lived to set it aside
        if not damaged and (self._path / "journal.sqlite").exists() and random.random() < COMPACTED_SHARE:
            self._compact_and_die(random, found)
        sync = random.choice(("tick", "second", "off"))
        child = Child(lambda pipe: _live(self._path, self._ticks, sync, damaged, pipe))
        if random.random() < START_SHARE:
            lines = child.lines(1, random.random() * 0.2)
        else:
            lines = child.lines(random.randint(1, 2 * SNAPSHOT_TICKS * 3))
            time.sleep(random.random() * 0.005)
        lines += child.kill()
        self._judge([line.split(maxsplit=3) for line in lines], found)

    def _compact_and_die(self, random: Random, found: Found) -> None:
        child = Child(lambda pipe: _compact(self._path, pipe))
        lines = child.lines(1)
        time.sleep(random.random() * COMPACTION_S)
        lines += child.kill()
        if lines[-1].startswith("failed"):
            raise Lost(lines[-1])
        if lines[-1] == "compacting":
            found.kills["compaction"] += 1

    def _break_snapshot(self, random: Random) -> bool:
        """Break the newest snapshot, if there is a good one before it; return whether one was broken."""
        snapshots = SnapshotFolder(self._path / "snapshots")
        paths = [snapshots.path(tick) for tick in snapshots.ticks()]
        good = [path for path in paths if path not in self._broken]
        if len(good) < 2:
            return False
        data = bytearray(good[-1].read_bytes())
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
        good[-1].write_bytes(data)
        self._broken.add(good[-1])
        return True

    def _judge(self, lines: list[list[str]], found: Found) -> None:
        about, stream, is_maintaining = "start", None, False
        for what, *rest in lines:
            if what == "failed":
                raise Lost(" ".join(rest))
            if what == "restored":
                about, stream = "ticks", self._restored(int(rest[0]), rest[1], rest[2])
            elif what == "committed":
                found.committed += 1
                self._committed = int(rest[0])
            elif what == "tick":
                assert stream is not None
                output = self._advance(int(rest[0]), stream)
                found.compared += 1
                if output != rest[1]:
                    raise Lost(f"tick {rest[0]} was sent otherwise than by the reference")
            elif what in ("maintaining", "maintained"):
                is_maintaining = what == "maintaining"
            else:
                about = "snapshot" if what == "snapshot" else "ticks"
                found.snapshots += what == "kept"
        found.kills[about] += 1
        found.maintaining += is_maintaining

    def _restored(self, tick: int, state: str, sent: str) -> Stream:
        if tick < self._committed:
            raise Lost(f"tick {self._committed} was committed; the next start went back to {tick}")
        while self._reference.tick < tick:
            self._step()
        if fingerprint(self._reference) != state:
            raise Lost(f"what was restored of tick {tick} is not what was there")
        stream = Stream(self._reference)
        if _digest(stream, self._reference.restate()) != sent:
            raise Lost(f"the first frame after a restart at tick {tick} differs")
        return stream

    def _advance(self, tick: int, stream: Stream) -> str:
        digest = ""
        while self._reference.tick < tick:
            digest = _digest(stream, self._step())
        return digest

    def _step(self) -> TickOutput | None:
        output = None
        for event in self._ticks[self._reference.tick]:
            output = self._reference.accept(event)
        return output


def run(kills: int, seed: int) -> Found:
    """Kill so many children; return what was seen.

    Raises:
        Lost: something was lost.
    """
    found, random = Found(), Random(seed)
    with tempfile.TemporaryDirectory(prefix="liqscape-kills-") as top:
        folder: Folder | None = None
        for number in range(kills):
            if folder is None or number % KILLS_OF_A_FOLDER == 0:
                folder = Folder(Path(top) / str(number), seed + number)
            folder.live_and_die(random, found)
    return found


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="kill engines and look whether anything was lost")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    started = time.monotonic()
    try:
        found = run(options.kills, options.seed)
    except Lost as error:
        print(f"LOST (seed {options.seed}): {error}")
        return 1
    print(json.dumps({**vars(found), "seconds": round(time.monotonic() - started, 1)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())

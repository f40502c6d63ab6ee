"""The archive's side of a running engine: takes stretches of ticks, and makes parts and days of them on a thread.

A part is on the disk before the snapshot of the same tick is, so a restart, which begins at a snapshot, finds
everything up to there and is told the rest again. A day is sealed when the first tick of a later one comes. Its parts
stay until no snapshot is older than its end: a day that must be made again, after a loss of power, is whole again.

Whatever fails here is counted and said, and never ends a tick: a day that cannot be kept has a hole.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

from liqscape.archive import retention as letting_go
from liqscape.archive.cuts import Cut, part_of
from liqscape.archive.day_files import Manifests, day_folder, days_in, file_crc32
from liqscape.archive.day_writer import write_day
from liqscape.archive.manifest import DayManifest, day_of, day_text, joined_spans
from liqscape.archive.part_folder import PartFolder
from liqscape.archive.parts import Part, joined
from liqscape.archive.recorder import Recorder
from liqscape.archive.retention import Retention
from liqscape.axes import last_minute_before
from liqscape.errors import LiqscapeError
from liqscape.grid.shard import Shard
from liqscape.instruments import Instrument
from liqscape.journal.snapshot_folder import set_aside
from liqscape.market.closed_tick import ClosedTick

_LOG = logging.getLogger(__name__)

MAX_CUTS_WAITING: Final = 64
"""Stretches that wait for the thread. While history is built more of them are waited for; live they are let go: at a
part in five minutes that is a disk that has hung for hours."""

MAX_OPEN_BYTES: Final = 512 << 20
"""Of parts in memory while they cannot be written: some hours of twenty instruments."""

PARTS: Final = "open"


class Archivist:
    """See above. Called on the engine's thread.

    Args:
        archive: its folder.
        instruments: all of the server.
        retention: what is to be kept.

    Attributes:
        counters: for people; see api.exposition.
        message: what is wrong at present, in words; empty while nothing is.
        notice: what was dropped for want of room since the start, in words.
    """

    def __init__(
        self,
        archive: Path,
        instruments: Sequence[Instrument],
        retention: Retention | None = None,
    ) -> None:
        self.archive = archive
        self.counters: Counter[str] = Counter(
            archive_days=0, archive_bytes=0, archive_days_dropped=0, archive_failures=0, archive_holes=0
        )
        self.counters["archive_damaged_files"] = 0
        self.message = ""
        self.notice = ""
        self._retention = retention or Retention()
        ordered = sorted(instruments, key=lambda instrument: instrument.instrument_id)
        self._ids: dict[str, list[str]] = {}
        for instrument in ordered:
            self._ids.setdefault(instrument.symbol, []).append(instrument.instrument_id)
        self._numbers = {s: {name: number for number, name in enumerate(ids)} for s, ids in self._ids.items()}
        self._parts = PartFolder(archive / PARTS)
        self._manifests = Manifests(archive)
        self._shard: Shard | None = None
        self._recorder: Recorder | None = None
        self._is_live = False
        self._open: list[Part] = []  # not on the disk yet; of the archive's thread
        self._waiting = threading.Semaphore(MAX_CUTS_WAITING)
        self._stopping = threading.Event()
        self._checked = threading.Event()
        self._checked.set()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="archive")

    def begin(self, shard: Shard) -> None:
        """Take up a shard that was restored from a snapshot, or is new; replay comes after it."""
        self._shard = shard
        snapshot_tick = shard.tick
        today = day_of(last_minute_before(shard.end_ns)) if shard.tick else 0
        self._submit(lambda: self._take_up(snapshot_tick, today))
        self._recorder = Recorder(shard)

    def go_live(self) -> None:
        """Hear that the journal is replayed: from now on a tick that is rendered waits for nobody."""
        self._is_live = True

    def before_tick(self, tick: int, closed: ClosedTick) -> None:
        """Note a tick before it is taken; see TickObserver. Never raises."""
        if self._shard is None:
            return
        try:
            if self._recorder is None:
                self._recorder = Recorder(self._shard)
            for cut in self._recorder.before_tick(tick, closed):
                self._hand_over(cut, may_wait=not (self._is_live and closed.render))
        except Exception as error:  # a defect here must not end the ticks
            self._begin_anew(error)

    def cut(self) -> Future[None] | None:
        """Hand over what there is, and return when it is on the disk. Between ticks, beside a snapshot."""
        if self._recorder is None:
            return None
        try:
            self._hand_over(self._recorder.cut(), may_wait=False)
        except Exception as error:  # as above
            self._begin_anew(error)
            return None
        return self._submit(self._write_parts)

    def snapshots_kept(self, oldest_tick: int) -> None:
        """Hear which snapshot is the oldest one that a restart may begin at."""
        self._submit(lambda: self._forget_parts(oldest_tick))

    def let_go(self) -> None:
        """Drop what is not to be kept; done each time a day is sealed too."""
        self._submit(self._let_go)

    def wait(self) -> None:
        """Wait until everything that was handed over is done."""
        self._submit(lambda: None).result()
        self._checked.wait()

    def check_files(self) -> None:
        """Look at every checksum of the archive, on its thread, a file at a time; what is damaged is set aside."""
        self._checked.clear()
        self._submit(self._check_all)

    def stop(self) -> None:
        """Finish what was handed over. What was only noted is made again by the next start."""
        self._stopping.set()
        self._recorder = None
        self._thread.shutdown(wait=True)

    def _submit(self, work: Callable[[], None]) -> Future[None]:
        def guarded() -> None:
            try:
                work()
            except Exception as error:  # counted and said; the next work may succeed
                self._fails(error)

        try:
            return self._thread.submit(guarded)
        except RuntimeError:  # stopped: nobody waits for it
            done: Future[None] = Future()
            done.set_result(None)
            return done

    def _fails(self, error: Exception) -> None:
        self.counters["archive_failures"] += 1
        known = isinstance(error, LiqscapeError | OSError)
        if not self.message or not known:
            _LOG.error("archive: %s", error, exc_info=None if known else error)
        self.message = f"not archived: {error}"

    def _begin_anew(self, error: Exception) -> None:
        self._fails(error)
        self.counters["archive_holes"] += 1
        self._recorder = None

    def _hand_over(self, cut: Cut, *, may_wait: bool) -> None:
        if not self._waiting.acquire(blocking=may_wait):
            self.counters["archive_holes"] += 1
            _LOG.error(
                "archive: ticks %d to %d are let go, the thread is behind", cut.span.after_tick + 1, cut.span.tick
            )
            return
        self._submit(lambda: self._take(cut))

    def _take(self, cut: Cut) -> None:
        try:
            part = part_of(cut, self._numbers)
        finally:
            self._waiting.release()
        self._open.append(part)
        self._bound_open()
        sealed = self._manifests.read().get(cut.day)
        if sealed is not None and sealed.spans[-1].tick < part.tick:
            self._set_day_aside(cut.day, "it ended otherwise before what the journal has lost")
        if cut.ends_day:
            self._seal(cut.day)

    def _bound_open(self) -> None:
        """Let the oldest parts go when too many wait for the disk; their day has a hole then."""
        size = sum(part.size for part in self._open)
        while len(self._open) > 1 and size > MAX_OPEN_BYTES:
            lost = self._open.pop(0)
            size -= lost.size
            self.counters["archive_holes"] += 1
            _LOG.error("archive: ticks up to %d are let go, they cannot be written", lost.tick)

    def _take_up(self, snapshot_tick: int, today: int) -> None:
        """Bring the folder to where the snapshot was; the rest is told again."""
        self._set_unreadable_aside()
        sealed = self._manifests.read()
        letting_go.clean(self.archive, sealed)
        self._parts.remove_after(snapshot_tick)
        for day in sorted({day for _, day in self._parts.names() if day < today and day not in sealed}):
            self._seal(day)  # the process before was killed at midnight; the parts are all there is of the day
        self._say_hole(snapshot_tick)
        self._count()

    def _set_unreadable_aside(self) -> None:
        readable = self._manifests.read()
        for day in days_in(self.archive):
            if day not in readable:
                self.counters["archive_damaged_files"] += 1
                self._set_day_aside(day, "its manifest cannot be read")

    def _say_hole(self, snapshot_tick: int) -> None:
        ends = [tick for tick, _ in self._parts.names()]
        spans = [span for manifest in self._manifests.read().values() for span in manifest.spans]
        is_held = snapshot_tick in ends or any(s.after_tick <= snapshot_tick <= s.tick for s in spans)
        known = max([*ends, *(span.tick for span in spans)], default=0)
        if snapshot_tick and known and not is_held:
            self.counters["archive_holes"] += 1
            _LOG.error("archive: ticks %d to %d are missing in it", known + 1, snapshot_tick)

    def _seal(self, day: int) -> None:
        parts, bad = self._parts.good(day)
        self.counters["archive_damaged_files"] += bad
        parts += sorted((part for part in self._open if part.day == day), key=lambda part: part.spans[0].after_tick)
        if not parts:
            return
        part = joined(parts)
        if not self._is_sealed(part):
            if day_folder(self.archive, day).exists():
                self._set_day_aside(day, "it is another one than what was made now")
            self.archive.mkdir(exist_ok=True)
            manifest = write_day(self.archive, part, self._ids)
            _LOG.info("archive: sealed %s, %.1f MB", day_text(day), manifest.size / 1e6)
            for span in joined_spans(manifest.spans)[1:]:
                _LOG.error("archive: %s has a hole before tick %d", day_text(day), span.after_tick + 1)
        self._open = [part for part in self._open if part.day != day]
        self.message = ""
        self._let_go()

    def _set_day_aside(self, day: int, why: str) -> None:
        aside = set_aside(day_folder(self.archive, day))
        _LOG.error("archive: what was there of %s is set aside as %s: %s", day_text(day), aside, why)

    def _is_sealed(self, part: Part) -> bool:
        """Return whether a day is there already: the same, or with more of its beginning."""
        manifest = self._manifests.read().get(part.day)
        if manifest is None or manifest.spans[-1].tick != part.tick:
            return False
        if dict(manifest.spans[-1].events) != dict(part.spans[-1].events):
            return False
        if manifest.spans == part.spans:
            content = {symbol: found.content for symbol, found in part.symbols.items()}
            return content == {symbol: about.content for symbol, about in manifest.symbols.items()}
        return len(part.spans) == 1 and manifest.spans[-1].after_tick <= part.spans[0].after_tick

    def _let_go(self) -> None:
        days = self._manifests.read()
        dropped = letting_go.plan(days, self._retention)
        letting_go.carry_out(self.archive, days, dropped)
        if dropped.for_room:
            until = day_text(max(*dropped.thinned, *dropped.removed, 0))
            self.notice = f"the archive has let days up to {until} go for want of room"
        self.counters["archive_days_dropped"] += len(dropped.thinned) + len(dropped.removed)
        self._count()

    def _count(self) -> None:
        days: Mapping[int, DayManifest] = self._manifests.read()
        self.counters["archive_days"] = len(days)
        self.counters["archive_bytes"] = sum(manifest.size for manifest in days.values())

    def _write_parts(self) -> None:
        while self._open:
            part = self._open[0]
            if part.spans[0].after_tick < part.tick:
                self._parts.write(part)
            self._open.pop(0)
        self.message = ""

    def _forget_parts(self, oldest_tick: int) -> None:
        days = self._manifests.read()
        for tick, day in self._parts.names():
            if day in days and days[day].spans[-1].tick <= oldest_tick:
                self._parts.remove(tick, day)

    def _check_all(self) -> None:
        days = reversed(self._manifests.read().items())
        self._check_next([(day, path) for day, manifest in days for path in sorted(manifest.files)])

    def _check_next(self, paths: list[tuple[int, str]]) -> None:
        if not paths or self._stopping.is_set():
            self._checked.set()
            return
        (day, path), *rest = paths
        folder, manifest = day_folder(self.archive, day), self._manifests.read().get(day)
        about = None if manifest is None else manifest.files.get(path)
        if about is not None:
            try:
                wrong = file_crc32(folder / path) != (about.size, about.crc32)
            except FileNotFoundError:
                wrong = False  # told by who needs it
            if wrong:
                self.counters["archive_damaged_files"] += 1
                _LOG.error("archive: %s is damaged and set aside as %s", folder / path, set_aside(folder / path))
        self._submit(lambda: self._check_next(rest))

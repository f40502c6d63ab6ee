"""One shard's ring and the readers waiting for it. Lives on one event loop; owns no socket.

A reader is a Cursor: a position and a selection. The hub keeps nothing for it but, while it is idle, the future that
wakes it. What readers of one selection at one position need next is put together once and shared until the next tick.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, NamedTuple

from liqscape.broadcast.chunks import data_states
from liqscape.broadcast.counters import StreamCounters
from liqscape.broadcast.frames import MAX_FRAME_BYTES, fragments, section_frame, stamped
from liqscape.broadcast.on_demand import OnDemand
from liqscape.broadcast.ports import ChannelPort, FrameSource, ShardDescription, TickRecord
from liqscape.broadcast.ring import Ring
from liqscape.broadcast.selections import Plan, Wanted
from liqscape.broadcast.selections import Selection as Selection
from liqscape.broadcast.selections import plan as make_plan
from liqscape.grid.updates import Channel
from liqscape.metrics import Stage, Timings
from liqscape.v1 import stream_pb2

_LOG = logging.getLogger(__name__)

FRAME_CACHE_BYTES: Final = 32 << 20
"""Joined frames kept until the next tick, and as much again with a stamp. Readers at many different positions (after a
stall of the network) stop being cached here rather than fill the memory."""

STALE_AFTER_S: Final = 5.0
"""An engine that publishes nothing for so long, and for three ticks, is said to be stale."""

STALE_TICKS: Final = 3

GOLDEN_SHARE: Final = (5**0.5 - 1) / 2
"""Multiples of it, modulo 1, fall evenly between 0 and 1, however many there are and whichever have gone."""

ALARM_STEP_S: Final = 1 / 32
"""Readers that wait for a tick have their alarms together, this far apart: nearly all of them are woken by the tick,
and a timer made and cancelled for each costs more than the rest of the wait. A heartbeat may be as much later."""

STAMP_STEP_NS: Final = 1_000_000
"""Readers that are handed the same frame within this time share its stamp, and so its bytes: a copy for each reader is
read from memory instead of the processor's cache, and costs more than all else that is done for a message of 20 KB."""

FAILED_RECONNECT_AFTER_MS: Final = 5000
"""A defect of ours does not heal within a moment; the process may be restarted meanwhile."""


class Position(NamedTuple):
    """Where a reader is: the newest tick it has, and how many ticks had been published up to it."""

    tick: int
    ordinal: int


Owner = tuple[int, bool]
"""Channel of an entry, 0 where it belongs to a symbol or a venue, and whether the entry is a keyframe."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """What one frame of a batch holds.

    Attributes:
        entries: `chunks` entries.
        owners: of each entry, the channel and whether it is a keyframe.
        keyframes: how many of the entries are.
    """

    entries: tuple[bytes, ...] = ()
    owners: tuple[Owner, ...] = ()
    keyframes: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Everything from a position (None = no state) to a tick, as references to chunks, in frames of bounded size.

    awaited: channels of the selection of which there is nothing yet.
    """

    to: Position
    ticks_conflated: int
    fragments: tuple[Fragment, ...]
    awaited: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Step:
    """The newest tick alone, for readers who have the one before it.

    Attributes:
        selection: whose; readers go on with this one, and are then told from each other by no more than its identity.
        after, to: where it begins and leads.
        frame: all of it, without sent_unix_ns.
        keyframes: how many it holds.
    """

    selection: Selection
    after: Position
    to: Position
    frame: bytes
    keyframes: int


class Hub:
    """Fan out of one shard in one epoch."""

    def __init__(
        self,
        source: FrameSource,
        *,
        channels: ChannelPort | None = None,
        ring: Ring | None = None,
        max_frame_bytes: int = MAX_FRAME_BYTES,
        now_ns: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], float] = time.monotonic,
        timings: Timings | None = None,
        counters: StreamCounters | None = None,
    ) -> None:
        """Start empty, or with what a ring holds.

        Args:
            source: whose frames these are; read while running() is entered.
            channels: what opens tiles and custom channels; None = nothing does.
            ring: what is kept; by default an empty one, sized for the shard's ticks.
            max_frame_bytes: a longer message is sent in fragments.
            now_ns: wall clock, for stamps.
            monotonic: seconds, for heartbeats and cadence.
            timings: where it is counted how long things take; by default they are the hub's own.
            counters: where streams are counted; by default they are the hub's own.
        """
        self._source = source
        self.ring = ring or Ring.for_tick_ms(source.shard.tick_ms)
        self._max_frame_bytes = max_frame_bytes
        self.now_ns = now_ns
        self.monotonic = monotonic
        self.counters = counters or StreamCounters()
        self.timings = timings or Timings()
        self._on_demand = OnDemand(channels, monotonic, self.counters)
        self.goodbye: stream_pb2.GoingAway | None = None
        self.appended_at = monotonic()
        self._closed_at = 0.0
        self._spread_s = 0.0
        self._places = 0
        self._awaiting_tick: dict[asyncio.Future[None], float] = {}
        self._asleep: set[asyncio.Future[None]] = set()
        self._alarm_at = float("inf")
        self._before_newest: Position | None = None
        self._steps: dict[Selection, Step | None] = {}
        self._messages: dict[bytes, tuple[int, bytes]] = {}
        self._batches: dict[tuple[Selection, Position | None, frozenset[int]], Batch] = {}
        self._frames: dict[tuple[Batch, int], bytes] = {}
        self._frames_bytes = 0
        self._symbol_of_instrument: dict[str, str] = {}
        self._learn(self.ring.venue_entries(0))

    @property
    def shard(self) -> ShardDescription:
        """Return whose frames these are."""
        return self._source.shard

    @property
    def is_ready(self) -> bool:
        """Return whether a first tick has come, so that streams can be joined."""
        return not self.ring.is_empty

    @property
    def position(self) -> Position:
        """Return the newest tick."""
        return Position(self.ring.head_tick, self.ring.head_ordinal)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Hub]:
        """Take the source's records in a task of its own until the block is left."""
        task = asyncio.create_task(self._run(), name="hub")
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.wait({task})

    def append(self, record: TickRecord) -> None:
        """Take a record and wake the readers that wait for one."""
        self._before_newest = self.position if self.is_ready else None
        self.ring.append(record)
        self.counters.source_ticks_merged += record.ticks_merged
        self._learn(record.venues)
        self.appended_at = self.monotonic()
        if record.grids_ready_unix_ns:
            waited_ns = self.now_ns() - record.grids_ready_unix_ns
            self.timings.freshness[Stage.GRID_TO_FRAME].observe(waited_ns / 1e9)
        self._steps.clear()
        self._batches.clear()
        self._frames.clear()
        self._messages.clear()
        self._frames_bytes = 0
        self._wake_for_tick()
        self._on_demand.close_idle()

    def close(self, reason: str, reconnect_after_ms: int, spread_s: float = 0.0) -> None:
        """Let every reader end with GoingAway once what it is being sent has gone out.

        Args:
            reason: in words.
            reconnect_after_ms: when a reader may come back, counted from its own GoingAway.
            spread_s: the readers leave one after the other over this time, and get ticks until they do.
        """
        self.goodbye = stream_pb2.GoingAway(reason=reason, reconnect_after_ms=reconnect_after_ms)
        self._closed_at = self.monotonic()
        self._spread_s = spread_s
        self._wake_for_tick()
        for future in self._asleep:
            finish(future)
        self._asleep.clear()

    def new_place(self) -> float:
        """Return a reader's place, 0..1, in the order in which all leave a hub that closes."""
        self._places += 1
        return self._places * GOLDEN_SHARE % 1.0

    def leaves_at(self, place: float) -> float:
        """Return when the reader of a place has to leave; infinity while the hub is open."""
        return float("inf") if self.goodbye is None else self._closed_at + place * self._spread_s

    def channels(self) -> list[Channel]:
        """Return the default channels that can be joined, in the order of the shard."""
        return [channel for channel in self.shard.channels if self.ring.holds_channel(channel.channel_id)]

    def plan(self, wanted: Sequence[Wanted]) -> Plan:
        """Return what selectors come to; none = every default channel. Nothing is opened yet.

        Raises:
            InvalidArgument: names the field and what is allowed.
            NotFound: a symbol or its timeframe is not served.
        """
        return make_plan(wanted, self.channels(), self._axes)

    async def hold(self, plan: Plan, instead_of: Selection | None = None) -> Selection:
        """Return the selection of a plan, whose channels stay open until it is released.

        Args:
            plan: what is wanted.
            instead_of: a selection that the caller holds and releases afterwards. Where there is no room for both, what
                is not wanted again is closed first.

        Raises:
            QueryError: a channel cannot be opened; see ChannelPort. Of instead_of, what still_open returns is left.
        """
        given_up = () if instead_of is None else instead_of.channel_ids
        opened = await self._on_demand.hold(plan.specs, given_up)
        return Selection.of([*plan.channels, *sorted(opened, key=_id_of)])

    def still_open(self, selection: Selection) -> Selection:
        """Return what is left of a selection that was to be given up."""
        return Selection.of(self.describe(selection.channel_ids))

    def release(self, selection: Selection) -> None:
        """Give back what hold() returned, once."""
        self._on_demand.release(selection.channel_ids)

    def select(self, wanted: Sequence[tuple[str, str]]) -> Selection:
        """Return the selection that (symbol, timeframe) pairs name; no pair = all, empty timeframe = all of the symbol.

        Raises:
            InvalidArgument: a timeframe is unknown, or a symbol is empty.
            NotFound: a symbol or its timeframe is not served.
        """
        return Selection.of(self.plan([Wanted(*pair) for pair in wanted]).channels)

    def describe(self, channel_ids: Collection[int]) -> list[Channel]:
        """Return channels by their ids: default ones in the order of the shard, then the others."""
        default = [channel for channel in self.shard.channels if channel.channel_id in channel_ids]
        return default + self._on_demand.describe(channel_ids)

    def was_channel(self, channel_id: int) -> bool:
        """Return whether an id is, or may have been, that of a channel of this epoch."""
        return channel_id > 0 and (
            self._on_demand.was_ever(channel_id) or any(c.channel_id == channel_id for c in self.shard.channels)
        )

    def any_held(self, channel_ids: Iterable[int]) -> bool:
        """Return whether one of these channels can be joined."""
        return any(self.ring.holds_channel(channel_id) for channel_id in channel_ids)

    def states(self) -> tuple[stream_pb2.DataState, ...]:
        """Return what the data are now."""
        stale = is_stale(self.monotonic() - self.appended_at, self.shard.tick_ms)
        return data_states(
            simulated=self.shard.simulated,
            replay=self.shard.replay,
            stale=self.is_ready and stale and not self.ring.ended,
            ended=self.ring.ended,
        )

    def batch(self, selection: Selection, position: Position | None, missing: frozenset[int] = frozenset()) -> Batch:
        """Return everything a reader of a selection needs to come from a position to the newest tick.

        Args:
            selection: what it reads.
            position: what it holds; None = nothing.
            missing: channels of which it holds nothing all the same.
        """
        key = (selection, position, missing)
        batch = self._batches.get(key)
        if batch is None:
            batch = self._batches[key] = self._make_batch(selection, position, missing)
        return batch

    def step(self, selection: Selection) -> Step | None:
        """Return the newest tick of a selection; None where it is no single frame, or there is none before it."""
        try:
            return self._steps[selection]
        except KeyError:
            pass
        step = None
        if self._before_newest is not None:
            batch = self.batch(selection, self._before_newest)
            if len(batch.fragments) == 1:
                frame, keyframes = self.frame(batch, 0), batch.fragments[0].keyframes
                step = Step(selection, self._before_newest, batch.to, frame, keyframes)
        self._steps[selection] = step
        return step

    def without(self, batch: Batch, first: int, channel_ids: frozenset[int]) -> Batch:
        """Return the rest of a batch, from a fragment on, without some channels; one to end it is always left."""
        rest = [
            (entry, owner)
            for fragment in batch.fragments[first:]
            for entry, owner in zip(fragment.entries, fragment.owners, strict=True)
            if owner[0] not in channel_ids
        ]
        return Batch(batch.to, batch.ticks_conflated, self._fragments(rest) or (Fragment(),))

    def frame(self, batch: Batch, index: int) -> bytes:
        """Return a fragment of a batch as a frame without sent_unix_ns."""
        key = (batch, index)
        frame = self._frames.get(key)
        if frame is None:
            is_last = index == len(batch.fragments) - 1
            header = stream_pb2.Section(
                source_id=self.shard.source_id, epoch=self.shard.epoch, tick=batch.to.tick, complete=is_last
            )
            frame = section_frame(header, batch.fragments[index].entries, batch.ticks_conflated if is_last else 0)
            if self._frames_bytes + len(frame) <= FRAME_CACHE_BYTES:
                self._frames[key] = frame
                self._frames_bytes += len(frame)
                self._messages[frame] = (0, b"")
        return frame

    def stamped(self, frame: bytes) -> bytes:
        """Return a frame with sent_unix_ns: now, or less than STAMP_STEP_NS ago."""
        now_ns = self.now_ns()
        shared = self._messages.get(frame)
        if shared is None:
            return stamped(frame, now_ns)
        stamped_ns, message = shared
        if not 0 <= now_ns - stamped_ns < STAMP_STEP_NS:  # the wall clock may go back
            message = stamped(frame, now_ns)
            self._messages[frame] = (now_ns, message)
        return message

    async def wait(self, timeout_s: float, *, for_tick: bool, waiter: asyncio.Future[None] | None = None) -> None:
        """Return when the hub is being closed, after a time, or (for_tick) when a record comes.

        With for_tick the time may be up to ALARM_STEP_S longer.
        """
        if self.goodbye is not None and self.leaves_at(1.0) <= self.monotonic():
            return  # every reader has to leave
        loop = asyncio.get_running_loop()
        # A future for each waiter: cancelling a reader that awaits a shared one would cancel it for all.
        future = waiter or loop.create_future()
        if for_tick:
            self.await_tick(future, self.monotonic() + timeout_s)
            await future
            return
        self._asleep.add(future)
        timer = loop.call_later(max(0.0, timeout_s), finish, future)
        try:
            await future
        finally:
            timer.cancel()
            self._asleep.discard(future)

    def await_tick(self, waiter: asyncio.Future[None], wake_at: float) -> None:
        """Wake a waiter when a record comes, when the hub is being closed, or at a time or up to ALARM_STEP_S later.

        One that is cancelled is kept until then: to take each out by itself costs more than the rest of the wait.
        """
        self._awaiting_tick[waiter] = wake_at
        if wake_at <= self._alarm_at - ALARM_STEP_S:
            self._set_alarm(wake_at)

    def _set_alarm(self, wake_at: float) -> None:
        self._alarm_at = (int(wake_at / ALARM_STEP_S) + 1) * ALARM_STEP_S
        delay_s = max(0.0, self._alarm_at - self.monotonic())
        asyncio.get_running_loop().call_later(delay_s, self._ring_alarm, self._alarm_at)

    def _ring_alarm(self, alarm_at: float) -> None:
        if alarm_at != self._alarm_at:
            return  # an earlier one was set after it
        self._alarm_at = float("inf")
        later = {}
        for waiter, wake_at in self._awaiting_tick.items():
            if wake_at <= alarm_at:
                finish(waiter)
            elif not waiter.done():
                later[waiter] = wake_at
        self._awaiting_tick = later
        if later:
            self._set_alarm(min(later.values()))

    def _wake_for_tick(self) -> None:
        for waiter in self._awaiting_tick:
            if not waiter.done():
                waiter.set_result(None)
        self._awaiting_tick.clear()

    def _learn(self, venues: Mapping[str, bytes]) -> None:
        """Take note of the symbols of instruments."""
        for instrument_id, entry in venues.items():
            if instrument_id not in self._symbol_of_instrument:
                parsed = stream_pb2.Section.FromString(entry)
                self._symbol_of_instrument[instrument_id] = parsed.chunks[0].venue.symbol

    async def _run(self) -> None:
        try:
            async for record in self._source.records():
                self.append(record)
        except Exception:  # a broken chain must end the streams, not leave them silent
            _LOG.exception("frames of source %s cannot be taken any more", self.shard.source_id)
            self.close("internal error", FAILED_RECONNECT_AFTER_MS)

    def _make_batch(self, selection: Selection, position: Position | None, missing: frozenset[int]) -> Batch:
        after_tick = position.tick if position else 0
        # Who lacks a channel may lack its symbol as well, whose price may be older than the position.
        anew = {channel.symbol for channel in self.describe(missing)} if missing else ()
        prices, coverage = self.ring.symbol_entries(after_tick), self.ring.venue_entries(after_tick)
        if anew:
            of_symbol = self._symbol_of_instrument
            prices |= {name: entry for name, entry in self.ring.symbol_entries(0).items() if name in anew}
            coverage |= {name: entry for name, entry in self.ring.venue_entries(0).items() if of_symbol[name] in anew}
        shared = [prices[symbol] for symbol in selection.symbols if symbol in prices]
        shared.extend(
            entry
            for instrument_id, entry in coverage.items()
            if self._symbol_of_instrument[instrument_id] in selection.symbols
        )
        entries = [(entry, (0, False)) for entry in shared]
        awaited = frozenset(c for c in selection.channel_ids if not self.ring.holds_channel(c))
        for channel_id in selection.channel_ids:
            if channel_id in awaited:
                continue
            is_new = position is None or channel_id in missing
            chunks = self.ring.join(channel_id) if is_new else self.ring.since(channel_id, after_tick)
            entries.extend((chunk.data, (channel_id, chunk.keyframe)) for chunk in chunks)
        to = self.position
        conflated = max(0, to.ordinal - position.ordinal - 1) if position else 0
        return Batch(to, conflated, self._fragments(entries), awaited)

    def _axes(self, channel: Channel) -> stream_pb2.Axes:
        """Return the axes a channel that can be joined has now."""
        keyframe = self.ring.join_keyframe(channel.channel_id)
        assert keyframe is not None
        return stream_pb2.Section.FromString(keyframe.data).chunks[0].channel.axes

    def _fragments(self, entries: Sequence[tuple[bytes, Owner]]) -> tuple[Fragment, ...]:
        groups = fragments((entry for entry, _ in entries), self._max_frame_bytes)
        owners = iter([owner for _, owner in entries])
        found = []
        for group in groups:
            theirs = tuple(islice(owners, len(group)))
            found.append(Fragment(group, theirs, sum(is_keyframe for _, is_keyframe in theirs)))
        return tuple(found)


def is_stale(silent_s: float, tick_ms: int) -> bool:
    """Return whether an engine that has been silent for so long has something the matter with it."""
    return silent_s > max(STALE_AFTER_S, STALE_TICKS * tick_ms / 1000)


def _id_of(channel: Channel) -> int:
    return channel.channel_id


def finish(future: asyncio.Future[None]) -> None:
    """Wake whoever awaits a future."""
    if not future.done():
        future.set_result(None)

"""What has been sent lately, once, for all readers: chunks by channel and tick, and one join keyframe a channel.

A reader is a tick. Everything it needs to catch up is found here, so nothing is kept for any one reader. Rules:

- records come in the order of their ticks; the chunks of a channel form a chain (a delta names the chunk before it);
- a channel always has its newest keyframe, and every chunk after that: a join can be served at any time;
- what is older goes when the ring holds too many ticks or bytes. A reader whose tick has gone gets keyframes;
- a channel that has ended is forgotten at once, one that begins has been there since its first chunk.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Final

from liqscape.broadcast.encoder import join_keyframe_ticks, ticks_covering
from liqscape.broadcast.ports import EncodedChunk, TickRecord
from liqscape.errors import ModelError

RING_MS: Final = 30_000
"""The largest back-off of a client before it reconnects is 30 s: a resume within it costs deltas, not keyframes."""

RING_KEYFRAME_INTERVALS: Final = 3
"""At least so many intervals of join keyframes, where ticks are so long that 30 s are only a few of them."""

RING_MAX_BYTES: Final = 64 << 20
"""Of chunks; join keyframes come on top (7 MB for 90 channels of 10 symbols, whose deltas of 30 s are about as much).
The cap is for storms of changes. It yields only to the chunks that a join needs, and the encoder keeps those of a
channel below a keyframe and the changes of two ticks."""

_tick_of = attrgetter("tick")


class ChannelTrack:
    """One channel: its join keyframe and the chunks still held, ascending.

    Args:
        first_tick: of the record it begins with.
    """

    def __init__(self, first_tick: int = 0) -> None:
        self.first_tick = first_tick
        self.join_keyframe: EncodedChunk | None = None
        self._chunks: list[EncodedChunk] = []
        self._gone_tick = 0

    def append(self, chunk: EncodedChunk, *, may_begin: bool = False) -> None:
        """Add the next chunk of the chain.

        Args:
            chunk: what follows the last one.
            may_begin: it may be the first one known, even a delta: what came before it has gone.

        Raises:
            ModelError: it does not follow the last one.
        """
        last = self._chunks[-1] if self._chunks else self.join_keyframe
        if chunk.keyframe:
            follows = last is None or chunk.tick > last.tick
        elif last is None:
            follows = may_begin
        else:
            follows = chunk.prev_tick == last.tick and chunk.generation == last.generation
        if not follows or chunk.tick <= chunk.prev_tick:
            raise ModelError(
                f"chunk {chunk.prev_tick} -> {chunk.tick} of channel {chunk.channel_id} breaks the chain at "
                f"{last.tick if last else None}"
            )
        self._chunks.append(chunk)
        if chunk.keyframe:
            self.join_keyframe = chunk

    def refresh(self, keyframe: EncodedChunk) -> None:
        """Take a newer join keyframe. It stands for all chunks up to its tick and is not itself part of the chain."""
        assert self.join_keyframe is None or keyframe.tick >= self.join_keyframe.tick
        self.join_keyframe = keyframe

    def is_needed_to_join(self, chunk: EncodedChunk) -> bool:
        """Return whether a reader without state needs this chunk beside the join keyframe."""
        return self.join_keyframe is None or chunk.tick > self.join_keyframe.tick

    def drop_oldest(self) -> None:
        """Forget the oldest chunk."""
        self._gone_tick = self._chunks.pop(0).tick

    def join(self) -> list[EncodedChunk]:
        """Return the join keyframe and what came after it; nothing before the first keyframe."""
        if self.join_keyframe is None:
            return []
        return [self.join_keyframe, *self._after(self.join_keyframe.tick)]

    def since(self, tick: int) -> list[EncodedChunk]:
        """Return the shortest way from the state at a tick to the newest state; empty where nothing has changed."""
        chain = self._after(tick)
        for index in range(len(chain) - 1, 0, -1):
            if chain[index].keyframe:
                chain = chain[index:]
                break
        if tick < self._gone_tick and not (chain and chain[0].keyframe):
            return self.join()  # what led from this tick to the next is gone
        if self.join_keyframe is not None and self.join_keyframe.tick > tick:
            anew = self.join()
            if _size(anew) < _size(chain):
                return anew
        return chain

    def _after(self, tick: int) -> list[EncodedChunk]:
        return self._chunks[bisect_right(self._chunks, tick, key=_tick_of) :]


@dataclass(frozen=True, slots=True)
class _HeldTick:
    tick: int
    ordinal: int
    chunks: tuple[EncodedChunk, ...]


class Ring:
    """All channels of one shard in one epoch."""

    def __init__(self, max_ticks: int, max_bytes: int = RING_MAX_BYTES) -> None:
        self._max_ticks = max_ticks
        self._max_bytes = max_bytes
        self._held: deque[_HeldTick] = deque()
        self._tracks: dict[int, ChannelTrack] = {}
        self._symbols: dict[str, tuple[int, bytes]] = {}
        self._venues: dict[str, tuple[int, bytes]] = {}
        self._floor_ordinal = 0
        self.chunk_bytes = 0
        self.head_tick = 0
        self.head_ordinal = 0
        self.floor_tick = 0
        self.source_watermark_ns = 0
        self.ended = False

    @classmethod
    def for_tick_ms(cls, tick_ms: int) -> Ring:
        """Return a ring sized for ticks of a nominal length."""
        by_time = ticks_covering(RING_MS, tick_ms)
        return cls(max(by_time, RING_KEYFRAME_INTERVALS * join_keyframe_ticks(tick_ms)))

    @classmethod
    def restored(cls, tick_ms: int, past: Iterable[TickRecord]) -> Ring:
        """Return a ring that holds what another one of the same epoch has given as its past().

        Raises:
            ModelError: ticks do not rise, or a chain breaks.
        """
        ring = cls.for_tick_ms(tick_ms)
        for record in past:
            ring._append(record, may_begin=True)
        return ring

    @property
    def is_empty(self) -> bool:
        """Return whether no record has come yet."""
        return not self._held

    @property
    def held_ticks(self) -> int:
        """Return the number of records held."""
        return len(self._held)

    def append(self, record: TickRecord) -> None:
        """Take a record and let go of what has become too old.

        Raises:
            ModelError: ticks do not rise, or a chain breaks.
        """
        self._append(record, may_begin=False)

    def past(self) -> tuple[TickRecord, ...]:
        """Return records that lead an empty ring to this one's state, oldest first.

        A reader that this ring leads on from its tick is led on by the other one as well, from any tick held here, and
        from floor_tick. Chains begin with whatever chunk is the oldest held, and keyframes are all in the last record:
        only restored() takes such records.
        """
        held = list(self._held)
        if held and held[0].tick > self.floor_tick:
            held.insert(0, _HeldTick(self.floor_tick, self._floor_ordinal, ()))
        records: list[TickRecord] = []
        before = held[0].ordinal - 1 if held else 0
        for tick in held:
            records.append(self._record_of(tick, before, is_first=not records))
            before = tick.ordinal
        if records:
            keyframes = [track.join_keyframe for track in self._tracks.values()]
            records[-1] = replace(records[-1], keyframes=tuple(k for k in keyframes if k is not None), ended=self.ended)
        return tuple(records)

    def holds_channel(self, channel_id: int) -> bool:
        """Return whether a channel can be joined."""
        track = self._tracks.get(channel_id)
        return track is not None and track.join_keyframe is not None

    def held_since(self, channel_id: int) -> int | None:
        """Return the tick of the record that a channel began with here; None where nothing has come of it."""
        track = self._tracks.get(channel_id)
        return None if track is None else track.first_tick

    def join_keyframe(self, channel_id: int) -> EncodedChunk | None:
        """Return the newest keyframe of a channel; None where there is none."""
        track = self._tracks.get(channel_id)
        return None if track is None else track.join_keyframe

    def join(self, channel_id: int) -> list[EncodedChunk]:
        """Return what a reader without state needs of a channel."""
        return self._tracks[channel_id].join()

    def since(self, channel_id: int, tick: int) -> list[EncodedChunk]:
        """Return what a reader at a tick needs of a channel; a keyframe where that is shorter or the only way."""
        return self._tracks[channel_id].since(tick)

    def symbol_entries(self, after_tick: int) -> dict[str, bytes]:
        """Return the newest chunk of each symbol, if it is newer than a tick."""
        return {name: entry for name, (tick, entry) in self._symbols.items() if tick > after_tick}

    def venue_entries(self, after_tick: int) -> dict[str, bytes]:
        """Return the newest chunk by instrument id, if it is newer than a tick."""
        return {name: entry for name, (tick, entry) in self._venues.items() if tick > after_tick}

    def ordinal_at(self, tick: int) -> int:
        """Return how many ticks had been published up to a tick that is still held (floor_tick <= tick)."""
        index = bisect_right(self._held, tick, key=_tick_of)
        return self._held[index - 1].ordinal if index else self._floor_ordinal

    def _append(self, record: TickRecord, *, may_begin: bool) -> None:
        if record.tick <= self.head_tick:
            raise ModelError(f"record of tick {record.tick} follows tick {self.head_tick}")
        if self.is_empty:
            self.floor_tick = record.tick
        begins = 0 if may_begin else record.tick  # of the past it is only known that it was there
        for chunk in record.channels:
            self._track(chunk, begins).append(chunk, may_begin=may_begin)
            self.chunk_bytes += len(chunk.data)
        for keyframe in record.keyframes:
            self._track(keyframe, begins).refresh(keyframe)
        for channel_id in record.closed:
            self._tracks.pop(channel_id, None)
        self._symbols.update((symbol, (record.tick, entry)) for symbol, entry in record.symbols.items())
        self._venues.update((instrument_id, (record.tick, entry)) for instrument_id, entry in record.venues.items())
        self.head_tick = record.tick
        self.head_ordinal += 1 + record.ticks_merged
        self.source_watermark_ns = record.source_watermark_ns
        self.ended = record.ended
        self._held.append(_HeldTick(record.tick, self.head_ordinal, record.channels))
        self._evict()

    def _record_of(self, held: _HeldTick, ordinal_before: int, *, is_first: bool) -> TickRecord:
        def came_here(entries: dict[str, tuple[int, bytes]]) -> dict[str, bytes]:
            # What is older than the ring is news to nobody who can be led on; who joins gets all of it anyway.
            return {n: e for n, (tick, e) in entries.items() if tick == held.tick or (is_first and tick < held.tick)}

        return TickRecord(
            tick=held.tick,
            channels=tuple(chunk for chunk in held.chunks if chunk.channel_id in self._tracks),
            keyframes=(),
            symbols=came_here(self._symbols),
            venues=came_here(self._venues),
            source_watermark_ns=self.source_watermark_ns,
            ticks_merged=held.ordinal - ordinal_before - 1,
        )

    def _track(self, chunk: EncodedChunk, tick: int) -> ChannelTrack:
        track = self._tracks.get(chunk.channel_id)
        if track is None:
            track = self._tracks[chunk.channel_id] = ChannelTrack(tick)
        return track

    def _evict(self) -> None:
        while len(self._held) > 1 and (len(self._held) > self._max_ticks or self.chunk_bytes > self._max_bytes):
            oldest = self._held[0]
            held = [(chunk, self._tracks.get(chunk.channel_id)) for chunk in oldest.chunks]
            if any(track is not None and track.is_needed_to_join(chunk) for chunk, track in held):
                break
            self._held.popleft()
            self.floor_tick, self._floor_ordinal = oldest.tick, oldest.ordinal
            for chunk, track in held:
                if track is not None:
                    track.drop_oldest()
                self.chunk_bytes -= len(chunk.data)


def _size(chunks: list[EncodedChunk]) -> int:
    return sum(len(chunk.data) for chunk in chunks)

"""A copy of one channel that is the server's, or says that it is not.

Pure: chunks in, levels out; no socket, clock or task. The rules are those of proto/README.md: chain, generation, gap,
checksum. A replica never applies across a gap and never guesses; once broken it waits for a keyframe.
"""

from __future__ import annotations

import enum
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liqscape.v1 import stream_pb2
from liqscape_client.axes import GridAxes, check_newest_column
from liqscape_client.candles import CandleChange, CandleRing
from liqscape_client.channel_parts import ChannelKey, ChannelPart, channel_key, channel_name
from liqscape_client.decoding import decode_delta, decode_keyframe, ring_checksum, ring_to_window
from liqscape_client.errors import DecodeError, NotInSync
from liqscape_client.grids import Heatmap


class Outcome(enum.Enum):
    """What became of a chunk."""

    APPLIED = "applied"
    REPEATED = "repeated"  # nothing newer than what is held
    GAP = "gap"  # something before it is missing
    CHECKSUM_DIFFERS = "checksum differs"
    MALFORMED = "malformed"
    WAITING = "waiting for a keyframe"  # dropped, because the replica was already broken

    @property
    def breaks(self) -> bool:
        """Return whether this is the chunk that took the replica out of sync."""
        return self in (Outcome.GAP, Outcome.CHECKSUM_DIFFERS, Outcome.MALFORMED)


@dataclass(slots=True)
class _Held:
    """State since the last keyframe."""

    axes: GridAxes
    generation: int
    tick: int
    newest_column: int
    ring: NDArray[np.uint8]
    column_checksums: NDArray[np.uint32]
    dirty: NDArray[np.bool_]
    candles: CandleRing

    def checksum(self) -> int:
        for position in np.flatnonzero(self.dirty):
            self.column_checksums[position] = zlib.crc32(self.ring[position])
        self.dirty[:] = False
        return ring_checksum(self.newest_column, self.column_checksums)


class Replica:
    """Copy of one channel in one epoch.

    Attributes:
        symbol, timeframe, part, channel_id: which channel; part is None on a default one.
        gaps, checksum_failures, malformed: what went wrong so far.
    """

    def __init__(self, symbol: str, timeframe: str, channel_id: int, part: ChannelPart | None = None) -> None:
        self.symbol = symbol
        self.timeframe = timeframe
        self.part = part
        self.name = channel_name(symbol, timeframe, part)
        self.channel_id = channel_id
        self.gaps = 0
        self.checksum_failures = 0
        self.malformed = 0
        self._held: _Held | None = None
        self._reason = f"{self.name}: no keyframe yet"

    @property
    def key(self) -> ChannelKey:
        """Return what a stream knows the channel by."""
        return channel_key(self.symbol, self.timeframe, self.part)

    @property
    def in_sync(self) -> bool:
        """Return whether the chain is unbroken since a keyframe."""
        return not self._reason

    @property
    def reason(self) -> str:
        """Return why the replica is not in sync; empty when it is."""
        return self._reason

    @property
    def has_levels(self) -> bool:
        """Return whether there is anything to show, be it stale."""
        return self._held is not None

    @property
    def tick(self) -> int:
        """Return the tick of the last chunk applied; 0 before the first."""
        return self._held.tick if self._held else 0

    @property
    def generation(self) -> int:
        """Return the generation held; 0 before the first keyframe."""
        return self._held.generation if self._held else 0

    def apply(self, chunk: stream_pb2.ChannelChunk) -> Outcome:
        """Apply one chunk, or refuse it and say why."""
        if self._held is not None and self.in_sync and self._is_repeat(chunk):
            return Outcome.REPEATED
        try:
            if chunk.kind == stream_pb2.CHUNK_KIND_KEYFRAME:
                return self._apply_keyframe(chunk)
            if chunk.kind == stream_pb2.CHUNK_KIND_DELTA:
                return self._apply_delta(chunk)
            raise DecodeError(f"chunk kind {chunk.kind} is unknown")
        except DecodeError as error:
            self.malformed += 1
            return self._break(Outcome.MALFORMED, f"malformed chunk at tick {chunk.tick}: {error}")

    def require_keyframe(self, reason: str) -> None:
        """Leave sync until the next keyframe, of whatever tick; what is held can still be looked at."""
        self._reason = f"{self.name}: {reason}"

    def levels(self) -> NDArray[np.uint8]:
        """Return a copy of the levels, uint8[column, row], oldest column and lowest price first."""
        held = self._require_held()
        return ring_to_window(held.ring, held.newest_column)

    def heatmap(self) -> Heatmap:
        """Return a copy of everything held, with axes.

        Raises:
            NotInSync: no keyframe has come yet. (A replica that has lost sync still answers, and says so.)
        """
        held = self._require_held()
        return Heatmap(
            symbol=self.symbol,
            timeframe=self.timeframe,
            tick=held.tick,
            generation=held.generation,
            axes=held.axes,
            newest_column=held.newest_column,
            levels=ring_to_window(held.ring, held.newest_column),
            candles=held.candles.window(held.newest_column, held.axes.price_unit),
            in_sync=self.in_sync,
            reason=self._reason,
            part=self.part,
        )

    def _is_repeat(self, chunk: stream_pb2.ChannelChunk) -> bool:
        # A keyframe older than what is held would take the picture back in time; one of the same tick refreshes it.
        if chunk.kind == stream_pb2.CHUNK_KIND_KEYFRAME:
            return chunk.tick < self.tick
        return chunk.kind == stream_pb2.CHUNK_KIND_DELTA and chunk.tick <= self.tick

    def _apply_keyframe(self, chunk: stream_pb2.ChannelChunk) -> Outcome:
        if not chunk.HasField("axes") or not chunk.HasField("checksum"):
            raise DecodeError("keyframe without axes or checksum")
        axes = GridAxes.from_message(chunk.axes)
        newest_column = check_newest_column(chunk.newest_column)
        ring = decode_keyframe(chunk.payload, chunk.encoding, axes.columns, axes.rows, newest_column)
        candles = CandleRing(axes.columns)
        candles.apply(CandleChange.from_message(chunk.candles, newest_column))
        held = _Held(
            axes=axes,
            generation=chunk.generation,
            tick=chunk.tick,
            newest_column=newest_column,
            ring=ring,
            column_checksums=np.zeros(axes.columns, dtype=np.uint32),
            dirty=np.ones(axes.columns, dtype=np.bool_),
            candles=candles,
        )
        if held.checksum() != chunk.checksum:
            return self._checksum_differs(chunk)
        self._held = held
        self._reason = ""
        return Outcome.APPLIED

    def _apply_delta(self, chunk: stream_pb2.ChannelChunk) -> Outcome:
        held = self._held
        if held is None or not self.in_sync:
            return Outcome.WAITING
        if chunk.generation != held.generation:
            return self._gap(f"generation {chunk.generation} began unseen; generation {held.generation} is held")
        if chunk.prev_tick != held.tick:
            return self._gap(f"gap: tick {chunk.tick} follows {chunk.prev_tick}, but {held.tick} is held")
        newest_column = check_newest_column(chunk.newest_column)
        # Everything is decoded before anything is changed, so a malformed chunk leaves the last good picture.
        cells, levels = decode_delta(chunk.payload, chunk.encoding, held.ring.size)
        candles = CandleChange.from_message(chunk.candles, newest_column)
        held.ring.reshape(-1)[cells] = levels
        held.dirty[cells // held.axes.rows] = True
        held.newest_column = newest_column
        held.tick = chunk.tick
        held.candles.apply(candles)
        if chunk.HasField("checksum") and held.checksum() != chunk.checksum:
            return self._checksum_differs(chunk)
        return Outcome.APPLIED

    def _gap(self, reason: str) -> Outcome:
        self.gaps += 1
        return self._break(Outcome.GAP, reason)

    def _checksum_differs(self, chunk: stream_pb2.ChannelChunk) -> Outcome:
        self.checksum_failures += 1
        return self._break(Outcome.CHECKSUM_DIFFERS, f"checksum differs at tick {chunk.tick}")

    def _break(self, outcome: Outcome, reason: str) -> Outcome:
        self._reason = f"{self.name}: {reason}"
        return outcome

    def _require_held(self) -> _Held:
        if self._held is None:
            raise NotInSync(f"{self.name} has no keyframe yet")
        return self._held

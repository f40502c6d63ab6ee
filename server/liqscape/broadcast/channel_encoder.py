"""One channel becomes chunks: its ring of levels as emitted, and whether a change is a keyframe or a delta."""

from __future__ import annotations

import zlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqscape.broadcast.checksum import RingChecksum
from liqscape.broadcast.chunks import axes_message, candles_message, chunk_entry
from liqscape.broadcast.encoding import (
    ZLIB_LEVEL,
    check_changed_cells,
    compress_runs,
    encode_runs,
    exceeds_keyframe_share,
    time_differences,
)
from liqscape.broadcast.ports import EncodedChunk
from liqscape.grid.updates import ChannelAxes, ChannelUpdate
from liqscape.v1 import stream_pb2

JOIN_KEYFRAME_MIN_BYTES: Final = 16_384
"""Prices of the columns alone are about 8 KB of a keyframe, so a nearly empty grid is not made anew each tick."""


class ChannelEncoder:
    """One generation of one channel: the ring of levels as emitted, and when which sum and keyframe were last sent."""

    def __init__(self, channel_id: int, generation: int, axes: ChannelAxes) -> None:
        self.channel_id = channel_id
        self.generation = generation
        self.axes = axes
        self._axes_message = axes_message(axes)
        self._ring = np.zeros((axes.timeframe.columns, axes.rows.count), dtype=np.uint8)
        self._checksum = RingChecksum(axes.timeframe.columns)
        self._checksum_tick = 0
        self._last: ChannelUpdate | None = None
        self._change_tick = 0
        self._join_tick = 0
        self._join_change_tick = 0
        self._join_size = 0
        self._bytes_since_join = 0

    @property
    def ring(self) -> NDArray[np.uint8]:
        """Return the emitted levels, uint8[columns, rows]; not to be written to."""
        return self._ring

    @property
    def last(self) -> ChannelUpdate:
        """Return the newest update taken."""
        assert self._last is not None  # a channel begins with an update
        return self._last

    def apply(self, update: ChannelUpdate, tick: int, checksum_ticks: int) -> EncodedChunk:
        """Take a change into the ring and return its chunk."""
        check_changed_cells(update.cells, update.levels, self._ring.size)
        self._ring.reshape(-1)[update.cells] = update.levels
        self._checksum.mark(update.cells // self._ring.shape[1])
        previous, self._change_tick, first = self._change_tick, tick, self._last is None
        self._last = update
        runs = None if first else self._runs_if_worth_it(update)
        if runs is None:
            self._checksum_tick = tick
            return self.keyframe(tick)
        chunk = self._message(update, stream_pb2.CHUNK_KIND_DELTA)
        chunk.prev_tick = previous
        chunk.encoding, chunk.payload = compress_runs(runs)
        _set_candles(chunk, candles_message(update.candles))
        if tick - self._checksum_tick >= checksum_ticks:
            chunk.checksum = self._checksum.value(self._ring, update.newest_column)
            self._checksum_tick = tick
        self._bytes_since_join += len(runs)
        return self._encoded(chunk)

    def join_keyframe_is_due(self, tick: int, every_ticks: int) -> bool:
        """Return whether the join keyframe should be made anew: too many bytes since, or its turn has come.

        Turns are staggered: channel n has its turn when the tick number passes n modulo every_ticks.
        """
        if self._change_tick == self._join_change_tick:
            return False
        if self._bytes_since_join > self._join_size:
            return True
        return (tick - self.channel_id) // every_ticks > (self._join_tick - self.channel_id) // every_ticks

    def keyframe(self, tick: int) -> EncodedChunk:
        """Return the whole ring as of the channel's last change."""
        last = self.last
        differences = time_differences(self._ring, last.newest_column)
        chunk = self._message(last, stream_pb2.CHUNK_KIND_KEYFRAME)
        chunk.axes.CopyFrom(self._axes_message)
        chunk.encoding = stream_pb2.ENCODING_TIME_DIFFERENCE_ZLIB
        chunk.payload = zlib.compress(differences.data, ZLIB_LEVEL)
        _set_candles(chunk, candles_message(last.all_candles))
        chunk.checksum = self._checksum.value(self._ring, last.newest_column)
        self._join_tick, self._join_change_tick, self._bytes_since_join = tick, self._change_tick, 0
        # What differs along time stands for the compressed size: near it, and the same whatever zlib is linked.
        self._join_size = max(JOIN_KEYFRAME_MIN_BYTES, int(np.count_nonzero(differences)))
        return self._encoded(chunk)

    def _runs_if_worth_it(self, update: ChannelUpdate) -> bytes | None:
        """Return the uncompressed delta, or None where a keyframe is to be sent; each cell is at least a byte of it."""
        if exceeds_keyframe_share(update.cells.size, self._ring.size):
            return None
        runs = encode_runs(update.cells, update.levels)
        return None if exceeds_keyframe_share(len(runs), self._ring.size) else runs

    def _message(self, update: ChannelUpdate, kind: stream_pb2.ChunkKind) -> stream_pb2.ChannelChunk:
        return stream_pb2.ChannelChunk(
            channel_id=self.channel_id,
            generation=self.generation,
            tick=self._change_tick,
            kind=kind,
            newest_column=update.newest_column,
        )

    def _encoded(self, chunk: stream_pb2.ChannelChunk) -> EncodedChunk:
        return EncodedChunk(
            channel_id=chunk.channel_id,
            generation=chunk.generation,
            keyframe=chunk.kind == stream_pb2.CHUNK_KIND_KEYFRAME,
            prev_tick=chunk.prev_tick,
            tick=chunk.tick,
            data=chunk_entry(stream_pb2.Chunk(channel=chunk)),
        )


def _set_candles(chunk: stream_pb2.ChannelChunk, candles: stream_pb2.Candles | None) -> None:
    if candles is not None:
        chunk.candles.CopyFrom(candles)

"""The engine's tick becomes a TickRecord: levels kept, keyframe or delta decided, each chunk serialised once.

Everything but the wall-clock stamps and the compression depends on the TickOutputs alone: decisions count ticks and
uncompressed bytes, never time or what zlib made of them, so that a replay gives the same chunks on any machine.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqscape.broadcast.checksum import RingChecksum
from liqscape.broadcast.chunks import (
    axes_message,
    candles_message,
    chunk_entry,
    coverage_message,
    data_states,
    symbol_message,
)
from liqscape.broadcast.encoding import (
    ZLIB_LEVEL,
    check_changed_cells,
    compress_runs,
    encode_runs,
    exceeds_keyframe_share,
    time_differences,
)
from liqscape.broadcast.ports import EncodedChunk, ShardDescription, TickRecord
from liqscape.errors import ModelError
from liqscape.grid.updates import ChannelAxes, ChannelUpdate, Coverage, TickOutput
from liqscape.v1 import stream_pb2

CHECKSUM_EVERY_MS: Final = 1000
"""A defect of the chain is then seen within a second; the cost is 0.2 ms a channel and second."""

VENUE_EVERY_MS: Final = 1000
"""Coverage moves with open interest samples (minutes) and watermarks; people read it, nothing is computed from it."""

JOIN_KEYFRAME_EVERY_MS: Final = 10_000
"""A join then carries at most ten seconds of deltas; 90 channels cost 3 % of a core at 3 ms a keyframe."""

JOIN_KEYFRAME_MIN_TICKS: Final = 8
"""Where a tick stands for minutes (replay), ten seconds are less than a tick: a keyframe each tick would cost more
than all deltas together."""

JOIN_KEYFRAME_MIN_BYTES: Final = 16_384
"""Prices of the columns alone are about 8 KB of a keyframe, so a nearly empty grid is not made anew each tick."""


def ticks_within(interval_ms: int, tick_ms: int) -> int:
    """Return the largest number of ticks that fits an interval, at least 1."""
    return max(1, interval_ms // tick_ms)


def ticks_covering(interval_ms: int, tick_ms: int) -> int:
    """Return the smallest number of ticks that spans an interval, at least 1."""
    return max(1, -(-interval_ms // tick_ms))


def join_keyframe_ticks(tick_ms: int) -> int:
    """Return the ticks between two join keyframes of a channel, at most."""
    return max(JOIN_KEYFRAME_MIN_TICKS, ticks_within(JOIN_KEYFRAME_EVERY_MS, tick_ms))


class ChannelEncoder:
    """One generation of one channel: the ring of levels as emitted, and when which sum and keyframe were last sent."""

    def __init__(self, channel_id: int, generation: int, axes: ChannelAxes) -> None:
        self.channel_id = channel_id
        self.generation = generation
        self._axes = axes_message(axes)
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
        assert self._last is not None  # a channel begins with an update
        differences = time_differences(self._ring, self._last.newest_column)
        chunk = self._message(self._last, stream_pb2.CHUNK_KIND_KEYFRAME)
        chunk.axes.CopyFrom(self._axes)
        chunk.encoding = stream_pb2.ENCODING_TIME_DIFFERENCE_ZLIB
        chunk.payload = zlib.compress(differences.data, ZLIB_LEVEL)
        _set_candles(chunk, candles_message(self._last.all_candles))
        chunk.checksum = self._checksum.value(self._ring, self._last.newest_column)
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


class StreamEncoder:
    """Turn each TickOutput of a shard into a TickRecord. Owned by the engine's thread."""

    def __init__(self, shard: ShardDescription, now_ns: Callable[[], int] = time.time_ns) -> None:
        """Start with nothing.

        Args:
            shard: what the data are, and the nominal length of a tick.
            now_ns: wall clock for the stamps; decides nothing.
        """
        self._simulated, self._replay = shard.simulated, shard.replay
        self._now_ns = now_ns
        self._checksum_ticks = ticks_within(CHECKSUM_EVERY_MS, shard.tick_ms)
        self._venue_ticks = ticks_covering(VENUE_EVERY_MS, shard.tick_ms)
        self._join_ticks = join_keyframe_ticks(shard.tick_ms)
        self._channels: dict[int, ChannelEncoder] = {}
        self._venues: dict[str, tuple[int, Coverage]] = {}
        self._tick = 0

    def encode(self, output: TickOutput) -> TickRecord:
        """Return the record of a tick.

        Raises:
            ModelError: the engine broke the contract of its updates (order of ticks or cells, axes).
        """
        if output.tick <= self._tick:
            raise ModelError(f"tick {output.tick} follows tick {self._tick}; ticks rise from 1")
        self._tick = output.tick
        channels = tuple(self._encode_channel(update, output.tick) for update in output.channels)
        keyframes = tuple(
            encoder.keyframe(output.tick)
            for encoder in self._channels.values()
            if encoder.join_keyframe_is_due(output.tick, self._join_ticks)
        )
        return TickRecord(
            tick=output.tick,
            channels=channels,
            keyframes=keyframes,
            symbols=self._encode_symbols(output),
            venues=self._encode_venues(output),
            source_watermark_ns=max((s.source_watermark_ns for s in output.symbols), default=0),
            ended=output.ended,
            grids_ready_unix_ns=output.grids_ready_unix_ns,
        )

    def levels(self, channel_id: int) -> NDArray[np.uint8]:
        """Return a copy of the emitted ring of a channel, uint8[columns, rows]."""
        return self._channels[channel_id].ring.copy()

    def _encode_channel(self, update: ChannelUpdate, tick: int) -> EncodedChunk:
        channel_id = update.channel.channel_id
        encoder = self._channels.get(channel_id)
        if encoder is None or encoder.generation != update.generation:
            if update.axes is None:
                raise ModelError(f"channel {channel_id} starts generation {update.generation} without axes")
            encoder = ChannelEncoder(channel_id, update.generation, update.axes)
            self._channels[channel_id] = encoder
        elif update.axes is not None:
            raise ModelError(f"channel {channel_id} repeats generation {update.generation} with axes")
        return encoder.apply(update, tick, self._checksum_ticks)

    def _encode_symbols(self, output: TickOutput) -> dict[str, bytes]:
        states = data_states(simulated=self._simulated, replay=self._replay, ended=output.ended)
        stamps = (output.bars_closed_unix_ns, output.grids_ready_unix_ns, self._now_ns())
        return {
            update.symbol: chunk_entry(stream_pb2.Chunk(symbol=symbol_message(update, states, stamps)))
            for update in output.symbols
        }

    def _encode_venues(self, output: TickOutput) -> dict[str, bytes]:
        entries: dict[str, bytes] = {}
        for coverage in output.venues:
            sent_tick, sent = self._venues.get(coverage.instrument_id, (0, None))
            is_due = sent is None or output.ended or output.tick - sent_tick >= self._venue_ticks
            if coverage != sent and is_due:
                self._venues[coverage.instrument_id] = (output.tick, coverage)
                entries[coverage.instrument_id] = chunk_entry(stream_pb2.Chunk(venue=coverage_message(coverage)))
        return entries


def _set_candles(chunk: stream_pb2.ChannelChunk, candles: stream_pb2.Candles | None) -> None:
    if candles is not None:
        chunk.candles.CopyFrom(candles)

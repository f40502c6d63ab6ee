"""The engine's tick becomes a TickRecord: levels kept, keyframe or delta decided, each chunk serialised once.

Everything but the wall-clock stamps and the compression depends on the TickOutputs alone: decisions count ticks and
uncompressed bytes, never time or what zlib made of them, so that a replay gives the same chunks on any machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqscape.broadcast.channel_encoder import ChannelEncoder
from liqscape.broadcast.chunks import chunk_entry, coverage_message, data_states, symbol_message
from liqscape.broadcast.ports import EncodedChunk, ShardDescription, TickRecord
from liqscape.broadcast.tiles import Tiles
from liqscape.errors import ModelError
from liqscape.grid.updates import ChannelUpdate, Coverage, TickOutput
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


def ticks_within(interval_ms: int, tick_ms: int) -> int:
    """Return the largest number of ticks that fits an interval, at least 1."""
    return max(1, interval_ms // tick_ms)


def ticks_covering(interval_ms: int, tick_ms: int) -> int:
    """Return the smallest number of ticks that spans an interval, at least 1."""
    return max(1, -(-interval_ms // tick_ms))


def join_keyframe_ticks(tick_ms: int) -> int:
    """Return the ticks between two join keyframes of a channel, at most."""
    return max(JOIN_KEYFRAME_MIN_TICKS, ticks_within(JOIN_KEYFRAME_EVERY_MS, tick_ms))


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
        self._tiles = Tiles()
        self._venues: dict[str, tuple[int, Coverage]] = {}
        self._tick = 0
        self._prepared_tick = 0
        self._keyframes: dict[int, EncodedChunk] = {}

    def encode(self, output: TickOutput) -> TickRecord:
        """Return the record of a tick.

        Raises:
            ModelError: the engine broke the contract of its updates (order of ticks or cells, axes).
        """
        if output.tick <= self._tick:
            raise ModelError(f"tick {output.tick} follows tick {self._tick}; ticks rise from 1")
        self.prepare_keyframes()
        keyframes, self._keyframes = self._keyframes, {}
        self._tick = output.tick
        for channel_id in output.closed:
            self._channels.pop(channel_id, None)
            self._tiles.close(channel_id)
        channels = self._encode_channels(output)
        newer = {chunk.channel_id for chunk in channels if chunk.keyframe}
        return TickRecord(
            tick=output.tick,
            channels=channels,
            keyframes=tuple(k for n, k in keyframes.items() if n not in newer and n not in output.closed),
            symbols=self._encode_symbols(output),
            venues=self._encode_venues(output),
            source_watermark_ns=max((s.source_watermark_ns for s in output.symbols), default=0),
            ended=output.ended,
            grids_ready_unix_ns=output.grids_ready_unix_ns,
            closed=output.closed,
        )

    def prepare_keyframes(self) -> None:
        """Make the join keyframes that are due after the newest tick; the next record brings them.

        Each takes milliseconds, and nobody waits for one: so they are made when the record of the tick is on its way.
        What is made, and what of, does not depend on when this is called; encode does it where nobody else has.
        """
        if self._prepared_tick == self._tick:
            return
        self._prepared_tick = self._tick
        for encoder in (*self._channels.values(), *self._tiles.encoders()):
            if encoder.join_keyframe_is_due(self._tick, self._join_ticks):
                self._keyframes[encoder.channel_id] = encoder.keyframe(self._tick)

    def levels(self, channel_id: int) -> NDArray[np.uint8]:
        """Return a copy of the emitted ring of a channel, uint8[columns, rows]."""
        return self._channels[channel_id].ring.copy()

    def _encode_channels(self, output: TickOutput) -> tuple[EncodedChunk, ...]:
        chunks: list[EncodedChunk] = []
        for update in output.channels:
            chunks.append(self._encode_channel(update, output.tick))
            chunks.extend(self._tiles.apply(update, output.tick, self._checksum_ticks))
        for tile in output.opened_tiles:
            self._tiles.open(tile)
        chunks.extend(self._tiles.begin(self._channels, output.tick, self._checksum_ticks))
        return tuple(chunks)

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

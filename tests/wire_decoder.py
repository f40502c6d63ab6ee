"""A client in plain Python, written from proto/README.md alone: what the server sends is held against it.

Slow and simple on purpose: one byte at a time, no numpy, and nothing shared with the encoder or the shipped client.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field

from liqscape.v1 import stream_pb2


class BadPayload(Exception):
    """The bytes are not what proto/README.md allows."""


class Gap(Exception):
    """A chunk does not follow what is held."""


def read_varint(data: bytes, offset: int) -> tuple[int, int]:
    """Return (value, offset behind it)."""
    value = 0
    for shift in range(0, 35, 7):
        if offset >= len(data):
            raise BadPayload("the data end inside a varint")
        byte = data[offset]
        offset += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, offset
    raise BadPayload("a varint of more than five bytes")


def inflate(data: bytes, limit: int) -> bytes:
    """Return what a zlib stream holds, which is at most `limit` bytes and ends with the data."""
    stream = zlib.decompressobj()
    try:
        out = stream.decompress(data, limit + 1)
    except zlib.error as error:
        raise BadPayload(str(error)) from error
    if len(out) > limit or not stream.eof or stream.unused_data:
        raise BadPayload("too much, too little, or bytes left over")
    return out


def decode_runs(payload: bytes, ring_cells: int) -> list[tuple[int, int]]:
    """Return (flat index, level) of each changed cell."""
    header_bytes, offset = read_varint(payload, 0)
    header_end = offset + header_bytes
    if header_end > len(payload) or header_bytes > 2 * ring_cells + ring_cells // 128:
        raise BadPayload("the header runs past the end, or is longer than the ring can need")
    header = payload[:header_end]
    indices: list[int] = []
    end_of_run = 0
    while offset < header_end:
        gap, offset = read_varint(header, offset)
        length, offset = read_varint(header, offset)
        first = end_of_run + gap
        end_of_run = first + length
        if length < 1 or end_of_run > ring_cells:
            raise BadPayload("an empty run, or a cell outside the ring")
        indices.extend(range(first, end_of_run))
    levels = payload[header_end:]
    if len(levels) != len(indices):
        raise BadPayload("not one level a cell")
    return list(zip(indices, levels, strict=True))


def decode_delta(encoding: int, payload: bytes, ring_cells: int) -> list[tuple[int, int]]:
    """Return (flat index, level) of each changed cell of a delta."""
    if encoding == stream_pb2.ENCODING_RLE8_ZLIB:
        payload = inflate(payload, 6 + 3 * ring_cells + ring_cells // 128)
    elif encoding != stream_pb2.ENCODING_RLE8:
        raise BadPayload(f"encoding {encoding} of a delta")
    return decode_runs(payload, ring_cells)


def decode_keyframe(encoding: int, payload: bytes, columns: int, rows: int, newest_column: int) -> bytearray:
    """Return the ring, position by position."""
    if encoding != stream_pb2.ENCODING_TIME_DIFFERENCE_ZLIB:
        raise BadPayload(f"encoding {encoding} of a keyframe")
    differences = inflate(payload, columns * rows)
    if len(differences) != columns * rows:
        raise BadPayload("not one byte a cell")
    ring = bytearray(columns * rows)
    column_before = bytes(rows)
    for age in range(columns):
        column = newest_column - (columns - 1) + age
        part = differences[age * rows : (age + 1) * rows]
        column_before = bytes(
            (difference + before) % 256 for difference, before in zip(part, column_before, strict=True)
        )
        position = column % columns
        ring[position * rows : (position + 1) * rows] = column_before
    return ring


def checksum(ring: bytes | bytearray, columns: int, rows: int, newest_column: int) -> int:
    """Return the checksum of a ring."""
    summed = struct.pack("<q", newest_column)
    for position in range(columns):
        summed += struct.pack("<I", zlib.crc32(ring[position * rows : (position + 1) * rows]))
    return zlib.crc32(summed)


def decode_candles(candles: stream_pb2.Candles) -> dict[int, tuple[int, int, int, int]]:
    """Return (open, high, low, close) by column."""
    out: dict[int, tuple[int, int, int, int]] = {}
    column = opened = 0
    for index, difference in enumerate(candles.column_differences):
        column += difference
        opened += candles.open_differences[index]
        high = opened + candles.high_minus_open[index]
        low = opened - candles.open_minus_low[index]
        out[column] = (opened, high, low, opened + candles.close_minus_open[index])
    return out


@dataclass
class ChannelReplica:
    """One channel as a client holds it; in_sync is False until a keyframe has come."""

    in_sync: bool = False
    generation: int = 0
    tick: int = 0
    axes: stream_pb2.Axes = field(default_factory=stream_pb2.Axes)
    newest_column: int = 0
    ring: bytearray = field(default_factory=bytearray)
    candles: dict[int, tuple[int, int, int, int]] = field(default_factory=dict)
    checksums: int = 0

    def apply(self, chunk: stream_pb2.ChannelChunk) -> bool:
        """Apply a chunk; return False where it is a repeat.

        Raises:
            Gap: it does not follow. BadPayload: it cannot be read, or the sums differ.
        """
        if chunk.kind == stream_pb2.CHUNK_KIND_KEYFRAME:
            self._replace(chunk)
        elif chunk.kind != stream_pb2.CHUNK_KIND_DELTA:
            raise BadPayload(f"kind {chunk.kind}")
        elif not self.in_sync:
            raise Gap("a delta before a keyframe")
        elif chunk.tick <= self.tick:
            return False
        elif chunk.prev_tick != self.tick or chunk.generation != self.generation:
            self.in_sync = False
            raise Gap(f"delta {chunk.prev_tick} -> {chunk.tick} at {self.tick}")
        else:
            for index, level in decode_delta(chunk.encoding, chunk.payload, len(self.ring)):
                self.ring[index] = level
            self._take_candles(chunk)
        self.tick = chunk.tick
        self.newest_column = chunk.newest_column
        if chunk.HasField("checksum"):
            self.checksums += 1
            if chunk.checksum != checksum(self.ring, self.axes.columns, self.axes.rows, self.newest_column):
                self.in_sync = False
                raise BadPayload(f"checksum of tick {chunk.tick}")
        return True

    def _replace(self, chunk: stream_pb2.ChannelChunk) -> None:
        self.axes = chunk.axes
        self.ring = decode_keyframe(
            chunk.encoding, chunk.payload, chunk.axes.columns, chunk.axes.rows, chunk.newest_column
        )
        self.generation = chunk.generation
        self.candles = {}
        self._take_candles(chunk)
        self.in_sync = True

    def _take_candles(self, chunk: stream_pb2.ChannelChunk) -> None:
        self.candles.update(decode_candles(chunk.candles))
        oldest = chunk.newest_column - self.axes.columns + 1
        self.candles = {column: candle for column, candle in self.candles.items() if column >= oldest}


@dataclass
class Replica:
    """A client of one stream, over reconnects.

    rejects: a channel that breaks is put into `broken` and waits for its keyframe, as a client of Session does; without
    it, it raises.
    """

    rejects: bool = False
    broken: dict[int, str] = field(default_factory=dict)
    frames: int = 0
    miscounted: bool = False
    changes: int = 0
    cadence_ms: int = 0
    refused: list[str] = field(default_factory=list)
    channels: dict[int, ChannelReplica] = field(default_factory=dict)
    names: dict[int, tuple[str, str]] = field(default_factory=dict)
    symbols: dict[str, stream_pb2.SymbolChunk] = field(default_factory=dict)
    venues: dict[str, stream_pb2.VenueChunk] = field(default_factory=dict)
    resume: stream_pb2.ResumePoint | None = None
    in_sync: bool = False
    greeted: bool = False
    inside_message: bool = False
    keyframes: int = 0
    ticks_conflated: int = 0
    controls: list[str] = field(default_factory=list)
    lagged: list[int] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Return whether the join has ended and every channel is in sync."""
        return self.in_sync and all(channel.in_sync for channel in self.channels.values())

    def connecting(self) -> None:
        """A new stream begins."""
        self.in_sync = self.greeted = self.inside_message = self.miscounted = False
        self.keyframes = self.frames = self.changes = 0
        self.broken.clear()
        self.controls.clear()
        self.lagged.clear()

    def apply(self, data: bytes) -> stream_pb2.Frame:
        """Apply one message and return it.

        Raises:
            Gap, BadPayload: the replica is out of sync from here on.
        """
        frame = stream_pb2.Frame.FromString(data)
        self.frames += 1
        control = frame.WhichOneof("control")
        if control is not None:
            self.controls.append(control)
        if control == "hello":
            self._hello(frame.hello)
        assert self.greeted, "something came before Hello"
        self.ticks_conflated += frame.ticks_conflated
        for section in frame.sections:
            self._section(section)
        if control == "lagged":
            self.lagged.append(frame.lagged.reason)
        elif control == "selection_changed":
            self._selection_changed(frame.selection_changed)
        elif control == "snapshot_end":
            self.miscounted = frame.snapshot_end.keyframes != self.keyframes
            if self.miscounted and not self.rejects:
                raise Gap(f"{self.keyframes} of {frame.snapshot_end.keyframes} keyframes have come")
            self.in_sync = self.rejects or all(channel.in_sync for channel in self.channels.values())
        elif control == "heartbeat":
            for position in frame.heartbeat.positions:
                self.resume = position
        return frame

    def _hello(self, hello: stream_pb2.Hello) -> None:
        self.greeted = True
        if not hello.resumed:
            self.channels = {channel.channel_id: ChannelReplica() for channel in hello.channels}
            self.resume = None
        assert set(self.channels) == {channel.channel_id for channel in hello.channels}
        self.names = {channel.channel_id: (channel.symbol, channel.timeframe) for channel in hello.channels}

    def _selection_changed(self, changed: stream_pb2.SelectionChanged) -> None:
        assert changed.changes > self.changes
        self.changes = changed.changes
        self.cadence_ms = changed.cadence_ms
        if changed.refused:
            self.refused.append(changed.refused)
        starting = {channel.channel_id for channel in changed.starting}
        channels = [*changed.continuing, *changed.starting]
        served = {channel.channel_id for channel in channels}
        assert served - starting <= set(self.channels), "a channel that was not held goes on"
        self.channels = {i: ChannelReplica() if i in starting else self.channels[i] for i in sorted(served)}
        self.broken = {i: reason for i, reason in self.broken.items() if i in served - starting}
        self.names = {channel.channel_id: (channel.symbol, channel.timeframe) for channel in channels}
        self.in_sync = False
        self.keyframes = 0

    def _section(self, section: stream_pb2.Section) -> None:
        for chunk in section.chunks:
            kind = chunk.WhichOneof("kind")
            if kind == "channel":
                self.keyframes += chunk.channel.kind == stream_pb2.CHUNK_KIND_KEYFRAME
                self._channel_chunk(chunk.channel)
            elif kind == "symbol":
                self.symbols[chunk.symbol.symbol] = chunk.symbol
            else:
                assert kind == "venue"
                self.venues[chunk.venue.instrument] = chunk.venue
        self.inside_message = not section.complete
        if section.complete:
            self.resume = stream_pb2.ResumePoint(source_id=section.source_id, epoch=section.epoch, tick=section.tick)

    def _channel_chunk(self, chunk: stream_pb2.ChannelChunk) -> None:
        channel = self.channels[chunk.channel_id]
        if chunk.channel_id in self.broken and chunk.kind == stream_pb2.CHUNK_KIND_DELTA and not channel.in_sync:
            return
        try:
            channel.apply(chunk)
        except (Gap, BadPayload) as error:
            channel.in_sync = False
            if not self.rejects:
                self.in_sync = False
                raise
            self.broken[chunk.channel_id] = str(error)
        else:
            if channel.in_sync:
                self.broken.pop(chunk.channel_id, None)

"""The server's side of proto/README.md in plain Python, from the page alone: the truth that replicas are held to."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqscape.v1 import stream_pb2

SOURCE: Final = "engine-0"


def varint(value: int) -> bytes:
    """Return unsigned LEB128."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode_runs(cells: dict[int, int]) -> bytes:
    """Return ENCODING_RLE8 of flat index -> level."""
    header, levels, end = b"", b"", 0
    indices = sorted(cells)
    while indices:
        length = 1
        while length < len(indices) and indices[length] == indices[0] + length:
            length += 1
        header += varint(indices[0] - end) + varint(length)
        levels += bytes(cells[index] for index in indices[:length])
        end = indices[0] + length
        indices = indices[length:]
    return varint(len(header)) + header + levels


def encode_keyframe(window: NDArray[np.uint8]) -> bytes:
    """Return ENCODING_TIME_DIFFERENCE_ZLIB of uint8[column, row], oldest column first."""
    out = bytearray()
    before = [0] * window.shape[1]
    for column in window.tolist():
        out += bytes((now - then) % 256 for now, then in zip(column, before, strict=True))
        before = column
    return zlib.compress(bytes(out), 1)


def checksum(ring: NDArray[np.uint8], newest_column: int) -> int:
    """Return the checksum of uint8[position, row]."""
    parts = [zlib.crc32(bytes(column)).to_bytes(4, "little") for column in ring.tolist()]
    return zlib.crc32(newest_column.to_bytes(8, "little", signed=True) + b"".join(parts))


@dataclass
class ModelChannel:
    """One channel as the server holds it, and everything it ever was."""

    symbol: str = "BTC"
    timeframe: str = "24h"
    channel_id: int = 1
    columns: int = 6
    rows: int = 5
    column_minutes: int = 2
    first_row: int = 2010
    generation: int = 1
    newest_column: int = 14_715_077
    tick: int = 1
    ring: NDArray[np.uint8] = field(init=False)
    history: dict[int, NDArray[np.uint8]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ring = np.zeros((self.columns, self.rows), dtype=np.uint8)
        self.remember()

    def window(self) -> NDArray[np.uint8]:
        """Return uint8[column, row], oldest column first."""
        wanted = range(self.newest_column - self.columns + 1, self.newest_column + 1)
        return np.array([self.ring[column % self.columns] for column in wanted], dtype=np.uint8)

    def remember(self) -> None:
        self.history[self.tick] = self.window()

    def axes(self) -> stream_pb2.Axes:
        return stream_pb2.Axes(
            column_minutes=self.column_minutes,
            columns=self.columns,
            first_row=self.first_row,
            rows=self.rows,
            base_steps_per_row=2,
            base_step=20,
            price_decimals=0,
        )

    def candles(self, columns: list[int]) -> stream_pb2.Candles:
        """Return made-up candles: open 90,000 + 10 x column modulo 7, high +9, low -8, close +3."""
        opens = [90_000 + 10 * (column % 7) for column in columns]
        return stream_pb2.Candles(
            column_differences=[b - a for a, b in zip([0, *columns], columns, strict=False)],
            open_differences=[b - a for a, b in zip([0, *opens], opens, strict=False)],
            high_minus_open=[9] * len(columns),
            open_minus_low=[8] * len(columns),
            close_minus_open=[3] * len(columns),
        )

    def keyframe(self) -> stream_pb2.ChannelChunk:
        return stream_pb2.ChannelChunk(
            channel_id=self.channel_id,
            generation=self.generation,
            tick=self.tick,
            kind=stream_pb2.CHUNK_KIND_KEYFRAME,
            axes=self.axes(),
            newest_column=self.newest_column,
            encoding=stream_pb2.ENCODING_TIME_DIFFERENCE_ZLIB,
            payload=encode_keyframe(self.window()),
            checksum=checksum(self.ring, self.newest_column),
            candles=self.candles(list(range(self.newest_column - self.columns + 1, self.newest_column + 1))),
        )

    def change(
        self, tick: int, cells: dict[int, int], *, advance: int = 0, zlibbed: bool = False, summed: bool = True
    ) -> stream_pb2.ChannelChunk:
        """Change cells by flat ring index at a tick, move on by some columns, and return the delta."""
        before, self.tick = self.tick, tick
        self.newest_column += advance
        for index, level in cells.items():
            self.ring[index // self.rows, index % self.rows] = level
        self.remember()
        payload = encode_runs(cells)
        return stream_pb2.ChannelChunk(
            channel_id=self.channel_id,
            generation=self.generation,
            prev_tick=before,
            tick=tick,
            kind=stream_pb2.CHUNK_KIND_DELTA,
            newest_column=self.newest_column,
            encoding=stream_pb2.ENCODING_RLE8_ZLIB if zlibbed else stream_pb2.ENCODING_RLE8,
            payload=zlib.compress(payload, 1) if zlibbed else payload,
            checksum=checksum(self.ring, self.newest_column) if summed else None,
            candles=self.candles([self.newest_column]),
        )

    def regenerate(self, tick: int, first_row: int, rows: int) -> stream_pb2.ChannelChunk:
        """Begin a new generation on other rows, all zero, and return its keyframe."""
        self.tick, self.first_row, self.rows = tick, first_row, rows
        self.generation += 1
        self.ring = np.zeros((self.columns, rows), dtype=np.uint8)
        self.remember()
        return self.keyframe()


@dataclass
class ModelEngine:
    """An engine and the edge in front of it: steps on command, answers each subscriber with frames."""

    epoch: int = 0xABCDEF
    tick: int = 1
    heartbeat_ms: int = 1000
    channels: list[ModelChannel] = field(default_factory=lambda: [ModelChannel()])
    log: list[stream_pb2.Section] = field(default_factory=list)
    ring_ticks: int = 1000
    states: list[stream_pb2.DataState] = field(default_factory=lambda: [stream_pb2.DATA_STATE_SIMULATED])
    sent_unix_ns: int = 0

    def section(self, chunks: list[stream_pb2.ChannelChunk], *, complete: bool = True) -> stream_pb2.Section:
        wrapped = [stream_pb2.Chunk(channel=chunk) for chunk in chunks]
        wrapped += [stream_pb2.Chunk(symbol=self.symbol(name)) for name in {c.symbol: 0 for c in self.channels}]
        return stream_pb2.Section(source_id=SOURCE, epoch=self.epoch, tick=self.tick, complete=complete, chunks=wrapped)

    def symbol(self, name: str) -> stream_pb2.SymbolChunk:
        return stream_pb2.SymbolChunk(
            symbol=name,
            mark_price=8_904_060 + self.tick,
            price_decimals=2,
            source_watermark_unix_ns=1_765_809_000_000_000_000 + self.tick * 1_000_000_000,
            states=self.states,
            bars_closed_unix_ns=self.sent_unix_ns - 5_000_000 if self.sent_unix_ns else 0,
            grids_ready_unix_ns=self.sent_unix_ns - 3_000_000 if self.sent_unix_ns else 0,
            chunks_encoded_unix_ns=self.sent_unix_ns - 1_000_000 if self.sent_unix_ns else 0,
        )

    def venue(self, name: str) -> stream_pb2.VenueChunk:
        return stream_pb2.VenueChunk(
            symbol=name,
            venue="binance",
            instrument=f"binance:{name}USDT",
            live_long_lots=300,
            live_short_lots=100,
            uncovered_long_lots=250,
            uncovered_short_lots=350,
            lot_decimals=5,
        )

    def step(self, changes: dict[int, dict[int, int]], *, advance: int = 0, summed: bool = True) -> stream_pb2.Section:
        """Take one tick: channel id -> cells that change (and columns it moves on by)."""
        self.tick += 1
        chunks = [
            channel.change(self.tick, changes[channel.channel_id], advance=advance, summed=summed)
            for channel in self.channels
            if channel.channel_id in changes
        ]
        return self.publish(chunks)

    def publish(self, chunks: list[stream_pb2.ChannelChunk]) -> stream_pb2.Section:
        section = self.section(chunks)
        self.log.append(section)
        return section

    def restart(self, epoch: int) -> None:
        """Lose everything and begin a new epoch."""
        self.epoch, self.tick, self.log = epoch, 1, []
        for index, old in enumerate(self.channels):
            self.channels[index] = ModelChannel(old.symbol, old.timeframe, old.channel_id)

    def hello(self, *, resumed: bool = False) -> stream_pb2.Frame:
        return self.stamped(
            stream_pb2.Frame(
                hello=stream_pb2.Hello(
                    protocol_revision=1,
                    server_version="0.1.0",
                    heartbeat_ms=self.heartbeat_ms,
                    sources=[
                        stream_pb2.SourceDescription(
                            source_id=SOURCE, epoch=self.epoch, tick_ms=250, states=self.states, input="model"
                        )
                    ],
                    channels=[
                        stream_pb2.ChannelDescription(
                            channel_id=c.channel_id, source_id=SOURCE, symbol=c.symbol, timeframe=c.timeframe
                        )
                        for c in self.channels
                    ],
                    resumed=resumed,
                )
            )
        )

    def join(self, request: stream_pb2.SubscribeRequest) -> list[stream_pb2.Frame]:
        """Return Hello, what brings the client to the newest tick, and SnapshotEnd."""
        lagged = None
        if request.resume:
            point = request.resume[0]
            if point.source_id == SOURCE and point.epoch == self.epoch:
                following = [section for section in self.log if section.tick > point.tick]
                if point.tick <= self.tick and len(following) <= self.ring_ticks:
                    deltas = [self.stamped(stream_pb2.Frame(sections=[section])) for section in following]
                    return [self.hello(resumed=True), *deltas, self.snapshot_end(0)]
            lagged = stream_pb2.Lagged(
                reason=stream_pb2.Lagged.REASON_OUT_OF_RING
                if point.epoch == self.epoch
                else stream_pb2.Lagged.REASON_EPOCH_CHANGED,
                source_id=point.source_id,
            )
        frames = [self.hello()]
        if lagged:
            frames.append(self.stamped(stream_pb2.Frame(lagged=lagged)))
        for index, channel in enumerate(self.channels):
            section = self.section([channel.keyframe()], complete=index == len(self.channels) - 1)
            section.chunks.append(stream_pb2.Chunk(venue=self.venue(channel.symbol)))
            frames.append(self.stamped(stream_pb2.Frame(sections=[section])))
        return [*frames, self.snapshot_end(len(self.channels))]

    def frame(self, *sections: stream_pb2.Section, ticks_conflated: int = 0) -> stream_pb2.Frame:
        return self.stamped(stream_pb2.Frame(sections=sections, ticks_conflated=ticks_conflated))

    def heartbeat(self, states: list[stream_pb2.DataState] | None = None) -> stream_pb2.Frame:
        position = stream_pb2.ResumePoint(source_id=SOURCE, epoch=self.epoch, tick=self.tick)
        said = self.states if states is None else states
        return self.stamped(stream_pb2.Frame(heartbeat=stream_pb2.Heartbeat(positions=[position], states=said)))

    def snapshot_end(self, keyframes: int) -> stream_pb2.Frame:
        return self.stamped(stream_pb2.Frame(snapshot_end=stream_pb2.SnapshotEnd(keyframes=keyframes)))

    def stamped(self, frame: stream_pb2.Frame) -> stream_pb2.Frame:
        frame.sent_unix_ns = self.sent_unix_ns
        return frame

"""Pictures of the past become chunks: what differs from the picture shown before, through the encoder of live channels.

One for each playback, whose epoch it counts channels, generations and ticks in. It may run on any one thread at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqscape.broadcast.channel_encoder import ChannelEncoder
from liqscape.broadcast.chunks import chunk_entry, data_states, symbol_message
from liqscape.broadcast.ports import EncodedChunk
from liqscape.grid.past import PastPicture
from liqscape.grid.updates import CandleColumns, Channel, ChannelUpdate, SymbolUpdate
from liqscape.v1 import stream_pb2

CHECKSUM_TICKS: Final = 1
"""Every chunk carries its checksum: a picture may stand for hours of one that moves at its own pace."""


@dataclass(frozen=True, slots=True)
class EncodedPicture:
    """What leads from one moment to the next.

    Attributes:
        entries: `chunks` entries of a Section, in order.
        are_keyframes: of each, whether it is the keyframe of a channel.
        source_watermark_ns: of the moment.
    """

    entries: tuple[bytes, ...]
    are_keyframes: tuple[bool, ...]
    source_watermark_ns: int


class PastEncoder:
    """Channels of one playback, as last shown.

    Args:
        channels: with ids that are unique in the playback.
        simulated: what the data are, beside being played back.
        now_ns: wall clock for the stamps; decides nothing.
    """

    def __init__(
        self, channels: Sequence[Channel], *, simulated: bool, now_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._channels = tuple(channels)
        self._states = data_states(simulated=simulated, replay=True)
        self._now_ns = now_ns
        self._encoders: dict[int, ChannelEncoder] = {}
        self._generations = dict.fromkeys((channel.channel_id for channel in channels), 0)

    def restart(self) -> None:
        """Let every channel begin a new generation with the next picture: it need not follow the one before."""
        self._encoders.clear()

    def encode(self, tick: int, pictures: Sequence[PastPicture]) -> EncodedPicture:
        """Return what leads to a moment.

        Args:
            tick: its number, above the one before.
            pictures: of each channel, in their order, all of one minute.
        """
        made_ns = self._now_ns()
        chunks = [
            chunk
            for channel, picture in zip(self._channels, pictures, strict=True)
            if (chunk := self._chunk(channel, picture, tick)) is not None
        ]
        symbols = {
            channel.symbol: chunk_entry(stream_pb2.Chunk(symbol=self._symbol(channel, picture, made_ns)))
            for channel, picture in zip(self._channels, pictures, strict=True)
        }
        return EncodedPicture(
            entries=(*symbols.values(), *(chunk.data for chunk in chunks)),
            are_keyframes=(*(False for _ in symbols), *(chunk.keyframe for chunk in chunks)),
            source_watermark_ns=max(picture.source_watermark_ns for picture in pictures),
        )

    def _chunk(self, channel: Channel, picture: PastPicture, tick: int) -> EncodedChunk | None:
        """Return a channel's chunk; None where nothing has changed."""
        encoder = self._encoders.get(channel.channel_id)
        levels = picture.ring.reshape(-1)
        if encoder is None or encoder.axes != picture.axes:
            self._generations[channel.channel_id] += 1
            generation = self._generations[channel.channel_id]
            encoder = self._encoders[channel.channel_id] = ChannelEncoder(channel.channel_id, generation, picture.axes)
            cells, candles, axes = np.flatnonzero(levels), picture.candles, picture.axes
        else:
            cells, axes = np.flatnonzero(levels != encoder.ring.reshape(-1)), None
            candles = _changed(encoder.last.all_candles, picture.candles)
            if not cells.size and not candles.column.size and picture.newest_column == encoder.last.newest_column:
                return None
        update = ChannelUpdate(
            channel=channel,
            generation=encoder.generation,
            axes=axes,
            newest_column=picture.newest_column,
            cells=cells.astype(np.uint32),
            levels=levels[cells],
            candles=candles,
            all_candles=picture.candles,
        )
        return encoder.apply(update, tick, CHECKSUM_TICKS)

    def _symbol(self, channel: Channel, picture: PastPicture, made_ns: int) -> stream_pb2.SymbolChunk:
        scale = picture.axes.scale
        update = SymbolUpdate(channel.symbol, picture.mark_price, scale.price_decimals, picture.source_watermark_ns)
        return symbol_message(update, self._states, (0, made_ns, self._now_ns()))


def _changed(before: CandleColumns, after: CandleColumns) -> CandleColumns:
    """Return the columns that are new, or have another price."""
    table_before, table_after = _table(before), _table(after)
    known = np.searchsorted(before.column, after.column)
    same = np.zeros(after.column.size, np.bool_)
    inside = known < before.column.size
    same[inside] = (table_before[:, known[inside]] == table_after[:, inside]).all(axis=0)
    return CandleColumns(*table_after[:, ~same])


def _table(candles: CandleColumns) -> NDArray[np.int64]:
    return np.array([candles.column, candles.open, candles.high, candles.low, candles.close], np.int64)

"""Tiles: a channel's rows in pieces of TILE_ROWS, each a channel of its own, cut from what the whole one has emitted.

A tile always has all its rows; those outside of the channel's are 0. So it keeps its rings and its chain while the
channel's rows move, and says only what has entered or left; a generation of its own ends when rows get another height.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from liqscape.axes import RowRange
from liqscape.broadcast.channel_encoder import ChannelEncoder
from liqscape.broadcast.ports import EncodedChunk
from liqscape.grid.channel_specs import TILE_ROWS, tile_rows
from liqscape.grid.updates import CandleColumns, Channel, ChannelAxes, ChannelUpdate, OpenedTile


class TileEncoder:
    """One tile. It begins with the first update of its channel that it is given, or with begin()."""

    def __init__(self, channel: Channel) -> None:
        assert channel.tile is not None
        self.channel = channel
        self.encoder: ChannelEncoder | None = None
        self._tile = channel.tile
        self._axes: ChannelAxes | None = None
        self._parent_rows = RowRange(0, 0, 1)
        self._untold: set[int] = set()  # columns whose price has changed while no level did

    def begin(self, parent: ChannelEncoder, tick: int, checksum_ticks: int) -> EncodedChunk:
        """Return the first keyframe, cut from what a channel has emitted so far."""
        last = parent.last
        ring = parent.ring.reshape(-1)
        cells = np.flatnonzero(ring).astype(np.uint32)
        whole = replace(last, axes=parent.axes, cells=cells, levels=ring[cells], candles=last.all_candles)
        chunk = self.apply(whole, tick, checksum_ticks)
        assert chunk is not None  # a generation always begins with one
        return chunk

    def apply(self, update: ChannelUpdate, tick: int, checksum_ticks: int) -> EncodedChunk | None:
        """Take what has changed in the channel; return the chunk of the tile, None where nothing in it has.

        A column that comes in is told to every tile, whatever is in it: it says which column is now.
        """
        fresh = self._take_axes(update.axes) if update.axes is not None else False
        assert self.encoder is not None  # an update without axes follows one with them
        cells, levels = self._cut(update.cells, update.levels)
        if update.axes is not None and not fresh:
            cells, levels = self._difference(cells, levels)
        self._untold.update(update.candles.column.tolist())
        is_same = not fresh and update.newest_column == self.encoder.last.newest_column
        if is_same and not len(cells):
            return None
        candles = update.all_candles if fresh else _some(update.all_candles, self._untold)
        self._untold.clear()
        own = replace(update, channel=self.channel, cells=cells, levels=levels, candles=candles)
        return self.encoder.apply(own, tick, checksum_ticks)

    def _take_axes(self, axes: ChannelAxes) -> bool:
        """Take the rows of a new generation of the channel; return whether the tile begins one too."""
        self._parent_rows = axes.rows
        own = replace(axes, rows=tile_rows(self._tile, axes.rows.multiple))
        if own == self._axes:
            return False
        generation = 1 if self.encoder is None else self.encoder.generation + 1
        self._axes, self.encoder = own, ChannelEncoder(self.channel.channel_id, generation, own)
        return True

    def _cut(
        self, cells: NDArray[np.uint32], levels: NDArray[np.uint8]
    ) -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
        """Return those cells of the channel's ring that lie in the tile, as cells of its own ring."""
        column, row = np.divmod(cells.astype(np.int64), self._parent_rows.count)
        row += self._parent_rows.first - self._tile * TILE_ROWS
        inside = (row >= 0) & (row < TILE_ROWS)
        return (column[inside] * TILE_ROWS + row[inside]).astype(np.uint32), levels[inside]

    def _difference(
        self, cells: NDArray[np.uint32], levels: NDArray[np.uint8]
    ) -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
        """Return what a ring that holds these cells and no others differs in from the tile's."""
        assert self.encoder is not None
        ring = np.zeros(self.encoder.ring.size, np.uint8)
        ring[cells] = levels
        changed = np.flatnonzero(ring != self.encoder.ring.reshape(-1)).astype(np.uint32)
        return changed, ring[changed]


class Tiles:
    """The tiles of a shard, by the channel they are cut from."""

    def __init__(self) -> None:
        self._tiles: dict[int, dict[int, TileEncoder]] = {}
        self._parents: dict[int, int] = {}
        self._waiting: list[OpenedTile] = []

    def open(self, tile: OpenedTile) -> None:
        """Take a tile up; it begins as soon as its channel has."""
        self._waiting.append(tile)

    def close(self, channel_id: int) -> None:
        """Let a tile go; other ids are passed over."""
        self._waiting = [tile for tile in self._waiting if tile.channel.channel_id != channel_id]
        parent_id = self._parents.pop(channel_id, None)
        if parent_id is not None:
            del self._tiles[parent_id][channel_id]

    def encoders(self) -> Iterator[ChannelEncoder]:
        """Yield the encoder of every tile that has begun."""
        for tiles in self._tiles.values():
            for tile in tiles.values():
                if tile.encoder is not None:
                    yield tile.encoder

    def apply(self, update: ChannelUpdate, tick: int, checksum_ticks: int) -> Iterator[EncodedChunk]:
        """Yield what an update of a channel makes of its tiles that have begun."""
        for tile in self._tiles.get(update.channel.channel_id, {}).values():
            chunk = tile.apply(update, tick, checksum_ticks)
            if chunk is not None:
                yield chunk

    def begin(self, channels: dict[int, ChannelEncoder], tick: int, checksum_ticks: int) -> Iterator[EncodedChunk]:
        """Yield the first keyframe of each tile whose channel has one, after the updates of a tick."""
        waiting, self._waiting = self._waiting, []
        for opened in waiting:
            parent = channels.get(opened.parent_id)
            if parent is None:
                self._waiting.append(opened)
                continue
            tile = TileEncoder(opened.channel)
            self._tiles.setdefault(opened.parent_id, {})[opened.channel.channel_id] = tile
            self._parents[opened.channel.channel_id] = opened.parent_id
            yield tile.begin(parent, tick, checksum_ticks)


def _some(candles: CandleColumns, columns: set[int]) -> CandleColumns:
    chosen = np.isin(candles.column, np.fromiter(columns, np.int64, len(columns)))
    return CandleColumns(
        candles.column[chosen], candles.open[chosen], candles.high[chosen], candles.low[chosen], candles.close[chosen]
    )

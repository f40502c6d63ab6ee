"""Tiles of one channel put together again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from liqscape_client.channel_parts import TILE_ROWS
from liqscape_client.errors import NotInSync, NotServed
from liqscape_client.grids import Heatmap


def stack_tiles(tiles: Sequence[Heatmap]) -> Heatmap:
    """Return tiles as one picture: of consecutive rows, lowest first.

    Its tick is that of the last change in any of them, its generation the highest; it is in sync where all of them are.

    Raises:
        NotServed: there are none, or a tile between them is missing. NotInSync: they are of different columns or rows,
            as in the middle of a message.
    """
    if not tiles:
        raise NotServed("there are no tiles")
    ordered = sorted(tiles, key=lambda tile: tile.axes.first_row)
    first = ordered[0]
    for number, tile in enumerate(ordered):
        expected = replace(first.axes, first_row=first.axes.first_row + number * TILE_ROWS)
        if tile.axes.first_row != expected.first_row:
            raise NotServed(f"the tile of rows {expected.first_row} to {expected.first_row + TILE_ROWS - 1} is missing")
        if (tile.axes, tile.newest_column) != (expected, first.newest_column):
            raise NotInSync(f"tiles of {first.symbol} {first.timeframe} are of different columns or rows")
    broken = next((tile for tile in ordered if not tile.in_sync), first)
    newest = max(ordered, key=lambda tile: tile.tick)
    return replace(
        first,
        tick=newest.tick,
        generation=max(tile.generation for tile in ordered),
        axes=replace(first.axes, rows=TILE_ROWS * len(ordered)),
        levels=np.concatenate([tile.levels for tile in ordered], axis=1),
        candles=newest.candles,
        in_sync=broken.in_sync,
        reason=broken.reason,
        part=None if first.part is None else first.part.positions,
    )

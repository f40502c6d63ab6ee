"""Places in device columns, cut into tiles: a launch looks at spans of them, marks some by bits, and numbers these.

The layouts and the kernels are those of common.cu and live_kernels.cu.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqscape.device.queue import Argument, DeviceArray, Queue
from liqscape.device.scratch import Scratch

WARP: Final = 32


@dataclass(frozen=True, slots=True)
class LaunchSizes:
    """Sizes of blocks and tiles. They decide how long an operation takes, never what comes of it.

    Attributes:
        threads: of a block; 32, 64, 128 or 256.
        join_threads: of a block whose threads each look through the cohorts of a minute; few, for more blocks.
        offset_threads: of a block where it is one for a span; a multiple of 32, up to 1024.
        words_of_tile: of 32 places each; what the kernels were compiled with.
    """

    threads: int = 256
    join_threads: int = 128
    offset_threads: int = 1024
    words_of_tile: int = 32

    @property
    def tile_places(self) -> int:
        """Return how many places are a tile."""
        return self.words_of_tile * WARP


@dataclass(frozen=True, slots=True)
class Marked:
    """Bits for the places of some spans, and where what is marked goes.

    Attributes:
        words: uint32[tile x words of a tile].
        offsets: uint32[tile], marked places of the span before the tile.
        totals: uint32[span].
    """

    words: DeviceArray
    offsets: DeviceArray
    totals: DeviceArray


class Marks:
    """Memory for marks. What it gives out is good until the next of its kind is asked for."""

    def __init__(self, queue: Queue, sizes: LaunchSizes) -> None:
        self.sizes = sizes
        self._queue = queue
        self._words = Scratch(queue, np.uint32)
        self._offsets = Scratch(queue, np.uint32)
        self._totals = Scratch(queue, np.uint32)

    def tiles(self, places: int) -> int:
        """Return how many tiles hold so many places of one span."""
        return -(-places // self.sizes.tile_places)

    def spans(self, firsts: Sequence[int], counts: Sequence[int]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """Return the spans as kernels read them, uint32[3 x span], and the number of tiles of each."""
        tiles = np.array([self.tiles(count) for count in counts], np.int64)
        spans = np.stack((firsts, counts, np.cumsum(tiles) - tiles), axis=1)
        return spans.astype(np.uint32).reshape(-1), tiles

    def words(self, tiles: int) -> DeviceArray:
        """Return room for the marks of so many tiles."""
        return self._words.reserve(tiles * self.sizes.words_of_tile)

    def launch(self, kernel: str, blocks: int, *arguments: Argument) -> None:
        """Run a kernel in blocks of the usual size."""
        self._queue.launch(kernel, blocks, self.sizes.threads, *arguments)

    def count(self, spans: DeviceArray, words: DeviceArray) -> Marked:
        """Count the marks that are in words, by tile and span."""
        number = len(spans) // 3
        offsets = self._offsets.reserve(len(words) // self.sizes.words_of_tile)
        totals = self._totals.reserve(number)
        self._queue.launch("offset_tiles", number, self.sizes.offset_threads, spans, words, offsets, totals)
        return Marked(words, offsets, totals)


def numbers_of_tiles(tiles: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Return uint32[tile], the number of the span that each tile is of."""
    return np.repeat(np.arange(len(tiles), dtype=np.uint32), tiles)

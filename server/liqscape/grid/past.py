"""A channel as it was at the end of a minute, as levels: one picture of a playback. Pure.

It is made from the answer to a grid query, whoever gave that, so it reaches as far back as grid queries do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqscape.axes import MINUTE_NS, Timeframe
from liqscape.device.numpy_grid import levels_of
from liqscape.grid.updates import CandleColumns, ChannelAxes, GridAnswer

_SLICE_COLUMNS: Final = 128
"""Columns turned into levels between two checkpoints: a few milliseconds at 1,024 rows."""

NO_PRICE: Final = 0
"""Mark price of a minute whose price is not known. A price is positive."""

PricePaths = Iterable[tuple[Timeframe, CandleColumns]]
"""Trigger prices by column, in columns of any widths."""


@dataclass(frozen=True, slots=True)
class PastPicture:
    """Levels of a channel at the end of a minute, and what stands beside them.

    Attributes:
        minute: last minute included.
        axes: of then.
        newest_column: absolute number.
        ring: uint8[columns, rows], column c at c modulo columns.
        candles: of the window, as far as they were final then and are still known.
        mark_price: price units; see price_at. NO_PRICE where none is known.
        source_watermark_ns: no event after this instant is in it.
    """

    minute: int
    axes: ChannelAxes
    newest_column: int
    ring: NDArray[np.uint8]
    candles: CandleColumns
    mark_price: int
    source_watermark_ns: int


def picture_of(answer: GridAnswer, paths: PricePaths, checkpoint: Callable[[], None]) -> PastPicture:
    """Return the picture of a grid.

    Args:
        answer: of a default window, as of a minute.
        paths: where its mark price is looked for, beside its own candles.
        checkpoint: called every few milliseconds of work; what it raises ends the work.
    """
    frame = answer.axes.timeframe
    ring = np.empty(answer.cells.shape, np.uint8)
    first = answer.newest_column - frame.columns + 1
    for start in range(0, frame.columns, _SLICE_COLUMNS):
        checkpoint()
        part = answer.cells[start : start + _SLICE_COLUMNS]
        positions = (first + start + np.arange(len(part))) % frame.columns
        ring[positions] = levels_of(part, answer.usd_per_weighted_lot)
    end_ns = (answer.as_of_minute + 1) * MINUTE_NS
    # An answer that includes nothing later has the price of then; one of the newest tick has that of now.
    is_of_then = answer.source_watermark_ns <= end_ns
    paths = ((frame, answer.candles), *paths)
    return PastPicture(
        minute=answer.as_of_minute,
        axes=answer.axes,
        newest_column=answer.newest_column,
        ring=ring,
        candles=answer.candles,
        mark_price=answer.mark_price if is_of_then else price_at(paths, answer.as_of_minute),
        source_watermark_ns=min(answer.source_watermark_ns, end_ns),
    )


def price_at(paths: PricePaths, minute: int) -> int:
    """Return the last price known to be of a minute or before it: the close of the newest column that ends by then.

    What grid queries carry of the past are candles, and of a column that went on after the minute only the later
    close is known. So this is exact where some column ends with the minute, and else older by less than a column.
    """
    newest_end, price = -1, NO_PRICE
    for frame, candles in paths:
        final = frame.column_of(minute + 1) - 1
        index = int(np.searchsorted(candles.column, final, side="right")) - 1
        if index >= 0:
            end = (int(candles.column[index]) + 1) * frame.column_minutes
            if end > newest_end:
                newest_end, price = end, int(candles.close[index])
    return price

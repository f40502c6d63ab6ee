"""The trigger price of archived minutes as candles of any columns: what market.price_path does, for a whole window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from liqscape.axes import Timeframe
from liqscape.grid.updates import CandleColumns

PIECE_COLUMNS: Final = ("first_minute", "minute", "open", "high", "low", "close")


def candles_of(pieces: Sequence[Mapping[str, Any]], frame: Timeframe, minute: int) -> CandleColumns:
    """Return the candles of a window as of the end of a minute.

    Args:
        pieces: of the price, in the order in which they came; arrays by PIECE_COLUMNS.
        frame: the window.
        minute: the last one included; it ends the window.
    """
    if not pieces:
        return CandleColumns.none()
    first, last, opened, high, low, close = (
        np.concatenate([piece[name].to_numpy(zero_copy_only=False) for piece in pieces]).astype(np.int64)
        for name in PIECE_COLUMNS
    )
    begin = np.maximum(first // frame.column_minutes, frame.first_column(minute))
    counts = np.where(last <= minute, np.maximum(last // frame.column_minutes - begin + 1, 0), 0)
    # A piece that covers several columns is drawn in each of them.
    piece = np.repeat(np.arange(len(first)), counts)
    column = begin[piece] + np.arange(len(piece)) - np.repeat(np.cumsum(counts) - counts, counts)
    order = np.argsort(column, kind="stable")
    piece, column = piece[order], column[order]
    if not len(column):
        return CandleColumns.none()
    starts = np.flatnonzero(np.diff(column, prepend=column[0] - 1))
    ends = np.append(starts[1:], len(column)) - 1
    return CandleColumns(
        column=column[starts],
        open=opened[piece[starts]],
        high=np.maximum.reduceat(high[piece], starts),
        low=np.minimum.reduceat(low[piece], starts),
        close=close[piece[ends]],
    )

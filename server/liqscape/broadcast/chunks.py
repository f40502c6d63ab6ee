"""Values of the grid engine as messages of the wire, and chunks as bytes ready to be joined."""

from __future__ import annotations

from typing import Final

import numpy as np

from liqscape.broadcast.encoding import encode_varint
from liqscape.grid.updates import CandleColumns, ChannelAxes, Coverage, SymbolUpdate
from liqscape.v1 import stream_pb2

_SECTION_CHUNKS_TAG: Final = bytes([stream_pb2.Section.CHUNKS_FIELD_NUMBER << 3 | 2])


def chunk_entry(chunk: stream_pb2.Chunk) -> bytes:
    """Return a chunk as one complete `chunks` entry of a Section: entries are joined by concatenation."""
    body = chunk.SerializeToString()
    return b"".join((_SECTION_CHUNKS_TAG, encode_varint(len(body)), body))


def axes_message(axes: ChannelAxes) -> stream_pb2.Axes:
    """Return the axes of a generation."""
    return stream_pb2.Axes(
        column_minutes=axes.timeframe.column_minutes,
        columns=axes.timeframe.columns,
        first_row=axes.rows.first,
        rows=axes.rows.count,
        base_steps_per_row=axes.rows.multiple,
        base_step=axes.scale.base_step,
        price_decimals=axes.scale.price_decimals,
    )


def candles_message(candles: CandleColumns) -> stream_pb2.Candles | None:
    """Return prices by column as differences; None where there are none, so that the field stays absent."""
    if candles.column.size == 0:
        return None
    return stream_pb2.Candles(
        column_differences=np.diff(candles.column, prepend=0).tolist(),
        open_differences=np.diff(candles.open, prepend=0).tolist(),
        high_minus_open=(candles.high - candles.open).tolist(),
        open_minus_low=(candles.open - candles.low).tolist(),
        close_minus_open=(candles.close - candles.open).tolist(),
    )


def symbol_message(
    update: SymbolUpdate, states: tuple[stream_pb2.DataState, ...], stamps_unix_ns: tuple[int, int, int]
) -> stream_pb2.SymbolChunk:
    """Return the chunk of a symbol.

    Args:
        update: price and watermark.
        states: what the data are.
        stamps_unix_ns: wall clock when bars were closed, grids were ready, chunks were encoded.
    """
    bars_closed, grids_ready, chunks_encoded = stamps_unix_ns
    return stream_pb2.SymbolChunk(
        symbol=update.symbol,
        mark_price=update.mark_price,
        price_decimals=update.price_decimals,
        source_watermark_unix_ns=update.source_watermark_ns,
        states=states,
        bars_closed_unix_ns=bars_closed,
        grids_ready_unix_ns=grids_ready,
        chunks_encoded_unix_ns=chunks_encoded,
    )


def coverage_message(coverage: Coverage) -> stream_pb2.VenueChunk:
    """Return the chunk of an instrument."""
    return stream_pb2.VenueChunk(
        symbol=coverage.symbol,
        venue=coverage.venue,
        instrument=coverage.instrument_id,
        watermark_unix_ns=coverage.watermark_ns,
        live_long_lots=coverage.live_lots[0],
        live_short_lots=coverage.live_lots[1],
        uncovered_long_lots=coverage.uncovered_lots[0],
        uncovered_short_lots=coverage.uncovered_lots[1],
        model_error_lots=coverage.model_error_lots,
        rejected_events=coverage.rejected_events,
        lot_decimals=coverage.lot_decimals,
        stated_long_lots=coverage.stated_lots[0],
        stated_short_lots=coverage.stated_lots[1],
        stated_beyond_long_lots=coverage.stated_beyond_lots[0],
        stated_beyond_short_lots=coverage.stated_beyond_lots[1],
    )


def data_states(
    *, simulated: bool, replay: bool, stale: bool = False, ended: bool = False
) -> tuple[stream_pb2.DataState, ...]:
    """Return what the data are, in the order of the enumeration; empty = live."""
    flags = (
        (simulated, stream_pb2.DATA_STATE_SIMULATED),
        (replay, stream_pb2.DATA_STATE_REPLAY),
        (stale, stream_pb2.DATA_STATE_STALE),
        (ended, stream_pb2.DATA_STATE_ENDED),
    )
    return tuple(state for holds, state in flags if holds)

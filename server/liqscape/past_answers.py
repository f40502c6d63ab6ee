"""Questions about minutes that have left the memory, answered from the archive. On the query thread."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from liqscape.archive.reader import ArchiveReader
from liqscape.errors import OutOfRange
from liqscape.grid.queries import check_size, frame_of, rows_of, weights_of
from liqscape.grid.symbol_model import SymbolView
from liqscape.grid.updates import Channel, GridAnswer, GridQuery, PositionModel


def is_past(view: SymbolView, query: GridQuery) -> bool:
    """Return whether a question is about a minute of which the memory holds no exact grid any more."""
    earliest = max(view.ledger_of(query.model).exact_from_minute, 0)
    return query.as_of_minute is not None and 0 <= query.as_of_minute < earliest


def answer_past(
    reader: ArchiveReader, view: SymbolView, query: GridQuery, epoch: int, check: Callable[[], None]
) -> GridAnswer:
    """Return an exact grid of a minute of the archive, on the axes of then unless others are asked for.

    Args:
        reader: of the archive.
        view: the symbol as it is now.
        query: is_past.
        epoch: of the engine.
        check: called every few milliseconds; what it raises ends the work.

    Raises:
        QueryError: see QueryPort.get_grid; OutOfRange names what is in memory too.
    """
    assert query.as_of_minute is not None
    held = f"{max(view.ledger_of(query.model).exact_from_minute, 0)} to {view.now_minute}"
    if query.model is PositionModel.OPEN_ONLY:
        raise OutOfRange(f"model open only is not archived; as_of_minute {held} can be asked for")
    try:
        return _answer(reader, view, query, query.as_of_minute, epoch, check)
    except OutOfRange as error:
        raise OutOfRange(f"{error}; {held} are in memory") from None


def _answer(
    reader: ArchiveReader,
    view: SymbolView,
    query: GridQuery,
    minute: int,
    epoch: int,
    check: Callable[[], None],
) -> GridAnswer:
    frame = frame_of(query)
    state = reader.state(view.symbol, minute)
    _, served = state.axes.get(frame.name, (0, None))
    default = state.scale.row_range(frame, state.mark_price) if served is None else served.rows
    rows = rows_of(query, state.scale, default)
    check_size(query, frame, rows)
    mixes = [state.mixes[instrument.instrument_id] for instrument in view.instruments]
    weights, reconciled = weights_of(query, view.instruments, mixes)
    grid = reader.grid(view.symbol, frame, minute, rows, weights, check, state)
    channel = view.channels.get(query.timeframe)
    return GridAnswer(
        channel=Channel(0, view.symbol, frame) if channel is None else channel.channel,
        epoch=epoch,
        tick=state.tick,
        generation=grid.generation,
        axes=grid.axes,
        newest_column=grid.newest_column,
        cells=grid.cells,
        usd_per_weighted_lot=np.array(state.scale.usd_per_weighted_lot(rows), np.float64),
        candles=reader.candles(view.symbol, frame, minute, check),
        mark_price=state.mark_price,
        source_watermark_ns=state.source_watermark_ns,
        coverage=state.coverage,
        as_of_minute=minute,
        reconciled=reconciled,
        model=query.model,
    )

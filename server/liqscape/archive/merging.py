"""Events of a day by bins of some minutes: what wide windows read instead of the raw ones."""

from __future__ import annotations

import numpy as np

from liqscape.archive.parts import EventArrays
from liqscape.archive.schema import COARSE_ROW_UNIT


def merged(events: EventArrays, minutes: int, base_step: int) -> EventArrays:
    """Return the sums of events that agree in bin, opening's bin, row and key; sums of zero are left out.

    A column of a multiple of `minutes` holds a bin as a whole, so what opens and ends in two bins does the same there
    to every grid. Rows are those of the end of the day, floored to COARSE_ROW_UNIT.

    Args:
        events: of a day or a part of it.
        minutes: of a bin; divides a day.
        base_step: that of the end of the day, a multiple of each of theirs.

    Returns:
        Ascending by bin, opening's bin, row and key; causes are 0.
    """
    minute = events.minute // np.int32(minutes) * np.int32(minutes)
    opened = events.open_minute // np.int32(minutes) * np.int32(minutes)
    row = (events.row // (base_step // events.base_step)).astype(np.int32)
    row = row // np.int32(COARSE_ROW_UNIT) * np.int32(COARSE_ROW_UNIT)
    order = np.lexsort((events.key, row, opened, minute))
    columns = [column[order] for column in (minute, opened, row, events.key)]
    differs = np.zeros(max(len(order) - 1, 0), np.bool_)
    for column in columns:
        differs |= column[1:] != column[:-1]
    starts = np.append(0, np.flatnonzero(differs) + 1) if len(order) else np.zeros(0, np.int64)
    lots = np.add.reduceat(events.lots[order], starts) if len(order) else np.zeros(0, np.int64)
    kept = starts[lots != 0]
    return EventArrays(
        minute=columns[0][kept],
        open_minute=columns[1][kept],
        row=columns[2][kept],
        base_step=np.full(len(kept), base_step, np.int64),
        key=columns[3][kept],
        lots=lots[lots != 0],
        cause=np.zeros(len(kept), np.uint8),
    )

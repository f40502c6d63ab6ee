"""The arrays of a symbol's day as the tables of schema."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from liqscape.archive.event_columns import SIDES, key_parts
from liqscape.archive.merging import merged
from liqscape.archive.parts import (
    HAS_SAMPLE,
    HAS_TRADED,
    HAS_TRIGGER,
    BarArrays,
    EventArrays,
    SymbolPart,
    arrays_of,
    mix_text,
)
from liqscape.archive.schema import BARS, MERGED_MINUTES, merged_name, names
from liqscape.axes import TIMEFRAME_NAMES
from liqscape.positions.book import Cause

CAUSES: Final = tuple(cause.name.lower() for cause in Cause)
"""By Cause."""


def tables_of(part: SymbolPart, instruments: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return columns by table.

    Args:
        part: of a whole day.
        instruments: ids by number.
    """
    minutes: dict[str, Any] = arrays_of(part.minutes)
    versions, places = np.unique(part.minutes.mix, return_inverse=True)
    minutes["mix"] = names(places.astype(np.int16), [mix_text(version) for version in versions.tolist()])
    axes = arrays_of(part.axes)
    axes["timeframe"] = names(axes["timeframe"].astype(np.int16), TIMEFRAME_NAMES)
    coverage = arrays_of(part.coverage)
    coverage["instrument"] = names(coverage["instrument"].astype(np.int16), instruments)
    return {
        "events": _events(part.events, instruments),
        "bars": _bars(part.bars, instruments),
        "prices": arrays_of(part.prices),
        "minutes": minutes,
        "axes": axes,
        "coverage": coverage,
        **{
            merged_name(width): _events(merged(part.events, width, part.base_step), instruments)
            for width in MERGED_MINUTES
        },
    }


def _events(events: EventArrays, instruments: Sequence[str]) -> dict[str, Any]:
    number, tier, side = key_parts(events.key)
    return {
        **arrays_of(events),
        "instrument": names(number, instruments),
        "tier": tier,
        "side": names(side, SIDES),
        "cause": names(events.cause.astype(np.int16), CAUSES),
    }


def _bars(bars: BarArrays, instruments: Sequence[str]) -> dict[str, Any]:
    columns: dict[str, Any] = arrays_of(bars)

    def where(part: int, values: NDArray[Any]) -> Any:
        return pa.array(values, mask=(bars.has & part) == 0)

    for name in ("open", "high", "low", "close"):
        columns[name] = where(HAS_TRIGGER, columns[name])
    columns["first_row"] = where(HAS_TRADED, bars.first_row)
    columns["open_interest"] = where(HAS_SAMPLE, bars.open_interest)
    columns["instrument"] = names(bars.instrument.astype(np.int16), instruments)
    offsets = np.append(0, np.cumsum(bars.traded_rows)).astype(np.int32)
    columns["traded"] = pa.ListArray.from_arrays(
        pa.array(offsets),
        pa.array(bars.traded_lots, pa.int64()),
        type=BARS.field("traded").type,
        mask=pa.array((bars.has & HAS_TRADED) == 0),
    )
    return columns

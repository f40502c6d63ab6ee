"""What was served at the end of an archived minute, beside the grids: price, units, coverage, axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from liqscape.archive.day_files import read_columns, table_path
from liqscape.archive.manifest import DayManifest
from liqscape.axes import TIMEFRAMES, RowRange, SymbolScale
from liqscape.errors import InvalidArgument
from liqscape.grid.updates import ChannelAxes, Coverage
from liqscape.journal.store import StoreDamaged


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedMinute:
    """A symbol as it was served at the end of a minute.

    Attributes:
        minute: the one asked for.
        tick: the last one that had ended.
        scale: units of then.
        mark_price: in these units.
        source_watermark_ns: newest event.
        mix: version of the mixes.
        mixes: inflow shares in force by instrument id, millionths by leverage tier.
        coverage: by instrument.
        axes: generation and axes of the default channels by timeframe; none before they were first served.
    """

    symbol: str
    minute: int
    tick: int
    scale: SymbolScale
    mark_price: int
    source_watermark_ns: int
    mix: str
    mixes: Mapping[str, tuple[int, ...]]
    coverage: tuple[Coverage, ...]
    axes: Mapping[str, tuple[int, ChannelAxes]]


def state_at(folder: Path, symbol: str, minute: int, manifest: DayManifest) -> ArchivedMinute:
    """Return a symbol at the end of a minute, from the day that holds its last tick.

    Args:
        folder: of the day.
        symbol: base coin.
        minute: not before the first tick of the day.
        manifest: of the day.

    Raises:
        StoreDamaged: a table is missing or not as it was written.
    """
    about = manifest.symbols[symbol]
    rows = _table(
        folder, symbol, "minutes", ("minute", "tick", "mark_price", "base_step", "source_watermark_ns", "mix")
    )
    at = int(np.searchsorted(rows["minute"], minute, side="right")) - 1
    if at < 0:
        raise StoreDamaged(f"{folder / table_path(symbol, 'minutes')} holds nothing up to minute {minute}")
    known, mix = int(rows["minute"][at]), str(rows["mix"][at])
    if mix not in about.mixes:
        raise StoreDamaged(f"mixes {mix} of {manifest.day} are not in its manifest")
    scale = SymbolScale(symbol, about.price_decimals, int(rows["base_step"][at]), about.lot_decimals)
    return ArchivedMinute(
        symbol=symbol,
        minute=minute,
        tick=int(rows["tick"][at]),
        scale=scale,
        mark_price=int(rows["mark_price"][at]),
        source_watermark_ns=int(rows["source_watermark_ns"][at]),
        mix=mix,
        mixes=about.mixes[mix],
        coverage=_coverage(folder, symbol, known, scale),
        axes=_axes(folder, symbol, known, scale),
    )


def _coverage(folder: Path, symbol: str, minute: int, scale: SymbolScale) -> tuple[Coverage, ...]:
    names = (
        "live_long_lots",
        "live_short_lots",
        "uncovered_long_lots",
        "uncovered_short_lots",
        "model_error_lots",
        "rejected_events",
        "watermark_ns",
    )
    rows = _table(folder, symbol, "coverage", ("minute", "instrument", *names))
    begin, end = np.searchsorted(rows["minute"], [minute, minute + 1]).tolist()
    found: list[Coverage] = []
    for at in range(begin, end):
        values = [int(rows[name][at]) for name in names]
        instrument_id = str(rows["instrument"][at])
        found.append(
            Coverage(
                symbol=symbol,
                venue=instrument_id.partition(":")[0],
                instrument_id=instrument_id,
                watermark_ns=values[6],
                live_lots=(values[0], values[1]),
                uncovered_lots=(values[2], values[3]),
                model_error_lots=values[4],
                rejected_events=values[5],
                lot_decimals=scale.lot_decimals,
            )
        )
    return tuple(found)


def _axes(folder: Path, symbol: str, minute: int, scale: SymbolScale) -> dict[str, tuple[int, ChannelAxes]]:
    names = ("generation", "base_step", "first_row", "rows", "base_steps_per_row")
    rows = _table(folder, symbol, "axes", ("minute", "timeframe", *names))
    end = int(np.searchsorted(rows["minute"], minute, side="right"))
    frames = {frame.name: frame for frame in TIMEFRAMES}
    found: dict[str, tuple[int, ChannelAxes]] = {}
    for at in range(end):  # the later one counts
        name = str(rows["timeframe"][at])
        generation, base_step, first, count, multiple = (int(rows[column][at]) for column in names)
        if name not in frames:
            raise InvalidArgument(f"timeframe {name!r} is unknown here")
        units = SymbolScale(symbol, scale.price_decimals, base_step, scale.lot_decimals)
        found[name] = generation, ChannelAxes(frames[name], units, RowRange(first, count, multiple))
    return found


def _table(folder: Path, symbol: str, table: str, columns: Sequence[str]) -> dict[str, Any]:
    """Return the columns of a small table as arrays."""
    pieces = list(read_columns(folder / table_path(symbol, table), columns, lambda: None))
    return {
        name: np.concatenate([piece[name].to_numpy(zero_copy_only=False) for piece in pieces] or [np.zeros(0)])
        for name in columns
    }

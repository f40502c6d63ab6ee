"""A stretch of ticks on its way into the archive: arrays of what it holds, and how stretches of a day become one.

A part is written beside each snapshot, so that what a restart does not make again from snapshot and journal is there.
How a day was cut into parts does not show in what becomes of it.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from liqscape.archive.manifest import Span, joined_spans
from liqscape.errors import ConfigError
from liqscape.journal.plain_values import UnreadableValue, build, flatten
from liqscape.journal.snapshot_file import StoredSnapshot
from liqscape.journal.store import StoreDamaged

PART_VERSION: Final = 1
"""Of Part and all that it is made of."""

HAS_TRIGGER, HAS_TRADED, HAS_SAMPLE = 1, 2, 4

_A = TypeVar("_A")


@dataclass(frozen=True, slots=True)
class EventArrays:
    """Signed events in order."""

    minute: NDArray[np.int32]
    open_minute: NDArray[np.int32]
    row: NDArray[np.int32]
    base_step: NDArray[np.int64]
    key: NDArray[np.uint16]
    lots: NDArray[np.int64]
    cause: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class BarArrays:
    """Bars in order; instruments by number. has says which of trigger, traded lots and sample there are.

    traded_rows are the rows of each bar, and traded_lots those of all of them.
    """

    tick: NDArray[np.int64]
    instrument: NDArray[np.int32]
    first_minute: NDArray[np.int32]
    minute: NDArray[np.int32]
    has: NDArray[np.uint8]
    open: NDArray[np.int64]
    high: NDArray[np.int64]
    low: NDArray[np.int64]
    close: NDArray[np.int64]
    base_step: NDArray[np.int64]
    first_row: NDArray[np.int32]
    traded_rows: NDArray[np.int32]
    traded_lots: NDArray[np.int64]
    open_interest: NDArray[np.int64]
    watermark_ns: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PriceArrays:
    """The trigger price over first_minute..minute, in order."""

    first_minute: NDArray[np.int32]
    minute: NDArray[np.int32]
    open: NDArray[np.int64]
    high: NDArray[np.int64]
    low: NDArray[np.int64]
    close: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class MinuteArrays:
    """The ends of minutes that had a tick; mix is the version of the mixes in force, see mix_version."""

    minute: NDArray[np.int32]
    tick: NDArray[np.int64]
    mark_price: NDArray[np.int64]
    base_step: NDArray[np.int64]
    source_watermark_ns: NDArray[np.int64]
    mix: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class AxesArrays:
    """Axes of default channels at the end of a minute, told when they change; timeframes by number."""

    minute: NDArray[np.int32]
    timeframe: NDArray[np.uint8]
    generation: NDArray[np.int32]
    base_step: NDArray[np.int64]
    first_row: NDArray[np.int32]
    rows: NDArray[np.int32]
    base_steps_per_row: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class CoverageArrays:
    """Coverage of each instrument, by number, at the end of a minute."""

    minute: NDArray[np.int32]
    instrument: NDArray[np.int32]
    live_long_lots: NDArray[np.int64]
    live_short_lots: NDArray[np.int64]
    uncovered_long_lots: NDArray[np.int64]
    uncovered_short_lots: NDArray[np.int64]
    model_error_lots: NDArray[np.int64]
    rejected_events: NDArray[np.int64]
    watermark_ns: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolPart:
    """Of one symbol; base_step is that at its end, mixes are those that minutes name, by version and instrument id."""

    price_decimals: int
    lot_decimals: int
    base_step: int
    mixes: Mapping[str, Mapping[str, tuple[int, ...]]]
    events: EventArrays
    bars: BarArrays
    prices: PriceArrays
    minutes: MinuteArrays
    axes: AxesArrays
    coverage: CoverageArrays

    @property
    def content(self) -> int:
        """Return the CRC-32 of everything in it."""
        crc = 0
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, int | Mapping):
                crc = zlib.crc32(json.dumps(value, sort_keys=True).encode(), crc)
            else:
                for array in arrays_of(value).values():
                    crc = zlib.crc32(np.ascontiguousarray(array).data, crc)
        return crc


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Ticks of one day."""

    day: int
    spans: tuple[Span, ...]
    symbols: Mapping[str, SymbolPart]

    @property
    def tick(self) -> int:
        """Return the last tick."""
        return self.spans[-1].tick

    @property
    def size(self) -> int:
        """Return the bytes of the arrays."""
        values = (getattr(found, field.name) for found in self.symbols.values() for field in fields(found))
        return sum(
            array.nbytes
            for value in values
            if not isinstance(value, int | Mapping)
            for array in arrays_of(value).values()
        )


def mix_version(mixes: Mapping[str, tuple[int, ...]]) -> int:
    """Return a number of 48 bits that tells mixes from others; as text it is mix_text."""
    return int.from_bytes(hashlib.sha256(json.dumps(mixes, sort_keys=True).encode()).digest()[:6], "big")


def mix_text(version: int) -> str:
    """Return a version of mixes as it is written."""
    return f"{version:012x}"


def arrays_of(value: object) -> dict[str, NDArray[Any]]:
    """Return the arrays of one of the classes above by name."""
    return {field.name: getattr(value, field.name) for field in fields(value)}  # type: ignore[arg-type]


def joined(parts: Sequence[Part]) -> Part:
    """Return the parts of a day, in order, as one that does not tell how the day was cut.

    Args:
        parts: of one day, at least one.
    """
    symbols = dict.fromkeys(name for part in parts for name in part.symbols)
    return Part(
        day=parts[0].day,
        spans=tuple(joined_spans(span for part in parts for span in part.spans)),
        symbols={name: _joined([part.symbols[name] for part in parts if name in part.symbols]) for name in symbols},
    )


def to_stored(part: Part) -> StoredSnapshot:
    """Return what is stored of a part."""
    arrays: list[NDArray[Any]] = []
    return StoredSnapshot(PART_VERSION, part.tick, {}, flatten(part, arrays), arrays)


def from_stored(stored: StoredSnapshot) -> Part:
    """Return the part that was stored.

    Raises:
        StoreDamaged: it is not one.
        ConfigError: it was written by another version.
    """
    if stored.version != PART_VERSION:
        raise ConfigError(f"part of tick {stored.tick} is of version {stored.version}; {PART_VERSION} is read here")
    try:
        return build(Part, stored.tree, stored.arrays)
    except UnreadableValue as error:
        raise StoreDamaged(f"part of tick {stored.tick}: {error}") from error


def merged_prices(prices: PriceArrays) -> PriceArrays:
    """Return the same path with neighbours of the same minutes as one."""
    if not len(prices.minute):
        return prices
    changes = (np.diff(prices.minute) != 0) | (np.diff(prices.first_minute) != 0)
    starts = np.append(0, np.flatnonzero(changes) + 1)
    ends = np.append(starts[1:], len(prices.minute)) - 1
    return PriceArrays(
        first_minute=prices.first_minute[starts],
        minute=prices.minute[starts],
        open=prices.open[starts],
        high=np.maximum.reduceat(prices.high, starts),
        low=np.minimum.reduceat(prices.low, starts),
        close=prices.close[ends],
    )


def _joined(parts: Sequence[SymbolPart]) -> SymbolPart:
    return replace(
        parts[-1],
        mixes={version: mixes for part in parts for version, mixes in part.mixes.items()},
        events=_concatenated([part.events for part in parts]),
        bars=_concatenated([part.bars for part in parts]),
        prices=merged_prices(_concatenated([part.prices for part in parts])),
        minutes=_concatenated([part.minutes for part in parts]),
        axes=_changes(_concatenated([part.axes for part in parts])),
        coverage=_concatenated([part.coverage for part in parts]),
    )


def _concatenated(values: Sequence[_A]) -> _A:
    if len(values) == 1:
        return values[0]
    parts = [arrays_of(value) for value in values]
    return type(values[0])(**{name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


def _changes(axes: AxesArrays) -> AxesArrays:
    """Return axes without those that repeat what was said of the timeframe before."""
    said: dict[int, tuple[int, ...]] = {}
    kept: list[int] = []
    columns = (axes.timeframe, axes.generation, axes.base_step, axes.first_row, axes.rows, axes.base_steps_per_row)
    for at, (number, *values) in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
        if said.get(number) != tuple(values):
            said[number] = tuple(values)
            kept.append(at)
    return AxesArrays(**{name: array[kept] for name, array in arrays_of(axes).items()})

"""A cut: what the engine's thread hands over of a stretch of ticks, and its arrays, made on the archive's thread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liqscape.archive.manifest import Span
from liqscape.archive.parts import (
    HAS_SAMPLE,
    HAS_TRADED,
    HAS_TRIGGER,
    AxesArrays,
    BarArrays,
    CoverageArrays,
    EventArrays,
    MinuteArrays,
    Part,
    PriceArrays,
    SymbolPart,
    merged_prices,
    mix_text,
    mix_version,
)
from liqscape.axes import TIMEFRAME_NAMES, SymbolScale
from liqscape.device.backend import LedgerView
from liqscape.errors import ModelError
from liqscape.grid.book_steps import steps_of
from liqscape.grid.leading_price import priced_bar
from liqscape.grid.symbol_model import ServedState
from liqscape.market.bars import Bar
from liqscape.market.closed_tick import ClosedTick


@dataclass(frozen=True, slots=True)
class Segment:
    """Events number begin to end of a ledger, rows on one base step; the view holds them."""

    view: LedgerView
    begin: int
    end: int
    base_step: int


@dataclass(frozen=True, slots=True)
class TakenTick:
    """A tick, the base step of each symbol's bars, and whose price is the symbol's (absent or None: nobody leads)."""

    tick: int
    closed: ClosedTick
    base_steps: Mapping[str, int]
    price_leaders: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class MinuteEnd:
    """What was served at the end of a minute, after a tick; rejected counts inputs by instrument id."""

    minute: int
    tick: int
    states: tuple[ServedState, ...]
    rejected: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A stretch of ticks of one day; ends_day: the next tick is of a later one."""

    day: int
    span: Span
    ends_day: bool
    ticks: tuple[TakenTick, ...]
    scales: Mapping[str, SymbolScale]
    segments: Mapping[str, tuple[Segment, ...]]
    minutes: tuple[MinuteEnd, ...]


def part_of(cut: Cut, numbers: Mapping[str, Mapping[str, int]]) -> Part:
    """Return the arrays of a cut.

    Args:
        cut: to be let go afterwards: it holds on to ledgers of then.
        numbers: of the instruments of each symbol, as in its keys.

    Raises:
        ModelError: events of the cut have left the raw log.
    """
    return Part(
        day=cut.day,
        spans=(cut.span,),
        symbols={
            symbol: SymbolPart(
                price_decimals=scale.price_decimals,
                lot_decimals=scale.lot_decimals,
                base_step=scale.base_step,
                mixes=_mixes(symbol, cut.minutes),
                events=_events(cut.segments.get(symbol, ())),
                bars=_bars(symbol, cut.ticks, numbers[symbol]),
                prices=_prices(symbol, cut.ticks),
                minutes=_minutes(symbol, cut.minutes),
                axes=_axes(symbol, cut.minutes),
                coverage=_coverage(symbol, cut.minutes, numbers[symbol]),
            )
            for symbol, scale in cut.scales.items()
        },
    )


def _events(segments: Sequence[Segment]) -> EventArrays:
    found: dict[str, list[NDArray[Any]]] = {name: [] for name in EventArrays.__dataclass_fields__}
    for segment in segments:
        columns = segment.view.columns()
        first = segment.view.appended - len(columns.minute)
        if segment.begin < first:
            raise ModelError(f"events {segment.begin} to {first} have left the raw log before they were archived")
        part = slice(segment.begin - first, segment.end - first)
        for name in ("minute", "open_minute", "row", "key", "lots", "cause"):
            found[name].append(np.array(getattr(columns, name)[part]))  # a copy: a view keeps the whole log
        found["base_step"].append(np.full(segment.end - segment.begin, segment.base_step, np.int64))
    types = {"key": np.uint16, "lots": np.int64, "base_step": np.int64, "cause": np.uint8}
    return EventArrays(
        **{
            name: np.concatenate(arrays) if arrays else np.zeros(0, types.get(name, np.int32))
            for name, arrays in found.items()
        }
    )


def _bars(symbol: str, ticks: Sequence[TakenTick], numbers: Mapping[str, int]) -> BarArrays:
    bars = [(t.tick, t.base_steps[symbol], bar) for t in ticks for bar in t.closed.bars if bar.symbol == symbol]
    traded = [bar.traded for _, _, bar in bars if bar.traded is not None]

    def each(kind: type[np.generic], values: list[int]) -> NDArray[Any]:
        return np.array(values, kind)

    def price(name: str) -> NDArray[np.int64]:
        return each(np.int64, [0 if b.trigger is None else getattr(b.trigger, name) for _, _, b in bars])

    return BarArrays(
        tick=each(np.int64, [tick for tick, _, _ in bars]),
        instrument=each(np.int32, [numbers[b.instrument_id] for _, _, b in bars]),
        first_minute=each(np.int32, [b.first_minute for _, _, b in bars]),
        minute=each(np.int32, [b.minute for _, _, b in bars]),
        has=each(np.uint8, [_has(b) for _, _, b in bars]),
        open=price("open"),
        high=price("high"),
        low=price("low"),
        close=price("close"),
        base_step=each(np.int64, [step for _, step, _ in bars]),
        first_row=each(np.int32, [0 if b.traded is None else b.traded.first_row for _, _, b in bars]),
        traded_rows=each(np.int32, [0 if b.traded is None else len(b.traded.lots) for _, _, b in bars]),
        traded_lots=np.concatenate([rows.lots for rows in traded]) if traded else np.zeros(0, np.int64),
        open_interest=each(np.int64, [b.open_interest_lots or 0 for _, _, b in bars]),
        watermark_ns=each(np.int64, [b.watermark_ns for _, _, b in bars]),
    )


def _has(bar: Bar) -> int:
    return (
        (HAS_TRIGGER if bar.trigger is not None else 0)
        | (HAS_TRADED if bar.traded is not None else 0)
        | (HAS_SAMPLE if bar.open_interest_lots is not None else 0)
    )


def _prices(symbol: str, ticks: Sequence[TakenTick]) -> PriceArrays:
    """Return the path as a channel hears it: of each step the price of the instrument that leads."""
    found: list[tuple[int, ...]] = []
    for taken in ticks:
        for step in steps_of([bar for bar in taken.closed.bars if bar.symbol == symbol]):
            bar = priced_bar(step.bars, taken.price_leaders.get(symbol))
            if bar is not None and bar.trigger is not None:
                p = bar.trigger
                found.append((bar.first_minute, bar.minute, p.open, p.high, p.low, p.close))
    rows = np.array(found, np.int64).reshape(-1, 6).T
    return merged_prices(PriceArrays(rows[0].astype(np.int32), rows[1].astype(np.int32), *rows[2:]))


def _mixes(symbol: str, minutes: Sequence[MinuteEnd]) -> dict[str, dict[str, tuple[int, ...]]]:
    states = (state for minute in minutes for state in minute.states if state.symbol == symbol)
    return {mix_text(mix_version(state.mixes)): state.mixes for state in states}


def _minutes(symbol: str, minutes: Sequence[MinuteEnd]) -> MinuteArrays:
    found = [(m.minute, m.tick, state) for m in minutes for state in m.states if state.symbol == symbol]
    return MinuteArrays(
        minute=np.array([minute for minute, _, _ in found], np.int32),
        tick=np.array([tick for _, tick, _ in found], np.int64),
        mark_price=np.array([s.mark_price for _, _, s in found], np.int64),
        base_step=np.array([s.scale.base_step for _, _, s in found], np.int64),
        source_watermark_ns=np.array([s.source_watermark_ns for _, _, s in found], np.int64),
        mix=np.array([mix_version(s.mixes) for _, _, s in found], np.int64),
    )


def _axes(symbol: str, minutes: Sequence[MinuteEnd]) -> AxesArrays:
    found: list[tuple[int, ...]] = []
    for minute in minutes:
        for state in minute.states:
            if state.symbol != symbol:
                continue
            for name, (generation, axes) in state.axes.items():
                rows = axes.rows
                number, step = TIMEFRAME_NAMES.index(name), axes.scale.base_step
                found.append((minute.minute, number, generation, step, rows.first, rows.count, rows.multiple))
    columns = np.array(found, np.int64).reshape(-1, 7).T
    types = (np.int32, np.uint8, np.int32, np.int64, np.int32, np.int32, np.int32)
    return AxesArrays(*(column.astype(kind) for column, kind in zip(columns, types, strict=True)))


def _coverage(symbol: str, minutes: Sequence[MinuteEnd], numbers: Mapping[str, int]) -> CoverageArrays:
    found = [
        (
            minute.minute,
            numbers[c.instrument_id],
            *c.live_lots,
            *c.uncovered_lots,
            c.model_error_lots,
            minute.rejected.get(c.instrument_id, 0),
            c.watermark_ns,
        )
        for minute in minutes
        for state in minute.states
        if state.symbol == symbol
        for c in state.coverage
    ]
    columns = np.array(found, np.int64).reshape(-1, 9).T
    return CoverageArrays(columns[0].astype(np.int32), columns[1].astype(np.int32), *columns[2:])

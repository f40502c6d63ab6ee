"""Events -> bars. Holds what a tick has gathered of each instrument; no I/O, no clock.

Quantities become whole lots, or whole contracts of an inverse instrument; what is left over of a trade is carried into
the next one. The units of a symbol are fixed by the first price seen. A sample of open interest that arrives before it
is held back and becomes a bar of its own as soon as the units are known.

Time never goes back: a tick that would end before the last one ends a nanosecond after it. What is late, said again or
stamped by a clock that leapt is told apart in stamps.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from liqscape.axes import SymbolScale
from liqscape.errors import ModelError
from liqscape.events import (
    Candle,
    Correction,
    Event,
    Funding,
    Gap,
    Liquidation,
    MarkPrice,
    OpenInterest,
    TickEnd,
    Trade,
)
from liqscape.instruments import Instrument
from liqscape.market.bar_builder import BarBuilder
from liqscape.market.bars import Bar
from liqscape.market.closed_tick import ClosedTick, InstrumentCarry, MarketSnapshot
from liqscape.market.stamps import TAKEN, Verdict, in_time_from


class MarketState:
    """Gathers events into bars.

    Args:
        instruments: every instrument the events may name.
    """

    def __init__(self, instruments: Iterable[Instrument]) -> None:
        self._builders = {i.instrument_id: BarBuilder(i) for i in instruments}
        self._scales: dict[str, SymbolScale] = {}
        self._tick_decimals: dict[str, int] = {}
        for builder in self._builders.values():
            symbol, decimals = builder.instrument.symbol, builder.instrument.price_decimals
            self._tick_decimals[symbol] = max(decimals, self._tick_decimals.get(symbol, 0))
        self._last_end_ns: int | None = None
        self._held_ns = 0  # by which the end of the last tick is after the source's clock
        self._clock_ns: int | None = None  # what that said then
        self._in_time_ns = 0  # a price of this time or later is taken, of an instrument that is not behind
        self.counters: Counter[str] = Counter()
        self._corrections: list[Correction] = []
        self._takes: Mapping[type[object], Callable[[BarBuilder, Any], None]] = {
            Trade: self._take_trade,
            MarkPrice: self._take_mark,
            Candle: self._take_candle,
            OpenInterest: self._take_sample,
            Gap: self._take_gap,
            Liquidation: self._take_liquidation,
            Funding: self._take_funding,
            Correction: self._take_correction,
        }
        # As of the last close: what a tick changes is told beside it.
        self._told_scales = 0
        self._told_counters: dict[str, int] = {}
        self._told_carries = self._carries()

    def scale(self, symbol: str) -> SymbolScale | None:
        """Return the units of a symbol, or None before its first price."""
        return self._scales.get(symbol)

    def coarsen_rows(self, symbol: str) -> SymbolScale:
        """Make the base step of a symbol coarser from the next tick on, and return its units then. Between ticks."""
        scale = self._scales[symbol] = self._scales[symbol].coarsened()
        for builder in self._builders.values():
            if builder.instrument.symbol == symbol and builder.scale is not None:
                builder.use(scale)
        return scale

    def rejected_events(self, instrument_id: str) -> int:
        """Return how many inputs of an instrument were thrown away since the start: by its feed, and as too late."""
        return self._builders[instrument_id].rejected

    def apply(self, event: Event) -> None:
        """Take one event other than TickEnd.

        Raises:
            ModelError: the event names an instrument the source did not announce.
        """
        take = self._takes.get(type(event))
        if take is None:
            raise ModelError("a tick end is taken by close_tick")
        name: str = event.instrument_id  # type: ignore[union-attr]
        builder = self._builders.get(name)
        if builder is None:
            raise ModelError(f"event of unannounced instrument {name!r}")
        builder.is_heard = True
        take(builder, event)

    def _take_trade(self, builder: BarBuilder, trade: Trade) -> None:
        if self._is_price_taken(builder, trade.time_ns, trade.price) and builder.add_trade(trade):
            self.counters["disordered_events"] += 1

    def _take_mark(self, builder: BarBuilder, mark: MarkPrice) -> None:
        if self._is_price_taken(builder, mark.time_ns, mark.price) and builder.add_mark(mark):
            self.counters["disordered_events"] += 1

    def _is_price_taken(self, builder: BarBuilder, time_ns: int, price: int) -> bool:
        """Return whether a price counts; the units of its symbol are known then."""
        if time_ns >= self._in_time_ns and not builder.stamps.prices_behind_ns and builder.scale is not None:
            return True  # nearly always, and nothing is to be noted
        if not self._counts(builder.stamps.price(time_ns, self._clock_ns), builder):
            return False
        self._see_price(builder, price)
        return True

    def _take_candle(self, builder: BarBuilder, candle: Candle) -> None:
        if self._counts(builder.stamps.candle(candle.open_time_ns, candle.close_time_ns), builder):
            self._see_price(builder, candle.open)
            builder.add_candle(candle)

    def _take_sample(self, builder: BarBuilder, sample: OpenInterest) -> None:
        if self._counts(builder.stamps.sample(sample.time_ns, self._clock_ns), builder):
            builder.add_open_interest(sample)
            self.counters["open_interest_interpolated"] += sample.interpolated

    def _take_gap(self, builder: BarBuilder, gap: Gap) -> None:
        builder.add_gap(gap)
        self.counters["gaps"] += 1
        self.counters["rejected_events"] += gap.rejected

    def _take_liquidation(self, builder: BarBuilder, liquidation: Liquidation) -> None:
        self.counters["liquidations_printed"] += 1
        builder.see_time(liquidation.time_ns)

    def _take_funding(self, builder: BarBuilder, _: Funding) -> None:
        builder.touch()  # its stamp is that of an interval, which may be to come

    def _take_correction(self, builder: BarBuilder, correction: Correction) -> None:
        builder.correct(correction)
        self._corrections.append(correction)
        self.counters["corrections"] += 1
        self.counters["gaps"] += correction.quantity is None

    def close(self, end: TickEnd) -> ClosedTick:
        """End a tick and return all that decides the state after it; see close_tick."""
        end_ns, held_ns = end.time_ns, 0
        if self._last_end_ns is not None and end_ns <= self._last_end_ns:
            end_ns = self._last_end_ns + 1
            held_ns = end_ns - end.time_ns
            self.counters["held_ticks"] += 1
        bars = self.close_tick(end_ns, held_ns)
        corrections, self._corrections = tuple(self._corrections), []
        told_scales, told = self._told_scales, self._told_counters
        self._told_scales, self._told_counters = len(self._scales), dict(self.counters)
        added = {n: count - told.get(n, 0) for n, count in self._told_counters.items() if count != told.get(n, 0)}
        return ClosedTick(
            end_ns=end_ns,
            render=end.render,
            bars=tuple(bars),
            scales=tuple(self._scales.values())[told_scales:],
            carries=self._changed_carries(),
            counters=added,
            corrections=corrections,
            held_ns=self._held_ns,
        )

    def follow(self, tick: ClosedTick) -> None:
        """Be as after a tick that another market stage has closed. Between ticks.

        Raises:
            ModelError: time does not move forward, or the tick is of instruments or units other than these.
        """
        self._move_to(tick.end_ns, tick.held_ns)
        for scale in tick.scales:
            if scale.symbol not in self._tick_decimals or self._scales.setdefault(scale.symbol, scale) != scale:
                raise ModelError(f"units {scale} do not fit those in force, {self._scales.get(scale.symbol)}")
        self._carry(tick.carries)
        self._told_carries.update(tick.carries)
        self.counters.update(tick.counters)
        self._told_scales, self._told_counters = len(self._scales), dict(self.counters)

    def snapshot(self) -> MarketSnapshot:
        """Return everything that outlives a tick. Between ticks."""
        return MarketSnapshot(
            last_end_ns=self._last_end_ns,
            scales=tuple(self._scales.values()),
            carries=self._carries(),
            counters={name: count for name, count in self.counters.items() if count},
            held_ns=self._held_ns,
        )

    def restore(self, snapshot: MarketSnapshot) -> None:
        """Be as when a snapshot was taken. Before any event.

        Raises:
            ModelError: it is of instruments other than these.
        """
        self._last_end_ns, self._held_ns = snapshot.last_end_ns, snapshot.held_ns
        self._set_clock(None if self._last_end_ns is None else self._last_end_ns - self._held_ns)
        self._scales = {scale.symbol: scale for scale in snapshot.scales}
        self._carry(snapshot.carries)
        self._told_carries = self._carries()
        self.counters = Counter(snapshot.counters)
        self._told_scales, self._told_counters = len(self._scales), dict(self.counters)

    def close_tick(self, time_ns: int, held_ns: int = 0) -> list[Bar]:
        """End the tick at time_ns (exclusive) and return its bars, earlier held ones first, then by instrument id.

        Args:
            time_ns: the end.
            held_ns: see ClosedTick.

        Raises:
            ModelError: time does not move forward.
        """
        begin_ns = self._last_end_ns if self._last_end_ns is not None else time_ns - 1
        self._move_to(time_ns, held_ns)
        bars: list[Bar] = []
        for builder in self._builders.values():
            if not builder.is_heard:  # and so it was bound before, and has nothing to say
                continue
            self.counters["stamps_ahead"] += builder.bound_stamps(time_ns)
            bars.extend(builder.close(begin_ns, time_ns, self._scales.get(builder.instrument.symbol)))
        return sorted(bars, key=lambda bar: (bar.minute, bar.instrument_id))

    def _carries(self) -> dict[str, InstrumentCarry]:
        return {name: builder.carry for name, builder in self._builders.items()}

    def _changed_carries(self) -> dict[str, InstrumentCarry]:
        """Return what has changed since it was last told, and note it as told."""
        changed: dict[str, InstrumentCarry] = {}
        for name, builder in self._builders.items():
            if not builder.is_heard:
                continue
            builder.is_heard = False
            carry = builder.carry
            if carry != self._told_carries[name]:
                changed[name] = self._told_carries[name] = carry
        return changed

    def _counts(self, verdict: Verdict, builder: BarBuilder) -> bool:
        """Return whether an event is taken; count it where there is something about it."""
        if verdict is TAKEN:
            return True
        self.counters[verdict.value] += 1
        if verdict is Verdict.LATE:
            builder.rejected += 1
            self.counters["rejected_events"] += 1
        return verdict is Verdict.LEAPT

    def _move_to(self, end_ns: int, held_ns: int) -> None:
        if self._last_end_ns is not None and end_ns <= self._last_end_ns:
            raise ModelError(f"tick end {end_ns} is not after the one before, {self._last_end_ns}")
        self._last_end_ns, self._held_ns = end_ns, held_ns
        self._set_clock(end_ns - held_ns)

    def _set_clock(self, clock_ns: int | None) -> None:
        self._clock_ns = clock_ns
        self._in_time_ns = in_time_from(clock_ns)

    def _carry(self, carries: Mapping[str, InstrumentCarry]) -> None:
        for name, carry in carries.items():
            if name not in self._builders:
                raise ModelError(f"a tick names the unannounced instrument {name!r}")
            self._builders[name].carry = carry

    def _see_price(self, builder: BarBuilder, price: int) -> None:
        symbol = builder.instrument.symbol
        if symbol not in self._scales:
            decimals = self._tick_decimals[symbol]
            in_ticks = price * 10 ** (decimals - builder.instrument.price_decimals)
            self._scales[symbol] = SymbolScale.first_seen(symbol, in_ticks, decimals)
        builder.use(self._scales[symbol])

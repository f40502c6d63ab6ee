"""Events -> bars. Holds what a tick has gathered of each instrument; no I/O, no clock.

Quantities become whole lots, or whole contracts of an inverse instrument; what is left over of a trade is carried into
the next one. The units of a symbol are fixed by the first price seen. A sample of open interest that arrives before it
is held back and becomes a bar of its own as soon as the units are known.

Time never goes back: a tick that would end before the last one ends a nanosecond after it. What is late, said again or
stamped by a clock that leapt is told apart in stamps.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

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
    PositionStatement,
    TickEnd,
    Trade,
)
from liqscape.instruments import Instrument
from liqscape.market.bar_builder import BarBuilder
from liqscape.market.bars import Bar
from liqscape.market.closed_tick import ClosedTick, InstrumentCarry, MarketSnapshot
from liqscape.market.stamps import Verdict


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
        self.counters: Counter[str] = Counter()
        self._corrections: list[Correction] = []
        self._statements: list[PositionStatement] = []
        self._told = self.snapshot()  # as of the last close: what a tick changes is told beside it

    def scale(self, symbol: str) -> SymbolScale | None:
        """Return the units of a symbol, or None before its first price."""
        return self._scales.get(symbol)

    def coarsen_rows(self, symbol: str) -> SymbolScale:
        """Make the base step of a symbol coarser from the next tick on, and return its units then. Between ticks."""
        scale = self._scales[symbol] = self._scales[symbol].coarsened()
        for builder in self._builders.values():
            if builder.instrument.symbol == symbol and builder.scale is not None:
                builder.scale = scale
        return scale

    def rejected_events(self, instrument_id: str) -> int:
        """Return how many inputs of an instrument were thrown away since the start: by its feed, and as too late."""
        return self._builders[instrument_id].rejected

    def apply(self, event: Event) -> None:
        """Take one event other than TickEnd.

        Raises:
            ModelError: the event names an instrument the source did not announce, or states a position in contracts.
        """
        if isinstance(event, TickEnd):
            raise ModelError("a tick end is taken by close_tick")
        builder = self._builders.get(event.instrument_id)
        if builder is None:
            raise ModelError(f"event of unannounced instrument {event.instrument_id!r}")
        match event:
            case Trade():
                if self._counts(builder.stamps.price(event.time_ns, self._clock_ns), builder):
                    self._see_price(builder, event.price)
                    if builder.add_trade(event):
                        self.counters["disordered_events"] += 1
            case MarkPrice():
                if self._counts(builder.stamps.price(event.time_ns, self._clock_ns), builder):
                    self._see_price(builder, event.price)
                    if builder.add_mark(event):
                        self.counters["disordered_events"] += 1
            case Candle():
                if self._counts(builder.stamps.candle(event.open_time_ns, event.close_time_ns), builder):
                    self._see_price(builder, event.open)
                    builder.add_candle(event)
            case OpenInterest():
                if self._counts(builder.stamps.sample(event.time_ns, self._clock_ns), builder):
                    builder.add_open_interest(event)
                    self.counters["open_interest_interpolated"] += event.interpolated
            case Gap():
                builder.add_gap(event)
                self.counters["gaps"] += 1
                self.counters["rejected_events"] += event.rejected
            case Liquidation():
                self.counters["liquidations_printed"] += 1
                builder.see_time(event.time_ns)
            case Funding():
                builder.touch()  # its stamp is that of an interval, which may be to come
            case Correction():
                builder.correct(event)
                self._corrections.append(event)
                self.counters["corrections"] += 1
                self.counters["gaps"] += event.quantity is None
            case PositionStatement():
                if builder.instrument.is_inverse:
                    raise ModelError(f"a position on {event.instrument_id} is stated; it must be linear, not inverse")
                self._statements.append(event)
                self.counters["positions_stated"] += 1

    def close(self, end: TickEnd) -> ClosedTick:
        """End a tick and return all that decides the state after it; see close_tick."""
        end_ns, held_ns = end.time_ns, 0
        if self._last_end_ns is not None and end_ns <= self._last_end_ns:
            end_ns = self._last_end_ns + 1
            held_ns = end_ns - end.time_ns
            self.counters["held_ticks"] += 1
        bars = self.close_tick(end_ns, held_ns)
        corrections, self._corrections = tuple(self._corrections), []
        statements = self._take_statements()
        told, self._told = self._told, self.snapshot()
        added = {name: count - told.counters.get(name, 0) for name, count in self._told.counters.items()}
        return ClosedTick(
            end_ns=end_ns,
            render=end.render,
            bars=tuple(bars),
            scales=self._told.scales[len(told.scales) :],
            carries={n: carry for n, carry in self._told.carries.items() if carry != told.carries[n]},
            counters={name: count for name, count in added.items() if count},
            corrections=corrections,
            held_ns=self._held_ns,
            statements=statements,
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
        self.counters.update(tick.counters)
        self._told = self.snapshot()

    def snapshot(self) -> MarketSnapshot:
        """Return everything that outlives a tick. Between ticks."""
        return MarketSnapshot(
            last_end_ns=self._last_end_ns,
            scales=tuple(self._scales.values()),
            carries={name: builder.carry for name, builder in self._builders.items()},
            counters={name: count for name, count in self.counters.items() if count},
            held_ns=self._held_ns,
        )

    def restore(self, snapshot: MarketSnapshot) -> None:
        """Be as when a snapshot was taken. Before any event.

        Raises:
            ModelError: it is of instruments other than these.
        """
        self._last_end_ns, self._held_ns = snapshot.last_end_ns, snapshot.held_ns
        self._clock_ns = None if self._last_end_ns is None else self._last_end_ns - self._held_ns
        self._scales = {scale.symbol: scale for scale in snapshot.scales}
        self._carry(snapshot.carries)
        self.counters = Counter(snapshot.counters)
        self._told = self.snapshot()

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
            self.counters["stamps_ahead"] += builder.bound_stamps(time_ns)
            bars.extend(builder.close(begin_ns, time_ns, self._scales.get(builder.instrument.symbol)))
        return sorted(bars, key=lambda bar: (bar.minute, bar.instrument_id))

    def _take_statements(self) -> tuple[PositionStatement, ...]:
        """Return those heard in this tick, on symbols without any price later. They wait in no snapshot.

        Whoever begins anew from one asks the venue anew, too.
        """
        said, self._statements = self._statements, []
        told: list[PositionStatement] = []
        waiting: dict[tuple[str, int], PositionStatement] = {}
        for statement in said:
            if self._builders[statement.instrument_id].instrument.symbol in self._scales:
                told.append(statement)
            else:  # of an account, what is said last holds
                waiting[statement.instrument_id, statement.account] = statement
        self._statements.extend(waiting.values())
        return tuple(told)

    def _counts(self, verdict: Verdict, builder: BarBuilder) -> bool:
        """Return whether an event is taken; count it where there is something about it."""
        if verdict is Verdict.TAKEN:
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
        self._clock_ns = end_ns - held_ns

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
        builder.scale = self._scales[symbol]

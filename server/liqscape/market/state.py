"""Events -> bars. Holds what a tick has gathered of each instrument; no I/O, no clock.

Quantities become whole lots, or whole contracts of an inverse instrument; what is left over of a trade is carried into
the next one. The units of a symbol are fixed by the first price seen. A sample of open interest that arrives before it
is held back and becomes a bar of its own as soon as the units are known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from liqscape.axes import SymbolScale, last_minute_before, minute_of
from liqscape.errors import ModelError
from liqscape.events import (
    QUANTITY_DECIMALS,
    Candle,
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
from liqscape.market.bars import Bar, PriceRange, TradedRows


class MarketState:
    """Gathers events into bars.

    Args:
        instruments: every instrument the events may name.
    """

    def __init__(self, instruments: Iterable[Instrument]) -> None:
        self._builders = {i.instrument_id: _BarBuilder(i) for i in instruments}
        self._scales: dict[str, SymbolScale] = {}
        self._tick_decimals: dict[str, int] = {}
        for builder in self._builders.values():
            symbol, decimals = builder.instrument.symbol, builder.instrument.price_decimals
            self._tick_decimals[symbol] = max(decimals, self._tick_decimals.get(symbol, 0))
        self._last_end_ns: int | None = None
        self.counters: Counter[str] = Counter()

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
        """Return how many inputs of an instrument its feed has thrown away since the start."""
        return self._builders[instrument_id].rejected

    def apply(self, event: Event) -> None:
        """Take one event other than TickEnd.

        Raises:
            ModelError: the event names an instrument the source did not announce.
        """
        if isinstance(event, TickEnd):
            raise ModelError("a tick end is taken by close_tick")
        builder = self._builders.get(event.instrument_id)
        if builder is None:
            raise ModelError(f"event of unannounced instrument {event.instrument_id!r}")
        match event:
            case Candle():
                self._see_price(builder, event.open)
                builder.add_candle(event)
            case Trade():
                self._see_price(builder, event.price)
                builder.add_trade(event)
            case MarkPrice():
                self._see_price(builder, event.price)
                builder.add_mark(event)
            case OpenInterest():
                builder.add_open_interest(event)
                self.counters["open_interest_interpolated"] += event.interpolated
            case Gap():
                builder.rejected += event.rejected
                self.counters["gaps"] += 1
                self.counters["rejected_events"] += event.rejected
            case Liquidation():
                self.counters["liquidations_printed"] += 1
                builder.see_time(event.time_ns)
            case Funding():
                builder.see_time(event.time_ns)

    def close_tick(self, time_ns: int) -> list[Bar]:
        """End the tick at time_ns (exclusive) and return its bars, earlier held ones first, then by instrument id.

        Raises:
            ModelError: time does not move forward.
        """
        if self._last_end_ns is not None and time_ns <= self._last_end_ns:
            raise ModelError(f"tick end {time_ns} is not after the one before, {self._last_end_ns}")
        begin_ns = self._last_end_ns if self._last_end_ns is not None else time_ns - 1
        self._last_end_ns = time_ns
        bars: list[Bar] = []
        for builder in self._builders.values():
            bars.extend(builder.close(begin_ns, time_ns, self._scales.get(builder.instrument.symbol)))
        return sorted(bars, key=lambda bar: (bar.minute, bar.instrument_id))

    def _see_price(self, builder: _BarBuilder, price: int) -> None:
        symbol = builder.instrument.symbol
        if symbol not in self._scales:
            decimals = self._tick_decimals[symbol]
            in_ticks = price * 10 ** (decimals - builder.instrument.price_decimals)
            self._scales[symbol] = SymbolScale.first_seen(symbol, in_ticks, decimals)
        builder.scale = self._scales[symbol]


class _BarBuilder:
    """What one instrument has said in the present tick."""

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.scale: SymbolScale | None = None
        self.rejected = 0
        self._held: tuple[int, int, int] | None = None  # tick end, watermark, quantity: newest sample before any price
        self._sends_marks = False
        self._quantity_seen = 0
        self._lots_seen = 0
        self._watermark_ns = 0
        self._reset()

    def _reset(self) -> None:
        self._mark: PriceRange | None = None
        self._candle: PriceRange | None = None
        self._trades: PriceRange | None = None
        self._first_minute: int | None = None
        self._traded: TradedRows | None = None
        self._traded_by_row: dict[int, int] = {}
        self._sample: int | None = None
        self._touched = False

    def see_time(self, time_ns: int) -> None:
        """Note that the instrument has said something."""
        self._touched = True
        self._watermark_ns = max(self._watermark_ns, time_ns)

    def add_candle(self, candle: Candle) -> None:
        self.see_time(candle.close_time_ns)
        low, high = self._units(candle.low), self._units(candle.high)
        self._candle = _extended(self._candle, self._units(candle.open), high, low, self._units(candle.close))
        opened = minute_of(candle.open_time_ns)
        self._first_minute = opened if self._first_minute is None else min(self._first_minute, opened)
        scale = self._known_scale()
        rows = TradedRows.evenly(self._lots(candle.quantity), scale.base_row(low), scale.base_row(high))
        self._traded = rows if self._traded is None else self._traded.plus(rows)

    def add_trade(self, trade: Trade) -> None:
        self.see_time(trade.time_ns)
        price = self._units(trade.price)
        self._trades = _extended(self._trades, price, price, price, price)
        row = self._known_scale().base_row(price)
        self._traded_by_row[row] = self._traded_by_row.get(row, 0) + self._lots(trade.quantity)

    def add_mark(self, mark: MarkPrice) -> None:
        self.see_time(mark.time_ns)
        price = self._units(mark.price)
        self._mark = _extended(self._mark, price, price, price, price)
        self._sends_marks = True

    def add_open_interest(self, sample: OpenInterest) -> None:
        self.see_time(sample.time_ns)
        self._sample = sample.quantity

    def close(self, begin_ns: int, end_ns: int, scale: SymbolScale | None) -> list[Bar]:
        """Return the tick's bar, if anything was said, after any that was held back."""
        if not self._touched:
            return []
        self.scale = scale
        if scale is None:
            if self._sample is not None:
                self._held = (end_ns, self._watermark_ns, self._sample)
            self._reset()
            return []
        bars: list[Bar] = []
        if self._held is not None:
            held_end_ns, watermark_ns, sample = self._held
            bars.append(self._bar(last_minute_before(held_end_ns), held_end_ns, watermark_ns, sample))
            self._held = None
        if self._traded_by_row:
            rows = TradedRows.from_mapping(self._traded_by_row)
            self._traded = rows if self._traded is None else self._traded.plus(rows)
        first = self._first_minute if self._first_minute is not None else minute_of(begin_ns)
        bars.append(self._bar(first, end_ns, self._watermark_ns, self._sample, self._trigger(), self._traded))
        self._reset()
        return bars

    def _trigger(self) -> PriceRange | None:
        """Return the path of the price that liquidates at this venue, as well as it is known."""
        if self.instrument.trigger == "last":
            return self._trades or self._candle
        # A trade off the mark liquidates nobody: trades trigger only on a venue that has never sent a mark.
        return self._mark or self._candle or (None if self._sends_marks else self._trades)

    def _bar(
        self,
        first_minute: int,
        end_ns: int,
        watermark_ns: int,
        sample: int | None,
        trigger: PriceRange | None = None,
        traded: TradedRows | None = None,
    ) -> Bar:
        return Bar(
            instrument_id=self.instrument.instrument_id,
            symbol=self.instrument.symbol,
            first_minute=first_minute,
            minute=last_minute_before(end_ns),
            trigger=trigger,
            traded=traded,
            open_interest_lots=None if sample is None else sample // self._quantity_units_of_one(),
            watermark_ns=watermark_ns,
        )

    def _units(self, price: int) -> int:
        return self._known_scale().price_units(price, self.instrument.price_decimals)

    def _lots(self, quantity: int) -> int:
        """Return whole lots (contracts) of a quantity; the fraction left over is carried into the next one."""
        self._quantity_seen += quantity
        seen = self._quantity_seen // self._quantity_units_of_one()
        lots = seen - self._lots_seen
        self._lots_seen = seen
        return lots

    def _quantity_units_of_one(self) -> int:
        """Return the units of events in a lot, or in a contract of an inverse instrument."""
        if self.instrument.is_inverse:
            return int(10**QUANTITY_DECIMALS)
        return int(10 ** (QUANTITY_DECIMALS - self._known_scale().lot_decimals))

    def _known_scale(self) -> SymbolScale:
        if self.scale is None:
            raise ModelError(f"units of {self.instrument.symbol} are used before its first price")
        return self.scale


def _extended(known: PriceRange | None, opened: int, high: int, low: int, close: int) -> PriceRange:
    if known is None:
        return PriceRange(opened, high, low, close)
    return PriceRange(known.open, max(known.high, high), min(known.low, low), close)

"""What one instrument says in a tick, gathered into its bar."""

from __future__ import annotations

from liqscape.axes import SymbolScale, last_minute_before, minute_of
from liqscape.errors import ModelError
from liqscape.events import QUANTITY_DECIMALS, Candle, Correction, Gap, MarkPrice, OpenInterest, Trade
from liqscape.instruments import Instrument
from liqscape.market.bars import Bar, PriceRange, TradedRows
from liqscape.market.closed_tick import HeldSample, InstrumentCarry
from liqscape.market.stamps import MAX_AHEAD_NS, Stamps


class BarBuilder:
    """What one instrument has said in the present tick.

    Attributes:
        stamps: which of it is believed; to be asked before it is added.
        scale: units of the symbol, None before its first price.
        is_heard: something was said of it since its state was last told; whoever says and tells it notes so.
    """

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.scale: SymbolScale | None = None
        self._price_factor = 0  # of a trade's price to one of the symbol; 0: there is none that is whole
        self._base_step = 1
        self._units_of_one = 1
        self.rejected = 0
        self._held: HeldSample | None = None
        self._sends_marks = False
        self._quantity_left = 0  # of trades, below a lot
        self._watermark_ns = 0
        self.stamps = Stamps()
        self.is_heard = False
        self._reset()

    @property
    def carry(self) -> InstrumentCarry:
        """Return what the next tick needs to know of those before it. Between ticks."""
        return InstrumentCarry(
            quantity_left=self._quantity_left,
            sends_marks=self._sends_marks,
            watermark_ns=self._watermark_ns,
            rejected=self.rejected,
            held=self._held,
            sampled_ns=self.stamps.sampled_ns,
            candle_ns=self.stamps.candle_ns,
            prices_behind_ns=self.stamps.prices_behind_ns,
            samples_behind_ns=self.stamps.samples_behind_ns,
        )

    @carry.setter
    def carry(self, carry: InstrumentCarry) -> None:
        self._quantity_left = carry.quantity_left
        self._sends_marks = carry.sends_marks
        self._watermark_ns = carry.watermark_ns
        self.rejected = carry.rejected
        self._held = carry.held
        self.stamps.sampled_ns, self.stamps.candle_ns = carry.sampled_ns, carry.candle_ns
        self.stamps.prices_behind_ns = carry.prices_behind_ns
        self.stamps.samples_behind_ns = carry.samples_behind_ns

    def use(self, scale: SymbolScale | None) -> None:
        """Count in the units of the symbol; None before its first price."""
        if scale is self.scale:
            return
        self.scale = scale
        if scale is not None:
            shift = scale.price_decimals - self.instrument.price_decimals
            self._price_factor = 10**shift if shift >= 0 else 0
            self._base_step = scale.base_step
            self._units_of_one = self._quantity_units_of_one()

    def _reset(self) -> None:
        self._mark: PriceRange | None = None
        self._candle: PriceRange | None = None
        self._has_traded = False
        self._first_price = self._last_price = self._lowest_price = self._highest_price = 0  # of trades
        self._first_minute: int | None = None
        self._traded: TradedRows | None = None
        self._traded_by_row: dict[int, int] = {}
        self._sample: int | None = None
        self._silent_until_ns = 0  # end of a gap
        self._newest_trade_ns = self._newest_mark_ns = 0
        self._touched = False

    def touch(self) -> None:
        """Note that the instrument has said something."""
        self._touched = True

    def see_time(self, time_ns: int) -> None:
        """Note that the instrument has said something of an instant."""
        self._touched = True
        if time_ns > self._watermark_ns:
            self._watermark_ns = time_ns

    def add_gap(self, gap: Gap) -> None:
        self.rejected += gap.rejected
        self._silent_until_ns = max(self._silent_until_ns, gap.to_ns)

    def correct(self, correction: Correction) -> None:
        """Take what it says in place of what was said, as far as it is still of use."""
        self.see_time(correction.time_ns)
        if correction.quantity is not None and correction.to_ns >= self.stamps.sampled_ns:
            self.stamps.sampled_ns = correction.to_ns
            self._sample = correction.quantity

    def bound_stamps(self, end_ns: int) -> bool:
        """Believe no stamp that is far after the end of the tick; return whether there was one."""
        is_ahead = self._watermark_ns > end_ns + MAX_AHEAD_NS
        if is_ahead:
            self._watermark_ns = end_ns
        return self.stamps.bound(end_ns) or is_ahead

    def add_candle(self, candle: Candle) -> None:
        self.see_time(candle.close_time_ns)
        low, high = self._units(candle.low), self._units(candle.high)
        self._candle = _extended(self._candle, self._units(candle.open), high, low, self._units(candle.close))
        opened = minute_of(candle.open_time_ns)
        self._first_minute = opened if self._first_minute is None else min(self._first_minute, opened)
        scale = self._known_scale()
        rows = TradedRows.evenly(self._lots(candle.quantity), scale.base_row(low), scale.base_row(high))
        self._traded = rows if self._traded is None else self._traded.plus(rows)

    def add_trade(self, trade: Trade) -> bool:
        """Take a trade; return whether it is older than another of this tick.

        Most of what is heard are trades, so everything is at hand here.
        """
        self._touched = True
        time_ns = trade.time_ns
        if time_ns > self._watermark_ns:
            self._watermark_ns = time_ns
        price = trade.price * self._price_factor or self._units(trade.price)
        is_older = time_ns < self._newest_trade_ns
        if not is_older:
            self._newest_trade_ns, self._last_price = time_ns, price
        if not self._has_traded:
            self._has_traded = True
            self._first_price = self._lowest_price = self._highest_price = price
        elif price > self._highest_price:
            self._highest_price = price
        elif price < self._lowest_price:
            self._lowest_price = price
        lots, self._quantity_left = divmod(self._quantity_left + trade.quantity, self._units_of_one)
        row = price // self._base_step
        self._traded_by_row[row] = self._traded_by_row.get(row, 0) + lots
        return is_older

    def add_mark(self, mark: MarkPrice) -> bool:
        """Take a mark price; return whether it is older than another of this tick."""
        self.see_time(mark.time_ns)
        price, is_older = self._units(mark.price), mark.time_ns < self._newest_mark_ns
        self._mark = _extended(self._mark, price, price, price, price, is_older)
        if not is_older:
            self._newest_mark_ns = mark.time_ns
        self._sends_marks = True
        return is_older

    def add_open_interest(self, sample: OpenInterest) -> None:
        self.see_time(sample.time_ns)
        self._sample = sample.quantity

    def close(self, begin_ns: int, end_ns: int, scale: SymbolScale | None) -> list[Bar]:
        """Return the tick's bar, if anything was said, after any that was held back."""
        if not self._touched:
            return []
        self.use(scale)
        if scale is None:
            if self._sample is not None:
                self._held = HeldSample(end_ns, self._watermark_ns, self._sample)
            self._reset()
            return []
        bars: list[Bar] = []
        if self._held is not None:
            held = self._held
            bars.append(self._bar(last_minute_before(held.end_ns), held.end_ns, held.watermark_ns, held.quantity))
            self._held = None
        if self._traded_by_row:
            rows = TradedRows.from_mapping(self._traded_by_row)
            self._traded = rows if self._traded is None else self._traded.plus(rows)
        first = self._first_minute
        if first is None:  # nothing is known of the minutes of a gap
            first = minute_of(min(max(begin_ns, self._silent_until_ns), end_ns - 1))
        bars.append(self._bar(first, end_ns, self._watermark_ns, self._sample, self._trigger(), self._traded))
        self._reset()
        return bars

    def _trigger(self) -> PriceRange | None:
        """Return the path of the price that liquidates at this venue, as well as it is known."""
        if self.instrument.trigger == "last":
            return self._trades() or self._candle
        # A trade off the mark liquidates nobody: trades trigger only on a venue that has never sent a mark.
        return self._mark or self._candle or (None if self._sends_marks else self._trades())

    def _trades(self) -> PriceRange | None:
        if not self._has_traded:
            return None
        return PriceRange(self._first_price, self._highest_price, self._lowest_price, self._last_price)

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
        return price * self._price_factor or self._known_scale().price_units(price, self.instrument.price_decimals)

    def _lots(self, quantity: int) -> int:
        """Return whole lots (contracts) of a quantity; the fraction left over is carried into the next one."""
        lots, self._quantity_left = divmod(self._quantity_left + quantity, self._units_of_one)
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


def _extended(
    known: PriceRange | None, opened: int, high: int, low: int, close: int, is_older: bool = False
) -> PriceRange:
    if known is None:
        return PriceRange(opened, high, low, close)
    return PriceRange(known.open, max(known.high, high), min(known.low, low), known.close if is_older else close)

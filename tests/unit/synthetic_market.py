"""A made-up venue for tests: instruments, scales, events and bars in a few words each."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import numpy as np

from liqscape.axes import MINUTE_NS, SymbolScale
from liqscape.device.backend import CohortBatch
from liqscape.events import QUANTITY_DECIMALS, Candle, MarkPrice, OpenInterest, TakerSide, TickEnd, Trade
from liqscape.instruments import Instrument, MaintenanceTier
from liqscape.market.bars import Bar, PriceRange, TradedRows

EXAMPLE_MINUTE: Final = 29_430_150
"""2025-12-15 14:30 UTC, where the worked example of the model begins."""

BTC_SCALE: Final = SymbolScale("BTC", price_decimals=1, base_step=200, lot_decimals=5)
"""A base row is 20 USD wide, a lot is 1e-5 BTC: what 90,800.0 gives."""


def make_instrument(
    name: str = "BTCUSDT",
    *,
    symbol: str = "BTC",
    price_decimals: int = 1,
    maintenance_margin_rate: str = "0.004",
    fee_rate: str = "0",
    max_leverage: int = 125,
    contract: str = "linear",
) -> Instrument:
    """Return an instrument of the made-up venue with one maintenance tier."""
    return Instrument(
        venue="venue",
        name=name,
        symbol=symbol,
        contract=contract,
        price_decimals=price_decimals,
        trigger="mark",
        maintenance_tiers=(
            MaintenanceTier(0, 50_000, Fraction(maintenance_margin_rate), Fraction(0), max_leverage),
            MaintenanceTier(50_000, 1_000_000, 2 * Fraction(maintenance_margin_rate), Fraction(100), max_leverage // 2),
        ),
        fee_rate=Fraction(fee_rate),
        rules_date="2025-01-01",
        rules_source="made up",
    )


BTC: Final = make_instrument()


def at(minute: int, second: float = 0.0) -> int:
    """Return the nanosecond of a second in a minute."""
    return minute * MINUTE_NS + round(second * 1_000_000_000)


def base_coins(text: str) -> int:
    """Return a quantity given as decimal text in the units of events."""
    quantity = Fraction(text) * 10**QUANTITY_DECIMALS
    assert quantity.denominator == 1
    return int(quantity)


def candle(
    open_minute: int,
    close_minute: int,
    prices: tuple[int, int, int, int],
    quantity: str = "1",
    *,
    instrument: Instrument = BTC,
) -> Candle:
    """Return a candle; prices are open, high, low, close in ticks."""
    opened, high, low, closed = prices
    quantity_units = base_coins(quantity)
    return Candle(
        instrument.instrument_id, at(open_minute), at(close_minute), opened, high, low, closed, quantity_units
    )


def trade(time_ns: int, price: int, quantity: str = "1", *, instrument: Instrument = BTC) -> Trade:
    """Return a buyer's trade; the price is in ticks."""
    return Trade(instrument.instrument_id, time_ns, price, base_coins(quantity), TakerSide.BUY)


def mark(time_ns: int, price: int, *, instrument: Instrument = BTC) -> MarkPrice:
    """Return a mark price in ticks."""
    return MarkPrice(instrument.instrument_id, time_ns, price)


def open_interest(time_ns: int, quantity: str, *, instrument: Instrument = BTC) -> OpenInterest:
    """Return a sample of open interest in base coins."""
    return OpenInterest(instrument.instrument_id, time_ns, base_coins(quantity))


def tick_end(minute: int, second: float = 0.0, *, render: bool = True) -> TickEnd:
    """Return the end of a tick."""
    return TickEnd(at(minute, second), render)


def middle_price(base_row: int, scale: SymbolScale = BTC_SCALE) -> int:
    """Return a price inside a base row."""
    return base_row * scale.base_step + scale.base_step // 2


def make_bar(
    minute: int,
    rows: tuple[int, int] | None = None,
    *,
    lots: int = 0,
    sample: int | None = None,
    instrument: Instrument = BTC,
    scale: SymbolScale = BTC_SCALE,
) -> Bar:
    """Return a bar that falls from the high to the low of two base rows; its lots are spread evenly over them."""
    trigger = traded = None
    if rows is not None:
        low, high = middle_price(rows[0], scale), middle_price(rows[1], scale)
        trigger = PriceRange(high, high, low, low)
        traded = TradedRows.evenly(lots, *rows) if lots else None
    return Bar(
        instrument_id=instrument.instrument_id,
        symbol=instrument.symbol,
        first_minute=minute,
        minute=minute,
        trigger=trigger,
        traded=traded,
        open_interest_lots=sample,
        watermark_ns=at(minute + 1),
    )


def make_batch(*cohorts: tuple[int, int, int, int]) -> CohortBatch:
    """Return cohorts given as (open minute, row, key, lots)."""
    table = np.array(cohorts, np.int64).reshape(-1, 4)
    return CohortBatch(
        table[:, 0].astype(np.int32), table[:, 1].astype(np.int32), table[:, 2].astype(np.uint16), table[:, 3]
    )


def as_tuples(batch: CohortBatch) -> list[tuple[int, int, int, int]]:
    """Return cohorts as (open minute, row, key, lots)."""
    columns = (batch.open_minute, batch.row, batch.key, batch.lots)
    return list(zip(*(column.tolist() for column in columns), strict=True))

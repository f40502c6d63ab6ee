"""How a venue's numbers of one instrument become events, and which of them are believed at all.

A price or a quantity of an event is above 0 and fits 63 bits, a time is a whole number of our age: what is not is
rejected here, with its reason, so that no venue file has to think of it. Pure, and fast on the usual path.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from functools import cache
from typing import Final

from liqscape.events import (
    Candle,
    Funding,
    Liquidation,
    MarkPrice,
    OpenInterest,
    PositionSide,
    PrintPrice,
    TakerSide,
    new_trade,
)
from liqscape.feeds.venues.dialect import Listing, Reading, Unreadable
from liqscape.feeds.venues.numbers import (
    QUANTITY_UNIT,
    Remembered,
    as_fraction,
    decimal_text,
    exact,
    exact_quantity,
    floored,
    floored_quantity,
)
from liqscape.instruments import Instrument

MS: Final = 1_000_000

SECOND: Final = 1_000_000_000

MAX_COUNT: Final = 2**62
"""Of a price, a quantity or a time: above any real one by far, and a sum of two still fits 64 bits."""

MAX_FUNDING_PPB: Final = 10**9
"""A whole position for one interval. Venues cap at a few per cent."""

CLOSED_BY: Final = {
    TakerSide.SELL: PositionSide.LONG,
    TakerSide.BUY: PositionSide.SHORT,
}
"""Whose position a closing order of this side closes."""

OPPOSITE: Final = {TakerSide.SELL: TakerSide.BUY, TakerSide.BUY: TakerSide.SELL}


class Scale:
    """The units of one instrument.

    Args:
        listing: of it.
        unit: coins (or contracts of an inverse one) in one of what the venue counts trades and open interest in; that
            of the listing where it is left out.
    """

    __slots__ = ("_floored_prices", "_prices", "_quantities", "instrument", "instrument_id", "unit")

    def __init__(self, listing: Listing, unit: Fraction | None = None) -> None:
        self.instrument: Instrument = listing.instrument
        self.instrument_id = listing.instrument_id
        self.unit = listing.unit if unit is None else unit
        decimals = listing.instrument.price_decimals
        self._prices = _prices(decimals)
        self._floored_prices = _floored_prices(decimals)
        self._quantities = _quantities(self.unit)

    def price(self, value: object) -> int:
        """Return a price that was paid or asked: a whole number of ticks above 0."""
        return self._prices[value if type(value) is str else decimal_text(value)]

    def floored_price(self, value: object) -> int:
        """Return a price between two ticks (a mark, an average), floored; above 0."""
        return self._floored_prices[value if type(value) is str else decimal_text(value)]

    def quantity(self, value: object) -> int:
        """Return a quantity in units of events, exactly; above 0."""
        return self._quantities[value if type(value) is str else decimal_text(value)]

    def trade(self, into: Reading, time_ns: int, price: object, quantity: object, side: TakerSide) -> None:
        """Note a trade."""
        price_units = self._prices[price if type(price) is str else decimal_text(price)]
        units = self._quantities[quantity if type(quantity) is str else decimal_text(quantity)]
        into.events.append(new_trade(self.instrument_id, time_ns, price_units, units, side))

    def mark(self, into: Reading, time_ns: int, price: object) -> None:
        """Note a mark price."""
        into.events.append(MarkPrice(self.instrument_id, time_ns, self.floored_price(price)))

    def funding(self, into: Reading, time_ns: int, rate: object, interval_hours: int, decimals: int = 9) -> None:
        """Note a funding rate for an interval: a fraction, or per cent where decimals is 7."""
        if not 0 < time_ns < MAX_COUNT:  # of an interval that began, by the venue's numbers, before all time
            raise Unreadable("time", time_ns)
        into.events.append(Funding(self.instrument_id, time_ns, funding_ppb(rate, decimals), interval_hours))

    def liquidation(
        self,
        into: Reading,
        time_ns: int,
        price: object,
        quantity: object,
        position_side: PositionSide,
        *,
        price_kind: PrintPrice = PrintPrice.FILL,
        complete: bool = True,
    ) -> None:
        """Note a printed liquidation."""
        into.events.append(
            Liquidation(
                self.instrument_id,
                time_ns,
                self.price(price),
                self.quantity(quantity),
                position_side,
                price_kind,
                complete,
            )
        )

    def open_interest(self, into: Reading, time_ns: int, quantity: object) -> None:
        """Note an open interest counted as trades are; see open_interest_units."""
        self.open_interest_units(into, time_ns, floored_quantity(quantity, self.unit), quantity)

    def open_interest_of_value(self, into: Reading, time_ns: int, value: object, price: object) -> None:
        """Note an open interest that the venue tells as its worth in quote at a price it tells with it, floored."""
        at = as_fraction(price)
        if at <= 0:
            raise Unreadable("price", price)
        units = as_fraction(value) * QUANTITY_UNIT / at
        self.open_interest_units(into, time_ns, units.numerator // units.denominator, value)

    def open_interest_units(self, into: Reading, time_ns: int, units: int, said: object) -> None:
        """Note an open interest in units of events.

        0 is counted as ignored: some venues say it of instruments that trade, for want of a number, and it would close
        every position of the model.
        """
        if not 0 <= units < MAX_COUNT:
            raise Unreadable("open interest", said)
        if units == 0:
            into.ignored["open interest of 0"] += 1
        else:
            into.events.append(OpenInterest(self.instrument_id, time_ns, units))

    def candle(
        self,
        into: Reading,
        open_ns: int,
        step_ns: int,
        prices: Sequence[object],
        quantity: object,
    ) -> None:
        """Note a candle.

        Args:
            into: where.
            open_ns: its beginning.
            step_ns: its length.
            prices: open, high, low, close; floored, since those of the mark lie between ticks.
            quantity: traded in it, counted as trades are, floored: sums of venues carry float noise. 0 of a mark.
        """
        opened, high, low, closed = (self.floored_price(price) for price in prices)
        if not low <= min(opened, closed) <= max(opened, closed) <= high:
            raise Unreadable("candle", f"open {opened} high {high} low {low} close {closed}")
        units = floored_quantity(quantity, self.unit)
        if not 0 <= units < MAX_COUNT:
            raise Unreadable("quantity", quantity)
        into.events.append(Candle(self.instrument_id, open_ns, open_ns + step_ns, opened, high, low, closed, units))


@cache
def _prices(decimals: int) -> Remembered:
    """Return what prices are in ticks; shared by all instruments of such ticks, so that few are remembered twice."""

    def read(text: str) -> int:
        return _believed(exact(text, decimals), "price", text)

    return Remembered(read)


@cache
def _floored_prices(decimals: int) -> Remembered:
    """Return what prices are in ticks, floored; see _prices."""

    def read(text: str) -> int:
        return _believed(floored(text, decimals), "price", text)

    return Remembered(read)


@cache
def _quantities(unit: Fraction) -> Remembered:
    """Return what quantities counted in a unit are in units of events; see _prices."""

    def read(text: str) -> int:
        return _believed(exact_quantity(text, unit), "quantity", text)

    return Remembered(read)


def _believed(units: int, what: str, text: str) -> int:
    if not 0 < units < MAX_COUNT:
        raise Unreadable(what, text)
    return units


def scales(listings: Sequence[Listing], unit_of: Callable[[Listing], Fraction] | None = None) -> dict[str, Scale]:
    """Return the scales of listings by the venue's name of them."""
    return {each.name: Scale(each, None if unit_of is None else unit_of(each)) for each in listings}


def quote_unit(listing: Listing) -> Fraction:
    """Return the unit of a venue that counts inverse contracts by their worth in quote, and linear ones in coins."""
    worth = listing.instrument.contract_value
    return listing.unit if worth is None else 1 / worth


def funding_ppb(rate: object, decimals: int = 9) -> int:
    """Return a funding rate in parts per billion, floored; decimals: those of the rate that are one of them."""
    ppb = floored(rate, decimals)
    if abs(ppb) > MAX_FUNDING_PPB:
        raise Unreadable("funding rate", rate)
    return ppb


def time_of(value: object, unit_ns: int = MS) -> int:
    """Return a time in ns of a count of units since 1970: a JSON integer, nothing else."""
    if type(value) is int:
        time_ns = value * unit_ns
        if 0 < time_ns < MAX_COUNT:
            return time_ns
    raise Unreadable("time", value)


def time_of_text(value: object) -> int:
    """Return a time in ns of ISO text that states its zone, to the microsecond."""
    if type(value) is not str or len(value) > 40:
        raise Unreadable("time", value)
    told = datetime.fromisoformat(value)
    if told.tzinfo is None:
        raise Unreadable("time", value)
    since = told - _EPOCH
    time_ns = ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1000
    if not 0 < time_ns < MAX_COUNT:
        raise Unreadable("time", value)
    return time_ns


def text_of_time(time_ns: int) -> str:
    """Return a time as ISO text, to the millisecond, floored."""
    seconds, rest = divmod(time_ns, SECOND)
    whole = datetime.fromtimestamp(seconds, UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{rest // MS:03d}Z"


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

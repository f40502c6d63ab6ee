"""How one listing's numbers are counted: a venue's text -> integers of events that may be believed, or Unreadable.

What every venue file needs and none should do in its own way: prices and quantities are above zero and fit 64 bits,
times are of this century, candles are not crossed. Nothing here knows a venue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Any, Final

from liqscape.events import Candle, Event, Funding
from liqscape.feeds.venues.dialect import Listing, Reading, Unreadable, read_rows
from liqscape.feeds.venues.numbers import QUANTITY_UNIT, as_fraction, exact, exact_quantity, floored, floored_quantity

SECOND_NS: Final = 1_000_000_000
MINUTE_NS: Final = 60 * SECOND_NS
HOUR_NS: Final = 60 * MINUTE_NS
DAY_NS: Final = 24 * HOUR_NS

MAX_UNITS: Final = 2**62
"""Of a price or quantity: what is above overflows columns of 64 bits as soon as two are added."""

FIRST_NS: Final = 1_262_304_000 * SECOND_NS
"""2010: no market of these is older."""

LAST_NS: Final = 4_102_444_800 * SECOND_NS
"""2100: a time beyond is in another unit than believed."""

RATE_DECIMALS: Final = 9
"""Funding is counted in parts per billion."""

MAX_RATE_PPB: Final = 10 * 10**RATE_DECIMALS
"""No venue's cap is near ten times the position for one interval."""


@dataclass(frozen=True, slots=True)
class Scale:
    """A listing, laid out for a parser.

    Attributes:
        instrument_id: for events.
        decimals: of a price.
        unit: as Listing.unit.
        is_inverse: whether events count contracts.
    """

    instrument_id: str
    decimals: int
    unit: Fraction
    is_inverse: bool

    def price(self, value: object) -> int:
        """Return the price of a trade, which is a whole number of ticks.

        Raises:
            Unreadable, UnreadableNumber: it is none, or not above zero.
        """
        return _positive(exact(value, self.decimals), "price", value)

    def floored_price(self, value: object) -> int:
        """Return a price that may lie between ticks (a mark, an average, a bankruptcy price), floored to the tick."""
        return _positive(floored(value, self.decimals), "price", value)

    def quantity(self, value: object) -> int:
        """Return what was traded or closed; raises as price."""
        return _positive(exact_quantity(value, self.unit), "quantity", value)

    def quantity_of_quote(self, amount: object, price: object) -> int:
        """Return the quantity whose worth in quote at a price is told; rounded to the nearest unit of events."""
        worth, at = as_fraction(amount), as_fraction(price)
        if at <= 0:
            raise Unreadable("price not above zero", price)
        return _positive(round(worth / at * QUANTITY_UNIT), "quantity", amount)

    def open_interest(self, value: object, sides: int = 1) -> int:
        """Return open interest, one-sided; zero is one.

        Args:
            value: as the venue counts.
            sides: 2 where longs and shorts are added up.
        """
        units = floored_quantity(value, self.unit) // sides
        if not 0 <= units <= MAX_UNITS:
            raise Unreadable("absurd open interest", value)
        return units

    def open_interest_in_coins(self, coins: object, counted: object) -> int:
        """Return open interest told twice, in coins and as the venue counts trades.

        Raises:
            Unreadable: they tell another contract size than the listing's: then every trade is read wrongly too.
        """
        by_coins, by_count = floored_quantity(coins, Fraction(1)), self.open_interest(counted)
        if abs(by_coins - by_count) * _SIZE_TOLERANCE > max(by_coins, by_count):
            raise Unreadable("another contract size", f"{counted} counted, {coins} coins, {self.unit} believed")
        return by_coins

    def candle(self, open_ns: int, step_ns: int, prices: Sequence[object], quantity: object) -> Candle:
        """Return a candle; quantity 0 is one of a mark price, or of a quiet minute.

        Args:
            open_ns: start.
            step_ns: length.
            prices: open, high, low, close.
            quantity: as the venue counts.
        """
        first, high, low, last = (self.floored_price(price) for price in prices)
        if not low <= min(first, last) <= max(first, last) <= high:
            raise Unreadable("crossed candle", prices)
        traded = exact_quantity(quantity, self.unit)
        if not 0 <= traded <= MAX_UNITS:
            raise Unreadable("quantity below zero", quantity)
        return Candle(self.instrument_id, open_ns, open_ns + step_ns, first, high, low, last, traded)


class Scales:
    """The listings wanted, by the venue's names."""

    def __init__(self, listings: Iterable[Listing]) -> None:
        self._scales = {each.name: scale_of(each) for each in listings}

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names wanted, in the order given."""
        return tuple(self._scales)

    def find(self, name: object, into: Reading) -> Scale | None:
        """Return the scale of a name; None, counted as ignored, where it is not wanted.

        Raises:
            Unreadable: it cannot be a name.
        """
        if type(name) is not str:  # any value of JSON
            raise Unreadable("unnamed instrument", name)
        scale = self._scales.get(name)
        if scale is None:
            into.ignored["other instrument"] += 1
        return scale


def scale_of(listing: Listing) -> Scale:
    """Return the scale of one listing."""
    instrument = listing.instrument
    return Scale(listing.instrument_id, instrument.price_decimals, listing.unit, instrument.is_inverse)


def from_ms(value: object) -> int:
    """Return nanoseconds of a time told in milliseconds, number or text.

    Raises:
        Unreadable: it is no time of this century.
    """
    return _time(value, 1_000_000)


def from_seconds(value: object) -> int:
    """Return nanoseconds of a time told in whole seconds; see from_ms."""
    return _time(value, SECOND_NS)


def from_iso(value: str) -> int:
    """Return nanoseconds of an ISO 8601 time with its zone; see from_ms."""
    since = datetime.fromisoformat(value) - _EPOCH
    return _in_range(since // _MICROSECOND * 1_000, value)


def rate_ppb(value: object) -> int:
    """Return a funding rate in parts per billion, floored.

    Raises:
        Unreadable, UnreadableNumber: it is none.
    """
    rate = floored(value, RATE_DECIMALS)
    if not -MAX_RATE_PPB < rate < MAX_RATE_PPB:
        raise Unreadable("absurd funding rate", value)
    return rate


def paid_fundings(instrument_id: str, paid: Sequence[tuple[int, int]], usual_hours: int) -> list[Event]:
    """Return funding of intervals, of what was paid at their ends.

    Args:
        instrument_id: of the events.
        paid: (time of the payment, rate in ppb), ascending. An interval is as long as the distance to the payment
            before; the first of a page as the second.
        usual_hours: where there is but one.
    """
    hours = [round((later - earlier) / HOUR_NS) for (earlier, _), (later, _) in pairwise(paid)]
    hours.insert(0, hours[0] if hours else usual_hours)
    return [
        Funding(instrument_id, time_ns - length * HOUR_NS, rate, length)
        for (time_ns, rate), length in zip(paid, (min(max(each, 1), 24) for each in hours), strict=True)
    ]


def add_fundings(
    rows: Sequence[Any], read: Callable[[Any], tuple[int, int]], scale: Scale, usual_hours: int, into: Reading
) -> None:
    """Read rows of a page of paid funding, in any order.

    Args:
        rows: of the page.
        read: time of the payment and rate in ppb, of a row.
        scale: of the instrument.
        usual_hours: see paid_fundings.
        into: where they are put.
    """
    paid: list[tuple[int, int]] = []
    read_rows(rows, lambda row: paid.append(read(row)), into)
    into.events += paid_fundings(scale.instrument_id, sorted(paid), usual_hours)


def put_ascending(into: Reading, first: int) -> None:
    """Sort the events from an index on by time: a page that came newest first."""
    into.events[first:] = sorted(into.events[first:], key=_time_of)


def _time_of(event: Event) -> int:
    return event.open_time_ns if isinstance(event, Candle) else getattr(event, "time_ns", 0)


def _time(value: object, unit_ns: int) -> int:
    if type(value) is int:
        return _in_range(value * unit_ns, value)
    if type(value) is str and value.isdecimal() and len(value) <= _TIME_DIGITS:
        return _in_range(int(value) * unit_ns, value)
    if type(value) is float and value.is_integer():
        return _in_range(int(value) * unit_ns, value)
    raise Unreadable("no time", value)


def _in_range(time_ns: int, value: object) -> int:
    if not FIRST_NS <= time_ns < LAST_NS:
        raise Unreadable("time out of range", value)
    return time_ns


def _positive(units: int, what: str, value: object) -> int:
    if not 0 < units <= MAX_UNITS:
        raise Unreadable(f"{what} not above zero" if units <= 0 else f"absurd {what}", value)
    return units


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_MICROSECOND: Final = timedelta(microseconds=1)

_TIME_DIGITS: Final = 20

_SIZE_TOLERANCE: Final = 50
"""Two counts may be of two moments: they have been seen to differ by 0.01 %. Wrong sizes are wrong tenfold."""

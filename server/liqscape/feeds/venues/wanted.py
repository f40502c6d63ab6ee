"""What venue files share beside scales: which instruments are wanted, times as text, pages of the past.

Nothing here knows a venue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any, Final

from liqscape.events import Candle, Event, Funding
from liqscape.feeds.venues.dialect import Channel, Listing, Reading, Unreadable, read_rows
from liqscape.feeds.venues.history import PastSeries
from liqscape.feeds.venues.numbers import QUANTITY_UNIT, as_fraction, floored_quantity
from liqscape.feeds.venues.scale import MAX_COUNT, Scale

SECOND_NS: Final = 1_000_000_000
MINUTE_NS: Final = 60 * SECOND_NS
HOUR_NS: Final = 60 * MINUTE_NS
DAY_NS: Final = 24 * HOUR_NS

FIRST_NS: Final = 1_262_304_000 * SECOND_NS
"""2010: no market of these is older."""

LAST_NS: Final = 4_102_444_800 * SECOND_NS
"""2100: a time beyond is in another unit than believed."""


class Wanted:
    """The scales of the listings wanted, by the venue's names."""

    def __init__(self, listings: Iterable[Listing]) -> None:
        self._scales = {each.name: Scale(each) for each in listings}

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names wanted, in the order given."""
        return tuple(self._scales)

    def ids(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the instrument ids of names that are wanted."""
        return tuple(self._scales[name].instrument_id for name in names)

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


def from_ms(value: object) -> int:
    """Return nanoseconds of a time told in milliseconds, as a number or as text.

    Raises:
        Unreadable: it is no time of this century.
    """
    if type(value) is int:  # the usual case by itself: of every trade of most venues
        time_ns = value * 1_000_000
        if FIRST_NS <= time_ns < LAST_NS:
            return time_ns
    return _time(value, 1_000_000)


def from_seconds(value: object) -> int:
    """Return nanoseconds of a time told in whole seconds; see from_ms."""
    return _time(value, SECOND_NS)


def from_ns(value: object) -> int:
    """Return nanoseconds of a time told in them; see from_ms."""
    return _time(value, 1)


def hours_of(count: int, counts_an_hour: int) -> int:
    """Return hours between payments of funding, 1 to 24 whatever was told."""
    return min(max(count // counts_an_hour, 1), 24)


def note_both_sides(scale: Scale, into: Reading, time_ns: int, value: object) -> None:
    """Note an open interest that adds up longs and shorts."""
    scale.open_interest_units(into, time_ns, floored_quantity(value, scale.unit) // 2, value)


def note_told_twice(scale: Scale, into: Reading, time_ns: int, counted: object, coins: object) -> None:
    """Note an open interest told as the venue counts trades and in coins; of an inverse instrument the former.

    Raises:
        Unreadable: they tell another contract size than the listing's: then every trade is read wrongly too.
    """
    if scale.instrument.is_inverse:
        scale.open_interest(into, time_ns, counted)
        return
    by_coins, by_count = floored_quantity(coins, _ONE), floored_quantity(counted, scale.unit)
    if abs(by_coins - by_count) * _SIZE_TOLERANCE > max(by_coins, by_count):
        raise Unreadable("another contract size", f"{counted} counted, {coins} coins, {scale.unit} believed")
    scale.open_interest_units(into, time_ns, by_coins, coins)


def quantity_of_worth(amount: object, price: object) -> int:
    """Return the quantity in units of events whose worth in quote at a price is told, to the nearest unit.

    Raises:
        Unreadable, UnreadableNumber: one of them is no number above 0.
    """
    worth, at = as_fraction(amount), as_fraction(price)
    if at <= 0:
        raise Unreadable("price", price)
    units = round(worth / at * QUANTITY_UNIT)
    if not 0 < units < MAX_COUNT:
        raise Unreadable("quantity", amount)
    return units


def note_paid(
    rows: Sequence[Any], read: Callable[[Any], tuple[int, int]], scale: Scale, usual_hours: int, into: Reading
) -> None:
    """Note funding of intervals, from a page of what was paid at their ends, in any order.

    Args:
        rows: of the page.
        read: time of the payment and rate in ppb, of a row.
        scale: of the instrument.
        usual_hours: between payments, where there is but one row. Else an interval is as long as the distance to the
            payment before; the first of a page as the second.
        into: where they are put.
    """
    paid: list[tuple[int, int]] = []
    read_rows(rows, lambda row: paid.append(read(row)), into)
    paid.sort()
    hours = [hours_of(later - earlier + HOUR_NS // 2, HOUR_NS) for (earlier, _), (later, _) in pairwise(paid)]
    hours.insert(0, hours[0] if hours else usual_hours)
    into.events += [
        Funding(scale.instrument_id, time_ns - length * HOUR_NS, rate, length)
        for (time_ns, rate), length in zip(paid, hours, strict=False)
    ]


def most_rows(series: PastSeries) -> int:
    """Return the rows that a span of a page may hold: of funding, one each hour, if the instrument pays as often."""
    return series.page * (series.step_ns // HOUR_NS) if series.channel is Channel.FUNDING else series.page


def put_ascending(into: Reading, first: int) -> None:
    """Sort the events from an index on by time: a page that came newest first."""
    into.events[first:] = sorted(into.events[first:], key=_time_of)


def _time_of(event: Event) -> int:
    return event.open_time_ns if isinstance(event, Candle) else getattr(event, "time_ns", 0)


def _time(value: object, unit_ns: int) -> int:
    if type(value) is int:
        time_ns = value * unit_ns
    elif type(value) is str:
        if not value.isdecimal() or len(value) > _TIME_DIGITS:
            raise Unreadable("time", value)
        time_ns = int(value) * unit_ns
    elif type(value) is float and value.is_integer():
        time_ns = int(value) * unit_ns
    else:
        raise Unreadable("time", value)
    if not FIRST_NS <= time_ns < LAST_NS:
        raise Unreadable("time", value)
    return time_ns


_ONE: Final = Fraction(1)

_TIME_DIGITS: Final = 20

_SIZE_TOLERANCE: Final = 50
"""Two counts may be of two moments: they have been seen to differ by 0.01 %. Wrong sizes are wrong tenfold."""

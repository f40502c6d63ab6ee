"""Days of several venues at once that no market has had: linear and inverse, silent, lagging, contradicting each other.

Quantities are often a few contracts, where rounding shows, and sometimes more than a venue has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from hypothesis import strategies as st

from liqscape.axes import MINUTE_NS
from liqscape.events import QUANTITY_DECIMALS, Event, Gap, MarkPrice, OpenInterest, TakerSide, TickEnd, Trade
from liqscape.instruments import Instrument, find_instrument
from tests.unit.synthetic_market import EXAMPLE_MINUTE

INSTRUMENTS: Final = (
    find_instrument("binance:BTCUSDT"),
    find_instrument("binance:BTCUSD_PERP"),
    find_instrument("bybit:BTCUSDT"),
    find_instrument("deribit:BTC-PERPETUAL"),
    # Made up in this: the only inverse table of many tiers belongs to a venue that closes positions at once.
    replace(find_instrument("kraken:PI_XBTUSD"), ladder_step=1),
    find_instrument("okx:BTC-USD-SWAP"),
)
FIRST_USD, LOWEST_USD, HIGHEST_USD = 90_000, 24_000, 400_000
CONTRACT: Final = 10**QUANTITY_DECIMALS

Move: TypeAlias = tuple[str, int, int, int | None]
"""What a venue does in a tick: how it speaks, how far its price reaches (USD), what is traded, change of its sample."""

_QUANTITIES = st.one_of(
    st.integers(0, 3).map(lambda n: n * CONTRACT),
    st.integers(0, 40 * CONTRACT),
    st.integers(0, 10**12),
    st.integers(0, 10**15),
)
_EVERYTHING_CLOSED = -(10**18)
_SAMPLES = st.one_of(
    st.none(),
    st.integers(-5, 5).map(lambda n: n * CONTRACT),
    st.integers(-(10**12), 10**12),
    st.just(_EVERYTHING_CLOSED),
)
_MOVES: st.SearchStrategy[Move] = st.tuples(
    st.sampled_from(("speaks", "speaks", "speaks", "silent", "gap")), st.integers(0, 600), _QUANTITIES, _SAMPLES
)
_SECONDS = st.sampled_from((1, 1, 20, 60, 300, 7200))
_JUMPS = st.one_of(st.integers(-300, 300), st.integers(-3000, 3000), st.sampled_from((-25_000, 30_000)))


@dataclass(frozen=True)
class VenueDay:
    """Events of ticks; each list ends with its TickEnd."""

    instruments: tuple[Instrument, ...]
    ticks: list[list[Event]]


@st.composite
def venue_days(draw: Callable[..., object], min_ticks: int = 12, max_ticks: int = 25) -> VenueDay:
    """Return a day of all instruments; in its first tick every one of them says a price and its open interest."""
    moves = st.lists(_MOVES, min_size=len(INSTRUMENTS), max_size=len(INSTRUMENTS))
    plan: object = draw(st.lists(st.tuples(_SECONDS, _JUMPS, moves), min_size=min_ticks, max_size=max_ticks))
    assert isinstance(plan, list)
    time_ns, price = EXAMPLE_MINUTE * MINUTE_NS, FIRST_USD
    open_interest = {i.instrument_id: 50 * CONTRACT for i in INSTRUMENTS}
    ticks = []
    for number, (seconds, jump, said) in enumerate(plan):
        begin_ns, time_ns = time_ns, time_ns + seconds * 1_000_000_000
        price = min(max(price + jump, LOWEST_USD), HIGHEST_USD)
        events: list[Event] = []
        for instrument, (manner, reach, quantity, change) in zip(INSTRUMENTS, said, strict=True):
            name = instrument.instrument_id
            if manner == "gap":
                events.append(Gap(name, begin_ns, time_ns, "silence"))
            if manner == "speaks" or number == 0:
                for usd in (price, price - reach, price + reach, price):
                    events.append(MarkPrice(name, begin_ns + 1, usd * 10**instrument.price_decimals + 3))
                for usd in (price - reach // 2, price):
                    ticks_of_price = usd * 10**instrument.price_decimals
                    events.append(Trade(name, begin_ns + 2, ticks_of_price, quantity // 2, TakerSide.SELL))
                if change is not None or number == 0:
                    open_interest[name] = max(0, open_interest[name] + (change or 0))
                    events.append(OpenInterest(name, time_ns - 1, open_interest[name]))
        ticks.append([*events, TickEnd(time_ns)])
    return VenueDay(INSTRUMENTS, ticks)

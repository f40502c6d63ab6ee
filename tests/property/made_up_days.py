"""Days that no market has had: jumps, silence, ticks of a second, samples that lag and contradict trades."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeAlias

import pytest
from hypothesis import strategies as st

from liqscape.axes import MINUTE_NS, Timeframe
from liqscape.events import Candle, Event, MarkPrice, OpenInterest, TakerSide, TickEnd, Trade
from liqscape.grid import shard
from liqscape.instruments import Instrument
from tests.unit.synthetic_market import EXAMPLE_MINUTE, make_instrument

# Different tick sizes, margin rules and tiers; the first two share a symbol.
INSTRUMENTS: Final = (
    make_instrument("BTCUSDT"),
    make_instrument("BTCUSDC", price_decimals=2, maintenance_margin_rate="0.009", fee_rate="0.001", max_leverage=75),
    make_instrument("ETHUSDT", symbol="ETH", price_decimals=2, maintenance_margin_rate="0.01", max_leverage=20),
)
ROW_USD: Final = {"BTC": 20, "ETH": 1}
FIRST_ROW: Final = {"BTC": 4500, "ETH": 3600}
LOWEST_ROW, HIGHEST_ROW = 1200, 20_000

SHORT_FRAMES: Final = (
    Timeframe("minutes", column_minutes=1, columns=12, span_permille=20, min_row_multiple=2),
    Timeframe("hours", column_minutes=60, columns=8, span_permille=60, min_row_multiple=5),
)
"""Windows that a made-up day rolls through many times, and rows that its price leaves."""


@contextmanager
def short_frames() -> Iterator[None]:
    """Let the shards made here have two short timeframes instead of the nine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shard, "TIMEFRAMES", SHORT_FRAMES)
        yield


Move: TypeAlias = tuple[str, int, int, int, int | None]
"""What an instrument does in a tick: how it says its price, rows fallen below and risen above, quantity, sample."""


@dataclass(frozen=True)
class Day:
    """Events of ticks; each list ends with its TickEnd."""

    instruments: tuple[Instrument, ...]
    ticks: list[list[Event]]

    def events(self) -> list[Event]:
        """Return all events in order."""
        return [event for tick in self.ticks for event in tick]


# Quantities in units of events: nothing, less than a lot, some lots, thousands of coins.
_QUANTITIES = st.one_of(st.just(0), st.integers(1, 999), st.integers(0, 10**6), st.integers(0, 10**12))
# Change of open interest, or everything closed, or no sample in this tick.
_EVERYTHING_CLOSED = -(10**18)
_SAMPLES = st.one_of(
    st.none(),
    st.none(),
    st.integers(-(10**5), 10**5),
    st.integers(-(10**11), 10**11),
    st.sampled_from((0, _EVERYTHING_CLOSED)),
)
_MOVES: st.SearchStrategy[Move] = st.tuples(
    st.sampled_from(("marks", "candle", "trades", "marks", "silent")),
    st.integers(0, 25),
    st.integers(0, 25),
    _QUANTITIES,
    _SAMPLES,
)
_SECONDS = st.sampled_from((1, 1, 1, 20, 60, 60, 300, 3600, 90_000))
_JUMPS = st.one_of(
    st.integers(-6, 6), st.integers(-6, 6), st.integers(-90, 90), st.sampled_from((-1500, -400, 400, 2500))
)


@st.composite
def days(
    draw: Callable[..., object], symbols: tuple[str, ...] = ("BTC",), min_ticks: int = 20, max_ticks: int = 30
) -> Day:
    """Return a day of the instruments of some symbols; in its first tick every one of them says a price."""
    instruments = tuple(i for i in INSTRUMENTS if i.symbol in symbols)
    moves = st.lists(_MOVES, min_size=len(instruments), max_size=len(instruments))
    plan: object = draw(
        st.lists(st.tuples(_SECONDS, _JUMPS, moves, st.booleans()), min_size=min_ticks, max_size=max_ticks)
    )
    assert isinstance(plan, list)
    market = _Market(instruments)
    return Day(instruments, [market.tick(number == 0, *tick) for number, tick in enumerate(plan)])


class _Market:
    def __init__(self, instruments: tuple[Instrument, ...]) -> None:
        self._instruments = instruments
        self._time_ns = EXAMPLE_MINUTE * MINUTE_NS
        self._row = {i.symbol: FIRST_ROW[i.symbol] for i in instruments}
        self._open_interest = {i.instrument_id: 10**9 for i in instruments}

    def tick(self, first: bool, seconds: int, jump: int, moves: list[Move], render: bool) -> list[Event]:
        begin_ns, self._time_ns = self._time_ns, self._time_ns + seconds * 1_000_000_000
        for symbol, row in self._row.items():
            self._row[symbol] = min(max(row + jump, LOWEST_ROW), HIGHEST_ROW)
        events: list[Event] = []
        for instrument, (manner, below, above, quantity, change) in zip(self._instruments, moves, strict=True):
            said = "marks" if first and manner == "silent" else manner
            events += self._prices(instrument, said, begin_ns, below, above, quantity)
            if change is not None:
                level = max(0, self._open_interest[instrument.instrument_id] + change)
                self._open_interest[instrument.instrument_id] = level
                events.append(OpenInterest(instrument.instrument_id, self._time_ns - 1, level))
        return [*events, TickEnd(self._time_ns, render)]

    def _prices(
        self, instrument: Instrument, manner: str, begin_ns: int, below: int, above: int, quantity: int
    ) -> list[Event]:
        """Return a path from the row to the lowest, the highest and back, said as marks, as a candle or as trades."""
        name, row = instrument.instrument_id, self._row[instrument.symbol]
        unit = ROW_USD[instrument.symbol] * 10**instrument.price_decimals
        path = [step * unit + unit // 3 for step in (row, row - below, row + above, row)]
        if manner == "silent":
            return []
        if manner == "candle":
            opened, low, high, closed = path
            return [Candle(name, begin_ns, self._time_ns, opened, high, low, closed, quantity)]
        trades: list[Event] = [Trade(name, begin_ns + 1, price, quantity // 4, TakerSide.BUY) for price in path]
        if manner == "trades":
            return trades
        marks: list[Event] = [MarkPrice(name, begin_ns + 2, price) for price in path]
        return trades[:1] + marks

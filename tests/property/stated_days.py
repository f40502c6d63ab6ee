"""Made-up days on which a venue states positions of accounts: new, larger, smaller, turned round, gone, given up."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from hypothesis import strategies as st

from liqscape.events import STATED_PRICE_DECIMALS, Event, PositionSide, PositionStatement, TickEnd
from tests.property.made_up_days import FIRST_ROW, ROW_USD, Day, days

Said: TypeAlias = tuple[int, int, PositionSide, int, int | None, bool]
"""Number of the instrument, account, side, quantity, rows from the first price, whether it is followed."""

# Nothing, less than a lot, some lots, and thousands of coins: more than there is open interest.
_QUANTITIES = st.one_of(
    st.just(0), st.integers(1, 999), st.integers(10**3, 10**6), st.integers(10**6, 10**9), st.integers(0, 10**12)
)
_ROWS = st.one_of(st.none(), st.integers(-60, 60), st.integers(-60, 60), st.sampled_from((-4_400, 10**7)))


@st.composite
def stated_days(
    draw: Callable[..., object], symbols: tuple[str, ...] = ("BTC",), min_ticks: int = 20, max_ticks: int = 30
) -> Day:
    """Return a day of `days` with statements of three accounts in its ticks, the first one included."""
    day = draw(days(symbols, min_ticks, max_ticks))
    assert isinstance(day, Day)
    one = st.tuples(
        st.integers(0, len(day.instruments) - 1),
        st.integers(1, 3),
        st.sampled_from(PositionSide),
        _QUANTITIES,
        _ROWS,
        st.sampled_from((True, True, True, True, False)),
    )
    plan = draw(st.lists(st.lists(one, max_size=3), min_size=len(day.ticks), max_size=len(day.ticks)))
    assert isinstance(plan, list)
    return Day(day.instruments, [_with(day, tick, said) for tick, said in zip(day.ticks, plan, strict=True)])


def _with(day: Day, tick: list[Event], said: list[Said]) -> list[Event]:
    end = tick[-1]
    assert isinstance(end, TickEnd)
    statements: list[Event] = []
    for number, account, side, quantity, rows, followed in said:
        instrument = day.instruments[number]
        price = None
        if rows is not None:
            height = ROW_USD[instrument.symbol] * 10**STATED_PRICE_DECIMALS
            price = (FIRST_ROW[instrument.symbol] + rows) * height + 1
        statements.append(
            PositionStatement(
                instrument.instrument_id,
                end.time_ns - 1,
                account,
                side,
                quantity,
                price,
                followed,
            )
        )
    return [*tick[:-1], *statements, end]

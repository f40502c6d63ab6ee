"""A candle of several minutes cut into the legs of its likely path, as bars of their own.

A book tests a bar against what was open before it. Over an hour that misses whoever buys near the high and is swept on
the way to the low of the same candle. So a candle that closes at or above its open is walked open, low, high, close,
any other open, high, low, close: each leg is a bar with its part of the time, the traded lots in proportion to its
length, and open interest on the straight line between the samples around the candle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from liqscape.axes import SymbolScale
from liqscape.market.bars import Bar, PriceRange, TradedRows


def walked(bars: Sequence[Bar], scale: SymbolScale) -> list[Bar]:
    """Return the bars of one instrument with every candle cut into legs."""
    found: list[Bar] = []
    last: int | None = None
    for bar in bars:
        found.extend(legs(bar, scale, last))
        last = bar.open_interest_lots if bar.open_interest_lots is not None else last
    return found


def legs(bar: Bar, scale: SymbolScale, last_sample: int | None) -> list[Bar]:
    """Return a bar as one, two or three; lots, minutes, range and closing sample stay what they were in all.

    Args:
        bar: shorter than a minute a leg, or without a path or trades: returned as it is.
        scale: units of the symbol.
        last_sample: open interest before the bar, lots.
    """
    if bar.trigger is None or bar.traded is None:
        return [bar]
    steps = [step for step in pairwise(_turns(bar.trigger)) if step[0] != step[1]]
    minutes = bar.minute + 1 - bar.first_minute
    if len(steps) < 2 or minutes < len(steps):
        return [bar]
    lots, length = bar.traded.total, sum(abs(end - begin) for begin, end in steps)
    found: list[Bar] = []
    done, first_minute, given = 0, bar.first_minute, 0
    for number, (begin, end) in enumerate(steps, 1):
        done += abs(end - begin)
        elapsed = minutes * number // len(steps)
        low, high = min(begin, end), max(begin, end)
        part = lots * done // length - given
        given += part
        found.append(
            replace(
                bar,
                first_minute=first_minute,
                minute=bar.first_minute + elapsed - 1,
                trigger=PriceRange(begin, high, low, end),
                traded=TradedRows.evenly(part, scale.base_row(low), scale.base_row(high)),
                open_interest_lots=_between(last_sample, bar.open_interest_lots, elapsed, minutes),
            )
        )
        first_minute = bar.first_minute + elapsed
    return found


def _turns(price: PriceRange) -> tuple[int, int, int, int]:
    if price.close >= price.open:
        return price.open, price.low, price.high, price.close
    return price.open, price.high, price.low, price.close


def _between(last: int | None, now: int | None, elapsed: int, minutes: int) -> int | None:
    if now is None or elapsed == minutes:
        return now
    return None if last is None else last + (now - last) * elapsed // minutes

"""Candles cut into the legs of their likely path, so that what opens inside a long candle can be swept inside it.

A book tests a bar against what was open before it. Over an hour that misses whoever buys near the high and is swept on
the way to the low of the same candle. So a candle that closes at or above its open is taken to go open, low, high,
close, any other one open, high, low, close. Each leg of that path, and each part of a leg longer than PART of the
price, is said as a candle of its own: with an equal part of the time in whole minutes, and the traded quantity in
proportion to its length.

Why: in the first half of eight months of hourly candles, the rank correlation of swept with real liquidations (long /
short) rises for BTC from 0.863 / 0.843 to 0.888 / 0.847 and for ETH from 0.840 / 0.870 to 0.871 / 0.884, three
standard errors for each. The order counts: the other way round BTC has 0.873 / 0.842. Candles of 5 minutes gain
nothing. `benchmarks.model_knobs` measures it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from liqscape.axes import MINUTE_NS
from liqscape.feeds.recordings import Integers, RecordedCandles

PART: Final = 250
"""A leg longer than 1/250 of the price, 0.4 %, is cut: about as near as the nearest liquidation price lies."""


@dataclass(frozen=True, slots=True)
class CandleLegs:
    """What is said for the candles of one instrument, ascending: the candles themselves, or their legs.

    Attributes:
        open_ns, close_ns: int64[leg], on whole minutes.
        open, high, low, close: int64[leg], 10^-price_decimals quote.
        quantity: int64[leg], 10^-8 base coin.
    """

    open_ns: Integers
    close_ns: Integers
    open: Integers
    high: Integers
    low: Integers
    close: Integers
    quantity: Integers


def whole(candles: RecordedCandles, step_ns: int) -> CandleLegs:
    """Return candles of one step each as they are."""
    return CandleLegs(
        candles.open_ns,
        candles.open_ns + step_ns,
        candles.open,
        candles.high,
        candles.low,
        candles.close,
        candles.quantity,
    )


def cut(candles: RecordedCandles, step_ns: int) -> CandleLegs:
    """Cut candles of one step each, whole minutes, 15 or more; time, range, path and quantity stay what they were."""
    rows: list[tuple[int, ...]] = []
    columns = (candles.open_ns, candles.open, candles.high, candles.low, candles.close, candles.quantity)
    for open_ns, opened, high, low, close, quantity in zip(*(column.tolist() for column in columns), strict=True):
        ends = _ends(opened, high, low, close, step_ns // MINUTE_NS)
        path = sum(abs(end - begin) for begin, end in pairwise(ends))
        done, given, begin_ns = 0, 0, open_ns
        for number, (begin, end) in enumerate(pairwise(ends), 1):
            done += abs(end - begin)
            until = quantity * done // path if path else quantity
            end_ns = open_ns + step_ns // MINUTE_NS * number // (len(ends) - 1) * MINUTE_NS
            rows.append((begin_ns, end_ns, begin, max(begin, end), min(begin, end), end, until - given))
            given, begin_ns = until, end_ns
    table = np.array(rows, np.int64).reshape(-1, 7)
    return CandleLegs(*(np.ascontiguousarray(column) for column in table.T))


def _ends(opened: int, high: int, low: int, close: int, minutes: int) -> list[int]:
    """Return where the legs begin and end, in order: two prices or more, and at most one leg a minute."""
    turns = _turns(opened, high, low, close)
    path = sum(abs(end - begin) for begin, end in pairwise(turns))
    longest = max(1, opened // PART, -(-path // (minutes - 3)))  # three legs may each have one part more
    ends = [opened]
    for begin, end in pairwise(turns):
        parts = -(-abs(end - begin) // longest)
        ends += [begin + (end - begin) * number // parts for number in range(1, parts + 1)]
    return ends if len(ends) > 1 else [opened, close]


def _turns(opened: int, high: int, low: int, close: int) -> tuple[int, int, int, int]:
    return (opened, low, high, close) if close >= opened else (opened, high, low, close)

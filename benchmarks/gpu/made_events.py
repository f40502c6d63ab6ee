"""A year of made-up signed events of one symbol, as many as a benchmark wants, in seconds.

Real in what decides a speed: as many keys as twenty-two venues have; rows at the liquidation prices of a moving price,
with most cohorts at 3x to 20x; ages from minutes to more than a year; openings and ends of equal number, each end with
the row, key and lots of its opening. In each step of time every slot opens a cohort and ends the one it opened its age
ago, so events are in time order without being sorted. What ends in the first months was opened before the year: as in a
real log, it counts in no grid.

Everything follows from the seed; blocks of time are made by threads, each from a generator of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.random import PCG64, Generator
from numpy.typing import NDArray

from liqscape.axes import SymbolScale
from liqscape.device.backend import CohortBatch, LedgerColumns
from liqscape.positions.weights import KEY_INSTRUMENT_SHIFT, KEY_TIER_SHIFT

INSTRUMENTS: Final = 22
TIERS: Final = (3, 5, 10, 20, 25, 50, 75, 100, 125)
SHARES: Final = (205, 205, 256, 154, 102, 51, 21, 20, 10)
"""Of 1024 cohorts, by tier: about the standing shares of the prior."""

DAY: Final = 1440
YEAR_MINUTES: Final = 365 * DAY
MIDNIGHT: Final = 20_454 * DAY
"""2026-01-01 00:00 UTC, when a column of every timeframe ends."""

NOW: Final = MIDNIGHT - 3
"""The last minute of the year that is made."""

SCALE: Final = SymbolScale.first_seen("BTC", 89_200, 0)
FIRST_ROW: Final = SCALE.base_row(89_200)
DAILY_MOVE: Final = 0.03
WIDEST_MOVE: Final = 0.25
"""How far the price goes up or down in a year, in units of its logarithm; it turns back there."""

YOUNGEST_MINUTES: Final = 5
OLDEST: Final = 1.1
"""Times the span of all events: some of what ends was opened before it."""
LOT_EXPONENTS: Final = (4, 20)
"""Lots of a cohort from 2^4 to 2^20, evenly in their logarithm: a lot is worth at most a dollar."""

_LEAST_SLOTS: Final = 8
"""Cohorts of one step at least; few events come in longer steps."""
_BLOCK_EVENTS: Final = 1 << 21
_FACTOR_BITS: Final = 16


def weights() -> NDArray[np.uint16]:
    """Return a table that counts most keys in full, some in part and one tier of a venue not at all."""
    table = np.full(INSTRUMENTS << KEY_INSTRUMENT_SHIFT, 4096, np.uint16)
    table[7 :: 1 << KEY_INSTRUMENT_SHIFT] = 1234
    table[(5 << KEY_INSTRUMENT_SHIFT) + 4] = 0
    return table


@dataclass(frozen=True, slots=True)
class MadeYear:
    """Events, and what is needed to ask for grids of them.

    Attributes:
        events: in time order, the last ones at NOW.
        price_row: base row of the price at the end.
    """

    events: LedgerColumns
    price_row: int

    def __len__(self) -> int:
        return len(self.events.lots)

    @property
    def price(self) -> int:
        """Return the price at the end, in units of SCALE."""
        return self.price_row * SCALE.base_step


def make_year(events: int, seed: int, days: int = 365, threads: int | None = None) -> MadeYear:
    """Return about so many events, never more."""
    minutes = days * DAY
    step = max(1, -(-2 * _LEAST_SLOTS * minutes // events))
    steps = minutes // step
    slots = events // (2 * steps)
    assert slots > 0, f"{events} events are too few for {days} days"
    random = Generator(PCG64([seed, 0]))
    price = price_rows(random, steps, step)
    exponent = random.permutation((np.arange(slots) + 0.5) / slots)
    ages = YOUNGEST_MINUTES * np.exp(exponent * np.log(OLDEST * minutes / YOUNGEST_MINUTES))
    age = np.maximum(1, (ages / step).astype(np.int64))
    cohorts = _Cohorts.empty(steps * slots)
    made = _columns(2 * steps * slots)
    block = max(1, _BLOCK_EVENTS // (2 * slots))
    _in_threads(
        [
            _Opening(seed, begin, min(begin + block, steps), slots, price, cohorts).make
            for begin in range(0, steps, block)
        ],
        threads,
    )
    first_minute = NOW - (steps - 1) * step
    _in_threads(
        [
            _Logging(begin, min(begin + block, steps), steps, slots, age, first_minute, step, cohorts, made).make
            for begin in range(0, steps, block)
        ],
        threads,
    )
    return MadeYear(made, int(price[-1]))


def price_rows(random: Generator, steps: int, step_minutes: int) -> NDArray[np.int64]:
    """Return int64[step], base rows of a price that wanders within WIDEST_MOVE of the first one."""
    wandered = np.cumsum(random.normal(0, DAILY_MOVE * np.sqrt(step_minutes / DAY), steps))
    folded = np.abs((wandered + WIDEST_MOVE) % (4 * WIDEST_MOVE) - 2 * WIDEST_MOVE) - WIDEST_MOVE
    rows: NDArray[np.int64] = np.floor(FIRST_ROW * np.exp(-folded)).astype(np.int64)
    return rows


def cohorts_at(
    random: Generator, price: NDArray[np.int64] | int, shape: int | tuple[int, ...]
) -> tuple[NDArray[np.int32], NDArray[np.uint16], NDArray[np.int64]]:
    """Return rows, keys and lots of cohorts opened around a price, of any shape."""
    bits = random.integers(0, 1 << 63, shape, dtype=np.int64)
    tier = _TIER_OF[bits & 1023]
    side = bits >> 10 & 1
    instrument = (bits >> 11 & 0xFFFF) * INSTRUMENTS >> 16
    entry = price + (bits >> 27 & 15) - 8  # the range of a minute
    row = entry * _FACTOR[tier, side] >> _FACTOR_BITS
    low, high = LOT_EXPONENTS
    exponent = low + ((bits >> 31 & 0xFF) * (high - low) >> 8)
    lots = (1024 + (bits >> 39 & 1023)) << exponent >> 10
    key = instrument << KEY_INSTRUMENT_SHIFT | tier << KEY_TIER_SHIFT | side
    return row.astype(np.int32), key.astype(np.uint16), lots


def batch_at(random: Generator, minute: int, price_row: int, count: int) -> CohortBatch:
    """Return cohorts opened in a minute, each row and key once."""
    row, key, lots = cohorts_at(random, price_row, count)
    _, chosen = np.unique(row.astype(np.int64) << 16 | key, return_index=True)
    chosen.sort()
    opened = np.full(len(chosen), minute, np.int32)
    return CohortBatch(opened, row[chosen], key[chosen], lots[chosen])


_TIER_OF: Final = np.repeat(np.arange(len(TIERS)), SHARES)
_FACTOR: Final = np.array(
    [[int((1 << _FACTOR_BITS) * (1 + sign * (1 / tier - 0.004))) for sign in (-1, 1)] for tier in TIERS], np.int64
)
"""Liquidation over entry price by tier and side, less the maintenance margin."""


@dataclass(frozen=True, slots=True)
class _Cohorts:
    """By step and slot, flat."""

    row: NDArray[np.int32]
    key: NDArray[np.uint16]
    lots: NDArray[np.int32]

    @classmethod
    def empty(cls, count: int) -> _Cohorts:
        return cls(np.empty(count, np.int32), np.empty(count, np.uint16), np.empty(count, np.int32))


@dataclass(frozen=True, slots=True)
class _Opening:
    """Makes the cohorts of some steps."""

    seed: int
    begin: int
    end: int
    slots: int
    price: NDArray[np.int64]
    to: _Cohorts

    def make(self) -> None:
        random = Generator(PCG64([self.seed, 1 + self.begin]))
        price = self.price[self.begin : self.end, None]
        row, key, lots = cohorts_at(random, price, (self.end - self.begin, self.slots))
        part = slice(self.begin * self.slots, self.end * self.slots)
        self.to.row[part], self.to.key[part], self.to.lots[part] = row.ravel(), key.ravel(), lots.ravel()


@dataclass(frozen=True, slots=True)
class _Logging:
    """Writes the events of some steps: in each first what opens, then what ends."""

    begin: int
    end: int
    steps: int
    slots: int
    age: NDArray[np.int64]
    first_minute: int
    step_minutes: int
    cohorts: _Cohorts
    to: LedgerColumns

    def make(self) -> None:
        step = np.arange(self.begin, self.end)[:, None]
        opened = step - self.age  # before the year where it is negative
        ending = opened % self.steps * self.slots + np.arange(self.slots)
        part = slice(2 * self.begin * self.slots, 2 * self.end * self.slots)
        shape = (self.end - self.begin, 2, self.slots)
        opening = slice(self.begin * self.slots, self.end * self.slots)
        for name in ("row", "key", "lots"):
            made, source = getattr(self.to, name)[part].reshape(shape), getattr(self.cohorts, name)
            made[:, 0] = source[opening].reshape(shape[0], self.slots)
            made[:, 1] = source[ending]
        self.to.lots[part].reshape(shape)[:, 1] *= -1
        minute = self.first_minute + step * self.step_minutes
        self.to.minute[part].reshape(shape)[:] = minute[:, None]
        open_minute = self.to.open_minute[part].reshape(shape)
        open_minute[:, 0] = minute
        open_minute[:, 1] = self.first_minute + opened * self.step_minutes
        cause = self.to.cause[part].reshape(shape)
        cause[:, 0] = 0
        cause[:, 1] = 1 + (ending & 1)


def _columns(count: int) -> LedgerColumns:
    return LedgerColumns(
        minute=np.empty(count, np.int32),
        open_minute=np.empty(count, np.int32),
        row=np.empty(count, np.int32),
        key=np.empty(count, np.uint16),
        lots=np.empty(count, np.int64),
        cause=np.empty(count, np.uint8),
    )


def _in_threads(work: list[Callable[[], None]], threads: int | None) -> None:
    with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
        for done in [pool.submit(one) for one in work]:
            done.result()

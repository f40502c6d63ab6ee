"""What bench_model compares: per 4-hour bar, what a model sweeps, what simple guesses say, what was really liquidated.

No fitting anywhere. Real totals come from throttled feeds: their rank counts, their dollars do not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import ArrayLike, NDArray

from liqscape.axes import SymbolScale
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.events import PositionSide
from liqscape.instruments import LEVERAGE_TIERS, Instrument
from liqscape.market.bars import Bar
from liqscape.positions.book import BookStep, Cause, EventBatch, Reconciliation
from liqscape.positions.open_only import OpenOnlyBook
from liqscape.positions.weights import KEY_TIER_SIDE_MASK

BAR_MINUTES: Final = 240
WARM_UP_MINUTES: Final = 10 * 1440
"""Before this the book holds too little of open interest to be judged."""

Totals = dict[int, tuple[float, float]]
"""USD of long and of short positions liquidated, by number of the 4-hour bar: its open in minutes // 240."""


@dataclass(slots=True)
class FourHourBar:
    """One bar: prices in price units, lots traded, minutes of candles in it, USD swept by two models.

    by_tier is what the shipped model swept, [side][index into LEVERAGE_TIERS]; open_only (long, short).
    """

    open: int
    high: int
    low: int
    traded: int = 0
    minutes: int = 0
    by_tier: list[list[float]] = field(default_factory=lambda: [[0.0] * len(LEVERAGE_TIERS) for _ in PositionSide])
    open_only: list[float] = field(default_factory=lambda: [0.0, 0.0])

    @property
    def swept(self) -> tuple[float, float]:
        """Return the USD swept by the shipped model, long and short."""
        return sum(self.by_tier[PositionSide.LONG]), sum(self.by_tier[PositionSide.SHORT])


@dataclass(frozen=True, slots=True)
class Score:
    """Rank correlation with the real totals, long and short, over so many bars."""

    long: float
    short: float
    bars: int


Guess = Callable[[FourHourBar], tuple[float, float]]


def _fall_and_rise(bar: FourHourBar) -> tuple[float, float]:
    """Longs are liquidated by a fall and shorts by a rise, both seen from the open of the bar."""
    return (bar.open - bar.low) / bar.open, (bar.high - bar.open) / bar.open


def _range_and_volume(bar: FourHourBar) -> tuple[float, float]:
    fall, rise = _fall_and_rise(bar)
    return fall * bar.traded, rise * bar.traded


GUESSES: Final[dict[str, Guess]] = {
    "range of the bar": _fall_and_rise,
    "range x volume": _range_and_volume,
    "open-only": lambda bar: (bar.open_only[0], bar.open_only[1]),
    "model as shipped": lambda bar: bar.swept,
}
"""The last one is judged; the others are what it is judged beside."""


class Collector:
    """Watches a shard of one instrument and fills the 4-hour bars; checks the accounts on the way.

    Args:
        instrument: the only one of the symbol.
        scale_of: the symbol's scale, known from the first bar on.
        open_only: run the book beside it that only adds.
    """

    def __init__(
        self, instrument: Instrument, scale_of: Callable[[str], SymbolScale | None], *, open_only: bool = True
    ) -> None:
        self.bars: dict[int, FourHourBar] = {}
        self.samples = 0
        self.violations: list[str] = []
        self.first_minute: int | None = None
        self.end_minute = 0
        self._scale_of = scale_of
        self._instrument = instrument
        self._with_open_only = open_only
        self._open_only: OpenOnlyBook | None = None
        self._live = [0, 0]
        self._uncovered: dict[PositionSide, int] = {}

    def observe(self, symbol: str, bars: list[Bar], step: BookStep) -> None:
        """Take what a tick did."""
        scale = self._scale_of(symbol)
        assert scale is not None
        swept = self._step_open_only(symbol, bars, scale) if self._with_open_only else (0.0, 0.0)
        for bar in bars:
            if bar.trigger is None:
                continue
            if self.first_minute is None:
                self.first_minute = bar.first_minute
            self.end_minute = bar.minute + 1
            known = self._add_prices(bar)
            known.open_only = [known.open_only[0] + swept[0], known.open_only[1] + swept[1]]
        for batch in step.events:
            for side in PositionSide:
                chosen = (batch.cohorts.key & 1) == side
                lots = batch.cohorts.lots[chosen]
                self._live[side] += batch.sign * int(lots.sum())
            if batch.cause is Cause.SWEPT:
                self._add_swept(batch, scale)
        for sample in step.samples:
            self._check(sample)

    def _step_open_only(self, symbol: str, bars: list[Bar], scale: SymbolScale) -> tuple[float, float]:
        """Return the USD that the open-only book swept, long and short."""
        if self._open_only is None:
            self._open_only = OpenOnlyBook(symbol, [self._instrument], scale, NumpyBackend())
        usd = [0.0, 0.0]
        for batch in self._open_only.apply(bars).events:
            if batch.cause is Cause.SWEPT:
                for side in PositionSide:
                    chosen = (batch.cohorts.key & 1) == side
                    usd[side] += _notional(batch.cohorts.lots[chosen], batch.cohorts.row[chosen], scale)
        return usd[0], usd[1]

    def _add_prices(self, bar: Bar) -> FourHourBar:
        price = bar.trigger
        assert price is not None
        number = bar.minute // BAR_MINUTES
        known = self.bars.get(number)
        if known is None:
            known = self.bars[number] = FourHourBar(price.open, price.high, price.low)
        known.high, known.low = max(known.high, price.high), min(known.low, price.low)
        known.traded += 0 if bar.traded is None else bar.traded.total
        known.minutes += bar.minute - bar.first_minute + 1
        return known

    def _add_swept(self, batch: EventBatch, scale: SymbolScale) -> None:
        by_tier = self.bars[batch.minute // BAR_MINUTES].by_tier
        tier_sides = batch.cohorts.key & KEY_TIER_SIDE_MASK
        for tier_side in np.unique(tier_sides).tolist():
            chosen = tier_sides == tier_side
            usd = _notional(batch.cohorts.lots[chosen], batch.cohorts.row[chosen], scale)
            by_tier[tier_side & 1][tier_side >> 1] += usd

    def _check(self, sample: Reconciliation) -> None:
        """Exactly: live + uncovered is open interest, live is the sum of events, uncovered only shrinks."""
        self.samples += 1
        side, where = sample.side, f"minute {sample.minute}, {sample.side.name.lower()}"
        if sample.live_lots + sample.uncovered_lots != sample.open_interest_lots:
            self.violations.append(f"{where}: live + uncovered differs from open interest")
        if sample.live_lots != self._live[side]:
            self.violations.append(f"{where}: live differs from the sum of events")
        if not 0 <= sample.uncovered_lots <= self._uncovered.get(side, sample.uncovered_lots):
            self.violations.append(f"{where}: uncovered has grown or is negative")
        self._uncovered[side] = sample.uncovered_lots


def scored_bars(collector: Collector, totals: Totals) -> tuple[list[int], dict[str, int]]:
    """Return the bars that can be judged, ascending, and how many were left out, by reason."""
    left_out: dict[str, int] = defaultdict(int)
    usable = []
    for number in sorted(collector.bars):
        if collector.bars[number].minutes < BAR_MINUTES:
            left_out["candles do not cover the bar"] += 1
        elif number not in totals:
            left_out["no real total"] += 1
        else:
            usable.append(number)
    return usable, dict(left_out)


def periods(collector: Collector, bars: Sequence[int]) -> dict[str, list[int]]:
    """Return the bars of the whole period after the warm-up, and of its two halves.

    The second half is every bar that opens at or after the middle of the time that the candles span.
    """
    assert collector.first_minute is not None
    warm = collector.first_minute + WARM_UP_MINUTES
    middle = (collector.first_minute + collector.end_minute) // 2
    return {
        "after warm-up": [n for n in bars if n * BAR_MINUTES >= warm],
        "first half": [n for n in bars if warm <= n * BAR_MINUTES < middle],
        "second half": [n for n in bars if n * BAR_MINUTES >= middle],
    }


def score(collector: Collector, totals: Totals, bars: Sequence[int], guess: Guess) -> Score:
    """Return the rank correlation of a guess with the real totals over some bars."""
    guessed = np.array([guess(collector.bars[n]) for n in bars])
    real = np.array([totals[n] for n in bars])
    return Score(spearman(guessed[:, 0], real[:, 0]), spearman(guessed[:, 1], real[:, 1]), len(bars))


def spearman(left: ArrayLike, right: ArrayLike) -> float:
    """Return Spearman's rank correlation; equal values share the mean of their ranks."""
    a, b = average_ranks(left), average_ranks(right)
    a, b = a - a.mean(), b - b.mean()
    return float((a @ b) / np.sqrt((a @ a) * (b @ b)))


def average_ranks(values: ArrayLike) -> NDArray[np.float64]:
    """Return float64[n] ranks from 1, ties averaged."""
    _, inverse, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: NDArray[np.float64] = (last - (counts - 1) / 2)[inverse]
    return ranks


def read_totals(path: Path, time_column: str, long_column: str, short_column: str) -> Totals:
    """Read real totals: stamps in ms or as text in UTC are bar opens; bars marked partial are left out."""
    totals: Totals = {}
    for row in pq.read_table(path).to_pylist():
        stamp = row[time_column]
        seconds = (
            datetime.fromisoformat(stamp).replace(tzinfo=UTC).timestamp() if isinstance(stamp, str) else stamp / 1000
        )
        if not row.get("partial", False):
            totals[int(seconds) // (60 * BAR_MINUTES)] = (row[long_column], row[short_column])
    return totals


def _notional(lots: NDArray[np.int64], rows: NDArray[np.signedinteger], scale: SymbolScale) -> float:
    """Return lots x the price at the middle of their row, in quote currency."""
    doubled = int((lots * (2 * rows.astype(np.int64) + 1)).sum())
    return float(doubled * scale.base_step / (2 * 10**scale.price_decimals * 10**scale.lot_decimals))

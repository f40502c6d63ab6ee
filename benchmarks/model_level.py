"""How much the model predicts for each dollar printed, by how far the price went; and from which tiers it comes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from benchmarks.model_scores import FourHourBar, Totals
from liqscape.events import PositionSide
from liqscape.instruments import LEVERAGE_TIERS, Instrument
from liqscape.positions.margin import liquidation_ratio


@dataclass(frozen=True, slots=True)
class Level:
    """Bars in which the price reached the liquidation distance of one tier and no further; pairs are long, short.

    Attributes:
        reached: the tier, or "less" for bars that reached none.
        bars: how many.
        printed_usd: real totals of these bars.
        predicted_usd: what the model swept in these bars.
        tier_shares: share of this tier in everything the model swept, in all bars.
    """

    reached: str
    bars: tuple[int, int]
    printed_usd: tuple[float, float]
    predicted_usd: tuple[float, float]
    tier_shares: tuple[float, float]

    def ratio(self, side: int) -> float:
        """Return predicted over printed USD; 0 where nothing was printed."""
        return self.predicted_usd[side] / self.printed_usd[side] if self.printed_usd[side] else 0.0


def levels(
    bars: Mapping[int, FourHourBar], totals: Totals, numbers: Sequence[int], instrument: Instrument
) -> list[Level]:
    """Return the groups from the nearest to the farthest distance.

    Args:
        bars: what the model swept, by number.
        totals: what was really liquidated.
        numbers: the bars to count.
        instrument: whose rules give the distances.
    """
    names = ["less", *(f"{tier}x" for tier in reversed(instrument.leverage_tiers))]
    columns = [_by_distance(bars, totals, numbers, instrument, side) for side in PositionSide]
    return [
        Level(
            reached=name,
            bars=(long[0], short[0]),
            printed_usd=(long[1], short[1]),
            predicted_usd=(long[2], short[2]),
            tier_shares=(long[3], short[3]),
        )
        for name, long, short in zip(names, *columns, strict=True)
    ]


def _by_distance(
    bars: Mapping[int, FourHourBar],
    totals: Totals,
    numbers: Sequence[int],
    instrument: Instrument,
    side: PositionSide,
) -> list[tuple[int, float, float, float]]:
    """Return (bars, printed, predicted, share of the tier) for each group of one side, nearest first."""
    nearest_first = tuple(reversed(instrument.leverage_tiers))
    distances = [abs(1 - liquidation_ratio(instrument, tier, side)) for tier in nearest_first]
    groups: list[list[int]] = [[] for _ in range(len(nearest_first) + 1)]
    for number in numbers:
        moved = _moved(bars[number], side)
        groups[sum(moved >= distance for distance in distances)].append(number)
    everything = sum(bars[n].swept[side] for n in numbers)
    of_tier = [sum(bars[n].by_tier[side][LEVERAGE_TIERS.index(tier)] for n in numbers) for tier in nearest_first]
    return [
        (
            len(group),
            sum(totals[n][side] for n in group),
            sum(bars[n].swept[side] for n in group),
            swept / everything if everything else 0.0,
        )
        for group, swept in zip(groups, [0.0, *of_tier], strict=True)
    ]


def _moved(bar: FourHourBar, side: PositionSide) -> Fraction:
    """Return how far the price went against one side from the open of the bar, as a share of it."""
    return Fraction(bar.open - bar.low if side is PositionSide.LONG else bar.high - bar.open, bar.open)

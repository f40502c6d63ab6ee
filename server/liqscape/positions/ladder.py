"""Ladders: a position too big for the first maintenance tier is liquidated in steps, each at a price of its own.

The venue brings it down to the cap of a lower tier, takes the closed part at its bankruptcy price, and looks again. So
what is left keeps its margin per unit, and its next price is that of a position of its size in its tier. How big
positions are is not public: the size mix is an assumption, by default that all are in the first tier, which is what
real prints show of most (their distance to bankruptcy is the lowest rate).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TypeAlias

from liqscape.errors import ConfigError, ModelError
from liqscape.instruments import Instrument
from liqscape.positions.mix import SHARE_ONE, TierSplit, apportion


@dataclass(frozen=True, slots=True)
class LadderStep:
    """Part of the lots of a leverage tier, closed at one price.

    Attributes:
        maintenance_tier: index of the tier whose rate decides the price.
        size: of the whole position when it is taken, in the unit of the venue's table.
        share: millionths of the tier's lots; those of a ladder sum to one.
    """

    maintenance_tier: int
    size: Fraction
    share: int


Ladder: TypeAlias = tuple[LadderStep, ...]


def ladders(instrument: Instrument, size_mix: Sequence[int] | None = None) -> tuple[Ladder, ...]:
    """Return the ladder of each leverage tier the venue allows.

    Args:
        instrument: the contract and its rules.
        size_mix: shares of the lots held in positions of each maintenance tier, millionths that sum to one; None: all
            in the first. Where a leverage is not offered to positions so big, they are in the highest tier it is.

    Raises:
        ConfigError: the mix does not fit the venue's table.
    """
    tiers, mix = len(instrument.maintenance_tiers), size_mix_of(instrument, size_mix)
    if len(mix) != tiers or sum(mix) != SHARE_ONE or min(mix) < 0:
        raise ConfigError(
            f"size mix {mix} of {instrument.instrument_id} is invalid; it needs {tiers} shares, one a maintenance tier,"
            f" of 0 or more millionths that sum to {SHARE_ONE}"
        )
    return _ladders(instrument, mix)


def size_mix_of(instrument: Instrument, size_mix: Sequence[int] | None) -> tuple[int, ...]:
    """Return a mix as shares in millionths, one for each maintenance tier; all in the first for None."""
    return tuple(size_mix) if size_mix is not None else (SHARE_ONE, *[0] * (len(instrument.maintenance_tiers) - 1))


class LadderSplit:
    """Splits what opens on one side over leverage tiers, then each tier's part over the steps of its ladder.

    Args:
        mix: inflow shares of the tiers, millionths.
        of_tiers: ladder of each of them.
    """

    __slots__ = ("_steps", "_tiers")

    def __init__(self, mix: Sequence[int], of_tiers: Sequence[Ladder]) -> None:
        self._tiers = TierSplit(mix)
        single = all(len(ladder) == 1 for ladder in of_tiers)
        self._steps = None if single else [TierSplit([step.share for step in ladder]) for ladder in of_tiers]

    @property
    def credits(self) -> tuple[int, ...]:
        """Return what each tier is owed, then what each step of each ladder is, in millionths of a lot."""
        return tuple(owed for split in self._splits for owed in split.credits)

    @credits.setter
    def credits(self, owed: tuple[int, ...]) -> None:
        if len(owed) != len(self.credits):
            raise ModelError(f"{len(owed)} credits are not those of {len(self.credits)} tiers and steps")
        for split in self._splits:
            mine = len(split.credits)
            split.credits, owed = owed[:mine], owed[mine:]

    @property
    def _splits(self) -> list[TierSplit]:
        return [self._tiers, *(self._steps or ())]

    def split(self, lots: int) -> list[int]:
        """Return the parts by slot; they sum to the lots, and over time each gets its share to within a lot or two."""
        of_tiers = self._tiers.split(lots)
        if self._steps is None:
            return of_tiers
        return [part for total, steps in zip(of_tiers, self._steps, strict=True) for part in steps.split(total)]


def position_steps(
    instrument: Instrument, maintenance_tier: int, size: Fraction | None = None
) -> list[tuple[int, Fraction, Fraction]]:
    """Return (maintenance tier, size, share of the position) of the steps a position of that tier is liquidated in.

    Args:
        instrument: the contract and its rules.
        maintenance_tier: index of the tier the position is in.
        size: of the position, in Instrument.tier_unit; None: the middle of its tier.
    """
    tiers, down = instrument.maintenance_tiers, instrument.ladder_step
    tier = tiers[maintenance_tier]
    whole = left = Fraction(tier.notional_floor + tier.notional_cap, 2) if size is None else size
    steps: list[tuple[int, Fraction, Fraction]] = []
    while down and maintenance_tier >= down:
        kept = Fraction(tiers[maintenance_tier - down].notional_cap)
        steps.append((maintenance_tier, left, (left - kept) / whole))
        maintenance_tier, left = maintenance_tier - down, kept
    return [*steps, (maintenance_tier, left, left / whole)]


@lru_cache(maxsize=1024)
def _ladders(instrument: Instrument, size_mix: tuple[int, ...]) -> tuple[Ladder, ...]:
    """Return the ladders of a mix that fits; kept, as every book of an instrument asks for the same ones."""
    return tuple(_ladder(instrument, leverage, size_mix) for leverage in instrument.leverage_tiers)


def _ladder(instrument: Instrument, leverage: int, size_mix: Sequence[int]) -> Ladder:
    """Return the steps of all sizes together, those of one tier and size merged, the first to be reached first."""
    highest = max(t for t in range(len(size_mix)) if _is_offered(instrument, leverage, t))
    shares: dict[tuple[int, Fraction], Fraction] = {}
    for maintenance_tier, of_lots in enumerate(size_mix):
        if of_lots:
            for tier, size, part in position_steps(instrument, min(maintenance_tier, highest)):
                shares[tier, size] = shares.get((tier, size), Fraction(0)) + of_lots * part
    ordered = sorted(shares, key=lambda step: (-step[0], -step[1]))
    parts = apportion([shares[step] for step in ordered], SHARE_ONE)
    return tuple(LadderStep(tier, size, part) for (tier, size), part in zip(ordered, parts, strict=True))


def _is_offered(instrument: Instrument, leverage: int, maintenance_tier: int) -> bool:
    """Return whether a position in the middle of the tier may have this leverage, and margin beyond maintenance."""
    tier = instrument.maintenance_tiers[maintenance_tier]
    spared = 2 * tier.maintenance_amount / (tier.notional_floor + tier.notional_cap)
    maintenance = tier.maintenance_margin_rate + instrument.fee_rate - spared
    return leverage <= tier.max_leverage and Fraction(1, leverage) > maintenance

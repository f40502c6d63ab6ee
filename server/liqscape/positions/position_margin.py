"""What becomes of one isolated position under its venue's rules: where liquidated, where bankrupt, in which steps.

Pure: exact ratios in, exact ratios out. The engine opens cohorts by the same functions of margin.py and ladder.py; this
is the same rule asked about a single position whose size is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from liqscape.errors import InvalidArgument
from liqscape.events import PositionSide
from liqscape.instruments import Instrument, MaintenanceTier
from liqscape.positions.ladder import position_steps
from liqscape.positions.margin import bankruptcy_ratio, liquidation_ratio, maintenance_rate


@dataclass(frozen=True, slots=True)
class MarginStep:
    """A part of the position that is closed at one price.

    Attributes:
        maintenance_tier: index of the tier whose rate decides the price.
        share: of the whole position.
        price: in quote.
    """

    maintenance_tier: int
    share: Fraction
    price: Fraction


@dataclass(frozen=True, slots=True)
class PositionMargin:
    """A position and where it ends. Prices are in quote, sizes in base coins.

    Attributes:
        instrument: the contract and its rules.
        side, entry, leverage, size: of the position; an inverse one has that size at its entry price.
        maintenance_tier: index of the tier it is in when it is liquidated.
        rate: maintenance margin rate there, the fee left out.
        liquidation_price: of the whole position: where the first step is taken.
        bankruptcy_price: where the initial margin is lost.
        steps: in the order in which the price reaches them; the shares sum to one.
    """

    instrument: Instrument
    side: PositionSide
    entry: Fraction
    leverage: Fraction
    size: Fraction
    maintenance_tier: int
    rate: Fraction
    liquidation_price: Fraction
    bankruptcy_price: Fraction
    steps: tuple[MarginStep, ...]

    @property
    def tier(self) -> MaintenanceTier:
        """Return the maintenance tier the position is in when it is liquidated."""
        return self.instrument.maintenance_tiers[self.maintenance_tier]


def position_margin(
    instrument: Instrument,
    *,
    side: PositionSide,
    entry: Fraction,
    leverage: Fraction,
    size: Fraction | None = None,
    maintenance_tier: int | None = None,
) -> PositionMargin:
    """Return where an isolated position without added margin ends.

    Args:
        instrument: the contract and its rules.
        side: of the position.
        entry: price, in quote.
        leverage: position value over margin at entry.
        size: base coins; None: one coin, or the middle of the tier where one is given.
        maintenance_tier: index of the tier it is opened in; None: by size. With a size, the tier whatever it holds.

    Raises:
        InvalidArgument: a value is out of range, or the venue does not offer such a position.
    """
    tiers = instrument.maintenance_tiers
    if entry <= 0 or leverage < 1 or (size is not None and size <= 0):
        raise InvalidArgument(f"entry {entry} and size {size} must be above 0, leverage {leverage} at least 1")
    if maintenance_tier is not None and not 0 <= maintenance_tier < len(tiers):
        raise InvalidArgument(f"maintenance tier {maintenance_tier + 1} is unknown; use 1 to {len(tiers)}")
    is_forced = size is not None and maintenance_tier is not None
    a_coin = units_of_a_coin(instrument, entry)
    if size is None and maintenance_tier is not None:
        size = Fraction(tiers[maintenance_tier].notional_floor + tiers[maintenance_tier].notional_cap, 2) / a_coin
    held = Fraction(1) if size is None else size
    units = held * a_coin
    opened_in = _tier_holding(instrument, units) if maintenance_tier is None else maintenance_tier
    _refuse_leverage(instrument, opened_in, leverage)
    found = opened_in if is_forced else _tier_at_liquidation(instrument, leverage, side, units, opened_in)
    rate = maintenance_rate(instrument, leverage, found, units)
    price = entry * liquidation_ratio(instrument, leverage, side, found, units, rate=rate)
    return PositionMargin(
        instrument=instrument,
        side=side,
        entry=entry,
        leverage=leverage,
        size=held,
        maintenance_tier=found,
        rate=rate,
        liquidation_price=price,
        bankruptcy_price=entry * bankruptcy_ratio(leverage, side, inverse=instrument.is_inverse),
        steps=_steps(instrument, side, entry, leverage, found, units, price),
    )


def units_of_a_coin(instrument: Instrument, price: Fraction) -> Fraction:
    """Return how much one base coin is, at a price, in the unit of the venue's margin table."""
    if instrument.tier_unit == "quote":
        return price
    if instrument.tier_unit == "base":
        return Fraction(1)
    if instrument.contract_value is not None:
        return price / instrument.contract_value
    return 1 / instrument.contract_size


def _tier_holding(instrument: Instrument, units: Fraction) -> int:
    for number, tier in enumerate(instrument.maintenance_tiers):
        if units <= tier.notional_cap:
            return number
    last = instrument.maintenance_tiers[-1].notional_cap
    unit = "of quote" if instrument.tier_unit == "quote" else instrument.tier_unit
    raise InvalidArgument(
        f"a position of {float(units):,.0f} {unit} is above what the table of {instrument.instrument_id}"
        f" holds: {last:,}"
    )


def _refuse_leverage(instrument: Instrument, maintenance_tier: int, leverage: Fraction) -> None:
    most = instrument.maintenance_tiers[maintenance_tier].max_leverage
    if leverage > most:
        raise InvalidArgument(
            f"leverage {float(leverage):g} on {instrument.instrument_id} is not offered in maintenance tier"
            f" {maintenance_tier + 1}; use at most {most}"
        )


def _tier_at_liquidation(
    instrument: Instrument, leverage: Fraction, side: PositionSide, units: Fraction, opened_in: int
) -> int:
    """Return the lowest tier that is not too small for the position's value at its liquidation price.

    Only a size counted in money or, of inverse contracts, in coins changes with the price. A value beyond the table
    keeps the tier at entry.
    """
    counted_in_quote = instrument.tier_unit == "quote" and not instrument.is_inverse
    if not counted_in_quote and not (instrument.tier_unit == "base" and instrument.is_inverse):
        return opened_in
    for number, tier in enumerate(instrument.maintenance_tiers):
        if (
            Fraction(1) / leverage + tier.maintenance_amount / units
            <= tier.maintenance_margin_rate + instrument.fee_rate
        ):
            continue
        ratio = liquidation_ratio(instrument, leverage, side, number, units)
        then = units * ratio if counted_in_quote else units / ratio
        if then <= tier.notional_cap:
            return number
    return opened_in


def _steps(
    instrument: Instrument,
    side: PositionSide,
    entry: Fraction,
    leverage: Fraction,
    maintenance_tier: int,
    units: Fraction,
    price: Fraction,
) -> tuple[MarginStep, ...]:
    first = instrument.first_part
    if first is not None and units * price / entry > first.above_quote:
        rest = _price_of_the_rest(instrument, side, maintenance_tier, units / entry, price, first.share)
        return (
            MarginStep(maintenance_tier, first.share, price),
            MarginStep(maintenance_tier, 1 - first.share, rest),
        )
    found: list[MarginStep] = []
    for tier, left, share in position_steps(instrument, maintenance_tier, units):
        rate = maintenance_rate(instrument, leverage, tier, left)
        at = entry * liquidation_ratio(instrument, leverage, side, tier, left, rate=rate)
        if found:  # what is short of margin still is closed on at the price already reached
            at = min(at, found[-1].price) if side is PositionSide.LONG else max(at, found[-1].price)
        found.append(MarginStep(tier, share, at))
    return tuple(found)


def _price_of_the_rest(
    instrument: Instrument, side: PositionSide, maintenance_tier: int, size: Fraction, price: Fraction, closed: Fraction
) -> Fraction:
    """Return where the rest is liquidated once a share of a linear position was closed at its liquidation price.

    No margin leaves with the closed part: equity stays what maintenance of the whole was, and the rest needs less.
    """
    tier = instrument.maintenance_tiers[maintenance_tier]
    toward = 1 if side is PositionSide.LONG else -1
    left = size * (1 - closed)
    equity = tier.maintenance_margin_rate * size * price - tier.maintenance_amount
    spare = toward * (equity + tier.maintenance_amount)
    return (left * price - spare) / (left * (1 - toward * tier.maintenance_margin_rate))

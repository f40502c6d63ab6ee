"""Instruments and the venue rules the model needs, as dated tables.

A table is shipped in rules/*.toml with its source and date; nothing here talks to a venue. What a source line calls
UNVERIFIED is a figure of common knowledge or by analogy: right enough to simulate, to be read anew before real use.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from functools import cache
from importlib.resources import files
from typing import Any, Final

from liqscape.errors import InvalidArgument, NotFound

LEVERAGE_TIERS: Final = (3, 5, 10, 20, 25, 50, 75, 100, 125)
"""Assumed leverages; a venue offers those up to its maximum. The index in this tuple is the tier index of a key."""

AT_MARK: Final = "at_mark"
"""Maintenance margin is a rate of the position's value at the mark price: most venues."""

AT_ENTRY: Final = "at_entry"
"""Maintenance margin is a rate of the value at entry, so it does not move with the price."""

CONTEXT: Final = "context"
"""The venue has no rule by which a position's liquidation price follows: brokers decide. Its rows are an assumption."""

MARGIN_FORMS: Final = (AT_MARK, AT_ENTRY, CONTEXT)


@dataclass(frozen=True, slots=True)
class MaintenanceTier:
    """One step of a venue's margin table, for positions of [notional_floor, notional_cap).

    Both are in the unit in which the venue counts them, Instrument.tier_unit, and so is maintenance_amount, which the
    venue takes off rate x notional. It is 0 in every tier where the rate of a tier holds for the whole position.
    """

    notional_floor: int
    notional_cap: int
    maintenance_margin_rate: Fraction
    maintenance_amount: Fraction
    max_leverage: int


@dataclass(frozen=True, slots=True)
class AdjustmentStep:
    """Maintenance rate x leverage of positions of [floor, cap) at one leverage: a venue whose rate depends on both.

    Bounds are in Instrument.tier_unit; cap None: no bound.
    """

    floor: int
    cap: int | None
    factor: Fraction


@dataclass(frozen=True, slots=True)
class PartialLiquidation:
    """A share of a position that is closed first where its value exceeds an amount of quote."""

    share: Fraction
    above_quote: int


@dataclass(frozen=True, slots=True)
class Instrument:
    """One perpetual contract on one venue.

    Attributes:
        venue: for example binance.
        name: the venue's own name, for example BTCUSDT.
        symbol: base coin, for example BTC.
        contract: linear (margined in quote, counted in base coin) or inverse (margined in base coin, counted in
            contracts of a fixed worth in quote).
        price_decimals: decimal places of the tick size.
        trigger: price whose touch liquidates: mark, last or index.
        maintenance_tiers: margin table, ascending.
        fee_rate: fee that is part of the venue's liquidation formula.
        rules_date: ISO date of the table.
        rules_source: where the table was read, and what in it is UNVERIFIED.
        contract_value: quote that one contract is worth; of inverse contracts alone.
        ladder_step: maintenance tiers by which a partial liquidation brings a position down; 0: closed at once.
        tier_unit: what the bounds of the margin table count: quote, base or contracts.
        contract_size: base coins in one contract of a linear instrument, as the venue counts orders; 1 where it counts
            coins. Of an inverse one: contracts in one of what it counts orders in.
        margin_form: what the maintenance rate is a rate of: one of MARGIN_FORMS.
        rate_per_unit: what each coin of a position beyond the first adds to the rate, where it grows with no brackets.
        adjustments: by leverage, ascending, the steps of a venue whose rate depends on the leverage chosen; the row of
            the next higher leverage holds for one that is not listed. Empty: it does not.
        first_part: closed first where a position is large; None: the ladder alone decides.
        liquidation_order: how the venue closes a position, in words.
    """

    venue: str
    name: str
    symbol: str
    contract: str
    price_decimals: int
    trigger: str
    maintenance_tiers: tuple[MaintenanceTier, ...]
    fee_rate: Fraction
    rules_date: str
    rules_source: str
    contract_value: Fraction | None = None
    ladder_step: int = 0
    tier_unit: str = "quote"
    contract_size: Fraction = Fraction(1)
    margin_form: str = AT_MARK
    rate_per_unit: Fraction = Fraction(0)
    adjustments: tuple[tuple[int, tuple[AdjustmentStep, ...]], ...] = ()
    first_part: PartialLiquidation | None = None
    liquidation_order: str = ""

    def __post_init__(self) -> None:
        """Refuse a contract the model cannot count.

        Raises:
            InvalidArgument: the kind of contract or the margin form is unknown, or an inverse one has no worth.
        """
        worth = self.contract_value
        if self.contract not in ("linear", "inverse"):
            raise InvalidArgument(
                f"contract {self.contract!r} of {self.instrument_id} is unknown; use linear or inverse"
            )
        if self.margin_form not in MARGIN_FORMS or (self.is_inverse and self.margin_form == AT_ENTRY):
            raise InvalidArgument(
                f"margin form {self.margin_form!r} of {self.instrument_id} is unknown for {self.contract} contracts;"
                f" use one of {', '.join(MARGIN_FORMS)}, {AT_ENTRY} for linear ones alone"
            )
        if self.is_inverse != (worth is not None and worth > 0):
            raise InvalidArgument(
                f"contract {self.contract!r} of {self.instrument_id} has the contract_value {worth!r};"
                " an inverse one needs one above 0, a linear one none"
            )

    @property
    def instrument_id(self) -> str:
        """Return the id used in events and files: venue:name."""
        return f"{self.venue}:{self.name}"

    @property
    def is_inverse(self) -> bool:
        """Return whether positions are counted in contracts of a fixed worth in quote."""
        return self.contract == "inverse"

    @property
    def max_leverage(self) -> int:
        """Return the highest leverage the venue offers."""
        return max(tier.max_leverage for tier in self.maintenance_tiers)

    @property
    def maintenance_margin_rate(self) -> Fraction:
        """Return the rate of the lowest maintenance tier: real prints show that most liquidated positions are in it."""
        return self.maintenance_tiers[0].maintenance_margin_rate

    @property
    def leverage_tiers(self) -> tuple[int, ...]:
        """Return the assumed leverages the venue offers and whose margin exceeds maintenance: the lowest ones."""
        floor = self.maintenance_margin_rate + self.fee_rate
        return tuple(x for x in LEVERAGE_TIERS if x <= self.max_leverage and Fraction(1, x) > floor)


def find_instrument(instrument_id: str, on: date | None = None) -> Instrument:
    """Return a shipped instrument.

    Args:
        instrument_id: venue:name.
        on: under the rules in force that day as far as tables of it are shipped: the newest table not after it, or
            else the oldest. None: the newest.

    Raises:
        NotFound: no table names it; the text lists those of the venue that exist, or the venues.
    """
    known = instrument_tables()
    if instrument_id not in known:
        venue = instrument_id.partition(":")[0]
        of_venue = [name for name in known if name.startswith(f"{venue}:")]
        venues = dict.fromkeys(f"{name.partition(':')[0]}:..." for name in known)
        raise NotFound(f"instrument {instrument_id!r} is unknown; known are {', '.join(of_venue or venues)}")
    tables = known[instrument_id]
    if on is None:
        return tables[-1]
    in_force = [table for table in tables if table.rules_date <= on.isoformat()]
    return in_force[-1] if in_force else tables[0]


@cache
def shipped_instruments() -> dict[str, Instrument]:
    """Return every instrument of the shipped tables by id, under its newest rules: by venue, linear ones first."""
    return {name: tables[-1] for name, tables in instrument_tables().items()}


@cache
def instrument_tables() -> dict[str, tuple[Instrument, ...]]:
    """Return the tables of every instrument by id, the oldest first."""
    tables = [e for e in files("liqscape").joinpath("rules").iterdir() if e.name.endswith(".toml")]
    found = [i for table in tables for i in read_rules(tomllib.loads(table.read_text("utf-8")))]
    found.sort(key=lambda i: (i.venue, i.is_inverse, i.name, i.rules_date))
    by_id: dict[str, tuple[Instrument, ...]] = {}
    for instrument in found:
        by_id[instrument.instrument_id] = (*by_id.get(instrument.instrument_id, ()), instrument)
    return by_id


def read_rules(table: Mapping[str, Any]) -> list[Instrument]:
    """Return the instruments of one table of rules, as parsed from TOML; see rules/README.md for its keys."""
    return [_instrument(table, {**table, **row}, row.get("source")) for row in table["instruments"]]


def _instrument(table: Mapping[str, Any], row: Mapping[str, Any], own_source: str | None) -> Instrument:
    """Return one instrument; row: its keys over those of the table, which hold for all of it."""
    first = row.get("first_part")
    return Instrument(
        venue=table["venue"],
        name=row["name"],
        symbol=row["symbol"],
        contract=row["contract"],
        price_decimals=row["price_decimals"],
        trigger=row["trigger"],
        maintenance_tiers=tuple(
            MaintenanceTier(int(floor), int(cap), Fraction(rate), Fraction(amount), int(leverage))
            for floor, cap, rate, amount, leverage in row["maintenance_tiers"]
        ),
        fee_rate=Fraction(row["fee_rate"]),
        rules_date=row["date"],
        rules_source="; ".join(text for text in (table["source"], own_source) if text),
        contract_value=Fraction(row["contract_value"]) if "contract_value" in row else None,
        ladder_step=row["ladder_step"],
        tier_unit=row.get("tier_unit", "quote"),
        contract_size=Fraction(row.get("contract_size", 1)),
        margin_form=row.get("margin_form", AT_MARK),
        rate_per_unit=Fraction(row.get("rate_per_unit", 0)),
        adjustments=tuple(
            (leverage, tuple(AdjustmentStep(floor, cap or None, Fraction(factor)) for floor, cap, factor in steps))
            for leverage, steps in row.get("adjustments", ())
        ),
        first_part=PartialLiquidation(Fraction(first["share"]), first["above_quote"]) if first else None,
        liquidation_order=row.get("liquidation_order", ""),
    )

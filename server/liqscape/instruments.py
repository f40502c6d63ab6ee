"""Instruments and the venue rules the model needs, as dated tables.

A table is shipped in rules/*.toml with its source and date; nothing here talks to a venue. What a source line calls
UNVERIFIED is a figure of common knowledge or by analogy: right enough to simulate, to be read anew before real use.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from importlib.resources import files
from typing import Any, Final

from liqscape.errors import InvalidArgument, NotFound

LEVERAGE_TIERS: Final = (3, 5, 10, 20, 25, 50, 75, 100, 125)
"""Assumed leverages; a venue offers those up to its maximum. The index in this tuple is the tier index of a key."""


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

    def __post_init__(self) -> None:
        """Refuse a contract the model cannot count.

        Raises:
            InvalidArgument: the kind of contract is unknown, or an inverse one has no worth.
        """
        worth = self.contract_value
        if self.contract not in ("linear", "inverse"):
            raise InvalidArgument(
                f"contract {self.contract!r} of {self.instrument_id} is unknown; use linear or inverse"
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
        """Return the assumed leverages the venue offers and whose margin exceeds maintenance."""
        floor = self.maintenance_margin_rate + self.fee_rate
        return tuple(x for x in LEVERAGE_TIERS if x <= self.max_leverage and Fraction(1, x) > floor)


def find_instrument(instrument_id: str) -> Instrument:
    """Return a shipped instrument.

    Raises:
        NotFound: no table names it; the text lists those that exist.
    """
    known = shipped_instruments()
    if instrument_id not in known:
        raise NotFound(f"instrument {instrument_id!r} is unknown; known are {', '.join(known)}")
    return known[instrument_id]


@cache
def shipped_instruments() -> dict[str, Instrument]:
    """Return every instrument of the shipped tables by id: by venue, linear ones first."""
    tables = [e for e in files("liqscape").joinpath("rules").iterdir() if e.name.endswith(".toml")]
    found = [i for table in tables for i in _read_table(tomllib.loads(table.read_text("utf-8")))]
    found.sort(key=lambda i: (i.venue, i.is_inverse, i.name))
    return {instrument.instrument_id: instrument for instrument in found}


def _read_table(table: dict[str, Any]) -> list[Instrument]:
    return [
        Instrument(
            venue=table["venue"],
            name=row["name"],
            symbol=row["symbol"],
            contract=row["contract"],
            price_decimals=row["price_decimals"],
            trigger=table["trigger"],
            maintenance_tiers=tuple(
                MaintenanceTier(int(floor), int(cap), Fraction(rate), Fraction(amount), int(leverage))
                for floor, cap, rate, amount, leverage in row["maintenance_tiers"]
            ),
            fee_rate=Fraction(table["fee_rate"]),
            rules_date=table["date"],
            rules_source="; ".join(text for text in (table["source"], row.get("source")) if text),
            contract_value=Fraction(row["contract_value"]) if "contract_value" in row else None,
            ladder_step=table["ladder_step"],
            tier_unit=row.get("tier_unit", "quote"),
            contract_size=Fraction(row.get("contract_size", 1)),
        )
        for row in table["instruments"]
    ]

"""Instruments and the venue rules the model needs, as dated tables.

A table is shipped in rules/*.toml with its source and date; nothing here talks to a venue.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from importlib.resources import files
from typing import Any, Final

from liqscape.errors import NotFound

LEVERAGE_TIERS: Final = (3, 5, 10, 20, 25, 50, 75, 100, 125)
"""Assumed leverages; a venue offers those up to its maximum. The index in this tuple is the tier index of a key."""


@dataclass(frozen=True, slots=True)
class MaintenanceTier:
    """One step of a venue's margin table, for positions of notional in [notional_floor, notional_cap) quote."""

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
        contract: linear (margined and counted in quote and base) or inverse.
        price_decimals: decimal places of the tick size.
        trigger: price whose touch liquidates: mark, last or index.
        maintenance_tiers: margin table, ascending.
        fee_rate: fee that is part of the venue's liquidation formula.
        rules_date: ISO date of the table.
        rules_source: where the table was read.
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

    @property
    def instrument_id(self) -> str:
        """Return the id used in events and files: venue:name."""
        return f"{self.venue}:{self.name}"

    @property
    def maintenance_margin_rate(self) -> Fraction:
        """Return the rate of the lowest maintenance tier: real prints show that most liquidated positions are in it."""
        return self.maintenance_tiers[0].maintenance_margin_rate

    @property
    def leverage_tiers(self) -> tuple[int, ...]:
        """Return the assumed leverages the venue offers and whose margin exceeds maintenance."""
        cap = max(t.max_leverage for t in self.maintenance_tiers)
        floor = self.maintenance_margin_rate + self.fee_rate
        return tuple(x for x in LEVERAGE_TIERS if x <= cap and Fraction(1, x) > floor)


def find_instrument(instrument_id: str) -> Instrument:
    """Return a shipped instrument.

    Raises:
        NotFound: no table names it; the text lists those that exist.
    """
    known = shipped_instruments()
    if instrument_id not in known:
        raise NotFound(f"instrument {instrument_id!r} is unknown; known are {', '.join(sorted(known))}")
    return known[instrument_id]


@cache
def shipped_instruments() -> dict[str, Instrument]:
    """Return every instrument of the shipped tables by id."""
    found: dict[str, Instrument] = {}
    for entry in sorted(files("liqscape").joinpath("rules").iterdir(), key=lambda e: e.name):
        if entry.name.endswith(".toml"):
            for instrument in _read_table(tomllib.loads(entry.read_text("utf-8"))):
                found[instrument.instrument_id] = instrument
    return found


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
            rules_source=table["source"],
        )
        for row in table["instruments"]
    ]

"""The terms on which positions of an instrument open: its venue's rules and the mixes in force, and how they change.

A change acts on what opens from then on: what is open keeps the row and the tier it was given. So it is exact wherever
keys, units and triggers stay what they are; everything else of an instrument is fixed for the life of a data folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from fractions import Fraction
from typing import Any, Final

from liqscape.errors import ConfigError, LiqscapeError
from liqscape.instruments import Instrument, MaintenanceTier

CHANGEABLE: Final = frozenset({"maintenance_tiers", "fee_rate", "rules_date", "rules_source", "ladder_step"})
"""Fields of an Instrument that decide nothing but where positions end that open."""


class UnreadableTerms(LiqscapeError):
    """Plain values that are not terms as they are known here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Of one instrument.

    Attributes:
        instrument: with the rules of its venue.
        inflow_mix: shares of what opens, millionths by leverage tier.
        size_mix: shares of the lots, millionths by maintenance tier.
    """

    instrument: Instrument
    inflow_mix: tuple[int, ...]
    size_mix: tuple[int, ...]

    @property
    def instrument_id(self) -> str:
        """Return whose they are."""
        return self.instrument.instrument_id

    def changed_from(self, before: Terms) -> str:
        """Say what differs from the terms before, in words; nothing where nothing does.

        Raises:
            ConfigError: the change would not be exact.
        """
        differing = [f.name for f in fields(Instrument) if _field(self, f.name) != _field(before, f.name)]
        fixed = [name for name in differing if name not in CHANGEABLE]
        if fixed:
            raise ConfigError(f"{', '.join(fixed)} of {self.instrument_id}, which cannot change in a data folder")
        gone = sorted(set(before.instrument.leverage_tiers) - set(self.instrument.leverage_tiers))
        if gone:
            tiers = ", ".join(f"{tier}x" for tier in gone)
            raise ConfigError(f"{tiers} of {self.instrument_id}, which may be open, and would be no leverage any more")
        if self.inflow_mix != before.inflow_mix:
            differing.append("inflow_mix")
        if self.size_mix != before.size_mix:
            differing.append("size_mix")
        return ", ".join(differing)


def terms_as_plain(terms: Iterable[Terms]) -> dict[str, Any]:
    """Return terms as JSON knows them, by instrument id."""
    return {t.instrument_id: _plain(t) for t in terms}


def terms_of_plain(plain: Mapping[str, Any]) -> dict[str, Terms]:
    """Return the terms that plain values stand for, by instrument id.

    Raises:
        UnreadableTerms: they stand for none.
    """
    try:
        found = [
            Terms(
                instrument=_instrument(value["rules"]),
                inflow_mix=tuple(int(share) for share in value["inflow_mix"]),
                size_mix=tuple(int(share) for share in value["size_mix"]),
            )
            for value in plain.values()
        ]
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, LiqscapeError) as error:
        raise UnreadableTerms(f"terms cannot be read: {error!r}") from error
    return {terms.instrument_id: terms for terms in found}


def terms_text(terms: Terms) -> str:
    """Return terms as a line of JSON."""
    return json.dumps(_plain(terms), sort_keys=True, separators=(",", ":"))


def _field(terms: Terms, name: str) -> object:
    return getattr(terms.instrument, name)


def _plain(terms: Terms) -> dict[str, Any]:
    rules = {f.name: _plain_field(_field(terms, f.name)) for f in fields(Instrument)}
    return {"rules": rules, "inflow_mix": list(terms.inflow_mix), "size_mix": list(terms.size_mix)}


def _plain_field(value: Any) -> Any:
    if isinstance(value, Fraction):
        return str(value)
    if isinstance(value, MaintenanceTier):
        return [_plain_field(getattr(value, f.name)) for f in fields(MaintenanceTier)]
    if isinstance(value, tuple):
        return [_plain_field(item) for item in value]
    return value


def _instrument(rules: Mapping[str, Any]) -> Instrument:
    """Return an instrument; a field that was added since the rules were written down has its default."""
    known = {f.name: f for f in fields(Instrument)}
    unknown = sorted(set(rules) - set(known))
    if unknown:
        raise UnreadableTerms(f"{unknown[0]!r} is no rule known here")
    values: dict[str, Any] = {}
    for name, field in known.items():
        if name in rules:
            values[name] = _read_field(name, rules[name], field.default)
        elif field.default is MISSING:
            raise UnreadableTerms(f"the rules lack {name}")
    return Instrument(**values)


def _read_field(name: str, value: Any, default: Any) -> Any:
    if name == "maintenance_tiers":
        return tuple(
            MaintenanceTier(int(floor), int(cap), Fraction(rate), Fraction(amount), int(leverage))
            for floor, cap, rate, amount, leverage in value
        )
    if name in ("fee_rate", "contract_value") or isinstance(default, Fraction):
        return None if value is None else Fraction(value)
    return tuple(value) if isinstance(value, list) else value

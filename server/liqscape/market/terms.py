"""The terms on which positions of an instrument open: its venue's rules and the mixes in force, and how they change.

A change acts on what opens from then on: what is open keeps the row and the tier it was given. So it is exact wherever
keys, units and triggers stay what they are; everything else of an instrument is fixed for the life of a data folder.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from fractions import Fraction
from functools import cache
from types import UnionType
from typing import Any, Final, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from liqscape.errors import ConfigError, LiqscapeError
from liqscape.instruments import Instrument

CHANGEABLE: Final = frozenset(
    {
        "adjustments",
        "fee_rate",
        "first_part",
        "ladder_step",
        "liquidation_order",
        "maintenance_tiers",
        "margin_form",
        "rate_per_unit",
        "rules_date",
        "rules_source",
    }
)
"""Fields of an Instrument that decide nothing but where positions end that open. What is not named here is fixed."""

_T = TypeVar("_T")


class UnreadableTerms(LiqscapeError):
    """Plain values that are not terms as they are known here."""


class LeverageGone(ConfigError):
    """Terms under which a leverage would end that positions may have."""


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
            ConfigError: the change would not be exact; LeverageGone where that is all that is wrong with it.
        """
        differing = [f.name for f in fields(Instrument) if _field(self, f.name) != _field(before, f.name)]
        fixed = [name for name in differing if name not in CHANGEABLE]
        if fixed:
            raise ConfigError(f"{', '.join(fixed)} of {self.instrument_id}, which cannot change in a data folder")
        gone = sorted(set(before.instrument.leverage_tiers) - set(self.instrument.leverage_tiers))
        if gone:
            tiers = ", ".join(f"{tier}x" for tier in gone)
            raise LeverageGone(f"{tiers} of {self.instrument_id}, which may be open, and would be no leverage any more")
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
                instrument=_build(Instrument, value["rules"]),
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
    return {
        "rules": _plain_value(terms.instrument),
        "inflow_mix": list(terms.inflow_mix),
        "size_mix": list(terms.size_mix),
    }


def _plain_value(value: Any) -> Any:
    """Return texts, whole numbers, fractions, tuples and frozen values of these as JSON knows them."""
    if isinstance(value, Fraction):
        return str(value)
    if is_dataclass(value):
        return {f.name: _plain_value(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple):
        return [_plain_value(item) for item in value]
    if value is None or isinstance(value, int | str):
        return value
    raise TypeError(f"{type(value)} is no rule that can be written down")


def _build(wanted: Any, plain: Any) -> Any:
    """Return the value of a type that plain values stand for; a field that was added since has its default."""
    arguments = get_args(wanted)
    if get_origin(wanted) in (Union, UnionType):
        (present,) = (argument for argument in arguments if argument is not type(None))
        return None if plain is None else _build(present, plain)
    if wanted is Fraction:
        return Fraction(_of_type(str, plain))
    if get_origin(wanted) is tuple:
        items = _of_type(list, plain)
        hints = [arguments[0]] * len(items) if arguments[1:] == (Ellipsis,) else arguments
        return tuple(_build(hint, item) for hint, item in zip(hints, items, strict=True))
    if is_dataclass(wanted):
        hints_of = _hints(cast(Any, wanted))
        values = {name: _build(hints_of[name], item) for name, item in _of_type(dict, plain).items()}
        return cast(Callable[..., object], wanted)(**values)
    return _of_type(wanted, plain)


@cache
def _hints(wanted: Any) -> dict[str, Any]:
    """Return the types of a dataclass's fields; finding them out compiles each, so it is done once a type."""
    return get_type_hints(wanted)


def _of_type(wanted: type[_T], plain: Any) -> _T:
    if type(plain) is not wanted:
        raise UnreadableTerms(f"{str(plain)[:60]!r} is no {wanted.__name__}")
    return plain

"""The file of --model: assumptions about positions that nobody publishes, for desks that know better than the prior.

    [inflow_mix."binance:BTCUSDT"]     # of what opens, by leverage; any whole numbers, their ratios count
    3 = 6
    5 = 10
    ...

    [size_mix]                         # of the lots, by the venue's maintenance tier: how big positions are
    "binance:BTCUSDT" = [70, 20, 10, 0, 0, 0, 0, 0, 0, 0]

    [cme]                              # of the daily report that --cme names: one leverage, 1 to 20
    leverage = 3
    [cme.leverage_shares]              # or several; any whole numbers, their ratios count
    2 = 50
    5 = 50

What is not named keeps the shipped prior: its inflow mix, and all positions in the first maintenance tier; of CME
nothing is assumed then.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from liqscape.errors import ConfigError
from liqscape.instruments import Instrument
from liqscape.positions.ladder import ladders
from liqscape.positions.mix import SHARE_ONE, apportion, normalised_mix

_TABLES: Final = ("inflow_mix", "size_mix")

_CME: Final = "cme"

MAX_CME_LEVERAGE: Final = 20
"""That may be assumed of CME. Brokers lend two to four times, some more within a day."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """Assumptions by instrument id; both in millionths that sum to one.

    Attributes:
        inflow_mixes: shares of what opens, one a leverage the venue offers.
        size_mixes: shares of the lots, one a maintenance tier of the venue.
        cme: leverages and shares of CME's open interest, ascending; empty: nothing is assumed.
    """

    inflow_mixes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    size_mixes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    cme: tuple[tuple[int, int], ...] = ()


def read_model_file(path: Path, instruments: Sequence[Instrument]) -> ModelFile:
    """Return what a file assumes.

    Args:
        path: TOML, as above.
        instruments: those of the input; others may not be named.

    Raises:
        ConfigError: names the file, the entry and what is allowed.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"model file {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"model file {path} is not TOML: {error}") from error
    unknown = sorted(set(content) - {*_TABLES, _CME})
    if unknown:
        raise ConfigError(f"model file {path} has {unknown[0]!r}; allowed are {', '.join(_TABLES)} and {_CME}")
    by_id = {instrument.instrument_id: instrument for instrument in instruments}
    try:
        inflow, sizes = ({name: value for name, value in _entries(content, table, by_id)} for table in _TABLES)
        return ModelFile(
            {name: _inflow_mix(by_id[name], value) for name, value in inflow.items()},
            {name: _size_mix(by_id[name], value) for name, value in sizes.items()},
            _cme(content[_CME]) if _CME in content else (),
        )
    except ConfigError as error:
        raise ConfigError(f"model file {path}: {error}") from None


def _entries(content: dict[str, Any], table: str, by_id: Mapping[str, Instrument]) -> list[tuple[str, Any]]:
    entries = content.get(table, {})
    if not isinstance(entries, dict):
        raise ConfigError(f"{table} is {entries!r}; it is a table by instrument id")
    for name in entries:
        if name not in by_id:
            raise ConfigError(f"{table} names {name!r}; this input has {', '.join(sorted(by_id))}")
    return list(entries.items())


def _inflow_mix(instrument: Instrument, value: Any) -> tuple[int, ...]:
    where = f"inflow_mix of {instrument.instrument_id}"
    tiers = instrument.leverage_tiers
    if not isinstance(value, dict) or set(value) != {str(tier) for tier in tiers}:
        raise ConfigError(f"{where} must name each of the leverages {', '.join(map(str, tiers))}")
    return normalised_mix(_weights(where, [value[str(tier)] for tier in tiers]))


def _size_mix(instrument: Instrument, value: Any) -> tuple[int, ...]:
    where = f"size_mix of {instrument.instrument_id}"
    count = len(instrument.maintenance_tiers)
    if not isinstance(value, list) or len(value) != count:
        raise ConfigError(f"{where} must be a list of {count} numbers, one a maintenance tier")
    mix = tuple(apportion(_weights(where, value), SHARE_ONE))
    ladders(instrument, mix)  # refuses what the venue's table cannot hold
    return mix


def _cme(value: Any) -> tuple[tuple[int, int], ...]:
    allowed = f"use leverage = N, or a table leverage_shares of N = share; N is 1 to {MAX_CME_LEVERAGE}"
    if not isinstance(value, dict) or set(value) not in ({"leverage"}, {"leverage_shares"}):
        raise ConfigError(f"{_CME} is {value!r}; {allowed}")
    one = value.get("leverage")
    shares = {repr(one): 1} if "leverage" in value else value["leverage_shares"]  # repr: a text in quotes is no number
    if not isinstance(shares, dict) or not shares:
        raise ConfigError(f"{_CME} has leverage_shares {shares!r}; {allowed}")
    known = {str(leverage): leverage for leverage in range(1, MAX_CME_LEVERAGE + 1)}
    for name in shares:
        if name not in known:
            raise ConfigError(f"leverage {name} cannot be assumed of CME; {allowed}")
    weights = _weights(f"leverage_shares of {_CME}", list(shares.values()))
    parts = zip((known[name] for name in shares), apportion(weights, SHARE_ONE), strict=True)
    return tuple(sorted((leverage, part) for leverage, part in parts if part))


def _weights(where: str, values: Sequence[Any]) -> list[Fraction]:
    for value in values:
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise ConfigError(f"{where} has {value!r}; use whole numbers of 0 or more")
    if not any(values):
        raise ConfigError(f"{where} has no number above 0")
    return [Fraction(value) for value in values]

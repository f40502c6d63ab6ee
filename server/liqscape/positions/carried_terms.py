"""The terms of an instrument under other rules: its mixes carried over to the tiers that it has then. Pure.

Leverage tiers that a venue offers are the lowest ones of LEVERAGE_TIERS, so a change of its rules adds some at the top
or ends some there. What the shipped prior made is made anew; a mix of somebody's own keeps its ratios, and a leverage
it does not know gets the least share that any has.
"""

from __future__ import annotations

from fractions import Fraction

from liqscape.errors import ConfigError
from liqscape.instruments import Instrument
from liqscape.market.terms import Terms
from liqscape.positions.ladder import ladders, size_mix_of
from liqscape.positions.margin import RowMap
from liqscape.positions.mix import normalised_mix, prior_inflow_mix


def terms_under(terms: Terms, rules: Instrument) -> Terms:
    """Return terms with other rules of their venue.

    Args:
        terms: of the instrument.
        rules: the instrument as it is to be from now on.

    Raises:
        ConfigError: no positions could open on them, or a mix says nothing of the new tiers.
    """
    if not rules.leverage_tiers:
        raise ConfigError(f"no leverage of the model has margin beyond maintenance at {rules.instrument_id}")
    changed = Terms(instrument=rules, inflow_mix=_inflow_mix(terms, rules), size_mix=_size_mix(terms, rules))
    RowMap.of(rules, ladders(rules, changed.size_mix))  # whatever does not fit the model is found here, not in a tick
    return changed


def _inflow_mix(terms: Terms, rules: Instrument) -> tuple[int, ...]:
    before, after = terms.instrument.leverage_tiers, rules.leverage_tiers
    if before == after:
        return terms.inflow_mix
    if terms.inflow_mix == prior_inflow_mix(before):
        return prior_inflow_mix(after)
    shares = dict(zip(before, terms.inflow_mix, strict=True))
    return normalised_mix([Fraction(shares.get(leverage, 0)) for leverage in after])


def _size_mix(terms: Terms, rules: Instrument) -> tuple[int, ...]:
    before, tiers = terms.instrument.maintenance_tiers, rules.maintenance_tiers
    if terms.size_mix == size_mix_of(terms.instrument, None):
        return size_mix_of(rules, None)
    if len(before) != len(tiers):
        raise ConfigError(
            f"the size mix of {rules.instrument_id} is of {len(before)} maintenance tiers, and there are {len(tiers)}"
        )
    return terms.size_mix

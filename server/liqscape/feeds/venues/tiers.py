"""Margin tables as venues tell them: the rows of an answer -> maintenance tiers, and how two tables differ. Pure.

What to ask, and which rows an answer has, is in tier_sources.py; whether a table is believed, in table_check.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from fractions import Fraction
from itertools import pairwise
from typing import Final, TypeAlias

import orjson

from liqscape.errors import NotFound
from liqscape.feeds.venues.dialect import MISSHAPEN, Unreadable
from liqscape.feeds.venues.tier_sources import MAX_TIERS, SOURCES, Factors, TierRow, TierSource
from liqscape.instruments import AdjustmentStep, Instrument, MaintenanceTier

UNBOUNDED: Final = 10**12
"""Cap of a last tier that has none: more than any position is worth."""

PERCENT_FROM: Final = Fraction(1, 10)
"""A rate of the lowest tier that is as high as this is told in per cent. Bybit has been seen to tell both."""

TOLD_BY: Final = "margin table as told by"
"""With this the source of rules begins, where a venue has told the table."""

Adjustments: TypeAlias = tuple[tuple[int, tuple[AdjustmentStep, ...]], ...]
"""See Instrument.adjustments."""


def tiers_of(instrument: Instrument, body: bytes) -> tuple[MaintenanceTier, ...]:
    """Return the tiers of table_of."""
    return table_of(instrument, body)[0]


def table_of(instrument: Instrument, body: bytes) -> tuple[tuple[MaintenanceTier, ...], Adjustments]:
    """Return the table of an instrument in a venue's answer: tiers, and what a venue adds whose rate follows leverage.

    Raises:
        NotFound: the venue tells none that can be read here, or not of this instrument.
        Unreadable: the answer is none, or its table cannot be one.
    """
    source = find_source(instrument.venue)
    try:
        said = orjson.loads(body)
        rows = list(source.rows(instrument, said)) if source.rows is not None else []
        factors = list(source.adjustments(instrument, said)) if source.adjustments is not None else []
        if not rows and not factors:
            raise NotFound(f"the answer tells no margin table of {instrument.instrument_id}")
        if max(len(rows), sum(len(steps) for _, steps in factors)) > MAX_TIERS:
            raise Unreadable("too many tiers", len(rows) or len(factors))
        if rows:
            return checked(_tiers(rows)), ()
        adjustments = checked_adjustments(factors)
        return (_standing_for_all(instrument, adjustments),), adjustments
    except MISSHAPEN as error:
        raise Unreadable("malformed", repr(error)) from error


def find_source(venue: str) -> TierSource:
    """Return how a venue tells its tables.

    Raises:
        NotFound: it does not, or only as no reader here reads.
    """
    if venue not in SOURCES:
        raise NotFound(f"venue {venue!r} tells no margin table; those of {', '.join(SOURCES)} can be read")
    return SOURCES[venue]


def with_tiers(
    instrument: Instrument,
    tiers: tuple[MaintenanceTier, ...],
    read: date,
    where: str,
    adjustments: Adjustments = (),
) -> Instrument:
    """Return an instrument under a table that its venue has told."""
    source = f"{TOLD_BY} {where}; all else: {instrument.rules_date}: {instrument.rules_source}"
    return replace(
        instrument,
        maintenance_tiers=tiers,
        adjustments=adjustments,
        rules_date=read.isoformat(),
        rules_source=source,
    )


def is_told(instrument: Instrument) -> bool:
    """Return whether the rules of an instrument are those of with_tiers."""
    return instrument.rules_source.startswith(TOLD_BY)


def differences(shipped: Sequence[MaintenanceTier], told: Sequence[MaintenanceTier]) -> list[str]:
    """Return in words where two tables differ; what only one of them has counts too."""
    found = []
    for number in range(max(len(shipped), len(told))):
        mine = shipped[number] if number < len(shipped) else None
        theirs = told[number] if number < len(told) else None
        if mine != theirs:
            found.append(f"tier {number + 1}: shipped {_in_words(mine)}, told {_in_words(theirs)}")
    return found


def adjustment_differences(shipped: Adjustments, told: Adjustments) -> list[str]:
    """Return in words where factors by leverage differ; a leverage that only one of them has counts too."""
    mine, theirs = dict(shipped), dict(told)
    return [
        f"{leverage}x: shipped {_factors_in_words(mine.get(leverage))}, told {_factors_in_words(theirs.get(leverage))}"
        for leverage in sorted(mine.keys() | theirs.keys())
        if mine.get(leverage) != theirs.get(leverage)
    ]


def _factors_in_words(steps: Sequence[AdjustmentStep] | None) -> str:
    return ", ".join(f"{float(s.factor):g} from {s.floor:,}" for s in steps) if steps else "none"


def _in_words(tier: MaintenanceTier | None) -> str:
    if tier is None:
        return "none"
    amount = f" less {float(tier.maintenance_amount):,g}" if tier.maintenance_amount else ""
    return f"{float(tier.maintenance_margin_rate * 100):g} %{amount} to {tier.notional_cap:,} at {tier.max_leverage}x"


def _tiers(rows: Sequence[TierRow]) -> list[MaintenanceTier]:
    in_per_cent = min(row.rate for row in rows) >= PERCENT_FROM
    found: list[MaintenanceTier] = []
    for row in sorted(rows, key=lambda row: (row.cap is None, row.cap)):
        before = found[-1] if found else None
        floor = row.floor if row.floor is not None else Fraction(before.notional_cap if before else 0)
        rate = row.rate / 100 if in_per_cent else row.rate
        amount = row.amount
        if amount is None:
            amount = Fraction(0)
            if before is not None:
                amount = before.maintenance_amount + floor * (rate - before.maintenance_margin_rate)
        cap = UNBOUNDED if row.cap is None else int(row.cap)
        found.append(MaintenanceTier(int(floor), cap, rate, amount, int(row.leverage)))
    return found


def checked(tiers: Sequence[MaintenanceTier]) -> tuple[MaintenanceTier, ...]:
    """Return tiers that make a table: from nothing on, one after the other, with rates that do not fall.

    Raises:
        Unreadable: they make none.
    """
    if not tiers:
        raise Unreadable("table without a tier")
    for tier in tiers:
        if not (0 < tier.maintenance_margin_rate <= 1 and tier.max_leverage >= 1 and tier.maintenance_amount >= 0):
            raise Unreadable("absurd tier", tier)
        if not tier.notional_floor < tier.notional_cap:
            raise Unreadable("empty tier", tier)
    for lower, upper in pairwise(tiers):
        if upper.notional_floor != lower.notional_cap or upper.maintenance_margin_rate < lower.maintenance_margin_rate:
            raise Unreadable("tiers that do not follow each other", f"{lower} {upper}")
    if tiers[0].notional_floor != 0:
        raise Unreadable("table without a first tier", tiers[0])
    return tuple(tiers)


def checked_adjustments(factors: Sequence[Factors]) -> Adjustments:
    """Return factors by leverage as an instrument has them: from nothing on, ascending, none that takes all margin.

    Raises:
        Unreadable: they make no table.
    """
    found: list[tuple[int, tuple[AdjustmentStep, ...]]] = []
    for leverage, steps in sorted(factors):
        floors, shares = [floor for floor, _ in steps], [factor for _, factor in steps]
        if not steps or leverage < 1 or (found and found[-1][0] == leverage):
            raise Unreadable("absurd leverage", f"{leverage}x of {len(steps)} steps")
        if floors[0] != 0 or any(upper <= lower for lower, upper in pairwise(floors)):
            raise Unreadable("tiers that do not follow each other", f"{leverage}x from {floors}")
        if not 0 < min(shares) <= max(shares) < 1 or any(upper < lower for lower, upper in pairwise(shares)):
            raise Unreadable("absurd factor", f"{leverage}x: {', '.join(map(str, shares))}")
        caps = [*floors[1:], None]
        found.append((leverage, tuple(AdjustmentStep(*each) for each in zip(floors, caps, shares, strict=True))))
    return tuple(found)


def _standing_for_all(instrument: Instrument, adjustments: Adjustments) -> MaintenanceTier:
    """Return the tier that stands for all: the rate of a small position at the highest leverage, as shipped tables do.

    It is below the margin at that leverage, so every leverage that is listed has margin beyond maintenance.
    """
    leverage, steps = adjustments[-1]
    cap = instrument.maintenance_tiers[-1].notional_cap
    return MaintenanceTier(0, cap, steps[0].factor / leverage, Fraction(0), leverage)

"""How far a cluster can be relied on: a grade and the reasons for it, from figures that stand in the answer too.

No probability: each reason names a figure and the threshold it fails. One or two mild reasons make a medium grade; a
severe one, or three of any kind, a low one.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from liqscape.insight.cluster_thresholds import ClusterThresholds

LAGGING_SHARE_PPM: Final = 100_000
"""Of a cluster's lots: less than a tenth on venues that lag does not change what it says."""

SEVERE_LAGGING_SHARE_PPM: Final = 500_000


class Grade(enum.Enum):
    """How far to rely on it."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


@dataclass(frozen=True, slots=True)
class Reason:
    """What lowers a grade.

    Attributes:
        code: from a closed set, for programs.
        text: the figure and its threshold, for people.
        severe: alone enough for a low grade.
    """

    code: str
    text: str
    severe: bool


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a cluster and its symbol.

    Attributes:
        usd: the cluster's mass.
        venue_shares: of the cluster's lots, by venue; above 0.
        lagging_ppm: share of its lots on venues that lag, millionths.
        covered_share: of open interest that the book explains, 0..1.
        open_interest_usd: of the symbol, one side.
        venues: of the symbol that have open interest.
        stale: the server says that its data are.
        expiry_hours: to the next quarterly expiry.
    """

    usd: float
    venue_shares: Mapping[str, float]
    lagging_ppm: int
    covered_share: float
    open_interest_usd: float
    venues: int
    stale: bool
    expiry_hours: float


def grade(evidence: Evidence, thresholds: ClusterThresholds) -> tuple[Grade, tuple[Reason, ...]]:
    """Return a grade and its reasons, the severe ones first."""
    reasons = sorted(_reasons(evidence, thresholds), key=lambda reason: not reason.severe)
    if any(reason.severe for reason in reasons) or len(reasons) > 2:
        return Grade.LOW, tuple(reasons)
    return (Grade.MEDIUM if reasons else Grade.HIGH), tuple(reasons)


def _reasons(evidence: Evidence, t: ClusterThresholds) -> list[Reason]:
    found = []

    def add(code: str, text: str, *, severe: bool = False) -> None:
        found.append(Reason(code, text, severe))

    if evidence.stale:
        add("stale", "the server's data are stale", severe=True)
    if evidence.usd < t.noise_floor_usd:
        add("noise", f"{_usd(evidence.usd)} is below the noise floor of {_usd(t.noise_floor_usd)}", severe=True)
    if evidence.lagging_ppm >= LAGGING_SHARE_PPM:
        add(
            "feed_lag",
            f"{evidence.lagging_ppm / 1e6:.0%} of it is on venues more than {t.max_feed_lag_seconds:g} s behind",
            severe=evidence.lagging_ppm >= SEVERE_LAGGING_SHARE_PPM,
        )
    if evidence.covered_share < t.min_covered_share:
        add(
            "covered_share",
            f"{evidence.covered_share:.0%} of open interest is explained, below {t.min_covered_share:.0%}",
            severe=evidence.covered_share < t.min_covered_share / 2,
        )
    if evidence.open_interest_usd < t.min_open_interest_usd:
        add(
            "open_interest",
            f"the symbol has {_usd(evidence.open_interest_usd)} of open interest,"
            f" below {_usd(t.min_open_interest_usd)}",
        )
    if evidence.venues < t.min_venues:
        add("few_venues", f"{_venues(evidence.venues)} counted, fewer than {t.min_venues}")
    venue, share = max(evidence.venue_shares.items(), key=lambda item: (item[1], item[0]), default=("", 0.0))
    if evidence.venues > 1 and share > t.max_venue_share:
        add("one_venue", f"{share:.0%} of it is on {venue}, above {t.max_venue_share:.0%}")
    if t.expiry_hours and evidence.expiry_hours <= t.expiry_hours:
        add("expiry", f"futures expire in {evidence.expiry_hours:.0f} hours, within {t.expiry_hours:g}")
    return found


def _venues(count: int) -> str:
    return "1 venue is" if count == 1 else f"{count} venues are"


def _usd(amount: float) -> str:
    """Return an amount as people write it: 1.2M USD."""
    for unit, name in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if amount >= unit:
            return f"{amount / unit:.3g}{name} USD"
    return f"{amount:.3g} USD"

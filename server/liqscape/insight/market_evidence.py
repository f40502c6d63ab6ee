"""What a symbol as a whole says about the reliability of its clusters: coverage, open interest, feeds. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from liqscape.grid.keyed_book import BookAnswer
from liqscape.insight.cluster_lots import HumpLots
from liqscape.insight.cluster_thresholds import MILLION, ClusterThresholds
from liqscape.insight.expiry import hours_to_quarterly_expiry
from liqscape.insight.reliability import Evidence, Grade, Reason, grade


@dataclass(frozen=True, slots=True)
class MarketEvidence:
    """Of the venues that were asked for.

    Attributes:
        covered_share: of open interest that the book explains, 0..1; 0 before any is known.
        open_interest_lots: of longs and of shorts.
        open_interest_usd: the mean of both, at the price now.
        venues: that have open interest.
        lagging: venues whose newest event is too far behind the newest of all.
        stale: the server says that its data are.
        expiry_hours: from the newest event to the next quarterly expiry.
    """

    covered_share: float
    open_interest_lots: tuple[int, int]
    open_interest_usd: float
    venues: int
    lagging: frozenset[str]
    stale: bool
    expiry_hours: float

    @classmethod
    def of(cls, answer: BookAnswer, max_lag_seconds: float, *, stale: bool) -> MarketEvidence:
        """Return the evidence of a book."""
        chosen = [part for part in answer.coverage if not answer.query.venues or part.venue in answer.query.venues]
        live = sum(sum(part.live_lots) for part in chosen)
        longs, shorts = (sum(part.live_lots[n] + part.uncovered_lots[n] for part in chosen) for n in (0, 1))
        newest: dict[str, int] = {}
        for part in chosen:
            newest[part.venue] = max(part.watermark_ns, newest.get(part.venue, 0))
        latest = answer.source_watermark_ns - int(max_lag_seconds * 1e9)
        return cls(
            covered_share=live / (longs + shorts) if longs + shorts else 0.0,
            open_interest_lots=(longs, shorts),
            open_interest_usd=answer.scale.usd_of_lots(longs + shorts, answer.mark_price) / 2,
            venues=len({part.venue for part in chosen if sum(part.live_lots) + sum(part.uncovered_lots)}),
            lagging=frozenset(venue for venue, at in newest.items() if at < latest),
            stale=stale,
            expiry_hours=hours_to_quarterly_expiry(answer.source_watermark_ns),
        )

    def grade(self, held: HumpLots, usd: float, thresholds: ClusterThresholds) -> tuple[Grade, tuple[Reason, ...]]:
        """Return the grade of a cluster and its reasons."""
        lagging = sum(lots for venue, lots in held.by_venue if venue in self.lagging)
        evidence = Evidence(
            usd=usd,
            venue_shares={venue: lots / held.lots for venue, lots in held.by_venue},
            lagging_ppm=lagging * MILLION // held.lots,
            covered_share=self.covered_share,
            open_interest_usd=self.open_interest_usd,
            venues=self.venues,
            stale=self.stale,
            expiry_hours=self.expiry_hours,
        )
        return grade(evidence, thresholds)

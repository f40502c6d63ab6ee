"""Clusters of a live book: where much would be force-closed close together, how much, whose, and how alone it stands.

    keyed book -> lots of each side on its side of the price -> humps -> mass, mix, distance, isolation -> rank, grade

Definitions are in docs/clusters.md. What decides (bounds, neighbours, order) is whole numbers; shares and USD are told
as floating point, each rounded once. Pure: no I/O, no clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from liqscape.errors import InvalidArgument
from liqscape.events import PositionSide
from liqscape.grid.keyed_book import BookAnswer
from liqscape.insight.cluster_answer import Cluster, ClusterOrder, Clusters, Neighbour, SideSummary, StatedPart
from liqscape.insight.cluster_lots import hump_lots, side_lots, usd_of
from liqscape.insight.cluster_thresholds import (
    MILLION,
    ClusterThresholds,
    millionths,
    percent_millionths,
    significant_usd,
)
from liqscape.insight.humps import Hump, HumpRules, find_humps
from liqscape.insight.market_evidence import MarketEvidence

DEFAULT_LIMIT: Final = 3
"""Clusters of each side: traders report the two or three densest above and below."""

MAX_LIMIT: Final = 200
"""More than a thousand rows hold at half a percent each."""


@dataclass(frozen=True, slots=True)
class ClusterQuery:
    """What is asked beside the book.

    Attributes:
        thresholds: what a cluster is.
        limit: clusters of each side, at most.
        order: what ranks them.
    """

    thresholds: ClusterThresholds = field(default_factory=ClusterThresholds)
    limit: int = DEFAULT_LIMIT
    order: ClusterOrder = ClusterOrder.SCORE

    def __post_init__(self) -> None:
        """Raise InvalidArgument: names the field and what is allowed."""
        if not 1 <= self.limit <= MAX_LIMIT:
            raise InvalidArgument(f"limit is {self.limit}; use 1 to {MAX_LIMIT}")


def find_clusters(
    answer: BookAnswer, query: ClusterQuery, *, btc_open_interest_usd: float | None = None, stale: bool = False
) -> Clusters:
    """Return the clusters of a book.

    Args:
        answer: the book.
        query: what is asked.
        btc_open_interest_usd: of BTC on this server, to scale the least mass of other symbols; None: not known.
        stale: the server says that its data are.
    """
    market = MarketEvidence.of(answer, query.thresholds.max_feed_lag_seconds, stale=stale)
    thresholds = query.thresholds
    if thresholds.min_mass_usd is None:
        least = significant_usd(answer.symbol, market.open_interest_usd, btc_open_interest_usd)
        thresholds = replace(thresholds, min_mass_usd=least)
    sides = [side for side in PositionSide if answer.query.side in (None, side)]
    parts = [_SideOfBook(side, answer, thresholds, market).listed(query) for side in sides]
    return Clusters(
        thresholds=thresholds,
        covered_share=market.covered_share,
        open_interest_usd=market.open_interest_usd,
        sides=tuple(summary for summary, _ in parts),
        clusters=tuple(cluster for _, clusters in parts for cluster in clusters),
    )


class _SideOfBook:
    """The humps of one side, and what they hold."""

    def __init__(
        self, side: PositionSide, answer: BookAnswer, thresholds: ClusterThresholds, market: MarketEvidence
    ) -> None:
        self._side = side
        self._answer = answer
        self._thresholds = thresholds
        self._market = market
        self._rows = answer.book.rows
        self._height = answer.scale.base_step * self._rows.multiple
        self._lots = side_lots(side, answer.book.profile, self._rows, answer.scale.base_row(answer.mark_price))
        self._humps = find_humps(self._lots.by_row(self._rows.count), self._rules())
        self._held = hump_lots(self._lots, self._humps, self._rows.first, answer.venues)

    def listed(self, query: ClusterQuery) -> tuple[SideSummary, list[Cluster]]:
        """Return all of the side in numbers, and its clusters that are large and near enough, the first ones."""
        least, within = self._thresholds.min_mass_usd, percent_millionths(self._thresholds.within_percent)
        assert least is not None
        usd = [self._usd(held.value) for held in self._held]
        large = [number for number, mass in enumerate(usd) if mass >= least]
        distance = {number: self._distances(self._humps[number])[1] for number in large}
        near = [number for number in large if distance[number] * MILLION <= within * self._answer.mark_price]
        ranked = sorted(near, key=lambda number: (-self._merit(number, query.order), distance[number], number))
        listed = ranked[: query.limit]
        near_lots, near_value = self._lots.within(*self._near_rows(within), self._rows.first)
        outside = sum(self._answer.book.outside_lots[self._side])
        summary = SideSummary(
            side=self._side,
            open_interest_lots=self._market.open_interest_lots[self._side],
            live_lots=int(self._lots.lots.sum()) + self._lots.at_price_lots + outside,
            at_price_lots=self._lots.at_price_lots,
            outside_lots=outside,
            clustered_lots=sum(held.lots for held in self._held),
            found=len(usd),
            small=len(usd) - len(large),
            largest_small_usd=max((mass for mass in usd if mass < least), default=0.0),
            far=len(large) - len(near),
            unlisted=len(near) - len(listed),
            near_lots=near_lots,
            near_usd=self._usd(near_value),
        )
        return summary, [self._cluster(number, rank) for rank, number in enumerate(listed, start=1)]

    def _near_rows(self, within: int) -> tuple[int, int]:
        """Return the first and last row whose middle is within so many millionths of the price."""
        price, twice = self._answer.mark_price, 2 * self._height
        reach = within * price // MILLION
        return -(-(2 * (price - reach) - self._height) // twice), (2 * (price + reach) - self._height) // twice

    def _rules(self) -> HumpRules:
        """Return the thresholds in rows; a row that is higher than one of them is the least there is."""

        def count(percent: float) -> int:
            return max(1, percent_millionths(percent) * self._answer.mark_price // (MILLION * self._height))

        return HumpRules(
            half_width=count(self._thresholds.smoothing_percent),
            valley_ppm=millionths(self._thresholds.valley_share),
            edge_ppm=millionths(self._thresholds.edge_share),
            max_rows=count(self._thresholds.max_width_percent),
        )

    def _cluster(self, number: int, rank: int) -> Cluster:
        hump, held = self._humps[number], self._held[number]
        below, above = self._neighbour(number, -1), self._neighbour(number, 1)
        isolation = percent_millionths(self._thresholds.isolation_percent)
        edge, peak = self._distances(hump)
        usd, open_interest = self._usd(held.value), self._market.open_interest_lots[self._side]
        band_low, band_high = self._band(hump)
        grade, reasons = self._market.grade(held, usd, self._thresholds)
        return Cluster(
            side=self._side,
            rank=rank,
            first_row=hump.first + self._rows.first,
            last_row=hump.last + self._rows.first,
            peak_row=hump.peak + self._rows.first,
            lots=held.lots,
            usd=usd,
            held=held,
            open_interest_share=held.lots / open_interest if open_interest else None,
            venue_concentration=sum(lots * lots for _, lots in held.by_venue) / (held.lots * held.lots),
            edge_distance_units=edge,
            peak_distance_units=peak,
            below=below,
            above=above,
            isolated=all(n is None or n.distance_ppm > isolation for n in (below, above)),
            score_usd=self._usd(self._score(number)),
            band_low=band_low,
            band_high=band_high,
            stated=self._stated(hump, held.stated_lots),
            grade=grade,
            reasons=reasons,
        )

    def _merit(self, number: int, order: ClusterOrder) -> int:
        """Return what puts a cluster before others; all are equal where only the distance counts."""
        if order is ClusterOrder.DISTANCE:
            return 0
        return self._held[number].value if order is ClusterOrder.MASS else self._score(number)

    def _score(self, number: int) -> int:
        """Return its value x distance to the nearest neighbour / isolation threshold, at most its value."""
        isolation = percent_millionths(self._thresholds.isolation_percent)
        found = (self._next(number, step, isolation) for step in (-1, 1))
        nearest = min((self._apart_ppm(number, other) for other in found if other is not None), default=isolation)
        return self._held[number].value * min(nearest, isolation) // isolation

    def _neighbour(self, number: int, step: int) -> Neighbour | None:
        other = self._next(number, step)
        if other is None:
            return None
        return Neighbour(
            peak_row=self._humps[other].peak + self._rows.first,
            distance_ppm=self._apart_ppm(number, other),
            gap_ppm=self._rows_ppm(self._humps[max(number, other)].first - self._humps[min(number, other)].last - 1),
            usd=self._usd(self._held[other].value),
        )

    def _next(self, number: int, step: int, reach_ppm: int | None = None) -> int | None:
        """Return the nearest hump in one direction that has enough of this one's mass, within reach."""
        least = millionths(self._thresholds.neighbour_share) * self._held[number].value
        other = number + step
        while 0 <= other < len(self._humps):
            if reach_ppm is not None and self._apart_ppm(number, other) > reach_ppm:
                return None
            if self._held[other].value * MILLION >= least:
                return other
            other += step
        return None

    def _apart_ppm(self, number: int, other: int) -> int:
        """Return the distance from peak to peak, millionths of the price now."""
        return self._rows_ppm(abs(self._humps[other].peak - self._humps[number].peak))

    def _rows_ppm(self, rows: int) -> int:
        return rows * self._height * MILLION // self._answer.mark_price

    def _distances(self, hump: Hump) -> tuple[int, int]:
        """Return price units from the price to the nearest edge and to the middle of the peak row, 0 or more."""
        price, peak = self._answer.mark_price, self._peak_halves(hump) // 2
        if self._side is PositionSide.LONG:
            return max(0, price - (hump.last + self._rows.first + 1) * self._height), max(0, price - peak)
        return max(0, (hump.first + self._rows.first) * self._height - price), max(0, peak - price)

    def _band(self, hump: Hump) -> tuple[float, float]:
        """Return the band around the peak, never narrower than the cluster itself; quote."""
        unit = int(10**self._answer.scale.price_decimals)
        peak = self._peak_halves(hump) / (2 * unit)
        reach = peak * self._thresholds.band_percent / 100
        low = (hump.first + self._rows.first) * self._height / unit
        high = (hump.last + self._rows.first + 1) * self._height / unit
        return min(low, peak - reach), max(high, peak + reach)

    def _peak_halves(self, hump: Hump) -> int:
        """Return the middle of the peak row in halves of a price unit."""
        return (2 * (hump.peak + self._rows.first) + 1) * self._height

    def _stated(self, hump: Hump, lots: int) -> StatedPart:
        first, last = hump.first + self._rows.first, hump.last + self._rows.first
        rows = [row for view in self._answer.exact for row in view.rows if row.side is self._side]
        inside = [row for row in rows if first <= row.row <= last]
        return StatedPart(
            lots=lots,
            accounts=sum(row.accounts for row in inside),
            oldest_ns=min((row.oldest_ns for row in inside), default=0),
        )

    def _usd(self, value: int) -> float:
        return usd_of(value, self._rows, self._answer.scale)

"""What is told of clusters: plain values, and the words that go with them."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from liqscape.events import PositionSide
from liqscape.grid.updates import PositionModel
from liqscape.insight.cluster_lots import HumpLots
from liqscape.insight.cluster_thresholds import ClusterThresholds
from liqscape.insight.reliability import Grade, Reason

MEANINGS: Final = {
    PositionModel.NET_OF_CLOSES: (
        "estimate by a model, confirmed by no exchange: where the liquidation prices of positions open now lie close"
        " together"
    ),
    PositionModel.OPEN_ONLY: (
        "estimate by the open-only model, for comparison, confirmed by no exchange: where entry prices less or more"
        " 1/leverage lie close together, of positions that rising open interest opened; nothing is closed, so there are"
        " too many"
    ),
}

BAND_SOURCE: Final = (
    "traders' figure, not measured by this server: 0.4-0.6 % around a level of BTC is said to hold about 80 % of real"
    " triggers"
)


class ClusterOrder(enum.Enum):
    """What ranks clusters of a side."""

    SCORE = "score"
    MASS = "mass"
    DISTANCE = "distance"


@dataclass(frozen=True, slots=True)
class Neighbour:
    """The nearest cluster of the same side, in one direction, that is large enough to count.

    Attributes:
        peak_row: its highest row, absolute.
        distance_ppm: from peak to peak, millionths of the price now.
        gap_ppm: between the facing edges, millionths of the price now; 0: side by side.
        usd: its mass.
    """

    peak_row: int
    distance_ppm: int
    gap_ppm: int
    usd: float


@dataclass(frozen=True, slots=True)
class StatedPart:
    """How much of a cluster is exact: stated by venues, position by position.

    Attributes:
        lots: of the cluster.
        accounts: that hold them, as far as venues name them now; an account counts once a row.
        oldest_ns: time of the oldest statement of them; 0: there is none.
    """

    lots: int
    accounts: int
    oldest_ns: int


@dataclass(frozen=True, slots=True)
class Cluster:
    """One cluster.

    Attributes:
        side: of its positions.
        rank: 1 is first of its side.
        first_row, last_row, peak_row: absolute, inclusive, of the rows of the answer.
        lots, usd: its mass; USD at the middle price of each row.
        held: by venue and leverage.
        open_interest_share: of its side's open interest; None while none is known.
        venue_concentration: sum of squared venue shares, 1: all on one.
        edge_distance_units, peak_distance_units: price units from the price now to its nearest edge, and to the middle
            of its peak row; 0 or more.
        below, above: neighbours; None: there is none in the rows of the answer.
        isolated: no neighbour within the isolation threshold.
        score_usd: usd x distance to the nearest neighbour / isolation threshold, at most usd.
        band_low, band_high: prices, quote; where it may really trigger.
        stated: how much is exact.
        grade, reasons: how far it can be relied on.
    """

    side: PositionSide
    rank: int
    first_row: int
    last_row: int
    peak_row: int
    lots: int
    usd: float
    held: HumpLots
    open_interest_share: float | None
    venue_concentration: float
    edge_distance_units: int
    peak_distance_units: int
    below: Neighbour | None
    above: Neighbour | None
    isolated: bool
    score_usd: float
    band_low: float
    band_high: float
    stated: StatedPart
    grade: Grade
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class SideSummary:
    """All lots of one side: live = at_price + outside + in clusters of any size + between them.

    Attributes:
        open_interest_lots: of the venues asked for.
        live_lots: in the book.
        at_price_lots: in the base row of the price, or beyond it.
        outside_lots: outside of the rows of the answer.
        clustered_lots: in clusters of any size.
        found: clusters of any size.
        small: of them, below the least mass.
        largest_small_usd: mass of the largest of those; 0: there is none.
        far: large enough, and further from the price than asked for.
        unlisted: large and near enough, beyond the limit.
        near_lots, near_usd: in a cluster or not, as near to the price as clusters are listed.
    """

    side: PositionSide
    open_interest_lots: int
    live_lots: int
    at_price_lots: int
    outside_lots: int
    clustered_lots: int
    found: int
    small: int
    largest_small_usd: float
    far: int
    unlisted: int
    near_lots: int
    near_usd: float


@dataclass(frozen=True, slots=True)
class Clusters:
    """Clusters of a book.

    Attributes:
        thresholds: in force, the least mass included.
        covered_share: of open interest, of the venues asked for, 0..1.
        open_interest_usd: mean of both sides at the price now.
        sides: summaries.
        clusters: longs, then shorts; by rank.
    """

    thresholds: ClusterThresholds
    covered_share: float
    open_interest_usd: float
    sides: tuple[SideSummary, ...]
    clusters: tuple[Cluster, ...]

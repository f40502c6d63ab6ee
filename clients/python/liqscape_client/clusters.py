"""Clusters of the live book: where much would be force-closed close together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from liqscape.v1 import query_pb2, stream_pb2
from liqscape_client.cluster_options import THRESHOLDS, order_name
from liqscape_client.errors import DecodeError
from liqscape_client.grid_options import model_name
from liqscape_client.grids import ESTIMATE_NOTE, optional_package
from liqscape_client.market_state import state_names

_MAX_PRICE_DECIMALS: Final = 18
_SIDES: Final = {query_pb2.POSITION_SIDE_LONG: "long", query_pb2.POSITION_SIDE_SHORT: "short"}
_GRADES: Final = {
    query_pb2.RELIABILITY_GRADE_HIGH: "high",
    query_pb2.RELIABILITY_GRADE_MEDIUM: "medium",
    query_pb2.RELIABILITY_GRADE_LOW: "low",
}


@dataclass(frozen=True, slots=True)
class ClusterNeighbour:
    """The next cluster of the same side that is large enough to count.

    Attributes:
        peak_price: middle of its peak row, quote currency.
        distance_percent: from peak to peak, of the price now.
        usd: its mass.
        gap_percent: between the facing edges; 0: side by side. Only clusters too small to count lie there.
    """

    peak_price: float
    distance_percent: float
    usd: float
    gap_percent: float


@dataclass(frozen=True, slots=True)
class ReliabilityReason:
    """What lowers a grade.

    Attributes:
        code: for programs; more may come.
        text: the figure and its threshold.
        severe: alone enough for a low grade.
    """

    code: str
    text: str
    severe: bool


@dataclass(frozen=True, slots=True)
class Cluster:
    """One cluster. Everything is an estimate but what is stated.

    Attributes:
        side: "long" (below the price) or "short" (above).
        rank: 1 is the first of its side.
        first_row, last_row, peak_row: absolute numbers, inclusive.
        price_low, price_high: its edges, quote currency.
        peak_price: middle of the peak row.
        lots, usd: its mass.
        open_interest_share: of its side's open interest; None while none is known.
        mean_leverage: over lots; None where all are stated.
        mean_margin_percent: mean of 100 / leverage: how far the price had to go from the entries.
        by_venue, by_leverage: lots, most first.
        largest_venue_share: 0..1.
        venue_concentration: sum of squared venue shares, 1: all on one venue.
        edge_distance, edge_distance_percent: from the price now to the nearest edge, quote currency and percent.
        peak_distance, peak_distance_percent: to the middle of the peak row.
        below, above: neighbours; None: there is none.
        isolated: no neighbour within the isolation threshold.
        score_usd: usd x distance to the nearest neighbour / isolation threshold, at most usd.
        band_low, band_high: the trigger band; see ClusterList.band_source.
        stated_lots, stated_share: how much of it venues state themselves, position by position.
        stated_accounts, oldest_stated_unix_ns: accounts that venues name in its rows now, and their oldest statement.
        grade: "high", "medium" or "low".
        reasons: why it is not high.
    """

    side: str
    rank: int
    first_row: int
    last_row: int
    peak_row: int
    price_low: float
    price_high: float
    peak_price: float
    lots: int
    usd: float
    open_interest_share: float | None
    mean_leverage: float | None
    mean_margin_percent: float | None
    by_venue: Mapping[str, int]
    by_leverage: Mapping[int, int]
    largest_venue_share: float
    venue_concentration: float
    edge_distance: float
    edge_distance_percent: float
    peak_distance: float
    peak_distance_percent: float
    below: ClusterNeighbour | None
    above: ClusterNeighbour | None
    isolated: bool
    score_usd: float
    band_low: float
    band_high: float
    stated_lots: int
    stated_share: float
    stated_accounts: int
    oldest_stated_unix_ns: int
    grade: str
    reasons: tuple[ReliabilityReason, ...]

    @classmethod
    def from_message(cls, message: query_pb2.Cluster) -> Cluster:
        """Read a message.

        Raises:
            DecodeError: it has no side, no rows, or no lots.
        """
        if not message.first_row <= message.peak_row <= message.last_row or message.lots < 1:
            raise DecodeError(f"cluster of {message.lots} lots in rows {message.first_row} to {message.last_row}")
        plain: dict[str, Any] = {name: getattr(message, name) for name in _PLAIN_FIELDS}
        plain |= {name: getattr(message, name) if message.HasField(name) else None for name in _OPTIONAL_FIELDS}
        return cls(
            side=_side(message.side),
            by_venue={part.venue: part.lots for part in message.by_venue},
            by_leverage={part.leverage: part.lots for part in message.by_leverage},
            below=_neighbour(message.below) if message.HasField("below") else None,
            above=_neighbour(message.above) if message.HasField("above") else None,
            grade=_GRADES.get(message.grade, f"UNKNOWN_{message.grade}"),
            reasons=tuple(ReliabilityReason(reason.code, reason.text, reason.severe) for reason in message.reasons),
            **plain,
        )


_OPTIONAL_FIELDS: Final = ("open_interest_share", "mean_leverage", "mean_margin_percent")
_PLAIN_FIELDS: Final = tuple(
    field.name
    for field in fields(Cluster)
    if field.name not in {*_OPTIONAL_FIELDS, "side", "by_venue", "by_leverage", "below", "above", "grade", "reasons"}
)


@dataclass(frozen=True, slots=True)
class ClusterSide:
    """All lots of one side; live = at_price + outside + clustered + what lies between clusters.

    Attributes:
        side: "long" or "short".
        open_interest_lots: of the venues asked for.
        live_lots: in the book.
        at_price_lots: in the base row of the price, or beyond it.
        outside_lots: outside of the rows looked at.
        clustered_lots: in clusters of any size.
        found: clusters of any size.
        small: of them, below the least mass.
        largest_small_usd: mass of the largest of those.
        far: large enough and too far away.
        unlisted: large and near enough, beyond the limit.
        near_lots, near_usd: in a cluster or not, as near to the price as clusters are listed.
    """

    side: str
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
class ClusterList:
    """Clusters of one symbol, captured after a tick.

    Attributes:
        symbol: base coin.
        epoch: life of the engine.
        tick: tick after which the book was captured.
        mark_price: trigger price now, quote currency.
        price_decimals: a price unit is 10^-price_decimals of the quote currency.
        lot_decimals: a lot is 10^-lot_decimals of the base coin.
        source_watermark_unix_ns: newest market event included.
        server_unix_ns: when this was answered, by the server's clock.
        states: SIMULATED, REPLAY, STALE, ENDED; empty = live.
        meaning: the server's words on what a cluster is.
        model: "net of closes" or "open only".
        covered_share: of open interest that the book explains, 0..1.
        open_interest_usd: of the venues asked for, one side.
        thresholds: in force, by name.
        order: what ranks: "score", "mass" or "distance".
        clusters: longs, then shorts; by rank.
        sides: all of each side.
        band_source: whose figure the trigger band is.
        coverage: coverage of each instrument, as it came.
    """

    symbol: str
    epoch: int
    tick: int
    mark_price: float
    price_decimals: int
    lot_decimals: int
    source_watermark_unix_ns: int
    server_unix_ns: int
    states: tuple[str, ...]
    meaning: str
    model: str
    covered_share: float
    open_interest_usd: float
    thresholds: Mapping[str, float]
    order: str
    clusters: tuple[Cluster, ...]
    sides: tuple[ClusterSide, ...]
    band_source: str
    coverage: tuple[stream_pb2.VenueChunk, ...]

    @property
    def age_seconds(self) -> float:
        """Return how old the newest event was when this was answered."""
        return (self.server_unix_ns - self.source_watermark_unix_ns) / 1e9

    def of(self, side: str) -> tuple[Cluster, ...]:
        """Return the clusters of one side, "long" or "short"."""
        return tuple(cluster for cluster in self.clusters if cluster.side == side)

    def to_pandas(self) -> Any:
        """Return a pandas.DataFrame, a row a cluster, without the parts and the reasons."""
        pandas = optional_package("pandas")
        names = ("side", *_PLAIN_FIELDS, *_OPTIONAL_FIELDS, "grade")
        frame = pandas.DataFrame(
            [{name: getattr(each, name) for name in names} for each in self.clusters], columns=names
        )
        frame.attrs.update(
            symbol=self.symbol,
            epoch=self.epoch,
            tick=self.tick,
            mark_price=self.mark_price,
            model=self.model,
            states=",".join(self.states),
            covered_share=self.covered_share,
            note=self.meaning or ESTIMATE_NOTE,
        )
        return frame

    @classmethod
    def from_message(cls, message: query_pb2.ListClustersResponse) -> ClusterList:
        """Read an answer.

        Raises:
            DecodeError: it is malformed.
        """
        if message.axis.price_decimals > _MAX_PRICE_DECIMALS:
            raise DecodeError(f"clusters with price_decimals {message.axis.price_decimals}")
        return cls(
            symbol=message.symbol,
            epoch=message.epoch,
            tick=message.tick,
            mark_price=message.mark_price / int(10**message.axis.price_decimals),
            price_decimals=message.axis.price_decimals,
            lot_decimals=message.lot_decimals,
            source_watermark_unix_ns=message.source_watermark_unix_ns,
            server_unix_ns=message.server_unix_ns,
            states=state_names(message.states),
            meaning=message.meaning,
            model=model_name(message.model),
            covered_share=message.covered_share,
            open_interest_usd=message.open_interest_usd,
            thresholds={name: getattr(message.thresholds, name) for name in THRESHOLDS},
            order=order_name(message.order),
            clusters=tuple(Cluster.from_message(cluster) for cluster in message.clusters),
            sides=tuple(_sides(message.sides)),
            band_source=message.band_source,
            coverage=tuple(message.coverage),
        )


def _neighbour(message: query_pb2.ClusterNeighbour) -> ClusterNeighbour:
    return ClusterNeighbour(message.peak_price, message.distance_percent, message.usd, message.gap_percent)


def _sides(messages: Iterable[query_pb2.ClusterSide]) -> Iterable[ClusterSide]:
    for message in messages:
        plain = {field.name: getattr(message, field.name) for field in fields(ClusterSide) if field.name != "side"}
        yield ClusterSide(side=_side(message.side), **plain)


def _side(side: query_pb2.PositionSide) -> str:
    if side not in _SIDES:
        raise DecodeError(f"clusters have side {side}")
    return _SIDES[side]

"""Clusters of books made by hand: every number that is told of them.

Seen to fail when broken on purpose, one at a time: sides not told apart, lots at the price counted, ranked by mass
alone, neighbours of any size, isolation without its limit, stated lots averaged as leverage 0, open interest of all
venues where some were asked for, the least mass not scaled.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from liqscape.errors import InvalidArgument
from liqscape.events import PositionSide
from liqscape.grid.exact_layer import ExactPositions, ExactRow
from liqscape.grid.updates import MapQuery
from liqscape.insight.cluster_answer import Cluster, ClusterOrder, Clusters
from liqscape.insight.cluster_thresholds import ClusterThresholds
from liqscape.insight.clusters import ClusterQuery, find_clusters
from liqscape.insight.reliability import Grade
from tests.unit.insight.hand_made_books import (
    ALL_COVERED,
    NOW_NS,
    ROW,
    STATED,
    Lots,
    book,
    covers,
    lots_of_usd,
    millions,
)

SMALL = ClusterThresholds(min_mass_usd=1.0, smoothing_percent=0.0)


def ask(lots: list[Lots], **thresholds: float) -> Clusters:
    return find_clusters(book(lots), ClusterQuery(replace(SMALL, **thresholds), limit=50))  # type: ignore[arg-type]


def only(found: Clusters) -> Cluster:
    (cluster,) = found.clusters
    return cluster


def peaks(found: Clusters) -> list[int]:
    return [cluster.peak_row * ROW for cluster in found.clusters]


def test_cluster_tells_bounds_mass_mix_and_distance_exactly() -> None:
    lots = [
        Lots(95_020, 1_000, leverage=10, venue=0),
        Lots(95_110, 3_000, leverage=20, venue=0),
        Lots(95_190, 1_000, leverage=20, venue=1),
        Lots(95_250, 2_500, leverage=50, venue=2),
        Lots(95_310, 1_500, leverage=50, venue=1),
    ]

    cluster = only(ask(lots))

    assert (cluster.side, cluster.rank) == (PositionSide.LONG, 1)
    assert (cluster.first_row, cluster.last_row, cluster.peak_row) == (951, 952, 951)
    assert cluster.lots == 6_500
    assert cluster.usd == (4_000 * 95_150 + 2_500 * 95_250) / 10**5
    assert cluster.open_interest_share == 6_500 / (4 * 2 * 10**9)
    assert cluster.held.by_venue == (("alpha", 3_000), ("gamma", 2_500), ("beta", 1_000))
    assert cluster.held.by_leverage == ((20, 4_000), (50, 2_500))
    assert cluster.held.mean_leverage() == (20 * 4_000 + 50 * 2_500) / 6_500
    assert cluster.held.mean_margin_share() == (4_000 / 20 + 2_500 / 50) / 6_500
    assert cluster.venue_concentration == (3_000**2 + 2_500**2 + 1_000**2) / 6_500**2
    assert cluster.edge_distance_units == 100_000 - 95_300
    assert cluster.peak_distance_units == 100_000 - 95_150
    assert (cluster.stated.lots, cluster.stated.accounts, cluster.stated.oldest_ns) == (0, 0, 0)
    assert (cluster.below, cluster.above, cluster.isolated) == (None, None, True)
    assert cluster.score_usd == cluster.usd
    assert (cluster.band_low, cluster.band_high) == (94_674.25, 95_625.75)


def test_longs_lie_below_the_price_and_shorts_above_and_both_are_told_of_their_own_side() -> None:
    lots = [Lots(98_000, 500), Lots(102_000, 700), Lots(98_000, 9_000, side=PositionSide.SHORT)]

    found = ask(lots)

    assert [(c.side.name, c.lots, c.peak_row) for c in found.clusters] == [("LONG", 500, 980), ("SHORT", 700, 1020)]
    assert [c.edge_distance_units for c in found.clusters] == [1_900, 2_000]
    assert [c.peak_distance_units for c in found.clusters] == [1_950, 2_050]
    long, short = found.sides
    assert (long.at_price_lots, short.at_price_lots) == (0, 9_000)


def test_lots_in_the_base_row_of_the_price_are_in_no_cluster_and_counted() -> None:
    at_price = [Lots(100_000, 40, side=PositionSide.LONG), Lots(100_009, 50)]
    beside = [Lots(99_990, 7), Lots(100_010, 8)]

    found = ask(at_price + beside)

    assert [(c.side.name, c.lots) for c in found.clusters] == [("LONG", 7), ("SHORT", 8)]
    assert [c.edge_distance_units for c in found.clusters] == [0, 0]
    assert [side.at_price_lots for side in found.sides] == [40, 50]


def test_isolated_cluster_outranks_a_larger_one_that_stands_among_others() -> None:
    """300M alone with nothing within 3 % either side, against 500M with clusters every 0.5 %."""
    alone = millions(96_500, 300)
    large = millions(90_000, 500)
    around = [millions(90_000 + 500 * step, 60) for step in range(-6, 7) if step]

    found = ask([alone, large, *around])
    by_mass = find_clusters(book([alone, large, *around]), ClusterQuery(SMALL, order=ClusterOrder.MASS))

    first, second = found.clusters[:2]
    assert (first.peak_row, first.isolated, second.peak_row, second.isolated) == (965, True, 900, False)
    assert (round(first.usd / 1e6), round(first.score_usd / 1e6)) == (300, 300)
    assert (round(second.usd / 1e6), round(second.score_usd / 1e6)) == (500, 83)
    assert [cluster.peak_row for cluster in by_mass.clusters[:2]] == [900, 965]


def test_neighbours_are_the_nearest_ones_with_enough_mass_either_way() -> None:
    lots = [millions(92_000, 100), millions(93_500, 9), millions(94_000, 30), millions(95_000, 200)]

    found = {cluster.peak_row: cluster for cluster in ask(lots).clusters}

    first, largest = found[920], found[950]
    assert first.below is None
    assert first.above is not None
    assert (first.above.peak_row, first.above.distance_ppm, first.above.gap_ppm) == (940, 20_000, 19_000)
    assert round(first.above.usd / 1e6) == 30
    assert largest.above is None
    assert largest.below is not None
    assert (largest.below.peak_row, largest.isolated) == (940, False)
    assert ask(lots, neighbour_share=0.2).clusters[0].below is not None
    far = {c.peak_row: c for c in ask(lots, neighbour_share=0.4).clusters}[950]
    assert far.below is not None
    assert (far.below.peak_row, far.below.distance_ppm, far.isolated) == (920, 30_000, False)


def test_neighbour_just_beyond_the_isolation_threshold_leaves_a_cluster_isolated() -> None:
    at_it = ask([millions(96_000, 200), millions(93_000, 200)])
    beyond_it = ask([millions(96_000, 200), millions(92_900, 200)])

    assert {c.isolated for c in at_it.clusters} == {False}
    assert {c.isolated for c in beyond_it.clusters} == {True}
    assert all(c.score_usd == c.usd for c in (*at_it.clusters, *beyond_it.clusters))


def test_orders_differ_and_equal_ones_are_told_nearest_first() -> None:
    lots = [Lots(97_000, 100), Lots(98_000, 100), Lots(90_000, 300), Lots(98_500, 40)]

    def asked(order: ClusterOrder) -> list[int]:
        return peaks(find_clusters(book(lots), ClusterQuery(SMALL, order=order, limit=50)))

    assert asked(ClusterOrder.DISTANCE) == [98_500, 98_000, 97_000, 90_000]
    assert asked(ClusterOrder.MASS) == [90_000, 98_000, 97_000, 98_500]
    assert asked(ClusterOrder.SCORE) == [90_000, 97_000, 98_000, 98_500]


def test_stated_positions_count_as_exact_and_have_no_leverage() -> None:
    lots = [Lots(95_050, 600, leverage=STATED, venue=3), Lots(95_060, 200, leverage=20), Lots(90_000, 5, STATED, 3)]
    exact = ExactPositions(
        "delta",
        (
            ExactRow(900, PositionSide.LONG, 5, 5, 1, NOW_NS - 1),
            ExactRow(950, PositionSide.LONG, 600, 0, 2, NOW_NS - 7),
            ExactRow(950, PositionSide.SHORT, 9, 0, 4, NOW_NS - 99),
        ),
        (),
    )

    found = find_clusters(book(lots, exact=(exact,)), ClusterQuery(SMALL))

    mixed, whole = found.clusters
    assert (mixed.lots, mixed.stated.lots, mixed.stated.accounts, mixed.stated.oldest_ns) == (800, 600, 2, NOW_NS - 7)
    assert mixed.held.by_leverage == ((20, 200),)
    assert mixed.held.mean_leverage() == 20
    assert mixed.held.by_venue == (("delta", 600), ("alpha", 200))
    assert (whole.stated.accounts, whole.stated.oldest_ns) == (1, NOW_NS - 1)
    assert (whole.stated.lots, whole.lots, whole.held.mean_leverage()) == (5, 5, None)
    assert whole.held.mean_margin_share() is None


def test_filters_change_lots_and_open_interest_alike() -> None:
    lots = [Lots(95_000, 100, 10, 0), Lots(95_000, 40, 20, 1), Lots(95_000, 7, STATED, 1), Lots(105_000, 9, 20, 1)]

    def asked(**filters: object) -> Clusters:
        query = replace(MapQuery("BTC", row_multiple=10), **filters)  # type: ignore[arg-type]
        return find_clusters(book(lots, query), ClusterQuery(SMALL))

    beta = asked(venues=("beta",))
    tens = asked(leverages=(10,))
    shorts = asked(side=PositionSide.SHORT)

    assert [c.lots for c in beta.clusters] == [47, 9]
    assert [side.open_interest_lots for side in beta.sides] == [2 * 10**9] * 2
    assert beta.open_interest_usd == 2e9
    assert beta.clusters[0].open_interest_share == 47 / (2 * 10**9)
    assert [(c.lots, c.stated.lots) for c in tens.clusters] == [(100, 0)]
    assert [(c.side, c.lots) for c in shorts.clusters] == [(PositionSide.SHORT, 9)]
    assert [side.side for side in shorts.sides] == [PositionSide.SHORT]


def test_summary_tells_all_that_is_not_listed() -> None:
    lots = [
        millions(97_000, 200),
        millions(95_000, 160),
        millions(92_000, 149),
        millions(70_000, 500),
        Lots(30_000, 11),
        Lots(100_000, 13, side=PositionSide.LONG),
    ]

    found = find_clusters(book(lots), ClusterQuery(limit=1))

    long, short = found.sides
    assert peaks(found) == [97_000]
    assert found.thresholds.min_mass_usd == 150e6
    assert (long.found, long.small, long.far, long.unlisted) == (4, 1, 1, 1)
    assert round(long.largest_small_usd / 1e6) == 149
    assert (long.outside_lots, long.at_price_lots) == (11, 13)
    assert long.live_lots == sum(part.lots for part in lots)
    assert long.clustered_lots == long.live_lots - 24
    assert (short.found, short.live_lots, short.largest_small_usd) == (0, 0, 0.0)


@pytest.mark.parametrize(
    ("symbol", "btc_usd", "least"), [("BTC", 1e9, 150e6), ("ETH", 16e9, 75e6), ("ETH", None, 50e6)]
)
def test_least_mass_of_other_symbols_is_in_proportion_to_open_interest(
    symbol: str, btc_usd: float | None, least: float
) -> None:
    query = MapQuery(symbol, row_multiple=10)

    found = find_clusters(book([], query), ClusterQuery(), btc_open_interest_usd=btc_usd)

    assert found.open_interest_usd == 8e9
    assert found.thresholds.min_mass_usd == least


def test_cluster_is_no_wider_than_asked_for_and_as_far_as_asked_for() -> None:
    wall = [Lots(90_050 + ROW * row, 100) for row in range(60)]

    found = ask(wall, max_width_percent=1.5)

    assert [c.last_row - c.first_row + 1 for c in found.clusters] == [15]
    assert peaks(ask([*wall, Lots(97_550, 100)], within_percent=2.45)) == [97_500]
    assert peaks(ask([*wall, Lots(97_550, 100)], within_percent=2.44)) == []


def test_side_counts_every_lot_as_near_as_clusters_are_listed() -> None:
    lots = [Lots(95_050, 100), Lots(94_950, 10), Lots(94_850, 9), Lots(104_999, 7), Lots(105_000, 3), Lots(105_100, 8)]

    found = ask(lots, within_percent=4.95, min_mass_usd=1e6)

    long, short = found.sides
    assert found.clusters == ()
    assert (long.near_lots, long.near_usd) == (100, 95.05)
    assert (short.near_lots, short.near_usd) == (7, 7 * 104_950 / 10**5)
    assert [side.near_lots for side in ask(lots, within_percent=5.06).sides] == [110, 10]


def test_neighbours_that_touch_have_no_gap() -> None:
    wall = [Lots(95_050 + ROW * row, 100 - 40 * (row == 5)) for row in range(10)]

    lower, higher = sorted(ask(wall, max_width_percent=0.6).clusters, key=lambda cluster: cluster.first_row)

    assert higher.first_row == lower.last_row + 1
    assert higher.below is not None
    assert higher.below.gap_ppm == 0


def test_rows_of_the_map_are_the_rows_of_the_answer() -> None:
    found = find_clusters(book([Lots(95_000, 10)], MapQuery("BTC")), ClusterQuery(SMALL))

    assert only(found).peak_row == 95_000 // 50


def test_grade_falls_with_coverage_feeds_and_size() -> None:
    lots = [millions(95_000, 200, venue=0), millions(95_000, 300, venue=1)]
    minute_ns = 60 * 10**9

    def graded(coverage: tuple[object, ...], *, stale: bool = False) -> tuple[Grade, list[str]]:
        found = find_clusters(book(lots, coverage=coverage), ClusterQuery(), stale=stale)  # type: ignore[arg-type]
        cluster = only(found)
        return cluster.grade, [reason.code for reason in cluster.reasons]

    late = (covers(0, watermark_ns=NOW_NS - minute_ns - 1), *ALL_COVERED[1:])
    both_late = (late[0], covers(1, watermark_ns=NOW_NS - 2 * minute_ns), *ALL_COVERED[2:])
    in_time = (covers(0, watermark_ns=NOW_NS - minute_ns), *ALL_COVERED[1:])
    thin = tuple(covers(venue, live=10**9, uncovered=10**9 + 1) for venue in range(4))
    thinner = tuple(covers(venue, live=10**9, uncovered=3 * 10**9 + 1) for venue in range(4))
    assert graded(ALL_COVERED) == (Grade.HIGH, [])
    assert graded(in_time) == (Grade.HIGH, [])
    assert graded(late) == (Grade.MEDIUM, ["feed_lag"])
    assert graded(both_late) == (Grade.LOW, ["feed_lag"])
    assert graded(thin) == (Grade.MEDIUM, ["covered_share"])
    assert graded(thinner) == (Grade.LOW, ["covered_share"])
    assert graded(ALL_COVERED[:2]) == (Grade.MEDIUM, ["few_venues"])
    assert graded(ALL_COVERED, stale=True) == (Grade.LOW, ["stale"])


def test_expiry_is_near_by_the_clock_of_the_data() -> None:
    lots = [millions(95_000, 200, venue=0), millions(95_000, 300, venue=1)]
    day_before_ns = int(datetime(2026, 3, 26, 8, tzinfo=UTC).timestamp()) * 10**9
    coverage = [covers(venue, watermark_ns=day_before_ns) for venue in range(4)]
    answer = replace(book(lots, coverage=coverage), source_watermark_ns=day_before_ns)

    cluster = only(find_clusters(answer, ClusterQuery()))

    assert [reason.text for reason in cluster.reasons] == ["futures expire in 24 hours, within 48"]


def test_one_venue_with_most_of_a_cluster_is_a_reason_and_its_own_map_is_not() -> None:
    lots = [millions(95_000, 301, venue=0), millions(95_000, 200, venue=1)]

    many = only(find_clusters(book(lots), ClusterQuery()))
    alone = only(find_clusters(book(lots, coverage=ALL_COVERED[:1]), ClusterQuery()))

    assert [reason.text for reason in many.reasons] == ["60% of it is on alpha, above 60%"]
    assert [reason.code for reason in alone.reasons] == ["few_venues"]


def test_little_on_a_small_coin_is_noise() -> None:
    small = tuple(covers(venue, live=10**7) for venue in range(4))
    lots = [millions(95_000, 0.6, venue=0), millions(95_000, 0.5, venue=1), Lots(80_000, lots_of_usd(80_000, 3e6))]

    found = find_clusters(book(lots, coverage=small), ClusterQuery(replace(SMALL, within_percent=10.0)))

    cluster = only(found)
    assert cluster.grade is Grade.LOW
    assert [(r.code, r.severe) for r in cluster.reasons] == [("noise", True), ("open_interest", False)]
    assert cluster.reasons[0].text == "1.1M USD is below the noise floor of 1.2M USD"
    assert cluster.reasons[1].text == "the symbol has 40M USD of open interest, below 200M USD"


@pytest.mark.parametrize("limit", [0, 201])
def test_limit_out_of_bounds_is_refused(limit: int) -> None:
    with pytest.raises(InvalidArgument, match=f"limit is {limit}; use 1 to 200"):
        ClusterQuery(limit=limit)

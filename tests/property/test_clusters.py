"""Clusters of made-up books: nothing counts twice, nothing is lost, and neither order nor scale changes anything.

Seen to fail when broken on purpose, one at a time: the row of a valley given to both humps, the lower peak kept
when two are joined, lots beyond the price counted, the cut of a wide hump growing to one side alone.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqscape.events import PositionSide
from liqscape.insight.cluster_answer import Clusters
from liqscape.insight.cluster_thresholds import ClusterThresholds
from liqscape.insight.clusters import ClusterQuery, find_clusters
from liqscape.insight.humps import HumpRules, find_humps
from liqscape.instruments import LEVERAGE_TIERS
from tests.unit.insight.hand_made_books import PRICE, STATED, Lots, book

LOTS = st.builds(
    Lots,
    at=st.integers(PRICE * 4 // 10, PRICE * 16 // 10),
    lots=st.integers(1, 10**8),
    leverage=st.sampled_from((STATED, *LEVERAGE_TIERS)),
    venue=st.integers(0, 3),
    side=st.sampled_from((None, *PositionSide)),
)
NEAR_LOTS = st.builds(Lots, at=st.integers(PRICE * 97 // 100, PRICE - 1), lots=st.integers(1, 1000))
BOOKS = st.lists(st.one_of(LOTS, NEAR_LOTS), min_size=1, max_size=60)

THRESHOLDS = st.builds(
    ClusterThresholds,
    smoothing_percent=st.floats(0, 1),
    valley_share=st.floats(0, 1),
    edge_share=st.floats(0.01, 1),
    max_width_percent=st.floats(0.1, 5),
    within_percent=st.just(50.0),
    min_mass_usd=st.just(0.0),
    isolation_percent=st.floats(0.1, 10),
    neighbour_share=st.floats(0.001, 1),
)


def found(lots: list[Lots], thresholds: ClusterThresholds) -> Clusters:
    return find_clusters(book(lots), ClusterQuery(thresholds, limit=200))


@pytest.mark.slow
@given(BOOKS, THRESHOLDS)
def test_every_lot_of_a_side_is_in_one_place(lots: list[Lots], thresholds: ClusterThresholds) -> None:
    answer = book(lots)

    clusters = found(lots, thresholds)

    for side in PositionSide:
        summary = clusters.sides[side]
        of_side = [cluster for cluster in clusters.clusters if cluster.side is side]
        assert summary.live_lots == sum(part.lots for part in lots if part.key & 1 == side)
        assert summary.clustered_lots + summary.at_price_lots + summary.outside_lots <= summary.live_lots
        assert sum(cluster.lots for cluster in of_side) == summary.clustered_lots
        assert len(of_side) == summary.found
        base_price = answer.scale.base_row(PRICE)
        for cluster in of_side:
            by_hand = [
                part
                for part in lots
                if part.key & 1 == side
                and cluster.first_row <= part.at // 100 <= cluster.last_row
                and (part.at // 10 < base_price if side is PositionSide.LONG else part.at // 10 > base_price)
            ]
            assert cluster.lots == sum(part.lots for part in by_hand)
            assert cluster.stated.lots == sum(part.lots for part in by_hand if part.leverage == STATED)
            assert sum(n for _, n in cluster.held.by_venue) == cluster.lots
            assert sum(n for _, n in cluster.held.by_leverage) == cluster.lots - cluster.stated.lots
            assert 0 <= cluster.score_usd <= cluster.usd
        by_price = sorted(of_side, key=lambda cluster: cluster.first_row)
        for lower, higher in itertools.pairwise(by_price):
            assert lower.last_row < higher.first_row


@pytest.mark.slow
@given(BOOKS, THRESHOLDS, st.randoms(use_true_random=False))
def test_order_of_what_opened_changes_nothing(lots: list[Lots], thresholds: ClusterThresholds, random: Random) -> None:
    shuffled = lots.copy()
    random.shuffle(shuffled)

    assert found(shuffled, thresholds) == found(lots, thresholds)


@pytest.mark.slow
@given(BOOKS, THRESHOLDS, st.integers(2, 50))
def test_a_book_so_many_times_as_large_has_the_same_clusters(
    lots: list[Lots], thresholds: ClusterThresholds, times: int
) -> None:
    small = found(lots, thresholds)

    large = found([replace(part, lots=part.lots * times) for part in lots], thresholds)

    def shape(clusters: Clusters) -> list[tuple[object, ...]]:
        return [(c.side, c.first_row, c.last_row, c.peak_row, c.isolated) for c in clusters.clusters]

    assert sorted(shape(large)) == sorted(shape(small))
    assert {c.peak_row: c.lots for c in large.clusters} == {c.peak_row: c.lots * times for c in small.clusters}


@given(
    st.lists(st.integers(0, 1 << 40), min_size=1, max_size=80),
    st.builds(HumpRules, st.integers(1, 9), st.integers(0, 10**6), st.integers(10_000, 10**6), st.integers(1, 40)),
)
def test_humps_share_no_row_and_hold_every_local_maximum_they_can(lots: list[int], rules: HumpRules) -> None:
    rows = np.array(lots, np.int64)

    humps = find_humps(rows, rules)

    assert bool(humps) == bool(rows.any())
    taken = [row for hump in humps for row in range(hump.first, hump.last + 1)]
    assert len(taken) == len(set(taken))
    for hump in humps:
        assert hump.last - hump.first < rules.max_rows
        assert rows[[hump.first, hump.peak, hump.last]].all()
    if rows.any():
        assert any(hump.first <= int(rows.argmax()) <= hump.last for hump in humps) or rules.half_width > 1

"""The flow identity: worked numbers, corner cases, and every solution against all that are feasible."""

from __future__ import annotations

import itertools

import pytest

from liqscape.positions.flow import Flow, solve_flow


def feasible_opens_long(last: int, now: int, volume: int, swept_long: int, swept_short: int) -> list[int]:
    """Return every opens_long with which no flow is negative, and closes hold the sweeps and fit what was open."""
    change = now - last
    found = []
    for opens_long in range(0, last + now + 1):
        closes_long, closes_short = opens_long - change, volume - opens_long
        opens_short = volume - closes_long
        if swept_long <= closes_long <= last and swept_short <= closes_short <= last and opens_short >= 0:
            found.append(opens_long)
    return found


def test_worked_example() -> None:
    flow = solve_flow(traded=224_118_200, last=8_806_090_000, now=8_835_180_800, swept_long=0, swept_short=0)

    assert flow.volume == 134_470_920
    assert (flow.opens_long, flow.opens_short) == (81_780_860, 81_780_860)
    assert (flow.closes_long, flow.closes_short) == (52_690_060, 52_690_060)
    assert flow.excess == 0


def test_falling_open_interest_still_opens_positions() -> None:
    flow = solve_flow(traded=1000, last=5000, now=4800, swept_long=0, swept_short=0)

    assert (flow.opens_long, flow.closes_long) == (200, 400)


def test_odd_volume_leaves_the_odd_lot_to_the_other_side() -> None:
    flow = solve_flow(traded=5, last=100, now=100, swept_long=0, swept_short=0)

    assert flow == Flow(opens_long=1, closes_long=1, opens_short=2, closes_short=2, volume=3, excess=0)


def test_nothing_traded_and_nothing_changed_is_no_flow() -> None:
    assert solve_flow(traded=0, last=7, now=7, swept_long=0, swept_short=0) == Flow(0, 0, 0, 0, 0, 0)


def test_volume_is_cut_to_what_open_interest_can_take() -> None:
    flow = solve_flow(traded=10**9, last=10, now=12, swept_long=0, swept_short=0)

    assert flow.volume == 22
    assert (flow.closes_long, flow.closes_short) == (10, 10)
    assert flow.excess == 0


@pytest.mark.parametrize(
    ("traded", "now", "swept_long", "swept_short", "volume", "excess"),
    [
        (0, 150, 0, 0, 50, 50),
        (0, 40, 0, 0, 60, 60),
        (70, 150, 0, 0, 50, 0),  # 0.6 x 70 is too little, all that was traded is not
        (40, 150, 0, 0, 50, 10),
        (10, 100, 30, 0, 30, 20),
        (10, 100, 30, 25, 55, 45),
        (10, 130, 30, 25, 85, 75),
    ],
)
def test_too_little_volume_is_raised_to_the_least_and_the_excess_over_what_was_traded_is_counted(
    traded: int, now: int, swept_long: int, swept_short: int, volume: int, excess: int
) -> None:
    flow = solve_flow(traded=traded, last=100, now=now, swept_long=swept_long, swept_short=swept_short)

    assert (flow.volume, flow.excess) == (volume, excess)


def test_sweeps_are_closes() -> None:
    flow = solve_flow(traded=100, last=1000, now=990, swept_long=60, swept_short=0)

    assert flow.closes_long == 60
    assert flow.opens_long == 50
    assert flow.closes_short == 10


def test_every_small_case_is_the_feasible_solution_nearest_to_the_default() -> None:
    cases = 0
    for last, now, traded in itertools.product(range(5), range(7), (0, 1, 2, 5, 9, 30)):
        for swept_long, swept_short in itertools.product(range(last + 1), repeat=2):
            flow = solve_flow(traded=traded, last=last, now=now, swept_long=swept_long, swept_short=swept_short)

            change = now - last
            volume = min(traded * 3 // 5, 2 * last + change)
            while not feasible_opens_long(last, now, volume, swept_long, swept_short):
                volume += 1
            default = (volume + change) // 2
            nearest = min(
                feasible_opens_long(last, now, volume, swept_long, swept_short), key=lambda a: abs(a - default)
            )
            assert (flow.volume, flow.opens_long) == (volume, nearest)
            assert flow.opens_long - flow.closes_long == change == flow.opens_short - flow.closes_short
            assert flow.opens_long + flow.closes_short == volume == flow.opens_short + flow.closes_long
            cases += 1
    assert cases > 2000

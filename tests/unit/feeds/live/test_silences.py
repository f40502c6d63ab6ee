"""Silences in the middle of a connection: told when it speaks again, and told from delays, jumps of clocks and quiet.

Seen to fail when broken on purpose, one at a time: line.py, silence without the receive time, without the venue's, with
funding counted, without latest_ns; moved without a pace. desk.py, paces of each line; silence of a waiting line.
pace.py, rest without the limit, without forgetting.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from liqscape.events import Event, Funding, Gap, MarkPrice
from liqscape.feeds.live.holes import MARGIN_NS
from liqscape.feeds.live.line import Line
from liqscape.feeds.live.pace import FORGET_NS, LEARNT, LEAST_NS, PATIENCE, Pace
from tests.unit.feeds.live.test_desk import ACKNOWLEDGED, BTC, ENDPOINT, ETH, Desk, mark, ns, trade

CADENCE_MS = 2_000
"""Of the marks: three of them are more than LEAST_NS."""

LIMIT_MS = PATIENCE * CADENCE_MS


def a_steady_line(until_ms: int = LEARNT * CADENCE_MS + CADENCE_MS) -> tuple[Desk, Line]:
    """Return a line that has told marks at the cadence up to a time, which is included."""
    made = Desk()
    line = made.desk.open(ENDPOINT)
    line.hear(ACKNOWLEDGED, ns(0))
    say(line, range(0, until_ms + 1, CADENCE_MS))
    return made, line


def say(line: Line, at_ms: Iterable[int], late_ms: int = 20) -> None:
    for ms in at_ms:
        line.hear(mark(ms), ns(ms + late_ms))


LAST_MS = LEARNT * CADENCE_MS + CADENCE_MS


def test_a_silence_is_a_gap_of_all_that_the_connection_tells() -> None:
    made, line = a_steady_line()
    again_ms = LAST_MS + LIMIT_MS + 1_000

    line.hear(trade(again_ms, 1), ns(again_ms + 20))

    span = ns(LAST_MS) - MARGIN_NS, ns(again_ms) + MARGIN_NS
    assert made.gaps() == [Gap(name, *span, "silent") for name in (BTC, ETH)]
    assert made.trades() == [again_ms]


def test_a_rest_within_what_is_usual_is_none() -> None:
    made, line = a_steady_line()

    say(line, [LAST_MS + LIMIT_MS])

    assert made.gaps() == []


def test_what_was_only_delayed_is_none() -> None:
    made, line = a_steady_line()
    late_ms = 20_000

    for ms in range(LAST_MS + CADENCE_MS, LAST_MS + late_ms, CADENCE_MS):
        line.hear(mark(ms), ns(LAST_MS + late_ms))

    assert made.gaps() == []


def test_a_jump_of_the_venues_clock_is_none() -> None:
    made = Desk()
    line = made.desk.open(ENDPOINT)
    line.hear(ACKNOWLEDGED, ns(0))
    behind_ms = 60_000
    say(line, range(0, LAST_MS + 1, CADENCE_MS), late_ms=behind_ms)

    line.hear(mark(LAST_MS + behind_ms), ns(LAST_MS + CADENCE_MS + behind_ms))

    assert made.gaps() == []


def test_a_time_that_cannot_be_ends_no_silence() -> None:
    made, line = a_steady_line()
    again_ms = LAST_MS + LIMIT_MS + 1_000

    line.hear(trade(again_ms + 500_000_000, 1), ns(again_ms))
    line.hear(trade(again_ms, 2), ns(again_ms))

    assert {(gap.from_ns, gap.to_ns) for gap in made.gaps() if gap.reason == "silent"} == {
        (ns(LAST_MS) - MARGIN_NS, ns(again_ms) + MARGIN_NS)
    }


def test_the_interval_of_a_funding_says_nothing_of_a_silence() -> None:
    _, line = a_steady_line()
    again_ms = LAST_MS + LIMIT_MS + 1_000
    rate: Event = Funding(BTC, ns(0), 1, 8)
    price = MarkPrice(BTC, ns(again_ms), 650_001)

    both, rate_alone = (line.silence(events, ns(again_ms), ns(again_ms)) for events in ([rate, price], [rate]))

    assert [gap.instrument_id for gap in both] == [BTC, ETH]
    assert rate_alone == []


def test_a_silence_in_a_hole_is_a_part_of_it() -> None:
    made, line = a_steady_line()
    made.desk.end(line, ns(LAST_MS + 500), "disconnected")
    again = made.desk.open(ENDPOINT)
    again.hear(mark(LAST_MS + 2_000), ns(LAST_MS + 2_020))

    again.hear(mark(LAST_MS + 2 * LIMIT_MS), ns(LAST_MS + 2 * LIMIT_MS))

    assert made.gaps() == []


def test_a_long_silence_does_not_hide_the_next() -> None:
    made, line = a_steady_line()
    first_ms = LAST_MS + 20 * LIMIT_MS
    second_ms = first_ms + CADENCE_MS + 2 * LIMIT_MS

    say(line, [first_ms, first_ms + CADENCE_MS, second_ms])

    assert [gap.to_ns for gap in made.gaps() if gap.instrument_id == BTC] == [
        ns(first_ms) + MARGIN_NS,
        ns(second_ms) + MARGIN_NS,
    ]


def test_a_connection_begun_anew_in_a_silence_knows_the_pace_of_those_before() -> None:
    made, line = a_steady_line()
    made.desk.end(line, ns(LAST_MS + 500), "disconnected")
    again = made.desk.open(ENDPOINT)
    again.hear(ACKNOWLEDGED, ns(LAST_MS + 2_000))
    again.hear(mark(LAST_MS + 2_000), ns(LAST_MS + 2_020))  # the state, told at once
    resumed_ms = LAST_MS + 2_000 + LIMIT_MS + 1_000

    again.hear(mark(resumed_ms), ns(resumed_ms + 20))

    silences = {(gap.from_ns, gap.to_ns) for gap in made.gaps() if gap.reason == "silent"}
    assert silences == {(ns(LAST_MS + 2_000) - MARGIN_NS, ns(resumed_ms) + MARGIN_NS)}


def test_a_line_that_waits_to_take_over_tells_of_no_silence() -> None:
    made, old = a_steady_line()
    new = made.desk.open(ENDPOINT, takes_over=True)
    new.hear(ACKNOWLEDGED, ns(LAST_MS))
    new.hear(mark(LAST_MS), ns(LAST_MS))
    old.hear(mark(LAST_MS + CADENCE_MS), ns(LAST_MS + CADENCE_MS))

    new.hear(mark(LAST_MS + 3 * LIMIT_MS), ns(LAST_MS + 3 * LIMIT_MS))

    assert made.gaps() == []


def test_before_enough_rests_were_seen_nothing_is_usual() -> None:
    made, line = a_steady_line((LEARNT - 1) * CADENCE_MS)

    say(line, [LEARNT * CADENCE_MS + 10 * LIMIT_MS])

    assert made.gaps() == []


def test_a_venue_that_has_become_slower_is_learnt_after_a_few_gaps() -> None:
    made, line = a_steady_line()

    say(line, range(LAST_MS, LAST_MS + 40 * 4 * LIMIT_MS, 4 * LIMIT_MS))

    assert 1 <= len([gap for gap in made.gaps() if gap.instrument_id == BTC]) <= 4


@pytest.mark.parametrize("rest_ns", [1_000_000, 300_000_000])
def test_no_silence_is_shorter_than_a_busy_venue_may_take(rest_ns: int) -> None:
    pace = Pace()

    for _ in range(LEARNT):
        pace.rest(rest_ns)

    assert pace.limit_ns == LEAST_NS


def test_a_long_rest_is_forgotten() -> None:
    pace = Pace()
    pace.rest(60_000_000_000)

    for _ in range(FORGET_NS // 1_000_000_000):
        pace.rest(1_000_000_000)

    assert pace.limit_ns is not None
    assert pace.limit_ns < PATIENCE * 30_000_000_000

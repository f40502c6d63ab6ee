"""Numbers without holes, and what venues may make of them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqscape.events import Gap, TakerSide, Trade
from liqscape.feeds.venues.dialect import Reading, Unreadable
from liqscape.feeds.venues.numbered import AGAIN, HOLES, SHOWN, Counted, Followed, Numbered, Step
from tests.unit.feeds.venues.captured import replayed


def taken(*numbers: object) -> tuple[list[bool], Reading]:
    numbered, into = Numbered(), Reading()
    return [numbered.takes(into, "venue:BTC", number, 10**18 + n) for n, number in enumerate(numbers)], into


def test_numbers_that_follow_are_taken_without_a_word() -> None:
    took, into = taken(5, 6, 7)

    assert took == [True, True, True]
    assert not into.events
    assert not into.ignored


def test_hole_is_announced_and_what_comes_again_left_out() -> None:
    took, into = taken(5, 8, 6, 8, 9)

    assert took == [True, True, False, False, True]
    assert into.events == [Gap("venue:BTC", 10**18, 10**18 + 1 + 10**6, "trades are missing")]
    assert into.ignored == {"trade again": 2}


def test_one_absurd_number_makes_nobody_deaf() -> None:
    took, into = taken(5, 10**18, 6, 7)

    assert took == [True, True, True, True]
    assert len(into.events) == 2


def test_new_count_of_the_venue_is_taken_with_a_gap() -> None:
    took, into = taken(10 * AGAIN, 1, 2)

    assert took == [True, True, True]
    assert len(into.events) == 1


@pytest.mark.parametrize("number", ["5", 5.0, None, True])
def test_number_that_is_none_is_refused(number: object) -> None:
    with pytest.raises(Unreadable):
        taken(number)


def test_instruments_are_counted_apart_and_from_the_old_trades() -> None:
    numbered, into = Numbered(), Reading()

    numbered.begins("venue:BTC", 5, 10**18)
    numbered.begins("venue:ETH", None, 10**18)

    assert numbered.takes(into, "venue:BTC", 6, 10**18)
    assert numbered.takes(into, "venue:ETH", 99, 10**18)
    assert not into.events


@given(st.lists(st.integers(0, 30), max_size=40))
def test_no_number_is_taken_twice_in_a_row_of_growing_ones_and_every_hole_is_announced(numbers: list[int]) -> None:
    took, into = taken(*numbers)

    kept = [number for number, was in zip(numbers, took, strict=True) if was]
    assert kept == sorted(set(kept))
    holes = sum(after != before + 1 for before, after in itertools.pairwise(kept))
    assert len(into.events) == holes
    assert into.ignored["trade again"] == len(numbers) - len(kept)


def test_messages_of_a_connection_follow_are_missing_or_come_again() -> None:
    counted = Counted()

    steps = [counted.step(number) for number in (7, 8, 8, 7, 11, 10, 12, 12 + 2 * AGAIN, 13)]

    assert steps == [
        *(Step.NEXT, Step.NEXT, Step.AGAIN, Step.AGAIN),
        *(Step.MISSED, Step.AGAIN, Step.NEXT),
        *(Step.MISSED, Step.MISSED),  # an absurd one, and the count goes on
    ]


def seen(ids: Sequence[object], counts: Sequence[object] | None = None) -> Reading:
    """Return what ids of trades have shown, a millisecond after the other."""
    followed, into = Followed(), Reading()
    for n, trade_id in enumerate(ids):
        into.events.append(Trade("venue:BTC", 10**18 + n * 10**6, 650_000, 1 + n, TakerSide.BUY))
        followed.see(into, trade_id, 1 if counts is None else counts[n])
    return into


def gaps(read: Reading) -> list[Gap]:
    return [event for event in read.events if isinstance(event, Gap)]


def test_ids_that_have_shown_to_follow_tell_what_is_missing() -> None:
    ids = [str(number) for number in range(SHOWN + 1)]

    early = seen([*ids[:-1], str(SHOWN + 4)])
    late = seen([*ids, str(SHOWN + 4), str(SHOWN + 5)])

    assert gaps(early) == []
    last_ns = 10**18 + (SHOWN + 1) * 10**6
    assert gaps(late) == [Gap("venue:BTC", last_ns - 10**6, last_ns + 10**6, "trades are missing")]
    assert [alternative for _, alternative in late.evidence] == ["they follow without holes"]
    assert early.evidence == []


def test_trades_told_as_one_take_as_many_ids() -> None:
    counts = [1 + n % 3 for n in range(SHOWN + 10)]
    ids = list(itertools.accumulate(counts))

    read = seen(ids, [str(count) for count in counts])

    assert (gaps(read), len(read.evidence)) == ([], 1)


def test_ids_with_holes_of_their_own_tell_nothing() -> None:
    ids = [number + number // (HOLES // 2) for number in range(3 * SHOWN)]

    read = seen(ids)

    assert (gaps(read), read.evidence) == ([], [])


def test_id_passed_over_counts_where_it_is_the_next_one_and_says_nothing_elsewhere() -> None:
    followed, into = Followed(), Reading()

    def see(number: int) -> None:
        into.events.append(Trade("venue:BTC", 10**18 + number, 650_000, 1, TakerSide.BUY))
        followed.see(into, number)

    for number in range(SHOWN + 1):
        see(number)
    for other in (SHOWN + 50, SHOWN - 1, str(SHOWN + 1), None):
        followed.pass_over("venue:BTC", other)
    followed.pass_over("venue:ETH", SHOWN + 1)
    see(SHOWN + 1)
    followed.pass_over("venue:BTC", SHOWN + 2)
    see(SHOWN + 3)
    assert gaps(into) == []

    see(SHOWN + 5)
    assert len(gaps(into)) == 1


def test_an_id_told_late_or_again_is_no_hole() -> None:
    ids = [*range(SHOWN + 1), SHOWN + 2, SHOWN + 1, SHOWN + 2, SHOWN + 3]

    assert len(gaps(seen(ids))) == 1


@pytest.mark.parametrize("trade_id", [None, "9c1f", [], {}, ""])
def test_what_is_no_number_says_nothing(trade_id: object) -> None:
    assert gaps(seen([*range(SHOWN + 1), trade_id, SHOWN + 1])) == []


@pytest.mark.recorded
def test_real_ids_of_okx_follow() -> None:
    followed, into, count = Followed(), Reading(), 0
    for _, message in replayed("okx", "replay_20220513T162704Z_3instruments.jsonl"):
        said = orjson.loads(message)
        if said.get("arg", {}).get("channel") == "trades":
            for row in said.get("data", ()):
                into.events.append(Trade(row["instId"], int(row["ts"]) * 10**6, 1, 1, TakerSide.BUY))
                followed.see(into, row["tradeId"])
                count += 1

    assert count == 74
    assert (followed._followed, followed._holes) == (71, 0)

"""What is wanted of a series, what is missing of it, and in which pages it is asked for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from liqscape.feeds.backfill.spans import DAY_NS, SETTLED_NS, Span, holes, missing, pages, wanted_spans
from liqscape.feeds.venues.dialect import Channel
from liqscape.feeds.venues.history import PastSeries

MINUTE = 60_000_000_000
NOW = 29_900_000 * MINUTE + 7
FINE = PastSeries(name="candles 1m", channel=Channel.TRADES, step_ns=MINUTE, page=1000, depth_ns=2 * DAY_NS)
COARSE = PastSeries(name="candles 1h", channel=Channel.TRADES, step_ns=60 * MINUTE, page=100)
SAMPLES = PastSeries(name="open interest", channel=Channel.OPEN_INTEREST, step_ns=5 * MINUTE, page=500)


def test_coarser_series_are_wanted_only_where_finer_ones_do_not_reach() -> None:
    wanted = wanted_spans((FINE, COARSE, SAMPLES), NOW - 10 * DAY_NS, NOW)

    assert wanted[FINE].from_ns - (NOW - 2 * DAY_NS) == MINUTE - 7  # the first whole minute within the depth
    assert wanted[COARSE].until_ns <= wanted[FINE].from_ns < wanted[COARSE].until_ns + 60 * MINUTE
    assert wanted[COARSE].from_ns >= NOW - 10 * DAY_NS
    assert wanted[SAMPLES].until_ns == (NOW - SETTLED_NS) // MINUTE * MINUTE


def test_coarser_series_is_not_wanted_where_the_finer_one_reaches_back_far_enough() -> None:
    assert list(wanted_spans((FINE, COARSE), NOW - DAY_NS, NOW)) == [FINE]


def test_nothing_is_wanted_of_a_span_shorter_than_a_step() -> None:
    assert wanted_spans((COARSE,), NOW - 30 * MINUTE, NOW) == {}


def test_missing_is_what_no_kept_span_holds() -> None:
    kept = [Span(50, 60), Span(10, 20), Span(15, 30), Span(95, 120)]

    assert missing(Span(0, 100), kept) == [Span(0, 10), Span(30, 50), Span(60, 95)]
    assert missing(Span(0, 100), []) == [Span(0, 100)]
    assert missing(Span(12, 28), kept) == []
    assert missing(Span(200, 300), kept) == [Span(200, 300)]


def test_pages_are_cut_in_the_same_places_whatever_the_span() -> None:
    size = FINE.step_ns * FINE.page

    found = pages([Span(3 * size + 5 * MINUTE, 5 * size + MINUTE)], FINE)

    assert found == [
        Span(3 * size + 5 * MINUTE, 4 * size),
        Span(4 * size, 5 * size),
        Span(5 * size, 5 * size + MINUTE),
    ]


def test_holes_are_where_a_step_is_left_out() -> None:
    assert holes([20, 30, 60], 10, Span(10, 80)) == [Span(10, 20), Span(40, 60), Span(70, 80)]
    assert holes([10, 20], 10, Span(10, 30)) == []
    assert holes([], 10, Span(10, 30)) == [Span(10, 30)]


spans = st.builds(lambda begin, length: Span(begin, begin + length), st.integers(0, 200), st.integers(1, 60))


@given(spans, st.lists(spans, max_size=8))
def test_missing_and_kept_make_up_what_is_wanted_and_do_not_overlap(wanted: Span, kept: list[Span]) -> None:
    found = missing(wanted, kept)

    held = {at for each in kept for at in range(each.from_ns, each.until_ns)}
    lacking = [at for each in found for at in range(each.from_ns, each.until_ns)]
    assert lacking == [at for at in range(wanted.from_ns, wanted.until_ns) if at not in held]

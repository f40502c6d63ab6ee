"""Two streams of open interest, of one book and of two."""

from __future__ import annotations

from collections.abc import Sequence

from liqscape.events import OpenInterest
from liqscape.feeds.venues.same_book import ENOUGH, SameBook, Verdict

STEP_NS = 100_000_000


def watched(theirs: Sequence[int], lag_ns: int, values: Sequence[int]) -> SameBook:
    """Return what was made of two streams: theirs repeats `theirs` so much later than ours says `values`."""
    seen = SameBook("deribit:X", "coinbase_intl:X")
    told = [OpenInterest("deribit:X", 10**18 + n * STEP_NS, value) for n, value in enumerate(values)]
    told += [OpenInterest("coinbase_intl:X", 10**18 + n * STEP_NS + lag_ns, value) for n, value in enumerate(theirs)]
    for sample in sorted(told, key=lambda each: each.time_ns):
        seen.tell(sample)
    return seen


def test_open_interest_that_agrees_again_and_again_is_of_one_book() -> None:
    values = [1000 + n // 3 for n in range(30 * ENOUGH)]

    seen = watched(values, 350_000_000, values)

    assert seen.verdict is Verdict.SAME
    assert seen.agreed == seen.compared > ENOUGH


def test_open_interest_that_differs_is_of_two_books() -> None:
    values = [1000 + n // 3 for n in range(30 * ENOUGH)]

    assert watched([value + 500_000 for value in values], 350_000_000, values).verdict is Verdict.DIFFERENT


def test_equal_values_at_other_times_are_no_agreement() -> None:
    values = [1000 + n for n in range(6 * ENOUGH)]

    for lag_ns in (-5_000_000_000, 5_000_000_000):
        assert watched(values, lag_ns, values).verdict is Verdict.DIFFERENT


def test_nothing_is_said_of_values_that_stand_still_or_of_one_venue_alone() -> None:
    changing = [1000 + n for n in range(3 * ENOUGH)]

    assert watched([1000] * 500, 0, [1000] * 500).verdict is Verdict.OPEN
    assert watched([], 0, changing).verdict is Verdict.OPEN


def test_other_instruments_do_not_count() -> None:
    seen = SameBook("deribit:X", "coinbase_intl:X")

    for n in range(100):
        seen.tell(OpenInterest("deribit:Y", 10**18 + n * STEP_NS, n + 1))

    assert (seen.compared, seen.verdict) == (0, Verdict.OPEN)

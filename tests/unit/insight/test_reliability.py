"""Grades: what each reason says, and how many of them make a grade.

Seen to fail when broken on purpose, one at a time: low from two mild reasons on, a severe one counted as mild, severe
ones told last, one venue told of a map that has no other.
"""

from __future__ import annotations

from dataclasses import replace

from liqscape.insight.cluster_thresholds import ClusterThresholds
from liqscape.insight.reliability import Evidence, Grade, grade

GOOD = Evidence(
    usd=200e6,
    venue_shares={"alpha": 0.5, "beta": 0.5},
    lagging_ppm=0,
    covered_share=0.9,
    open_interest_usd=8e9,
    venues=4,
    stale=False,
    expiry_hours=48.1,
)
THRESHOLDS = ClusterThresholds()


def graded(**changes: object) -> tuple[Grade, list[str]]:
    found, reasons = grade(replace(GOOD, **changes), THRESHOLDS)  # type: ignore[arg-type]
    return found, [reason.code for reason in reasons]


def test_nothing_against_it_is_high() -> None:
    assert graded() == (Grade.HIGH, [])


def test_two_mild_reasons_are_medium_and_three_are_low() -> None:
    one = {"covered_share": 0.4}
    two = one | {"open_interest_usd": 100e6}
    three = two | {"venues": 2}

    assert graded(**one) == (Grade.MEDIUM, ["covered_share"])
    assert graded(**two) == (Grade.MEDIUM, ["covered_share", "open_interest"])
    assert graded(**three) == (Grade.LOW, ["covered_share", "open_interest", "few_venues"])


def test_one_severe_reason_is_low_and_is_told_first() -> None:
    assert graded(venues=1, lagging_ppm=500_000) == (Grade.LOW, ["feed_lag", "few_venues"])
    assert graded(venues=1, lagging_ppm=499_999) == (Grade.MEDIUM, ["feed_lag", "few_venues"])
    assert graded(lagging_ppm=99_999) == (Grade.HIGH, [])


def test_clusters_before_an_expiry_are_graded_down_unless_that_is_turned_off() -> None:
    near = replace(GOOD, expiry_hours=47.6)

    found, reasons = grade(near, THRESHOLDS)

    assert (found, [reason.text for reason in reasons]) == (Grade.MEDIUM, ["futures expire in 48 hours, within 48"])
    assert graded(expiry_hours=48.0) == (Grade.MEDIUM, ["expiry"])
    assert grade(replace(GOOD, expiry_hours=0.0), ClusterThresholds(expiry_hours=0.0)) == (Grade.HIGH, ())


def test_thresholds_are_of_the_good_side() -> None:
    at_them = {
        "usd": THRESHOLDS.noise_floor_usd,
        "covered_share": THRESHOLDS.min_covered_share,
        "open_interest_usd": THRESHOLDS.min_open_interest_usd,
        "venues": THRESHOLDS.min_venues,
        "venue_shares": {"alpha": THRESHOLDS.max_venue_share, "beta": 0.4},
    }

    assert graded(**at_them) == (Grade.HIGH, [])


def test_reasons_are_told_with_figure_and_threshold() -> None:
    _, reasons = grade(
        replace(GOOD, usd=900.0, lagging_ppm=251_000, covered_share=0.2, open_interest_usd=12_345_678.0), THRESHOLDS
    )

    assert [reason.text for reason in reasons] == [
        "900 USD is below the noise floor of 1.2M USD",
        "20% of open interest is explained, below 50%",
        "25% of it is on venues more than 60 s behind",
        "the symbol has 12.3M USD of open interest, below 200M USD",
    ]

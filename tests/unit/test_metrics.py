"""Histograms: what they count, and what their reader sees."""

from __future__ import annotations

from liqscape.metrics import LATENCY_BOUNDS_S, Histogram, Timings


def test_observation_is_counted_at_its_bound_and_above() -> None:
    histogram = Histogram()

    for seconds in (0.0005, 0.0006, 0.3, 120.0):
        histogram.observe(seconds)
    buckets = dict(histogram.cumulative())

    assert buckets[0.0005] == 1
    assert buckets[0.001] == 2
    assert buckets[0.25] == 2
    assert buckets[0.5] == 3
    assert buckets[60.0] == 3
    assert buckets[float("inf")] == histogram.count == 4
    assert histogram.sum == 120.3011


def test_bounds_rise_and_end_with_infinity() -> None:
    bounds = [bound for bound, _ in Histogram().cumulative()]

    assert bounds == sorted(set(bounds))
    assert bounds == [*LATENCY_BOUNDS_S, float("inf")]


def test_clock_that_is_behind_counts_as_no_time() -> None:
    histogram = Histogram()

    histogram.observe(-3.0)

    assert histogram.cumulative()[0] == (LATENCY_BOUNDS_S[0], 1)
    assert histogram.sum == 0.0


def test_questions_are_counted_by_method_and_code() -> None:
    timings = Timings()

    for code in ("OK", "OK", "NOT_FOUND"):
        timings.observe_query("GetGrid", code, 0.01)

    assert timings.query_counts() == {"query_getgrid_not_found": 1, "query_getgrid_ok": 2}

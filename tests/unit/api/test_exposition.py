"""Names, units, HELP and labels of every metric, held against the rules; values against GetStatus."""

from __future__ import annotations

import re

import pytest
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from liqscape.api.exposition import COUNTERS, DATA_STATES, GAUGES, REASONS, STATES, ServerMetrics
from liqscape.background import BackgroundWork
from liqscape.broadcast.counters import StreamCounters
from liqscape.metrics import Stage, Timings
from liqscape.v1 import query_pb2, stream_pb2

SYMBOLS = ("BTC", "ETH")
CODES = ("OK", "NOT_FOUND", "DEADLINE_EXCEEDED")
METHODS = ("GetGrid", "GetStatus")

UNITS = ("seconds", "bytes", "ratio")
"""Base units. What has none of them is a number of things, which its name says."""

FOREIGN_UNITS = re.compile(r"_(ms|ns|us|milliseconds|minutes|kb|mb|percent|nanoseconds)(_|$)")


def coverage(symbol: str) -> stream_pb2.VenueChunk:
    return stream_pb2.VenueChunk(
        symbol=symbol,
        venue="binance",
        instrument=f"binance:{symbol}USDT",
        watermark_unix_ns=7 * 10**9,
        live_long_lots=60,
        live_short_lots=30,
        uncovered_long_lots=10,
        rejected_events=5,
    )


def a_status(**counters: int) -> query_pb2.GetStatusResponse:
    return query_pb2.GetStatusResponse(
        server_version="1.2.3",
        state=query_pb2.ENGINE_STATE_SERVING,
        epoch=0xFEED,
        tick=99,
        backend="numpy",
        input="a symbol\nand a line",
        states=[stream_pb2.DATA_STATE_SIMULATED],
        server_unix_ns=10 * 10**9,
        symbols=[
            query_pb2.SymbolStatus(symbol=symbol, live_cohorts=12, ledger_events=34, coverage=[coverage(symbol)])
            for symbol in SYMBOLS
        ],
        streams=3,
        ticks_conflated=8,
        counters=counters,
    )


def some_timings() -> Timings:
    timings = Timings()
    for histogram in (*timings.freshness.values(), timings.tick_compute, timings.encode, timings.event_loop_lag):
        histogram.observe(0.02)
    for method in METHODS:
        for code in CODES:
            timings.observe_query(method, code, 0.3)
    return timings


class _Once(CollectorRegistry):
    """A registry of one collector that is asked for nothing before it is scraped."""

    def __init__(self, collector: ServerMetrics) -> None:
        super().__init__(auto_describe=False)
        self._only = collector

    def collect(self):  # type: ignore[no-untyped-def]
        return self._only.collect()


def families(status: query_pb2.GetStatusResponse, timings: Timings | None = None) -> dict[str, Metric]:
    """Return what a scraper reads, by name."""
    text = generate_latest(_Once(ServerMetrics(status, timings or some_timings()))).decode()
    return {family.name: family for family in text_string_to_metric_families(text)}


@pytest.fixture(scope="module")
def scraped() -> dict[str, Metric]:
    return families(a_status(gaps=4, stream_lagged_out_of_ring=2, stream_frame_bytes=1000, newer_counter=1))


def test_every_name_has_the_prefix_and_is_a_plain_word(scraped: dict[str, Metric]) -> None:
    assert len(scraped) > 40
    for name in scraped:
        assert re.fullmatch(r"liqscape_[a-z]+(_[a-z]+)*", name), name


def test_every_unit_is_a_base_unit_at_the_end_of_its_name(scraped: dict[str, Metric]) -> None:
    for name, family in scraped.items():
        assert not FOREIGN_UNITS.search(name), name
        for unit in UNITS:
            assert f"_{unit}_" not in name, name
        if family.type == "histogram":
            assert name.endswith("_seconds"), name


def test_counters_end_with_total_and_nothing_else_does(scraped: dict[str, Metric]) -> None:
    for name, family in scraped.items():
        samples = {sample.name for sample in family.samples}
        if family.type == "counter":
            assert samples <= {f"{name}_total"}, name
        else:
            assert not name.endswith("_total"), name


def test_every_family_has_help_that_is_a_sentence(scraped: dict[str, Metric]) -> None:
    for name, family in scraped.items():
        assert re.fullmatch(r"[A-Z1].{8,}\.", family.documentation), (name, family.documentation)


def test_labels_are_few_and_their_values_from_closed_sets(scraped: dict[str, Metric]) -> None:
    reasons = {reason for _, known in REASONS.values() for reason in known}
    allowed = {
        "symbol": set(SYMBOLS),
        "venue": {"binance"},
        "instrument": {f"binance:{symbol}USDT" for symbol in SYMBOLS},
        "reason": reasons,
        "state": {*STATES, *DATA_STATES},
        "stage": {stage.value for stage in Stage},
        "method": set(METHODS),
        "code": set(CODES),
        "version": {"1.2.3"},
        "backend": {"numpy"},
        "epoch": {"000000000000feed"},
    }
    for family in scraped.values():
        for sample in family.samples:
            for label, value in sample.labels.items():
                assert label == "le" or value in allowed[label], (sample.name, label, value)


def test_every_counter_of_get_status_is_there_with_its_value() -> None:
    names = [*StreamCounters().by_name(), *BackgroundWork().counters, *COUNTERS, "newer_counter"]
    told = {name: number for number, name in enumerate(dict.fromkeys(names), start=10)}

    found = families(a_status(**told))

    for name, value in told.items():
        metric = COUNTERS[name].metric if name in COUNTERS else name
        family = found[f"liqscape_{metric}"]
        assert [sample.value for sample in family.samples] == [value], name
        assert family.type == ("gauge" if name in GAUGES else "counter"), name


def test_counters_that_nothing_has_counted_yet_are_zero() -> None:
    found = families(a_status())

    for metric, _ in COUNTERS.values():
        assert [sample.value for sample in found[f"liqscape_{metric}"].samples] == [0.0]


def test_reasons_are_labels_and_a_new_one_is_not_lost() -> None:
    found = families(a_status(stream_lagged_out_of_ring=2, stream_lagged_made_up_later=3))

    values = {sample.labels["reason"]: sample.value for sample in found["liqscape_stream_lagged"].samples}

    assert values == {
        "epoch_changed": 0,
        "out_of_ring": 2,
        "from_the_future": 0,
        "unknown_source": 0,
        "channel_closed": 0,
        "made_up_later": 3,
    }


def test_reasons_named_are_those_of_the_protocol() -> None:
    for prefix, enum in (
        ("stream_lagged_", stream_pb2.Lagged.Reason),
        ("session_rejected_channels_", stream_pb2.Reject.Reason),
    ):
        names = [name.removeprefix("REASON_").lower() for name, _ in enum.items()]

        assert list(REASONS[prefix][1]) == names[1:]


def test_gauges_say_what_the_status_says(scraped: dict[str, Metric]) -> None:
    def value(name: str, **labels: str) -> float:
        (found,) = [s.value for s in scraped[f"liqscape_{name}"].samples if labels.items() <= s.labels.items()]
        return found

    assert value("streams_open") == 3
    assert value("tick") == 99
    assert value("live_cohorts", symbol="ETH") == 12
    assert value("ledger_events", symbol="BTC") == 34
    assert value("covered_share_ratio", symbol="BTC") == 0.9
    assert value("data_age_seconds", symbol="BTC") == 3.0
    assert value("instrument_rejected_events", instrument="binance:ETHUSDT") == 5
    assert value("engine_state", state="serving") == 1
    assert value("engine_state", state="building") == 0
    assert value("data_state", state="simulated") == 1
    assert value("data_state", state="stale") == 0
    assert value("ticks_conflated") == 8


def test_histogram_of_questions_counts_what_the_status_counts() -> None:
    timings = some_timings()
    status = a_status(**timings.query_counts())

    found = families(status, timings)
    counts = {
        f"query_{sample.labels['method']}_{sample.labels['code']}".lower(): sample.value
        for sample in found["liqscape_query_duration_seconds"].samples
        if sample.name.endswith("_count")
    }

    assert counts == timings.query_counts()
    assert not [name for name in found if name.startswith("liqscape_query_get")]

"""The manifests under benchmarks/ describe the real recordings as they are."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import pytest

from liqscape.clock import ManualClock
from liqscape.events import Candle, Event, Gap, OpenInterest, TickEnd
from liqscape.feeds.history import HistorySource

ROOT = Path(__file__).parents[2]
MANIFESTS = ROOT / "benchmarks" / "manifests"
BTC, ETH = "binance:BTCUSDT", "binance:ETHUSDT"

pytestmark = pytest.mark.recorded

Kind = TypeVar("Kind", Candle, OpenInterest, Gap, TickEnd)


def load(name: str, recordings: Path) -> tuple[HistorySource, list[Event]]:
    source = HistorySource(MANIFESTS / f"{name}.toml", recordings=recordings, clock=ManualClock(), speed=None)
    return source, list(source.iterate())


def of(events: list[Event], kind: type[Kind], instrument_id: str = "") -> list[Kind]:
    found = [e for e in events if isinstance(e, kind)]
    return [e for e in found if not instrument_id or getattr(e, "instrument_id", None) == instrument_id]


def within_an_hour(candles: list[Candle]) -> list[tuple[Candle, Candle]]:
    """Return neighbours that are legs of the same hour."""
    hour = 3_600_000_000_000
    return [(a, b) for a, b in pairwise(candles) if a.open_time_ns // hour == b.open_time_ns // hour]


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


def test_five_minute_set_has_every_bar_and_sample_and_one_late_stamp(recordings: Path) -> None:
    source, events = load("binance_usdm_5m_2025-12", recordings)

    assert source.counters == {
        "candle_legs": 0,
        "candles": 2 * 11_807,
        "candles_without_end_sample": 2,
        "gaps": 0,
        "interpolated_samples": 0,
        "open_interest_outside_candles": 0,
        "open_interest_samples": 2 * 11_807,
        "rejected_open_interest": 0,
        "snapped_stamps": 1,
    }
    for instrument_id in (BTC, ETH):
        candles, samples = of(events, Candle, instrument_id), of(events, OpenInterest, instrument_id)
        assert len(candles) == len(samples) == 11_807
        assert (candles[0].open_time_ns, candles[-1].open_time_ns) == (ns("2025-12-01T00:05"), ns("2026-01-10T23:55"))
        assert (samples[0].time_ns, samples[-1].time_ns) == (ns("2025-12-01T00:05"), ns("2026-01-10T23:55"))
        assert ns("2026-01-06T02:35") in {s.time_ns for s in samples}
    assert len(of(events, TickEnd)) == 11_808
    assert events[-1] == TickEnd(ns("2026-01-11T00:00"), render=True)


def test_five_minute_set_holds_the_worked_example_of_the_design(recordings: Path) -> None:
    _, events = load("binance_usdm_5m_2025-12", recordings)

    begin, end = ns("2025-12-15T14:30"), ns("2025-12-15T14:35")
    levels = {s.time_ns: s.quantity for s in of(events, OpenInterest, BTC)}
    (candle,) = (c for c in of(events, Candle, BTC) if c.open_time_ns == begin)
    assert candle == Candle(BTC, begin, end, 893_530, 893_651, 890_123, 890_406, 224_118_200_000)
    assert (levels[begin], levels[end]) == (8_806_090_000_000, 8_835_180_800_000)


def test_one_hour_set_is_said_leg_by_leg_from_its_first_open_to_its_last_sample(recordings: Path) -> None:
    source, events = load("binance_usdm_1h_2025-03", recordings)

    assert source.counters == {
        "candle_legs": 24_564 + 34_904,
        "candles": 2 * 6_078,
        "candles_without_end_sample": 2,
        "gaps": 0,
        "interpolated_samples": 24_557 + 34_894 - 2 * 1_520,
        "open_interest_outside_candles": 2,
        "open_interest_samples": 2 * 1_520,
        "rejected_open_interest": 0,
        "snapped_stamps": 0,
    }
    for instrument_id in (BTC, ETH):
        candles, samples = of(events, Candle, instrument_id), of(events, OpenInterest, instrument_id)
        assert (candles[0].open_time_ns, candles[-1].close_time_ns) == (ns("2025-03-06T11:00"), ns("2025-11-14T17:00"))
        assert (samples[0].time_ns, samples[0].interpolated) == (ns("2025-03-06T11:00"), True)
        assert (samples[-1].time_ns, samples[-1].interpolated) == (ns("2025-11-14T16:00"), False)
        assert all(s.interpolated == (s.time_ns % (4 * 3_600_000_000_000) != 0) for s in samples)
        assert all(a.close_time_ns == b.open_time_ns and a.close == b.open for a, b in within_an_hour(candles))
        assert {s.time_ns for s in samples} >= {
            c.close_time_ns for c in candles if c.close_time_ns <= samples[-1].time_ns
        }


def test_one_hour_set_keeps_the_real_fall_of_open_interest(recordings: Path) -> None:
    _, events = load("binance_usdm_1h_2025-03", recordings)

    for instrument_id, share in ((BTC, 0.78), (ETH, 0.72)):
        levels = {s.time_ns: s.quantity for s in of(events, OpenInterest, instrument_id)}
        after, before = levels[ns("2025-10-11T00:00")], levels[ns("2025-10-10T20:00")]
        assert after / before == pytest.approx(share, abs=0.005)


@pytest.mark.slow
def test_one_minute_set_has_a_level_at_every_candle_end(recordings: Path) -> None:
    source, events = load("binance_usdm_1m_2025-05", recordings)

    assert source.counters == {
        "candle_legs": 0,
        "candles": 2 * 55_227,
        "candles_without_end_sample": 0,
        "gaps": 0,
        "interpolated_samples": 2 * 54_997,
        "open_interest_outside_candles": 2,
        "open_interest_samples": 2 * 231,
        "rejected_open_interest": 0,
        "snapped_stamps": 0,
    }
    for instrument_id in (BTC, ETH):
        candles, samples = of(events, Candle, instrument_id), of(events, OpenInterest, instrument_id)
        assert (candles[0].open_time_ns, candles[-1].open_time_ns) == (ns("2025-05-04T15:33"), ns("2025-06-11T23:59"))
        assert [s.time_ns for s in samples] == [candles[0].open_time_ns, *(c.close_time_ns for c in candles)]
    assert len(of(events, TickEnd)) == 55_228
    assert of(events, Gap) == []

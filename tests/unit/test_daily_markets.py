"""Markets of a daily report beside maps and status: which day counts, for whom, and what is assumed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from liqscape.daily_markets import DailyMarkets
from liqscape.events import PositionSide
from liqscape.feeds.daily_report import DailyReport
from liqscape.feeds.venues.cme import COLUMNS
from liqscape.grid.updates import Coverage, EngineStatus, MapQuery, SymbolStatus
from liqscape.link.messages import pack, unpack
from liqscape.positions.mix import SHARE_ONE
from tests.fake_engine import map_answer

DAYS = """2026-11-20,BTC,2026-12,60000,7,200,F
2026-11-23,BTC,2026-12,62000,7,300,F
2026-11-23,ETH,2026-12,3000,7,300,F
"""

NOW_NS = 1_795_600_000 * 10**9
"""2026-11-25."""

FRIDAY_KNOWN_NS = 1_795_233_600 * 10**9

QUERY = MapQuery("BTC")

HALF_A_COIN = Coverage("BTC", "binance", "binance:BTCUSDT", 1, (50_000, 50_000), (0, 0), 0, 0, 5)


@pytest.fixture
def report(tmp_path: Path) -> DailyReport:
    (tmp_path / "cme.csv").write_text(",".join(COLUMNS) + "\n" + DAYS)
    return DailyReport(tmp_path / "cme.csv", lambda: NOW_NS)


def markets(report: DailyReport, *, leverage: int | None = None, replay: bool = False) -> DailyMarkets:
    shares = () if leverage is None else ((leverage, SHARE_ONE),)
    return DailyMarkets(report, shares, lambda: NOW_NS, replay=replay)


def status(*symbols: str, watermark_ns: int = 0) -> EngineStatus:
    told = tuple(SymbolStatus(name, 1, 1, watermark_ns, 0, 0, (HALF_A_COIN,), 0.0) for name in symbols)
    return EngineStatus("serving", "", 1.0, None, 1, 0, "numpy", "", symbols=told)


def test_a_live_map_sees_the_newest_day_and_nothing_on_the_map_unless_it_is_assumed(report: DailyReport) -> None:
    answer = map_answer(2, 5)

    found = markets(report).beside(answer, QUERY)

    (context,) = found.context
    assert (context.day.label, context.age_ns) == (
        "CME, 2026-11-23, daily report, final",
        NOW_NS - context.day.as_of_ns,
    )
    assert found.assumed == ()
    assert replace(found, context=()) == answer


def test_an_assumed_leverage_makes_a_layer_and_changes_nothing_of_the_map(report: DailyReport) -> None:
    answer = map_answer(2, 5)

    found = markets(report, leverage=3).beside(answer, QUERY)

    (layer,) = found.assumed
    assert [(series.leverage, series.side) for series in layer.series] == [(3, side) for side in PositionSide]
    held = [s.inside_lots + s.below_lots + s.above_lots + s.reached_lots for s in layer.series]
    assert held == [150_000_000, 150_000_000]
    assert replace(found, context=(), assumed=()) == answer
    assert found.map is answer.map


def test_a_question_that_names_venues_gets_context_and_no_assumed_positions(report: DailyReport) -> None:
    found = markets(report, leverage=3).beside(map_answer(2, 5), MapQuery("BTC", venues=("binance",)))

    assert (len(found.context), found.assumed) == (1, ())


def test_a_replay_sees_what_was_out_by_the_time_of_its_data(report: DailyReport) -> None:
    replayed = markets(report, leverage=3, replay=True)
    before, after = (
        replayed.beside(replace(map_answer(2, 5), source_watermark_ns=FRIDAY_KNOWN_NS + late), QUERY)
        for late in (-1, 0)
    )

    assert (before.context, before.assumed) == ((), ())
    assert [(each.day.trade_date.isoformat(), each.age_ns) for each in after.context] == [
        ("2026-11-20", 6 * 3600 * 10**9)
    ]
    assert "2026-11-20" in after.assumed[0].series[0].label
    assert replayed.in_status(status("BTC", watermark_ns=FRIDAY_KNOWN_NS - 1)).context == ()


def test_layers_follow_the_report(report: DailyReport, tmp_path: Path) -> None:
    assumed = markets(report, leverage=3)
    first = assumed.beside(map_answer(2, 5), QUERY).assumed[0].series[0]

    with (tmp_path / "cme.csv").open("a") as file:
        file.write("2026-11-24,BTC,2026-12,61000,7,400,F\n")
    report.look()
    second = assumed.beside(map_answer(2, 5), QUERY).assumed[0].series[0]

    assert (first.below_lots, second.below_lots) == (150_000_000, 200_000_000)


def test_status_tells_the_markets_of_its_symbols_and_how_reading_fares(report: DailyReport) -> None:
    found = markets(report).in_status(status("BTC"))

    assert [each.day.symbol for each in found.context] == ["BTC"]
    assert found.context[0].covered_share == 50_000 * 2 / (100_000 + 2 * 150_000_000)
    assert found.daily_report == report.state.status
    assert markets(report).in_status(status("DOGE")).context == ()


def test_status_and_layer_cross_to_another_process(report: DailyReport) -> None:
    told = markets(report).in_status(status("BTC"))
    beside = markets(report, leverage=3).beside(map_answer(2, 5), QUERY)

    assert unpack(pack(told)) == told
    crossed = unpack(pack(beside))
    assert (crossed.context, crossed.assumed) == (beside.context, beside.assumed)

"""Markets beside a map, and what is assumed of them: to messages, metrics, lines for people, and back in a client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date
from fractions import Fraction

import orjson
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from liqscape.api.context_conversions import context_message
from liqscape.api.conversions import status_response
from liqscape.api.exposition import ServerMetrics
from liqscape.api.map_conversions import map_fragments, map_header
from liqscape.api.web_answers import row_json
from liqscape.axes import RowRange
from liqscape.broadcast.accounts import Account
from liqscape.broadcast.hub import Hub
from liqscape.broadcast.in_process import InProcessFrameSource
from liqscape.events import PositionSide
from liqscape.feeds.context import DailyReportStatus, MarketContext
from liqscape.feeds.venues.cme import DailyRow, contexts_of
from liqscape.grid.assumed_layer import AssumedPositions, AssumedSeries
from liqscape.grid.liquidation_map import MAX_MAP_ROWS, MAX_MAP_SERIES
from liqscape.grid.market_context import MEANING
from liqscape.grid.updates import EngineStatus, SymbolStatus
from liqscape.metrics import Timings
from liqscape.model_file import MAX_CME_LEVERAGE
from liqscape.positions.assumed import MAX_DAYS
from liqscape.v1 import query_pb2
from liqscape_client import AssumedSeries as ClientSeries
from liqscape_client import ContractMonth, DecodeError, LiquidationMap
from liqscape_client.liquidation_maps import assemble_map
from liqscape_client.status import lines, to_json
from tests.fake_engine import describe, map_answer

FRIDAY, MONDAY = date(2026, 11, 20), date(2026, 11, 23)

DAY = contexts_of(
    [
        DailyRow(FRIDAY, "BTC", "2026-12", Fraction(60_000), 7, 200, True),
        DailyRow(MONDAY, "BTC", "2026-12", Fraction(124_001, 2), 9, 300, True),
        DailyRow(MONDAY, "MBT", "2026-12", None, 8, 123, False),
    ]
)["BTC"][-1]

CONTEXT = MarketContext("cme", DAY, 90_000 * 10**9, 0.25, 0.375, "little is explained")

REPORT = DailyReportStatus(files=1, rows=3, ignored=2, read_ns=5, failures=4, message="cme.csv, line 2: no")

SERIES = AssumedSeries(
    label="CME; 3x assumed",
    leverage=3,
    side=PositionSide.SHORT,
    rows=(2900, 2904),
    lots=(30, 20),
    inside_lots=50,
    below_lots=6,
    above_lots=7,
    reached_lots=8,
    without_price_lots=9,
)

ASSUMED = AssumedPositions("cme", (SERIES,))


def answer(*context: MarketContext, report: DailyReportStatus | None = REPORT) -> query_pb2.GetStatusResponse:
    hub = Hub(InProcessFrameSource(describe()), now_ns=lambda: 10 * 10**9)
    symbol = SymbolStatus("BTC", 1, 0, 0, 0, 0, (), 0.0)
    status = EngineStatus("serving", "", 1.0, None, 1, 0, "numpy", "", symbols=(symbol,))
    return status_response(replace(status, context=context, daily_report=report), hub, Account())


def assembled(*parts: query_pb2.GetLiquidationMapResponse) -> LiquidationMap:
    async def arriving() -> AsyncIterator[query_pb2.GetLiquidationMapResponse]:
        for part in parts:
            yield part

    return asyncio.run(assemble_map(arriving()))


def test_a_market_is_told_with_label_changes_settlements_age_and_that_it_is_no_part_of_the_map() -> None:
    told = context_message(CONTEXT)

    assert told == query_pb2.MarketContext(
        venue="cme",
        symbol="BTC",
        label="CME, 2026-11-23, daily report, preliminary",
        trade_date="2026-11-23",
        is_final=False,
        as_of_unix_ns=DAY.as_of_ns,
        age_seconds=90_000,
        open_interest_base=1512.3,
        open_interest_change_base=500,
        previous_trade_date="2026-11-20",
        settle_quote=62_000.5,
        months=[
            query_pb2.ContractMonth(
                product="BTC",
                contract_month="2026-12",
                contract_size_base=5,
                open_interest_contracts=300,
                open_interest_change_contracts=100,
                volume_contracts=9,
                settle_quote=62_000.5,
                is_final=True,
            ),
            query_pb2.ContractMonth(
                product="MBT",
                contract_month="2026-12",
                contract_size_base=0.1,
                open_interest_contracts=123,
                volume_contracts=8,
            ),
        ],
        meaning=MEANING,
        open_interest_share=0.25,
        covered_share=0.375,
        warning="little is explained",
    )
    assert "no cell, total or share of the map contains them" in MEANING


def test_status_as_json_has_markets_and_files_and_null_for_what_is_absent() -> None:
    told = to_json(answer(replace(CONTEXT, covered_share=None, open_interest_share=None)))

    (market,) = told["context"]
    assert (market["open_interest_base"], market["covered_share"]) == (1512.3, None)
    assert [month["settle_quote"] for month in market["months"]] == [62_000.5, None]
    assert told["daily_report"] == {
        "files": 1,
        "rows": 3,
        "ignored": 2,
        "read_unix_ns": 5,
        "failures": 4,
        "message": "cme.csv, line 2: no",
    }
    without = to_json(answer(report=None))
    assert (without["context"], without["daily_report"]) == ([], None)


def test_people_read_a_market_under_its_symbol() -> None:
    shown = lines(answer(CONTEXT))

    at = shown.index("BTC       1, 0 cohorts, 0 events, grids in 0.0 ms")
    assert shown[at + 1 : at + 5] == [
        "  CME, 2026-11-23, daily report, preliminary: 1,512.3 BTC open, one-sided, +500 since 2026-11-20,"
        " 300 contracts of BTC, 123 contracts of MBT, 1.0 days old, beside the map",
        "    settled: BTC 2026-12 62,000.5",
        "    25.0% of open interest with the map's; 37.5% of both is explained: little is explained",
        "daily report: 3 rows of 1 file, 2 of other products left out; not taken: cme.csv, line 2: no",
    ]


def test_a_market_alone_has_neither_change_nor_share_and_nothing_is_said_where_none_is_read() -> None:
    alone = replace(DAY, change=None, previous=None, months=(), is_final=True)
    context = MarketContext("cme", alone, 7200 * 10**9, None, None, "")

    (shown,) = [line for line in lines(answer(context)) if "CME" in line]

    assert shown == "  CME, 2026-11-23, daily report, final: 1,512.3 BTC open, one-sided, 2.0 h old, beside the map"
    assert not any("CME" in line or "daily" in line for line in lines(answer(report=None)))


def scraped(status: query_pb2.GetStatusResponse) -> list[str]:
    registry = CollectorRegistry()
    registry.register(ServerMetrics(status, Timings()))
    told = generate_latest(registry).decode().splitlines()
    return [line for line in told if line.startswith(("liqscape_context", "liqscape_daily")) and "_created" not in line]


def test_metrics_of_a_market_have_symbol_and_venue_as_labels() -> None:
    labels = '{symbol="BTC",venue="cme"}'

    assert scraped(answer(CONTEXT)) == [
        f"liqscape_context_open_interest_coins{labels} 1512.3",
        f"liqscape_context_open_interest_change_coins{labels} 500.0",
        f"liqscape_context_settle_quote{labels} 62000.5",
        f"liqscape_context_final{labels} 0.0",
        f"liqscape_context_age_seconds{labels} 90000.0",
        f"liqscape_context_open_interest_share_ratio{labels} 0.25",
        f"liqscape_context_covered_share_ratio{labels} 0.375",
        "liqscape_daily_report_failures_total 4.0",
        "liqscape_daily_report_stale 1.0",
    ]


def test_metrics_leave_out_what_is_absent() -> None:
    unknown = MarketContext("cme", replace(DAY, change=None, settle=None), 0, None, None, "")
    names = [line.partition("{")[0] for line in scraped(answer(unknown, report=None))]

    assert names == ["liqscape_context_open_interest_coins", "liqscape_context_final", "liqscape_context_age_seconds"]
    assert scraped(answer(report=None)) == []


def test_a_client_reads_market_and_assumed_positions_beside_a_map_that_is_the_same_without() -> None:
    plain = map_answer(2, 5)
    parts = [map_header(replace(plain, context=(CONTEXT,), assumed=(ASSUMED,)), []), *map_fragments(plain)]

    found, alone = assembled(*parts), assembled(map_header(plain, []), *map_fragments(plain))

    (market,) = found.context
    assert (market.label, market.age_s, market.open_interest, market.settle) == (DAY.label, 90_000, 1512.3, 62_000.5)
    assert (market.open_interest_change, market.previous_trade_date) == (500, "2026-11-20")
    assert (market.open_interest_share, market.covered_share, market.warning) == (0.25, 0.375, "little is explained")
    assert market.months[1] == ContractMonth("MBT", "2026-12", 0.1, 123, None, 8, None, False)
    (series,) = found.assumed
    usd = {2900: 30 * 58_010 / 10**5, 2904: 20 * 58_090 / 10**5}
    assert series.usd_by_row == pytest.approx(usd)
    assert replace(series, usd_by_row=usd) == ClientSeries(
        venue="cme",
        label="CME; 3x assumed",
        leverage=3,
        side="short",
        lots_by_row={2900: 30, 2904: 20},
        usd_by_row=usd,
        inside_lots=50,
        below_lots=6,
        above_lots=7,
        reached_lots=8,
        without_price_lots=9,
        meaning=series.meaning,
    )
    assert "no part of the book" in series.meaning
    assert (found.cells == alone.cells).all()
    assert (found.series, found.by_side, found.by_venue) == (alone.series, alone.by_side, alone.by_venue)
    assert (alone.context, alone.assumed) == ((), ())


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        ({"rows": (2899, 2904)}, "outside of the map or are out of order"),
        ({"rows": (2900, 2905)}, "outside of the map or are out of order"),
        ({"rows": (2904, 2900)}, "outside of the map or are out of order"),
        ({"rows": (2900, 2900)}, "outside of the map or are out of order"),
        ({"lots": (1,)}, "2 rows and 1 lots"),
    ],
)
def test_assumed_rows_that_fit_no_map_are_refused(spoil: dict[str, tuple[int, ...]], text: str) -> None:
    layer = AssumedPositions("cme", (replace(SERIES, **spoil),))  # type: ignore[arg-type]
    header = map_header(replace(map_answer(0, 5), assumed=(layer,)), [])

    with pytest.raises(DecodeError, match=text):
        assembled(header)


def test_assumed_positions_without_a_side_are_refused() -> None:
    header = map_header(replace(map_answer(0, 5), assumed=(ASSUMED,)), [])
    header.header.assumed[0].series[0].side = query_pb2.POSITION_SIDE_UNSPECIFIED

    with pytest.raises(DecodeError, match="assumed positions have side 0"):
        assembled(header)


def test_a_row_tells_what_is_assumed_in_it_apart_from_who_holds_it() -> None:
    series = replace(SERIES, rows=(2900,), lots=(300_000,))
    plain = map_answer(2, 1)
    shown = replace(plain, assumed=(AssumedPositions("cme", (series, replace(series, rows=(), lots=()))),))

    told, alone = (orjson.loads(row_json([map_header(each, []), *map_fragments(each)])) for each in (shown, plain))

    assert told.pop("assumed") == [
        {"label": "CME; 3x assumed", "side": "short", "lots": "300000", "usd": pytest.approx(174_030)}
    ]
    assert alone.pop("assumed") == []
    assert told == alone


def test_largest_header_with_every_leverage_and_day_fits_a_message() -> None:
    plain = map_answer(1, MAX_MAP_ROWS)
    plain = replace(plain, map=replace(plain.map, series=map_answer(MAX_MAP_SERIES, 1).map.series))
    widest = replace(
        SERIES,
        label="x" * 80,
        rows=tuple(2**31 - 1 - row for row in reversed(range(MAX_DAYS))),
        lots=(2**40,) * MAX_DAYS,
    )
    layer = AssumedPositions("cme", (widest,) * MAX_CME_LEVERAGE * 2)

    header = map_header(replace(plain, context=(CONTEXT,), assumed=(layer,)), [])

    assert plain.map.rows == RowRange(2900, MAX_MAP_ROWS, 2)
    assert header.ByteSize() <= 1 << 20

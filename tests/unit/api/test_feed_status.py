"""How listening to venues fares: from plain values to GetStatus, metrics and the line people read."""

from __future__ import annotations

from dataclasses import replace

from prometheus_client import CollectorRegistry, generate_latest

from liqscape.api.conversions import status_response
from liqscape.api.exposition import ServerMetrics
from liqscape.broadcast.accounts import Account
from liqscape.broadcast.hub import Hub
from liqscape.broadcast.in_process import InProcessFrameSource
from liqscape.feeds.exact import AccountsStatus
from liqscape.feeds.status import ChannelStatus, FeedState, VenueStatus
from liqscape.feeds.tables import CONFIRMED, FETCHED, SHIPPED, TableStatus
from liqscape.grid.updates import EngineStatus
from liqscape.metrics import Timings
from liqscape.v1 import query_pb2
from liqscape_client.status import lines, to_json
from tests.fake_engine import describe

ACCOUNTS = AccountsStatus(
    named=5,
    found=2,
    fresh=3,
    stale=2,
    refused=1,
    waiting=1,
    statements=90,
    positions=8,
    oldest_ns=4 * 10**9,
    rejected={"malformed": 6, "HTTP 422": 1},
)

VENUE = VenueStatus(
    venue="binance-usdm",
    message="market-0: HTTP 451",
    channels=(
        ChannelStatus(channel="trades", state=FeedState.BLOCKED, heard_ns=0, events=0),
        ChannelStatus(channel="open_interest", state=FeedState.LIVE, heard_ns=8 * 10**9, events=12),
    ),
    connections=0,
    reconnects=3,
    lag_ns=-250_000_000,
    open_interest_share=0.25,
    rejected={"malformed": 4},
    ignored={"order book": 2},
    quarantined=("binance:BTCUSDT",),
)


DAY_NS = 1_795_219_200 * 10**9
"""2026-11-21."""

TABLES = (
    TableStatus(
        instrument_id="okx:BTC-USDT-SWAP",
        origin=FETCHED,
        rules_date="2026-11-21",
        rules_source="margin table as told by https://www.okx.com",
        read_ns=DAY_NS,
        failures=2,
        failure="HTTP 429",
        failed_ns=DAY_NS + 60 * 10**9,
        note="first rate 1 %, shipped 0.4 % of 2026-09-30",
    ),
    TableStatus(
        instrument_id="okx:ETH-USDT-SWAP",
        origin=CONFIRMED,
        rules_date="2026-09-30",
        rules_source="position tiers",
        read_ns=DAY_NS,
    ),
    *(
        TableStatus(instrument_id=name, origin=SHIPPED, rules_date="2026-09-30", rules_source="position tiers")
        for name in ("okx:SOL-USDT-SWAP", "okx:BTC-USD-SWAP")
    ),
)


def answer(venue: VenueStatus = VENUE) -> query_pb2.GetStatusResponse:
    hub = Hub(InProcessFrameSource(describe()), now_ns=lambda: 10 * 10**9)
    status = EngineStatus("serving", "", 1.0, None, 1, 0, "numpy", "live: binance-usdm", feeds=(venue,))
    return status_response(status, hub, Account())


def test_status_tells_all_that_is_known_of_a_venue() -> None:
    told = to_json(answer())["feeds"]

    assert told == [
        {
            "venue": "binance-usdm",
            "message": "market-0: HTTP 451",
            "channels": [
                {"channel": "trades", "state": "blocked", "heard_unix_ns": 0, "events": 0},
                {"channel": "open_interest", "state": "live", "heard_unix_ns": 8 * 10**9, "events": 12},
            ],
            "connections": 0,
            "reconnects": 3,
            "lag_ns": -250_000_000,
            "open_interest_share": 0.25,
            "rejected": {"malformed": 4},
            "ignored": {"order book": 2},
            "quarantined": ["binance:BTCUSDT"],
            "margin_tables": [],
        }
    ]


def test_metrics_of_feeds_have_venue_channel_and_reason_as_labels() -> None:
    registry = CollectorRegistry()
    registry.register(ServerMetrics(answer(), Timings()))

    told = generate_latest(registry).decode().splitlines()

    wanted = [
        'liqscape_feed_state{channel="trades",state="blocked",venue="binance-usdm"} 1.0',
        'liqscape_feed_state{channel="trades",state="live",venue="binance-usdm"} 0.0',
        'liqscape_feed_events_total{channel="open_interest",venue="binance-usdm"} 12.0',
        'liqscape_feed_age_seconds{channel="open_interest",venue="binance-usdm"} 2.0',
        'liqscape_feed_rejected_total{reason="malformed",venue="binance-usdm"} 4.0',
        'liqscape_feed_reconnects_total{venue="binance-usdm"} 3.0',
        'liqscape_feed_lag_seconds{venue="binance-usdm"} -0.25',
        'liqscape_feed_open_interest_share_ratio{venue="binance-usdm"} 0.25',
        'liqscape_feed_quarantined_instruments{venue="binance-usdm"} 1.0',
    ]
    assert [line for line in wanted if line not in told] == []
    assert not any(line.startswith('liqscape_feed_age_seconds{channel="trades"') for line in told)


def test_people_read_one_line_a_venue() -> None:
    (line,) = [line for line in lines(answer()) if "binance-usdm  " in line]

    assert " ".join(line.split()) == (
        "binance-usdm blocked: trades; live: open_interest, -250 ms behind, 25.0% of open interest, 4 rejected"
        " (market-0: HTTP 451)"
    )


def test_accounts_followed_are_told_in_status_metrics_and_a_line_of_their_own() -> None:
    told = answer(replace(VENUE, accounts=ACCOUNTS))
    registry = CollectorRegistry()
    registry.register(ServerMetrics(told, Timings()))

    metrics = generate_latest(registry).decode().splitlines()
    read = lines(told)

    assert to_json(told)["feeds"][0]["accounts"] == {
        "named": 5,
        "found": 2,
        "fresh": 3,
        "stale": 2,
        "refused": 1,
        "waiting": 1,
        "statements": 90,
        "positions": 8,
        "oldest_unix_ns": 4 * 10**9,
        "rejected": {"HTTP 422": 1, "malformed": 6},
    }
    wanted = [
        'liqscape_feed_accounts{state="fresh",venue="binance-usdm"} 3.0',
        'liqscape_feed_accounts{state="stale",venue="binance-usdm"} 2.0',
        'liqscape_feed_accounts{state="refused",venue="binance-usdm"} 1.0',
        'liqscape_feed_accounts{state="waiting",venue="binance-usdm"} 1.0',
        'liqscape_feed_account_positions{venue="binance-usdm"} 8.0',
        'liqscape_feed_accounts_age_seconds{venue="binance-usdm"} 6.0',
        'liqscape_feed_account_statements_total{venue="binance-usdm"} 90.0',
        'liqscape_feed_accounts_rejected_total{reason="HTTP 422",venue="binance-usdm"} 1.0',
    ]
    assert [line for line in wanted if line not in metrics] == []
    (at,) = [number for number, line in enumerate(read) if "binance-usdm  " in line]
    assert read[at + 1] == (
        "    accounts: 3 fresh, 2 stale, 1 refused, 1 waiting, 8 positions, the oldest 6 s ago, 7 rejected"
    )


def test_nothing_is_told_of_accounts_where_none_are_followed() -> None:
    told = answer()
    registry = CollectorRegistry()
    registry.register(ServerMetrics(told, Timings()))

    assert "accounts" not in to_json(told)["feeds"][0]
    assert not any("accounts:" in line for line in lines(told))
    assert "liqscape_feed_accounts{" not in generate_latest(registry).decode()


def test_accounts_that_wait_for_their_first_answer_have_no_age() -> None:
    told = answer(replace(VENUE, accounts=AccountsStatus(named=0, found=0)))

    assert [line for line in lines(told) if "accounts:" in line] == ["    accounts: none yet, 0 positions"]


def test_an_instrument_never_heard_has_no_age() -> None:
    told = answer()
    told.symbols.add(symbol="BTC").coverage.add(symbol="BTC", venue="okx", instrument="okx:BTC-USD-SWAP")
    registry = CollectorRegistry()
    registry.register(ServerMetrics(told, Timings()))

    metrics = generate_latest(registry).decode()

    assert "  okx:BTC-USD-SWAP  nothing heard yet, 0 rejected" in lines(told)
    assert "liqscape_covered_share_ratio{" in metrics
    assert "liqscape_data_age_seconds{" not in metrics


def test_a_long_source_of_rules_ends_with_a_whole_word() -> None:
    words = "position tiers as the venue's public endpoint returned them in September 2026, taken down by a program"
    told = answer(replace(VENUE, tables=(replace(TABLES[1], rules_source=words),)))

    (line,) = [line for line in lines(told) if line.startswith("    margin ")]

    assert line.endswith("(position tiers as the venue's public endpoint returned them in September ...)")


def test_margin_tables_are_told_each_with_origin_date_source_and_the_last_failure() -> None:
    told = answer(replace(VENUE, tables=TABLES))
    registry = CollectorRegistry()
    registry.register(ServerMetrics(told, Timings()))

    metrics = generate_latest(registry).decode().splitlines()
    plain = to_json(told)["feeds"][0]["margin_tables"]
    read = lines(told)

    assert plain[0] == {
        "instrument": "okx:BTC-USDT-SWAP",
        "origin": "fetched",
        "rules_date": "2026-11-21",
        "rules_source": "margin table as told by https://www.okx.com",
        "read_unix_ns": DAY_NS,
        "failures": 2,
        "failure": "HTTP 429",
        "failed_unix_ns": DAY_NS + 60 * 10**9,
        "note": "first rate 1 %, shipped 0.4 % of 2026-09-30",
    }
    assert [each["origin"] for each in plain] == ["fetched", "confirmed", "shipped", "shipped"]
    assert [line for line in metrics if line.startswith("liqscape_feed_margin_table")] == [
        'liqscape_feed_margin_tables{origin="shipped",venue="binance-usdm"} 2.0',
        'liqscape_feed_margin_tables{origin="confirmed",venue="binance-usdm"} 1.0',
        'liqscape_feed_margin_tables{origin="fetched",venue="binance-usdm"} 1.0',
        'liqscape_feed_margin_table_failures_total{venue="binance-usdm"} 2.0',
    ]
    (at,) = [number for number, line in enumerate(read) if "binance-usdm  " in line]
    assert read[at + 1 : at + 4] == [
        "    margin BTC-USDT-SWAP: fetched, of 2026-11-21, last told 2026-11-21 00:00:00; 2 failed, the last at"
        " 2026-11-21 00:01:00: HTTP 429; first rate 1 %, shipped 0.4 % of 2026-09-30"
        " (margin table as told by https://www.okx.com)",
        "    margin ETH-USDT-SWAP: confirmed, of 2026-09-30, last told 2026-11-21 00:00:00 (position tiers)",
        "    margin SOL-USDT-SWAP, BTC-USD-SWAP: shipped, of 2026-09-30 (position tiers)",
    ]

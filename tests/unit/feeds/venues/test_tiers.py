"""Margin tables in the answers of venues: documented forms, real bodies, and what is refused."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from typing import Any

import orjson
import pytest

from liqscape.errors import NotFound
from liqscape.feeds.venues.dialect import Unreadable
from liqscape.feeds.venues.tier_sources import SOURCES
from liqscape.feeds.venues.tiers import (
    UNBOUNDED,
    adjustment_differences,
    differences,
    find_source,
    table_of,
    tiers_of,
    with_tiers,
)
from liqscape.instruments import AdjustmentStep, MaintenanceTier, find_instrument, shipped_instruments
from tests.unit.feeds.venues.captured import listing, messages


def told(instrument_id: str, said: Any) -> list[tuple[int, int, str, str, int]]:
    """Return the tiers of an answer in plain values."""
    return [plain(tier) for tier in tiers_of(find_instrument(instrument_id), orjson.dumps(said))]


def plain(tier: MaintenanceTier) -> tuple[int, int, str, str, int]:
    return (
        tier.notional_floor,
        tier.notional_cap,
        str(tier.maintenance_margin_rate),
        str(tier.maintenance_amount),
        tier.max_leverage,
    )


OKX_ROW = {"instFamily": "BTC-USDT", "instId": "", "tier": "1", "minSz": "0", "maxSz": "1000", "mmr": "0.004"} | {
    "imr": "0.01",
    "maxLever": "100",
}


def test_okx_counts_contracts_and_leaves_out_other_families_and_loans() -> None:
    second = OKX_ROW | {"tier": "2", "minSz": "1001", "maxSz": "5000", "mmr": "0.005", "maxLever": "66.66"}
    said = {
        "code": "0",
        "data": [OKX_ROW, second, OKX_ROW | {"instFamily": "ETH-USDT"}, OKX_ROW | {"instId": "BTC-USDT"}],
    }

    assert told("okx:BTC-USDT-SWAP", said) == [(0, 1000, "1/250", "0", 100), (1000, 5000, "1/200", "0", 66)]


@pytest.mark.parametrize("rates", [("0.005", "0.0056"), ("0.5", "0.56")])
def test_bybit_tells_rates_as_fractions_or_in_per_cent(rates: tuple[str, str]) -> None:
    rows = [
        {"symbol": "BTCUSDT", "riskLimitValue": cap, "maintenanceMargin": rate, "maxLeverage": leverage}
        | {"mmDeduction": deduction}
        for cap, rate, leverage, deduction in zip(
            ("2000000", "2600000"), rates, ("100.00", "90.00"), ("", "1200"), strict=True
        )
    ]

    assert told("bybit:BTCUSDT", {"retCode": 0, "result": {"list": rows}}) == [
        (0, 2_000_000, "1/200", "0", 100),
        (2_000_000, 2_600_000, "7/1250", "1200", 90),
    ]


def test_gate_has_a_deduction_and_fractions_of_leverage() -> None:
    rows = [
        {"tier": 1, "risk_limit": "500000", "maintenance_rate": "0.003", "leverage_max": "200", "deduction": "0"},
        {
            "tier": 2,
            "risk_limit": "1000000",
            "maintenance_rate": "0.0035",
            "leverage_max": "150.01",
            "deduction": "250",
        },
    ]

    assert told("gate:BTC_USDT", rows) == [(0, 500_000, "3/1000", "0", 200), (500_000, 1_000_000, "7/2000", "250", 150)]
    shipped = find_instrument("gate:BTC_USDT").maintenance_tiers
    assert [plain(tier) for tier in shipped[:2]] == told("gate:BTC_USDT", rows)


def test_levels_of_kraken_are_open_above() -> None:
    levels = [
        {"contracts": 0, "initialMargin": 0.02, "maintenanceMargin": 0.01},
        {"contracts": 500000, "initialMargin": 0.04, "maintenanceMargin": 0.02},
    ]
    said = {"instruments": [{"symbol": "in_xbtusd"}, {"symbol": "pi_xbtusd", "marginLevels": levels}]}

    assert told("kraken:PI_XBTUSD", said) == [(0, 500_000, "1/100", "0", 50), (500_000, UNBOUNDED, "1/50", "0", 25)]


def test_amounts_of_hyperliquid_keep_maintenance_continuous() -> None:
    steps = [{"lowerBound": "0.0", "maxLeverage": 40}, {"lowerBound": "150000000.0", "maxLeverage": 20}]
    said = {
        "universe": [{"name": "BTC", "maxLeverage": 40, "marginTableId": 56}, {"name": "ETH", "maxLeverage": 25}],
        "marginTables": [[56, {"description": "", "marginTiers": steps}]],
    }

    assert tiers_of(find_instrument("hyperliquid:BTC"), orjson.dumps(said)) == (
        find_instrument("hyperliquid:BTC").maintenance_tiers
    )
    assert told("hyperliquid:ETH", said) == [(0, UNBOUNDED, "1/50", "0", 25)]


MEXC_ROW = {"symbol": "BTC_USDT", "maxLeverage": 500, "riskLimitMode": "CUSTOM", "riskLimitType": "BY_VOLUME"}

MEXC_LEVELS = [
    {"level": 1, "maxVol": 50_000, "mmr": 0.001, "imr": 0.002, "maxLeverage": 500},
    {"level": 2, "maxVol": 310_000, "mmr": 0.0025, "imr": 0.005, "maxLeverage": 200},
]


def test_mexc_tells_levels_in_contracts() -> None:
    rows = [MEXC_ROW | {"riskLimitCustom": MEXC_LEVELS}, {"symbol": "ETH_USDT", "riskLimitCustom": []}]

    found = told("mexc:BTC_USDT", {"success": True, "data": rows})

    assert found == [(0, 50_000, "1/1000", "0", 500), (50_000, 310_000, "1/400", "0", 200)]
    assert told("mexc:BTC_USDT", {"success": True, "data": rows[0]}) == found


def test_levels_of_mexc_by_value_are_refused_because_the_tables_count_contracts() -> None:
    row = MEXC_ROW | {"riskLimitCustom": MEXC_LEVELS, "riskLimitType": "BY_VALUE"}

    with pytest.raises(Unreadable, match="another unit of sizes: BY_VALUE"):
        told("mexc:BTC_USDT", {"data": [row]})


def test_lighter_counts_hundredths_of_a_per_cent_and_its_spot_market_is_left_out() -> None:
    perp = {"symbol": "BTC", "market_type": "perp", "min_initial_margin_fraction": 200}
    said = {
        "order_book_details": [
            perp | {"market_type": "spot", "maintenance_margin_fraction": 1},
            perp | {"maintenance_margin_fraction": 120},
        ]
    }

    assert told("lighter:BTC", said) == [(0, UNBOUNDED, "3/250", "0", 50)]


def htx_answer(*listed: tuple[int, list[tuple[object, object]]]) -> bytes:
    """Return factors by leverage as the venue tells them, of two contracts."""
    rows = [
        {
            "lever_rate": leverage,
            "ladders": [
                {"ladder": n, "min_size": floor, "max_size": None, "adjust_factor": factor}
                for n, (floor, factor) in enumerate(steps)
            ],
        }
        for leverage, steps in listed
    ]
    other = {"symbol": "ETH", "contract_code": "ETH-USDT", "list": []}
    return orjson.dumps({"status": "ok", "data": [other, {"symbol": "BTC", "contract_code": "BTC-USDT", "list": rows}]})


def test_htx_tells_factors_by_leverage_and_size() -> None:
    body = htx_answer((125, [(0, 0.25), (112, 0.31)]), (10, [(1000, 0.125), (0, 0.075)]))

    tiers, adjustments = table_of(find_instrument("htx:BTC-USDT"), body)

    assert [plain(tier) for tier in tiers] == [(0, 100_000, "1/500", "0", 125)]
    assert adjustments == (
        (10, (AdjustmentStep(0, 1000, Fraction("0.075")), AdjustmentStep(1000, None, Fraction("0.125")))),
        (125, (AdjustmentStep(0, 112, Fraction("0.25")), AdjustmentStep(112, None, Fraction("0.31")))),
    )


@pytest.mark.parametrize(
    ("listed", "reason"),
    [
        ([(10, [(0, 1.0)])], "absurd factor"),
        ([(10, [(0, 0)])], "absurd factor"),
        ([(10, [(0, 0.5), (5, 0.4)])], "absurd factor"),
        ([(10, [(1, 0.5)])], "tiers that do not follow each other"),
        ([(10, [(0, 0.5), (0, 0.6)])], "tiers that do not follow each other"),
        ([(10, [])], "absurd leverage"),
        ([(0, [(0, 0.5)])], "absurd leverage"),
        ([(10, [(0, 0.5)]), (10, [(0, 0.5)])], "absurd leverage"),
        ([(10, [("many", 0.5)])], "malformed"),
    ],
)
def test_absurd_factors_are_refused(listed: list[Any], reason: str) -> None:
    with pytest.raises(Unreadable) as refusal:
        table_of(find_instrument("htx:BTC-USDT"), htx_answer(*listed))
    assert refusal.value.reason == reason


@pytest.mark.recorded
def test_recorded_factors_of_htx_are_read() -> None:
    (body,) = messages("htx", "leverage_tiers.rest.jsonl")

    tiers, adjustments = table_of(listing("htx", "MANA-USDT").instrument, body)

    assert adjustments == ((75, (AdjustmentStep(0, None, Fraction("0.7")),)),)
    assert [(tier.max_leverage, tier.maintenance_margin_rate) for tier in tiers] == [(75, Fraction("0.7") / 75)]


def test_factors_that_differ_are_said_by_leverage() -> None:
    body = htx_answer((10, [(0, 0.075)]), (20, [(0, 0.2)]))
    _, told_then = table_of(find_instrument("htx:BTC-USDT"), body)

    found = adjustment_differences(find_instrument("htx:ETH-USDT").adjustments, told_then)

    assert found[0] == "3x: shipped 0.025 from 0, told none"
    assert "20x: shipped 0.15 from 0, told 0.2 from 0" in found
    assert not any(line.startswith("10x") for line in found)


def test_dydx_has_one_tier() -> None:
    market = {"initialMarginFraction": "0.02", "maintenanceMarginFraction": "0.012"}

    assert told("dydx:BTC-USD", {"markets": {"BTC-USD": market}}) == [(0, UNBOUNDED, "3/250", "0", 50)]


@pytest.mark.recorded
def test_recorded_brackets_of_binance_are_those_shipped_for_that_time() -> None:
    bodies = list(messages("binance_usdm", "leverage_tiers.rest.jsonl"))
    then = find_instrument("binance:BTCUSDT", date(2025, 6, 30))

    (told_then,) = (tiers_of(then, body) for body in bodies if b'"BTCUSDT"' in body[:30])

    assert differences(then.maintenance_tiers, told_then) == []
    newer = differences(find_instrument("binance:BTCUSDT").maintenance_tiers, told_then)
    assert newer[0] == "tier 1: shipped 0.4 % to 300,000 at 150x, told 0.4 % to 50,000 at 125x"


@pytest.mark.recorded
@pytest.mark.parametrize(
    ("folder", "instrument", "tiers"),
    [
        ("bitget", listing("bitget", "BTCUSDT"), [(0, 150_000, "1/250", "0", 125)]),
        ("bybit", listing("bybit", "BTCUSD"), [(0, 150, "1/200", "0", 100)]),
        ("gate", listing("gate", "BTC_USDT"), [(0, 1_000_000, "1/250", "0", 125)]),
        (
            "kraken_futures",
            listing("kraken", "FI_ETHUSD_180928"),
            [(0, 250_000, "1/100", "0", 50), (250_000, UNBOUNDED, "1/50", "0", 25)],
        ),
        (
            "kucoin_futures",
            listing("kucoin", "XBTUSDTM"),
            [(0, 250_000, "1/250", "0", 125), (250_000, 600_000, "1/200", "0", 100)],
        ),
        ("binance_coinm", listing("binance", "XRPUSD_210326"), [(0, 500_000, "37/2000", "0", 20)]),
    ],
)
def test_recorded_answers_are_read(folder: str, instrument: Any, tiers: list[tuple[int, int, str, str, int]]) -> None:
    (body,) = messages(folder, "leverage_tiers.rest.jsonl")

    assert [plain(tier) for tier in tiers_of(instrument.instrument, body)] == tiers


@pytest.mark.recorded
@pytest.mark.parametrize(
    ("folder", "instrument_id", "tiers"),
    [
        (
            "mexc",
            "mexc:BTC_USDT",
            [
                (0, 10_000, "1/250", "0", 125),
                (10_000, 210_000, "1/125", "0", 83),
                (210_000, 410_000, "3/250", "0", 62),
                (410_000, 610_000, "2/125", "0", 50),
                (610_000, 810_000, "1/50", "0", 41),
            ],
        ),
        ("lighter", "lighter:ETH", [(0, UNBOUNDED, "1/200", "0", 100)]),
    ],
)
def test_recorded_listings_that_hold_a_table_are_read(
    folder: str, instrument_id: str, tiers: list[tuple[int, int, str, str, int]]
) -> None:
    (body,) = messages(folder, "instruments.rest.jsonl")

    assert [plain(tier) for tier in tiers_of(find_instrument(instrument_id), body)] == tiers


@pytest.mark.recorded
def test_recorded_loans_of_okx_are_no_margin_table() -> None:
    for body in messages("okx", "leverage_tiers.rest.jsonl"):
        with pytest.raises((NotFound, Unreadable)):
            tiers_of(find_instrument("okx:BTC-USDT-SWAP"), body)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"mmr": "0"}, "absurd tier"),
        ({"mmr": "-0.004"}, "absurd tier"),
        ({"maxLever": "0.5"}, "absurd tier"),
        ({"maxSz": "0"}, "empty tier"),
        ({"mmr": "NaN"}, "malformed"),
        ({"mmr": None}, "malformed"),
        ({"minSz": "5", "maxSz": "many"}, "malformed"),
    ],
)
def test_absurd_table_is_refused(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(Unreadable) as refusal:
        told("okx:BTC-USDT-SWAP", {"data": [OKX_ROW | change]})
    assert refusal.value.reason == reason


def test_table_that_does_not_begin_at_nothing_is_refused() -> None:
    row = {
        "symbol": "BTCUSDT",
        "startUnit": "150000",
        "endUnit": "900000",
        "keepMarginRate": "0.005",
        "leverage": "100",
    }

    with pytest.raises(Unreadable, match="table without a first tier"):
        told("bitget:BTCUSDT", {"data": [row]})


def test_rates_that_fall_are_refused() -> None:
    lower = OKX_ROW | {"minSz": "1001", "maxSz": "2000", "mmr": "0.003"}

    with pytest.raises(Unreadable, match="do not follow each other"):
        told("okx:BTC-USDT-SWAP", {"data": [OKX_ROW, lower]})


@pytest.mark.parametrize("body", [b"", b"[]", b'{"data": 3}', b'{"data": [3]}', b"<html>"])
def test_answer_that_is_none_is_refused(body: bytes) -> None:
    with pytest.raises(Unreadable, match="malformed"):
        tiers_of(find_instrument("okx:BTC-USDT-SWAP"), body)


def test_answer_without_the_instrument_and_venue_without_a_table_are_told_apart() -> None:
    with pytest.raises(NotFound, match="the answer tells no margin table of okx:BTC-USDT-SWAP"):
        told("okx:BTC-USDT-SWAP", {"data": []})
    with pytest.raises(NotFound, match="venue 'deribit' tells no margin table; those of binance, bitget, bybit"):
        find_source("deribit")


def test_instrument_under_a_told_table_says_where_it_is_from() -> None:
    shipped = find_instrument("okx:BTC-USDT-SWAP")
    tiers = (MaintenanceTier(0, 500, Fraction(1, 100), Fraction(0), 50),)

    found = with_tiers(shipped, tiers, date(2026, 11, 26), "https://www.okx.com")

    assert (found.maintenance_tiers, found.max_leverage, found.rules_date) == (tiers, 50, "2026-11-26")
    assert found.rules_source.startswith(
        "margin table as told by https://www.okx.com; all else: 2026-09-30: position tiers"
    )


@pytest.mark.parametrize("venue", sorted(set(SOURCES) - {"binance"}))
def test_what_is_asked_names_the_instrument_or_all(venue: str) -> None:
    instrument = next(each for each in shipped_instruments().values() if each.venue == venue)
    asked = find_source(venue).request

    assert asked is not None
    request = asked(instrument)
    named = " ".join([request.url, *request.query.values()])
    assert request.url.startswith("https://")
    assert instrument.name.removesuffix("-SWAP") in named or venue in ("hyperliquid", "kraken", "lighter")

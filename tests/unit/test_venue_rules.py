"""The shipped tables of the venues: what their contracts are worth, how high they go, and how they liquidate."""

from __future__ import annotations

from fractions import Fraction

import pytest

from liqscape.instruments import AT_ENTRY, CONTEXT, find_instrument, shipped_instruments

ALL = tuple(shipped_instruments().values())
VENUES = (
    "aster",
    "binance",
    "bingx",
    "bitfinex",
    "bitget",
    "bitmex",
    "bybit",
    "cme",
    "coinbase_derivatives",
    "coinbase_intl",
    "cryptocom",
    "deribit",
    "dydx",
    "gate",
    "htx",
    "hyperliquid",
    "kraken",
    "kucoin",
    "lighter",
    "mexc",
    "okx",
    "phemex",
    "woox",
)


@pytest.mark.parametrize(
    ("instrument_id", "value"),
    [
        ("binance:BTCUSD_PERP", 100),
        ("binance:ETHUSD_PERP", 10),
        ("bybit:BTCUSD", 1),
        ("okx:BTC-USD-SWAP", 100),
        ("kraken:PI_XBTUSD", 1),
        ("deribit:BTC-PERPETUAL", 10),
    ],
)
def test_inverse_contract_is_worth_a_fixed_amount_of_quote(instrument_id: str, value: int) -> None:
    instrument = find_instrument(instrument_id)

    assert (instrument.contract, instrument.is_inverse) == ("inverse", True)
    assert instrument.contract_value == value


@pytest.mark.parametrize(
    ("instrument_id", "highest", "leverages"),
    [
        ("binance:BTCUSD_PERP", 125, 9),
        ("bitget:BTCUSDT", 150, 9),
        ("bybit:BTCUSDT", 100, 8),
        ("okx:ETH-USDT-SWAP", 100, 8),
        ("kraken:PF_XBTUSD", 50, 6),
        ("deribit:BTC-PERPETUAL", 50, 6),
    ],
)
def test_highest_leverage_of_each_venue(instrument_id: str, highest: int, leverages: int) -> None:
    instrument = find_instrument(instrument_id)

    assert (instrument.max_leverage, len(instrument.leverage_tiers)) == (highest, leverages)


def test_only_venues_that_count_the_taker_fee_have_one_in_their_formula() -> None:
    fees = {f"{i.venue}:{i.contract}": i.fee_rate for i in shipped_instruments().values() if i.fee_rate}

    assert fees == {
        "gate:inverse": Fraction("0.00075"),
        "gate:linear": Fraction("0.0005"),
        "bitget:linear": Fraction("0.0006"),
        "kucoin:inverse": Fraction("0.0006"),
        "kucoin:linear": Fraction("0.0006"),
        "okx:inverse": Fraction("0.0005"),
        "okx:linear": Fraction("0.0005"),
        "woox:linear": Fraction("0.0003"),
    }


def test_partial_liquidation_by_venue() -> None:
    steps = {i.venue: i.ladder_step for i in shipped_instruments().values() if i.ladder_step}
    first = {i.venue: (i.first_part.share, i.first_part.above_quote) for i in ALL if i.first_part}

    one = ("aster", "binance", "bingx", "bitget", "bybit", "gate", "kucoin", "phemex")
    assert steps == dict.fromkeys(one, 1) | {"okx": 2}
    assert first == {"hyperliquid": (Fraction(1, 5), 100_000)}


def test_every_venue_has_rules_and_says_how_it_liquidates() -> None:
    assert list(dict.fromkeys(i.venue for i in ALL)) == list(VENUES)
    assert all(i.liquidation_order for i in ALL)
    assert {i.venue for i in ALL if i.margin_form == CONTEXT} == {"cme", "coinbase_derivatives"}
    assert {i.venue for i in ALL if i.margin_form == AT_ENTRY} == {"mexc", "woox"}
    assert {i.venue for i in ALL if i.trigger == "index"} == {"dydx"}


@pytest.mark.parametrize(
    ("instrument_id", "size"),
    [
        ("okx:BTC-USDT-SWAP", "0.01"),
        ("okx:ETH-USDT-SWAP", "0.1"),
        ("gate:BTC_USDT", "0.0001"),
        ("htx:BTC-USDT", "0.001"),
        ("kucoin:XBTUSDTM", "0.001"),
        ("mexc:BTC_USDT", "0.0001"),
        ("coinbase_derivatives:BIP-20DEC30-CDE", "0.01"),
        ("cme:BTC", "5"),
        ("deribit:BTC-PERPETUAL", "0.1"),
        ("binance:BTCUSDT", "1"),
    ],
)
def test_unit_in_which_a_venue_counts_orders(instrument_id: str, size: str) -> None:
    assert find_instrument(instrument_id).contract_size == Fraction(size)


def test_shipped_instruments_come_by_venue_and_linear_ones_first() -> None:
    ids = list(shipped_instruments())

    assert [name for name in ids if name.startswith("bybit:")] == [
        "bybit:BTCUSDT",
        "bybit:ETHUSDT",
        "bybit:SOLUSDT",
        "bybit:BTCUSD",
        "bybit:ETHUSD",
    ]
    assert [i.split(":")[0] for i in ids] == sorted(i.split(":")[0] for i in ids)


@pytest.mark.parametrize("instrument_id", sorted(shipped_instruments()))
def test_bounds_of_a_table_have_a_unit_that_fits_the_contract(instrument_id: str) -> None:
    instrument = shipped_instruments()[instrument_id]

    assert instrument.tier_unit in ("quote", "base", "contracts")
    assert not (instrument.is_inverse and instrument.tier_unit == "quote")


def test_figures_that_were_not_verified_are_named() -> None:
    doubtful = {i.instrument_id for i in shipped_instruments().values() if "UNVERIFIED" in i.rules_source}

    assert {"binance:ETHUSD_PERP", "okx:BTC-USD-SWAP", "bybit:ETHUSDT", "kraken:PF_XBTUSD"} <= doubtful
    assert "binance:BTCUSDT" not in doubtful

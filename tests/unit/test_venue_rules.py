"""The shipped tables of the venues: what their contracts are worth, how high they go, and how they liquidate."""

from __future__ import annotations

from fractions import Fraction

import pytest

from liqscape.instruments import find_instrument, shipped_instruments


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
    fees = {i.venue: i.fee_rate for i in shipped_instruments().values()}

    assert fees == {
        "binance": 0,
        "bitget": Fraction("0.0006"),
        "bybit": 0,
        "deribit": 0,
        "kraken": 0,
        "okx": Fraction("0.0005"),
    }


def test_partial_liquidation_by_venue() -> None:
    steps = {i.venue: i.ladder_step for i in shipped_instruments().values()}

    assert steps == {"binance": 1, "bitget": 1, "bybit": 1, "deribit": 0, "kraken": 0, "okx": 2}


def test_shipped_instruments_come_by_venue_and_linear_ones_first() -> None:
    ids = list(shipped_instruments())

    assert ids[:4] == ["binance:BTCUSDT", "binance:ETHUSDT", "binance:BTCUSD_PERP", "binance:ETHUSD_PERP"]
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

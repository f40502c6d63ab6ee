"""--venues and --scenario: from text to a simulation."""

from __future__ import annotations

from pathlib import Path

import pytest

from liqscape.clock import ManualClock
from liqscape.config import SourceConfig, parse_venues
from liqscape.errors import ConfigError
from liqscape.feeds.build import build_source

CLOCK = ManualClock(1_767_225_600 * 1_000_000_000)


def test_no_venues_are_one_venue_a_symbol() -> None:
    assert parse_venues(None, ("BTC",)) == (None, ("BTC",))
    assert [i.instrument_id for i in build_source(SourceConfig(), CLOCK).description.instruments] == [
        "binance:BTCUSDT",
        "binance:ETHUSDT",
    ]


def test_many_venues_are_seven_a_symbol() -> None:
    venues, symbols = parse_venues("many", None)

    simulated = build_source(SourceConfig(venues=venues, symbols=symbols, scenario="crash"), CLOCK).description

    assert (venues, symbols) == (("many",), None)
    assert simulated.name == "simulate seed 1, 14 instruments, crash"
    assert len(simulated.instruments) == 14


def test_named_venues_bring_their_symbols() -> None:
    venues, symbols = parse_venues("bybit:ETHUSDT, binance:ETHUSD_PERP", None)

    simulated = build_source(SourceConfig(venues=venues, symbols=symbols), CLOCK).description

    assert symbols == ("ETH",)
    assert [i.instrument_id for i in simulated.instruments] == ["bybit:ETHUSDT", "binance:ETHUSD_PERP"]


def test_unknown_venue_is_refused_and_the_text_lists_those_that_exist() -> None:
    with pytest.raises(ConfigError, match=r"'bybit:DOGEUSDT' is unknown; known are bybit:BTCUSDT, .*; or use many"):
        parse_venues("binance:BTCUSDT,bybit:DOGEUSDT", None)


@pytest.mark.parametrize("config", [SourceConfig(kind="history", manifest=Path("m.toml"), venues=("many",))])
def test_recording_has_venues_of_its_own(config: SourceConfig) -> None:
    with pytest.raises(ConfigError, match="venues and scenario are of a simulation"):
        build_source(config, CLOCK)

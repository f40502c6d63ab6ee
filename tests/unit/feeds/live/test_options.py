"""--source live and replay: from text to a source, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from liqscape.clock import ManualClock
from liqscape.config import SourceConfig, parse_names, parse_relay, parse_source
from liqscape.errors import ConfigError, InputDataError
from liqscape.feeds.build import build_source, wanted_venues
from liqscape.feeds.source import EventSource
from liqscape.feeds.venues.registry import ON_REQUEST, VENUES

CLOCK = ManualClock()


def build(**settings: object) -> EventSource:
    return build_source(SourceConfig(**settings), CLOCK)  # type: ignore[arg-type]


def test_kinds_of_source_are_read_from_text() -> None:
    assert parse_source("live") == ("live", None)
    assert parse_source("replay:a/b.jsonl.gz") == ("replay", Path("a/b.jsonl.gz"))
    with pytest.raises(ConfigError, match="use simulate, live, history:FILE or replay:FILE"):
        parse_source("replay")


def test_named_venues_and_symbols_are_all_that_is_listened_to() -> None:
    about = build(kind="live", venues=("binance-coinm", "binance-usdm"), symbols=("ETH",)).description

    assert about.name == "live: binance-coinm, binance-usdm"
    assert [i.instrument_id for i in about.instruments] == ["binance:ETHUSDT", "binance:ETHUSD_PERP"]
    assert (about.tick_ms, about.simulated, about.replay) == (250, False, False)


def test_without_names_every_venue_that_lists_something_is_listened_to() -> None:
    venues, listings = wanted_venues(None, ("BTC",))

    assert {venue.name for venue in venues} <= set(VENUES) - ON_REQUEST
    assert {"binance-usdm", "binance-coinm"} <= set(listings)
    assert all(listing.instrument.symbol == "BTC" for of_venue in listings.values() for listing in of_venue)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"venues": ("binance",)}, "venue 'binance' is unknown; known are binance-usdm"),
        ({"venues": ("bitmex",)}, "bitmex cannot be listened to any more; only recordings are read"),
        ({"symbols": ("NOSUCH",)}, "symbol 'NOSUCH' is unknown at these venues; known are "),
        ({"scenario": "crash"}, "scenario is of a simulation"),
        ({"speed": 2.0}, "speed is of a recording"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_does(settings: dict[str, object], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        build(kind="live", **settings)


def test_a_capture_that_names_no_venue_needs_one_and_a_missing_one_is_named(tmp_path: Path) -> None:
    foreign = tmp_path / "some.jsonl"
    foreign.write_text('{"recv_ns":1,"kind":"connect","conn":"","msg":null}\n')

    with pytest.raises(ConfigError, match="does not say of which venue it is; name it with --venues"):
        build(kind="replay", manifest=foreign)
    with pytest.raises(InputDataError, match="there is no capture"):
        build(kind="replay", manifest=tmp_path / "missing.jsonl.gz")
    about = build(kind="replay", manifest=foreign, venues=("binance-usdm",), symbols=("BTC",), speed=None).description
    assert (about.replay, [i.instrument_id for i in about.instruments]) == (True, ["binance:BTCUSDT"])


def test_names_and_relay_are_read_from_text() -> None:
    assert parse_names(" a, b") == ("a", "b")
    assert parse_names(None) is None
    assert parse_relay("http://127.0.0.1:9") == "http://127.0.0.1:9"
    with pytest.raises(ConfigError, match="use http://HOST:PORT"):
        parse_relay("ws://127.0.0.1:9")

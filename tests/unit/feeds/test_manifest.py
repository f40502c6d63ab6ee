"""A manifest is read whole or refused with the file and the key at fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from liqscape.errors import ConfigError
from liqscape.feeds.manifest import load_manifest

HEAD = 'name = "made up"\ndescription = "two series"\n'
CANDLES = """
[[series]]
symbol = "BTC"
instrument = "binance:BTCUSDT"
kind = "candles"
file = "market/price/candles.parquet"
time_column = "date"
time_unit = "timestamp"
stamp = "open"
columns = { open = "o", high = "h", low = "l", close = "c", volume = "v" }
quantity_unit = "base"
step = "5m"
from = "2025-12-01T00:05:00Z"
to = "2025-12-01T01:00"
"""
OPEN_INTEREST = """
[[series]]
symbol = "BTC"
instrument = "binance:BTCUSDT"
kind = "open_interest"
file = "market/oi/samples.parquet"
time_column = "t"
time_unit = "ms"
stamp = "instant"
columns = { open_interest = "oi" }
quantity_unit = "base"
step = "4h"
from = 2025-12-01T00:00:00Z
to = 2025-12-02T00:00:00
tolerance = "3s"
interpolation = "linear"
"""
MIDNIGHT_NS = 1_764_547_200_000_000_000  # 2025-12-01T00:00:00Z
MINUTE_NS = 60_000_000_000


def write(folder: Path, text: str) -> Path:
    path = folder / "manifest.toml"
    path.write_text(text, "utf-8")
    return path


def test_manifest_becomes_values_with_units(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD + CANDLES + OPEN_INTEREST)

    manifest = load_manifest(path)

    candles, samples = manifest.series
    assert (manifest.name, manifest.description, manifest.symbols) == ("made up", "two series", ("BTC",))
    assert candles.instrument.instrument_id == "binance:BTCUSDT"
    assert candles.columns == {"open": "o", "high": "h", "low": "l", "close": "c", "volume": "v"}
    assert candles.step_ns == 5 * MINUTE_NS
    assert candles.from_ns == MIDNIGHT_NS + 5 * MINUTE_NS
    assert candles.to_ns == MIDNIGHT_NS + 60 * MINUTE_NS
    assert (candles.tolerance_ns, candles.linear, candles.legs) == (0, False, False)
    assert (samples.from_ns, samples.to_ns) == (MIDNIGHT_NS, MIDNIGHT_NS + 1440 * MINUTE_NS)
    assert (samples.tolerance_ns, samples.linear) == (3_000_000_000, True)


@pytest.mark.parametrize(("step", "stamp"), [("15m", "00:15"), ("1h", "01:00")])
def test_candles_of_a_quarter_of_an_hour_or_longer_may_be_cut_into_legs(tmp_path: Path, step: str, stamp: str) -> None:
    candles = CANDLES.replace("00:05:00Z", f"{stamp}:00Z").replace('"5m"', f'"{step}"\npath = "legs"')

    (series,) = load_manifest(write(tmp_path, HEAD + candles)).series

    assert series.legs


def test_open_interest_has_no_legs(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD + CANDLES + OPEN_INTEREST + 'path = "legs"\n')

    with pytest.raises(ConfigError, match="series 2: key 'path' is 'legs'; allowed is 'range'"):
        load_manifest(path)


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('symbol = "BTC"', 'symbol = "ETH"', "symbol"),
        ("binance:BTCUSDT", "binance:NOSUCH", "instrument"),
        ('kind = "candles"', 'kind = "trades"', "kind"),
        ("market/price/candles.parquet", "/etc/candles.parquet", "file"),
        ("market/price/candles.parquet", "../candles.parquet", "file"),
        ('time_column = "date"', 'time_column = ""', "time_column"),
        ('time_unit = "timestamp"', 'time_unit = "us"', "time_unit"),
        ('stamp = "open"', 'stamp = "instant"', "stamp"),
        ('volume = "v"', 'size = "v"', "columns"),
        ('volume = "v"', "volume = 3", "columns"),
        ('quantity_unit = "base"', 'quantity_unit = "usd"', "quantity_unit"),
        ('step = "5m"', 'step = "5"', "step"),
        ('step = "5m"', 'step = "90s"', "step"),
        ('step = "5m"', "step = 5", "step"),
        ('from = "2025-12-01T00:05:00Z"', 'from = "yesterday"', "from"),
        ('from = "2025-12-01T00:05:00Z"', 'from = "2025-12-01T00:05:00+01:00"', "from"),
        ('from = "2025-12-01T00:05:00Z"', 'from = "2025-12-01T00:06:00Z"', "from"),
        ('to = "2025-12-01T01:00"', 'to = "2025-11-01T01:00"', "to"),
        ('step = "5m"', 'step = "5m"\ntolerance = "150s"', "tolerance"),
        ('step = "5m"', 'step = "5m"\ninterpolation = "linear"', "interpolation"),
        ('step = "5m"', 'step = "5m"\npath = "wick"', "path"),
        ('step = "5m"', 'step = "5m"\npath = "legs"', "path"),
        ('step = "5m"', 'step = "5m"\ncolour = "red"', "colour"),
        ('step = "5m"\n', "", "step"),
    ],
)
def test_wrong_key_is_refused_with_file_series_and_key(tmp_path: Path, old: str, new: str, key: str) -> None:
    assert old in CANDLES
    path = write(tmp_path, HEAD + CANDLES.replace(old, new))

    with pytest.raises(ConfigError) as caught:
        load_manifest(path)

    assert str(path) in str(caught.value)
    assert "series 1" in str(caught.value)
    assert f"key {key!r}" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEAD, "key 'series' is missing"),
        (HEAD + "series = []", "key 'series' is []"),
        (HEAD + "series = [1]", "key 'series' is [1]"),
        ('description = "x"\n' + CANDLES, "key 'name' is missing"),
        ('name = 3\ndescription = "x"\n' + CANDLES, "key 'name' is 3"),
        ('speed = 3\nname = "x"\ndescription = "x"\n' + CANDLES, "key 'speed' is unknown"),
        ("name = ", "is not TOML"),
        (HEAD + CANDLES + CANDLES, "series 2: key 'kind' is 'candles' a second time"),
        (
            HEAD + OPEN_INTEREST,
            "series 1: key 'instrument' is 'binance:BTCUSDT', which has open interest but no candles",
        ),
    ],
)
def test_wrong_whole_is_refused_with_its_reason(tmp_path: Path, text: str, words: str) -> None:
    path = write(tmp_path, text)

    with pytest.raises(ConfigError) as caught:
        load_manifest(path)

    assert str(path) in str(caught.value)
    assert words in str(caught.value)


def test_missing_manifest_is_refused_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.toml' cannot be read"):
        load_manifest(tmp_path / "absent.toml")

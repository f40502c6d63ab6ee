"""The file of --model: what it says is what the book assumes; what it may not say is refused with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from liqscape.errors import ConfigError
from liqscape.instruments import Instrument, find_instrument
from liqscape.model_file import ModelFile, read_model_file

BTC = find_instrument("binance:BTCUSDT")
TIERS = len(BTC.maintenance_tiers)
MIX = {3: 6, 5: 10, 10: 25, 20: 30, 25: 10, 50: 9, 75: 5, 100: 3, 125: 2}
INFLOW = '[inflow_mix."binance:BTCUSDT"]\n' + "".join(f"{tier} = {share}\n" for tier, share in MIX.items())
SIZES = f'[size_mix]\n"binance:BTCUSDT" = {[3, 1] + [0] * (TIERS - 2)}\n'


def read(tmp_path: Path, text: str, *instruments: Instrument) -> ModelFile:
    path = tmp_path / "model.toml"
    path.write_text(text, encoding="utf-8")
    return read_model_file(path, instruments or (BTC,))


def test_shares_are_ratios_and_become_millionths(tmp_path: Path) -> None:
    model = read(tmp_path, INFLOW + SIZES)

    mix = model.inflow_mixes["binance:BTCUSDT"]
    assert sum(mix) == 1_000_000
    assert mix[2] == 250_000
    assert model.size_mixes["binance:BTCUSDT"] == (750_000, 250_000, *[0] * (TIERS - 2))


def test_what_is_not_named_keeps_the_prior(tmp_path: Path) -> None:
    assert read(tmp_path, "") == ModelFile({}, {})


def test_leverages_of_cme_are_one_or_shares(tmp_path: Path) -> None:
    one = read(tmp_path, "[cme]\nleverage = 20\n")
    several = read(tmp_path, "[cme.leverage_shares]\n5 = 3\n1 = 1\n2 = 0\n")

    assert one.cme == ((20, 1_000_000),)
    assert several.cme == ((1, 250_000), (5, 750_000))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[inflow]\n", "has 'inflow'; allowed are inflow_mix, size_mix and cme"),
        (
            "[cme]\nleverage = 21\n",
            "leverage 21 cannot be assumed of CME; use leverage = N, or a table",
        ),
        ("[cme]\nleverage = 0\n", "leverage 0 cannot be assumed of CME"),
        ("[cme]\nleverage = 3.0\n", "leverage 3.0 cannot be assumed of CME"),
        ('[cme]\nleverage = "3"\n', "leverage '3' cannot be assumed of CME"),
        ("[cme]\nleverage = true\n", "leverage True cannot be assumed of CME"),
        ("[cme.leverage_shares]\n3 = 1\n25 = 1\n", "leverage 25 cannot be assumed of CME"),
        ("[cme.leverage_shares]\n3 = -1\n", "leverage_shares of cme has -1; use whole numbers of 0 or more"),
        ("[cme.leverage_shares]\n3 = 0\n", "leverage_shares of cme has no number above 0"),
        ("[cme.leverage_shares]\n", "cme has leverage_shares {}; use leverage = N"),
        ("[cme]\nleverage_shares = 3\n", "cme has leverage_shares 3; use leverage = N"),
        ("[cme]\n", "cme is {}; use leverage = N"),
        ("[cme]\nleverage = 3\nleverage_shares = {3 = 1}\n", "N is 1 to 20"),
        ("inflow_mix = 3\n", "inflow_mix is 3; it is a table by instrument id"),
        ('[size_mix]\n"okx:BTC" = [1]\n', "size_mix names 'okx:BTC'; this input has binance:BTCUSDT"),
        (INFLOW.replace("125 = 2\n", ""), "must name each of the leverages 3, 5, 10, 20, 25, 50, 75, 100, 125"),
        (INFLOW.replace("= 25", "= 2.5"), "has 2.5; use whole numbers of 0 or more"),
        (INFLOW.replace("= 25", "= -25"), "has -25; use whole numbers of 0 or more"),
        (INFLOW.replace("= 25", "= true"), "has True; use whole numbers of 0 or more"),
        ('[size_mix]\n"binance:BTCUSDT" = [1]\n', f"must be a list of {TIERS} numbers, one a maintenance tier"),
        (f'[size_mix]\n"binance:BTCUSDT" = {[0] * TIERS}\n', "has no number above 0"),
        ("[inflow_mix\n", "is not TOML"),
    ],
)
def test_what_it_may_not_say_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        read(tmp_path, text)
    assert message in str(refusal.value)
    assert "model.toml" in str(refusal.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"model file .*none\.toml cannot be read: No such file"):
        read_model_file(tmp_path / "none.toml", (BTC,))

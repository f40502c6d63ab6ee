"""The margin command: what it prints, what it refuses, and that the documented table is what it computes."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from aiohttp import web

from liqscape.__main__ import EXIT_FAILURE, EXIT_USAGE, main

ROOT = Path(__file__).parents[2]
OKX = ("margin", "--venue", "okx", "--symbol", "BTC", "--entry", "65000", "--leverage", "10")

RULES = """
venue = "mine"
trigger = "mark"
fee_rate = "0"
ladder_step = 0
date = "2026-01-01"
source = "my own reading"

[[instruments]]
name = "BTCX"
symbol = "BTC"
contract = "linear"
price_decimals = 1
maintenance_tiers = [["0", "1000000", "0.02", "0", "20"]]
"""


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], status: int, *arguments: str) -> str:
    assert main(arguments) == status
    return capsys.readouterr().err


def test_prices_ladder_and_rule_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, *OKX, "--side", "long")

    assert "okx:BTC-USDT-SWAP (linear), long 1 BTC at 65,000.00, 10x" in text
    assert "liquidation  58,764.44   9.59 % from entry, by the mark price" in text
    assert "bankruptcy   58,500.00" in text
    assert "0.4 % + 0.05 % fee; tier 1 of 1, up to 1,000 contracts, 100x at most" in text
    assert "ladder       100.00 % at 58,764.44 (tier 1)" in text
    assert "rule         E (1 - 1/L - d/N) / (1 - m - f)" in text
    assert "as of        2026-09-30: position tiers" in text
    assert "see also     BTC-USD-SWAP" in text


def test_json_has_the_same_facts(capsys: pytest.CaptureFixture[str]) -> None:
    said = json.loads(
        printed(
            capsys, "margin", "--venue", "binance", "--entry", "65,000", "--leverage", "10", "--size", "100", "--json"
        )
    )

    assert (said["instrument"], said["side"], said["trigger"]) == ("binance:BTCUSDT", "long", "mark")
    assert said["bankruptcy_price"] == 58_500
    assert [step["maintenance_tier"] for step in said["steps"]] == [4, 3, 2, 1]
    assert said["steps"][0]["price"] == said["liquidation_price"]
    assert said["rule"]["date"] == "2026-09-30"
    assert said["rule"]["maintenance_amount"] == 12_000


def test_rules_of_a_day_and_a_contract_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("margin", "--venue", "binance", "--entry", "65000", "--leverage", "10", "--date", "2025-12-01")

    assert "as of        2025-06-22: leverage brackets" in printed(capsys, *arguments)
    named = printed(capsys, *arguments, "--instrument", "BTCUSD_PERP", "--side", "short")
    assert "binance:BTCUSD_PERP (inverse), short" in named
    assert "liquidation  71,933.33" in named


def test_rules_file_takes_the_place_of_the_shipped_tables(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(RULES, encoding="utf-8")
    arguments = ("--entry", "100", "--leverage", "10", "--rules-file", str(path))

    assert "liquidation  91.84" in printed(capsys, "margin", "--venue", "mine", *arguments)
    assert "venue 'okx' is unknown; known are mine" in refused(
        capsys, EXIT_FAILURE, "margin", "--venue", "okx", *arguments
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (RULES.replace('fee_rate = "0"\n', ""), "lacks the key 'fee_rate'"),
        (RULES + "[", "is not TOML"),
        (RULES.replace('"0.02"', '"two"'), "Invalid literal for Fraction: 'two'"),
        (RULES.replace('"linear"', '"cubic"'), "contract 'cubic' of mine:BTCX is unknown"),
    ],
)
def test_rules_file_that_cannot_be_used_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")

    said = refused(
        capsys, EXIT_USAGE, "margin", "--venue", "mine", "--entry", "1", "--leverage", "2", "--rules-file", str(path)
    )

    assert message in said
    assert "mine.toml" in said


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("margin", "--venue", "okx", "--entry", "1"), EXIT_USAGE, "margin needs --leverage"),
        (("margin", "--venue", "mtgox", *OKX[3:]), EXIT_FAILURE, "venue 'mtgox' is unknown; known are aster, binance"),
        ((*OKX, "--symbol", "DOGE"), EXIT_FAILURE, "symbol 'DOGE' is unknown at okx; known are BTC, ETH"),
        ((*OKX, "--instrument", "BTC"), EXIT_FAILURE, "instrument 'BTC' is unknown at okx; known are BTC-USDT-SWAP"),
        ((*OKX, "--entry", "many"), EXIT_USAGE, "entry 'many' is no number"),
        ((*OKX, "--date", "yesterday"), EXIT_USAGE, "date 'yesterday' is no day"),
        ((*OKX, "--leverage", "101"), EXIT_FAILURE, "use at most 100"),
    ],
)
def test_what_cannot_be_answered_is_refused(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], status: int, message: str
) -> None:
    assert message in refused(capsys, status, *arguments)


def test_documented_table_is_the_computed_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "margin", "--table") in (ROOT / "docs" / "margin.md").read_text("utf-8")


def test_table_says_what_is_not_offered(capsys: pytest.CaptureFixture[str]) -> None:
    rows = {line.split("`")[1]: line for line in printed(capsys, "margin", "--table").splitlines() if "`" in line}

    assert rows["hyperliquid:BTC"].endswith("| 59,240.51 / 70,617.28 | not offered: at most 40x |")
    assert "no margin beyond maintenance" in rows["coinbase_derivatives:BIP-20DEC30-CDE"]
    assert "| 1.25 % or 0.7 % |" in rows["htx:BTC-USDT"]


TOLD = {"instFamily": "BTC-USDT", "instId": "", "minSz": "0", "maxSz": "500", "mmr": "0.005", "maxLever": "75"}


def test_saved_answer_of_a_venue_decides_and_its_difference_is_said(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "tiers.json"
    path.write_text(json.dumps({"code": "0", "data": [TOLD]}), encoding="utf-8")

    assert main((*OKX, "--answer", str(path))) == 0

    output = capsys.readouterr()
    assert "liquidation  58,823.53" in output.out  # 65,000 x 0.9 / (1 - 0.5 % - 0.05 %)
    assert f"margin table as told by {path}; all else: 2026-09-30" in output.out
    assert output.err == (
        "liqscape: okx:BTC-USDT-SWAP: tier 1: shipped 0.4 % to 1,000 at 100x, told 0.5 % to 500 at 75x\n"
    )


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ((*OKX, "--answer", "/nowhere/x.json"), EXIT_USAGE, "answer /nowhere/x.json cannot be read"),
        (("margin", "--venue", "binance", *OKX[3:], "--fetch"), EXIT_USAGE, "to signed requests alone; use --answer"),
        (("margin", "--venue", "deribit", *OKX[3:], "--fetch"), EXIT_FAILURE, "venue 'deribit' tells no margin table"),
        ((*OKX, "--fetch", "--relay", "http://127.0.0.1:9"), EXIT_FAILURE, "Connect call failed"),
    ],
)
def test_table_that_cannot_be_had_is_refused(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], status: int, message: str
) -> None:
    assert message in refused(capsys, status, *arguments)


async def test_fetched_table_decides(capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(str(request.rel_url))
        return web.json_response({"code": "0", "data": [TOLD]})

    app = web.Application()
    app.router.add_get("/{tail:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        host, port = runner.addresses[0][:2]
        status = await asyncio.to_thread(main, (*OKX, "--fetch", "--relay", f"http://{host}:{port}"))
    finally:
        await runner.cleanup()

    assert status == 0
    assert "liquidation  58,823.53" in capsys.readouterr().out
    assert asked == ["/www.okx.com/api/v5/public/position-tiers?instType=SWAP&tdMode=isolated&instFamily=BTC-USDT"]

"""Trades that are told again on one connection: left out where a number tells them from others, and never else.

Seen to fail when broken on purpose: repeats.py, is_repeat by the id alone, or without it; without the trades of before.
"""

from __future__ import annotations

import re

import orjson
import pytest

from liqscape.events import TakerSide, Trade
from liqscape.feeds.venues.bybit import BYBIT_LINEAR
from liqscape.feeds.venues.cryptocom import CRYPTOCOM
from liqscape.feeds.venues.dialect import Reading, Venue
from liqscape.feeds.venues.gate import GATE_USDT
from liqscape.feeds.venues.htx import HTX_LINEAR
from liqscape.feeds.venues.hyperliquid import HYPERLIQUID
from liqscape.feeds.venues.okx import OKX
from liqscape.feeds.venues.phemex import PHEMEX
from liqscape.feeds.venues.repeats import MAX_ID, TRADES_REMEMBERED, TradesTold
from tests.unit.feeds.venues.captured import captured, listing, read_all, replayed

BTC = Trade("v:BTC", 1, 650_000, 5, TakerSide.BUY)


def heard(*told: tuple[object, Trade]) -> tuple[list[bool], Reading]:
    """Return which of (id, trade) were new, and what was read."""
    trades, into = TradesTold(), Reading()
    new = []
    for trade_id, trade in told:
        into.events.append(trade)
        new.append(not trades.is_repeat(into, trade_id))
    return new, into


def test_trade_told_again_with_its_id_is_taken_out_and_counted() -> None:
    new, into = heard((7, BTC), ("7", BTC), (7, BTC), ("7", BTC))

    assert new == [True, True, False, False]
    assert into.events == [BTC, BTC]
    assert into.ignored == {"trade again": 2}


@pytest.mark.parametrize(
    "other",
    [
        Trade("v:ETH", 1, 650_000, 5, TakerSide.BUY),
        Trade("v:BTC", 2, 650_000, 5, TakerSide.BUY),
        Trade("v:BTC", 1, 650_001, 5, TakerSide.BUY),
        Trade("v:BTC", 1, 650_000, 6, TakerSide.BUY),
        Trade("v:BTC", 1, 650_000, 5, TakerSide.SELL),
    ],
)
def test_an_id_alone_is_no_proof(other: Trade) -> None:
    assert heard((7, BTC), (7, other))[0] == [True, True]


@pytest.mark.parametrize("nothing", [None, True, 7.0, [], {}, "x" * (MAX_ID + 1)])
def test_trades_without_an_id_are_all_new(nothing: object) -> None:
    assert heard((nothing, BTC), (nothing, BTC))[0] == [True, True]


def test_what_is_remembered_is_bounded_and_no_less_than_promised() -> None:
    trades, into = TradesTold(), Reading()

    def is_new(number: int) -> bool:
        into.events[:] = [BTC]
        return not trades.is_repeat(into, number)

    assert all(is_new(number) for number in range(3 * TRADES_REMEMBERED))
    assert not any(is_new(3 * TRADES_REMEMBERED - 1 - back) for back in range(TRADES_REMEMBERED))
    assert is_new(0)


def test_message_of_trades_without_ids_is_known_by_its_number_and_all_it_says() -> None:
    rows = [[1_795_219_200_000_000_000, "Buy", "65000.1", "0.7"]] * 2
    said = {"sequence": 5, "symbol": "BTCUSDT", "trades_p": rows, "type": "incremental"}
    messages = [said, said, {**said, "sequence": 6}, {**said, "trades_p": rows[:1]}]

    read = read_all(PHEMEX.dialect([listing("phemex", "BTCUSDT")]), [orjson.dumps(each) for each in messages])

    assert len(read.events) == 2 + 2 + 1
    assert read.ignored == {"trade again": 2}


@pytest.mark.parametrize("venue", ["bybit", "gate"])
def test_liquidations_of_a_message_that_comes_twice_count_once_and_of_two_messages_twice(venue: str) -> None:
    row: dict[str, object]
    if venue == "bybit":
        row = {"T": 1795219204929, "s": "BTCUSDT", "S": "Buy", "v": "0.350", "p": "64310.2"}
        said = {"topic": "allLiquidation.BTCUSDT", "type": "snapshot", "ts": 1795219205204, "data": [row, row]}
        dialect, sent = BYBIT_LINEAR.dialect([listing("bybit", "BTCUSDT")]), "ts"
    else:
        row = {"price": "64310.5", "size": "-124", "time": 1795219204101, "contract": "BTC_USDT"}
        about = {"channel": "futures.public_liquidates", "event": "update"}
        said = {**about, "time_ms": 1795219205123, "result": [row, row]}
        dialect, sent = GATE_USDT.dialect([listing("gate", "BTC_USDT")]), "time_ms"
    later = {**said, sent: 1795219205704}
    without = {key: value for key, value in said.items() if key != sent}

    read = read_all(dialect, [orjson.dumps(each) for each in (said, said, later, without, without)])

    assert len(read.events) == 2 + 2 + 2 + 2
    assert read.ignored == {"liquidations again": 1}


@pytest.mark.recorded
@pytest.mark.parametrize(
    ("venue", "file", "field", "trades", "alike"),
    [
        (BYBIT_LINEAR, "bybit/replay_20260809T212658Z_btc_eth_all_channels.jsonl", "s", 79, 9),
        (OKX, "okx/replay_20220513T162704Z_3instruments.jsonl", "instId", 74, 0),
        (HTX_LINEAR, "htx/replay_20220219T164943Z_swap_and_linear.jsonl", "", 13, 0),
        (HYPERLIQUID, "hyperliquid/replay_20250126T191403Z_btc_trades_l2book.jsonl", "coin", 34, 20),
    ],
)
def test_no_trade_of_a_contiguous_capture_is_left_out(
    venue: Venue, file: str, field: str, trades: int, alike: int
) -> None:
    """Alike: so many are equal to another in all but the id."""
    real = [message for _, message in replayed(*file.split("/"))]
    texts = [message.decode() for message in real]
    found = (re.findall(rf'"{field}":\s*"([^"]+)"' if field else r"market\.([^.]+)\.trade", text) for text in texts)
    names = sorted({name for each in found for name in each})

    read = read_all(venue.dialect([listing(venue.instruments_of, name, price_decimals=8) for name in names]), real)

    assert "trade again" not in read.ignored
    told = [event for event in read.events if isinstance(event, Trade)]
    assert (len(told), len(told) - len({*told})) == (trades, alike)


@pytest.mark.recorded
def test_real_trades_of_one_id_and_equal_in_all_else_are_two() -> None:
    """Why an id is no proof everywhere: Crypto.com's are those of the order that took."""
    real = captured("cryptocom", "mixed.jsonl").read_bytes().splitlines()
    (message,) = (each for each in real if each.count(b"4611686018471467093") > 1)

    read = read_all(CRYPTOCOM.dialect([listing("cryptocom", "BTCUSD-PERP", price_decimals=2)]), [message])

    assert len(read.events) + sum(read.ignored.values()) == 4

"""Messages of Coinbase International: the gateway of now, and INTX from recordings."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given

from liqscape.events import Funding, Liquidation, MarkPrice, OpenInterest, PositionSide, TakerSide, Trade
from liqscape.feeds.venues.coinbase_intl import COINBASE_INTL, gateway_name
from liqscape.feeds.venues.dialect import Completeness, Dialect, Reading, listings_of, read_answer
from liqscape.instruments import shipped_instruments
from tests.unit.feeds.venues.captured import RECEIVE_NS, captured, listing, messages, read_all
from tests.unit.feeds.venues.hostile import check_hostile, mutations

BTC = "coinbase_intl:BTC_USDC-PERPETUAL"

RISK = {
    "sequence": 108523490,
    "index_price": "65003.1",
    "mark_price": "65001.2",
    "settlement_price": "65000",
    "open_interest": "1530.90",
    "channel": "RISK",
    "type": "UPDATE",
    "time": "2026-11-21T00:00:59.950Z",
    "product_id": "BTC-PERP",
}

MATCH = {
    "match_id": "374491378496831495",
    "trade_price": "64310.5",
    "trade_qty": "3.584",
    "aggressor_side": "BUY",
    "channel": "MATCH",
    "type": "UPDATE",
    "time": "2026-11-21T00:00:57.627Z",
    "product_id": "BTC-PERP",
}

TRADE = {
    "timestamp": 1795219204452,
    "price": 64310.5,
    "amount": 0.049,
    "direction": "sell",
    "liquidation": "T",
    "instrument_name": "BTC_USDC-PERPETUAL",
}

PUSHED = {
    "jsonrpc": "2.0",
    "method": "subscription",
    "params": {"channel": "trades.BTC_USDC-PERPETUAL.100ms", "data": [TRADE]},
}


def dialect(*names: str, decimals: int = 1) -> Dialect:
    return COINBASE_INTL.dialect(
        [listing("coinbase_intl", name, price_decimals=decimals) for name in names or ["BTC_USDC-PERPETUAL"]]
    )


def told(*said: object) -> Reading:
    return read_all(dialect(), [orjson.dumps(each) for each in said])


def test_both_names_of_a_listing_subscribe_to_the_one_of_now() -> None:
    assert dialect("BTC-PERP").endpoints[0].acknowledgements == dialect().endpoints[0].acknowledgements
    assert gateway_name("SOL-PERP") == "SOL_USDC-PERPETUAL"
    assert gateway_name("SOL_USDC-PERPETUAL") == "SOL_USDC-PERPETUAL"


def test_every_market_of_the_tables_is_there_once_and_heard_on_the_gateway_of_now() -> None:
    listed = listings_of(shipped_instruments().values(), COINBASE_INTL)

    names = [each.name for each in listed]
    assert names == [gateway_name(name) for name in names]
    assert [each.instrument.symbol for each in listed] == ["BTC", "ETH"]


def test_where_both_names_are_listed_each_takes_the_messages_that_call_it_so() -> None:
    for names in (("BTC-PERP", "BTC_USDC-PERPETUAL"), ("BTC_USDC-PERPETUAL", "BTC-PERP")):
        read = read_all(dialect(*names), [orjson.dumps(MATCH), orjson.dumps(PUSHED)])

        assert [event.instrument_id for event in read.events if isinstance(event, Trade)] == [
            "coinbase_intl:BTC-PERP",
            "coinbase_intl:BTC_USDC-PERPETUAL",
        ]


def test_messages_of_now_are_read_and_their_liquidations_are_a_sample() -> None:
    found = told(PUSHED).events

    assert found == [
        Trade(BTC, 1795219204452_000_000, 643_105, 4_900_000, TakerSide.SELL),
        Liquidation(BTC, 1795219204452_000_000, 643_105, 4_900_000, PositionSide.LONG, complete=False),
    ]
    assert COINBASE_INTL.liquidations is Completeness.SAMPLED


def test_messages_of_before_are_read() -> None:
    funding = {**RISK, "channel": "FUNDING", "funding_rate": "-0.000017", "is_final": True}

    assert told(RISK, MATCH, funding).events == [
        MarkPrice(BTC, 1_795_219_259_950_000_000, 650_012),
        OpenInterest(BTC, 1_795_219_259_950_000_000, 153_090_000_000),
        Trade(BTC, 1_795_219_257_627_000_000, 643_105, 358_400_000, TakerSide.BUY),
        Funding(BTC, 1_795_219_259_950_000_000, -17_000, 1),
    ]


def test_snapshots_books_and_others_are_counted_not_rejected() -> None:
    read = told({**MATCH, "type": "SNAPSHOT"}, {**RISK, "product_id": "X-PERP"}, {**RISK, "channel": "LEVEL1"})

    assert not read.rejected
    assert read.ignored == {"trade before the subscription": 1, "other instrument": 1, "LEVEL1": 1}


def test_connection_is_kept_open_by_messages_of_ours() -> None:
    ping = dialect().endpoints[0].ping

    assert ping is not None
    assert ping.every_s < 30


@given(mutations([RISK, MATCH, PUSHED]))
def test_hostile_messages_raise_nothing_and_make_no_absurd_event(sent: list[bytes]) -> None:
    check_hostile(dialect, sent)


@pytest.mark.recorded
@pytest.mark.parametrize(
    "file", ["bbo.jsonl", "book.jsonl", "instruments.jsonl", "klines.jsonl", "ticker.jsonl", "trades.jsonl"]
)
def test_every_real_message_is_read(file: str) -> None:
    said = list(messages("coinbase_intl", file))
    names = {orjson.loads(each)["product_id"] for each in said}

    read = read_all(dialect(*sorted(names), decimals=8), iter(said))

    assert not read.rejected
    if file == "ticker.jsonl":
        sol = "coinbase_intl:SOL-PERP"
        assert read.events == [
            Funding(sol, 1_730_858_399_155_000_000, 5_000, 1),
            Funding(sol, 1_730_858_400_000_000_000, -17_000, 1),
            MarkPrice("coinbase_intl:APE-PERP", 1_730_367_362_342_000_000, 103_440_000),
        ]
    elif file == "trades.jsonl":
        at = 1_730_285_702_347_000_000
        assert read.events == [Trade("coinbase_intl:SOL-PERP", at, 17_720_200_000, 358_400_000, TakerSide.BUY)]
    else:
        assert not read.events


@pytest.mark.recorded
def test_real_list_of_instruments_of_the_gateway() -> None:
    body = captured("coinbase_intl", "instruments.rest.jsonl").read_bytes().splitlines()[1]
    made, into = dialect(), Reading()

    read_answer(made, made.polls[0], body, RECEIVE_NS, into)

    assert [(each.name, each.max_leverage) for each in into.listings] == [("AAVE_USDC-PERPETUAL", 50)]
    assert into.ignored == {"option": 1}

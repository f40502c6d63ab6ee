"""Messages of Lighter, in the documented form and real ones."""

from __future__ import annotations

from fractions import Fraction

import orjson
import pytest
from hypothesis import given

from liqscape.events import Candle, Funding, Liquidation, MarkPrice, OpenInterest, PositionSide, TakerSide, Trade
from liqscape.feeds.venues.dialect import Dialect, Listing, Reading, VenueListing, read_answer
from liqscape.feeds.venues.lighter import LIGHTER, LighterHistory
from tests.unit.feeds.venues.captured import RECEIVE_NS, captured, listing, messages, read_all
from tests.unit.feeds.venues.hostile import check_hostile, mutations

BTC, ETH = "lighter:BTC", "lighter:ETH"

AT = 1776687656653_000_000

ROW = {
    "type": "trade",
    "market_id": 1,
    "size": "0.01664",
    "price": "75602.8",
    "is_maker_ask": False,
    "timestamp": 1776687656653,
}

STATS = {
    "symbol": "BTC",
    "market_id": 1,
    "mark_price": "75241.1",
    "open_interest": "124496030.810800",
    "current_funding_rate": "0.0012",
}


def perpetual(name: str = "BTC", decimals: int = 1) -> Listing:
    return listing("lighter", name, price_decimals=decimals)


def dialect() -> Dialect:
    return LIGHTER.dialect([perpetual()])


def trades(*rows: object, closed: object = None, action: str = "update") -> dict[str, object]:
    return {"type": f"{action}/trade", "channel": "trade:1", "trades": list(rows), "liquidation_trades": closed}


def stats(*rows: dict[str, object]) -> dict[str, object]:
    told = {str(row["market_id"]): row for row in rows}
    return {
        "type": "update/market_stats",
        "channel": "market_stats:all",
        "timestamp": 1776694043874,
        "market_stats": told,
    }


def told(*said: object) -> Reading:
    return read_all(dialect(), [orjson.dumps(each) for each in said])


def test_taker_sold_where_the_maker_bid() -> None:
    assert told(trades(ROW, {**ROW, "is_maker_ask": True})).events == [
        Trade(BTC, AT, 756_028, 1_664_000, TakerSide.SELL),
        Trade(BTC, AT, 756_028, 1_664_000, TakerSide.BUY),
    ]


@pytest.mark.parametrize(("is_maker_ask", "closed"), [(True, PositionSide.SHORT), (False, PositionSide.LONG)])
def test_liquidated_is_the_taker(is_maker_ask: bool, closed: PositionSide) -> None:
    row = {**ROW, "type": "liquidation", "is_maker_ask": is_maker_ask}

    (trade, liquidation) = told(trades(closed=[row])).events

    assert isinstance(trade, Trade)
    assert liquidation == Liquidation(BTC, AT, 756_028, 1_664_000, closed)


def test_open_interest_is_a_worth_and_funding_per_cent_an_hour() -> None:
    at = 1776694043874_000_000

    assert told(stats(STATS)).events == [
        MarkPrice(BTC, at, 752_411),
        OpenInterest(BTC, at, 165_462_800_000),
        Funding(BTC, at, 12_000, 1),
    ]


def test_market_of_unknown_number_is_asked_for_once_it_is_named() -> None:
    made = LIGHTER.dialect([perpetual("SOL", 3)])
    row = {**STATS, "symbol": "SOL", "market_id": 2}
    sol = orjson.dumps(trades({**ROW, "market_id": 2}))

    read = read_all(made, [sol, *(orjson.dumps(stats(row)) for _ in range(3)), sol])

    assert [orjson.loads(text) for text in read.replies] == [{"type": "subscribe", "channel": "trade/2"}]
    assert sum(isinstance(event, Trade) for event in read.events) == 1
    assert read.ignored == {"other instrument": 1}


def test_number_that_another_market_has_is_given_up() -> None:
    swapped = stats({**STATS, "symbol": "XRP"}, {**STATS, "market_id": 7})

    read = told(trades(ROW), swapped, trades(ROW), trades({**ROW, "market_id": 7}))

    assert [type(event) for event in read.events] == [Trade, MarkPrice, OpenInterest, Funding, Trade]
    assert [orjson.loads(text)["channel"] for text in read.replies] == ["trade/7"]


def test_trades_under_a_number_that_turned_out_to_be_anothers_are_not_ours() -> None:
    read = told(stats({**STATS, "symbol": "XRP"}), trades(ROW))

    assert not read.events
    assert read.ignored == {"other instrument": 2}


def test_listing_named_by_its_number_keeps_it() -> None:
    made = LIGHTER.dialect([perpetual("1")])

    read = read_all(made, [orjson.dumps(stats(STATS)), orjson.dumps(trades(ROW))])

    assert [type(event) for event in read.events] == [MarkPrice, OpenInterest, Funding, Trade]
    assert "trade:1" in made.endpoints[0].acknowledgements


def test_control_messages_and_what_is_not_wanted() -> None:
    made = dialect()

    read = read_all(
        made,
        [
            b'{"type":"ping"}',
            b'{"type":"connected","session_id":"x"}',
            orjson.dumps(trades(ROW, closed=[ROW], action="subscribed")),
            orjson.dumps({**stats(STATS), "type": "subscribed/market_stats"}),
            orjson.dumps(trades({**ROW, "type": "deleverage"}, {**ROW, "market_id": 9})),
            b'{"type":"update/order_book","channel":"order_book:1"}',
            b'{"error":{"code":30003,"message":"Already Subscribed"}}',
        ],
    )

    assert read.replies == ['{"type":"pong"}']
    assert set(read.acknowledged) == made.endpoints[0].acknowledgements
    assert read.ignored == {
        "connected": 1,
        "trade before the subscription": 2,
        "trade of type deleverage": 1,
        "other instrument": 1,
        "order_book": 1,
    }
    assert "Already Subscribed" in read.refused[0]


def test_bad_row_takes_no_good_one_with_it() -> None:
    read = told(
        trades(ROW, {**ROW, "size": "0"}, {**ROW, "is_maker_ask": "yes"}, ROW),
        stats({**STATS, "market_id": 1.5}, {**STATS, "market_id": 8, "symbol": 5}, STATS),
        stats({**STATS, "mark_price": "0"}),
    )

    assert [each.reason for each in read.rejected] == ["quantity", "malformed", "market", "price"]
    assert len(read.events) == 5


def test_markets_tell_leverage_and_tick() -> None:
    made, into = dialect(), Reading()
    row = {"symbol": "BTC", "market_type": "perp", "status": "active", "price_decimals": 1}

    rows = [
        {**row, "min_initial_margin_fraction": 200},
        {"market_type": "spot"},
        {**row, "min_initial_margin_fraction": 0},
    ]
    read_answer(made, made.polls[0], orjson.dumps({"code": 200, "order_book_details": rows}), RECEIVE_NS, into)

    assert into.listings == [VenueListing("BTC", Fraction(1), Fraction(1, 10), 50, True)]
    assert (into.ignored, [each.reason for each in into.rejected]) == ({"no perpetual": 1}, ["margin"])


def test_history_reads_candles_of_a_known_market() -> None:
    past = LighterHistory(perpetual())
    start = 1_767_700_500 * 10**9
    row = {"t": 1767700500000, "o": 3236.8, "h": 3237.7, "l": 3235.3, "c": 3235.3, "v": 55.1632, "V": 178530.7}
    into = Reading()

    asked = past.request(past.series[0], start, start + 60 * 10**9)
    late = {**row, "t": 1767700560000}
    past.read_page(past.series[0], orjson.dumps({"code": 200, "r": "1m", "c": [late, row]}), into)

    assert asked.query["market_id"] == "1"
    assert into.events == [Candle(BTC, start, start + 60 * 10**9, 32_368, 32_377, 32_353, 32_353, 5_516_320_000)]
    assert into.ignored == {"outside the span asked for": 1}
    assert not LighterHistory(perpetual("SOL")).series


@given(mutations([trades(ROW, closed=[{**ROW, "type": "liquidation"}]), stats(STATS, {**STATS, "market_id": 3})]))
def test_hostile_messages_raise_nothing_and_make_no_absurd_event(sent: list[bytes]) -> None:
    check_hostile(dialect, sent)


@pytest.mark.recorded
@pytest.mark.parametrize("file", ["trades.jsonl", "ticker.jsonl", "book.jsonl", "bbo.jsonl"])
def test_every_real_message_is_read(file: str) -> None:
    made = LIGHTER.dialect([perpetual("BTC"), perpetual("ETH", 2)])

    read = read_all(made, messages("lighter", file))

    assert not read.rejected
    assert not read.replies
    if file == "trades.jsonl":
        assert read.events == [
            Trade(BTC, AT, 756_028, 1_664_000, TakerSide.BUY),
            Liquidation(BTC, AT, 756_028, 1_664_000, PositionSide.SHORT),
        ]
        assert read.ignored["trade before the subscription"] >= 2
    elif file == "ticker.jsonl":
        at = 1776694043429_000_000
        assert read.events[:6] == [
            MarkPrice(ETH, at, 230_886),
            OpenInterest(ETH, at, 3_040_856_220_000),
            Funding(ETH, at, 11_000, 1),
            MarkPrice(BTC, at, 752_411),
            OpenInterest(BTC, at, 165_462_881_000),
            Funding(BTC, at, 12_000, 1),
        ]
        assert len(read.events) == 15
        assert read.ignored == {"other instrument": 1}


@pytest.mark.recorded
def test_real_liquidation_was_of_the_takers_short() -> None:
    (row,) = orjson.loads(list(messages("lighter", "trades.jsonl"))[1])["liquidation_trades"]

    assert row["is_maker_ask"]
    assert row["taker_position_size_before"] == f"-{row['size']}"


@pytest.mark.recorded
def test_real_list_of_markets() -> None:
    (body,) = captured("lighter", "instruments.rest.jsonl").read_bytes().splitlines()
    made, into = dialect(), Reading()

    read_answer(made, made.polls[0], body, RECEIVE_NS, into)

    assert [(each.name, each.max_leverage) for each in into.listings] == [("ETH", 100)]
    assert not into.rejected

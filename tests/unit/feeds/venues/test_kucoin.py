"""Messages of KuCoin's futures, made up from the documents and real ones."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqscape.events import Candle, Funding, MarkPrice, OpenInterest, TakerSide, Trade
from liqscape.feeds.venues.dialect import Channel, Dialect, Reading, Unreadable, VenueListing, read_answer
from liqscape.feeds.venues.kucoin import KUCOIN, url_of
from tests.unit.feeds.venues.captured import RECEIVE_NS, captured, listing, read_all
from tests.unit.feeds.venues.checks import (
    assert_sound,
    assert_survives,
    assert_survives_real,
    facts_agreed,
    mutations,
    names_in,
    read_page,
    recorded_messages,
    series_named,
    tally,
)

BTC = "kucoin:XBTUSDTM"

SIZE = Fraction(1, 1000)


def pushed(topic: str, subject: str, **row: Any) -> dict[str, Any]:
    return {"topic": f"{topic}:XBTUSDTM", "type": "message", "subject": subject, "data": row}


TRADED = pushed(
    "/contractMarket/execution",
    "match",
    symbol="XBTUSDTM",
    side="buy",
    size=12,
    price="65000.1",
    ts=1795219200996000123,
)
MARKED = pushed(
    "/contract/instrument", "mark.index.price", markPrice=65001.27, indexPrice=65003, timestamp=1795219201000
)
FUNDED = pushed(
    "/contract/instrument", "funding.rate", granularity=28800000, fundingRate=3.9e-05, timestamp=1795219200000
)
DOCUMENTED = [TRADED, MARKED, FUNDED, {"id": "1", "type": "ack"}, {"id": "1", "type": "pong"}]

CONTRACT = {
    "symbol": "XBTUSDTM",
    "isInverse": False,
    "multiplier": 0.001,
    "tickSize": 0.1,
    "maxLeverage": 125,
    "status": "Open",
    "openInterest": "9295921",
}


def perpetuals() -> Dialect:
    return KUCOIN.dialect([listing("kucoin", "XBTUSDTM", unit=SIZE)])


def one(*said: object) -> Reading:
    return read_all(perpetuals(), [orjson.dumps(each) for each in said])


def test_trade_is_told_in_nanoseconds_and_lots() -> None:
    assert one(TRADED).events == [Trade(BTC, 1795219200996000123, 650_001, 1_200_000, TakerSide.BUY)]


def test_mark_and_funding_are_told_by_the_topic_of_the_instrument() -> None:
    predicted = {**FUNDED, "data": {**FUNDED["data"], "granularity": 60000}}

    read = one(MARKED, FUNDED, predicted)

    assert read.events == [
        MarkPrice(BTC, 1795219201000_000_000, 650_012),
        Funding(BTC, 1795219200000_000_000, 39_000, 8),
    ]
    assert read.ignored == {"predicted funding rate": 1}


def test_list_of_contracts_tells_open_interest_and_listings() -> None:
    dialect, into = perpetuals(), Reading()
    inverse = {**CONTRACT, "symbol": "XBTUSDM", "isInverse": True, "multiplier": -1.0, "status": "Paused"}
    body = orjson.dumps({"code": "200000", "data": [CONTRACT, {}, inverse]})

    for poll in dialect.polls:
        read_answer(dialect, poll, body, RECEIVE_NS, into)
    read_answer(dialect, dialect.polls[0], b'{"code":"429000","msg":"Too Many Requests"}', RECEIVE_NS, into)

    assert [bool(poll.channels) for poll in dialect.polls] == [False, True]
    assert into.listings == [
        VenueListing("XBTUSDTM", SIZE, Fraction(1, 10), 125),
        VenueListing("XBTUSDM", Fraction(1), Fraction(1, 10), 125, is_trading=False),
    ]
    assert into.events == [OpenInterest(BTC, RECEIVE_NS, 9_295_921 * 10**5)]
    assert (len(into.rejected), into.ignored) == (2, {"other instrument": 1})
    assert into.refused == ["429000 Too Many Requests"]


def test_connection_is_opened_where_the_answer_says() -> None:
    (endpoint,) = perpetuals().endpoints
    told = {"code": "200000", "data": {"token": "a/b=", "instanceServers": [{"endpoint": "wss://ws-api.kucoin.com/"}]}}

    assert endpoint.door is not None
    assert endpoint.door.request.json == b"{}"
    assert endpoint.door.url_of(orjson.dumps(told)) == "wss://ws-api.kucoin.com/?token=a%2Fb%3D&connectId=liqscape"


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'{"data":{"token":"a","instanceServers":[]}}',
        b'{"data":{"token":1,"instanceServers":[{"endpoint":"wss://a"}]}}',
        b'{"data":{"token":"a","instanceServers":[{"endpoint":"http://a"}]}}',
    ],
)
def test_answer_without_a_place_to_connect_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        url_of(body)


def test_every_symbol_is_asked_for_and_every_subscription_confirmed() -> None:
    many = KUCOIN.dialect([listing("kucoin", f"X{number}USDTM") for number in range(250)])

    for endpoint in many.endpoints:
        sent = [orjson.loads(text) for text in endpoint.subscribe]
        assert endpoint.acknowledgements == {each["id"] for each in sent}
        assert all(len(each["topic"].split(",")) <= 100 for each in sent)
    names = {n for e in many.endpoints for t in e.subscribe for n in orjson.loads(t)["topic"].split(":")[1].split(",")}
    assert len(names) == 250
    assert Channel.LIQUIDATIONS not in many.endpoints[0].channels


def test_control_messages_are_told_apart() -> None:
    refused = {"id": "1", "type": "error", "code": 404, "data": "topic does not exist"}

    read = one(*DOCUMENTED[3:], {"id": "a", "type": "welcome"}, refused)

    assert (read.acknowledged, read.heartbeats, len(read.refused)) == (["1"], 2, 1)


def test_pages_of_the_past_hold_the_span_asked_for() -> None:
    assert KUCOIN.history is not None
    past = KUCOIN.history(listing("kucoin", "XBTUSDTM", unit=SIZE))
    candles, interest, funding = past.series
    span = (1795219200_000_000_000, 1795219260_000_000_000)
    rows = [
        [1795219260000, 65001, 65001, 65001, 65001, 1],
        [1795219200000, 65000.1, 65003, 64999.9, 65001, 2500],
        [1795219200000],
    ]

    asked = [past.request(series, *span) for series in past.series]
    told = read_page(past, candles, {"code": "200000", "data": rows})
    paid = read_page(
        past,
        funding,
        {"code": "200000", "data": [{"symbol": "XBTUSDTM", "fundingRate": 2.26e-4, "timepoint": 1795219200000}]},
    )

    assert asked[0].query == {
        "symbol": "XBTUSDTM",
        "granularity": "1",
        "from": "1795219200000",
        "to": "1795219259999",
    }
    assert asked[1].url == "https://api.kucoin.com/api/ua/v1/market/open-interest"
    assert told.events == [
        Candle(BTC, 1795219200000_000_000, 1795219260000_000_000, 650_001, 650_030, 649_999, 650_010, 250_000_000)
    ]
    assert (len(told.rejected), told.ignored) == (1, {"outside the span asked for": 1})
    assert paid.events == [Funding(BTC, 1795190400000_000_000, 226_000, 8)]
    assert interest.page == 200


@pytest.mark.recorded
def test_real_page_of_open_interest_is_read() -> None:
    assert KUCOIN.history is not None
    past = KUCOIN.history(listing("kucoin", "ETHUSDTM", unit=Fraction(1, 100)))
    series = series_named(past, "open interest 5m")
    body = captured("kucoin_futures", "open_interest.rest.jsonl").read_bytes().splitlines()[0]

    past.request(series, 1774007400_000_000_000, 1774007700_000_000_000)

    assert read_page(past, series, body).events == [
        OpenInterest("kucoin:ETHUSDTM", 1774007467050_000_000, 8_053_960 * 10**6)
    ]


@given(mutations(orjson.dumps(each) for each in DOCUMENTED))
def test_no_mutation_of_a_message_raises_or_is_believed(message: bytes) -> None:
    assert_survives(perpetuals, message)


@pytest.mark.recorded
@given(st.data())
def test_no_mutation_of_a_real_message_raises_or_is_believed(data: st.DataObject) -> None:
    assert_survives_real(perpetuals, "kucoin_futures", data)


@pytest.mark.recorded
def test_every_real_message_is_read() -> None:
    real = recorded_messages("kucoin_futures")
    names = {name for _, each in real for name in names_in(orjson.loads(each), ("symbol",))}
    dialect = KUCOIN.dialect([listing("kucoin", name, price_decimals=8) for name in sorted(names)])

    read = read_all(dialect, (message for _, message in real))

    events, rejected = tally(read)
    assert_sound(read)
    assert rejected == {}
    assert events == {"Trade": 3, "MarkPrice": 1, "Funding": 2, "OpenInterest": 1}


@pytest.mark.recorded
def test_real_list_of_contracts_is_read() -> None:
    body = captured("kucoin_futures", "instruments.rest.jsonl").read_bytes().splitlines()[1]
    dialect, into = perpetuals(), Reading()

    read_answer(dialect, dialect.polls[0], body, RECEIVE_NS, into)

    assert into.rejected == []
    assert into.listings[:2] == [
        VenueListing("XBTUSDTM", SIZE, Fraction(1), 100),
        VenueListing("XBTUSDM", Fraction(1), Fraction(1), 100),
    ]


@pytest.mark.recorded
def test_real_tickers_agree_with_an_independent_reader() -> None:
    def make(_: object) -> Dialect:
        return KUCOIN.dialect([listing("kucoin", "XBTUSDTM", price_decimals=8)])

    assert facts_agreed(make, "kucoin", "kucoin_futures", "ticker.jsonl") == 3

"""Messages of Crypto.com, in the documented form and real ones."""

from __future__ import annotations

from fractions import Fraction

import orjson
import pytest
from hypothesis import given

from liqscape.events import Candle, Funding, MarkPrice, OpenInterest, TakerSide, Trade
from liqscape.feeds.venues.cryptocom import CHANNELS_PER_CONNECTION, CRYPTOCOM, CryptocomHistory
from liqscape.feeds.venues.dialect import Dialect, Listing, Reading, VenueListing, read_answer
from tests.unit.feeds.venues.captured import RECEIVE_NS, listing, messages, read_all
from tests.unit.feeds.venues.hostile import check_hostile, mutations

BTC = "cryptocom:BTCUSD-PERP"

AT = 1795219200000_000_000

TRADE = {"d": "4611686018471467093", "t": 1795219200000, "p": "65000.1", "q": "0.0050", "s": "SELL", "i": "BTCUSD-PERP"}

TICKER = {"a": "65000.1", "b": "65000", "oi": "1530.5", "t": 1795219200000, "i": "BTCUSD-PERP"}

VALUE = {"v": "65001.29", "t": 1795219200000}


def perpetual(name: str = "BTCUSD-PERP", decimals: int = 1) -> Listing:
    return listing("cryptocom", name, price_decimals=decimals)


def dialect() -> Dialect:
    return CRYPTOCOM.dialect([perpetual()])


def pushed(channel: str, *rows: object, name: str = "BTCUSD-PERP") -> dict[str, object]:
    result = {"channel": channel, "subscription": f"{channel}.{name}", "instrument_name": name, "data": list(rows)}
    return {"id": -1, "code": 0, "method": "subscribe", "result": result}


def told(*said: object) -> Reading:
    return read_all(dialect(), [orjson.dumps(each) for each in said])


def test_rows_come_newest_first_and_events_oldest_first() -> None:
    read = told(pushed("trade", {**TRADE, "t": 1795219200001, "s": "BUY"}, TRADE))

    assert read.events == [
        Trade(BTC, AT, 650_001, 500_000, TakerSide.SELL),
        Trade(BTC, AT + 10**6, 650_001, 500_000, TakerSide.BUY),
    ]


def test_ticker_mark_and_funding() -> None:
    read = told(pushed("ticker", TICKER), pushed("mark", VALUE), pushed("funding", {**VALUE, "v": "-0.000001884"}))

    assert read.events == [
        OpenInterest(BTC, AT, 153_050_000_000),
        MarkPrice(BTC, AT, 650_012),
        Funding(BTC, AT, -1_884, 1),
    ]


def test_heartbeat_is_answered_with_its_id() -> None:
    read = told({"id": 1587523073344, "method": "public/heartbeat", "code": 0})

    assert [orjson.loads(text) for text in read.replies] == [
        {"id": 1587523073344, "method": "public/respond-heartbeat"}
    ]
    assert read.heartbeats == 1


def test_subscriptions_are_confirmed_by_id_or_refused() -> None:
    read = told(
        {"id": 1, "code": 0, "method": "subscribe"},
        {"id": 2, "code": 40004, "method": "subscribe", "message": "Unknown symbol"},
    )

    assert read.acknowledged == ["1"]
    assert "Unknown symbol" in read.refused[0]


def test_what_is_not_wanted_is_counted() -> None:
    read = told(pushed("book", {}), pushed("trade", TRADE, name="BTC_USDT"), {"method": "public/auth", "code": 0})

    assert not read.rejected
    assert read.ignored == {"book": 1, "other instrument": 1, "public/auth": 1}


def test_bad_row_takes_no_good_one_with_it() -> None:
    read = told(
        pushed("trade", TRADE, {**TRADE, "q": "0"}, {**TRADE, "s": "X"}, TRADE),
        {"id": [], "method": "public/heartbeat"},
    )

    assert len(read.events) == 2
    assert [each.reason for each in read.rejected] == ["malformed", "quantity", "heartbeat"]


def test_connections_hold_no_more_channels_than_the_venue_takes() -> None:
    made = CRYPTOCOM.dialect([perpetual(f"X{number}USD-PERP") for number in range(120)])

    named = []
    for each in made.endpoints:
        channels = [name for text in each.subscribe for name in orjson.loads(text)["params"]["channels"]]
        assert len(channels) <= CHANNELS_PER_CONNECTION
        assert each.acknowledgements == {str(orjson.loads(text)["id"]) for text in each.subscribe}
        named += channels
    assert len(named) == len(set(named)) == 480


def test_listings_tell_perpetuals() -> None:
    made, into = dialect(), Reading()
    row = {
        "symbol": "RUNEUSD-PERP",
        "inst_type": "PERPETUAL_SWAP",
        "price_tick_size": "0.001",
        "max_leverage": "50",
        "tradable": True,
        "contract_size": "1",
    }

    body = {"code": 0, "result": {"data": [row, {**row, "inst_type": "CCY_PAIR"}, {**row, "max_leverage": "x"}]}}
    read_answer(made, made.polls[0], orjson.dumps(body), RECEIVE_NS, into)

    assert into.listings == [VenueListing("RUNEUSD-PERP", Fraction(1), Fraction(1, 1000), 50, True)]
    assert (into.ignored, len(into.rejected)) == ({"CCY_PAIR": 1}, 1)


def test_history_reads_the_span_in_order() -> None:
    past = CryptocomHistory(perpetual())
    candles, funding = past.series
    start = 1_687_237_080 * 10**9
    row = {"o": "26949.8", "h": "26957.6", "l": "26948.2", "c": "26950.0", "v": "0.0670", "t": 1687237080000}
    into = Reading()

    asked = past.request(candles, start, start + 60 * 10**9)
    rows = [{**row, "t": 1687237140000}, row]
    past.read_page(candles, orjson.dumps({"code": 0, "result": {"data": rows}}), into)
    hour = 1_687_888_800 * 10**9
    past.request(funding, hour + 3600 * 10**9, hour + 7200 * 10**9)
    paid = {"v": "-0.000001884", "t": 1687892400000}
    past.read_page(funding, orjson.dumps({"code": 0, "result": {"data": [paid]}}), into)
    past.read_page(funding, b'{"code":40101,"message":"x"}', into)

    assert (asked.query["start_ts"], asked.query["end_ts"]) == ("1687237079999", "1687237140000")
    assert into.events == [
        Candle(BTC, start, start + 60 * 10**9, 269_498, 269_576, 269_482, 269_500, 6_700_000),
        Funding(BTC, hour, -1_884, 1),
    ]
    assert into.ignored == {"outside the span asked for": 1}
    assert len(into.refused) == 1


@given(mutations([pushed("trade", TRADE, TRADE), pushed("ticker", TICKER), pushed("mark", VALUE)]))
def test_hostile_messages_raise_nothing_and_make_no_absurd_event(sent: list[bytes]) -> None:
    check_hostile(dialect, sent)


@pytest.mark.recorded
def test_every_real_message_is_read() -> None:
    made = CRYPTOCOM.dialect([perpetual(), perpetual("APEUSD-PERP")])

    read = read_all(made, messages("cryptocom", "mixed.jsonl"))

    assert not read.rejected
    assert read.acknowledged == ["1"]
    assert read.ignored == {"book": 1, "book.update": 2, "other instrument": 2}
    at = 1667320276193_000_000
    assert read.events == [
        OpenInterest("cryptocom:APEUSD-PERP", 1667320303754_000_000, 55_851 * 10**8),
        Trade(BTC, at, 204_395, 2_440_000, TakerSide.SELL),
        Trade(BTC, at, 204_395, 500_000, TakerSide.SELL),
        Trade(BTC, at, 204_395, 10_000_000, TakerSide.SELL),
        Trade(BTC, at, 204_395, 500_000, TakerSide.SELL),
    ]

"""Messages of Kraken Futures, in the documented form and real ones."""

from __future__ import annotations

from fractions import Fraction

import orjson
import pytest
from hypothesis import given

from liqscape.events import (
    Candle,
    Funding,
    Gap,
    Liquidation,
    MarkPrice,
    OpenInterest,
    PositionSide,
    PrintPrice,
    TakerSide,
    Trade,
)
from liqscape.feeds.venues.dialect import Channel, Dialect, Listing, Reading, VenueListing, read_answer
from liqscape.feeds.venues.kraken import KRAKEN, KrakenHistory
from tests.unit.feeds.venues.captured import RECEIVE_NS, captured, listing, messages, read_all, replayed
from tests.unit.feeds.venues.hostile import check_hostile, mutations

XBT = "kraken:PF_XBTUSD"

TRADE = {
    "feed": "trade",
    "product_id": "PF_XBTUSD",
    "uid": "05af",
    "side": "sell",
    "type": "fill",
    "seq": 653355,
    "time": 1795219204519,
    "qty": 0.35,
    "price": 64310.5,
}

TICKER = {
    "feed": "ticker",
    "product_id": "PF_XBTUSD",
    "time": 1795219200406,
    "index": 65003.1,
    "markPrice": 65001.29,
    "last": 65000.0,
    "openInterest": 3100.42,
    "relative_funding_rate": 0.0000021,
    "next_funding_rate_time": 1795222800000,
    "suspended": False,
}


def dialect(*names: str) -> Dialect:
    return KRAKEN.dialect([linear(name) if name.startswith("PF_") else inverse(name) for name in names])


def linear(name: str) -> Listing:
    return listing("kraken", name, price_decimals=1)


def inverse(name: str, decimals: int = 5) -> Listing:
    return listing("kraken", name, contract="inverse", contract_value=Fraction(1), price_decimals=decimals)


def told(*said: object) -> Reading:
    return read_all(dialect("PF_XBTUSD"), [orjson.dumps(each) for each in said])


def test_fill_is_a_trade_of_the_taker() -> None:
    assert told(TRADE).events == [Trade(XBT, 1795219204519_000_000, 643_105, 35_000_000, TakerSide.SELL)]


def test_liquidation_that_sells_is_a_trade_and_closed_a_long() -> None:
    found = told({**TRADE, "type": "liquidation"}).events

    assert found == [
        Trade(XBT, 1795219204519_000_000, 643_105, 35_000_000, TakerSide.SELL),
        Liquidation(XBT, 1795219204519_000_000, 643_105, 35_000_000, PositionSide.LONG, PrintPrice.FILL, complete=True),
    ]


def test_number_that_was_left_out_is_a_gap_and_one_told_again_is_not_counted_twice() -> None:
    later = {**TRADE, "seq": 653358, "time": 1795219204600}

    read = told(TRADE, TRADE, later, {**later, "seq": 653359}, TRADE)

    assert [type(event) for event in read.events] == [Trade, Gap, Trade, Trade]
    assert read.events[1] == Gap(XBT, 1795219204519_000_000, 1795219204601_000_000, "trades are missing")
    assert read.ignored == {"trade again": 2}


def test_rows_between_the_snapshot_and_the_first_trade_are_a_gap() -> None:
    snapshot = {"feed": "trade_snapshot", "product_id": "PF_XBTUSD", "trades": [{**TRADE, "seq": 653350}]}

    found = told(snapshot, TRADE).events

    assert [type(event) for event in found] == [Gap, Trade]


def test_ticker_tells_mark_floored_open_interest_and_the_relative_rate() -> None:
    assert told(TICKER).events == [
        MarkPrice(XBT, 1795219200406_000_000, 650_012),
        OpenInterest(XBT, 1795219200406_000_000, 310_042_000_000),
        Funding(XBT, 1795219200406_000_000, 2_100, 1),
    ]


def test_snapshots_blocks_and_others_are_counted_not_rejected() -> None:
    read = told(
        {"feed": "trade_snapshot", "product_id": "PF_XBTUSD", "trades": [TRADE, TRADE]},
        {**TRADE, "seq": 653356, "type": "block"},
        {**TRADE, "product_id": "PF_ETHUSD"},
        {**TICKER, "product_id": "PF_ETHUSD"},
        {"feed": "book", "product_id": "PF_XBTUSD"},
        {"event": "info", "version": 1},
        {**TICKER, "openInterest": 0.0},
    )

    assert not read.rejected
    assert read.ignored == {
        "trade before the subscription": 2,
        "trade of type block": 1,
        "other instrument": 2,
        "book": 1,
        "event info": 1,
        "open interest of 0": 1,
    }


def test_control_messages_tell_what_is_confirmed_refused_and_alive() -> None:
    made = dialect("PF_XBTUSD", "PI_XBTUSD")

    read = read_all(
        made,
        [
            b'{"event":"subscribed","feed":"trade","product_ids":["PF_XBTUSD"]}',
            b'{"event":"subscribed","feed":"ticker","product_ids":["PF_XBTUSD","PI_XBTUSD"]}',
            b'{"event":"subscribed","feed":"heartbeat"}',
            b'{"event":"error","message":"Invalid product id"}',
            b'{"feed":"heartbeat","time":1795219200000}',
        ],
    )

    assert set(read.acknowledged) == made.endpoints[0].acknowledgements - {"trade:PI_XBTUSD"}
    assert "Invalid product id" in read.refused[0]
    assert read.heartbeats == 1


def test_subscriptions_name_every_product_once_a_feed() -> None:
    names = [f"PF_{number}USD" for number in range(120)]

    asked = [orjson.loads(text) for text in dialect(*names).endpoints[0].subscribe]

    for feed in ("trade", "ticker"):
        named = [name for each in asked if each["feed"] == feed for name in each["product_ids"]]
        assert named == names
    assert all(len(each.get("product_ids", ())) <= 50 for each in asked)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"price": 0}, "price"),
        ({"qty": -1.0}, "quantity"),
        ({"time": "1795219204519"}, "time"),
        ({"time": -5}, "time"),
        ({"side": "both"}, "malformed"),
        ({"price": 64310.55}, "malformed"),
    ],
)
def test_hostile_trade_is_rejected_with_its_reason_and_takes_no_good_one_with_it(
    change: dict[str, object], reason: str
) -> None:
    read = told(TRADE, {**TRADE, "seq": 653356, **change}, {**TRADE, "seq": 653357})

    assert [each.reason for each in read.rejected] == [reason]
    assert [type(event) for event in read.events if not isinstance(event, Gap)] == [Trade, Trade]


def test_listings_tell_tick_leverage_and_whether_they_trade() -> None:
    made, into = dialect("PF_XBTUSD"), Reading()
    row = {"symbol": "pi_xbtusd", "type": "futures_inverse", "tickSize": 0.5, "contractSize": 1, "tradeable": True}
    level = {"contracts": 0, "initialMargin": 0.02, "maintenanceMargin": 0.01}
    rows = [{**row, "marginLevels": [level]}, {"symbol": "rr_x", "type": "spot index"}, {"symbol": 1, "tickSize": 1}]

    read_answer(made, made.polls[0], orjson.dumps({"result": "success", "instruments": rows}), RECEIVE_NS, into)

    assert into.listings == [VenueListing("PI_XBTUSD", Fraction(1), Fraction(1, 2), 50, True)]
    assert into.ignored == {"index": 1}
    assert [each.reason for each in into.rejected] == ["malformed"]


def test_history_reads_candles_of_trades_and_of_the_mark_and_funding_of_the_span() -> None:
    past = KrakenHistory(linear("PF_XBTUSD"))
    trades, mark, funding = past.series
    start = 1_645_198_500 * 10**9
    row = {"time": 1645198500000, "open": "309.15", "high": "309.20", "low": "308.7", "close": "308.85", "volume": 2}

    asked = past.request(trades, start, start + 120 * 10**9)
    into = Reading()
    past.read_page(trades, orjson.dumps({"candles": [row], "more_candles": False}), into)
    past.read_page(mark, orjson.dumps({"candles": [row]}), into)
    past.request(funding, start, start + 3600 * 10**9)
    rate = {"fundingRate": "1", "relativeFundingRate": "0.000060779960000000"}
    rates = [{**rate, "timestamp": t} for t in ("2022-02-18T15:00:00.000Z", "2022-02-18T16:00:00.000Z")]
    past.read_page(funding, orjson.dumps({"rates": rates}), into)

    assert asked.url.endswith("/charts/v1/trade/PF_XBTUSD/1m")
    assert asked.query == {"from": "1645198500", "to": "1645198619"}
    assert into.events == [
        Candle(XBT, start, start + 60 * 10**9, 3091, 3092, 3087, 3088, 200_000_000),
        Candle(XBT, start, start + 60 * 10**9, 3091, 3092, 3087, 3088, 0),
        Funding(XBT, 1_645_196_400 * 10**9, 60_779, 1),
    ]
    assert into.ignored == {"outside the span asked for": 1}


@given(mutations([TRADE, TICKER, {**TRADE, "type": "liquidation"}]))
def test_hostile_messages_raise_nothing_and_make_no_absurd_event(sent: list[bytes]) -> None:
    check_hostile(lambda: dialect("PF_XBTUSD"), sent)


@pytest.mark.recorded
@pytest.mark.parametrize("file", ["trades.jsonl", "ticker.jsonl", "book.jsonl", "control.jsonl"])
def test_every_real_message_is_read(file: str) -> None:
    said = list(messages("kraken_futures", file))
    names = sorted({name for each in map(orjson.loads, said) if (name := each.get("product_id"))})

    read = read_all(KRAKEN.dialect([inverse(name, 8) for name in names or ["PI_XBTUSD"]]), iter(said))

    assert not read.rejected
    assert not read.refused
    if file == "trades.jsonl":
        assert len(read.events) == 9  # seven rows, one of them a liquidation, and a year between two of a product
        assert sum(isinstance(event, Gap) for event in read.events) == 1
    elif file == "ticker.jsonl":
        assert len(read.events) == 18  # of seven tickers: marks, open interest of six, funding of five
        assert read.ignored == {"ticker_lite": 12, "open interest of 0": 1}
    elif file == "control.jsonl":
        assert len(read.acknowledged) == 12


@pytest.mark.recorded
def test_real_liquidation_of_a_short() -> None:
    said = list(messages("kraken_futures", "trades.jsonl"))[18]

    read = read_all(KRAKEN.dialect([inverse("PI_ETHUSD", 2)]), iter([said]))

    at = 1593620853613_000_000
    assert read.events == [
        Trade("kraken:PI_ETHUSD", at, 23_160, 250 * 10**8, TakerSide.BUY),
        Liquidation("kraken:PI_ETHUSD", at, 23_160, 250 * 10**8, PositionSide.SHORT, PrintPrice.FILL, complete=True),
    ]


@pytest.mark.recorded
def test_real_ticker_of_an_inverse_contract() -> None:
    said = list(messages("kraken_futures", "ticker.jsonl"))[15]

    read = read_all(KRAKEN.dialect([inverse("PI_LTCUSD", 2)]), iter([said]))

    at = 1617235200598_000_000
    assert read.events == [
        MarkPrice("kraken:PI_LTCUSD", at, 19_705),
        OpenInterest("kraken:PI_LTCUSD", at, 2_239_386 * 10**8),
        Funding("kraken:PI_LTCUSD", at, 156_359, 1),
    ]


@pytest.mark.recorded
def test_real_stretch_is_read_whole() -> None:
    names = ["PI_XRPUSD", "PI_LTCUSD", "PI_ETHUSD", "FI_BCHUSD_210730"]
    made = KRAKEN.dialect([inverse(name) for name in names])

    read = read_all(made, (m for _, m in replayed("kraken_futures", "replay_20210722T230207Z_10products.jsonl")))

    assert not read.rejected
    assert {type(event) for event in read.events} == {Trade}
    assert read.ignored["trade before the subscription"] == 1000


@pytest.mark.recorded
def test_real_lists_of_instruments() -> None:
    for body in captured("kraken_futures", "instruments.rest.jsonl").read_bytes().splitlines():
        made, into = dialect("PI_XBTUSD"), Reading()

        read_answer(made, made.polls[0], body, RECEIVE_NS, into)

        assert not into.rejected
        assert VenueListing("PI_XBTUSD", Fraction(1), Fraction(1, 2), 50, True) in into.listings


def test_channels_of_the_connection_are_all() -> None:
    assert dialect("PF_XBTUSD").endpoints[0].channels == frozenset(Channel)

"""Readings that no document settles: how votes decide, and what in a venue's words votes.

Seen to fail when broken on purpose: readings.py, take without halving, _decide without is_clear; in each dialect
below, the alternatives swapped.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import orjson
import pytest

from liqscape.events import Funding, Gap
from liqscape.feeds.venues import bybit, cryptocom, deribit, dydx, gate, htx, kraken, lighter, okx, woox
from liqscape.feeds.venues.bitfinex import BITFINEX, MARGIN_PLACES
from liqscape.feeds.venues.bitget import BITGET
from liqscape.feeds.venues.coinbase_intl import COINBASE_INTL
from liqscape.feeds.venues.dialect import Dialect, Reading, VenueListing, read_answer
from liqscape.feeds.venues.phemex import PHEMEX
from liqscape.feeds.venues.readings import PATIENCE, Question, Readings, in_ratio
from tests.unit.feeds.venues.captured import RECEIVE_NS, captured, listing, read_all
from tests.unit.feeds.venues.checks import recorded_messages

SIZE = Question("size", ("coins", "contracts"), needs=10)


def stands(readings: Readings) -> list[str]:
    return [str(decision) for decision in readings.decisions]


def test_nothing_is_decided_before_there_are_votes_enough() -> None:
    readings = Readings()

    readings.take([(SIZE, "coins")] * 9)

    assert (stands(readings), readings.take_news()) == ([], [])


def test_what_is_believed_holds_and_is_news_once() -> None:
    readings = Readings()
    readings.take([(SIZE, "coins")] * 10)

    news = [readings.take_news()]
    readings.take([(SIZE, "coins")] * 100)
    news.append(readings.take_news())

    assert [[str(each) for each in some] for some in news] == [["size: coins held (10 of 10)"], []]
    assert all(decision.is_as_believed for decision in readings.decisions)


def test_another_alternative_is_told_with_what_is_read() -> None:
    readings = Readings()

    readings.take([(SIZE, "contracts")] * 10)

    assert stands(readings) == ["size: 10 of 10 say contracts; still read as coins"]
    assert not readings.decisions[0].is_as_believed


def test_votes_without_a_clear_answer_are_undecided_after_long_enough() -> None:
    readings, both = Readings(), [(SIZE, "coins"), (SIZE, "contracts")]
    readings.take(both * (PATIENCE * SIZE.needs // 2 - 1))
    early = stands(readings)

    readings.take(both)

    assert early == []
    assert stands(readings) == [f"size: undecided after {PATIENCE * SIZE.needs}, read as coins"]


def test_one_vote_in_ten_decides_nothing() -> None:
    readings = Readings()

    readings.take([(SIZE, "contracts"), *[(SIZE, "coins")] * 9])

    assert stands(readings) == ["size: coins held (9 of 10)"]


def test_a_venue_that_changes_is_outvoted_and_told_anew() -> None:
    readings = Readings()
    readings.take([(SIZE, "coins")] * 1000)
    readings.take_news()

    for _ in range(10):
        readings.take([(SIZE, "contracts")] * PATIENCE * SIZE.needs)

    assert [decision.alternative for decision in readings.take_news()] == [None, "contracts"]


def test_ratios_are_met_to_five_per_cent() -> None:
    one = Fraction(100)

    assert [in_ratio(Fraction(n), one, 2) for n in (189, 190, 200, 210, 211)] == [False, True, True, True, False]


def votes(dialect: Dialect, *said: object) -> list[str]:
    """Return what messages speak for."""
    return [alternative for _, alternative in read_all(dialect, [orjson.dumps(each) for each in said]).evidence]


def test_bybit_counts_both_sides_where_a_single_one_is_half() -> None:
    def told(name: str, **said: str) -> dict[str, Any]:
        return {"topic": f"tickers.{name}", "ts": 1795219200630, "data": {"symbol": name, **said}}

    dialect = bybit.BYBIT_LINEAR.dialect([listing("bybit", name) for name in ("A", "B", "C", "D")])
    said = [told("A", openInterest="104000.5", singleOpenInterest="52000.25"), told("B", singleOpenInterest="5")]
    said += [told("A", openInterest="7", singleOpenInterest="7"), told("C", openInterest="7", singleOpenInterest="7")]
    said += [told("D", openInterest="10.5", singleOpenInterest="7")]

    assert votes(dialect, *said) == ["it counts both sides", "it counts one side"]


@pytest.mark.recorded
def test_real_tickers_of_bybit_count_both_sides() -> None:
    dialect = bybit.BYBIT_LINEAR.dialect([listing("bybit", n, price_decimals=8) for n in ("BTCUSDT", "ETHUSDT")])

    read = read_all(dialect, (message for _, message in recorded_messages("bybit")))

    assert read.evidence == [(bybit.SIDES_COUNTED, "it counts both sides")] * 2


def test_okx_tells_the_side_of_the_closing_order() -> None:
    def print_(second: int, pos_side: str, side: str) -> dict[str, Any]:
        detail = {"posSide": pos_side, "side": side, "sz": "13", "bkPx": "64310.2", "ts": str(1795219204010 + second)}
        argument = {"channel": "liquidation-orders", "instType": "SWAP"}
        return {"arg": argument, "data": [{"instId": "BTC-USDT-SWAP", "details": [detail]}]}

    dialect = okx.OKX.dialect([listing("okx", "BTC-USDT-SWAP")])
    said = [print_(1, "long", "sell"), print_(2, "short", "buy"), print_(3, "net", "buy"), print_(4, "long", "buy")]

    assert votes(dialect, *said) == ["the closing order's", "the closing order's", "the position's"]


@pytest.mark.recorded
def test_real_prints_of_okx_tell_the_side_of_the_closing_order() -> None:
    names = ("CNPY-USDT-SWAP", "BTC-USDT-211231", "XRP-USD-230929", "IOST-USDT-SWAP")
    dialect = okx.OKX.dialect([listing("okx", name, price_decimals=8) for name in names])

    read = read_all(dialect, captured("okx", "liquidations.jsonl").read_bytes().splitlines())

    assert {alternative for _, alternative in read.evidence} == {"the closing order's"}
    assert len(read.evidence) >= 3


def markets(base: str) -> dict[str, Any]:
    state = {"BTC-USD": {"openInterest": "400.5", "baseOpenInterest": base}}
    return {"type": "subscribed", "channel": "v4_markets", "contents": {"markets": state}}


def test_dydx_tells_two_open_interests() -> None:
    dialect = dydx.DYDX.dialect([listing("dydx", "BTC-USD", price_decimals=0)])

    told = votes(dialect, markets("801"), markets("400.6"), markets("600"))

    assert told == ["half of baseOpenInterest", "equal to baseOpenInterest"]


@pytest.mark.recorded
def test_real_state_of_dydx_has_told_two_that_are_equal() -> None:
    dialect = dydx.DYDX.dialect([listing("dydx", name, price_decimals=8) for name in ("BTC-USD", "ETH-USD")])

    read = read_all(dialect, captured("dydx", "ticker.jsonl").read_bytes().splitlines())

    assert read.evidence == [(dydx.INTERESTS, "equal to baseOpenInterest")] * 2


@pytest.mark.parametrize(("size", "unit"), [(10, Fraction(1, 10)), (1.0, Fraction(1))])
def test_deribit_lists_the_worth_of_a_contract(size: float, unit: Fraction) -> None:
    inverse = listing("deribit", "BTC-PERPETUAL", contract="inverse", contract_value=Fraction(10))
    row = {"instrument_name": "BTC-PERPETUAL", "kind": "future", "tick_size": 0.5, "is_active": True}
    made, into = deribit.DERIBIT.dialect([inverse]), Reading()

    read_answer(made, made.polls[0], orjson.dumps({"result": [{**row, "contract_size": size}]}), RECEIVE_NS, into)

    assert into.listings == [VenueListing("BTC-PERPETUAL", unit, Fraction(1, 2))]


def test_a_gateway_is_seen_to_mark_liquidations() -> None:
    row = {"timestamp": 1795219204452, "price": 64310.5, "amount": 0.049, "direction": "sell"}
    row |= {"instrument_name": "BTC_USDC-PERPETUAL", "liquidation": "T"}
    said = {"jsonrpc": "2.0", "method": "subscription", "params": {"channel": "trades.X.100ms", "data": [row]}}
    name = "BTC_USDC-PERPETUAL"

    assert votes(COINBASE_INTL.dialect([listing("coinbase_intl", name)]), said) == ["told"]
    assert votes(deribit.DERIBIT.dialect([listing("deribit", name)]), said) == []  # where nobody doubts it


def funded(dialect: Dialect, body: object, *said: object) -> list[int]:
    """Return the hours of the rates told, a list of instruments having been read."""
    read_answer(dialect, dialect.polls[0], orjson.dumps(body), RECEIVE_NS, Reading())
    events = read_all(dialect, [orjson.dumps(each) for each in said]).events
    return [event.interval_hours for event in events if isinstance(event, Funding)]


@pytest.mark.parametrize(("listed", "hours"), [({"fundInterval": "4"}, 4), ({}, 8)])
def test_hours_of_a_rate_of_bitget_are_those_listed(listed: dict[str, str], hours: int) -> None:
    row = {"symbol": "BTCUSDT", "pricePlace": "1", "priceEndStep": "1", "maxLever": "125", **listed}
    ticker = {"markPrice": "65001.2", "openInterest": "31000.12", "fundingRate": "0.0001", "nextFundingTime": "1"}
    about = {"instType": "usdt-futures", "topic": "ticker", "symbol": "BTCUSDT"}
    said = {"action": "update", "arg": about, "data": [ticker], "ts": 1795219200123}

    assert funded(BITGET.dialect([listing("bitget", "BTCUSDT")]), {"code": "00000", "data": [row]}, said) == [hours]


@pytest.mark.parametrize(("listed", "hours"), [({"fundingInterval": 14_400}, 4), ({}, 8)])
def test_hours_of_a_rate_of_phemex_are_those_listed(listed: dict[str, int], hours: int) -> None:
    row = {"symbol": "BTCUSDT", "type": "PerpetualV2", "tickSize": "0.1", "maxLeverage": 100, "status": "Listed"}
    pack = ["BTCUSDT", "1", "1", "1", "65000.1", "1", "1", "1848", "65003.1", "65001.2", "0.0001", "0.0001"]
    said = {"method": "perp_market24h_pack_p.update", "timestamp": 1795219200123000000, "data": [pack]}
    body = {"code": 0, "data": {"perpProductsV2": [{**row, **listed}]}}

    assert funded(PHEMEX.dialect([listing("phemex", "BTCUSDT")]), body, said) == [hours]


def test_woox_shows_the_time_between_payments_by_what_is_due_next() -> None:
    def due(hour: float) -> dict[str, Any]:
        at_ms = 1_795_219_200_000
        row = {"s": "PERP_BTC_USDT", "r": "0.0001", "ft": at_ms + int(hour * 3_600_000), "ts": at_ms}
        return {"topic": "estfundingrate@PERP_BTC_USDT", "ts": at_ms, "data": row}

    dialect = woox.WOOX.dialect([listing("woox", "PERP_BTC_USDT")])

    assert votes(dialect, due(8), due(8), due(16), due(20), due(8)) == ["8 h", "4 h"]
    assert woox.HOURS.alternatives[0] == "8 h"


def test_bitfinex_shows_where_its_list_tells_the_margin() -> None:
    made, into = BITFINEX.dialect([listing("bitfinex", f"t{n}") for n in "ABCD"]), Reading()
    facts: list[Any] = [None] * 8
    rows = [["A", [*facts, 0.01, 0.005]], ["B", [*facts, 0.01, 0.02]], ["C", [*facts, 100, 0.5]], ["X", [*facts, 1, 1]]]

    read_answer(made, made.polls[0], orjson.dumps([rows]), RECEIVE_NS, into)

    assert into.evidence == [(MARGIN_PLACES, place) for place in ("8 and 9", "others", "others")]


def test_gate_shows_whose_sign_a_liquidation_has() -> None:
    def pushed(channel: str, **row: Any) -> dict[str, Any]:
        rows = [{"contract": "BTC_USDT", **row}]
        about = {"channel": f"futures.{channel}", "event": "update", "time": 1795219200, "time_ms": 1795219200123}
        return {**about, "result": rows}

    ticker = pushed("tickers", mark_price="65000", total_size="461000000", funding_rate="0.0001")
    prints = [("64310.5", "-124"), ("65500", "124"), ("65000.5", "-5"), ("64310.5", "124")]
    said = [pushed("public_liquidates", price=price, size=size, time=1795219204101) for price, size in prints]
    dialect = gate.GATE_USDT.dialect([listing("gate", "BTC_USDT")])

    assert votes(dialect, ticker, *said) == ["the order's", "the order's", "the position's"]


def test_an_odd_amount_of_htx_shows_what_is_counted_and_is_a_gap() -> None:
    def traded(number: int, amount: int) -> dict[str, Any]:
        row = {"amount": amount, "ts": 1795219200395, "id": number, "price": 65000.1, "direction": "buy"}
        return {"ch": "market.BTC-USDT.trade.detail", "ts": 1795219200400, "tick": {"id": 1, "data": [row]}}

    listings = [listing("htx", name) for name in ("BTC-USDT", "ETH-USDT")]
    said = [traded(1, 2), traded(2, 12), traded(3, 13), traded(4, 14)]

    read = read_all(htx.HTX_LINEAR.dialect(listings), [orjson.dumps(each) for each in said])

    assert read.evidence == [(htx.SIDES_COUNTED, "they count one side")]
    gaps = [event for event in read.events if isinstance(event, Gap)]
    assert [(gap.instrument_id, gap.reason) for gap in gaps] == [
        ("htx:BTC-USDT", "counted otherwise"),
        ("htx:ETH-USDT", "counted otherwise"),
    ]
    assert all(gap.from_ns == 1_795_219_200_395_000_000 < gap.to_ns for gap in gaps)


def test_htx_is_seen_to_tell_marks_and_rates() -> None:
    def rate(minute: int) -> dict[str, Any]:
        row = {"contract_code": "BTC-USDT", "funding_rate": "0.0001"}
        return {"op": "notify", "topic": "public.*.funding_rate", "ts": 1795219200000 + minute * 60_000, "data": [row]}

    mark = {"ch": "market.BTC-USDT.mark_price.1min", "ts": 1795219200400, "tick": {"close": "65000.1"}}
    dialect = htx.HTX_LINEAR.dialect([listing("htx", "BTC-USDT")])

    assert votes(dialect, mark, mark, rate(0), rate(1), rate(9)) == ["told", "each minute", "more seldom"]


def test_lighter_tells_liquidations_beside_the_trades_or_among_them() -> None:
    row = {"market_id": 1, "price": "65000.1", "size": "0.5", "is_maker_ask": False, "timestamp": 1795219204101}
    trade = {**row, "trade_id": 1, "type": "trade"}
    closed = {**row, "trade_id": 2, "type": "liquidation"}
    said = {"channel": "trade:1", "type": "update/trade", "trades": [trade], "liquidation_trades": [closed]}
    again = {**said, "trades": [{**trade, "trade_id": 3}, {**closed, "trade_id": 4}]}
    again["liquidation_trades"] = [{**closed, "trade_id": 4}]
    dialect = lighter.LIGHTER.dialect([listing("lighter", "BTC")])

    read = read_all(dialect, [orjson.dumps(said), orjson.dumps(again)])

    assert [alternative for _, alternative in read.evidence] == ["told beside the trades", "told among the trades too"]
    kinds = [type(event).__name__ for event in read.events]
    assert kinds == ["Trade", "Trade", "Liquidation", "Trade", "Trade", "Liquidation"]


def test_first_push_of_cryptocom_shows_whether_it_repeats() -> None:
    def pushed(name: str, *at_ms: int) -> dict[str, Any]:
        rows = [{"d": str(t), "t": 1795219200000 + t, "p": "65000.1", "q": "0.5", "s": "BUY"} for t in at_ms]
        result = {"channel": "trade", "subscription": f"trade.{name}", "instrument_name": name, "data": rows}
        return {"id": -1, "code": 0, "method": "subscribe", "result": result}

    dialect = cryptocom.CRYPTOCOM.dialect([listing("cryptocom", name) for name in ("A-PERP", "B-PERP")])

    told = votes(dialect, pushed("A-PERP", 500, 400), pushed("A-PERP", 9_000, 1), pushed("B-PERP", 9_000, 1))

    assert told == ["of after the subscription", "repeats old ones"]


def test_assignments_that_kraken_prints_are_seen_and_left_out() -> None:
    said = {"feed": "trade", "product_id": "PF_XBTUSD", "uid": "1", "side": "sell", "seq": 5, "time": 1795219204519}
    said |= {"type": "assignment", "qty": 0.35, "price": 64310.5}

    read = read_all(kraken.KRAKEN.dialect([listing("kraken", "PF_XBTUSD")]), [orjson.dumps(said)])

    assert read.evidence == [(kraken.ASSIGNMENTS, "printed as trades of that type")]
    assert read.events == []

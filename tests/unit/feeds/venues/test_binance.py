"""Messages of Binance USD-M, COIN-M and Aster, made up from the documents and real ones."""

from __future__ import annotations

from fractions import Fraction

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqscape.events import Funding, Liquidation, MarkPrice, OpenInterest, PositionSide, PrintPrice, TakerSide, Trade
from liqscape.feeds.venues.binance import ASTER, BINANCE_COINM, BINANCE_USDM, STREAMS_PER_CONNECTION
from liqscape.feeds.venues.dialect import Channel, Dialect, Reading, read_answer
from tests.unit.feeds.venues.captured import RECEIVE_NS, listing, messages, read_all, replayed
from tests.unit.feeds.venues.checks import assert_survives, assert_survives_real, mutations

BTCUSDT = "binance:BTCUSDT"


def usdm() -> Dialect:
    return BINANCE_USDM.dialect([listing("binance", "BTCUSDT")])


def one(message: object) -> Reading:
    return read_all(usdm(), [orjson.dumps(message)])


def test_aggregated_trade_of_a_maker_who_bought_is_a_taker_sell() -> None:
    said = {
        "e": "aggTrade",
        "E": 1,
        "s": "BTCUSDT",
        "a": 1,
        "p": "65000.10",
        "q": "0.120",
        "T": 1795219200120,
        "m": True,
    }

    assert one(said).events == [Trade(BTCUSDT, 1795219200120_000_000, 650_001, 12_000_000, TakerSide.SELL)]


def test_mark_is_floored_to_the_tick_and_brings_the_funding_rate() -> None:
    said = {"e": "markPriceUpdate", "E": 5, "s": "BTCUSDT", "p": "65001.29", "r": "-0.00001234", "T": 6, "st": 1}

    assert one(said).events == [MarkPrice(BTCUSDT, 5_000_000, 650_012), Funding(BTCUSDT, 5_000_000, -12_340, 8)]


def test_forced_sell_closed_a_long_at_the_average_fill() -> None:
    order = {
        "s": "BTCUSDT",
        "S": "SELL",
        "q": "1.437",
        "p": "64120.5",
        "ap": "64180.00",
        "X": "FILLED",
        "z": "1.4",
        "T": 9,
    }

    found = one({"stream": "!forceOrder@arr", "data": {"e": "forceOrder", "E": 10, "o": order}}).events

    assert found == [
        Liquidation(BTCUSDT, 9_000_000, 641_800, 140_000_000, PositionSide.LONG, PrintPrice.FILL, complete=False)
    ]


def test_other_instruments_and_unfilled_orders_are_counted_not_rejected() -> None:
    order = {"s": "BTCUSDT", "S": "SELL", "X": "NEW"}
    read = read_all(
        usdm(),
        [
            orjson.dumps({"e": "forceOrder", "E": 1, "o": order}),
            orjson.dumps({"e": "aggTrade", "s": "XUSDT"}),
            orjson.dumps({"e": "kline", "s": "BTCUSDT"}),
        ],
    )

    assert (read.events, read.rejected) == ([], [])
    assert read.ignored == {"unfilled forced order": 1, "other instrument": 1, "kline": 1}


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"{", "malformed"),
        (b'{"e":"aggTrade","s":"BTCUSDT"}', "malformed"),
        (b"[1]", "malformed"),
        (b"{}", "unknown message"),
    ],
)
def test_what_cannot_be_read_is_rejected_with_a_reason(message: bytes, reason: str) -> None:
    assert [each.reason for each in read_all(usdm(), [message]).rejected] == [reason]


def test_bad_row_of_an_array_takes_no_good_one_with_it() -> None:
    good = {"e": "markPriceUpdate", "E": 5, "s": "BTCUSDT", "p": "65001.2", "r": ""}
    read = one([good, {**good, "p": "NaN"}, good])

    assert (len(read.events), len(read.rejected)) == (2, 1)


def test_every_subscription_is_confirmed_by_an_id_of_its_own() -> None:
    many = [listing("binance", f"X{number}USDT") for number in range(100)]
    dialect = BINANCE_USDM.dialect(many)

    asked = [orjson.loads(text) for endpoint in dialect.endpoints for text in endpoint.subscribe]
    streams = [name for each in asked for name in each["params"]]
    assert len(streams) == len(set(streams)) == 300
    for endpoint in dialect.endpoints:
        named = [name for text in endpoint.subscribe for name in orjson.loads(text)["params"]]
        assert len(named) <= STREAMS_PER_CONNECTION
        assert endpoint.acknowledgements == {str(orjson.loads(text)["id"]) for text in endpoint.subscribe}
    assert read_all(dialect, [b'{"result":null,"id":1}']).acknowledged == ["1"]


def test_open_interest_of_a_coin_margined_contract_counts_contracts() -> None:
    dialect = BINANCE_COINM.dialect(
        [listing("binance", "BTCUSD_PERP", contract="inverse", contract_value=Fraction(100))]
    )
    poll = next(p for p in dialect.polls if Channel.OPEN_INTEREST in p.channels)
    into = Reading()

    read_answer(dialect, poll, b'{"symbol":"BTCUSD_PERP","openInterest":"13069401","time":7}', RECEIVE_NS, into)

    assert into.events == [OpenInterest("binance:BTCUSD_PERP", 7_000_000, 13_069_401 * 10**8)]


def test_refusal_of_a_request_is_told() -> None:
    dialect, into = usdm(), Reading()

    read_answer(dialect, dialect.polls[1], b'{"code":-1003,"msg":"Too many requests"}', RECEIVE_NS, into)

    assert "Too many requests" in into.refused[0]


@pytest.mark.recorded
@pytest.mark.parametrize("file", ["trades.jsonl", "ticker.jsonl", "liquidations.jsonl", "klines.jsonl", "bbo.jsonl"])
def test_every_real_message_is_read(file: str) -> None:
    names = {n for m in messages("binance_usdm", file) for n in _names(orjson.loads(m))}

    read = read_all(
        BINANCE_USDM.dialect([listing("binance", name, price_decimals=8) for name in sorted(names)]),
        messages("binance_usdm", file),
    )

    assert not read.rejected
    assert len(read.events) > 0 or set(read.ignored) <= {"kline", "bookTicker"}


@pytest.mark.recorded
def test_real_stretch_gives_the_trades_it_holds() -> None:
    dialect = BINANCE_COINM.dialect(
        [listing("binance", "BTCUSD_PERP", contract="inverse", contract_value=Fraction(100))]
    )

    read = read_all(
        dialect, (m for _, m in replayed("binance_coinm", "replay_20240808T235416Z_btcusd_perp_trades.jsonl"))
    )

    assert not read.rejected
    assert set(read.ignored) == {"order book", "depthUpdate", "bookTicker"}
    assert len(read.events) == 2286
    assert {type(event) for event in read.events} == {Trade}


def test_single_trades_count_until_aggregated_ones_are_heard() -> None:
    single = {"e": "trade", "s": "BTCUSDT", "p": "65000.1", "q": "0.1", "T": 1, "m": False, "X": "MARKET"}
    aggregated = {"e": "aggTrade", "s": "BTCUSDT", "a": 7, "p": "65000.1", "q": "0.1", "T": 2, "m": False}

    read = read_all(usdm(), [orjson.dumps(each) for each in (single, {**single, "X": "ADL"}, aggregated, single)])

    assert [event.time_ns for event in read.events if isinstance(event, Trade)] == [1_000_000, 2_000_000]
    assert read.ignored == {"trade of the venue itself": 1, "trade": 1}


@pytest.mark.recorded
def test_real_print_of_aster_is_a_liquidation() -> None:
    (message,) = messages("aster", "liquidations.jsonl")
    name = _names(orjson.loads(message)).pop()

    (event,) = read_all(ASTER.dialect([listing("aster", name, price_decimals=8)]), [message]).events

    assert isinstance(event, Liquidation)
    assert event.instrument_id == f"aster:{name}"


def _names(said: object) -> set[str]:
    """Return every text that a message calls s."""
    if isinstance(said, list):
        return {name for each in said for name in _names(each)}
    if not isinstance(said, dict):
        return set()
    found = {name for each in said.values() for name in _names(each)}
    return found | {said["s"]} if isinstance(said.get("s"), str) else found


def test_a_forced_order_told_twice_counts_once() -> None:
    order = {"s": "BTCUSDT", "S": "SELL", "ap": "64180.00", "X": "FILLED", "z": "1.4", "T": 9}
    told = [orjson.dumps({"e": "forceOrder", "o": each}) for each in (order, order, {**order, "z": "1.5"})]

    read = read_all(usdm(), told)

    assert [event.quantity for event in read.events if isinstance(event, Liquidation)] == [140_000_000, 150_000_000]
    assert read.ignored["forced order again"] == 1


DOCUMENTED = (
    {"e": "aggTrade", "s": "BTCUSDT", "a": 1, "p": "65000.10", "q": "0.120", "T": 1795219200120, "m": True},
    {"e": "trade", "s": "BTCUSDT", "t": 1, "p": "65000.1", "q": "0.1", "T": 1795219200120, "m": False, "X": "MARKET"},
    {
        "stream": "s",
        "data": [{"e": "markPriceUpdate", "E": 1795219200120, "s": "BTCUSDT", "p": "65001.29", "r": "0.1"}],
    },
    {
        "e": "forceOrder",
        "o": {"s": "BTCUSDT", "S": "SELL", "ap": "64180.00", "X": "FILLED", "z": "1.4", "T": 1795219200120},
    },
)


@given(mutations(orjson.dumps(each) for each in DOCUMENTED))
def test_no_mutation_of_a_message_raises_or_is_believed(message: bytes) -> None:
    assert_survives(usdm, message)


@pytest.mark.recorded
@given(st.data())
def test_no_mutation_of_a_real_message_raises_or_is_believed(data: st.DataObject) -> None:
    assert_survives_real(usdm, "binance_usdm", data)


@pytest.mark.parametrize("time_ms", ["x", "1795219200120", [], 1.5, None, True, 0, -1, 2**62])
def test_trade_whose_time_is_none_is_rejected(time_ms: object) -> None:
    read = one({**DOCUMENTED[0], "T": time_ms})

    assert (read.events, [each.reason for each in read.rejected]) == ([], ["time"])


def test_trade_that_does_not_say_who_was_the_maker_is_rejected() -> None:
    read = one({**DOCUMENTED[0], "m": None})

    assert (read.events, [each.reason for each in read.rejected]) == ([], ["malformed"])


def test_open_interest_of_none_is_ignored() -> None:
    dialect, into = usdm(), Reading()

    read_answer(dialect, dialect.polls[1], b'{"symbol":"BTCUSDT","openInterest":"0","time":7}', RECEIVE_NS, into)

    assert (into.events, into.ignored) == ([], {"open interest of 0": 1})

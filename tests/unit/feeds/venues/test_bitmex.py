"""Messages of BitMEX, real ones and such as they were."""

from __future__ import annotations

from fractions import Fraction

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqscape.events import (
    Funding,
    Liquidation,
    MarkPrice,
    OpenInterest,
    PositionSide,
    PrintPrice,
    TakerSide,
    Trade,
)
from liqscape.feeds.venues.bitmex import BITMEX
from liqscape.feeds.venues.dialect import Dialect, Reading
from tests.unit.feeds.venues.captured import RECEIVE_NS, listing, messages, read_all, replayed
from tests.unit.feeds.venues.checks import (
    assert_sound,
    assert_survives,
    assert_survives_real,
    facts_agreed,
    mutations,
    names_in,
    recorded_messages,
    tally,
)

XBT = "bitmex:XBTUSD"

TRADED = {
    "timestamp": "2021-04-05T18:41:36.420Z",
    "symbol": "XBTUSD",
    "side": "Sell",
    "size": 32,
    "price": 63768.5,
}
STATE = {
    "symbol": "XBTUSD",
    "timestamp": "2021-04-05T18:41:30.000Z",
    "markPrice": 63770.12,
    "openInterest": 58922153,
    "fundingRate": 0.0001,
    "fundingInterval": "2000-01-01T08:00:00.000Z",
}
CLOSED = {"orderID": "dd9cea25", "symbol": "XBTUSD", "side": "Buy", "price": 10106, "leavesQty": 9214}


def said(table: str, action: str, *rows: object) -> dict[str, object]:
    return {"table": table, "action": action, "data": list(rows)}


DOCUMENTED = [
    said("trade", "insert", TRADED),
    said("instrument", "partial", STATE),
    said("liquidation", "insert", CLOSED),
    said("funding", "insert", STATE),
    {"success": True, "subscribe": "trade:XBTUSD", "request": {}},
]


def inverse() -> Dialect:
    return BITMEX.dialect([listing("bitmex", "XBTUSD", contract="inverse", contract_value=Fraction(1))])


def one(*messages_said: object) -> Reading:
    return read_all(inverse(), [orjson.dumps(each) for each in messages_said])


def test_inserted_trade_counts_and_a_partial_replays() -> None:
    settled = {key: value for key, value in TRADED.items() if key != "side"}

    read = one(said("trade", "partial", TRADED), said("trade", "insert", TRADED, settled))

    assert read.events == [Trade(XBT, 1617648096420_000_000, 637_685, 32 * 10**8, TakerSide.SELL)]
    assert read.ignored == {"partial of trade": 1, "trade of the venue itself": 1}


def test_trade_of_a_linear_contract_is_counted_in_coins() -> None:
    linear = BITMEX.dialect([listing("bitmex", "XBTUSDT", unit=Fraction(1, 1_000_000))])

    (event,) = read_all(linear, [orjson.dumps(said("trade", "insert", {**TRADED, "symbol": "XBTUSDT"}))]).events

    assert isinstance(event, Trade)
    assert event.quantity == 3_200


def test_rows_of_instruments_tell_what_has_changed() -> None:
    time_ns = 1617648090000_000_000

    read = one(
        said("instrument", "partial", STATE),
        said("instrument", "update", {"symbol": "XBTUSD", "openInterest": 7}, {"symbol": "XBTUSD", "lastPrice": 1}),
    )

    assert read.events == [
        MarkPrice(XBT, time_ns, 637_701),
        OpenInterest(XBT, time_ns, 58_922_153 * 10**8),
        Funding(XBT, time_ns, 100_000, 8),
        OpenInterest(XBT, RECEIVE_NS, 7 * 10**8),
    ]
    assert read.ignored == {"other change": 1}


def test_only_an_insert_of_a_liquidation_is_one() -> None:
    read = one(said("liquidation", "insert", CLOSED), said("liquidation", "delete", CLOSED))

    assert read.events == [
        Liquidation(XBT, RECEIVE_NS, 101_060, 9214 * 10**8, PositionSide.SHORT, PrintPrice.ORDER, complete=False)
    ]
    assert read.ignored == {"delete of liquidation": 1}


def test_bad_row_takes_no_good_one_with_it() -> None:
    rows = [{**TRADED, "price": None}, TRADED, {**TRADED, "timestamp": "2021"}, {**TRADED, "side": "?"}, TRADED]

    read = one(said("trade", "insert", *rows))

    assert (len(read.events), len(read.rejected)) == (2, 3)


def test_nothing_is_asked_for() -> None:
    dialect = inverse()

    assert (dialect.endpoints, dialect.polls, dialect.budgets) == ((), (), ())
    assert BITMEX.history is None


def test_control_messages_are_told_apart() -> None:
    read = read_all(inverse(), [b"pong", orjson.dumps(DOCUMENTED[4]), b'{"status":400,"error":"Unknown table"}'])

    assert (read.heartbeats, read.acknowledged, len(read.refused)) == (1, ["trade:XBTUSD"], 1)


@given(mutations(orjson.dumps(each) for each in DOCUMENTED))
def test_no_mutation_of_a_message_raises_or_is_believed(message: bytes) -> None:
    assert_survives(inverse, message)


@pytest.mark.recorded
@given(st.data())
def test_no_mutation_of_a_real_message_raises_or_is_believed(data: st.DataObject) -> None:
    assert_survives_real(inverse, "bitmex", data)


@pytest.mark.recorded
def test_every_real_message_is_read() -> None:
    real = recorded_messages("bitmex")
    names = {name for _, each in real for name in names_in(orjson.loads(each), ("symbol",))}
    dialect = BITMEX.dialect([listing("bitmex", name, price_decimals=8) for name in sorted(names)])

    read = read_all(dialect, (message for _, message in real))

    events, rejected = tally(read)
    assert_sound(read)
    assert rejected == {}
    assert events == {"Trade": 128, "MarkPrice": 2, "OpenInterest": 3, "Funding": 3, "Liquidation": 1}


@pytest.mark.recorded
def test_real_stretch_gives_the_trades_of_one_contract() -> None:
    dialect = BITMEX.dialect([listing("bitmex", "XBTM21", contract="inverse", contract_value=Fraction(1))])

    read = read_all(dialect, (message for _, message in replayed("bitmex", "replay_20210405T184113Z_10symbols.jsonl")))

    assert not read.rejected
    assert {type(event) for event in read.events} == {Trade}
    assert read.events[0] == Trade("bitmex:XBTM21", 1617648096420_000_000, 637_685, 32 * 10**8, TakerSide.SELL)


@pytest.mark.recorded
def test_real_tickers_and_liquidations_agree_with_an_independent_reader() -> None:
    (liquidation, _) = messages("bitmex", "liquidations.jsonl")

    assert facts_agreed(BITMEX.dialect, "bitmex", "bitmex", "ticker.jsonl") == 4
    (event,) = read_all(inverse(), [liquidation]).events
    assert event == Liquidation(
        XBT, RECEIVE_NS, 101_060, 9214 * 10**8, PositionSide.SHORT, PrintPrice.ORDER, complete=False
    )

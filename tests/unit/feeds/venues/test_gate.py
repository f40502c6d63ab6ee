"""Messages of Gate, made up from the documents and real ones."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from liqscape.feeds.venues.dialect import Dialect, Reading, VenueListing, read_answer, said_at
from liqscape.feeds.venues.gate import GATE_BTC, GATE_USD1, GATE_USDT
from liqscape.feeds.venues.numbered import SHOWN
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

BTC = "gate:BTC_USDT"

SIZE = Fraction(1, 10_000)


def pushed(channel: str, *rows: Any) -> dict[str, Any]:
    return {
        "time": 1795219200,
        "time_ms": 1795219200123,
        "channel": f"futures.{channel}",
        "event": "update",
        "result": list(rows),
    }


TRADED = {
    "size": -120,
    "id": 1,
    "create_time": 1795219200,
    "create_time_ms": 1795219200099,
    "price": "65000.1",
    "contract": "BTC_USDT",
}
TICKED = {
    "contract": "BTC_USDT",
    "last": "65000.1",
    "mark_price": "65001.27",
    "index_price": "65003.1",
    "funding_rate": "0.0001",
    "total_size": "461000000",
}
CLOSED = {"price": "64310.5", "size": "-124", "time": 1795219204101, "contract": "BTC_USDT"}
OWN = {
    "entry_price": 209,
    "fill_price": 215.1,
    "liq_price": 213,
    "size": -124,
    "time": 1541486601,
    "time_ms": 1541486601123,
    "contract": "BTC_USDT",
}
ACKNOWLEDGED = {
    "time": 1795219200,
    "id": 2,
    "channel": "futures.trades",
    "event": "subscribe",
    "error": None,
    "result": {"status": "success"},
}
DOCUMENTED = [
    pushed("trades", TRADED),
    pushed("tickers", TICKED),
    pushed("public_liquidates", CLOSED),
    pushed("liquidates", OWN),
    ACKNOWLEDGED,
]


def usdt() -> Dialect:
    return GATE_USDT.dialect([listing("gate", "BTC_USDT", unit=SIZE)])


def one(*said: object) -> Reading:
    return read_all(usdt(), [orjson.dumps(each) for each in said])


def sides(read: Reading) -> list[PositionSide]:
    return [event.position_side for event in read.events if isinstance(event, Liquidation)]


def test_trade_of_a_negative_size_is_a_taker_sell() -> None:
    text = {**TRADED, "size": "0.5", "price": 65000.1}

    assert one(pushed("trades", TRADED, text)).events == [
        Trade(BTC, 1795219200099_000_000, 650_001, 1_200_000, TakerSide.SELL),
        Trade(BTC, 1795219200099_000_000, 650_001, 5_000, TakerSide.BUY),
    ]


def test_trade_inside_the_venue_is_no_trade_of_the_market() -> None:
    read = one(pushed("trades", {**TRADED, "is_internal": True}))

    assert (read.events, read.ignored) == ([], {"trade of the venue itself": 1})


def test_trades_inside_the_venue_leave_no_hole_among_the_others_and_one_that_is_not_told_does() -> None:
    inside = {SHOWN + 1, SHOWN + 2, SHOWN + 6}
    ids = [number for number in range(SHOWN + 8) if number != SHOWN + 4]
    read = one(pushed("trades", *({**TRADED, "id": number, "is_internal": number in inside} for number in ids)))

    assert read.ignored == {"trade of the venue itself": 3}
    assert [type(event) for event in read.events[SHOWN + 1 :]] == [Trade, Trade, Gap, Trade]


def test_ticker_tells_mark_open_interest_and_funding() -> None:
    time_ns = 1795219200123_000_000

    assert one(pushed("tickers", TICKED)).events == [
        MarkPrice(BTC, time_ns, 650_012),
        OpenInterest(BTC, time_ns, 46_100 * 10**8),
        Funding(BTC, time_ns, 100_000, 8),
    ]


def test_interval_of_funding_is_that_of_the_list_of_contracts() -> None:
    dialect, into = usdt(), Reading()
    row = {
        "name": "BTC_USDT",
        "type": "direct",
        "quanto_multiplier": "0.0001",
        "order_price_round": "0.1",
        "leverage_max": "200",
        "in_delisting": False,
        "funding_interval": 14400,
    }
    inverse = {**row, "name": "BTC_USD", "type": "inverse", "quanto_multiplier": "0", "in_delisting": True}

    read_answer(dialect, dialect.polls[0], orjson.dumps([row, {}, inverse]), RECEIVE_NS, into)
    read_answer(dialect, dialect.polls[0], b'{"label":"TOO_MANY_REQUESTS"}', RECEIVE_NS, into)
    told = read_all(dialect, [orjson.dumps(pushed("tickers", TICKED))]).events[2]

    assert into.listings == [
        VenueListing("BTC_USDT", SIZE, Fraction(1, 10), 200),
        VenueListing("BTC_USD", Fraction(1), Fraction(1, 10), 200, is_trading=False),
    ]
    assert (len(into.rejected), len(into.refused)) == (1, 1)
    assert isinstance(told, Funding)
    assert told.interval_hours == 4


def test_sign_of_a_liquidation_is_its_orders_as_documented() -> None:
    read = one(pushed("public_liquidates", CLOSED, {**CLOSED, "size": "10"}))

    assert read.events == [
        Liquidation(
            BTC, 1795219204101_000_000, 643_105, 1_240_000, PositionSide.LONG, PrintPrice.UNKNOWN, complete=True
        ),
        Liquidation(
            BTC, 1795219204101_000_000, 643_105, 100_000, PositionSide.SHORT, PrintPrice.UNKNOWN, complete=True
        ),
    ]


def test_sign_is_the_positions_once_prints_say_so() -> None:
    below, above = {**CLOSED, "size": "5"}, {**CLOSED, "size": "-5", "price": "66000"}
    near = {**CLOSED, "size": "5", "price": "65001"}

    told = one(pushed("tickers", TICKED), pushed("public_liquidates", below, above, near))
    confirmed = one(pushed("tickers", TICKED), pushed("public_liquidates", CLOSED, {**above, "size": "5"}, near))

    assert sides(told) == [PositionSide.LONG, PositionSide.SHORT, PositionSide.LONG]
    assert sides(confirmed) == [PositionSide.LONG, PositionSide.SHORT, PositionSide.SHORT]


def test_rows_of_before_august_2026_are_a_sample() -> None:
    (event,) = one(pushed("public_liquidates", {**CLOSED, "time": 1693000000, "time_ms": 1693000000123})).events

    assert isinstance(event, Liquidation)
    assert (event.time_ns, event.complete) == (1693000000123_000_000, False)


def test_own_form_of_2018_tells_the_position() -> None:
    assert one(pushed("liquidates", OWN)).events == [
        Liquidation(BTC, 1541486601123_000_000, 2_151, 1_240_000, PositionSide.SHORT, PrintPrice.FILL, complete=False)
    ]


def test_bad_row_takes_no_good_one_with_it() -> None:
    rows = [{**TRADED, "size": 0}, TRADED, {**TRADED, "size": "--1"}, {**TRADED, "price": "1e99"}]
    rows.append({**TRADED, "id": 2})
    read = one(pushed("trades", *rows), pushed("public_liquidates", {**CLOSED, "time": "x"}, CLOSED))

    assert [type(event) for event in read.events] == [Trade, Trade, Liquidation]
    assert len(read.rejected) == 4


def test_every_channel_is_asked_once_and_confirmed_by_an_id() -> None:
    many = GATE_USDT.dialect([listing("gate", f"X{number}_USDT") for number in range(250)])

    for number, endpoint in enumerate(many.endpoints):
        sent = [orjson.loads(text) for text in endpoint.subscribe]
        assert endpoint.acknowledgements == {str(each["id"]) for each in sent}
        assert len({(each["channel"], name) for each in sent for name in each["payload"]}) == ((201, 200, 100)[number])
    assert one(ACKNOWLEDGED).acknowledged == ["2"]


def test_what_is_sent_carries_the_time_of_sending() -> None:
    (endpoint,) = usdt().endpoints
    assert endpoint.ping is not None

    sent = [
        orjson.loads(said_at(text, 1_795_219_200_999_999_999)) for text in (*endpoint.subscribe, endpoint.ping.text)
    ]

    assert {each["time"] for each in sent} == {1_795_219_200}


def test_control_messages_are_told_apart() -> None:
    refused = {"channel": "futures.trades", "event": "subscribe", "error": {"code": 2, "message": "unknown contract"}}
    unnamed = {key: value for key, value in ACKNOWLEDGED.items() if key != "id"}

    read = one({"channel": "futures.pong", "event": "", "error": None, "result": None}, refused, unnamed)

    assert (read.heartbeats, len(read.refused)) == (1, 1)
    assert read.ignored == {"acknowledgement without an id": 1}


def test_settlement_decides_which_socket_a_contract_is_on() -> None:
    linear, dollar = listing("gate", "BTC_USDT").instrument, listing("gate", "BTC_USD1").instrument
    inverse = listing("gate", "BTC_USD", contract="inverse", contract_value=Fraction(1)).instrument

    taken = [[venue.takes(each) for each in (linear, dollar, inverse)] for venue in (GATE_USDT, GATE_USD1, GATE_BTC)]

    assert taken == [[True, False, False], [False, True, False], [False, False, True]]
    assert GATE_BTC.dialect([]).polls[0].request.url.endswith("/btc/contracts")


def test_pages_of_the_past_are_asked_and_read() -> None:
    assert GATE_USDT.history is not None
    past = GATE_USDT.history(listing("gate", "BTC_USDT", unit=SIZE))
    candle = {"t": 1795219200, "v": 12500, "c": "65001", "h": "65003", "l": "64999.9", "o": "65000.1", "sum": "1"}
    paid = [{"t": 1795233600, "r": "-0.0002"}, {"t": 1795204800, "r": "0.0001"}]
    span = (1795219200_000_000_000, 1795219800_000_000_000)

    marks = past.request(series_named(past, "mark 1m"), *span)
    stats = past.request(series_named(past, "open interest 5m"), *span)
    told = [
        read_page(past, series_named(past, "candles 1m"), [candle]).events,
        read_page(past, series_named(past, "mark 1m"), [{k: v for k, v in candle.items() if k != "v"}]).events,
        read_page(past, series_named(past, "funding"), paid).events,
    ]

    assert marks.query == {"contract": "mark_BTC_USDT", "interval": "1m", "from": "1795219200", "to": "1795219799"}
    assert stats.query == {"contract": "BTC_USDT", "interval": "5m", "from": "1795219200", "limit": "2"}
    minute = (BTC, 1795219200_000_000_000, 1795219260_000_000_000, 650_001, 650_030, 649_999, 650_010)
    assert told == [
        [Candle(*minute, 125_000_000)],
        [Candle(*minute, 0)],
        [Funding(BTC, 1795176000_000_000_000, 100_000, 8), Funding(BTC, 1795204800_000_000_000, -200_000, 8)],
    ]


@pytest.mark.recorded
def test_real_page_of_open_interest_is_read() -> None:
    assert GATE_USDT.history is not None
    past = GATE_USDT.history(listing("gate", "BTC_USDT", unit=SIZE))
    body = captured("gate", "open_interest.rest.jsonl").read_bytes().splitlines()[0]

    series = series_named(past, "open interest 5m")

    past.request(series, 1654335300_000_000_000, 1654335900_000_000_000)
    found = read_page(past, series, body).events

    assert found == [
        OpenInterest(BTC, 1654335300_000_000_000, 749_773_515 * 10**4),
        OpenInterest(BTC, 1654335600_000_000_000, 749_723_563 * 10**4),
    ]


@given(mutations(orjson.dumps(each) for each in DOCUMENTED))
def test_no_mutation_of_a_message_raises_or_is_believed(message: bytes) -> None:
    assert_survives(usdt, message)


@pytest.mark.recorded
@given(st.data())
def test_no_mutation_of_a_real_message_raises_or_is_believed(data: st.DataObject) -> None:
    assert_survives_real(usdt, "gate", data)


@pytest.mark.recorded
def test_every_real_message_is_read() -> None:
    real = recorded_messages("gate")
    names = {name for _, each in real for name in names_in(orjson.loads(each), ("contract",))}
    dialect = GATE_USDT.dialect([listing("gate", name, price_decimals=8) for name in sorted(names)])

    read = read_all(dialect, (message for _, message in real))

    events, rejected = tally(read)
    assert_sound(read)
    assert rejected == {}
    assert events == {"Trade": 7, "MarkPrice": 6, "OpenInterest": 6, "Funding": 4, "Liquidation": 1}


@pytest.mark.recorded
def test_real_list_of_contracts_is_read() -> None:
    body = captured("gate", "instruments.rest.jsonl").read_bytes().splitlines()[0]
    dialect, into = usdt(), Reading()

    read_answer(dialect, dialect.polls[0], body, RECEIVE_NS, into)

    assert (len(into.listings), into.rejected) == (302, [])
    assert into.listings[0] == VenueListing("KNC_USDT", Fraction(1), Fraction(1, 10_000), 20)


@pytest.mark.recorded
@pytest.mark.parametrize(("file", "facts"), [("ticker.jsonl", 6), ("trades.jsonl", 1)])
def test_real_messages_agree_with_an_independent_reader(file: str, facts: int) -> None:
    assert facts_agreed(GATE_USDT.dialect, "gate", "gate", file, ("contract",)) == facts

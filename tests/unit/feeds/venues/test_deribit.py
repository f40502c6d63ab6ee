"""Messages of Deribit, in the documented form and real ones."""

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
from liqscape.feeds.venues.deribit import CHANNELS_PER_MESSAGE, DERIBIT, DeribitHistory
from liqscape.feeds.venues.dialect import Dialect, Listing, Reading, VenueListing, read_answer
from tests.unit.feeds.venues.captured import RECEIVE_NS, captured, listing, messages, read_all, replayed
from tests.unit.feeds.venues.hostile import check_hostile, mutations

BTC = "deribit:BTC-PERPETUAL"

TRADE = {
    "trade_seq": 271252854,
    "trade_id": "403691824",
    "timestamp": 1795219204452,
    "price": 64310.5,
    "amount": 75000.0,
    "contracts": 7500.0,
    "direction": "sell",
    "mark_price": 64315.1,
    "instrument_name": "BTC-PERPETUAL",
}

TICKER = {
    "timestamp": 1795219204452,
    "state": "open",
    "open_interest": 1130000010,
    "mark_price": 64315.19,
    "index_price": 64318.0,
    "current_funding": 0.00010785,
    "funding_8h": 0.00002085,
    "instrument_name": "BTC-PERPETUAL",
}

AT = 1795219204452_000_000


def inverse(name: str, worth: int = 10, decimals: int = 1) -> Listing:
    return listing("deribit", name, contract="inverse", contract_value=Fraction(worth), price_decimals=decimals)


def dialect() -> Dialect:
    return DERIBIT.dialect([inverse("BTC-PERPETUAL"), listing("deribit", "BTC_USDC-PERPETUAL", price_decimals=4)])


def pushed(kind: str, data: object) -> dict[str, object]:
    params = {"channel": f"{kind}.BTC-PERPETUAL.100ms", "data": data}
    return {"jsonrpc": "2.0", "method": "subscription", "params": params}


def told(*said: object) -> Reading:
    return read_all(dialect(), [orjson.dumps(each) for each in said])


def closed(side: PositionSide) -> Liquidation:
    return Liquidation(BTC, AT, 643_105, 7_500 * 10**8, side, PrintPrice.FILL, complete=True)


@pytest.mark.parametrize(
    ("mark", "direction", "sides"),
    [
        ("T", "sell", [PositionSide.LONG]),
        ("T", "buy", [PositionSide.SHORT]),
        ("M", "sell", [PositionSide.SHORT]),
        ("M", "buy", [PositionSide.LONG]),
        ("MT", "sell", [PositionSide.LONG, PositionSide.SHORT]),
        (None, "sell", []),
    ],
)
def test_liquidation_mark_says_whose_position_was_closed(
    mark: str | None, direction: str, sides: list[PositionSide]
) -> None:
    row = {**TRADE, "direction": direction, **({} if mark is None else {"liquidation": mark})}

    read = told(pushed("trades", [row]))

    assert read.events == [
        Trade(BTC, AT, 643_105, 7_500 * 10**8, TakerSide(direction)),
        *(closed(side) for side in sides),
    ]


def test_ticker_tells_open_interest_in_contracts_and_the_rate_of_eight_hours() -> None:
    assert told(pushed("ticker", TICKER)).events == [
        MarkPrice(BTC, AT, 643_151),
        OpenInterest(BTC, AT, 113_000_001 * 10**8),
        Funding(BTC, AT, 107_850, 8),
    ]


def test_linear_contract_counts_coins() -> None:
    row = {**TRADE, "instrument_name": "BTC_USDC-PERPETUAL", "amount": 0.049}

    (event,) = told(pushed("trades", [row])).events

    assert event == Trade("deribit:BTC_USDC-PERPETUAL", AT, 643_105_000, 4_900_000, TakerSide.SELL)


def test_bad_row_takes_no_good_one_with_it() -> None:
    changes: list[dict[str, object]] = [{}, {"liquidation": "X"}, {"price": None}, {"amount": 0}, {}]
    rows = [{**TRADE, "trade_seq": number, **change} for number, change in enumerate(changes)]

    read = told(pushed("trades", rows))

    assert [each.reason for each in read.rejected] == ["unknown liquidation mark", "malformed", "quantity"]
    assert len(read.events) == 3  # the trade of an unknown mark is one


def test_number_that_was_left_out_is_a_gap_and_one_told_again_is_not_counted_twice() -> None:
    later = {**TRADE, "trade_seq": 271252856, "timestamp": 1795219204552}

    read = told(pushed("trades", [TRADE, TRADE, later]), pushed("trades", [later, {**later, "trade_seq": 271252857}]))

    assert [type(event) for event in read.events] == [Trade, Gap, Trade, Trade]
    assert read.events[1] == Gap(BTC, AT, AT + 101_000_000, "trades are missing")
    assert read.ignored == {"trade again": 2}


def test_request_for_a_sign_of_life_is_answered() -> None:
    read = told(
        {"jsonrpc": "2.0", "method": "heartbeat", "params": {"type": "heartbeat"}},
        {"jsonrpc": "2.0", "method": "heartbeat", "params": {"type": "test_request"}},
        {"jsonrpc": "2.0", "id": 0, "result": {"version": "1.2.26"}},
        {"jsonrpc": "2.0", "id": 1, "result": "ok"},
    )

    assert [orjson.loads(text)["method"] for text in read.replies] == ["public/test"]
    assert read.heartbeats == 4


def test_channels_are_confirmed_by_name_and_errors_told() -> None:
    made = dialect()

    read = read_all(
        made,
        [
            b'{"jsonrpc":"2.0","id":2,"result":["trades.BTC-PERPETUAL.100ms","ticker.BTC-PERPETUAL.100ms"]}',
            b'{"jsonrpc":"2.0","id":3,"error":{"code":10028,"message":"too_many_requests"}}',
        ],
    )

    assert made.endpoints[0].acknowledgements > set(read.acknowledged)
    assert len(read.acknowledged) == 2
    assert "too_many_requests" in read.refused[0]


def test_subscriptions_name_every_channel_once() -> None:
    made = DERIBIT.dialect([inverse(f"X{number}-PERPETUAL") for number in range(120)])

    asked = [orjson.loads(text) for text in made.endpoints[0].subscribe[1:]]

    named = [name for each in asked for name in each["params"]["channels"]]
    assert len(named) == len(set(named)) == 240
    assert frozenset(named) == made.endpoints[0].acknowledgements
    assert max(len(each["params"]["channels"]) for each in asked) <= CHANNELS_PER_MESSAGE


def test_history_counts_inverse_candles_by_their_worth_and_leaves_out_the_open_one() -> None:
    past = DeribitHistory(inverse("BTC-PERPETUAL"))
    candles, funding = past.series
    start = 1_583_916_960 * 10**9
    table = {
        "volume": [3.6680847969999992, 22.682721123],
        "cost": [28740, 177740],
        "ticks": [1583916960000, 1583917020000],
        "open": [7834, 7839],
        "low": [7834, 7833.5],
        "high": [7839.5, 7839],
        "close": [7839.5, 7833.5],
        "status": "ok",
    }
    into = Reading()

    asked = past.request(candles, start, start + 120 * 10**9)
    past.read_page(candles, orjson.dumps({"result": table, "usOut": 1583917079999999}), into)
    paid = past.request(funding, start, start + 3600 * 10**9)
    rate = {"timestamp": 1569891600000, "interest_8h": -0.00009, "interest_1h": -4.739622041017375e-7}
    past.read_page(funding, orjson.dumps({"result": [rate]}), into)

    assert asked.query["start_timestamp"] == "1583916960000"
    assert asked.query["end_timestamp"] == "1583917079999"
    assert (paid.query["start_timestamp"], paid.query["end_timestamp"]) == ("1583916960000", "1583920559999")
    assert into.events == [
        Candle(BTC, start, start + 60 * 10**9, 78_340, 78_395, 78_340, 78_395, 2_874 * 10**8),
        Funding(BTC, 1_569_888_000 * 10**9, -474, 1),
    ]
    assert into.ignored == {"candle not closed": 1}


@given(mutations([pushed("trades", [TRADE, {**TRADE, "liquidation": "MT"}]), pushed("ticker", TICKER)]))
def test_hostile_messages_raise_nothing_and_make_no_absurd_event(sent: list[bytes]) -> None:
    check_hostile(dialect, sent)


@pytest.mark.recorded
@pytest.mark.parametrize(
    ("file", "events"),
    [
        ("trades.jsonl", 10),  # two of them gaps: the messages are of different years
        ("ticker.jsonl", 36),
        ("book.jsonl", 0),
        ("bbo.jsonl", 0),
        ("klines.jsonl", 0),
        ("control.jsonl", 0),
    ],
)
def test_every_real_message_is_read(file: str, events: int) -> None:
    said = list(messages("deribit", file))
    data = [m["params"]["data"] for m in map(orjson.loads, said) if "params" in m]
    rows = [row for each in data for row in (each if isinstance(each, list) else [each])]
    names = sorted({row["instrument_name"] for row in rows if "instrument_name" in row})

    read = read_all(
        DERIBIT.dialect([listing("deribit", n, price_decimals=8) if "USDC" in n else inverse(n, 1, 8) for n in names]),
        iter(said),
    )

    assert not read.rejected
    assert len(read.events) == events
    assert file != "control.jsonl" or len(read.acknowledged) == 30


@pytest.mark.recorded
def test_real_liquidations_of_a_taker_and_of_a_maker_are_both_of_longs() -> None:
    said = list(messages("deribit", "trades.jsonl"))[2:4]

    found = [e for e in read_all(dialect(), iter(said)).events if isinstance(e, Liquidation)]

    assert found == [
        Liquidation(BTC, 1584058044032_000_000, 44_695, 112 * 10**8, PositionSide.LONG),
        Liquidation(BTC, 1584058067675_000_000, 44_585, 250 * 10**8, PositionSide.LONG),
    ]


@pytest.mark.recorded
def test_real_ticker_of_the_perpetual() -> None:
    said = list(messages("deribit", "ticker.jsonl"))[13]

    assert read_all(dialect(), iter([said])).events == [
        MarkPrice(BTC, 1654161785818_000_000, 299_327),
        OpenInterest(BTC, 1654161785818_000_000, 55_979_131 * 10**8),
        Funding(BTC, 1654161785818_000_000, 0, 8),
    ]


@pytest.mark.recorded
def test_real_stretch_of_options_is_none_of_ours() -> None:
    read = read_all(dialect(), (m for _, m in replayed("deribit", "replay_20210405T174736Z_option_tickers.jsonl")))

    assert (read.events, read.rejected) == ([], [])
    assert read.ignored == {"book": 30, "other instrument": 273}


@pytest.mark.recorded
def test_real_list_of_instruments_tells_the_futures() -> None:
    bodies = captured("deribit", "instruments.rest.jsonl").read_bytes().splitlines()
    made, into = dialect(), Reading()

    read_answer(made, made.polls[0], bodies[0], RECEIVE_NS, into)

    assert not into.rejected
    assert VenueListing("BTC-PERPETUAL", Fraction(1, 10), Fraction(1, 2), 100, True) in into.listings
    assert into.ignored["option"] == 398 - len(into.listings)

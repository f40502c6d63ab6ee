"""Messages of Bitfinex, made up from the documents and real ones."""

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
from liqscape.feeds.venues.bitfinex import BITFINEX
from liqscape.feeds.venues.dialect import Dialect, Reading, VenueListing, read_answer
from tests.unit.feeds.venues.captured import RECEIVE_NS, captured, listing, messages, read_all
from tests.unit.feeds.venues.checks import (
    assert_sound,
    assert_survives,
    assert_survives_real,
    mutations,
    normalised,
    read_page,
    recorded_messages,
    tally,
)

NAME = "tBTCF0:USTF0"

BTC = f"bitfinex:{NAME}"

TRADES = {"event": "subscribed", "channel": "trades", "chanId": 10, "symbol": NAME}
STATUS = {"event": "subscribed", "channel": "status", "chanId": 11, "key": f"deriv:{NAME}"}
GLOBAL = {"event": "subscribed", "channel": "status", "chanId": 12, "key": "liq:global"}

EXECUTED = [10, "te", [647256282, 1616219711336, -0.00020449, 58244], 3, 1616219711400]
TOLD: list[Any] = [1795219200000, None, 65000.1, 65003.1, None, 37671483.0, None, 1795248000000, 0.00002, 317, None]
TOLD += [0.00001, None, None, 65001.27, None, None, 5775.2, None, None, None, 0.0005, 0.0025]
CLOSED = ["pos", 1, 1795219204000, None, NAME, 0.5, 66000.0, None, 0, 1, None, 64310.25]
SUBSCRIBED = [TRADES, STATUS, GLOBAL]
NAMED: list[Any] = [
    [{"channel": "trades", "symbol": NAME}, "te", EXECUTED[2]],
    [23916, "tu", EXECUTED[2], 11141, 1590593199986, "trades", "BTCF0:USTF0"],
    [23928, TOLD, 962044, 1590596820986, "status", "BTCF0:USTF0"],
    [386841, [CLOSED], 7, 1593566593351, "liquidations", "global"],
]


def perpetuals() -> Dialect:
    return BITFINEX.dialect([listing("bitfinex", NAME)])


def one(*said: object) -> Reading:
    return read_all(perpetuals(), [orjson.dumps(each) for each in said])


def test_trade_counts_when_it_is_executed_and_not_again() -> None:
    again = [10, "tu", *EXECUTED[2:]]

    read = one(*SUBSCRIBED, [10, [EXECUTED[2]], 1, 2], EXECUTED, again)

    assert read.events == [Trade(BTC, 1616219711336_000_000, 582_440, 20_449, TakerSide.SELL)]
    assert read.ignored == {"replayed trades": 1, "trade again": 1}


def test_status_tells_mark_open_interest_and_funding() -> None:
    time_ns = 1795219200000_000_000

    assert one(*SUBSCRIBED, [11, TOLD, 5, 1795219200300]).events == [
        MarkPrice(BTC, time_ns, 650_012),
        OpenInterest(BTC, time_ns, 57_752 * 10**7),
        Funding(BTC, time_ns, 10_000, 8),
    ]


def test_status_of_2019_tells_no_open_interest() -> None:
    read = one(*SUBSCRIBED, [11, TOLD[:15], 5, 1795219200300])

    assert [type(event) for event in read.events] == [MarkPrice, Funding]


def test_trigger_of_a_liquidation_counts_at_the_price_acquired() -> None:
    execution = [*CLOSED[:8], 1, *CLOSED[9:]]
    short = [*CLOSED[:5], -8.6, *CLOSED[6:]]

    read = one(*SUBSCRIBED, [12, [CLOSED, execution, short], 7, 1795219204100])

    assert read.events == [
        Liquidation(BTC, 1795219204000_000_000, 643_102, 50_000_000, PositionSide.LONG, PrintPrice.FILL),
        Liquidation(BTC, 1795219204000_000_000, 643_102, 860_000_000, PositionSide.SHORT, PrintPrice.FILL),
    ]
    assert read.ignored == {"execution of a liquidation": 1}


def test_liquidation_without_a_price_is_at_the_last_mark_or_refused() -> None:
    row = [*CLOSED[:11], None]

    unknown = one(*SUBSCRIBED, [12, [row], 7, 1])
    known = one(*SUBSCRIBED, [11, TOLD, 5, 1], [12, [row], 7, 1])

    assert [each.reason for each in unknown.rejected] == ["liquidation without a price"]
    assert known.events[3:] == [
        Liquidation(BTC, 1795219204000_000_000, 650_012, 50_000_000, PositionSide.LONG, PrintPrice.UNKNOWN)
    ]


def test_channels_are_known_by_their_number_or_by_the_name_a_recorder_gave() -> None:
    read = one(*NAMED, [99, TOLD, 5, 1], [99, "hb", 6, 1])

    assert [type(event) for event in read.events] == [Trade, MarkPrice, OpenInterest, Funding, Liquidation]
    assert [each.reason for each in read.rejected] == ["channel without a subscription"]
    assert read.heartbeats == 1


def test_bad_row_takes_no_good_one_with_it() -> None:
    rows = [[*CLOSED[:5], 0, *CLOSED[6:]], CLOSED, CLOSED[:4], [*CLOSED[:2], "x", *CLOSED[3:]]]

    read = one(*SUBSCRIBED, [12, rows, 7, 1])

    assert (len(read.events), len(read.rejected)) == (1, 3)


NUMBERED = [{"event": "conf", "status": "OK", "flags": 98_304}, *SUBSCRIBED]

SENT_MS = 1616219711400


def executed(number: int, at_ms: int = 0) -> list[Any]:
    return [10, "te", [647256282 + number, SENT_MS + at_ms - 64, 0.5, 58244], number, SENT_MS + at_ms]


def test_message_that_is_missing_is_a_gap_of_all_that_the_connection_tells() -> None:
    beat = [11, "hb", 4, SENT_MS + 20]

    read = one(*NUMBERED, executed(3), beat, executed(5, 30), executed(7, 90))

    lost_ms = SENT_MS + 60
    (gap,) = (event for event in read.events if isinstance(event, Gap))
    assert (gap.instrument_id, gap.reason) == (BTC, "messages are missing")
    assert gap.from_ns <= (lost_ms - 2_300) * 10**6 < lost_ms * 10**6 < gap.to_ns
    assert sum(isinstance(event, Trade) for event in read.events) == 3


def test_gap_names_what_the_connection_is_subscribed_to() -> None:
    other, conf = "tETHF0:USTF0", NUMBERED[0]
    two = [listing("bitfinex", NAME), listing("bitfinex", other)]

    def told(*subscriptions: object) -> set[str]:
        said = [conf, *subscriptions, executed(3), executed(5)]
        read = read_all(BITFINEX.dialect(two), [orjson.dumps(each) for each in said])
        return {event.instrument_id for event in read.events if isinstance(event, Gap)}

    assert told(TRADES, STATUS) == {BTC}
    assert told(TRADES, GLOBAL) == {BTC, f"bitfinex:{other}"}


def test_message_told_again_is_left_out_and_a_new_count_of_the_venue_is_not() -> None:
    read = one(*NUMBERED, executed(2003), executed(2004), executed(2003), executed(2005), executed(1))

    assert [type(event) for event in read.events] == [Trade, Trade, Trade, Gap, Trade]
    assert read.ignored == {"conf": 1, "message again": 1}


def test_numbers_that_begin_anew_early_in_a_connection_are_no_messages_told_again() -> None:
    read = one(*NUMBERED, executed(40, 10), executed(41, 20), executed(1, 30), executed(2, 40), executed(1, 30))

    assert [type(event) for event in read.events] == [Trade, Trade, Gap, Trade, Trade]
    assert read.ignored == {"conf": 1, "message again": 1}


@pytest.mark.parametrize("conf", [{"status": "OK", "flags": 65_536}, {"status": "ERROR", "flags": 98_304}, None])
def test_numbers_say_nothing_before_the_flags_for_them_are_confirmed(conf: dict[str, object] | None) -> None:
    first = [] if conf is None else [{"event": "conf", **conf}]

    read = one(*first, *SUBSCRIBED, executed(3), executed(9), executed(3))

    assert [type(event) for event in read.events] == [Trade] * 3


def test_message_without_a_number_is_taken_and_counted() -> None:
    read = one(*NUMBERED, executed(3), [*executed(4)[:3], None, None], executed(4))

    assert [type(event) for event in read.events] == [Trade] * 3
    assert read.ignored == {"conf": 1, "message without a number": 1}


@pytest.mark.recorded
def test_real_messages_of_one_connection_are_numbered_in_a_row() -> None:
    real = [orjson.loads(message) for message in messages("bitfinex", "liquidations.jsonl")]

    numbers = sorted(said[2] for said in real if said[0] == 907)

    assert numbers == [1206215, 1206216]


def test_every_channel_is_asked_once_and_confirmed() -> None:
    many = BITFINEX.dialect([listing("bitfinex", f"tX{number}F0:USTF0") for number in range(30)])

    for number, endpoint in enumerate(many.endpoints):
        first, *sent = [orjson.loads(text) for text in endpoint.subscribe]
        assert first["event"] == "conf"
        assert len(sent) == len(endpoint.acknowledgements) == (25, 24, 12)[number]
        confirmed = read_all(
            many,
            (orjson.dumps({**each, "event": "subscribed", "chanId": index}) for index, each in enumerate(sent)),
        ).acknowledged
        assert set(confirmed) == endpoint.acknowledgements


def test_control_messages_are_told_apart() -> None:
    read = one(
        {"event": "info", "version": 2},
        {"event": "pong", "cid": 1},
        {"event": "conf", "status": "OK"},
        {"event": "error", "msg": "subscribe: limit", "code": 10305},
    )

    assert (read.heartbeats, len(read.refused), read.ignored) == (2, 1, {"conf": 1})


def test_listings_tell_the_leverage() -> None:
    dialect, into = perpetuals(), Reading()
    facts = [None, None, None, "0.0001", "100", None, None, None, 0.01, 0.005]

    read_answer(dialect, dialect.polls[0], orjson.dumps([[["BTCF0:USTF0", facts], ["X"]]]), RECEIVE_NS, into)
    read_answer(dialect, dialect.polls[0], b'["error",11010,"ratelimit: error"]', RECEIVE_NS, into)

    assert into.listings == [VenueListing(NAME, Fraction(1), None, 100)]
    assert (len(into.rejected), len(into.refused)) == (1, 1)


def test_pages_of_the_past_hold_the_span_asked_for() -> None:
    assert BITFINEX.history is not None
    past = BITFINEX.history(listing("bitfinex", NAME))
    candles, interest = past.series
    rows = [[1795219200000, 65000.1, 65001, 65003, 64999.9, 2.5], [1795219260000, 1, 1, 1, 1, 1]]

    asked = past.request(candles, 1795219200_000_000_000, 1795219260_000_000_000)
    told = read_page(past, candles, rows)
    sampled = read_page(past, interest, [TOLD, TOLD[:10]])

    assert asked.url == f"https://api-pub.bitfinex.com/v2/candles/trade:1m:{NAME}/hist"
    assert asked.query == {"start": "1795219200000", "end": "1795219259999", "limit": "10000", "sort": "1"}
    assert told.events == [
        Candle(BTC, 1795219200000_000_000, 1795219260000_000_000, 650_001, 650_030, 649_999, 650_010, 250_000_000)
    ]
    assert told.ignored == {"outside the span asked for": 1}
    assert sampled.events == [OpenInterest(BTC, 1795219200000_000_000, 57_752 * 10**7)]
    assert len(sampled.rejected) == 1


@given(mutations(orjson.dumps(each) for each in [*NUMBERED, executed(3), executed(5), *NAMED]))
def test_no_mutation_of_a_message_raises_or_is_believed(message: bytes) -> None:
    assert_survives(perpetuals, message)


@pytest.mark.recorded
@given(st.data())
def test_no_mutation_of_a_real_message_raises_or_is_believed(data: st.DataObject) -> None:
    assert_survives_real(perpetuals, "bitfinex", data)


def _named(*names: str) -> Dialect:
    return BITFINEX.dialect([listing("bitfinex", f"t{name}F0:USTF0", price_decimals=12) for name in names])


@pytest.mark.recorded
def test_every_real_message_is_read_or_refused_with_a_reason() -> None:
    real = recorded_messages("bitfinex")

    read = read_all(_named("BTC", "ETH", "BTCDOM"), (message for _, message in real))

    events, rejected = tally(read)
    assert_sound(read)
    assert rejected == {"channel without a subscription": 3, "liquidation without a price": 1}
    assert events == {"Trade": 2, "Liquidation": 1, "MarkPrice": 1, "OpenInterest": 1, "Funding": 1}


@pytest.mark.recorded
def test_real_liquidations_agree_with_an_independent_reader() -> None:
    """On all but the price, which that reader takes from the entry."""
    expected = normalised("bitfinex", "liquidations.jsonl")
    real = list(messages("bitfinex", "liquidations.jsonl"))
    mark = orjson.dumps([1, TOLD, 1, 1, "status", "ETHF0:USTF0"])

    subscribed = orjson.dumps({**GLOBAL, "chanId": 386841})

    read = read_all(_named("BTC", "ETH"), [subscribed, mark, *real])
    found = [e for e in read.events if isinstance(e, Liquidation)]

    assert len(found) == 2
    assert [(e.quantity / 1e8, "sell" if e.position_side is PositionSide.LONG else "buy") for e in found] == [
        (each["amount"], each["side"]) for rows in expected.values() for each in rows
    ]


@pytest.mark.recorded
def test_real_page_of_the_status_is_read() -> None:
    assert BITFINEX.history is not None
    past = BITFINEX.history(listing("bitfinex", NAME))
    interest = past.series[1]
    body = captured("bitfinex", "open_interest.rest.jsonl").read_bytes().splitlines()[0]

    past.request(interest, 1706295180000_000_000, 1706295240000_000_000)

    assert read_page(past, interest, body).events == [OpenInterest(BTC, 1706295191000_000_000, 577_520_348_804)]

"""Messages of Hyperliquid, in the documented form and real ones."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given

from liqscape.events import Candle, Funding, Liquidation, MarkPrice, OpenInterest, PositionSide, TakerSide, Trade
from liqscape.feeds.venues.dialect import Completeness, Dialect, Listing, Reading, VenueListing, read_answer
from liqscape.feeds.venues.hyperliquid import HYPERLIQUID, HyperliquidHistory
from tests.unit.feeds.venues.captured import RECEIVE_NS, captured, listing, messages, read_all, replayed
from tests.unit.feeds.venues.hostile import check_hostile, mutations

BTC = "hyperliquid:BTC"

AT = 1795219204000_000_000

ROW = {"coin": "BTC", "side": "A", "px": "64310.0", "sz": "0.015", "time": 1795219204000, "hash": "0x", "tid": 300003}

CONTEXT = {"funding": "0.0000125", "openInterest": "27353.17", "oraclePx": "65003", "markPx": "65001.19"}

FILL = {
    "coin": "BTC",
    "px": "66653.0",
    "sz": "0.001",
    "side": "A",
    "time": 1795219204000,
    "startPosition": "-0.0213",
    "dir": "Open Short",
    "crossed": False,
    "liquidation": {"liquidatedUser": "0xAb", "markPx": "66607.0", "method": "market"},
}


def perpetual(name: str = "BTC", decimals: int = 1) -> Listing:
    return listing("hyperliquid", name, price_decimals=decimals)


def dialect() -> Dialect:
    return HYPERLIQUID.dialect([perpetual()])


def channel(name: str, data: object) -> dict[str, object]:
    return {"channel": name, "data": data}


def told(*said: object) -> Reading:
    return read_all(dialect(), [orjson.dumps(each) for each in said])


def test_first_trades_are_old_ones_and_those_after_count() -> None:
    other = {**ROW, "coin": "ETH"}

    read = told(channel("trades", [ROW, ROW, other]), channel("trades", [ROW, {**ROW, "side": "B"}]))

    assert read.events == [
        Trade(BTC, AT, 643_100, 1_500_000, TakerSide.SELL),
        Trade(BTC, AT, 643_100, 1_500_000, TakerSide.BUY),
    ]
    assert read.ignored == {"trade before the subscription": 2, "other instrument": 1}


def test_context_is_stamped_when_received() -> None:
    read = told(channel("activeAssetCtx", {"coin": "BTC", "ctx": CONTEXT}))

    assert read.events == [
        MarkPrice(BTC, RECEIVE_NS, 650_011),
        OpenInterest(BTC, RECEIVE_NS, 2_735_317_000_000),
        Funding(BTC, RECEIVE_NS, 12_500, 1),
    ]


def test_contexts_of_all_books_are_read_in_the_order_of_the_list_of_instruments() -> None:
    made, into = dialect(), Reading()
    universe = [{"name": "ETH", "maxLeverage": 25}, {"name": "BTC", "maxLeverage": 40, "isDelisted": True}]
    said = orjson.dumps(channel("allDexsAssetCtxs", {"ctxs": [["", [{}, CONTEXT]], ["xyz", [CONTEXT]]]}))

    early = read_all(made, [said])
    read_answer(made, made.polls[0], orjson.dumps({"universe": universe}), RECEIVE_NS, into)
    read = read_all(made, [said])

    assert early.ignored == {"contexts before the list of instruments": 1, "other book": 1}
    assert into.listings == [
        VenueListing("ETH", max_leverage=25),
        VenueListing("BTC", max_leverage=40, is_trading=False),
    ]
    assert len(read.events) == 3
    assert read.ignored == {"other instrument": 1, "other book": 1}


@pytest.mark.parametrize(
    ("account", "closed"), [("0xab", PositionSide.LONG), ("0xcd", PositionSide.SHORT), (None, PositionSide.SHORT)]
)
def test_fill_of_a_liquidation_tells_whose_position_was_closed(account: str | None, closed: PositionSide) -> None:
    data = {"fills": [FILL], **({} if account is None else {"user": account})}

    read = told(channel("user" if account is None else "userFills", data))

    assert read.events == [Liquidation(BTC, AT, 666_530, 100_000, closed, complete=False)]


def test_fills_that_tell_nothing_are_counted() -> None:
    plain = {key: value for key, value in FILL.items() if key != "liquidation"}
    unnamed = {**FILL, "liquidation": {"liquidatedUser": "0xab", "method": "backstop"}}

    read = told(
        channel("userFills", {"isSnapshot": True, "user": "0xab", "fills": [FILL, FILL]}),
        channel("userFills", {"user": "0xab", "fills": [plain, {**FILL, "coin": "@2"}]}),
        channel("user", {"funding": {}}),
        channel("user", {"fills": [unnamed]}),
    )

    assert not read.events
    assert read.ignored == {
        "fill before the subscription": 2,
        "fill of an account": 1,
        "other instrument": 1,
        "event of an account": 1,
    }
    assert [each.reason for each in read.rejected] == ["liquidation of an unnamed account"]
    assert HYPERLIQUID.liquidations is Completeness.NONE


def test_control_messages() -> None:
    made = dialect()
    confirmed = {"method": "subscribe", "subscription": {"type": "trades", "coin": "BTC"}}

    read = read_all(
        made,
        [
            orjson.dumps(channel("subscriptionResponse", confirmed)),
            b'{"channel":"pong"}',
            b'{"channel":"error","data":"Invalid subscription"}',
            b'{"channel":"l2Book","data":{"coin":"BTC"}}',
        ],
    )

    assert read.acknowledged == ["trades:BTC"]
    assert set(read.acknowledged) < made.endpoints[0].acknowledgements
    assert (read.heartbeats, read.refused, read.ignored) == (1, ["Invalid subscription"], {"l2Book": 1})


def test_bad_row_takes_no_good_one_with_it() -> None:
    rows = [ROW, {**ROW, "px": "0"}, {**ROW, "side": "C"}, {**ROW, "tid": 2}]

    read = told(channel("trades", [ROW]), channel("trades", rows))

    assert [each.reason for each in read.rejected] == ["price", "malformed"]
    assert len(read.events) == 2


def test_history_asks_for_spans_and_reads_candles_and_payments() -> None:
    past = HyperliquidHistory(perpetual())
    minute, _, funding = past.series
    start = 1_704_286_800 * 10**9
    row = {
        "T": 1704286859999,
        "c": "2226.4",
        "h": "2247.9",
        "l": "2224.6",
        "o": "2247.9",
        "t": 1704286800000,
        "v": "1.5",
    }
    paid = {"coin": "BTC", "fundingRate": "0.0000125", "premium": "0.00057962", "time": 1704290400031}
    into = Reading()

    asked = past.request(minute, start, start + 60 * 10**9)
    past.read_page(minute, orjson.dumps([row]), into)
    charged = past.request(funding, start + 3600 * 10**9, start + 7200 * 10**9)
    past.read_page(funding, orjson.dumps([paid, {**paid, "fundingRate": "9"}]), into)

    assert orjson.loads(asked.json or b"")["req"] == {
        "coin": "BTC",
        "interval": "1m",
        "startTime": 1704286800000,
        "endTime": 1704286859999,
    }
    assert (
        orjson.loads(charged.json or b"")["startTime"] <= paid["time"] <= orjson.loads(charged.json or b"")["endTime"]
    )
    assert into.events == [
        Candle(BTC, start, start + 60 * 10**9, 22_479, 22_479, 22_246, 22_264, 150_000_000),
        Funding(BTC, start, 12_500, 1),
    ]
    assert [each.reason for each in into.rejected] == ["funding rate"]


@given(
    mutations(
        [
            channel("trades", [ROW, {**ROW, "side": "B"}]),
            channel("activeAssetCtx", {"coin": "BTC", "ctx": CONTEXT}),
            channel("userFills", {"user": "0xab", "fills": [FILL]}),
            channel("allDexsAssetCtxs", {"ctxs": [["", [CONTEXT]]]}),
        ]
    )
)
def test_hostile_messages_raise_nothing_and_make_no_absurd_event(sent: list[bytes]) -> None:
    check_hostile(dialect, sent)


@pytest.mark.recorded
@pytest.mark.parametrize(
    ("file", "events"), [("trades.jsonl", 39), ("ticker.jsonl", 3), ("bbo.jsonl", 0), ("liquidations.jsonl", 1)]
)
def test_every_real_message_is_read(file: str, events: int) -> None:
    made = HYPERLIQUID.dialect([perpetual("BTC"), perpetual("MOODENG", 6)])

    read = read_all(made, messages("hyperliquid", file))

    assert not read.rejected
    assert len(read.events) == events


@pytest.mark.recorded
def test_real_books_are_none_of_ours_but_for_a_fixture_without_its_channel() -> None:
    read = read_all(dialect(), messages("hyperliquid", "book.jsonl"))

    assert read.ignored == {"l2Book": 3}
    assert [each.reason for each in read.rejected] == ["malformed"]  # a documentation's sample of the inner part


@pytest.mark.recorded
def test_real_contexts_of_all_books() -> None:
    (said, *_) = messages("hyperliquid", "ticker.jsonl")
    made, into = dialect(), Reading()
    (body,) = captured("hyperliquid", "instruments.rest.jsonl").read_bytes().splitlines()

    read_answer(made, made.polls[0], body, RECEIVE_NS, into)
    read = read_all(made, [said])

    assert len(into.listings) == 28
    assert read.events == [
        MarkPrice(BTC, RECEIVE_NS, 775_620),
        OpenInterest(BTC, RECEIVE_NS, 2_735_317_682_000),
        Funding(BTC, RECEIVE_NS, -1_519, 1),
    ]


@pytest.mark.recorded
def test_real_ticker_and_liquidation() -> None:
    made = HYPERLIQUID.dialect([perpetual("BTC"), perpetual("MOODENG", 6)])
    ticker = list(messages("hyperliquid", "ticker.jsonl"))[1]

    read = read_all(made, [ticker, *messages("hyperliquid", "liquidations.jsonl")])

    assert read.events == [
        MarkPrice("hyperliquid:MOODENG", RECEIVE_NS, 199_630),
        OpenInterest("hyperliquid:MOODENG", RECEIVE_NS, 18_617_460 * 10**8),
        Funding("hyperliquid:MOODENG", RECEIVE_NS, 48_630, 1),
        Liquidation(BTC, 1_781_528_065_899_000_000, 666_530, 100_000, PositionSide.SHORT, complete=False),
    ]


@pytest.mark.recorded
def test_real_stretch_gives_the_trades_after_the_repeated_ones() -> None:
    read = read_all(
        dialect(), (m for _, m in replayed("hyperliquid", "replay_20250126T191403Z_btc_trades_l2book.jsonl"))
    )

    assert not read.rejected
    assert read.ignored == {"l2Book": 46, "trade before the subscription": 30}
    assert len(read.events) == 34
    assert read.events[0] == Trade(BTC, 1_737_918_847_000_000_000, 1_050_560, 2_222_000, TakerSide.BUY)


@pytest.mark.recorded
def test_real_pages_of_the_past() -> None:
    candles = captured("hyperliquid", "klines.rest.jsonl").read_bytes().splitlines()[1]
    paid = captured("hyperliquid", "ticker.rest.jsonl").read_bytes().splitlines()[2]
    past, into = HyperliquidHistory(perpetual(decimals=6)), Reading()

    past.read_page(past.series[1], candles, into)
    past.read_page(past.series[2], paid, into)

    assert not into.rejected
    first = into.events[0]
    assert first == Candle(
        BTC, 1_684_699_200 * 10**9, 1_684_702_800 * 10**9, 1601, 1616, 1601, 1604, 520_665_683 * 10**8
    )
    assert Funding(BTC, 1_683_846_000 * 10**9, -613_340, 1) in into.events

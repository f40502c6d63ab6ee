"""What Hyperliquid states of accounts, made up and real."""

from __future__ import annotations

from fractions import Fraction

import orjson
import pytest
from hypothesis import given

from liqscape.errors import InvalidArgument, LiqscapeError
from liqscape.events import PositionSide
from liqscape.feeds.venues.accounts import ExactPosition, Provenance, Statement
from liqscape.feeds.venues.dialect import MAX_MESSAGE_BYTES, Reading
from liqscape.feeds.venues.hyperliquid_accounts import (
    AHEAD_NS,
    HyperliquidAccounts,
    address_of,
    read_parties,
    read_state,
    state_request,
)
from tests.unit.feeds.venues.captured import RECEIVE_NS, captured, messages
from tests.unit.feeds.venues.hostile import mutations

ADDRESS = "0x5e9ee1089755c3435139848e47e6635505d5a13a"

POSITION = {
    "coin": "BTC",
    "entryPx": "26951.0",
    "leverage": {"type": "isolated", "value": 20, "rawUsd": "-95.1"},
    "liquidationPx": "25998.69592357",
    "marginUsed": "10.582271",
    "positionValue": "211.64542",
    "szi": "0.00785",
}

STATE = {"assetPositions": [{"position": POSITION, "type": "oneWay"}], "time": 1795219204000}

STATED_NS = 1795219204000_000_000


def state(*positions: object) -> tuple[tuple[ExactPosition, ...], Reading]:
    into = Reading()
    body = orjson.dumps({**STATE, "assetPositions": [{"position": each} for each in positions]})
    return read_state(ADDRESS, body, STATED_NS, into).positions, into


def test_position_is_read_as_the_venue_states_it() -> None:
    (found,), into = state(POSITION)

    assert not into.rejected
    assert found == ExactPosition(
        coin="BTC",
        side=PositionSide.LONG,
        size=785_000,
        entry_price=Fraction(26951),
        leverage=20,
        is_cross=False,
        margin_used=Fraction("10.582271"),
        liquidation_price=Fraction("25998.69592357"),
        provenance=Provenance("clearinghouseState", ADDRESS, 1795219204000_000_000, False),
    )


def test_negative_size_is_a_short_and_no_liquidation_price_is_none() -> None:
    cross = {"type": "cross", "value": 3}

    (found,), _ = state({**POSITION, "szi": "-0.5", "liquidationPx": None, "leverage": cross})

    assert (found.side, found.size, found.liquidation_price) == (PositionSide.SHORT, 50_000_000, None)
    assert found.is_cross


@pytest.mark.parametrize(
    "change",
    [
        {"szi": "0"},
        {"szi": "x"},
        {"entryPx": "-1"},
        {"liquidationPx": "0"},
        {"leverage": {"type": "cross", "value": 0}},
        {"leverage": {"type": "other", "value": 3}},
        {"coin": None},
    ],
)
def test_bad_position_is_counted_and_takes_no_good_one_with_it(change: dict[str, object]) -> None:
    found, into = state(POSITION, {**POSITION, "coin": "SOL", **change}, {**POSITION, "coin": "ETH"})

    assert [each.coin for each in found] == ["BTC", "ETH"]
    assert len(into.rejected) == 1


def test_second_position_of_a_coin_is_refused_for_it_would_count_twice() -> None:
    found, into = state(POSITION, {**POSITION, "szi": "-3"})

    assert [each.size for each in found] == [785_000]
    assert [each.reason for each in into.rejected] == ["second position of a coin"]


@pytest.mark.parametrize(("ahead_ns", "is_taken"), [(AHEAD_NS, True), (AHEAD_NS + 1, False)])
def test_statement_of_a_time_to_come_is_not_believed(ahead_ns: int, is_taken: bool) -> None:
    into = Reading()

    found = HyperliquidAccounts().read(ADDRESS, orjson.dumps(STATE), STATED_NS - ahead_ns, into)

    assert (found is not None) is is_taken
    assert [each.reason for each in into.rejected] == ([] if is_taken else ["statement of a time to come"])


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{}", b'{"assetPositions": 3}'])
def test_answer_that_is_no_state_is_counted_and_states_nothing(body: bytes) -> None:
    into = Reading()

    assert HyperliquidAccounts().read(ADDRESS, body, STATED_NS, into) is None
    assert len(into.rejected) == 1


def test_answer_that_is_too_large_is_not_read() -> None:
    into, body = Reading(), orjson.dumps(STATE)

    assert HyperliquidAccounts().read(ADDRESS, body.ljust(MAX_MESSAGE_BYTES), STATED_NS, into) is not None
    assert HyperliquidAccounts().read(ADDRESS, body.ljust(MAX_MESSAGE_BYTES + 1), STATED_NS, into) is None
    assert [each.reason for each in into.rejected] == ["too large"]


def test_account_that_holds_nothing_states_so() -> None:
    found = HyperliquidAccounts().read(ADDRESS, orjson.dumps({**STATE, "assetPositions": []}), STATED_NS, Reading())

    assert found == Statement(Provenance("clearinghouseState", ADDRESS, STATED_NS, False), ())


def test_message_of_a_stream_that_names_nobody_has_no_parties_and_a_broken_one_is_counted() -> None:
    into, accounts = Reading(), HyperliquidAccounts()

    assert accounts.parties(b'{"channel":"activeAssetCtx","data":{}}', into) == ()
    assert not into.rejected
    assert accounts.parties(b'{"channel":"trades","data":{"users":3}', into) == ()
    assert accounts.parties(b'{"channel":"other","data":{"users":3}}', into) == ()
    assert [each.reason for each in into.rejected] == ["malformed", "no trades"]


@pytest.mark.parametrize("text", ["", "0x12", "0x" + "g" * 40, "1x" + "0" * 40, "0x" + "0" * 41])
def test_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="40 hexadecimal"):
        address_of(text)


def test_request_names_the_address_in_small_letters() -> None:
    request = state_request(ADDRESS.upper().replace("0X", "0x"))

    assert orjson.loads(request.json or b"") == {"type": "clearinghouseState", "user": ADDRESS}


def test_trades_name_their_parties_and_those_that_do_not_are_counted() -> None:
    row = {"coin": "BTC", "px": "64310.0", "sz": "0.015", "time": 1795219204000, "users": [ADDRESS, "0x" + "A" * 40]}
    into = Reading()
    rows = [row, {**row, "users": ["0x1", "0x2"]}, {**row, "sz": "0"}, {k: v for k, v in row.items() if k != "users"}]

    (found,) = read_parties(orjson.dumps({"channel": "trades", "data": rows}), into)

    assert (found.buyer, found.seller) == (ADDRESS, "0x" + "a" * 40)
    assert (found.coin, found.price, found.size) == ("BTC", Fraction(64310), 1_500_000)
    assert [each.reason for each in into.rejected] == ["address", "trade"]
    assert into.ignored == {"trade that names nobody": 1}


@given(mutations([STATE, {"assetPositions": [{"position": POSITION}, {"position": {**POSITION, "szi": "-3"}}]}]))
def test_hostile_states_give_positions_in_their_bounds_or_an_error_of_the_kinds_told(sent: list[bytes]) -> None:
    for body in sent:
        into = Reading()
        try:
            found = read_state(ADDRESS, body, STATED_NS, into).positions
        except (LiqscapeError, KeyError, ValueError, TypeError, AttributeError):
            continue
        for each in found:
            assert 0 < each.size < 2**62
            assert each.entry_price > 0
            assert each.liquidation_price is None or each.liquidation_price > 0


TRADES = {
    "channel": "trades",
    "data": [
        {"coin": "BTC", "px": "64310.0", "sz": "0.015", "time": 1795219204000, "users": [ADDRESS, "0x" + "A" * 40]}
    ],
}


@given(mutations([STATE, TRADES]))
def test_hostile_answers_and_messages_are_counted_and_nothing_is_raised(sent: list[bytes]) -> None:
    accounts = HyperliquidAccounts()
    for body in sent:
        into = Reading()
        statement = accounts.read(ADDRESS, body, STATED_NS, into)
        assert (statement is None) <= bool(into.rejected)
        for trade in accounts.parties(body, into):
            assert trade.price > 0
            assert trade.size > 0
            assert {accounts.address_of(trade.buyer), accounts.address_of(trade.seller)} == {trade.buyer, trade.seller}


@pytest.mark.recorded
def test_real_state_of_an_account() -> None:
    (body,) = captured("hyperliquid", "user_state.rest.jsonl").read_bytes().splitlines()
    into = Reading()

    found = read_state(ADDRESS, body, RECEIVE_NS, into).positions

    assert not into.rejected
    assert len(found) == 12
    assert found[0] == ExactPosition(
        coin="BTC",
        side=PositionSide.SHORT,
        size=785_000,
        entry_price=Fraction(26951),
        leverage=20,
        is_cross=True,
        margin_used=Fraction("10.582271"),
        liquidation_price=Fraction("173198.69592357"),
        provenance=Provenance("clearinghouseState", ADDRESS, RECEIVE_NS, True),
    )
    assert [each.coin for each in found if each.liquidation_price is None] == [
        each.coin for each in found if each.side is PositionSide.LONG
    ]


@pytest.mark.recorded
def test_real_trades_name_their_parties() -> None:
    into = Reading()

    found = [each for said in messages("hyperliquid", "trades.jsonl") for each in read_parties(said, into)]

    assert not into.rejected
    assert len(found) == 64
    assert into.ignored == {"trade that names nobody": 5}
    assert found[0].buyer == "0xe9ed7e16612d676df804f5aecd16e1f9bf9ec9dd"

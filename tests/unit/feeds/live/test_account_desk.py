"""Whom a venue is asked about, in which order, and what becomes of the answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

import orjson
import pytest

from liqscape.events import STATEMENT_HOLDS_NS, Event, PositionSide, PositionStatement
from liqscape.feeds.exact import AccountsStatus
from liqscape.feeds.live.account_book import FORGET_NS
from liqscape.feeds.live.account_desk import ASK_EVERY_S, MISSED_ROUNDS, AccountDesk, Following
from liqscape.feeds.live.stated_events import AccountEvents
from liqscape.feeds.venues.hyperliquid_accounts import HyperliquidAccounts
from tests.unit.feeds.venues.captured import captured, listing

T0 = 1_795_219_204_000_000_000
LISTINGS = (listing("hyperliquid", "BTC"), listing("hyperliquid", "ETH", symbol="ETH"))


def address(number: int) -> str:
    return f"0x{number:040x}"


def desk(named: Sequence[int] = (), find: int = 0) -> AccountDesk:
    return AccountDesk("hyperliquid", HyperliquidAccounts(), LISTINGS, [address(n) for n in named], find)


def state(time_ns: int, sizes: Mapping[str, str], liquidation_price: str | None = "59240.51") -> bytes:
    """Return an answer of the venue: signed sizes by coin."""
    rows = [
        {
            "coin": coin,
            "szi": size,
            "entryPx": "65000",
            "leverage": {"type": "cross", "value": 10},
            "liquidationPx": liquidation_price,
            "marginUsed": "1",
        }
        for coin, size in sizes.items()
    ]
    return orjson.dumps({"assetPositions": [{"position": row} for row in rows], "time": time_ns // 1_000_000})


def trades(*rows: tuple[str, int, int, str]) -> bytes:
    """Return a message of trades: (coin, buyer, seller, size)."""
    data = [
        {"coin": coin, "px": "65000", "sz": size, "time": T0 // 1_000_000, "users": [address(buyer), address(seller)]}
        for coin, buyer, seller, size in rows
    ]
    return orjson.dumps({"channel": "trades", "data": data})


def asked(desk: AccountDesk, times: Sequence[float]) -> list[int | None]:
    """Return whom the desk wants asked at each time, each being asked then."""
    found: list[int | None] = []
    for now_s in times:
        who = desk.next(now_s)
        found.append(None if who is None else int(who, 16))
        if who is not None:
            desk.ask(who, now_s)
    return found


def test_accounts_are_asked_round_robin_and_none_sooner_than_a_minute_after_its_last_question() -> None:
    followed = desk((1, 2, 3))

    assert asked(followed, (0, 1, 2, 3)) == [1, 2, 3, None]
    assert asked(followed, (ASK_EVERY_S - 0.1, ASK_EVERY_S, ASK_EVERY_S + 0.5, ASK_EVERY_S + 9)) == [None, 1, None, 2]
    assert asked(followed, (ASK_EVERY_S + 10, ASK_EVERY_S + 11)) == [3, None]


def test_nobody_is_asked_about_where_nobody_is_followed() -> None:
    assert desk().next(5.0) is None


def test_accounts_that_come_and_go_do_not_keep_named_ones_waiting() -> None:
    followed = desk((1,), find=1)
    asked(followed, (0,))

    wanted: list[int | None] = []
    for number in range(100):  # each found, asked about, and found to hold nothing
        followed.overhear(trades(("BTC", 1000 + number, 1000 + number, "1")))
        now_s = 1.0 + number
        wanted += asked(followed, (now_s,))
        followed.answer(address(1000 + number), state(T0, {}), T0)

    assert [1.0 + at for at, who in enumerate(wanted) if who == 1] == [ASK_EVERY_S]


def test_answer_becomes_a_view_without_addresses() -> None:
    followed = desk((1, 2))
    asked(followed, (0, 1))

    followed.answer(address(1), state(T0, {"BTC": "0.00785", "DOGE": "3"}), T0)
    followed.answer(address(2), state(T0 + 10**6, {"ETH": "-2"}, None), T0)
    view = followed.view(T0)

    assert view.venue == "hyperliquid"
    assert [(p.account, p.instrument_id, p.side, p.quantity, p.liquidation_price) for p in view.positions] == [
        (1, "hyperliquid:BTC", PositionSide.LONG, 785_000, Fraction("59240.51")),
        (2, "hyperliquid:ETH", PositionSide.SHORT, 200_000_000, None),
    ]
    assert "0x" not in repr(view) + repr(followed.status(T0))


def test_every_account_is_in_one_state_fresh_stale_refused_or_waiting() -> None:
    followed = desk((1, 2, 3, 4))
    asked(followed, (0, 1, 2, 3))
    followed.answer(address(1), state(T0, {"BTC": "1"}), T0)
    stale_ns = int(MISSED_ROUNDS * ASK_EVERY_S * 1e9)
    followed.answer(address(2), state(T0 + 10**9, {"BTC": "1"}), T0)
    followed.refuse(address(3), "HTTP 422")

    at_once, later = followed.status(T0 + stale_ns), followed.status(T0 + stale_ns + 1)

    assert (at_once.fresh, at_once.stale, at_once.refused, at_once.waiting) == (2, 0, 1, 1)
    assert (later.fresh, later.stale, later.refused, later.waiting) == (1, 1, 1, 1)
    assert later == AccountsStatus(
        named=4,
        fresh=1,
        stale=1,
        refused=1,
        waiting=1,
        statements=2,
        positions=2,
        oldest_ns=T0,
        rejected={"HTTP 422": 1},
    )


def test_round_of_many_accounts_is_what_the_budget_allows() -> None:
    few, many = desk(range(1, 100)), desk(range(1, 501))

    assert few.round_s == ASK_EVERY_S
    assert many.round_s == pytest.approx(250.0)  # 500 accounts x 2 of 240 a minute


def test_refused_account_keeps_its_last_statement_and_an_answer_clears_it() -> None:
    followed = desk((1,))
    asked(followed, (0,))
    followed.answer(address(1), state(T0, {"BTC": "1"}), T0)

    followed.answer(address(1), b"null", T0)

    assert followed.status(T0).refused == 1
    assert dict(followed.status(T0).rejected) == {"malformed": 1}
    assert len(followed.view(T0).positions) == 1
    followed.answer(address(1), state(T0 + 10**6, {"BTC": "2"}), T0)
    assert (followed.status(T0).refused, followed.status(T0).fresh) == (0, 1)


def test_position_too_old_to_count_leaves_the_view_and_is_counted() -> None:
    followed = desk((1,))
    asked(followed, (0,))
    followed.answer(address(1), state(T0, {"BTC": "1"}), T0)

    assert followed.view(T0 + FORGET_NS).positions == ()
    status = followed.status(T0 + FORGET_NS)
    assert (status.stale, status.positions, dict(status.rejected)) == (1, 0, {"too old to count": 1})


def test_older_answer_is_counted_and_not_taken() -> None:
    followed = desk((1,))
    asked(followed, (0,))
    followed.answer(address(1), state(T0, {"BTC": "1"}), T0)

    followed.answer(address(1), state(T0 - 10**9, {"BTC": "2"}), T0)

    assert [p.quantity for p in followed.view(T0).positions] == [10**8]
    assert dict(followed.status(T0).rejected) == {"older than what is known": 1}


def test_traders_of_wanted_coins_are_found_and_one_that_loses_its_place_is_forgotten() -> None:
    followed = desk((1,), find=2)
    followed.overhear(trades(("BTC", 1, 2, "1"), ("ETH", 3, 3, "2"), ("DOGE", 9, 9, "1000")))
    assert asked(followed, (0, 0, 0, 0)) == [1, 2, 3, None]
    followed.answer(address(2), state(T0, {"BTC": "5"}), T0)

    followed.overhear(trades(("BTC", 4, 4, "3")))

    assert followed.view(T0).positions == ()
    assert (followed.status(T0).named, followed.status(T0).found) == (1, 2)
    assert asked(followed, (1,)) == [4]
    followed.answer(address(2), state(T0, {"BTC": "5"}), T0)  # was under way
    followed.refuse(address(2), "HTTP 422")
    assert followed.view(T0).positions == ()
    assert dict(followed.status(T0).rejected) == {}


def test_found_account_that_holds_nothing_frees_its_place_and_a_named_one_stays() -> None:
    followed = desk((1,), find=1)
    followed.overhear(trades(("BTC", 2, 2, "7")))
    asked(followed, (0, 0))

    followed.answer(address(1), state(T0, {}), T0)
    followed.answer(address(2), state(T0, {"DOGE": "5"}), T0)

    assert (followed.status(T0).named, followed.status(T0).found) == (1, 0)
    followed.overhear(trades(("BTC", 3, 3, "0.1")))
    assert followed.status(T0).found == 1


def test_messages_are_shown_only_where_accounts_are_to_be_found() -> None:
    assert not desk((1,)).overhears
    assert desk((), find=1).overhears


def test_message_that_cannot_be_read_is_counted_by_reason() -> None:
    followed = desk((), find=1)

    followed.overhear(trades(("BTC", 1, 2, "-1")))
    followed.overhear(b'{"channel":"activeAssetCtx"}')

    assert dict(followed.status(T0).rejected) == {"trade": 1}


@pytest.mark.recorded
def test_real_statement_of_an_account_is_served_as_two_positions_one_without_a_price() -> None:
    (body,) = captured("hyperliquid", "user_state.rest.jsonl").read_bytes().splitlines()
    followed = desk((1,))
    asked(followed, (0,))

    followed.answer(address(1), body, T0)

    positions = followed.view(T0).positions
    assert [(p.instrument_id, p.liquidation_price is None) for p in positions] == [
        ("hyperliquid:BTC", False),
        ("hyperliquid:ETH", True),
    ]
    assert followed.status(T0).fresh == 1


def statements(told: Sequence[Event]) -> list[tuple[str, int, PositionSide, int, int | None, bool]]:
    """Return instrument, account, side, quantity, price and whether it is followed, of each event."""
    found = []
    for event in told:
        assert isinstance(event, PositionStatement)
        name, side = event.instrument_id, event.side
        found.append((name, event.account, side, event.quantity, event.liquidation_price, event.followed))
    return found


def test_first_answer_tells_the_model_of_every_instrument_and_later_ones_of_what_changed() -> None:
    told: list[Event] = []
    followed = AccountDesk("hyperliquid", HyperliquidAccounts(), LISTINGS, [address(1)], 0, told.extend, b"key")
    number = AccountEvents((), b"key").number_of(address(1))

    followed.answer(address(1), state(T0, {"BTC": "-0.5"}), T0)
    first, told[:] = statements(told), []
    followed.answer(address(1), state(T0 + 10**9, {"ETH": "2"}, None), T0)
    second, told[:] = statements(told), []
    followed.answer(address(1), state(T0, {"BTC": "1"}), T0)  # older than what is known

    assert first == [
        ("hyperliquid:ETH", number, PositionSide.LONG, 0, None, True),
        ("hyperliquid:BTC", number, PositionSide.SHORT, 50_000_000, 5_924_051_000_000, True),
    ]
    assert second == [
        ("hyperliquid:BTC", number, PositionSide.LONG, 0, None, True),
        ("hyperliquid:ETH", number, PositionSide.LONG, 200_000_000, None, True),
    ]
    assert told == []


def test_first_answer_of_an_account_names_no_empty_instrument_once_nothing_older_can_be_known() -> None:
    told: list[Event] = []
    followed = AccountDesk(
        "hyperliquid", HyperliquidAccounts(), LISTINGS, [address(n) for n in (1, 2, 3)], 0, told.extend
    )
    counts: list[int] = []

    for number, after_ns in ((1, 0), (2, STATEMENT_HOLDS_NS - 10**9), (3, STATEMENT_HOLDS_NS)):
        followed.answer(address(number), state(T0 + after_ns, {"BTC": "1"}), T0 + after_ns)
        counts.append(len(told))
        told.clear()

    assert counts == [2, 2, 1]


def test_position_that_cannot_be_read_is_neither_closed_nor_stated_again() -> None:
    told: list[Event] = []
    followed = AccountDesk("hyperliquid", HyperliquidAccounts(), LISTINGS, [address(1)], 0, told.extend)
    followed.answer(address(1), state(T0, {"BTC": "1", "ETH": "2"}), T0)
    told.clear()

    followed.answer(address(1), state(T0 + 10**9, {"BTC": "NaN"}), T0)

    assert [(name, quantity) for name, _, _, quantity, _, _ in statements(told)] == [("hyperliquid:ETH", 0)]
    assert [(p.instrument_id, p.stated_ns) for p in followed.view(T0).positions] == [("hyperliquid:BTC", T0)]
    assert sum(followed.status(T0).rejected.values()) == 1
    told.clear()
    followed.answer(address(1), state(T0 + 2 * 10**9, {}), T0)
    assert [(name, quantity) for name, _, _, quantity, _, _ in statements(told)] == [("hyperliquid:BTC", 0)]


def test_position_that_could_not_be_read_for_an_hour_is_held_no_more_and_not_told_to_be_closed() -> None:
    told: list[Event] = []
    followed = AccountDesk("hyperliquid", HyperliquidAccounts(), LISTINGS, [address(1)], 0, told.extend)
    followed.answer(address(1), state(T0, {"BTC": "1"}), T0)
    told.clear()

    followed.answer(address(1), state(T0 + FORGET_NS - 10**9, {"BTC": "NaN"}), T0 + FORGET_NS)
    young = len(followed.view(T0 + FORGET_NS).positions)
    followed.answer(address(1), state(T0 + FORGET_NS, {"BTC": "NaN"}), T0 + FORGET_NS)

    assert (young, followed.view(T0 + FORGET_NS).positions) == (1, ())
    assert told == []


def test_found_account_that_loses_its_place_is_given_up_where_it_holds_something() -> None:
    told: list[Event] = []
    followed = AccountDesk("hyperliquid", HyperliquidAccounts(), LISTINGS, [], 1, told.extend)
    followed.overhear(trades(("BTC", 5, 5, "1")))
    followed.answer(address(5), state(T0, {"BTC": "1"}), T0)
    told.clear()

    followed.overhear(trades(("BTC", 6, 6, "2")))

    ((name, account, side, quantity, price, is_followed),) = statements(told)
    assert (name, side, quantity, price, is_followed) == ("hyperliquid:BTC", PositionSide.LONG, 0, None, False)
    assert 0 <= account < 1 << 63
    assert told[0].time_ns == T0  # type: ignore[union-attr]


def test_number_of_an_account_is_that_of_its_key_alone() -> None:
    one, same, other = AccountEvents((), b"a"), AccountEvents((), b"a"), AccountEvents((), b"b")

    assert one.number_of(address(1)) == same.number_of(address(1))
    assert (
        len({e.number_of(address(n)) for e in (one, other, AccountEvents(()), AccountEvents(())) for n in (1, 2)}) == 8
    )
    assert address(1) not in repr(vars(one))
    assert "a" * 40 not in repr(Following("hyperliquid", (), 1, b"a" * 40))

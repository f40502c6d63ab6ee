"""Accounts that trades name: the largest traders, so many at most, whatever is heard twice."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest

from liqscape.feeds.live.found_accounts import FoundAccounts
from liqscape.feeds.venues.accounts import TradeParties
from liqscape.feeds.venues.dialect import Reading
from liqscape.feeds.venues.hyperliquid_accounts import HyperliquidAccounts
from tests.unit.feeds.venues.captured import messages


def trade(buyer: str, seller: str, size: int, price: int = 65_000) -> TradeParties:
    return TradeParties("BTC", buyer, seller, Fraction(price), size, 0)


def test_larger_trade_takes_the_place_of_the_smallest_and_an_equal_one_does_not() -> None:
    found = FoundAccounts(2, ())
    found.see(trade("a", "b", 10))
    found.see(trade("b", "b", 20))

    assert found.see(trade("c", "c", 10)) == []
    assert found.see(trade("d", "d", 11)) == ["a"]
    assert set(found) == {"b", "d"}
    assert found.see(trade("e", "e", 12)) == ["d"]
    assert len(found) == 2


def test_smallest_that_has_traded_more_since_keeps_its_place() -> None:
    found = FoundAccounts(2, ())
    found.see(trade("a", "a", 10))
    found.see(trade("b", "b", 20))
    assert found.see(trade("c", "c", 1)) == []

    found.see(trade("a", "a", 30))

    assert found.see(trade("d", "d", 25)) == ["b"]


def test_rank_is_by_notional_not_by_size() -> None:
    found = FoundAccounts(1, ())
    found.see(trade("a", "a", 10, price=65_000))

    assert found.see(trade("b", "b", 1000, price=1)) == []
    assert list(found) == ["a"]


def test_named_accounts_take_no_place() -> None:
    found = FoundAccounts(1, {"a"})

    found.see(trade("a", "b", 10))

    assert list(found) == ["b"]
    assert "a" not in found


def test_nobody_is_found_where_none_is_wanted() -> None:
    found = FoundAccounts(0, ())

    assert found.see(trade("a", "b", 10)) == []
    assert len(found) == 0


def test_freed_place_is_taken_by_the_next() -> None:
    found = FoundAccounts(1, ())
    found.see(trade("a", "a", 10))

    found.drop("a")
    found.see(trade("b", "b", 1))

    assert list(found) == ["b"]


def test_found_are_those_with_the_largest_trades_also_when_everything_is_heard_twice() -> None:
    draw = random.Random(5)
    trades = [trade(f"{draw.randrange(40)}", f"{draw.randrange(40)}", size) for size in draw.sample(range(10**6), 400)]
    largest: dict[str, int] = {}
    for each in trades:
        for who in (each.buyer, each.seller):
            largest[who] = max(largest.get(who, 0), each.size)

    found = FoundAccounts(7, ())
    for each in trades:
        found.see(each)
        found.see(each)

    # A place that was lost is won back only by another trade: the smallest of those kept bounds all that are not.
    kept = min(largest[who] for who in found)
    assert len(found) == 7
    assert sum(size > kept for size in largest.values()) < 7


@pytest.mark.recorded
def test_real_trades_name_the_largest_traders() -> None:
    into, found = Reading(), FoundAccounts(3, ())
    trades = [t for said in messages("hyperliquid", "trades.jsonl") for t in HyperliquidAccounts().parties(said, into)]

    for each in trades:
        found.see(each)

    top = max(trades, key=lambda each: each.price * each.size)
    assert len(trades) == 64
    assert {top.buyer, top.seller} <= set(found)
    assert len(found) == 3

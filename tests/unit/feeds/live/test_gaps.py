"""Holes, rejections, the inbox and mirrors: what is told of what was not heard, and once."""

from __future__ import annotations

from dataclasses import replace

from liqscape.events import Gap, MarkPrice, OpenInterest, PositionSide, PositionStatement, TakerSide, Trade
from liqscape.feeds.live.holes import PIECE_NS, Hole, Rejections
from liqscape.feeds.live.inbox import BEHIND, Inbox
from liqscape.feeds.live.mirrors import LEAST_TRADES, LOOK_NS, SAMPLED_SECONDS, SECOND_NS, MirrorWatch
from liqscape.instruments import find_instrument

BTC = find_instrument("binance:BTCUSDT")


def trade(number: int, name: str = "a:X", size: int = 1) -> Trade:
    return Trade(name, number, 650_000, size, TakerSide.BUY)


def test_a_hole_is_told_in_pieces_that_join_without_overlap() -> None:
    hole = Hole(("a:X", "a:Y"), 100, "disconnected")

    told = [*hole.go_on(100 + PIECE_NS - 1), *hole.go_on(100 + PIECE_NS), *hole.end(200 + PIECE_NS)]

    assert [(g.instrument_id, g.from_ns, g.to_ns) for g in told] == [
        ("a:X", 100, 100 + PIECE_NS),
        ("a:Y", 100, 100 + PIECE_NS),
        ("a:X", 100 + PIECE_NS, 200 + PIECE_NS),
        ("a:Y", 100 + PIECE_NS, 200 + PIECE_NS),
    ]


def test_a_hole_that_ends_before_it_begins_by_the_venues_clock_is_told_all_the_same() -> None:
    (gap,) = Hole(("a:X",), 100, "connecting").end(40)

    assert (gap.from_ns, gap.to_ns) == (100, 101)


def test_rejections_become_one_gap_of_an_instrument_and_reason() -> None:
    gathered = Rejections()
    gathered.add("a:X", "late", 50, 51)
    gathered.add("a:X", "late", 20, 30)
    gathered.add("a:X", "malformed", 70, 71, count=0)

    assert gathered.take() == [Gap("a:X", 20, 51, "late", 2), Gap("a:X", 70, 71, "malformed", 0)]
    assert gathered.take() == []


def test_inbox_returns_venue_time_order_and_keeps_the_order_of_equal_times() -> None:
    inbox = Inbox()
    inbox.put([trade(5), trade(3, size=1), trade(3, size=2)])
    inbox.put([MarkPrice("a:X", 4, 1), Gap("a:X", 1, 9, "disconnected")])

    assert inbox.take() == [
        Gap("a:X", 1, 9, "disconnected"),
        trade(3, size=1),
        trade(3, size=2),
        MarkPrice("a:X", 4, 1),
        trade(5),
    ]
    assert inbox.take() == []


def test_what_does_not_fit_the_inbox_is_announced_with_its_span_and_count() -> None:
    inbox = Inbox(limit=2)
    inbox.put([trade(1), trade(2), trade(3), OpenInterest("a:Y", 7, 1)])
    inbox.put([trade(9), Gap("a:X", 11, 20, "disconnected", 4)])

    taken = inbox.take()

    assert taken == [trade(1), trade(2), Gap("a:X", 3, 20, BEHIND, 6), Gap("a:Y", 7, 8, BEHIND, 1)]
    assert inbox.dropped == 4
    inbox.put([trade(30)])
    assert inbox.take() == [trade(30)]


def same_trades(watch: MirrorWatch, shift_ns: int = 0) -> None:
    """Let two venues show LEAST_TRADES trades, one of them so much later."""
    coin = replace(BTC, venue="coin")
    for number in range(LEAST_TRADES):
        at_ns = SAMPLED_SECONDS * SECOND_NS * 1000 + number * 1_000_000
        watch.see(BTC, trade(at_ns, BTC.instrument_id, size=number + 1))
        watch.see(coin, trade(at_ns + shift_ns, coin.instrument_id, size=number + 1))


def test_two_venues_that_show_the_same_trades_are_told_apart_from_two_that_do_not() -> None:
    twice, apart = MirrorWatch(), MirrorWatch()
    same_trades(twice)
    same_trades(apart, shift_ns=500_000_000)

    twice.look(LOOK_NS)
    apart.look(LOOK_NS)

    assert twice.mirrors_of("binance:BTCUSDT") == ("coin:BTCUSDT",)
    assert twice.mirrors_of("coin:BTCUSDT") == ("binance:BTCUSDT",)
    assert apart.mirrors_of("binance:BTCUSDT") == ()


def test_a_mirror_that_has_become_a_book_of_its_own_is_forgotten() -> None:
    watch = MirrorWatch()
    same_trades(watch)
    watch.look(LOOK_NS)
    same_trades(watch, shift_ns=500_000_000)

    watch.look(2 * LOOK_NS)

    assert watch.mirrors_of("binance:BTCUSDT") == ()


def test_statement_of_a_position_that_does_not_fit_is_counted_and_is_no_gap() -> None:
    inbox = Inbox(limit=0)

    inbox.put([PositionStatement("a:X", 5, 1, PositionSide.LONG, 9, None)])

    assert inbox.take() == []
    assert inbox.dropped == 1

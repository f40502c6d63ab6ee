"""Lines of a desk: what is heard, missed and heard twice, from raw messages and times alone.

Seen to fail when broken on purpose, one at a time: desk.py, hand_over at the newest event; end and retire without the
hole of a cut not reached; open without the hole before it, and without what was heard before; listings not learnt.
line.py, is_heard_with without from_ns, until_ns or latest_ns; missed without waiting, from_ns or until_ns; hear without
confirmations; funding as of now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import orjson

from liqscape.events import Event, Funding, Gap, Liquidation, MarkPrice, Trade
from liqscape.feeds.live.clock_offset import LEAST
from liqscape.feeds.live.desk import CUT_NS, VenueDesk
from liqscape.feeds.live.holes import MARGIN_NS
from liqscape.feeds.live.mirrors import SAMPLED_SECONDS, MirrorWatch
from liqscape.feeds.live.plausibility import PROBATION_EVENTS, PROBATION_NS, PriceBoard
from liqscape.feeds.venues.binance import BINANCE_USDM, BinanceDialect
from liqscape.feeds.venues.dialect import Channel, Dialect, Listing, Poll, Reading, Request, VenueListing
from liqscape.instruments import Instrument, find_instrument

LISTINGS = (Listing(find_instrument("binance:BTCUSDT")), Listing(find_instrument("binance:ETHUSDT")))
BTC, ETH = (listing.instrument_id for listing in LISTINGS)
T0_MS = 1_795_219_200_000
ENDPOINT = "market-0"
ACKNOWLEDGED = b'{"result":null,"id":1}'


class Desk:
    """A desk and what it has emitted."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.desk = VenueDesk(BINANCE_USDM, LISTINGS, PriceBoard(), MirrorWatch(), self.events.extend)

    def trades(self) -> list[int]:
        return [(e.time_ns // 10**6) - T0_MS for e in self.events if isinstance(e, Trade)]

    def gaps(self) -> list[Gap]:
        return [e for e in self.events if isinstance(e, Gap)]


def ns(ms: int) -> int:
    return (T0_MS + ms) * 10**6


def trade(ms: int, number: int | None = None, name: str = "BTCUSDT", price: str = "65000.1") -> bytes:
    return orjson.dumps(
        {"e": "aggTrade", "s": name, "a": number or ms, "p": price, "q": "0.5", "T": T0_MS + ms, "m": True}
    )


def mark(ms: int, name: str = "BTCUSDT") -> bytes:
    return orjson.dumps({"e": "markPriceUpdate", "E": T0_MS + ms, "s": name, "p": "65000.1"})


def test_before_the_first_message_there_is_a_hole_that_ends_once_all_is_confirmed() -> None:
    made = Desk()
    made.desk.begin(ns(0))
    line = made.desk.open(ENDPOINT)

    line.hear(trade(700, 1), ns(710))
    assert made.gaps() == []
    line.hear(ACKNOWLEDGED, ns(800))
    line.hear(trade(900, 2), ns(910))

    assert [(g.instrument_id, g.from_ns, g.to_ns) for g in made.gaps()] == [
        (BTC, ns(0), ns(900) + MARGIN_NS),
        (ETH, ns(0), ns(900) + MARGIN_NS),
    ]
    assert made.trades() == [700, 900]


def test_a_line_is_subscribed_when_its_last_subscription_is_confirmed() -> None:
    def dialect(listings: Sequence[Listing]) -> Dialect:
        made = BinanceDialect(listings, "wss://h/ws", "https://h/v1")
        made.endpoints = tuple(replace(e, acknowledgements=frozenset({"1", "2"})) for e in made.endpoints)
        return made

    venue = replace(BINANCE_USDM, dialect=dialect)
    line = VenueDesk(venue, LISTINGS, PriceBoard(), MirrorWatch(), lambda events: None).open(ENDPOINT)

    line.hear(ACKNOWLEDGED, ns(0))
    assert not line.is_subscribed
    line.hear(b'{"result":null,"id":2}', ns(0))

    assert line.is_subscribed


def test_an_ended_line_leaves_a_hole_of_each_instrument_from_what_was_heard_last() -> None:
    made = Desk()
    line = made.desk.open(ENDPOINT)
    line.hear(ACKNOWLEDGED, ns(0))
    line.hear(trade(1_000, 1), ns(1_000))
    line.hear(trade(9_000, 1, "ETHUSDT", "3000.11"), ns(9_000))

    made.desk.end(line, ns(9_500), "disconnected")
    again = made.desk.open(ENDPOINT)
    again.hear(ACKNOWLEDGED, ns(20_000))
    again.hear(trade(20_100, 9), ns(20_100))

    span = (ns(9_000) - MARGIN_NS, ns(20_100) + MARGIN_NS)
    assert made.gaps() == [Gap(name, *span, "disconnected") for name in (BTC, ETH)]


def test_what_a_new_line_repeats_of_before_is_left_out_and_what_it_fills_of_the_hole_is_not() -> None:
    made = Desk()
    line = made.desk.open(ENDPOINT)
    line.hear(ACKNOWLEDGED, ns(0))
    line.hear(trade(1_000, 1), ns(1_000))
    made.desk.end(line, ns(1_500), "disconnected")

    again = made.desk.open(ENDPOINT)
    again.hear(ACKNOWLEDGED, ns(9_000))
    for ms in (900, 1_000, 5_000, 9_100):
        again.hear(trade(ms, ms), ns(9_200))

    assert made.trades() == [1_000, 5_000, 9_100]
    assert made.desk.overlapping == 2


def test_a_venue_whose_clock_goes_back_between_two_lines_has_a_gap_until_it_has_caught_up() -> None:
    made = Desk()
    line = made.desk.open(ENDPOINT)
    line.hear(ACKNOWLEDGED, ns(0))
    line.hear(trade(30_000, 1), ns(30_000))
    made.desk.end(line, ns(30_100), "disconnected")

    again = made.desk.open(ENDPOINT)
    again.hear(ACKNOWLEDGED, ns(31_000))
    again.hear(trade(5_000, 2), ns(31_000))

    assert {gap.to_ns for gap in made.gaps()} == {ns(30_000) + 1 + MARGIN_NS}


def test_taking_over_hears_every_trade_once_whichever_line_is_ahead() -> None:
    made = Desk()
    old, new = made.desk.open(ENDPOINT), made.desk.open(ENDPOINT, takes_over=True)
    for line in (old, new):
        line.hear(ACKNOWLEDGED, ns(0))
    for ms in range(100, 1_000, 100):
        old.hear(trade(ms, ms // 100), ns(ms))
        new.hear(trade(ms, ms // 100), ns(ms))

    cut_ns = made.desk.hand_over(old, new)
    for ms in range(1_000, 4_000, 100):
        new.hear(trade(ms, ms // 100), ns(ms))  # a second ahead of the old one
    for ms in range(1_000, 3_000, 100):
        old.hear(trade(ms, ms // 100), ns(ms))
    made.desk.retire(old, new)
    new.hear(trade(4_000, 40), ns(4_000))

    assert cut_ns == ns(900) + CUT_NS
    assert sorted(made.trades()) == list(range(100, 4_100, 100))
    assert made.gaps() == []


def test_a_line_that_waits_to_take_over_says_nothing_until_it_does() -> None:
    made = Desk()
    old, new = made.desk.open(ENDPOINT), made.desk.open(ENDPOINT, takes_over=True)
    new.hear(ACKNOWLEDGED, ns(0))
    new.hear(trade(100, 1), ns(100))
    new.hear(mark(100), ns(100))
    assert made.events == []

    made.desk.hand_over(old, new)
    new.hear(mark(3_000), ns(3_000))
    assert made.events == []
    made.desk.retire(old, new)
    new.hear(mark(4_000), ns(4_000))

    assert [e.time_ns for e in made.events if isinstance(e, MarkPrice)] == [ns(4_000)]


def test_numbers_that_only_the_line_not_listened_to_has_missed_are_no_gap() -> None:
    made = Desk()
    old, new = made.desk.open(ENDPOINT), made.desk.open(ENDPOINT, takes_over=True)
    for number in range(1, 9):
        old.hear(trade(number * 100, number), ns(number * 100))
    for number in (1, 5):  # waiting, it has missed what the old one has heard
        new.hear(trade(number * 100, number), ns(number * 100))
    made.desk.hand_over(old, new)  # at 1,800 ms
    new.hear(trade(1_700, 17), ns(1_700))
    old.hear(trade(900, 9), ns(900))
    old.hear(trade(1_900, 19), ns(1_900))  # of 17 at the latest it was to be heard
    new.hear(trade(2_000, 20), ns(2_000))
    made.desk.retire(old, new)
    new.hear(trade(2_300, 23), ns(2_300))

    assert made.gaps() == [
        Gap(BTC, ns(900), ns(1_800), "trades are missing"),
        Gap(BTC, ns(1_800), ns(2_001), "trades are missing"),
        Gap(BTC, ns(2_000), ns(2_301), "trades are missing"),
    ]


def test_an_old_line_that_ends_before_the_cut_leaves_a_gap_up_to_the_cut() -> None:
    made = Desk()
    old, new = made.desk.open(ENDPOINT), made.desk.open(ENDPOINT, takes_over=True)
    for line in (old, new):
        line.hear(ACKNOWLEDGED, ns(0))
        line.hear(trade(5_000, 1), ns(5_000))
    cut_ns = made.desk.hand_over(old, new)

    made.desk.end(old, ns(5_100), "disconnected", new)

    assert {(g.from_ns, g.to_ns) for g in made.gaps()} == {(ns(5_000) - MARGIN_NS, cut_ns)}


def test_an_old_line_that_is_closed_before_it_reaches_the_cut_leaves_a_gap_up_to_it() -> None:
    made = Desk()
    old, new = made.desk.open(ENDPOINT), made.desk.open(ENDPOINT, takes_over=True)
    for line in (old, new):
        line.hear(ACKNOWLEDGED, ns(0))
        line.hear(trade(5_000, 1), ns(5_000))
    cut_ns = made.desk.hand_over(old, new)

    made.desk.retire(old, new)

    assert {g.to_ns for g in made.gaps()} == {cut_ns}


def test_an_old_line_that_was_never_told_a_time_leaves_no_gap_since_all_time() -> None:
    made = Desk()
    old, new = made.desk.open(ENDPOINT), made.desk.open(ENDPOINT, takes_over=True)
    new.hear(trade(5_000, 1), ns(5_000))
    cut_ns = made.desk.hand_over(old, new)

    made.desk.retire(old, new)

    assert {(g.from_ns, g.to_ns) for g in made.gaps()} == {(cut_ns - MARGIN_NS, cut_ns)}


def test_a_time_that_cannot_be_moves_neither_a_cut_nor_a_gap() -> None:
    made = Desk()
    old, new = made.desk.open(ENDPOINT), made.desk.open(ENDPOINT, takes_over=True)
    for line in (old, new):
        line.hear(ACKNOWLEDGED, ns(0))
        line.hear(trade(5_000, 1), ns(5_000))
        line.hear(trade(500_000_000, 2), ns(5_010))

    assert made.desk.hand_over(old, new) == ns(5_000) + CUT_NS
    assert made.trades() == [5_000]


def test_an_old_line_that_ends_before_its_successor_was_heard_leaves_a_gap_until_it_is() -> None:
    made = Desk()
    old, new = made.desk.open(ENDPOINT), made.desk.open(ENDPOINT, takes_over=True)
    old.hear(ACKNOWLEDGED, ns(0))
    old.hear(trade(5_000, 1), ns(5_000))

    made.desk.end(old, ns(5_100), "disconnected", new)
    new.hear(ACKNOWLEDGED, ns(7_000))
    new.hear(trade(7_100, 9), ns(7_100))

    assert made.trades() == [5_000, 7_100]
    assert {g.to_ns for g in made.gaps()} == {ns(7_100) + MARGIN_NS}


def test_an_unreadable_message_is_a_gap_of_all_that_it_may_have_been_and_counts_once() -> None:
    made = Desk()
    line = made.desk.open(ENDPOINT)
    line.hear(trade(5_000, 1), ns(5_000))

    line.hear(b'{"e":"aggTr', ns(5_200))
    made.desk.pulse(ns(5_300))

    gaps = made.gaps()
    assert [(g.instrument_id, g.reason, g.rejected) for g in gaps] == [(BTC, "malformed", 1), (ETH, "malformed", 0)]
    assert all(g.from_ns <= ns(5_100) < g.to_ns for g in gaps)
    assert made.desk.unread == {"malformed": 1}


def test_a_hole_in_the_numbers_of_trades_is_a_gap_and_a_number_again_is_left_out() -> None:
    made = Desk()
    line = made.desk.open(ENDPOINT)
    for ms, number in ((100, 1), (200, 2), (500, 5), (200, 2), (600, 6)):
        line.hear(trade(ms, number), ns(ms))

    assert made.trades() == [100, 200, 500, 600]
    assert made.gaps() == [Gap(BTC, ns(200), ns(501), "trades are missing")]
    assert made.desk.ignored["trade again"] == 1


def test_what_is_in_quarantine_is_withheld_and_told_as_a_gap_when_it_comes_back() -> None:
    made = Desk()
    line = made.desk.open(ENDPOINT)
    line.hear(trade(0, 1), ns(0))
    made.desk.plausibility.checks[BTC].quarantined_since_ns = ns(0)
    made.desk.pulse(ns(1))
    later_ms = PROBATION_NS // 10**6
    for number in range(PROBATION_EVENTS):
        line.hear(mark(later_ms + number), ns(later_ms + number))
    assert made.trades() == [0]
    assert not any(isinstance(event, MarkPrice) for event in made.events)

    made.desk.pulse(ns(later_ms + 100))
    line.hear(mark(later_ms + 200), ns(later_ms + 200))

    assert [type(event) for event in made.events[-2:]] == [Gap, MarkPrice]
    quarantines = [gap for gap in made.gaps() if gap.reason == "quarantined"]
    assert (quarantines[0].from_ns, quarantines[-1].to_ns) == (ns(0) - MARGIN_NS, ns(later_ms + 100))


class SaysAnotherSize:
    """A dialect whose answers say that a contract is a tenth of a coin."""

    def __init__(self, inner: Dialect) -> None:
        self.endpoints, self.budgets = inner.endpoints, inner.budgets
        self.polls = (Poll(name="listings", request=Request("u"), every_s=1.0, channels=frozenset()),)
        self.read = inner.read

    def read_answer(self, poll: Poll, body: bytes, receive_ns: int, into: Reading) -> None:
        into.listings += [VenueListing("BTCUSDT", Fraction(1, 10)), VenueListing("ETHUSDT", Fraction(1))]


def test_an_instrument_whose_contract_is_another_size_at_the_venue_is_not_believed() -> None:
    venue = replace(BINANCE_USDM, dialect=lambda listings: SaysAnotherSize(BINANCE_USDM.dialect(listings)))
    desk = VenueDesk(venue, LISTINGS, PriceBoard(), MirrorWatch(), lambda events: None)

    desk.answer(desk.polls[0], b"", ns(0))

    checks = desk.plausibility.checks
    assert checks[BTC].quarantine_reason.startswith("its contract is 1/10 at the venue, 1 in the tables of ")
    assert checks[ETH].quarantined_since_ns is None


def test_every_line_learns_the_list_of_instruments_those_open_and_those_to_come() -> None:
    learnt: list[Dialect] = []

    class Learns(SaysAnotherSize):
        def read_answer(self, poll: Poll, body: bytes, receive_ns: int, into: Reading) -> None:
            learnt.append(self)

    venue = replace(BINANCE_USDM, dialect=lambda listings: Learns(BINANCE_USDM.dialect(listings)))
    desk = VenueDesk(venue, LISTINGS, PriceBoard(), MirrorWatch(), lambda events: None)
    desk.open(ENDPOINT)
    desk.answer(desk.polls[0], b"", ns(0))
    desk.open(ENDPOINT)

    assert len({id(each) for each in learnt}) == 3


def test_funding_of_an_interval_to_come_says_nothing_of_the_time_now() -> None:
    line = Desk().desk.open(ENDPOINT)
    line.hear(trade(100, 1), ns(100))

    due_ns = ns(8 * 3_600_000)
    line.is_heard_with(Funding(BTC, due_ns, 1, 8), due_ns, Channel.FUNDING, 2 * due_ns)

    assert line.newest_ns == ns(100)


def test_a_poll_that_is_not_answered_is_a_hole_until_it_is() -> None:
    made = Desk()
    poll = next(p for p in made.desk.polls if Channel.OPEN_INTEREST in p.channels)
    body = orjson.dumps({"symbol": "BTCUSDT", "openInterest": "50000.5", "time": T0_MS + 30_000})

    made.desk.unanswered(poll, ns(0), "blocked")
    made.desk.answer(poll, body, ns(30_050))

    assert made.gaps() == [Gap(BTC, ns(0), ns(30_050), "blocked")]


def test_a_line_counts_what_is_heard_of_its_control_channel_and_keeps_the_newest_time() -> None:
    line = Desk().desk.open(ENDPOINT)

    for message in (trade(300, 1), mark(400), mark(200), trade(100, 2)):
        line.hear(message, ns(400))

    assert line.endpoint.control is Channel.MARK
    assert (line.control_heard, line.newest_ns) == (2, ns(400))


def test_each_row_that_is_not_needed_is_counted_and_a_refusal_is_told_once() -> None:
    made = Desk()
    line = made.desk.open(ENDPOINT)

    line.hear(orjson.dumps([{"e": "kline"}, {"e": "kline"}, {"e": "bookTicker"}]), ns(0))
    line.hear(b'{"code":2,"msg":"no"}', ns(0))
    line.hear(trade(100, 1), ns(100))

    assert made.desk.ignored == {"kline": 2, "bookTicker": 1}
    assert len(line.refused) == 1


def test_only_what_is_told_at_once_says_how_the_clock_of_the_venue_stands() -> None:
    made = Desk()
    line = made.desk.open(ENDPOINT)
    order = {"s": "BTCUSDT", "S": "SELL", "ap": "65000.1", "X": "FILLED"}

    for number in range(LEAST):
        told = {**order, "z": f"0.{number + 1}", "T": T0_MS}
        line.hear(orjson.dumps({"e": "forceOrder", "o": told}), ns(1_000 * number))
    before = made.desk.offset.median_ns
    for number in range(LEAST):
        line.hear(mark(1_000 * number), ns(1_000 * number + 30))

    assert sum(isinstance(event, Liquidation) for event in made.events) == LEAST
    assert (before, made.desk.offset.median_ns) == (None, 30_000_000)


def test_a_time_is_believed_by_the_clock_of_a_venue_that_is_ahead_of_ours() -> None:
    line = Desk().desk.open(ENDPOINT)
    for number in range(LEAST):
        line.hear(mark(1_000 * number + 4_900), ns(1_000 * number))

    line.hear(mark(60_000 + 9_000), ns(60_000))

    assert line.newest_ns == ns(69_000)


def test_trades_of_one_second_in_eight_are_compared_with_other_venues() -> None:
    seen: list[Trade] = []

    class Watch(MirrorWatch):
        def see(self, instrument: Instrument, trade: Trade) -> None:
            seen.append(trade)

    desk = VenueDesk(BINANCE_USDM, LISTINGS, PriceBoard(), Watch(), lambda events: None)
    line = desk.open(ENDPOINT)
    for second in range(16):
        line.hear(trade(1_000 * second, second + 1), ns(1_000 * second))
        line.hear(mark(1_000 * second), ns(1_000 * second))

    assert [event.time_ns // 10**9 % SAMPLED_SECONDS for event in seen] == [0, 0]

"""The status of venues: states of channels, shares, and what is wrong in words.

Seen to fail when broken on purpose: report.py without QUIET_NS, without is_believed, without the mirrors.
"""

from __future__ import annotations

import orjson

from liqscape.feeds.live.connection import EndpointState
from liqscape.feeds.live.desk import VenueDesk
from liqscape.feeds.live.mirrors import LEAST_TRADES, LOOK_NS, SAMPLED_SECONDS, SECOND_NS, MirrorWatch
from liqscape.feeds.live.plausibility import PriceBoard
from liqscape.feeds.live.polling import PollState
from liqscape.feeds.live.report import QUIET_NS, Parts, venue_statuses
from liqscape.feeds.status import FeedState, VenueStatus
from liqscape.feeds.venues.binance import ASTER, BINANCE_COINM, BINANCE_USDM
from liqscape.feeds.venues.dialect import Listing, Venue
from liqscape.instruments import Instrument, find_instrument
from tests.unit.feeds.venues.captured import listing

NOW_NS = 1_795_219_200 * SECOND_NS
USDM, COINM = find_instrument("binance:BTCUSDT"), find_instrument("binance:BTCUSD_PERP")


def parts(
    venue: Venue = BINANCE_USDM,
    instrument: Instrument = USDM,
    mirrors: MirrorWatch | None = None,
    state: FeedState = FeedState.LIVE,
) -> Parts:
    desk = VenueDesk(venue, [Listing(instrument)], PriceBoard(), mirrors or MirrorWatch(), lambda events: None)
    reason = "" if state is FeedState.LIVE else "HTTP 451"
    states = {name: EndpointState(state, 1, 1, reason) for name in desk.endpoints}
    return desk, states, {poll.name: PollState(FeedState.LIVE) for poll in desk.polls}


def status_of(*of: Parts, mirrors: MirrorWatch | None = None, now_ns: int = NOW_NS) -> VenueStatus:
    return venue_statuses(of, mirrors or MirrorWatch(), now_ns)[0]


def mark(desk: VenueDesk, name: str = "BTCUSDT", at_ns: int = NOW_NS) -> None:
    line = desk.open("market-0")
    line.hear(orjson.dumps({"e": "markPriceUpdate", "E": at_ns // 10**6, "s": name, "p": "65000.1"}), at_ns)


def states(status: VenueStatus) -> dict[str, FeedState]:
    return {channel.channel: channel.state for channel in status.channels}


def test_a_channel_that_has_said_nothing_for_long_is_quiet_while_its_connection_lives() -> None:
    of = parts()
    mark(of[0], at_ns=NOW_NS)

    soon, later = status_of(of, now_ns=NOW_NS + QUIET_NS), status_of(of, now_ns=NOW_NS + QUIET_NS + 1)

    assert (states(soon)["mark"], states(later)["mark"]) == (FeedState.LIVE, FeedState.QUIET)
    assert states(soon)["liquidations"] is FeedState.QUIET


def test_a_blocked_connection_and_a_poll_that_works_are_told_apart_and_the_regions_are_named() -> None:
    status = status_of(parts(state=FeedState.BLOCKED))

    assert states(status)["trades"] is FeedState.BLOCKED
    assert states(status)["open_interest"] is FeedState.QUIET
    assert "market-0: HTTP 451" in status.message
    assert "known to be refused: 451 from the United States" in status.message


def test_a_venue_none_of_whose_instruments_is_believed_is_quarantined_and_its_share_is_shown() -> None:
    first, second = parts(), parts(BINANCE_COINM, COINM)
    mark(first[0])
    mark(second[0], "BTCUSD_PERP")
    for of, quantity in ((first, 300), (second, 650_001 * 300 // 1000)):
        next(iter(of[0].plausibility.checks.values())).open_interest = quantity * 10**8
    first[0].plausibility.checks["binance:BTCUSDT"].distrust("its contract is another", NOW_NS)

    status = status_of(first, second)

    assert states(status)["mark"] is FeedState.QUARANTINED
    assert status.quarantined == ("binance:BTCUSDT",)
    assert "binance:BTCUSDT is not believed: its contract is another" in status.message
    assert f"the venue holds {status.open_interest_share:.1%} of open interest" in status.message
    assert 0.49 < status.open_interest_share < 0.51


def test_venues_that_show_the_same_trades_are_said_to_be_counted_twice() -> None:
    mirrors = MirrorWatch()
    aster = listing("aster", "BTCUSDT").instrument
    both = parts(mirrors=mirrors), parts(ASTER, aster, mirrors)
    at_ns = NOW_NS // SECOND_NS // SAMPLED_SECONDS * SAMPLED_SECONDS * SECOND_NS
    for desk, _, _ in both:
        line = desk.open("market-0")
        for number in range(LEAST_TRADES):
            said = {"e": "aggTrade", "s": "BTCUSDT", "a": number, "p": "65000.1", "q": f"0.{number + 1}", "m": True}
            line.hear(orjson.dumps({**said, "T": at_ns // 10**6 + number}), at_ns)
    mirrors.look(NOW_NS + LOOK_NS)

    message = status_of(*both, mirrors=mirrors).message

    assert message == "binance:BTCUSDT shows the trades of aster:BTCUSDT: counted twice"

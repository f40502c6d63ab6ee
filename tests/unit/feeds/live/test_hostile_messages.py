"""What a venue must not be able to do with a message: raise out of a desk, take long, or make it keep ever more.

Seen to fail when broken on purpose, one at a time: RecursionError taken out of MISSHAPEN; in_words without its guard;
rows read on after MAX_REJECTED, TooManyRejected taken for one bad row; a listing whose name is a list; kinds of ignored
messages kept as they come; the channels of Bitfinex without a bound.
"""

from __future__ import annotations

from collections.abc import Sequence

import orjson
import pytest

from liqscape.errors import NotFound
from liqscape.events import Event
from liqscape.feeds.live.desk import VenueDesk
from liqscape.feeds.live.mirrors import MirrorWatch
from liqscape.feeds.live.plausibility import PriceBoard
from liqscape.feeds.venues.bitfinex import MAX_CHANNELS
from liqscape.feeds.venues.dialect import MAX_DETAIL, MAX_REJECTED, Reading, Unreadable, in_words, read_rows
from liqscape.feeds.venues.notes import MAX_KINDS, OTHER_KIND
from liqscape.feeds.venues.registry import VENUES, listings
from liqscape.feeds.venues.tier_sources import SOURCES
from liqscape.feeds.venues.tiers import table_of
from liqscape.instruments import shipped_instruments

AT_NS = 1_795_219_200 * 10**9

LISTED = listings(VENUES.values(), None)

DEPTHS = (900, 1020)
"""The parser of JSON takes up to 1023, Python puts into words what its recursion limit leaves of 1000."""

DEEP = tuple(b"[" * depth + b"1" + b"]" * depth for depth in DEPTHS)

WRAPPINGS: Sequence[bytes] = (
    b"%s",
    b'{"data":%s}',
    b'{"e":%s}',
    b'{"event":%s}',
    b'{"method":%s,"id":1}',
    b'{"topic":"x","data":[%s]}',
    b'{"channel":"trades","data":[%s],"contents":%s}',
    b'{"success":false,"code":1,"retCode":1,"status":%s}',
    b'{"result":%s,"id":1}',
    b'[%s,"te",[1,2,3,4]]',
)
"""What of a message is nested; enough that every dialect puts one of them into words."""


def desk(venue: str) -> VenueDesk:
    def emit(events: Sequence[Event]) -> None:
        assert events

    return VenueDesk(VENUES[venue], LISTED[venue], PriceBoard(), MirrorWatch(), emit)


@pytest.mark.parametrize("venue", LISTED)
def test_messages_nested_more_deeply_than_they_can_be_told_raise_nothing_and_are_counted(venue: str) -> None:
    heard = desk(venue)
    line = heard.open_unnamed()
    sent = [wrapping.replace(b"%s", deep) for wrapping in WRAPPINGS for deep in DEEP]

    for message in sent:
        line.hear(message, AT_NS)
        for poll in heard.polls[:2]:  # of listings, and one of the others, which differ by instrument
            heard.answer(poll, message, AT_NS)

    refused = len(line.refused)
    assert heard.unread.total() + heard.ignored.total() + refused > 0
    assert all(len(word) <= 300 for word in line.refused)


@pytest.mark.parametrize("instrument_id", ["okx:BTC-USDT-SWAP", "mexc:BTC_USDT", "htx:BTC-USDT", "kraken:PF_XBTUSD"])
@pytest.mark.parametrize("deep", DEEP, ids=DEPTHS)
def test_margin_table_that_is_nested_too_deeply_cannot_be_read(instrument_id: str, deep: bytes) -> None:
    instrument = shipped_instruments()[instrument_id]
    assert instrument.venue in SOURCES

    for body in (
        deep,
        b'{"data":%s}' % deep,
        b'{"data":{"symbol":"BTC_USDT","riskLimitType":%s}}' % deep,
        b'{"instruments":[{"symbol":%s}]}' % deep,
    ):
        with pytest.raises((Unreadable, NotFound)):
            table_of(instrument, body)


def test_what_cannot_be_put_into_words_is_named_and_all_else_is_cut() -> None:
    assert in_words("x" * 1000) == "x" * MAX_DETAIL
    assert in_words(orjson.loads(DEEP[-1])) == "list nested too deeply"
    assert in_words(None) == "None"


def test_rest_of_a_message_of_bad_rows_is_one_rejection_more() -> None:
    heard = desk("bitfinex")
    line = heard.open_unnamed()
    row = [1] * 100_000

    line.hear(orjson.dumps([{"channel": "status", "key": "liq:global"}, row]), AT_NS)

    assert heard.unread.total() == MAX_REJECTED + 1
    assert heard.unread["too many bad rows"] == 1


def test_bad_rows_within_rows_end_all_of_a_message_and_good_ones_before_stay() -> None:
    into, good = Reading(), []

    def outer(row: Sequence[int]) -> None:
        read_rows(row, inner, into)

    def inner(value: int) -> None:
        if value < 0:
            raise Unreadable("negative", value)
        good.append(value)

    with pytest.raises(Unreadable, match="too many bad rows"):
        read_rows([[5], *[[-1] * 10] * 100, [6]], outer, into)
    assert (good, len(into.rejected)) == ([5], MAX_REJECTED)


def test_listing_whose_name_is_no_text_is_rejected() -> None:
    heard = desk("kucoin")
    poll = next(poll for poll in heard.polls if not poll.channels)
    facts = {"isInverse": True, "tickSize": "0.1", "maxLeverage": 100, "status": "Open"}

    heard.answer(poll, orjson.dumps({"code": "200000", "data": [{"symbol": ["XBTUSDM"], **facts}]}), AT_NS)

    assert heard.unread == {"listing without a name": 1}


def test_kinds_of_messages_that_are_not_needed_are_bounded_over_all_messages_and_none_goes_uncounted() -> None:
    heard = desk("binance-usdm")
    line = heard.open_unnamed()

    for number in range(1000):
        line.hear(orjson.dumps({"e": f"kind {number}" + "x" * 1000}), AT_NS)

    assert len(heard.ignored) == MAX_KINDS + 1
    assert heard.ignored[OTHER_KIND] == 1000 - MAX_KINDS
    assert max(map(len, heard.ignored)) <= 32


def test_channels_of_a_connection_are_bounded() -> None:
    heard = desk("bitfinex")
    line = heard.open_unnamed()

    for number in range(MAX_CHANNELS + 5):
        said = {"event": "subscribed", "channel": "trades", "chanId": number, "symbol": "tBTCF0:USTF0"}
        line.hear(orjson.dumps(said), AT_NS)

    assert heard.unread == {"more channels than a connection has": 5}

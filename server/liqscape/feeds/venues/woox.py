"""WOO X: perpetuals PERP_BASE_QUOTE, counted in coins; the v3 stream, and messages of the one before from recordings.

Sources: real messages of 2023 (long names, numbers, time outside) and of June 2026 (short names, text, time inside),
and client libraries. The server's PING wants a PONG. How subscriptions of v3 are confirmed is UNVERIFIED, so none is
waited for, and an instrument is missed until its first message; refusals are told. Funding is taken as of eight hours,
as the list of payments of 2025 shows (of the stream UNVERIFIED). No liquidations are printed; open interest of the past
is not told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import orjson

from liqscape.events import TakerSide
from liqscape.feeds.venues.dialect import (
    Budget,
    Channel,
    Completeness,
    Endpoint,
    Listing,
    Poll,
    Reading,
    Request,
    Unreadable,
    Venue,
    VenueListing,
    batches,
    read_rows,
    to_json,
)
from liqscape.feeds.venues.history import PastSeries
from liqscape.feeds.venues.notes import ignore, refuse
from liqscape.feeds.venues.numbers import as_fraction
from liqscape.feeds.venues.pages import Pages
from liqscape.feeds.venues.readings import Question
from liqscape.feeds.venues.scale import MS, SECOND, Scale, scales, time_of
from liqscape.feeds.venues.wanted import hours_of

SOCKET: Final = "wss://wss.woox.io/v3/public"

REST: Final = "https://api.woox.io/v3/public"

INSTRUMENTS_PER_MESSAGE: Final = 10
"""Four topics each. All of an instrument are asked for in one message, trades first: when one is heard, all are."""

BUDGET: Final = Budget("rest", 1, 1.0)
"""With that of history half of 10 requests a second."""

HISTORY_BUDGET: Final = Budget("history", 4, 1.0)
"""See BUDGET."""

CANDLES_PER_PAGE: Final = 90
"""The venue answers with 100 at most where the candles are old."""

FUNDING_PER_PAGE: Final = 20
"""The venue answers with 25 at most."""

FUNDING_HOURS: Final = 8

HOUR_MS: Final = 3_600_000

HOURS: Final = Question("time between payments of funding", (f"{FUNDING_HOURS} h",), needs=2)
"""By when it is paid next, before and after a payment."""

_TOPICS: Final = ("trade", "markprice", "openinterest", "estfundingrate")

_SIDES: Final = {"BUY": TakerSide.BUY, "SELL": TakerSide.SELL}


class WooxDialect:
    """See Dialect."""

    def __init__(self, listings: Sequence[Listing]) -> None:
        self._scales = scales(listings)
        self._paid_next: dict[str, int] = {}
        self.endpoints: Sequence[Endpoint] = (
            Endpoint(
                name="public",
                url=SOCKET,
                subscribe=tuple(
                    to_json({"id": str(number + 1), "cmd": "subscribe", "params": _topics(group)})
                    for number, group in enumerate(batches(tuple(self._scales), INSTRUMENTS_PER_MESSAGE))
                ),
                channels=frozenset({Channel.TRADES, Channel.MARK, Channel.OPEN_INTEREST, Channel.FUNDING}),
                control=Channel.MARK,
                control_s=30.0,
            ),
        )
        self.polls: Sequence[Poll] = (
            Poll(name="listings", request=Request(f"{REST}/instruments"), every_s=86_400.0, channels=frozenset()),
        )
        self.budgets: Sequence[Budget] = (BUDGET,)

    def read(self, message: bytes, receive_ns: int, into: Reading) -> None:
        """Read a message of the stream of now or of the one before."""
        said = orjson.loads(message)
        topic = said.get("topic")
        if topic is None:
            _control(said, into)
            return
        first, _, second = topic.partition("@")
        data = said["data"]
        if first.startswith(("PERP_", "SPOT_")):  # of the stream before: NAME@topic
            self._said(second, data["symbol"], said["ts"], data, _BEFORE, into)
        else:
            self._said(first, data["s"], data["ts"], data, _NOW, into)

    def _said(
        self,
        topic: str,
        name: str,
        told: int,
        data: dict[str, Any],
        kinds: Mapping[str, Callable[[Scale, int, dict[str, Any], Reading], None]],
        into: Reading,
    ) -> None:
        read = kinds.get(topic)
        scale = self._scales.get(name)
        if read is None:
            ignore(into, topic)
        elif scale is None:
            into.ignored["other instrument"] += 1
        else:
            read(scale, time_of(told), data, into)
            if topic == "estfundingrate":
                self._due(name, data.get("ft", data.get("fundingTs")), into)

    def _due(self, name: str, due_ms: object, into: Reading) -> None:
        """Compare when funding is paid next with when it was before."""
        if type(due_ms) is not int:
            return
        before = self._paid_next.get(name)
        self._paid_next[name] = due_ms
        if before is not None and due_ms > before:
            hours = hours_of(due_ms - before + HOUR_MS // 2, HOUR_MS)
            into.evidence.append((HOURS, f"{hours} h"))

    def read_answer(self, poll: Poll, body: bytes, receive_ns: int, into: Reading) -> None:
        """Read the list of instruments."""
        said = orjson.loads(body)
        if said["success"] is not True:
            refuse(into, said)
        else:
            read_rows(said["data"]["rows"], lambda row: _listing(row, into), into)


def _topics(names: Sequence[str]) -> list[str]:
    return [f"{topic}@{name}" for name in names for topic in _TOPICS]


def _control(said: dict[str, Any], into: Reading) -> None:
    kind = str(said.get("cmd", said.get("event")))[:32]
    if kind == "PING":
        into.heartbeats += 1
        into.replies.append(
            to_json({"cmd": "PONG", "ts": time_of(said["ts"]) // MS} if "ts" in said else {"cmd": "PONG"})
        )
    elif kind == "ping":
        into.heartbeats += 1
        into.replies.append(to_json({"event": "pong", "ts": time_of(said["ts"]) // MS}))
    elif said.get("success") is False:
        refuse(into, said)
    elif said.get("success") is True:
        if kind.lower() == "subscribe":
            into.acknowledged.append(str(said["id"]))
        else:
            ignore(into, kind)
    else:
        raise Unreadable("unknown message", said)


def _trade_now(scale: Scale, time_ns: int, data: dict[str, Any], into: Reading) -> None:
    scale.trade(into, time_ns, data["px"], data["sx"], _SIDES[data["sd"]])


def _mark_now(scale: Scale, time_ns: int, data: dict[str, Any], into: Reading) -> None:
    scale.mark(into, time_ns, data["px"])


def _interest_now(scale: Scale, time_ns: int, data: dict[str, Any], into: Reading) -> None:
    scale.open_interest(into, time_ns, data["oi"])


def _funding_now(scale: Scale, time_ns: int, data: dict[str, Any], into: Reading) -> None:
    scale.funding(into, time_ns, data["r"], FUNDING_HOURS)


def _trade_before(scale: Scale, time_ns: int, data: dict[str, Any], into: Reading) -> None:
    scale.trade(into, time_ns, data["price"], data["size"], _SIDES[data["side"]])


def _mark_before(scale: Scale, time_ns: int, data: dict[str, Any], into: Reading) -> None:
    scale.mark(into, time_ns, data["price"])


def _interest_before(scale: Scale, time_ns: int, data: dict[str, Any], into: Reading) -> None:
    scale.open_interest(into, time_ns, data["openInterest"])


def _funding_before(scale: Scale, time_ns: int, data: dict[str, Any], into: Reading) -> None:
    scale.funding(into, time_ns, data["fundingRate"], FUNDING_HOURS)


_NOW: Final = {
    "trade": _trade_now,
    "markprice": _mark_now,
    "openinterest": _interest_now,
    "estfundingrate": _funding_now,
}

_BEFORE: Final = {
    "trade": _trade_before,
    "markprice": _mark_before,
    "openinterest": _interest_before,
    "estfundingrate": _funding_before,
}


def _listing(row: dict[str, Any], into: Reading) -> None:
    if not row["symbol"].startswith("PERP_"):
        into.ignored["no perpetual"] += 1
        return
    into.listings.append(
        VenueListing(
            name=row["symbol"], price_tick=as_fraction(row["quoteTick"]), is_trading=row["status"] == "TRADING"
        )
    )


class WooxHistory:
    """See VenueHistory. A candle whose end lies after the answer's time is not closed."""

    def __init__(self, listing: Listing) -> None:
        self._pages = Pages(listing)
        self._name = listing.name
        self.series: Sequence[PastSeries] = (
            PastSeries(name="candles 1m", channel=Channel.TRADES, step_ns=60 * SECOND, page=CANDLES_PER_PAGE),
            PastSeries(
                name="funding 8h",
                channel=Channel.FUNDING,
                step_ns=FUNDING_HOURS * 3600 * SECOND,
                page=FUNDING_PER_PAGE,
            ),
        )
        self.budgets: Sequence[Budget] = (HISTORY_BUDGET,)

    def request(self, series: PastSeries, from_ns: int, until_ns: int) -> Request:
        """See VenueHistory."""
        self._pages.ask(from_ns, until_ns)
        query = {"symbol": self._name}
        if series.channel is Channel.FUNDING:
            query |= {"startTime": str(from_ns // MS), "endTime": str(until_ns // MS - 1)}
            return Request(f"{REST}/fundingRateHistory", query)
        query |= {"type": "1m", "limit": "100", "after": str(from_ns // MS - 1), "before": str(until_ns // MS)}
        return Request(f"{REST}/klineHistory", query)

    def read_page(self, series: PastSeries, body: bytes, into: Reading) -> None:
        """See VenueHistory."""
        said = orjson.loads(body)
        if said["success"] is not True:
            refuse(into, said)
        elif series.channel is Channel.FUNDING:
            rows = sorted(said["data"]["rows"], key=lambda row: int(row["fundingRateTimestamp"]))
            read_rows(rows, lambda row: self._funding(series, row, into), into)
        else:
            now_ns = time_of(said["timestamp"])
            rows = sorted(said["data"]["rows"], key=lambda row: int(row["startTimestamp"]))
            read_rows(rows, lambda row: self._candle(series, row, now_ns, into), into)

    def _candle(self, series: PastSeries, row: dict[str, Any], now_ns: int, into: Reading) -> None:
        open_ns = time_of(row["startTimestamp"])
        if open_ns + series.step_ns > now_ns:
            into.ignored["candle not closed"] += 1
        else:
            prices = (row["open"], row["high"], row["low"], row["close"])
            self._pages.candle(into, series, open_ns, prices, row["volume"])

    def _funding(self, series: PastSeries, row: dict[str, Any], into: Reading) -> None:
        began_ns = time_of(row["fundingRateTimestamp"]) - series.step_ns
        self._pages.funding(into, began_ns, row["fundingRate"], FUNDING_HOURS)


WOOX: Final = Venue(
    name="woox",
    instruments_of="woox",
    dialect=WooxDialect,
    liquidations=Completeness.NONE,
    provenance="recorded",
    history=WooxHistory,
)

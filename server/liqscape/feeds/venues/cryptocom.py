"""Crypto.com Exchange: perpetuals NAME-PERP, counted in coins.

Sources: the vendor's v1 API as client libraries of 2026 use it, and real messages of 2022. Data arrive as answers to
subscribe; each subscription is confirmed by an answer with its id and no result. public/heartbeat wants an answer with
the same id within 5 s (UNVERIFIED). Rows of a message are newest first. Open interest is part of the ticker and changes
with it; marks and funding are channels of {v, t}. Funding is hourly. No liquidations are printed. That the first
message of trades repeats none is UNVERIFIED.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import orjson

from liqscape.events import Event, TakerSide, Trade
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
from liqscape.feeds.venues.scale import MS, SECOND, scales, time_of

SOCKET: Final = "wss://stream.crypto.com/exchange/v1/market"

REST: Final = "https://api.crypto.com/exchange/v1/public"

CHANNELS_PER_MESSAGE: Final = 50

CHANNELS_PER_CONNECTION: Final = 200
"""Half of the 400 that the venue takes (UNVERIFIED)."""

BUDGET: Final = Budget("rest", 5, 1.0)
"""With that of history far below the 100 requests a second that the venue takes."""

HISTORY_BUDGET: Final = Budget("history", 20, 1.0)
"""See BUDGET."""

CANDLES_PER_PAGE: Final = 290
"""The venue answers with 300 at most; its bounds are not told to be inclusive or not."""

HOUR_NS: Final = 3600 * SECOND

_STREAMS: Final = ("trade", "ticker", "mark", "funding")

_SIDES: Final = {"BUY": TakerSide.BUY, "SELL": TakerSide.SELL}


FIRST_PUSH: Final = Question("first push of trades", ("of after the subscription", "repeats old ones"), needs=3)
"""Trades of one push are of one moment, unless it is a list of what was before."""


class CryptocomDialect:
    """See Dialect."""

    def __init__(self, listings: Sequence[Listing]) -> None:
        self._scales = scales(listings)
        self._begun: set[str] = set()
        self._streams: Mapping[str, Callable[[dict[str, Any], dict[str, Any], Reading], None]] = {
            "trade": self._trade,
            "ticker": self._ticker,
            "mark": self._mark,
            "funding": self._funding,
        }
        channels = [f"{stream}.{name}" for name in self._scales for stream in _STREAMS]
        self.endpoints: Sequence[Endpoint] = tuple(
            _endpoint(number, group) for number, group in enumerate(batches(channels, CHANNELS_PER_CONNECTION))
        )
        self.polls: Sequence[Poll] = (
            Poll(name="listings", request=Request(f"{REST}/get-instruments"), every_s=86_400.0, channels=frozenset()),
        )
        self.budgets: Sequence[Budget] = (BUDGET,)

    def read(self, message: bytes, receive_ns: int, into: Reading) -> None:
        """Read a message of the market stream."""
        said = orjson.loads(message)
        method = said.get("method")
        if method == "public/heartbeat":
            into.heartbeats += 1
            into.replies.append(_alive(said["id"]))
        elif said.get("code", 0) != 0:
            refuse(into, said)
        elif method != "subscribe":
            if method is None:
                raise Unreadable("unknown message", said)
            ignore(into, method)
        elif "result" in said:
            self._data(said["result"], into)
        else:
            into.acknowledged.append(str(said["id"]))

    def _data(self, result: dict[str, Any], into: Reading) -> None:
        read = self._streams.get(result["channel"])
        if read is None:
            ignore(into, result["channel"])
        elif result["instrument_name"] not in self._scales:
            into.ignored["other instrument"] += 1
        else:
            before = len(into.events)
            read_rows(reversed(result["data"]), lambda row: read(result, row, into), into)
            if result["channel"] == "trade" and result["instrument_name"] not in self._begun:
                self._first_push(result["instrument_name"], into.events[before:], into)

    def _first_push(self, name: str, events: Sequence[Event], into: Reading) -> None:
        times = [event.time_ns for event in events if isinstance(event, Trade)]
        if times:
            self._begun.add(name)
            into.evidence.append((FIRST_PUSH, FIRST_PUSH.alternatives[max(times) - min(times) > SECOND]))

    def _trade(self, result: dict[str, Any], row: dict[str, Any], into: Reading) -> None:
        scale = self._scales[result["instrument_name"]]
        scale.trade(into, time_of(row["t"]), row["p"], row["q"], _SIDES[row["s"]])

    def _ticker(self, result: dict[str, Any], row: dict[str, Any], into: Reading) -> None:
        self._scales[result["instrument_name"]].open_interest(into, time_of(row["t"]), row["oi"])

    def _mark(self, result: dict[str, Any], row: dict[str, Any], into: Reading) -> None:
        self._scales[result["instrument_name"]].mark(into, time_of(row["t"]), row["v"])

    def _funding(self, result: dict[str, Any], row: dict[str, Any], into: Reading) -> None:
        self._scales[result["instrument_name"]].funding(into, time_of(row["t"]), row["v"], 1)

    def read_answer(self, poll: Poll, body: bytes, receive_ns: int, into: Reading) -> None:
        """Read the list of instruments."""
        said = orjson.loads(body)
        if said["code"] != 0:
            refuse(into, said)
        else:
            read_rows(said["result"]["data"], lambda row: _listing(row, into), into)


def _endpoint(number: int, channels: Sequence[str]) -> Endpoint:
    asked = batches(channels, CHANNELS_PER_MESSAGE)
    return Endpoint(
        name=f"market-{number}",
        url=SOCKET,
        subscribe=tuple(
            to_json({"id": index + 1, "method": "subscribe", "params": {"channels": group}})
            for index, group in enumerate(asked)
        ),
        acknowledgements=frozenset(str(index + 1) for index in range(len(asked))),
        channels=frozenset({Channel.TRADES, Channel.MARK, Channel.OPEN_INTEREST, Channel.FUNDING}),
        control=Channel.MARK,
        control_s=30.0,
        sends_per_s=5.0,
    )


def _alive(number: object) -> str:
    if type(number) is not int:
        raise Unreadable("heartbeat", number)
    return to_json({"id": number, "method": "public/respond-heartbeat"})


def _listing(row: dict[str, Any], into: Reading) -> None:
    if row["inst_type"] != "PERPETUAL_SWAP":
        ignore(into, row["inst_type"])
        return
    size = row.get("contract_size")
    into.listings.append(
        VenueListing(
            name=row["symbol"],
            unit=None if size is None else as_fraction(size),
            price_tick=as_fraction(row["price_tick_size"]),
            max_leverage=int(as_fraction(row["max_leverage"])),
            is_trading=row["tradable"] is True,
        )
    )


class CryptocomHistory:
    """See VenueHistory. A rate of funding is stamped with the end of its hour (UNVERIFIED)."""

    def __init__(self, listing: Listing) -> None:
        self._pages = Pages(listing)
        self._name = listing.name
        self.series: Sequence[PastSeries] = (
            PastSeries(name="candles 1m", channel=Channel.TRADES, step_ns=60 * SECOND, page=CANDLES_PER_PAGE),
            PastSeries(name="funding 1h", channel=Channel.FUNDING, step_ns=HOUR_NS, page=100),
        )
        self.budgets: Sequence[Budget] = (HISTORY_BUDGET,)

    def request(self, series: PastSeries, from_ns: int, until_ns: int) -> Request:
        """See VenueHistory."""
        self._pages.ask(from_ns, until_ns)
        span = {
            "instrument_name": self._name,
            "start_ts": str(from_ns // MS - 1),
            "end_ts": str(until_ns // MS),
        }
        if series.channel is Channel.FUNDING:
            return Request(f"{REST}/get-valuations", {**span, "valuation_type": "funding_hist", "count": "110"})
        return Request(f"{REST}/get-candlestick", {**span, "timeframe": "1m", "count": "300"})

    def read_page(self, series: PastSeries, body: bytes, into: Reading) -> None:
        """See VenueHistory."""
        said = orjson.loads(body)
        if said["code"] != 0:
            refuse(into, said)
            return
        rows = sorted(said["result"]["data"], key=lambda row: int(row["t"]))
        if series.channel is Channel.FUNDING:
            read_rows(rows, lambda row: self._funding(row, into), into)
        else:
            read_rows(rows, lambda row: self._candle(series, row, into), into)

    def _candle(self, series: PastSeries, row: dict[str, Any], into: Reading) -> None:
        self._pages.candle(into, series, time_of(row["t"]), (row["o"], row["h"], row["l"], row["c"]), row["v"])

    def _funding(self, row: dict[str, Any], into: Reading) -> None:
        self._pages.funding(into, time_of(row["t"]) - HOUR_NS, row["v"], 1)


CRYPTOCOM: Final = Venue(
    name="cryptocom",
    instruments_of="cryptocom",
    dialect=CryptocomDialect,
    liquidations=Completeness.NONE,
    provenance="recorded",
    history=CryptocomHistory,
)

"""Hyperliquid: perpetuals of its main book, counted in coins.

Sources: the vendor's own library and real messages of 2023 to 2026. Contexts (mark, open interest, funding) carry no
time and are stamped when received. The first message of trades after a subscription repeats old ones: counted and left
out. There is no public stream of liquidations. They show in fills of accounts alone (hyperliquid_accounts), whose
messages are read here too, as a sample: a zero hash of a trade is no sign of one. How often activeAssetCtx comes, and
that about 5,000 candles are kept, is UNVERIFIED. Open interest of the past is not told.
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
    Ping,
    Poll,
    Reading,
    Request,
    Unreadable,
    Venue,
    VenueListing,
    read_rows,
    to_json,
)
from liqscape.feeds.venues.history import PastSeries
from liqscape.feeds.venues.hyperliquid_accounts import INFO, HyperliquidAccounts, closed_by_fill
from liqscape.feeds.venues.notes import ignore, refuse
from liqscape.feeds.venues.repeats import TradesTold
from liqscape.feeds.venues.scale import MS, SECOND, Scale, scales, time_of

SOCKET: Final = "wss://api.hyperliquid.xyz/ws"

SENDS_PER_S: Final = 15.0
"""Half of 2,000 a minute, rounded down."""

PING: Final = Ping(to_json({"method": "ping"}), 25.0)
"""A silent link is dropped after about 60 s."""

BUDGET: Final = Budget("rest", 300, 60.0)
"""With that of history half of the 1,200 a minute."""

HISTORY_BUDGET: Final = Budget("history", 300, 60.0)
"""See BUDGET."""

META_WEIGHT: Final = 20

CANDLES_PER_PAGE: Final = 480

CANDLE_WEIGHT: Final = 20 + CANDLES_PER_PAGE // 60
"""The venue adds 1 for 60 rows."""

CANDLES_KEPT: Final = 5000
"""The newest ones, of each interval (UNVERIFIED)."""

FUNDING_PER_PAGE: Final = 400
"""The venue answers with 500 at most."""

FUNDING_WEIGHT: Final = 20 + FUNDING_PER_PAGE // 20
"""The venue adds 1 for 20 rows."""

HOUR_NS: Final = 3600 * SECOND

SIDES: Final = {"A": TakerSide.SELL, "B": TakerSide.BUY}
"""Of the order that took: A took from those who bid, B from those who asked."""

_SUBSCRIPTIONS: Final = ("trades", "activeAssetCtx")


class HyperliquidDialect:
    """See Dialect."""

    def __init__(self, listings: Sequence[Listing]) -> None:
        self._scales = scales(listings)
        self._begun: set[str] = set()
        self._told = TradesTold()
        self._universe: tuple[str, ...] = ()
        self._channels: Mapping[str, Callable[[Any, int, Reading], None]] = {
            "trades": self._trades,
            "activeAssetCtx": self._context,
            "allDexsAssetCtxs": self._contexts,
            "subscriptionResponse": _confirmed,
            "error": _refused,
            "pong": _pong,
            "user": self._fills,
            "userFills": self._fills,
        }
        asked = [(kind, name) for name in self._scales for kind in _SUBSCRIPTIONS]
        self.endpoints: Sequence[Endpoint] = (
            Endpoint(
                name="public",
                url=SOCKET,
                subscribe=tuple(
                    to_json({"method": "subscribe", "subscription": {"type": kind, "coin": name}})
                    for kind, name in asked
                ),
                acknowledgements=frozenset(f"{kind}:{name}" for kind, name in asked),
                channels=frozenset({Channel.TRADES, Channel.MARK, Channel.OPEN_INTEREST, Channel.FUNDING}),
                control=Channel.MARK,
                control_s=30.0,
                ping=PING,
                sends_per_s=SENDS_PER_S,
                connects_per_s=0.25,
            ),
        )
        self.polls: Sequence[Poll] = (
            Poll(
                name="listings",
                request=Request(INFO, json=orjson.dumps({"type": "meta"})),
                every_s=86_400.0,
                channels=frozenset(),
                weight=META_WEIGHT,
            ),
        )
        self.budgets: Sequence[Budget] = (BUDGET,)

    def read(self, message: bytes, receive_ns: int, into: Reading) -> None:
        """Read a message."""
        said = orjson.loads(message)
        read = self._channels.get(said["channel"])
        if read is None:
            ignore(into, said["channel"])
        else:
            read(said.get("data"), receive_ns, into)

    def _trades(self, rows: list[dict[str, Any]], receive_ns: int, into: Reading) -> None:
        fresh = {row["coin"] for row in rows} - self._begun
        if fresh:
            self._begun |= fresh & self._scales.keys()  # bounded by what is wanted
        read_rows(rows, lambda row: self._trade(row, fresh, into), into)

    def _trade(self, row: dict[str, Any], fresh: set[str], into: Reading) -> None:
        scale = self._scales.get(row["coin"])
        if scale is None:
            into.ignored["other instrument"] += 1
        elif row["coin"] in fresh:
            into.ignored["trade before the subscription"] += 1
        else:
            scale.trade(into, time_of(row["time"]), row["px"], row["sz"], SIDES[row["side"]])
            self._told.is_repeat(into, row.get("tid"))

    def _context(self, data: dict[str, Any], receive_ns: int, into: Reading) -> None:
        self._read_context(data["coin"], data["ctx"], receive_ns, into)

    def _contexts(self, data: dict[str, Any], receive_ns: int, into: Reading) -> None:
        """Read the contexts of all books: rows in the order of the list of instruments of that book."""
        for book, rows in data["ctxs"]:
            if book != "":
                into.ignored["other book"] += 1
            elif not self._universe:
                into.ignored["contexts before the list of instruments"] += 1
            else:
                named = zip(self._universe, rows, strict=False)
                read_rows(named, lambda each: self._read_context(each[0], each[1], receive_ns, into), into)

    def _read_context(self, name: str, row: dict[str, Any], receive_ns: int, into: Reading) -> None:
        scale = self._scales.get(name)
        if scale is None:
            into.ignored["other instrument"] += 1
            return
        scale.mark(into, receive_ns, row["markPx"])
        scale.open_interest(into, receive_ns, row["openInterest"])
        scale.funding(into, receive_ns, row["funding"], 1)

    def _fills(self, data: dict[str, Any], receive_ns: int, into: Reading) -> None:
        account = data.get("user")
        if data.get("isSnapshot") is True:
            into.ignored["fill before the subscription"] += len(data["fills"])
        elif "fills" in data:
            read_rows(data["fills"], lambda row: self._fill(row, account, into), into)
        else:
            into.ignored["event of an account"] += 1

    def _fill(self, row: dict[str, Any], account: str | None, into: Reading) -> None:
        scale = self._scales.get(row["coin"])
        if scale is None or row.get("liquidation") is None:
            into.ignored["other instrument" if scale is None else "fill of an account"] += 1
            return
        closed = closed_by_fill(row, account)
        scale.liquidation(into, time_of(row["time"]), row["px"], row["sz"], closed, complete=False)

    def read_answer(self, poll: Poll, body: bytes, receive_ns: int, into: Reading) -> None:
        """Read the list of instruments, whose order contexts of all books rely on."""
        said = orjson.loads(body)
        self._universe = tuple(row["name"] for row in said["universe"])
        read_rows(said["universe"], lambda row: into.listings.append(_listing(row)), into)


def _confirmed(data: dict[str, Any], receive_ns: int, into: Reading) -> None:
    asked = data["subscription"]
    if data["method"] == "subscribe":
        into.acknowledged.append(f"{asked['type']}:{asked.get('coin', '')}")
    else:
        into.ignored["unsubscribed"] += 1


def _refused(data: object, receive_ns: int, into: Reading) -> None:
    refuse(into, data)


def _pong(data: object, receive_ns: int, into: Reading) -> None:
    into.heartbeats += 1


def _listing(row: dict[str, Any]) -> VenueListing:
    if type(row["name"]) is not str or type(row["maxLeverage"]) is not int:
        raise Unreadable("instrument", row)
    return VenueListing(
        name=row["name"], max_leverage=row["maxLeverage"], is_trading=row.get("isDelisted", False) is False
    )


class HyperliquidHistory:
    """See VenueHistory. A payment of funding is stamped with the end of its hour, some milliseconds late."""

    def __init__(self, listing: Listing) -> None:
        self._scale = Scale(listing)
        self._name = listing.name
        self.series: Sequence[PastSeries] = (
            PastSeries(
                name="candles 1m",
                channel=Channel.TRADES,
                step_ns=60 * SECOND,
                page=CANDLES_PER_PAGE,
                depth_ns=CANDLES_KEPT * 60 * SECOND,
                weight=CANDLE_WEIGHT,
            ),
            PastSeries(
                name="candles 1h",
                channel=Channel.TRADES,
                step_ns=HOUR_NS,
                page=CANDLES_PER_PAGE,
                depth_ns=CANDLES_KEPT * HOUR_NS,
                weight=CANDLE_WEIGHT,
            ),
            PastSeries(
                name="funding 1h",
                channel=Channel.FUNDING,
                step_ns=HOUR_NS,
                page=FUNDING_PER_PAGE,
                weight=FUNDING_WEIGHT,
            ),
        )
        self.budgets: Sequence[Budget] = (HISTORY_BUDGET,)

    def request(self, series: PastSeries, from_ns: int, until_ns: int) -> Request:
        """See VenueHistory."""
        span = {"startTime": from_ns // MS, "endTime": until_ns // MS - 1}
        if series.channel is Channel.FUNDING:
            asked: dict[str, Any] = {"type": "fundingHistory", "coin": self._name, **span}
        else:
            interval = series.name.removeprefix("candles ")
            asked = {"type": "candleSnapshot", "req": {"coin": self._name, "interval": interval, **span}}
        return Request(INFO, json=orjson.dumps(asked))

    def read_page(self, series: PastSeries, body: bytes, into: Reading) -> None:
        """See VenueHistory."""
        rows = orjson.loads(body)
        if not isinstance(rows, list):
            refuse(into, rows)
        elif series.channel is Channel.FUNDING:
            read_rows(rows, lambda row: self._funding(row, into), into)
        else:
            read_rows(rows, lambda row: self._candle(series, row, into), into)

    def _candle(self, series: PastSeries, row: dict[str, Any], into: Reading) -> None:
        self._scale.candle(into, time_of(row["t"]), series.step_ns, (row["o"], row["h"], row["l"], row["c"]), row["v"])

    def _funding(self, row: dict[str, Any], into: Reading) -> None:
        ended_ns = time_of(row["time"]) // HOUR_NS * HOUR_NS
        self._scale.funding(into, ended_ns - HOUR_NS, row["fundingRate"], 1)


HYPERLIQUID: Final = Venue(
    name="hyperliquid",
    instruments_of="hyperliquid",
    dialect=HyperliquidDialect,
    liquidations=Completeness.NONE,
    provenance="recorded",
    history=HyperliquidHistory,
    accounts=HyperliquidAccounts(),
)

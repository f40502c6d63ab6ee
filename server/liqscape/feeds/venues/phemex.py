"""Phemex: linear perpetuals told in text and counted in coins, inverse ones in scaled integers and contracts of 1 USD.

Sources: the vendor's documents of 2024, client libraries of 2026, and real messages of 2020 to 2026. Times are in ns.
One topic covers every linear contract (perp_market24h_pack_p; its first message names the fields), another every
inverse one (market24h: prices x 10^4, rates x 10^8). Each subscription of trades names one symbol here: that it could
name more is UNVERIFIED. First messages of trades (snapshot) repeat old ones and are left out. No liquidations are
printed. Real messages of 2022 say an open interest of 0 of contracts that trade: such are counted and left out.
Public REST paths, and that inverse candles of the past can be asked for, are UNVERIFIED: the latter is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import count
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
    batches,
    read_rows,
    to_json,
)
from liqscape.feeds.venues.history import PastSeries
from liqscape.feeds.venues.notes import ignore, refuse
from liqscape.feeds.venues.numbers import as_fraction, floored
from liqscape.feeds.venues.pages import Pages
from liqscape.feeds.venues.repeats import Repeats
from liqscape.feeds.venues.scale import MS, SECOND, scales, time_of
from liqscape.feeds.venues.wanted import hours_of

SOCKET: Final = "wss://ws.phemex.com/"

REST: Final = "https://api.phemex.com"

SUBSCRIPTIONS_PER_CONNECTION: Final = 20
"""The venue takes no more; it takes 5 connections of a client."""

SENDS_PER_S: Final = 10.0
"""Half of 20 requests a second, pings included."""

PING: Final = Ping(to_json({"id": 0, "method": "server.ping", "params": []}), 5.0)
"""The venue asks for one every 5 s, and cuts after 30 s without."""

BUDGET: Final = Budget("rest", 10, 60.0)
"""With that of history half of the 100 a minute of other requests (UNVERIFIED)."""

HISTORY_BUDGET: Final = Budget("history", 40, 60.0)
"""See BUDGET."""

PRICE_PLACES: Final = 4
"""Of scaled prices of inverse contracts."""

RATE_PLACES: Final = 8
"""Of scaled rates."""

FUNDING_HOURS: Final = 8

_SIDES: Final = {"Buy": TakerSide.BUY, "Sell": TakerSide.SELL}

_FIELDS: Final = (
    "symbol",
    "openRp",
    "highRp",
    "lowRp",
    "lastRp",
    "volumeRq",
    "turnoverRv",
    "openInterestRv",
    "indexRp",
    "markRp",
    "fundingRateRr",
    "predFundingRateRr",
)
"""The order of a row of the pack, until a message names another."""


class PhemexDialect:
    """See Dialect."""

    def __init__(self, listings: Sequence[Listing]) -> None:
        self._scales = scales(listings)
        self._repeats = Repeats()
        self._hours: dict[str, int] = {}  # between payments of funding, as listed
        self._places: Sequence[int] = ()
        self._name_fields(_FIELDS)
        self._kinds: Mapping[str, Callable[[dict[str, Any], Reading], None]] = {
            "trades_p": self._linear_trades,
            "trades": self._inverse_trades,
            "market24h": self._market,
            "orderbook_p": _book,
            "book": _book,
            "error": _answer,
        }
        self.endpoints: Sequence[Endpoint] = self._endpoints(listings)
        self.polls: Sequence[Poll] = (
            Poll(name="listings", request=Request(f"{REST}/public/products"), every_s=86_400.0, channels=frozenset()),
        )
        self.budgets: Sequence[Budget] = (BUDGET,)

    def _name_fields(self, names: Sequence[str]) -> None:
        found = [names.index(name) for name in ("symbol", "markRp", "openInterestRv", "fundingRateRr")]
        self._places = found

    def _endpoints(self, listings: Sequence[Listing]) -> tuple[Endpoint, ...]:
        linear = [each.name for each in listings if not each.instrument.is_inverse]
        inverse = [each.name for each in listings if each.instrument.is_inverse]
        wanted: list[tuple[str, list[str]]] = []
        if linear:
            wanted.append(("perp_market24h_pack_p.subscribe", []))
        if inverse:
            wanted.append(("market24h.subscribe", []))
        wanted += [("trade_p.subscribe", [name]) for name in linear]
        wanted += [("trade.subscribe", [name]) for name in inverse]
        numbers = count(1)
        asked = [
            (str(n), to_json({"id": n, "method": method, "params": parameters}))
            for n, (method, parameters) in zip(numbers, wanted, strict=False)
        ]
        found = []
        for index, ids in enumerate(batches([number for number, _ in asked], SUBSCRIPTIONS_PER_CONNECTION)):
            texts = dict(asked)
            tells_marks = index == 0
            found.append(
                Endpoint(
                    name=f"public-{index}",
                    url=SOCKET,
                    subscribe=tuple(texts[number] for number in ids),
                    acknowledgements=frozenset(ids),
                    channels=frozenset({Channel.TRADES, Channel.MARK, Channel.OPEN_INTEREST, Channel.FUNDING})
                    if tells_marks
                    else frozenset({Channel.TRADES}),
                    control=Channel.MARK if tells_marks else Channel.TRADES,
                    control_s=20.0 if tells_marks else 300.0,
                    ping=PING,
                    sends_per_s=SENDS_PER_S,
                )
            )
        return tuple(found)

    def read(self, message: bytes, receive_ns: int, into: Reading) -> None:
        """Read a message: its kind is the key that only such a one has."""
        said = orjson.loads(message)
        if "method" in said:
            self._pack(said, into)
            return
        for kind, read in self._kinds.items():
            if kind in said:
                read(said, into)
                return
        raise Unreadable("unknown message", said)

    def _linear_trades(self, said: dict[str, Any], into: Reading) -> None:
        self._trades(said, said["trades_p"], False, into)

    def _inverse_trades(self, said: dict[str, Any], into: Reading) -> None:
        self._trades(said, said["trades"], True, into)

    def _trades(self, said: dict[str, Any], rows: list[list[Any]], is_scaled: bool, into: Reading) -> None:
        scale = self._scales.get(said["symbol"])
        if scale is None:
            into.ignored["other instrument"] += 1
            return
        if said["type"] == "snapshot":
            into.ignored["trade before the subscription"] += len(rows)
            return
        sequence = said.get("sequence")  # trades have no ids, messages of them a number each
        if type(sequence) is int and not self._repeats.is_new((said["symbol"], sequence, hash(str(rows)))):
            into.ignored["trade again"] += len(rows)
            return

        def read(row: list[Any]) -> None:
            time_ns, side, price, quantity = row
            told = unscaled(price, PRICE_PLACES) if is_scaled else price
            scale.trade(into, time_of(time_ns, 1), told, quantity, _SIDES[side])

        read_rows(rows, read, into)

    def _pack(self, said: dict[str, Any], into: Reading) -> None:
        if said["method"] != "perp_market24h_pack_p.update":
            ignore(into, said["method"])
            return
        if "fields" in said:
            self._name_fields(said["fields"])
        time_ns = time_of(said["timestamp"], 1)
        read_rows(said["data"], lambda row: self._row(row, time_ns, into), into)

    def _row(self, row: list[Any], time_ns: int, into: Reading) -> None:
        symbol, mark, interest, rate = (row[place] for place in self._places)
        scale = self._scales.get(symbol)
        if scale is None:
            into.ignored["other instrument"] += 1
            return
        scale.mark(into, time_ns, mark)
        scale.open_interest(into, time_ns, interest)
        scale.funding(into, time_ns, rate, self._hours.get(symbol, FUNDING_HOURS))

    def _market(self, said: dict[str, Any], into: Reading) -> None:
        row = said["market24h"]
        scale = self._scales.get(row["symbol"])
        if scale is None:
            into.ignored["other instrument"] += 1
            return
        time_ns = time_of(said["timestamp"], 1)
        scale.mark(into, time_ns, unscaled(row["markPrice"], PRICE_PLACES))
        scale.open_interest(into, time_ns, row["openInterest"])
        hours = self._hours.get(row["symbol"], FUNDING_HOURS)
        scale.funding(into, time_ns, unscaled(row["fundingRate"], RATE_PLACES), hours)

    def read_answer(self, poll: Poll, body: bytes, receive_ns: int, into: Reading) -> None:
        """Read the list of products."""
        said = orjson.loads(body)
        if said.get("code") != 0:
            refuse(into, said)
            return
        data = said["data"]
        rows = [*(data.get("products") or ()), *(data.get("perpProductsV2") or ())]
        read_rows(rows, lambda row: self._listing(row, into), into)

    def _listing(self, row: dict[str, Any], into: Reading) -> None:
        _list(row, into)
        seconds, name = row.get("fundingInterval"), row["symbol"]
        if seconds and name in self._scales:
            self._hours[name] = hours_of(floored(seconds, 0), 3600)


def unscaled(value: object, places: int) -> str:
    """Return the text of a number that was sent as a count of 10^-places."""
    if type(value) is not int:
        raise Unreadable("scaled number", value)
    whole, rest = divmod(abs(value), 10**places)
    return f"{'-' if value < 0 else ''}{whole}.{rest:0{places}d}"


def _book(said: dict[str, Any], into: Reading) -> None:
    into.ignored["order book"] += 1


def _answer(said: dict[str, Any], into: Reading) -> None:
    if said["error"] is not None:
        refuse(into, said)
    elif said["result"] == "pong":
        into.heartbeats += 1
    elif said["result"]["status"] == "success":
        into.acknowledged.append(str(said["id"]))
    else:
        refuse(into, said)


def _list(row: dict[str, Any], into: Reading) -> None:
    if not str(row["type"]).startswith("Perpetual"):
        into.ignored["no perpetual"] += 1
        return
    into.listings.append(
        VenueListing(
            name=row["symbol"],
            price_tick=as_fraction(row["tickSize"]),
            max_leverage=int(row["maxLeverage"]),
            is_trading=row["status"] == "Listed",
        )
    )


class PhemexHistory:
    """See VenueHistory. A payment of funding is stamped with the end of its interval."""

    def __init__(self, listing: Listing) -> None:
        self._pages = Pages(listing)
        self._name = listing.name
        candles = PastSeries(name="candles 1m", channel=Channel.TRADES, step_ns=60 * SECOND, page=1000)
        funding = PastSeries(name="funding 8h", channel=Channel.FUNDING, step_ns=FUNDING_HOURS * 3600 * SECOND, page=90)
        self.series: Sequence[PastSeries] = () if listing.instrument.is_inverse else (candles, funding)
        self.budgets: Sequence[Budget] = (HISTORY_BUDGET,)

    def request(self, series: PastSeries, from_ns: int, until_ns: int) -> Request:
        """See VenueHistory."""
        self._pages.ask(from_ns, until_ns)
        if series.channel is Channel.FUNDING:
            return Request(
                f"{REST}/api-data/public/data/funding-rate-history",
                {
                    "symbol": f".{self._name}FR8H",
                    "start": str(from_ns // MS),
                    "end": str(until_ns // MS - 1),
                    "limit": "100",
                },
            )
        return Request(
            f"{REST}/exchange/public/md/v2/kline/list",
            {
                "symbol": self._name,
                "from": str(from_ns // SECOND),
                "to": str(until_ns // SECOND),
                "resolution": "60",
            },
        )

    def read_page(self, series: PastSeries, body: bytes, into: Reading) -> None:
        """See VenueHistory."""
        said = orjson.loads(body)
        if said["code"] not in (0, "0"):
            refuse(into, said)
        elif series.channel is Channel.FUNDING:
            rows = sorted(said["data"]["rows"], key=lambda row: int(row["fundingTime"]))
            read_rows(rows, lambda row: self._funding(row, into), into)
        else:
            rows = sorted(said["data"]["rows"], key=lambda row: int(row[0]))
            read_rows(rows, lambda row: self._candle(series, row, into), into)

    def _candle(self, series: PastSeries, row: list[Any], into: Reading) -> None:
        self._pages.candle(into, series, time_of(row[0], SECOND), row[3:7], row[7])

    def _funding(self, row: dict[str, Any], into: Reading) -> None:
        length_s = int(row["intervalSeconds"])
        began_ns = time_of(int(row["fundingTime"])) - length_s * SECOND
        if length_s <= 0 or length_s % 3600:
            raise Unreadable("interval", length_s)
        self._pages.funding(into, began_ns, row["fundingRate"], length_s // 3600)


PHEMEX: Final = Venue(
    name="phemex",
    instruments_of="phemex",
    dialect=PhemexDialect,
    liquidations=Completeness.NONE,
    provenance="recorded",
    history=PhemexHistory,
)

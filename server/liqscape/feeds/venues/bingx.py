"""BingX: linear perpetuals BASE-USDT, counted in coins, and inverse ones BASE-USD, counted in contracts.

Sources: client libraries of autumn 2026; no real message was at hand, so every form is the documented one. Frames are
packed with gzip, the text Ping too, which wants Pong. Open interest is polled. Of linear contracts it is a worth in
quote (CONFLICT with what the name says, and not trustworthy by a public comparison of venues): coins are that over the
newest mark, of which one must have been heard in the last minute; of inverse ones it is coins, contracts are that times
the mark over the worth of one. So the venue is for who asks for it by name. The stream of marks is UNVERIFIED and not
needed: marks and rates of funding are polled too. Inverse trades are taken as contracts (UNVERIFIED). No liquidations
are printed: the venue refuses every name of such a channel.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any, Final

import orjson

from liqscape.events import TakerSide
from liqscape.feeds.venues.dialect import (
    MAX_MESSAGE_BYTES,
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
    read_rows,
    to_json,
)
from liqscape.feeds.venues.history import PastSeries
from liqscape.feeds.venues.notes import ignore, refuse
from liqscape.feeds.venues.numbers import QUANTITY_UNIT, as_fraction
from liqscape.feeds.venues.pages import Pages
from liqscape.feeds.venues.scale import MS, SECOND, Scale, scales, time_of
from liqscape.instruments import Instrument

LINEAR_SOCKET: Final = "wss://open-api-swap.bingx.com/swap-market"

INVERSE_SOCKET: Final = "wss://open-api-cswap-ws.bingx.com/market"

REST: Final = "https://open-api.bingx.com/openApi"

POLL_S: Final = 5.0
"""Between two samples of an instrument, of open interest and of the mark each. More than seven instruments wait for the
budget."""

BUDGET: Final = Budget("rest", 30, 10.0)
"""With that of history half of the 100 requests in 10 s (UNVERIFIED)."""

HISTORY_BUDGET: Final = Budget("history", 20, 10.0)
"""See BUDGET."""

FRESH_NS: Final = 60 * SECOND
"""Age of a mark that an open interest may be divided by."""

FUNDING_HOURS: Final = 8

CANDLES_PER_PAGE: Final = 1000
"""The venue answers with 1,440 at most."""

_GZIP: Final = 31
"""Window bits of a gzip frame, for zlib."""


class BingxDialect:
    """See Dialect.

    Args:
        listings: of one kind, linear or inverse.
        is_inverse: which.
    """

    def __init__(self, listings: Sequence[Listing], is_inverse: bool) -> None:
        self._scales = scales(listings)
        self._is_inverse = is_inverse
        self._marks: dict[str, tuple[int, Fraction]] = {}
        self._streams: Mapping[str, Callable[[Scale, dict[str, Any], int, Reading], None]] = {
            "trade": _trade,
            "markPrice": self._streamed_mark,
        }
        names = tuple(self._scales)
        self.endpoints: Sequence[Endpoint] = (
            Endpoint(
                name="market",
                url=INVERSE_SOCKET if is_inverse else LINEAR_SOCKET,
                subscribe=tuple(
                    to_json({"id": f"{name}@trade", "reqType": "sub", "dataType": f"{name}@trade"}) for name in names
                ),
                acknowledgements=frozenset(f"{name}@trade" for name in names),
                channels=frozenset({Channel.TRADES}),
                control_s=60.0,
                sends_per_s=2.0,
                protocol_ping_s=None,
            ),
        )
        self.polls: Sequence[Poll] = self._polls()
        self.budgets: Sequence[Budget] = (BUDGET,)

    def _polls(self) -> tuple[Poll, ...]:
        base = f"{REST}/cswap/v1/market" if self._is_inverse else f"{REST}/swap/v2/quote"
        found = [Poll(name="listings", request=Request(f"{base}/contracts"), every_s=86_400.0, channels=frozenset())]
        for name, scale in self._scales.items():
            for called, channels in (
                ("premiumIndex", frozenset({Channel.MARK, Channel.FUNDING})),
                ("openInterest", frozenset({Channel.OPEN_INTEREST})),
            ):
                found.append(
                    Poll(
                        name=f"{called} {name}",
                        request=Request(f"{base}/{called}", {"symbol": name}),
                        every_s=POLL_S,
                        channels=channels,
                        about=(scale.instrument_id,),
                    )
                )
        return tuple(found)

    def read(self, message: bytes, receive_ns: int, into: Reading) -> None:
        """Read a frame, packed or not."""
        if message[:2] == b"\x1f\x8b":
            message = inflated(message)
        if message == b"Ping":
            into.heartbeats += 1
            into.replies.append("Pong")
            return
        said = orjson.loads(message)
        if "ping" in said:
            into.heartbeats += 1
            into.replies.append(to_json({"pong": str(said["ping"])[:64], "time": str(said.get("time", ""))[:64]}))
        elif said.get("code", 0) != 0:
            refuse(into, said)
        elif said.get("dataType"):
            self._data(said, receive_ns, into)
        elif "id" in said:
            into.acknowledged.append(str(said["id"]))
        else:
            raise Unreadable("unknown message", said)

    def _data(self, said: dict[str, Any], receive_ns: int, into: Reading) -> None:
        name, _, stream = said["dataType"].partition("@")
        read = self._streams.get(stream)
        scale = self._scales.get(name)
        if read is None:
            ignore(into, stream)
        elif scale is None:
            into.ignored["other instrument"] += 1
        else:
            data = said["data"]
            rows = data if isinstance(data, list) else (data,)
            read_rows(rows, lambda row: read(scale, row, receive_ns, into), into)

    def _streamed_mark(self, scale: Scale, row: dict[str, Any], receive_ns: int, into: Reading) -> None:
        self._mark(scale, time_of(row["E"]), row["p"], receive_ns, into)

    def _mark(self, scale: Scale, time_ns: int, price: object, receive_ns: int, into: Reading) -> None:
        scale.mark(into, time_ns, price)
        self._marks[scale.instrument_id] = (receive_ns, as_fraction(price))

    def read_answer(self, poll: Poll, body: bytes, receive_ns: int, into: Reading) -> None:
        """Read contracts, premiumIndex or openInterest."""
        said = orjson.loads(body)
        if said["code"] != 0:
            refuse(into, said)
            return
        data = said["data"]
        rows = data if isinstance(data, list) else (data,)
        if not poll.channels:
            read_rows(rows, lambda row: _listing(row, into), into)
        elif Channel.OPEN_INTEREST in poll.channels:
            read_rows(rows, lambda row: self._interest(row, receive_ns, into), into)
        else:
            read_rows(rows, lambda row: self._premium(row, receive_ns, into), into)

    def _premium(self, row: dict[str, Any], receive_ns: int, into: Reading) -> None:
        scale = self._scales.get(row["symbol"])
        if scale is None:
            into.ignored["other instrument"] += 1
            return
        self._mark(scale, receive_ns, row["markPrice"], receive_ns, into)
        hours = row.get("fundingIntervalHours", FUNDING_HOURS)
        if type(hours) is not int or not 0 < hours <= 24:
            raise Unreadable("interval", hours)
        scale.funding(into, receive_ns, row["lastFundingRate"], hours)

    def _interest(self, row: dict[str, Any], receive_ns: int, into: Reading) -> None:
        scale = self._scales.get(row["symbol"])
        if scale is None:
            into.ignored["other instrument"] += 1
            return
        marked_ns, mark = self._marks.get(scale.instrument_id, (0, Fraction(0)))
        if receive_ns - marked_ns > FRESH_NS or mark <= 0:
            into.ignored["open interest without a mark"] += 1
            return
        told = as_fraction(row["openInterest"])
        worth = scale.instrument.contract_value
        units = (told / mark if worth is None else told * mark / worth) * QUANTITY_UNIT
        time_ns = time_of(row["time"]) if "time" in row else receive_ns
        scale.open_interest_units(into, time_ns, units.numerator // units.denominator, row["openInterest"])


def inflated(frame: bytes) -> bytes:
    """Return a frame unpacked.

    Raises:
        Unreadable: it is larger than a message may be, cut, or no gzip.
    """
    unpack = zlib.decompressobj(_GZIP)
    try:
        message = unpack.decompress(frame, MAX_MESSAGE_BYTES + 1)
    except zlib.error as error:
        raise Unreadable("gzip", error) from error
    if len(message) > MAX_MESSAGE_BYTES:
        raise Unreadable("too large", f"more than {MAX_MESSAGE_BYTES} bytes unpacked")
    if not unpack.eof:
        raise Unreadable("gzip", "cut short")
    return message


def _trade(scale: Scale, row: dict[str, Any], receive_ns: int, into: Reading) -> None:
    side = _SIDES[row["m"]]
    scale.trade(into, time_of(row["T"]), row["p"], row["q"], side)


_SIDES: Final = {True: TakerSide.SELL, False: TakerSide.BUY}
"""By whether the maker bought."""


def _listing(row: dict[str, Any], into: Reading) -> None:
    decimals = int(row["pricePrecision"])
    if not 0 <= decimals <= 18:
        raise Unreadable("decimals", decimals)
    leverage = row.get("maxLongLeverage")
    into.listings.append(
        VenueListing(
            name=row["symbol"],
            price_tick=Fraction(1, 10**decimals),
            max_leverage=None if leverage is None else int(leverage),
            is_trading=str(row["status"]) == "1",
        )
    )


class BingxHistory:
    """See VenueHistory. Of linear contracts alone; a payment of funding is stamped with the end of its interval."""

    def __init__(self, listing: Listing) -> None:
        self._pages = Pages(listing)
        self._name = listing.name
        minute = 60 * SECOND
        linear = (
            PastSeries(name="candles 1m", channel=Channel.TRADES, step_ns=minute, page=CANDLES_PER_PAGE),
            PastSeries(name="mark candles 1m", channel=Channel.MARK, step_ns=minute, page=CANDLES_PER_PAGE),
            PastSeries(name="funding 8h", channel=Channel.FUNDING, step_ns=FUNDING_HOURS * 3600 * SECOND, page=900),
        )
        self.series: Sequence[PastSeries] = () if listing.instrument.is_inverse else linear
        self.budgets: Sequence[Budget] = (HISTORY_BUDGET,)

    def request(self, series: PastSeries, from_ns: int, until_ns: int) -> Request:
        """See VenueHistory."""
        self._pages.ask(from_ns, until_ns)
        query = {
            "symbol": self._name,
            "startTime": str(from_ns // MS),
            "endTime": str(until_ns // MS),
            "limit": "1000",
        }
        if series.channel is Channel.FUNDING:
            return Request(f"{REST}/swap/v2/quote/fundingRate", query)
        query["interval"] = "1m"
        if series.channel is Channel.MARK:
            return Request(f"{REST}/swap/v1/market/markPriceKlines", query)
        return Request(f"{REST}/swap/v3/quote/klines", query)

    def read_page(self, series: PastSeries, body: bytes, into: Reading) -> None:
        """See VenueHistory."""
        said = orjson.loads(body)
        stamp = {Channel.FUNDING: "fundingTime", Channel.MARK: "openTime"}.get(series.channel, "time")
        if said["code"] != 0:
            refuse(into, said)
            return
        rows = sorted(said["data"], key=lambda row: int(row[stamp]))
        read_rows(rows, lambda row: self._row(series, row, time_of(row[stamp]), into), into)

    def _row(self, series: PastSeries, row: dict[str, Any], time_ns: int, into: Reading) -> None:
        if series.channel is Channel.FUNDING:
            self._pages.funding(into, time_ns - series.step_ns, row["fundingRate"], FUNDING_HOURS)
        else:
            quantity = row["volume"] if series.channel is Channel.TRADES else 0
            prices = (row["open"], row["high"], row["low"], row["close"])
            self._pages.candle(into, series, time_ns, prices, quantity)


def _is_linear(instrument: Instrument) -> bool:
    return not instrument.is_inverse


def _is_inverse(instrument: Instrument) -> bool:
    return instrument.is_inverse


BINGX_LINEAR: Final = Venue(
    name="bingx-linear",
    instruments_of="bingx",
    takes=_is_linear,
    dialect=lambda listings: BingxDialect(listings, is_inverse=False),
    liquidations=Completeness.NONE,
    provenance="documented",
    history=BingxHistory,
)

BINGX_INVERSE: Final = Venue(
    name="bingx-inverse",
    instruments_of="bingx",
    takes=_is_inverse,
    dialect=lambda listings: BingxDialect(listings, is_inverse=True),
    liquidations=Completeness.NONE,
    provenance="documented",
)

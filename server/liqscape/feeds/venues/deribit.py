"""Deribit: JSON-RPC, inverse contracts counted in USD, linear ones in coins; also what Coinbase International speaks.

Sources: the vendor's API as client libraries of 2026 use it, and real messages of 2020 to 2024. Liquidations are trades
with a mark: T, the taker was liquidated, so direction is the side of the closing order; M, the maker, so the other one;
MT, both. They are all there. Trades of an instrument are numbered without holes (trade_seq: so the documents, and the
one step that is recorded), so that one that is missing is announced. Amounts and open interest of inverse contracts are
USD, so contracts are those over the worth of one (10 USD of BTC, 1 USD of ETH), which the list of instruments tells
too. The interval `raw` wants a login, 100ms does not. Funding accrues all the time; current_funding is the rate in
force, told for eight hours. Open interest of the past is not public.
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
    batches,
    read_rows,
    to_json,
)
from liqscape.feeds.venues.history import PastSeries
from liqscape.feeds.venues.notes import ignore, refuse
from liqscape.feeds.venues.numbered import Numbered
from liqscape.feeds.venues.numbers import as_fraction
from liqscape.feeds.venues.readings import Question
from liqscape.feeds.venues.scale import CLOSED_BY, MS, OPPOSITE, SECOND, Scale, quote_unit, scales, time_of

SOCKET: Final = "wss://www.deribit.com/ws/api/v2"

REST: Final = "https://www.deribit.com/api/v2"

CHANNELS_PER_MESSAGE: Final = 50
"""In one subscription: 2 KB."""

SENDS_PER_S: Final = 1.5
"""Half of the 3.3 subscriptions a second that the credits without a login allow."""

HEARTBEAT_S: Final = 30
"""The venue takes 10 or more; it then asks for a sign of life, and cuts who gives none."""

BUDGET: Final = Budget("rest", 1, 2.0)
"""The list of instruments may be asked for once a second."""

HISTORY_BUDGET: Final = Budget("history", 5, 1.0)
"""A quarter of what the credits of an account allow; without one they are fewer."""

CANDLES_PER_PAGE: Final = 4000
"""The venue answers with 5,000 at most."""

FUNDING_PER_PAGE: Final = 700
"""The venue answers with 744 hours at most (UNVERIFIED)."""

HOUR_NS: Final = 3600 * SECOND

_SIDES: Final = {"buy": TakerSide.BUY, "sell": TakerSide.SELL}

_STREAMS: Final = ("trades", "ticker")

_ALIVE: Final = to_json({"jsonrpc": "2.0", "id": 0, "method": "public/test", "params": {}})


MARKS: Final = Question("marks of liquidations in the trades", ("told",), needs=1)
"""Of a gateway that is only believed to tell them: one that is seen shows it."""


class DeribitDialect:
    """See Dialect.

    Args:
        listings: wanted.
        socket: address of the public WebSocket.
        rest: address above /public.
        complete: whether every liquidation is known to be marked.
        ping: what keeps a connection open, where heartbeats do not.
        name_of: the venue's name of a listing, where it is not the listing's.
    """

    def __init__(
        self,
        listings: Sequence[Listing],
        socket: str = SOCKET,
        rest: str = REST,
        *,
        complete: bool = True,
        ping: Ping | None = None,
        name_of: Callable[[str], str] = str,
    ) -> None:
        self._scales = {name_of(name): scale for name, scale in scales(listings, quote_unit).items()}
        self._complete = complete
        self._numbered = Numbered()
        self._streams: Mapping[str, Callable[[Any, Reading], None]] = {"trades": self._trades, "ticker": self._ticker}
        channels = [f"{stream}.{name}.100ms" for name in self._scales for stream in _STREAMS]
        self.endpoints: Sequence[Endpoint] = (
            Endpoint(
                name="public",
                url=socket,
                subscribe=(
                    _call(1, "public/set_heartbeat", {"interval": HEARTBEAT_S}),
                    *(
                        _call(number + 2, "public/subscribe", {"channels": group})
                        for number, group in enumerate(batches(channels, CHANNELS_PER_MESSAGE))
                    ),
                ),
                acknowledgements=frozenset(channels),
                channels=frozenset(Channel),
                control=Channel.MARK,
                control_s=15.0,
                ping=ping,
                sends_per_s=SENDS_PER_S,
            ),
        )
        self.polls: Sequence[Poll] = (
            Poll(
                name="listings",
                request=Request(f"{rest}/public/get_instruments", {"currency": "any", "kind": "future"}),
                every_s=86_400.0,
                channels=frozenset(),
            ),
        )
        self.budgets: Sequence[Budget] = (BUDGET,)

    def read(self, message: bytes, receive_ns: int, into: Reading) -> None:
        """Read a message of the public WebSocket."""
        said = orjson.loads(message)
        method = said.get("method")
        if method == "subscription":
            about = said["params"]
            kind = about["channel"].partition(".")[0]
            read = self._streams.get(kind)
            if read is None:
                ignore(into, kind)
            else:
                read(about["data"], into)
        elif method == "heartbeat":
            into.heartbeats += 1
            if said["params"]["type"] == "test_request":
                into.replies.append(_ALIVE)
        elif "error" in said:
            refuse(into, said["error"])
        elif "result" in said:
            self._answer(said["result"], into)
        else:
            raise Unreadable("unknown message", said)

    def _answer(self, result: object, into: Reading) -> None:
        if isinstance(result, list):
            into.acknowledged.extend(str(channel) for channel in result)
        else:  # to our sign of life, or to set_heartbeat
            into.heartbeats += 1

    def _trades(self, rows: list[dict[str, Any]], into: Reading) -> None:
        read_rows(rows, lambda row: self._trade(row, into), into)

    def _trade(self, row: dict[str, Any], into: Reading) -> None:
        scale = self._scales.get(row["instrument_name"])
        if scale is None:
            into.ignored["other instrument"] += 1
            return
        time_ns = time_of(row["timestamp"])
        if "trade_seq" in row and not self._numbered.takes(into, scale.instrument_id, row["trade_seq"], time_ns):
            return
        side = _SIDES[row["direction"]]
        price, amount = row["price"], row["amount"]
        scale.trade(into, time_ns, price, amount, side)
        liquidated = row.get("liquidation")
        if liquidated is not None:
            if not self._complete:
                into.evidence.append((MARKS, MARKS.alternatives[0]))
            if liquidated not in ("T", "M", "MT"):
                raise Unreadable("unknown liquidation mark", liquidated)
            if "T" in liquidated:
                scale.liquidation(into, time_ns, price, amount, CLOSED_BY[side], complete=self._complete)
            if "M" in liquidated:
                scale.liquidation(into, time_ns, price, amount, CLOSED_BY[OPPOSITE[side]], complete=self._complete)

    def _ticker(self, row: dict[str, Any], into: Reading) -> None:
        scale = self._scales.get(row["instrument_name"])
        if scale is None:
            into.ignored["other instrument"] += 1
            return
        time_ns = time_of(row["timestamp"])
        scale.mark(into, time_ns, row["mark_price"])
        if "open_interest" in row:  # the spot pairs of Coinbase's gateway have none
            scale.open_interest(into, time_ns, row["open_interest"])
        rate = row.get("current_funding")
        if rate is not None:  # contracts with a date have none
            scale.funding(into, time_ns, rate, 8)

    def read_answer(self, poll: Poll, body: bytes, receive_ns: int, into: Reading) -> None:
        """Read the list of instruments."""
        said = orjson.loads(body)
        if "error" in said:
            refuse(into, said["error"])
        else:
            read_rows(said["result"], lambda row: self._listing(row, into), into)

    def _listing(self, row: dict[str, Any], into: Reading) -> None:
        if row["kind"] != "future":
            ignore(into, row["kind"])
            return
        scale, leverage = self._scales.get(row["instrument_name"]), row.get("max_leverage")
        worth = None if scale is None else scale.instrument.contract_value
        into.listings.append(
            VenueListing(
                name=row["instrument_name"],
                # Of linear ones the size is that of the smallest order, and amounts are coins all the same.
                unit=None if worth is None else 1 / as_fraction(row["contract_size"]),
                price_tick=as_fraction(row["tick_size"]),
                max_leverage=None if leverage is None else int(leverage),
                is_trading=row["is_active"] is True and row.get("state", "open") == "open",
            )
        )


def _call(number: int, method: str, parameters: dict[str, Any]) -> str:
    return to_json({"jsonrpc": "2.0", "id": number, "method": method, "params": parameters})


class DeribitHistory:
    """See VenueHistory.

    Candles tell the amount in USD (`cost`) beside the volume in coins: inverse contracts are counted by the former. A
    row of funding is stamped with the end of its hour (UNVERIFIED).
    """

    def __init__(self, listing: Listing, rest: str = REST, name: str | None = None) -> None:
        self._scale = Scale(listing, quote_unit(listing))
        self._name = listing.name if name is None else name
        self._rest = rest
        self._volume = "cost" if listing.instrument.is_inverse else "volume"
        self.series: Sequence[PastSeries] = (
            PastSeries(name="candles 1m", channel=Channel.TRADES, step_ns=60 * SECOND, page=CANDLES_PER_PAGE),
            PastSeries(name="funding 1h", channel=Channel.FUNDING, step_ns=HOUR_NS, page=FUNDING_PER_PAGE),
        )
        self.budgets: Sequence[Budget] = (HISTORY_BUDGET,)

    def request(self, series: PastSeries, from_ns: int, until_ns: int) -> Request:
        """See VenueHistory."""
        query = {"instrument_name": self._name}
        query |= {"start_timestamp": str(from_ns // MS), "end_timestamp": str(until_ns // MS - 1)}
        if series.channel is Channel.FUNDING:
            return Request(f"{self._rest}/public/get_funding_rate_history", query)
        return Request(f"{self._rest}/public/get_tradingview_chart_data", query | {"resolution": "1"})

    def read_page(self, series: PastSeries, body: bytes, into: Reading) -> None:
        """See VenueHistory."""
        said = orjson.loads(body)
        if "error" in said:
            refuse(into, said["error"])
        elif series.channel is Channel.FUNDING:
            read_rows(said["result"], lambda row: self._funding(row, into), into)
        else:
            self._candles(series, said["result"], said["usOut"] * 1000, into)

    def _candles(self, series: PastSeries, table: dict[str, Any], now_ns: int, into: Reading) -> None:
        columns = [table[name] for name in ("ticks", "open", "high", "low", "close", self._volume)]

        def read(row: tuple[Any, ...]) -> None:
            open_ns = time_of(row[0])
            if open_ns + series.step_ns > now_ns:
                into.ignored["candle not closed"] += 1
            else:
                self._scale.candle(into, open_ns, series.step_ns, row[1:5], row[5])

        if len({len(column) for column in columns}) != 1:
            raise Unreadable("columns of different lengths", [len(column) for column in columns])
        read_rows(zip(*columns, strict=True), read, into)

    def _funding(self, row: dict[str, Any], into: Reading) -> None:
        self._scale.funding(into, time_of(row["timestamp"]) - HOUR_NS, row["interest_1h"], 1)


DERIBIT: Final = Venue(
    name="deribit",
    instruments_of="deribit",
    dialect=DeribitDialect,
    liquidations=Completeness.FULL,
    provenance="recorded",
    history=DeribitHistory,
)

"""Lighter: perpetuals counted in coins, on a stream that knows them by number alone.

Sources: real messages of November 2025 and April 2026, and a client library. What real messages show, against other
readings (CONFLICT): open_interest is its worth in quote at the mark price of the same message, to the last digit, so
coins are the one over the other; and rates of funding are per cent an hour (clamp 4.0, 0.0012 where REST says 0.000096
for eight hours). Whether open interest is one-sided is UNVERIFIED. Numbers of markets are learnt from market_stats/all,
which names them: trades are then asked for by an answer to it, but for those whose numbers we know. Liquidations are
trades of a list of their own, full as far as is known (UNVERIFIED), not repeated among the others; the taker is who was
liquidated, as his position before shows. The answer to a subscription repeats old trades: left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
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
    read_rows,
    to_json,
)
from liqscape.feeds.venues.history import PastSeries
from liqscape.feeds.venues.notes import ignore, refuse
from liqscape.feeds.venues.pages import Pages
from liqscape.feeds.venues.readings import Question
from liqscape.feeds.venues.repeats import TradesTold
from liqscape.feeds.venues.scale import CLOSED_BY, MS, SECOND, Scale, scales, time_of

SOCKET: Final = "wss://mainnet.zklighter.elliot.ai/stream"

REST: Final = "https://mainnet.zklighter.elliot.ai/api/v1"

KNOWN_MARKETS: Final = {"ETH": 0, "BTC": 1}
"""As real messages of 2025 and 2026 name them. A message that says otherwise wins."""

MAX_MARKETS: Final = 4096
"""Numbers that are remembered. The venue has some hundred."""

BUDGET: Final = Budget("rest", 5, 60.0)
"""With that of history half of 60 requests a minute."""

HISTORY_BUDGET: Final = Budget("history", 25, 60.0)
"""See BUDGET."""

MARGIN_UNIT: Final = 10_000
"""Of fractions of margin: 200 is 2 %."""

PERCENT_AN_HOUR: Final = 7
"""Decimals after which a rate in per cent is one in parts per billion."""


BESIDE: Final = Question("liquidations", ("told beside the trades", "told among the trades too"))
"""By the ids of one message. One told in both places counts as a trade once in any case."""


class LighterDialect:
    """See Dialect. A listing is named by its symbol (BTC) or, as some tables do, by its number (1)."""

    def __init__(self, listings: Sequence[Listing]) -> None:
        self._scales = scales(listings)
        self._markets: dict[int, Scale] = {}
        self._asked: set[int] = set()
        self._told = TradesTold()
        self._closed_told = TradesTold()
        for name, scale in self._scales.items():
            number = int(name) if name.isdecimal() else KNOWN_MARKETS.get(name)
            if number is not None:
                self._markets[number] = scale
        self._asked.update(self._markets)
        trades = sorted(self._asked)
        self.endpoints: Sequence[Endpoint] = (
            Endpoint(
                name="stream",
                url=SOCKET,
                subscribe=(_ask("market_stats/all"), *(_ask(f"trade/{number}") for number in trades)),
                acknowledgements=frozenset({"market_stats:all", *(f"trade:{number}" for number in trades)}),
                channels=frozenset(Channel),
                control=Channel.MARK,
                control_s=30.0,
                sends_per_s=1.5,
            ),
        )
        self.polls: Sequence[Poll] = (
            Poll(name="listings", request=Request(f"{REST}/orderBookDetails"), every_s=86_400.0, channels=frozenset()),
        )
        self.budgets: Sequence[Budget] = (BUDGET,)

    def read(self, message: bytes, receive_ns: int, into: Reading) -> None:
        """Read a message of the stream."""
        said = orjson.loads(message)
        if "error" in said:
            refuse(into, said["error"])
            return
        action, _, kind = said["type"].partition("/")
        if action == "ping":
            into.heartbeats += 1
            into.replies.append(to_json({"type": "pong"}))
        elif action == "connected":
            into.ignored["connected"] += 1
        elif action in ("subscribed", "update"):
            if action == "subscribed":
                into.acknowledged.append(str(said["channel"]))
            if kind == "market_stats":
                self._stats(said, receive_ns, into)
            elif kind == "trade":
                self._trades(said, action == "subscribed", into)
            else:
                ignore(into, kind)
        else:
            raise Unreadable("unknown message", said)

    def _stats(self, said: dict[str, Any], receive_ns: int, into: Reading) -> None:
        told = said.get("timestamp")
        time_ns = receive_ns if told is None else time_of(told)
        stats = said["market_stats"]
        rows = (stats,) if "market_id" in stats else stats.values()
        read_rows(rows, lambda row: self._market(row, time_ns, into), into)

    def _market(self, row: dict[str, Any], time_ns: int, into: Reading) -> None:
        scale = self._named(row["market_id"], row.get("symbol"), into)
        if scale is None:
            into.ignored["other instrument"] += 1
            return
        mark = row["mark_price"]
        scale.mark(into, time_ns, mark)
        scale.open_interest_of_value(into, time_ns, row["open_interest"], mark)
        scale.funding(into, time_ns, row["current_funding_rate"], 1, decimals=PERCENT_AN_HOUR)

    def _named(self, number: object, symbol: object, into: Reading) -> Scale | None:
        """Return the scale of a market, once its number is told with a symbol that is wanted."""
        if type(number) is not int or not 0 <= number < MAX_MARKETS:
            raise Unreadable("market", number)
        known = self._markets.get(number)
        wanted = self._scales.get(symbol) if isinstance(symbol, str) else None
        if symbol is None or wanted is known or (known is not None and str(number) in self._scales):
            return known
        if wanted is None:  # the number that we thought of a market is another's
            del self._markets[number]
            return None
        self._markets = {n: scale for n, scale in self._markets.items() if scale is not wanted}
        self._markets[number] = wanted
        if number not in self._asked:
            self._asked.add(number)
            into.replies.append(_ask(f"trade/{number}"))
        return wanted

    def _trades(self, said: dict[str, Any], is_old: bool, into: Reading) -> None:
        rows, closed = said.get("trades") or (), said.get("liquidation_trades") or ()
        if not rows and not closed:
            into.heartbeats += 1
        elif is_old:
            into.ignored["trade before the subscription"] += len(rows) + len(closed)
        else:
            read_rows(rows, lambda row: self._trade(row, into), into)
            read_rows(closed, lambda row: self._trade(row, into), into)
            if rows and closed:
                told = {row.get("trade_id") for row in rows}
                for row in closed:
                    into.evidence.append((BESIDE, BESIDE.alternatives[row.get("trade_id") in told]))

    def _trade(self, row: dict[str, Any], into: Reading) -> None:
        kind = row["type"]
        scale = self._markets.get(row["market_id"])
        if scale is None:
            into.ignored["other instrument"] += 1
            return
        if kind not in ("trade", "liquidation"):
            ignore(into, f"trade of type {kind}")
            return
        side = _SIDES[row["is_maker_ask"]]
        time_ns = time_of(row["timestamp"])
        scale.trade(into, time_ns, row["price"], row["size"], side)
        self._told.is_repeat(into, row.get("trade_id"))
        if kind == "liquidation":  # one that is told among the trades too is a liquidation all the same
            scale.liquidation(into, time_ns, row["price"], row["size"], CLOSED_BY[side])
            self._closed_told.is_repeat(into, row.get("trade_id"))

    def read_answer(self, poll: Poll, body: bytes, receive_ns: int, into: Reading) -> None:
        """Read the list of markets."""
        said = orjson.loads(body)
        if str(said["code"]) != "200":
            refuse(into, said)
        else:
            read_rows(said["order_book_details"], lambda row: _listing(row, into), into)


_SIDES: Final = {True: TakerSide.BUY, False: TakerSide.SELL}
"""By whether the maker asked."""


def _ask(channel: str) -> str:
    return to_json({"type": "subscribe", "channel": channel})


def _listing(row: dict[str, Any], into: Reading) -> None:
    if row["market_type"] != "perp":
        into.ignored["no perpetual"] += 1
        return
    margin = int(row["min_initial_margin_fraction"])
    if margin <= 0:
        raise Unreadable("margin", margin)
    decimals = int(row["price_decimals"])
    if not 0 <= decimals <= 18:
        raise Unreadable("decimals", decimals)
    into.listings.append(
        VenueListing(
            name=row["symbol"],
            unit=Fraction(1),
            price_tick=Fraction(1, 10**decimals),
            max_leverage=MARGIN_UNIT // margin,
            is_trading=row["status"] == "active",
        )
    )


class LighterHistory:
    """See VenueHistory. Candles are asked for by the number of a market: where it is known, or is the name."""

    def __init__(self, listing: Listing) -> None:
        self._pages = Pages(listing)
        number = int(listing.name) if listing.name.isdecimal() else KNOWN_MARKETS.get(listing.name)
        self._number = number
        candles = PastSeries(name="candles 1m", channel=Channel.TRADES, step_ns=60 * SECOND, page=450)
        self.series: Sequence[PastSeries] = () if number is None else (candles,)
        self.budgets: Sequence[Budget] = (HISTORY_BUDGET,)

    def request(self, series: PastSeries, from_ns: int, until_ns: int) -> Request:
        """See VenueHistory."""
        self._pages.ask(from_ns, until_ns)
        return Request(
            f"{REST}/candles",
            {
                "market_id": str(self._number),
                "resolution": "1m",
                "start_timestamp": str(from_ns // MS),
                "end_timestamp": str(until_ns // MS),
                "count_back": "0",
            },
        )

    def read_page(self, series: PastSeries, body: bytes, into: Reading) -> None:
        """See VenueHistory."""
        said = orjson.loads(body)
        if said["code"] != 200:
            refuse(into, said)
            return
        rows = sorted(said["c"], key=lambda row: int(row["t"]))
        read_rows(rows, lambda row: self._candle(series, row, into), into)

    def _candle(self, series: PastSeries, row: dict[str, Any], into: Reading) -> None:
        self._pages.candle(into, series, time_of(row["t"]), (row["o"], row["h"], row["l"], row["c"]), row["v"])


LIGHTER: Final = Venue(
    name="lighter",
    instruments_of="lighter",
    dialect=LighterDialect,
    liquidations=Completeness.FULL,
    provenance="recorded",
    history=LighterHistory,
)

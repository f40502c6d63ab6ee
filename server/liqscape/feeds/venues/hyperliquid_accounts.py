"""The positions that Hyperliquid shows of accounts: what the venue states of an address, as plain frozen values.

Positions are public there: whoever knows an address can ask for its sizes, entry prices and liquidation prices. This
file asks and reads; it decides nothing and keeps nothing. A liquidation price is the venue's own statement: of a cross
position it moves with everything else the account holds, and is absent where none can be reached.

A fill that belongs to a liquidation carries the object `liquidation` on both sides of the trade, so whose position was
closed is told by liquidatedUser, or, where the account is not named, by who took: the closing order takes from the
book (of method `market`; UNVERIFIED of others, which are refused then).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from liqscape.errors import InvalidArgument
from liqscape.events import PositionSide, TakerSide
from liqscape.feeds.venues.accounts import ExactPosition, Provenance, Statement, TradeParties
from liqscape.feeds.venues.dialect import (
    MAX_DETAIL,
    MAX_MESSAGE_BYTES,
    MISSHAPEN,
    Budget,
    Reading,
    Request,
    Unreadable,
    read_rows,
)
from liqscape.feeds.venues.numbers import as_fraction, exact
from liqscape.feeds.venues.scale import CLOSED_BY, MAX_COUNT, OPPOSITE, SECOND, time_of

INFO: Final = "https://api.hyperliquid.xyz/info"

STATE_WEIGHT: Final = 2
"""Of the 1,200 a minute that an address may use."""

ACCOUNTS_BUDGET: Final = Budget("accounts", 240, 60.0)
"""120 accounts a minute. With those of listening and of history 70 % of the 1,200."""

AHEAD_NS: Final = 60 * SECOND
"""By which the time of a statement may lie after its receipt, clocks being what they are. A later one is not believed:
it would hold against every true one to come."""

_SIDES: Final = {"A": TakerSide.SELL, "B": TakerSide.BUY}


def address_of(text: str) -> str:
    """Return an address in small letters.

    Raises:
        InvalidArgument: it is none.
    """
    address = text.strip().lower()
    if len(address) != 42 or not address.startswith("0x") or set(address[2:]) - set("0123456789abcdef"):
        raise InvalidArgument(f"address {text[:60]!r} is none of Hyperliquid; it has 0x and 40 hexadecimal digits")
    return address


def state_request(address: str) -> Request:
    """Return the request for an account's positions."""
    return Request(INFO, json=orjson.dumps({"type": "clearinghouseState", "user": address_of(address)}))


def read_state(address: str, body: bytes, receive_ns: int, into: Reading) -> Statement:
    """Return the positions of an account.

    Args:
        address: that was asked about.
        body: of the answer.
        receive_ns: when it came.
        into: where rows that cannot be read are counted as rejected.

    Raises:
        Unreadable, KeyError, ValueError, TypeError: it is no answer to that request.
    """
    said = orjson.loads(body)
    told = said.get("time")
    since = Provenance(
        "clearinghouseState", address_of(address), receive_ns if told is None else time_of(told), told is None
    )
    if since.time_ns > receive_ns + AHEAD_NS:
        raise Unreadable("statement of a time to come", told)
    found: list[ExactPosition] = []
    coins: set[str] = set()
    named: set[str] = set()

    def read(row: dict[str, Any]) -> None:
        named.add(_coin(row["position"]))
        position = _position(row["position"], since)
        if position.coin in coins:  # an account has one position of a coin, which would count twice
            raise Unreadable("second position of a coin", position.coin)
        coins.add(position.coin)
        found.append(position)

    read_rows(said["assetPositions"], read, into)
    return Statement(since, tuple(found), frozenset(named - coins))


def read_parties(message: bytes, into: Reading) -> tuple[TradeParties, ...]:
    """Return who traded with whom, of a message of the channel trades; messages of before 2025 name nobody.

    Raises:
        Unreadable, KeyError, ValueError, TypeError: it is no message of that channel.
    """
    said = orjson.loads(message)
    if said["channel"] != "trades":
        raise Unreadable("no trades", said["channel"])
    found: list[TradeParties] = []

    def read(row: dict[str, Any]) -> None:
        if "users" not in row:
            into.ignored["trade that names nobody"] += 1
        else:
            found.append(_parties(row))

    read_rows(said["data"], read, into)
    return tuple(found)


class HyperliquidAccounts:
    """See PublicAccounts."""

    budget: Final = ACCOUNTS_BUDGET
    weight: Final = STATE_WEIGHT

    def address_of(self, text: str) -> str:
        """See PublicAccounts."""
        return address_of(text)

    def request(self, address: str) -> Request:
        """See PublicAccounts."""
        return state_request(address)

    def read(self, address: str, body: bytes, receive_ns: int, into: Reading) -> Statement | None:
        """See PublicAccounts."""
        try:
            if len(body) > MAX_MESSAGE_BYTES:
                raise Unreadable("too large", f"{len(body)} bytes")
            return read_state(address, body, receive_ns, into)
        except Unreadable as error:
            into.reject(error.reason, error.detail)
        except MISSHAPEN as error:
            into.reject("malformed", f"{error!r} in {body[:MAX_DETAIL]!r}")
        return None

    def parties(self, message: bytes, into: Reading) -> tuple[TradeParties, ...]:
        """See PublicAccounts. Messages that name nobody are passed over unread: they are most of what is heard."""
        if b'"users"' not in message:
            return ()
        try:
            return read_parties(message, into)
        except Unreadable as error:
            into.reject(error.reason, error.detail)
        except MISSHAPEN as error:
            into.reject("malformed", f"{error!r} in {message[:MAX_DETAIL]!r}")
        return ()


def closed_by_fill(row: Mapping[str, Any], account: str | None) -> PositionSide:
    """Return whose position the liquidation closed that a fill belongs to.

    Args:
        row: a fill with a liquidation.
        account: whose fill it is; None where that is not told.

    Raises:
        Unreadable: it cannot be told.
    """
    side, liquidation = _SIDES[row["side"]], row["liquidation"]
    if account is not None:
        own = liquidation["liquidatedUser"].lower() == account.lower()
    elif liquidation["method"] == "market":
        own = row["crossed"] is True
    else:
        raise Unreadable("liquidation of an unnamed account", liquidation)
    return CLOSED_BY[side if own else OPPOSITE[side]]


def _position(row: dict[str, Any], since: Provenance) -> ExactPosition:
    size = exact(row["szi"], 8)
    entry, leverage = as_fraction(row["entryPx"]), row["leverage"]
    told = row["liquidationPx"]
    liquidation = None if told is None else as_fraction(told)
    if not 0 < abs(size) < MAX_COUNT:
        raise Unreadable("size", row["szi"])
    if entry <= 0 or (liquidation is not None and liquidation <= 0):
        raise Unreadable("price", (row["entryPx"], told))
    if type(leverage["value"]) is not int or leverage["value"] < 1 or leverage["type"] not in ("cross", "isolated"):
        raise Unreadable("leverage", leverage)
    return ExactPosition(
        coin=_coin(row),
        side=PositionSide.LONG if size > 0 else PositionSide.SHORT,
        size=abs(size),
        entry_price=entry,
        leverage=leverage["value"],
        is_cross=leverage["type"] == "cross",
        margin_used=as_fraction(row["marginUsed"]),
        liquidation_price=liquidation,
        provenance=since,
    )


def _parties(row: dict[str, Any]) -> TradeParties:
    price, size = as_fraction(row["px"]), exact(row["sz"], 8)
    if price <= 0 or not 0 < size < MAX_COUNT:
        raise Unreadable("trade", row)
    buyer, seller = row["users"]
    return TradeParties(_coin(row), _account(buyer), _account(seller), price, size, time_of(row["time"]))


def _account(text: object) -> str:
    try:
        return address_of(str(text))
    except InvalidArgument as error:
        raise Unreadable("address", text) from error


def _coin(row: dict[str, Any]) -> str:
    coin = row["coin"]
    if type(coin) is not str or not 0 < len(coin) <= 40:
        raise Unreadable("coin", coin)
    return coin

"""What a venue tells again on one connection: prints without an id, known by all they say, and trades with one.

An id alone is no proof: Crypto.com gives several trades one. A trade is one told again where all else is equal too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from typing import Final

from liqscape.events import Event
from liqscape.feeds.venues.dialect import Reading

REMEMBERED: Final = 4096
"""Prints: of a venue that tells one each second, an hour's."""


class Repeats:
    """The latest prints told."""

    def __init__(self) -> None:
        self._seen: set[Hashable] = set()
        self._order: deque[Hashable] = deque()

    def is_new(self, said: Hashable) -> bool:
        """Remember a print; return whether it was not told before."""
        if said in self._seen:
            return False
        self._seen.add(said)
        self._order.append(said)
        if len(self._order) > REMEMBERED:
            self._seen.discard(self._order.popleft())
        return True

    def is_new_push(self, message: bytes, sent: object) -> bool:
        """Remember a message that says when it was sent; return whether it was not told before.

        Args:
            message: of a channel that is told at a cadence: two pushes are of two times.
            sent: what it says; anything else than a number: nothing, and the message is new.
        """
        return type(sent) is not int or self.is_new(hash(message))


TRADES_REMEMBERED: Final = 2048
"""At least, and twice as many at most: 1 MB a connection. In a burst of 20,000 a second over twenty venues it is two
seconds of one; what is repeated comes with the next message."""

MAX_ID: Final = 64
"""Characters of an id of a trade; that of Bybit has 36. A longer one is none."""


class TradesTold:
    """The latest trades of a connection, by their ids.

    Of two instruments that have given the same id the later one is remembered: a repeat may then be missed, and no
    trade taken for one.
    """

    __slots__ = ("_before", "_latest")

    def __init__(self) -> None:
        self._latest: dict[int | str, Event] = {}
        self._before: dict[int | str, Event] = {}

    def is_repeat(self, into: Reading, trade_id: object) -> bool:
        """Return whether the newest event of a reading, a trade, was told before; it is taken out again then.

        Args:
            into: ends with the trade.
            trade_id: of the venue; anything else than a number or a short text is none, and the trade new.
        """
        if type(trade_id) is str:
            if len(trade_id) > MAX_ID:
                return False
        elif type(trade_id) is not int:
            return False
        trade, latest = into.events[-1], self._latest
        known = latest.get(trade_id) or self._before.get(trade_id)
        if known is not None and known == trade:
            into.events.pop()
            into.ignored["trade again"] += 1
            return True
        latest[trade_id] = trade
        if len(latest) >= TRADES_REMEMBERED:
            self._before, self._latest = latest, {}
        return False

"""Accounts that a venue's own trades name, the largest traders of them. Pure.

An account's rank is its largest single trade, not the sum of its trades: trades that a venue repeats after a
subscription, or that two connections hear at once, then change nothing.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from fractions import Fraction

from liqscape.feeds.venues.accounts import TradeParties


class FoundAccounts:
    """The accounts with the largest trades, so many at most.

    Args:
        most: how many.
        named: accounts that are followed anyway.
    """

    def __init__(self, most: int, named: Container[str]) -> None:
        self._most = most
        self._named = named
        self._largest: dict[str, Fraction] = {}
        self._smallest: str | None = None  # of those, once all places are taken; looked for anew when it is needed

    def __contains__(self, address: str) -> bool:
        return address in self._largest

    def __len__(self) -> int:
        return len(self._largest)

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._largest))

    def see(self, trade: TradeParties) -> list[str]:
        """Note a trade; return accounts that have lost their place to one with a larger trade."""
        notional = trade.price * trade.size
        return [gone for address in (trade.buyer, trade.seller) if (gone := self._rank(address, notional)) is not None]

    def drop(self, address: str) -> None:
        """Free the place of an account; a later trade of it may win it one anew."""
        self._largest.pop(address, None)
        self._smallest = None

    def _rank(self, address: str, notional: Fraction) -> str | None:
        known = self._largest.get(address)
        if known is not None:
            if notional > known:
                self._largest[address] = notional
                self._smallest = None
            return None
        if address in self._named or not self._most:
            return None
        gone = None
        if len(self._largest) >= self._most:
            if self._smallest is None:
                self._smallest = min(self._largest, key=self._largest.__getitem__)
            if notional <= self._largest[self._smallest]:
                return None  # the usual case: a trade costs one comparison
            gone = self._smallest
            del self._largest[gone]
        self._largest[address] = notional
        self._smallest = None
        return gone

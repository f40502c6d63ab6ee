"""How much a caller gets: streams open at one time, and queries a minute. Pure, with a clock that is given.

When few places are left, who holds most of them is refused first: the last tenth is for the others. So a caller that
takes all it can get does not keep out one that wants a single stream.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from liqscape.api.auth import Caller
from liqscape.api.limits import FULL_RETRY_AFTER_MS
from liqscape.errors import LimitExceeded

RESERVE: Final = 10
"""One place in so many is kept from whoever holds the most."""

MAX_IDLE_CALLERS: Final = 4096
"""Callers remembered; beyond, those who hold nothing and owe nothing are forgotten. 200 bytes each."""


@dataclass(slots=True)
class _Account:
    streams: int = 0
    queries: float = 0.0  # asked and not yet worn off
    counted_at: float = 0.0


class Admission:
    """The books of all callers of a server.

    Args:
        max_streams: places for streams, all callers together.
        monotonic: seconds.
    """

    def __init__(self, max_streams: int, monotonic: Callable[[], float]) -> None:
        self._max_streams = max_streams
        self._monotonic = monotonic
        self._accounts: dict[str, _Account] = {}
        self._open = 0
        self._forget_at = MAX_IDLE_CALLERS

    @contextlib.contextmanager
    def stream(self, caller: Caller) -> Iterator[None]:
        """Hold a place for a stream.

        Raises:
            LimitExceeded: names the limit.
        """
        account = self._account(caller)
        limit = caller.limits.streams
        if account.streams >= limit:
            raise LimitExceeded(f"{caller.name} has {limit} streams open, its limit", FULL_RETRY_AFTER_MS)
        if self._open >= self._max_streams:
            raise LimitExceeded(f"{self._max_streams} streams are open, the limit of this server", FULL_RETRY_AFTER_MS)
        if self._is_crowded and account.streams >= self._most:
            raise LimitExceeded(
                f"{self._open} of {self._max_streams} streams are open; the rest is for others than {caller.name}, who"
                f" has the most ({account.streams})",
                FULL_RETRY_AFTER_MS,
            )
        account.streams += 1
        self._open += 1
        try:
            yield
        finally:
            account.streams -= 1
            self._open -= 1

    def query(self, caller: Caller) -> None:
        """Count a query.

        Raises:
            LimitExceeded: names the limit and when the next is free.
        """
        account = self._account(caller)
        limit = caller.limits.queries_per_minute
        self._wear_off(account, limit)
        if account.queries + 1 > limit:
            wait_s = (account.queries + 1 - limit) * 60 / limit
            raise LimitExceeded(f"{caller.name} may ask {limit} queries a minute, and has", int(wait_s * 1000) + 1)
        account.queries += 1

    @property
    def _is_crowded(self) -> bool:
        return self._open >= self._max_streams - self._max_streams // RESERVE

    @property
    def _most(self) -> int:
        return max(1, max(account.streams for account in self._accounts.values()))

    def _account(self, caller: Caller) -> _Account:
        account = self._accounts.get(caller.key)
        if account is None:
            if len(self._accounts) >= self._forget_at:
                self._forget_idle()
            account = self._accounts[caller.key] = _Account(counted_at=self._monotonic())
        return account

    def _wear_off(self, account: _Account, limit: int) -> None:
        now = self._monotonic()
        account.queries = max(0.0, account.queries - (now - account.counted_at) * limit / 60)
        account.counted_at = now

    def _forget_idle(self) -> None:
        minute_ago = self._monotonic() - 60
        self._accounts = {
            key: account
            for key, account in self._accounts.items()
            if account.streams or (account.queries and account.counted_at > minute_ago)
        }
        self._forget_at = max(
            MAX_IDLE_CALLERS, 2 * len(self._accounts)
        )  # so that a crowd is not gone through each time

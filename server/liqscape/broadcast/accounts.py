"""One truth for a server of many processes: what each has counted, added up, those that have died included.

A process tells its whole account, so a report that is lost is made good by the next. What a process that was killed had
counted since its last report, a second at most, is lost.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from liqscape.broadcast.counters import StreamCounters
from liqscape.metrics import Timings


@dataclass(frozen=True, slots=True)
class Account:
    """Counters and timings of one process, or of all of them.

    Attributes:
        counters: of streams.
        timings: histograms.
        counts: others, by the name GetStatus shows them by.
    """

    counters: StreamCounters = field(default_factory=StreamCounters)
    timings: Timings = field(default_factory=Timings)
    counts: dict[str, int] = field(default_factory=dict)


class Accounts(Protocol):
    """Whoever knows the account of the whole server."""

    async def whole(self) -> Account:
        """Return it; never raises."""
        ...


class OwnAccount:
    """The account of a server that is one process."""

    def __init__(self, counters: StreamCounters, timings: Timings) -> None:
        self._account = Account(counters, timings)

    async def whole(self) -> Account:
        """Return what is counted here."""
        return self._account


def added_up(accounts: Iterable[Account]) -> Account:
    """Return the sum of accounts, sharing nothing with them."""
    total = Account()
    for account in accounts:
        total.counters.add(account.counters)
        total.timings.add(account.timings)
        for name, count in account.counts.items():
            total.counts[name] = total.counts.get(name, 0) + count
    return total


class Ledger:
    """The accounts of all processes of a server. A life is one process: the next one under the same name is another."""

    def __init__(self) -> None:
        self._living: dict[int, Account] = {}
        self._ended: set[int] = set()
        self._past = Account()

    def report(self, life: int, account: Account) -> None:
        """Take the whole account of a process in place of its last one; too late ones, of the dead, are left out."""
        if life not in self._ended:
            self._living[life] = account

    def end(self, life: int) -> None:
        """Keep what a process that has died had counted; what it had open is open no more."""
        self._ended.add(life)
        account = self._living.pop(life, None)
        if account is not None:
            account.counters.streams_open = account.counters.streams_stalled = account.counters.playbacks_open = 0
            self._past = added_up((self._past, account))

    def whole(self) -> Account:
        """Return the account of the server. Of its counters none ever falls but those of what is open now."""
        return added_up((self._past, *self._living.values()))

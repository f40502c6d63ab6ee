"""Whose positions a venue is asked for, in which order, and what it has said. Pure: no socket, no clock, no task.

Accounts are asked round robin: the one that was asked longest ago is next, and none sooner than a minute after its
last question. Addresses are public, but who is followed is the business of whoever runs the server: none of them leaves
this file but in the question itself; not in a status, not in an answer, not in an event, not in a log.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from liqscape.events import STATEMENT_HOLDS_NS
from liqscape.feeds.exact import AccountsStatus, ExactView
from liqscape.feeds.live.account_book import AccountBook
from liqscape.feeds.live.desk import Emit
from liqscape.feeds.live.found_accounts import FoundAccounts
from liqscape.feeds.live.stated_events import AccountEvents
from liqscape.feeds.venues.accounts import PublicAccounts
from liqscape.feeds.venues.dialect import Listing, Reading

ASK_EVERY_S: Final = 60.0
"""From one question about an account to the next: a column of the finest timeframe."""

MISSED_ROUNDS: Final = 3
"""After which a statement is called stale, as of any other poll."""


@dataclass(frozen=True, slots=True)
class Following:
    """Which accounts are followed.

    Attributes:
        venue: name of the registry.
        named: addresses in their one form, each once.
        find: accounts that are taken from the venue's trades, at most.
        key: see AccountEvents.
    """

    venue: str
    named: tuple[str, ...]
    find: int
    key: bytes | None = field(default=None, repr=False)


class AccountState(enum.Enum):
    """What is known of an account."""

    WAITING = "waiting"
    FRESH = "fresh"
    STALE = "stale"
    REFUSED = "refused"


class AccountDesk:
    """The accounts that are followed at one venue.

    Args:
        venue: of the ids of its instruments.
        accounts: how it is asked.
        listings: instruments of the model.
        named: addresses given, in their one form, each once.
        find: accounts that are taken from its trades, at most.
        emit: takes events of what they hold, for the model.
        key: see AccountEvents.
    """

    def __init__(
        self,
        venue: str,
        accounts: PublicAccounts,
        listings: Sequence[Listing],
        named: Sequence[str],
        find: int,
        emit: Emit = lambda events: None,
        key: bytes | None = None,
    ) -> None:
        self.accounts = accounts
        self._emit = emit
        self._events = AccountEvents((listing.instrument_id for listing in listings), key)
        self._venue = venue
        self._book = AccountBook(listings)
        self._named = dict.fromkeys(named)
        self._find = find
        self._found = FoundAccounts(find, self._named)
        self._coins = frozenset(listing.name for listing in listings)
        self._asked: dict[str, float] = {}
        self._refused: set[str] = set()
        self._rejected: Counter[str] = Counter()
        self._reading = Reading()
        self._began_ns: int | None = None  # receipt of the first answer

    @property
    def overhears(self) -> bool:
        """Return whether the venue's messages are to be shown to `overhear`."""
        return self._find > 0

    @property
    def round_s(self) -> float:
        """Return the seconds in which every account is asked once, if nothing fails."""
        budget = self.accounts.budget
        questions = len(self._named) + len(self._found)
        return max(ASK_EVERY_S, questions * self.accounts.weight * budget.seconds / budget.weight)

    def overhear(self, message: bytes) -> None:
        """Note who trades, by a message of the venue's public streams."""
        for trade in self.accounts.parties(message, self._reading):
            if trade.coin in self._coins:
                for gone in self._found.see(trade):
                    self._drop(gone)
        self._count()

    def next(self, now_s: float) -> str | None:
        """Return whom to ask now; None: nobody is due.

        Args:
            now_s: of a clock that never steps.
        """
        followed = (*self._named, *self._found)
        for address in followed:
            # Whoever is new is due, but after all who wait already: else those that come and go would be all we ask.
            self._asked.setdefault(address, now_s - ASK_EVERY_S)
        address = min(followed, key=self._asked.__getitem__, default=None)
        return address if address is not None and now_s - self._asked[address] >= ASK_EVERY_S else None

    def ask(self, address: str, now_s: float) -> None:
        """Note that an account is asked about now."""
        self._asked[address] = now_s

    def answer(self, address: str, body: bytes, receive_ns: int) -> None:
        """Take the answer about an account."""
        if not self._follows(address):
            return  # it has lost its place while it was asked about
        statement = self.accounts.read(address, body, receive_ns, self._reading)
        self._count()
        if statement is None:
            self._refused.add(address)
            return
        self._refused.discard(address)
        before = self._book.held(address)
        if before is None and self._knows_all(receive_ns):
            before = ()
        if self._book.take(statement):
            now = self._book.held(address) or ()
            self._emit(self._events.stated(address, statement.provenance.time_ns, now, before))
        if address in self._found and self._book.holds_nothing(address):
            self._found.drop(address)  # its place is for one that holds something
            self._drop(address)

    def refuse(self, address: str, reason: str) -> None:
        """Note that the venue refuses to tell about an account.

        Args:
            address: of it.
            reason: of a fixed set, for counting.
        """
        if self._follows(address):
            self._refused.add(address)
            self._rejected[reason] += 1

    def view(self, now_ns: int) -> ExactView:
        """Return all positions that are young enough."""
        self._book.age(now_ns)
        return ExactView(self._venue, self._book.positions())

    def status(self, now_ns: int) -> AccountsStatus:
        """Return how it fares; the address of nobody is in it."""
        followed = (*self._named, *self._found)
        states = Counter(self._state(address, now_ns, self.round_s) for address in followed)
        times = [at for address in followed if (at := self._book.stated_ns(address))]
        rejected = self._rejected.copy()
        if self._book.older:
            rejected["older than what is known"] = self._book.older
        if self._book.forgotten:
            rejected["too old to count"] = self._book.forgotten
        return AccountsStatus(
            named=len(self._named),
            found=len(self._found),
            fresh=states[AccountState.FRESH],
            stale=states[AccountState.STALE],
            refused=states[AccountState.REFUSED],
            waiting=states[AccountState.WAITING],
            statements=self._book.statements,
            positions=len(self._book.positions()),
            oldest_ns=min(times, default=0),
            rejected=dict(rejected),
        )

    def _state(self, address: str, now_ns: int, round_s: float) -> AccountState:
        if address in self._refused:
            return AccountState.REFUSED
        stated_ns = self._book.stated_ns(address)
        if not stated_ns:
            return AccountState.WAITING
        is_stale = now_ns - stated_ns > MISSED_ROUNDS * round_s * 1e9
        return AccountState.STALE if is_stale else AccountState.FRESH

    def _knows_all(self, now_ns: int) -> bool:
        """Return whether the model holds nothing stated from before this process began: that has become too old.

        Found accounts come and go. Were each of them told of every instrument for ever, most of what is told, and kept
        in a journal, would be that nothing is held.
        """
        if self._began_ns is None:
            self._began_ns = now_ns
        return now_ns - self._began_ns >= STATEMENT_HOLDS_NS

    def _follows(self, address: str) -> bool:
        return address in self._named or address in self._found

    def _drop(self, address: str) -> None:
        if held := self._book.held(address):
            self._emit(self._events.given_up(address, self._book.stated_ns(address), held))
        self._book.drop(address)
        self._asked.pop(address, None)
        self._refused.discard(address)

    def _count(self) -> None:
        for rejection in self._reading.rejected:
            self._rejected[rejection.reason] += 1
        self._reading.clear()

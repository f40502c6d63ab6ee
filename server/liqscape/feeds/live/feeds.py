"""All venues listened to, in one event loop: joins desks, keepers and pollers, and says how they fare."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from liqscape.feeds.exact import ExactView
from liqscape.feeds.live.account_desk import AccountDesk, Following
from liqscape.feeds.live.account_polling import AccountPoller
from liqscape.feeds.live.backoff import Backoff
from liqscape.feeds.live.budgets import Pacer
from liqscape.feeds.live.connection import Keeper, Recorder, Surroundings
from liqscape.feeds.live.desk import Emit, VenueDesk
from liqscape.feeds.live.mirrors import MirrorWatch
from liqscape.feeds.live.plausibility import PriceBoard
from liqscape.feeds.live.polling import Poller
from liqscape.feeds.live.report import venue_statuses
from liqscape.feeds.live.table_fetching import TableFetcher, TableKeeper
from liqscape.feeds.live.timing import Timing
from liqscape.feeds.live.transport import open_transport
from liqscape.feeds.status import VenueStatus
from liqscape.feeds.tables import TableBoard
from liqscape.feeds.venues.dialect import Listing, Venue

_LOG = logging.getLogger(__name__)

PULSE_S: Final = 0.25
"""Between two looks at what is to be told: a tick."""

CONNECTS_PER_S: Final = 5.0
"""Of all venues together: name look-ups and handshakes cost a core, and twenty venues are up in ten seconds."""


class VenueFeed:
    """One venue: its desk, and what brings it messages."""

    def __init__(self, desk: VenueDesk, around: Surroundings) -> None:
        self.desk = desk
        rate = min((endpoint.connects_per_s for endpoint in desk.endpoints.values()), default=1.0)
        connects = Pacer(rate, around.timing)
        self.keepers = {name: Keeper(desk, e, around, connects) for name, e in desk.endpoints.items()}
        self.poller = Poller(desk, around)


class Feeds:
    """Listens to venues until it is cancelled.

    Args:
        venues: which.
        listings: what is wanted of each, by its name.
        emit: takes believed events and gaps, and statements of positions, in the order in which they came.
        timing: clocks.
        seed: of jitter.
        recorder: takes raw messages, if they are kept.
        rewrite: what is asked for instead of an address.
        following: accounts whose positions one of the venues is asked for; None: nobody's.
        tables: where it stands how the margin tables fare; None: nowhere.
        asked_tables: of the tables that venues are asked for; None: they are not.

    Attributes:
        statuses: of each venue, renewed a few times a second.
        exact: what is known of the accounts followed, likewise.
    """

    def __init__(
        self,
        venues: Sequence[Venue],
        listings: Mapping[str, Sequence[Listing]],
        emit: Emit,
        timing: Timing,
        *,
        seed: int,
        recorder: Recorder | None = None,
        rewrite: Callable[[str], str] = lambda url: url,
        following: Following | None = None,
        tables: TableBoard | None = None,
        asked_tables: TableKeeper | None = None,
    ) -> None:
        self._tables = tables
        self._asked_tables = asked_tables
        self._timing = timing
        self._generator = random.Random(seed)
        self._recorder = recorder
        self._rewrite = rewrite
        self._mirrors = MirrorWatch()
        board = PriceBoard()
        self.desks = [VenueDesk(venue, listings[venue.name], board, self._mirrors, emit) for venue in venues]
        self._feeds: list[VenueFeed] = []
        self._accounts = (
            {} if following is None else {following.venue: _account_desk(following, venues, listings, emit)}
        )
        self._account_pollers: dict[str, AccountPoller] = {}
        for desk in self.desks:
            accounts = self._accounts.get(desk.venue.name)
            if accounts is not None and accounts.overhears:
                desk.overhear = accounts.overhear
        self.statuses: tuple[VenueStatus, ...] = ()
        self.exact: tuple[ExactView, ...] = ()

    async def run(self) -> None:
        """Connect, poll and tell until cancelled; every task begun here has then ended."""
        async with open_transport(self._rewrite) as transport:
            connects = Pacer(CONNECTS_PER_S, self._timing)
            around = Surroundings(
                transport=transport,
                timing=self._timing,
                generator=self._generator,
                connects=connects,
                recorder=self._recorder,
            )
            self._feeds = [VenueFeed(desk, around) for desk in self.desks]
            self._account_pollers = {name: AccountPoller(each, around) for name, each in self._accounts.items()}
            now_ns = self._timing.now_ns()
            for desk in self.desks:
                desk.begin(now_ns)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pulse())
                for feed in self._feeds:
                    for keeper in feed.keepers.values():
                        group.create_task(self._for_ever(feed, keeper.run))
                    group.create_task(self._for_ever(feed, feed.poller.run))
                    if feed.desk.venue.name in self._account_pollers:
                        group.create_task(self._for_ever(feed, self._account_pollers[feed.desk.venue.name].run))
                    if self._asked_tables is not None:
                        group.create_task(self._for_ever(feed, self._table_fetcher(feed, self._asked_tables).run))

    async def _pulse(self) -> None:
        while True:
            self.tell()
            await self._timing.sleep(PULSE_S)

    def tell(self) -> None:
        """Pass on the gaps that are due, and renew the statuses."""
        now_ns = self._timing.now_ns()
        self._mirrors.look(now_ns)
        for feed in self._feeds:
            for keeper in feed.keepers.values():
                keeper.refresh()
            feed.desk.pulse(now_ns)
            log_readings(feed.desk)
        parts = [(f.desk, {n: k.state for n, k in f.keepers.items()}, f.poller.states) for f in self._feeds]
        statuses = venue_statuses(parts, self._mirrors, now_ns)
        named = zip(statuses, self._feeds, strict=True)
        self.statuses = tuple(self._with_tables(self._with_accounts(status, now_ns), feed) for status, feed in named)
        self.exact = tuple(accounts.view(now_ns) for accounts in self._accounts.values())

    def _with_accounts(self, status: VenueStatus, now_ns: int) -> VenueStatus:
        poller = self._account_pollers.get(status.venue)
        if poller is None:
            return status
        reason = f"accounts: {poller.reason}" if poller.reason else ""
        message = "; ".join(text for text in (status.message, reason) if text)
        return replace(status, message=message, accounts=poller.desk.status(now_ns))

    def _with_tables(self, status: VenueStatus, feed: VenueFeed) -> VenueStatus:
        if self._tables is None:
            return status
        return replace(status, tables=self._tables.statuses([each.instrument_id for each in feed.desk.listings]))

    def _table_fetcher(self, feed: VenueFeed, keeper: TableKeeper) -> TableFetcher:
        instruments = [listing.instrument for listing in feed.desk.listings]
        return TableFetcher(instruments, feed.poller.ask, keeper, self._timing, self._generator)

    async def _for_ever(self, feed: VenueFeed, work: Callable[[], object]) -> None:
        """Run work that never ends; a defect in it costs its venue a pause, and the others nothing."""
        backoff = Backoff(self._generator)
        while True:
            try:
                await work()  # type: ignore[misc]
                return
            except Exception:
                _LOG.exception("defect in a feed", extra={"fields": {"venue": feed.desk.venue.name}})
            await self._timing.sleep(backoff.after_failure())


def log_readings(desk: VenueDesk) -> None:
    """Log what was decided since the last call of how a venue's words are to be read."""
    for decision in desk.readings.take_news():
        level = logging.INFO if decision.is_as_believed else logging.WARNING
        _LOG.log(level, "reading: %s", decision, extra={"fields": {"venue": desk.venue.name}})


def _account_desk(
    following: Following, venues: Sequence[Venue], listings: Mapping[str, Sequence[Listing]], emit: Emit
) -> AccountDesk:
    venue = next(venue for venue in venues if venue.name == following.venue)
    assert venue.accounts is not None, f"{venue.name} keeps the positions of accounts to itself"
    return AccountDesk(
        venue.instruments_of,
        venue.accounts,
        listings[venue.name],
        following.named,
        following.find,
        emit,
        following.key,
    )

"""Asks a venue for its margin tables: once at a start, then about once a day, inside the budgets of its other requests.

Nothing waits for an answer. A table that cannot be had or is not believed changes nothing: what is in force stays, the
failure is counted and told, and the venue is asked again after a while.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from liqscape.errors import NotFound
from liqscape.feeds.live.backoff import TOO_MANY_S, TOO_MANY_STATUS, Backoff
from liqscape.feeds.live.connection import BLOCKED_STATUS, OK
from liqscape.feeds.live.timing import Timing
from liqscape.feeds.live.transport import Answer, ConnectFailed
from liqscape.feeds.table_file import TableFile, TablesNotKept
from liqscape.feeds.tables import TableBoard, ToldTable
from liqscape.feeds.venues.dialect import Request, Unreadable
from liqscape.feeds.venues.table_check import check_table
from liqscape.feeds.venues.tier_sources import SOURCES, TierSource
from liqscape.feeds.venues.tiers import table_of
from liqscape.instruments import Instrument

_LOG = logging.getLogger(__name__)

BUDGET: Final = "rest"
"""Of every dialect whose venue tells its tables; see TierSource.weight."""

FIRST_S: Final = 2.0
"""Before the first question: listings and the first polls of a start go before it."""

SPREAD_S: Final = 20.0
"""Over which the first questions are spread."""

DAY_S: Final = 86_400.0

JITTER: Final = 0.1
"""Of a day, either way: servers that start together drift apart."""

RETRY_FIRST_S: Final = 60.0
"""The longest first wait after a failure; it doubles from there. Nothing is urgent about a table."""

RETRY_LONGEST_S: Final = 3600.0

BLOCKED_LEAST_S: Final = 1800.0
"""After a refusal of this address, which polls meet and tell all the time anyway."""

Ask = Callable[[Request, str, int], Awaitable[Answer]]
"""See Poller.ask."""


class TableKeeper:
    """Writes what was told into the data folder, where there is one; one writer at a time, beside the event loop.

    Args:
        board: what was told.
        file: where to; None: nowhere.
    """

    def __init__(self, board: TableBoard, file: TableFile | None) -> None:
        self.board = board
        self._file = file
        self._writing = asyncio.Lock()
        self._failed = False

    async def keep(self) -> None:
        """Write all that is told now. A failure is logged once until it works again: the server needs no file."""
        if self._file is None:
            return
        async with self._writing:
            try:
                await asyncio.to_thread(self._file.write, self.board.told().values())
            except TablesNotKept as error:
                self.board.unkept += 1
                if not self._failed:
                    _LOG.error("margin tables are not kept for the next start: %s", error)
                self._failed = True
            else:
                self._failed = False


class TableFetcher:
    """Asks until it is cancelled.

    Args:
        instruments: of one venue, under their shipped rules.
        ask: sends a request inside the venue's budgets.
        keeper: of what is told.
        timing: clocks.
        generator: of jitter.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        ask: Ask,
        keeper: TableKeeper,
        timing: Timing,
        generator: random.Random,
    ) -> None:
        self._ask = ask
        self._keeper = keeper
        self._board = keeper.board
        self._timing = timing
        self._generator = generator
        self._logged: dict[str, str] = {}  # by instrument id, why it has no table, until it is told
        self.questions = _questions(instruments)
        for instrument in instruments:
            why = why_not_asked(instrument)
            if why:
                self._board.note(instrument.instrument_id, why)

    async def run(self) -> None:
        """Repeat every question, each beginning at another moment; return at once where there is none."""
        async with asyncio.TaskGroup() as group:
            for request, weight, about in self.questions:
                group.create_task(self._repeat(request, weight, about))

    async def _repeat(self, request: Request, weight: int, about: Sequence[Instrument]) -> None:
        backoff = Backoff(self._generator, RETRY_FIRST_S, RETRY_LONGEST_S)
        await self._timing.sleep(self._generator.uniform(FIRST_S, FIRST_S + SPREAD_S))
        while True:
            retry_s = await self._ask_once(request, weight, about, backoff)
            if retry_s is None:
                backoff.reset()
                retry_s = DAY_S * self._generator.uniform(1.0 - JITTER, 1.0 + JITTER)
            await self._timing.sleep(retry_s)

    async def _ask_once(
        self, request: Request, weight: int, about: Sequence[Instrument], backoff: Backoff
    ) -> float | None:
        """Ask once; return None if everything asked about was told and believed, else seconds to wait."""
        try:
            answer = await self._ask(request, BUDGET, weight)
        except ConnectFailed as error:
            self._fail(about, str(error))
            return backoff.after_failure()
        if answer.status != OK:
            self._fail(about, f"HTTP {answer.status}")
            if answer.status in TOO_MANY_STATUS:
                return backoff.after_failure(retry_after_s=answer.retry_after_s or TOO_MANY_S)
            wait = backoff.after_failure(retry_after_s=answer.retry_after_s)
            if answer.status in BLOCKED_STATUS:
                wait = max(wait, self._generator.uniform(BLOCKED_LEAST_S, 2 * BLOCKED_LEAST_S))
            return wait
        believed = [self._take(instrument, request.url, answer.body) for instrument in about]
        if any(believed):
            await self._keeper.keep()
        return None if all(believed) else backoff.after_failure()

    def _take(self, shipped: Instrument, where: str, body: bytes) -> bool:
        """Pass on the table of an instrument in an answer; return whether there is one that is believed."""
        now_ns = self._timing.now_ns()
        try:
            tiers, adjustments = table_of(shipped, body)
            note = check_table(shipped, tiers, adjustments)
        except (NotFound, Unreadable) as error:
            self._fail([shipped], f"refused: {error}")
            return False
        today = datetime.fromtimestamp(now_ns / 1e9, UTC).date().isoformat()
        table = ToldTable(
            instrument_id=shipped.instrument_id,
            tiers=tiers,
            since=today,
            read_ns=now_ns,
            where=where,
            adjustments=adjustments,
        )
        self._board.tell(table, note)
        self._logged.pop(shipped.instrument_id, None)
        return True

    def _fail(self, about: Sequence[Instrument], reason: str) -> None:
        now_ns = self._timing.now_ns()
        for instrument in about:
            name = instrument.instrument_id
            self._board.fail(name, reason, now_ns)
            if self._logged.get(name) != reason:
                self._logged[name] = reason
                _LOG.warning("no margin table of %s: %s; what is in force stays", name, reason)


def why_not_asked(instrument: Instrument) -> str:
    """Return why a venue is not asked for a table, in words; empty: it is."""
    source = SOURCES.get(instrument.venue)
    if source is None:
        return "the venue tells no table that is read here"
    return "" if source.request is not None else "the venue tells its table to signed requests alone"


def _questions(instruments: Sequence[Instrument]) -> list[tuple[Request, int, list[Instrument]]]:
    """Return what to ask, with its weight and whom it is about: some venues tell all tables in one answer."""
    found: list[tuple[Request, int, list[Instrument]]] = []
    for instrument in instruments:
        source: TierSource | None = SOURCES.get(instrument.venue)
        if source is None or source.request is None:
            continue
        request = source.request(instrument)
        known = next((about for asked, _, about in found if asked == request), None)
        if known is None:
            found.append((request, source.weight, [instrument]))
        else:
            known.append(instrument)
    return found

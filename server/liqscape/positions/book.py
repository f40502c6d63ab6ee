"""The position book of one symbol: bars in, signed events out.

For each bar, in this order: *sweep* what the trigger price reached, then, if the bar ends with a sample of open
interest, *close* and *open* what the flow identity says. At every sample live + uncovered equals open interest,
exactly, for each instrument and side, in the instrument's own unit (lots, or contracts of an inverse one); the book
checks that itself. What it tells the ledger is in lots.

Between sweep and flow, what a venue states of accounts takes the place of what was estimated, see stated_book.py.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liqscape.axes import SymbolScale
from liqscape.device.backend import Backend, BookProfile, CloseRequest, CohortBatch
from liqscape.errors import ModelError
from liqscape.events import PositionSide
from liqscape.instruments import Instrument
from liqscape.market.bars import Bar
from liqscape.market.terms import Terms
from liqscape.positions.account import InstrumentAccount
from liqscape.positions.cohort_book import CohortBook, nothing
from liqscape.positions.contracts import Restatement, joined
from liqscape.positions.flow import Flow, solve_flow
from liqscape.positions.inflow import Opening
from liqscape.positions.lockstep import Stages, closed, run_together
from liqscape.positions.snapshots import BookSnapshot
from liqscape.positions.stated_book import StatedBook
from liqscape.positions.stated_changes import AccountNews, Released, StatedChanges, batch_of
from liqscape.positions.stated_events import cohorts_of, divided, profile_with, together, without


class Cause(enum.IntEnum):
    """Why an event happened.

    Restated: nothing has opened or closed, the same lots are counted elsewhere. Contracts are other lots on a coarser
    row (see contracts.Restatement); a venue states a position, which was estimated before, or another price of it;
    nobody states it any more.
    """

    OPENED = 0
    SWEPT = 1
    CLOSED = 2
    RESTATED_UP = 3
    RESTATED_DOWN = 4


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Events of one minute and cause; lots are positive, their sign is that of the cause."""

    minute: int
    cause: Cause
    cohorts: CohortBatch

    @property
    def sign(self) -> int:
        """Return +1 for what opened or was restated upward, -1 for the others."""
        return 1 if self.cause in (Cause.OPENED, Cause.RESTATED_UP) else -1


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """State of one (instrument, side) right after a sample of open interest, in lots; inverse ones: in contracts."""

    minute: int
    instrument_id: str
    side: PositionSide
    open_interest_lots: int
    live_lots: int
    uncovered_lots: int
    model_error_lots: int


@dataclass(frozen=True, slots=True)
class BookStep:
    """What a tick did to the book."""

    events: tuple[EventBatch, ...]
    samples: tuple[Reconciliation, ...]


def batches_of(minute: int, by_cause: Mapping[Cause, CohortBatch]) -> tuple[EventBatch, ...]:
    """Return what happened in a minute as batches, in the order given, empty ones left out."""
    return tuple(EventBatch(minute, cause, cohorts) for cause, cohorts in by_cause.items() if len(cohorts))


class PositionBook(CohortBook):
    """Positions of one symbol over all its instruments.

    Args:
        symbol: base coin.
        instruments: numbered by their order here; the number is part of every key.
        scale: integer units of the symbol.
        backend: where the table of cohorts lives.
        mixes: inflow shares by instrument id, millionths by leverage tier; the shipped prior where absent.
        size_mixes: shares by instrument id, millionths by maintenance tier; all in the first where absent.
    """

    def __init__(
        self,
        symbol: str,
        instruments: Sequence[Instrument],
        scale: SymbolScale,
        backend: Backend,
        mixes: Mapping[str, Sequence[int]] | None = None,
        size_mixes: Mapping[str, Sequence[int]] | None = None,
    ) -> None:
        super().__init__(symbol, instruments, scale, backend)
        self._accounts = [
            InstrumentAccount(number, i, (mixes or {}).get(i.instrument_id), (size_mixes or {}).get(i.instrument_id))
            for number, i in enumerate(self.instruments)
        ]
        self._hazard = np.zeros(self._groups, np.int64)
        self._stated = StatedBook(self.instruments, scale)

    @property
    def live_cohorts(self) -> int:
        return super().live_cohorts + (len(self._stated.cohorts()) if self._stated else 0)

    def cohorts_in_lots(self) -> CohortBatch:
        """Return the open cohorts in lots: estimated ones in append order, then what is stated."""
        return joined(super().cohorts_in_lots(), self._stated.cohorts())

    def profile(self) -> Callable[[], BookProfile]:
        estimated = super().profile()
        if not self._stated:
            return estimated
        stated = self._stated.cohorts()
        return lambda: profile_with(estimated(), stated)

    def lots_by_group(self) -> NDArray[np.int64]:
        return super().lots_by_group() + self._stated.lots_by_group()

    @property
    def has_stated(self) -> bool:
        """Return whether any account is stated to hold a position."""
        return bool(self._stated)

    def stated_is_due(self, now_ns: int) -> bool:
        """Return whether a statement may have become too old: a step without bars is then to be made."""
        return self._stated.is_due(now_ns)

    def stated_beyond_lots(self, instrument_id: str) -> tuple[int, int]:
        """Return the lots of longs and of shorts that are stated, and for which the book had no room."""
        return self._stated.beyond_lots(instrument_id)

    def coarsen_rows(self, scale: SymbolScale, multiple: int) -> Restatement:
        for account in self._accounts:
            account.coarsen_rows(multiple)
        stated = self._stated.coarsen_rows(scale, multiple)
        return super().coarsen_rows(scale, multiple).plus(stated)

    def change_terms(self, terms: Terms) -> None:
        super().change_terms(terms)
        self._accounts[self._numbers[terms.instrument_id]].change_terms(terms)

    def account(self, instrument_id: str) -> InstrumentAccount:
        """Return the account of an instrument; to be read, not changed."""
        return self._accounts[self._numbers[instrument_id]]

    def snapshot(self) -> Callable[[], BookSnapshot]:
        """Return the work of copying everything that outlives this tick, for any thread."""
        cohorts, hazard, stated = self._cohorts_snapshot(), self._hazard.copy(), self._stated.snapshot()
        accounts = {account.instrument.instrument_id: account.snapshot() for account in self._accounts}
        return lambda: BookSnapshot(cohorts=cohorts(), accounts=accounts, hazard=hazard, stated=stated)

    def restore(self, snapshot: BookSnapshot) -> None:
        """Be as when a snapshot was taken. On the units of then.

        Raises:
            ModelError: it is of other instruments or mixes.
        """
        if sorted(snapshot.accounts) != sorted(self._numbers):
            raise ModelError(f"accounts of {', '.join(snapshot.accounts)} are not those of {', '.join(self._numbers)}")
        self._restore_cohorts(snapshot.cohorts)
        for account in self._accounts:
            account.restore(snapshot.accounts[account.instrument.instrument_id])
        self._hazard = snapshot.hazard.copy()
        self._stated.restore(snapshot.stated)
        for account, lots in zip(self._accounts, self._stated.lots_by_group().reshape(-1, 2).tolist(), strict=True):
            account.stated = lots

    def apply(self, bars: Sequence[Bar], news: AccountNews | None = None) -> BookStep:
        """Take the bars of one tick, at most one for each instrument, all ending in the same minute.

        Args:
            bars: of the tick.
            news: what is stated of accounts in it, and how late it is: statements become too old.

        Raises:
            ModelError: bars of different minutes, or the books no longer add up.
        """
        return run_together(self._backend, [self.stages(bars, news)])[0]

    def stages(self, bars: Sequence[Bar], news: AccountNews | None = None) -> Stages[BookStep]:
        """Do what apply does, as a step to be run together with those of other books."""
        if not bars and news is None:
            return BookStep((), ())
        minute = bars[0].minute if bars else news.minute if news is not None else 0
        numbered = self._numbered(bars)
        triggers = self._triggers(numbered)
        swept, swept_by_group = yield from self._sweep(triggers)
        for account, (long, short) in zip(self._accounts, swept_by_group.reshape(-1, 2).tolist(), strict=True):
            account.sweep((long, short))
        taken = [(self._accounts[number], bar) for number, bar in numbered]
        for account, bar in taken:
            account.add_traded(bar)
            if bar.open_interest_lots is not None:
                account.begin_sample(bar.open_interest_lots)
        stated = self._take_stated(minute, numbered, triggers, news)
        flows = [
            (account, bar, self._flow(account, bar.open_interest_lots))
            for account, bar in taken
            if bar.open_interest_lots is not None
        ]
        self._cut_stated(flows, stated)
        replaced, ended = yield from self._close(flows, stated.taken)
        openings = self._openings(minute, flows)
        reopened = self._reopenings(minute, self._stated.release(self._accounts, stated))
        opened = yield from self._open(minute, [together([*openings, *reopened])] if reopened else openings)
        events = batches_of(
            minute,
            {
                Cause.SWEPT: joined(swept, batch_of(stated.swept)),
                Cause.CLOSED: joined(ended, batch_of(stated.closed)),
                Cause.RESTATED_DOWN: joined(replaced, batch_of(stated.down)),
                Cause.RESTATED_UP: joined(batch_of(stated.up), cohorts_of(minute, reopened)),
                Cause.OPENED: without(opened, reopened),
            },
        )
        samples = tuple(
            s for account, bar, _ in flows for s in self._reconcile(account, minute, bar.open_interest_lots)
        )
        return BookStep(events, samples)

    def _flow(self, account: InstrumentAccount, sample: int | None) -> Flow | None:
        """Return the flow since the last sample, or None for the first one."""
        if sample is None or account.last_sample is None:
            return None
        swept_long, swept_short = account.swept
        return solve_flow(
            traded=account.traded_lots,
            last=account.last_sample,
            now=sample,
            swept_long=swept_long,
            swept_short=swept_short,
        )

    def _take_stated(
        self, minute: int, numbered: Sequence[tuple[int, Bar]], triggers: NDArray[np.int64], news: AccountNews | None
    ) -> StatedChanges:
        """Sweep stated positions, then take what is stated now; the accounts are booked."""
        changes = StatedChanges(np.zeros(self._groups, np.int64))
        if self._stated:
            self._stated.sweep(triggers, self._accounts, changes)
        if self._stated or news is not None:
            sampled = [number for number, bar in numbered if bar.open_interest_lots is not None]
            self._stated.take(news, minute, sampled, self._accounts, changes)
        return changes

    def _cut_stated(self, flows: Sequence[tuple[InstrumentAccount, Bar, Flow | None]], changes: StatedChanges) -> None:
        """Close stated positions where a sample says that more has closed than is estimated."""
        for account, _, flow in flows:
            if flow is not None and any(account.stated):
                for side, lots in zip(PositionSide, account.unestimated(flow), strict=True):
                    if lots:
                        self._stated.cut(account.group(side), lots, account, changes)

    def _close(
        self, flows: Sequence[tuple[InstrumentAccount, Bar, Flow | None]], replaced: NDArray[np.int64]
    ) -> Stages[tuple[CohortBatch, CohortBatch]]:
        """Close estimated cohorts by the clock.

        Args:
            flows: say how many lots.
            replaced: int64[group], lots whose place stated ones take: they close too, as the first ones.

        Returns:
            Both in lots: what is replaced, and what has closed.
        """
        lots = replaced.copy()
        for account, _, flow in flows:
            if flow is not None:
                for side, count in zip(PositionSide, account.close(flow), strict=True):
                    lots[account.group(side)] += count
        if not lots.any():
            return nothing(), nothing()
        batch, self._hazard = yield from closed(CloseRequest(self._live, lots))
        ended = self._contracts.ended(batch)
        return divided(ended, replaced) if replaced.any() else (nothing(), ended)

    def _reopenings(self, minute: int, released: Sequence[Released]) -> list[Opening]:
        """Return stated lots that are estimated from now on as cohorts, one part an instrument."""
        by_number: dict[int, list[tuple[PositionSide, int | None, int]]] = {}
        for one in released:
            by_number.setdefault(one.number, []).append((one.side, one.row, one.lots))
        parts: list[Opening] = []
        for number, lots in sorted(by_number.items()):
            price_row = self._last_row(self.instruments[number].instrument_id)
            if price_row is None:
                raise ModelError(f"positions on {self.instruments[number].instrument_id} are stated without any price")
            parts.append(self._accounts[number].reopen(minute, lots, price_row, self._hazard))
        return parts

    def _openings(self, minute: int, flows: Sequence[tuple[InstrumentAccount, Bar, Flow | None]]) -> list[Opening]:
        return [
            account.open(minute, flow, self._last_row(bar.instrument_id), self._hazard)
            for account, bar, flow in flows
            if flow is not None
        ]

    def _reconcile(self, account: InstrumentAccount, minute: int, sample: int | None) -> list[Reconciliation]:
        if sample is None:
            return []
        account.finish_sample(sample)
        return [
            Reconciliation(
                minute=minute,
                instrument_id=account.instrument.instrument_id,
                side=side,
                open_interest_lots=sample,
                live_lots=account.live[side],
                uncovered_lots=account.uncovered[side],
                model_error_lots=account.model_error_lots,
            )
            for side in PositionSide
        ]

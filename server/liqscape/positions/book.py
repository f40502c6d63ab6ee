"""The position book of one symbol: bars in, signed events out.

For each bar, in this order: *sweep* what the trigger price reached, then, if the bar ends with a sample of open
interest, *close* and *open* what the flow identity says. At every sample live + uncovered equals open interest,
exactly, for each instrument and side, in the instrument's own unit (lots, or contracts of an inverse one); the book
checks that itself. What it tells the ledger is in lots.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from liqscape.axes import SymbolScale
from liqscape.device.backend import Backend, CloseRequest, CohortBatch
from liqscape.errors import ModelError
from liqscape.events import PositionSide
from liqscape.instruments import Instrument
from liqscape.market.bars import Bar
from liqscape.market.terms import Terms
from liqscape.positions.account import InstrumentAccount
from liqscape.positions.cohort_book import CohortBook, nothing
from liqscape.positions.contracts import Restatement
from liqscape.positions.flow import Flow, solve_flow
from liqscape.positions.inflow import Opening
from liqscape.positions.lockstep import Stages, closed, run_together
from liqscape.positions.snapshots import BookSnapshot


class Cause(enum.IntEnum):
    """Why an event happened. Restated: contracts are other lots on a coarser row, see contracts.Restatement."""

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

    def coarsen_rows(self, scale: SymbolScale, multiple: int) -> Restatement:
        for account in self._accounts:
            account.coarsen_rows(multiple)
        return super().coarsen_rows(scale, multiple)

    def change_terms(self, terms: Terms) -> None:
        super().change_terms(terms)
        self._accounts[self._numbers[terms.instrument_id]].change_terms(terms)

    def account(self, instrument_id: str) -> InstrumentAccount:
        """Return the account of an instrument; to be read, not changed."""
        return self._accounts[self._numbers[instrument_id]]

    def snapshot(self) -> Callable[[], BookSnapshot]:
        """Return the work of copying everything that outlives this tick, for any thread."""
        cohorts, hazard = self._cohorts_snapshot(), self._hazard.copy()
        accounts = {account.instrument.instrument_id: account.snapshot() for account in self._accounts}
        return lambda: BookSnapshot(cohorts=cohorts(), accounts=accounts, hazard=hazard)

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

    def apply(self, bars: Sequence[Bar]) -> BookStep:
        """Take the bars of one tick, at most one for each instrument, all ending in the same minute.

        Raises:
            ModelError: bars of different minutes, or the books no longer add up.
        """
        return run_together(self._backend, [self.stages(bars)])[0]

    def stages(self, bars: Sequence[Bar]) -> Stages[BookStep]:
        """Do what apply does, as a step to be run together with those of other books."""
        if not bars:
            return BookStep((), ())
        minute, numbered = bars[0].minute, self._numbered(bars)
        swept, swept_by_group = yield from self._sweep(numbered)
        for account, (long, short) in zip(self._accounts, swept_by_group.reshape(-1, 2).tolist(), strict=True):
            account.sweep((long, short))
        taken = [(self._accounts[number], bar) for number, bar in numbered]
        for account, bar in taken:
            account.add_traded(bar)
        flows = [
            (account, bar, self._flow(account, bar.open_interest_lots))
            for account, bar in taken
            if bar.open_interest_lots is not None
        ]
        ended = yield from self._close(flows)
        opened = yield from self._open(minute, self._openings(minute, flows))
        events = batches_of(minute, {Cause.SWEPT: swept, Cause.CLOSED: ended, Cause.OPENED: opened})
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

    def _close(self, flows: Sequence[tuple[InstrumentAccount, Bar, Flow | None]]) -> Stages[CohortBatch]:
        lots = np.zeros(self._groups, np.int64)
        for account, _, flow in flows:
            if flow is not None:
                for side, count in zip(PositionSide, account.close(flow), strict=True):
                    lots[account.group(side)] = count
        if not lots.any():
            return nothing()
        batch, self._hazard = yield from closed(CloseRequest(self._live, lots))
        return self._contracts.ended(batch)

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

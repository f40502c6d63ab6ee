"""The position book of one symbol: bars in, signed events out.

For each bar, in this order: *sweep* what the trigger price reached, then, if the bar ends with a sample of open
interest, *close* and *open* what the flow identity says. At every sample live + uncovered equals open interest,
exactly, for each instrument and side, in the instrument's own unit (lots, or contracts of an inverse one); the book
checks that itself. What it tells the ledger is in lots.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liqscape.axes import SymbolScale
from liqscape.device.backend import NO_TRIGGER, Backend, CohortBatch
from liqscape.errors import ModelError
from liqscape.events import PositionSide
from liqscape.instruments import Instrument
from liqscape.market.bars import Bar
from liqscape.positions.account import InstrumentAccount, Opening
from liqscape.positions.contracts import ContractLots
from liqscape.positions.flow import Flow, solve_flow
from liqscape.positions.weights import group_of


class Cause(enum.IntEnum):
    """Why an event happened."""

    OPENED = 0
    SWEPT = 1
    CLOSED = 2


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Events of one minute and cause; lots are signed by the cause (opened +, swept and closed -)."""

    minute: int
    cause: Cause
    cohorts: CohortBatch

    @property
    def sign(self) -> int:
        """Return +1 for what opened, -1 for what ended."""
        return 1 if self.cause is Cause.OPENED else -1


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


class PositionBook:
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
        self.symbol = symbol
        self.instruments = tuple(instruments)
        self.scale = scale
        self._accounts = [
            InstrumentAccount(number, i, (mixes or {}).get(i.instrument_id), (size_mixes or {}).get(i.instrument_id))
            for number, i in enumerate(instruments)
        ]
        self._contracts = ContractLots(self.instruments, scale)
        self._numbers = {i.instrument_id: number for number, i in enumerate(instruments)}
        self._groups = 2 * len(self.instruments)
        self._live = backend.live_table(self._groups)
        self._hazard = np.zeros(self._groups, np.int64)
        self._last_rows: dict[str, int] = {}
        self._last_row_of_any: int | None = None

    @property
    def live_cohorts(self) -> int:
        """Return the number of open cohorts."""
        return len(self._live)

    def account(self, instrument_id: str) -> InstrumentAccount:
        """Return the account of an instrument; to be read, not changed."""
        return self._accounts[self._numbers[instrument_id]]

    def cohorts(self) -> tuple[CohortBatch, NDArray[np.int64]]:
        """Return the open cohorts in append order, in their instruments' units, and their clocks."""
        return self._live.cohorts()

    def cohorts_in_lots(self) -> CohortBatch:
        """Return the open cohorts in append order, in lots."""
        return self._contracts.held(self._live.cohorts()[0])

    def lots_by_group(self) -> NDArray[np.int64]:
        """Return int64[instrument number x 2 + side] of what is open, in its own unit, counted from the cohorts."""
        return self._live.lots_by_group()

    def apply(self, bars: Sequence[Bar]) -> BookStep:
        """Take the bars of one tick, at most one for each instrument, all ending in the same minute.

        Raises:
            ModelError: bars of different minutes, or the books no longer add up.
        """
        if not bars:
            return BookStep((), ())
        minute = bars[0].minute
        if any(bar.minute != minute for bar in bars) or len({bar.instrument_id for bar in bars}) != len(bars):
            raise ModelError(f"bars of one tick must share minute {minute} and name each instrument once")
        numbered = [(self._accounts[self._numbers[bar.instrument_id]], bar) for bar in bars]
        swept = self._sweep(numbered)
        for account, bar in numbered:
            account.add_traded(bar)
        flows = [
            (account, bar, self._flow(account, bar.open_interest_lots))
            for account, bar in numbered
            if bar.open_interest_lots is not None
        ]
        closed = self._close(flows)
        opened = self._open(minute, flows)
        events = tuple(
            EventBatch(minute, cause, batch)
            for cause, batch in ((Cause.SWEPT, swept), (Cause.CLOSED, closed), (Cause.OPENED, opened))
            if len(batch)
        )
        samples = tuple(
            s for account, bar, _ in flows for s in self._reconcile(account, minute, bar.open_interest_lots)
        )
        return BookStep(events, samples)

    def _sweep(self, numbered: Sequence[tuple[InstrumentAccount, Bar]]) -> CohortBatch:
        triggers = np.full(self._groups, NO_TRIGGER)
        for account, bar in numbered:
            if bar.trigger is not None:
                triggers[account.group(PositionSide.LONG)] = self.scale.base_row(bar.trigger.low)
                triggers[account.group(PositionSide.SHORT)] = self.scale.base_row(bar.trigger.high)
                self._last_row_of_any = self.scale.base_row(bar.trigger.close)
                self._last_rows[bar.instrument_id] = self._last_row_of_any
        batch = self._live.sweep(triggers)
        for account, lots in self._by_account(batch):
            account.sweep(lots)
        return self._contracts.ended(batch)

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

    def _close(self, flows: Sequence[tuple[InstrumentAccount, Bar, Flow | None]]) -> CohortBatch:
        lots = np.zeros(self._groups, np.int64)
        for account, _, flow in flows:
            if flow is not None:
                for side, count in zip(PositionSide, account.close(flow), strict=True):
                    lots[account.group(side)] = count
        batch, self._hazard = self._live.close(lots)
        return self._contracts.ended(batch)

    def _open(self, minute: int, flows: Sequence[tuple[InstrumentAccount, Bar, Flow | None]]) -> CohortBatch:
        parts: list[Opening] = []
        for account, bar, flow in flows:
            if flow is not None:
                # An instrument may send open interest before its own first price; the symbol has one by then.
                last_row = self._last_rows.get(bar.instrument_id, self._last_row_of_any)
                parts.append(account.open(minute, flow, last_row, self._hazard))
        if not parts:
            none = np.empty(0, np.int32)
            return CohortBatch(none, none, np.empty(0, np.uint16), np.empty(0, np.int64))
        rows = np.concatenate([part.rows for part in parts])
        keys = np.concatenate([part.keys for part in parts])
        lots = np.concatenate([part.lots for part in parts])
        clocks = np.concatenate([part.clocks for part in parts])
        held = self._live.append(minute, rows, keys, lots, clocks)
        return self._contracts.opened(CohortBatch(np.full(len(rows), minute, np.int32), rows, keys, lots), held)

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

    def _by_account(self, batch: CohortBatch) -> list[tuple[InstrumentAccount, tuple[int, int]]]:
        if not len(batch):
            return []
        lots = np.zeros(self._groups, np.int64)
        np.add.at(lots, group_of(batch.key), batch.lots)
        return [
            (a, (int(lots[a.group(PositionSide.LONG)]), int(lots[a.group(PositionSide.SHORT)]))) for a in self._accounts
        ]

"""What every book of a symbol does alike: hold cohorts, sweep what the trigger price reaches, tell it all in lots."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from liqscape.axes import SymbolScale
from liqscape.device.backend import NO_TRIGGER, AppendRequest, Backend, BookProfile, CohortBatch, SweepRequest
from liqscape.errors import ModelError
from liqscape.events import PositionSide
from liqscape.instruments import Instrument
from liqscape.market.bars import Bar
from liqscape.market.terms import Terms
from liqscape.positions.contracts import ContractLots, Restatement
from liqscape.positions.inflow import Opening
from liqscape.positions.lockstep import Stages, appended, swept
from liqscape.positions.snapshots import CohortsSnapshot
from liqscape.positions.weights import group_of


class CohortBook:
    """Open cohorts of one symbol over all its instruments; what opens and closes is the affair of who derives from it.

    Args:
        symbol: base coin.
        instruments: numbered by their order here; the number is part of every key.
        scale: integer units of the symbol.
        backend: where the table of cohorts lives.
    """

    def __init__(self, symbol: str, instruments: Sequence[Instrument], scale: SymbolScale, backend: Backend) -> None:
        self.symbol = symbol
        self.instruments = tuple(instruments)
        self.scale = scale
        self._groups = 2 * len(self.instruments)
        self._backend = backend
        self._live = backend.live_table(self._groups)
        self._contracts = ContractLots(self.instruments, scale)
        self._numbers = {i.instrument_id: number for number, i in enumerate(self.instruments)}
        self._last_rows: dict[str, int] = {}
        self._last_row_of_any: int | None = None

    @property
    def live_cohorts(self) -> int:
        """Return the number of open cohorts."""
        return len(self._live)

    def cohorts(self) -> tuple[CohortBatch, NDArray[np.int64]]:
        """Return the open cohorts that have clocks, in append order, in their instruments' units, and these clocks."""
        return self._live.cohorts()

    def cohorts_in_lots(self) -> CohortBatch:
        """Return the open cohorts in append order, in lots."""
        return self._contracts.held(self._live.cohorts()[0])

    def profile(self) -> Callable[[], BookProfile]:
        """Copy what is open now, fast, and return the work of summing its lots by key and row, for any thread."""
        return self._live.profile(self._contracts.rates)

    def lots_by_group(self) -> NDArray[np.int64]:
        """Return int64[instrument number x 2 + side] of what is open, in its own unit, counted from the cohorts."""
        return self._live.lots_by_group()

    def coarsen_rows(self, scale: SymbolScale, multiple: int) -> Restatement:
        """Put every cohort on the row that is multiple times as high; those that then agree become one.

        Args:
            scale: the units from now on.
            multiple: its base step over that of now.

        Returns:
            What changes in lots: nothing for linear instruments.
        """
        before = self._contracts.held(self._live.cohorts()[0])
        self._live.coarsen_rows(multiple)
        self.scale = scale
        self._contracts = ContractLots(self.instruments, scale)
        self._last_rows = {name: row // multiple for name, row in self._last_rows.items()}
        if self._last_row_of_any is not None:
            self._last_row_of_any //= multiple
        before = replace(before, row=before.row // np.int32(multiple))
        return Restatement.between(before, self._contracts.held(self._live.cohorts()[0]))

    def change_terms(self, terms: Terms) -> None:
        """Let what opens at an instrument from now on open on other terms. What is open stays as it is."""
        changed = terms.instrument
        self.instruments = tuple(changed if i.instrument_id == changed.instrument_id else i for i in self.instruments)

    def _cohorts_snapshot(self) -> Callable[[], CohortsSnapshot]:
        live, last_rows, last_row_of_any = self._live.capture(), dict(self._last_rows), self._last_row_of_any
        return lambda: CohortsSnapshot(live=live(), last_rows=last_rows, last_row_of_any=last_row_of_any)

    def _restore_cohorts(self, snapshot: CohortsSnapshot) -> None:
        if len(snapshot.live.hazard) != self._groups:
            raise ModelError(f"a snapshot of {len(snapshot.live.hazard)} groups is not of the {self._groups} here")
        self._live = self._backend.live_table(self._groups, snapshot.live)
        self._last_rows = dict(snapshot.last_rows)
        self._last_row_of_any = snapshot.last_row_of_any

    def _numbered(self, bars: Sequence[Bar]) -> list[tuple[int, Bar]]:
        """Return the bars of one tick with their instruments' numbers, ascending: the order given decides nothing.

        Raises:
            ModelError: bars of different minutes, or an instrument comes twice.
        """
        if not bars:
            return []
        minute = bars[0].minute
        if any(bar.minute != minute for bar in bars) or len({bar.instrument_id for bar in bars}) != len(bars):
            raise ModelError(f"bars of one tick must share minute {minute} and name each instrument once")
        return sorted(((self._numbers[bar.instrument_id], bar) for bar in bars), key=lambda numbered: numbered[0])

    def _triggers(self, numbered: Sequence[tuple[int, Bar]]) -> NDArray[np.int64]:
        """Note the last prices; return what SweepRequest takes."""
        triggers = np.full(self._groups, NO_TRIGGER)
        for number, bar in numbered:
            if bar.trigger is not None:
                triggers[2 * number + PositionSide.LONG] = self.scale.base_row(bar.trigger.low)
                triggers[2 * number + PositionSide.SHORT] = self.scale.base_row(bar.trigger.high)
                self._last_row_of_any = self.scale.base_row(bar.trigger.close)
                self._last_rows[bar.instrument_id] = self._last_row_of_any
        return triggers

    def _sweep(self, triggers: NDArray[np.int64]) -> Stages[tuple[CohortBatch, NDArray[np.int64]]]:
        """End every cohort of the table that a trigger price has reached.

        Returns:
            What ended in lots, and int64[group] of it in the units of the instruments.
        """
        by_group = np.zeros(self._groups, np.int64)
        if (triggers == NO_TRIGGER).all():
            return nothing(), by_group
        batch = yield from swept(SweepRequest(self._live, triggers))
        np.add.at(by_group, group_of(batch.key), batch.lots)
        return self._contracts.ended(batch), by_group

    def _last_row(self, instrument_id: str) -> int | None:
        """Return the row of an instrument's last price; of the symbol's, where it has not said one itself.

        An instrument may send open interest before its own first price; the symbol has one by then.
        """
        return self._last_rows.get(instrument_id, self._last_row_of_any)

    def _open(self, minute: int, parts: Sequence[Opening]) -> Stages[CohortBatch]:
        """Open the cohorts of one minute, at most one part for each instrument; return them in lots."""
        if not any(len(part.rows) for part in parts):
            return nothing()
        rows = np.concatenate([part.rows for part in parts])
        keys = np.concatenate([part.keys for part in parts])
        lots = np.concatenate([part.lots for part in parts])
        clocks = np.concatenate([part.clocks for part in parts])
        held = yield from appended(AppendRequest(self._live, minute, rows, keys, lots, clocks))
        return self._contracts.opened(CohortBatch(np.full(len(rows), minute, np.int32), rows, keys, lots), held)


def nothing() -> CohortBatch:
    """Return no cohorts."""
    none = np.empty(0, np.int32)
    return CohortBatch(none, none, np.empty(0, np.uint16), np.empty(0, np.int64))

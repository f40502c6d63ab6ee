"""The model "open-only, 1/L" that vendors' maps are made with, as a book to compare with.

Rising open interest opens positions on both sides; nothing closes them but a price that reaches their bankruptcy, where
the initial margin, 1/L of the entry price, is lost. Falling open interest changes nothing, so levels stay on the map
whose positions were closed long ago. Tiers, mix, entry rows, lots, minutes and the order sweep before open are those of
the real book: what differs between the two grids is the model alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from liqscape.axes import SymbolScale
from liqscape.device.backend import Backend
from liqscape.errors import ModelError
from liqscape.events import PositionSide
from liqscape.instruments import Instrument
from liqscape.market.bars import Bar
from liqscape.market.terms import Terms
from liqscape.positions.book import BookStep, Cause, batches_of
from liqscape.positions.cohort_book import CohortBook
from liqscape.positions.contracts import Restatement
from liqscape.positions.inflow import Inflow, Opening, inflow_mix
from liqscape.positions.lockstep import Stages, run_together
from liqscape.positions.margin import RowMap
from liqscape.positions.mix import TierSplit
from liqscape.positions.snapshots import OpenOnlySnapshot


class OpenOnlyBook(CohortBook):
    """Cohorts of one symbol over all its instruments, by the open-only model.

    Args:
        symbol: base coin.
        instruments: numbered by their order here; the number is part of every key.
        scale: integer units of the symbol.
        backend: where the table of cohorts lives.
        mixes: inflow shares by instrument id, millionths by leverage tier; the shipped prior where absent.

    Raises:
        ConfigError: a mix does not fit its instrument.
    """

    def __init__(
        self,
        symbol: str,
        instruments: Sequence[Instrument],
        scale: SymbolScale,
        backend: Backend,
        mixes: Mapping[str, Sequence[int]] | None = None,
    ) -> None:
        super().__init__(symbol, instruments, scale, backend)
        self._inflows = [
            _inflow(number, i, (mixes or {}).get(i.instrument_id)) for number, i in enumerate(self.instruments)
        ]

    def coarsen_rows(self, scale: SymbolScale, multiple: int) -> Restatement:
        for inflow in self._inflows:
            inflow.coarsen_rows(multiple)
        return super().coarsen_rows(scale, multiple)

    def change_terms(self, terms: Terms) -> None:
        super().change_terms(terms)
        shares = inflow_mix(terms.instrument, terms.inflow_mix)
        self._inflows[self._numbers[terms.instrument_id]].change(
            terms.instrument, RowMap.bankruptcy(terms.instrument), [TierSplit(shares) for _ in PositionSide]
        )

    def snapshot(self) -> Callable[[], OpenOnlySnapshot]:
        """Return the work of copying everything that outlives this tick, for any thread."""
        cohorts = self._cohorts_snapshot()
        inflows = {i.instrument_id: self._inflows[number].snapshot() for number, i in enumerate(self.instruments)}
        return lambda: OpenOnlySnapshot(cohorts=cohorts(), inflows=inflows)

    def restore(self, snapshot: OpenOnlySnapshot) -> None:
        """Be as when a snapshot was taken. On the units of then.

        Raises:
            ModelError: it is of other instruments or mixes.
        """
        if sorted(snapshot.inflows) != sorted(self._numbers):
            raise ModelError(f"inflows of {', '.join(snapshot.inflows)} are not those of {', '.join(self._numbers)}")
        self._restore_cohorts(snapshot.cohorts)
        for name, number in self._numbers.items():
            self._inflows[number].restore(snapshot.inflows[name])

    def apply(self, bars: Sequence[Bar]) -> BookStep:
        """Take the bars of one tick, at most one for each instrument, all ending in the same minute.

        Returns:
            What was swept and opened. There are no reconciliations: what is open does not add up to open interest, and
            that is this model's flaw.

        Raises:
            ModelError: bars of different minutes, or positions open before any price.
        """
        return run_together(self._backend, [self.stages(bars)])[0]

    def stages(self, bars: Sequence[Bar]) -> Stages[BookStep]:
        """Do what apply does, as a step to be run together with those of other books."""
        if not bars:
            return BookStep((), ())
        minute, numbered = bars[0].minute, self._numbered(bars)
        swept, _ = yield from self._sweep(self._triggers(numbered))
        openings = [opening for number, bar in numbered if (opening := self._opening(number, bar)) is not None]
        opened = yield from self._open(minute, openings)
        return BookStep(batches_of(minute, {Cause.SWEPT: swept, Cause.OPENED: opened}), ())

    def _opening(self, number: int, bar: Bar) -> Opening | None:
        """Take what a bar traded; return what its sample opens."""
        inflow, sample = self._inflows[number], bar.open_interest_lots
        inflow.add_traded(bar)
        if sample is None:
            return None
        rise = 0 if inflow.last_sample is None else max(0, sample - inflow.last_sample)
        rows, keys, lots = inflow.place(bar.minute, (rise, rise), self._last_row(bar.instrument_id))
        inflow.finish_sample(sample)
        # Nothing is closed by its clock. One that rises keeps the live table's set of near clocks small.
        return Opening(rows, keys, lots, np.full(len(rows), bar.minute, np.int64)) if rise else None


def _inflow(number: int, instrument: Instrument, mix: Sequence[int] | None) -> Inflow:
    shares = inflow_mix(instrument, mix)
    return Inflow(number, instrument, RowMap.bankruptcy(instrument), [TierSplit(shares) for _ in PositionSide])

"""The accounts of one instrument: live, uncovered and swept lots of both sides, and the clocks of what opens.

An inverse instrument is accounted for in contracts: what is called lots here are contracts then, from the bar that says
them to the cohorts they open. Only the book turns them into lots, by the row they are liquidated in.

A part of what is live may be known from the venue's own statements: stated lots, see stated_book.py. The rest, and the
uncovered lots, are estimated; closes of the flow come out of these.

Two-element lists and tuples are indexed by PositionSide: long, short.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqscape.axes import SymbolScale
from liqscape.errors import ModelError
from liqscape.events import PositionSide
from liqscape.instruments import LEVERAGE_TIERS, Instrument
from liqscape.market.bars import Bar
from liqscape.market.terms import Terms
from liqscape.positions import hazard
from liqscape.positions.contracts import contracts_in_lots
from liqscape.positions.flow import Flow
from liqscape.positions.inflow import Inflow, Opening, inflow_mix
from liqscape.positions.ladder import LadderSplit, ladders
from liqscape.positions.margin import RowMap
from liqscape.positions.snapshots import AccountSnapshot
from liqscape.positions.weights import KEY_TIER_SIDE_MASK, make_key

FARTHEST_REOPENED: Final = 4
"""Times the row of the price: the highest row on which a stated position goes on as an estimated one. No timeframe
shows half as much, and what sums cohorts by row takes memory for all rows between the lowest and the highest."""


class InstrumentAccount:
    """Books of one instrument.

    Args:
        number: position among the symbol's instruments.
        instrument: the contract and its rules.
        mix: inflow shares in millionths, one for each tier the venue allows; None = the shipped prior.
        size_mix: shares of the venue's maintenance tiers, see ladder.ladders; None = all positions in the first.

    Attributes:
        live: lots of open cohorts, stated ones included.
        stated: lots of them that the venue itself has stated.
        uncovered: lots of open interest whose origin was never seen.
    """

    def __init__(
        self,
        number: int,
        instrument: Instrument,
        mix: Sequence[int] | None = None,
        size_mix: Sequence[int] | None = None,
    ) -> None:
        self.instrument = instrument
        self.mix = inflow_mix(instrument, mix)
        of_tiers = ladders(instrument, size_mix)
        self.row_map = RowMap.of(instrument, of_tiers)
        self.live = [0, 0]
        self.stated = [0, 0]
        self.uncovered = [0, 0]
        self.model_error_lots = 0
        self.watermark_ns = 0
        self._number = number
        self._swept = [0, 0]
        splits = [LadderSplit(self.mix, of_tiers) for _ in PositionSide]
        self._inflow = Inflow(number, instrument, self.row_map, splits)
        self._seed = hazard.text_seed(f"{instrument.symbol}/{instrument.instrument_id}")
        self._turnover_reciprocal = np.zeros(16, np.int64)
        self._know_turnovers()

    @property
    def last_sample(self) -> int | None:
        """Return open interest of the last sample, None before the first."""
        return self._inflow.last_sample

    @property
    def swept(self) -> tuple[int, int]:
        """Return the lots that are known to have closed since the last sample: swept, or by a statement."""
        return self._swept[0], self._swept[1]

    @property
    def traded_lots(self) -> int:
        """Return the lots traded since the last sample."""
        return self._inflow.traded_lots

    def in_lots(self, quantity: int, scale: SymbolScale, price: int) -> int:
        """Return the lots a quantity of the accounts is worth at a price; of a linear instrument, the quantity."""
        if not self.instrument.is_inverse:
            return quantity
        return contracts_in_lots(self.instrument, scale, quantity, price) if price else 0

    def group(self, side: PositionSide) -> int:
        """Return the group number of one side."""
        return 2 * self._number + side

    def snapshot(self) -> AccountSnapshot:
        """Return everything that outlives a tick."""
        return AccountSnapshot(
            live=_pair(self.live),
            uncovered=_pair(self.uncovered),
            swept=_pair(self._swept),
            model_error_lots=self.model_error_lots,
            watermark_ns=self.watermark_ns,
            inflow=self._inflow.snapshot(),
        )

    def restore(self, snapshot: AccountSnapshot) -> None:
        """Be as when a snapshot was taken."""
        self.live, self.uncovered, self._swept = list(snapshot.live), list(snapshot.uncovered), list(snapshot.swept)
        self.model_error_lots = snapshot.model_error_lots
        self.watermark_ns = snapshot.watermark_ns
        self._inflow.restore(snapshot.inflow)

    def change_terms(self, terms: Terms) -> None:
        """Let what opens from now on open on other terms; see Inflow.change."""
        of_tiers = ladders(terms.instrument, terms.size_mix)
        self.instrument = terms.instrument
        self.mix = inflow_mix(terms.instrument, terms.inflow_mix)
        self.row_map = RowMap.of(terms.instrument, of_tiers)
        self._inflow.change(terms.instrument, self.row_map, [LadderSplit(self.mix, of_tiers) for _ in PositionSide])
        self._know_turnovers()

    def add_traded(self, bar: Bar) -> None:
        """Take the trades of a bar; those before the first sample belong to no interval and are left out."""
        self.watermark_ns = max(self.watermark_ns, bar.watermark_ns)
        self._inflow.add_traded(bar)

    def coarsen_rows(self, multiple: int) -> None:
        """Put what was traded on rows multiple times as high."""
        self._inflow.coarsen_rows(multiple)

    def sweep(self, lots: tuple[int, int]) -> None:
        """Book lots that were swept."""
        for side in PositionSide:
            self.live[side] -= lots[side]
            self._swept[side] += lots[side]

    def end_stated(self, side: PositionSide, lots: int) -> None:
        """Book stated lots that are known to have closed, swept or by a statement."""
        self.live[side] -= lots
        self.stated[side] -= lots
        self._swept[side] += lots

    def release_stated(self, side: PositionSide, lots: int) -> None:
        """Book stated lots as estimated ones from now on."""
        self.stated[side] -= lots

    def transfer(self, side: PositionSide, needed: int) -> tuple[int, int]:
        """Let stated lots take the place of estimated ones, live and uncovered in proportion.

        Returns:
            How many lots there were, at most those needed, and how many of them live cohorts must give up.
        """
        estimated = self.live[side] - self.stated[side]
        total = estimated + self.uncovered[side]
        found = min(needed, total)
        from_live = found * estimated // total if total else 0
        self.live[side] += found - from_live
        self.stated[side] += found
        self.uncovered[side] -= found - from_live
        return found, from_live

    def unestimated(self, flow: Flow) -> tuple[int, int]:
        """Return by how much the closes of an interval exceed all estimated lots: stated ones must have closed."""
        long, short = (
            max(0, closes - self._swept[side] - (self.live[side] - self.stated[side]) - self.uncovered[side])
            for side, closes in zip(PositionSide, (flow.closes_long, flow.closes_short), strict=True)
        )
        return long, short

    def close(self, flow: Flow) -> tuple[int, int]:
        """Book the closes of an interval and return how many estimated lots must close; uncovered loses the rest."""
        self.model_error_lots += flow.excess
        from_live = [0, 0]
        for side, closes in zip(PositionSide, (flow.closes_long, flow.closes_short), strict=True):
            needed = closes - self._swept[side]
            estimated = self.live[side] - self.stated[side]
            total = estimated + self.uncovered[side]
            from_live[side] = needed * estimated // total if total else 0
            self.live[side] -= from_live[side]
            self.uncovered[side] -= needed - from_live[side]
        return from_live[0], from_live[1]

    def open(self, minute: int, flow: Flow, fallback_row: int | None, hazards: NDArray[np.int64]) -> Opening:
        """Book what opened and return it as cohorts, ascending by (row, key).

        Args:
            minute: of the sample.
            flow: of the interval it ends.
            fallback_row: entry row where nothing was traded since the last sample.
            hazards: int64[group], the clock of each group now.
        """
        self.live[PositionSide.LONG] += flow.opens_long
        self.live[PositionSide.SHORT] += flow.opens_short
        rows, keys, lots = self._inflow.place(minute, (flow.opens_long, flow.opens_short), fallback_row)
        return Opening(rows, keys, lots, self._clocks(minute, rows, keys, hazards))

    def reopen(
        self,
        minute: int,
        lots_by_row: Sequence[tuple[PositionSide, int | None, int]],
        price_row: int,
        hazards: NDArray[np.int64],
    ) -> Opening:
        """Return lots that were stated as estimated cohorts, ascending by (row, key).

        Their leverage was never known. They get the tier whose positions, opened at the price of now, would end nearest
        to their row; without a row of their own, the row of the lowest tier.

        Args:
            minute: now.
            lots_by_row: (side, row, lots); row None: unknown.
            price_row: base row of the price now.
            hazards: see open.
        """
        slots = self.row_map.liquidation_rows(np.array([price_row], np.int64))[:, :, 0]
        found: dict[tuple[int, int], int] = {}
        for side, stated_row, lots in lots_by_row:
            row = int(slots[side, 0]) if stated_row is None else min(stated_row, FARTHEST_REOPENED * price_row)
            tier = int(self.row_map.tier_indices[int(np.argmin(np.abs(slots[side] - row)))])
            name = row, make_key(self._number, tier, side)
            found[name] = found.get(name, 0) + lots
        table = np.array([(*name, lots) for name, lots in sorted(found.items())], np.int64)
        rows, keys = table[:, 0].astype(np.int32), table[:, 1].astype(np.uint16)
        return Opening(rows, keys, table[:, 2].copy(), self._clocks(minute, rows, keys, hazards))

    def begin_sample(self, sample: int) -> None:
        """Take a sample before anything is done that needs it: the first one ever is uncovered as a whole."""
        if self.last_sample is None:
            self.uncovered = [sample, sample]

    def finish_sample(self, sample: int) -> None:
        """End the interval at a sample that was begun.

        Raises:
            ModelError: live + uncovered differs from the sample, or an account is negative.
        """
        for side in PositionSide:
            live, uncovered = self.live[side], self.uncovered[side]
            if live + uncovered != sample or min(live - self.stated[side], self.stated[side], uncovered) < 0:
                raise ModelError(
                    f"{self.instrument.instrument_id} {side.name.lower()}: live {live} + uncovered {uncovered} lots"
                    f" must equal open interest {sample}"
                )
        self._inflow.finish_sample(sample)
        self._swept = [0, 0]

    def _know_turnovers(self) -> None:
        for tier in self.row_map.tier_indices.tolist():
            self._turnover_reciprocal[tier] = hazard.turnover_reciprocal(LEVERAGE_TIERS[tier])

    def _clocks(
        self, minute: int, rows: NDArray[np.int32], keys: NDArray[np.uint16], hazards: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return when each cohort closes by choice of its owners: int64[n]."""
        tier_side = keys & np.uint16(KEY_TIER_SIDE_MASK)
        wait = hazard.exponential_quantiles()[hazard.draw_h16(self._seed, minute, rows, tier_side)]
        reciprocal = self._turnover_reciprocal[tier_side >> 1]
        start = hazards[2 * self._number + (tier_side & 1).astype(np.int64)]
        clocks: NDArray[np.int64] = start + (wait * reciprocal >> 16)
        return clocks


def _pair(of_sides: Sequence[int]) -> tuple[int, int]:
    long, short = of_sides
    return long, short

"""The accounts of one instrument: live, uncovered and swept lots of both sides, and how what opens becomes cohorts.

An inverse instrument is accounted for in contracts: what is called lots here are contracts then, from the bar that says
them to the cohorts they open. Only the book turns them into lots, by the row they are liquidated in.

Two-element lists and tuples are indexed by PositionSide: long, short.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liqscape.axes import SymbolScale
from liqscape.errors import ConfigError, ModelError
from liqscape.events import PositionSide
from liqscape.instruments import LEVERAGE_TIERS, Instrument
from liqscape.market.bars import Bar, TradedRows
from liqscape.positions import hazard
from liqscape.positions.contracts import contracts_in_lots
from liqscape.positions.flow import Flow
from liqscape.positions.ladder import LadderSplit, ladders
from liqscape.positions.margin import MAX_BASE_ROW, RowMap
from liqscape.positions.mix import prior_inflow_mix, spread_over_rows
from liqscape.positions.weights import KEY_TIER_SIDE_MASK, make_key


@dataclass(frozen=True, slots=True)
class Opening:
    """Cohorts to open, unique by (row, key): rows int32[n], keys uint16[n], lots int64[n] > 0, clocks int64[n]."""

    rows: NDArray[np.int32]
    keys: NDArray[np.uint16]
    lots: NDArray[np.int64]
    clocks: NDArray[np.int64]


class InstrumentAccount:
    """Books of one instrument.

    Args:
        number: position among the symbol's instruments.
        instrument: the contract and its rules.
        mix: inflow shares in millionths, one for each tier the venue allows; None = the shipped prior.
        size_mix: shares of the venue's maintenance tiers, see ladder.ladders; None = all positions in the first.
    """

    def __init__(
        self,
        number: int,
        instrument: Instrument,
        mix: Sequence[int] | None = None,
        size_mix: Sequence[int] | None = None,
    ) -> None:
        self.instrument = instrument
        self.mix = tuple(mix) if mix is not None else prior_inflow_mix(instrument.leverage_tiers)
        if len(self.mix) != len(instrument.leverage_tiers):
            raise ConfigError(
                f"mix of {instrument.instrument_id} has {len(self.mix)} shares;"
                f" give one for each of {', '.join(map(str, instrument.leverage_tiers))}"
            )
        of_tiers = ladders(instrument, size_mix)
        self.row_map = RowMap.of(instrument, of_tiers)
        self.last_sample: int | None = None
        self.live = [0, 0]
        self.uncovered = [0, 0]
        self.model_error_lots = 0
        self.watermark_ns = 0
        self._number = number
        self._swept = [0, 0]
        self._traded: TradedRows | None = None
        self._splits = [LadderSplit(self.mix, of_tiers), LadderSplit(self.mix, of_tiers)]
        self._seed = hazard.text_seed(f"{instrument.symbol}/{instrument.instrument_id}")
        self._keys = np.array(
            [[make_key(number, int(tier), side) for tier in self.row_map.tier_indices] for side in PositionSide],
            np.int64,
        )
        self._turnover_reciprocal = np.zeros(16, np.int64)
        for tier in self.row_map.tier_indices.tolist():
            self._turnover_reciprocal[tier] = hazard.turnover_reciprocal(LEVERAGE_TIERS[tier])

    @property
    def swept(self) -> tuple[int, int]:
        """Return the lots swept since the last sample."""
        return self._swept[0], self._swept[1]

    @property
    def traded_lots(self) -> int:
        """Return the lots traded since the last sample."""
        return 0 if self._traded is None else self._traded.total

    def in_lots(self, quantity: int, scale: SymbolScale, price: int) -> int:
        """Return the lots a quantity of the accounts is worth at a price; of a linear instrument, the quantity."""
        if not self.instrument.is_inverse:
            return quantity
        return contracts_in_lots(self.instrument, scale, quantity, price) if price else 0

    def group(self, side: PositionSide) -> int:
        """Return the group number of one side."""
        return 2 * self._number + side

    def add_traded(self, bar: Bar) -> None:
        """Take the trades of a bar; those before the first sample belong to no interval and are left out."""
        self.watermark_ns = max(self.watermark_ns, bar.watermark_ns)
        if bar.traded is not None and self.last_sample is not None:
            self._traded = bar.traded if self._traded is None else self._traded.plus(bar.traded)

    def sweep(self, lots: tuple[int, int]) -> None:
        """Book lots that were swept."""
        for side in PositionSide:
            self.live[side] -= lots[side]
            self._swept[side] += lots[side]

    def close(self, flow: Flow) -> tuple[int, int]:
        """Book the closes of an interval and return how many live lots must close; uncovered loses the rest."""
        self.model_error_lots += flow.excess
        from_live = [0, 0]
        for side, closes in zip(PositionSide, (flow.closes_long, flow.closes_short), strict=True):
            needed = closes - self._swept[side]
            total = self.live[side] + self.uncovered[side]
            from_live[side] = needed * self.live[side] // total if total else 0
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
        traded = self._traded
        if traded is None or traded.total == 0:
            if flow.opens_long + flow.opens_short == 0:
                return _none()
            if fallback_row is None:
                raise ModelError(f"{self.instrument.instrument_id} opened lots at minute {minute} without any price")
            traded = TradedRows(fallback_row, np.ones(1, np.int64))
        totals = np.array(
            [
                self._splits[PositionSide.LONG].split(flow.opens_long),
                self._splits[PositionSide.SHORT].split(flow.opens_short),
            ],
            np.int64,
        )
        entry_rows = np.arange(traded.first_row, traded.first_row + len(traded.lots), dtype=np.int64)
        if entry_rows[-1] >= MAX_BASE_ROW:
            raise ModelError(f"base row {entry_rows[-1]} of {self.instrument.symbol} is beyond {MAX_BASE_ROW}")
        lots = spread_over_rows(totals.reshape(-1), traded.lots).reshape(*totals.shape, len(entry_rows))
        rows = self.row_map.liquidation_rows(entry_rows)
        keys = np.broadcast_to(self._keys[:, :, None], lots.shape)
        return self._cohorts(minute, rows.reshape(-1), keys.reshape(-1), lots.reshape(-1), hazards)

    def finish_sample(self, sample: int) -> None:
        """End the interval at a sample; the first one ever is uncovered as a whole.

        Raises:
            ModelError: live + uncovered differs from the sample, or an account is negative.
        """
        if self.last_sample is None:
            self.uncovered = [sample, sample]
        for side in PositionSide:
            live, uncovered = self.live[side], self.uncovered[side]
            if live + uncovered != sample or live < 0 or uncovered < 0:
                raise ModelError(
                    f"{self.instrument.instrument_id} {side.name.lower()}: live {live} + uncovered {uncovered} lots"
                    f" must equal open interest {sample}"
                )
        self.last_sample = sample
        self._swept = [0, 0]
        self._traded = None

    def _cohorts(
        self,
        minute: int,
        rows: NDArray[np.int64],
        keys: NDArray[np.int64],
        lots: NDArray[np.int64],
        hazards: NDArray[np.int64],
    ) -> Opening:
        """Merge what shares row and key, and give each cohort its clock."""
        filled = lots > 0
        codes, inverse = np.unique(rows[filled] << 16 | keys[filled], return_inverse=True)
        merged = np.zeros(len(codes), np.int64)
        np.add.at(merged, inverse, lots[filled])
        row, key = (codes >> 16).astype(np.int32), (codes & 0xFFFF).astype(np.uint16)
        tier_side = key & np.uint16(KEY_TIER_SIDE_MASK)
        wait = hazard.exponential_quantiles()[hazard.draw_h16(self._seed, minute, row, tier_side)]
        reciprocal = self._turnover_reciprocal[tier_side >> 1]
        start = hazards[2 * self._number + (tier_side & 1).astype(np.int64)]
        return Opening(row, key, merged, start + (wait * reciprocal >> 16))


def _none() -> Opening:
    return Opening(np.empty(0, np.int32), np.empty(0, np.uint16), np.empty(0, np.int64), np.empty(0, np.int64))

"""How what opens at one instrument becomes cohorts: split over leverage tiers, and over the rows traded of late.

Of an inverse instrument, what is called lots here are its contracts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from liqscape.errors import ConfigError, ModelError
from liqscape.events import PositionSide
from liqscape.instruments import Instrument
from liqscape.market.bars import Bar, TradedRows
from liqscape.market.terms import Terms
from liqscape.positions.ladder import size_mix_of
from liqscape.positions.margin import MAX_BASE_ROW, RowMap
from liqscape.positions.mix import prior_inflow_mix, spread_over_rows
from liqscape.positions.snapshots import InflowSnapshot
from liqscape.positions.weights import make_key

Placed: TypeAlias = tuple[NDArray[np.int32], NDArray[np.uint16], NDArray[np.int64]]
"""Lots to open, ascending by (row, key) and unique by it: rows int32[n], keys uint16[n], lots int64[n] > 0."""


@dataclass(frozen=True, slots=True)
class Opening:
    """Cohorts to open, unique by (row, key): rows int32[n], keys uint16[n], lots int64[n] > 0, clocks int64[n]."""

    rows: NDArray[np.int32]
    keys: NDArray[np.uint16]
    lots: NDArray[np.int64]
    clocks: NDArray[np.int64]


class Split(Protocol):
    """Divides lots into parts that sum to them, one a slot of a row map, and remembers what each is owed: credits."""

    @property
    def credits(self) -> tuple[int, ...]:
        """Return what is remembered."""
        ...

    @credits.setter
    def credits(self, owed: tuple[int, ...]) -> None: ...

    def split(self, lots: int) -> list[int]:
        """Return the parts."""
        ...


class Inflow:
    """What one instrument traded since its last sample of open interest, and where positions opened over it end.

    Args:
        number: position among the symbol's instruments.
        instrument: the contract and its rules.
        row_map: entry row -> liquidation row, by slot.
        splits: of longs and of shorts; each divides lots over the slots of the row map.

    Attributes:
        last_sample: open interest of the last sample; None before the first.
    """

    def __init__(self, number: int, instrument: Instrument, row_map: RowMap, splits: Sequence[Split]) -> None:
        self.last_sample: int | None = None
        self._number = number
        self._traded: TradedRows | None = None
        self._open_on(instrument, row_map, splits)

    @property
    def traded_lots(self) -> int:
        """Return the lots traded since the last sample."""
        return 0 if self._traded is None else self._traded.total

    def add_traded(self, bar: Bar) -> None:
        """Take the trades of a bar; those before the first sample belong to no interval and are left out."""
        if bar.traded is not None and self.last_sample is not None:
            self._traded = bar.traded if self._traded is None else self._traded.plus(bar.traded)

    def place(self, minute: int, opens: tuple[int, int], fallback_row: int | None) -> Placed:
        """Split what opens over tiers and over the rows traded since the last sample.

        Args:
            minute: of the sample, for the text of an error.
            opens: lots of longs and of shorts.
            fallback_row: entry row where nothing was traded; None where no price is known.

        Raises:
            ModelError: there is no entry row, or one is too high for the arithmetic.
        """
        if not any(opens):
            return np.empty(0, np.int32), np.empty(0, np.uint16), np.empty(0, np.int64)
        traded = self._traded
        if traded is None or traded.total == 0:
            if fallback_row is None:
                raise ModelError(f"{self._instrument.instrument_id} opened lots at minute {minute} without any price")
            traded = TradedRows(fallback_row, np.ones(1, np.int64))
        totals = np.array([split.split(lots) for split, lots in zip(self._splits, opens, strict=True)], np.int64)
        entry_rows = np.arange(traded.first_row, traded.first_row + len(traded.lots), dtype=np.int64)
        if entry_rows[-1] >= MAX_BASE_ROW:
            raise ModelError(f"base row {entry_rows[-1]} of {self._instrument.symbol} is beyond {MAX_BASE_ROW}")
        lots = spread_over_rows(totals.reshape(-1), traded.lots).reshape(*totals.shape, len(entry_rows))
        rows = self._row_map.liquidation_rows(entry_rows)
        keys = np.broadcast_to(self._keys[:, :, None], lots.shape)
        return _merged(rows.reshape(-1), keys.reshape(-1), lots.reshape(-1))

    def snapshot(self) -> InflowSnapshot:
        """Return what is remembered."""
        return InflowSnapshot(
            last_sample=self.last_sample, traded=self._traded, credits=tuple(split.credits for split in self._splits)
        )

    def restore(self, snapshot: InflowSnapshot) -> None:
        """Remember what was remembered then.

        Raises:
            ModelError: it was split otherwise.
        """
        self.last_sample = snapshot.last_sample
        self._traded = snapshot.traded
        if len(snapshot.credits) != len(self._splits):
            raise ModelError(f"{len(snapshot.credits)} sides of {self._instrument.instrument_id} are not its two")
        for split, owed in zip(self._splits, snapshot.credits, strict=True):
            split.credits = owed

    def coarsen_rows(self, multiple: int) -> None:
        """Put what was traded on rows multiple times as high."""
        if self._traded is not None:
            self._traded = self._traded.on_coarser_rows(multiple)

    def change(self, instrument: Instrument, row_map: RowMap, splits: Sequence[Split]) -> None:
        """Let what opens from now on open on other terms; what was traded since the last sample opens on them too.

        What tiers are owed is still owed where they are the same; what steps of ladders are owed is forgotten.
        """
        tiers = len(instrument.leverage_tiers)
        if instrument.leverage_tiers == self._instrument.leverage_tiers:
            for split, before in zip(splits, self._splits, strict=True):
                split.credits = (*before.credits[:tiers], *split.credits[tiers:])
        self._open_on(instrument, row_map, splits)

    def _open_on(self, instrument: Instrument, row_map: RowMap, splits: Sequence[Split]) -> None:
        self._instrument = instrument
        self._row_map = row_map
        self._splits = tuple(splits)
        self._keys = np.array(
            [[make_key(self._number, int(tier), side) for tier in row_map.tier_indices] for side in PositionSide],
            np.int64,
        )

    def finish_sample(self, sample: int) -> None:
        """End the interval at a sample."""
        self.last_sample = sample
        self._traded = None


def inflow_mix(instrument: Instrument, mix: Sequence[int] | None) -> tuple[int, ...]:
    """Return a mix as shares in millionths, one for each tier the venue allows; the shipped prior for None.

    Raises:
        ConfigError: it has another number of shares.
    """
    if mix is None:
        return prior_inflow_mix(instrument.leverage_tiers)
    if len(mix) != len(instrument.leverage_tiers):
        raise ConfigError(
            f"mix of {instrument.instrument_id} has {len(mix)} shares;"
            f" give one for each of {', '.join(map(str, instrument.leverage_tiers))}"
        )
    return tuple(mix)


def all_terms(
    instruments: Iterable[Instrument],
    mixes: Mapping[str, Sequence[int]] | None = None,
    size_mixes: Mapping[str, Sequence[int]] | None = None,
) -> tuple[Terms, ...]:
    """Return the terms of instruments, the shipped priors written out.

    Args:
        instruments: with the rules of their venues.
        mixes: inflow shares by instrument id, millionths by leverage tier; the shipped prior where absent.
        size_mixes: shares by instrument id, millionths by maintenance tier; all in the first where absent.

    Raises:
        ConfigError: a mix has another number of shares.
    """
    return tuple(
        Terms(
            instrument=instrument,
            inflow_mix=inflow_mix(instrument, (mixes or {}).get(instrument.instrument_id)),
            size_mix=size_mix_of(instrument, (size_mixes or {}).get(instrument.instrument_id)),
        )
        for instrument in instruments
    )


def _merged(rows: NDArray[np.int64], keys: NDArray[np.int64], lots: NDArray[np.int64]) -> Placed:
    """Merge what shares row and key."""
    filled = lots > 0
    codes, inverse = np.unique(rows[filled] << 16 | keys[filled], return_inverse=True)
    merged = np.zeros(len(codes), np.int64)
    np.add.at(merged, inverse, lots[filled])
    return (codes >> 16).astype(np.int32), (codes & 0xFFFF).astype(np.uint16), merged

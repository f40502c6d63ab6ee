"""Contracts of inverse instruments as lots: what makes them comparable in a ledger, and summable in a grid.

A contract is worth a fixed amount of quote, so what it holds in base coin depends on the price. A cohort of n
contracts counts as

    lots(n) = floor(n x contract value / (lot x middle price of its liquidation row))

lots: the base coin that is traded there. Cohorts are kept in contracts; what they tell the ledger are differences of
lots(n). So what a cohort has emitted is always lots(what is left of it), and a cohort that has ended sums to zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from liqscape.axes import SymbolScale
from liqscape.device.backend import CohortBatch, EndedCohorts, LotRates
from liqscape.device.lot_rates import lots_of
from liqscape.errors import ModelError
from liqscape.instruments import Instrument
from liqscape.positions.margin import MAX_BASE_ROW


def contracts_in_lots(instrument: Instrument, scale: SymbolScale, contracts: int, price: int) -> int:
    """Return the lots that an amount of contracts is worth at a price in the scale's units, rounded down."""
    worth = Fraction(contracts) * _price_of_lot_per_contract(instrument, scale) / price
    return worth.numerator // worth.denominator


class ContractLots:
    """Turns batches of cohorts from the unit of their instrument into lots; those of linear instruments are lots.

    Args:
        instruments: in the order in which keys number them.
        scale: integer units of the symbol.

    Attributes:
        rates: the same as numbers, for a device.

    Raises:
        ModelError: a contract's worth and the symbol's units do not fit the arithmetic.
    """

    def __init__(self, instruments: Sequence[Instrument], scale: SymbolScale) -> None:
        is_inverse = np.array([i.is_inverse for i in instruments], np.bool_)
        numerator, denominator = np.ones(len(instruments), np.int64), np.ones(len(instruments), np.int64)
        for number, instrument in enumerate(instruments):
            if not instrument.is_inverse:
                continue
            factor = 2 * _price_of_lot_per_contract(instrument, scale) / scale.base_step
            if factor.numerator * factor.denominator * 4 * MAX_BASE_ROW >= 1 << 63:
                raise ModelError(f"{instrument.instrument_id}: {factor} lots x (2 rows + 1) in a contract are too fine")
            numerator[number], denominator[number] = factor.numerator, factor.denominator
        self.rates = LotRates(is_inverse, numerator, denominator)
        self._any_inverse = bool(is_inverse.any())

    def opened(self, batch: CohortBatch, held: NDArray[np.int64]) -> CohortBatch:
        """Return what opened in lots.

        Args:
            batch: in the units of its instruments.
            held: what each cohort holds now, int64[n].
        """
        return self._difference(batch, held, held - batch.lots) if self._any_inverse else batch

    def ended(self, batch: EndedCohorts) -> CohortBatch:
        """Return what ended in lots; what came to less than one is left out."""
        return self._difference(batch, batch.left + batch.lots, batch.left) if self._any_inverse else batch

    def held(self, batch: CohortBatch) -> CohortBatch:
        """Return what cohorts hold in lots, those with less than one included."""
        if not self._any_inverse:
            return batch
        return CohortBatch(
            batch.open_minute, batch.row, batch.key, lots_of(self.rates, batch.lots, batch.row, batch.key)
        )

    def _difference(self, batch: CohortBatch, more: NDArray[np.int64], less: NDArray[np.int64]) -> CohortBatch:
        lots = lots_of(self.rates, more, batch.row, batch.key) - lots_of(self.rates, less, batch.row, batch.key)
        told = lots > 0
        return CohortBatch(batch.open_minute[told], batch.row[told], batch.key[told], lots[told])


@dataclass(frozen=True, slots=True)
class Restatement:
    """Lots that cohorts gain and lose when their contracts are counted at the middle price of coarser rows.

    A ledger that logs both still holds lots(what is left) of every cohort.
    """

    up: CohortBatch
    down: CohortBatch

    @classmethod
    def between(cls, before: CohortBatch, after: CohortBatch) -> Restatement:
        """Return the difference of two statements, by (open minute, row, key), ascending."""
        minute = np.concatenate((before.open_minute, after.open_minute))
        row = np.concatenate((before.row, after.row))
        key = np.concatenate((before.key, after.key))
        lots = np.concatenate((-before.lots, after.lots))
        order = np.lexsort((key, row, minute))
        minute, row, key, lots = minute[order], row[order], key[order], lots[order]
        same = (minute[1:] == minute[:-1]) & (row[1:] == row[:-1]) & (key[1:] == key[:-1])
        starts = np.flatnonzero(np.concatenate((np.ones(min(1, len(lots)), np.bool_), ~same)))
        change = np.add.reduceat(lots, starts) if len(starts) else lots

        def where(chosen: NDArray[np.bool_]) -> CohortBatch:
            at = starts[chosen]
            return CohortBatch(minute[at], row[at], key[at], np.abs(change[chosen]))

        return cls(where(change > 0), where(change < 0))

    def plus(self, other: Restatement) -> Restatement:
        """Return both, of cohorts with other keys."""
        return Restatement(joined(self.up, other.up), joined(self.down, other.down))


def joined(one: CohortBatch, other: CohortBatch) -> CohortBatch:
    """Return the cohorts of both, in this order; what is in both comes twice."""
    if not len(one) or not len(other):
        return one if len(one) else other
    return CohortBatch(
        np.concatenate((one.open_minute, other.open_minute)),
        np.concatenate((one.row, other.row)),
        np.concatenate((one.key, other.key)),
        np.concatenate((one.lots, other.lots)),
    )


def _price_of_lot_per_contract(instrument: Instrument, scale: SymbolScale) -> Fraction:
    """Return the price, in the scale's units, at which a contract is worth one lot."""
    if instrument.contract_value is None:
        raise ModelError(f"{instrument.instrument_id} is counted in lots, not in contracts")
    return instrument.contract_value * Fraction(10) ** (scale.price_decimals + scale.lot_decimals)

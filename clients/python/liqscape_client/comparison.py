"""Two moments of one market side by side, by price: what was open at each, on the same rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liqscape_client.errors import ClientError
from liqscape_client.grids import Grid, optional_package


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """What is open at two moments by price: the newest columns of two grids of the same rows and filters.

    Each grid counts what was opened in its own window and is open at its end, so a difference has three causes: opened
    in between, ended in between, or opened so long ago that only the earlier window reaches it.

    Attributes:
        earlier, later: the grids.
    """

    earlier: Grid
    later: Grid

    def __post_init__(self) -> None:
        """Refuse grids that have no rows in common.

        Raises:
            ClientError: they differ in symbol, window, rows, lots or model, or their moments are in the wrong order.
        """
        for name in ("symbol", "axes", "lot_decimals", "weight_one", "model"):
            before, after = getattr(self.earlier, name), getattr(self.later, name)
            if before != after:
                raise ClientError(f"grids of {name} {before!r} and {after!r} cannot be compared")
        if self.earlier.as_of_minute > self.later.as_of_minute:
            raise ClientError(
                f"minute {self.earlier.as_of_minute} is after minute {self.later.as_of_minute}; give the earlier first"
            )

    def change(self) -> NDArray[np.int64]:
        """Return later less earlier, exactly: int64[row], weighted lots."""
        change: NDArray[np.int64] = self.later.cells[-1] - self.earlier.cells[-1]
        return change

    def change_usd(self) -> NDArray[np.float64]:
        """Return the change in whole USD, float64[row], at the rows' own prices."""
        return np.trunc(self.change() * self.later.usd_per_weighted_lot)

    def price_low(self) -> NDArray[np.float64]:
        """Return the lower edge of each row in quote currency, float64[row]."""
        return self.later.price_low()

    def to_pandas(self) -> Any:
        """Return a pandas.DataFrame of USD by lower price edge: earlier, later, change."""
        pandas = optional_package("pandas")
        columns = {"earlier": self.earlier.usd()[-1], "later": self.later.usd()[-1], "change": self.change_usd()}
        return pandas.DataFrame(columns, index=pandas.Index(self.price_low(), name="price_low"))

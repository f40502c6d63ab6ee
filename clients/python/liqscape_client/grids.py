"""What users hold in their hands: a Heatmap (levels of a replica) and a Grid (exact weighted lots)."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from liqscape.v1 import stream_pb2
from liqscape_client.axes import GridAxes
from liqscape_client.candles import Candles
from liqscape_client.channel_parts import ChannelPart
from liqscape_client.decoding import LEVEL_USD
from liqscape_client.errors import ClientError, MissingPackage

ESTIMATE_NOTE: Final = "estimate of a model from public data, not exchange-confirmed"


@dataclass(frozen=True, slots=True, eq=False)
class Heatmap:
    """Levels of one channel at one tick: a copy that nothing changes any more.

    Attributes:
        symbol: base coin.
        timeframe: window.
        tick: tick of the channel's last change.
        generation: life of the rows.
        axes: rows and columns.
        newest_column: absolute number of the last column.
        levels: uint8[column, row], oldest column and lowest price first.
        candles: trigger price by column.
        in_sync: whether this was the server's state when the heatmap was taken.
        reason: why it was not, in words; empty when in sync.
        part: which tile, and which positions count; None = all rows, all positions.
    """

    symbol: str
    timeframe: str
    tick: int
    generation: int
    axes: GridAxes
    newest_column: int
    levels: NDArray[np.uint8]
    candles: Candles
    in_sync: bool
    reason: str
    part: ChannelPart | None = None

    def usd(self) -> NDArray[np.float64]:
        """Return the estimate in USD, float64[column, row], off by at most 5.9 % of the server's from 512 USD up."""
        return LEVEL_USD[self.levels]

    def column_start(self) -> NDArray[np.datetime64]:
        """Return the UTC start of each column, datetime64[m][column]."""
        return self.axes.column_start(self.newest_column)

    def column_start_unix_s(self) -> NDArray[np.int64]:
        """Return the start of each column in unix seconds, int64[column]."""
        return self.axes.column_numbers(self.newest_column) * self.axes.column_minutes * 60

    def price_low(self) -> NDArray[np.float64]:
        """Return the lower edge of each row in quote currency, float64[row]."""
        return self.axes.price_low()

    def price_middle(self) -> NDArray[np.float64]:
        """Return the middle of each row in quote currency, float64[row]."""
        return self.axes.price_middle()

    def to_pandas(self) -> Any:
        """Return the USD estimate as a pandas.DataFrame: rows UTC column starts, columns lower price edges."""
        return _frame(self.usd(), self.column_start(), self.price_low(), self._attributes())

    def to_xarray(self) -> Any:
        """Return an xarray.Dataset: usd and level over (time, price), candles over time."""
        cells: dict[str, NDArray[Any]] = {"usd": self.usd(), "level": self.levels}
        return _dataset(cells, self.column_start(), self.axes, self.candles, self._attributes())

    def _attributes(self) -> dict[str, Any]:
        return {
            "symbol": self.symbol,
            "timeframe": self.timeframe,
            "tick": self.tick,
            "in_sync": self.in_sync,
            "note": ESTIMATE_NOTE,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """The exact grid of one symbol and timeframe, captured at a tick.

    Attributes:
        symbol: base coin.
        timeframe: window.
        epoch: life of the engine.
        tick: tick it was captured at.
        generation: life of the rows; the channel of the same generation has these rows.
        axes: rows and columns.
        newest_column: absolute number of the last column.
        cells: int64[column, row], weighted lots, oldest column and lowest price first.
        usd_per_weighted_lot: float64[row].
        lot_decimals: a lot is 10^-lot_decimals of the base coin.
        weight_one: weighted lots of one lot at weight one.
        candles: trigger price by column.
        mark_price: trigger price now, quote currency.
        source_watermark_unix_ns: newest market event included.
        states: SIMULATED, REPLAY, STALE, ENDED; empty = live.
        coverage: coverage of each instrument, as it came.
        meaning: the server's words on what a cell is.
        as_of_minute: the grid is that of the end of this minute since 1970 UTC.
        reconciled: False under leverage shares of one's own and of the open-only model: live lots then differ from open
            interest.
        model: "net of closes" or "open only".
    """

    symbol: str
    timeframe: str
    epoch: int
    tick: int
    generation: int
    axes: GridAxes
    newest_column: int
    cells: NDArray[np.int64]
    usd_per_weighted_lot: NDArray[np.float64]
    lot_decimals: int
    weight_one: int
    candles: Candles
    mark_price: float
    source_watermark_unix_ns: int
    states: tuple[str, ...]
    coverage: tuple[stream_pb2.VenueChunk, ...]
    meaning: str
    as_of_minute: int
    reconciled: bool
    model: str

    def usd(self) -> NDArray[np.float64]:
        """Return the estimate in whole USD, float64[column, row]."""
        return np.trunc(self.cells * self.usd_per_weighted_lot)

    def lots(self) -> NDArray[np.float64]:
        """Return lots, float64[column, row]: weighted lots over weight one."""
        return self.cells / self.weight_one

    def minus(self, other: Grid) -> NDArray[np.int64]:
        """Return these cells less those of another grid, int64[column, row] weighted lots: how far two models differ.

        Raises:
            ClientError: the grids are not of the same cells; ask for both with the same as_of_minute.
        """
        for name in ("symbol", "epoch", "axes", "newest_column", "as_of_minute"):
            ours, theirs = getattr(self, name), getattr(other, name)
            if ours != theirs:
                raise ClientError(f"grids of {name} {ours!r} and {theirs!r} share no cells; ask with one as_of_minute")
        return self.cells - other.cells

    def column_start(self) -> NDArray[np.datetime64]:
        """Return the UTC start of each column, datetime64[m][column]."""
        return self.axes.column_start(self.newest_column)

    def price_low(self) -> NDArray[np.float64]:
        """Return the lower edge of each row in quote currency, float64[row]."""
        return self.axes.price_low()

    def price_middle(self) -> NDArray[np.float64]:
        """Return the middle of each row in quote currency, float64[row]."""
        return self.axes.price_middle()

    def to_pandas(self) -> Any:
        """Return USD as a pandas.DataFrame: rows UTC column starts, columns lower price edges."""
        return _frame(self.usd(), self.column_start(), self.price_low(), self._attributes())

    def to_xarray(self) -> Any:
        """Return an xarray.Dataset: weighted_lots and usd over (time, price), candles over time."""
        cells: dict[str, NDArray[Any]] = {"weighted_lots": self.cells, "usd": self.usd()}
        return _dataset(cells, self.column_start(), self.axes, self.candles, self._attributes())

    def _attributes(self) -> dict[str, Any]:
        return {
            "symbol": self.symbol,
            "timeframe": self.timeframe,
            "epoch": self.epoch,
            "tick": self.tick,
            "mark_price": self.mark_price,
            "model": self.model,
            "states": ",".join(self.states),
            "note": self.meaning or ESTIMATE_NOTE,
        }


def _frame(
    usd: NDArray[np.float64],
    column_start: NDArray[np.datetime64],
    price_low: NDArray[np.float64],
    attributes: Mapping[str, Any],
) -> Any:
    pandas = optional_package("pandas")
    index = pandas.DatetimeIndex(column_start.astype("datetime64[ns]"), tz="UTC", name="time")
    frame = pandas.DataFrame(usd, index=index, columns=pandas.Index(price_low, name="price_low"))
    frame.attrs.update(attributes)
    return frame


def _dataset(
    cells: Mapping[str, NDArray[Any]],
    column_start: NDArray[np.datetime64],
    axes: GridAxes,
    candles: Candles,
    attributes: Mapping[str, Any],
) -> Any:
    xarray = optional_package("xarray")
    variables = {name: (("time", "price"), values) for name, values in cells.items()}
    by_column = {name: ("time", getattr(candles, name)) for name in ("open", "high", "low", "close")}
    coordinates = {
        # xarray knows no time zones; the values are UTC, and say so.
        "time": ("time", column_start.astype("datetime64[ns]"), {"time_zone": "UTC"}),
        "price": ("price", axes.price_middle()),
        "price_low": ("price", axes.price_low()),
    }
    return xarray.Dataset({**variables, **by_column}, coords=coordinates, attrs=dict(attributes))


def optional_package(name: str) -> Any:
    """Return a package that is not among ours, or say what to install."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingPackage(f"package {name!r} is not installed; run: pip install {name}") from error

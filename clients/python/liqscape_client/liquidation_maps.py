"""The live book by price: which open positions would be force-closed where, with curves and totals."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from liqscape.v1 import query_pb2, stream_pb2
from liqscape_client.context import AssumedSeries, MarketContext, assumed_series
from liqscape_client.decoding import MAX_RING_CELLS
from liqscape_client.errors import DecodeError
from liqscape_client.exact_positions import ExactPositions
from liqscape_client.grid_options import model_name
from liqscape_client.grids import ESTIMATE_NOTE, optional_package
from liqscape_client.market_state import state_names

_CELL_BYTES: Final = 8
_MAX_PRICE_DECIMALS: Final = 18
_SIDES: Final = {query_pb2.POSITION_SIDE_LONG: "long", query_pb2.POSITION_SIDE_SHORT: "short"}


@dataclass(frozen=True, slots=True)
class MapSeries:
    """Positions that are told apart, and all of what they hold; inside + below + above is everything.

    Attributes:
        venue: empty = all together.
        instrument: for example binance:BTCUSDT; empty = all of the venue together.
        leverage: 0 = all together, or stated.
        side: "long" or "short".
        inside, below, above: weighted lots in the rows of the map, lower and higher ones; exact.
        inside_usd, below_usd, above_usd: the same in USD.
        stated: of a split by leverage: positions that their venue states, which have no tier.
    """

    venue: str
    instrument: str
    leverage: int
    side: str
    inside: int
    below: int
    above: int
    inside_usd: float
    below_usd: float
    above_usd: float
    stated: bool = False

    @property
    def weighted_lots(self) -> int:
        """Return everything, inside and outside of the rows."""
        return self.inside + self.below + self.above

    @property
    def usd(self) -> float:
        """Return everything in USD, inside and outside of the rows."""
        return self.inside_usd + self.below_usd + self.above_usd

    @classmethod
    def from_message(cls, message: query_pb2.MapSeries) -> MapSeries:
        """Read a message.

        Raises:
            DecodeError: it has no side.
        """
        if message.side not in _SIDES:
            raise DecodeError(f"series of a map has side {message.side}")
        return cls(
            venue=message.venue,
            instrument=message.instrument,
            leverage=message.leverage,
            side=_SIDES[message.side],
            inside=message.inside.weighted_lots,
            below=message.below.weighted_lots,
            above=message.above.weighted_lots,
            inside_usd=message.inside.usd,
            below_usd=message.below.usd,
            above_usd=message.above.usd,
            stated=message.stated,
        )


@dataclass(frozen=True, slots=True, eq=False)
class LiquidationMap:
    """The live book of one symbol by price, captured after a tick.

    Attributes:
        symbol: base coin.
        epoch: life of the engine.
        tick: tick after which it was captured.
        first_row: absolute number of the lowest row.
        row_height: price units of a row.
        price_decimals: a price unit is 10^-price_decimals of the quote currency.
        cells: int64[series, row], weighted lots, lowest price first.
        series: what the first index of the cells stands for, with totals.
        by_side, by_venue, by_leverage: totals of each side, of each venue and side, of each tier and side.
        usd_per_weighted_lot: float64[row].
        lot_decimals: a lot is 10^-lot_decimals of the base coin.
        weight_one: weighted lots of one lot at weight one.
        long_cumulative, short_cumulative: int64[row], weighted lots gone once the price has passed through the row,
            falling or rising. The price's own row counts in full in both; so do lots outside of the map on the way.
        long_cumulative_usd, short_cumulative_usd: float64[row], the same in USD.
        mark_price: trigger price now, quote currency.
        price_row: absolute number of the row it lies in.
        source_watermark_unix_ns: newest market event included.
        states: SIMULATED, REPLAY, STALE, ENDED; empty = live.
        coverage: coverage of each instrument, as it came.
        meaning: the server's words on what a cell is.
        model: "net of closes" or "open only".
        reconciled: False under leverage shares of one's own and of the open-only model.
        exact: what venues state of accounts; the book has taken it in, so it is not to be added; empty: none is asked.
        long_without_price, short_without_price: weighted lots that the book holds and whose venue states no liquidation
            price: in no cell, series or total.
        context: markets by a daily report, beside the book and no part of it; empty: none is read.
        assumed: positions of these under a leverage that whoever runs the server assumes; empty: nothing is assumed.
    """

    symbol: str
    epoch: int
    tick: int
    first_row: int
    row_height: int
    price_decimals: int
    cells: NDArray[np.int64]
    series: tuple[MapSeries, ...]
    by_side: tuple[MapSeries, ...]
    by_venue: tuple[MapSeries, ...]
    by_leverage: tuple[MapSeries, ...]
    usd_per_weighted_lot: NDArray[np.float64]
    lot_decimals: int
    weight_one: int
    long_cumulative: NDArray[np.int64]
    short_cumulative: NDArray[np.int64]
    long_cumulative_usd: NDArray[np.float64]
    short_cumulative_usd: NDArray[np.float64]
    mark_price: float
    price_row: int
    source_watermark_unix_ns: int
    states: tuple[str, ...]
    coverage: tuple[stream_pb2.VenueChunk, ...]
    meaning: str
    model: str
    reconciled: bool
    exact: tuple[ExactPositions, ...] = ()
    long_without_price: int = 0
    short_without_price: int = 0
    context: tuple[MarketContext, ...] = ()
    assumed: tuple[AssumedSeries, ...] = ()

    def usd(self) -> NDArray[np.float64]:
        """Return the estimate in whole USD, float64[series, row]."""
        return np.trunc(self.cells * self.usd_per_weighted_lot)

    def of(
        self,
        *,
        side: str = "",
        venue: str = "",
        instrument: str = "",
        leverage: int = 0,
        stated: bool | None = None,
    ) -> NDArray[np.int64]:
        """Return the sum of some series, int64[row] weighted lots; what is left out counts all.

        A venue, an instrument or a leverage can be named where the map was asked for with that breakdown; what is
        stated is apart with that by leverage.
        """
        wanted = [
            number
            for number, series in enumerate(self.series)
            if side in ("", series.side)
            and venue in ("", series.venue)
            and instrument in ("", series.instrument)
            and leverage in (0, series.leverage)
            and stated in (None, series.stated)
        ]
        total: NDArray[np.int64] = self.cells[wanted].sum(axis=0)
        return total

    def exact_lots(self, *, side: str = "", venue: str = "") -> NDArray[np.int64]:
        """Return lots (not weighted) that venues state, int64[row]; what is left out counts all."""
        total = np.zeros(self.cells.shape[1], np.int64)
        for stated in self.exact:
            if venue in ("", stated.venue):
                for row in stated.rows:
                    if side in ("", row.side):
                        total[row.row - self.first_row] += row.lots
        return total

    @property
    def price_unit(self) -> int:
        """Return how many price units make one unit of the quote currency."""
        return int(10**self.price_decimals)

    def price_edges(self) -> NDArray[np.float64]:
        """Return the edges of the rows in quote currency, float64[row + 1]; row r covers [edge r, edge r + 1)."""
        rows = np.arange(self.first_row, self.first_row + self.cells.shape[1] + 1, dtype=np.int64)
        return rows * self.row_height / self.price_unit

    def price_low(self) -> NDArray[np.float64]:
        """Return the lower edge of each row in quote currency, float64[row], inclusive."""
        return self.price_edges()[:-1]

    def price_middle(self) -> NDArray[np.float64]:
        """Return the middle of each row in quote currency, float64[row]."""
        rows = np.arange(self.first_row, self.first_row + self.cells.shape[1], dtype=np.int64)
        return (2 * rows + 1) * self.row_height / (2 * self.price_unit)

    def to_pandas(self) -> Any:
        """Return USD as a pandas.DataFrame: rows lower price edges, columns (venue, instrument, leverage, side).

        Leverage 0 of a split by leverage: what is stated.
        """
        pandas = optional_package("pandas")
        columns = pandas.MultiIndex.from_tuples(
            [(s.venue, s.instrument, s.leverage, s.side) for s in self.series],
            names=["venue", "instrument", "leverage", "side"],
        )
        frame = pandas.DataFrame(self.usd().T, index=pandas.Index(self.price_low(), name="price_low"), columns=columns)
        frame.attrs.update(
            symbol=self.symbol,
            epoch=self.epoch,
            tick=self.tick,
            mark_price=self.mark_price,
            model=self.model,
            states=",".join(self.states),
            note=self.meaning or ESTIMATE_NOTE,
        )
        return frame


async def assemble_map(parts: AsyncIterable[query_pb2.GetLiquidationMapResponse]) -> LiquidationMap:
    """Put the parts of a GetLiquidationMap answer together.

    Raises:
        DecodeError: a part is missing, out of order, of the wrong size, or there are too many.
    """
    header: query_pb2.MapHeader | None = None
    cells = np.empty((0, 0), np.int64)
    filled = 0
    async for part in parts:
        if part.WhichOneof("part") == "header":
            if header is not None:
                raise DecodeError("map has two headers")
            header = part.header
            cells = _room_for(header)
        elif header is None:
            raise DecodeError("map fragment comes before its header")
        else:
            filled = _take_fragment(cells, filled, part.fragment)
    if header is None or filled != len(cells):
        raise DecodeError(f"map ends after {filled} of {len(cells) if header else 'unknown many'} series")
    return _to_map(header, cells)


def _room_for(header: query_pb2.MapHeader) -> NDArray[np.int64]:
    """Check the sizes a header names and return cells to fill."""
    axis = header.axis
    series, row_height = len(header.series), axis.base_step * axis.base_steps_per_row
    highest = (abs(axis.first_row) + axis.rows) * row_height
    for name, value, allowed in (
        ("rows", axis.rows, 1 <= axis.rows <= MAX_RING_CELLS // max(1, series)),
        ("base_step x base_steps_per_row", row_height, row_height >= 1),
        ("price_decimals", axis.price_decimals, axis.price_decimals <= _MAX_PRICE_DECIMALS),
        ("highest price", highest, highest < 1 << 62),
        ("cells_bytes", header.cells_bytes, header.cells_bytes == series * axis.rows * _CELL_BYTES),
    ):
        if not allowed:
            raise DecodeError(f"header with {series} series and {name} {value} makes no map")
    for name in (
        "usd_per_weighted_lot",
        "long_cumulative_weighted_lots",
        "short_cumulative_weighted_lots",
        "long_cumulative_usd",
        "short_cumulative_usd",
    ):
        count = len(getattr(header, name))
        if count != axis.rows:
            raise DecodeError(f"map of {axis.rows} rows names {count} of {name}")
    return np.empty((series, axis.rows), np.int64)


def _take_fragment(cells: NDArray[np.int64], filled: int, fragment: query_pb2.MapFragment) -> int:
    """Copy a fragment into place and return how many series are filled then."""
    series, rows = cells.shape
    end = fragment.series_index + fragment.series
    if fragment.series_index != filled or end > series or not fragment.series:
        span = f"[{fragment.series_index}, {end})"
        raise DecodeError(f"map fragment {span} does not follow {filled} of {series} series")
    if len(fragment.cells) != fragment.series * rows * _CELL_BYTES:
        raise DecodeError(f"map fragment of {fragment.series} x {rows} cells holds {len(fragment.cells)} bytes")
    cells[filled:end] = np.frombuffer(fragment.cells, dtype="<i8").reshape(fragment.series, rows)
    return end


def _to_map(header: query_pb2.MapHeader, cells: NDArray[np.int64]) -> LiquidationMap:
    return LiquidationMap(
        symbol=header.symbol,
        epoch=header.epoch,
        tick=header.tick,
        first_row=header.axis.first_row,
        row_height=header.axis.base_step * header.axis.base_steps_per_row,
        price_decimals=header.axis.price_decimals,
        cells=cells,
        series=_series(header.series),
        by_side=_series(header.by_side),
        by_venue=_series(header.by_venue),
        by_leverage=_series(header.by_leverage),
        usd_per_weighted_lot=np.array(header.usd_per_weighted_lot, np.float64),
        lot_decimals=header.lot_decimals,
        weight_one=header.weight_one,
        long_cumulative=np.array(header.long_cumulative_weighted_lots, np.int64),
        short_cumulative=np.array(header.short_cumulative_weighted_lots, np.int64),
        long_cumulative_usd=np.array(header.long_cumulative_usd, np.float64),
        short_cumulative_usd=np.array(header.short_cumulative_usd, np.float64),
        mark_price=header.mark_price / int(10**header.axis.price_decimals),
        price_row=header.price_row,
        source_watermark_unix_ns=header.source_watermark_unix_ns,
        states=state_names(header.states),
        coverage=tuple(header.coverage),
        meaning=header.meaning,
        model=model_name(header.model),
        reconciled=header.reconciled,
        exact=tuple(ExactPositions.from_message(each, header.axis) for each in header.exact),
        long_without_price=header.long_without_price_weighted_lots,
        short_without_price=header.short_without_price_weighted_lots,
        context=tuple(MarketContext.from_message(each) for each in header.context),
        assumed=tuple(series for each in header.assumed for series in assumed_series(each, header)),
    )


def _series(messages: Iterable[query_pb2.MapSeries]) -> tuple[MapSeries, ...]:
    return tuple(MapSeries.from_message(message) for message in messages)

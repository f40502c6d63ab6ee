"""An engine without a model: small grids that change at random, and the truth of every tick to compare with.

Tiles and custom channels come and go as its `channels` are asked: a tile is cut from what its channel is, a custom
channel is one more grid.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqscape.axes import RowRange, SymbolScale, Timeframe
from liqscape.broadcast.ports import ShardDescription
from liqscape.errors import LimitExceeded
from liqscape.events import PositionSide
from liqscape.grid.channel_specs import TILE_ROWS, ChannelSpec
from liqscape.grid.keyed_book import BookAnswer
from liqscape.grid.liquidation_map import LiquidationMap, MapAnswer, MapGroup, MapTotals
from liqscape.grid.past import PastPicture, picture_of
from liqscape.grid.updates import (
    CandleColumns,
    Channel,
    ChannelAxes,
    ChannelUpdate,
    Coverage,
    EngineStatus,
    GridAnswer,
    GridQuery,
    InstrumentView,
    MapQuery,
    OpenedTile,
    PositionModel,
    SymbolUpdate,
    TickOutput,
    TierView,
)

FRAMES: Final = (Timeframe("12h", 1, 6, 120, 2), Timeframe("24h", 2, 5, 120, 2))
SCALES: Final = {
    "BTC": SymbolScale("BTC", price_decimals=2, base_step=1000, lot_decimals=5),
    "ETH": SymbolScale("ETH", price_decimals=2, base_step=50, lot_decimals=4),
}
EPOCH: Final = 0xFEED_0000_0000_0001


@dataclass(frozen=True)
class ChannelTruth:
    """What a channel is at a tick."""

    generation: int
    first_row: int
    newest_column: int
    ring: bytes
    candles: dict[int, tuple[int, int, int, int]]
    changed_tick: int


@dataclass
class _Grid:
    channel: Channel
    axes: ChannelAxes
    generation: int
    newest_column: int
    ring: NDArray[np.uint8]
    candles: dict[int, tuple[int, int, int, int]]
    changed_tick: int = 0
    is_new: bool = True


def describe(
    channels: Sequence[Channel] = (), *, tick_ms: int = 1000, epoch: int = EPOCH, source_id: str = "shard-0"
) -> ShardDescription:
    """Return a shard that says it is simulated."""
    return ShardDescription(
        source_id, epoch, tick_ms, simulated=True, replay=False, input="fake seed 1", channels=tuple(channels)
    )


def candle_columns(candles: dict[int, tuple[int, int, int, int]]) -> CandleColumns:
    """Return candles by column as arrays."""
    columns = sorted(candles)
    table = np.array([candles[c] for c in columns], dtype=np.int64).reshape(-1, 4)
    return CandleColumns(np.array(columns, dtype=np.int64), *(np.ascontiguousarray(table[:, i]) for i in range(4)))


@dataclass
class _Tile:
    opened: OpenedTile
    truth: ChannelTruth | None = None


class FakeChannels:
    """A ChannelPort that answers at once.

    Args:
        engine: whose channels.
        limit: of tiles, and of custom channels.
        build_ticks: ticks from the opening of a custom channel to its first grid.
    """

    def __init__(self, engine: FakeEngine, *, limit: int = 100, build_ticks: int = 0) -> None:
        self.engine = engine
        self.limit = limit
        self.build_ticks = build_ticks
        self.leases: dict[int, int] = {}
        self.open: dict[ChannelSpec, Channel] = {}
        self.calls: list[str] = []

    async def open_channel(self, spec: ChannelSpec) -> Channel:
        """Return the channel of a spec, one more grid or tile where it is new."""
        self.calls.append("open")
        return self._open(spec)

    def _open(self, spec: ChannelSpec) -> Channel:
        default = next(
            c for c in self.engine.shard.channels if (c.symbol, c.timeframe.name) == (spec.symbol, spec.timeframe)
        )
        if spec.is_default:
            return default
        if spec not in self.open:
            if sum((known.tile is None) == (spec.tile is None) for known in self.open) >= self.limit:
                raise LimitExceeded(f"{self.limit} such channels are open", 5000)
            parent = None if spec.tile is None else self._open(spec.whole)
            channel = self.engine.open(spec, default, parent, self.build_ticks)
            self.open[spec] = channel
            self.leases[channel.channel_id] = 0
        self.leases[self.open[spec].channel_id] += 1
        return self.open[spec]

    async def close_channel(self, channel_id: int) -> None:
        """Give a lease back."""
        self.calls.append("close")
        self._close(channel_id)

    def _close(self, channel_id: int) -> None:
        if channel_id not in self.leases:
            return
        self.leases[channel_id] -= 1
        if not self.leases[channel_id]:
            del self.leases[channel_id]
            self.open = {spec: c for spec, c in self.open.items() if c.channel_id != channel_id}
            parent_id = self.engine.close(channel_id)
            if parent_id is not None:
                self._close(parent_id)


class FakeEngine:
    """BTC and ETH in two small timeframes each."""

    def __init__(
        self,
        seed: int = 1,
        *,
        rows: int = 4,
        tick_ms: int = 1000,
        epoch: int = EPOCH,
        first_tick: int = 1,
        first_row: int = 100,
        symbols: Sequence[str] = ("BTC", "ETH"),
        frames: Sequence[Timeframe] = FRAMES,
    ) -> None:
        self._random = random.Random(seed)
        self._rows = rows
        self.tick = first_tick - 1
        self._grids: dict[int, _Grid] = {}
        for symbol in symbols:
            for frame in frames:
                channel = Channel(len(self._grids) + 1, symbol, frame)
                axes = ChannelAxes(frame, SCALES[symbol], RowRange(first_row, rows, 2))
                ring = np.zeros((frame.columns, rows), dtype=np.uint8)
                self._grids[channel.channel_id] = _Grid(channel, axes, 1, 1000, ring, {})
        channels = tuple(grid.channel for grid in self._grids.values())
        self.shard = describe(channels, tick_ms=tick_ms, epoch=epoch)
        self.truth: dict[int, dict[int, ChannelTruth]] = {}
        self._next_id = len(channels) + 1
        self._tiles: dict[int, _Tile] = {}
        self._building: dict[int, tuple[int, _Grid]] = {}
        self._opened_tiles: list[OpenedTile] = []
        self._closed: list[int] = []

    def open(self, spec: ChannelSpec, default: Channel, parent: Channel | None, build_ticks: int) -> Channel:
        """Begin a tile of a parent, or one more grid on the axes of a default channel, with a tick to come."""
        channel = Channel(self._next_id, spec.symbol, default.timeframe, spec.positions, spec.tile, spec.row_fold)
        self._next_id += 1
        if parent is not None:
            opened = OpenedTile(channel, parent.channel_id)
            self._tiles[channel.channel_id] = _Tile(opened)
            self._opened_tiles.append(opened)
        else:
            beside = self._grids[default.channel_id]
            axes = replace(beside.axes, rows=beside.axes.rows.folded(spec.row_fold))
            ring = np.zeros((axes.timeframe.columns, axes.rows.count), np.uint8)
            grid = _Grid(channel, axes, 1, beside.newest_column, ring, {})
            self._building[channel.channel_id] = (build_ticks, grid)
        return channel

    def close(self, channel_id: int) -> int | None:
        """End a tile or a custom channel; return the channel a tile was cut from."""
        tile = self._tiles.pop(channel_id, None)
        self._grids.pop(channel_id, None)
        self._building.pop(channel_id, None)
        self._opened_tiles = [opened for opened in self._opened_tiles if opened.channel.channel_id != channel_id]
        self._closed.append(channel_id)
        return None if tile is None else tile.opened.parent_id

    @property
    def channel_ids(self) -> tuple[int, ...]:
        """Return the channels."""
        return tuple(self._grids)

    def step(
        self,
        *,
        changing: Sequence[int] | None = None,
        cells: int = 2,
        moving: Sequence[int] = (),
        renewing: Sequence[int] = (),
        skip_ticks: int = 0,
        ended: bool = False,
    ) -> TickOutput:
        """Make a tick.

        Args:
            changing: channels in which cells change; all by default.
            cells: how many cells change in each.
            moving: channels whose newest column moves on, with or without changed cells.
            renewing: channels that start a new generation on other rows.
            skip_ticks: numbers left out before this tick.
            ended: the input has ended.
        """
        self.tick += 1 + skip_ticks
        for channel_id, (ticks, grid) in list(self._building.items()):
            self._building[channel_id] = (ticks - 1, grid)
            if not ticks:
                self._grids[channel_id] = grid
                del self._building[channel_id]
        changing = self.channel_ids if changing is None else changing
        first = not self.truth
        updates = []
        for channel_id, grid in self._grids.items():
            begins = first or grid.is_new
            if begins or channel_id in changing or channel_id in moving or channel_id in renewing:
                count = cells if begins or channel_id in changing or channel_id in renewing else 0
                updates.append(self._change(grid, count, channel_id in moving, channel_id in renewing))
        self._remember()
        opened_tiles, closed = tuple(self._opened_tiles), tuple(self._closed)
        self._opened_tiles, self._closed = [], []
        return TickOutput(
            tick=self.tick,
            channels=tuple(updates),
            symbols=tuple(
                self._symbol(symbol) for symbol in dict.fromkeys(g.channel.symbol for g in self._grids.values())
            ),
            venues=tuple(
                self.coverage(symbol) for symbol in dict.fromkeys(g.channel.symbol for g in self._grids.values())
            ),
            bars_closed_unix_ns=1,
            grids_ready_unix_ns=2,
            ended=ended,
            opened_tiles=opened_tiles,
            closed=closed,
        )

    def coverage(self, symbol: str) -> Coverage:
        """Return coverage that changes every tick."""
        return Coverage(
            symbol=symbol,
            venue="binance",
            instrument_id=f"binance:{symbol}USDT",
            watermark_ns=self.tick * 10**9,
            live_lots=(100 + self.tick, 90),
            uncovered_lots=(5, 15),
            model_error_lots=3,
            rejected_events=2,
            lot_decimals=SCALES[symbol].lot_decimals,
        )

    def _symbol(self, symbol: str) -> SymbolUpdate:
        return SymbolUpdate(symbol, 6_500_000 + self.tick, 2, self.tick * 10**9)

    def _change(self, grid: _Grid, cells: int, moves: bool, renews: bool) -> ChannelUpdate:
        before = grid.ring.copy()
        if renews and not grid.is_new:
            grid.generation += 1
            grid.is_new = True
            rows = replace(grid.axes.rows, first=grid.axes.rows.first + self._random.randint(-3, 3))
            grid.axes = replace(grid.axes, rows=rows)
        if grid.is_new:
            before = np.zeros_like(grid.ring)
            grid.ring = np.zeros_like(grid.ring)
        if moves:
            grid.newest_column += 1
        flat = grid.ring.reshape(-1)
        for _ in range(cells):
            flat[self._random.randrange(flat.size)] = self._random.randrange(256)
        changed = np.flatnonzero(flat != before.reshape(-1)).astype(np.uint32)
        self._move_price(grid)
        axes, grid.is_new = (grid.axes if grid.is_new else None), False
        grid.changed_tick = self.tick
        everything = candle_columns(grid.candles)
        newest = candle_columns({grid.newest_column: grid.candles[grid.newest_column]})
        return ChannelUpdate(
            channel=grid.channel,
            generation=grid.generation,
            axes=axes,
            newest_column=grid.newest_column,
            cells=changed,
            levels=flat[changed],
            candles=everything if axes else newest,
            all_candles=everything,
        )

    def _move_price(self, grid: _Grid) -> None:
        price = 6_500_000 + self._random.randint(-500, 500)
        opened, high, low, _ = grid.candles.get(grid.newest_column, (price,) * 4)
        grid.candles[grid.newest_column] = (opened, max(high, price), min(low, price), price)
        oldest = grid.newest_column - grid.channel.timeframe.columns + 1
        grid.candles = {column: candle for column, candle in grid.candles.items() if column >= oldest}

    def _remember(self) -> None:
        self.truth[self.tick] = {
            channel_id: ChannelTruth(
                grid.generation,
                grid.axes.rows.first,
                grid.newest_column,
                grid.ring.tobytes(),
                dict(grid.candles),
                grid.changed_tick,
            )
            for channel_id, grid in self._grids.items()
        }
        for channel_id, tile in self._tiles.items():
            parent = self._grids.get(tile.opened.parent_id)
            if parent is not None:
                tile.truth = self.truth[self.tick][channel_id] = self._cut(tile, parent)

    def _cut(self, tile: _Tile, parent: _Grid) -> ChannelTruth:
        """Return what a tile is now: the same object as before where nothing but the price has changed."""
        assert tile.opened.channel.tile is not None
        first = tile.opened.channel.tile * TILE_ROWS
        ring = bytearray()
        for column in parent.ring.tolist():
            by_row = dict(enumerate(column, start=parent.axes.rows.first))
            ring += bytes(by_row.get(row, 0) for row in range(first, first + TILE_ROWS))
        before = tile.truth
        if before is not None and before.ring == bytes(ring) and before.newest_column == parent.newest_column:
            return before
        return ChannelTruth(1, first, parent.newest_column, bytes(ring), dict(parent.candles), self.tick)


@dataclass
class FakeQueries:
    """A QueryPort that answers what it is told."""

    engine: FakeEngine
    state: EngineStatus = field(
        default_factory=lambda: EngineStatus(
            "serving", "", 1.0, None, EPOCH, 7, "numpy", "fake seed 1", counters={"gaps": 4}
        )
    )
    grid: GridAnswer | None = None
    map: MapAnswer | None = None
    book: BookAnswer | None = None
    error: Exception | None = None

    async def get_grid(self, query: GridQuery) -> GridAnswer:
        """Return the grid, or raise the error."""
        if self.error is not None:
            raise self.error
        assert self.grid is not None
        return self.grid

    async def get_picture(self, query: GridQuery) -> PastPicture:
        """Return the levels of the grid as of the minute asked for, or raise the error."""
        answer = await self.get_grid(query)
        minute = answer.as_of_minute if query.as_of_minute is None else query.as_of_minute
        return picture_of(replace(answer, as_of_minute=minute), (), lambda: None)

    async def get_liquidation_map(self, query: MapQuery) -> MapAnswer:
        """Return the map, or raise the error."""
        if self.error is not None:
            raise self.error
        assert self.map is not None
        return self.map

    async def get_keyed_book(self, query: MapQuery) -> BookAnswer:
        """Return the book, or raise the error."""
        if self.error is not None:
            raise self.error
        assert self.book is not None
        return self.book

    async def status(self) -> EngineStatus:
        """Return the state."""
        return self.state

    async def instruments(self) -> tuple[InstrumentView, ...]:
        """Return two instruments, unsorted."""
        tier = TierView(10, 150_000, 0.904, 1.095, 0.9, 1.1)
        return tuple(
            InstrumentView(f"binance:{s}USDT", "binance", s, "linear", "mark", 2, 1000, 5, 4000, "2025-12-01", (tier,))
            for s in ("ETH", "BTC")
        )


def grid_answer(columns: int = 720, rows: int = 1000, seed: int = 1) -> GridAnswer:
    """Return a grid of a realistic size, all cells different from their neighbours."""
    frame = Timeframe("24h", 2, columns, 120, 2)
    scale = SCALES["BTC"]
    axes = ChannelAxes(frame, scale, RowRange(2900, rows, 2))
    cells = np.random.default_rng(seed).integers(-(2**62), 2**62, size=(columns, rows), dtype=np.int64)
    engine = FakeEngine()
    engine.tick = 9
    return GridAnswer(
        channel=Channel(1, "BTC", frame),
        epoch=EPOCH,
        tick=9,
        generation=3,
        axes=axes,
        newest_column=1719,
        cells=cells,
        usd_per_weighted_lot=np.array(scale.usd_per_weighted_lot(axes.rows)),
        candles=candle_columns({1718: (5, 9, 2, 7), 1719: (7, 8, 6, 6)}),
        mark_price=6_500_000,
        source_watermark_ns=9 * 10**9,
        coverage=(engine.coverage("BTC"),),
        as_of_minute=3439,
    )


def map_answer(series: int = 4, rows: int = 1000, seed: int = 1) -> MapAnswer:
    """Return a map whose cells and totals are all different; its totals and curves are made up too."""
    scale = SCALES["BTC"]
    random = np.random.default_rng(seed)
    engine = FakeEngine()
    engine.tick = 9

    def numbers(*shape: int) -> NDArray[np.int64]:
        return random.integers(-(2**62), 2**62, size=shape, dtype=np.int64)

    def totals(count: int) -> MapTotals:
        groups = tuple(
            MapGroup(f"venue{n}", f"venue{n}:BTCUSDT", 10 + n, tuple(PositionSide)[n % 2]) for n in range(count)
        )
        return MapTotals(groups, numbers(count, 3), random.random((count, 3)))

    axis = RowRange(2900, rows, 2)
    return MapAnswer(
        symbol="BTC",
        epoch=EPOCH,
        tick=9,
        scale=scale,
        mark_price=6_500_000,
        source_watermark_ns=9 * 10**9,
        coverage=(engine.coverage("BTC"),),
        model=PositionModel.NET_OF_CLOSES,
        map=LiquidationMap(
            rows=axis,
            price_row=3250,
            cells=numbers(series, rows),
            usd_per_weighted_lot=np.array(scale.usd_per_weighted_lot(axis)),
            series=totals(series),
            by_side=totals(2),
            by_venue=totals(3),
            by_leverage=totals(5),
            curves=numbers(2, rows),
            curves_usd=random.random((2, rows)),
            reconciled=True,
        ),
    )

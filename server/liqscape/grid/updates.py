"""What the grid engine hands to the broadcast stage after a tick: host arrays of changed cells, and plain values."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from liqscape.axes import RowRange, SymbolScale, Timeframe
from liqscape.events import PositionSide
from liqscape.feeds.context import DailyReportStatus, MarketContext
from liqscape.feeds.status import VenueStatus
from liqscape.grid.channel_specs import ChannelSpec, PositionFilter


@dataclass(frozen=True, slots=True)
class Channel:
    """A grid that is streamed. channel_id is unique in an epoch and the same on every edge.

    positions, tile and row_fold are set on channels that exist while somebody reads them; see ChannelSpec.
    """

    channel_id: int
    symbol: str
    timeframe: Timeframe
    positions: PositionFilter | None = None
    tile: int | None = None
    row_fold: int = 1

    @property
    def spec(self) -> ChannelSpec:
        """Return what it is, without its id."""
        return ChannelSpec(self.symbol, self.timeframe.name, self.positions, self.tile, self.row_fold)


@dataclass(frozen=True, slots=True)
class OpenedTile:
    """A tile that begins with this tick, and the channel whose rows it shows."""

    channel: Channel
    parent_id: int


@dataclass(frozen=True, slots=True)
class ChannelAxes:
    """Axes of one generation of a channel. The ring of levels is uint8[timeframe.columns, rows.count]."""

    timeframe: Timeframe
    scale: SymbolScale
    rows: RowRange


@dataclass(frozen=True, slots=True)
class CandleColumns:
    """Trigger price by column, int64[n] each, in price units; columns ascending, absolute."""

    column: NDArray[np.int64]
    open: NDArray[np.int64]
    high: NDArray[np.int64]
    low: NDArray[np.int64]
    close: NDArray[np.int64]

    @classmethod
    def none(cls) -> CandleColumns:
        """Return no columns."""
        empty = np.empty(0, np.int64)
        return cls(empty, empty, empty, empty, empty)

    def until(self, newest_column: int) -> CandleColumns:
        """Return the columns up to one, that one included."""
        end = int(np.searchsorted(self.column, newest_column, side="right"))
        return CandleColumns(self.column[:end], self.open[:end], self.high[:end], self.low[:end], self.close[:end])


@dataclass(frozen=True, slots=True)
class ChannelUpdate:
    """Change of one channel in one tick.

    Attributes:
        channel: which.
        generation: rises with axes; axes is set exactly when the generation is new, and then the ring starts as zeros.
        newest_column: absolute number, after this change.
        cells: uint32[n], flat ring index (column modulo columns) * rows + (row - first row), strictly ascending.
        levels: uint8[n], absolute level of each cell.
        candles: columns whose candle changed (all known ones when axes is set).
        all_candles: every column of the window, for keyframes.
    """

    channel: Channel
    generation: int
    axes: ChannelAxes | None
    newest_column: int
    cells: NDArray[np.uint32]
    levels: NDArray[np.uint8]
    candles: CandleColumns
    all_candles: CandleColumns


@dataclass(frozen=True, slots=True)
class SymbolUpdate:
    """Price of one symbol at the end of a tick."""

    symbol: str
    mark_price: int
    price_decimals: int
    source_watermark_ns: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of one instrument's open interest the model explains; lots, long then short.

    Contracts of an inverse instrument are stated as the lots they are worth at the mark price: their accounts are exact
    in contracts, but only lots can be added up over instruments.

    stated_lots are those live lots that the venue itself has stated of accounts; stated_beyond_lots it states too, and
    the book, which must add up to open interest, has no room for them.
    """

    symbol: str
    venue: str
    instrument_id: str
    watermark_ns: int
    live_lots: tuple[int, int]
    uncovered_lots: tuple[int, int]
    model_error_lots: int
    rejected_events: int
    lot_decimals: int
    stated_lots: tuple[int, int] = (0, 0)
    stated_beyond_lots: tuple[int, int] = (0, 0)

    def covered_share(self) -> float:
        """Return live / (live + uncovered) over both sides; 0 before anything was seen."""
        live = sum(self.live_lots)
        total = live + sum(self.uncovered_lots)
        return live / total if total else 0.0


@dataclass(frozen=True, slots=True)
class TickOutput:
    """Everything a tick changed. Wall-clock stamps are for measurement and decide nothing.

    venues holds all instruments; the broadcast stage decides when a change is worth a chunk. Tiles are made of the
    channels by the broadcast stage; closed names tiles and custom channels of which nothing more will come. Channel
    ids are not used again.
    """

    tick: int
    channels: tuple[ChannelUpdate, ...]
    symbols: tuple[SymbolUpdate, ...]
    venues: tuple[Coverage, ...]
    bars_closed_unix_ns: int = 0
    grids_ready_unix_ns: int = 0
    ended: bool = False
    opened_tiles: tuple[OpenedTile, ...] = ()
    closed: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class SymbolStatus:
    """Size and coverage of one symbol's book; tick_compute_ms is what the grids of all symbols took, last tick."""

    symbol: str
    mark_price: int
    price_decimals: int
    source_watermark_ns: int
    live_cohorts: int
    ledger_events: int
    coverage: tuple[Coverage, ...]
    tick_compute_ms: float


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """State of the engine; `state` is building, serving, ended or failed. feeds: of a source that listens to venues.

    context: markets beside the maps; daily_report: how reading of them fares, None where nothing is read.
    """

    state: str
    message: str
    progress: float
    seconds_left: float | None
    epoch: int
    tick: int
    backend: str
    input: str
    symbols: tuple[SymbolStatus, ...] = ()
    counters: dict[str, int] = field(default_factory=dict)
    feeds: tuple[VenueStatus, ...] = ()
    context: tuple[MarketContext, ...] = ()
    daily_report: DailyReportStatus | None = None


class PositionModel(enum.Enum):
    """Which of the books that stand side by side."""

    NET_OF_CLOSES = "net of closes"
    OPEN_ONLY = "open only"


class Breakdown(enum.Enum):
    """What a liquidation map is split by beside the side. An instrument is a part of one venue."""

    VENUE = "venue"
    INSTRUMENT = "instrument"
    LEVERAGE = "leverage"


class Provenance(enum.Enum):
    """How the book knows of positions: stated by their venue of accounts, or estimated from the market."""

    STATED = "stated"
    ESTIMATED = "estimated"


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionQuery:
    """Which positions a question counts, and on which rows. None and empty mean the default.

    Attributes:
        venues, leverages, side, provenance: filters. Stated positions have no leverage tier, so one by leverage leaves
            them out.
        leverage_shares: leverage to share in millionths, a mix of one's own.
        row_multiple: base steps of a row.
        price_low, price_high: quote currency.
        model: the book.
        max_cells: of the answer, a limit of whoever asks.
    """

    venues: tuple[str, ...] = ()
    leverages: tuple[int, ...] = ()
    side: PositionSide | None = None
    leverage_shares: tuple[tuple[int, int], ...] = ()
    row_multiple: int | None = None
    price_low: float | None = None
    price_high: float | None = None
    model: PositionModel = PositionModel.NET_OF_CLOSES
    max_cells: int | None = None
    provenance: Provenance | None = None


@dataclass(frozen=True, slots=True)
class GridQuery(PositionQuery):
    """Which grid is asked for; the fields of GetGridRequest.

    Attributes:
        symbol: base coin.
        timeframe: name; empty only with a window of one's own.
        as_of_minute: last minute included.
        column_minutes, columns: a window of one's own.
    """

    symbol: str
    timeframe: str = ""
    as_of_minute: int | None = None
    column_minutes: int | None = None
    columns: int | None = None


@dataclass(frozen=True, slots=True)
class MapQuery(PositionQuery):
    """Which liquidation map is asked for; the fields of GetLiquidationMapRequest.

    Attributes:
        symbol: base coin.
        breakdown: what its cells are split by, beside the side.
    """

    symbol: str
    breakdown: frozenset[Breakdown] = frozenset()


@dataclass(frozen=True, slots=True)
class GridAnswer:
    """An exact grid: int64[column, row] weighted lots, oldest column first, with everything needed to read it."""

    channel: Channel
    epoch: int
    tick: int
    generation: int
    axes: ChannelAxes
    newest_column: int
    cells: NDArray[np.int64]
    usd_per_weighted_lot: NDArray[np.float64]
    candles: CandleColumns
    mark_price: int
    source_watermark_ns: int
    coverage: tuple[Coverage, ...]
    as_of_minute: int
    reconciled: bool = True
    model: PositionModel = PositionModel.NET_OF_CLOSES


@dataclass(frozen=True, slots=True)
class TierView:
    """One leverage tier of an instrument, for people and programs that want to check the arithmetic."""

    leverage: int
    inflow_share_ppm: int
    long_liquidation_ratio: float
    short_liquidation_ratio: float
    long_bankruptcy_ratio: float
    short_bankruptcy_ratio: float


@dataclass(frozen=True, slots=True)
class InstrumentView:
    """An instrument with the rules and scale in force; base_step 0 until a price was seen."""

    instrument_id: str
    venue: str
    symbol: str
    contract: str
    trigger: str
    price_decimals: int
    base_step: int
    lot_decimals: int
    maintenance_margin_rate_ppm: int
    rules_date: str
    tiers: tuple[TierView, ...]

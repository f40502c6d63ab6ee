"""The model of one symbol: its books and grids, and how it looks from outside at a tick."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from liqscape.axes import SymbolScale
from liqscape.device.backend import Backend, LedgerView
from liqscape.errors import InvalidArgument, ModelError
from liqscape.events import PositionSide
from liqscape.grid.engine import EngineSnapshot, GridEngine
from liqscape.grid.event_log import EventLog, EventLogSnapshot
from liqscape.grid.leading_price import LeadingPrice
from liqscape.grid.queries import AxesSince
from liqscape.grid.updates import (
    CandleColumns,
    Channel,
    ChannelAxes,
    Coverage,
    PositionModel,
    SymbolStatus,
    SymbolUpdate,
)
from liqscape.instruments import Instrument
from liqscape.market.bars import Bar
from liqscape.market.state import MarketState
from liqscape.market.terms import Terms
from liqscape.positions.account import InstrumentAccount
from liqscape.positions.book import BookStep, Cause, PositionBook, batches_of
from liqscape.positions.cohort_book import CohortBook
from liqscape.positions.lockstep import Stages
from liqscape.positions.open_only import OpenOnlyBook
from liqscape.positions.snapshots import BookSnapshot, OpenOnlySnapshot
from liqscape.positions.stated_changes import AccountNews

COARSEN_AFTER_MINUTES: Final = 60
"""How long a base step is too fine before it is made coarser, which cannot be undone."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolSnapshot:
    """A SymbolModel without its grids; open_only is its open-only book and log, if it is kept.

    price_leader and priced_ns are those of LeadingPrice.
    """

    symbol: str
    book: BookSnapshot
    engine: EngineSnapshot
    open_only: tuple[OpenOnlySnapshot, EventLogSnapshot] | None
    mark_price: int
    watermark_ns: int
    too_fine_since: int | None
    price_leader: str | None = None
    priced_ns: int = 0


@dataclass(frozen=True, slots=True)
class ChannelView:
    """A default channel as it stood at a rendered tick."""

    channel: Channel
    history: tuple[AxesSince, ...]
    candles: CandleColumns
    newest_column: int

    @property
    def axes(self) -> ChannelAxes:
        """Return the axes in force."""
        return self.history[-1].axes

    @property
    def generation(self) -> int:
        """Return the generation in force."""
        return self.history[-1].generation


@dataclass(frozen=True, slots=True)
class SymbolView:
    """A symbol as it stood at a rendered tick: immutable, may be read from another thread."""

    symbol: str
    instruments: tuple[Instrument, ...]
    mixes: tuple[tuple[int, ...], ...]
    scale: SymbolScale
    tick: int
    now_minute: int
    mark_price: int
    source_watermark_ns: int
    ledger: LedgerView
    open_only: LedgerView | None
    engine: GridEngine
    channels: dict[str, ChannelView]
    coverage: tuple[Coverage, ...]

    def ledger_of(self, model: PositionModel) -> LedgerView:
        """Return the ledger of a model's book.

        Raises:
            InvalidArgument: it is not kept.
        """
        return self.ledger if model is PositionModel.NET_OF_CLOSES else _kept(self.open_only)


@dataclass(frozen=True, slots=True)
class ServedState:
    """A symbol between two ticks, beside its grids: what an archive keeps of the end of a minute.

    axes are generation and axes of the default channels by timeframe, of those that were served; mixes the inflow
    shares in force by instrument id, millionths by leverage tier.
    """

    symbol: str
    scale: SymbolScale
    mark_price: int
    source_watermark_ns: int
    coverage: tuple[Coverage, ...]
    axes: dict[str, tuple[int, ChannelAxes]]
    mixes: dict[str, tuple[int, ...]]


def _kept(found: _T | None) -> _T:
    if found is None:
        raise InvalidArgument("model open only is not kept by this server, which was started without; leave model out")
    return found


class SymbolModel:
    """Books and grids of one symbol; beside its own book an open-only one, with a log of its own, to compare with.

    Args:
        symbol: base coin.
        instruments: in the order in which keys number them.
        channels: the default channels of the symbol.
        scale: integer units.
        backend: where tables and grids live.
        mixes: inflow shares by instrument id, millionths by leverage tier; the shipped prior where absent.
        size_mixes: shares by instrument id, millionths by maintenance tier; all in the first where absent.
        with_open_only: keep the open-only book.
    """

    def __init__(
        self,
        symbol: str,
        instruments: Sequence[Instrument],
        channels: tuple[Channel, ...],
        scale: SymbolScale,
        backend: Backend,
        mixes: Mapping[str, Sequence[int]] | None,
        size_mixes: Mapping[str, Sequence[int]] | None,
        with_open_only: bool,
    ) -> None:
        self.symbol = symbol
        self.book = PositionBook(symbol, instruments, scale, backend, mixes, size_mixes)
        self.engine = GridEngine(channels, scale, len(instruments), backend)
        self._open_only: tuple[OpenOnlyBook, EventLog] | None = None
        if with_open_only:
            self._open_only = OpenOnlyBook(symbol, instruments, scale, backend, mixes), EventLog(backend)
        self._price = LeadingPrice()
        self.watermark_ns = 0
        self._too_fine_since: int | None = None
        self._covered: tuple[int, tuple[Coverage, ...]] = (0, ())  # as of this tick; told three times in each
        self._channels = channels

    @property
    def mark_price(self) -> int:
        """Return the price now, that of the leading instrument; 0 before the first one."""
        return self._price.price

    @property
    def logs(self) -> tuple[EventLog, ...]:
        """Return every log that grows with the market."""
        return self.engine.log, *(() if self._open_only is None else (self._open_only[1],))

    def live_book(self, model: PositionModel) -> CohortBook:
        """Return the book of a model.

        Raises:
            InvalidArgument: it is not kept.
        """
        if model is PositionModel.NET_OF_CLOSES:
            return self.book
        return _kept(self._open_only)[0]

    def stages(self, bars: list[Bar], news: AccountNews | None = None) -> list[Stages[BookStep]]:
        """Return the step of each book, to be run together.

        Args:
            bars: of one minute, at most one an instrument.
            news: what is stated of accounts. The open-only book, which explains no open interest, has no place for it.
        """
        stages = [self.book.stages(bars, news)]
        if self._open_only is not None:
            stages.append(self._open_only[0].stages(bars))
        return stages

    def record(self, bars: list[Bar], steps: Sequence[BookStep]) -> None:
        """Log what bars did to each book, in the order of stages."""
        priced = self._price.follow(bars)
        self.engine.record(steps[0], [] if priced is None else [priced])
        if self._open_only is not None:
            self._open_only[1].record(steps[1])
        for bar in bars:
            self.watermark_ns = max(self.watermark_ns, bar.watermark_ns)

    @property
    def price_leader(self) -> str | None:
        """Return the instrument whose price is that of the symbol in the next tick; None: the first that has one."""
        return self._price.leader

    def elect_price_leader(self) -> None:
        """Say who leads from the next tick on, after the steps of a tick."""
        self._price.elect(self._open_interest)

    def coarsening_is_due(self, minute: int) -> bool:
        """Return whether the base step has been too fine for long enough: an absurd price must not cost the rows."""
        if not self.mark_price or not self.book.scale.is_too_fine(self.mark_price):
            self._too_fine_since = None
            return False
        if self._too_fine_since is None:
            self._too_fine_since = minute
        return minute - self._too_fine_since >= COARSEN_AFTER_MINUTES

    def coarsen_rows(self, scale: SymbolScale, minute: int) -> None:
        """Take over units whose base step is a multiple of that of now. Grids keep their sums, on higher rows.

        Args:
            scale: the units from now on.
            minute: of the newest event.
        """
        multiple = scale.base_step // self.book.scale.base_step
        self.engine.coarsen_rows(scale, multiple)
        books: list[tuple[CohortBook, EventLog]] = [(self.book, self.engine.log)]
        if self._open_only is not None:
            self._open_only[1].coarsen_rows(multiple)
            books.append(self._open_only)
        for book, log in books:
            restated = book.coarsen_rows(scale, multiple)
            causes = {Cause.RESTATED_DOWN: restated.down, Cause.RESTATED_UP: restated.up}
            log.record(BookStep(batches_of(minute, causes), ()))
        self._too_fine_since = None

    def change_terms(self, terms: Terms) -> None:
        """Let what opens at an instrument from now on open on other terms, in every book."""
        self.book.change_terms(terms)
        if self._open_only is not None:
            self._open_only[0].change_terms(terms)

    def snapshot(self) -> Callable[[], SymbolSnapshot]:
        """Return the work of copying everything as it is now but the grids, for any thread."""
        book, engine = self.book.snapshot(), self.engine.snapshot()
        open_only = None if self._open_only is None else (self._open_only[0].snapshot(), self._open_only[1].snapshot())
        price, leader, priced_ns = self._price.price, self._price.leader, self._price.time_ns
        watermark_ns, too_fine_since = self.watermark_ns, self._too_fine_since
        return lambda: SymbolSnapshot(
            symbol=self.symbol,
            book=book(),
            engine=engine(),
            open_only=None if open_only is None else (open_only[0](), open_only[1]()),
            mark_price=price,
            watermark_ns=watermark_ns,
            too_fine_since=too_fine_since,
            price_leader=leader,
            priced_ns=priced_ns,
        )

    def restore(self, snapshot: SymbolSnapshot, minute: int) -> None:
        """Be as when a snapshot was taken, in a minute, grids left to rebuild. On the units of then.

        Raises:
            ModelError: it is of other instruments, mixes or books.
        """
        if (snapshot.open_only is None) != (self._open_only is None):
            raise ModelError(f"the open-only book of {self.symbol} is in one of snapshot and model alone")
        self.book.restore(snapshot.book)
        self.engine.restore(snapshot.engine, minute)
        if snapshot.open_only is not None and self._open_only is not None:
            self._open_only[0].restore(snapshot.open_only[0])
            self._open_only[1].restore(snapshot.open_only[1])
        self._price = LeadingPrice(snapshot.mark_price, snapshot.price_leader, snapshot.priced_ns)
        self.watermark_ns = snapshot.watermark_ns
        self._too_fine_since = snapshot.too_fine_since

    def _open_interest(self, instrument_id: str, price: int) -> int:
        account = self.book.account(instrument_id)
        side = PositionSide.LONG
        return account.in_lots(account.live[side] + account.uncovered[side], self.book.scale, price)

    def update(self) -> SymbolUpdate:
        """Return the price now."""
        return SymbolUpdate(self.symbol, self.mark_price, self.book.scale.price_decimals, self.watermark_ns)

    def coverage(self, market: MarketState, tick: int) -> tuple[Coverage, ...]:
        """Return how much of the open interest of each instrument the model explains, as of the end of a tick."""
        if self._covered[0] != tick:
            accounts = (self.book.account(instrument.instrument_id) for instrument in self.book.instruments)
            self._covered = tick, tuple(self._coverage(account, market) for account in accounts)
        return self._covered[1]

    def _coverage(self, account: InstrumentAccount, market: MarketState) -> Coverage:
        def lots(quantity: int) -> int:
            return account.in_lots(quantity, self.book.scale, self.mark_price)

        return Coverage(
            symbol=self.symbol,
            venue=account.instrument.venue,
            instrument_id=account.instrument.instrument_id,
            watermark_ns=account.watermark_ns,
            live_lots=(lots(account.live[PositionSide.LONG]), lots(account.live[PositionSide.SHORT])),
            uncovered_lots=(lots(account.uncovered[PositionSide.LONG]), lots(account.uncovered[PositionSide.SHORT])),
            model_error_lots=lots(account.model_error_lots),
            rejected_events=market.rejected_events(account.instrument.instrument_id),
            lot_decimals=self.book.scale.lot_decimals,
            stated_lots=(account.stated[PositionSide.LONG], account.stated[PositionSide.SHORT]),
            stated_beyond_lots=self.book.stated_beyond_lots(account.instrument.instrument_id),
        )

    def served(self, tick: int, market: MarketState) -> ServedState:
        """Return what is said of the symbol as of the end of a tick."""
        axes = ((c.timeframe.name, self.engine.axes(c.channel_id)) for c in self._channels)
        return ServedState(
            symbol=self.symbol,
            scale=self.book.scale,
            mark_price=self.mark_price,
            source_watermark_ns=self.watermark_ns,
            coverage=self.coverage(market, tick),
            axes={name: found for name, found in axes if found is not None},
            mixes={i.instrument_id: tuple(self.book.account(i.instrument_id).mix) for i in self.book.instruments},
        )

    def view(self, tick: int, minute: int, market: MarketState) -> SymbolView:
        """Return everything as of the last render."""
        channels: dict[str, ChannelView] = {}
        for channel in self._channels:
            history = self.engine.history(channel.channel_id)
            if history:
                candles = self.engine.candles(channel.channel_id, channel.timeframe.column_of(minute))
                newest = self.engine.newest_column(channel.channel_id)
                channels[channel.timeframe.name] = ChannelView(channel, history, candles, newest)
        return SymbolView(
            symbol=self.symbol,
            instruments=self.book.instruments,
            mixes=tuple(self.book.account(i.instrument_id).mix for i in self.book.instruments),
            scale=self.book.scale,
            tick=tick,
            now_minute=minute,
            mark_price=self.mark_price,
            source_watermark_ns=self.watermark_ns,
            ledger=self.engine.capture(),
            open_only=None if self._open_only is None else self._open_only[1].capture(),
            engine=self.engine,
            channels=channels,
            coverage=self.coverage(market, tick),
        )

    def status(self, market: MarketState, tick: int, render_ms: float) -> SymbolStatus:
        """Return sizes and coverage, and beside them what the grids of all symbols cost."""
        return SymbolStatus(
            symbol=self.symbol,
            mark_price=self.mark_price,
            price_decimals=self.book.scale.price_decimals,
            source_watermark_ns=self.watermark_ns,
            live_cohorts=self.book.live_cohorts,
            ledger_events=self.engine.ledger_events,
            coverage=self.coverage(market, tick),
            tick_compute_ms=render_ms,
        )

"""The engine role: runs one shard in a thread of its own, publishes its ticks, answers questions about it.

The thread owns the shard. Other threads see only what it has finished: records handed to `publish`, and an immutable
view of the newest rendered tick, from which questions are answered on a query thread.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from liqscape.archive.reader import ArchiveReader
from liqscape.axes import Timeframe
from liqscape.axes import timeframe as find_timeframe
from liqscape.background import BackgroundWork
from liqscape.between_ticks import BetweenTicks
from liqscape.broadcast.encoder import StreamEncoder
from liqscape.broadcast.encoding_thread import EncodingThread
from liqscape.broadcast.ports import ShardDescription, TickRecord
from liqscape.channel_desk import ChannelDesk
from liqscape.daily_markets import DailyMarkets
from liqscape.errors import LiqscapeError, NotFound, NotReady, Unavailable
from liqscape.feeds.exact import ReportsExact
from liqscape.feeds.resumed import events_after
from liqscape.feeds.source import EventSource
from liqscape.feeds.status import ReportsFeeds
from liqscape.grid.instrument_view import instrument_view
from liqscape.grid.keyed_book import BookAnswer
from liqscape.grid.liquidation_map import MapAnswer
from liqscape.grid.past import PastPicture, picture_of
from liqscape.grid.queries import plan_grid
from liqscape.grid.shard import Shard
from liqscape.grid.symbol_model import ChannelView, SymbolView
from liqscape.grid.updates import (
    CandleColumns,
    Channel,
    EngineStatus,
    GridAnswer,
    GridQuery,
    InstrumentView,
    MapQuery,
    TickOutput,
)
from liqscape.keeper import Keeper
from liqscape.live_books import CapturedBook, LiveBooks
from liqscape.metrics import Histogram, Stage, Timings
from liqscape.past_answers import answer_past, is_past
from liqscape.told_tables import ToldTables

_LOG = logging.getLogger(__name__)
_STATUS_SECONDS = 0.2
"""How often the status is renewed while history is built: five times a second reads as live and costs nothing."""


@dataclass(frozen=True, slots=True)
class _Finished:
    """What other threads may see."""

    status: EngineStatus
    views: dict[str, SymbolView]


def _candles(
    channel: ChannelView | None, frame: Timeframe, as_of_minute: int | None, newest_column: int
) -> CandleColumns:
    """Return the prices of a default channel up to a column; of the past only what was final then."""
    if channel is None:
        return CandleColumns.none()
    if as_of_minute is not None and (as_of_minute + 1) % frame.column_minutes:
        newest_column -= 1
    return channel.candles.until(newest_column)


def _timed(encode: Callable[[TickOutput], TickRecord], histogram: Histogram) -> Callable[[TickOutput], TickRecord]:
    def call(output: TickOutput) -> TickRecord:
        began = time.perf_counter()
        record = encode(output)
        histogram.observe(time.perf_counter() - began)
        return record

    return call


class _Asker:
    """Whoever waits for an answer: past the deadline, or with the call cancelled, nobody needs the rest of the work."""

    def __init__(self) -> None:
        self.has_gone = False

    def check(self) -> None:
        """Raise if nobody waits any more. On the query thread."""
        if self.has_gone:
            raise CancelledError


class EngineThread:
    """A shard, its thread, and the QueryPort to it.

    Args:
        description: identity on the wire.
        source: events; consumed in the engine's own event loop.
        shard: the model.
        backend_name: shown to people.
        publish: takes each tick's record; called from the encoding thread.
        on_end: called from the engine's thread, after the last record, when the input has ended or the engine has
            failed.
        timings: where it is counted how long ticks and their encoding take.
        keeper: what the shard is restored from and kept by, if it is to outlive this process; its record is the shard's
            on_closed.
        archive: what minutes are answered from that have left the memory.
        markets: what stands beside the maps by a daily report.
        tables: margin tables that the source tells, if it does.

    Attributes:
        channels: the ChannelPort to it.
    """

    def __init__(
        self,
        *,
        description: ShardDescription,
        source: EventSource,
        shard: Shard,
        backend_name: str,
        publish: Callable[[TickRecord], None],
        on_end: Callable[[], None],
        timings: Timings | None = None,
        keeper: Keeper | None = None,
        archive: ArchiveReader | None = None,
        markets: DailyMarkets | None = None,
        tables: ToldTables | None = None,
    ) -> None:
        self._description = description
        self._source = source
        self._shard = shard
        self._timings = timings or Timings()
        encoder = StreamEncoder(description)
        encode = _timed(encoder.encode, self._timings.encode)
        self._encoding = EncodingThread(encode, publish, encoder.prepare_keyframes)
        self._on_end = on_end
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._query_thread = ThreadPoolExecutor(1, thread_name_prefix="query")
        self._between_ticks = BetweenTicks(self._query_thread)
        self._live_books = LiveBooks(shard, source.exact if isinstance(source, ReportsExact) else tuple)
        self._background = BackgroundWork()
        self._keeper = keeper
        self._archive = archive
        self._markets = markets
        self._tables = tables
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = threading.Event()
        self._started = time.monotonic()
        self._last_output: TickOutput | None = None
        status = EngineStatus(
            state="building",
            message="starting",
            progress=0.0,
            seconds_left=None,
            epoch=description.epoch,
            tick=0,
            backend=backend_name,
            input=description.input,
        )
        self._finished = _Finished(status, {})
        self.channels = ChannelDesk(shard, self._between_ticks, lambda: self._finished.status, self._query_thread)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()
        if self._markets is not None:
            self._markets.start()

    def stop(self) -> None:
        """End the thread and wait for it."""
        self._stopping.set()
        loop, task = self._loop, self._task
        if loop is not None and task is not None and not loop.is_closed():
            loop.call_soon_threadsafe(task.cancel)
        if self._thread.is_alive():
            self._thread.join()
        self._query_thread.shutdown(wait=False, cancel_futures=True)
        self._background.stop()
        if self._markets is not None:
            self._markets.stop()
        if self._keeper is not None:
            self._keeper.stop()

    async def status(self) -> EngineStatus:
        """Return the newest status."""
        status = self._finished.status
        return status if self._markets is None else self._markets.in_status(status)

    async def instruments(self) -> tuple[InstrumentView, ...]:
        """Return every instrument with the rules in force."""
        shard = self._shard
        return tuple(instrument_view(i, shard.market.scale(i.symbol), shard.mix(i)) for i in shard.instruments)

    async def get_grid(self, query: GridQuery) -> GridAnswer:
        """Return an exact grid as of the newest rendered tick, or of a minute before it; see QueryPort."""
        if query.timeframe:
            find_timeframe(query.timeframe)
        view = self._view(query.symbol)
        loop = asyncio.get_running_loop()
        asker = _Asker()
        try:
            return await loop.run_in_executor(self._query_thread, self._answer, view, query, asker.check)
        finally:
            asker.has_gone = True

    async def get_picture(self, query: GridQuery) -> PastPicture:
        """Return the levels of a grid of the past; see QueryPort."""
        answer = await self.get_grid(query)
        paths = [(view.channel.timeframe, view.candles) for view in self._view(query.symbol).channels.values()]
        loop = asyncio.get_running_loop()
        asker = _Asker()
        try:
            return await loop.run_in_executor(self._query_thread, picture_of, answer, paths, asker.check)
        finally:
            asker.has_gone = True

    async def get_liquidation_map(self, query: MapQuery) -> MapAnswer:
        """Return a map of the live book, captured between two ticks; see QueryPort."""
        book = await self._captured_book(query)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._query_thread, self._answer_map, book, query)

    async def get_keyed_book(self, query: MapQuery) -> BookAnswer:
        """Return the live book by key, captured between two ticks; see QueryPort."""
        book = await self._captured_book(query)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._query_thread, book.keyed, query, self._description.epoch)

    def _view(self, symbol: str) -> SymbolView:
        if symbol not in self._shard.symbols:
            raise NotFound(f"symbol {symbol!r} is unknown; known are {', '.join(self._shard.symbols)}")
        finished = self._finished
        view = finished.views.get(symbol)
        if view is None:
            raise NotReady(finished.status.message or "history is still being built", finished.status.progress)
        return view

    async def _captured_book(self, query: MapQuery) -> CapturedBook:
        self._view(query.symbol)
        return await asyncio.wrap_future(self._between_ticks.submit(lambda: self._capture_book(query)))

    def _capture_book(self, query: MapQuery) -> CapturedBook:
        status = self._finished.status
        if status.state == "failed":  # in the middle of a tick, perhaps
            raise Unavailable(f"the engine has failed: {status.message}")
        return self._live_books.capture(query.symbol, query.model)

    def _answer_map(self, book: CapturedBook, query: MapQuery) -> MapAnswer:
        answer = book.answer(query, self._description.epoch)
        return answer if self._markets is None else self._markets.beside(answer, query)

    def _answer(self, view: SymbolView, query: GridQuery, checkpoint: Callable[[], None]) -> GridAnswer:
        checkpoint()
        if self._archive is not None and is_past(view, query):
            return answer_past(self._archive, view, query, self._description.epoch, checkpoint)
        channel = view.channels.get(query.timeframe)
        ledger = view.ledger_of(query.model)
        plan = plan_grid(
            query,
            instruments=view.instruments,
            mixes=view.mixes,
            scale=view.scale,
            mark_price=view.mark_price,
            now_minute=view.now_minute,
            view=ledger,
            history=channel.history if channel is not None else (),
        )
        frame, rows = plan.axes.timeframe, plan.axes.rows
        newest = frame.column_of(plan.minute)
        if channel is not None and query.as_of_minute is None:
            newest = channel.newest_column  # as streamed: behind while the roll of the channel waits for its turn
        return GridAnswer(
            channel=channel.channel if channel is not None else Channel(0, view.symbol, frame),
            epoch=self._description.epoch,
            tick=view.tick,
            generation=plan.generation,
            axes=plan.axes,
            newest_column=newest,
            cells=view.engine.project(ledger, frame, plan.minute, rows, plan.weights, newest, checkpoint),
            usd_per_weighted_lot=np.array(view.scale.usd_per_weighted_lot(rows), np.float64),
            candles=_candles(channel, frame, query.as_of_minute, newest),
            mark_price=view.mark_price,
            source_watermark_ns=view.source_watermark_ns,
            coverage=view.coverage,
            as_of_minute=plan.minute,
            reconciled=plan.reconciled,
            model=query.model,
        )

    def _run(self) -> None:
        self._encoding.start()
        try:
            asyncio.run(self._main())
        finally:
            self._encoding.stop()
            self._on_end()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._between_ticks.begin(self._loop)
        self._task = asyncio.ensure_future(self._consume())
        if self._stopping.is_set():  # stop() may have come before there was a task to cancel
            self._task.cancel()
        try:
            await self._task
            self._encoding.finish()
        except asyncio.CancelledError:
            self._set_status(state="ended", message="stopped")
        except LiqscapeError as error:
            _LOG.error("engine failed: %s", error)
            self._set_status(state="failed", message=str(error))
        except Exception as error:  # the edge must be able to say that the engine is gone, whatever the defect was
            _LOG.exception("engine failed")
            self._set_status(state="failed", message=f"internal error: {type(error).__name__}")
        finally:
            self._between_ticks.end()

    async def _consume(self) -> None:
        renewed = 0.0
        after_ns = self._restore()
        if self._tables is not None:
            self._tables.look()
        async for event in events_after(self._source, after_ns):
            began = time.perf_counter()
            output = self._shard.accept(event)
            if output is not None:
                self._timings.tick_compute.observe(time.perf_counter() - began)
                self._finish_tick(output)
            elif self._last_output is None and time.monotonic() - renewed > _STATUS_SECONDS:
                renewed = time.monotonic()
                self._report_building()
                await asyncio.sleep(0)  # let stop() be heard
        if self._last_output is None:
            final = self._shard.render()
            if final is not None:
                self._finish_tick(final)
        if self._last_output is not None:
            last = await self._last_news(self._last_output)
            self._encoding.submit(replace(last, tick=self._last_output.tick + 1, ended=True))
        self._set_status(state="ended", message="the input has ended")

    def _restore(self) -> int | None:
        """Bring the shard to where an earlier process has left it, serve that, and return when its last tick ended."""
        if self._keeper is None:
            return None
        output = self._keeper.restore(self._shard, self._report_restoring)
        if output is not None:
            self._publish(output)
            self._set_serving()
        return self._shard.end_ns if self._shard.tick else None

    async def _last_news(self, newest: TickOutput) -> TickOutput:
        """Return what has happened since the newest tick, when no other one follows: channels have come or gone."""
        rendered = self._shard.render() if await self.channels.settle() else None
        if rendered is not None:
            return rendered
        opened_tiles, closed = self._shard.on_demand.take_news()
        return replace(newest, channels=(), opened_tiles=opened_tiles, closed=closed)

    def _finish_tick(self, output: TickOutput) -> None:
        self._count_freshness(output)
        self._publish(output)
        self._background.after_tick(self._shard)
        self.channels.after_tick()
        if self._tables is not None:
            self._tables.look()
        if self._keeper is not None:
            self._keeper.after_tick(self._shard)
        self._set_serving()
        self._between_ticks.run()

    def _publish(self, output: TickOutput) -> None:
        self._last_output = output
        self._encoding.submit(output)
        self._finished = _Finished(self._finished.status, self._shard.view())

    def _set_serving(self) -> None:
        message = "" if self._keeper is None else self._keeper.said
        self._set_status(state="serving", message=message, progress=1.0, seconds_left=None)

    def _count_freshness(self, output: TickOutput) -> None:
        freshness, closed_ns = self._timings.freshness, output.bars_closed_unix_ns
        freshness[Stage.BAR_TO_GRID].observe((output.grids_ready_unix_ns - closed_ns) / 1e9)
        if not self._description.replay:
            for symbol in output.symbols:
                freshness[Stage.VENUE_TO_BAR].observe((closed_ns - symbol.source_watermark_ns) / 1e9)

    def _report_restoring(self, text: str) -> None:
        if self._stopping.is_set():
            raise asyncio.CancelledError
        self._set_status(state="building", message=text)

    def _report_building(self) -> None:
        progress = self._source.progress()
        share = progress.done / progress.total if progress.total else 0.0
        elapsed = time.monotonic() - self._started
        left = elapsed / share * (1 - share) if share > 0.02 else None
        about = f", about {left:.0f} s left" if left is not None else ""
        text = f"history is still being built: {share:.0%} of {progress.total} {progress.what}{about}"
        self._set_status(state="building", message=text, progress=share, seconds_left=left)

    def _set_status(
        self, *, state: str, message: str, progress: float | None = None, seconds_left: float | None = None
    ) -> None:
        old = self._finished.status
        status = replace(
            old,
            state=state,
            message=message,
            progress=old.progress if progress is None else progress,
            seconds_left=seconds_left,
            tick=self._shard.tick,
            symbols=self._shard.status(),
            feeds=self._source.feeds() if isinstance(self._source, ReportsFeeds) else (),
            counters={
                **self._shard.counters,
                **self._background.counters,
                **({} if self._keeper is None else self._keeper.all_counters),
                **({} if self._tables is None else self._tables.counters),
                "waits_for_encoding": self._encoding.waits,
                **self.channels.counters,
            },
        )
        self._finished = replace(self._finished, status=status)

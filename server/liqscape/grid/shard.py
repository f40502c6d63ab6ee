"""One engine shard: events in, tick outputs out. Joins market, positions and grid for its symbols; no I/O, no thread.

Everything that decides state is in the events; the wall clock is asked only for the stamps of a tick.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice, zip_longest
from typing import Final

from liqscape.axes import MINUTE_NS, TIMEFRAMES, SymbolScale, last_minute_before
from liqscape.device.backend import Backend, CompactedPast, LedgerView
from liqscape.errors import ModelError
from liqscape.events import Event, PositionStatement, TickEnd
from liqscape.grid.book_steps import Step, steps_by_symbol
from liqscape.grid.custom_channels import ChannelBuild
from liqscape.grid.engine import GridEngine
from liqscape.grid.event_log import EventLog
from liqscape.grid.open_channels import MAX_HOST_CUSTOM_CHANNELS, OpenChannels
from liqscape.grid.rolls import DEFAULT_ROLLS_PER_TICK, RollQueue, RollsSnapshot
from liqscape.grid.symbol_model import ServedState, SymbolModel, SymbolSnapshot, SymbolView
from liqscape.grid.updates import Channel, ChannelUpdate, PositionModel, SymbolStatus, TickOutput
from liqscape.instruments import Instrument
from liqscape.market.bars import Bar
from liqscape.market.closed_tick import ClosedTick, MarketSnapshot
from liqscape.market.state import MarketState
from liqscape.market.terms import Terms
from liqscape.positions.book import BookStep, PositionBook
from liqscape.positions.cohort_book import CohortBook
from liqscape.positions.inflow import all_terms
from liqscape.positions.lockstep import run_together
from liqscape.positions.stated_changes import AccountNews

MAX_RAW_EVENTS_WHILE_BUILDING: Final = 7 << 20
"""Raw events of a log before they are merged while history is built: 170 MB. Somewhat below a power of two, to which a
log has grown by then: at one it would just have doubled.
"""

UNHEARD_NS: Final = 10 * MINUTE_NS
"""Between two ticks: where more has passed nobody has listened, for the server was down. What accounts were stated to
hold is then no older than before: it stands until they are asked again, which takes minutes. Were it let go at once, it
would go on as estimated, and be stated again beside that."""

BarObserver = Callable[[str, list[Bar], BookStep], None]
"""Called with symbol, bars and what they did to the book; for exports and scores. A step of statements has no bars."""


TickObserver = Callable[[int, ClosedTick], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardSnapshot:
    """A Shard without its grids; symbols in the order of their first bars."""

    tick: int
    end_ns: int
    rendered_tick: int
    market: MarketSnapshot
    rolls: RollsSnapshot
    symbols: tuple[SymbolSnapshot, ...]


class Shard:
    """The model of a set of symbols.

    Args:
        instruments: everything the events may name.
        backend: where tables and grids live.
        now_ns: wall clock, for stamps.
        observe: called after each tick of each symbol.
        mixes: inflow shares by instrument id, millionths by leverage tier; the shipped prior where absent.
        size_mixes: shares by instrument id, millionths by maintenance tier; all in the first where absent.
        with_open_only: keep the open-only book beside the model's, to compare with: a fifth of the work of a tick.
        rolls_per_tick: see RollQueue; part of what decides the ticks, so it is recorded with them.
        on_closed: called with the number of a tick and everything that decides it, before it changes anything here.
        max_custom_channels: open at one time.

    Attributes:
        on_demand: tiles and custom channels; to be opened and closed between ticks. What they are changes nothing about
            the default channels.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        backend: Backend,
        now_ns: Callable[[], int],
        observe: BarObserver | None = None,
        mixes: Mapping[str, Sequence[int]] | None = None,
        size_mixes: Mapping[str, Sequence[int]] | None = None,
        with_open_only: bool = True,
        rolls_per_tick: int = DEFAULT_ROLLS_PER_TICK,
        max_custom_channels: int = MAX_HOST_CUSTOM_CHANNELS,
        on_closed: TickObserver | None = None,
    ) -> None:
        self.instruments = tuple(sorted(instruments, key=lambda i: i.instrument_id))
        self.symbols = tuple(sorted({i.symbol for i in self.instruments}))
        self.market = MarketState(self.instruments)
        self.channels = tuple(
            Channel(number + 1, symbol, frame)
            for number, (symbol, frame) in enumerate((s, f) for s in self.symbols for f in TIMEFRAMES)
        )
        self.tick = 0
        self.end_ns = 0
        self._backend = backend
        self._now_ns = now_ns
        self._observe = observe
        self._symbol_of = {i.instrument_id: i.symbol for i in self.instruments}
        self._terms = {t.instrument_id: t for t in all_terms(self.instruments, mixes, size_mixes)}
        self._proposed: dict[str, Terms] = {}  # by instrument id
        self._with_open_only = with_open_only
        self._rolls = RollQueue(rolls_per_tick)
        self._models: dict[str, SymbolModel] = {}
        self._on_closed = on_closed
        self._rendered_tick = 0
        self.on_demand = OpenChannels(self.channels, self._models, max_custom_channels)
        self._render_ms = 0.0

    @property
    def counters(self) -> dict[str, int]:
        """Return what was refused at the door, which channels are open, and how the device fares."""
        return {**self.market.counters, **self.on_demand.counters, **self._backend.counters}

    def accept(self, event: Event) -> TickOutput | None:
        """Take one event; return what changed if it ends a rendered tick.

        The tick number counts every TickEnd, rendered or not, so that it says how many bars the state stands on.
        """
        if not isinstance(event, TickEnd):
            self.market.apply(event)
            return None
        closed = self.market.close(event)
        closed_ns = self._now_ns()
        if self._proposed:
            closed, self._proposed = replace(closed, terms=tuple(self._proposed.values())), {}
        if self._on_closed is not None:
            self._on_closed(self.tick + 1, closed)
        self._take(closed)
        if closed.render:
            return self.render(closed_ns)
        self._bound_history()
        return None

    @property
    def terms(self) -> tuple[Terms, ...]:
        """Return the terms in force, by instrument id."""
        return tuple(self._terms.values())

    @property
    def coming_terms(self) -> tuple[Terms, ...]:
        """Return the terms in force from the next tick on, as far as is known."""
        return tuple({**self._terms, **self._proposed}.values())

    def begin_with(self, terms: Iterable[Terms]) -> None:
        """Have other terms in force from the beginning. Before any event, replay or restore.

        Raises:
            ModelError: they are of other instruments.
        """
        self._adopt(terms)

    def propose(self, terms: Iterable[Terms]) -> list[str]:
        """Have terms in force from the next tick on, which tells so; return in words what they change.

        What was proposed of other instruments since the last tick stays proposed.

        Raises:
            ConfigError: a change would not be exact; then none of them is proposed.
        """
        changes = [(t, t.changed_from(self._terms[t.instrument_id])) for t in terms]
        for changed, what in changes:
            self._proposed.pop(changed.instrument_id, None)
            if what:
                self._proposed[changed.instrument_id] = changed
        return [f"{what} of {changed.instrument_id}" for changed, what in changes if what]

    def replay(self, tick: ClosedTick, *, render: bool = False) -> TickOutput | None:
        """Take a tick that was closed before, as accept did then; return what changed if it ends a rendered tick.

        Args:
            tick: the one that follows.
            render: as accept does; else the grids are left to restate, and nothing is returned.

        Raises:
            ModelError: it does not follow the last one, or names what is not here.
        """
        self.market.follow(tick)
        self._take(tick)
        if tick.render and render:
            return self.render()
        if tick.render and self._models:
            minute, rolls = self._turn()
            for model in self._models.values():
                model.engine.follow(minute, model.mark_price, rolls)
        self._bound_history()
        return None

    def restate(self) -> TickOutput | None:
        """Return everything as of the last rendered tick, for a stream that begins anew; None before there was one.

        What comes next tells what has changed since.
        """
        models = tuple(self._models.values())
        self._backend.advance([request for model in models for request in model.engine.rebuild()])
        updates = tuple(update for model in models for update in model.engine.whole())
        return self._output(updates, self._now_ns()) if updates else None

    @property
    def may_be_snapshot(self) -> bool:
        """Return whether grids follow from the books: nothing was rendered yet, or this very tick was."""
        return self._rendered_tick in (0, self.tick)

    def snapshot(self) -> Callable[[], ShardSnapshot]:
        """Capture everything but the grids and return the work of copying it, for any thread. Between ticks.

        Raises:
            ModelError: something was rendered, and this tick was not.
        """
        if not self.may_be_snapshot:
            raise ModelError(f"tick {self.tick} was not rendered; the grids are those of tick {self._rendered_tick}")
        tick, end_ns, rendered = self.tick, self.end_ns, self._rendered_tick
        market, rolls = self.market.snapshot(), self._rolls.snapshot()
        models = [model.snapshot() for model in self._models.values()]
        return lambda: ShardSnapshot(
            tick=tick,
            end_ns=end_ns,
            rendered_tick=rendered,
            market=market,
            rolls=rolls,
            symbols=tuple(copy() for copy in models),
        )

    def restore(self, snapshot: ShardSnapshot) -> None:
        """Be as when a snapshot was taken, grids left to restate. Before any event; after an error it is in any state.

        Raises:
            ModelError: it is of other instruments, mixes or books.
        """
        self.tick, self.end_ns, self._rendered_tick = snapshot.tick, snapshot.end_ns, snapshot.rendered_tick
        self.market.restore(snapshot.market)
        self._rolls.restore(snapshot.rolls)
        for symbol in snapshot.symbols:
            self._model(symbol.symbol).restore(symbol, last_minute_before(snapshot.end_ns))

    def render(self, closed_ns: int | None = None) -> TickOutput | None:
        """Recompute the grids as of the last TickEnd and return what changed; None before any price was seen.

        Args:
            closed_ns: wall clock when the bars of the tick were closed, before books took them; None = they were taken
                long ago.
        """
        if not self._models:
            return None
        began_ns = self._now_ns()
        models = tuple(self._models.values())
        minute, rolls = self._turn()
        due = [model.engine.prepare(minute, model.mark_price, rolls) for model in models]
        changed = iter(self._backend.advance([channel.request for of_symbol in due for channel in of_symbol]))
        updates: list[ChannelUpdate] = []
        for model, of_symbol in zip(models, due, strict=True):
            updates.extend(model.engine.finish(of_symbol, list(islice(changed, len(of_symbol)))))
        self._render_ms = (self._now_ns() - began_ns) / 1e6
        opened_tiles, closed = self.on_demand.take_news()
        output = self._output(tuple(updates), began_ns if closed_ns is None else closed_ns)
        return replace(output, opened_tiles=opened_tiles, closed=closed)

    def channel_builds(self) -> list[ChannelBuild]:
        """Return first grids of custom channels that are to be made on another thread. Call it between ticks."""
        minute = last_minute_before(self.end_ns)
        engines = (model.engine for model in self._models.values())
        return [build for engine in engines for build in engine.custom.builds(engine.capture, minute)]

    def retry_build(self, build: ChannelBuild) -> None:
        """Have a first grid that could not be made begun anew. Call it between ticks."""
        self._models[build.channel.symbol].engine.custom.retry(build)

    def view(self) -> dict[str, SymbolView]:
        """Return every symbol as of the last render; call it between ticks."""
        minute = last_minute_before(self.end_ns)
        return {symbol: model.view(self.tick, minute, self.market) for symbol, model in self._models.items()}

    def served(self) -> tuple[ServedState, ...]:
        """Return what is said of each symbol seen so far, beside its grids; call it between ticks."""
        return tuple(model.served(self.tick, self.market) for model in self._models.values())

    def price_leaders(self) -> dict[str, str | None]:
        """Return by symbol the instrument whose price is that of the symbol in the next tick; see SymbolModel."""
        return {symbol: model.price_leader for symbol, model in self._models.items()}

    def ledgers(self) -> dict[str, tuple[SymbolScale, LedgerView]]:
        """Return the events of each symbol seen so far, and the units of their rows; call it between ticks."""
        return {symbol: (model.engine.scale, model.engine.capture()) for symbol, model in self._models.items()}

    def compactions(self) -> list[tuple[EventLog, Callable[[], CompactedPast]]]:
        """Return the merges that are due, and the log that adopts each; see EventLog. Call it between ticks."""
        minute = last_minute_before(self.end_ns)
        due = ((log, log.compaction(minute)) for model in self._models.values() for log in model.logs)
        return [(log, work) for log, work in due if work is not None]

    def self_check(self, number: int) -> Callable[[], str | None] | None:
        """Return a comparison of one channel with its full recompute; numbers go through all channels in turn."""
        if not self._models:
            return None
        symbol = self.symbols[number % len(self.symbols)]
        if symbol not in self._models:
            return None
        return self._models[symbol].engine.self_check(number // len(self.symbols), last_minute_before(self.end_ns))

    def mix(self, instrument: Instrument) -> tuple[int, ...]:
        """Return the inflow mix in force of an instrument, millionths by leverage tier."""
        return self._terms[instrument.instrument_id].inflow_mix

    def status(self) -> tuple[SymbolStatus, ...]:
        """Return size and coverage of each symbol seen so far; call it between ticks.

        The milliseconds of a tick are those of the grids of all symbols, which are made together.
        """
        return tuple(model.status(self.market, self.tick, self._render_ms) for model in self._models.values())

    def book(self, symbol: str) -> PositionBook:
        """Return the book of a symbol; to be read, not changed."""
        return self._models[symbol].book

    def live_book(self, symbol: str, model: PositionModel) -> CohortBook:
        """Return the book of a symbol by a model; to be read, not changed."""
        return self._models[symbol].live_book(model)

    def engine(self, symbol: str) -> GridEngine:
        """Return the grid engine of a symbol; to be read, not changed."""
        return self._models[symbol].engine

    def _take(self, tick: ClosedTick) -> None:
        passed_ns = tick.end_ns - self.end_ns if self.tick else 0
        self.tick += 1
        self.end_ns = tick.end_ns
        self._adopt(tick.terms)
        self._step(tick.bars, self._news(tick, passed_ns if passed_ns > UNHEARD_NS else 0))

    def _news(self, tick: ClosedTick, unheard_ns: int) -> dict[str, AccountNews]:
        """Return what is stated in a tick, by symbol; nothing, but the time, where a statement may have grown old.

        How old it is says the source's clock: ticks that are held, because that was set back, end at other times.
        """
        now_ns = tick.end_ns - tick.held_ns
        minute, by_symbol = last_minute_before(tick.end_ns), dict[str, list[PositionStatement]]()
        for statement in tick.statements:
            by_symbol.setdefault(self._symbol_of[statement.instrument_id], []).append(statement)
        for symbol, model in self._models.items():
            if model.book.stated_is_due(now_ns) or (unheard_ns and model.book.has_stated):
                by_symbol.setdefault(symbol, [])
        return {symbol: AccountNews(minute, now_ns, tuple(said), unheard_ns) for symbol, said in by_symbol.items()}

    def _adopt(self, changed: Iterable[Terms]) -> None:
        for terms in changed:
            name = terms.instrument_id
            if name not in self._terms:
                raise ModelError(f"terms of {name!r}, which is none of the instruments here")
            self.instruments = tuple(terms.instrument if i.instrument_id == name else i for i in self.instruments)
            self._terms[name] = terms
            if terms.instrument.symbol in self._models:
                self._models[terms.instrument.symbol].change_terms(terms)

    def _turn(self) -> tuple[int, frozenset[int]]:
        """Return the minute of a tick that is rendered, and which channels roll in it."""
        minute = last_minute_before(self.end_ns)
        self._rendered_tick = self.tick
        due = [c for m in self._models.values() for c in m.engine.due_rolls(minute, m.mark_price)]
        return minute, self._rolls.take(due, self.end_ns)

    def _output(self, updates: tuple[ChannelUpdate, ...], closed_ns: int) -> TickOutput:
        models = self._models.values()
        return TickOutput(
            tick=self.tick,
            channels=updates,
            symbols=tuple(m.update() for m in models),
            venues=tuple(c for m in models for c in m.coverage(self.market, self.tick)),
            bars_closed_unix_ns=closed_ns,
            grids_ready_unix_ns=self._now_ns(),
        )

    def _bound_history(self) -> None:
        """Merge at once, while nobody waits for a tick, what would otherwise fill the memory."""
        minute = last_minute_before(self.end_ns)
        for model in self._models.values():
            for log in model.logs:
                work = log.compaction(minute) if log.raw_events > MAX_RAW_EVENTS_WHILE_BUILDING else None
                if work is not None:
                    log.adopt(work())

    def _step(self, bars: Sequence[Bar], news: Mapping[str, AccountNews]) -> None:
        by_symbol = steps_by_symbol(bars, self.symbols, news)
        for together in zip_longest(*by_symbol.values()):
            self._step_together({s: step for s, step in zip(by_symbol, together, strict=True) if step is not None})
        # Not before: the bars of a tick are all on the rows of its beginning.
        for symbol, steps in by_symbol.items():
            minute = steps[-1].minute
            self._models[symbol].elect_price_leader()
            # Nor in a step without bars: whether there is one for the age of statements is no part of the state.
            if steps[-1].bars and self._models[symbol].coarsening_is_due(minute):
                self._models[symbol].coarsen_rows(self.market.coarsen_rows(symbol), minute)

    def _step_together(self, steps: Mapping[str, Step]) -> None:
        """Take steps by symbol; every book of all of them steps at once."""
        models = {symbol: self._model(symbol) for symbol in steps}
        stages = [model.stages(steps[symbol].bars, steps[symbol].news) for symbol, model in models.items()]
        done = iter(run_together(self._backend, [book for of_symbol in stages for book in of_symbol]))
        for (symbol, model), of_symbol in zip(models.items(), stages, strict=True):
            did = list(islice(done, len(of_symbol)))
            model.record(steps[symbol].bars, did)
            if self._observe is not None:
                self._observe(symbol, steps[symbol].bars, did[0])

    def _model(self, symbol: str) -> SymbolModel:
        """Return the model of a symbol, a new one at its first bar."""
        model = self._models.get(symbol)
        if model is None:
            scale = self.market.scale(symbol)
            if scale is None:
                raise ModelError(f"a bar of {symbol} came before its first price")
            instruments = [i for i in self.instruments if i.symbol == symbol]
            channels = tuple(c for c in self.channels if c.symbol == symbol)
            model = self._models[symbol] = SymbolModel(
                symbol,
                instruments,
                channels,
                scale,
                self._backend,
                {name: terms.inflow_mix for name, terms in self._terms.items()},
                {name: terms.size_mix for name, terms in self._terms.items()},
                self._with_open_only,
            )
        return model

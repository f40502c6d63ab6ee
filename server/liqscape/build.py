"""The engine that a configuration asks for: source -> shard -> encoder, in a thread that is not yet started."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from liqscape.archive.reader import ArchiveReader
from liqscape.broadcast.ports import ShardDescription, TickRecord
from liqscape.clock import Clock
from liqscape.config import ServeConfig
from liqscape.daily_markets import DailyMarkets
from liqscape.device.choice import Chosen
from liqscape.device.memory_budget import MemoryBudget, needs
from liqscape.durability import archivist_of, keeper_of, open_data_folder
from liqscape.engine import EngineThread
from liqscape.errors import ConfigError
from liqscape.feeds.build import build_source
from liqscape.feeds.daily_report import DailyReport
from liqscape.feeds.source import EventSource
from liqscape.feeds.tables import board_of
from liqscape.grid.open_channels import MAX_HOST_CUSTOM_CHANNELS
from liqscape.grid.rolls import DEFAULT_ROLLS_PER_TICK
from liqscape.grid.shard import Shard
from liqscape.journal.data_folder import DataFolder
from liqscape.metrics import Timings
from liqscape.model_file import ModelFile, read_model_file
from liqscape.positions.inflow import all_terms
from liqscape.told_tables import ToldTables, under_kept

_LOG = logging.getLogger(__name__)


class Publisher(Protocol):
    """Whoever takes the records of a shard: the frame source of one edge, or of many."""

    def publish(self, record: TickRecord) -> None:
        """Take a record; never waits. Called from the encoding thread."""
        ...


_P = TypeVar("_P", bound=Publisher)


@dataclass(frozen=True, slots=True)
class BuiltEngine(Generic[_P]):
    """An engine and what it is made of."""

    description: ShardDescription
    source: EventSource
    chosen: Chosen
    frames: _P
    thread: EngineThread


def build_engine(
    config: ServeConfig,
    clock: Clock,
    choose: Callable[[str, int], Chosen],
    publish_to: Callable[[ShardDescription], _P],
    timings: Timings,
    on_end: Callable[[], None],
) -> BuiltEngine[_P]:
    """Build everything from the source to the encoder.

    Args:
        config: what to run.
        clock: wall clock of source and engine.
        choose: returns the backend for its name and the number of a device.
        publish_to: returns what takes the records of a shard.
        timings: where it is counted how long things take.
        on_end: called from the engine's thread when the input has ended or the engine has failed.

    Raises:
        ConfigError: a setting is wrong, or the backend cannot run or has no room for the symbols, or what is in the
            data folder was made with other settings.
    """
    folder, start_ns = open_data_folder(config)
    try:
        return _build(config, clock, choose, publish_to, timings, on_end, folder, start_ns)
    except BaseException:
        if folder is not None:
            folder.close()
        raise


def _build(
    config: ServeConfig,
    clock: Clock,
    choose: Callable[[str, int], Chosen],
    publish_to: Callable[[ShardDescription], _P],
    timings: Timings,
    on_end: Callable[[], None],
    folder: DataFolder | None,
    start_ns: int | None,
) -> BuiltEngine[_P]:
    """Build an engine with a data folder, which its keeper closes; see build_engine."""
    source = build_source(config.source, clock, start_ns, None if folder is None else folder.account_key)
    about = source.description
    chosen = choose(config.backend, config.device)
    _LOG.info("backend %s", chosen)
    model = read_model_file(config.model, about.instruments) if config.model is not None else ModelFile()
    tables = board_of(source)
    # A model file names the leverages of the shipped rules: it must not go wrong because a venue has changed its own.
    wanted = under_kept(all_terms(about.instruments, model.inflow_mixes, model.size_mixes), tables)
    instruments = tuple(terms.instrument for terms in wanted)
    custom_channels = MAX_HOST_CUSTOM_CHANNELS
    if chosen.free_bytes is not None:
        budget = MemoryBudget(chosen.free_bytes)
        for symbol, need in needs(instruments, with_open_only=config.with_open_only).items():
            budget.admit(symbol, need)
        custom_channels = budget.admit_custom_channels(instruments)
    markets = _markets_of(config, clock, model, replay=about.replay)
    rolls_per_tick = DEFAULT_ROLLS_PER_TICK if config.rolls_per_tick is None else config.rolls_per_tick
    keeper, reader = None, None
    if folder is not None:
        archivist = archivist_of(folder, config, about)
        keeper = keeper_of(folder, config, about, wanted, rolls_per_tick, archivist)
        reader = ArchiveReader(folder.archive_path, about.instruments)
    shard = Shard(
        instruments,
        chosen.backend,
        clock.now_ns,
        mixes={terms.instrument_id: terms.inflow_mix for terms in wanted},
        size_mixes={terms.instrument_id: terms.size_mix for terms in wanted},
        with_open_only=config.with_open_only,
        rolls_per_tick=rolls_per_tick,
        max_custom_channels=custom_channels,
        on_closed=None if keeper is None else keeper.record,
    )
    description = ShardDescription(
        source_id=config.source_id,
        epoch=secrets.randbits(63) + 1,
        tick_ms=about.tick_ms,
        simulated=about.simulated,
        replay=about.replay,
        input=about.name,
        channels=shard.channels,
    )
    frames = publish_to(description)
    thread = EngineThread(
        description=description,
        source=source,
        shard=shard,
        backend_name=chosen.backend.name,
        publish=frames.publish,
        on_end=on_end,
        timings=timings,
        keeper=keeper,
        archive=reader,
        markets=markets,
        tables=None if tables is None else ToldTables(shard, tables, clock.now_ns),
    )
    return BuiltEngine(description, source, chosen, frames, thread)


def _markets_of(config: ServeConfig, clock: Clock, model: ModelFile, *, replay: bool) -> DailyMarkets | None:
    if config.cme is None:
        if model.cme:
            raise ConfigError(f"model file {config.model} assumes leverages of CME, whose daily file --cme names")
        return None
    return DailyMarkets(DailyReport(config.cme, clock.now_ns), model.cme, clock.now_ns, replay=replay)

"""Read this first: every stage, joined. Nothing else knows the whole.

    source -> shard (market -> positions -> grid) -> encoder -> frame source -> hub -> gRPC

The first three run in the engine's thread, the rest in the event loop of serve(). A thread is one way to join the
roles; both sides know each other only by the ports of broadcast/ports.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from liqscape.api.calls import Calls
from liqscape.api.grpc_service import serve_grpc
from liqscape.api.http_service import serving_http
from liqscape.api.tls import HttpTls
from liqscape.broadcast.hub import Hub
from liqscape.broadcast.in_process import InProcessFrameSource
from liqscape.broadcast.ports import ShardDescription
from liqscape.clock import Clock, SystemClock
from liqscape.config import MANY_VENUES, ServeConfig, SourceConfig
from liqscape.device.choice import Chosen, choose_backend
from liqscape.device.memory_budget import MemoryBudget, needs
from liqscape.durability import keeper_of, open_data_folder
from liqscape.engine import EngineThread
from liqscape.errors import ConfigError
from liqscape.feeds.source import EventSource, Progress
from liqscape.grid.open_channels import MAX_HOST_CUSTOM_CHANNELS
from liqscape.grid.rolls import DEFAULT_ROLLS_PER_TICK
from liqscape.grid.shard import Shard
from liqscape.grid.updates import EngineStatus
from liqscape.instruments import Instrument, find_instrument
from liqscape.journal.data_folder import DataFolder
from liqscape.metrics import Timings
from liqscape.model_file import ModelFile, read_model_file

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that serves. `ended` is set when the input has ended or the engine has failed.

    `input` and `backend` are in words for people; the latter says why it is that one. `page` is the address of the page
    and `metrics` that of /metrics, if they are served. `drain` sends readers elsewhere; see RunningGrpcServer.
    """

    address: str
    input: str
    backend: str
    ended: asyncio.Event
    status: Callable[[], Awaitable[EngineStatus]]
    progress: Callable[[], Progress]
    page: str | None
    metrics: str | None
    streams: Callable[[], int]
    drain: Callable[[], Awaitable[None]]


def build_source(config: SourceConfig, clock: Clock, start_ns: int | None = None) -> EventSource:
    """Return the input a configuration asks for; of a simulation, the one that began then.

    Raises:
        ConfigError: a setting does not fit the kind. InputDataError: the recording breaks a rule.
    """
    if config.kind == "simulate":
        return _build_simulation(config, clock, start_ns)
    from liqscape.feeds.history import HistorySource
    from liqscape.feeds.recordings import recordings_folder

    if config.manifest is None:
        raise ConfigError("source history needs a manifest; use history:FILE")
    if config.venues is not None or config.scenario != "usual":
        raise ConfigError("venues and scenario are of a simulation; a recording has its own")
    return HistorySource(
        config.manifest,
        recordings=config.recordings or recordings_folder(),
        symbols=config.symbols,
        speed=config.speed,
        clock=clock,
    )


def _build_simulation(config: SourceConfig, clock: Clock, start_ns: int | None) -> EventSource:
    from liqscape.feeds.simulate import SimulateSource
    from liqscape.feeds.simulated_venues import find_scenario, many_venues

    if config.speed is None:
        raise ConfigError("speed 'max' needs a recording; use a number with simulate")
    symbols = config.symbols or ("BTC", "ETH")
    instruments: tuple[Instrument, ...] | None = None
    if config.venues is not None:
        many = config.venues == (MANY_VENUES,)
        instruments = many_venues(symbols) if many else tuple(find_instrument(name) for name in config.venues)
    return SimulateSource(
        seed=config.seed,
        symbols=symbols,
        instruments=instruments,
        scenario=find_scenario(config.scenario),
        clock=clock,
        start_ns=start_ns,
        follows_clock=True,
        speed=config.speed,
    )


async def serve(
    config: ServeConfig,
    use: Callable[[RunningServer], Awaitable[None]],
    clock: Clock | None = None,
    choose: Callable[[str, int], Chosen] = choose_backend,
) -> None:
    """Run a server until `use` returns; then stop it, streams first.

    Args:
        config: what to run.
        use: called once the address is bound, while history may still be being built.
        clock: wall clock of source and engine; the machine's by default.
        choose: returns the backend for its name and the number of a device.

    Raises:
        ConfigError: a setting is wrong, or the backend cannot run or has no room for the symbols, or what is in the
            data folder was made with other settings.
    """
    folder, start_ns = open_data_folder(config)
    with contextlib.nullcontext() if folder is None else contextlib.closing(folder):
        await _serve(config, use, clock or SystemClock(), choose, folder, start_ns)


async def _serve(
    config: ServeConfig,
    use: Callable[[RunningServer], Awaitable[None]],
    clock: Clock,
    choose: Callable[[str, int], Chosen],
    folder: DataFolder | None,
    start_ns: int | None,
) -> None:
    source = build_source(config.source, clock, start_ns)
    about = source.description
    chosen = choose(config.backend, config.device)
    _LOG.info("backend %s", chosen)
    custom_channels = MAX_HOST_CUSTOM_CHANNELS
    if chosen.free_bytes is not None:
        budget = MemoryBudget(chosen.free_bytes)
        for symbol, need in needs(about.instruments, with_open_only=config.with_open_only).items():
            budget.admit(symbol, need)
        custom_channels = budget.admit_custom_channels(about.instruments)
    backend = chosen.backend
    model = read_model_file(config.model, about.instruments) if config.model is not None else ModelFile()
    rolls_per_tick = DEFAULT_ROLLS_PER_TICK if config.rolls_per_tick is None else config.rolls_per_tick
    keeper = None if folder is None else keeper_of(folder, config, about, model, rolls_per_tick)
    shard = Shard(
        about.instruments,
        backend,
        clock.now_ns,
        mixes=model.inflow_mixes,
        size_mixes=model.size_mixes,
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
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    frames = InProcessFrameSource(description)
    timings = Timings()
    engine = EngineThread(
        description=description,
        source=source,
        shard=shard,
        backend_name=backend.name,
        publish=frames.publish,
        on_end=lambda: _set_from_thread(loop, ended),
        timings=timings,
        keeper=keeper,
    )
    hub = Hub(frames, channels=engine.channels, timings=timings)
    server = await serve_grpc(
        config.listen, hub, engine, insecure=config.insecure, tls=config.tls, tokens=config.tokens
    )
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(hub.running())
        stack.push_async_callback(asyncio.to_thread, engine.stop)
        stack.push_async_callback(server.stop, config.stop_grace_seconds)
        page = None
        if config.http is not None:
            page = await stack.enter_async_context(_serving_web(config.http, config, server.calls, hub.monotonic))
        metrics = None
        if config.metrics is not None:
            metrics = await stack.enter_async_context(
                serving_http(config.metrics, hub, engine, insecure=config.insecure)
            )
        engine.start()
        running = RunningServer(
            address=server.address,
            input=about.name,
            backend=str(chosen),
            ended=ended,
            status=engine.status,
            progress=source.progress,
            page=page,
            metrics=metrics,
            streams=lambda: hub.counters.streams_open,
            drain=lambda: server.drain(config.drain_seconds),
        )
        _LOG.info("serving", extra={"fields": {"address": running.address, "metrics": metrics, "input": about.name}})
        await use(running)


def _serving_web(
    address: str, config: ServeConfig, calls: Calls, monotonic: Callable[[], float]
) -> contextlib.AbstractAsyncContextManager[str]:
    # Not above: a server without a page runs without what the page needs.
    from liqscape.api.web_assets import WebAssets
    from liqscape.api.web_service import serving_web

    return serving_web(
        address,
        calls,
        monotonic,
        assets=WebAssets.find(),
        tls=None if config.tls is None else HttpTls(config.tls).context,
        tokens=config.tokens is not None,
        insecure=config.insecure,
    )


def _set_from_thread(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(event.set)

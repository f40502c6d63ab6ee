"""Read this first: every stage, joined. Nothing else knows the whole.

    source -> shard (market -> positions -> grid) -> encoder -> frame source -> hub -> gRPC

The first three are the engine and run in a thread of their own, the rest is the edge and runs in an event loop. Both
know each other only by the ports of broadcast/ports.py, so they may be joined in two ways:

    serve()                          one process: the edge takes the records from the engine's thread
    serving_engine, serving_edge     a process for the engine and one for each edge, with liqscape.link between them;
                                     liqscape.workers starts them, and starts them again
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from liqscape.api.event_loop_lag import probing_lag
from liqscape.api.grpc_service import RunningGrpcServer, serve_grpc
from liqscape.api.tickets import TicketOffice
from liqscape.api.tls import HttpTls
from liqscape.broadcast.accounts import Account
from liqscape.broadcast.hub import Hub
from liqscape.broadcast.hubs import PEER_LAG_S, Hubs
from liqscape.broadcast.in_process import InProcessFrameSource
from liqscape.broadcast.ports import QueryPort
from liqscape.clock import Clock, SystemClock
from liqscape.config import ServeConfig
from liqscape.device.choice import Chosen, choose_backend
from liqscape.feeds.source import EventSource, Progress
from liqscape.link.asker import Asker
from liqscape.link.engine_link import AbsentFrames, EngineLink
from liqscape.link.fan import Fan
from liqscape.link.host import hosting, port_methods
from liqscape.link.leases import Leases
from liqscape.link.places import engine_socket, supervisor_socket
from liqscape.link.reports import Reporter
from liqscape.link.shared_tickets import SharedTickets
from liqscape.metrics import Timings
from liqscape.running import RunningServer as RunningServer
from liqscape.running import StartedEngine

_LOG = logging.getLogger(__name__)

FIND_ENGINE_S: Final = 1.0
"""An engine that is there is found in a few milliseconds; one that starts takes longer, and its edges answer so."""


async def serve(
    config: ServeConfig,
    use: Callable[[RunningServer], Awaitable[None]],
    clock: Clock | None = None,
    choose: Callable[[str, int], Chosen] = choose_backend,
) -> None:
    """Run a server in this process until `use` returns; then stop it, streams first.

    Args:
        config: what to run.
        use: called once the address is bound, while history may still be being built.
        clock: wall clock of source and engine; the machine's by default.
        choose: returns the backend for its name and the number of a device.

    Raises:
        ConfigError: a setting is wrong, or the backend cannot run or has no room for the symbols.
    """
    from liqscape.build import build_engine

    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    timings = Timings()
    built = build_engine(
        config,
        clock or SystemClock(),
        choose,
        InProcessFrameSource,
        timings,
        on_end=lambda: _set_from_thread(loop, ended),
    )
    engine = built.thread
    hub = Hub(built.frames, channels=engine.channels, timings=timings)
    server = await serve_grpc(
        config.listen, hub, engine, insecure=config.insecure, tls=config.tls, tokens=config.tokens
    )
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(hub.running())
        stack.push_async_callback(asyncio.to_thread, engine.stop)
        stack.push_async_callback(server.stop, config.stop_grace_seconds)
        page = None
        if config.http is not None:
            page = await stack.enter_async_context(_serving_web(config.http, config, server, Hubs(hub), engine))
        metrics = None
        if config.metrics is not None or config.http is not None:
            await stack.enter_async_context(probing_lag(timings.event_loop_lag, hub.monotonic))
        if config.metrics is not None:
            from liqscape.api.http_service import serving_http

            metrics = await stack.enter_async_context(
                serving_http(config.metrics, hub, engine.status, server.accounts, insecure=config.insecure)
            )
        engine.start()
        about = built.description.input
        running = RunningServer(
            address=server.address,
            input=about,
            backend=str(built.chosen),
            ended=ended,
            status=engine.status,
            progress=lambda: _progress(built.source),
            page=page,
            metrics=metrics,
            streams=lambda: hub.counters.streams_open,
            drain=lambda: server.drain(config.drain_seconds),
        )
        _LOG.info("serving", extra={"fields": {"address": running.address, "metrics": metrics, "input": about}})
        await use(running)


@dataclass(frozen=True, slots=True)
class RunningEdge:
    """The doors of an edge; `page` is the address of the page, if it is served."""

    server: RunningGrpcServer
    page: str | None


@contextlib.asynccontextmanager
async def serving_engine(config: ServeConfig, folder: Path, life: int) -> AsyncIterator[StartedEngine]:
    """Run an engine for the edges of other processes until the block is left.

    Args:
        config: what to run.
        folder: where the sockets of this server are.
        life: number of this process.

    Raises:
        ConfigError: a setting is wrong, or the backend cannot run or has no room for the symbols.
    """
    from liqscape.build import build_engine

    timings = Timings()
    built = build_engine(config, SystemClock(), choose_backend, Fan, timings, on_end=lambda: None)
    engine = built.thread
    methods = {**port_methods(engine), "progress": lambda: _progress(built.source)}
    async with contextlib.AsyncExitStack() as stack:
        supervisor = Asker(supervisor_socket(folder), "the supervisor")
        stack.push_async_callback(supervisor.close)
        await stack.enter_async_context(Reporter(supervisor, life, Account(timings=timings)).running())
        await stack.enter_async_context(hosting(engine_socket(folder), methods, built.frames, Leases(engine.channels)))
        stack.push_async_callback(asyncio.to_thread, engine.stop)
        engine.start()
        yield StartedEngine(built.description, str(built.chosen))


@contextlib.asynccontextmanager
async def serving_edge(config: ServeConfig, folder: Path, life: int) -> AsyncIterator[RunningEdge]:
    """Run an edge for the engine of another process until the block is left; the engine may come and go.

    Args:
        config: what to run; the ports are shared with the other edges.
        folder: where the sockets of this server are.
        life: number of this process.

    Raises:
        ConfigError: an address or a file of TLS or tokens cannot be used.
    """
    supervisor = Asker(supervisor_socket(folder), "the supervisor")
    link = EngineLink(engine_socket(folder))
    hubs = Hubs(Hub(AbsentFrames(config.source_id)), peer_lag_s=PEER_LAG_S)
    reporter = Reporter(supervisor, life, Account(hubs.counters, hubs.timings))
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(supervisor.close)
        stack.push_async_callback(link.close)
        await stack.enter_async_context(_running(hubs.follow(link.sources()), link.keep_status()))
        # Whoever comes to an edge that is started again should find what the others have.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(hubs.found.wait(), FIND_ENGINE_S)
        server = await serve_grpc(
            config.listen,
            hubs,
            link,
            accounts=reporter,
            share_port=True,
            insecure=config.insecure,
            tls=config.tls,
            tokens=config.tokens,
        )
        await stack.enter_async_context(reporter.running())
        await stack.enter_async_context(probing_lag(hubs.timings.event_loop_lag, hubs.monotonic))
        stack.push_async_callback(server.stop, config.stop_grace_seconds)
        page = None
        if config.http is not None:
            tickets = SharedTickets(supervisor)
            page = await stack.enter_async_context(_serving_web(config.http, config, server, hubs, link, tickets))
        yield RunningEdge(server, page)


def _serving_web(
    address: str,
    config: ServeConfig,
    server: RunningGrpcServer,
    hubs: Hubs,
    queries: QueryPort,
    tickets: TicketOffice | None = None,
) -> contextlib.AbstractAsyncContextManager[str]:
    # Not above: a server without a page runs without what the page needs.
    from liqscape.api.health import PublicHealth
    from liqscape.api.web_assets import WebAssets
    from liqscape.api.web_service import serving_web

    return serving_web(
        address,
        server.calls,
        hubs.monotonic,
        assets=WebAssets.find(),
        health=PublicHealth(hubs, queries.status),
        accounts=server.accounts,
        tls=None if config.tls is None else HttpTls(config.tls).context,
        tokens=config.tokens is not None,
        insecure=config.insecure,
        tickets=tickets,
    )


@contextlib.asynccontextmanager
async def _running(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run work that never ends until the block is left."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _progress(source: EventSource) -> Progress:
    return source.progress()


def _set_from_thread(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(event.set)

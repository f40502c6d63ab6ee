"""Keeps a server of many processes going: starts them, starts them again, and ends them all.

    supervisor ─── engine              the port is held here, /metrics and /healthz are served here
               └── edge, edge, ...     gRPC to clients; each knows the engine by liqscape.link

The supervisor computes nothing and streams nothing, so there is little it could die of. It is the one process that
knows of all others: each tells it what it has counted (broadcast/accounts.py), and hears the sum.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from liqscape.api.grpc_service import DRAINING
from liqscape.api.tickets import OwnTickets
from liqscape.broadcast.accounts import Account, Ledger
from liqscape.config import ServeConfig
from liqscape.errors import LiqscapeError
from liqscape.link.engine_link import EngineLink
from liqscape.link.host import Methods, hosting
from liqscape.link.places import engine_socket, socket_folder, supervisor_socket
from liqscape.running import RunningServer, StartedEdge, StartedEngine
from liqscape.v1 import stream_pb2
from liqscape.workers.engine_watch import EngineWatch
from liqscape.workers.orders import HURRY, LogSettings, Order
from liqscape.workers.port import reserved_port
from liqscape.workers.process import Place

_LOG = logging.getLogger(__name__)

WATCH_EVERY_S: Final = 1.0

STALLED_AFTER_S: Final = 15.0
"""An edge that has told nothing for so long (it reports each second) serves nobody, yet the system still gives it its
share of new connections: it is killed and started again. The engine is not: its state would be lost."""

END_MARGIN_S: Final = 3.0
"""Beyond what a process may take to say goodbye."""


async def serve_workers(
    config: ServeConfig, use: Callable[[RunningServer], Awaitable[None]], logs: LogSettings | None = None
) -> None:
    """Run a server of one engine and `config.workers` edges, each a process, until `use` returns.

    Args:
        config: what to run.
        use: called once the address is bound, while history may still be being built.
        logs: what every process logs.

    Raises:
        ConfigError: as app.serve raises it, in whichever process.
    """
    async with contextlib.AsyncExitStack() as stack:
        address = stack.enter_context(reserved_port(config.listen))
        http = None if config.http is None else stack.enter_context(reserved_port(config.http))
        folder = stack.enter_context(socket_folder())
        link = EngineLink(engine_socket(folder))
        stack.push_async_callback(link.close)
        config = replace(config, listen=address, http=http)
        supervisor = Supervisor(config, folder, EngineWatch(link.status), logs or LogSettings())
        tickets = OwnTickets(time.monotonic)
        methods: Methods = {"report": supervisor.report, "issue_ticket": tickets.issue, "redeem_ticket": tickets.redeem}
        await stack.enter_async_context(hosting(supervisor_socket(folder), methods))
        started = await stack.enter_async_context(supervisor.running())
        metrics = None
        if config.metrics is not None:
            from liqscape.api.http_service import serving_http

            metrics = await stack.enter_async_context(
                serving_http(
                    config.metrics, supervisor.watch, supervisor.watch.status, supervisor, insecure=config.insecure
                )
            )
        about = started.shard.input
        _LOG.info("serving", extra={"fields": {"address": address, "metrics": metrics, "input": about}})
        await use(
            RunningServer(
                address=address,
                input=about,
                backend=started.backend,
                ended=supervisor.watch.ended,
                status=supervisor.watch.status,
                progress=link.progress,
                page=supervisor.page,
                metrics=metrics,
                streams=supervisor.streams,
                drain=supervisor.drain,
            )
        )


class Supervisor:
    """The processes of one server, and the sum of what they count.

    Args:
        config: of the server, its port a real one.
        folder: where the sockets are.
        watch: of the engine.
        logs: what every process logs.

    Attributes:
        page: the address of the page, if it is served.
    """

    def __init__(self, config: ServeConfig, folder: Path, watch: EngineWatch, logs: LogSettings) -> None:
        self._config = config
        self._folder = folder
        self._logs = logs
        self._lives = itertools.count(1)
        self._ledger = Ledger()
        self._engine = Place("engine", lambda: self._order(is_engine=True))
        self._edges = [
            Place(f"edge {number}", lambda: self._order(is_engine=False)) for number in range(config.workers)
        ]
        self._restarts = {"worker_restarts": 0, "engine_restarts": 0}
        self._ending = asyncio.Event()
        self.watch = watch
        self.page: str | None = None

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[StartedEngine]:
        """Start every process and keep them going until the block is left.

        Raises:
            LiqscapeError: one of them cannot be started.
        """
        tasks: list[asyncio.Task[None]] = []
        try:
            started = await self._start_all()
            tasks = [asyncio.create_task(self._keep(place)) for place in (self._engine, *self._edges)]
            tasks.append(asyncio.create_task(self._watch()))
            yield started
        finally:
            self._ending.set()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            within_s = self._config.stop_grace_seconds + END_MARGIN_S
            await asyncio.gather(*(edge.end(HURRY, within_s) for edge in self._edges))
            await self._engine.end(signal.SIGTERM, END_MARGIN_S)

    async def report(self, life: int, account: Account) -> Account:
        """Take what a process has counted; return what all have."""
        self._ledger.report(life, account)
        for place in self._edges:
            if place.life == life:
                place.heard_from()
        return await self.whole()

    async def whole(self) -> Account:
        """Return the account of the server."""
        account = self._ledger.whole()
        running = sum(edge.is_up for edge in self._edges)
        account.counts.update(self._restarts, workers_running=running)
        return account

    def streams(self) -> int:
        """Return how many streams are open, as of the last reports."""
        return self._ledger.whole().counters.streams_open

    async def drain(self) -> None:
        """Let readers leave, on all edges at once; return when every edge has ended or the time is over."""
        self._ending.set()
        self.watch.goodbye = stream_pb2.GoingAway(reason=DRAINING)
        within_s = self._config.drain_seconds + self._config.stop_grace_seconds + END_MARGIN_S
        await asyncio.gather(*(edge.end(signal.SIGTERM, within_s) for edge in self._edges))

    async def _start_all(self) -> StartedEngine:
        places = (self._engine, *self._edges)
        starting = [asyncio.create_task(place.start()) for place in places]
        try:
            await asyncio.wait(starting, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for task in starting:
                task.cancel()
            answers = await asyncio.gather(*starting, return_exceptions=True)
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        started: StartedEngine = starting[0].result()
        edge: StartedEdge = starting[1].result()
        self.page = edge.page
        self.watch.shard = started.shard
        return started

    async def _keep(self, place: Place) -> None:
        while True:
            status = await place.wait()
            self._ledger.end(place.life)
            if self._ending.is_set():
                return
            _LOG.warning("%s has ended with status %d; it is started again", place.name, status)
            await place.pause()
            if self._ending.is_set():
                return
            self._restarts["engine_restarts" if place is self._engine else "worker_restarts"] += 1
            try:
                started = await place.start()
            except (LiqscapeError, OSError) as error:
                _LOG.error("%s cannot be started again yet: %s", place.name, error)
                continue
            if place is self._engine:
                self.watch.shard = started.shard

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_EVERY_S)
            await self.watch.status()
            for edge in self._edges:
                if edge.is_up and edge.silent_s() > STALLED_AFTER_S:
                    _LOG.warning("%s has stalled and is killed", edge.name)
                    edge.signal(signal.SIGKILL)

    def _order(self, *, is_engine: bool) -> Order:
        return Order(is_engine, next(self._lives), self._config, self._folder, self._logs)

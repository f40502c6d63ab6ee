"""An edge's side of the engine: its QueryPort, and its frames over one life of the engine after the other."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import grpc

from liqscape.broadcast.ports import ShardDescription, TickRecord
from liqscape.broadcast.ring import Ring
from liqscape.errors import NotReady, Unavailable
from liqscape.feeds.source import Progress
from liqscape.grid.keyed_book import BookAnswer
from liqscape.grid.liquidation_map import MapAnswer
from liqscape.grid.past import PastPicture
from liqscape.grid.updates import EngineStatus, GridAnswer, GridQuery, InstrumentView, MapQuery
from liqscape.link.asker import RETRY_AFTER_MS, Asker, Late, RecordsCall
from liqscape.link.leases import LinkedChannels
from liqscape.link.messages import Opening, Records, unpack

_LOG = logging.getLogger(__name__)

STATUS_LIMIT_S: Final = 1.0
"""A status is at hand whatever the engine does; one that takes longer is not coming."""

STATUS_EVERY_S: Final = 1.0

RECONNECT_S: Final = 0.1
"""From the end of one stream of records to the next, so that nothing that goes wrong for good takes a whole core."""

NOT_STARTED: Final = "the engine is starting"

NO_ENGINE: Final = EngineStatus("building", NOT_STARTED, 0.0, None, epoch=0, tick=0, backend="", input="")


class AbsentFrames:
    """The frames of an engine that has not been heard of yet: none."""

    def __init__(self, source_id: str) -> None:
        self.shard = ShardDescription(source_id, 0, 1000, simulated=False, replay=False, input="", channels=())

    async def records(self) -> AsyncIterator[TickRecord]:
        """End at once."""
        no_records: tuple[TickRecord, ...] = ()
        for record in no_records:
            yield record


class LinkedFrames:
    """The frames of one life of the engine, over one connection.

    Attributes:
        ring: what was published before.
        channels: what opens tiles and custom channels; their leases end with the connection.
    """

    def __init__(self, shard: ShardDescription, ring: Ring, call: RecordsCall, channels: LinkedChannels) -> None:
        self._shard = shard
        self._call = call
        self.ring = ring
        self.channels = channels

    @property
    def shard(self) -> ShardDescription:
        """Return the description last given."""
        return self._shard

    async def records(self) -> AsyncIterator[TickRecord]:
        """Yield each record that follows the ring, until the connection breaks."""
        while (message := await _read(self._call)) is not None:
            records: Records = message
            self._shard = records.shard or self._shard
            for record in records.records:
                yield record


class EngineLink:
    """The engine of this server as its other processes know it: a QueryPort, and a source of frames for each life.

    Args:
        path: of the engine's socket.
    """

    def __init__(self, path: Path) -> None:
        self._asker = Asker(path, "the engine")
        self._status: EngineStatus | None = None

    async def sources(self) -> AsyncGenerator[LinkedFrames, None]:
        """Yield a source each time the engine has been found, for ever. It is over when the next is asked for."""
        while True:
            name = secrets.token_bytes(16)
            call = self._asker.records(name)
            try:
                source = await _opened(call, LinkedChannels(self._asker, name))
                if source is not None:
                    await self.status()  # so that an engine that is served from is never said not to have started
                    _LOG.info("connected to epoch %016x of the engine", source.shard.epoch)
                    yield source
            finally:
                call.cancel()
            await asyncio.sleep(RECONNECT_S)

    async def get_grid(self, query: GridQuery) -> GridAnswer:
        """Return an exact grid; see QueryPort. Unavailable: the engine is being started again."""
        answer: GridAnswer = await self._ask("get_grid", query)
        return answer

    async def get_picture(self, query: GridQuery) -> PastPicture:
        """Return the levels of a grid; see QueryPort. Unavailable: the engine is being started again."""
        answer: PastPicture = await self._ask("get_picture", query)
        return answer

    async def get_liquidation_map(self, query: MapQuery) -> MapAnswer:
        """Return the live book by price; see QueryPort. Unavailable: the engine is being started again."""
        answer: MapAnswer = await self._ask("get_liquidation_map", query)
        return answer

    async def get_keyed_book(self, query: MapQuery) -> BookAnswer:
        """Return the live book by key; see QueryPort. Unavailable: the engine is being started again."""
        answer: BookAnswer = await self._ask("get_keyed_book", query)
        return answer

    async def instruments(self) -> tuple[InstrumentView, ...]:
        """Return every instrument. NotReady: the engine is starting. Unavailable: it is being started again."""
        answer: tuple[InstrumentView, ...] = await self._ask("instruments")
        return answer

    async def status(self) -> EngineStatus:
        """Return what the engine is doing, or that there is none at the moment; never raises."""
        try:
            status: EngineStatus = await self._asker.ask("status", timeout_s=STATUS_LIMIT_S)
        except Late as error:
            return replace(self._status or NO_ENGINE, message=str(error))
        except Unavailable as error:
            if self._status is None:
                return NO_ENGINE
            return replace(self._status, state="building", message=str(error), progress=0.0, seconds_left=None)
        self._status = status
        return status

    async def keep_status(self) -> None:
        """Ask for the status now and then, for ever, so that the last one known is new when there is no other."""
        while True:
            await self.status()
            await asyncio.sleep(STATUS_EVERY_S)

    async def progress(self) -> Progress:
        """Return how far history has been built; nothing of it while there is no engine."""
        try:
            progress: Progress = await self._asker.ask("progress", timeout_s=STATUS_LIMIT_S)
        except Unavailable:
            return Progress(0, 0, "steps")
        return progress

    async def close(self) -> None:
        """End the connection."""
        await self._asker.close()

    async def _ask(self, method: str, *arguments: object) -> Any:
        try:
            return await self._asker.ask(method, *arguments)
        except Unavailable:
            if self._status is None and await self.status() is NO_ENGINE:
                error = NotReady(NOT_STARTED)
                error.retry_after_ms = RETRY_AFTER_MS
                raise error from None
            raise


async def _opened(call: RecordsCall, channels: LinkedChannels) -> LinkedFrames | None:
    """Return the frames of a stream once its past has come; None where it breaks before."""
    opening: Opening | None = await _read(call)
    if opening is None:
        return None
    past: list[TickRecord] = []
    while len(past) < opening.past:
        message: Records | None = await _read(call)
        if message is None:
            return None
        past.extend(message.records)
    return LinkedFrames(opening.shard, Ring.restored(opening.shard.tick_ms, past), call, channels)


async def _read(call: RecordsCall) -> Any:
    """Return the next message; None at the end."""
    try:
        message: object = await call.read()
    except grpc.aio.AioRpcError as error:
        _LOG.debug("stream of records ended: %s", error.code())
        return None
    return unpack(message) if isinstance(message, bytes) else None

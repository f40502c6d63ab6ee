"""The servers bench_fanout compares, each a process of its own: python -m benchmarks.fanout_servers NAME BYTES.

    liqscape         hub, cursors, stall watch and gRPC service as shipped, over a made-up source of frames
    floor            gRPC alone: the same bytes, joined and stamped once a tick, written to everybody who has called
    websocket        the first one's sessions over its WebSocket
    websocket_floor  aiohttp alone: the same bytes as binary messages, to everybody who has opened a WebSocket

Each says `port N` and serves until it is ended. All collect garbage as rarely as `liqscape serve` does, and make
each tick in the same way: a section of nine delta chunks of one symbol, BYTES in all, the first of which begins with
the mark that fanout_sink.c looks for.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import struct
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final

import grpc
from aiohttp import web

from liqscape.api.grpc_service import serve_grpc
from liqscape.api.health import PublicHealth
from liqscape.api.status_codes import Context
from liqscape.api.stream_service import STREAM_SERVICE
from liqscape.api.web_assets import WebAssets
from liqscape.api.web_service import serving_web
from liqscape.api.web_socket import SUBPROTOCOL
from liqscape.axes import TIMEFRAMES
from liqscape.broadcast.chunks import chunk_entry
from liqscape.broadcast.frames import section_frame, stamped
from liqscape.broadcast.hub import Hub
from liqscape.broadcast.hubs import Hubs
from liqscape.broadcast.ports import EncodedChunk, ShardDescription, TickRecord
from liqscape.errors import NotReady
from liqscape.garbage import collect_garbage_rarely
from liqscape.grid.keyed_book import BookAnswer
from liqscape.grid.liquidation_map import MapAnswer
from liqscape.grid.past import PastPicture
from liqscape.grid.updates import Channel, EngineStatus, GridAnswer, GridQuery, InstrumentView, MapQuery
from liqscape.v1 import stream_pb2

TICK_MS: Final = 250
KEYFRAME_TICKS: Final = 8
"""Ticks between join keyframes. Each is as long as the deltas it replaces, so that it is sent to who joins and never
instead of deltas, whose marks are counted."""

_MARK: Final = struct.Struct("<8sQQ")
_SOURCE_ID: Final = "made-up"
_EPOCH: Final = 1
_HEADS_BYTES: Final = 205
"""What of a frame is no payload: heads of section and chunks, symbol and stamp; a few more as tick numbers grow."""


class MadeUpFrames:
    """A FrameSource of chunks of fixed size, four times a second."""

    def __init__(self, frame_bytes: int) -> None:
        """Prepare the payloads: random bytes, so that no mark is in them by chance or by repetition."""
        self._payload = os.urandom(max(_MARK.size, (frame_bytes - _HEADS_BYTES) // len(TIMEFRAMES)))
        self._tick = 0
        channels = tuple(Channel(number + 1, "BTC", frame) for number, frame in enumerate(TIMEFRAMES))
        self.shard = ShardDescription(_SOURCE_ID, _EPOCH, TICK_MS, True, False, "made up", channels)

    async def records(self) -> AsyncIterator[TickRecord]:
        """Yield a record each TICK_MS; late ones are not caught up with."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            yield self.record()
            due = max(due + TICK_MS / 1000, loop.time())
            await asyncio.sleep(due - loop.time())

    def record(self) -> TickRecord:
        """Make the next tick."""
        before, self._tick = self._tick, self._tick + 1
        mark = _MARK.pack(b"TICKMARK", self._tick, time.time_ns())
        payloads = [mark + self._payload[_MARK.size :], *[self._payload] * (len(TIMEFRAMES) - 1)]
        deltas = tuple(_chunk(n + 1, before, self._tick, payload) for n, payload in enumerate(payloads))
        is_first, renews = before == 0, before % KEYFRAME_TICKS == 0
        keyframes = tuple(
            _chunk(n + 1, 0, self._tick, self._payload * KEYFRAME_TICKS) for n in range(len(TIMEFRAMES) * renews)
        )
        symbol = stream_pb2.SymbolChunk(symbol="BTC", mark_price=self._tick, price_decimals=2)
        return TickRecord(
            tick=self._tick,
            channels=keyframes if is_first else deltas,
            keyframes=() if is_first else keyframes,
            symbols={"BTC": chunk_entry(stream_pb2.Chunk(symbol=symbol))},
            venues={},
            source_watermark_ns=0,
        )


def _chunk(channel_id: int, prev_tick: int, tick: int, payload: bytes) -> EncodedChunk:
    kind = stream_pb2.CHUNK_KIND_DELTA if prev_tick else stream_pb2.CHUNK_KIND_KEYFRAME
    message = stream_pb2.ChannelChunk(
        channel_id=channel_id, generation=1, prev_tick=prev_tick, tick=tick, kind=kind, payload=payload
    )
    data = chunk_entry(stream_pb2.Chunk(channel=message))
    return EncodedChunk(channel_id, 1, prev_tick == 0, prev_tick, tick, data)


class NoQueries:
    """A QueryPort that is never asked."""

    async def get_grid(self, query: GridQuery) -> GridAnswer:
        """Refuse."""
        raise NotReady("made-up frames have no grid")

    async def get_picture(self, query: GridQuery) -> PastPicture:
        """Refuse."""
        raise NotReady("made-up frames have no past")

    async def get_liquidation_map(self, query: MapQuery) -> MapAnswer:
        """Refuse."""
        raise NotReady("made-up frames have no map")

    async def get_keyed_book(self, query: MapQuery) -> BookAnswer:
        """Refuse."""
        raise NotReady("made-up frames have no book")

    async def status(self) -> EngineStatus:
        """Return that frames come."""
        return EngineStatus("serving", "", 1.0, None, _EPOCH, 1, "none", "made up")

    async def instruments(self) -> tuple[InstrumentView, ...]:
        """Return none."""
        return ()


async def serve_liqscape(source: MadeUpFrames) -> None:
    """Serve as the product does."""
    async with Hub(source).running() as hub:
        running = await serve_grpc("127.0.0.1:0", hub, NoQueries())
        _say_port(int(running.address.rpartition(":")[2]))
        await asyncio.Event().wait()


async def serve_websocket(source: MadeUpFrames) -> None:
    """Serve as the product does, by its other door."""
    async with Hub(source).running() as hub:
        queries = NoQueries()
        running = await serve_grpc("127.0.0.1:0", hub, queries)
        health = PublicHealth(Hubs(hub), queries.status)
        async with serving_web(
            "127.0.0.1:0",
            running.calls,
            hub.monotonic,
            assets=WebAssets(),
            health=health,
            accounts=running.accounts,
        ) as url:
            _say_port(int(url.rstrip("/").rpartition(":")[2]))
            await asyncio.Event().wait()


class Floor:
    """What a transport itself costs: each caller waits for the next message and writes it; slow ones miss some."""

    def __init__(self, source: MadeUpFrames) -> None:
        self._source = source
        self._message = b""
        self._next = asyncio.Event()

    async def subscribe(self, request: bytes, context: Context) -> None:
        """Write every message from the next one on, by gRPC."""
        while True:
            await self._next.wait()
            await context.write(self._message)

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Write every message from the next one on, over a WebSocket that nobody reads from."""
        socket = web.WebSocketResponse(protocols=(SUBPROTOCOL,), compress=False)
        await socket.prepare(request)
        with contextlib.suppress(ConnectionError):
            while True:
                await self._next.wait()
                await socket.send_bytes(self._message)
        return socket

    async def run(self) -> None:
        """Join and stamp the message of each tick once."""
        async for record in self._source.records():
            header = stream_pb2.Section(source_id=_SOURCE_ID, epoch=_EPOCH, tick=record.tick, complete=True)
            entries = [*record.symbols.values(), *(chunk.data for chunk in record.channels)]
            self._message = stamped(section_frame(header, entries, 0), time.time_ns())
            waited, self._next = self._next, asyncio.Event()
            waited.set()


async def serve_floor(source: MadeUpFrames) -> None:
    """Serve with nothing around gRPC."""
    floor = Floor(source)
    server = grpc.aio.server()
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_stream_rpc_method_handler(floor.subscribe)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(STREAM_SERVICE, {"Subscribe": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    _say_port(port)
    await floor.run()


async def serve_websocket_floor(source: MadeUpFrames) -> None:
    """Serve with nothing around aiohttp."""
    floor = Floor(source)
    app = web.Application()
    app.router.add_get("/v1/stream", floor.stream)
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    _say_port(runner.addresses[0][1])
    await floor.run()


def _say_port(port: int) -> None:
    print(f"port {port}", flush=True)


SERVERS: Final[dict[str, Callable[[MadeUpFrames], Awaitable[None]]]] = {
    "liqscape": serve_liqscape,
    "floor": serve_floor,
    "websocket": serve_websocket,
    "websocket_floor": serve_websocket_floor,
}
"""A further door is an entry here, and an opening and a reader of its frames beside fanout_sink.c."""

SINK_OPTIONS: Final[dict[str, tuple[str, ...]]] = {"websocket": ("session",), "websocket_floor": ("websocket",)}
"""How the receiver speaks with a server; gRPC where nothing is said."""


def main(arguments: Sequence[str]) -> int:
    """Serve until ended."""
    name, frame_bytes = arguments
    collect_garbage_rarely()

    async def serve() -> None:
        await SERVERS[name](MadeUpFrames(int(frame_bytes)))

    asyncio.run(serve())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

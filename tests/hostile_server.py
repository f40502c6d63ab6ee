"""A server with a made-up engine in a process of its own, so that its memory can be measured.

    python -m tests.hostile_server TOKENS_FILE [SECONDS]

SECONDS: within which a connection has greeted and a call is finished, in place of the limits that are shipped.

Prints its address, publishes four ticks a second, and ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import resource
import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

from liqscape.api import grpc_service
from liqscape.api.limits import DEFAULT_LIMITS
from liqscape.broadcast.encoder import StreamEncoder
from liqscape.broadcast.hub import Hub
from liqscape.broadcast.in_process import InProcessFrameSource
from tests.fake_engine import FakeEngine, FakeQueries

TICK_S = 0.25


HANDSHAKE: Final = "grpc.server_handshake_timeout_ms"


async def main(tokens: Path, seconds: float | None) -> None:
    """Serve until standard input ends."""
    limits = DEFAULT_LIMITS
    if seconds is not None:
        limits = replace(limits, request_timeout_s=seconds)
        shorter = ((n, int(seconds * 1000) if n == HANDSHAKE else value) for n, value in grpc_service.SERVER_OPTIONS)
        setattr(grpc_service, "SERVER_OPTIONS", tuple(shorter))  # noqa: B010  # Final for everybody else
    engine = FakeEngine()
    source = InProcessFrameSource(engine.shard)
    encoder, hub = StreamEncoder(engine.shard), Hub(source)
    async with hub.running():
        running = await grpc_service.serve_grpc("127.0.0.1:0", hub, FakeQueries(engine), tokens=tokens, limits=limits)
        print(running.address, flush=True)
        ended = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
        while not ended.done():
            source.publish(encoder.encode(engine.step(cells=2)))
            engine.truth.clear()  # what a test would compare with; it would grow
            await asyncio.wait({ended}, timeout=TICK_S)
        await running.stop(0.1)


if __name__ == "__main__":
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(main(Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else None))

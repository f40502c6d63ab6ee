"""A server with a made-up engine in a process of its own, so that its memory can be measured.

    python -m tests.hostile_server TOKENS_FILE

Prints its address, publishes four ticks a second, and ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import resource
import sys
from pathlib import Path

from liqscape.api.grpc_service import serve_grpc
from liqscape.broadcast.encoder import StreamEncoder
from liqscape.broadcast.hub import Hub
from liqscape.broadcast.in_process import InProcessFrameSource
from tests.fake_engine import FakeEngine, FakeQueries

TICK_S = 0.25


async def main(tokens: Path) -> None:
    """Serve until standard input ends."""
    engine = FakeEngine()
    source = InProcessFrameSource(engine.shard)
    encoder, hub = StreamEncoder(engine.shard), Hub(source)
    async with hub.running():
        running = await serve_grpc("127.0.0.1:0", hub, FakeQueries(engine), tokens=tokens)
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
    asyncio.run(main(Path(sys.argv[1])))

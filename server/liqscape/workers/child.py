"""One process of a server: python -m liqscape.workers.child PARENT, its order on standard input.

It says on its standard output, once, what it has become (pickled: StartedEngine, StartedEdge, or a Failure)
and closes it. SIGTERM ends it in good order, an edge after its readers have left; HURRY ends it without waiting for
them. It dies with its supervisor, whatever that died of.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from typing import Final

from liqscape.app import serving_edge, serving_engine
from liqscape.errors import LiqscapeError
from liqscape.garbage import collect_garbage_rarely
from liqscape.link.messages import Failure, pack, unpack
from liqscape.logs import configure_logs
from liqscape.running import StartedEdge
from liqscape.workers.orders import HURRY, Order

_PR_SET_PDEATHSIG: Final = 1


def main() -> int:
    """Be what is ordered until a signal comes. Returns 1 if that cannot be."""
    die_with(int(sys.argv[1]))
    order: Order = unpack(sys.stdin.buffer.read())
    configure_logs(order.logs.format, order.logs.level)
    collect_garbage_rarely()
    try:
        asyncio.run(_be(order))
    except LiqscapeError as error:
        _say(Failure.of(error))
        return 1
    return 0


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends; a stopped or busy process could not do it itself."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it has ended before we could ask
        os._exit(1)


async def _be(order: Order) -> None:
    asked, hurry = asyncio.Event(), asyncio.Event()

    def hasten() -> None:
        hurry.set()
        asked.set()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, asked.set)
    loop.add_signal_handler(HURRY, hasten)
    if order.is_engine:
        async with serving_engine(order.config, order.folder, order.life) as started:
            _say(started)
            await asked.wait()
        return
    async with serving_edge(order.config, order.folder, order.life) as edge:
        _say(StartedEdge(edge.server.address, edge.page))
        await asked.wait()
        tasks = {
            asyncio.ensure_future(edge.server.drain(order.config.drain_seconds)),
            asyncio.ensure_future(hurry.wait()),
        }
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()


def _say(what: object) -> None:
    """Send the one answer, and turn standard output into nothing so that it is the only one."""
    sys.stdout.buffer.write(pack(what))
    sys.stdout.buffer.flush()
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)


if __name__ == "__main__":
    sys.exit(main())

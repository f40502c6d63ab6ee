"""cryptofeed on messages of stdin, one a line: run by bench_feed in an environment of its own; prints JSON.

python feed_peer.py EXCHANGE SYMBOL REPEATS < messages
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import sys
import time
from importlib.metadata import version
from typing import Any


async def measure(exchange: str, symbol: str, repeats: int, messages: list[str]) -> dict[str, Any]:
    """Return messages a second of processor time, the best of some repeats."""
    defines = importlib.import_module("cryptofeed.defines")
    symbols = importlib.import_module("cryptofeed.symbols").Symbols
    exchanges = importlib.import_module("cryptofeed.exchanges").EXCHANGE_MAP
    name = f"{symbol.removesuffix('USDT')}-USDT-PERP"
    symbols.set(getattr(defines, exchange), {name: symbol}, {"instrument_type": {name: "perpetual"}, "tick_size": {}})
    heard = 0

    async def take(trade: object, receipt: float) -> None:
        nonlocal heard
        heard += 1

    feed = exchanges[getattr(defines, exchange)](
        symbols=[name], channels=[defines.TRADES], callbacks={defines.TRADES: take}
    )
    best = float("inf")
    for _ in range(repeats):
        gc.collect()
        gc.disable()
        began = time.process_time()
        for message in messages:
            await feed.message_handler(message, None, 0.0)
        best = min(best, time.process_time() - began)
        gc.enable()
    return {"version": version("cryptofeed"), "per_s": round(len(messages) / best), "events": heard // repeats}


if __name__ == "__main__":
    lines = sys.stdin.read().splitlines()
    print(json.dumps(asyncio.run(measure(sys.argv[1], sys.argv[2], int(sys.argv[3]), lines))))

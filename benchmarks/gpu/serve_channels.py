"""Does a server on a GPU stream custom channels and tiles that are right? Each beside the exact grid, again and again.

    python3 benchmarks/gpu/serve_channels.py [--backend cupy] [--rounds 5]

A server simulates one symbol; a client streams a channel whole, a part of it as tiles, and channels of some positions,
one of them on coarse rows, and asks for the exact grid of each. Where both are of one state, levels have to be equal.
Needs what server and client need: grpcio, grpcio-health-checking, grpcio-reflection, protobuf, rich. The status is 1 at
the first difference.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent.parent
PATHS: Final = [str(ROOT), str(ROOT / "server"), str(ROOT / "clients" / "python")]
if __name__ == "__main__":
    sys.path[0:1] = PATHS
    # What it starts finds the packages as it does itself.
    os.environ["PYTHONPATH"] = os.pathsep.join([*PATHS, os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from benchmarks.bench_refresh import server, wait_until_built  # noqa: E402
from liqscape.device.numpy_grid import levels_of  # noqa: E402
from liqscape_client import Client  # noqa: E402

FRAME: Final = "24h"
CUSTOM: Final[tuple[dict[str, Any], ...]] = ({"side": "long"}, {"leverages": [10, 25, 50], "row_fold": 4})
TRIES: Final = 200
"""At one tick a second a grid of the state a stream is at comes within a few."""


async def check(address: str, rounds: int) -> str | None:
    """Compare all channels in so many rounds, each after a change; return the first difference."""
    async with Client(address, timeout_s=30) as client:
        price = (await client.grid("BTC", FRAME)).mark_price
        near = (price * 0.98, price * 1.02)
        async with (
            client.stream("BTC", FRAME) as whole,
            client.stream("BTC", FRAME, prices=near) as tiles,
            client.stream("BTC", FRAME, **CUSTOM[0]) as first,
            client.stream("BTC", FRAME, **CUSTOM[1]) as second,
        ):
            for stream in (whole, tiles, first, second):
                await stream.wait_in_sync(timeout_s=60)
            for number in range(1, rounds + 1):
                for stream, options in ((whole, {}), (first, CUSTOM[0]), (second, CUSTOM[1])):
                    difference = await _compare(client, stream, options)
                    if difference is not None:
                        return f"round {number}, {options or 'everything'}: {difference}"
                difference = await _compare_tiles(whole, tiles)
                if difference is not None:
                    return f"round {number}, tiles: {difference}"
                print(f"round {number}: a whole channel, {len(CUSTOM)} custom ones and the tiles are equal", flush=True)
                await asyncio.sleep(2)
    return None


async def _compare(client: Client, stream: Any, options: dict[str, Any]) -> str | None:
    (key,) = stream.replicas.channels()
    for _ in range(TRIES):
        before = stream.heatmap(*key)
        grid = await client.grid("BTC", FRAME, **await _question(client, before, options))
        after = stream.heatmap(*key)
        if before.tick == after.tick and after.in_sync and grid.newest_column == after.newest_column:
            levels = levels_of(grid.cells, grid.usd_per_weighted_lot)
            wrong = _wrong(levels, after.levels)
            if not wrong:
                return None
        # The grid may be of a later tick than what has come so far: once more.
        await asyncio.sleep(0.05)
    return f"{wrong} of {levels.size} cells" if wrong else "no grid and stream of one state"


async def _question(client: Client, heatmap: Any, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of the exact grid that has the positions and the rows of a channel."""
    beside = {name: value for name, value in options.items() if name != "row_fold"}
    if "row_fold" in options:
        (instrument, *_) = (await client.instruments()).instruments
        beside["base_steps_per_row"] = heatmap.axes.row_height // instrument.base_step
    return beside


async def _compare_tiles(whole: Any, tiles: Any) -> str | None:
    for _ in range(TRIES):
        picture, part = whole.heatmap("BTC", FRAME), tiles.viewport("BTC", FRAME)
        if picture.in_sync and part.in_sync and picture.newest_column == part.newest_column:
            first = part.axes.first_row - picture.axes.first_row
            rows = np.arange(first, first + part.axes.rows)
            inside = (rows >= 0) & (rows < picture.axes.rows)
            expected = np.zeros_like(part.levels)
            expected[:, inside] = picture.levels[:, rows[inside]]
            wrong = _wrong(expected, part.levels)
            if not wrong:
                return None
        await asyncio.sleep(0.05)
    return f"{wrong} of {part.levels.size} cells"


def _wrong(expected: NDArray[np.uint8], found: NDArray[np.uint8]) -> int:
    return expected.size if expected.shape != found.shape else int(np.count_nonzero(expected != found))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description="custom channels and tiles of a server beside exact grids")
    parser.add_argument("--backend", default="cupy", help="of the server (default cupy)")
    parser.add_argument("--rounds", type=int, default=5, help="comparisons of every channel (default 5)")
    options = parser.parse_args(arguments)
    with server("--source", "simulate", "--symbols", "BTC", "--backend", options.backend) as (address, _):
        asyncio.run(wait_until_built(address))
        difference = asyncio.run(check(address, options.rounds))
    print("everything is equal" if difference is None else f"FIRST DIFFERENCE: {difference}")
    return int(difference is not None)


if __name__ == "__main__":
    sys.exit(main())

"""What does it cost the readers of a server when one of its processes is killed? 200 clients over two edges.

    python -m benchmarks.bench_kills                                  10 kills of an edge and 2 of the engine, stored
    python -m benchmarks.bench_kills --clients 20 --kills 2           fewer, nothing stored

A server simulates one symbol at four ticks a second: `liqscape serve --workers 2`. Two clients are the shipped one,
with replicas and checksums; the others follow the chain of every channel by its ticks (tests/chain_follower.py), so
that all of them fit beside the server on two cores. All come back as the shipped client does, jitter included.

An edge is killed (SIGKILL), one and the other in turn; time runs from the kill until every client has a stream again
that has told all that was missed. The claims: under five seconds, without a keyframe, without a gap, in the same epoch.
Then the engine: every client must be told (GoingAway), find the new epoch (Lagged) and be in sync once it is built.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Final

from benchmarks import report
from liqscape.broadcast.hubs import NEW_EPOCH
from liqscape_client import Client, LiveStream
from tests.chain_follower import Follower, all_in_sync, following
from tests.worker_processes import Server, serving_workers, until, until_told

QUESTION: Final = "what does it cost 200 readers when an edge or the engine is killed?"
CLIENTS: Final = 200
EDGE_KILLS: Final = 10
ENGINE_KILLS: Final = 2
WORKERS: Final = 2
SHIPPED_CLIENTS: Final = 2
LIMIT_S: Final = 5.0
BUILD_LIMIT_S: Final = 300.0
NOTICED_AFTER_S: Final = 0.5
"""A connection to a process that has died is reset at once; by then its client knows."""

SETTLED_AFTER_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class EdgeKill:
    """One edge killed.

    Attributes:
        seconds: until the last client was in sync again.
        cut: clients that had to come back.
        keyframes, gaps: that all clients together got meanwhile.
        resumed: clients that came back and were led on from where they were.
    """

    seconds: float
    cut: int
    keyframes: int
    gaps: int
    resumed: int


@dataclass(frozen=True, slots=True)
class EngineKill:
    """The engine killed.

    Attributes:
        told_s: until the last client had heard that there is a new engine, building included.
        seconds: until the last client was in sync with it.
        told, lagged: clients that heard GoingAway, and then Lagged with EPOCH_CHANGED.
    """

    told_s: float
    seconds: float
    told: int
    lagged: int


async def measure(clients: int, edge_kills: int, engine_kills: int) -> dict[str, Any]:
    """Run a server and its clients, kill, and return what happened."""
    arguments = ("--source", "simulate", "--symbols", "BTC", "--speed", "4")
    async with serving_workers(*arguments, workers=WORKERS) as server, contextlib.AsyncExitStack() as stack:
        shipped = [await _shipped(server.address, stack) for _ in range(min(SHIPPED_CLIENTS, clients))]
        for stream in shipped:
            await stream.wait_in_sync(BUILD_LIMIT_S)
        followers = await stack.enter_async_context(following(server.address, clients - len(shipped)))
        await _settled(followers)
        edges = []
        for number in range(edge_kills):
            edges.append(await _kill_edge(server, f"edge {number % WORKERS}", followers, shipped))
            print(edges[-1], flush=True)
        engines = []
        for _ in range(engine_kills):
            await _settled(followers)
            engines.append(await _kill_engine(server, followers, shipped))
            print(engines[-1], flush=True)
        broken = [stream.replicas.counters for stream in shipped]
        return {
            "edge_kills": [asdict(kill) for kill in edges],
            "engine_kills": [asdict(kill) for kill in engines],
            "shipped": {
                "gaps": sum(counters.gaps for counters in broken),
                "checksum_failures": sum(counters.checksum_failures for counters in broken),
                "in_sync": sum(stream.state.in_sync for stream in shipped),
            },
            "clients": clients,
        }


async def _shipped(address: str, stack: contextlib.AsyncExitStack) -> LiveStream:
    client = await stack.enter_async_context(Client(address))
    return await stack.enter_async_context(client.stream())


async def _settled(followers: Sequence[Follower]) -> None:
    """Return once all have been at about the same tick for a while.

    After building, a simulation catches up with the clock at ten times the pace and more.
    """
    steady_since = time.monotonic()
    while time.monotonic() - steady_since < SETTLED_AFTER_S:
        await all_in_sync(followers, BUILD_LIMIT_S)
        ticks = [follower.tick for follower in followers]
        if max(ticks) - min(ticks) > 1:
            steady_since = time.monotonic()
        await asyncio.sleep(0.05)


async def _kill_edge(
    server: Server, name: str, followers: Sequence[Follower], shipped: Sequence[LiveStream]
) -> EdgeKill:
    restarts = sum(map(len, server.pids.values()))
    keyframes, gaps = _sum(followers, "keyframes"), _sum(followers, "gaps")
    hellos, resumed = _sum(followers, "hellos"), _sum(followers, "resumed")
    began = time.monotonic()
    server.kill(name)
    await asyncio.sleep(NOTICED_AFTER_S)
    await all_in_sync(followers, BUILD_LIMIT_S)
    for stream in shipped:
        await stream.wait_in_sync(BUILD_LIMIT_S)
    back_at = [follower.in_sync_since or began for follower in followers]
    kill = EdgeKill(
        seconds=max(max(back_at) - began, 0.0),
        cut=_sum(followers, "hellos") - hellos,
        keyframes=_sum(followers, "keyframes") - keyframes,
        gaps=_sum(followers, "gaps") - gaps,
        resumed=_sum(followers, "resumed") - resumed,
    )
    await until(lambda: sum(map(len, server.pids.values())) > restarts)
    await until_told(lambda: _runs_all(server))
    return kill


async def _runs_all(server: Server) -> bool:
    """Return whether every edge serves and has the engine's frames."""
    async with Client(server.address) as client:
        running = (await client.status()).counters["workers_running"]
    connected = sum("connected to epoch" in line for line in server.log)
    return running == WORKERS and connected >= sum(len(pids) for n, pids in server.pids.items() if n != "engine")


async def _kill_engine(server: Server, followers: Sequence[Follower], shipped: Sequence[LiveStream]) -> EngineKill:
    told = [follower.farewells[NEW_EPOCH] for follower in followers]
    lagged = sum(follower.lagged["REASON_EPOCH_CHANGED"] for follower in followers)
    epochs = [follower.epoch for follower in followers]
    began = time.monotonic()
    server.kill("engine")
    limit_s = BUILD_LIMIT_S
    await until(lambda: all(f.farewells[NEW_EPOCH] > n for f, n in zip(followers, told, strict=True)), limit_s)
    told_s = time.monotonic() - began
    await until(lambda: all(f.epoch != epoch for f, epoch in zip(followers, epochs, strict=True)), limit_s)
    await all_in_sync(followers, limit_s)
    for stream in shipped:
        await stream.wait_in_sync(limit_s)
    return EngineKill(
        told_s=told_s,
        seconds=time.monotonic() - began,
        told=sum(f.farewells[NEW_EPOCH] > n for f, n in zip(followers, told, strict=True)),
        lagged=sum(follower.lagged["REASON_EPOCH_CHANGED"] for follower in followers) - lagged,
    )


def _sum(followers: Sequence[Follower], what: str) -> int:
    return sum(getattr(follower, what) for follower in followers)


def broken_claims(result: dict[str, Any]) -> list[str]:
    """Return in words what does not hold."""
    broken = []
    followers = result["clients"] - min(SHIPPED_CLIENTS, result["clients"])
    for kill in result["edge_kills"]:
        if kill["seconds"] >= LIMIT_S:
            broken.append(f"{kill['seconds']:.1f} s until all were in sync again; {LIMIT_S:g} are allowed")
        if kill["keyframes"] or kill["gaps"] or kill["resumed"] != kill["cut"]:
            broken.append(f"an edge killed cost {kill['keyframes']} keyframes and {kill['gaps']} gaps")
        if not kill["cut"]:
            broken.append("an edge killed had no clients")
    for kill in result["engine_kills"]:
        if (kill["told"], kill["lagged"]) != (followers, followers):
            broken.append(f"{kill['told']} of {followers} clients told of a new engine, {kill['lagged']} lagged")
    shipped = result["shipped"]
    if shipped["gaps"] or shipped["checksum_failures"] or shipped["in_sync"] != min(SHIPPED_CLIENTS, result["clients"]):
        broken.append(f"shipped clients: {shipped}")
    return broken


def figures_of(result: dict[str, Any]) -> dict[str, str]:
    """Return what a reader should see."""
    edges, engines = result["edge_kills"], result["engine_kills"]
    figures = {}
    if edges:
        seconds = sorted(kill["seconds"] for kill in edges)
        cut = [kill["cut"] for kill in edges]
        figures["an edge killed, until all clients are in sync again, p50 / max"] = (
            f"{median(seconds):.2f} / {seconds[-1]:.2f} s, {len(edges)} kills"
        )
        figures["clients that had to come back, of " + str(result["clients"])] = f"{min(cut)} to {max(cut)} a kill"
        figures["keyframes sent for it / gaps"] = (
            f"{sum(kill['keyframes'] for kill in edges)} / {sum(kill['gaps'] for kill in edges)}"
        )
    if engines:
        figures["the engine killed, until it is built again and all clients are in sync"] = " and ".join(
            f"{kill['seconds']:.1f} s" for kill in engines
        )
        figures["of that, after the last client was told of the new engine"] = " and ".join(
            f"{kill['seconds'] - kill['told_s']:.1f} s" for kill in engines
        )
    return figures


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description=QUESTION)
    parser.add_argument("--clients", type=int, help=f"nothing is stored then (default {CLIENTS})")
    parser.add_argument("--kills", type=int, help=f"of an edge; nothing is stored then (default {EDGE_KILLS})")
    options = parser.parse_args(arguments)
    whole = options.clients is None and options.kills is None
    kills = EDGE_KILLS if options.kills is None else options.kills
    result = asyncio.run(measure(options.clients or CLIENTS, kills, ENGINE_KILLS if whole else 1))
    figures = figures_of(result)
    for name, value in figures.items():
        print(f"{name}: {value}")
    broken = broken_claims(result)
    for claim in broken:
        print(f"NOT TRUE: {claim}", file=sys.stderr)
    if whole:
        report.store("kills", QUESTION, figures, result)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())

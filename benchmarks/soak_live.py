"""Does a live server keep its promises for a while, as an operator runs it, while venues fail and engines die?

    python -m benchmarks.soak_live                      nine minutes, stored
    python -m benchmarks.soak_live --minutes 1 --keep DIR      shorter, nothing stored; data and log stay in DIR

`liqscape serve --source live --relay ...` with data folder, page, metrics, accounts, daily report, an assumption and
fetched margin tables listens to every default venue of the fake exchange (soak_venues, a process of its own) at real
time. A gRPC client and a WebSocket hold replicas of everything all the time. Two lives a way of serving: all in one
process, then with a worker, on the same data folder. In each venues fail in turn, the engine is killed in the middle
(kill -9; alone it is started again by hand, with workers by its supervisor), and SIGTERM is the end.

Claims: what `status` says of a failing venue is what the venue does, and it is well again afterwards; replicas are in
sync, without a broken chain or checksum; the served grids are the full recompute; live + uncovered meets the venue's
own open interest; a new life goes on with the books, stated positions and margin tables of the old one; memory,
threads and files stay flat; the journal is sound; the log has neither tracebacks nor addresses.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any, Final

import aiohttp

from benchmarks import report
from benchmarks.soak_process import Cost, ServerProgram, cost_of
from benchmarks.soak_readers import WebReader
from benchmarks.soak_venues import HELD, NAMED
from liqscape.events import QUANTITY_DECIMALS
from liqscape.instruments import find_instrument
from liqscape.v1 import query_pb2
from liqscape_client import Client, ClientError, LiveStream
from liqscape_client.status import lines

QUESTION: Final = "does a live server keep its promises while venues fail and its engine is killed?"
MINUTES: Final = 9.0
WORKERS: Final = (0, 1)
"""Of the two ways of serving; each gets half of the minutes."""

LOOK_S: Final = 2.0
SETTLED_S: Final = 40.0
"""After which memory, threads and files of a process are to be flat: grids are built, margin tables fetched."""

FAULTY_S: Final = 45.0
"""Longer than any control channel that is used here may be silent, but that of HTX."""

WELL_WITHIN_S: Final = 90.0
MEETS_WITHIN_S: Final = 75.0
"""The longest that a book of a venue that is well may take to meet a sample of open interest, polls included."""

GROWTH_KIB: Final = 48 * 1024
"""Allowed between the first and the last third of a life: books fill from nothing all the time."""

COARSE: Final = frozenset({"lighter"})
"""Tells open interest by its worth: less exact than events."""

Told = query_pb2.VenueFeed


def _any_state(feed: Told, state: str) -> bool:
    return any(channel.state == state for channel in feed.channels)


def _counts(*reasons: str) -> Callable[[Told], bool]:
    return lambda feed: any(feed.rejected[reason] for reason in reasons if reason in feed.rejected)


@dataclass(frozen=True, slots=True)
class Failure:
    """What goes wrong at a house, and what an operator is to see of it at one of its venues.

    Attributes:
        house, fault: see soak_venues.
        drops: whether its connections are cut too, because only new ones are refused.
        venue: name of the registry.
        is_told: whether its status says so.
    """

    house: str
    fault: str
    drops: bool
    venue: str
    is_told: Callable[[Told], bool]


FAILURES: Final = (
    Failure("binance-usdm", "SILENCE", False, "binance-usdm", lambda feed: _any_state(feed, "silent")),
    Failure("okx", "TOO_MANY", True, "okx", lambda feed: "429" in feed.message),
    Failure("bybit", "MALFORMED", False, "bybit-linear", lambda feed: bool(feed.rejected)),
    Failure("bitget", "drop", False, "bitget", lambda feed: feed.reconnects > 0),
    Failure("gate", "WRONG_SIZE", False, "gate-usdt", _counts("crossed units")),
    Failure("kraken", "LEGAL", True, "kraken", lambda feed: _any_state(feed, "blocked")),
    Failure("hyperliquid", "TOO_MANY", True, "hyperliquid", lambda feed: "429" in feed.message),
    Failure("deribit", "DEAF", True, "deribit", lambda feed: bool(feed.message)),
)
"""All at a time: venues fail together on bad days."""


@dataclass(slots=True)
class Life:
    """What was seen of a server from a start to an end.

    Attributes:
        workers: see the option.
        build_s: from the start of the program to serving; None: its supervisor started it.
        costs: of each process by name, over time.
        out_of_sync: looks at which a reader was not in sync, by reader, of `looks`.
        messages: everything that a venue was said to be in trouble with.
    """

    workers: int
    build_s: float | None = None
    costs: dict[str, list[Cost]] = field(default_factory=lambda: defaultdict(list))
    looks: int = 0
    out_of_sync: Counter[str] = field(default_factory=Counter)
    messages: set[str] = field(default_factory=set)
    status: list[str] = field(default_factory=list)
    latency: dict[str, list[float]] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Soak:
    """The whole run."""

    lives: list[Life] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    meetings: int = 0
    restarts: list[dict[str, Any]] = field(default_factory=list)
    ends: list[dict[str, Any]] = field(default_factory=list)
    told_after_s: dict[str, float] = field(default_factory=dict)
    well_after_s: dict[str, float] = field(default_factory=dict)
    last_met: dict[tuple[str, str], float] = field(default_factory=dict)
    longest_unmet_s: float = 0.0


class Venues:
    """The process of the venues."""

    def __init__(self, process: asyncio.subprocess.Process, address: str) -> None:
        self._process = process
        self._asking = asyncio.Lock()
        self.address = address

    async def tell(self, fault: str, house: str = "") -> dict[str, Any]:
        """Say something, and return the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        async with self._asking:
            self._process.stdin.write(json.dumps({"house": house, "fault": fault}).encode() + b"\n")
            answer: dict[str, Any] = json.loads(await self._process.stdout.readline())
            return answer


@contextlib.asynccontextmanager
async def fake_venues() -> AsyncIterator[Venues]:
    """Run the venues while the block runs."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.soak_venues"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 22,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Venues(process, json.loads(await process.stdout.readline())["address"])
    finally:
        process.stdin.close()
        await process.wait()


def free_address() -> str:
    """Return HOST:PORT that nobody uses now: a server that is started again needs the same one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def arguments_of(folder: Path, relay: str, workers: int, ports: dict[str, str]) -> list[str]:
    """Write the files that an operator has, and return the command's arguments."""
    (folder / "accounts.txt").write_text(f"{NAMED}  # a desk\n")
    (folder / "model.toml").write_text("[cme]\nleverage = 3\n")
    day = (datetime.now(UTC) - timedelta(days=1)).date()
    month = f"{day.year + 1}-03"
    head = "trade_date,product,contract_month,settle,volume,open_interest,status\n"
    (folder / "cme.csv").write_text(f"{head}{day},BTC,{month},64310,8123,21034,F\n{day},ETH,{month},3190,812,9034,P\n")
    given = {
        "--source": "live",
        "--relay": relay,
        "--data": str(folder / "data"),
        "--accounts": str(folder / "accounts.txt"),
        "--find-accounts": "5",
        "--cme": str(folder / "cme.csv"),
        "--model": str(folder / "model.toml"),
        "--margin-tables": "fetch",
        "--snapshot-seconds": "60",
        "--log-level": "info",
        "--workers": str(workers),
        **ports,
    }
    return [part for pair in given.items() for part in pair]


class Watch:
    """Looks at a server again and again, and notes what it sees."""

    def __init__(self, program: ServerProgram, client: Client, venues: Venues, soak: Soak) -> None:
        self._program, self._client, self._venues, self._soak = program, client, venues, soak
        self.readers: dict[str, LiveStream | WebReader] = {}
        self.life = Life(0)
        self.newest: query_pb2.GetStatusResponse | None = None
        self.failing: dict[str, float] = {}
        """When a venue that fails, or did, will be well for sure, by its name."""

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            with contextlib.suppress(ClientError, aiohttp.ClientError):
                await self._look()
            await asyncio.sleep(LOOK_S)

    async def _look(self) -> None:
        for name, pid in self._program.processes().items():
            if (cost := cost_of(pid)) is not None:
                self.life.costs[f"{name} {pid}"].append(cost)
        status = self.newest = await self._client.status()
        if status.state != query_pb2.ENGINE_STATE_SERVING:
            return
        self.life.looks += 1
        for name, reader in self.readers.items():
            in_sync = reader.in_sync if isinstance(reader, WebReader) else reader.state.in_sync
            self.life.out_of_sync[name] += not in_sync
        said = (f"{feed.venue}: {feed.message}" for feed in status.feeds if feed.message)
        self.life.messages |= {re.sub(r"\d+ of \d+", "n of n", each) for each in said}
        self.life.status, self.life.counters = lines(status), dict(status.counters)
        self.life.latency = {
            stage.stage: [_within(stage, status.latency_bounds_seconds, share) for share in (0.5, 0.99)]
            for stage in status.freshness
        }
        await self._meet(status)

    async def _meet(self, status: query_pb2.GetStatusResponse) -> None:
        """Hold books of linear instruments against what the venues say is open."""
        recent = await self._venues.tell("interest")
        now = time.monotonic()
        parts = [part for symbol in status.symbols for part in symbol.coverage]
        for part in parts:
            instrument = find_instrument(part.instrument)
            if instrument.is_inverse or part.venue in COARSE or part.instrument not in recent:
                continue
            one = 10 ** (QUANTITY_DECIMALS - part.lot_decimals)
            levels = {quantity // one for quantity in recent[part.instrument]}
            if any(part.instrument.startswith(venue) and now < until for venue, until in self.failing.items()):
                self._soak.last_met.pop((part.instrument, "long"), None)
                self._soak.last_met.pop((part.instrument, "short"), None)
                continue
            for side in ("long", "short"):
                known = getattr(part, f"live_{side}_lots") + getattr(part, f"uncovered_{side}_lots")
                since = now - self._soak.last_met.setdefault((part.instrument, side), now)
                self._soak.longest_unmet_s = max(self._soak.longest_unmet_s, since)
                if known in levels:
                    self._soak.last_met[part.instrument, side] = now
                    self._soak.meetings += 1
                elif since > MEETS_WITHIN_S:
                    self._soak.broken.append(
                        f"{part.instrument} {side}: {known} lots, none of the venue's own levels for {since:.0f} s"
                    )
                    self._soak.last_met[part.instrument, side] = now


def _within(stage: query_pb2.StageLatency, bounds_s: Sequence[float], share: float) -> float:
    """Return the bound, milliseconds, below which a share of the observations lies; -1 beyond all of them."""
    wanted, seen = share * sum(stage.counts), 0
    for count, bound_s in zip(stage.counts, bounds_s, strict=False):
        seen += count
        if seen >= wanted:
            return bound_s * 1000
    return -1.0


async def fail(watch: Watch, venues: Venues, soak: Soak, seconds: float) -> None:
    """Let every failure happen, see that it is told, heal it, and see that its venue is well again."""

    async def one(failure: Failure) -> None:
        name, key = failure.venue.partition("-")[0], _key(watch, failure)
        watch.failing[name] = float("inf")
        began = time.monotonic()
        await venues.tell(failure.fault, failure.house)
        if failure.drops:
            await venues.tell("drop", failure.house)
        while time.monotonic() - began < seconds:
            feed = _feed(watch, failure.venue)
            if feed is not None and failure.is_told(feed) and key not in soak.told_after_s:
                soak.told_after_s[key] = time.monotonic() - began
                print(f"{key}: told after {soak.told_after_s[key]:.0f} s: {_words(feed)}", flush=True)
            await asyncio.sleep(1.0)
        if key not in soak.told_after_s:
            soak.broken.append(f"{key} was not told: {_words(feed)}")
        await venues.tell("heal", failure.house)
        await _get_well(watch, failure, soak)
        watch.failing[name] = time.monotonic() + MEETS_WITHIN_S

    await asyncio.gather(*(one(failure) for failure in FAILURES))


def _key(watch: Watch, failure: Failure) -> str:
    return f"{failure.venue} {failure.fault}, {watch.life.workers} workers"


async def _get_well(watch: Watch, failure: Failure, soak: Soak) -> None:
    key, began = _key(watch, failure), time.monotonic()
    while time.monotonic() - began < WELL_WITHIN_S:
        feed = _feed(watch, failure.venue)
        if feed is not None and not any(c.state in _ILL for c in feed.channels):
            soak.well_after_s[key] = time.monotonic() - began
            return
        await asyncio.sleep(1.0)
    if failure.fault == "LEGAL":  # who refuses so is asked again after minutes
        return
    soak.broken.append(f"{key}: not well {WELL_WITHIN_S:g} s after it was healed: {_words(feed)}")


_ILL: Final = ("silent", "blocked", "connecting", "quarantined")


def _feed(watch: Watch, venue: str) -> Told | None:
    return None if watch.newest is None else next((f for f in watch.newest.feeds if f.venue == venue), None)


def _words(feed: Told | None) -> str:
    if feed is None:
        return "nothing known"
    states = Counter(channel.state for channel in feed.channels)
    rejected = dict(feed.rejected)
    return f"{dict(states)}, {feed.connections} connections, {feed.reconnects} anew, {rejected}, {feed.message!r}"


@dataclass(frozen=True, slots=True)
class Held:
    """What a life is to go on with: ticks of the journal, cohorts, stated lots, margin tables by origin."""

    epoch: int
    cohorts: int
    stated: int
    fetched: tuple[str, ...]
    journal_ticks: int


def held(status: query_pb2.GetStatusResponse) -> Held:
    """Return it of a status."""
    parts = [part for symbol in status.symbols for part in symbol.coverage]
    return Held(
        status.epoch,
        sum(symbol.live_cohorts for symbol in status.symbols),
        sum(part.stated_long_lots + part.stated_short_lots for part in parts),
        tuple(sorted(t.instrument for f in status.feeds for t in f.margin_tables if t.origin == "fetched")),
        status.counters["journal_ticks"],
    )


async def kill(program: ServerProgram, watch: Watch, client: Client, workers: int, soak: Soak) -> Life:
    """Kill the engine, have it back, and hold what it goes on with against what there was."""
    before = held(await client.status())
    began = time.monotonic()
    os.kill(program.processes()["engine"], signal.SIGKILL)
    watch.life = Life(workers)
    if workers == 0:
        assert program.process is not None
        await program.process.wait()
        watch.life.build_s = await program.start()
    after = before
    while time.monotonic() - began < WELL_WITHIN_S:
        with contextlib.suppress(ClientError):
            status = await client.status()
            after = held(status)
            if after.epoch != before.epoch and after.journal_ticks and status.feeds:  # it has ticked, and it listens
                break
        await asyncio.sleep(0.1)
    seconds = time.monotonic() - began
    counters = status.counters
    told = {name: counters[name] for name in ("journal_ticks_replayed", "journal_ticks_lost", "damaged_files")}
    soak.restarts.append({"seconds": seconds, "before": asdict(before), "after": asdict(after), **told})
    print(f"killed; serving again after {seconds:.1f} s: {before} -> {after}, {told}", flush=True)
    if after.epoch == before.epoch:
        soak.broken.append("the engine that was killed did not come back with a new epoch")
    if after.cohorts < before.cohorts * 0.95:
        soak.broken.append(f"of {before.cohorts} cohorts {after.cohorts} were there after a kill")
    if not 0.5 * before.stated <= after.stated:
        soak.broken.append(f"of {before.stated} stated lots {after.stated} were there after a kill")
    if not set(before.fetched) <= set(after.fetched):
        soak.broken.append(f"margin tables of {set(before.fetched) - set(after.fetched)} are not as told any more")
    if counters["journal_ticks_lost"] or counters["damaged_files"]:
        soak.broken.append(f"after a kill: {told}")
    for name, reader in watch.readers.items():
        await _in_sync(name, reader, soak)
    return watch.life


async def _in_sync(name: str, reader: LiveStream | WebReader, soak: Soak) -> None:
    began = time.monotonic()
    while time.monotonic() - began < WELL_WITHIN_S:
        if reader.in_sync if isinstance(reader, WebReader) else reader.state.in_sync:
            return
        await asyncio.sleep(0.1)
    soak.broken.append(f"the {name} reader was not in sync within {WELL_WITHIN_S:g} s")


async def serve_for(seconds: float, workers: int, folder: Path, venues: Venues, soak: Soak) -> None:
    """Run one way of serving: failures, a kill in the middle, SIGTERM."""
    listen, page, metrics = free_address(), free_address(), free_address()
    ports = {"--listen": listen, "--http": page, "--metrics": metrics}
    log = folder / "server.log"
    program = ServerProgram(arguments_of(folder, venues.address, workers, ports), metrics, log)
    async with contextlib.AsyncExitStack() as stack:
        build_s = await program.start()
        stack.push_async_callback(_put_out, program)
        client = await stack.enter_async_context(Client(listen))
        watch = Watch(program, client, venues, soak)
        watch.life = Life(workers, build_s)
        soak.lives.append(watch.life)
        web = WebReader(f"http://{page}/")
        grpc = await stack.enter_async_context(client.stream(credits=2))
        watch.readers = {"gRPC": grpc, "WebSocket": web}
        tasks = [asyncio.create_task(web.run()), asyncio.create_task(watch.run())]
        for name, reader in watch.readers.items():
            await _in_sync(name, reader, soak)
        await asyncio.sleep(SETTLED_S)
        await fail(watch, venues, soak, min(FAULTY_S, seconds / 4))
        await _until_met(seconds / 2, soak.lives[-1])
        soak.lives.append(await kill(program, watch, client, workers, soak))
        await asyncio.sleep(max(30.0, seconds / 2 - 20.0))
        await _ask_as_an_operator(client, page, folder, workers)
        everything = [watch.newest.SerializeToString()] if watch.newest else []
        async with aiohttp.ClientSession() as http:
            for path in ("v1/status", "v1/map?symbol=BTC", "metrics", "v1/clusters?symbol=BTC"):
                async with http.get(f"http://{page if 'v1' in path else metrics}/{path}") as answer:
                    everything.append(await answer.read())
        told = " ".join(each.decode("utf-8", "replace") for each in everything).lower()
        soak.broken += [f"the address of account {n} is told" for n, name in enumerate(HELD) if name in told]
        tasks[1].cancel()
        code, drain_s = await program.end()
        counters = {"gRPC": grpc.replicas.counters, "WebSocket": web.replicas.counters}
        soak.ends.append(
            {
                "workers": workers,
                "exit_status": code,
                "seconds": drain_s,
                "readers": {name: asdict(each) for name, each in counters.items()},
                "web_ends": web.ends,
            }
        )
        for name, each in counters.items():
            if each.gaps or each.checksum_failures or each.malformed:
                soak.broken.append(f"{name}, {workers} workers: {each}")
        if code != 0:
            soak.broken.append(f"after SIGTERM the exit status is {code}")
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    await _check_folder(folder, soak)


async def _until_met(seconds: float, life: Life) -> None:
    """Wait until a life has been looked at for so long."""
    while life.looks * LOOK_S < seconds:  # noqa: ASYNC110 (nothing tells)
        await asyncio.sleep(1.0)


async def _put_out(program: ServerProgram) -> None:
    if program.process is not None and program.process.returncode is None:
        await program.end(signal.SIGKILL)


async def _ask_as_an_operator(client: Client, page: str, folder: Path, workers: int) -> None:
    """Keep what the commands say, to be read."""
    (folder / f"status-{workers}.txt").write_text("\n".join(lines(await client.status())))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "liqscape", "clusters", "--address", client.address, "BTC"),
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    (folder / f"clusters-{workers}.txt").write_bytes(said)


async def _check_folder(folder: Path, soak: Soak) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "liqscape", "journal", "check", "--data", str(folder / "data")),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    print(said.decode(), flush=True)
    if process.returncode != 0:
        soak.broken.append(f"journal check: {said.decode()}")


def judge_log(text: str, soak: Soak) -> Counter[str]:
    """Return how often each level was logged; note what must not be there."""
    if "Traceback" in text:
        soak.broken.append(f"the log has {text.count('Traceback')} tracebacks")
    lower = text.lower()
    soak.broken += [f"the log has the address of account {n}" for n, name in enumerate(HELD) if name in lower]
    return Counter(re.findall(r"^\S+Z (debug|info|warning|error|critical) ", text, re.MULTILINE))


def judge_costs(life: Life, soak: Soak) -> dict[str, dict[str, Any]]:
    """Return what each process cost, settled; note what is not flat."""
    found = {}
    for name, costs in life.costs.items():
        settled = [cost for cost in costs if cost.at_s >= costs[0].at_s + SETTLED_S]
        if len(settled) < 6:
            continue
        third = len(settled) // 3
        early, late = settled[:third], settled[-third:]
        growth = median(c.resident_kib for c in late) - median(c.resident_kib for c in early)
        found[name.rpartition(" ")[0]] = {
            "cpu_share": (settled[-1].cpu_s - settled[0].cpu_s) / (settled[-1].at_s - settled[0].at_s),
            "resident_mib": settled[-1].resident_kib / 1024,
            "growth_mib": growth / 1024,
            "minutes": (settled[-1].at_s - settled[0].at_s) / 60,
            "threads": [min(c.threads for c in settled), max(c.threads for c in settled)],
            "files": [min(c.files for c in settled), max(c.files for c in settled)],
        }
        if growth > GROWTH_KIB:
            soak.broken.append(f"{name} grew by {growth / 1024:.0f} MiB")
        for what in ("threads", "files"):
            first, last = (max(getattr(c, what) for c in part) for part in (early, late))
            if last > first + 8:
                soak.broken.append(f"{name} had {first} {what} at first and {last} at last")
    return found


def judge_lives(soak: Soak) -> None:
    """Note what the counters of each life must not have counted, and what they must."""
    for number, life in enumerate(soak.lives):
        for name in ("self_check_differences", "journal_failures", "snapshot_failures", "channel_builds_failed"):
            if life.counters.get(name):
                soak.broken.append(f"life {number}: {life.counters[name]} {name}")
        for name in ("self_checks", "gaps", "journal_ticks", "positions_stated"):
            if not life.counters.get(name):
                soak.broken.append(f"life {number}: no {name}")


def figures(soak: Soak, costs: Sequence[dict[str, dict[str, Any]]], levels: Counter[str]) -> dict[str, str]:
    """Return what a reader should see."""
    shown: dict[str, str] = {}
    for number, (life, found) in enumerate(zip(soak.lives, costs, strict=True), 1):
        name = f"life {number}, {life.workers} workers"
        engine = found.get("engine")
        if engine is None:
            continue
        latency = "; ".join(f"{stage} {p50:g} / {p99:g}" for stage, (p50, p99) in life.latency.items())
        shown[f"{name}: p50 / p99 within, ms"] = latency
        shown[f"{name}: engine"] = (
            f"{engine['cpu_share']:.0%} of a core, {engine['resident_mib']:.0f} MiB,"
            f" {engine['growth_mib']:+.1f} MiB from first to last third of {engine['minutes']:.1f} minutes"
        )
    shown["faults told"] = (
        f"{len(soak.told_after_s)}, the last after {max(soak.told_after_s.values(), default=0):.0f} s"
    )
    shown["engine killed, serving again after"] = ", ".join(f"{r['seconds']:.1f} s" for r in soak.restarts)
    shown["SIGTERM to the end"] = ", ".join(f"{end['seconds']:.1f} s" for end in soak.ends)
    shown["books that met the venue's open interest"] = (
        f"{soak.meetings:,} of linear instruments, the longest wait {soak.longest_unmet_s:.0f} s"
    )
    shown["log"] = ", ".join(f"{count} {level}" for level, count in sorted(levels.items()))
    return shown


async def measure(minutes: float, folder: Path) -> Soak:
    """Run it all in a folder."""
    soak = Soak()
    async with fake_venues() as venues:
        for workers in WORKERS:
            await serve_for(minutes * 60 / len(WORKERS), workers, folder, venues, soak)
    judge_lives(soak)
    return soak


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and store; the status is 1 when a claim does not hold."""
    parser = argparse.ArgumentParser(description=QUESTION)
    parser.add_argument("--minutes", type=float, default=MINUTES, help=f"of serving (default {MINUTES:g})")
    parser.add_argument("--keep", type=Path, help="folder for data and log, which stay")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as throwaway:
        folder = options.keep or Path(throwaway)
        folder.mkdir(parents=True, exist_ok=True)
        soak = asyncio.run(measure(options.minutes, folder))
        levels = judge_log((folder / "server.log").read_text(), soak)
    costs = [judge_costs(life, soak) for life in soak.lives]
    shown = figures(soak, costs, levels)
    for name, value in shown.items():
        print(f"{name}: {value}")
    for message in sorted({message for life in soak.lives for message in life.messages}):
        print(f"  said: {message}")
    for claim in soak.broken:
        print(f"NOT TRUE: {claim}", file=sys.stderr)
    result = {
        "lives": [
            {"workers": life.workers, "build_s": life.build_s, "looks": life.looks, "costs": cost}
            | {"out_of_sync": dict(life.out_of_sync), "latency_ms": life.latency, "counters": life.counters}
            for life, cost in zip(soak.lives, costs, strict=True)
        ],
        "restarts": soak.restarts,
        "ends": soak.ends,
        "told_after_s": soak.told_after_s,
        "well_after_s": soak.well_after_s,
    }
    if options.minutes >= MINUTES:
        report.store("soak", QUESTION, shown, result)
    elif options.keep:
        (folder / "result.json").write_text(json.dumps(result, indent=1))
    return 1 if soak.broken else 0


if __name__ == "__main__":
    sys.exit(main())

"""How many messages a second can one core take, from raw bytes to bars?

    python -m benchmarks.bench_feed                   recordings of every venue that is there, stored
    python -m benchmarks.bench_feed --peer            beside cryptofeed, installed into a throw-away environment
    python -m benchmarks.bench_feed --repeats 2       shorter, nothing stored

Each message goes the way of a live one: its dialect, the handover, plausibility, the inbox, venue order in a tick, the
bar of its instrument; ticks are 250 ms of receive time. Only the socket is missing. Seconds are those of the processor
(process time), and the best of several repeats counts: the machine is shared. Order books, which are not asked for
live, are left out of the bytes before the clock starts.

cryptofeed parses the very same bytes to its own objects, and does no more with them. Its exchanges speak of aggregated
trades, and the recordings of Binance hold single ones: those are restated as aggregated trades, for both.

The burst: 20,000 trades and 2,000 liquidations a second, made up in the form of Binance, beside 200 trades a second:
whether ticks are late. burst_ticks says what is measured, and can be run alone.
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from benchmarks import burst_ticks, report
from liqscape.events import TickEnd
from liqscape.feeds.build import wanted_venues
from liqscape.feeds.live.capture_file import Capture
from liqscape.feeds.live.desk import VenueDesk
from liqscape.feeds.live.inbox import Inbox
from liqscape.feeds.live.line import Line
from liqscape.feeds.live.mirrors import MirrorWatch
from liqscape.feeds.live.plausibility import PriceBoard
from liqscape.feeds.recordings import recordings_folder
from liqscape.feeds.venues.registry import VENUES
from liqscape.instruments import Instrument
from liqscape.market.state import MarketState

QUESTION: Final = "How many messages a second can a core take, from raw bytes to bars?"
WANTED_PER_S: Final = 50_000
WANTED_RATIO: Final = 5.0
REPEATS: Final = 7
TICK_NS: Final = 250_000_000
PEER: Final = Path(__file__).parent / "feed_peer.py"
PEER_PACKAGE: Final = "cryptofeed>=2.4.1,<3"
INSTALL_LIMIT_S: Final = 600


@dataclass(frozen=True, slots=True)
class Recording:
    """A capture and whose messages it holds.

    Attributes:
        venue: name of the registry.
        file: below captures.
        symbols: wanted of it.
        peer: name of the exchange at cryptofeed, and its symbol; None: it has no such exchange.
    """

    venue: str
    file: str
    symbols: tuple[str, ...]
    peer: tuple[str, str] | None = None


RECORDINGS: Final = (
    Recording(
        "binance-usdm",
        "binance_usdm/replay_20240808T235415Z_btcusdt_trades.jsonl",
        ("BTC",),
        ("BINANCE_FUTURES", "BTCUSDT"),
    ),
    Recording("binance-coinm", "binance_coinm/replay_20240808T235416Z_btcusd_perp_trades.jsonl", ("BTC",)),
    Recording("bybit-linear", "bybit/replay_20260809T212658Z_btc_eth_all_channels.jsonl", ("BTC", "ETH")),
)

Messages = list[tuple[int, bytes]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and store a full run. Returns 1 where a recording goes slower than wanted."""
    parser = argparse.ArgumentParser(description=QUESTION)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--peer", action="store_true", help="install cryptofeed into a throw-away environment")
    options = parser.parse_args(arguments)
    folder = recordings_folder() / "captures"
    found: dict[str, Any] = {}
    skipped: dict[str, str] = {}
    for recording in RECORDINGS:
        if recording.venue not in VENUES:
            skipped[recording.venue] = "its dialect is not in the registry"
        elif not (folder / recording.file).is_file():
            skipped[recording.venue] = f"{recording.file} is not on this machine"
        else:
            messages = _messages(folder / recording.file)
            found[recording.venue] = _measure(recording, messages, options.repeats)
            if recording.peer is not None:
                found[recording.venue]["peer"] = _peer(recording.peer, messages, options)
    burst = _burst(options.repeats == REPEATS)
    for venue, result in found.items():
        print(f"{venue}: {json.dumps(result)}")
    for venue, reason in skipped.items():
        print(f"{venue}: skipped, {reason}")
    print(f"ticks: {json.dumps(burst)}")
    if options.repeats == REPEATS and options.peer and found:
        report.store("feed", QUESTION, _figures(found, burst), {"venues": found, "skipped": skipped, "ticks": burst})
    return 0 if all(result["to_bars_per_s"] >= WANTED_PER_S for result in found.values()) else 1


def _messages(path: Path) -> Messages:
    """Return what was received, order books left out, single trades of Binance as aggregated ones."""
    messages: Messages = []
    number = 0
    for entry in Capture(path).entries():
        if entry.kind != "recv" or _is_of_a_book(entry.message):
            continue
        message = entry.message
        if b'"e":"trade"' in message:
            said = orjson.loads(message)
            trade = said["data"]
            if trade["X"] != "MARKET":
                continue
            number += 1
            kept = {"e": "aggTrade", "E": trade["E"], "s": trade["s"], "a": number, "p": trade["p"], "q": trade["q"]}
            kept |= {"f": trade["t"], "l": trade["t"], "T": trade["T"], "m": trade["m"]}
            message = orjson.dumps({"stream": said["stream"].replace("@trade", "@aggTrade"), "data": kept})
        messages.append((entry.receive_ns, message))
    return messages


def _is_of_a_book(message: bytes) -> bool:
    head = message[:160]
    return any(word in head for word in (b"depth", b"bookTicker", b"orderbook", b"lastUpdateId", b"kline"))


def _desk(recording: Recording) -> tuple[VenueDesk, Line, Inbox, list[Instrument]]:
    venues, listings = wanted_venues((recording.venue,), recording.symbols)
    inbox = Inbox(1 << 30)
    desk = VenueDesk(venues[0], listings[recording.venue], PriceBoard(), MirrorWatch(), inbox.put)
    return desk, desk.open_unnamed(), inbox, [listing.instrument for listing in listings[recording.venue]]


def _measure(recording: Recording, messages: Messages, repeats: int) -> dict[str, Any]:
    """Return messages a second, to events and to bars, and what came out."""
    seconds = {"to_events": float("inf"), "to_bars": float("inf")}
    said: dict[str, Any] = {}
    for _ in range(repeats):
        for way, run in (("to_events", _to_events), ("to_bars", _to_bars)):
            desk, line, inbox, instruments = _desk(recording)
            seconds[way] = min(seconds[way], _timed(lambda: run(line, inbox, instruments, messages)))  # noqa: B023
        said = {c.value: tally.events for c, tally in desk.tallies.items() if tally.events}
        assert not desk.unread, desk.unread
    return {
        "messages": len(messages),
        "bytes_mean": round(sum(len(message) for _, message in messages) / len(messages)),
        "events": said,
        **{f"{way}_per_s": round(len(messages) / s) for way, s in seconds.items()},
    }


def _timed(work: Callable[[], None]) -> float:
    gc.collect()
    gc.disable()
    try:
        began = time.process_time()
        work()
        return time.process_time() - began
    finally:
        gc.enable()


def _to_events(line: Line, inbox: Inbox, instruments: list[Instrument], messages: Messages) -> None:
    for receive_ns, message in messages:
        line.hear(message, receive_ns)
    assert inbox.take()


def _to_bars(line: Line, inbox: Inbox, instruments: list[Instrument], messages: Messages) -> None:
    market = MarketState(instruments)
    end_ns = messages[0][0] + TICK_NS
    bars = 0
    for receive_ns, message in messages:
        while receive_ns >= end_ns:
            for event in inbox.take():
                market.apply(event)
            bars += len(market.close(TickEnd(end_ns)).bars)
            end_ns += TICK_NS
        line.hear(message, receive_ns)
    assert bars


def _peer(exchange: tuple[str, str], messages: Messages, options: argparse.Namespace) -> dict[str, Any] | str:
    """Return what cryptofeed makes of the same bytes, or why it was not asked."""
    if not options.peer:
        return "not asked for; use --peer"
    with tempfile.TemporaryDirectory() as folder:
        environment = Path(folder) / "peer"
        pip = [str(environment / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check"]
        try:
            subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True, capture_output=True)
            subprocess.run(
                [*pip, "install", PEER_PACKAGE], check=True, capture_output=True, timeout=INSTALL_LIMIT_S, text=True
            )
        except subprocess.TimeoutExpired:
            return f"cryptofeed was not installed within {INSTALL_LIMIT_S} s"
        except subprocess.CalledProcessError as error:
            return f"cryptofeed cannot be installed: {str(error.stderr).strip().splitlines()[-1:]}"
        lines = "\n".join(message.decode() for _, message in messages)
        command = [str(environment / "bin" / "python"), str(PEER), *exchange, str(options.repeats)]
        done = subprocess.run(command, input=lines, capture_output=True, text=True, check=False)
    if done.returncode:
        return f"cryptofeed failed: {done.stderr.strip().splitlines()[-1:]}"
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _burst(is_full: bool) -> dict[str, Any]:
    """Return what burst_ticks says, which runs in a process of its own: as a server, it collects garbage rarely."""
    shorter = () if is_full else ("--seconds", "5", "--rounds", "1")
    command = [sys.executable, "-m", "benchmarks.burst_ticks", *shorter]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _figures(found: dict[str, Any], burst: dict[str, Any]) -> dict[str, str]:
    figures = {}
    for venue, result in found.items():
        figures[f"{venue}: messages a second of a core, to events / to bars"] = (
            f"{result['to_events_per_s']:,} / {result['to_bars_per_s']:,}"
        )
        peer = result.get("peer")
        if isinstance(peer, dict):
            ratio = result["to_events_per_s"] / peer["per_s"]
            figures[f"{venue}: cryptofeed {peer['version']}, the same bytes to its objects"] = (
                f"{peer['per_s']:,} (ours to events: x {ratio:.2f}, wanted {WANTED_RATIO:g})"
            )
    return figures | burst_ticks.figures(burst)


if __name__ == "__main__":
    sys.exit(main())

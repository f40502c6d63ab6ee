"""Settings of a server, with the reason of each default."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from liqscape.errors import ConfigError, NotFound
from liqscape.instruments import find_instrument

DEFAULT_LISTEN: Final = "127.0.0.1:50051"
"""Loopback: an estimate of other people's positions is nobody's business until its owner says so. 50051 is gRPC's
custom.
"""

MANY_VENUES: Final = "many"
"""In place of instrument ids: seven venues of each symbol, with rules of every kind."""

LISTENING: Final = ("live", "replay")
"""Kinds of source that speak of venues by the names of their registry."""

DEFAULT_DRAIN_SECONDS: Final = 5.0

DEFAULT_SNAPSHOT_SECONDS: Final = 300.0
"""A restart then replays 1,200 ticks of 250 ms at most."""

DEFAULT_ARCHIVE_DAYS: Final = 366
"""A year can be asked for; one instrument takes some gigabytes in it."""

JOURNAL_SYNCS: Final = ("tick", "second", "off")
"""A second by default: waiting for the disk in each tick would make ticks as late as a disk shared with others is."""

MAX_WORKERS: Final = 64
"""More than a machine has cores to spare. An edge without readers takes 65 MB."""

MAX_FOUND_ACCOUNTS: Final = 500
"""With as many named ones all are asked once in 8 minutes and a half, inside a budget of their own."""

MARGIN_TABLES: Final = ("fetch", "shipped")
"""fetch by default: a venue changes its table without asking us, and what it tells costs a request a day."""

BACKENDS: Final = ("auto", "numpy", "cupy")
"""numpy computes on the host, cupy on a GPU; auto is cupy where it can run, so that nobody has to know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceConfig:
    """Where events come from.

    Attributes:
        kind: simulate, history, live, or replay.
        manifest: the recording's manifest, for history; the file or folder of captured messages, for replay.
        recordings: folder above market/; None = LIQSCAPE_RECORDINGS, else ../shared.
        speed: recorded or simulated seconds a second; None = as fast as possible, for history and replay only.
        seed: of the simulation; 1 so that two people see the same demo.
        symbols: base coins; None = all the source has.
        venues: instrument ids to simulate, or just many; None = one venue, which is what a demonstration needs. Of live
            and replay: names of the registry of venues; None = all.
        scenario: what a simulation is made to show; usual = what its dice do.
        relay: http(s)://HOST:PORT that is asked instead of venues, as /VENUE-HOST/PATH; None = venues are.
        past: data folder whose backfill is told before what is live; None = nothing is.
        accounts: file of accounts whose positions a live venue is asked for; None = nobody is named.
        find_accounts: accounts that are taken from such a venue's own trades, at most; 0 = none, because whom a server
            follows is for its owner to decide.
        margin_tables: of live, one of MARGIN_TABLES: whether venues are asked for theirs, or those shipped are it.
        kept_tables: data folder in which tables that were told are kept for the next start; None = nowhere.
    """

    kind: str = "simulate"
    manifest: Path | None = None
    recordings: Path | None = None
    speed: float | None = 1.0
    seed: int = 1
    symbols: tuple[str, ...] | None = None
    venues: tuple[str, ...] | None = None
    scenario: str = "usual"
    relay: str | None = None
    past: Path | None = None
    accounts: Path | None = None
    find_accounts: int = 0
    margin_tables: str = "fetch"
    kept_tables: Path | None = None


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Files in PEM. With a client CA, clients must show a certificate of it."""

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def paths(self) -> tuple[Path, ...]:
        """Return those that are named."""
        named = (self.certificate, self.key, self.client_ca)
        return tuple(path for path in named if path is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeConfig:
    """One server.

    Attributes:
        source: where events come from.
        listen: HOST:PORT; port 0 takes a free one.
        insecure: allow an address other than loopback without TLS and tokens.
        tls: None = clear text.
        tokens: file of the tokens; None = none are needed.
        data: folder of journal and snapshots, from which a restart goes on; None = everything is forgotten.
        journal_sync: what a loss of power may take, one of JOURNAL_SYNCS. A killed process loses nothing either way.
        snapshot_seconds: between two snapshots: a restart replays so much, and each costs seconds of a core.
        at_end: stay (serve the last state) or exit when the input ends.
        archive_days: so many sealed days can be asked for; 0 = none are kept, and what was kept stays as it is.
        archive_bytes: of all sealed days; the oldest go when there are more. None = no limit.
        model: file of assumptions about positions, see model_file; None = the shipped prior.
        cme: file or folder of CME's daily report, which stands beside the map; None = none is read.
        with_open_only: keep the vendor-like book that queries may compare with.
        backend: what computes, one of BACKENDS.
        device: number of the GPU; 0 is the only one of most machines.
        rolls_per_tick: channels whose windows move on in a tick, if that will do; see grid.rolls. None = its default.
        http: HOST:PORT of the page, of questions as JSON and of the stream over a WebSocket; None = not served.
        metrics: HOST:PORT of /metrics and /healthz; None = not served.
        drain_seconds: how long streams may take to leave after SIGTERM. Five: `docker stop` kills after ten, and the
            rest of an end takes two to three.
        workers: edge processes beside one of the engine; 0 = everything in one process, which is what a few dozen
            readers need.
        source_id: name of this engine shard on the wire, stable over restarts.
        stop_grace_seconds: how long open streams may take to end: two heartbeats.
    """

    source: SourceConfig
    listen: str = DEFAULT_LISTEN
    insecure: bool = False
    tls: TlsFiles | None = None
    tokens: Path | None = None
    at_end: str = "stay"
    data: Path | None = None
    journal_sync: str = "second"
    snapshot_seconds: float = DEFAULT_SNAPSHOT_SECONDS
    archive_days: int = DEFAULT_ARCHIVE_DAYS
    archive_bytes: int | None = None
    model: Path | None = None
    cme: Path | None = None
    with_open_only: bool = True
    backend: str = "auto"
    device: int = 0
    rolls_per_tick: int | None = None
    http: str | None = None
    metrics: str | None = None
    drain_seconds: float = DEFAULT_DRAIN_SECONDS
    workers: int = 0
    source_id: str = "engine-0"
    stop_grace_seconds: float = 2.0


def parse_source(text: str) -> tuple[str, Path | None]:
    """Return kind and file of --source: simulate, live, history:FILE or replay:FILE.

    Raises:
        ConfigError: it is none of them.
    """
    if text in ("simulate", "live"):
        return text, None
    kind, separator, file = text.partition(":")
    if kind in ("history", "replay") and separator and file:
        return kind, Path(file)
    raise ConfigError(f"source {text!r} is unknown; use simulate, live, history:FILE or replay:FILE")


def parse_names(text: str | None) -> tuple[str, ...] | None:
    """Return names separated by commas, as of --venues of a live source; None where none are named."""
    return tuple(name.strip() for name in text.split(",")) if text else None


def parse_relay(text: str | None) -> str | None:
    """Return --relay: http:// or https:// and a place.

    Raises:
        ConfigError: it is not.
    """
    if text is not None and not re.fullmatch(r"https?://[^\s/]+(/\S*)?", text):
        raise ConfigError(f"relay {text!r} is invalid; use http://HOST:PORT or https://HOST:PORT")
    return text


def parse_margin_tables(text: str | None, kind: str) -> str:
    """Return --margin-tables of a kind of source: fetch where it is live and nothing else is said, else shipped.

    Raises:
        ConfigError: it is neither, or nobody could be asked.
    """
    if text is None:
        return "fetch" if kind == "live" else "shipped"
    if text not in MARGIN_TABLES:
        raise ConfigError(f"margin-tables {text!r} is unknown; use {' or '.join(MARGIN_TABLES)}")
    if text == "fetch" and kind != "live":
        raise ConfigError("margin-tables fetch is of live venues; use --source live, or shipped")
    return text


def parse_tls(certificate: Path | None, key: Path | None, client_ca: Path | None) -> TlsFiles | None:
    """Return the files of --tls-cert, --tls-key and --tls-client-ca; None where none is named.

    Raises:
        ConfigError: a certificate without key, or the other way round.
    """
    if certificate is not None and key is not None:
        return TlsFiles(certificate, key, client_ca)
    if certificate is not None or key is not None or client_ca is not None:
        raise ConfigError("TLS needs both --tls-cert FILE and --tls-key FILE")
    return None


def parse_symbols(text: str | None) -> tuple[str, ...] | None:
    """Return the base coins of --symbols; None where none are named."""
    return tuple(name.strip().upper() for name in text.split(",")) if text else None


def parse_venues(
    text: str | None, symbols: tuple[str, ...] | None
) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    """Return the venues of --venues (many, or instrument ids), and the symbols: theirs, where none are wanted.

    Raises:
        ConfigError: an instrument is unknown.
    """
    if text is None or text.strip() == MANY_VENUES:
        return (None if text is None else (MANY_VENUES,)), symbols
    ids = tuple(name.strip() for name in text.split(","))
    try:
        instruments = [find_instrument(name) for name in ids]
    except NotFound as error:
        raise ConfigError(f"{error}; or use {MANY_VENUES}") from None
    return ids, symbols or tuple(dict.fromkeys(instrument.symbol for instrument in instruments))


def parse_workers(text: str) -> int:
    """Return --workers: a number of edge processes, 0 to MAX_WORKERS.

    Raises:
        ConfigError: it is not.
    """
    if not text.isascii() or not text.isdigit() or int(text) > MAX_WORKERS:
        raise ConfigError(f"workers {text!r} is invalid; use a whole number from 0 to {MAX_WORKERS}")
    return int(text)


def parse_find_accounts(text: str) -> int:
    """Return --find-accounts: a number of accounts, 0 to MAX_FOUND_ACCOUNTS.

    Raises:
        ConfigError: it is not.
    """
    if not text.isascii() or not text.isdigit() or int(text) > MAX_FOUND_ACCOUNTS:
        raise ConfigError(f"find-accounts {text!r} is invalid; use a whole number from 0 to {MAX_FOUND_ACCOUNTS}")
    return int(text)


def parse_drain(text: str) -> float:
    """Return --drain: seconds, from 0 to an hour.

    Raises:
        ConfigError: it is not.
    """
    return _seconds("drain", text, 0, 3600)


def parse_snapshot_seconds(text: str) -> float:
    """Return --snapshot-seconds: from 1 to a day.

    Raises:
        ConfigError: it is not.
    """
    return _seconds("snapshot-seconds", text, 1, 86_400)


def parse_archive_days(text: str) -> int:
    """Return --archive-days: a whole number up to a hundred years.

    Raises:
        ConfigError: it is not.
    """
    if not text.isascii() or not text.isdigit() or len(text) > 5 or int(text) > 36_600:
        raise ConfigError(f"archive-days {text!r} is invalid; use a whole number from 0 to 36600")
    return int(text)


def parse_archive_gb(text: str | None) -> int | None:
    """Return --archive-gb in bytes; None where it is not given.

    Raises:
        ConfigError: it is not a number from 0.001 to a million.
    """
    if text is None:
        return None
    try:
        gigabytes = float(text)
    except ValueError:
        gigabytes = 0.0
    if not 0.001 <= gigabytes <= 1e6:
        raise ConfigError(f"archive-gb {text!r} is invalid; use gigabytes from 0.001 to 1000000")
    return int(gigabytes * 1e9)


def _seconds(flag: str, text: str, least: int, most: int) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not least <= seconds <= most:
        raise ConfigError(f"{flag} {text!r} is invalid; use seconds from {least} to {most}")
    return seconds


def parse_speed(text: str) -> float | None:
    """Return --speed: a positive number, or None for max.

    Raises:
        ConfigError: it is neither.
    """
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise ConfigError(f"speed {text!r} is invalid; use a number above 0, or max")
    return speed

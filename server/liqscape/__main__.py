"""Command line. Heavy imports happen inside the command that needs them, so that --help is instant."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from liqscape import __version__
from liqscape.config import (
    BACKENDS,
    DEFAULT_ARCHIVE_DAYS,
    DEFAULT_DRAIN_SECONDS,
    DEFAULT_LISTEN,
    DEFAULT_SNAPSHOT_SECONDS,
    JOURNAL_SYNCS,
)
from liqscape.errors import ConfigError, LiqscapeError
from liqscape.logs import LOG_FORMATS, LOG_LEVELS

EXIT_FAILURE = 1
EXIT_USAGE = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 0 good, 1 failed, 2 wrong use."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(prog="liqscape", description="Live liquidation heatmaps, exact and explained.")
    parser.add_argument("--version", action="version", version=f"liqscape {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    command = next((a for a in arguments if not a.startswith("-")), "")
    try:
        for name, (summary, extra) in _COMMANDS.items():
            subparser = commands.add_parser(name, help=summary, description=summary)
            if name == command:
                _add_arguments(name, subparser, extra)
        return _run(parser.parse_args(arguments), _COMMANDS.get(command, ("", ""))[1])
    except ConfigError as error:
        print(f"liqscape: {error}", file=sys.stderr)
        return EXIT_USAGE
    except LiqscapeError as error:
        print(f"liqscape: {error}", file=sys.stderr)
        return EXIT_FAILURE
    except KeyboardInterrupt:
        return EXIT_FAILURE


_COMMANDS = {
    "serve": ("run a server on live, recorded or simulated data", "server"),
    "token": ("make, list and revoke the tokens of a server", "server"),
    "journal": ("check, compact, repair or correct the data folder of a server", "server"),
    "doctor": ("say what this machine can compute with, and what fits a GPU's memory", "server"),
    "backfill": ("fetch the past of venues into the data folder of a server", "server"),
    "margin": ("say where a position is liquidated at a venue, and by which rule", "server"),
    "status": ("say what a server is doing", "watch"),
    "watch": ("show a live heatmap in the terminal", "watch"),
    "clusters": ("say where liquidation prices lie close together, and how alone", "watch"),
    "export": ("write events, books and grids of a recording to files", "server"),
    "capture": ("record the raw messages of venues, with receive times", "server"),
    "replay": ("read recorded messages by the parsers of the live feeds, and count what they say", "server"),
    "bench": ("measure refresh latency as a client of a server sees it", "watch"),
}
"""Summary, and the extra of the distribution that a command needs."""


def _add_arguments(name: str, parser: argparse.ArgumentParser, extra: str) -> None:
    with _Extra(name, extra):
        if name == "serve":
            _add_serve_arguments(parser)
        elif name == "token":
            from liqscape.token_command import add_token_arguments

            add_token_arguments(parser)
        elif name == "journal":
            from liqscape.journal_command import add_journal_arguments

            add_journal_arguments(parser)
        elif name == "doctor":
            from liqscape.doctor import add_doctor_arguments

            add_doctor_arguments(parser)
        elif name == "backfill":
            from liqscape.backfill_command import add_backfill_arguments

            add_backfill_arguments(parser)
        elif name == "margin":
            from liqscape.margin_command import add_margin_arguments

            add_margin_arguments(parser)
        elif name == "export":
            from liqscape.export import add_export_arguments

            add_export_arguments(parser)
        elif name == "capture":
            from liqscape.capture_command import add_capture_arguments

            add_capture_arguments(parser)
        elif name == "replay":
            from liqscape.capture_command import add_replay_arguments

            add_replay_arguments(parser)
        elif name == "status":
            from liqscape_client.status import add_status_arguments

            add_status_arguments(parser)
        elif name == "watch":
            from liqscape_client.watch import add_watch_arguments

            add_watch_arguments(parser)
        elif name == "clusters":
            from liqscape_client.clusters_command import add_clusters_arguments

            add_clusters_arguments(parser)
        elif name == "bench":
            from liqscape_client.bench import add_bench_arguments

            add_bench_arguments(parser)


def _run(namespace: argparse.Namespace, extra: str) -> int:
    with _Extra(namespace.command, extra):
        if namespace.command == "serve":
            from liqscape.serve import run_serve

            return run_serve(namespace)
        if namespace.command == "token":
            from liqscape.token_command import run_token

            return run_token(namespace)
        if namespace.command == "journal":
            from liqscape.journal_command import run_journal

            return run_journal(namespace)
        if namespace.command == "doctor":
            from liqscape.doctor import run_doctor

            return run_doctor(namespace)
        if namespace.command == "backfill":
            from liqscape.backfill_command import run_backfill

            return run_backfill(namespace)
        if namespace.command == "margin":
            from liqscape.margin_command import run_margin

            return run_margin(namespace)
        if namespace.command == "export":
            from liqscape.export import run_export

            return run_export(namespace)
        if namespace.command == "capture":
            from liqscape.capture_command import run_capture

            return run_capture(namespace)
        if namespace.command == "replay":
            from liqscape.capture_command import run_replay

            return run_replay(namespace)
        if namespace.command == "status":
            from liqscape_client.status import run_status

            return run_status(namespace)
        if namespace.command == "watch":
            from liqscape_client.watch import run_watch

            return run_watch(namespace)
        if namespace.command == "clusters":
            from liqscape_client.clusters_command import run_clusters

            return run_clusters(namespace)
        from liqscape_client.bench import run_bench

        return run_bench(namespace)


def _add_serve_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--source",
        default="simulate",
        help="simulate (default), live, history:FILE with a manifest, or replay:FILE of captured messages",
    )
    parser.add_argument(
        "--speed", default="1", help="recorded seconds a second, or max to build at once (history only)"
    )
    parser.add_argument("--at-end", choices=("stay", "exit"), default="stay", help="when the input ends (default stay)")
    parser.add_argument("--data", type=Path, metavar="DIR", help="journal, snapshots, archive (default: off)")
    parser.add_argument(
        "--journal-sync",
        choices=JOURNAL_SYNCS,
        default="second",
        help="how often it must reach the disk (default second)",
    )
    parser.add_argument(
        "--snapshot-seconds",
        default=str(DEFAULT_SNAPSHOT_SECONDS),
        metavar="SECONDS",
        help=f"between two snapshots (default {DEFAULT_SNAPSHOT_SECONDS:g})",
    )
    parser.add_argument(
        "--archive-days",
        default=str(DEFAULT_ARCHIVE_DAYS),
        metavar="N",
        help=f"days that can be asked for, kept in DIR/archive (default {DEFAULT_ARCHIVE_DAYS}; 0: none)",
    )
    parser.add_argument("--archive-gb", metavar="GB", help="let the oldest of them go beyond this (default: no limit)")
    parser.add_argument("--listen", default=DEFAULT_LISTEN, help=f"HOST:PORT (default {DEFAULT_LISTEN}; port 0: any)")
    parser.add_argument(
        "--insecure", action="store_true", help="allow an address other than loopback without TLS or tokens"
    )
    parser.add_argument("--tls-cert", type=Path, metavar="FILE", help="certificate and its chain, PEM")
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="key of the certificate, PEM")
    parser.add_argument("--tls-client-ca", type=Path, metavar="FILE", help="clients must show a certificate of this CA")
    parser.add_argument("--tokens", type=Path, metavar="FILE", help="callers need one of these (see liqscape token)")
    parser.add_argument("--model", type=Path, help="file of your own leverage and size mixes (see server/README.md)")
    parser.add_argument(
        "--cme",
        type=Path,
        metavar="PATH",
        help="file or folder of CME's daily report, shown beside the map (default: none)",
    )
    parser.add_argument("--no-open-only", action="store_true", help="keep no vendor-like book to compare with")
    parser.add_argument(
        "--backend", choices=BACKENDS, default="auto", help="what computes (default auto: a GPU if any)"
    )
    parser.add_argument("--device", type=int, default=0, help="number of the GPU (default 0)")
    parser.add_argument("--http", metavar="HOST:PORT", help="serve the page and JSON there (default: off)")
    parser.add_argument("--metrics", metavar="HOST:PORT", help="serve /metrics and /healthz there (default: off)")
    parser.add_argument(
        "--drain",
        default=str(DEFAULT_DRAIN_SECONDS),
        metavar="SECONDS",
        help=f"how long streams may take to leave after SIGTERM (default {DEFAULT_DRAIN_SECONDS:g})",
    )
    parser.add_argument(
        "--workers",
        default="0",
        metavar="N",
        help="serve readers from N processes, the engine in another (default 0: all in one process)",
    )
    parser.add_argument("--log-format", choices=LOG_FORMATS, default="text", help="of the log on stderr (default text)")
    parser.add_argument(
        "--log-level", choices=LOG_LEVELS, default="warning", help="what is logged at least (default warning)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the simulation (default 1)")
    parser.add_argument("--symbols", help="base coins, for example BTC,ETH (default: all the source has)")
    parser.add_argument(
        "--venues",
        help="of live and replay: names, for example binance-usdm,bybit-linear (default: all);"
        " of the simulation: many, or instrument ids, for example binance:BTCUSD_PERP",
    )
    parser.add_argument(
        "--relay", metavar="URL", help="of live: what is asked instead of the venues (default: they are)"
    )
    parser.add_argument(
        "--accounts",
        type=Path,
        metavar="FILE",
        help="of live: accounts whose positions the venue is asked for, one address a line (default: none)",
    )
    parser.add_argument(
        "--find-accounts",
        default="0",
        metavar="N",
        help="of live: follow up to N accounts with the largest trades at such a venue too (default 0)",
    )
    parser.add_argument(
        "--margin-tables",
        metavar="HOW",
        help="of live: fetch asks the venues for theirs once a day, shipped asks nobody (default fetch)",
    )
    parser.add_argument("--scenario", default="usual", help="of the simulation: usual, crash, outage or crash-outage")
    parser.add_argument(
        "--recordings", type=Path, help="folder above market/ (default LIQSCAPE_RECORDINGS or ../shared)"
    )


class _Extra:
    """Turns the absence of an optional package into the command that installs it."""

    def __init__(self, command: str, extra: str) -> None:
        self._command = command
        self._extra = extra

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ModuleNotFoundError) and (error.name or "").split(".")[0] not in (
            "liqscape",
            "liqscape_client",
        ):
            raise ConfigError(
                f"{self._command} needs the package {error.name!r};"
                f" install it with: pip install 'liqscape[{self._extra}]'"
            ) from error


if __name__ == "__main__":
    sys.exit(main())

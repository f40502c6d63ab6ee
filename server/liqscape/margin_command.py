"""The margin command: where a position is liquidated at a venue, and by which rule."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tomllib
from datetime import UTC, date, datetime
from fractions import Fraction
from pathlib import Path
from typing import Final

from liqscape.config import parse_relay
from liqscape.errors import ConfigError, InvalidArgument, NotFound
from liqscape.events import PositionSide
from liqscape.feeds.venues.dialect import Request
from liqscape.feeds.venues.tiers import adjustment_differences, differences, find_source, table_of, with_tiers
from liqscape.instruments import (
    CONTEXT,
    Instrument,
    find_instrument,
    instrument_tables,
    read_rules,
    shipped_instruments,
)
from liqscape.margin_text import as_json, as_text, worked_table
from liqscape.positions.position_margin import position_margin

FETCH_S: Final = 20.0
"""For an answer: somebody waits."""


def add_margin_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `margin`."""
    parser.add_argument("--venue", metavar="NAME", help="for example okx")
    parser.add_argument("--symbol", default="BTC", metavar="COIN", help="base coin (default BTC)")
    parser.add_argument("--instrument", metavar="NAME", help="the venue's own name, where it has several of the coin")
    parser.add_argument("--entry", metavar="PRICE", help="price of entry, in quote")
    parser.add_argument("--leverage", metavar="L", help="position value over margin")
    parser.add_argument("--side", choices=("long", "short"), default="long", help="(default long)")
    parser.add_argument("--size", metavar="COINS", help="base coins (default 1, or the middle of the tier)")
    parser.add_argument("--maintenance-tier", type=int, metavar="N", help="1 is the lowest (default: by size)")
    parser.add_argument("--date", metavar="YYYY-MM-DD", help="rules in force that day (default: the newest)")
    parser.add_argument("--rules-file", type=Path, metavar="FILE", help="rules of your own, a table as those shipped")
    parser.add_argument("--fetch", action="store_true", help="use the margin table the venue tells now, without a key")
    parser.add_argument("--answer", type=Path, metavar="FILE", help="use an answer of the venue that was saved")
    parser.add_argument("--relay", metavar="URL", help="what --fetch asks instead of the venue (default: it is)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--table", action="store_true", help="print the prices of every BTC contract, in Markdown")


def run_margin(namespace: argparse.Namespace) -> int:
    """Print what was asked.

    Raises:
        ConfigError, NotFound, InvalidArgument: an argument is missing or wrong, or the venue offers no such position.
    """
    if namespace.table:
        print(worked_table(i for i in shipped_instruments().values() if i.symbol == "BTC"))
        return 0
    for name in ("venue", "entry", "leverage"):
        if getattr(namespace, name) is None:
            raise ConfigError(f"margin needs --{name}; see liqscape margin --help")
    instrument, others = _chosen(namespace)
    if namespace.fetch or namespace.answer is not None:
        instrument = _as_told(instrument, namespace)
    tier = namespace.maintenance_tier
    margin = position_margin(
        instrument,
        side=PositionSide[namespace.side.upper()],
        entry=_number("entry", namespace.entry),
        leverage=_number("leverage", namespace.leverage),
        size=None if namespace.size is None else _number("size", namespace.size),
        maintenance_tier=None if tier is None else tier - 1,
    )
    print(json.dumps(as_json(margin), indent=2) if namespace.json else as_text(margin, others))
    return 0


def _as_told(shipped: Instrument, namespace: argparse.Namespace) -> Instrument:
    """Return the contract under the table that its venue tells, and say where it differs from the one shipped."""
    if namespace.answer is not None:
        where = str(namespace.answer)
        try:
            body = namespace.answer.read_bytes()
        except OSError as error:
            raise ConfigError(f"answer {where} cannot be read: {error.strerror}") from error
    else:
        asked = find_source(shipped.venue).request
        if asked is None:
            raise ConfigError(f"venue {shipped.venue!r} tells its margin table to signed requests alone; use --answer")
        request = asked(shipped)
        where = request.url
        body = asyncio.run(_fetched(request, parse_relay(namespace.relay)))
    told, adjustments = table_of(shipped, body)
    for line in differences(shipped.maintenance_tiers, told):
        print(f"liqscape: {shipped.instrument_id}: {line}", file=sys.stderr)
    for line in adjustment_differences(shipped.adjustments, adjustments):
        print(f"liqscape: {shipped.instrument_id}: {line}", file=sys.stderr)
    return with_tiers(shipped, told, datetime.now(UTC).date(), where, adjustments)


async def _fetched(request: Request, relay: str | None) -> bytes:
    from liqscape.feeds.live.transport import ConnectFailed, open_transport, through_relay

    rewrite = (lambda url: url) if relay is None else through_relay(relay)
    async with open_transport(rewrite) as transport:
        try:
            async with asyncio.timeout(FETCH_S):
                answer = await transport.request(request)
        except TimeoutError:
            raise ConnectFailed(f"{request.url} has not answered in {FETCH_S:g} s") from None
    if answer.status != 200:
        raise ConnectFailed(f"{request.url} has answered with HTTP {answer.status}", answer.status)
    return answer.body


def _chosen(namespace: argparse.Namespace) -> tuple[Instrument, list[Instrument]]:
    """Return the contract asked about, and the venue's others of the coin."""
    day = None if namespace.date is None else _day(namespace.date)
    if namespace.rules_file is not None:
        known = _read_file(namespace.rules_file)
    else:
        known = [find_instrument(name, day) for name in instrument_tables()]
    of_venue = [i for i in known if i.venue == namespace.venue]
    if not of_venue:
        raise NotFound(f"venue {namespace.venue!r} is unknown; known are {', '.join(sorted({i.venue for i in known}))}")
    if namespace.instrument is not None:
        found = [i for i in of_venue if i.name == namespace.instrument]
        if not found:
            names = ", ".join(i.name for i in of_venue)
            raise NotFound(f"instrument {namespace.instrument!r} is unknown at {namespace.venue}; known are {names}")
        return found[0], []
    of_coin = sorted((i for i in of_venue if i.symbol == namespace.symbol), key=_usual_first)
    if not of_coin:
        symbols = ", ".join(dict.fromkeys(i.symbol for i in of_venue))
        raise NotFound(f"symbol {namespace.symbol!r} is unknown at {namespace.venue}; known are {symbols}")
    return of_coin[0], of_coin[1:]


def _usual_first(instrument: Instrument) -> tuple[bool, bool, bool]:
    """Sort what is meant by a coin alone first: a linear contract, in USDT where there is a choice."""
    return instrument.margin_form == CONTEXT, instrument.is_inverse, "USDC" in instrument.name


def _read_file(path: Path) -> list[Instrument]:
    try:
        return read_rules(tomllib.loads(path.read_text("utf-8")))
    except OSError as error:
        raise ConfigError(f"rules file {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"rules file {path} is not TOML: {error}") from error
    except KeyError as error:
        raise ConfigError(f"rules file {path} lacks the key {error}") from error
    except (InvalidArgument, TypeError, ValueError, ArithmeticError) as error:
        raise ConfigError(f"rules file {path}: {error}") from error


def _number(name: str, text: str) -> Fraction:
    try:
        return Fraction(text.replace(",", ""))
    except (ValueError, ZeroDivisionError):
        raise ConfigError(f"{name} {text!r} is no number") from None


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"date {text!r} is no day; use YYYY-MM-DD") from None

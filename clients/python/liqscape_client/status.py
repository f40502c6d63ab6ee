"""`liqscape status`: what a server is doing, for people or as JSON."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from liqscape.v1 import query_pb2, stream_pb2
from liqscape_client.client import Client
from liqscape_client.connection import add_connection_arguments, client_options
from liqscape_client.context import context_json, context_lines, report_line
from liqscape_client.errors import ClientError
from liqscape_client.market_state import state_names

_EXIT_FAILURE: Final = 1
_SHOWN_SHARES: Final = (0.5, 0.95, 0.99)
_SHOWN_SOURCE: Final = 80
"""Characters of where rules were read, whole words; --json has it all."""
_MAX_PRICE_DECIMALS: Final = 18
"""No price has more; a server that is not ours might say four billion."""


def add_status_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `status`."""
    add_connection_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object, numbers as numbers")


def run_status(namespace: argparse.Namespace) -> int:
    """Ask and print.

    Returns:
        0 = the server serves, or its input has ended; 1 = it builds, has failed, or cannot be reached.
    """
    try:
        status = asyncio.run(_ask(client_options(namespace)))
    except ClientError as error:
        print(f"liqscape status: {error}", file=sys.stderr)
        return _EXIT_FAILURE
    print(json.dumps(to_json(status), indent=2) if namespace.json else "\n".join(lines(status)))
    is_serving = status.state in (query_pb2.ENGINE_STATE_SERVING, query_pb2.ENGINE_STATE_ENDED)
    return 0 if is_serving else _EXIT_FAILURE


async def _ask(options: dict[str, Any]) -> query_pb2.GetStatusResponse:
    async with Client(**options) as client:
        return await client.status()


def to_json(status: query_pb2.GetStatusResponse) -> dict[str, Any]:
    """Return an answer as plain values under the names of the protocol; seconds_left is null where it is not known."""
    return {
        "server_version": status.server_version,
        "state": _state(status),
        "message": status.message,
        "progress": status.progress,
        "seconds_left": status.seconds_left if status.HasField("seconds_left") else None,
        "epoch": status.epoch,
        "tick": status.tick,
        "backend": status.backend,
        "input": status.input,
        "states": list(state_names(status.states)),
        "server_unix_ns": status.server_unix_ns,
        "streams": status.streams,
        "ticks_conflated": status.ticks_conflated,
        "counters": dict(sorted(status.counters.items())),
        "latency_bounds_seconds": list(status.latency_bounds_seconds),
        "freshness": [
            {"stage": latency.stage, "counts": list(latency.counts), "sum_seconds": latency.sum_seconds}
            for latency in status.freshness
        ],
        "symbols": [
            {
                **{name: getattr(symbol, name) for name in _SYMBOL_FIELDS},
                "coverage": [{name: getattr(part, name) for name in _VENUE_FIELDS} for part in symbol.coverage],
            }
            for symbol in status.symbols
        ],
        "feeds": [
            {
                "venue": feed.venue,
                "message": feed.message,
                "channels": [{name: getattr(c, name) for name in _CHANNEL_FIELDS} for c in feed.channels],
                "connections": feed.connections,
                "reconnects": feed.reconnects,
                "lag_ns": feed.lag_ns if feed.HasField("lag_ns") else None,
                "open_interest_share": feed.open_interest_share,
                "rejected": dict(sorted(feed.rejected.items())),
                "ignored": dict(sorted(feed.ignored.items())),
                "quarantined": list(feed.quarantined),
                **({"accounts": _accounts(feed.accounts)} if feed.HasField("accounts") else {}),
                "margin_tables": [{name: getattr(t, name) for name in _TABLE_FIELDS} for t in feed.margin_tables],
            }
            for feed in status.feeds
        ],
        **context_json(status),
    }


def _accounts(accounts: query_pb2.FollowedAccounts) -> dict[str, Any]:
    plain = {name: getattr(accounts, name) for name in _ACCOUNT_FIELDS}
    return {**plain, "rejected": dict(sorted(accounts.rejected.items()))}


_ACCOUNT_FIELDS: Final = tuple(
    field.name for field in query_pb2.FollowedAccounts.DESCRIPTOR.fields if field.name != "rejected"
)
_SYMBOL_FIELDS: Final = tuple(
    field.name for field in query_pb2.SymbolStatus.DESCRIPTOR.fields if field.name != "coverage"
)
_TABLE_FIELDS: Final = tuple(field.name for field in query_pb2.MarginTable.DESCRIPTOR.fields)
_CHANNEL_FIELDS: Final = tuple(field.name for field in query_pb2.ChannelFeed.DESCRIPTOR.fields)
_VENUE_FIELDS: Final = tuple(field.name for field in stream_pb2.VenueChunk.DESCRIPTOR.fields)


def lines(status: query_pb2.GetStatusResponse) -> list[str]:
    """Return what people read; control characters of a server that is not ours are not passed on."""
    names = ", ".join(state_names(status.states))
    shown = [
        f"state     {_state(status)}"
        + (f" ({names})" if names else "")
        + (f": {status.message}" if status.message else ""),
        f"input     {status.input}",
        f"server    {status.server_version} on {status.backend}, epoch {status.epoch:016x}, tick {status.tick:,}",
        f"streams   {status.streams:,} open, {status.ticks_conflated:,} ticks conflated",
    ]
    shown += [_latency_line(latency, status.latency_bounds_seconds) for latency in status.freshness]
    for feed in status.feeds:
        shown.append(_feed_line(feed))
        if feed.HasField("accounts"):
            shown.append(_accounts_line(feed.accounts, status.server_unix_ns))
        shown += _table_lines(feed.margin_tables)
    for symbol in status.symbols:
        decimals = min(symbol.price_decimals, _MAX_PRICE_DECIMALS)
        price = symbol.mark_price / 10**decimals
        shown.append(
            f"{symbol.symbol:<9} {price:,.{decimals}f}, {symbol.live_cohorts:,} cohorts,"
            f" {symbol.ledger_events:,} events, grids in {symbol.tick_compute_ms:.1f} ms"
        )
        shown += [_venue_line(part, status.server_unix_ns) for part in symbol.coverage]
        shown += [line for market in status.context if market.symbol == symbol.symbol for line in context_lines(market)]
    if status.HasField("daily_report"):
        shown.append(report_line(status.daily_report))
    if status.counters:
        width = max(len(name) for name in status.counters)
        shown += [f"  {name:<{width}}  {value:,}" for name, value in sorted(status.counters.items())]
    return ["".join(c if c.isprintable() else "?" for c in line) for line in shown]


def _latency_line(latency: query_pb2.StageLatency, bounds_s: Sequence[float]) -> str:
    total = sum(latency.counts)
    if not total:
        return f"  {latency.stage:<21} nothing yet"
    within = ", ".join(f"{share:.0%} {_within(latency.counts, bounds_s, share)}" for share in _SHOWN_SHARES)
    return f"  {latency.stage:<21} {within}, mean {latency.sum_seconds / total * 1000:,.1f} ms, {total:,} in all"


def _within(counts: Sequence[int], bounds_s: Sequence[float], share: float) -> str:
    """Return the bound below which a share of the observations lies; buckets do not tell more."""
    wanted, seen = share * sum(counts), 0
    for count, bound_s in zip(counts, bounds_s, strict=False):
        seen += count
        if seen >= wanted:
            return f"within {bound_s * 1000:g} ms"
    return f"beyond {bounds_s[-1] * 1000:g} ms" if bounds_s else "unknown"


def _venue_line(part: stream_pb2.VenueChunk, now_ns: int) -> str:
    live = part.live_long_lots + part.live_short_lots
    total = live + part.uncovered_long_lots + part.uncovered_short_lots
    covered = f"{live / total:.1%} covered" if total else "nothing covered"
    if stated := part.stated_long_lots + part.stated_short_lots:
        covered += f" ({stated / live:.1%} of it stated)"
    if beyond := part.stated_beyond_long_lots + part.stated_beyond_short_lots:
        covered += f", {beyond:,} lots stated beyond open interest"
    if not part.watermark_unix_ns:
        return f"  {part.instrument}  nothing heard yet, {part.rejected_events:,} rejected"
    when = datetime.fromtimestamp(part.watermark_unix_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S")
    age_s = (now_ns - part.watermark_unix_ns) / 1e9
    return f"  {part.instrument}  {covered}, data to {when} UTC ({age_s:,.1f} s ago), {part.rejected_events:,} rejected"


def _feed_line(feed: query_pb2.VenueFeed) -> str:
    by_state: dict[str, list[str]] = {}
    for channel in feed.channels:
        by_state.setdefault(channel.state, []).append(channel.channel)
    states = "; ".join(f"{state}: {', '.join(channels)}" for state, channels in by_state.items())
    lag = f", {feed.lag_ns / 1e6:,.0f} ms behind" if feed.HasField("lag_ns") else ""
    rejected = f", {sum(feed.rejected.values()):,} rejected" if feed.rejected else ""
    share = f", {feed.open_interest_share:.1%} of open interest"
    return f"  {feed.venue:<21} {states}{lag}{share}{rejected}" + (f" ({feed.message})" if feed.message else "")


def _accounts_line(accounts: query_pb2.FollowedAccounts, now_ns: int) -> str:
    states = ((n, getattr(accounts, n)) for n in ("fresh", "stale", "refused", "waiting"))
    told = ", ".join(f"{count:,} {name}" for name, count in states if count) or "none yet"
    age = f", the oldest {(now_ns - accounts.oldest_unix_ns) / 1e9:,.0f} s ago" if accounts.oldest_unix_ns else ""
    rejected = f", {sum(accounts.rejected.values()):,} rejected" if accounts.rejected else ""
    return f"    accounts: {told}, {accounts.positions:,} positions{age}{rejected}"


def _table_lines(tables: Sequence[query_pb2.MarginTable]) -> list[str]:
    """Return a line for those instruments of a venue of which the same is to be said."""
    alike: dict[tuple[str, ...], list[query_pb2.MarginTable]] = {}
    for table in tables:
        said = (table.origin, table.rules_date, _shortened(table.rules_source), table.note, table.failure)
        alike.setdefault(said, []).append(table)
    return [_table_line(*said, of=of) for said, of in alike.items()]


def _table_line(
    origin: str, date: str, source: str, note: str, failure: str, *, of: Sequence[query_pb2.MarginTable]
) -> str:
    names = ", ".join(table.instrument.partition(":")[2] for table in of)
    read_ns = min(table.read_unix_ns for table in of)
    read = f", last told {_time(read_ns)}" if read_ns else ""
    failed = ""
    if failure:
        count, last_ns = sum(table.failures for table in of), max(table.failed_unix_ns for table in of)
        failed = f"; {count:,} failed, the last at {_time(last_ns)}: {failure}"
    return f"    margin {names}: {origin}, of {date}{read}{failed}" + (f"; {note}" if note else "") + f" ({source})"


def _shortened(source: str) -> str:
    return textwrap.shorten(source, _SHOWN_SOURCE, placeholder=" ...")


def _time(unix_ns: int) -> str:
    return datetime.fromtimestamp(unix_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _state(status: query_pb2.GetStatusResponse) -> str:
    return query_pb2.EngineState.Name(status.state).removeprefix("ENGINE_STATE_").lower()

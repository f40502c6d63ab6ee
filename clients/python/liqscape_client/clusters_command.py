"""`liqscape clusters`: where liquidation prices lie close together, as a ladder for people or as JSON."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final, cast

from liqscape_client.client import Client
from liqscape_client.cluster_options import THRESHOLDS, ClusterOptions
from liqscape_client.clusters import Cluster, ClusterList, ClusterSide
from liqscape_client.connection import add_connection_arguments, client_options
from liqscape_client.errors import ClientError

_EXIT_FAILURE: Final = 1
_HEAD: Final = (
    f"{'rank':>6}  {'prices':>21}  {'peak':>10}  {'away':>8}  {'USD':>7}  {'of OI':>6}  {'leverage':>8}  {'exact':>5}"
    f"  {'largest venue':<18}  {'next at':>9}  grade"
)


def add_clusters_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `clusters`."""
    parser.add_argument("symbol", nargs="?", default="BTC", help="base coin (default BTC)")
    add_connection_arguments(parser)
    parser.add_argument("--count", type=int, metavar="N", help="clusters of each side (default 3)")
    parser.add_argument("--order", choices=("score", "mass", "distance"), help="what comes first (default score)")
    parser.add_argument("--side", choices=("long", "short"), help="only this side (default both)")
    parser.add_argument("--venues", metavar="NAMES", help="only these, with commas (default all)")
    parser.add_argument("--leverages", metavar="TIERS", help="only these, with commas (default all)")
    parser.add_argument("--model", choices=("net-of-closes", "open-only"), help="the book (default net-of-closes)")
    for name in THRESHOLDS:
        kind = int if name == "min_venues" else float
        parser.add_argument(
            f"--{name.replace('_', '-')}", type=kind, metavar="X", help="threshold, see docs/clusters.md"
        )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run_clusters(namespace: argparse.Namespace) -> int:
    """Ask and print. Returns 0, or 1 where there is no answer."""
    try:
        found = asyncio.run(_ask(client_options(namespace), namespace.symbol, options_of(namespace)))
    except ClientError as error:
        print(f"liqscape clusters: {error}", file=sys.stderr)
        return _EXIT_FAILURE
    print(json.dumps(to_json(found), indent=2) if namespace.json else "\n".join(lines(found)))
    return 0


async def _ask(connection: dict[str, Any], symbol: str, options: ClusterOptions) -> ClusterList:
    async with Client(**connection) as client:
        return await client.clusters(symbol, **options)


def options_of(namespace: argparse.Namespace) -> ClusterOptions:
    """Return what the command line asks for. Raises ClientError: a list of tiers is none."""
    options: dict[str, Any] = {name: getattr(namespace, name) for name in ("order", "side", *THRESHOLDS)}
    options["limit"] = namespace.count
    options["model"] = None if namespace.model is None else namespace.model.replace("-", " ")
    options["venues"] = None if namespace.venues is None else _parts(namespace.venues)
    options["leverages"] = None if namespace.leverages is None else _tiers(namespace.leverages)
    return cast(ClusterOptions, {name: value for name, value in options.items() if value is not None})


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


def _tiers(text: str) -> list[int]:
    parts = _parts(text)
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise ClientError(f"--leverages {text!r} is no list of whole numbers; for example 10,25")
    return [int(part) for part in parts]


def to_json(found: ClusterList) -> dict[str, Any]:
    """Return an answer as plain values under the names of the protocol."""
    plain = {
        name: getattr(found, name)
        for name in ClusterList.__dataclass_fields__
        if name not in ("clusters", "sides", "coverage", "states")
    }
    return {
        **plain,
        "states": list(found.states),
        "clusters": [asdict(cluster) for cluster in found.clusters],
        "sides": [asdict(side) for side in found.sides],
    }


def lines(found: ClusterList) -> list[str]:
    """Return a ladder: shorts from the highest price down, the price, longs below it.

    Control characters of a server that is not ours are not passed on.
    """
    states = f"  ({', '.join(found.states)})" if found.states else ""
    shown = [
        f"{found.symbol}  {found.mark_price:,.{found.price_decimals}f}{states}",
        f"  open interest {_usd(found.open_interest_usd)} USD, {found.covered_share:.1%} covered,"
        f" data {_age(found)}, tick {found.tick:,}",
        f"  {found.meaning}",
        "",
        _HEAD,
    ]
    shown += [_cluster_line(cluster, found) for cluster in _by_price(found, "short")]
    shown.append(f"{'price':>6}  {found.mark_price:>21,.{found.price_decimals}f}")
    shown += [_cluster_line(cluster, found) for cluster in _by_price(found, "long")]
    shown.append("")
    shown += [_side_line(side, found.thresholds) for side in found.sides]
    return ["".join(c if c.isprintable() else "?" for c in line).rstrip() for line in shown]


def _by_price(found: ClusterList, side: str) -> list[Cluster]:
    return sorted(found.of(side), key=lambda cluster: -cluster.peak_price)


def _cluster_line(cluster: Cluster, found: ClusterList) -> str:
    decimals = _decimals(cluster.peak_price)
    prices = f"{cluster.price_low:,.{decimals}f}-{cluster.price_high:,.{decimals}f}"
    away = cluster.peak_distance_percent * (-1 if cluster.side == "long" else 1)
    of_all = "" if cluster.open_interest_share is None else f"{cluster.open_interest_share:.1%}"
    leverage = "" if cluster.mean_leverage is None else f"{cluster.mean_leverage:.1f}x"
    venue = next(iter(cluster.by_venue), "")
    reasons = ", ".join(reason.code for reason in cluster.reasons)
    return (
        f"{cluster.rank:>6}  {prices:>21}  {cluster.peak_price:>10,.{decimals}f}  {away:>+7.2f}%"
        f"  {_usd(cluster.usd):>7}"
        f"  {of_all:>6}  {leverage:>8}  {cluster.stated_share:>5.0%}"
        f"  {f'{venue} {cluster.largest_venue_share:.0%}':<18}  {_alone(cluster, found):>9}"
        f"  {cluster.grade}{f': {reasons}' if reasons else ''}"
    )


def _alone(cluster: Cluster, found: ClusterList) -> str:
    """Return how far the nearest neighbour is; beyond the threshold it makes no difference how far."""
    if cluster.isolated:
        return f"> {found.thresholds['isolation_percent']:g}%"
    near = [each.distance_percent for each in (cluster.below, cluster.above) if each is not None]
    return f"{min(near):.2f}%" if near else ""


def _side_line(side: ClusterSide, thresholds: Mapping[str, float]) -> str:
    where = "below" if side.side == "long" else "above"
    near = f"{_usd(side.near_usd)} USD within {thresholds['within_percent']:g}%"
    small = f"{side.small} smaller than {_usd(thresholds['min_mass_usd'])}"
    others = f"{small}, {side.far} too far, {side.unlisted} not listed"
    share = side.clustered_lots / max(1, side.live_lots)
    return f"  {side.side}s {where}: {near}; {side.found} clusters, {others}; {share:.0%} of all lots are in one"


def _age(found: ClusterList) -> str:
    """Return until when the data are, and of live ones how long ago that was."""
    try:
        when = datetime.fromtimestamp(found.source_watermark_unix_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError, OSError):  # a server that is not ours may say anything
        return "of no time"
    return f"to {when}" if "REPLAY" in found.states else f"to {when} ({max(0.0, found.age_seconds):,.1f} s ago)"


def _decimals(price: float) -> int:
    """Return decimals that tell about five digits."""
    return next((n for n, least in enumerate((1000, 100, 10, 1, 0.1, 0.01, 0.001)) if price >= least), 8)


def _usd(amount: float) -> str:
    for unit, name in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if amount >= unit:
            return f"{amount / unit:.4g}{name}"
    return f"{amount:.0f}"

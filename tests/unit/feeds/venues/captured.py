"""Real messages of venues, read in place: the folder `captures` beside `market` of the recordings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import orjson
import pytest

from liqscape.feeds.recordings import recordings_folder
from liqscape.feeds.venues.dialect import Dialect, Listing, Reading, read_message
from liqscape.instruments import Instrument, MaintenanceTier

RECEIVE_NS = 1_790_000_000_000_000_000


def captured(*parts: str) -> Path:
    """Return a file of the captures; the test is skipped where it is absent."""
    path = recordings_folder().joinpath("captures", *parts)
    if not path.exists():
        pytest.skip(f"the captures {'/'.join(parts)} are not on this machine")
    return path


def messages(*parts: str) -> Iterator[bytes]:
    """Yield the messages of a channel file."""
    yield from captured(*parts).read_bytes().splitlines()


def replayed(*parts: str) -> Iterator[tuple[int, bytes]]:
    """Yield (receive time, message) of what was received in a contiguous capture."""
    for line in captured(*parts).read_bytes().splitlines():
        entry = json.loads(line)
        if entry["kind"] == "recv":
            message = entry["msg"]
            yield entry["recv_ns"], message.encode() if isinstance(message, str) else orjson.dumps(message)


def listing(venue: str, name: str, **changes: Any) -> Listing:
    """Return an instrument for a parser: one decimal, linear, coins, unless told otherwise."""
    unit = changes.pop("unit", Fraction(1))
    plain = Instrument(
        venue=venue,
        name=name,
        symbol="BTC",
        contract="linear",
        price_decimals=1,
        trigger="mark",
        maintenance_tiers=(MaintenanceTier(0, 10**6, Fraction(1, 200), Fraction(0), 100),),
        fee_rate=Fraction(0),
        rules_date="2026-11-01",
        rules_source="made up for a test",
    )
    return Listing(replace(plain, **changes), unit)


def read_all(dialect: Dialect, said: Sequence[bytes] | Iterator[bytes]) -> Reading:
    """Return what messages said."""
    into = Reading()
    for message in said:
        read_message(dialect, message, RECEIVE_NS, into)
    return into

"""What must hold for every venue's parser, whatever it is given."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from hypothesis import strategies as st

from liqscape.events import Candle, Funding, Liquidation, MarkPrice, OpenInterest, PositionSide, TakerSide, Trade
from liqscape.feeds.venues.dialect import Dialect, Listing, Reading, read_message
from liqscape.feeds.venues.history import PastSeries, VenueHistory
from liqscape.feeds.venues.scale import time_of_text
from tests.unit.feeds.venues.captured import RECEIVE_NS, captured, listing

HOSTILE: tuple[Any, ...] = (
    None,
    True,
    "",
    "NaN",
    "Infinity",
    "-1",
    "1_0",
    "٣",
    0,
    -1,
    1e308,
    -0.0,
    2**63,
    "9" * 39,
    "9" * 5000,
    [],
    {},
    [[]],
    {"a": None},
    "0.000000000000000000001",
)
"""Values that stand where another was told."""


LONG_MESSAGE = 8_000
"""Bytes: of an order book, which says nothing that is read."""

REAL_SAMPLES = 200
"""Messages of a venue that are mutated."""


@cache
def recorded_messages(folder: str, *, rest: bool = False) -> list[tuple[str, bytes]]:
    """Return (file, message) of every real message of a venue: WebSocket ones, or bodies of HTTP answers."""
    found = []
    for path in sorted(captured(folder).glob("*.jsonl")):
        if path.name in ("INDEX.jsonl", "wire_gzip_frames.jsonl") or path.name.endswith(".rest.jsonl") != rest:
            continue
        for line in path.read_bytes().splitlines():
            if path.name.startswith("replay_"):
                entry = json.loads(line)
                if entry["kind"] != "recv":
                    continue
                message = entry["msg"]
                line = message.encode() if isinstance(message, str) else orjson.dumps(message)
            found.append((path.name, line))
    return found


def normalised(folder: str, file: str) -> dict[int, list[dict[str, Any]]]:
    """Return by line number, from 0, what an independent reader made of the messages of a file."""
    path: Path = captured(folder, "INDEX.jsonl")
    entries = (json.loads(line) for line in path.read_text().splitlines())
    return {e["line"] - 1: e["tardis_normalised"] for e in entries if e["file"] == file and "tardis_normalised" in e}


def facts_agreed(
    make: Callable[[Sequence[Listing]], Dialect],
    venue: str,
    folder: str,
    file: str,
    keys: Sequence[str] = ("s", "symbol"),
    sides: int = 1,
) -> int:
    """Assert that messages of a file say what an independent reader made of them; return how many facts agreed.

    Args:
        make: of a dialect.
        venue: of its instruments.
        folder: of the captures.
        file: in it.
        keys: under which a message tells the instrument.
        sides: by which open interest is divided.
    """
    lines = captured(folder, file).read_bytes().splitlines()
    facts = 0
    for number, expected in normalised(folder, file).items():
        names = sorted(names_in(orjson.loads(lines[number]), keys))
        into = Reading()
        read_message(make([listing(venue, name, price_decimals=8) for name in names]), lines[number], RECEIVE_NS, into)
        prints = [each for each in expected if each["type"] in ("trade", "liquidation") and each["side"] != "unknown"]
        found = [event for event in into.events if isinstance(event, Trade | Liquidation)]
        assert [_print_of(event) for event in found] == [
            (e["type"], round(e["price"] * 10**8), round(e["amount"] * 10**8), e["side"], time_of_text(e["timestamp"]))
            for e in prints
        ]
        facts += len(found)
        states = {each["symbol"]: each for each in expected if each["type"] == "derivative_ticker"}
        for event in into.events:
            name = getattr(event, "instrument_id", "").partition(":")[2]
            state = states.get(name, next(iter(states.values()), None))
            if isinstance(event, MarkPrice):
                assert state is not None
                assert event.price == round(state["markPrice"] * 10**8)
                facts += 1
            elif isinstance(event, OpenInterest):
                assert state is not None
                assert event.quantity == round(state["openInterest"] * 10**8) // sides
                facts += 1
            elif isinstance(event, Funding):
                assert state is not None
                assert event.rate_ppb == round(state["fundingRate"] * 10**9)
                facts += 1
    return facts


def _print_of(event: Trade | Liquidation) -> tuple[str, int, int, str, int]:
    if isinstance(event, Trade):
        kind, side = "trade", event.taker_side.value
    else:  # the side of the order that closed it
        kind, side = "liquidation", "sell" if event.position_side is PositionSide.LONG else "buy"
    return kind, event.price, event.quantity, side, event.time_ns


def names_in(said: object, keys: Sequence[str]) -> set[str]:
    """Return every text that a message tells under one of these keys."""
    if isinstance(said, list):
        return {name for each in said for name in names_in(each, keys)}
    if not isinstance(said, dict):
        return set()
    found = {name for each in said.values() for name in names_in(each, keys)}
    return found | {value for key, value in said.items() if key in keys and isinstance(value, str)}


def tally(read: Reading) -> tuple[Counter[str], Counter[str]]:
    """Return how many events of each kind there are, and how many rejections of each reason."""
    return Counter(type(event).__name__ for event in read.events), Counter(each.reason for each in read.rejected)


def assert_sound(read: Reading) -> None:
    """Assert that every event may be believed by those who count with it."""
    for event in read.events:
        match event:
            case Trade():
                _whole(event.price, event.quantity, event.time_ns)
                assert isinstance(event.taker_side, TakerSide)
            case MarkPrice():
                _whole(event.price, event.time_ns)
            case Liquidation():
                _whole(event.price, event.quantity, event.time_ns)
                assert isinstance(event.position_side, PositionSide)
            case OpenInterest():
                _whole(event.quantity, event.time_ns)
            case Funding():
                _whole(event.time_ns, event.interval_hours)
                assert type(event.rate_ppb) is int
                assert abs(event.rate_ppb) < 2**62
            case Candle():
                _whole(event.open_time_ns, event.low, event.close_time_ns - event.open_time_ns, event.quantity + 1)
                assert event.low <= min(event.open, event.close) <= max(event.open, event.close) <= event.high
            case _:
                raise AssertionError(f"{event!r} is no event of a venue")


def mutations(samples: Iterable[bytes]) -> st.SearchStrategy[bytes]:
    """Return messages of which one value is another, or missing, or which are cut or have a byte changed."""
    said = [orjson.loads(sample) for sample in samples]
    return st.tuples(
        st.sampled_from(said), st.integers(0, 2**20), st.sampled_from((*HOSTILE, *_EDITS)), st.integers(0, 2**20)
    ).map(lambda drawn: _mutated(*drawn))


def assert_survives(dialect: Callable[[], Dialect], message: bytes) -> None:
    """Assert that a message raises nothing, gives only sound events, and is accounted for."""
    into = Reading()

    read_message(dialect(), message, RECEIVE_NS, into)

    assert_sound(into)
    said = into.events or into.rejected or into.ignored or into.refused or into.acknowledged or into.replies
    assert said or into.heartbeats or _says_nothing(message)


def assert_survives_real(dialect: Callable[[], Dialect], folder: str, data: st.DataObject) -> None:
    """Assert the same of what one real message of a venue becomes by a mutation."""
    real = [message for _, message in recorded_messages(folder) if len(message) < LONG_MESSAGE]

    assert_survives(dialect, data.draw(mutations(real[:: 1 + len(real) // REAL_SAMPLES])))


def read_page(history: VenueHistory, series: PastSeries, body: object) -> Reading:
    """Return what a page of the past said."""
    into = Reading()
    history.read_page(series, body if isinstance(body, bytes) else orjson.dumps(body), into)
    return into


def series_named(history: VenueHistory, name: str) -> PastSeries:
    """Return a series."""
    return next(each for each in history.series if each.name == name)


def dialect_of(make: Callable[[Sequence[Listing]], Dialect], listings: Sequence[Listing]) -> Callable[[], Dialect]:
    """Return what makes the same dialect anew: one remembers what it has heard."""
    return lambda: make(listings)


class _Edit:
    """A change of the text rather than of a value."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


_DROP, _CUT, _BYTE = _Edit("drop"), _Edit("cut"), _Edit("byte")

_EDITS = (_DROP, _CUT, _BYTE)


def _mutated(said: Any, where: int, value: Any, extra: int) -> bytes:
    text = orjson.dumps(said)
    if value is _CUT:
        return text[: extra % len(text)]
    if value is _BYTE:
        at = where % len(text)
        return text[:at] + bytes([extra % 256]) + text[at + 1 :]
    changed = orjson.loads(text)
    places = list(_places(changed))
    if not places:
        return b"0"
    holder, key = places[where % len(places)]
    if value is _DROP:
        del holder[key]
    else:
        holder[key] = value
    return json.dumps(changed).encode()


def _places(said: Any) -> Iterable[tuple[Any, Any]]:
    keys = list(said) if isinstance(said, dict) else range(len(said)) if isinstance(said, list) else ()
    for key in keys:
        yield said, key
        yield from _places(said[key])


def _says_nothing(message: bytes) -> bool:
    """Return whether a message holds an empty list: of nothing, nothing is to be said."""
    return b"[]" in message or b"{}" in message or b'""' in message or b"null" in message


def _whole(*values: int) -> None:
    for value in values:
        assert type(value) is int
        assert 0 < value < 2**63

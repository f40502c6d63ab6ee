"""Messages of a venue made hostile, and what must hold of a dialect whatever it is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final

import orjson
from hypothesis import strategies as st

from liqscape.events import Candle, Event, Funding, Gap, Liquidation, MarkPrice, OpenInterest, TickEnd, Trade
from liqscape.feeds.venues.dialect import Dialect, Reading, read_message
from tests.unit.feeds.venues.captured import RECEIVE_NS

HOSTILE: Sequence[object] = (
    None,
    True,
    0,
    -1,
    -0.5,
    1e300,
    2**63,
    10**18,
    "",
    "NaN",
    "-1",
    "-0.00000001",
    "0",
    "1e400",
    "1e-400",
    "٣",
    "9" * 39,
    "x" * 200,
    [],
    [[]],
    {},
    {"data": None},
    "1970-01-01",
    "BTC",
)


MESSAGES: Final = 40
"""Mutated messages in an example: enough that in fifty of them every part meets every hostile value."""


def mutations(messages: Sequence[object]) -> st.SearchStrategy[list[bytes]]:
    """Return a strategy of lists of the messages with parts replaced or dropped, or with bytes changed or cut."""

    def mutated(seed: int) -> list[bytes]:
        random = Random(seed)
        return [_mutated(random.choice(messages), random) for _ in range(MESSAGES)]

    return st.integers(0, 2**32).map(mutated)


def check_hostile(make: Callable[[], Dialect], sent: Sequence[bytes]) -> None:
    """Assert that a dialect told these raises nothing and makes no event that is not to be believed."""
    into, dialect = Reading(), make()
    for message in sent:
        read_message(dialect, message, RECEIVE_NS, into)
    for event in into.events:
        check_event(event)
    assert all(0 < len(each.reason) <= 40 for each in into.rejected)


def check_event(event: Event) -> None:
    """Assert that an event is in its bounds: integers, above 0 where it must be, of 63 bits."""
    assert not isinstance(event, TickEnd)
    if isinstance(event, Gap):
        assert 0 < event.from_ns < event.to_ns < 2**63
        return
    if isinstance(event, Candle):
        assert 0 < event.low <= min(event.open, event.close) <= max(event.open, event.close) <= event.high < 2**62
        assert 0 <= event.quantity < 2**62
        return
    assert type(event.time_ns) is int
    assert 0 < event.time_ns < 2**62
    if isinstance(event, (Trade, Liquidation, MarkPrice)):
        assert type(event.price) is int
        assert 0 < event.price < 2**62
    if isinstance(event, (Trade, Liquidation, OpenInterest)):
        assert type(event.quantity) is int
        assert 0 < event.quantity < 2**62
    if isinstance(event, Funding):
        assert abs(event.rate_ppb) <= 10**9


def _mutated(message: Any, random: Random) -> bytes:
    if isinstance(message, bytes):
        message = orjson.loads(message)
    kind = random.randrange(5)
    if kind == 0:  # not JSON any more, or only by luck
        said = bytearray(orjson.dumps(message))
        for _ in range(random.randint(1, 3)):
            said[random.randrange(len(said))] = random.randrange(256)
        return bytes(said[: random.randint(1, len(said))])
    changed = orjson.loads(orjson.dumps(message))
    for _ in range(random.randint(1, 3)):
        changed = _changed(changed, random)
    return orjson.dumps(changed)


def _changed(value: Any, random: Random) -> Any:
    """Return JSON with one part of it changed, at a depth left to chance."""
    if isinstance(value, dict) and value and random.random() < 0.9:
        key = random.choice(sorted(value))
        if random.random() < 0.15:
            return {name: each for name, each in value.items() if name != key}
        return {**value, key: _changed(value[key], random)}
    if isinstance(value, list) and value and random.random() < 0.9:
        index = random.randrange(len(value))
        if random.random() < 0.15:
            return [*value[:index], *value[index + 1 :]]
        return [*value[:index], _changed(value[index], random), *value[index + 1 :]]
    return random.choice(HOSTILE)

"""The one shape of every input: an async iterator of events, with a description."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from liqscape.events import Event
from liqscape.instruments import Instrument


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceDescription:
    """What a source is.

    Attributes:
        name: shown to people, for example "simulate seed 1".
        instruments: everything it may speak of.
        tick_ms: nominal milliseconds between ticks while it renders.
        simulated: no market anywhere; said on every surface.
        replay: recorded in the past.
        start_ns: when a simulation begins to be live; with another start it is another one.
    """

    name: str
    instruments: tuple[Instrument, ...]
    tick_ms: int
    simulated: bool = False
    replay: bool = False
    start_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """Steps of history passed on, of how many; what they are."""

    done: int
    total: int
    what: str


class EventSource(Protocol):
    """A simulator, a recording or a venue: events in time order, TickEnd after each step."""

    @property
    def description(self) -> SourceDescription:
        """Return what this source is."""
        ...

    def progress(self) -> Progress:
        """Return how far the history that precedes the first rendered tick has come; may be read from any thread."""
        ...

    def events(self) -> AsyncIterator[Event]:
        """Yield events in time order, once. It ends when the input ends."""
        ...

"""What is known of the feeds of a live source, as plain values for whoever shows it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from liqscape.feeds.exact import AccountsStatus
from liqscape.feeds.tables import TableStatus


class FeedState(enum.Enum):
    """State of a connection, or of a channel of a venue; the value is its name in metrics."""

    CONNECTING = "connecting"
    """No connection, or nothing confirmed yet."""
    SUBSCRIBED = "subscribed"
    """Confirmed, and nothing heard yet."""
    LIVE = "live"
    QUIET = "quiet"
    """Nothing to say, as the control channel shows."""
    SILENT = "silent"
    """Connected and confirmed, but what always speaks says nothing either."""
    BLOCKED = "blocked"
    """The venue refuses this address: HTTP 403 or 451."""
    QUARANTINED = "quarantined"
    """Heard, and not believed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelStatus:
    """One channel of a venue.

    Attributes:
        channel: its name.
        state: of it.
        heard_ns: receive time of the newest message, 0 before there was one.
        events: passed on since the start.
    """

    channel: str
    state: FeedState
    heard_ns: int
    events: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueStatus:
    """One venue.

    Attributes:
        venue: name of the registry.
        message: what is wrong, in words; empty: nothing.
        channels: what it says.
        connections, reconnects: open now, and begun anew since the start.
        lag_ns: median of receive time - venue time: way and difference of the clocks; None: not known yet.
        open_interest_share: its last believed open interest, of that of all venues and symbols listened to, 0 to 1.
        rejected: inputs thrown away since the start, by reason.
        ignored: messages understood and not needed, by kind.
        quarantined: instruments that are heard and not believed.
        accounts: whose positions it is asked for; None: nobody's.
        tables: where the margin tables of its instruments are from.
    """

    venue: str
    message: str
    channels: tuple[ChannelStatus, ...]
    connections: int = 0
    reconnects: int = 0
    lag_ns: int | None = None
    open_interest_share: float = 0.0
    rejected: Mapping[str, int] = field(default_factory=dict)
    ignored: Mapping[str, int] = field(default_factory=dict)
    quarantined: tuple[str, ...] = ()
    accounts: AccountsStatus | None = None
    tables: tuple[TableStatus, ...] = ()


@runtime_checkable
class ReportsFeeds(Protocol):
    """A source that listens to venues."""

    def feeds(self) -> tuple[VenueStatus, ...]:
        """Return the newest status of each; may be called from any thread."""
        ...

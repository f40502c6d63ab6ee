"""Positions that a venue itself states of accounts, as plain values for whoever shows them beside what is estimated.

The model takes them in by events (events.PositionStatement); here is what was stated, account by account. No address is
among these values; an account is a number here, so that positions of one account are not counted as several accounts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Protocol, runtime_checkable

from liqscape.events import PositionSide


@dataclass(frozen=True, slots=True)
class StatedPosition:
    """A position by its venue's newest statement of the account.

    Attributes:
        account: equal for positions of one account within an ExactView; means nothing beyond it.
        instrument_id: of the model.
        side: of it.
        quantity: units of 10^-8 coins, above 0.
        liquidation_price: in quote, as the venue states it; None where it states none.
        stated_ns: when it was so.
    """

    account: int
    instrument_id: str
    side: PositionSide
    quantity: int
    liquidation_price: Fraction | None
    stated_ns: int


@dataclass(frozen=True, slots=True)
class ExactView:
    """All positions that are known of one venue.

    Attributes:
        venue: of the ids of its instruments.
        positions: of the accounts that are followed.
    """

    venue: str
    positions: tuple[StatedPosition, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountsStatus:
    """How asking a venue for the positions of accounts fares; fresh + stale + refused + waiting = named + found.

    Attributes:
        named: given by whoever runs the server.
        found: in the venue's own trades.
        fresh: stated lately.
        stale: stated, and not for three rounds of asking all of them.
        refused: the newest answer was a refusal, or could not be read.
        waiting: not answered yet.
        statements: taken since the start.
        positions: held now, of the instruments of the model.
        oldest_ns: time of the oldest statement that is held; 0: none is.
        rejected: answers, or parts of them, that were not taken since the start, by reason.
    """

    named: int = 0
    found: int = 0
    fresh: int = 0
    stale: int = 0
    refused: int = 0
    waiting: int = 0
    statements: int = 0
    positions: int = 0
    oldest_ns: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)


@runtime_checkable
class ReportsExact(Protocol):
    """A source that may follow accounts."""

    def exact(self) -> tuple[ExactView, ...]:
        """Return what is known now, a view a venue whose accounts are followed; may be called from any thread."""
        ...

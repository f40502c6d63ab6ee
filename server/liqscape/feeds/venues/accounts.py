"""The seam for venues that show the positions of accounts in public: what they state, and how they are asked.

A venue file that can do this gives a PublicAccounts with its Venue. Pure, as everything beside it: those who ask, and
those who keep what was said, are in feeds/live.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Protocol

from liqscape.events import PositionSide

if TYPE_CHECKING:  # it knows this file
    from liqscape.feeds.venues.dialect import Budget, Reading, Request


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a statement comes from: the kind of answer, the account, and when it was so, by the venue's clock.

    Attributes:
        said_by: the name of the answer.
        address: of the account, in small letters.
        time_ns: of the answer; of its receipt where it tells none, and then received is true.
        received: see time_ns.
    """

    said_by: str
    address: str
    time_ns: int
    received: bool


@dataclass(frozen=True, slots=True)
class ExactPosition:
    """A position as the venue states it.

    Attributes:
        coin: the venue's name of the instrument.
        side: of it.
        size: units of 10^-8 coin, above 0.
        entry_price: average, in quote.
        leverage: chosen for it.
        is_cross: margined by the whole account; else by its own margin.
        margin_used: in quote.
        liquidation_price: None where no price would end it.
        provenance: of the statement.
    """

    coin: str
    side: PositionSide
    size: int
    entry_price: Fraction
    leverage: int
    is_cross: bool
    margin_used: Fraction
    liquidation_price: Fraction | None
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class Statement:
    """All positions of an account at one moment: what is not among them is closed.

    Attributes:
        unread: coins of which a position is stated that could not be read. It is not known to be closed.
    """

    provenance: Provenance
    positions: tuple[ExactPosition, ...]
    unread: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class TradeParties:
    """The two accounts of a public trade: where to look for positions when nobody has named an account.

    Attributes:
        coin: the venue's name of the instrument.
        buyer: address, in small letters.
        seller: address, in small letters.
        price: in quote.
        size: units of 10^-8 coin, above 0.
        time_ns: of the trade.
    """

    coin: str
    buyer: str
    seller: str
    price: Fraction
    size: int
    time_ns: int


class PublicAccounts(Protocol):
    """A venue's way to state the positions of an account."""

    @property
    def budget(self) -> Budget:
        """Return what all questions about accounts together may take."""
        ...

    @property
    def weight(self) -> int:
        """Return what one of them takes of it."""
        ...

    def address_of(self, text: str) -> str:
        """Return an address in the one form in which it is kept.

        Raises:
            InvalidArgument: it is none of the venue.
        """
        ...

    def request(self, address: str) -> Request:
        """Return the question for all positions of an account."""
        ...

    def read(self, address: str, body: bytes, receive_ns: int, into: Reading) -> Statement | None:
        """Return what an answer states, or None; what cannot be read is counted as rejected, nothing is raised."""
        ...

    def parties(self, message: bytes, into: Reading) -> tuple[TradeParties, ...]:
        """Return who traded with whom, of a message of a public stream: nobody where it has no trades."""
        ...

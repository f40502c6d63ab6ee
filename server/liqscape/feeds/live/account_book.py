"""What a venue has stated of accounts: the newest statement of each, on the model's instruments. Pure.

A statement tells all positions of an account at one moment. So it replaces whatever was known of the account before:
what it does not name any more is closed, and a side that is now the other one leaves nothing behind. A position that
could not be read is not closed: what was stated of it before stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from liqscape.events import STATEMENT_HOLDS_NS
from liqscape.feeds.exact import StatedPosition
from liqscape.feeds.venues.accounts import ExactPosition, Statement
from liqscape.feeds.venues.dialect import Listing

FORGET_NS: Final = STATEMENT_HOLDS_NS
"""Age from which a statement counts no more, here as in the model."""


@dataclass(frozen=True, slots=True)
class _Held:
    account: int
    stated_ns: int
    positions: tuple[StatedPosition, ...]


class AccountBook:
    """The newest statement of each account.

    Args:
        listings: instruments of the model at the venue; others are left out.

    Attributes:
        statements: taken since the start.
        older: statements not taken, because a newer one was there.
        forgotten: statements that became too old.
    """

    def __init__(self, listings: Sequence[Listing]) -> None:
        inverse = [listing.name for listing in listings if listing.instrument.contract_value is not None]
        assert not inverse, f"positions of {inverse} are not counted in coins"
        self._listings = {listing.name: listing for listing in listings}
        self._held: dict[str, _Held] = {}
        self._numbers = 0
        self.statements = 0
        self.older = 0
        self.forgotten = 0

    def take(self, statement: Statement) -> bool:
        """Take a statement in place of the account's last one; return whether it was newer, or as new."""
        address, stated_ns = statement.provenance.address, statement.provenance.time_ns
        held = self._held.get(address)
        if held is not None and stated_ns < held.stated_ns:
            self.older += 1
            return False
        if held is None:
            self._numbers += 1
        account = self._numbers if held is None else held.account
        named = [self._position(account, each) for each in statement.positions]
        kept = [] if held is None else self._unread(statement, held.positions)
        self._held[address] = _Held(account, stated_ns, (*(each for each in named if each is not None), *kept))
        self.statements += 1
        return True

    def drop(self, address: str) -> None:
        """Forget an account that is not followed any more."""
        self._held.pop(address, None)

    def age(self, now_ns: int) -> None:
        """Let positions go whose statement has become too old; when it was so stays known."""
        for address, held in self._held.items():
            if held.positions and now_ns - held.stated_ns >= FORGET_NS:
                self._held[address] = replace(held, positions=())
                self.forgotten += 1

    def held(self, address: str) -> tuple[StatedPosition, ...] | None:
        """Return what is held of an account; None: it has stated nothing yet."""
        held = self._held.get(address)
        return None if held is None else held.positions

    def holds_nothing(self, address: str) -> bool:
        """Return whether nothing is held of an account: no position on the model's instruments."""
        held = self._held.get(address)
        return held is None or not held.positions

    def stated_ns(self, address: str) -> int:
        """Return when the statement of an account was so; 0: there is none."""
        held = self._held.get(address)
        return 0 if held is None else held.stated_ns

    def positions(self) -> tuple[StatedPosition, ...]:
        """Return everything held, accounts in the order in which they were first stated."""
        return tuple(position for held in self._held.values() for position in held.positions)

    def _unread(self, statement: Statement, before: Sequence[StatedPosition]) -> list[StatedPosition]:
        """Return what was stated before of the positions that could not be read now, and is not too old."""
        names = {self._listings[coin].instrument_id for coin in statement.unread if coin in self._listings}
        now_ns = statement.provenance.time_ns
        return [each for each in before if each.instrument_id in names and now_ns - each.stated_ns < FORGET_NS]

    def _position(self, account: int, stated: ExactPosition) -> StatedPosition | None:
        listing = self._listings.get(stated.coin)
        if listing is None:
            return None
        unit = listing.unit
        quantity = stated.size * unit.numerator // unit.denominator
        return StatedPosition(
            account=account,
            instrument_id=listing.instrument_id,
            side=stated.side,
            quantity=quantity,
            liquidation_price=stated.liquidation_price,
            stated_ns=stated.provenance.time_ns,
        )

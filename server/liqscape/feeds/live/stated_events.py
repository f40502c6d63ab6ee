"""What an account is stated to hold, as events for the model. Pure: no address is in them.

An account is a number there: a digest of its address under a key that never leaves the server. Where there is a data
folder the key lies in it, so that an account is the same one after a restart; else there is a new key each time.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Final

from liqscape.events import STATED_PRICE_DECIMALS, STATEMENT_HOLDS_NS, Event, PositionSide, PositionStatement
from liqscape.feeds.exact import StatedPosition

KEY_BYTES: Final = 32
"""As long as nobody can guess."""

_ACCOUNT_BITS: Final = 63
_MOST: Final = (1 << 62) - 1
"""Of a quantity or a price: a journal has 63 bits for it. Nothing real comes near."""


class AccountEvents:
    """Makes events of statements.

    Args:
        instrument_ids: of the model, at the venue.
        key: of the digest; None: a new one.
    """

    def __init__(self, instrument_ids: Iterable[str], key: bytes | None = None) -> None:
        self._instrument_ids = tuple(instrument_ids)
        self._key = secrets.token_bytes(KEY_BYTES) if key is None else key

    def stated(
        self, address: str, time_ns: int, positions: Sequence[StatedPosition], before: Sequence[StatedPosition] | None
    ) -> list[Event]:
        """Return what an account is now stated to hold, and where it holds nothing any more.

        Args:
            address: of the account.
            time_ns: when it was so.
            positions: all of it on the instruments of the model. One of another time was told then: the newest answer
                says that it is there, and no more.
            before: those of its last statement. None: this is the first one, and the model may know more from a time
                before this process began; so it is told of every instrument.
        """
        held = {position.instrument_id for position in positions}
        known = self._instrument_ids if before is None else [p.instrument_id for p in before if _holds(p, time_ns)]
        gone = [name for name in dict.fromkeys(known) if name not in held]
        account = self.number_of(address)
        return [
            *(PositionStatement(name, time_ns, account, PositionSide.LONG, 0, None) for name in gone),
            *(self._statement(account, position) for position in positions if position.stated_ns == time_ns),
        ]

    def given_up(self, address: str, time_ns: int, positions: Sequence[StatedPosition]) -> list[Event]:
        """Return that nobody asks about an account any more; positions: of its last statement."""
        account = self.number_of(address)
        return [
            PositionStatement(p.instrument_id, time_ns, account, p.side, 0, None, followed=False) for p in positions
        ]

    def number_of(self, address: str) -> int:
        """Return the number of an account, 0 to 2^63 - 1."""
        digest = hashlib.blake2b(address.encode(), key=self._key, digest_size=8).digest()
        return int.from_bytes(digest) >> (64 - _ACCOUNT_BITS)

    def _statement(self, account: int, position: StatedPosition) -> PositionStatement:
        price = position.liquidation_price
        return PositionStatement(
            instrument_id=position.instrument_id,
            time_ns=position.stated_ns,
            account=account,
            side=position.side,
            quantity=min(position.quantity, _MOST),
            liquidation_price=None if price is None else _units(price),
        )


def _holds(position: StatedPosition, now_ns: int) -> bool:
    """Return whether what was stated still counts: else the model has let it go, and nothing is known of its end."""
    return now_ns - position.stated_ns < STATEMENT_HOLDS_NS


def _units(price: Fraction) -> int:
    units = price * 10**STATED_PRICE_DECIMALS
    return min(max(units.numerator // units.denominator, 0), _MOST)

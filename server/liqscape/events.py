"""What a feed says: frozen values in integers, in time order. Every source yields these and nothing else.

Prices are integers in units of 10^-price_decimals of the instrument's quote currency; quantities are integers in
units of 10^-QUANTITY_DECIMALS base coin (linear contracts) or of one contract x 10^-QUANTITY_DECIMALS (inverse
contracts). Times are nanoseconds since 1970 UTC of the venue's clock. A feed rejects what it cannot turn into these;
it never guesses.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

QUANTITY_DECIMALS: Final = 8


class TakerSide(enum.Enum):
    """Side of the order that took liquidity."""

    BUY = "buy"
    SELL = "sell"


class PositionSide(enum.IntEnum):
    """Side of a position. The value is bit 0 of a key."""

    LONG = 0
    SHORT = 1


@dataclass(frozen=True, slots=True)
class Trade:
    """One print."""

    instrument_id: str
    time_ns: int
    price: int
    quantity: int
    taker_side: TakerSide


@dataclass(slots=True)
class _OpenTrade:
    """A trade whose fields can be set; otherwise as Trade, field by field."""

    instrument_id: str
    time_ns: int
    price: int
    quantity: int
    taker_side: TakerSide


def new_trade(instrument_id: str, time_ns: int, price: int, quantity: int, taker_side: TakerSide) -> Trade:
    """Return Trade(...), in a third of the time: for feeds, of whose events nearly all are trades.

    A frozen dataclass sets each field by a call; this one is filled while it is open, and then becomes a Trade.
    """
    trade = _OpenTrade(instrument_id, time_ns, price, quantity, taker_side)
    trade.__class__ = Trade  # type: ignore[assignment]
    return trade  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class Candle:
    """Prices and traded quantity of [open_time_ns, close_time_ns)."""

    instrument_id: str
    open_time_ns: int
    close_time_ns: int
    open: int
    high: int
    low: int
    close: int
    quantity: int
    taker_buy_quantity: int | None = None


@dataclass(frozen=True, slots=True)
class MarkPrice:
    """The price that triggers liquidations, at an instant."""

    instrument_id: str
    time_ns: int
    price: int


@dataclass(frozen=True, slots=True)
class OpenInterest:
    """Contracts open at an instant, one-sided. interpolated: between two samples of the source, declared there."""

    instrument_id: str
    time_ns: int
    quantity: int
    interpolated: bool = False


@dataclass(frozen=True, slots=True)
class Funding:
    """Funding rate in parts per billion for the interval that starts at time_ns."""

    instrument_id: str
    time_ns: int
    rate_ppb: int
    interval_hours: int


class PrintPrice(enum.Enum):
    """What the price of a printed liquidation is."""

    FILL = "fill"
    """What was paid."""
    BANKRUPTCY = "bankruptcy"
    """Where the margin of the position is gone; the fill may be elsewhere."""
    ORDER = "order"
    """The limit of the venue's closing order."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Liquidation:
    """A printed forced close. position_side is the side of the position closed.

    complete: the venue prints all of them; else a sample, and nothing can be concluded from one that is missing.
    """

    instrument_id: str
    time_ns: int
    price: int
    quantity: int
    position_side: PositionSide
    price_kind: PrintPrice = PrintPrice.FILL
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Gap:
    """Data of [from_ns, to_ns) are missing or were rejected; `rejected` counts the inputs thrown away."""

    instrument_id: str
    from_ns: int
    to_ns: int
    reason: str
    rejected: int = 0


@dataclass(frozen=True, slots=True)
class Correction:
    """What was said of [from_ns, to_ns) was wrong: said now, at time_ns, and acting from now on.

    With a quantity it was the sample of open interest at to_ns, and this is the right one; it is taken as a sample now,
    unless a newer one was taken since. Without, it were prices or trades: the span is a gap. What was taken then stays.
    """

    instrument_id: str
    time_ns: int
    from_ns: int
    to_ns: int
    quantity: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class TickEnd:
    """Everything up to time_ns (exclusive) has been said: the engine takes one step.

    render: compute and publish grids for this step. Sources say False while they pass on history, so that building the
    past costs no grids and yet the same input always gives the same frames.
    """

    time_ns: int
    render: bool = True


Event = Trade | Candle | MarkPrice | OpenInterest | Funding | Liquidation | Gap | Correction | TickEnd

"""CME futures on coins, from the daily report as a file: context with its own label, and no venue of the map by itself.

The report comes once a trading day, preliminary and then final. The exchange sets margins per contract and closes
nobody at a price, so there is no rule for a map: its open interest is shown beside it. On the map it is only where the
user assumes a leverage, as positions that say they are assumed. No lots are opened from a step that arrives once a day.

The file is text of comma-separated values with this first line:

    trade_date,product,contract_month,settle,volume,open_interest,status
    2026-11-20,BTC,2026-11,64310,8123,21034,F

Dates are ISO; settle is in US dollars, empty where there was none; open_interest counts contracts; status is P or F.
Sizes of contracts: BTC 5 and MBT 0.1 BTC; ETH 50 and MET 0.1 ETH (UNVERIFIED). Pure: who fetches the file is elsewhere;
the web addresses that people read it from are undocumented and refuse programs.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Final

from liqscape.errors import InvalidArgument
from liqscape.events import QUANTITY_DECIMALS, PositionSide
from liqscape.feeds.venues.dialect import MAX_MESSAGE_BYTES, Reading, Unreadable, read_rows
from liqscape.feeds.venues.numbers import as_fraction

COLUMNS: Final = ("trade_date", "product", "contract_month", "settle", "volume", "open_interest", "status")

CONTRACTS: Final = {
    "BTC": ("BTC", Fraction(5)),
    "MBT": ("BTC", Fraction(1, 10)),
    "ETH": ("ETH", Fraction(50)),
    "MET": ("ETH", Fraction(1, 10)),
}
"""Coin and coins in a contract, by product."""

KNOWN_AFTER: Final = timedelta(hours=28)
"""From the start of a trading day (UTC) to when its numbers are out: 22:30 in New York, and some minutes."""

FIRST_YEAR: Final = 2017
"""Of futures on coins there."""

LAST_YEAR: Final = 2100
"""Of a date that is believed."""

MAX_CONTRACTS: Final = 10**9
"""Of a row; above any real number by far."""

MAX_LEVERAGE: Final = 20
"""That may be assumed. Brokers lend two to four times, some more within a day."""


@dataclass(frozen=True, slots=True)
class DailyRow:
    """A contract month on a trading day.

    Attributes:
        trade_date: the trading day.
        product: the exchange's code.
        contract_month: as written.
        settle: US dollars a coin; None where there was none.
        volume: contracts.
        open_interest: contracts, one-sided.
        is_final: else preliminary.
    """

    trade_date: date
    product: str
    contract_month: str
    settle: Fraction | None
    volume: int
    open_interest: int
    is_final: bool


@dataclass(frozen=True, slots=True)
class DailyContext:
    """The open interest of a coin on a trading day.

    Attributes:
        symbol: coin.
        trade_date: the trading day.
        known_ns: from when on it may be shown, ns since 1970: before, nobody had it.
        open_interest: units of 10^-8 coin, floored.
        settle: of the month with the most coins open, US dollars; None where no month with any was settled.
        is_final: whether every row is.
    """

    symbol: str
    trade_date: date
    known_ns: int
    open_interest: int
    settle: Fraction | None
    is_final: bool

    @property
    def label(self) -> str:
        """Return what is written beside it."""
        return f"CME, {self.trade_date}, daily report, {'final' if self.is_final else 'preliminary'}"


@dataclass(frozen=True, slots=True)
class AssumedPosition:
    """One side of a context under a leverage that the user assumes: opened at the settlement, closed at bankruptcy.

    Attributes:
        symbol: coin.
        side: of it.
        quantity: units of 10^-8 coin.
        entry_price: US dollars.
        leverage: assumed.
        liquidation_price: US dollars: entry x (1 - 1 / leverage) of a long, x (1 + 1 / leverage) of a short.
        label: says that it is assumed.
    """

    symbol: str
    side: PositionSide
    quantity: int
    entry_price: Fraction
    leverage: int
    liquidation_price: Fraction
    label: str


def read_daily_file(body: bytes, into: Reading) -> tuple[DailyRow, ...]:
    """Return the rows of a daily file.

    Args:
        body: of the file, UTF-8.
        into: where rows that cannot be read are counted as rejected, and other products as ignored.

    Raises:
        Unreadable: it is no such file.
    """
    if len(body) > MAX_MESSAGE_BYTES:
        raise Unreadable("too large", f"{len(body)} bytes")
    try:
        lines = body.decode("utf-8-sig").splitlines()
        table = list(csv.reader(lines, strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise Unreadable("no daily file", error) from error
    if not table or tuple(table[0]) != COLUMNS:
        raise Unreadable("no daily file", f"first line {lines[:1]}; {','.join(COLUMNS)} is wanted")
    found: list[DailyRow] = []

    def read(cells: list[str]) -> None:
        row = _row(cells)
        if row is None:
            into.ignored["other product"] += 1
        else:
            found.append(row)

    read_rows((cells for cells in table[1:] if cells), read, into)
    return tuple(found)


def contexts_of(rows: Iterable[DailyRow]) -> tuple[DailyContext, ...]:
    """Return the context of each coin and day, in the order of days; of a month told twice the final, then the last."""
    told: dict[tuple[date, str, str], DailyRow] = {}
    for row in rows:
        key = (row.trade_date, row.product, row.contract_month)
        if key not in told or row.is_final or not told[key].is_final:
            told[key] = row
    days: dict[tuple[date, str], list[DailyRow]] = {}
    for row in told.values():
        days.setdefault((row.trade_date, CONTRACTS[row.product][0]), []).append(row)
    return tuple(_context(day, symbol, days[day, symbol]) for day, symbol in sorted(days))


def assumed(context: DailyContext, leverage: int) -> tuple[AssumedPosition, ...]:
    """Return both sides of a context under a leverage; none where it was not settled.

    Raises:
        InvalidArgument: the leverage is none that may be assumed.
    """
    if not 2 <= leverage <= MAX_LEVERAGE:
        raise InvalidArgument(f"leverage {leverage!r} cannot be assumed of CME; use 2 to {MAX_LEVERAGE}")
    if context.settle is None or context.open_interest == 0:
        return ()
    label = f"{context.label}; {leverage}x assumed"
    moves = {PositionSide.LONG: 1 - Fraction(1, leverage), PositionSide.SHORT: 1 + Fraction(1, leverage)}
    return tuple(
        AssumedPosition(
            context.symbol, side, context.open_interest, context.settle, leverage, context.settle * move, label
        )
        for side, move in moves.items()
    )


def _row(cells: list[str]) -> DailyRow | None:
    day, product, month, settle, volume, interest, status = cells
    if product not in CONTRACTS:
        return None
    price = as_fraction(settle) if settle else None
    if price is not None and price <= 0:
        raise Unreadable("price", settle)
    traded = date.fromisoformat(day)
    if not FIRST_YEAR <= traded.year <= LAST_YEAR:
        raise Unreadable("trade date", day)
    if status not in ("P", "F"):
        raise Unreadable("status", status)
    if not 0 < len(month) <= 16:
        raise Unreadable("contract month", month)
    return DailyRow(traded, product, month, price, _contracts(volume), _contracts(interest), status == "F")


def _contracts(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 12 and int(text) <= MAX_CONTRACTS):
        raise Unreadable("contracts", text)
    return int(text)


def _context(day: date, symbol: str, rows: list[DailyRow]) -> DailyContext:
    coins = sum((row.open_interest * CONTRACTS[row.product][1] for row in rows), Fraction(0))
    units = coins * 10**QUANTITY_DECIMALS
    settled = [row for row in rows if row.settle is not None and row.open_interest]
    largest = max(settled, key=lambda row: row.open_interest * CONTRACTS[row.product][1], default=None)
    known = datetime(day.year, day.month, day.day, tzinfo=UTC) + KNOWN_AFTER
    return DailyContext(
        symbol=symbol,
        trade_date=day,
        known_ns=int(known.timestamp()) * 10**9,
        open_interest=units.numerator // units.denominator,
        settle=None if largest is None else largest.settle,
        is_final=all(row.is_final for row in rows),
    )

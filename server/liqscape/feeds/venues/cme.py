"""CME futures on coins, from the daily report as a file: context with its own label, and no venue of the map by itself.

The report comes once a trading day, preliminary and then final. The exchange sets margins per contract and closes
nobody at a price, so there is no rule for a map: its open interest is shown beside it. On the map it is only where the
user assumes a leverage, as positions that say they are assumed (positions/assumed.py). No lots of the book are opened
from a step that arrives once a day.

The file is text of comma-separated values with this first line:

    trade_date,product,contract_month,settle,volume,open_interest,status
    2026-11-20,BTC,2026-11,64310,8123,21034,F

Dates are ISO; settle is in US dollars, empty where there was none; open_interest counts contracts; status is P or F.
Sizes of contracts: BTC 5 and MBT 0.1 BTC; ETH 50 and MET 0.1 ETH (UNVERIFIED). Rows of other products are left out and
counted; any other row that breaks a rule refuses the file, because a month that is missing would be taken for closed.
Pure: who fetches the file is elsewhere; the web addresses that people read it from are undocumented and refuse
programs.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Final

from liqscape.errors import ConfigError
from liqscape.events import QUANTITY_DECIMALS
from liqscape.feeds.venues.dialect import MAX_MESSAGE_BYTES

VENUE: Final = "cme"

COLUMNS: Final = ("trade_date", "product", "contract_month", "settle", "volume", "open_interest", "status")

CONTRACTS: Final = {
    "BTC": ("BTC", Fraction(5)),
    "MBT": ("BTC", Fraction(1, 10)),
    "ETH": ("ETH", Fraction(50)),
    "MET": ("ETH", Fraction(1, 10)),
}
"""Coin and coins in a contract, by product."""

TRADING_ENDS: Final = timedelta(hours=22)
"""From the start of a trading day (UTC): 16:00 in Chicago in winter; an hour earlier in summer."""

KNOWN_AFTER: Final = timedelta(hours=28)
"""From the start of a trading day (UTC) to when its numbers are out: 22:30 in New York, and some minutes."""

FIRST_YEAR: Final = 2017
"""Of futures on coins there."""

MAX_FILE_BYTES: Final = MAX_MESSAGE_BYTES
"""Ten years of every contract month are half of it."""

MAX_CONTRACTS: Final = 10**9
"""Of a row; above any real number by far."""

MAX_MONTHS_AHEAD: Final = 120
"""Of a contract month, from that of the trading day: the exchange lists about six years."""

_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MONTH: Final = re.compile(r"20[0-9]{2}-(0[1-9]|1[0-2])")
_SETTLE: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,8})?")
_COUNT: Final = re.compile(r"[0-9]{1,10}")
_SHOWN: Final = 40
"""Characters of a wrong value that an error quotes."""


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

    @property
    def contract_size(self) -> Fraction:
        """Return coins in a contract."""
        return CONTRACTS[self.product][1]

    @property
    def coins(self) -> Fraction:
        """Return the open interest in coins."""
        return self.open_interest * self.contract_size


@dataclass(frozen=True, slots=True)
class DailyMonth:
    """A row of a day, and the change of its contracts since the day before.

    Attributes:
        row: of the day; of a month that is gone there is none.
        change: contracts; None where the day before does not tell of the product. A month that is new was 0 then.
    """

    row: DailyRow
    change: int | None


@dataclass(frozen=True, slots=True)
class DailyContext:
    """The open interest of a coin on a trading day.

    Attributes:
        symbol: coin.
        trade_date: the trading day.
        open_interest: units of 10^-8 coin, floored.
        settle: of the month with the most coins open, US dollars; None where no month with any was settled.
        is_final: whether every row is.
        months: of the day, by product and month.
        previous: the trading day before it that is told of; None where there is none.
        change: coins since then, of the products that both days tell; None where there are none.
    """

    symbol: str
    trade_date: date
    open_interest: int
    settle: Fraction | None
    is_final: bool
    months: tuple[DailyMonth, ...]
    previous: date | None
    change: Fraction | None

    @property
    def label(self) -> str:
        """Return what is written beside it."""
        return f"CME, {self.trade_date}, daily report, {'final' if self.is_final else 'preliminary'}"

    @property
    def as_of_ns(self) -> int:
        """Return when the trading day ended, ns since 1970."""
        return _ns(self.trade_date, TRADING_ENDS)

    @property
    def known_ns(self) -> int:
        """Return from when on it may be shown in a replay, ns since 1970: before, nobody had it."""
        return _ns(self.trade_date, KNOWN_AFTER)


@dataclass(frozen=True, slots=True)
class DailyFile:
    """What a file says; `ignored` counts its rows of other products."""

    rows: tuple[DailyRow, ...]
    ignored: int


def read_daily_file(body: bytes, latest: date) -> DailyFile:
    """Return the rows of a daily file.

    Args:
        body: of the file, UTF-8.
        latest: day after which no row can be.

    Raises:
        ConfigError: it is no such file, or a row is wrong; names line, column and what is allowed.
    """
    if len(body) > MAX_FILE_BYTES:
        raise ConfigError(f"it has more than {MAX_FILE_BYTES} bytes; give files of fewer days")
    try:
        lines = body.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise ConfigError("it is no UTF-8 text") from None
    reader = csv.reader(lines, strict=True)
    rows: list[DailyRow] = []
    ignored = 0
    try:
        for number, cells in enumerate(reader):
            if not number:
                _check_header(cells)
            elif cells:
                row = _row(reader.line_num, cells, latest)
                ignored += row is None
                rows += () if row is None else (row,)
    except csv.Error as error:
        raise ConfigError(f"line {reader.line_num}: {error}; use {','.join(COLUMNS)}") from None
    if not lines:
        _check_header([])
    return DailyFile(tuple(rows), ignored)


def contexts_of(rows: Iterable[DailyRow]) -> dict[str, tuple[DailyContext, ...]]:
    """Return the context of each coin, day by day.

    Of a month of a day that is told several times the final counts, else the preliminary; of equal ones the last.
    """
    told: dict[tuple[str, date], dict[tuple[str, str], DailyRow]] = {}
    for row in rows:
        day = told.setdefault((CONTRACTS[row.product][0], row.trade_date), {})
        key = (row.product, row.contract_month)
        if key not in day or row.is_final or not day[key].is_final:
            day[key] = row
    found: dict[str, list[DailyContext]] = {}
    before: dict[str, tuple[date, dict[tuple[str, str], DailyRow]]] = {}
    for (symbol, traded), day in sorted(told.items(), key=lambda item: item[0]):
        found.setdefault(symbol, []).append(_context(symbol, traded, day, before.get(symbol)))
        before[symbol] = (traded, day)
    return {symbol: tuple(days) for symbol, days in found.items()}


def _context(
    symbol: str,
    traded: date,
    day: dict[tuple[str, str], DailyRow],
    before: tuple[date, dict[tuple[str, str], DailyRow]] | None,
) -> DailyContext:
    previous, old = before if before is not None else (None, {})
    both = {product for product, _ in day} & {product for product, _ in old}
    settled = [row for row in day.values() if row.settle is not None and row.open_interest]
    largest = max(settled, key=lambda row: row.coins, default=None)
    units = sum((row.coins for row in day.values()), Fraction(0)) * 10**QUANTITY_DECIMALS
    return DailyContext(
        symbol=symbol,
        trade_date=traded,
        open_interest=units.numerator // units.denominator,
        settle=None if largest is None else largest.settle,
        is_final=all(row.is_final for row in day.values()),
        months=tuple(
            DailyMonth(
                row,
                row.open_interest - (old[key].open_interest if key in old else 0) if row.product in both else None,
            )
            for key, row in sorted(day.items())
        ),
        previous=previous,
        change=_coins(day, both) - _coins(old, both) if both else None,
    )


def _coins(day: dict[tuple[str, str], DailyRow], products: set[str]) -> Fraction:
    return sum((row.coins for row in day.values() if row.product in products), Fraction(0))


def _check_header(cells: list[str]) -> None:
    if tuple(cells) != COLUMNS:
        raise ConfigError(f"line 1 is {','.join(cells)[:_SHOWN]!r}; it must be {','.join(COLUMNS)}")


def _row(line: int, cells: list[str], latest: date) -> DailyRow | None:
    if len(cells) != len(COLUMNS):
        raise ConfigError(f"line {line} has {len(cells)} columns; there are {len(COLUMNS)}: {','.join(COLUMNS)}")
    told = dict(zip(COLUMNS, cells, strict=True))
    if told["product"] not in CONTRACTS:
        return None

    def wrong(column: str, allowed: str) -> ConfigError:
        return ConfigError(f"line {line}, column {column}: {told[column][:_SHOWN]!r} is not allowed; use {allowed}")

    traded = _date(told["trade_date"])
    if traded is None or not date(FIRST_YEAR, 1, 1) <= traded <= latest:
        raise wrong("trade_date", f"a day as YYYY-MM-DD from {FIRST_YEAR}-01-01 to {latest}")
    if not _MONTH.fullmatch(told["contract_month"]) or not 0 <= _months_ahead(traded, told) <= MAX_MONTHS_AHEAD:
        raise wrong("contract_month", f"a month as YYYY-MM, that of the trading day or one of {MAX_MONTHS_AHEAD} later")
    settle = told["settle"]
    if settle and not (_SETTLE.fullmatch(settle) and Fraction(settle) > 0):
        raise wrong("settle", "US dollars above 0 as 64310 or 64310.5, or nothing")
    for column in ("volume", "open_interest"):
        if not _COUNT.fullmatch(told[column]) or int(told[column]) > MAX_CONTRACTS:
            raise wrong(column, f"a whole number of contracts from 0 to {MAX_CONTRACTS}")
    if told["status"] not in ("P", "F"):
        raise wrong("status", "P (preliminary) or F (final)")
    return DailyRow(
        traded,
        told["product"],
        told["contract_month"],
        Fraction(settle) if settle else None,
        int(told["volume"]),
        int(told["open_interest"]),
        told["status"] == "F",
    )


def _months_ahead(traded: date, told: dict[str, str]) -> int:
    year, month = map(int, told["contract_month"].split("-"))
    return 12 * (year - traded.year) + month - traded.month


def _date(text: str) -> date | None:
    if not _DATE.fullmatch(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _ns(day: date, after: timedelta) -> int:
    moment = datetime(day.year, day.month, day.day, tzinfo=UTC) + after
    return int(moment.timestamp()) * 10**9

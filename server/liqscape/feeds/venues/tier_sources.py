"""What to ask each venue about its margin tables, and the rows of its answers: a reader a venue. Pure.

Binance and BingX want a signed request; the answer of the former can be read all the same, by whoever has a key. HTX
tells factors by leverage and size in place of tiers. Deribit has formulas, and what the others tell is not read here:
their shipped rules are all there is. What rows make a table is in tiers.py.
Sources: the venues' documents of 2026 and the recorded answers of the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, TypeAlias

from liqscape.feeds.venues.dialect import Request, Unreadable
from liqscape.feeds.venues.numbers import as_fraction
from liqscape.instruments import Instrument

MAX_TIERS: Final = 500
"""Of one table, in all: no venue has a tenth of it."""

LIGHTER_ONE: Final = 10_000
"""Its margin fractions count hundredths of a per cent."""


@dataclass(frozen=True, slots=True)
class TierSource:
    """How a venue tells its table.

    Attributes:
        request: what to ask about an instrument; None: a signed request.
        rows: an answer's rows about the instrument: floor (None: cap of the row before), cap (None: no bound), rate,
            amount (None: what makes maintenance margin continuous), highest leverage.
            None: the venue tells adjustments.
        adjustments: an answer's factors about the instrument: leverage, and steps of (first size, factor), ascending;
            None: the venue tells rows.
        weight: of the request in the venue's budget "rest", on which its dialect's polls draw too.
    """

    request: Callable[[Instrument], Request] | None
    rows: Callable[[Instrument, Any], Iterable[TierRow]] | None
    weight: int = 1
    adjustments: Callable[[Instrument, Any], Iterable[Factors]] | None = None


@dataclass(frozen=True, slots=True)
class TierRow:
    floor: Fraction | None
    cap: Fraction | None
    rate: Fraction
    amount: Fraction | None
    leverage: Fraction


Factors: TypeAlias = tuple[int, list[tuple[int, Fraction]]]
"""Of a leverage: (first size, factor) of each step."""


def _number(row: Mapping[str, Any], *names: str) -> Fraction:
    """Return the value of the first of these keys that a row has."""
    for name in names:
        if row.get(name) not in (None, ""):
            return as_fraction(row[name])
    raise KeyError(names[0])


def _amount(row: Mapping[str, Any], name: str) -> Fraction:
    return as_fraction(row[name]) if row.get(name) not in (None, "") else Fraction(0)


def _okx(instrument: Instrument, said: Any) -> Iterable[TierRow]:
    family = instrument.name.removesuffix("-SWAP")
    for row in said["data"]:
        if row["instId"] or row["instFamily"] != family:  # with instId: of margin, in coins lent
            continue
        floor = _number(row, "minSz")
        # Bounds of neighbours may lie a contract apart: 0-1000, 1001-2000.
        yield TierRow(
            None if floor else floor, _number(row, "maxSz"), _number(row, "mmr"), Fraction(0), _number(row, "maxLever")
        )


def _bybit(instrument: Instrument, said: Any) -> Iterable[TierRow]:
    rows = said["result"]["list"] if "result" in said else [said]
    for row in rows:
        if row["symbol"] == instrument.name:
            yield TierRow(
                None,
                _number(row, "riskLimitValue"),
                _number(row, "maintenanceMargin"),
                _amount(row, "mmDeduction"),
                _number(row, "maxLeverage"),
            )


def _gate(instrument: Instrument, said: Any) -> Iterable[TierRow]:
    for row in said:
        if row.get("contract", instrument.name) == instrument.name:
            yield TierRow(
                None,
                _number(row, "risk_limit"),
                _number(row, "maintenance_rate"),
                _amount(row, "deduction"),
                _number(row, "leverage_max"),
            )


def _bitget(instrument: Instrument, said: Any) -> Iterable[TierRow]:
    for row in said["data"]:
        if row.get("symbol", instrument.name) == instrument.name:
            yield TierRow(
                _number(row, "minTierValue", "startUnit"),
                _number(row, "maxTierValue", "endUnit"),
                _number(row, "mmr", "keepMarginRate"),
                Fraction(0),
                _number(row, "leverage"),
            )


def _kucoin(instrument: Instrument, said: Any) -> Iterable[TierRow]:
    for row in said["data"]:
        if row["symbol"] == instrument.name:
            yield TierRow(
                _number(row, "minRiskLimit", "minSize"),
                _number(row, "maxRiskLimit", "maxSize"),
                _number(row, "maintainMargin", "maintainMarginRate"),
                Fraction(0),
                _number(row, "maxLeverage"),
            )


def _binance(instrument: Instrument, said: Any) -> Iterable[TierRow]:
    for pair in said if isinstance(said, list) else [said]:
        if pair["symbol"] == instrument.name:
            for row in pair["brackets"]:
                yield TierRow(
                    _number(row, "notionalFloor", "qtyFloor"),
                    _number(row, "notionalCap", "qtyCap"),
                    _number(row, "maintMarginRatio"),
                    _number(row, "cum"),
                    _number(row, "initialLeverage"),
                )


def _kraken(instrument: Instrument, said: Any) -> Iterable[TierRow]:
    for listed in said["instruments"] if isinstance(said, dict) else said:
        if str(listed["symbol"]).upper() != instrument.name:
            continue
        levels = listed["marginLevels"]
        floors = [_number(level, "contracts", "numNonContractUnits") for level in levels]
        for level, floor, cap in zip(levels, floors, [*floors[1:], None], strict=True):
            yield TierRow(
                floor, cap, _number(level, "maintenanceMargin"), Fraction(0), 1 / _number(level, "initialMargin")
            )


def _hyperliquid(instrument: Instrument, said: Any) -> Iterable[TierRow]:
    listed = {each["name"]: each for each in said["universe"]}.get(instrument.name)
    if listed is None:
        return
    plain = {"marginTiers": [{"lowerBound": "0.0", "maxLeverage": listed["maxLeverage"]}]}
    table = dict(said.get("marginTables", ())).get(listed.get("marginTableId"), plain)
    steps = table["marginTiers"]
    floors = [_number(step, "lowerBound") for step in steps]
    for step, floor, cap in zip(steps, floors, [*floors[1:], None], strict=True):
        leverage = _number(step, "maxLeverage")
        yield TierRow(floor, cap, 1 / (2 * leverage), None, leverage)


def _dydx(instrument: Instrument, said: Any) -> Iterable[TierRow]:
    listed = said.get("result", said)["markets"][instrument.name]
    yield TierRow(
        Fraction(0),
        None,
        _number(listed, "maintenanceMarginFraction"),
        Fraction(0),
        1 / _number(listed, "initialMarginFraction"),
    )


def _mexc(instrument: Instrument, said: Any) -> Iterable[TierRow]:
    """Levels of their own, or a first one and what each further one adds."""
    for row in said["data"] if isinstance(said["data"], list) else [said["data"]]:
        if row["symbol"] != instrument.name:
            continue
        if row.get("riskLimitType", "BY_VOLUME") != "BY_VOLUME":  # contracts, as the shipped table
            raise Unreadable("another unit of sizes", row["riskLimitType"])
        if row.get("riskLimitCustom"):
            for level in row["riskLimitCustom"]:
                yield TierRow(
                    None, _number(level, "maxVol"), _number(level, "mmr"), Fraction(0), _number(level, "maxLeverage")
                )
            continue
        for above in range(min(int(row["riskLevelLimit"]), MAX_TIERS + 1)):
            yield TierRow(
                None,
                _number(row, "riskBaseVol") + above * _number(row, "riskIncrVol"),
                _number(row, "maintenanceMarginRate") + above * _number(row, "riskIncrMmr"),
                Fraction(0),
                1 / (_number(row, "initialMarginRate") + above * _number(row, "riskIncrImr")),
            )


def _lighter(instrument: Instrument, said: Any) -> Iterable[TierRow]:
    for row in said["order_book_details"]:
        if row["symbol"] == instrument.name and row.get("market_type", "perp") == "perp":
            yield TierRow(
                Fraction(0),
                None,
                _number(row, "maintenance_margin_fraction") / LIGHTER_ONE,
                Fraction(0),
                LIGHTER_ONE / _number(row, "min_initial_margin_fraction"),
            )


def _htx(instrument: Instrument, said: Any) -> Iterable[Factors]:
    for row in said["data"]:
        if row["contract_code"] == instrument.name:
            for listed in row["list"]:
                steps = [(int(step["min_size"]), _number(step, "adjust_factor")) for step in listed["ladders"]]
                yield int(listed["lever_rate"]), sorted(steps)


def _category(instrument: Instrument) -> str:
    return "inverse" if instrument.is_inverse else "linear"


SOURCES: Final[Mapping[str, TierSource]] = {
    "binance": TierSource(None, _binance),
    "bitget": TierSource(
        lambda i: Request(
            "https://api.bitget.com/api/v2/mix/market/query-position-lever",
            {"symbol": i.name, "productType": "USDT-FUTURES"},
        ),
        _bitget,
    ),
    "bybit": TierSource(
        lambda i: Request("https://api.bybit.com/v5/market/risk-limit", {"category": _category(i), "symbol": i.name}),
        _bybit,
    ),
    "dydx": TierSource(lambda i: Request("https://indexer.dydx.trade/v4/perpetualMarkets", {"ticker": i.name}), _dydx),
    "gate": TierSource(
        lambda i: Request(
            f"https://api.gateio.ws/api/v4/futures/{'btc' if i.is_inverse else 'usdt'}/risk_limit_tiers",
            {"contract": i.name},
        ),
        _gate,
    ),
    "htx": TierSource(
        lambda i: Request(
            f"https://api.hbdm.com/{'swap-api' if i.is_inverse else 'linear-swap-api'}/v1/swap_adjustfactor",
            {"contract_code": i.name},
        ),
        None,
        adjustments=_htx,
    ),
    "hyperliquid": TierSource(
        lambda _: Request("https://api.hyperliquid.xyz/info", json=b'{"type":"meta"}'), _hyperliquid, weight=20
    ),
    "kraken": TierSource(lambda _: Request("https://futures.kraken.com/derivatives/api/v3/instruments"), _kraken),
    "kucoin": TierSource(
        lambda i: Request(f"https://api-futures.kucoin.com/api/v1/contracts/risk-limit/{i.name}"), _kucoin
    ),
    "lighter": TierSource(lambda _: Request("https://mainnet.zklighter.elliot.ai/api/v1/orderBookDetails"), _lighter),
    "mexc": TierSource(
        lambda i: Request("https://contract.mexc.com/api/v1/contract/detail", {"symbol": i.name}), _mexc
    ),
    "okx": TierSource(
        lambda i: Request(
            "https://www.okx.com/api/v5/public/position-tiers",
            {"instType": "SWAP", "tdMode": "isolated", "instFamily": i.name.removesuffix("-SWAP")},
        ),
        _okx,
    ),
}

"""Margin tables as venues tell them without a key: what to ask, and an answer -> maintenance tiers. Pure.

Binance and BingX want a signed request; the answer of the former can be read all the same, by whoever has a key. HTX
tells factors by leverage and size in place of tiers. Deribit has formulas, and what the others tell is not read here:
their shipped rules are all there is.
Sources: the venues' documents of 2026 and the recorded answers of the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from itertools import pairwise
from typing import Any, Final, TypeAlias

import orjson

from liqscape.errors import NotFound
from liqscape.feeds.venues.dialect import Request, Unreadable
from liqscape.feeds.venues.numbers import UnreadableNumber, as_fraction
from liqscape.instruments import AdjustmentStep, Instrument, MaintenanceTier

UNBOUNDED: Final = 10**12
"""Cap of a last tier that has none: more than any position is worth."""

PERCENT_FROM: Final = Fraction(1, 10)
"""A rate of the lowest tier that is as high as this is told in per cent. Bybit has been seen to tell both."""

MAX_TIERS: Final = 500

LIGHTER_ONE: Final = 10_000
"""Its margin fractions count hundredths of a per cent."""

TOLD_BY: Final = "margin table as told by"
"""With this the source of rules begins, where a venue has told the table."""


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
    rows: Callable[[Instrument, Any], Iterable[_Row]] | None
    weight: int = 1
    adjustments: Callable[[Instrument, Any], Iterable[_Factors]] | None = None


@dataclass(frozen=True, slots=True)
class _Row:
    floor: Fraction | None
    cap: Fraction | None
    rate: Fraction
    amount: Fraction | None
    leverage: Fraction


_Factors: TypeAlias = tuple[int, list[tuple[int, Fraction]]]
"""Of a leverage: (first size, factor) of each step."""

Adjustments: TypeAlias = tuple[tuple[int, tuple[AdjustmentStep, ...]], ...]
"""See Instrument.adjustments."""


def tiers_of(instrument: Instrument, body: bytes) -> tuple[MaintenanceTier, ...]:
    """Return the tiers of table_of."""
    return table_of(instrument, body)[0]


def table_of(instrument: Instrument, body: bytes) -> tuple[tuple[MaintenanceTier, ...], Adjustments]:
    """Return the table of an instrument in a venue's answer: tiers, and what a venue adds whose rate follows leverage.

    Raises:
        NotFound: the venue tells none that can be read here, or not of this instrument.
        Unreadable: the answer is none, or its table cannot be one.
    """
    source = find_source(instrument.venue)
    try:
        said = orjson.loads(body)
        rows = list(source.rows(instrument, said)) if source.rows is not None else []
        factors = list(source.adjustments(instrument, said)) if source.adjustments is not None else []
        if not rows and not factors:
            raise NotFound(f"the answer tells no margin table of {instrument.instrument_id}")
        if max(len(rows), sum(len(steps) for _, steps in factors)) > MAX_TIERS:
            raise Unreadable("too many tiers", len(rows) or len(factors))
        if rows:
            return checked(_tiers(rows)), ()
        adjustments = checked_adjustments(factors)
        return (_standing_for_all(instrument, adjustments),), adjustments
    except (UnreadableNumber, KeyError, ValueError, TypeError, IndexError, AttributeError, ArithmeticError) as error:
        raise Unreadable("malformed", repr(error)) from error


def find_source(venue: str) -> TierSource:
    """Return how a venue tells its tables.

    Raises:
        NotFound: it does not, or only as no reader here reads.
    """
    if venue not in SOURCES:
        raise NotFound(f"venue {venue!r} tells no margin table; those of {', '.join(SOURCES)} can be read")
    return SOURCES[venue]


def with_tiers(
    instrument: Instrument,
    tiers: tuple[MaintenanceTier, ...],
    read: date,
    where: str,
    adjustments: Adjustments = (),
) -> Instrument:
    """Return an instrument under a table that its venue has told."""
    source = f"{TOLD_BY} {where}; all else: {instrument.rules_date}: {instrument.rules_source}"
    return replace(
        instrument,
        maintenance_tiers=tiers,
        adjustments=adjustments,
        rules_date=read.isoformat(),
        rules_source=source,
    )


def is_told(instrument: Instrument) -> bool:
    """Return whether the rules of an instrument are those of with_tiers."""
    return instrument.rules_source.startswith(TOLD_BY)


def differences(shipped: Sequence[MaintenanceTier], told: Sequence[MaintenanceTier]) -> list[str]:
    """Return in words where two tables differ; what only one of them has counts too."""
    found = []
    for number in range(max(len(shipped), len(told))):
        mine = shipped[number] if number < len(shipped) else None
        theirs = told[number] if number < len(told) else None
        if mine != theirs:
            found.append(f"tier {number + 1}: shipped {_in_words(mine)}, told {_in_words(theirs)}")
    return found


def adjustment_differences(shipped: Adjustments, told: Adjustments) -> list[str]:
    """Return in words where factors by leverage differ; a leverage that only one of them has counts too."""
    mine, theirs = dict(shipped), dict(told)
    return [
        f"{leverage}x: shipped {_factors_in_words(mine.get(leverage))}, told {_factors_in_words(theirs.get(leverage))}"
        for leverage in sorted(mine.keys() | theirs.keys())
        if mine.get(leverage) != theirs.get(leverage)
    ]


def _factors_in_words(steps: Sequence[AdjustmentStep] | None) -> str:
    return ", ".join(f"{float(s.factor):g} from {s.floor:,}" for s in steps) if steps else "none"


def _in_words(tier: MaintenanceTier | None) -> str:
    if tier is None:
        return "none"
    amount = f" less {float(tier.maintenance_amount):,g}" if tier.maintenance_amount else ""
    return f"{float(tier.maintenance_margin_rate * 100):g} %{amount} to {tier.notional_cap:,} at {tier.max_leverage}x"


def _tiers(rows: Sequence[_Row]) -> list[MaintenanceTier]:
    in_per_cent = min(row.rate for row in rows) >= PERCENT_FROM
    found: list[MaintenanceTier] = []
    for row in sorted(rows, key=lambda row: (row.cap is None, row.cap)):
        before = found[-1] if found else None
        floor = row.floor if row.floor is not None else Fraction(before.notional_cap if before else 0)
        rate = row.rate / 100 if in_per_cent else row.rate
        amount = row.amount
        if amount is None:
            amount = Fraction(0)
            if before is not None:
                amount = before.maintenance_amount + floor * (rate - before.maintenance_margin_rate)
        cap = UNBOUNDED if row.cap is None else int(row.cap)
        found.append(MaintenanceTier(int(floor), cap, rate, amount, int(row.leverage)))
    return found


def checked(tiers: Sequence[MaintenanceTier]) -> tuple[MaintenanceTier, ...]:
    """Return tiers that make a table: from nothing on, one after the other, with rates that do not fall.

    Raises:
        Unreadable: they make none.
    """
    if not tiers:
        raise Unreadable("table without a tier")
    for tier in tiers:
        if not (0 < tier.maintenance_margin_rate <= 1 and tier.max_leverage >= 1 and tier.maintenance_amount >= 0):
            raise Unreadable("absurd tier", tier)
        if not tier.notional_floor < tier.notional_cap:
            raise Unreadable("empty tier", tier)
    for lower, upper in pairwise(tiers):
        if upper.notional_floor != lower.notional_cap or upper.maintenance_margin_rate < lower.maintenance_margin_rate:
            raise Unreadable("tiers that do not follow each other", f"{lower} {upper}")
    if tiers[0].notional_floor != 0:
        raise Unreadable("table without a first tier", tiers[0])
    return tuple(tiers)


def checked_adjustments(factors: Sequence[_Factors]) -> Adjustments:
    """Return factors by leverage as an instrument has them: from nothing on, ascending, none that takes all margin.

    Raises:
        Unreadable: they make no table.
    """
    found: list[tuple[int, tuple[AdjustmentStep, ...]]] = []
    for leverage, steps in sorted(factors):
        floors, shares = [floor for floor, _ in steps], [factor for _, factor in steps]
        if not steps or leverage < 1 or (found and found[-1][0] == leverage):
            raise Unreadable("absurd leverage", f"{leverage}x of {len(steps)} steps")
        if floors[0] != 0 or any(upper <= lower for lower, upper in pairwise(floors)):
            raise Unreadable("tiers that do not follow each other", f"{leverage}x from {floors}")
        if not 0 < min(shares) <= max(shares) < 1 or any(upper < lower for lower, upper in pairwise(shares)):
            raise Unreadable("absurd factor", f"{leverage}x: {', '.join(map(str, shares))}")
        caps = [*floors[1:], None]
        found.append((leverage, tuple(AdjustmentStep(*each) for each in zip(floors, caps, shares, strict=True))))
    return tuple(found)


def _standing_for_all(instrument: Instrument, adjustments: Adjustments) -> MaintenanceTier:
    """Return the tier that stands for all: the rate of a small position at the highest leverage, as shipped tables do.

    It is below the margin at that leverage, so every leverage that is listed has margin beyond maintenance.
    """
    leverage, steps = adjustments[-1]
    cap = instrument.maintenance_tiers[-1].notional_cap
    return MaintenanceTier(0, cap, steps[0].factor / leverage, Fraction(0), leverage)


def _number(row: Mapping[str, Any], *names: str) -> Fraction:
    """Return the value of the first of these keys that a row has."""
    for name in names:
        if row.get(name) not in (None, ""):
            return as_fraction(row[name])
    raise KeyError(names[0])


def _amount(row: Mapping[str, Any], name: str) -> Fraction:
    return as_fraction(row[name]) if row.get(name) not in (None, "") else Fraction(0)


def _okx(instrument: Instrument, said: Any) -> Iterable[_Row]:
    family = instrument.name.removesuffix("-SWAP")
    for row in said["data"]:
        if row["instId"] or row["instFamily"] != family:  # with instId: of margin, in coins lent
            continue
        floor = _number(row, "minSz")
        # Bounds of neighbours may lie a contract apart: 0-1000, 1001-2000.
        yield _Row(
            None if floor else floor, _number(row, "maxSz"), _number(row, "mmr"), Fraction(0), _number(row, "maxLever")
        )


def _bybit(instrument: Instrument, said: Any) -> Iterable[_Row]:
    rows = said["result"]["list"] if "result" in said else [said]
    for row in rows:
        if row["symbol"] == instrument.name:
            yield _Row(
                None,
                _number(row, "riskLimitValue"),
                _number(row, "maintenanceMargin"),
                _amount(row, "mmDeduction"),
                _number(row, "maxLeverage"),
            )


def _gate(instrument: Instrument, said: Any) -> Iterable[_Row]:
    for row in said:
        if row.get("contract", instrument.name) == instrument.name:
            yield _Row(
                None,
                _number(row, "risk_limit"),
                _number(row, "maintenance_rate"),
                _amount(row, "deduction"),
                _number(row, "leverage_max"),
            )


def _bitget(instrument: Instrument, said: Any) -> Iterable[_Row]:
    for row in said["data"]:
        if row.get("symbol", instrument.name) == instrument.name:
            yield _Row(
                _number(row, "minTierValue", "startUnit"),
                _number(row, "maxTierValue", "endUnit"),
                _number(row, "mmr", "keepMarginRate"),
                Fraction(0),
                _number(row, "leverage"),
            )


def _kucoin(instrument: Instrument, said: Any) -> Iterable[_Row]:
    for row in said["data"]:
        if row["symbol"] == instrument.name:
            yield _Row(
                _number(row, "minRiskLimit", "minSize"),
                _number(row, "maxRiskLimit", "maxSize"),
                _number(row, "maintainMargin", "maintainMarginRate"),
                Fraction(0),
                _number(row, "maxLeverage"),
            )


def _binance(instrument: Instrument, said: Any) -> Iterable[_Row]:
    for pair in said if isinstance(said, list) else [said]:
        if pair["symbol"] == instrument.name:
            for row in pair["brackets"]:
                yield _Row(
                    _number(row, "notionalFloor", "qtyFloor"),
                    _number(row, "notionalCap", "qtyCap"),
                    _number(row, "maintMarginRatio"),
                    _number(row, "cum"),
                    _number(row, "initialLeverage"),
                )


def _kraken(instrument: Instrument, said: Any) -> Iterable[_Row]:
    for listed in said["instruments"] if isinstance(said, dict) else said:
        if str(listed["symbol"]).upper() != instrument.name:
            continue
        levels = listed["marginLevels"]
        floors = [_number(level, "contracts", "numNonContractUnits") for level in levels]
        for level, floor, cap in zip(levels, floors, [*floors[1:], None], strict=True):
            yield _Row(
                floor, cap, _number(level, "maintenanceMargin"), Fraction(0), 1 / _number(level, "initialMargin")
            )


def _hyperliquid(instrument: Instrument, said: Any) -> Iterable[_Row]:
    listed = {each["name"]: each for each in said["universe"]}.get(instrument.name)
    if listed is None:
        return
    plain = {"marginTiers": [{"lowerBound": "0.0", "maxLeverage": listed["maxLeverage"]}]}
    table = dict(said.get("marginTables", ())).get(listed.get("marginTableId"), plain)
    steps = table["marginTiers"]
    floors = [_number(step, "lowerBound") for step in steps]
    for step, floor, cap in zip(steps, floors, [*floors[1:], None], strict=True):
        leverage = _number(step, "maxLeverage")
        yield _Row(floor, cap, 1 / (2 * leverage), None, leverage)


def _dydx(instrument: Instrument, said: Any) -> Iterable[_Row]:
    listed = said.get("result", said)["markets"][instrument.name]
    yield _Row(
        Fraction(0),
        None,
        _number(listed, "maintenanceMarginFraction"),
        Fraction(0),
        1 / _number(listed, "initialMarginFraction"),
    )


def _mexc(instrument: Instrument, said: Any) -> Iterable[_Row]:
    """Levels of their own, or a first one and what each further one adds."""
    for row in said["data"] if isinstance(said["data"], list) else [said["data"]]:
        if row["symbol"] != instrument.name:
            continue
        if row.get("riskLimitType", "BY_VOLUME") != "BY_VOLUME":  # contracts, as the shipped table
            raise Unreadable("another unit of sizes", row["riskLimitType"])
        if row.get("riskLimitCustom"):
            for level in row["riskLimitCustom"]:
                yield _Row(
                    None, _number(level, "maxVol"), _number(level, "mmr"), Fraction(0), _number(level, "maxLeverage")
                )
            continue
        for above in range(min(int(row["riskLevelLimit"]), MAX_TIERS + 1)):
            yield _Row(
                None,
                _number(row, "riskBaseVol") + above * _number(row, "riskIncrVol"),
                _number(row, "maintenanceMarginRate") + above * _number(row, "riskIncrMmr"),
                Fraction(0),
                1 / (_number(row, "initialMarginRate") + above * _number(row, "riskIncrImr")),
            )


def _lighter(instrument: Instrument, said: Any) -> Iterable[_Row]:
    for row in said["order_book_details"]:
        if row["symbol"] == instrument.name and row.get("market_type", "perp") == "perp":
            yield _Row(
                Fraction(0),
                None,
                _number(row, "maintenance_margin_fraction") / LIGHTER_ONE,
                Fraction(0),
                LIGHTER_ONE / _number(row, "min_initial_margin_fraction"),
            )


def _htx(instrument: Instrument, said: Any) -> Iterable[_Factors]:
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

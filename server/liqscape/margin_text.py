"""A position's margin as text and as JSON values, and the table of worked liquidation prices. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any, Final

from liqscape.errors import InvalidArgument
from liqscape.events import PositionSide
from liqscape.instruments import AT_ENTRY, CONTEXT, Instrument
from liqscape.positions.position_margin import PositionMargin, position_margin

WORKED_ENTRY: Final = Fraction(65_000)
WORKED_LEVERAGES: Final = (10, 50)

_FORMULAS: Final = {
    (False, PositionSide.LONG): "E (1 - 1/L - d/N) / (1 - m - f)",
    (False, PositionSide.SHORT): "E (1 + 1/L + d/N) / (1 + m + f)",
    (True, PositionSide.LONG): "E (1 + m + f) / (1 + 1/L + d/N)",
    (True, PositionSide.SHORT): "E (1 - m - f) / (1 - 1/L - d/N)",
}
_FORMULAS_AT_ENTRY: Final = {
    PositionSide.LONG: "E (1 - 1/L - d/N + m + f)",
    PositionSide.SHORT: "E (1 + 1/L + d/N - m - f)",
}
_SIDES: Final = {PositionSide.LONG: "long", PositionSide.SHORT: "short"}


def formula_of(instrument: Instrument, side: PositionSide) -> str:
    """Return the rule: E entry, L leverage, m maintenance rate, f fee, d amount taken off, N size."""
    if instrument.margin_form == AT_ENTRY:
        return _FORMULAS_AT_ENTRY[side]
    return _FORMULAS[instrument.is_inverse, side]


def as_json(margin: PositionMargin) -> dict[str, Any]:
    """Return plain values: prices as the nearest float64, rates as exact decimal text where they have one."""
    instrument, tier = margin.instrument, margin.tier
    return {
        "instrument": instrument.instrument_id,
        "symbol": instrument.symbol,
        "contract": instrument.contract,
        "side": _SIDES[margin.side],
        "entry": float(margin.entry),
        "leverage": float(margin.leverage),
        "size_base": float(margin.size),
        "liquidation_price": float(margin.liquidation_price),
        "bankruptcy_price": float(margin.bankruptcy_price),
        "trigger": instrument.trigger,
        "steps": [
            {
                "share": float(step.share),
                "price": float(step.price),
                "maintenance_tier": step.maintenance_tier + 1,
            }
            for step in margin.steps
        ],
        "liquidation_order": instrument.liquidation_order,
        "rule": {
            "formula": formula_of(instrument, margin.side),
            "margin_form": instrument.margin_form,
            "maintenance_tier": margin.maintenance_tier + 1,
            "maintenance_tiers": len(instrument.maintenance_tiers),
            "tier_floor": tier.notional_floor,
            "tier_cap": tier.notional_cap,
            "tier_unit": instrument.tier_unit,
            "maintenance_margin_rate": float(margin.rate),
            "maintenance_amount": float(tier.maintenance_amount),
            "fee_rate": float(instrument.fee_rate),
            "max_leverage": tier.max_leverage,
            "date": instrument.rules_date,
            "source": instrument.rules_source,
        },
    }


def as_text(margin: PositionMargin, others: Iterable[Instrument] = ()) -> str:
    """Return lines for people.

    Args:
        margin: the position.
        others: contracts of the same coin at the same venue, to be named.
    """
    instrument, tier = margin.instrument, margin.tier
    away = abs(margin.liquidation_price / margin.entry - 1)
    fee = f" + {_percent(instrument.fee_rate)} fee" if instrument.fee_rate else ""
    amount = f", less {float(tier.maintenance_amount):,g}" if tier.maintenance_amount else ""
    lines = [
        f"{instrument.instrument_id} ({instrument.contract}), {_SIDES[margin.side]} {float(margin.size):,g}"
        f" {instrument.symbol} at {_price(margin.entry)}, {float(margin.leverage):g}x, isolated, no margin added",
        "",
        f"  liquidation  {_price(margin.liquidation_price)}   {_percent(away, 2)} from entry,"
        f" by the {instrument.trigger} price",
        f"  bankruptcy   {_price(margin.bankruptcy_price)}",
        f"  maintenance  {_percent(margin.rate)}{fee}{amount}; tier {margin.maintenance_tier + 1} of"
        f" {len(instrument.maintenance_tiers)}, up to {tier.notional_cap:,} {_unit(instrument)},"
        f" {tier.max_leverage}x at most",
    ]
    for number, step in enumerate(margin.steps):
        label = "ladder" if number == 0 else ""
        lines.append(
            f"  {label:<11}  {_percent(step.share, 2)} at {_price(step.price)} (tier {step.maintenance_tier + 1})"
        )
    if instrument.margin_form == CONTEXT:
        lines.append("  note         no rule of the venue gives a price: what is shown follows from an assumed rate")
    lines += [
        f"  order        {instrument.liquidation_order}",
        f"  rule         {formula_of(instrument, margin.side)}",
        f"  as of        {instrument.rules_date}: {instrument.rules_source}",
    ]
    if names := ", ".join(other.name for other in others):
        lines.append(f"  see also     {names} (--instrument)")
    return "\n".join(lines)


def worked_table(instruments: Iterable[Instrument]) -> str:
    """Return Markdown: liquidation prices of one BTC at 65,000 of each contract, long / short, 10x and 50x."""
    head = [
        "| contract | kind | maintenance, fee | rules of | 10x long / short | 50x long / short |",
        "|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, *(_worked_row(instrument) for instrument in instruments)])


def _worked_row(instrument: Instrument) -> str:
    cells, rates = [], []
    for leverage in WORKED_LEVERAGES:
        try:
            pair = [
                position_margin(instrument, side=side, entry=WORKED_ENTRY, leverage=Fraction(leverage))
                for side in PositionSide
            ]
        except InvalidArgument:
            above = leverage > instrument.max_leverage
            cells.append(
                f"not offered: at most {instrument.max_leverage}x" if above else "no margin beyond maintenance"
            )
            continue
        rates.append(_percent(pair[0].rate))
        cells.append(" / ".join(_price(each.liquidation_price) for each in pair))
    fee = f" + {_percent(instrument.fee_rate)}" if instrument.fee_rate else ""
    form = {AT_ENTRY: ", at entry", CONTEXT: ", assumed"}.get(instrument.margin_form, "")
    doubt = " (partly unverified)" if "UNVERIFIED" in instrument.rules_source else ""
    rate = " or ".join(dict.fromkeys(rates)) or _percent(instrument.maintenance_margin_rate)
    return (
        f"| `{instrument.instrument_id}` | {instrument.contract}{form} | {rate}{fee} |"
        f" {instrument.rules_date}{doubt} | {cells[0]} | {cells[1]} |"
    )


def _price(value: Fraction) -> str:
    return f"{float(value):,.2f}" if abs(value) >= 1 else f"{float(value):,.8f}"


def _percent(value: Fraction, decimals: int | None = None) -> str:
    percent = float(value * 100)
    return f"{percent:.6g} %" if decimals is None else f"{percent:,.{decimals}f} %"


def _unit(instrument: Instrument) -> str:
    return {"quote": "of quote", "base": instrument.symbol}.get(instrument.tier_unit, instrument.tier_unit)

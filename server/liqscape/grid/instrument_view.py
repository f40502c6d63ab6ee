"""An instrument as it is served: rules, units and the prices they lead to."""

from __future__ import annotations

from collections.abc import Sequence

from liqscape.axes import SymbolScale
from liqscape.events import PositionSide
from liqscape.grid.updates import InstrumentView, TierView
from liqscape.instruments import Instrument
from liqscape.positions.margin import bankruptcy_ratio, liquidation_ratio


def instrument_view(instrument: Instrument, scale: SymbolScale | None, mix: Sequence[int]) -> InstrumentView:
    """Return what people and programs may want to check the arithmetic.

    Args:
        instrument: the contract and its rules.
        scale: integer units of its symbol; None before its first price.
        mix: the inflow mix in force, millionths by leverage tier.
    """
    tiers = instrument.leverage_tiers
    return InstrumentView(
        instrument_id=instrument.instrument_id,
        venue=instrument.venue,
        symbol=instrument.symbol,
        contract=instrument.contract,
        trigger=instrument.trigger,
        price_decimals=instrument.price_decimals if scale is None else scale.price_decimals,
        base_step=0 if scale is None else scale.base_step,
        lot_decimals=0 if scale is None else scale.lot_decimals,
        maintenance_margin_rate_ppm=round(instrument.maintenance_margin_rate * 1_000_000),
        rules_date=instrument.rules_date,
        tiers=tuple(
            TierView(
                leverage=leverage,
                inflow_share_ppm=share,
                long_liquidation_ratio=float(liquidation_ratio(instrument, leverage, PositionSide.LONG)),
                short_liquidation_ratio=float(liquidation_ratio(instrument, leverage, PositionSide.SHORT)),
                long_bankruptcy_ratio=float(
                    bankruptcy_ratio(leverage, PositionSide.LONG, inverse=instrument.is_inverse)
                ),
                short_bankruptcy_ratio=float(
                    bankruptcy_ratio(leverage, PositionSide.SHORT, inverse=instrument.is_inverse)
                ),
            )
            for leverage, share in zip(tiers, mix, strict=True)
        ),
    )

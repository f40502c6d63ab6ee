"""meta.json of an export: units, scale, weights and mix, so that the other files can be read without this program."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from liqscape import __version__
from liqscape.axes import MINUTE_NS, WEIGHT_ONE, SymbolScale, last_minute_before
from liqscape.events import PositionSide
from liqscape.feeds.history import HistorySource
from liqscape.feeds.recordings import stamp_text
from liqscape.grid.engine import GridEngine
from liqscape.grid.shard import Shard
from liqscape.instruments import LEVERAGE_TIERS
from liqscape.positions.book import PositionBook
from liqscape.positions.flow import POSITION_TAKING_SHARE
from liqscape.positions.mix import SHARE_ONE
from liqscape.positions.weights import make_key

SIDES: Final = ("long", "short")
"""By PositionSide: the side of the position."""

STATEMENT: Final = (
    "An estimate. Positions are modelled from public prices, traded volume and open interest; nobody's real positions"
    " or liquidation prices are in these files."
)

UNITS: Final = {
    "minute, open_minute": "minutes since 1970-01-01 UTC; an event carries the last minute its bar covers",
    "row": "base rows: floor(liquidation price / base_step)",
    "instrument": "venue:name",
    "tier": "assumed leverage",
    "side": "long or short: the side of the position, also where a liquidation order has the other one",
    "lots": "lot_size base coin each; in events + what opens, - what ends",
    "cause": "opened, swept (the trigger price reached the row) or closed (by its owner)",
    "open, high, low, close": "trigger price in quote currency: float64 nearest to its decimal of price_decimals",
    "traded": "lots traded in the bar; of an inverse instrument: contracts",
    "open_interest": "as traded, at the end of the bar, one-sided; null where no sample ends with the bar",
    "open_interest_lots, live_lots, uncovered_lots": "as traded, after a sample: live + uncovered = open interest",
    "model_error_lots": "lots, running total of the instrument: flow implied by open interest beyond what traded",
    "T of grids.npz": "int64[column, row], oldest column first: lots x weight still open at the column's end, or now",
    "T_axes of grids.npz": "int64: first column, minutes of a column, first row in rows of the grid, base steps a row",
    "bars": "bars that have a price; a sample of open interest without a candle is in reconciliation alone",
}


def describe(
    shard: Shard, symbol: str, source: HistorySource, axes: dict[str, NDArray[np.int64]], rows: dict[str, int]
) -> dict[str, Any]:
    """Return the content of meta.json.

    Args:
        shard: after the last tick.
        symbol: base coin.
        source: what the shard was built from.
        axes: by timeframe, as they stand in grids.npz.
        rows: by file.
    """
    book, engine = shard.book(symbol), shard.engine(symbol)
    minute = last_minute_before(shard.end_ns)
    status = next(s for s in shard.status() if s.symbol == symbol)
    return {
        "statement": STATEMENT,
        "software": f"liqscape {__version__}",
        "source": {"manifest": source.manifest.name, "description": source.manifest.description},
        "recording_counters": source.counters,
        "symbol": symbol,
        "until_minute": minute,
        "until": stamp_text((minute + 1) * MINUTE_NS),
        **scale_of(engine.scale),
        "mark_price": status.mark_price / 10**engine.scale.price_decimals,
        "weight_one": WEIGHT_ONE,
        "weights": _weights(book, engine),
        "mix": _mix(book),
        "position_taking_share": str(POSITION_TAKING_SHARE),
        "covered_share": {c.instrument_id: c.covered_share() for c in status.coverage},
        "model_error_lots": {c.instrument_id: c.model_error_lots for c in status.coverage},
        "timeframes": {name: corner.tolist() for name, corner in axes.items()},
        "rows": rows,
        "units": UNITS,
    }


def decimal_text(units: int, decimals: int) -> str:
    """Return units x 10^-decimals, exactly, without an exponent or trailing zeros."""
    if decimals <= 0:
        return str(units * 10**-decimals)
    text = str(units).rjust(decimals + 1, "0")
    return f"{text[:-decimals]}.{text[-decimals:]}".rstrip("0").rstrip(".")


def scale_of(scale: SymbolScale) -> dict[str, Any]:
    """Return what is said of the units of a symbol."""
    return {
        "base_step": scale.base_step / 10**scale.price_decimals,
        "base_step_text": decimal_text(scale.base_step, scale.price_decimals),
        "base_step_price_units": scale.base_step,
        "price_decimals": scale.price_decimals,
        "lot_size": float(decimal_text(1, scale.lot_decimals)),
        "lot_size_text": decimal_text(1, scale.lot_decimals),
        "lot_decimals": scale.lot_decimals,
    }


def _weights(book: PositionBook, engine: GridEngine) -> list[dict[str, Any]]:
    return [
        {
            "venue": instrument.venue,
            "instrument": instrument.instrument_id,
            "tier": tier,
            "side": SIDES[side],
            "weight": int(engine.weights[make_key(number, LEVERAGE_TIERS.index(tier), side)]),
        }
        for number, instrument in enumerate(book.instruments)
        for tier in instrument.leverage_tiers
        for side in PositionSide
    ]


def _mix(book: PositionBook) -> list[dict[str, Any]]:
    return [
        {
            "venue": instrument.venue,
            "instrument": instrument.instrument_id,
            "tier": tier,
            "inflow_share": share / SHARE_ONE,
            "inflow_share_millionths": share,
        }
        for instrument in book.instruments
        for tier, share in zip(instrument.leverage_tiers, book.account(instrument.instrument_id).mix, strict=True)
    ]

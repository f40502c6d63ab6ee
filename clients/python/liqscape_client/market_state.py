"""Price, stamps and coverage as a stream tells them: plain values, no protobuf."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from liqscape.v1 import stream_pb2

_STATE_NAMES: Final[dict[int, str]] = {
    value: name.removeprefix("DATA_STATE_") for name, value in stream_pb2.DataState.items()
}


def state_names(states: Iterable[int]) -> tuple[str, ...]:
    """Return DataState values in words, for example ("SIMULATED", "STALE"); one newer than this client as UNKNOWN_n."""
    return tuple(_STATE_NAMES.get(value, f"UNKNOWN_{value}") for value in states)


@dataclass(frozen=True, slots=True)
class SymbolState:
    """Newest SymbolChunk of one symbol.

    Attributes:
        symbol: base coin.
        mark_price: trigger price, quote currency.
        price_decimals: decimal places the price is given in.
        source_watermark_unix_ns: newest market event included, on the venue's (simulated, recorded) clock.
        states: SIMULATED, REPLAY, STALE, ENDED; empty = live.
        bars_closed_unix_ns, grids_ready_unix_ns, chunks_encoded_unix_ns: the engine's wall clock at each stage.
    """

    symbol: str
    mark_price: float
    price_decimals: int
    source_watermark_unix_ns: int
    states: tuple[str, ...]
    bars_closed_unix_ns: int
    grids_ready_unix_ns: int
    chunks_encoded_unix_ns: int

    @classmethod
    def from_message(cls, chunk: stream_pb2.SymbolChunk) -> SymbolState:
        """Read a chunk."""
        return cls(
            symbol=chunk.symbol,
            mark_price=chunk.mark_price / 10 ** min(chunk.price_decimals, 18),
            price_decimals=min(chunk.price_decimals, 18),
            source_watermark_unix_ns=chunk.source_watermark_unix_ns,
            states=state_names(chunk.states),
            bars_closed_unix_ns=chunk.bars_closed_unix_ns,
            grids_ready_unix_ns=chunk.grids_ready_unix_ns,
            chunks_encoded_unix_ns=chunk.chunks_encoded_unix_ns,
        )


def covered_share(coverage: Iterable[stream_pb2.VenueChunk]) -> float | None:
    """Return live / (live + uncovered) over all instruments and both sides; None where nothing was said yet."""
    live = total = 0.0
    for chunk in coverage:
        lot = 10.0 ** -max(-18, min(18, chunk.lot_decimals))
        held = (chunk.live_long_lots + chunk.live_short_lots) * lot
        live += held
        total += held + (chunk.uncovered_long_lots + chunk.uncovered_short_lots) * lot
    return live / total if total else None

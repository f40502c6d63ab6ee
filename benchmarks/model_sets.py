"""The recordings with real liquidation totals, and bars read from them once for many replays.

A: 5 minutes, 2025-12-01..2026-01-10. B: 1 hour, cut into legs by its manifest, 2025-03-06..2025-11-14, with the crash
of 2025-10-10. C: 1 minute, 2025-05-04..2025-06-11. C lies inside the first half of B: whoever fits on that half leaves
out the second half of C.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks import report
from benchmarks.model_scores import Collector, Totals, read_totals
from liqscape.axes import SymbolScale
from liqscape.clock import SystemClock
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.events import TickEnd
from liqscape.feeds.history import HistorySource
from liqscape.instruments import Instrument
from liqscape.market.bars import Bar
from liqscape.market.state import MarketState
from liqscape.positions.book import PositionBook

MANIFESTS: Final = report.ROOT / "benchmarks" / "manifests"

_SETTLED: Final = ("time", "aggregated_long_liquidation_usd", "aggregated_short_liquidation_usd")
_TOTALS: Final = "market/liquidations/coinglass_binance_{}_4h_from_2024-11.parquet"


@dataclass(frozen=True, slots=True)
class DataSet:
    """A recording with real totals.

    Attributes:
        manifest: of the recording.
        symbol: base coin.
        totals: file of the real totals, under the recordings folder.
        columns: time, USD of longs, USD of shorts in that file.
        least: what the model must not fall below in the second half, long and short: a little below what it reached.
        wanted: what it should reach there; None: nothing was asked for.
        prototype: what a floating-point prototype of the same model and its baselines scored there, in their order; it
            took the candles of B whole.
    """

    manifest: str
    symbol: str
    totals: str
    columns: tuple[str, str, str] = _SETTLED
    least: tuple[float, float] = (0.0, 0.0)
    wanted: tuple[float, float] | None = None
    prototype: tuple[str, ...] = ("", "", "", "")


SETS: Final = {
    "A BTC": DataSet(
        "binance_usdm_5m_2025-12",
        "BTC",
        "market/liquidations/coinglass_binance_BTC_4h_from_2025-10-06.parquet",
        ("timestamp", "long_usd", "short_usd"),
        least=(0.87, 0.83),
        wanted=(0.87, 0.84),
        prototype=("0.78 / 0.72", "0.806 / 0.800", "0.86 / 0.80", "0.874 / 0.839"),
    ),
    "B BTC": DataSet(
        "binance_usdm_1h_2025-03",
        "BTC",
        _TOTALS.format("BTC"),
        least=(0.90, 0.81),
        wanted=(0.90, 0.83),
        prototype=("0.80 / 0.69", "0.842 / 0.769", "0.71 / 0.60", "0.898 / 0.810"),
    ),
    "B ETH": DataSet(
        "binance_usdm_1h_2025-03",
        "ETH",
        _TOTALS.format("ETH"),
        least=(0.89, 0.835),
        wanted=(0.89, 0.84),
        prototype=("0.77 / 0.67", "0.827 / 0.799", "0.52 / 0.46", "0.875 / 0.814"),
    ),
    "C BTC": DataSet("binance_usdm_1m_2025-05", "BTC", _TOTALS.format("BTC"), least=(0.895, 0.815)),
    "C ETH": DataSet("binance_usdm_1m_2025-05", "ETH", _TOTALS.format("ETH"), least=(0.87, 0.88)),
}


def open_source(chosen: DataSet, recordings: Path) -> HistorySource:
    """Return the recording of a set as a source of events."""
    return HistorySource(
        MANIFESTS / f"{chosen.manifest}.toml",
        recordings=recordings,
        clock=SystemClock(),
        speed=None,
        symbols=(chosen.symbol,),
    )


@dataclass(slots=True)
class Recorded:
    """The bars of a set in the order in which a book takes them, and the real totals.

    Attributes:
        middle_minute: what opens from here on belongs to the second half.
    """

    name: str
    instrument: Instrument
    scale: SymbolScale
    bars: list[Bar]
    totals: Totals
    middle_minute: int

    @classmethod
    def read(cls, name: str, recordings: Path) -> Recorded:
        """Read a set."""
        chosen = SETS[name]
        source = open_source(chosen, recordings)
        (instrument,) = source.description.instruments
        market = MarketState((instrument,))
        bars = list(_bars(source, market))
        scale = market.scale(chosen.symbol)
        assert scale is not None
        priced = [bar for bar in bars if bar.trigger is not None]
        totals = read_totals(recordings / chosen.totals, *chosen.columns)
        middle = (priced[0].first_minute + priced[-1].minute + 1) // 2
        return cls(name, instrument, scale, bars, totals, middle)


def replay(
    recorded: Recorded,
    mix: Sequence[int] | None = None,
    *,
    first_half_only: bool = False,
    baselines: bool = False,
) -> Collector:
    """Build the book of a set under a mix and return what it swept by 4-hour bar.

    Args:
        recorded: the set.
        mix: inflow shares in millionths by tier; the shipped prior where None.
        first_half_only: stop at the middle; the second half stays unread.
        baselines: run the open-only model beside it.
    """
    instrument = recorded.instrument
    mixes = None if mix is None else {instrument.instrument_id: mix}
    book = PositionBook(instrument.symbol, (instrument,), recorded.scale, NumpyBackend(), mixes)
    collector = Collector(instrument, lambda symbol: recorded.scale, open_only=baselines)
    for bar in recorded.bars:
        if first_half_only and bar.minute >= recorded.middle_minute:
            break
        collector.observe(instrument.symbol, [bar], book.apply([bar]))
    return collector


def _bars(source: HistorySource, market: MarketState) -> Iterator[Bar]:
    for event in source.iterate():
        if isinstance(event, TickEnd):
            yield from market.close_tick(event.time_ns)
        else:
            market.apply(event)

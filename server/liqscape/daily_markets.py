"""Markets of a daily report beside the maps and the status of a running engine: which day counts, and what is assumed.

A question of a live or simulated market sees the newest day that was read. One of a replay sees the newest day that was
out by the time of its data: nobody then knew more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from liqscape.feeds.daily_report import DailyReport
from liqscape.feeds.venues.cme import DailyContext
from liqscape.grid.assumed_layer import Layers, assumed_layers, assumed_positions
from liqscape.grid.liquidation_map import MapAnswer
from liqscape.grid.market_context import market_context
from liqscape.grid.updates import EngineStatus, MapQuery


class DailyMarkets:
    """What a daily report says, for the questions to an engine.

    Args:
        report: what is read.
        shares: leverage and millionths of the open interest that the user assumes; empty: nothing is assumed.
        now_ns: wall clock.
        replay: the data are of the past.
    """

    def __init__(
        self, report: DailyReport, shares: Sequence[tuple[int, int]], now_ns: Callable[[], int], *, replay: bool
    ) -> None:
        self._report = report
        self._shares = tuple(shares)
        self._now_ns = now_ns
        self._replay = replay
        self._layers: dict[str, tuple[tuple[int, int, int], Layers]] = {}

    def start(self) -> None:
        """Look at the files from now on."""
        self._report.start()

    def stop(self) -> None:
        """End that."""
        self._report.stop()

    def in_status(self, status: EngineStatus) -> EngineStatus:
        """Return a status with the markets of its symbols. From any thread."""
        state = self._report.state
        found = []
        for symbol in status.symbols:
            days, at_ns = self._days(state.days.get(symbol.symbol, ()), symbol.source_watermark_ns)
            if days:
                found.append(market_context(days[-1], symbol.coverage, at_ns))
        return replace(status, context=tuple(found), daily_report=state.status)

    def beside(self, answer: MapAnswer, query: MapQuery) -> MapAnswer:
        """Return a map with its market, and with the positions that are assumed of it. From one thread.

        A question that names venues is about these: it gets no positions of another one.
        """
        state = self._report.state
        days, at_ns = self._days(state.days.get(answer.symbol, ()), answer.source_watermark_ns)
        if not days:
            return answer
        context = (market_context(days[-1], answer.coverage, at_ns),)
        if not self._shares or query.venues:
            return replace(answer, context=context)
        layers = self._layers_of(answer.symbol, days, (state.number, len(days), answer.scale.lot_decimals))
        rows, price = answer.map.rows, answer.mark_price
        layer = assumed_positions(layers, self._shares, days[-1], query, rows, answer.scale, price)
        return replace(answer, context=context, assumed=(layer,))

    def _days(self, days: Sequence[DailyContext], watermark_ns: int) -> tuple[Sequence[DailyContext], int]:
        """Return the days that may be known, and the moment from which they are looked at."""
        if not self._replay:
            return days, self._now_ns()
        return [day for day in days if day.known_ns <= watermark_ns], watermark_ns

    def _layers_of(self, symbol: str, days: Sequence[DailyContext], key: tuple[int, int, int]) -> Layers:
        known = self._layers.get(symbol)
        if known is None or known[0] != key:
            known = key, assumed_layers(days, self._shares, key[2])
            self._layers[symbol] = known
        return known[1]

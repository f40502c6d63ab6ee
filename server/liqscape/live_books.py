"""The live books of a shard as questions see them: captured between ticks, at most once a tick, then summed elsewhere.

A book changes with every tick and is not copied unless somebody asks. Whoever asks within the same tick shares a copy.
"""

from __future__ import annotations

from collections.abc import Callable

from liqscape.axes import RowRange
from liqscape.device.backend import BookProfile
from liqscape.feeds.exact import ExactView
from liqscape.grid.exact_layer import ExactPositions, exact_positions
from liqscape.grid.keyed_book import BookAnswer, keyed_book
from liqscape.grid.liquidation_map import MapAnswer, liquidation_map
from liqscape.grid.shard import Shard
from liqscape.grid.symbol_model import SymbolView
from liqscape.grid.updates import MapQuery, PositionModel


class CapturedBook:
    """A book as it stood after a tick, and what was known then.

    Args:
        view: the symbol after that tick. Not kept: it would hold on to a whole ledger.
        profile: the work of summing it; let go once it is done.
        model: which book.
        exact: what venues state of accounts; not of the tick, but the newest at it.
    """

    def __init__(
        self,
        view: SymbolView,
        profile: Callable[[], BookProfile],
        model: PositionModel,
        exact: tuple[ExactView, ...] = (),
    ) -> None:
        self.tick = view.tick
        self._symbol = view.symbol
        self._model = model
        self._instruments = view.instruments
        self._mixes = view.mixes
        self._scale = view.scale
        self._mark_price = view.mark_price
        self._source_watermark_ns = view.source_watermark_ns
        self._coverage = view.coverage
        self._exact = exact
        self._work: Callable[[], BookProfile] | None = profile
        self._profile: BookProfile | None = None

    def answer(self, query: MapQuery, epoch: int) -> MapAnswer:
        """Return a map. The first call sums the cohorts; one thread makes all calls.

        Raises:
            InvalidArgument: names the field and what is allowed. NotFound: an unknown venue.
        """
        profile = self._summed()
        found = liquidation_map(
            query,
            profile,
            instruments=self._instruments,
            mixes=self._mixes,
            scale=self._scale,
            mark_price=self._mark_price,
        )
        return MapAnswer(
            symbol=self._symbol,
            epoch=epoch,
            tick=self.tick,
            scale=self._scale,
            mark_price=self._mark_price,
            source_watermark_ns=self._source_watermark_ns,
            coverage=self._coverage,
            model=self._model,
            map=found,
            exact=self._stated(query, profile, found.rows),
        )

    def keyed(self, query: MapQuery, epoch: int) -> BookAnswer:
        """Return the book by key. The first call of this or of `answer` sums the cohorts; one thread makes all calls.

        Raises:
            InvalidArgument: names the field and what is allowed. NotFound: an unknown venue.
        """
        profile = self._summed()
        found = keyed_book(
            query, profile, instruments=self._instruments, scale=self._scale, mark_price=self._mark_price
        )
        return BookAnswer(
            query=query,
            epoch=epoch,
            tick=self.tick,
            scale=self._scale,
            mark_price=self._mark_price,
            source_watermark_ns=self._source_watermark_ns,
            coverage=self._coverage,
            instruments=tuple(instrument.instrument_id for instrument in self._instruments),
            venues=tuple(instrument.venue for instrument in self._instruments),
            book=found,
            exact=self._stated(query, profile, found.rows),
        )

    def _stated(self, query: MapQuery, profile: BookProfile, rows: RowRange) -> tuple[ExactPositions, ...]:
        return exact_positions(
            self._exact,
            query,
            profile,
            rows,
            instruments=self._instruments,
            scale=self._scale,
            coverage=self._coverage,
        )

    def _summed(self) -> BookProfile:
        if self._work is not None:
            self._profile = self._work()
            self._work = None
        assert self._profile is not None
        return self._profile


class LiveBooks:
    """The newest capture of each book of a shard.

    Args:
        shard: whose.
        exact: returns what venues state of accounts, from any thread.
    """

    def __init__(self, shard: Shard, exact: Callable[[], tuple[ExactView, ...]] = tuple) -> None:
        self._shard = shard
        self._exact = exact
        self._captured: dict[tuple[str, PositionModel], CapturedBook] = {}

    def capture(self, symbol: str, model: PositionModel) -> CapturedBook:
        """Return a book as it stands now. Between ticks, on the thread that steps the shard."""
        known = self._captured.get((symbol, model))
        if known is not None and known.tick == self._shard.tick:
            return known
        profile = self._shard.live_book(symbol, model).profile()
        captured = CapturedBook(self._shard.view()[symbol], profile, model, self._exact())
        self._captured[symbol, model] = captured
        return captured

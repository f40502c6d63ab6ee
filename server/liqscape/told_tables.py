"""Margin tables that venues have told become terms: at a start those that were kept, then each as it is told.

A table acts as any change of terms does (market/terms.py): from the next tick on, which says so in the journal, on what
opens from then on. One that equals what is in force changes nothing. One that cannot follow exactly on what is in force
(a leverage that would end while positions of it may be open) is refused with the reason, and what is in force stays.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import date

from liqscape.errors import ConfigError, LiqscapeError
from liqscape.feeds.tables import TableBoard, ToldTable
from liqscape.feeds.venues.tiers import differences, is_told, with_tiers
from liqscape.grid.shard import Shard
from liqscape.instruments import Instrument
from liqscape.market.terms import LeverageGone, Terms
from liqscape.positions.carried_terms import terms_under

_LOG = logging.getLogger(__name__)


class ToldTables:
    """What a board tells, for one shard. On the engine's thread, between ticks.

    Args:
        shard: whose terms they become.
        board: where they are told.
        now_ns: wall clock, for the time of a refusal.
    """

    def __init__(self, shard: Shard, board: TableBoard, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._counts = Counter(margin_tables_taken=0, margin_tables_refused=0)
        self._shard = shard
        self._board = board
        self._now_ns = now_ns
        self._said: tuple[Instrument, ...] = ()

    @property
    def counters(self) -> dict[str, int]:
        """Return how many tables took effect, could not, and could not be kept for the next start."""
        return {**self._counts, "margin_tables_unkept": self._board.unkept}

    def look(self) -> None:
        """Propose what was told since the last look, and say what is in force."""
        if self._said is not self._shard.instruments:
            self._said = self._shard.instruments
            self._board.put_in_force(self._said)
        for table in self._board.take():
            self._propose(table)

    def _propose(self, table: ToldTable) -> None:
        name = table.instrument_id
        coming = next((terms for terms in self._shard.coming_terms if terms.instrument_id == name), None)
        if coming is None or table.is_of(coming.instrument):
            return
        try:
            wanted = terms_under(coming, rules_of(self._board.shipped[name], table))
            self._shard.propose([wanted])
        except (LiqscapeError, ValueError, ArithmeticError) as error:
            self._counts["margin_tables_refused"] += 1
            self._board.fail(name, f"refused: {error}", self._now_ns())
            _LOG.warning("the margin table that %s has told is refused: %s; what is in force stays", name, error)
            return
        self._counts["margin_tables_taken"] += 1
        before, after = coming.instrument, wanted.instrument
        for line in differences(before.maintenance_tiers, after.maintenance_tiers):
            _LOG.info("%s: %s", name, line)
        moves = _decides(before) != _decides(after)
        _LOG.log(
            logging.WARNING if moves else logging.INFO,
            "from the next tick on %s is under the margin table as told by %s",
            name,
            table.where,
        )


def _decides(instrument: Instrument) -> tuple[object, ...]:
    """Return what of a table decides where small positions end, and at which leverages they open."""
    return instrument.maintenance_margin_rate, instrument.leverage_tiers, instrument.adjustments


def rules_of(shipped: Instrument, table: ToldTable) -> Instrument:
    """Return an instrument under a told table; one that tells what is shipped leaves the shipped rules as they are."""
    if table.is_of(shipped):
        return shipped
    return with_tiers(shipped, table.tiers, date.fromisoformat(table.since), table.where, table.adjustments)


def under_kept(wanted: Iterable[Terms], board: TableBoard | None) -> tuple[Terms, ...]:
    """Return terms to begin with: under the table that was told to an earlier process, where one is kept.

    Args:
        wanted: under shipped rules.
        board: of the source; None: no venue tells its tables.
    """
    told = {} if board is None else board.told()
    found: list[Terms] = []
    for terms in wanted:
        name = terms.instrument_id
        try:
            found.append(terms_under(terms, rules_of(terms.instrument, told[name])) if name in told else terms)
        except (LiqscapeError, ValueError, ArithmeticError) as error:
            _LOG.warning("the margin table kept of %s cannot be used: %s; the shipped one is", name, error)
            found.append(terms)
    return tuple(found)


def that_can_follow(wanted: Sequence[Terms], in_force: Iterable[Terms]) -> tuple[Terms, ...]:
    """Return the terms that can follow exactly on those in force.

    A table that a venue has told must never keep a server from starting, neither one that comes nor one that goes:
    where a leverage would end for it, what is in force stays. Rules that were shipped are refused for it as ever.

    Raises:
        ConfigError: terms that no venue has told would not be exact.
    """
    before = {terms.instrument_id: terms for terms in in_force}
    found: list[Terms] = []
    for terms in wanted:
        now = before[terms.instrument_id]
        try:
            terms.changed_from(now)
        except LeverageGone as error:
            if not (is_told(terms.instrument) or is_told(now.instrument)):
                raise ConfigError(str(error)) from error
            _LOG.warning("%s; the rules in force stay", error)
            continue
        found.append(terms)
    return tuple(found)

"""A correction of what a data folder was told, by hand: one more tick in its journal. What was taken then stays.

No server may use the folder meanwhile. The next one takes the tick as any other of the journal, so whatever it does to
the state it does there, and again after every restart.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

from liqscape.errors import ConfigError, LiqscapeError
from liqscape.events import Correction, TickEnd
from liqscape.journal.data_folder import DataFolder
from liqscape.journal.snapshot_file import StoredSnapshot, read_snapshot
from liqscape.journal.sqlite_store import SqliteJournal
from liqscape.journal.store import Note, StoreDamaged
from liqscape.market.notes import notes_of
from liqscape.market.state import MarketState
from liqscape.market.terms import UnreadableTerms, terms_of_plain
from liqscape.market.tick_codec import UnreadableTick, decode_tick, encode_tick
from liqscape.recovery import TERMS, snapshot_of


@dataclass(frozen=True, slots=True)
class Corrected:
    """The tick that tells it, and whether the books take another sample by it."""

    tick: int
    is_sampled: bool


def correct(
    folder: DataFolder, instrument_id: str, from_ns: int, to_ns: int, quantity: int | None, reason: str
) -> Corrected:
    """Write a correction down; see events.Correction.

    Args:
        folder: of a server that is not running.
        instrument_id: one of its instruments.
        from_ns, to_ns: the span that was wrong; to_ns is the instant of a sample.
        quantity: the right open interest, in units of events; None: prices or trades were wrong.
        reason: for people.

    Raises:
        ConfigError: there is no such instrument or span, or the folder is damaged.
        StoreUnavailable: it cannot be written.
    """
    snapshot = _newest_snapshot(folder)
    market, tick = _market(folder, snapshot)
    with closing(folder.open_journal("tick")) as journal:
        tick = _follow(journal, market, tick)
        end_ns = market.snapshot().last_end_ns
        if end_ns is None:
            raise ConfigError(f"data folder {folder.folder} has no tick yet")
        if not from_ns <= to_ns <= end_ns:
            raise ConfigError(f"{from_ns} to {to_ns} ns is no span before the end of the last tick, {end_ns} ns")
        try:
            market.apply(Correction(instrument_id, end_ns, from_ns, to_ns, quantity, reason))
        except LiqscapeError:
            known = ", ".join(market.snapshot().carries)
            raise ConfigError(f"instrument {instrument_id!r} is not in {folder.folder}; it has {known}") from None
        closed = market.close(TickEnd(end_ns + 1, render=False))
        notes = [Note(tick + 1, kind, text) for kind, text in notes_of(closed)]
        journal.append([(tick + 1, encode_tick(closed))], notes)
        return Corrected(tick + 1, any(bar.open_interest_lots is not None for bar in closed.bars))


def _newest_snapshot(folder: DataFolder) -> StoredSnapshot | None:
    ticks = folder.snapshots.ticks()
    try:
        return read_snapshot(folder.snapshots.path(ticks[-1])) if ticks else None
    except StoreDamaged as error:
        raise ConfigError(f"{error}; repair the folder first") from error


def _market(folder: DataFolder, snapshot: StoredSnapshot | None) -> tuple[MarketState, int]:
    settings = folder.settings() if snapshot is None else snapshot.settings
    if settings is None or TERMS not in settings:
        raise ConfigError(f"data folder {folder.folder} is of an older version; let a server start and end on it first")
    try:
        market = MarketState(terms.instrument for terms in terms_of_plain(settings[TERMS]).values())
    except UnreadableTerms as error:
        raise ConfigError(f"data folder {folder.folder} was written by another version: {error}") from error
    if snapshot is None:
        return market, 0
    market.restore(snapshot_of(snapshot).market)
    return market, snapshot.tick


def _follow(journal: SqliteJournal, market: MarketState, tick: int) -> int:
    """Let a market stage take what is in the journal after a tick; return the last one."""
    try:
        for number, body in journal.read(tick + 1):
            market.follow(decode_tick(body))
            tick = number
    except (StoreDamaged, UnreadableTick) as error:
        raise ConfigError(f"{error}; repair the folder first") from error
    return tick

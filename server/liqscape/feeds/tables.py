"""Margin tables that venues tell while a server runs, and how asking for them fares: plain values, and where both meet.

Whoever asks writes here from the thread of the feeds, the engine reads from its own: it decides what takes effect, and
says what is in force. Nothing here asks, and nothing here decides.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol, runtime_checkable

from liqscape.instruments import AdjustmentStep, Instrument, MaintenanceTier

SHIPPED: Final = "shipped"
"""In force as this version brings it."""

CONFIRMED: Final = "confirmed"
"""The same, and the venue has told the same."""

FETCHED: Final = "fetched"
"""In force as the venue has told it, other than the one shipped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldTable:
    """A venue's margin table of one instrument, which was believed.

    Attributes:
        instrument_id: whose.
        tiers: of it, ascending.
        since: ISO date on which it was first told like this.
        read_ns: when it was last told, unix nanoseconds.
        where: address that was asked.
        adjustments: see Instrument.adjustments.
    """

    instrument_id: str
    tiers: tuple[MaintenanceTier, ...]
    since: str
    read_ns: int
    where: str
    adjustments: tuple[tuple[int, tuple[AdjustmentStep, ...]], ...] = ()

    def is_of(self, instrument: Instrument) -> bool:
        """Return whether an instrument is under this very table."""
        return self.tiers == instrument.maintenance_tiers and self.adjustments == instrument.adjustments


@dataclass(frozen=True, slots=True, kw_only=True)
class TableStatus:
    """Where the table in force of an instrument is from, and how asking for the newest fares.

    Attributes:
        instrument_id: whose.
        origin: SHIPPED, CONFIRMED or FETCHED.
        rules_date: ISO date of the rules in force.
        rules_source: where they were read.
        read_ns: when the venue last told a table that was believed, unix nanoseconds; 0: never.
        failures: requests since the start that brought no table that could be used.
        failure: what was wrong with the last of them; empty: none failed.
        failed_ns: when that was; 0: none failed.
        note: why nobody is asked, or how far the table is from the one shipped; empty: nothing is to be said.
    """

    instrument_id: str
    origin: str
    rules_date: str
    rules_source: str
    read_ns: int = 0
    failures: int = 0
    failure: str = ""
    failed_ns: int = 0
    note: str = ""


class TableBoard:
    """The newest table of each instrument, and the rules in force; of any thread.

    Args:
        shipped: every instrument under its shipped rules.
        kept: tables that were told to an earlier process, to begin with.

    Attributes:
        unkept: how often what was told could not be written down for the next start.
    """

    def __init__(self, shipped: Iterable[Instrument], kept: Iterable[ToldTable] = ()) -> None:
        self.unkept = 0
        self._lock = threading.Lock()
        self._shipped = {i.instrument_id: i for i in shipped}
        self._in_force = dict(self._shipped)
        self._told = {table.instrument_id: table for table in kept}
        self._new: dict[str, ToldTable] = {}
        self._statuses = {
            name: TableStatus(
                instrument_id=name,
                origin=SHIPPED,
                rules_date=i.rules_date,
                rules_source=i.rules_source,
                read_ns=self._told[name].read_ns if name in self._told else 0,
            )
            for name, i in self._shipped.items()
        }

    @property
    def shipped(self) -> Mapping[str, Instrument]:
        """Return every instrument under its shipped rules, by id."""
        return self._shipped

    def told(self) -> dict[str, ToldTable]:
        """Return the newest table of each instrument that was told, by id."""
        with self._lock:
            return dict(self._told)

    def tell(self, table: ToldTable, note: str = "") -> None:
        """Take a table that is believed. One that is told again keeps the day on which it was told first.

        Args:
            table: of one of the instruments.
            note: what people should know of it.
        """
        name = table.instrument_id
        with self._lock:
            before = self._told.get(name)
            if before is not None and (before.tiers, before.adjustments) == (table.tiers, table.adjustments):
                table = replace(table, since=before.since)
            self._told[name] = self._new[name] = table
            self._state(name, read_ns=table.read_ns, note=note)

    def fail(self, instrument_id: str, reason: str, now_ns: int) -> None:
        """Take note that a request brought no table that can be used, or that the table cannot take effect."""
        with self._lock:
            failures = self._statuses[instrument_id].failures + 1
            self._state(instrument_id, failures=failures, failure=reason, failed_ns=now_ns)

    def note(self, instrument_id: str, text: str) -> None:
        """Take down what people should know of an instrument's table."""
        with self._lock:
            self._state(instrument_id, note=text)

    def take(self) -> list[ToldTable]:
        """Return the tables told since the last call."""
        with self._lock:
            new, self._new = self._new, {}
        return list(new.values())

    def put_in_force(self, instruments: Iterable[Instrument]) -> None:
        """Say under which rules positions open now."""
        with self._lock:
            for instrument in instruments:
                name = instrument.instrument_id
                if name in self._statuses:
                    self._in_force[name] = instrument
                    self._state(name, rules_date=instrument.rules_date, rules_source=instrument.rules_source)

    def statuses(self, instrument_ids: Sequence[str]) -> tuple[TableStatus, ...]:
        """Return how it stands with some instruments, in their order."""
        with self._lock:
            return tuple(self._statuses[name] for name in instrument_ids if name in self._statuses)

    def _state(self, name: str, **changed: object) -> None:
        status = replace(self._statuses[name], **changed)  # type: ignore[arg-type]
        self._statuses[name] = replace(status, origin=self._origin(name))

    def _origin(self, name: str) -> str:
        now, shipped, told = self._in_force[name], self._shipped[name], self._told.get(name)
        if (now.maintenance_tiers, now.adjustments) != (shipped.maintenance_tiers, shipped.adjustments):
            return FETCHED
        return CONFIRMED if told is not None and told.is_of(now) else SHIPPED


@runtime_checkable
class TellsTables(Protocol):
    """A source whose venues may tell their margin tables."""

    def tables(self) -> TableBoard | None:
        """Return where they are told; None: nowhere."""
        ...


def board_of(source: object) -> TableBoard | None:
    """Return where a source tells tables, if it does."""
    return source.tables() if isinstance(source, TellsTables) else None

"""Margin tables that venues have told, kept in the data folder for the next start.

DIR/margin_tables.json    one object: crc32, and the tables by instrument id: since, read_ns, where, and the tiers as
                          [floor, cap, maintenance rate, amount taken off, highest leverage], rates and amounts as text;
                          adjustments, where there are any, as [leverage, [[first size, factor], ...]]

It is written whole or not at all: a temporary file, fsync, rename. A damaged one is set aside under another name, and
the shipped tables are in force until the venues have told theirs again. Who holds the folder holds the file.
"""

from __future__ import annotations

import json
import logging
import os
import zlib
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from liqscape.errors import LiqscapeError
from liqscape.feeds.tables import ToldTable
from liqscape.feeds.venues.dialect import Unreadable
from liqscape.feeds.venues.table_check import check_table
from liqscape.feeds.venues.tiers import checked, checked_adjustments
from liqscape.instruments import Instrument, MaintenanceTier

_LOG = logging.getLogger(__name__)

NAME: Final = "margin_tables.json"

MAX_FILE_BYTES: Final = 8 << 20
"""500 tiers of each of 200 instruments take less."""


class TablesNotKept(LiqscapeError):
    """A file that could not be written; names the reason."""


class TableFile:
    """See above.

    Args:
        folder: data folder, which exists.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME

    def read(self, shipped: Mapping[str, Instrument]) -> list[ToldTable]:
        """Return the tables kept that may be used: of these instruments, believed, and not older than what is shipped.

        A damaged file is set aside; nothing that is in it stops a start.

        Args:
            shipped: instruments under their shipped rules, by id.
        """
        try:
            if self.path.stat().st_size > MAX_FILE_BYTES:
                raise ValueError(f"more than {MAX_FILE_BYTES} bytes")
            said = json.loads(self.path.read_bytes())
            tables = said["tables"]
            if said["crc32"] != _checksum(tables):
                raise ValueError("it fails its checksum")
            kept = [_table(name, plain) for name, plain in tables.items()]
        except FileNotFoundError:
            return []
        except (
            OSError,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            ArithmeticError,
            RecursionError,
            Unreadable,
        ) as error:
            self._set_aside(error)
            return []
        return [table for table in kept if _may_be_used(table, shipped)]

    def write(self, tables: Iterable[ToldTable]) -> None:
        """Keep these tables and no others.

        Raises:
            TablesNotKept: they cannot be written.
        """
        plain = {table.instrument_id: _plain(table) for table in tables}
        temporary = self.path.with_name(NAME + ".tmp")
        try:
            with temporary.open("w", encoding="utf-8") as file:
                json.dump({"tables": plain, "crc32": _checksum(plain)}, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.path)
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise TablesNotKept(f"{self.path} cannot be written: {error.strerror or error}") from error

    def _set_aside(self, error: Exception) -> None:
        aside = self.path.with_name(NAME + ".bad")
        try:
            self.path.replace(aside)
        except OSError as failed:
            _LOG.error("%s cannot be used nor set aside: %s; %s", self.path, error, failed)
        else:
            _LOG.error("%s cannot be used and is set aside as %s: %s", self.path, aside, error)


def _may_be_used(table: ToldTable, shipped: Mapping[str, Instrument]) -> bool:
    instrument = shipped.get(table.instrument_id)
    if instrument is None:
        return False
    read = datetime.fromtimestamp(table.read_ns / 1e9, UTC).date().isoformat()
    if read < instrument.rules_date:
        _LOG.info("%s: what was told on %s is older than what is shipped", table.instrument_id, read)
        return False
    try:
        check_table(instrument, table.tiers, table.adjustments)
    except Unreadable as error:
        _LOG.error("%s: the table that was kept is not believed: %s", table.instrument_id, error)
        return False
    return True


def _checksum(tables: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(tables, sort_keys=True).encode())


def _plain(table: ToldTable) -> dict[str, Any]:
    return {
        "since": table.since,
        "read_ns": table.read_ns,
        "where": table.where,
        "tiers": [
            [
                t.notional_floor,
                t.notional_cap,
                str(t.maintenance_margin_rate),
                str(t.maintenance_amount),
                t.max_leverage,
            ]
            for t in table.tiers
        ],
        "adjustments": [[leverage, [[s.floor, str(s.factor)] for s in steps]] for leverage, steps in table.adjustments],
    }


def _table(name: str, plain: Mapping[str, Any]) -> ToldTable:
    if not 0 < plain["read_ns"] < 1 << 63:
        raise ValueError(f"read_ns of {name} is {plain['read_ns']}")
    return ToldTable(
        instrument_id=name,
        tiers=checked(
            [
                MaintenanceTier(int(floor), int(cap), Fraction(str(rate)), Fraction(str(amount)), int(leverage))
                for floor, cap, rate, amount, leverage in plain["tiers"]
            ]
        ),
        since=date.fromisoformat(plain["since"]).isoformat(),
        read_ns=int(plain["read_ns"]),
        where=str(plain["where"]),
        adjustments=checked_adjustments(
            [
                (int(leverage), [(int(floor), Fraction(str(factor))) for floor, factor in steps])
                for leverage, steps in plain.get("adjustments", ())
            ]
        ),
    )

"""The narrow interface of a journal: numbered bytes in, numbered bytes out. Another store may stand behind it."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from liqscape.errors import LiqscapeError

Record: TypeAlias = tuple[int, bytes]
"""Number of a tick, and what is kept of it."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something to be found again long after its tick is gone: kind and text are whoever's wrote it."""

    tick: int
    kind: str
    text: str


class StoreUnavailable(LiqscapeError):
    """Nothing can be written now: the disk is full, read-only or gone. Later it may be otherwise."""


class StoreDamaged(LiqscapeError):
    """What was kept is not what was written. The text names file, tick and what is wrong."""


class JournalStore(Protocol):
    """Records by tick, ascending, and notes. Of other threads than that of append only maintain, and what is read."""

    def append(self, records: Sequence[Record], notes: Sequence[Note] = ()) -> None:
        """Keep records and notes, all or none; they have been committed when this returns.

        A tick again takes its place, and so do the notes of a tick. Notes stay when ticks are dropped.

        Raises:
            StoreUnavailable: they are not kept.
            StoreDamaged: they are not, and never will be: what is there is broken.
        """
        ...

    def read(self, from_tick: int) -> Iterator[Record]:
        """Yield what is kept from a tick on, one tick after the other without a hole.

        Raises:
            StoreDamaged: at the first record that is missing or not what was written.
        """
        ...

    def notes(self) -> Iterator[Note]:
        """Yield all notes by tick, in the order of their tick.

        Raises:
            StoreDamaged: at the first that is not what was written.
        """
        ...

    def newest_tick(self) -> int | None:
        """Return the newest tick kept; None of an empty store.

        Raises:
            StoreDamaged: that cannot be told.
        """
        ...

    def oldest_tick(self) -> int | None:
        """Return the oldest tick kept; see newest_tick."""
        ...

    def truncate_before(self, tick: int) -> int:
        """Drop some of what is older, and return how many records that was; 0 once there is none left.

        Raises:
            StoreUnavailable: not now.
            StoreDamaged: never.
        """
        ...

    def maintain(self) -> None:
        """Bring what was committed nearer to the disk, as the store's policy has it.

        Raises:
            StoreUnavailable: not now.
            StoreDamaged: never.
        """
        ...

    def close(self) -> None:
        """Let go of everything; what was committed stays."""
        ...


def checksum(tick: int, body: bytes) -> int:
    """Return the CRC-32 of a record, its tick included: a record in another's place is found too."""
    return zlib.crc32(body, zlib.crc32(tick.to_bytes(8, "little", signed=True)))

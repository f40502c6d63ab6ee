"""What crosses the socket: plain values of ours, pickled.

Both ends are processes of one program version and one user that one supervisor has started, and nobody else can open
the socket: it lies in a folder of mode 0700, which is the trust boundary. Whoever could write into it could also start
programs as this user. So pickle gives nothing away here, and the frozen dataclasses of the ports need no second
description that could fall behind them. Never read such a message from anywhere else.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import Any, Final

from liqscape.broadcast.ports import ShardDescription, TickRecord
from liqscape.errors import LiqscapeError

SERVICE: Final = "liqscape.link"
ASK: Final = "Ask"
RECORDS: Final = "Records"

PICKLE_PROTOCOL: Final = 5

LINK_OPTIONS: Final = (
    # A grid of the largest size allowed is 32 MB; both ends are ours.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
)


@dataclass(frozen=True, slots=True)
class Question:
    """A call of a method of the other side's."""

    method: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """An error in place of an answer. Pickle would call the constructor of an error, and each takes other arguments."""

    kind: type[LiqscapeError]
    text: str
    attributes: dict[str, Any]

    @classmethod
    def of(cls, error: LiqscapeError) -> Failure:
        """Return what tells an error."""
        return cls(type(error), str(error), dict(error.__dict__))

    def error(self) -> LiqscapeError:
        """Return the error, of the same type."""
        error = self.kind.__new__(self.kind, self.text)
        error.__dict__.update(self.attributes)
        return error


@dataclass(frozen=True, slots=True)
class Opening:
    """First message of a stream of records.

    Attributes:
        shard: whose records.
        past: how many records follow that have been published already; see Ring.past.
    """

    shard: ShardDescription
    past: int


@dataclass(frozen=True, slots=True)
class Records:
    """Records in order; and the description, where it has changed since the last message."""

    records: tuple[TickRecord, ...]
    shard: ShardDescription | None = None


def pack(value: object) -> bytes:
    """Return a value as bytes."""
    return pickle.dumps(value, PICKLE_PROTOCOL)


def unpack(data: bytes) -> Any:
    """Return the value that the other side has packed."""
    return pickle.loads(data)

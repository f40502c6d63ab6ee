"""What the peer of a Session says: taken one message at a time, at a bounded pace, and passed on to its cursor."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from liqscape.api.limits import SessionLimits
from liqscape.api.requests import channels_of, parse, rejected_channels_of
from liqscape.api.status_codes import STATUS_CODES, Context
from liqscape.broadcast.cadence import cadence_class_ms
from liqscape.broadcast.counters import StreamCounters
from liqscape.broadcast.cursor import Cursor
from liqscape.broadcast.selections import Selection, Wanted
from liqscape.errors import InvalidArgument, QueryError
from liqscape.v1 import stream_pb2

_LOG = logging.getLogger(__name__)

_M = TypeVar("_M", stream_pb2.SessionRequest, stream_pb2.PlaybackRequest)


class Selects(Protocol):
    """What a session has selected; see Holding."""

    @property
    def held(self) -> Selection | None:
        """Return what is selected now."""
        ...

    async def select(self, wanted: list[Wanted]) -> Selection:
        """Return the selection of what is wanted, in place of the one before; raises QueryError."""
        ...


class Pace:
    """So many at once, then so many a second. Pure, with a clock that is given."""

    def __init__(self, per_second: float, burst: int, monotonic: Callable[[], float]) -> None:
        self._interval_s = 1 / per_second
        self._ahead_s = (burst - 1) / per_second
        self._monotonic = monotonic
        self._due_at = float("-inf")

    def wait_s(self) -> float:
        """Count one more and return how long it has to wait, seconds."""
        now = self._monotonic()
        wait_s = max(0.0, self._due_at - self._ahead_s - now)
        self._due_at = max(self._due_at, now) + self._interval_s
        return wait_s


class PacedReader(Generic[_M]):
    """The messages of one peer, at a bounded pace.

    A peer that sends more than it may is not refused but read more slowly: what it sends beyond waits in its own
    transport, and an honest burst costs nobody a stream.

    Args:
        kind: of the messages; each has the oneof "request", and the first must be "open".
        what: it opens, in words.
    """

    def __init__(
        self,
        kind: type[_M],
        what: str,
        context: Context,
        counters: StreamCounters,
        limits: SessionLimits,
        monotonic: Callable[[], float],
    ) -> None:
        self._kind: type[_M] = kind
        self._what = what
        self._context = context
        self._counters = counters
        self._limits = limits
        self._pace = Pace(limits.requests_per_second, limits.request_burst, monotonic)

    async def opening(self) -> _M | None:
        """Return the first message; None where the peer has left without one.

        Raises:
            InvalidArgument: it is another, or does not come.
        """
        try:
            async with asyncio.timeout(self._limits.open_within_s):
                first = await self.next()
        except TimeoutError:
            raise InvalidArgument(
                f"nothing came for {self._limits.open_within_s:g} s; open must be the first message of a {self._what}"
            ) from None
        if first is not None and first.WhichOneof("request") != "open":
            raise InvalidArgument(
                f"the first message of a {self._what} is {first.WhichOneof('request') or 'empty'}; it must be open"
            )
        return first

    async def next(self) -> _M | None:
        """Return the next message; None where no more comes."""
        wait_s = self._pace.wait_s()
        if wait_s > 0:
            self._counters.session_requests_delayed += 1
            await asyncio.sleep(wait_s)
        # grpc.aio's EOF is a value of its own; whatever is no message means that none will come.
        message: object = await self._context.read()
        return parse(self._kind, message) if isinstance(message, bytes) else None


class SessionRequests:
    """The requests of one session."""

    def __init__(
        self, context: Context, counters: StreamCounters, limits: SessionLimits, monotonic: Callable[[], float]
    ) -> None:
        self._context = context
        self._reader = PacedReader(stream_pb2.SessionRequest, "session", context, counters, limits, monotonic)

    async def opening(self) -> stream_pb2.SubscribeRequest | None:
        """Return what the first message opens; see PacedReader."""
        first = await self._reader.opening()
        return None if first is None else first.open

    async def pass_on(self, cursor: Cursor, selects: Selects) -> None:
        """Pass everything on to a cursor until the peer closes its side.

        Raises:
            InvalidArgument: names what is wrong.
        """
        while (request := await self._reader.next()) is not None:
            kind = request.WhichOneof("request")
            if kind == "acknowledge":
                cursor.acknowledge(request.acknowledge.frames)
            elif kind == "change":
                await self._change(cursor, selects, request.change)
            elif kind == "reject":
                self._reject(cursor, request.reject)
            elif kind == "open":
                raise InvalidArgument("the session is open; send change for other channels")
            else:
                raise InvalidArgument("message holds none of acknowledge, change and reject")

    async def _change(self, cursor: Cursor, selects: Selects, change: stream_pb2.Change) -> None:
        # What is asked for in vain is answered on the stream: a slip must not cost a desk its picture.
        try:
            cadence_ms = cadence_class_ms(change.cadence_ms)
            cursor.change(await selects.select(channels_of(change)), cadence_ms)
        except QueryError as error:
            cursor.refuse_change(str(error), selects.held)

    def _reject(self, cursor: Cursor, reject: stream_pb2.Reject) -> None:
        channel_ids = rejected_channels_of(reject)
        cursor.reject(reject.source_id, channel_ids, reject.reason)
        _LOG.debug("%s rejects channels %s: %r", self._context.peer(), channel_ids, reject.details)


def end_with(context: Context, error: QueryError) -> None:
    """Let a call that has sent messages end with an error once its handler returns.

    Unlike abort() this does not wait for the messages before it, which a peer may never read.
    """
    context.set_code(next(code for kind, code in STATUS_CODES.items() if isinstance(error, kind)))
    context.set_details(str(error))

"""What the peer of a Playback says: its opening, understood, and everything after it, passed on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from liqscape.api.limits import SessionLimits
from liqscape.api.requests import channels_of
from liqscape.api.session_requests import PacedReader
from liqscape.api.status_codes import Context
from liqscape.axes import TIMEFRAME_NAMES
from liqscape.broadcast.counters import StreamCounters
from liqscape.broadcast.credits import max_in_flight
from liqscape.broadcast.playback import Playback
from liqscape.broadcast.playback_messages import Span, check_speed
from liqscape.broadcast.selections import Plan, Wanted
from liqscape.errors import InvalidArgument, QueryError
from liqscape.grid.updates import Channel, GridQuery
from liqscape.v1 import stream_pb2

MAX_CHANNELS: Final = 4
"""A screen of charts side by side. Each is a grid to be computed for every picture."""

_SELECTS: Final = ("symbol", "timeframe", "positions")
"""Fields of a selector that a playback can honour; whatever else one may say is refused, not passed over."""


@dataclass(frozen=True, slots=True)
class PlaybackWish:
    """What a playback is asked for.

    Attributes:
        channels: with ids of its own, from 1 on.
        queries: for a picture of each, in their order, but for the minute.
        span: which minutes.
        speed, paused, max_in_flight: how it begins.
    """

    channels: tuple[Channel, ...]
    queries: tuple[GridQuery, ...]
    span: Span
    speed: float
    paused: bool
    max_in_flight: int


def wish_of(asked: stream_pb2.PlaybackOpen, plan: Callable[[Sequence[Wanted]], Plan]) -> PlaybackWish:
    """Return what an opening asks for.

    Args:
        asked: the opening.
        plan: returns what selectors come to.

    Raises:
        InvalidArgument: names the field and what is allowed. NotFound: a symbol or its timeframe is not served.
    """
    if not 1 <= len(asked.channels) <= MAX_CHANNELS:
        raise InvalidArgument(f"channels has {len(asked.channels)} entries; a playback has 1 to {MAX_CHANNELS}")
    wanted = channels_of(asked)
    for index, one in enumerate(wanted):
        if not one.timeframe:
            raise InvalidArgument(
                f"channels[{index}].timeframe is empty; a playback needs one of {', '.join(TIMEFRAME_NAMES)}"
            )
        for field, _ in asked.channels[index].ListFields():
            if field.name not in _SELECTS:
                raise InvalidArgument(
                    f"channels[{index}].{field.name} cannot be chosen; a playback has the rows of then, all of them"
                )
    planned = plan(wanted)
    frames = {(wish.symbol, wish.timeframe): plan([Wanted(wish.symbol, wish.timeframe)]).channels[0] for wish in wanted}
    found = [
        *planned.channels,
        *(replace(frames[spec.symbol, spec.timeframe], positions=spec.positions) for spec in planned.specs),
    ]
    channels = tuple(replace(channel, channel_id=number) for number, channel in enumerate(found, start=1))
    step = asked.step_minutes or min(channel.timeframe.column_minutes for channel in channels)
    return PlaybackWish(
        channels=channels,
        queries=tuple(_query(channel) for channel in channels),
        span=Span(asked.from_minute, asked.until_minute, step),
        speed=check_speed("speed", asked.speed),
        paused=asked.paused,
        max_in_flight=max_in_flight(asked.max_in_flight),
    )


def _query(channel: Channel) -> GridQuery:
    query = GridQuery(channel.symbol, channel.timeframe.name)
    positions = channel.positions
    if positions is None:
        return query
    return replace(
        query,
        venues=positions.venues,
        leverages=positions.leverages,
        side=positions.side,
        leverage_shares=positions.leverage_shares,
    )


class PlaybackRequests:
    """The requests of one playback."""

    def __init__(
        self, context: Context, counters: StreamCounters, limits: SessionLimits, monotonic: Callable[[], float]
    ) -> None:
        self._reader = PacedReader(stream_pb2.PlaybackRequest, "playback", context, counters, limits, monotonic)

    async def opening(self) -> stream_pb2.PlaybackOpen | None:
        """Return what the first message opens; see PacedReader."""
        first = await self._reader.opening()
        return None if first is None else first.open

    async def pass_on(self, playback: Playback) -> None:
        """Pass everything on to a playback until the peer closes its side.

        Raises:
            InvalidArgument: names what is wrong.
        """
        while (request := await self._reader.next()) is not None:
            kind = request.WhichOneof("request")
            if kind == "acknowledge":
                playback.acknowledge(request.acknowledge.frames)
            elif kind == "open":
                raise InvalidArgument("the playback is open; open another for other channels or another span")
            elif kind is None:
                raise InvalidArgument("message holds none of acknowledge, play, pause, seek and speed")
            else:
                control(playback, request)


def control(playback: Playback, request: stream_pb2.PlaybackRequest) -> None:
    """Do what a request asks for. What is asked for in vain is answered: a slip must not cost a desk its picture."""
    kind = request.WhichOneof("request")
    try:
        if kind == "play":
            playback.play()
        elif kind == "pause":
            playback.pause()
        elif kind == "seek":
            playback.seek(request.seek.minute)
        else:
            playback.set_speed(request.speed.speed)
    except QueryError as error:
        playback.refuse(str(error))

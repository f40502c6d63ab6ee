"""`liqscape watch --from`: the past in the terminal, played to now."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from liqscape_client.client import Client
from liqscape_client.errors import ClientError
from liqscape_client.playback import Moment, Playback

if TYPE_CHECKING:
    from liqscape_client.grids import Heatmap
    from liqscape_client.terminal_frame import WatchState

DEFAULT_SPEED: Final = 600.0
"""Ten minutes a second: a picture of 24h each 0.2 s, as often as the live one is drawn."""

_MINUTE_S: Final = 60
_AGO: Final = re.compile(r"(\d{1,5})([mhd])")
_MINUTES: Final = {"m": 1, "h": 60, "d": 1440}

Show = Callable[["Heatmap", "WatchState"], None]


def minute_of(text: str, newest_minute: int) -> int:
    """Return the minute that --from names: 90m, 6h or 1d before the newest, or a time of UTC as 2026-01-31T12:00.

    Raises:
        ClientError: it is neither.
    """
    ago = _AGO.fullmatch(text)
    if ago is not None:
        return max(0, newest_minute - int(ago[1]) * _MINUTES[ago[2]])
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ClientError(
            f"--from {text!r} is no time; use for example 90m, 6h or 1d (ago), or 2026-01-31T12:00 (UTC)"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) // _MINUTE_S


async def play_past(
    client: Client, symbol: str, timeframe: str, begin: str, speed: float, show: Show, *, seconds: float | None = None
) -> None:
    """Play from a time to the newest whole minute, and show each picture.

    Args:
        client: of the server.
        symbol, timeframe: what is shown.
        begin: as minute_of reads it.
        speed: seconds of the past a second; 0 = as fast as pictures come.
        show: takes each picture and what is said beside it.
        seconds: end after so long; 0 = after the first picture, None = at the end.

    Raises:
        ClientError: the server refuses, or a minute is not held.
    """
    ends_s = float("inf") if seconds is None else time.monotonic() + seconds
    newest = (await client.grid(symbol, timeframe)).as_of_minute
    first = minute_of(begin, newest)
    if first >= newest:
        raise ClientError(f"--from {begin!r} is not past; the newest whole minute is {_text_of(newest - 1)}")
    async with client.playback(symbol, timeframe, from_minute=first, until_minute=newest, speed=speed) as playback:
        async for moment in playback:
            if moment.stopped == "not held":
                raise ClientError(moment.details)
            show(playback.heatmap(symbol, timeframe), state_of(playback, symbol, timeframe, moment))
            if time.monotonic() >= ends_s:
                return


def state_of(playback: Playback, symbol: str, timeframe: str, moment: Moment) -> WatchState:
    """Return everything a frame says beside the levels."""
    from liqscape_client.terminal_frame import WatchState

    price = playback.symbol(symbol)
    known = price is not None and price.mark_price > 0
    return WatchState(
        symbol=symbol,
        timeframe=timeframe,
        in_sync=playback.replicas.replica(symbol, timeframe).in_sync,
        status=f"as of {_text_of(moment.minute)}, {moment.state}",
        mark_price=price.mark_price if price is not None and known else None,
        price_decimals=0 if price is None else price.price_decimals,
        tags=playback.replicas.data_states(symbol),
        data_unix_ns=0 if price is None else price.source_watermark_unix_ns,
        source="; ".join(playback.replicas.inputs()),
    )


def _text_of(minute: int) -> str:
    return datetime.fromtimestamp(minute * _MINUTE_S, UTC).strftime("%Y-%m-%d %H:%M UTC")

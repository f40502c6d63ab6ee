"""Symbols and timeframes as the wire names them."""

from __future__ import annotations

from collections.abc import Iterable

from liqscape.v1 import stream_pb2
from liqscape_client.errors import ClientError


def channel_selectors(
    symbols: str | Iterable[str], timeframes: str | Iterable[str]
) -> list[stream_pb2.ChannelSelector]:
    """Return a selector for each symbol and timeframe named.

    Raises:
        ClientError: timeframes without a symbol; the protocol has no word for "of every symbol".
    """
    wanted = [symbols] if isinstance(symbols, str) else list(symbols)
    frames = [timeframes] if isinstance(timeframes, str) else list(timeframes)
    if frames and not wanted:
        raise ClientError(f"timeframes {frames!r} need a symbol; name symbols, or leave both out for every channel")
    return [stream_pb2.ChannelSelector(symbol=s, timeframe=t) for s in wanted for t in frames or [""]]

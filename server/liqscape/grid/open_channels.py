"""Which tiles and custom channels a shard has open: their ids, who counts on them, and how many there may be.

Opening counts leases, one for each call: equal specs are one channel, however many edges ask, and it is closed with the
last lease. A tile holds a lease on the custom channel it is cut from. Ids rise and are never used again in an epoch, so
a channel that is closed and opened anew is another one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from liqscape.axes import timeframe as find_timeframe
from liqscape.device.runtime import OutOfDeviceMemory
from liqscape.errors import LimitExceeded, NotFound, NotReady
from liqscape.grid.channel_specs import ChannelSpec, PositionFilter
from liqscape.grid.queries import weights_of
from liqscape.grid.updates import Channel, OpenedTile, PositionQuery

if TYPE_CHECKING:
    from liqscape.grid.symbol_model import SymbolModel

MAX_TILES: Final = 256
"""32 screens with eight tiles each. One costs 0.1 MB and, in a tick in which it changes, some 0.1 ms of encoding."""

MAX_HOST_CUSTOM_CHANNELS: Final = 2
"""Without a GPU each adds to every tick what a default channel does, and its column rolls when theirs do."""

CHANNEL_RETRY_MS: Final = 5000
"""Channels close some seconds after their last reader has left; see broadcast.on_demand."""


@dataclass(slots=True)
class _Open:
    """A channel that is open. parent_id: of the channel a tile shows rows of."""

    channel: Channel
    parent_id: int | None
    leases: int = 1


class OpenChannels:
    """See above. On the engine's thread, between ticks.

    Args:
        default: the channels that are always there.
        models: of the symbols that have a price; filled by its owner.
        max_custom: custom channels open at one time.
        max_tiles: tiles open at one time.
    """

    def __init__(
        self,
        default: Sequence[Channel],
        models: Mapping[str, SymbolModel],
        max_custom: int,
        max_tiles: int = MAX_TILES,
    ) -> None:
        self._default = {channel.spec: channel for channel in default}
        self._models = models
        self._max_custom = max_custom
        self._max_tiles = max_tiles
        self._open: dict[int, _Open] = {}
        self._ids: dict[ChannelSpec, int] = {}
        self._next_id = max((channel.channel_id for channel in default), default=0) + 1
        self._opened_tiles: dict[int, OpenedTile] = {}
        self._closed: list[int] = []
        self._counts: Counter[str] = Counter(channels_opened=0, channels_closed=0)

    @property
    def counters(self) -> dict[str, int]:
        """Return how many are open, how many may be, and what has happened since the start."""
        tiles = self._tiles
        return {
            "tiles_open": tiles,
            "tiles_limit": self._max_tiles,
            "custom_channels_open": len(self._open) - tiles,
            "custom_channels_limit": self._max_custom,
            **self._counts,
        }

    def open(self, spec: ChannelSpec) -> Channel:
        """Return the channel of a spec, a new one where none is open, and count a lease.

        It begins with a tick to come. Default channels are returned as they are, and hold no lease.

        Raises:
            InvalidArgument: names the field and what is allowed. NotFound: the symbol, timeframe or a venue is not
                served. NotReady: the symbol has no price yet. LimitExceeded: too many are open, or the device is full.
        """
        known = self._ids.get(spec)
        if known is not None:
            self._open[known].leases += 1
            return self._open[known].channel
        default = self._default_of(spec)
        if spec.is_default:
            return default
        parent_id = None
        if spec.tile is None:
            self._open_custom(spec, default)
        else:
            parent_id = self._open_tile(spec)
        channel = Channel(self._next_id, spec.symbol, default.timeframe, spec.positions, spec.tile, spec.row_fold)
        self._next_id += 1
        self._open[channel.channel_id] = _Open(channel, parent_id)
        self._ids[spec] = channel.channel_id
        self._counts["channels_opened"] += 1
        if parent_id is not None:
            self._opened_tiles[channel.channel_id] = OpenedTile(channel, parent_id)
        return channel

    def close(self, channel_id: int) -> None:
        """Give a lease back; with the last one the channel ends. An id that holds none is passed over."""
        entry = self._open.get(channel_id)
        if entry is None:
            return
        entry.leases -= 1
        if entry.leases:
            return
        del self._open[channel_id], self._ids[entry.channel.spec]
        self._counts["channels_closed"] += 1
        if entry.parent_id is None:
            self._models[entry.channel.symbol].engine.custom.close(channel_id)
        if self._opened_tiles.pop(channel_id, None) is None:
            self._closed.append(channel_id)
        if entry.parent_id is not None:
            self.close(entry.parent_id)

    def take_news(self) -> tuple[tuple[OpenedTile, ...], tuple[int, ...]]:
        """Return the tiles that begin with this tick and the channels that have ended since the last one."""
        news = tuple(self._opened_tiles.values()), tuple(self._closed)
        self._opened_tiles.clear()
        self._closed.clear()
        return news

    @property
    def _tiles(self) -> int:
        return sum(entry.parent_id is not None for entry in self._open.values())

    def _default_of(self, spec: ChannelSpec) -> Channel:
        """Return the default channel of symbol and timeframe, once it has a grid."""
        frame = find_timeframe(spec.timeframe)
        default = self._default.get(ChannelSpec(spec.symbol, frame.name))
        if default is None:
            symbols = ", ".join(dict.fromkeys(known.symbol for known in self._default))
            raise NotFound(f"symbol {spec.symbol!r} is not served; served are {symbols}")
        model = self._models.get(spec.symbol)
        if model is None or model.engine.axes(default.channel_id) is None:
            raise NotReady(f"{spec.symbol} has no price yet")
        return default

    def _open_tile(self, spec: ChannelSpec) -> int:
        """Return the id of the channel a tile is cut from, with a lease on it."""
        if self._tiles >= self._max_tiles:
            raise _refusal(f"{self._max_tiles} tiles are open, the limit of this server")
        return self.open(spec.whole).channel_id

    def _open_custom(self, spec: ChannelSpec, default: Channel) -> None:
        model = self._models[spec.symbol]
        mixes = tuple(model.book.account(i.instrument_id).mix for i in model.book.instruments)
        weights, _ = weights_of(_query_of(spec.positions or PositionFilter()), model.book.instruments, mixes)
        if len(self._open) - self._tiles >= self._max_custom:
            raise _refusal(
                f"{self._max_custom} custom channels are open, the limit of this server; take one of those, or the"
                " exact grid by GetGrid"
            )
        channel = Channel(self._next_id, spec.symbol, default.timeframe, spec.positions, row_fold=spec.row_fold)
        try:
            model.engine.open_channel(channel, default.channel_id, weights)
        except OutOfDeviceMemory as error:
            raise _refusal(f"the device has no room for a custom channel now: {error}") from error


def _refusal(text: str) -> LimitExceeded:
    return LimitExceeded(text, CHANNEL_RETRY_MS)


def _query_of(positions: PositionFilter) -> PositionQuery:
    return PositionQuery(
        venues=positions.venues,
        leverages=positions.leverages,
        side=positions.side,
        leverage_shares=positions.leverage_shares,
    )

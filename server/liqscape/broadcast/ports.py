"""The three ports that join engine and edge, and the records that cross them.

FrameSource carries frames of one shard to any number of edges; QueryPort carries questions to the shard's owner, and
ChannelPort which channels it is to make beside the default ones. In one process they are in_process.py and the engine
itself; liqscape.link puts a socket between the two sides.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from liqscape.grid.channel_specs import ChannelSpec
from liqscape.grid.keyed_book import BookAnswer
from liqscape.grid.liquidation_map import MapAnswer
from liqscape.grid.past import PastPicture
from liqscape.grid.updates import Channel, EngineStatus, GridAnswer, GridQuery, InstrumentView, MapQuery


@dataclass(frozen=True, slots=True)
class EncodedChunk:
    """One channel chunk, serialised once.

    data is a complete `chunks` entry of a Section (field tag, length, Chunk), ready to be joined by concatenation.
    prev_tick is 0 on keyframes; tick is the tick of the channel's last change.
    """

    channel_id: int
    generation: int
    keyframe: bool
    prev_tick: int
    tick: int
    data: bytes


@dataclass(frozen=True, slots=True)
class TickRecord:
    """What the encoder made of one tick.

    Attributes:
        tick: engine tick.
        channels: chunks of the channels that changed.
        keyframes: join keyframes made since the record before, of the ticks up to it, for edges to cache; not part of
            the stream of deltas.
        symbols: `chunks` entry by symbol, every tick.
        venues: `chunks` entry by instrument id, only when worth sending.
        source_watermark_ns: newest market event included.
        ended: the input has ended; no tick follows.
        ticks_merged: ticks beyond one that this record stands for, because an edge could not take them one by one.
            A channel may then have several chunks, in the order of their ticks.
        grids_ready_unix_ns: when the engine had the grids of the tick; for measurement, 0 = not said.
        closed: channels that have ended; nothing more comes of them, and the record has no chunk of them.
    """

    tick: int
    channels: tuple[EncodedChunk, ...]
    keyframes: tuple[EncodedChunk, ...]
    symbols: dict[str, bytes]
    venues: dict[str, bytes]
    source_watermark_ns: int
    ended: bool = False
    ticks_merged: int = 0
    grids_ready_unix_ns: int = 0
    closed: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ShardDescription:
    """Identity of a shard in one epoch. channels are the default ones, which are always there."""

    source_id: str
    epoch: int
    tick_ms: int
    simulated: bool
    replay: bool
    input: str
    channels: tuple[Channel, ...]


class FrameSource(Protocol):
    """Frames of one shard, in order, from the newest join keyframes on."""

    @property
    def shard(self) -> ShardDescription:
        """Return which shard this is. channels may be empty until the first tick."""
        ...

    def records(self) -> AsyncIterator[TickRecord]:
        """Yield each tick's record once.

        The first record carries a keyframe of every channel there is, unless the ring that the records are to go into
        holds what came before it (Ring.restored): then the first record is the one that follows.

        Tiles and custom channels come and go between two records, whichever edge has them opened: one begins with a
        keyframe, and its end is told.
        """
        ...


class ChannelPort(Protocol):
    """Tiles and custom channels of a shard. Every method may be awaited from the edge's event loop."""

    async def open_channel(self, spec: ChannelSpec) -> Channel:
        """Return the channel of a spec and count a lease on it; equal specs are one channel, whichever edge asks.

        A new one begins with a record to come: a tile with the next, a custom channel when its first grid is made. Its
        chunks may come before this answer does.

        Raises:
            InvalidArgument: names the field and what is allowed. NotFound: unknown symbol or venue, or the input has
                ended. NotReady: history is still being built. LimitExceeded: too many are open. Unavailable: the
                engine has failed, or cannot be reached.
        """
        ...

    async def close_channel(self, channel_id: int) -> None:
        """Give a lease back; never raises. With the last one the channel ends, and a record says so.

        An id that holds no lease, or none any more, is passed over: leases may be given back twice.
        """
        ...


class QueryPort(Protocol):
    """Questions to the owner of a shard. Every method may be awaited from the edge's event loop."""

    async def get_grid(self, query: GridQuery) -> GridAnswer:
        """Return an exact grid at the newest tick, or as of a minute of the last day.

        Raises:
            InvalidArgument: names the field and what is allowed. NotFound: unknown symbol or venue. OutOfRange: a
                minute that is not held. NotReady: history is still being built.
        """
        ...

    async def get_picture(self, query: GridQuery) -> PastPicture:
        """Return the levels of what get_grid returns, for a default window as of a minute; raises what that raises."""
        ...

    async def get_liquidation_map(self, query: MapQuery) -> MapAnswer:
        """Return the live book by price, captured after a tick.

        Raises:
            InvalidArgument: names the field and what is allowed. NotFound: unknown symbol or venue. NotReady: history
                is still being built. Unavailable: the engine has failed.
        """
        ...

    async def get_keyed_book(self, query: MapQuery) -> BookAnswer:
        """Return the live book by key and base row, for insight; raises what get_liquidation_map raises.

        Of the query only symbol, filters, rows and model count.
        """
        ...

    async def status(self) -> EngineStatus:
        """Return what the engine is doing; never raises."""
        ...

    async def instruments(self) -> tuple[InstrumentView, ...]:
        """Return every instrument with the rules in force."""
        ...

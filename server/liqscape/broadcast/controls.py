"""Control messages of a stream, put together from what a hub and a reader are now."""

from __future__ import annotations

from collections.abc import Collection, Set
from typing import Final

from liqscape import __version__
from liqscape.broadcast.hub import Hub
from liqscape.broadcast.selections import Selection
from liqscape.events import PositionSide
from liqscape.grid.channel_specs import PositionFilter, tile_rows
from liqscape.grid.updates import Channel
from liqscape.v1 import stream_pb2

PROTOCOL_REVISION: Final = 1

_SIDES: Final = {
    PositionSide.LONG: stream_pb2.PositionFilter.SIDE_LONG,
    PositionSide.SHORT: stream_pb2.PositionFilter.SIDE_SHORT,
}


def hello(
    hub: Hub, selection: Selection, *, cadence_ms: int, heartbeat_ms: int, resumed: bool, max_in_flight: int
) -> stream_pb2.Frame:
    """Return the first message of a stream."""
    shard = hub.shard
    return stream_pb2.Frame(
        hello=stream_pb2.Hello(
            protocol_revision=PROTOCOL_REVISION,
            server_version=__version__,
            server_unix_ns=hub.now_ns(),
            cadence_ms=cadence_ms,
            heartbeat_ms=heartbeat_ms,
            sources=[
                stream_pb2.SourceDescription(
                    source_id=shard.source_id,
                    epoch=shard.epoch,
                    tick_ms=shard.tick_ms,
                    states=hub.states(),
                    input=shard.input,
                )
            ],
            channels=describe_channels(hub, selection.channel_ids),
            resumed=resumed,
            max_in_flight=max_in_flight,
        )
    )


def selection_changed(
    hub: Hub, selection: Selection, *, cadence_ms: int, changes: int, starting: Set[int], refused: str
) -> stream_pb2.Frame:
    """Return what tells a reader that a change is in force, or why not."""
    return stream_pb2.Frame(
        selection_changed=stream_pb2.SelectionChanged(
            changes=changes,
            continuing=describe_channels(hub, set(selection.channel_ids) - starting),
            starting=describe_channels(hub, starting),
            cadence_ms=cadence_ms,
            refused=refused,
        )
    )


def describe_channels(hub: Hub, channel_ids: Collection[int]) -> list[stream_pb2.ChannelDescription]:
    """Return channels in words: default ones in the order of the shard, then the others."""
    return [describe_channel(hub.shard.source_id, channel) for channel in hub.describe(channel_ids)]


def describe_channel(source_id: str, channel: Channel) -> stream_pb2.ChannelDescription:
    """Return a channel in words."""
    description = stream_pb2.ChannelDescription(
        channel_id=channel.channel_id,
        source_id=source_id,
        symbol=channel.symbol,
        timeframe=channel.timeframe.name,
    )
    if channel.tile is not None:
        rows = tile_rows(channel.tile, 1)
        description.rows.first, description.rows.last = rows.first, rows.first + rows.count - 1
    if channel.positions is not None:
        description.positions.CopyFrom(_positions(channel.positions))
    if channel.row_fold != 1:
        description.row_fold = channel.row_fold
    return description


def _positions(positions: PositionFilter) -> stream_pb2.PositionFilter:
    side = stream_pb2.PositionFilter.SIDE_UNSPECIFIED if positions.side is None else _SIDES[positions.side]
    return stream_pb2.PositionFilter(
        venues=positions.venues,
        leverages=positions.leverages,
        side=side,
        leverage_shares=[
            stream_pb2.PositionFilter.Share(leverage=leverage, share_ppm=share)
            for leverage, share in positions.leverage_shares
        ],
    )


def heartbeat(hub: Hub, tick: int | None) -> stream_pb2.Frame:
    """Return proof of life.

    Args:
        hub: whose.
        tick: the newest whose message has gone out to its end; None = none has.
    """
    shard = hub.shard
    point = stream_pb2.ResumePoint(source_id=shard.source_id, epoch=shard.epoch, tick=tick or 0)
    return stream_pb2.Frame(
        heartbeat=stream_pb2.Heartbeat(
            positions=[] if tick is None else [point],
            source_watermark_unix_ns=[] if tick is None else [hub.ring.source_watermark_ns],
            states=hub.states(),
        )
    )


def refusal(hub: Hub, point: stream_pb2.ResumePoint, channel_ids: Collection[int]) -> stream_pb2.Lagged | None:
    """Return why a resume point cannot be honoured, or None.

    Args:
        hub: whose readers these are.
        point: where a reader left off.
        channel_ids: what it wants to go on with.
    """
    ring, shard = hub.ring, hub.shard
    if point.source_id != shard.source_id:
        reason = stream_pb2.Lagged.REASON_UNKNOWN_SOURCE
    elif point.epoch != shard.epoch:
        reason = stream_pb2.Lagged.REASON_EPOCH_CHANGED
    elif point.tick > ring.head_tick:
        reason = stream_pb2.Lagged.REASON_FROM_THE_FUTURE
    elif point.tick < ring.floor_tick:
        reason = stream_pb2.Lagged.REASON_OUT_OF_RING
    elif any((began := ring.held_since(channel_id)) is None or began > point.tick for channel_id in channel_ids):
        reason = stream_pb2.Lagged.REASON_CHANNEL_CLOSED  # whatever the reader holds is an earlier one
    else:
        return None
    return stream_pb2.Lagged(reason=reason, source_id=point.source_id)

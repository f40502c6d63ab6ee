"""All replicas behind one stream: Hello, join, heartbeats, epochs, resume points, and one answer to "in sync?".

Pure but for a monotonic clock that is passed in: frames in, state out. The connection lives in stream.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from liqscape.v1 import stream_pb2
from liqscape_client.channel_parts import ChannelKey as ChannelKey
from liqscape_client.channel_parts import ChannelPart, channel_key, channel_name
from liqscape_client.errors import NotServed
from liqscape_client.frame_effect import Damage
from liqscape_client.frame_effect import FrameEffect as FrameEffect
from liqscape_client.market_state import SymbolState, covered_share, state_names
from liqscape_client.replica import Outcome, Replica

HEARTBEATS_UNTIL_DEAD: Final = 3
DEFAULT_HEARTBEAT_MS: Final = 1000  # in force until Hello names another
_MAX_HEARTBEAT_MS: Final = 30_000  # a server that asks for more is still called dead after 3 x this


@dataclass(slots=True)
class _Source:
    """One engine shard in one epoch."""

    epoch: int
    states: tuple[str, ...]
    input: str
    tick: int | None = None  # newest complete tick applied; None until a join is complete
    replicas: dict[int, Replica] = field(default_factory=dict)


@dataclass(slots=True)
class SyncCounters:
    """What went wrong, and what was merged, since the set was made. Replicas come and go; these stay."""

    gaps: int = 0
    checksum_failures: int = 0
    malformed: int = 0
    lagged: int = 0
    epoch_changes: int = 0
    unknown_chunks: int = 0
    ticks_conflated: int = 0


class ReplicaSet:
    """Replicas of every channel of a stream, over reconnects.

    Args:
        monotonic_s: clock that never steps, seconds.
    """

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        self._monotonic_s = monotonic_s
        self._sources: dict[str, _Source] = {}
        self._replicas: dict[ChannelKey, Replica] = {}
        self._symbols: dict[str, SymbolState] = {}
        self._coverage: dict[str, stream_pb2.VenueChunk] = {}
        self._heartbeat_states: tuple[str, ...] = ()
        self._heard_s: float | None = None
        self._greeted = False
        self._joined = False
        self._join_is_first = True
        self._disconnected = "not connected"
        self.heartbeat_ms = DEFAULT_HEARTBEAT_MS
        self.cadence_ms = 0
        self.server_version = ""
        self.last_lagged = ""
        self.counters = SyncCounters()

    # ---- questions

    @property
    def in_sync(self) -> bool:
        """Return whether every replica is the server's state, as far as can be known now."""
        return not self.out_of_sync_reason()

    @property
    def joined(self) -> bool:
        """Return whether the stream that is open has reached its SnapshotEnd."""
        return self._joined

    def out_of_sync_reason(self) -> str:
        """Return why the set is not in sync; empty when it is."""
        if self._disconnected:
            return self._disconnected
        if not self._joined:
            return f"{sum(r.in_sync for r in self._replicas.values())} of {len(self._replicas)} channels have come"
        for replica in self._replicas.values():
            if replica.reason:
                return replica.reason
        if self.silence_s() > self.dead_after_s:
            return f"nothing heard for {self.silence_s():.1f} s"
        return ""

    @property
    def dead_after_s(self) -> float:
        """Return how long a live stream may be silent, seconds."""
        return HEARTBEATS_UNTIL_DEAD * self.heartbeat_ms / 1000

    def silence_s(self) -> float:
        """Return seconds since anything was heard; infinite before the first message."""
        return float("inf") if self._heard_s is None else self._monotonic_s() - self._heard_s

    def channels(self) -> tuple[ChannelKey, ...]:
        """Return the channels the server named, in its order."""
        return tuple(self._replicas)

    def replica(self, symbol: str, timeframe: str, part: ChannelPart | None = None) -> Replica:
        """Return the replica of a channel; it is replaced when the epoch changes, so ask again each time.

        Args:
            symbol, timeframe: which.
            part: of a tile or custom channel.

        Raises:
            NotServed: this stream does not carry it.
        """
        key = channel_key(symbol, timeframe, part)
        if key not in self._replicas:
            known = ", ".join(replica.name for replica in self._replicas.values()) or "none so far"
            name = channel_name(symbol, timeframe, part)
            raise NotServed(f"channel {name} is not in this stream; it carries {known}")
        return self._replicas[key]

    def parts(self, symbol: str, timeframe: str) -> tuple[ChannelPart | None, ...]:
        """Return the parts of a timeframe that the stream carries, None being the whole, in the server's order."""
        return tuple(r.part for r in self._replicas.values() if (r.symbol, r.timeframe) == (symbol, timeframe))

    def replica_by_id(self, source_id: str, channel_id: int) -> Replica | None:
        """Return the replica of a channel by its names on the wire; None where the stream does not carry it."""
        source = self._sources.get(source_id)
        return None if source is None else source.replicas.get(channel_id)

    def symbol(self, name: str) -> SymbolState | None:
        """Return price and stamps of a symbol; None before its first chunk."""
        return self._symbols.get(name)

    def data_states(self, symbol: str) -> tuple[str, ...]:
        """Return what the data of a symbol are: SIMULATED, REPLAY, STALE, ENDED; empty = live."""
        newest = self._symbols.get(symbol)
        if newest is not None:
            said = newest.states
        else:
            said = tuple(state for source in self._sources.values() for state in source.states)
        # A heartbeat speaks of all sources together: only its warnings are carried over to a single symbol.
        late = tuple(state for state in self._heartbeat_states if state in ("STALE", "ENDED"))
        return tuple(dict.fromkeys(said + late))

    def coverage(self, symbol: str) -> tuple[stream_pb2.VenueChunk, ...]:
        """Return the newest coverage of each instrument of a symbol."""
        return tuple(chunk for chunk in self._coverage.values() if chunk.symbol == symbol)

    def covered_share(self, symbol: str) -> float | None:
        """Return the covered share of open interest of a symbol, 0..1; None before the first coverage."""
        return covered_share(self.coverage(symbol))

    def inputs(self) -> tuple[str, ...]:
        """Return the server's words on what each source is."""
        return tuple(source.input for source in self._sources.values())

    def resume_points(self) -> list[stream_pb2.ResumePoint]:
        """Return where a new stream may go on; empty unless every channel is held and unbroken."""
        if not self._replicas or not all(replica.in_sync for replica in self._replicas.values()):
            return []
        if any(source.tick is None for source in self._sources.values()):
            return []
        return [
            stream_pb2.ResumePoint(source_id=name, epoch=source.epoch, tick=source.tick)
            for name, source in self._sources.items()
        ]

    # ---- what happens

    def connecting(self) -> None:
        """Begin a new stream: nothing is in sync until it has joined."""
        self._greeted = self._joined = False
        self._heard_s = None

    def disconnected(self, reason: str) -> None:
        """Say that no stream is open, and why."""
        self._greeted = self._joined = False
        self._disconnected = reason or "disconnected"

    def apply(self, frame: stream_pb2.Frame) -> FrameEffect:
        """Apply one message of the stream."""
        self._heard_s = self._monotonic_s()
        effect = FrameEffect(ticks_conflated=frame.ticks_conflated, has_data=bool(frame.sections))
        self.counters.ticks_conflated += frame.ticks_conflated
        control = frame.WhichOneof("control")
        if control == "hello":
            self._hello(frame.hello, effect)
        if not self._greeted:
            effect.fatal = "the server sent data before Hello"
            return effect
        if control == "lagged":
            self._lagged(frame.lagged)
        elif control == "selection_changed":
            self._selection_changed(frame.selection_changed, effect)
        for section in frame.sections:
            self._section(section, effect)
        if control == "heartbeat":
            self._heartbeat(frame.heartbeat, effect)
        elif control == "snapshot_end":
            self._snapshot_end(effect)
        elif control == "going_away":
            effect.reconnect_after_ms = frame.going_away.reconnect_after_ms
        return effect

    def _hello(self, hello: stream_pb2.Hello, effect: FrameEffect) -> None:
        self._greeted, self._joined, self._disconnected = True, False, ""
        self._join_is_first = True
        self.heartbeat_ms = min(hello.heartbeat_ms or DEFAULT_HEARTBEAT_MS, _MAX_HEARTBEAT_MS)
        self.cadence_ms = hello.cadence_ms
        self.server_version = hello.server_version
        before = self._sources
        self._sources = {}
        for description in hello.sources:
            source = _Source(description.epoch, state_names(description.states), description.input)
            old = before.get(description.source_id)
            if old is not None and old.epoch == description.epoch:
                source.tick = old.tick if hello.resumed else None
                source.replicas = old.replicas
            elif old is not None:
                self._forget_epoch()
            self._sources[description.source_id] = source
        self._describe_channels(hello, effect)

    def _describe_channels(self, hello: stream_pb2.Hello, effect: FrameEffect) -> None:
        self._replicas = {}
        held = {name: source.replicas for name, source in self._sources.items()}
        for source in self._sources.values():
            source.replicas = {}
        for channel in hello.channels:
            described = _replica_of(channel)
            if not self._may_take(channel, described, effect):
                continue
            replica = held[channel.source_id].get(channel.channel_id)
            if replica is None or replica.key != described.key:
                replica = described
            elif not hello.resumed:
                replica.require_keyframe("no keyframe since the last join")
            self._sources[channel.source_id].replicas[channel.channel_id] = replica
            self._replicas[replica.key] = replica

    def _lagged(self, lagged: stream_pb2.Lagged) -> None:
        known = stream_pb2.Lagged.Reason.values()
        reason = stream_pb2.Lagged.Reason.Name(lagged.reason) if lagged.reason in known else str(lagged.reason)
        self.last_lagged = reason.removeprefix("REASON_")
        self.counters.lagged += 1

    def _section(self, section: stream_pb2.Section, effect: FrameEffect) -> None:
        source = self._sources.get(section.source_id)
        if source is None:
            effect.fatal = f"section of the unknown source {section.source_id!r}"
            return
        if source.epoch != section.epoch:
            self._break_source(source, "the engine has started anew", effect)
            return
        for chunk in section.chunks:
            kind = chunk.WhichOneof("kind")
            if kind == "channel":
                self._channel_chunk(source, section.source_id, chunk.channel, effect)
            elif kind == "symbol":
                self._symbols[chunk.symbol.symbol] = SymbolState.from_message(chunk.symbol)
                effect.symbols.add(chunk.symbol.symbol)
                self._heartbeat_states = ()  # older than this price
            elif kind == "venue":
                self._coverage[chunk.venue.instrument] = chunk.venue
            else:
                self.counters.unknown_chunks += 1
        if section.complete and effect.broken is None:
            self._move(source, section.tick)

    def _channel_chunk(
        self, source: _Source, source_id: str, chunk: stream_pb2.ChannelChunk, effect: FrameEffect
    ) -> None:
        """Apply a chunk; a keyframe in the same message mends what was broken before it."""
        replica = source.replicas.get(chunk.channel_id)
        if replica is None:
            self.counters.unknown_chunks += 1
            return
        outcome = replica.apply(chunk)
        key = (source_id, chunk.channel_id)
        if outcome is Outcome.APPLIED:
            effect.channels.add(replica.key)
            effect.damage.pop(key, None)
        elif outcome.breaks:
            self.counters.gaps += outcome is Outcome.GAP
            self.counters.checksum_failures += outcome is Outcome.CHECKSUM_DIFFERS
            self.counters.malformed += outcome is Outcome.MALFORMED
            effect.damage[key] = Damage(outcome, replica.reason)
        elif outcome is Outcome.WAITING:
            effect.damage.setdefault(key, Damage(outcome, replica.reason))

    def _heartbeat(self, heartbeat: stream_pb2.Heartbeat, effect: FrameEffect) -> None:
        self._heartbeat_states = state_names(heartbeat.states)
        for position in heartbeat.positions:
            source = self._sources.get(position.source_id)
            if source is None:
                continue
            if source.epoch != position.epoch:
                self._break_source(source, "the engine has started anew", effect)
                continue
            self._move(source, position.tick)

    def _snapshot_end(self, effect: FrameEffect) -> None:
        self._joined = True
        effect.joined, self._join_is_first = self._join_is_first, False
        for source_id, source in self._sources.items():
            for channel_id, replica in source.replicas.items():
                if not replica.in_sync:
                    reason = f"the join has ended, but {replica.reason}"
                    effect.damage.setdefault((source_id, channel_id), Damage(Outcome.WAITING, reason))

    def _selection_changed(self, changed: stream_pb2.SelectionChanged, effect: FrameEffect) -> None:
        """Go over to other channels. What is kept is not touched, so its chain goes on."""
        effect.changed = changed
        self._joined = False
        self.cadence_ms = changed.cadence_ms
        held = {name: source.replicas for name, source in self._sources.items()}
        self._replicas = {}
        for source in self._sources.values():
            source.replicas = {}
        starting = {(channel.source_id, channel.channel_id) for channel in changed.starting}
        for channel in (*changed.continuing, *changed.starting):
            key = (channel.source_id, channel.channel_id)
            described = _replica_of(channel)
            if not self._may_take(channel, described, effect):
                continue
            replica = held[channel.source_id].get(channel.channel_id)
            if replica is None or key in starting:
                replica = described
            if key not in starting and channel.channel_id not in held[channel.source_id]:
                effect.damage[key] = Damage(Outcome.WAITING, replica.reason)
            self._sources[channel.source_id].replicas[channel.channel_id] = replica
            self._replicas[replica.key] = replica

    def _may_take(self, channel: stream_pb2.ChannelDescription, described: Replica, effect: FrameEffect) -> bool:
        """Return whether a description makes sense beside those before it; else the stream is of no use."""
        source = self._sources.get(channel.source_id)
        if source is None:
            effect.fatal = f"channel {channel.channel_id} names the unknown source {channel.source_id!r}"
        elif channel.channel_id in source.replicas or described.key in self._replicas:
            effect.fatal = f"channel {channel.channel_id}, {described.name}, is named twice"
        else:
            return True
        return False

    def _move(self, source: _Source, tick: int) -> None:
        """Move the resume point. Only forward: a fragment of a join may be older than what is held."""
        source.tick = tick if source.tick is None else max(source.tick, tick)

    def _break_source(self, source: _Source, reason: str, effect: FrameEffect) -> None:
        for replica in source.replicas.values():
            replica.require_keyframe(reason)
        source.tick = None
        effect.fatal = effect.fatal or reason

    def _forget_epoch(self) -> None:
        """Drop what belonged to an epoch that is over; prices and coverage of other sources come again each tick."""
        self.counters.epoch_changes += 1
        self._symbols.clear()
        self._coverage.clear()
        self._heartbeat_states = ()


def _replica_of(channel: stream_pb2.ChannelDescription) -> Replica:
    return Replica(channel.symbol, channel.timeframe, channel.channel_id, ChannelPart.from_message(channel))

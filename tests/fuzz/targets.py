"""What must hold whatever a peer sends. Each target takes one input and returns what became of it, or raises.

Targets may raise nothing but what is documented of what they call; that they catch themselves. Anything else, an
AssertionError among them, is a defect.
"""

from __future__ import annotations

import functools
import json
import math
import struct
import subprocess
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, Final, TypeVar

import numpy as np
from google.protobuf.message import DecodeError as ProtobufDecodeError
from google.protobuf.message import Message

from liqscape.api.cluster_conversions import clusters_of, clusters_response
from liqscape.api.playback_requests import MAX_CHANNELS, control, wish_of
from liqscape.api.requests import channels_of, grid_of, map_of, parse, rejected_channels_of, resume_points_of
from liqscape.axes import TIMEFRAMES, RowRange
from liqscape.broadcast.cadence import CADENCE_CLASSES_MS, cadence_class_ms
from liqscape.broadcast.credits import Credits
from liqscape.broadcast.encoder import StreamEncoder
from liqscape.broadcast.hub import Hub
from liqscape.broadcast.in_process import InProcessFrameSource
from liqscape.broadcast.past_encoder import EncodedPicture
from liqscape.broadcast.playback import Encode, Playback
from liqscape.broadcast.playback_messages import FASTEST, SLOWEST, PlaybackSource, Span, interval_s
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.errors import InvalidArgument, QueryError
from liqscape.grid.past import PastPicture
from liqscape.grid.queries import MAX_QUERY_CELLS, plan_grid
from liqscape.grid.shard import Shard
from liqscape.grid.updates import CandleColumns, Channel, ChannelAxes, GridQuery, MapQuery
from liqscape.insight.cluster_thresholds import ClusterThresholds
from liqscape.insight.clusters import ClusterQuery, find_clusters
from liqscape.live_books import LiveBooks
from liqscape.v1 import query_pb2, stream_pb2
from liqscape_client import decoding
from liqscape_client.client import assemble_grid
from liqscape_client.clusters import ClusterList
from liqscape_client.clusters_command import lines
from liqscape_client.errors import DecodeError
from liqscape_client.liquidation_maps import assemble_map
from liqscape_client.replica_set import FrameEffect, ReplicaSet
from tests import wire_decoder
from tests.fake_engine import FakeEngine
from tests.fuzz.inputs import Payload, message_bytes, payload
from tests.unit.client.fake_server import grid_parts, map_parts
from tests.unit.client.wire_model import ModelChannel
from tests.unit.insight.hand_made_books import STATED, Lots, book
from tests.unit.synthetic_market import BTC, EXAMPLE_MINUTE, at, candle, mark, open_interest, tick_end

WIRE: Final = Path(__file__).parents[1] / "golden" / "wire"
MAX_ERROR_CHARACTERS: Final = 1000
"""Errors go into trailers of HTTP/2 and into logs; what a peer sent must not come back whole."""

FOREIGN: Final = "foreign"
"""A message of Session, which a client of Subscribe need not know: after it the two go different ways."""

_M = TypeVar("_M", bound=Message)


class Payloads:
    """Payloads, read by the shipped client and by the plain decoder, which must agree; and by Node, in batches."""

    name = "payloads"

    def __init__(self, node: Sequence[str] = ()) -> None:
        self._node = node
        self._said: list[tuple[Payload, str]] = []

    def run(self, random: Random) -> str:
        """Read one payload in both ways."""
        asked = payload(random)
        ours, theirs = client_answer(asked), plain_answer(asked)
        assert ours == theirs, f"{asked.line()}: the client says {ours!r}, the plain decoder {theirs!r}"
        if self._node:
            self._said.append((asked, ours))
        return "accepted" if ours != "no" else "refused"

    def finish(self) -> None:
        """Hold everything since the last time against Node: one process for all of it."""
        if not self._said:
            return
        answers = _answers(self._node, [asked.line() for asked, _ in self._said])
        for (asked, ours), theirs in zip(self._said, answers, strict=True):
            assert ours == theirs, f"{asked.line()}: the client says {ours!r}, Node {theirs!r}"
        self._said.clear()


def client_answer(asked: Payload) -> str:
    """Return what the shipped client reads, as tests/node/payloads.mjs puts it."""
    try:
        if asked.encoding == stream_pb2.ENCODING_TIME_DIFFERENCE_ZLIB:
            ring = decoding.decode_keyframe(asked.data, asked.encoding, asked.columns, asked.rows, asked.newest_column)
            return f"yes {zlib.crc32(ring.tobytes())}"
        cells, levels = decoding.decode_delta(asked.data, asked.encoding, asked.columns * asked.rows)
    except DecodeError:
        return "no"
    return _of_cells(zip(cells.tolist(), levels.tolist(), strict=True))


def plain_answer(asked: Payload) -> str:
    """Return what the plain decoder reads, as tests/node/payloads.mjs puts it."""
    try:
        if asked.encoding == stream_pb2.ENCODING_TIME_DIFFERENCE_ZLIB:
            ring = wire_decoder.decode_keyframe(
                asked.encoding, asked.data, asked.columns, asked.rows, asked.newest_column
            )
            return f"yes {zlib.crc32(ring)}"
        return _of_cells(wire_decoder.decode_delta(asked.encoding, asked.data, asked.columns * asked.rows))
    except wire_decoder.BadPayload:
        return "no"


def _of_cells(cells: Iterable[tuple[int, int]]) -> str:
    return f"yes {zlib.crc32(b''.join(struct.pack('<IB', index, level) for index, level in cells))}"


class Frames:
    """Whole streams of the goldens with something wrong in them, applied by the shipped client; and by Node."""

    name = "frames"

    def __init__(self, node: Sequence[str] = ()) -> None:
        self._streams = _golden_streams()
        self._frames = [frame for stream in self._streams for frame in stream]
        self._replicas = ReplicaSet(lambda: 0.0)
        self._rest: list[bytes] = []
        self._node = node
        self._lines: list[str] = []
        self._concluded: list[str] = []

    def run(self, random: Random) -> str:
        """Apply one message; every few messages a new client begins, and most of what it gets is untouched."""
        if not self._rest:
            self._replicas = ReplicaSet(lambda: 0.0)
            self._replicas.connecting()
            self._rest = list(random.choice(self._streams))
            self._lines += ["new", "connecting"]
        is_golden = random.randrange(3) > 0
        data = self._rest.pop(0) if is_golden else message_bytes(random, stream_pb2.Frame, self._rest or self._frames)
        return self._take(data, is_golden=is_golden)

    def play(self, frames: Sequence[bytes]) -> None:
        """Apply whole messages to a new client, and hold every conclusion against Node's."""
        self._replicas = ReplicaSet(lambda: 0.0)
        self._replicas.connecting()
        self._lines += ["new", "connecting"]
        for frame in frames:
            self._take(frame, is_golden=True)
        self.finish()

    def _take(self, data: bytes, *, is_golden: bool) -> str:
        try:
            frame = stream_pb2.Frame.FromString(data)
        except ProtobufDecodeError:
            return "refused"
        effect = self._replicas.apply(frame)
        self._check()
        if self._node:
            is_foreign = frame.WhichOneof("control") == "selection_changed"
            if not is_golden:
                # Libraries differ in what they take for a message (fields of another wire type, texts that are no
                # UTF-8); clients must not. So Node gets what protobuf has understood here.
                frame.DiscardUnknownFields()
                data = frame.SerializeToString()
            self._lines.append(data.hex() if not is_foreign else FOREIGN)
            if not is_foreign:
                self._concluded.append(_conclusion(self._replicas, effect))
        return "refused" if effect.broken else "accepted"

    def finish(self) -> None:
        """Hold every conclusion since the last time against Node's: one process for all of them."""
        if not self._concluded:
            return
        answers = _answers(self._node, [line for line in self._lines if line != FOREIGN])
        ours = iter(self._concluded)
        history: list[str] = []
        is_alike = True
        for line in self._lines:
            if line == "new":
                history, is_alike = [], True
            history.append(line)
            if line in ("new", "connecting", FOREIGN):
                is_alike = is_alike and line != FOREIGN
                continue
            said, concluded = next(answers), next(ours)
            if is_alike:
                assert said == concluded, f"after {history}:\nthe client concludes {concluded}\nNode {said}"
        self._lines.clear()
        self._concluded.clear()

    def _check(self) -> None:
        """Whatever has come: what is called in sync is whole, and everything can be asked for."""
        replicas = self._replicas
        is_in_sync, points = replicas.in_sync, replicas.resume_points()
        assert all(0 <= point.tick < 1 << 64 for point in points)
        for key in replicas.channels():
            replica = replicas.replica(*key)
            assert replica.in_sync or not (is_in_sync or points)
            if not replica.has_levels:
                assert not replica.in_sync
                continue
            heatmap = replica.heatmap()
            assert heatmap.levels.shape == (heatmap.axes.columns, heatmap.axes.rows)
            assert heatmap.levels.size <= decoding.MAX_RING_CELLS
            assert len(heatmap.candles.open) == heatmap.axes.columns
            if heatmap.levels.size < 1000:
                assert len(heatmap.price_low()) == heatmap.axes.rows
                assert len(heatmap.column_start()) == heatmap.axes.columns
            replicas.data_states(key[0])
            share = replicas.covered_share(key[0])
            assert share is None or 0 <= share <= 1
            state = replicas.symbol(key[0])
            assert state is None or abs(state.mark_price) < 1 << 63


def _answers(command: Sequence[str], lines: Sequence[str]) -> Iterator[str]:
    """Return the lines that a program answers with."""
    text = "".join(f"{line}\n" for line in lines)
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=600)
    assert not done.returncode, done.stderr
    return iter(done.stdout.splitlines())


def _conclusion(replicas: ReplicaSet, effect: FrameEffect) -> str:
    """Return what the shipped client concludes, as tests/node/frames.mjs puts it."""
    counted = replicas.counters
    found = [
        "in sync" if replicas.in_sync else "out of sync",
        "broken" if effect.broken else "whole",
        f"after {-1 if effect.reconnect_after_ms is None else effect.reconnect_after_ms}",
        f"counted {counted.gaps},{counted.checksum_failures},{counted.malformed},{counted.lagged},"
        f"{counted.epoch_changes},{counted.ticks_conflated},{counted.unknown_chunks}",
        *(f"resume {point.epoch} {point.tick}" for point in replicas.resume_points()),
    ]
    for key in replicas.channels():
        replica = replicas.replica(*key)
        held = "0,0,0,0"
        if replica.has_levels:
            heatmap = replica.heatmap()
            ring = decoding.window_to_ring(heatmap.levels, heatmap.newest_column)
            held = f"{replica.tick},{replica.generation},{heatmap.newest_column},{zlib.crc32(ring.tobytes())}"
        found.append(f"{replica.channel_id} {held} {str(replica.in_sync).lower()}")
    return "; ".join(found)


@functools.cache
def _golden_streams() -> list[list[bytes]]:
    streams = [json.loads(path.read_text("utf-8"))["steps"] for path in sorted(WIRE.glob("stream*.json"))]
    return [[bytes.fromhex(step["frame"]) for step in steps] for steps in streams]


class Answers:
    """Parts of grids and maps, and clusters, with something wrong in them, put together by the shipped client."""

    name = "answers"

    def __init__(self) -> None:
        golden = json.loads((WIRE / "liquidation_map.json").read_text("utf-8"))
        self._maps = [
            [part.SerializeToString() for part in map_parts()],
            [bytes.fromhex(part) for part in golden["parts"]],
        ]
        self._grids = [[part.SerializeToString() for part in grid_parts(ModelChannel())]]
        keyed = book([Lots(95_000, 300, 20), Lots(97_000, 400, STATED), Lots(104_000, 77, 50)])
        query = ClusterQuery(ClusterThresholds(min_mass_usd=1.0))
        found = clusters_response(keyed, query, find_clusters(keyed, query), (stream_pb2.DATA_STATE_REPLAY,), 7)
        self._clusters = [found.SerializeToString()]

    def run(self, random: Random) -> str:
        """Put one answer together."""
        if random.random() < 0.2:
            return self._read_clusters(random)
        if random.random() < 0.5:
            return self._assemble(random, self._grids, query_pb2.GetGridResponse, assemble_grid)
        return self._assemble(random, self._maps, query_pb2.GetLiquidationMapResponse, assemble_map)

    def finish(self) -> None:
        """Nothing is left over."""

    def _read_clusters(self, random: Random) -> str:
        data = message_bytes(random, query_pb2.ListClustersResponse, self._clusters)
        try:
            found = ClusterList.from_message(query_pb2.ListClustersResponse.FromString(data))
        except (DecodeError, ProtobufDecodeError):
            return "refused"
        assert all(line.isprintable() for line in lines(found))
        return "accepted"

    def _assemble(
        self,
        random: Random,
        examples: Sequence[Sequence[bytes]],
        kind: type[_M],
        assemble: Callable[[AsyncIterator[_M]], Any],
    ) -> str:
        parts = list(random.choice(examples))
        how = random.randrange(8)
        at = random.randrange(len(parts))
        if how == 0:
            del parts[at]
        elif how == 1:
            parts.insert(at, random.choice(parts))
        elif how == 2:
            random.shuffle(parts)
        else:
            parts[at] = message_bytes(random, kind, parts[at : at + 1])
        try:
            messages = [kind.FromString(part) for part in parts]
            answer = _result_of(assemble(_iterated(messages)))
        except (DecodeError, ProtobufDecodeError):
            return "refused"
        assert answer.cells.size <= decoding.MAX_RING_CELLS
        assert len(answer.usd_per_weighted_lot) == answer.cells.shape[1]
        return "accepted"


async def _iterated(messages: Sequence[_M]) -> AsyncIterator[_M]:
    for message in messages:
        yield message


def _result_of(coroutine: Any) -> Any:
    """Return what a coroutine that never waits returns."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waits for something")


class Requests:
    """Requests of every RPC, parsed and checked as the server does, up to the point where work would begin."""

    name = "requests"

    def __init__(self) -> None:
        engine = FakeEngine()
        self._hub = Hub(InProcessFrameSource(engine.shard))
        self._serving_hub = Hub(InProcessFrameSource(engine.shard))
        self._serving_hub.append(StreamEncoder(engine.shard).encode(engine.step()))
        shard = Shard([BTC], NumpyBackend(), lambda: 0)
        for event in (
            mark(at(EXAMPLE_MINUTE, -1), 908_000),
            open_interest(at(EXAMPLE_MINUTE), "88060.900"),
            tick_end(EXAMPLE_MINUTE),
            candle(EXAMPLE_MINUTE, EXAMPLE_MINUTE + 5, (893_530, 893_651, 890_123, 890_406), "2241.182"),
            open_interest(at(EXAMPLE_MINUTE + 5), "88351.808"),
            tick_end(EXAMPLE_MINUTE + 5),
        ):
            shard.accept(event)
        shard.render()
        self._view = shard.view()["BTC"]
        self._books = LiveBooks(shard)
        self._minute = self._view.now_minute
        self._kinds: dict[type[Message], tuple[Callable[[bytes], object], list[bytes]]] = {
            stream_pb2.SubscribeRequest: (self._subscribe, self._subscribe_examples()),
            stream_pb2.SessionRequest: (self._session, self._session_examples()),
            stream_pb2.PlaybackRequest: (self._playback, self._playback_examples()),
            query_pb2.GetGridRequest: (self._grid, self._grid_examples()),
            query_pb2.GetLiquidationMapRequest: (self._map, self._map_examples()),
            query_pb2.ListClustersRequest: (self._clusters, self._cluster_examples()),
            query_pb2.GetStatusRequest: (lambda data: parse(query_pb2.GetStatusRequest, data), [b""]),
            query_pb2.ListInstrumentsRequest: (lambda data: parse(query_pb2.ListInstrumentsRequest, data), [b""]),
        }

    def run(self, random: Random) -> str:
        """Ask once."""
        return self.ask(*self.draw(random))

    def draw(self, random: Random) -> tuple[type[Message], bytes]:
        """Return a kind of request and bytes that may be one."""
        kind = random.choice(list(self._kinds)[: None if random.randrange(20) == 0 else 5])
        return kind, message_bytes(random, kind, self._kinds[kind][1])

    def ask(self, kind: type[Message], data: bytes) -> str:
        """Ask with bytes."""
        try:
            self._kinds[kind][0](data)
        except QueryError as error:
            text = str(error)
            assert len(text) <= MAX_ERROR_CHARACTERS, text[:200]
            assert text.isprintable(), ascii(text)
            return "refused"
        return "accepted"

    def finish(self) -> None:
        """Nothing is left over."""

    def _subscribe(self, data: bytes) -> None:
        asked = parse(stream_pb2.SubscribeRequest, data)
        wanted, points = channels_of(asked), resume_points_of(asked)
        assert len(wanted) <= 256
        assert len(points) <= 64
        assert cadence_class_ms(asked.cadence_ms) in (0, *CADENCE_CLASSES_MS)
        self._hub.plan(wanted)

    def _session(self, data: bytes) -> None:
        asked = parse(stream_pb2.SessionRequest, data)
        kind = asked.WhichOneof("request")
        if kind == "open":
            self._subscribe(asked.open.SerializeToString())
        elif kind == "change":
            cadence_class_ms(asked.change.cadence_ms)
            self._hub.plan(channels_of(asked.change))
        elif kind == "reject":
            rejected_channels_of(asked.reject)

    def _playback(self, data: bytes) -> None:
        asked = parse(stream_pb2.PlaybackRequest, data)
        if asked.WhichOneof("request") == "open":
            wish = wish_of(asked.open, self._serving_hub.plan)
            assert 1 <= len(wish.channels) == len(wish.queries) <= MAX_CHANNELS
            assert wish.span.after(wish.span.until_minute - 1) is None
            assert 0.0 <= interval_s(wish.span.step_minutes, wish.speed) < math.inf
        elif asked.WhichOneof("request") in ("play", "pause", "seek", "speed"):
            position = self._controlled(asked)
            if position.refused:
                raise InvalidArgument(position.refused)
            assert position.speed == 0.0 or SLOWEST <= position.speed <= FASTEST

    def _controlled(self, asked: stream_pb2.PlaybackRequest) -> stream_pb2.PlaybackPosition:
        """Return what a playback that has shown its first picture says to a request."""
        playback = _result_of(self._begun_playback())
        while playback.poll() is not None:
            pass
        control(playback, asked)
        answer = playback.poll()
        assert answer is not None
        return stream_pb2.Frame.FromString(answer).playback

    async def _begun_playback(self) -> Playback:
        async def pictures(minute: int) -> list[PastPicture]:
            ring = np.zeros((720, 4), np.uint8)
            axes = ChannelAxes(TIMEFRAMES[0], self._view.scale, RowRange(100, 4, 2))
            return [PastPicture(minute, axes, minute, ring, CandleColumns.none(), 1, 1)]

        async def at_once(encode: Encode, tick: int, found: Sequence[PastPicture]) -> EncodedPicture:
            return encode(tick, found)

        playback = Playback(
            self._serving_hub,
            PlaybackSource("shard-0", 7, True, "fuzz"),
            [Channel(1, "BTC", TIMEFRAMES[0])],
            Span(self._minute - 100, self._minute, 2),
            pictures,
            credits=Credits(8),
            paused=True,
            on_thread=at_once,
        )
        await playback.begin()
        return playback

    def _grid(self, data: bytes) -> None:
        query = grid_of(parse(query_pb2.GetGridRequest, data))
        _check_query(query)
        channel = self._view.channels.get(query.timeframe)
        plan = plan_grid(
            query,
            instruments=self._view.instruments,
            mixes=self._view.mixes,
            scale=self._view.scale,
            mark_price=self._view.mark_price,
            now_minute=self._view.now_minute,
            view=self._view.ledger_of(query.model),
            history=channel.history if channel is not None else (),
        )
        axes = plan.axes
        assert 1 <= axes.timeframe.columns * axes.rows.count <= MAX_QUERY_CELLS
        assert axes.timeframe.column_minutes >= 1
        assert axes.rows.multiple >= 1

    def _map(self, data: bytes) -> None:
        query = map_of(parse(query_pb2.GetLiquidationMapRequest, data))
        _check_query(query)
        # A caller with a small limit, so that no answer takes long.
        answer = self._books.capture("BTC", query.model).answer(replace(query, max_cells=5000), 7)
        assert answer.map.cells.size <= 5000

    def _clusters(self, data: bytes) -> None:
        book, query = clusters_of(parse(query_pb2.ListClustersRequest, data))
        _check_query(book)
        answer = self._books.capture("BTC", book.model).keyed(book, 7)
        found = find_clusters(answer, query)
        assert len(found.clusters) <= 2 * query.limit <= 400
        assert clusters_response(answer, query, found, (), 0).ByteSize()

    def _subscribe_examples(self) -> list[bytes]:
        selector = stream_pb2.ChannelSelector(symbol="BTC", timeframe="24h")
        point = stream_pb2.ResumePoint(source_id="shard-0", epoch=7, tick=3)
        full = stream_pb2.SubscribeRequest(channels=[selector, selector], cadence_ms=500, resume=[point])
        return [b"", full.SerializeToString(), stream_pb2.SubscribeRequest(channels=[selector]).SerializeToString()]

    def _session_examples(self) -> list[bytes]:
        opened = stream_pb2.SubscribeRequest.FromString(self._subscribe_examples()[1])
        requests = (
            stream_pb2.SessionRequest(open=opened),
            stream_pb2.SessionRequest(acknowledge=stream_pb2.Acknowledge(frames=3)),
            stream_pb2.SessionRequest(change=stream_pb2.Change(channels=opened.channels, cadence_ms=250)),
            stream_pb2.SessionRequest(reject=stream_pb2.Reject(source_id="shard-0", channel_ids=[1, 2], details="no")),
        )
        return [request.SerializeToString() for request in requests]

    def _playback_examples(self) -> list[bytes]:
        selector = stream_pb2.ChannelSelector(symbol="BTC", timeframe="24h")
        opened = stream_pb2.PlaybackOpen(
            channels=[selector], from_minute=self._minute - 60, until_minute=self._minute, step_minutes=2, speed=60.0
        )
        requests = (
            stream_pb2.PlaybackRequest(open=opened),
            stream_pb2.PlaybackRequest(seek=stream_pb2.PlaybackSeek(minute=self._minute - 9)),
            stream_pb2.PlaybackRequest(speed=stream_pb2.PlaybackSpeed(speed=60.0)),
            stream_pb2.PlaybackRequest(play=stream_pb2.PlaybackPlay()),
            stream_pb2.PlaybackRequest(pause=stream_pb2.PlaybackPause()),
            stream_pb2.PlaybackRequest(acknowledge=stream_pb2.Acknowledge(frames=3)),
        )
        return [request.SerializeToString() for request in requests]

    def _grid_examples(self) -> list[bytes]:
        shares = [query_pb2.LeverageShare(leverage=tier, share_ppm=500_000) for tier in (10, 20)]
        requests = (
            query_pb2.GetGridRequest(symbol="BTC", timeframe="24h"),
            query_pb2.GetGridRequest(symbol="BTC", timeframe="12h", as_of_minute=self._minute, leverage_shares=shares),
            query_pb2.GetGridRequest(
                symbol="BTC", column_minutes=60, columns=6, base_steps_per_row=10, price_low=80_000, price_high=90_000
            ),
        )
        return [request.SerializeToString() for request in requests]

    def _cluster_examples(self) -> list[bytes]:
        requests = (
            query_pb2.ListClustersRequest(symbol="BTC", base_steps_per_row=10),
            query_pb2.ListClustersRequest(
                symbol="BTC",
                venues=["binance"],
                leverages=[10, 20],
                side=query_pb2.POSITION_SIDE_LONG,
                limit=7,
                order=query_pb2.CLUSTER_ORDER_MASS,
                thresholds=query_pb2.ClusterThresholds(min_mass_usd=1.0, valley_share=0.7, max_width_percent=3.0),
            ),
        )
        return [request.SerializeToString() for request in requests]

    def _map_examples(self) -> list[bytes]:
        requests = (
            query_pb2.GetLiquidationMapRequest(symbol="BTC", base_steps_per_row=1000),
            query_pb2.GetLiquidationMapRequest(
                symbol="BTC",
                venues=["binance"],
                leverages=[10, 20],
                side=query_pb2.POSITION_SIDE_LONG,
                price_low=80_000,
                price_high=90_000,
                base_steps_per_row=50,
                breakdown=[query_pb2.MAP_BREAKDOWN_LEVERAGE, query_pb2.MAP_BREAKDOWN_VENUE],
            ),
        )
        return [request.SerializeToString() for request in requests]


def _check_query(query: GridQuery | MapQuery) -> None:
    if query.symbol != "BTC":
        raise InvalidArgument("another symbol")  # the engine knows which it has
    assert len(query.venues) <= 64
    assert len(query.leverages) <= 16
    assert len(query.leverage_shares) <= 16


Target = Payloads | Frames | Answers | Requests


def targets(node: Callable[[str], Sequence[str]] = lambda _program: ()) -> tuple[Target, ...]:
    """Return every target. node: the command of a program of tests/node; without it only Python reads."""
    return (Payloads(node("payloads.mjs")), Frames(node("frames.mjs")), Answers(), Requests())


def tally(target: Target, random: Random, count: int) -> Counter[str]:
    """Run a target so many times and return what became of its inputs."""
    found = Counter(target.run(random) for _ in range(count))
    target.finish()
    return found

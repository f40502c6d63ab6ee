"""Hostile bytes on both ends: nothing but documented errors, the same verdict everywhere, and bounded memory.

A sample of what `python -m benchmarks.fuzz_inputs` runs a million of.
"""

from __future__ import annotations

import json
import tracemalloc
import zlib
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from liqscape.v1 import stream_pb2
from liqscape_client import decoding
from liqscape_client.errors import DecodeError
from liqscape_client.replica_set import ReplicaSet
from tests.fuzz.inputs import BOMBS, payload, varint
from tests.fuzz.targets import WIRE, Answers, Frames, Payloads, Requests, Target, client_answer, tally
from tests.node.packages import node_program, web_program

MEMORY_FOR_OBJECTS: Final = 300_000
"""What a decoder may take beside the arrays: exceptions, protobuf messages, numpy's own."""

ANSWER_BYTES: Final = 2_000_000
"""What planning a grid and answering with a map of 5,000 cells may take; both are bounded, whatever was asked."""

SAMPLE: Final = 1000
SEED: Final = 20_251_201

many = settings(
    max_examples=2 * (settings.default or settings()).max_examples,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
randoms = st.randoms(use_true_random=False)


@pytest.fixture(scope="module")
def requests() -> Requests:
    return Requests()


@pytest.mark.slow
@many
@given(random=randoms)
def test_payload_is_read_alike_by_two_decoders(random: Random) -> None:
    Payloads().run(random)


@pytest.mark.slow
@many
@given(random=randoms)
def test_messages_of_a_stream_leave_a_client_that_knows_what_it_holds(random: Random) -> None:
    frames = Frames()
    for _ in range(5):
        frames.run(random)


@pytest.mark.slow
@many
@given(random=randoms)
def test_answer_is_put_together_or_refused(random: Random) -> None:
    Answers().run(random)


@pytest.mark.slow
@many
@given(random=randoms)
def test_request_is_understood_or_refused_in_words(requests: Requests, random: Random) -> None:
    requests.run(random)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Payloads, Frames, Answers, Requests])
def test_inputs_are_neither_all_valid_nor_all_refused(kind: Callable[[], Target]) -> None:
    found = tally(kind(), Random(SEED), SAMPLE)

    assert min(found["accepted"], found["refused"]) > SAMPLE // 20


@pytest.mark.slow
@pytest.mark.parametrize("command", [node_program, web_program])
@pytest.mark.parametrize(("kind", "program"), [(Payloads, "payloads.mjs"), (Frames, "frames.mjs")])
def test_inputs_are_read_alike_by_node(
    kind: Callable[[list[str]], Target], program: str, command: Callable[[str], list[str]]
) -> None:
    tally(kind(command(program)), Random(SEED + 1), SAMPLE)


def hello_of(frame: bytes, **described: Any) -> bytes:
    """Return a Hello whose last channel is described in another way."""
    changed = stream_pb2.Frame.FromString(frame)
    changed.hello.channels[-1].MergeFrom(stream_pb2.ChannelDescription(**described))
    return changed.SerializeToString()


@pytest.mark.slow
@pytest.mark.parametrize("command", [node_program, web_program])
def test_channels_named_twice_are_no_stream(command: Callable[[str], list[str]]) -> None:
    """Two ids of one channel, or one id of two: every client says that the stream is broken.

    Seen to fail while each made of it what it liked.
    """
    steps = json.loads((WIRE / "stream.json").read_text("utf-8"))["steps"]
    first = bytes.fromhex(steps[0]["frame"])
    one, _ = stream_pb2.Frame.FromString(first).hello.channels
    for fields in ({"channel_id": one.channel_id}, {"timeframe": one.timeframe}):
        replicas = ReplicaSet(lambda: 0.0)
        replicas.connecting()

        effect = replicas.apply(stream_pb2.Frame.FromString(hello_of(first, **fields)))

        assert "is named twice" in (effect.fatal or "")
        assert replicas.channels() == ((one.symbol, one.timeframe),)
        Frames(command("frames.mjs")).play([hello_of(first, **fields)])


@pytest.mark.slow
@pytest.mark.parametrize("command", [node_program, web_program])
def test_id_that_names_another_channel_is_another_channel(command: Callable[[str], list[str]]) -> None:
    """An id that comes to mean a tile or other positions keeps nothing of what it meant before.

    Seen to fail while the clients in JavaScript looked at symbol and timeframe alone.
    """
    steps = json.loads((WIRE / "stream.json").read_text("utf-8"))["steps"]
    frames = [bytes.fromhex(step["frame"]) for step in steps]
    described: list[dict[str, Any]] = [
        {"positions": {"side": stream_pb2.PositionFilter.SIDE_LONG}},
        {"positions": {"venues": ["binance"]}},
        {"positions": {"leverages": [10, 25]}},
        {"positions": {"leverage_shares": [{"leverage": 10, "share_ppm": 1_000_000}]}},
        {"rows": {"first": -1, "last": 126}},
        {"rows": {"first": 128, "last": 255}},
        {"rows": {"first": 0, "last": 127}, "positions": {"venues": ["okx"]}},
        {"row_fold": 4},
        {"row_fold": 7, "rows": {"first": 0, "last": 127}},
    ]

    for fields in described:
        Frames(command("frames.mjs")).play([*frames, hello_of(frames[0], **fields)])
    # The same words once more are the same channel.
    Frames(command("frames.mjs")).play([*frames, hello_of(frames[0])])
    Frames(command("frames.mjs")).play([*frames, hello_of(frames[0], row_fold=1)])


def peak_bytes(read: Callable[[], object], *expected: type[Exception]) -> int:
    """Return the most memory that a call had at once."""
    tracemalloc.start()
    try:
        read()
    except expected:
        pass
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return peak


@pytest.mark.slow
def test_payload_takes_no_more_memory_than_its_ring_allows() -> None:
    random = Random(SEED + 2)
    for _ in range(SAMPLE // 2):
        asked = payload(random)
        allowed = 200 * asked.columns * asked.rows + 4 * len(asked.data) + MEMORY_FOR_OBJECTS
        assert peak_bytes(partial(client_answer, asked)) < allowed, asked.line()


def runs_that_cost_most(cells: int) -> dict[str, bytes]:
    """Return headers as long as they can be, in front of the cells they name."""
    single, pairs = cells - 200, cells // 2
    headers = {
        "every cell a run of its own": (b"\0\1" * cells, cells),
        "the same behind a number longer than it needs": (b"\x80\0\1" + b"\0\1" * (single - 1), single),
        "numbers of two bytes": (b"\x80\0\x81\0" * pairs, pairs),
        "one run": (b"\0" + varint(cells), cells),
        "a header that no ring can need": (b"\1" * 3 * cells, 0),
    }
    return {what: varint(len(header)) + header + bytes(named) for what, (header, named) in headers.items()}


@pytest.mark.slow
@pytest.mark.parametrize("what", runs_that_cost_most(256))
def test_delta_takes_no_more_memory_than_stated(what: str) -> None:
    cells = 1 << 18
    data = zlib.compress(runs_that_cost_most(cells)[what], 1)

    peak = peak_bytes(lambda: decoding.decode_delta(data, stream_pb2.ENCODING_RLE8_ZLIB, cells), DecodeError)

    assert peak < decoding.MAX_DECODE_BYTES_PER_CELL * cells


@pytest.mark.parametrize("bomb", BOMBS, ids=len)
def test_bomb_takes_no_more_memory_than_its_ring_allows(bomb: bytes) -> None:
    encoding = stream_pb2.ENCODING_TIME_DIFFERENCE_ZLIB

    peak = peak_bytes(lambda: decoding.decode_keyframe(bomb, encoding, 4, 3, 0), DecodeError)

    assert peak < 4 * len(bomb) + MEMORY_FOR_OBJECTS


@pytest.mark.slow
def test_request_takes_no_more_memory_than_its_bytes_allow(requests: Requests) -> None:
    random = Random(SEED + 3)
    for _ in range(SAMPLE // 2):
        kind, data = requests.draw(random)
        peak = peak_bytes(partial(requests.ask, kind, data))
        assert peak < 50 * len(data) + ANSWER_BYTES, (kind, data)

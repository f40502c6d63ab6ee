"""The bytes that every client relies on. The encoder makes them; the plain decoder reads them."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from numpy.typing import NDArray

from liqscape.broadcast.checksum import RingChecksum
from liqscape.broadcast.chunks import candles_message
from liqscape.broadcast.encoding import compress_runs, encode_runs, time_differences
from liqscape.broadcast.levels import LEVEL_LOWER_BOUNDS_USD, LEVEL_VALUES_USD, level_of_usd
from liqscape.v1 import stream_pb2
from tests.fake_engine import candle_columns
from tests.wire_decoder import BadPayload, ChannelReplica, Gap, Replica, decode_delta, decode_keyframe

FOLDER: Final = Path(__file__).parents[2] / "golden" / "wire"
DELTAS: Final = sorted(path.stem for path in FOLDER.glob("delta_*.json"))
KEYFRAMES: Final = sorted(path.stem for path in FOLDER.glob("keyframe_*.json"))


def load(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text("utf-8"))


def ring_of(golden: dict[str, Any], *parts: dict[str, list[int]]) -> NDArray[np.uint8]:
    ring = np.zeros((golden["axes"]["columns"], golden["axes"]["rows"]), dtype=np.uint8)
    for part in parts:
        ring.reshape(-1)[part["cells"]] = part["levels"]
    return ring


def checksum_of(ring: NDArray[np.uint8], newest_column: int) -> int:
    return RingChecksum(len(ring)).value(ring, newest_column)


def candles_of(golden: dict[str, Any]) -> dict[int, tuple[int, int, int, int]]:
    return {c["column"]: (c["open"], c["high"], c["low"], c["close"]) for c in golden["candles"]}


def test_there_are_goldens_of_each_kind() -> None:
    assert len(DELTAS) >= 6
    assert len(KEYFRAMES) >= 5


@pytest.mark.parametrize("name", DELTAS)
def test_delta_is_encoded_to_the_golden_bytes(name: str) -> None:
    golden = load(name)

    runs = encode_runs(np.array(golden["cells"], np.uint32), np.array(golden["levels"], np.uint8))
    encoding, payload = compress_runs(runs)

    assert runs.hex() == golden["runs"]
    assert stream_pb2.Encoding.Name(encoding) == golden["encoding"]
    assert payload.hex() == golden["payload"] or zlib.decompress(payload) == runs
    ring = ring_of(golden, golden["before"], golden)
    assert checksum_of(ring, golden["newest_column"]) == golden["checksum"]


@pytest.mark.parametrize("name", KEYFRAMES)
def test_keyframe_is_encoded_to_the_golden_bytes(name: str) -> None:
    golden = load(name)
    ring = ring_of(golden, golden)

    differences = time_differences(ring, golden["newest_column"])

    assert differences.tobytes().hex() == golden["differences"]
    assert checksum_of(ring, golden["newest_column"]) == golden["checksum"]


@pytest.mark.parametrize("name", [*DELTAS, *KEYFRAMES])
def test_chunk_leads_the_plain_decoder_to_the_golden_ring(name: str) -> None:
    golden = load(name)
    chunk = stream_pb2.Chunk.FromString(bytes.fromhex(golden["chunk"])).channel
    is_delta = name in DELTAS
    before = golden["before"] if is_delta else {"cells": [], "levels": []}
    held = ChannelReplica(
        in_sync=is_delta,
        generation=2,
        tick=40 if is_delta else 0,
        axes=stream_pb2.Axes(**golden["axes"]),
        ring=bytearray(ring_of(golden, before).tobytes()),
    )

    applied = held.apply(chunk)

    assert applied
    assert held.checksums == 1
    assert held.ring == ring_of(golden, before, golden).tobytes()
    assert held.candles == candles_of(golden)


@pytest.mark.parametrize("name", [*DELTAS, *KEYFRAMES])
def test_candles_are_written_as_in_the_golden_chunk(name: str) -> None:
    golden = load(name)
    chunk = stream_pb2.Chunk.FromString(bytes.fromhex(golden["chunk"])).channel

    candles = candles_message(candle_columns(candles_of(golden)))

    assert (candles or stream_pb2.Candles()) == chunk.candles


def decode(case: dict[str, Any]) -> object:
    columns, rows, payload = case["columns"], case["rows"], bytes.fromhex(case["payload"])
    encoding = stream_pb2.Encoding.Value(case["encoding"])
    if encoding == stream_pb2.ENCODING_TIME_DIFFERENCE_ZLIB:
        return decode_keyframe(encoding, payload, columns, rows, 1000)
    return decode_delta(encoding, payload, columns * rows)


@pytest.mark.parametrize("case", load("rejected"), ids=lambda case: case["why"])
def test_payload_that_breaks_the_rules_is_rejected(case: dict[str, Any]) -> None:
    with pytest.raises(BadPayload):
        decode(case)


def test_scale_of_levels_is_the_golden_one() -> None:
    golden = load("levels")

    assert LEVEL_LOWER_BOUNDS_USD.tolist() == golden["lower_bounds_usd"]
    assert LEVEL_VALUES_USD.tolist() == golden["values_usd"]
    assert [level_of_usd(e["usd"]) for e in golden["examples"]] == [e["level"] for e in golden["examples"]]


@pytest.mark.parametrize("name", ["stream", "stream_resumed"])
def test_stream_leads_the_plain_decoder_through_every_golden_state(name: str) -> None:
    golden = load(name)
    replica = Replica()

    for step in golden["steps"]:
        if step.get("connecting"):
            replica.connecting()
        broken = False
        try:
            replica.apply(bytes.fromhex(step["frame"]))
        except Gap:
            broken = True

        assert replica.in_sync is step["in_sync"], step["what"]
        if step["resume_tick"] is not None:
            assert replica.resume is not None
            assert (replica.resume.tick, str(replica.resume.epoch)) == (step["resume_tick"], golden["epoch"])
        assert broken is (step["resume_tick"] is None and replica.resume is not None and not step["in_sync"])
        for channel_id, expected in step["channels"].items():
            held = replica.channels[int(channel_id)]
            assert (held.ring.hex(), held.newest_column, held.tick) == (
                expected["ring"],
                expected["newest_column"],
                expected["tick"],
            )

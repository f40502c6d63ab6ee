"""Payloads, byte for byte."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqscape.broadcast.encoding import (
    check_changed_cells,
    compress_runs,
    encode_runs,
    encode_varint,
    encode_varints,
    exceeds_keyframe_share,
    time_differences,
)
from liqscape.errors import ModelError
from liqscape.v1 import stream_pb2
from tests.wire_decoder import decode_keyframe, decode_runs


def runs(cells: list[int], levels: list[int]) -> bytes:
    return encode_runs(np.array(cells, dtype=np.uint32), np.array(levels, dtype=np.uint8))


def test_two_runs_are_gap_and_length_pairs_then_levels() -> None:
    payload = runs([3, 4, 6], [10, 11, 12])

    assert payload == bytes.fromhex("04 03 02 01 01 0a 0b 0c")


def test_no_change_is_an_empty_header() -> None:
    assert runs([], []) == b"\x00"


def test_whole_ring_is_one_run() -> None:
    payload = runs(list(range(300)), [7] * 300)

    assert payload == bytes.fromhex("03 00 ac 02") + b"\x07" * 300


@pytest.mark.parametrize("value", [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 2**28, 2**32 - 1])
def test_varints_take_the_fewest_bytes(value: int) -> None:
    one_by_one = encode_varint(value)
    vectorised = encode_varints(np.array([value, 5, value], dtype=np.uint32))

    assert len(one_by_one) == max(1, -(-value.bit_length() // 7))
    assert vectorised == one_by_one + b"\x05" + one_by_one


@given(cells=st.dictionaries(st.integers(0, 40_000), st.integers(0, 255), max_size=60), stretch=st.integers(1, 300))
def test_runs_decode_to_the_same_cells(cells: dict[int, int], stretch: int) -> None:
    # Stretched, neighbours appear: runs of many lengths beside single cells.
    spread = {index + offset: level for index, level in cells.items() for offset in range(1 + (level * stretch) % 7)}
    ordered = sorted(spread.items())

    payload = runs([index for index, _ in ordered], [level for _, level in ordered])

    assert decode_runs(payload, 50_000) == ordered


def test_short_runs_are_sent_as_they_are() -> None:
    payload = runs(list(range(1000)), [0] * 1000)

    encoding, sent = compress_runs(payload)

    assert len(payload) < 1024
    assert (encoding, sent) == (stream_pb2.ENCODING_RLE8, payload)


def test_long_runs_are_compressed_where_that_is_shorter() -> None:
    payload = runs(list(range(5000)), [9] * 5000)

    encoding, sent = compress_runs(payload)

    assert encoding == stream_pb2.ENCODING_RLE8_ZLIB
    assert len(sent) < len(payload)
    assert zlib.decompress(sent) == payload


def test_long_runs_of_noise_are_sent_as_they_are() -> None:
    noise = np.random.default_rng(5).integers(0, 256, size=4000, dtype=np.uint8)
    payload = encode_runs(np.arange(4000, dtype=np.uint32), noise)

    encoding, sent = compress_runs(payload)

    assert (encoding, sent) == (stream_pb2.ENCODING_RLE8, payload)


def test_time_differences_start_at_the_oldest_column_and_wrap() -> None:
    # Newest column 5 of a ring of 3 sits at position 2, so the oldest, 3, sits at position 0.
    ring = np.array([[250, 1], [4, 1], [3, 0]], dtype=np.uint8)

    differences = time_differences(ring, 5)

    assert differences.tolist() == [[250, 1], [10, 0], [255, 255]]


@pytest.mark.parametrize("newest_column", [1000, 1001, 1002, 1006])
def test_keyframe_decodes_to_the_same_ring_wherever_the_newest_column_sits(newest_column: int) -> None:
    ring = np.random.default_rng(newest_column).integers(0, 256, size=(7, 5), dtype=np.uint8)

    payload = zlib.compress(time_differences(ring, newest_column).tobytes())

    decoded = decode_keyframe(stream_pb2.ENCODING_TIME_DIFFERENCE_ZLIB, payload, 7, 5, newest_column)
    assert decoded == ring.tobytes()


def test_time_differences_leave_the_ring_alone() -> None:
    ring = np.full((3, 2), 7, dtype=np.uint8)

    time_differences(ring, 4)

    assert (ring == 7).all()


def test_share_of_a_keyframe_is_0_6() -> None:
    assert not exceeds_keyframe_share(600, 1000)
    assert exceeds_keyframe_share(601, 1000)


@pytest.mark.parametrize(
    ("cells", "levels", "what"),
    [
        ([4, 4], [1, 2], "ascend strictly"),
        ([4, 3], [1, 2], "ascend strictly"),
        ([3, 10], [1, 2], "changed cell 10 lies outside a ring of 10"),
        ([3], [1, 2], "vectors of one length"),
    ],
)
def test_cells_that_break_the_contract_are_refused(cells: list[int], levels: list[int], what: str) -> None:
    with pytest.raises(ModelError, match=what):
        check_changed_cells(np.array(cells, dtype=np.uint32), np.array(levels, dtype=np.uint8), 10)

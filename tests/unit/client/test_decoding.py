"""Payloads, byte for byte."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from liqscape.v1 import stream_pb2
from liqscape_client import decoding
from liqscape_client.errors import DecodeError
from tests.unit.client.wire_model import checksum, encode_keyframe, encode_runs, varint


def test_two_runs_give_their_cells() -> None:
    payload = bytes.fromhex("04 03 02 01 01 0a 0b 0c")

    cells, levels = decoding.decode_runs(payload, 30)

    assert cells.tolist() == [3, 4, 6]
    assert levels.tolist() == [10, 11, 12]


def test_no_change_gives_no_cells() -> None:
    cells, levels = decoding.decode_runs(b"\x00", 30)

    assert cells.size == 0
    assert levels.size == 0


def test_long_gaps_and_runs_use_several_bytes() -> None:
    expected = {index: index % 251 for index in [*range(300, 700), *range(100_000, 100_200)]}

    cells, levels = decoding.decode_runs(encode_runs(expected), 200_000)

    assert dict(zip(cells.tolist(), levels.tolist(), strict=True)) == expected


def test_whole_ring_changed_is_one_run() -> None:
    cells, levels = decoding.decode_runs(varint(2) + varint(0) + varint(100) + bytes(100), 100)

    assert cells.tolist() == list(range(100))
    assert not levels.any()


def test_deflated_runs_equal_plain_ones() -> None:
    payload = encode_runs({index: 7 for index in range(0, 3000, 2)})

    plain = decoding.decode_delta(payload, stream_pb2.ENCODING_RLE8, 3000)
    deflated = decoding.decode_delta(zlib.compress(payload), stream_pb2.ENCODING_RLE8_ZLIB, 3000)

    np.testing.assert_array_equal(plain[0], deflated[0])
    np.testing.assert_array_equal(plain[1], deflated[1])


@pytest.mark.parametrize(
    ("payload", "what"),
    [
        ("", "ends inside a varint"),
        ("80", "ends inside a varint"),
        ("ff ff ff ff ff 01", "longer than 5 bytes"),
        ("02 00", "runs past"),
        ("01 00 05", "between a gap and its length"),
        ("02 00 80 05", "ends inside a varint of its header"),
        ("02 03 00", "run of no cells"),
        ("02 1e 01 05", "names cell 30"),
        ("02 00 1f" + "00" * 31, "names cell 30"),
        ("02 00 02 05", "names 2 cells and carries 1"),
        ("02 00 01 05 06", "names 1 cells and carries 2"),
        ("00 06", "names 0 cells and carries 1"),
        ("0c ff ff ff ff 7f ff ff ff ff 7f 00 01 05", "names cell"),
    ],
)
def test_malformed_runs_are_refused(payload: str, what: str) -> None:
    with pytest.raises(DecodeError, match=what):
        decoding.decode_runs(bytes.fromhex(payload), 30)


def test_bomb_is_stopped_at_its_limit() -> None:
    bomb = zlib.compress(bytes(50_000_000), 9)

    with pytest.raises(DecodeError, match="inflates past the 1000 bytes"):
        decoding.inflate(bomb, 1000)


def test_stream_that_inflates_to_its_limit_is_accepted() -> None:
    assert decoding.inflate(zlib.compress(bytes(1000)), 1000) == bytes(1000)


@pytest.mark.parametrize(
    ("payload", "what"),
    [
        (zlib.compress(bytes(30))[:-1], "cut short"),
        (zlib.compress(bytes(30)) + b"x", "1 bytes are left over"),
        (b"not zlib", "damaged"),
        (b"", "cut short"),
        (zlib.compress(bytes(29)), "holds 29 cells"),
        (zlib.compress(bytes(31)), "inflates past"),
    ],
)
def test_malformed_keyframe_is_refused(payload: bytes, what: str) -> None:
    with pytest.raises(DecodeError, match=what):
        decoding.decode_keyframe(payload, stream_pb2.ENCODING_TIME_DIFFERENCE_ZLIB, 6, 5, 100)


@pytest.mark.parametrize("newest_column", [0, 5, 11, 14_715_077, -1, -8])
def test_keyframe_puts_each_column_at_its_position(newest_column: int) -> None:
    window = np.random.default_rng(1).integers(0, 256, (6, 5), dtype=np.uint8)

    ring = decoding.decode_keyframe(
        encode_keyframe(window), stream_pb2.ENCODING_TIME_DIFFERENCE_ZLIB, 6, 5, newest_column
    )

    for index, column in enumerate(range(newest_column - 5, newest_column + 1)):
        np.testing.assert_array_equal(ring[column % 6], window[index])
    np.testing.assert_array_equal(decoding.ring_to_window(ring, newest_column), window)


@pytest.mark.parametrize("encoding", [stream_pb2.ENCODING_UNSPECIFIED, stream_pb2.ENCODING_TIME_DIFFERENCE_ZLIB, 9])
def test_delta_in_another_encoding_is_refused(encoding: int) -> None:
    with pytest.raises(DecodeError, match="unknown for a delta"):
        decoding.decode_delta(b"\x00", encoding, 30)


def test_keyframe_in_another_encoding_is_refused() -> None:
    with pytest.raises(DecodeError, match="unknown for a keyframe"):
        decoding.decode_keyframe(b"\x00", stream_pb2.ENCODING_RLE8, 6, 5, 0)


@pytest.mark.parametrize("newest_column", [14_715_077, -3])
def test_checksum_equals_the_definition(newest_column: int) -> None:
    ring = np.random.default_rng(2).integers(0, 256, (6, 5), dtype=np.uint8)
    columns = np.array([zlib.crc32(ring[position]) for position in range(6)], dtype=np.uint32)

    assert decoding.ring_checksum(newest_column, columns) == checksum(ring, newest_column)


def test_levels_have_the_bounds_of_the_definition() -> None:
    def level_of(usd: int) -> int:
        x = usd >> 6
        if x < 8:
            return x
        msb = x.bit_length() - 1
        return min(255, ((msb - 2) << 3) + ((x >> (msb - 3)) & 7))

    for level in range(255):
        low, high = decoding.level_bounds_usd(level)
        assert level_of(low) == level
        assert level_of(high - 1) == level
        assert level_of(high) == level + 1


def test_level_stands_for_the_harmonic_mean_of_its_bounds() -> None:
    assert decoding.LEVEL_USD[0] == 0
    assert decoding.LEVEL_USD[1] == pytest.approx(2 * 64 * 128 / 192)
    assert decoding.level_bounds_usd(85) == (425_984, 458_752)  # 450,887 USD of the worked example lies in it
    assert decoding.LEVEL_USD[255] == 15 * 2**36


def test_estimate_is_within_its_stated_error() -> None:
    for level in range(8, 255):
        low, high = decoding.level_bounds_usd(level)
        estimate = decoding.LEVEL_USD[level]
        assert max(estimate / low - 1, 1 - estimate / high) <= 0.059


@pytest.mark.parametrize("level", [-1, 256])
def test_level_outside_a_byte_is_refused(level: int) -> None:
    with pytest.raises(ValueError, match=r"outside 0\.\.255"):
        decoding.level_bounds_usd(level)

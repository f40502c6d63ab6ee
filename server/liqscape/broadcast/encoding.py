"""Payloads of channel chunks, byte for byte as proto/README.md gives them. Pure functions of arrays."""

from __future__ import annotations

import zlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqscape.errors import ModelError
from liqscape.v1 import stream_pb2

ZLIB_LEVEL: Final = 1
"""Higher levels cost 3 to 7 times the time for a quarter of the bytes (measured on liquidation bands)."""

COMPRESS_ABOVE_BYTES: Final = 1024
"""Below this the zlib header and a cold window eat what compression gains."""

_VARINT_BITS: Final = 7
_VARINT_MAX_BYTES: Final = 5
"""Gaps and lengths are 32-bit."""


def encode_varints(values: NDArray[np.uint32]) -> bytes:
    """Return unsigned LEB128 of each value, joined.

    Args:
        values: uint32[n].
    """
    lengths = np.ones(values.size, dtype=np.int64)
    for k in range(1, _VARINT_MAX_BYTES):
        lengths += values >= np.uint32(1 << (_VARINT_BITS * k))
    ends = np.cumsum(lengths)
    starts = ends - lengths
    out = np.zeros(int(ends[-1]) if values.size else 0, dtype=np.uint8)
    for k in range(int(lengths.max(initial=0))):
        present = lengths > k
        septets = (values[present] >> np.uint32(_VARINT_BITS * k)) & np.uint32(0x7F)
        more = (lengths[present] > k + 1).astype(np.uint32) << np.uint32(_VARINT_BITS)
        out[starts[present] + k] = septets | more
    return out.tobytes()


def encode_varint(value: int) -> bytes:
    """Return unsigned LEB128 of one non-negative value."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= _VARINT_BITS
    out.append(value)
    return bytes(out)


def check_changed_cells(cells: NDArray[np.uint32], levels: NDArray[np.uint8], ring_cells: int) -> None:
    """Check what the encoders rely on.

    Raises:
        ModelError: cells do not ascend or lie outside the ring, or the arrays differ in length.
    """
    if cells.shape != levels.shape or cells.ndim != 1:
        raise ModelError(f"changed cells {cells.shape} and levels {levels.shape} must be vectors of one length")
    if not bool((cells[1:] > cells[:-1]).all()):
        raise ModelError("changed cells must ascend strictly")
    if cells.size and int(cells[-1]) >= ring_cells:
        raise ModelError(f"changed cell {int(cells[-1])} lies outside a ring of {ring_cells} cells")


def encode_runs(cells: NDArray[np.uint32], levels: NDArray[np.uint8]) -> bytes:
    """Return the ENCODING_RLE8 payload of changed cells.

    Args:
        cells: uint32[n], flat ring index, strictly ascending.
        levels: uint8[n], absolute level of each cell.
    """
    if cells.size == 0:
        return b"\x00"
    breaks = np.flatnonzero(cells[1:] - cells[:-1] != 1) + 1
    firsts = np.concatenate((np.zeros(1, dtype=breaks.dtype), breaks))
    lengths = np.diff(firsts, append=cells.size).astype(np.uint32)
    starts = cells[firsts]
    pairs = np.empty((firsts.size, 2), dtype=np.uint32)
    pairs[:, 1] = lengths
    pairs[0, 0] = starts[0]
    pairs[1:, 0] = starts[1:] - (starts[:-1] + lengths[:-1])
    header = encode_varints(pairs.reshape(-1))
    return b"".join((encode_varint(len(header)), header, levels.tobytes()))


def compress_runs(payload: bytes) -> tuple[stream_pb2.Encoding, bytes]:
    """Return the encoding and bytes an ENCODING_RLE8 payload is sent with: compressed where that is shorter."""
    if len(payload) > COMPRESS_ABOVE_BYTES:
        squeezed = zlib.compress(payload, ZLIB_LEVEL)
        if len(squeezed) < len(payload):
            return stream_pb2.ENCODING_RLE8_ZLIB, squeezed
    return stream_pb2.ENCODING_RLE8, payload


def time_differences(ring: NDArray[np.uint8], newest_column: int) -> NDArray[np.uint8]:
    """Return a keyframe before compression.

    Args:
        ring: uint8[columns, rows], column c at position c modulo columns.
        newest_column: absolute number.

    Returns:
        uint8[columns, rows], oldest column first: as it is, each later one minus the column before it, modulo 256.
    """
    oldest_position = (newest_column + 1) % ring.shape[0]
    in_time_order = np.concatenate((ring[oldest_position:], ring[:oldest_position]))
    differences = in_time_order.copy()
    differences[1:] -= in_time_order[:-1]  # uint8 wraps, as wanted
    return differences


def exceeds_keyframe_share(delta_bytes: int, grid_bytes: int) -> bool:
    """Return whether a delta of so many uncompressed bytes is sent as a keyframe: above 0.6 of the grid."""
    return 5 * delta_bytes > 3 * grid_bytes

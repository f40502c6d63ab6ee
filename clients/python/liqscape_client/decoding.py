"""Payload bytes -> levels, and levels -> USD: the Python reading of proto/README.md.

Knows nothing of chains, streams or sockets. Every byte is suspect: sizes are bounded before memory is taken, and
whatever does not parse exactly raises DecodeError.
"""

from __future__ import annotations

import zlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqscape.v1 import stream_pb2
from liqscape_client.errors import DecodeError

MAX_RING_CELLS: Final = 1 << 24
"""Cells of a ring at most: twenty times the largest default channel, small enough to allocate on a server's word."""

MAX_DECODE_BYTES_PER_CELL: Final = 64
"""Memory that reading a delta takes at most, for each cell of the ring: every cell a run of its own takes the most."""

_MAX_VARINT_BYTES: Final = 5  # every number of a payload is below MAX_RING_CELLS; five bytes hold 2^35


def read_varint(buffer: bytes, offset: int) -> tuple[int, int]:
    """Read one unsigned LEB128 number.

    Returns:
        The value, and the offset behind it.
    """
    value = 0
    for index in range(_MAX_VARINT_BYTES):
        if offset + index >= len(buffer):
            raise DecodeError(f"payload ends inside a varint at byte {offset + index}")
        byte = buffer[offset + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, offset + index + 1
    raise DecodeError(f"varint at byte {offset} is longer than {_MAX_VARINT_BYTES} bytes")


def read_varints(buffer: bytes) -> NDArray[np.int64]:
    """Read a buffer that holds nothing but varints, all at once.

    Returns:
        int64[n], in order.
    """
    octets = np.frombuffer(buffer, dtype=np.uint8)
    if not octets.size or octets.max() < 0x80:
        return octets.astype(np.int64)
    goes_on = octets >= 0x80
    if goes_on[-1]:
        raise DecodeError("payload ends inside a varint of its header")
    starts = np.flatnonzero(~np.concatenate(([False], goes_on[:-1])))
    values = (octets[starts] & 0x7F).astype(np.int64)
    # Most numbers end here; only the others are looked at again, and there are never more of them than of other bytes.
    which = np.flatnonzero(goes_on[starts])
    place = starts[which] + 1
    for index in range(1, _MAX_VARINT_BYTES):
        values[which] |= (octets[place] & 0x7F).astype(np.int64) << (7 * index)
        longer = goes_on[place]
        which, place = which[longer], place[longer] + 1
    if which.size:
        raise DecodeError(f"payload header holds a varint longer than {_MAX_VARINT_BYTES} bytes")
    return values


def inflate(payload: bytes, limit_bytes: int) -> bytes:
    """Inflate one zlib stream that ends exactly where the payload ends.

    Args:
        payload: the stream.
        limit_bytes: what it may inflate to at most; not one byte more is ever allocated than this plus one.
    """
    stream = zlib.decompressobj()
    try:
        inflated = stream.decompress(payload, limit_bytes + 1)
    except zlib.error as error:
        raise DecodeError(f"zlib stream is damaged: {error}") from error
    if len(inflated) > limit_bytes:
        raise DecodeError(f"zlib stream inflates past the {limit_bytes} bytes it can have")
    if not stream.eof:
        raise DecodeError("zlib stream is cut short")
    if stream.unused_data:
        raise DecodeError(f"{len(stream.unused_data)} bytes are left over behind the zlib stream")
    return inflated


def header_limit_bytes(cells: int) -> int:
    """Return how long the header of ENCODING_RLE8 can be at most, for a ring of so many cells.

    Two varints a run of at least one cell. A varint of v takes at most 1 + v / 128 bytes, and all gaps and lengths
    together are at most `cells`. Without this bound a header costs a hundred times its ring in memory.
    """
    return 2 * cells + cells // 128


def runs_limit_bytes(cells: int) -> int:
    """Return how long ENCODING_RLE8 bytes can be at most: the header, its length, and one byte a changed cell."""
    return _MAX_VARINT_BYTES + header_limit_bytes(cells) + cells + 1


def decode_runs(payload: bytes, cells: int) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Decode ENCODING_RLE8. Takes at most MAX_DECODE_BYTES_PER_CELL of memory, whatever the payload says.

    Args:
        payload: varint(H), H bytes of (gap, length) varints, then one byte for each cell.
        cells: size of the ring.

    Returns:
        Flat ring indices, int64[n] strictly ascending, and the absolute level of each, uint8[n].
    """
    header_bytes, offset = read_varint(payload, 0)
    if header_bytes > len(payload) - offset:
        raise DecodeError(f"payload header of {header_bytes} bytes runs past the {len(payload) - offset} that follow")
    if header_bytes > header_limit_bytes(cells):
        raise DecodeError(f"payload header of {header_bytes} bytes is longer than a ring of {cells} cells can need")
    numbers = read_varints(payload[offset : offset + header_bytes])
    if numbers.size % 2:
        raise DecodeError("payload header ends between a gap and its length")
    gaps, lengths = numbers[0::2], numbers[1::2]
    levels = np.frombuffer(payload, dtype=np.uint8, offset=offset + header_bytes)
    if lengths.size and lengths.min() < 1:
        raise DecodeError("payload header holds a run of no cells")
    end = int(numbers.sum())  # gaps and lengths are all there is in front of it
    if end > cells:
        raise DecodeError(f"payload names cell {end - 1} of a ring of {cells}")
    total = int(lengths.sum())
    if total != levels.size:
        raise DecodeError(f"payload names {total} cells and carries {levels.size}")
    # Cell k of the payload lies k cells and all gaps up to its own run from the start.
    indices = np.repeat(np.cumsum(gaps), lengths)
    indices += np.arange(total, dtype=np.int64)
    return indices, levels


def decode_delta(payload: bytes, encoding: int, cells: int) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Decode the payload of a delta, in either of its two encodings; see decode_runs."""
    if encoding == stream_pb2.ENCODING_RLE8:
        return decode_runs(payload, cells)
    if encoding == stream_pb2.ENCODING_RLE8_ZLIB:
        return decode_runs(inflate(payload, runs_limit_bytes(cells)), cells)
    raise DecodeError(f"encoding {encoding} is unknown for a delta; known are RLE8 and RLE8_ZLIB")


def decode_keyframe(payload: bytes, encoding: int, columns: int, rows: int, newest_column: int) -> NDArray[np.uint8]:
    """Decode the payload of a keyframe.

    Returns:
        uint8[position, row]: the ring, column c at position c modulo columns.
    """
    if encoding != stream_pb2.ENCODING_TIME_DIFFERENCE_ZLIB:
        raise DecodeError(f"encoding {encoding} is unknown for a keyframe; known is TIME_DIFFERENCE_ZLIB")
    cells = columns * rows
    differences = inflate(payload, cells)
    if len(differences) != cells:
        raise DecodeError(f"keyframe holds {len(differences)} cells; its axes ask for {cells}")
    window = np.frombuffer(differences, dtype=np.uint8).reshape(columns, rows)
    # uint8 addition wraps at 256, which is what undoes differences modulo 256.
    window = np.cumsum(window, axis=0, dtype=np.uint8)
    return window_to_ring(window, newest_column)


def window_to_ring(window: NDArray[np.uint8], newest_column: int) -> NDArray[np.uint8]:
    """Return columns in time order (oldest first) as a ring, copied."""
    return np.roll(window, (newest_column + 1) % window.shape[0], axis=0)


def ring_to_window(ring: NDArray[np.uint8], newest_column: int) -> NDArray[np.uint8]:
    """Return a ring as columns in time order (oldest first), copied."""
    return np.roll(ring, -((newest_column + 1) % ring.shape[0]), axis=0)


def ring_checksum(newest_column: int, column_checksums: NDArray[np.uint32]) -> int:
    """Return the checksum of a ring from the crc32 of each of its columns, by position."""
    head = newest_column.to_bytes(8, "little", signed=True)
    return zlib.crc32(column_checksums.astype("<u4").tobytes(), zlib.crc32(head))


def level_bounds_usd(level: int) -> tuple[int, int]:
    """Return the USD a level covers: lower bound inclusive, upper exclusive (of level 255: as if it had one)."""
    if not 0 <= level <= 255:
        raise ValueError(f"level {level!r} is outside 0..255")

    def start(number: int) -> int:
        return number * 64 if number < 8 else (8 + (number & 7)) << ((number >> 3) - 1 + 6)

    return start(level), start(level + 1)


def _level_usd_table() -> NDArray[np.float64]:
    table = np.zeros(256, dtype=np.float64)
    for level in range(1, 255):
        low, high = level_bounds_usd(level)
        table[level] = 2 * low * high / (low + high)
    table[255] = level_bounds_usd(255)[0]
    table.flags.writeable = False
    return table


LEVEL_USD: Final = _level_usd_table()
"""float64[256]: USD that each level stands for, the harmonic mean of its bounds; 0 for 0, the lower bound for 255."""

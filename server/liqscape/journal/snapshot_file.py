"""One snapshot in one file: a header in JSON, then arrays, each with a checksum of its own.

    magic       8 bytes, LIQSNAP and the version
    header      length in bytes, 8 bytes, and CRC-32, 4 bytes, both little-endian; then that many bytes of JSON
    arrays      one after the other, as the header lists them, compressed by zstandard; nothing follows the last

The header says the tick, the settings, the tree of plain values, and of each array type, shape, bytes here and CRC-32
of these. Arrow files would want columns of one length; these arrays have as many lengths as there are of them.
"""

from __future__ import annotations

import json
import math
import os
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from liqscape.journal.disk import sync_folder as sync_folder
from liqscape.journal.plain_values import Tree
from liqscape.journal.store import StoreDamaged, StoreUnavailable

MAGIC: Final = b"LIQSNAP\x01"

MAX_HEADER_BYTES: Final = 1 << 28
"""Of a header, which holds no array: a thousand times one of twenty instruments."""

MAX_ARRAY_BYTES: Final = 1 << 36
"""Of an array: three billion events, more than a machine holds."""

TYPES: Final = ("int64", "int32", "uint16", "uint8")
"""Of arrays: those of cohorts, events and prices."""

_CODEC: Final = "zstd"
_LEVEL: Final = 1
"""Twice as fast as the disk it is written to; higher ones save a tenth."""


@dataclass(frozen=True, slots=True)
class StoredSnapshot:
    """What a file holds: tick, settings it was made under, and the tree and arrays of plain_values, in a version."""

    version: int
    tick: int
    settings: Mapping[str, Any]
    tree: Tree
    arrays: list[NDArray[Any]]


def write_snapshot(path: Path, snapshot: StoredSnapshot) -> int:
    """Write a file that is there as a whole or not at all, and on the disk when this returns.

    Returns:
        Its bytes.

    Raises:
        StoreUnavailable: it cannot be written; nothing is left of it.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open("wb") as file:
            _write(file, snapshot)
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        _forget(temporary)
        raise StoreUnavailable(f"{path} cannot be written: {error.strerror or error}") from error
    return size


def read_snapshot(path: Path) -> StoredSnapshot:
    """Return what a file holds, every checksum looked at.

    Raises:
        StoreDamaged: it is not as it was written.
    """
    try:
        with path.open("rb") as file:
            return _read(file, path)
    except OSError as error:
        raise StoreDamaged(f"{path} cannot be read: {error.strerror or error}") from error


def _write(file: BinaryIO, snapshot: StoredSnapshot) -> None:
    codec = pa.Codec(_CODEC, compression_level=_LEVEL)
    # No copy is made: one of a hundred megabytes would keep the engine's thread from its tick for as long as it takes.
    buffers = [np.ascontiguousarray(array).reshape(-1).view(np.uint8) for array in snapshot.arrays]
    stored = [bytes(codec.compress(pa.py_buffer(buffer), asbytes=True)) for buffer in buffers]
    entries = [
        {"type": str(array.dtype), "shape": list(array.shape), "bytes": len(data), "crc32": zlib.crc32(data)}
        for array, data in zip(snapshot.arrays, stored, strict=True)
    ]
    about = {
        "version": snapshot.version,
        "tick": snapshot.tick,
        "settings": snapshot.settings,
        "state": snapshot.tree,
        "arrays": entries,
    }
    header = json.dumps(about, separators=(",", ":")).encode()
    file.write(MAGIC)
    file.write(len(header).to_bytes(8, "little"))
    file.write(zlib.crc32(header).to_bytes(4, "little"))
    file.write(header)
    for data in stored:
        file.write(data)


def _read(file: BinaryIO, path: Path) -> StoredSnapshot:
    def check(good: bool, what: str) -> None:
        if not good:
            raise StoreDamaged(f"{path}: {what}")

    try:
        return _parsed(file, check)
    except (ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise StoreDamaged(f"{path}: {error}") from error


def _parsed(file: BinaryIO, check: Callable[[bool, str], None]) -> StoredSnapshot:
    left = os.fstat(file.fileno()).st_size - 20
    check(left >= 0 and file.read(8) == MAGIC, "it does not begin as a snapshot of this version")
    length, crc = int.from_bytes(file.read(8), "little"), int.from_bytes(file.read(4), "little")
    check(length <= min(left, MAX_HEADER_BYTES), "it ends within its header")
    header = file.read(length)
    check(zlib.crc32(header) == crc, "its header fails its checksum")
    about = json.loads(header)
    entries = about["arrays"]
    check(sum(entry["bytes"] for entry in entries) == left - length, f"its arrays are cut off after {left} bytes")
    arrays: list[NDArray[Any]] = []
    for number, entry in enumerate(entries):
        data, shape, name = file.read(entry["bytes"]), tuple(entry["shape"]), entry["type"]
        check(zlib.crc32(data) == entry["crc32"], f"array {number} of {len(entries)} fails its checksum")
        check(name in TYPES, f"array {number} is of type {name!r}")
        size = math.prod(shape) * np.dtype(name).itemsize
        check(0 <= size <= MAX_ARRAY_BYTES, f"array {number} says it has {size} bytes")
        raw = pa.decompress(data, decompressed_size=size, codec=_CODEC, asbytes=True)
        arrays.append(np.frombuffer(raw, name).reshape(shape))
    return StoredSnapshot(about["version"], about["tick"], about["settings"], about["state"], arrays)


def _forget(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return  # the next start removes it

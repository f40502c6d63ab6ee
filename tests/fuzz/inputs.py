"""Bytes that a hostile or broken peer might send, drawn from a random number generator.

Every function takes the generator: hypothesis's, which shrinks what fails, or one made from a seed, which is fast.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from google.protobuf.message import Message

from liqscape.v1 import stream_pb2

_WIDTHS: Final = (0, 3, 6, 7, 8, 14, 16, 21, 28, 31, 32, 35, 63, 64)
ODD_NUMBERS: Final = tuple(sorted({max(0, (1 << bits) + off) for bits in _WIDTHS for off in (-1, 0, 1)}))
ODD_FLOATS: Final = (
    *(0.0, -0.0, 1.0, -1.0, 5e-324, 1e-9, 89_000.5, 1e308, -1e308),
    *(float("inf"), float("-inf"), float("nan")),
)
ODD_TEXTS: Final = (
    *("", "BTC", "ETH", "btc", "24h", "1y", "7m", "binance", "shard-0", " ", "\0", "\n\x1b[31m", "\u202e", "\ufeff"),
    *("%s{0}", "é" * 64, "é" * 65, "x" * 64, "x" * 65, "x" * 5000, "\U0001f4a5", "../../etc", "NaN", "-1"),
)
RINGS: Final = ((1, 1), (1, 5), (6, 1), (4, 3), (3, 4), (8, 16), (7, 130), (64, 64))
"""Columns and rows: sizes at which a varint grows, and the ends of everything."""

BOMBS: Final = tuple(zlib.compress(bytes(size), 9) for size in (1_000, 100_000, 50_000_000))
"""Zlib streams that inflate to a thousand times their size."""


@dataclass(frozen=True, slots=True)
class Payload:
    """A payload, and the ring it is for."""

    encoding: int
    columns: int
    rows: int
    newest_column: int
    data: bytes

    def line(self) -> str:
        """Return it as tests/node/payloads.mjs reads it."""
        return f"{self.encoding} {self.columns} {self.rows} {self.newest_column} {self.data.hex()}"


def varint(value: int, padding: int = 0) -> bytes:
    """Return unsigned LEB128, with so many bytes more than it needs."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    if padding:
        out[-1] |= 0x80
        out += b"\x80" * (padding - 1) + b"\0"
    return bytes(out)


def mutated(random: Random, data: bytes) -> bytes:
    """Return bytes with some flipped, cut out, put in, repeated or cut off."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 5))):
        at = random.randrange(len(changed) + 1)
        how = random.randrange(6)
        if how == 0 and at < len(changed):
            changed[at] ^= 1 << random.randrange(8)
        elif how == 1 and at < len(changed):
            changed[at] = random.choice((0, 1, 0x7F, 0x80, 0xFF))
        elif how == 2:
            del changed[at : at + random.choice((1, 1, 2, 8, 1000))]
        elif how == 3:
            changed[at:at] = random.randbytes(random.choice((1, 2, 5)))
        elif how == 4:
            part = changed[at : at + random.choice((1, 4, 30))]
            changed[at:at] = part
        else:
            changed[at:at] = varint(random.choice(ODD_NUMBERS), random.choice((0, 0, 1, 4)))
    return bytes(changed)


def payload(random: Random) -> Payload:
    """Return a payload of a delta or a keyframe: valid, nearly valid, or nothing of the kind."""
    columns, rows = random.choice(RINGS)
    newest_column = random.choice((0, -1, 14_715_077, random.randrange(-100, 100)))
    encoding = random.choice((1, 1, 2, 2, 3, 3, 0, 4) if random.randrange(8) == 0 else (1, 2, 3))
    if encoding == stream_pb2.ENCODING_TIME_DIFFERENCE_ZLIB:
        off = random.choice((0, 0, 0, 0, 0, -1, 1))
        data = _deflated(random, random.randbytes(max(0, columns * rows + off)))
    else:
        data = _runs(random, columns * rows)
        if encoding == stream_pb2.ENCODING_RLE8_ZLIB:
            data = _deflated(random, data)
    if random.randrange(3) == 0:
        data = mutated(random, data)
    elif random.randrange(20) == 0:
        data = random.randbytes(random.randrange(40))
    return Payload(encoding, columns, rows, newest_column, data)


def _runs(random: Random, cells: int) -> bytes:
    """Return runs that mostly fit the ring, mostly in numbers as short as they can be."""
    is_sloppy = random.randrange(4) == 0
    header, named, end = b"", 0, 0
    for _ in range(random.choice((0, 1, 1, 2, 3, 8))):
        room = cells - end
        gap = random.choice((0, 0, 1, max(0, room - 1), random.randrange(room + 1)))
        length = random.choice((1, 1, 2, max(1, room - gap)))
        if is_sloppy and random.randrange(4) == 0:
            gap, length = random.choice(((random.choice(ODD_NUMBERS), length), (gap, random.choice(ODD_NUMBERS))))
        elif gap + length > room:
            break
        padding = random.choice((0, 1, 3, 4, 5, 9)) if is_sloppy else 0
        header += varint(gap, padding) + varint(length, random.choice((0, padding)))
        named += length
        end += gap + length
        end = min(end, cells)
    count = min(named, 2 * cells) + (random.choice((0, 0, 1, -1)) if is_sloppy else 0)
    return (
        varint(len(header), random.choice((0, 0, 0, 2)) if is_sloppy else 0) + header + random.randbytes(max(0, count))
    )


def _deflated(random: Random, data: bytes) -> bytes:
    how = random.randrange(16)
    if how == 0:
        return random.choice(BOMBS[:2]) if random.randrange(50) else BOMBS[2]
    if how == 1:
        return zlib.compress(data)[: -random.randrange(1, 6)]
    if how == 2:
        return zlib.compress(data) + random.randbytes(random.randrange(1, 4))
    if how == 3:
        return random.choice((gzip.compress(data, mtime=0), data, zlib.compress(data)[2:-4]))
    if how == 4:
        stream = zlib.compressobj(zdict=b"abc")
        return stream.compress(data) + stream.flush()
    if how == 5:
        return zlib.compress(zlib.compress(data))
    if how == 6:  # several blocks, some of them empty
        stream = zlib.compressobj(1)
        half = len(data) // 2
        parts = [stream.compress(data[:half]), stream.flush(zlib.Z_FULL_FLUSH), stream.flush(zlib.Z_SYNC_FLUSH)]
        return b"".join(parts) + stream.compress(data[half:]) + stream.flush()
    return zlib.compress(data, random.choice((0, 1, 6, 9)))


# ---- messages


def is_repeated(field: Any) -> bool:
    """Return whether a field is a list; the name of the question depends on the version of protobuf."""
    found = getattr(field, "is_repeated", None)
    if found is None:
        found = field.label == field.LABEL_REPEATED
    return bool(found)


def disturb(random: Random, message: Message, depth: int = 0) -> None:
    """Put something absurd into a field of a message, or of one inside it."""
    fields = message.DESCRIPTOR.fields
    if not fields:
        return
    field: Any = random.choice(fields)
    if is_repeated(field):
        _disturb_list(random, message, field, depth)
    elif field.type == field.TYPE_MESSAGE:
        inner = getattr(message, field.name)
        inner.SetInParent()
        if depth < 8 and random.randrange(4):
            disturb(random, inner, depth + 1)
    elif random.randrange(8) == 0:
        message.ClearField(field.name)
    else:
        setattr(message, field.name, _odd_value(random, field))


def _disturb_list(random: Random, message: Message, field: Any, depth: int) -> None:
    values = getattr(message, field.name)
    how = random.randrange(6)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return
    if how == 0:
        message.ClearField(field.name)
    elif how == 1 and len(values):
        del values[random.randrange(len(values))]
    elif field.type == field.TYPE_MESSAGE:
        if how == 2 and len(values):
            values.add().CopyFrom(values[random.randrange(len(values))])
        elif how == 3:
            for _ in range(random.choice((1, 17, 65, 257))):
                values.add()
        elif len(values) and depth < 8:
            disturb(random, values[random.randrange(len(values))], depth + 1)
        else:
            disturb(random, values.add(), depth + 1)
    else:
        values.extend([_odd_value(random, field)] * random.choice((1, 1, 2, 17, 65, 257)))


def _odd_value(random: Random, field: Any) -> Any:
    kind = field.cpp_type
    if kind == field.CPPTYPE_STRING:
        if field.type == field.TYPE_BYTES:
            return random.choice((b"", b"\0", random.randbytes(20), random.choice(BOMBS), bytes(3000)))
        return random.choice(ODD_TEXTS)
    if kind in (field.CPPTYPE_DOUBLE, field.CPPTYPE_FLOAT):
        return random.choice(ODD_FLOATS)
    if kind == field.CPPTYPE_BOOL:
        return random.random() < 0.5
    bits = 32 if kind in (field.CPPTYPE_INT32, field.CPPTYPE_UINT32, field.CPPTYPE_ENUM) else 64
    value = random.choice((*ODD_NUMBERS, random.getrandbits(bits), random.randrange(10)))
    if kind in (field.CPPTYPE_UINT32, field.CPPTYPE_UINT64):
        return value % (1 << bits)
    value = random.choice((value, -value)) % (1 << bits)
    return value - (1 << bits) if value >> (bits - 1) else value


def message_bytes(random: Random, kind: Callable[[], Message], examples: Sequence[bytes]) -> bytes:
    """Return bytes of a message of a kind, or of nearly one.

    Args:
        random: draws.
        kind: the class of the message.
        examples: valid ones.
    """
    how = random.randrange(10)
    data = random.choice(examples)
    if how == 0:
        return random.randbytes(random.randrange(60))
    if how <= 3:
        return mutated(random, data)
    message = kind()
    message.MergeFromString(data if how < 9 else b"")
    for _ in range(random.choice((1, 1, 2, 4))):
        disturb(random, message)
    data = message.SerializeToString()
    return mutated(random, data) if random.randrange(8) == 0 else data

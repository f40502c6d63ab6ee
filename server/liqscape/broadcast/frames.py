"""Frames put together from ready bytes: what every reader shares is serialised once, a reader's own part is appended.

Protobuf lets fields of a message be concatenated in any order, so a frame is: one `sections` field, then
`ticks_conflated`, then (by the transport, at the last moment) `sent_unix_ns`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Final

from liqscape.broadcast.encoding import encode_varint
from liqscape.v1 import stream_pb2

MAX_FRAME_BYTES: Final = 64 << 10
"""A write to a reader that has stopped holds its frame twice, in Python and in the transport: at 1 MiB a join cost 1.1
MB for each such reader. A keyframe above this goes alone; the largest seen are 150 KB."""

_FRAME_OVERHEAD_BYTES: Final = 1024
"""Section header (its source_id is ours, and short), conflation and stamp."""

_SECTIONS_TAG: Final = bytes([stream_pb2.Frame.SECTIONS_FIELD_NUMBER << 3 | 2])
_TICKS_CONFLATED_TAG: Final = bytes([stream_pb2.Frame.TICKS_CONFLATED_FIELD_NUMBER << 3])
_SENT_TAG: Final = bytes([stream_pb2.Frame.SENT_UNIX_NS_FIELD_NUMBER << 3 | 1])
_STAMP: Final = struct.Struct("<cQ")


def fragments(entries: Iterable[bytes], limit_bytes: int = MAX_FRAME_BYTES) -> tuple[tuple[bytes, ...], ...]:
    """Split `chunks` entries, in order, into groups that fit a frame; an entry above the limit goes alone."""
    groups: list[tuple[bytes, ...]] = []
    group: list[bytes] = []
    room = limit_bytes - _FRAME_OVERHEAD_BYTES
    size = 0
    for entry in entries:
        if group and size + len(entry) > room:
            groups.append(tuple(group))
            group, size = [], 0
        group.append(entry)
        size += len(entry)
    if group:
        groups.append(tuple(group))
    return tuple(groups)


def section_frame(header: stream_pb2.Section, entries: Sequence[bytes], ticks_conflated: int) -> bytes:
    """Return a frame of one section.

    Args:
        header: the section without chunks.
        entries: `chunks` entries.
        ticks_conflated: ticks merged beyond one.
    """
    head = header.SerializeToString()
    size = len(head) + sum(map(len, entries))
    conflated = (_TICKS_CONFLATED_TAG, encode_varint(ticks_conflated)) if ticks_conflated else ()
    return b"".join((_SECTIONS_TAG, encode_varint(size), head, *entries, *conflated))


def stamped(frame: bytes, sent_unix_ns: int) -> bytes:
    """Return a frame with the instant it is handed to the transport."""
    return frame + _STAMP.pack(_SENT_TAG, sent_unix_ns)  # one concatenation: the frame is copied once

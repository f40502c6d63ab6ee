"""Frames joined from ready bytes are the frames protobuf would have made."""

from __future__ import annotations

from liqscape.broadcast.chunks import chunk_entry
from liqscape.broadcast.frames import fragments, section_frame, stamped
from liqscape.v1 import stream_pb2


def symbol_chunk(name: str) -> stream_pb2.Chunk:
    return stream_pb2.Chunk(symbol=stream_pb2.SymbolChunk(symbol=name, mark_price=-5))


def test_joined_bytes_parse_to_the_same_frame() -> None:
    chunks = [symbol_chunk("BTC"), symbol_chunk("E" * 300)]
    header = stream_pb2.Section(source_id="shard-0", epoch=2**64 - 1, tick=300, complete=True)

    frame = stamped(section_frame(header, [chunk_entry(chunk) for chunk in chunks], 400), 2**63 + 5)

    header.chunks.extend(chunks)
    expected = stream_pb2.Frame(sections=[header], ticks_conflated=400, sent_unix_ns=2**63 + 5)
    assert stream_pb2.Frame.FromString(frame) == expected


def test_frame_without_conflation_leaves_the_field_out() -> None:
    frame = section_frame(stream_pb2.Section(source_id="s", tick=1), [], 0)

    assert frame == stream_pb2.Frame(sections=[stream_pb2.Section(source_id="s", tick=1)]).SerializeToString()


def test_stamp_is_appended_to_control_frames_too() -> None:
    frame = stream_pb2.Frame(hello=stream_pb2.Hello(cadence_ms=250)).SerializeToString()

    parsed = stream_pb2.Frame.FromString(stamped(frame, 9))

    assert (parsed.sent_unix_ns, parsed.hello.cadence_ms) == (9, 250)


def test_entries_are_grouped_in_order_below_the_limit() -> None:
    entries = [bytes([n]) * size for n, size in enumerate((400, 500, 200, 900, 100))]

    groups = fragments(entries, 1024 + 1000)

    assert [[len(entry) for entry in group] for group in groups] == [[400, 500], [200], [900, 100]]
    assert [entry for group in groups for entry in group] == entries


def test_entry_above_the_limit_goes_alone() -> None:
    groups = fragments([b"a" * 10, b"b" * 5000, b"c" * 10], 1024 + 1000)

    assert [[len(entry) for entry in group] for group in groups] == [[10], [5000], [10]]


def test_nothing_to_send_is_no_fragment() -> None:
    assert fragments([]) == ()

"""Files of raw messages: written, rotated, torn and read; and those of others.

Seen to fail when broken on purpose: capture_file.py, unused_data dropped; the torn block kept; rotation by age off.
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import pytest

from liqscape.errors import ConfigError, InputDataError
from liqscape.feeds.live.capture_file import BLOCK_BYTES, BLOCK_NS, Capture, CaptureWriter

ABOUT = {"venues": ["binance-usdm"], "symbols": ["BTC"]}
HOUR_NS = 3600 * 10**9


def writer(folder: Path, rotate_bytes: int = 1 << 30) -> CaptureWriter:
    return CaptureWriter(folder / "some.jsonl.gz", ABOUT, rotate_bytes, HOUR_NS)


def test_what_was_written_is_read_again_in_order_and_byte_for_byte(tmp_path: Path) -> None:
    made = writer(tmp_path)
    messages = [b'{"a": "\\u00e9\xc3\xa9"}', bytes(range(256)), b"", b"x" * (2 * BLOCK_BYTES)]
    for number, message in enumerate(messages):
        made.note(number, "recv", "binance-usdm/market-0#1", message)
    made.note(9, "answer", "binance-usdm", b"{}", poll="open_interest BTCUSDT")
    made.close(10)

    capture = Capture(tmp_path)
    entries = list(capture.entries())

    assert [entry.message for entry in entries if entry.kind == "recv"] == messages
    assert [entry.receive_ns for entry in entries[1:]] == [0, 1, 2, 3, 9]
    assert entries[-1].also == {"poll": "open_interest BTCUSDT"}
    assert capture.about()["venues"] == ["binance-usdm"]
    assert (capture.torn, capture.unreadable) == ([], 0)


def test_files_are_rotated_by_size_and_by_time_and_lose_nothing(tmp_path: Path) -> None:
    by_size, by_time = writer(tmp_path, rotate_bytes=100), writer(tmp_path)
    for number in range(3):
        by_size.note(number * 10**9, "recv", "c", str(number))
        by_size.flush(number * 10**9)
    by_size.close(3 * 10**9)
    assert len(by_size.files) == 3
    assert [int(entry.message) for entry in Capture(tmp_path).entries() if entry.kind == "recv"] == [0, 1, 2]

    for number in range(3):
        by_time.note(HOUR_NS * (number + 10), "recv", "c", "later")
        by_time.flush(HOUR_NS * (number + 10))
    by_time.close(HOUR_NS * 13)

    assert len(by_time.files) == 3


def test_a_block_is_written_when_it_is_old_and_not_before(tmp_path: Path) -> None:
    made = writer(tmp_path)
    made.note(0, "recv", "c", "one")

    made.flush_due(BLOCK_NS - 1)
    assert made.files == []
    made.flush_due(BLOCK_NS)

    assert [entry.message for entry in Capture(tmp_path).entries() if entry.kind == "recv"] == [b"one"]
    made.close(BLOCK_NS)


@pytest.mark.parametrize("cut", [1, 7, 20])
def test_of_a_torn_file_every_whole_block_is_read_and_it_is_named(tmp_path: Path, cut: int) -> None:
    made = writer(tmp_path)
    for number in range(5):
        made.note(number, "recv", "c", f"message {number}")
        made.flush(number)
    made.close(5)
    (path,) = made.files
    path.write_bytes(path.read_bytes()[:-cut])

    capture = Capture(path)
    read = [entry.message for entry in capture.entries() if entry.kind == "recv"]

    assert read[:4] == [b"message 0", b"message 1", b"message 2", b"message 3"]
    assert capture.torn == [path]


def test_a_damaged_block_ends_its_file_and_is_named(tmp_path: Path) -> None:
    made = writer(tmp_path)
    for number in range(2):
        made.note(number, "recv", "c", f"message {number}")
        made.flush(number)
    made.close(2)
    (path,) = made.files
    data = bytearray(path.read_bytes())
    data[-12] ^= 0xFF
    path.write_bytes(data)

    capture = Capture(path)
    read = [entry.message for entry in capture.entries() if entry.kind == "recv"]

    assert b"message 0" in read
    assert capture.torn == [path]
    with pytest.raises((zlib.error, EOFError, gzip.BadGzipFile)):
        gzip.decompress(path.read_bytes())


def test_a_capture_of_others_may_be_plain_and_hold_messages_as_json(tmp_path: Path) -> None:
    path = tmp_path / "replay.jsonl"
    path.write_text(
        '{"recv_ns":1,"kind":"connect","conn":"","msg":null}\n'
        '{"recv_ns":2,"kind":"recv","conn":"","msg":{"e":"aggTrade","p":"1.50"}}\n'
        "no json\n"
        '{"recv_ns":"2","kind":"recv","conn":"","msg":"x"}\n'
        '{"recv_ns":3,"kind":"recv","conn":"","msg":"cut o'
    )

    capture = Capture(path)
    entries = list(capture.entries())

    assert [entry.message for entry in entries] == [b"", b'{"e":"aggTrade","p":"1.50"}']
    assert capture.unreadable == 2
    assert capture.torn == [path]
    assert capture.about() == {}


def test_wrong_names_are_refused_with_what_is_allowed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"use NAME\.jsonl\.gz"):
        CaptureWriter(tmp_path / "some.json", ABOUT, 1, 1)
    with pytest.raises(ConfigError, match="is not there"):
        CaptureWriter(tmp_path / "no" / "some.jsonl.gz", ABOUT, 1, 1)
    with pytest.raises(InputDataError, match="there is no capture"):
        Capture(tmp_path)

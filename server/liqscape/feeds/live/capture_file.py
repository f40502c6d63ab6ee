"""Files of raw messages with receive times: written in blocks that survive a crash, read whole or torn.

One JSON object a line, in files of gzip members; zcat reads them. A member is a block: what was written of it when the
process died is lost with it, every earlier one is whole.

    {"recv_ns": 1795219200123456789, "kind": "recv", "conn": "binance-usdm/market-0#1", "msg": "{\\"e\\": ...}"}

kind      what
about     first line of a file: "version", "venues", "symbols"
connect   a connection was opened: "url", and "takes_over", whether it is to replace another one of its endpoint
send      we have said msg
recv      the venue has said msg; what is not UTF-8 is in "base64" instead
over      the connection takes over, at the instant that the desk sets here
partly    the venue has refused some subscriptions, and the rest is gone on with
end       the connection has ended; msg says why
answer    the venue has answered the poll "poll" with msg; conn is the venue
Contiguous captures of others have connect, send and recv alone, a message perhaps as JSON instead of text.
"""

from __future__ import annotations

import base64
import gzip
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson

from liqscape.errors import ConfigError, InputDataError
from liqscape.feeds.venues.dialect import MAX_MESSAGE_BYTES

VERSION: Final = 1

SUFFIX: Final = ".jsonl.gz"

BLOCK_BYTES: Final = 256 << 10
"""Of lines, before they are compressed: ten milliseconds of a core, and three seconds of a busy venue."""

BLOCK_NS: Final = 1_000_000_000
"""Age of the first line of a block at most: so much a crash may take."""

LEVEL: Final = 4
"""Of gzip: a tenth of the size of the text, at 60 MB/s of a core."""

MAX_LINE_BYTES: Final = 3 * MAX_MESSAGE_BYTES
"""A message as JSON text may grow by its quotes."""

_READ_BYTES: Final = 1 << 18


@dataclass(frozen=True, slots=True)
class Entry:
    """One line.

    Attributes:
        receive_ns, kind, connection: see the top of this file.
        message: bytes as they came; empty where there are none.
        also: the other fields.
    """

    receive_ns: int
    kind: str
    connection: str
    message: bytes
    also: dict[str, Any]


class CaptureWriter:
    """Writes entries; begins another file when one is large or old.

    Args:
        out: NAME.jsonl.gz; files become NAME.TIME-NUMBER.jsonl.gz beside it.
        about: written into each file.
        rotate_bytes: of a compressed file.
        rotate_ns: of time in it.

    Raises:
        ConfigError: the folder is not there, or the name has another ending.
    """

    def __init__(self, out: Path, about: dict[str, Any], rotate_bytes: int, rotate_ns: int) -> None:
        if not out.name.endswith(SUFFIX) or out.name == SUFFIX:
            raise ConfigError(f"out {str(out)!r} has the wrong ending; use NAME{SUFFIX}")
        if not out.parent.is_dir():
            raise ConfigError(f"folder {str(out.parent)!r} of out is not there")
        self._stem = out.parent / out.name.removesuffix(SUFFIX)
        self._about = about
        self._rotate_bytes = rotate_bytes
        self._rotate_ns = rotate_ns
        self._file: BinaryIO | None = None
        self._block: list[bytes] = []
        self._block_bytes = 0
        self._block_ns = 0
        self._file_ns = 0
        self._number = 0
        self.lines = 0
        self.bytes = 0
        self.files: list[Path] = []

    def note(
        self, receive_ns: int, kind: str, connection: str, message: str | bytes | None = None, **also: Any
    ) -> None:
        """Add an entry; it is in the file when its block is."""
        fields: dict[str, Any] = {"recv_ns": receive_ns, "kind": kind, "conn": connection, "msg": None, **also}
        if isinstance(message, bytes):
            try:
                fields["msg"] = message.decode()
            except UnicodeDecodeError:
                fields["base64"] = base64.b64encode(message).decode()
        elif message is not None:
            fields["msg"] = message
        line = orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)
        if not self._block:
            self._block_ns = receive_ns
        self._block.append(line)
        self._block_bytes += len(line)
        self.lines += 1
        if self._block_bytes >= BLOCK_BYTES:
            self.flush(receive_ns)

    def flush_due(self, now_ns: int) -> None:
        """Write the block if it is old."""
        if self._block and not 0 <= now_ns - self._block_ns < BLOCK_NS:
            self.flush(now_ns)

    def flush(self, now_ns: int) -> None:
        """Write the block."""
        if not self._block:
            return
        if self._file is not None and (
            self._file.tell() >= self._rotate_bytes or now_ns - self._file_ns >= self._rotate_ns
        ):
            self._end_file()
        if self._file is None:
            self._begin_file(self._block_ns)
        self._put(b"".join(self._block))
        self._block.clear()
        self._block_bytes = 0

    def close(self, now_ns: int) -> None:
        """Write what is left, and see it on the disk."""
        self.flush(now_ns)
        self._end_file()

    def _begin_file(self, now_ns: int) -> None:
        self._number += 1
        time = datetime.fromtimestamp(now_ns / 1e9, UTC).strftime("%Y%m%dT%H%M%SZ")
        path = self._stem.with_name(f"{self._stem.name}.{time}-{self._number:04}{SUFFIX}")
        self._file = path.open("xb")
        self._file_ns = now_ns
        self.files.append(path)
        line = {"recv_ns": now_ns, "kind": "about", "conn": "", "msg": None, "version": VERSION, **self._about}
        self._put(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))

    def _put(self, lines: bytes) -> None:
        assert self._file is not None
        member = gzip.compress(lines, LEVEL, mtime=0)
        self._file.write(member)
        self._file.flush()
        self.bytes += len(member)

    def _end_file(self) -> None:
        if self._file is not None:
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None


class Capture:
    """Reads files in turn.

    Args:
        path: a file, or a folder whose files are read in the order of their names.

    Attributes:
        torn: files whose end is missing.
        unreadable: lines that are no entry.
        read_bytes, total_bytes: of the files.

    Raises:
        InputDataError: there is nothing to read.
    """

    def __init__(self, path: Path) -> None:
        self.paths = _files(path)
        self.torn: list[Path] = []
        self.unreadable = 0
        self.read_bytes = 0
        self.total_bytes = sum(each.stat().st_size for each in self.paths)

    def about(self) -> dict[str, Any]:
        """Return what the first file says of itself; nothing if it is of others."""
        for entry in self._lines_of(self.paths[0]):
            return entry.also if entry.kind == "about" else {}
        return {}

    def entries(self) -> Iterator[Entry]:
        """Yield every entry of every file."""
        self.read_bytes, self.unreadable = 0, 0
        self.torn.clear()
        for path in self.paths:
            yield from self._lines_of(path)

    def _lines_of(self, path: Path) -> Iterator[Entry]:
        rest = b""
        for piece in self._pieces_of(path):
            lines = (rest + piece).split(b"\n")
            rest = lines.pop()
            if len(rest) > MAX_LINE_BYTES:
                raise InputDataError(str(path), None, f"a line has more than {MAX_LINE_BYTES} bytes")
            for line in lines:
                entry = _entry(line)
                if entry is not None:
                    yield entry
                elif line.strip():
                    self.unreadable += 1
        if rest.strip():
            entry = _entry(rest)
            if entry is not None:
                yield entry
            elif path not in self.torn:
                self.torn.append(path)

    def _pieces_of(self, path: Path) -> Iterator[bytes]:
        """Yield the text of a file; what follows the last whole block of a torn one is left out."""
        with path.open("rb") as file:
            is_gzip = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            inflate = zlib.decompressobj(wbits=31)
            is_within = False
            while data := file.read(_READ_BYTES):
                self.read_bytes += len(data)
                if not is_gzip:
                    yield data
                    continue
                try:
                    while data:
                        yield inflate.decompress(data, _READ_BYTES)
                        while inflate.unconsumed_tail and not inflate.eof:
                            yield inflate.decompress(inflate.unconsumed_tail, _READ_BYTES)
                        data = b""
                        if inflate.eof:
                            data = inflate.unused_data
                            inflate = zlib.decompressobj(wbits=31)
                            is_within = False
                        else:
                            is_within = True
                except zlib.error:
                    self.torn.append(path)
                    return
            if is_gzip and is_within:
                self.torn.append(path)


def _files(path: Path) -> Sequence[Path]:
    if path.is_file():
        return (path,)
    found = sorted(each for each in path.glob(f"*{SUFFIX}")) if path.is_dir() else []
    if not found:
        raise InputDataError(str(path), None, f"there is no capture; name a file, or a folder of files *{SUFFIX}")
    return found


def _entry(line: bytes) -> Entry | None:
    try:
        fields = orjson.loads(line)
        receive_ns, kind, connection = fields.pop("recv_ns"), fields.pop("kind"), fields.pop("conn")
        message = fields.pop("msg", None)
        if "base64" in fields:
            message = base64.b64decode(fields.pop("base64"), validate=True)
        elif isinstance(message, str):
            message = message.encode()
        elif message is not None:
            message = orjson.dumps(message)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    if type(receive_ns) is not int or not isinstance(kind, str) or not isinstance(connection, str):
        return None
    return Entry(receive_ns, kind, connection, message or b"", fields)

"""Logs on stderr: one line an event, for people or as JSON. Nothing from outside can forge a line, no token gets in.

Whatever a message is made of, it is redacted and escaped here, as the last step before the line is written, so no call
that logs has to think of it. Fields go beside a message as `extra={"fields": {...}}`.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, TextIO

LOG_FORMATS: Final = ("text", "json")
LOG_LEVELS: Final = ("debug", "info", "warning", "error")

MAX_TEXT_CHARACTERS: Final = 8192
"""Of one message, field or traceback: room for a deep one; more would be somebody's attempt to fill a disk."""

REDACTED: Final = "[redacted]"

_SECRETS: Final = (
    # A header or a setting with its value, however it is quoted.
    (
        re.compile(
            r"(?i)\b((?:proxy-)?authorization|x-api-key|(?:access|api|auth|bearer)?[_-]?token|secret|password)"
            r"(['\"]?\s*[:=,]\s*['\"]?)(?:(?:bearer|basic)\s+)?[^\s'\",;)}\]]+"
        ),
        rf"\1\2{REDACTED}",
    ),
    (re.compile(r"(?i)\b(bearer|basic)(\s+)[A-Za-z0-9._~+/=-]{6,}"), rf"\1\2{REDACTED}"),
    (re.compile(r"liqs_[A-Za-z0-9_-]{8,}"), REDACTED),  # our own, wherever they are; see api.tokens
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){1,2}"), REDACTED),
    # Opaque strings with letters and digits; paths and dotted names are not.
    (re.compile(r"(?<![\w/.-])(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[A-Za-z0-9_-]{32,}(?![\w/.-]*[/.]\w)"), REDACTED),
)

_SECRET_FIELDS: Final = re.compile(r"(?i)token|authorization|secret|password|api_?key")


def configure_logs(log_format: str, level: str, stream: TextIO | None = None) -> None:
    """Send everything that is logged in this process to one stream.

    Args:
        log_format: one of LOG_FORMATS.
        level: one of LOG_LEVELS; what is below is not written.
        stream: stderr by default, so that stdout stays what a command prints.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    handler.addFilter(_is_news)
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    logging.captureWarnings(True)


def _is_news(record: logging.LogRecord) -> bool:
    """Return whether a record is more than that a peer has gone before it had the end of its call.

    gRPC tells that as an error with a traceback of ten lines, and a crowd that is cut off makes thousands of them.
    """
    kind = record.exc_info[0] if record.exc_info else None
    return kind is None or kind.__name__ != "ExecuteBatchError" or not record.name.startswith("grpc.")


def redacted(text: str) -> str:
    """Return a text without anything that looks like a token."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def escaped(text: str) -> str:
    """Return a text without characters that end a line, move a cursor or turn the direction of reading."""
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def _escape(character: str) -> str:
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _bounded(text: str) -> str:
    text = redacted(text)
    if len(text) > MAX_TEXT_CHARACTERS:
        return f"{text[:MAX_TEXT_CHARACTERS]}... ({len(text)} characters)"
    return text


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields = getattr(record, "fields", None)
    return {str(k): _value(str(k), v) for k, v in fields.items()} if isinstance(fields, Mapping) else {}


def _value(name: str, value: object) -> object:
    if _SECRET_FIELDS.search(name):
        return REDACTED
    if value is None or isinstance(value, bool | int | float):
        return value
    return _bounded(str(value))


def _traceback(record: logging.LogRecord, formatter: logging.Formatter) -> str:
    parts = [formatter.formatException(record.exc_info)] if record.exc_info else []
    if record.stack_info:
        parts.append(record.stack_info)
    return _bounded("\n".join(parts))


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (RFC 3339, UTC), level, logger, message, fields, and exception if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, ASCII only."""
        line: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _bounded(record.getMessage()),
            "fields": _fields(record),
        }
        if traceback := _traceback(record, self):
            line["exception"] = traceback
        return json.dumps(line)


class TextFormatter(logging.Formatter):
    """For people: time, level, logger, message, fields. A traceback follows in lines that begin with a bar."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and those of a traceback."""
        parts = [_time(record), record.levelname.lower(), f"{record.name}:", escaped(_bounded(record.getMessage()))]
        parts += [f"{escaped(name)}={_shown(value)}" for name, value in _fields(record).items()]
        traceback = _traceback(record, self)
        return "\n".join([" ".join(parts), *(f"  | {escaped(line)}" for line in traceback.splitlines())])


def _shown(value: object) -> str:
    text = escaped(str(value))
    return f'"{text}"' if " " in text or not text else text

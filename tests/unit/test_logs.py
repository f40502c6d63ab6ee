"""Lines of a log: what is in them, and what cannot get in."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest

from liqscape.api.tokens import TOKEN_BYTES, TOKEN_PREFIX
from liqscape.errors import NotFound
from liqscape.logs import LOG_FORMATS, configure_logs

FORGED = 'BTC"\n{"time": "x", "level": "error"}\r\x1b[2K\x00\u2028\u202eCTB'
"""A symbol name that would like to be two lines, a cleared one, and text that reads backwards."""

TOKENS = (
    "-3x_Wv0zjQ7uKc9sH1mTt5RbYpLe2dGfN8aXoIqZ4Ew",
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822c",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
)
"""As urlsafe base64, as hex, and signed."""

Written = Callable[[], str]


@pytest.fixture(params=LOG_FORMATS)
def written(request: pytest.FixtureRequest) -> Iterator[Written]:
    """Configure logs; return a function that returns everything written."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    stream = io.StringIO()
    configure_logs(request.param, "info", stream)
    yield stream.getvalue
    logging.captureWarnings(False)
    root.handlers[:], root.level = before


def one_json_line(log: Callable[[logging.Logger], None]) -> dict[str, Any]:
    """Return the only line that is written in JSON."""
    stream = io.StringIO()
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        configure_logs("json", "info", stream)
        log(logging.getLogger("liqscape.test"))
    finally:
        logging.captureWarnings(False)
        root.handlers[:], root.level = before
    (line,) = stream.getvalue().splitlines()
    found = json.loads(line)
    assert isinstance(found, dict)
    return found


def test_json_line_has_time_level_logger_message_and_fields() -> None:
    line = one_json_line(
        lambda log: log.warning("%d frames lost", 3, extra={"fields": {"symbol": "BTC", "count": 3, "ok": None}})
    )

    assert datetime.fromisoformat(line.pop("time")).tzname() == "UTC"
    assert line == {
        "level": "warning",
        "logger": "liqscape.test",
        "message": "3 frames lost",
        "fields": {"symbol": "BTC", "count": 3, "ok": None},
    }


def test_json_time_ends_with_z() -> None:
    assert one_json_line(lambda log: log.info("x"))["time"].endswith("Z")


class ExecuteBatchError(Exception):
    """As grpc.aio calls it when a peer has gone before it had everything."""


@pytest.mark.parametrize(
    ("logger", "error", "lines"),
    [
        ("grpc._cython.cygrpc", ExecuteBatchError(), 0),
        ("grpc._cython.cygrpc", ValueError(), 1),
        ("liqscape.test", ExecuteBatchError(), 1),
    ],
)
def test_peer_that_has_gone_before_the_end_of_its_call_is_no_news(logger: str, error: Exception, lines: int) -> None:
    stream = io.StringIO()
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        configure_logs("json", "info", stream)
        logging.getLogger(logger).error("it failed", exc_info=error)
    finally:
        logging.captureWarnings(False)
        root.handlers[:], root.level = before

    assert len(stream.getvalue().splitlines()) == lines


def test_forged_symbol_stays_in_its_line(written: Written) -> None:
    log = logging.getLogger("liqscape.test")

    log.info("symbol %s is unknown", FORGED, extra={"fields": {"symbol": FORGED, FORGED: 1}})
    log.error("%s", NotFound(f"symbol {FORGED} is not served"))

    assert len(written().splitlines()) == 2
    assert all(character.isprintable() or character == "\n" for character in written())


def test_forged_symbol_in_an_exception_begins_no_line(written: Written) -> None:
    try:
        raise NotFound(f"symbol {FORGED} is not served")
    except NotFound:
        logging.getLogger("liqscape.test").exception("call failed")

    first, *rest = written().splitlines()
    assert "call failed" in first
    assert all(line.startswith("  | ") for line in rest)


def test_json_keeps_what_was_forged_as_it_was() -> None:
    assert one_json_line(lambda log: log.info("%s", FORGED))["message"] == FORGED


@pytest.mark.parametrize(
    "text",
    [
        "authorization: Bearer {}",
        "metadata (('authorization', 'Bearer {}'),)",
        "bearer\n{}",
        "token={}",
        '{{"api_token": "{}"}}',
        "peer said {}",
        "peer ({})",
    ],
)
def test_token_is_in_no_line(written: Written, text: str) -> None:
    log = logging.getLogger("liqscape.test")
    for token in TOKENS:
        said = text.format(token)
        try:
            raise RuntimeError(said)
        except RuntimeError:
            log.exception(said, extra={"fields": {"note": said, "token": token, "authorization": token}})

        assert token not in written()
        assert token.rpartition(".")[2] not in written()


@pytest.mark.parametrize("text", ["/v1/{}/next.html", "x.{}.y", "{}", "a={}&b", "'{}'"])
def test_token_of_ours_is_in_no_line_wherever_it_stands(written: Written, text: str) -> None:
    token = TOKEN_PREFIX + "x_-Y" * (TOKEN_BYTES // 3)

    logging.getLogger("liqscape.test").info(text.format(token), extra={"fields": {"note": text.format(token)}})

    assert token[5:] not in written()
    assert "[redacted]" in written()


def test_ordinary_words_are_kept(written: Written) -> None:
    said = (
        "frames of source engine-0 at /srv/liqscape/benchmarks/manifests/binance_usdm_5m_2025-12_a_long_name.toml of"
        " binance:BTCUSDT cannot be taken; tokens: 3 in use; epoch 17293822569102704641"
    )

    logging.getLogger("liqscape.test").info("%s", said)

    assert "engine-0 at /srv/liqscape/benchmarks/manifests/binance_usdm_5m_2025-12_a_long_name.toml" in written()
    assert "binance:BTCUSDT" in written()
    assert "17293822569102704641" in written()


def test_long_text_is_cut(written: Written) -> None:
    logging.getLogger("liqscape.test").info("x " * 100_000)

    assert len(written()) < 10_000


def test_level_below_is_not_written(written: Written) -> None:
    logging.getLogger("liqscape.test").debug("detail")

    assert written() == ""


def test_fields_of_text_follow_the_message() -> None:
    stream = io.StringIO()
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        configure_logs("text", "info", stream)
        logging.getLogger("liqscape.test").info("stream cut", extra={"fields": {"peer": "a b", "count": 2}})
    finally:
        logging.captureWarnings(False)
        root.handlers[:], root.level = before

    assert stream.getvalue().endswith('Z info liqscape.test: stream cut peer="a b" count=2\n')

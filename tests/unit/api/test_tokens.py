"""Tokens and their list, without files."""

from __future__ import annotations

import hmac
import json
from types import SimpleNamespace

import pytest

from liqscape.api.limits import TOKEN_LIMITS
from liqscape.api.tokens import TokenList, check_limits, is_token, parse_duration
from liqscape.errors import ConfigError

NOW = 1_800_000_000.5


def two() -> tuple[TokenList, str, str]:
    known, first = TokenList.empty().added("desk", ["stream"], now_unix_s=NOW)
    known, second = known.added("page", ["query", "admin"], now_unix_s=NOW, expires_in_s=3600)
    return known, first, second


def test_token_is_32_random_bytes_with_a_prefix_and_no_two_are_alike() -> None:
    _, first, second = two()

    assert first.startswith("liqs_")
    assert len(first) == len("liqs_") + 43  # 32 bytes in base64
    assert is_token(first)
    assert first != second


def test_list_finds_a_token_and_no_other() -> None:
    known, first, second = two()

    assert [token.name for text in (first, second) if (token := known.find(text))] == ["desk", "page"]
    assert known.find(first[:-1] + ("A" if first[-1] != "A" else "B")) is None
    assert known.find("") is None


def test_every_entry_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    known, first, _ = two()
    compared: list[tuple[str, str]] = []

    def spying(a: str, b: str) -> bool:
        compared.append((a, b))
        return hmac.compare_digest(a, b)

    monkeypatch.setattr("liqscape.api.tokens.hmac", SimpleNamespace(compare_digest=spying))

    known.find(first)

    assert [b for _, b in compared] == [token.digest for token in known.tokens]


def test_file_holds_no_token_and_other_hashes_than_another_file() -> None:
    known, first, second = two()
    text = known.to_json()

    assert first not in text
    assert second not in text
    assert first[5:] not in text
    assert TokenList.empty().added("desk", ["stream"], now_unix_s=NOW)[0].salt != known.salt


def test_list_survives_its_file() -> None:
    known, first, _ = two()
    known, _ = known.added("small", ["query"], now_unix_s=NOW, limits=check_limits({"streams": 2, "cells": 1000}))

    again = TokenList.from_json(known.to_json())

    assert again == known
    assert again.find(first) == known.tokens[0]
    assert again.tokens[2].limits.streams == 2
    assert again.tokens[2].limits.queries_per_minute == TOKEN_LIMITS.queries_per_minute


def test_token_expires_to_the_second() -> None:
    known, _, _ = two()
    desk, page = known.tokens

    assert page.expires_unix_s is not None
    assert not page.is_expired(page.expires_unix_s - 0.1)
    assert page.is_expired(page.expires_unix_s)
    assert not desk.is_expired(NOW * 10)


def test_revoked_token_is_found_no_more() -> None:
    known, first, second = two()

    left = known.revoked("desk")

    assert left.find(first) is None
    assert left.find(second) is not None
    with pytest.raises(ConfigError, match="no token is named 'desk'; there are: page"):
        left.revoked("desk")


@pytest.mark.parametrize("name", ["", "-a", "a b", "a\nERROR forged", "a\x1b[31m", "a" * 65, "ä", "a\n"])
def test_name_that_could_forge_a_line_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"token name .* is not allowed") as caught:
        TokenList.empty().added(name, ["stream"], now_unix_s=NOW)

    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "text",
    ["", "liqs_", "liqs_" + "a" * 42, "liqs_" + "a" * 44, "liqs_" + "a" * 42 + "\n", "x" * 48, "liqs_" + "é" * 43],
)
def test_text_of_another_form_is_no_token(text: str) -> None:
    assert not is_token(text)


def test_name_that_is_taken_and_unknown_scopes_are_refused() -> None:
    known, _, _ = two()

    with pytest.raises(ConfigError, match="'desk' exists"):
        known.added("desk", ["stream"], now_unix_s=NOW)
    with pytest.raises(ConfigError, match="scope 'root' is unknown; use some of stream, query, admin"):
        known.added("new", ["stream", "root"], now_unix_s=NOW)
    with pytest.raises(ConfigError, match="scope"):
        known.added("new", [], now_unix_s=NOW)


@pytest.mark.parametrize(("text", "seconds"), [("12h", 43_200), ("90d", 7_776_000), ("8w", 4_838_400)])
def test_duration_is_hours_days_or_weeks(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0d", "-1d", "1", "d", "1y", "1d\n", "999999d", "1.5d"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="use for example 12h, 90d or 8w"):
        parse_duration(text)


@pytest.mark.parametrize("limits", [{"streams": 0}, {"streams": True}, {"cells": "9"}, {"cells": 1 << 31}, {"x": 1}])
def test_limits_out_of_range_or_unknown_are_refused(limits: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="limit"):
        check_limits(limits)


def _changed(**changes: object) -> str:
    whole = json.loads(two()[0].to_json())
    whole["tokens"][0].update(changes)
    return json.dumps(whole)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "null",
        '{"version": 2, "salt": "", "tokens": []}',
        '{"version": 1, "salt": "zz", "tokens": []}',
        "[" * 100_000,
        _changed(digest="ab"),
        _changed(digest=None),
        _changed(name="page"),
        _changed(name=7),
        _changed(scopes=[]),
        _changed(scopes=None),
        _changed(created="yesterday"),
        _changed(created="2026-01-01T00:00:00"),
        _changed(limits={"streams": -1}),
        _changed(limits=[]),
    ],
)
def test_file_that_is_none_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        TokenList.from_json(text)

    assert len(str(caught.value)) < 200

"""`liqscape token`: made once, shown once, listed by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from liqscape.__main__ import EXIT_USAGE, main
from liqscape.api.limits import TOKEN_LIMITS
from liqscape.api.token_file import read_tokens


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tokens.json"


def token(*arguments: str, path: Path) -> int:
    return main(["token", *arguments, "--tokens", str(path)])


def test_token_is_shown_once_and_found_by_a_server(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert token("add", "desk", path=path) == 0
    shown = capsys.readouterr()
    text = shown.out.strip()
    assert token("list", path=path) == 0
    listed = capsys.readouterr().out

    found = read_tokens(path).find(text)
    assert found is not None
    assert found.scopes == {"stream", "query"}
    assert found.limits == TOKEN_LIMITS
    assert text not in shown.err + path.read_text() + listed
    assert listed == "desk  stream,query  never expires\n"


def test_scope_expiry_and_limits_are_kept(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--scope", "query", "--expires", "90d", "--queries-per-minute", "30", "--cells", "5000"]
    assert token("add", "page", *arguments, path=path) == 0
    capsys.readouterr()
    token("list", path=path)

    (kept,) = read_tokens(path).tokens
    assert kept.expires_unix_s is not None
    assert kept.expires_unix_s - kept.created_unix_s == 90 * 86_400
    assert (kept.limits.queries_per_minute, kept.limits.cells, kept.limits.streams) == (30, 5000, TOKEN_LIMITS.streams)
    assert "queries_per_minute=30  cells=5000" in capsys.readouterr().out


def test_revoked_token_is_gone(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    token("add", "desk", path=path)
    capsys.readouterr()

    assert token("revoke", "desk", path=path) == 0
    assert token("revoke", "desk", path=path) == EXIT_USAGE
    assert "no token is named 'desk'" in capsys.readouterr().err
    assert read_tokens(path).tokens == ()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["add", "two\nlines"], r"token name 'two\nlines' is not allowed"),
        (["add", "desk", "--scope", "all"], "scope 'all' is unknown"),
        (["add", "desk", "--expires", "soon"], "duration 'soon' is invalid"),
        (["add", "desk", "--streams", "0"], "limit streams is 0"),
        (["list"], "does not exist; make a first token"),
        (["revoke", "desk"], "does not exist"),
    ],
)
def test_wrong_use_is_told_in_one_line_and_changes_nothing(
    path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], error: str
) -> None:
    assert token(*arguments, path=path) == EXIT_USAGE

    told = capsys.readouterr().err
    assert error in told
    assert told.count("\n") == 1
    assert not path.exists()


def test_file_that_others_can_read_is_not_added_to(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    token("add", "desk", path=path)
    path.chmod(0o644)

    assert token("add", "page", path=path) == EXIT_USAGE
    assert "chmod 600" in capsys.readouterr().err

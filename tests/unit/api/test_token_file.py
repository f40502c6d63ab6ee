"""The file of tokens: who may read it, and what a running server makes of its changes."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from liqscape.api.token_file import TokenFile, changing_tokens, default_token_path, read_tokens
from liqscape.api.tokens import TokenList
from liqscape.errors import ConfigError


def add(path: Path, name: str) -> str:
    with changing_tokens(path) as write:
        known = read_tokens(path) if path.exists() else TokenList.empty()
        tokens, text = known.added(name, ["stream"], now_unix_s=0)
        write(tokens)
    return text


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "settings" / "tokens.json"


def test_file_and_new_folder_are_for_their_owner_alone(path: Path) -> None:
    old = os.umask(0)
    try:
        add(path, "desk")
    finally:
        os.umask(old)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == ["tokens.json"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666, 0o610])
def test_file_that_others_can_use_is_refused(path: Path, mode: int) -> None:
    add(path, "desk")
    path.chmod(mode)

    with pytest.raises(ConfigError, match=rf"has mode {mode:04o}, so others may use it; run: chmod 600"):
        read_tokens(path)


def test_absent_file_says_how_to_make_one(path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist; make a first token: liqscape token add NAME"):
        TokenFile(path)


def test_folder_large_file_and_other_bytes_are_refused(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.touch(mode=0o600)

    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_tokens(tmp_path)
    other.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="other"):
        read_tokens(other)
    other.write_bytes(b" " * ((4 << 20) + 1))
    with pytest.raises(ConfigError, match="is larger than"):
        read_tokens(other)


def test_file_without_tokens_is_no_start(path: Path) -> None:
    with changing_tokens(path) as write:
        write(TokenList.empty())

    with pytest.raises(ConfigError, match="holds no token; make one"):
        TokenFile(path)


def test_changes_are_seen_at_once(path: Path) -> None:
    first = add(path, "desk")
    file = TokenFile(path)

    second = add(path, "page")
    found = file.refresh().find(second)
    with changing_tokens(path) as write:
        write(read_tokens(path).revoked("desk"))

    assert found is not None
    assert file.refresh().find(first) is None
    assert file.refresh().find(second) is not None


@pytest.mark.parametrize("damage", ["malformed", "readable by others"])
def test_slip_of_the_hand_leaves_the_tokens_and_is_logged_once(
    path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    text = add(path, "desk")
    file = TokenFile(path)

    if damage == "malformed":
        path.write_text("oops")
    else:
        path.chmod(0o644)
    for _ in range(3):
        assert file.refresh().find(text) is not None

    assert len(caplog.records) == 1
    assert "tokens stay as they were" in caplog.text


def test_file_that_has_gone_ends_every_token(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = add(path, "desk")
    file = TokenFile(path)
    kept = path.read_bytes()

    path.unlink()
    assert file.refresh().find(text) is None
    path.touch(mode=0o600)
    path.write_bytes(kept)

    assert file.refresh().find(text) is not None
    assert "has gone; no token is valid" in caplog.text


def test_write_that_fails_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = add(path, "desk")

    def failing(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("liqscape.api.token_file.os.replace", failing)
    with pytest.raises(ConfigError, match="cannot be written: No space left on device"):
        add(path, "page")

    assert read_tokens(path).find(text) is not None
    assert [entry.name for entry in path.parent.iterdir()] == ["tokens.json"]


def test_writers_at_the_same_time_lose_nothing(path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: add(path, f"desk{number}"), range(24)))

    assert sorted(token.name for token in read_tokens(path).tokens) == sorted(f"desk{number}" for number in range(24))


def test_default_is_among_the_settings_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "/settings")

    assert default_token_path() == Path("/settings/liqscape/tokens.json")

"""The folder of one server: one user at a time, and the settings it was made under."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from liqscape.errors import ConfigError
from liqscape.journal.data_folder import DataFolder
from liqscape.journal.snapshot_file import StoredSnapshot

SETTINGS = {"seed": 1, "mixes": {"a": [1, 2]}, "start_ns": 1 << 60}


def test_new_folder_is_made_for_its_owner_alone_and_has_no_settings(tmp_path: Path) -> None:
    with closing(DataFolder(tmp_path / "a" / "b")) as folder:
        assert folder.is_new
        assert folder.settings() is None
        assert folder.folder.stat().st_mode & 0o777 == 0o700


def test_settings_are_read_back(tmp_path: Path) -> None:
    with closing(DataFolder(tmp_path)) as folder:
        folder.keep_settings(SETTINGS)

    with closing(DataFolder(tmp_path)) as folder:
        assert folder.settings() == SETTINGS
        assert not folder.is_new


def test_folder_in_use_is_refused_but_may_be_looked_at(tmp_path: Path) -> None:
    with closing(DataFolder(tmp_path)) as folder:
        folder.keep_settings(SETTINGS)
        with pytest.raises(ConfigError, match="is in use by another process"):
            DataFolder(tmp_path)
        with closing(DataFolder(tmp_path, read_only=True)) as reader:
            assert reader.settings() == SETTINGS

    DataFolder(tmp_path).close()


def test_folder_that_is_only_read_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        DataFolder(tmp_path / "a", read_only=True)
    assert not (tmp_path / "a").exists()


def test_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")

    with pytest.raises(ConfigError, match="cannot be used: File exists"):
        DataFolder(tmp_path / "a")


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"settings": {**SETTINGS, "seed": 2}, "crc32": 0}),
        "{",
        "[]",
        "{}",
        '{"settings": 1, "crc32": 1}',
        None,
    ],
)
def test_broken_settings_are_those_of_a_snapshot(tmp_path: Path, text: str | None) -> None:
    with closing(DataFolder(tmp_path)) as folder:
        folder.keep_settings(SETTINGS)
        folder.snapshots.write(StoredSnapshot(1, 5, SETTINGS, {}, [np.zeros(3, np.int64)]))
        if text is None:
            folder.settings_path.unlink()
        else:
            folder.settings_path.write_text(text)

        assert folder.settings() == SETTINGS

        path = folder.snapshots.path(5)
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(ConfigError, match=r"settings\.json .*, and no snapshot tells the settings"):
            folder.settings()


@pytest.mark.parametrize("gone", [0, 1, 2, 3])
def test_good_ticks_of_a_damaged_journal_outlive_a_kill_while_they_take_its_place(tmp_path: Path, gone: int) -> None:
    folder = DataFolder(tmp_path)
    journal = folder.open_journal()
    journal.append([(tick, b"body") for tick in range(1, 10)])
    done: list[str] = []

    def until_killed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            if (tmp_path / "rebuilt.sqlite").exists():
                if len(done) == gone:
                    raise KeyboardInterrupt
                done.append(name)
            return function(*arguments, **more)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in ("unlink", "replace"):
            patch.setattr(os, name, until_killed(name, getattr(os, name)))
        with pytest.raises(KeyboardInterrupt):
            folder.set_journal_aside(journal, range(4, 8))
    folder.close()

    with closing(DataFolder(tmp_path)) as again, closing(again.open_journal()) as rebuilt:
        assert [tick for tick, _ in rebuilt.read(4)] == [4, 5, 6, 7]
        assert not (tmp_path / "rebuilt.sqlite").exists()
    assert (tmp_path / "journal.sqlite.bad").exists()


def test_key_of_accounts_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    with closing(DataFolder(tmp_path)) as folder:
        key = folder.account_key()
        assert folder.is_new
    path = tmp_path / "account.key"
    assert path.stat().st_mode & 0o777 == 0o600

    with closing(DataFolder(tmp_path)) as folder:
        again = folder.account_key()

    assert len(key) == 32
    assert again == key == path.read_bytes()
    with closing(DataFolder(tmp_path / "other")) as folder:
        assert folder.account_key() != key


def test_broken_key_of_accounts_is_refused(tmp_path: Path) -> None:
    (tmp_path / "account.key").write_bytes(b"short")

    with closing(DataFolder(tmp_path)) as folder, pytest.raises(ConfigError, match=r"account.key has 5 bytes instead"):
        folder.account_key()

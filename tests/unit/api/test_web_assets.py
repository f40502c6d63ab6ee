"""The files of the page: what the list names and the folder has, and nothing outside of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from liqscape.api.web_assets import WebAssets, content_type


def folder_of(path: Path, *listed: object) -> Path:
    (path / "web" / "parts").mkdir(parents=True)
    for name in ("index.html", "parts/a.js"):
        (path / "web" / name).write_text("x")
    (path / "secret.txt").write_text("x")
    (path / "web" / "assets.json").write_text(json.dumps({"files": listed}))
    return path / "web"


def test_what_is_listed_and_there(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "index.html", "parts/a.js")

    found = WebAssets.find(folder)

    assert found.files == {"index.html": folder / "index.html", "parts/a.js": folder / "parts" / "a.js"}
    assert found.is_complete


def test_what_is_listed_and_not_there(tmp_path: Path) -> None:
    found = WebAssets.find(folder_of(tmp_path, "index.html", "node_modules/chart.js"))

    assert found.missing == ("node_modules/chart.js",)
    assert not found.is_complete


@pytest.mark.parametrize("name", ["../secret.txt", "parts/../../secret.txt", "/etc/passwd"])
def test_a_list_cannot_name_what_is_outside(tmp_path: Path, name: str) -> None:
    found = WebAssets.find(folder_of(tmp_path, "index.html", name))

    assert name not in found.files
    assert found.missing == (name,)


@pytest.mark.parametrize("text", ["", "[]", '{"files": 3}', '{"other": []}'])
def test_without_a_list_there_is_no_page(tmp_path: Path, text: str) -> None:
    (tmp_path / "assets.json").write_text(text)

    assert WebAssets.find(tmp_path) == WebAssets(missing=("assets.json",))
    assert WebAssets.find(tmp_path / "nowhere") == WebAssets(missing=("assets.json",))


def test_types_do_not_depend_on_the_machine() -> None:
    types = [content_type(Path(name)) for name in ("a.js", "a.mjs", "a.css", "a.html", "a.json", "a.svg", "a.xyz9")]

    assert types == [
        "text/javascript; charset=utf-8",
        "text/javascript; charset=utf-8",
        "text/css; charset=utf-8",
        "text/html; charset=utf-8",
        "application/json; charset=utf-8",
        "image/svg+xml",
        "application/octet-stream",
    ]

"""The list of the page's files is whole, its links follow from it, and what cannot be fetched is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pytest

from clients.web import generate, packages

WEB: Final = packages.HERE


def test_every_module_of_the_page_is_listed() -> None:
    listed = set(json.loads((WEB / generate.ASSETS).read_text("utf-8"))["files"])
    modules = {path.relative_to(WEB).as_posix() for path in WEB.rglob("*.js") if "node_modules" not in path.parts}

    assert modules <= listed
    assert {"index.html", "style.css", "icon.svg"} <= listed
    assert not any(".." in name or name.startswith("/") for name in listed)


def test_files_are_those_that_are_imported_however_far_away(tmp_path: Path) -> None:
    (tmp_path / "view").mkdir()
    (tmp_path / "main.js").write_text('import { a } from "./view/a.js";\n// import "./no.js"\n')
    (tmp_path / "view" / "a.js").write_text(
        'import {\n  b,\n} from "../b.js";\nexport { c } from "./c.js";\nimport "bare";\n'
    )
    (tmp_path / "view" / "c.js").write_text('export const c = "./d.js";\n')
    (tmp_path / "b.js").write_text('import * as main from "./main.js";\n')

    assert generate.assets(tmp_path) == [
        "b.js",
        "icon.svg",
        "index.html",
        "main.js",
        "style.css",
        "view/a.js",
        "view/c.js",
    ]


def test_links_replace_those_before() -> None:
    page = "<head>\n    <!-- modules: begin, so -->\n    <!-- modules: end -->\n</head>\n"

    once = generate.with_links(page, ["a.js", "b.js"])

    assert once.count("modulepreload") == 2
    assert '<link rel="modulepreload" href="/static/a.js" />\n' in once
    assert generate.with_links(once, ["a.js", "b.js"]) == once
    assert generate.with_links(once, []) == page


def test_without_npm_the_reason_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "package-lock.json").write_text("{}")
    monkeypatch.setattr("shutil.which", lambda name: None)

    assert packages.install(tmp_path) == f"npm is not installed, and the packages of {tmp_path.name} are not there"


def test_packages_of_the_lock_file_are_not_fetched_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    (tmp_path / "package-lock.json").write_text("{}")
    (tmp_path / "node_modules").mkdir()
    stamp = tmp_path / "node_modules" / ".installed"
    digest = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"  # sha256 of {}

    stamp.write_text(f"{digest} {packages.EVERYTHING}")
    assert packages.install(tmp_path, packages.PAGE) == packages.install(tmp_path) == ""

    stamp.write_text(f"{digest} {packages.PAGE}")
    assert packages.install(tmp_path, packages.PAGE) == ""
    assert packages.install(tmp_path) != ""


def test_no_address_of_a_registry_is_in_the_lock_file() -> None:
    lock = json.loads((WEB / "package-lock.json").read_text("utf-8"))

    assert "http" not in json.dumps([package.get("resolved", "") for package in lock["packages"].values()])

"""The checks of the protocol find what they are there for. They run where `make lint` has installed the tool."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

import pytest

PROTO = Path(__file__).resolve().parents[3] / "proto"
INSTALLED = PROTO.parent / ".buf" / "installed.json"


@pytest.fixture
def buf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Load the script; proto/ is no package. It works on a copy."""
    specification = importlib.util.spec_from_file_location("protocol_checks", PROTO / "buf.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    shutil.copytree(PROTO, tmp_path / "proto", ignore=shutil.ignore_patterns("node_modules", "__pycache__"))
    monkeypatch.setattr(module, "PROTO", tmp_path / "proto")
    monkeypatch.setattr(module, "IMAGE", tmp_path / "proto" / "released.binpb")
    return module


pytestmark = pytest.mark.slow


def edit(buf: ModuleType, before: str, after: str) -> None:
    path = buf.PROTO / "liqscape" / "v1" / "stream.proto"
    text = path.read_text("utf-8")
    assert before in text
    path.write_text(text.replace(before, after), "utf-8")


@pytest.fixture
def tool(buf: ModuleType) -> Path:
    if not INSTALLED.is_file():
        pytest.skip("buf is not installed; `make lint` does it where there is npm")
    path = buf.prepare()
    assert isinstance(path, Path)
    return path


def test_protocol_keeps_the_rules_and_breaks_no_client(buf: ModuleType, tool: Path) -> None:
    assert buf.lint(tool)
    assert buf.breaking(tool)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("uint32 ticks_conflated = 2;", "uint32 ticks_conflated = 77;"),
        ("fixed64 sent_unix_ns = 3;", "uint64 sent_unix_ns = 3;"),
        ("ENCODING_RLE8 = 1;", "ENCODING_RUNS = 1;"),
        ("rpc Subscribe(", "rpc Listen("),
    ],
)
def test_what_a_released_client_cannot_read_is_found(buf: ModuleType, tool: Path, before: str, after: str) -> None:
    edit(buf, before, after)

    assert not buf.breaking(tool)


def test_field_without_a_comment_is_found(buf: ModuleType, tool: Path) -> None:
    edit(buf, "  // At most one control message.\n", "")

    assert not buf.lint(tool)


def test_release_that_breaks_clients_must_be_meant(
    buf: ModuleType, tool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buf, "prepare", lambda: tool)
    edit(buf, "uint32 ticks_conflated = 2;", "uint32 ticks_conflated = 77;")

    assert buf.main(["release"]) == 1
    assert buf.main(["release", "--breaking"]) == 0
    assert buf.breaking(tool)


def test_machine_without_npm_is_told_so(
    buf: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(buf, "prepare", lambda prepare=buf.prepare: prepare(tmp_path / "nowhere"))
    monkeypatch.setenv("PATH", str(tmp_path))

    assert buf.main(["lint"]) == buf.SKIPPED
    assert "npm is not installed" in capsys.readouterr().out

"""The check of the generated protocol names every file that is not what proto/ makes."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "proto" / "generate.py"


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    """Load the script; proto/ is no package."""
    specification = importlib.util.spec_from_file_location("generate_protocol", SCRIPT)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    fresh, committed = tmp_path / "fresh", tmp_path / "committed"
    for folder in (fresh, committed):
        folder.mkdir()
        (folder / "same_pb2.py").write_text("same")
    (committed / "__init__.py").write_text("by hand")
    return fresh, committed


def test_equal_folders_differ_in_nothing(generate: ModuleType, folders: tuple[Path, Path]) -> None:
    assert generate.differences(*folders) == []


def test_stale_missing_and_left_over_files_are_named(generate: ModuleType, folders: tuple[Path, Path]) -> None:
    fresh, committed = folders
    (fresh / "query_pb2.pyi").write_text("new")
    (committed / "query_pb2.pyi").write_text("old")
    (fresh / "stream_pb2.py").write_text("new")
    (committed / "gone_pb2.py").write_text("old")

    found = generate.differences(fresh, committed)

    assert found == [
        "gone_pb2.py: left over, no .proto file makes it",
        "query_pb2.pyi: stale",
        "stream_pb2.py: missing",
    ]


def test_replacing_leaves_no_difference_and_keeps_files_written_by_hand(
    generate: ModuleType, folders: tuple[Path, Path]
) -> None:
    fresh, committed = folders
    (fresh / "stream_pb2.py").write_text("new")
    (committed / "gone_pb2.py").write_text("old")

    generate.replace(fresh, committed)

    assert generate.differences(fresh, committed) == []
    assert (committed / "__init__.py").read_text() == "by hand"


def test_environment_with_the_wanted_pins_is_used_as_it_is(generate: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "pins.txt").write_text("\n".join([sys.version, "a==1"]))

    interpreter = generate.prepare(tmp_path, ["a==1"])

    assert interpreter == tmp_path / "bin" / "python"

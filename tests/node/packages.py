"""Programs that run in Node, and the packages they need, installed once; tests skip where that is impossible."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from clients.web import packages

HERE: Final = Path(__file__).parent
WEB_TESTS: Final = HERE.parent / "web"
OLDEST_NODE: Final = (20, 15)  # zlib.crc32


def node_program(name: str) -> list[str]:
    """Return the command of a program of this folder, or skip and say why."""
    return [_node(HERE), node_path(name)]


def web_program(name: str, *options: str) -> list[str]:
    """Return the command of a program of tests/web, which runs modules of the page, or skip and say why."""
    return [_node(packages.HERE), *options, str(WEB_TESTS / name)]


def node_path(name: str) -> str:
    """Return the path of a program of this folder."""
    return str(HERE / name)


def node_or_reason() -> tuple[str, str]:
    """Return the path of node, and why the programs of this folder cannot run; empty where they can."""
    return _node_or_reason(HERE)


def _node(folder: Path) -> str:
    node, reason = _node_or_reason(folder)
    if reason:
        pytest.skip(reason)
    return node


@functools.cache
def _node_or_reason(folder: Path) -> tuple[str, str]:
    node = shutil.which("node")
    if node is None:
        return "", "node is not installed"
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < OLDEST_NODE:
        return "", f"node {version} is older than {'.'.join(map(str, OLDEST_NODE))}"
    return node, packages.install(folder)

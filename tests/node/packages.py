"""The packages of the Node client, installed once into a folder that git ignores; tests skip where they cannot be."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

HERE: Final = Path(__file__).parent
MODULES: Final = HERE / "node_modules"
OLDEST_NODE: Final = (20, 15)  # zlib.crc32
INSTALL_LIMIT_S: Final = 100
UNREACHABLE: Final = re.compile(
    r"\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ERR_SOCKET_TIMEOUT|ENETUNREACH|EHOSTUNREACH|ENOTCACHED|E5\d\d)\b"
)


def node_program(name: str) -> list[str]:
    """Return the command of a program of this folder, or skip and say why."""
    node, reason = node_or_reason()
    if reason:
        pytest.skip(reason)
    return [node, node_path(name)]


def node_path(name: str) -> str:
    """Return the path of a program of this folder."""
    return str(HERE / name)


@functools.cache
def node_or_reason() -> tuple[str, str]:
    """Return the path of node, and why the programs cannot run; empty where they can."""
    node = shutil.which("node")
    if node is None:
        return "", "node is not installed"
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < OLDEST_NODE:
        return "", f"node {version} is older than {'.'.join(map(str, OLDEST_NODE))}"
    with (HERE / ".install-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # workers of one run, and runs beside each other
        return node, _install()


def _install() -> str:
    """Install what the lock file names unless it is there; return why it is impossible, if it is."""
    wanted = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
    stamp = MODULES / ".installed"
    if stamp.is_file() and stamp.read_text() == wanted:
        return ""
    npm = shutil.which("npm")
    if npm is None:
        return "npm is not installed, and the packages of tests/node are not there"
    command = [npm, "ci", "--prefer-offline", "--fetch-retries=0", "--fetch-timeout=20000"]
    try:
        done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=INSTALL_LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return f"npm ci has not ended within {INSTALL_LIMIT_S} s"
    if done.returncode:
        if UNREACHABLE.search(done.stderr):
            return "the npm registry cannot be reached, and the packages of tests/node are not cached"
        raise RuntimeError(f"npm ci failed in tests/node:\n{done.stderr}")
    stamp.write_text(wanted)
    return ""

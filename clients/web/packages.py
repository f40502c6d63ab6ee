"""Install the npm packages of a folder once, into its node_modules, which git ignores.

    python3 clients/web/packages.py             all, those of developers too
    python3 clients/web/packages.py --page      those that a browser loads, and no others

Where npm is missing or cannot fetch them, the reason is printed and the exit status is 77.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
SKIPPED: Final = 77
INSTALL_LIMIT_S: Final = 100
UNREACHABLE: Final = re.compile(
    r"\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ERR_SOCKET_TIMEOUT|ENETUNREACH|EHOSTUNREACH|ENOTCACHED|E5\d\d)\b"
)
EVERYTHING: Final = "all"
PAGE: Final = "page"


def install(folder: Path, which: str = EVERYTHING) -> str:
    """Install what the lock file of a folder names unless it is there; return why it is impossible, if it is.

    Raises:
        RuntimeError: npm refused the lock file.
    """
    with (folder / ".install-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # workers of one run, and runs beside each other
        return _install(folder, which)


def _install(folder: Path, which: str) -> str:
    wanted = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
    stamp = folder / "node_modules" / ".installed"
    installed = stamp.read_text().split() if stamp.is_file() else []
    if installed and installed[0] == wanted and which in (installed[1], PAGE):
        return ""
    npm = shutil.which("npm")
    if npm is None:
        return f"npm is not installed, and the packages of {folder.name} are not there"
    command = [npm, "ci", "--prefer-offline", "--fetch-retries=0", "--fetch-timeout=20000"]
    if which == PAGE:
        command.append("--omit=dev")
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return f"npm ci has not ended within {INSTALL_LIMIT_S} s"
    if done.returncode:
        if UNREACHABLE.search(done.stderr):
            return f"the npm registry cannot be reached, and the packages of {folder.name} are not cached"
        raise RuntimeError(f"npm ci failed in {folder}:\n{done.stderr}")
    stamp.write_text(f"{wanted} {which}")
    return ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description="install the npm packages of the page")
    parser.add_argument("--page", action="store_true", help="only what a browser loads")
    options = parser.parse_args(arguments)
    reason = install(HERE, PAGE if options.page else EVERYTHING)
    if reason:
        print(reason)
    return SKIPPED if reason else 0


if __name__ == "__main__":
    sys.exit(main())

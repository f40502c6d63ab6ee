"""Where the sockets of one server are: in a folder that is made for it, and that only its user can enter."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

MAX_FOLDER_BYTES: Final = 80
"""The path of a unix socket has 107 at most."""


@contextlib.contextmanager
def socket_folder() -> Iterator[Path]:
    """Make a folder of mode 0700 and remove it when the block is left."""
    folder = tempfile.mkdtemp(prefix="liqscape-")
    if len(folder.encode()) > MAX_FOLDER_BYTES:
        shutil.rmtree(folder)
        folder = tempfile.mkdtemp(prefix="liqscape-", dir="/tmp")
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def engine_socket(folder: Path) -> Path:
    """Return where the engine answers."""
    return folder / "engine"


def supervisor_socket(folder: Path) -> Path:
    """Return where the supervisor takes reports."""
    return folder / "supervisor"

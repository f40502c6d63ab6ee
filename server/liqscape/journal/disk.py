"""What must be on the disk before anything else relies on it: files, and the names in folders.

A file that was brought to the disk can still be lost by a loss of power if its name was not, and a folder likewise.
"""

from __future__ import annotations

import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk.

    Raises:
        OSError: it cannot be done.
    """
    _sync(folder, os.O_RDONLY | os.O_DIRECTORY)


def sync_file(path: Path) -> None:
    """Bring what is in a file to the disk, whoever wrote it.

    Raises:
        OSError: it cannot be done.
    """
    _sync(path, os.O_RDONLY)


def make_folder(folder: Path, mode: int = 0o777) -> None:
    """Make a folder where it is missing, its name on the disk; those above it as well.

    Raises:
        OSError: it cannot be done.
    """
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True, mode=mode)
    sync_folder(folder.parent)


def _sync(path: Path, flags: int) -> None:
    handle = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

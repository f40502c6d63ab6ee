"""A disk that has only what it was told to keep: every write and every name that was not synced may be lost.

Files lie in a real folder, so the code under test runs as always; beside it is remembered what a disk would have. A
write reaches it in sectors of 512 bytes, each or none, in any order, until its file is synced; a name that came or
went, until its folder is. SQLite is heard through a VFS of APSW, everything else through the functions of os that bring
things to the disk. Written by io.open and never synced, a file holds any of its sectors.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

SECTOR: Final = 512
"""Bytes that a disk writes as a whole or not at all."""


class PowerLoss(BaseException):
    """Nothing is done any more. Not an Exception: nobody may take it for a failure that can be survived."""


@dataclass(eq=False)
class Node:
    """A file or a folder: what the disk has of it for certain, and what was written since, in order."""

    is_folder: bool
    is_heard: bool = False  # each write is, so that older versions of a sector are known too
    durable: bytes = b""
    pending: list[tuple[int, bytes] | int] = field(default_factory=list)  # (offset, data), or a length
    names: dict[str, Node] = field(default_factory=dict)
    renames: list[tuple[str | None, str | None, Node]] = field(default_factory=list)  # (name gone, name come, node)

    def sync(self, content: bytes | None) -> None:
        """Have everything; of a file whose writes are not heard, the content as it is."""
        self.durable = _written(self.durable, self.pending) if content is None else content
        self.pending = []
        for gone, come, node in self.renames:
            _rename(self.names, gone, come, node)
        self.renames = []


class LossyDisk:
    """See above.

    Args:
        top: a real folder; what lies in it is on the disk.
        lose_at: number of the operation that power is lost before; None: it is not, by itself.

    Attributes:
        operations: so many were done.
    """

    def __init__(self, top: Path, lose_at: int | None = None) -> None:
        self.top = top
        self.operations = 0
        self._lose_at = lose_at
        self._is_off = False
        self._nodes: dict[int, Node] = {}
        self._real = {name: getattr(os, name) for name in ("fsync", "replace", "rename", "unlink", "mkdir", "pwrite")}
        self._root = Node(is_folder=True)
        self._nodes[top.stat().st_ino] = self._root
        self._discover(top, self._root)
        self._settle(self._root, top)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Hear what this process does to files below the top."""
        heard: dict[str, Callable[..., Any]] = {
            "fsync": self._fsync,
            "replace": self._replace,
            "rename": self._replace,
            "unlink": self._unlink,
            "mkdir": self._mkdir,
            "pwrite": self._pwrite,
        }
        with pytest.MonkeyPatch.context() as patch:
            for name, function in heard.items():
                patch.setattr(os, name, function)
            yield

    def lose_power(self) -> None:
        """From now on nothing can be done."""
        self._is_off = True

    def count(self) -> None:
        """Note that an operation begins.

        Raises:
            PowerLoss: it does not.
        """
        if self._is_off or self.operations == self._lose_at:
            self._is_off = True
            raise PowerLoss
        self.operations += 1

    def left(self, random: Random, into: Path, share: float | None = None) -> None:
        """Write what is found when power is back into another folder.

        Args:
            random: decides what has come through.
            into: is made.
            share: of what was not synced that has; None: any.
        """
        for path, node in self._walk(self.top, self._root):
            if not node.is_folder and not node.is_heard and path.exists() and path.read_bytes() != node.durable:
                node.pending = [(0, path.read_bytes())]
        if share is None:
            share = random.choice((0.0, 1.0, random.random(), random.random()))
        self._restore(self._root, random, share, into)

    # What SQLite does, see lossy_sqlite.

    def opened(self, path: Path) -> Node:
        """Return the node of a file whose every write will be told."""
        self._scan()
        node = self._node(path)
        if not node.is_heard:
            node.is_heard = True
            content = path.read_bytes()
            if content != node.durable:
                node.pending = [(0, content)]
        return node

    def sync(self, path: Path, node: Node, *, with_name: bool) -> None:
        """Bring a file, and its name if that is wanted, to the disk."""
        self._scan()
        node.sync(None)
        if with_name:
            self._node(path.parent).sync(b"")

    def deleted(self, path: Path, *, with_name: bool) -> None:
        """Note that a file will be deleted."""
        self._gone(path)
        if with_name:
            self._node(path.parent).sync(b"")

    # What Python does.

    def _fsync(self, handle: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{handle}"))
        if not self._is_mine(path):
            self._real["fsync"](handle)
            return
        self.count()
        self._scan()
        node = self._nodes[os.fstat(handle).st_ino]
        is_whole = node.is_folder or node.is_heard
        node.sync(None if is_whole else Path(f"/proc/self/fd/{handle}").read_bytes())

    def _replace(self, source: Any, target: Any, **more: Any) -> None:
        old, new = Path(source), Path(target)
        if self._is_mine(old):
            self.count()
            self._scan()
            node = self._node(old)
            if new.exists():
                del self._nodes[new.stat().st_ino]
            assert old.parent == new.parent
            self._node(old.parent).renames.append((old.name, new.name, node))
        self._real["replace"](source, target, **more)

    def _unlink(self, path: Any, **more: Any) -> None:
        if self._is_mine(Path(path)) and Path(path).exists():
            self.count()
            self._gone(Path(path))
        self._real["unlink"](path, **more)

    def _mkdir(self, path: Any, *arguments: Any, **more: Any) -> None:
        if self._is_mine(Path(path)):
            self.count()
        self._real["mkdir"](path, *arguments, **more)
        if self._is_mine(Path(path)):
            self._scan()

    def _pwrite(self, handle: int, data: bytes, offset: int) -> int:
        path = Path(os.readlink(f"/proc/self/fd/{handle}"))
        if self._is_mine(path):
            self.count()
            self.opened(path).pending.append((offset, bytes(data)))
        return int(self._real["pwrite"](handle, data, offset))

    # What is remembered.

    def _is_mine(self, path: Path) -> bool:
        return path == self.top or self.top in path.parents

    def _gone(self, path: Path) -> None:
        self._scan()
        node = self._node(path)
        del self._nodes[path.stat().st_ino]
        self._node(path.parent).renames.append((path.name, None, node))

    def _node(self, path: Path) -> Node:
        return self._nodes[path.stat().st_ino]

    def _scan(self) -> None:
        """Notice what has come without being told."""
        self._discover(self.top, self._root)

    def _discover(self, path: Path, node: Node) -> None:
        for entry in sorted(os.scandir(path), key=lambda entry: entry.name):
            info = entry.stat()
            if info.st_ino not in self._nodes:
                self._nodes[info.st_ino] = Node(is_folder=stat.S_ISDIR(info.st_mode))
                node.renames.append((None, entry.name, self._nodes[info.st_ino]))
            if entry.is_dir():
                self._discover(Path(entry.path), self._nodes[info.st_ino])

    def _settle(self, node: Node, path: Path) -> None:
        """Take what lies here for what the disk has."""
        node.sync(b"" if node.is_folder else path.read_bytes())
        for name, inner in node.names.items():
            self._settle(inner, path / name)

    def _walk(self, path: Path, node: Node) -> Iterator[tuple[Path, Node]]:
        yield path, node
        names = dict(node.names)
        for gone, come, inner in node.renames:
            _rename(names, gone, come, inner)
        for name, inner in names.items():
            yield from self._walk(path / name, inner)

    def _restore(self, node: Node, random: Random, share: float, path: Path) -> None:
        if not node.is_folder:
            path.write_bytes(_torn(node, random, share))
            return
        path.mkdir(exist_ok=True)
        names = dict(node.names)
        if share and random.random() < 0.5:  # as a file system that keeps a log of names: the first ones
            kept = node.renames[: random.randint(0, len(node.renames))]
        else:
            kept = [change for change in node.renames if random.random() < share]
        for gone, come, inner in kept:
            _rename(names, gone, come, inner)
        for name, inner in names.items():
            self._restore(inner, random, share, path / name)


def _rename(names: dict[str, Node], gone: str | None, come: str | None, node: Node) -> None:
    if gone is not None and names.get(gone) is node:
        del names[gone]
    if come is not None:
        names[come] = node


def _written(content: bytes, writes: Sequence[tuple[int, bytes] | int]) -> bytes:
    data = bytearray(content)
    for write in writes:
        if isinstance(write, int):
            del data[write:]
            data.extend(bytes(write - len(data)))
        else:
            offset, new = write
            data.extend(bytes(max(0, offset - len(data))))
            data[offset : offset + len(new)] = new
    return bytes(data)


def _torn(node: Node, random: Random, share: float) -> bytes:
    """Return what is left of a file: any sectors of what was written since it was synced, in any order."""
    parts: list[tuple[int, bytes] | int] = []
    for write in node.pending:
        if isinstance(write, int):
            parts.append(write)
            continue
        at, data = write
        while data:
            size = SECTOR - at % SECTOR
            parts.append((at, data[:size]))
            at, data = at + size, data[size:]
    kept = [part for part in parts if random.random() < share]
    if share < 1.0 and random.random() < 0.5:
        random.shuffle(kept)
    return _written(node.durable, kept)

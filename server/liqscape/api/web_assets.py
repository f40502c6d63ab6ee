"""The files of the page: those that its list names, and no other.

The list is assets.json beside them: {"files": ["index.html", ...]}, paths relative to its folder. Whatever an address
asks for is looked up in it, so it cannot lead anywhere else.
"""

from __future__ import annotations

import json
import mimetypes
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

import liqscape

LIST: Final = "assets.json"
PAGE: Final = "index.html"

_TYPES: Final = {".js": "text/javascript", ".mjs": "text/javascript", ".json": "application/json"}
"""Whatever the machine's tables say: with nosniff a browser runs nothing else."""


@dataclass(frozen=True, slots=True)
class WebAssets:
    """What is there of the page.

    Attributes:
        files: where each file is, by its path in the list.
        missing: paths in the list that are not there.
    """

    files: dict[str, Path] = field(default_factory=dict)
    missing: tuple[str, ...] = ()

    @classmethod
    def find(cls, folder: Path | None = None) -> WebAssets:
        """Return those of a folder; None: of the installed package, or of the checkout it runs from."""
        folder = folder or _folder()
        try:
            listed = list(json.loads((folder / LIST).read_text("utf-8"))["files"])
        except (OSError, ValueError, KeyError, TypeError):
            return cls(missing=(LIST,))
        paths = {name: folder / name for name in listed if _is_plain(name)}
        files = {name: path for name, path in paths.items() if path.is_file()}
        return cls(files, tuple(sorted(set(listed) - files.keys())))

    @property
    def is_complete(self) -> bool:
        """Return whether the page can run."""
        return not self.missing and PAGE in self.files


def content_type(path: Path) -> str:
    """Return the type of a file by its name."""
    kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") or kind == "application/json" else kind


def _is_plain(name: object) -> bool:
    return isinstance(name, str) and ".." not in PurePosixPath(name).parts and not name.startswith("/")


def _folder() -> Path:
    package = Path(liqscape.__file__).parent
    installed = package / "web"
    return installed if installed.is_dir() else package.parent.parent / "clients" / "web"

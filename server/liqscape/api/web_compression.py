"""Answers as gzip for who accepts it: questions, and the files of the page. May not see tickets or sessions.

What is packed holds no secret: who can make a browser ask, and sees how long answers are, learns nothing that way. The
frames of a session are packed already, once for all readers.
"""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path
from typing import Final

from aiohttp import web

LEAST_BYTES: Final = 1024
"""What is shorter fits a packet or two as it is."""

ANSWER_LEVEL: Final = 1
"""A grid of 4.3 MB becomes 0.63 MB in 0.1 s; at level 6, which aiohttp would take, 0.44 MB in 0.3 s."""

FILE_LEVEL: Final = 6
"""A file is packed once, and not for each who asks: nobody needs a token to ask for one. The largest becomes 62 KB in 7
ms, and is not 1 % shorter at level 9."""

VARY: Final = {"Vary": "Accept-Encoding"}


def accepts_gzip(request: web.Request) -> bool:
    """Return whether a request says that its answer may be gzip; a weight that is no number is none."""
    weights: dict[str, float] = {}
    for part in ",".join(request.headers.getall("Accept-Encoding", ())).lower().split(","):
        name, _, parameter = (word.strip() for word in part.partition(";"))
        weights[name] = _weight(parameter)
    return weights.get("gzip", weights.get("*", 0.0)) > 0.0


def _weight(parameter: str) -> float:
    name, _, value = (word.strip() for word in parameter.partition("="))
    try:
        return float(value) if name == "q" else 1.0
    except ValueError:
        return 0.0


async def packed_answer(request: web.Request, body: bytes, content_type: str = "application/json") -> web.Response:
    """Return an answer, packed where the request accepts that and it is worth it.

    Args:
        request: whose answer it is.
        body: of the answer.
        content_type: of the body, with its parameters.
    """
    headers = {"Content-Type": content_type, **VARY}
    if len(body) >= LEAST_BYTES and accepts_gzip(request):
        body = await asyncio.to_thread(gzip.compress, body, ANSWER_LEVEL, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return web.Response(body=body, headers=headers)


class PackedFiles:
    """Files as gzip, each packed when it is first asked for, and when it has changed."""

    def __init__(self) -> None:
        self._packed: dict[Path, tuple[str, bytes]] = {}

    async def answer(self, request: web.Request, path: Path, headers: dict[str, str]) -> web.StreamResponse:
        """Return a file, packed where the request accepts that, or 304 where the asker has it.

        Args:
            request: whose answer it is.
            path: of a file that may be told to anyone.
            headers: of the answer.
        """
        headers = {**headers, **VARY}
        if "Range" in request.headers or not accepts_gzip(request):
            return web.FileResponse(path, headers=headers)
        tag, body = await asyncio.to_thread(self._of, path)
        if not body:
            return web.FileResponse(path, headers=headers)
        headers["ETag"] = f'"{tag}"'
        if any(known.value in (tag, "*") for known in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        return web.Response(body=body, headers={**headers, "Content-Encoding": "gzip"})

    def _of(self, path: Path) -> tuple[str, bytes]:
        """Return what tells a version from another, and the packed bytes; none where the file is short."""
        found = path.stat()
        tag = f"{found.st_mtime_ns:x}-{found.st_size:x}-gzip"  # other bytes than those of the file as it is
        known = self._packed.get(path)
        if known is None or known[0] != tag:
            body = path.read_bytes() if found.st_size >= LEAST_BYTES else b""
            known = self._packed[path] = tag, gzip.compress(body, FILE_LEVEL, mtime=0) if body else b""
        return known

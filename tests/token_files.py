"""Files of tokens as a test needs them."""

from __future__ import annotations

import time
from pathlib import Path

from liqscape.api.token_file import changing_tokens, read_tokens
from liqscape.api.tokens import TokenList, check_limits


def add_token(path: Path, name: str, *scopes: str, expires_in_s: int | None = None, **limits: int) -> str:
    """Add a token to a file, which is made where it is missing; return its text."""
    with changing_tokens(path) as write:
        known = read_tokens(path) if path.exists() else TokenList.empty()
        known, text = known.added(
            name, scopes, now_unix_s=time.time(), expires_in_s=expires_in_s, limits=check_limits(dict(limits))
        )
        write(known)
    return text


def revoke_token(path: Path, name: str) -> None:
    """Revoke a token of a file."""
    with changing_tokens(path) as write:
        write(read_tokens(path).revoked(name))

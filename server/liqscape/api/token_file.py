"""The file of tokens: read only where nobody else can, written whole or not at all, read again when it has changed."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from liqscape.api.tokens import TokenList
from liqscape.errors import ConfigError

MAX_FILE_BYTES: Final = 4 << 20
"""So many tokens as are allowed, with names and limits as long as they can be."""

_LOG = logging.getLogger(__name__)

Signature = tuple[int, int, int, int]


def default_token_path() -> Path:
    """Return where tokens are kept unless told otherwise: the settings of the user who runs the server.

    Not in the working folder, where a file of secrets ends up in a commit or an image sooner or later.
    """
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "liqscape" / "tokens.json"


def read_tokens(path: Path) -> TokenList:
    """Return the tokens of a file.

    Raises:
        ConfigError: the file cannot be read, is no such file, or others may read it.
    """
    return _read(path)[0]


@contextlib.contextmanager
def changing_tokens(path: Path) -> Iterator[Callable[[TokenList], None]]:
    """Hold the file for a change: inside, nobody else changes it. Yields what writes it."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise ConfigError(f"folder {path.parent} of the tokens cannot be used: {error.strerror}") from None
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield lambda tokens: _write(path, tokens, folder)
    finally:
        os.close(folder)


class TokenFile:
    """The tokens of a running server.

    A file that has gone means that no token is valid any more. One that is malformed, or that others may read, changes
    nothing: a slip of the hand must not end every stream. It is logged, once.
    """

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            ConfigError: as read_tokens, or it holds no token.
        """
        self._path = path
        self._signature: Signature | None
        self.tokens, self._signature = _read(path)
        if not self.tokens.tokens:
            raise ConfigError(f"{path} holds no token; make one: liqscape token add NAME --tokens {path}")

    def refresh(self) -> TokenList:
        """Return the tokens of now; a look at the file's size and times unless it has changed."""
        try:
            signature: Signature | None = _signature(os.stat(self._path))
        except OSError:
            signature = None
        if signature != self._signature:
            self._signature = signature
            self._read_again()
        return self.tokens

    def _read_again(self) -> None:
        if self._signature is None:
            _LOG.error("tokens: %s has gone; no token is valid", self._path)
            self.tokens = TokenList(self.tokens.salt)
            return
        try:
            self.tokens, self._signature = _read(self._path)
        except ConfigError as error:
            _LOG.error("tokens stay as they were: %s", error)
            return
        _LOG.info("tokens: %d are known now", len(self.tokens.tokens))


def _read(path: Path) -> tuple[TokenList, Signature]:
    try:
        with open(path, "rb") as file:
            about = os.fstat(file.fileno())
            _check_private(path, about)
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(
            f"tokens: {path} does not exist; make a first token: liqscape token add NAME --tokens {path}"
        ) from None
    except OSError as error:
        raise ConfigError(f"tokens: {path} cannot be read: {error.strerror}") from None
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError(f"tokens: {path} is larger than {MAX_FILE_BYTES} bytes")
    try:
        return TokenList.from_json(data.decode()), _signature(about)
    except (ConfigError, UnicodeDecodeError) as error:
        raise ConfigError(f"tokens: {path}: {error}") from None


def _check_private(path: Path, about: os.stat_result) -> None:
    if not stat.S_ISREG(about.st_mode):
        raise ConfigError(f"tokens: {path} is not a file")
    if about.st_uid not in (os.geteuid(), 0):
        raise ConfigError(f"tokens: {path} belongs to another user; it must be yours or root's")
    if about.st_mode & 0o077:
        mode = stat.S_IMODE(about.st_mode)
        raise ConfigError(f"tokens: {path} has mode {mode:04o}, so others may use it; run: chmod 600 {path}")


def _signature(about: os.stat_result) -> Signature:
    return about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns


def _write(path: Path, tokens: TokenList, folder: int) -> None:
    temporary = None
    try:
        number, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600 from the start
        with open(number, "w", encoding="utf-8") as file:
            file.write(tokens.to_json())
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        os.fsync(folder)
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        raise ConfigError(f"tokens: {path} cannot be written: {error.strerror}") from None

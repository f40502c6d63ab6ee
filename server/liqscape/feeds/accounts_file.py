"""The file of --accounts: one address a line. Reads it, and refuses it whole where a line is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from liqscape.errors import ConfigError, InvalidArgument

MAX_NAMED: Final = 500
"""Accounts of a file. See config.MAX_FOUND_ACCOUNTS."""

MAX_FILE_BYTES: Final = 1 << 20
"""Of 500 addresses with a comment each, ten times over."""


def read_accounts(path: Path, address_of: Callable[[str], str]) -> tuple[str, ...]:
    """Return the addresses of a file in its order: one a line, empty lines and what follows a # left out.

    Args:
        path: UTF-8 text.
        address_of: returns an address in its one form, or raises InvalidArgument.

    Raises:
        ConfigError: it cannot be read, names no account or too many, or a line is wrong; file and line are named.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        text = data.decode("utf-8")
    except OSError as error:
        raise ConfigError(f"accounts {path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"accounts {path} is no UTF-8 text; it has one address a line") from error
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError(f"accounts {path} has more than {MAX_FILE_BYTES} bytes; at most {MAX_NAMED} addresses fit")
    lines: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        said = line.partition("#")[0].strip()
        if not said:
            continue
        try:
            address = address_of(said)
        except InvalidArgument as error:
            raise ConfigError(f"accounts {path}, line {number}: {error}") from None
        if address in lines:
            raise ConfigError(f"accounts {path}, line {number} repeats line {lines[address]}; name an account once")
        lines[address] = number
        if len(lines) > MAX_NAMED:
            raise ConfigError(f"accounts {path}, line {number}: more than {MAX_NAMED} accounts; that many are allowed")
    if not lines:
        raise ConfigError(f"accounts {path} names no account; it has one address a line")
    return tuple(lines)

"""Tokens: their text, their hash, and the list of those that are known. Pure: no file, no clock.

A token is 32 random bytes. Nobody can guess one or try them all, however fast the hash, so a slow hash (as passwords
need) would only let callers with wrong tokens burn our processor. The salt keeps two files from showing that they hold
the same token.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any, Final

from liqscape.api.limits import TOKEN_LIMITS, CallerLimits
from liqscape.errors import ConfigError

TOKEN_PREFIX: Final = "liqs_"
"""So that people and secret scanners know one when it lies about."""

TOKEN_BYTES: Final = 32
SCOPES: Final = ("stream", "query", "admin")
MAX_TOKENS: Final = 4096
"""Each call is compared with all of them: about 1 ms at so many."""

_TOKEN: Final = re.compile(r"liqs_[A-Za-z0-9_-]{43}")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DURATION: Final = re.compile(r"([1-9][0-9]{0,4})([hdw])")
_SECONDS: Final = {"h": 3600, "d": 86_400, "w": 604_800}
_VERSION: Final = 1
_MAX_LIMIT: Final = 1 << 31


@dataclass(frozen=True, slots=True)
class Token:
    """What is kept of a token.

    Attributes:
        name: for people and logs.
        digest: hash of its text, hexadecimal.
        scopes: what it may do, of SCOPES.
        created_unix_s, expires_unix_s: whole seconds; None never expires.
        limits: of its own.
    """

    name: str
    digest: str
    scopes: frozenset[str]
    created_unix_s: int
    expires_unix_s: int | None = None
    limits: CallerLimits = TOKEN_LIMITS

    def is_expired(self, now_unix_s: float) -> bool:
        """Return whether its time is over."""
        return self.expires_unix_s is not None and now_unix_s >= self.expires_unix_s


@dataclass(frozen=True, slots=True)
class TokenList:
    """All tokens of a server; never changed, only replaced."""

    salt: bytes
    tokens: tuple[Token, ...] = ()

    @classmethod
    def empty(cls) -> TokenList:
        """Return a list without tokens, with a salt of its own."""
        return cls(secrets.token_bytes(16))

    def find(self, text: str) -> Token | None:
        """Return the token with a text. Takes the same time whichever it is, and if it is none."""
        digest = self._digest(text)
        found = None
        for token in self.tokens:
            if hmac.compare_digest(digest, token.digest):
                found = token
        return found

    def added(
        self,
        name: str,
        scopes: Iterable[str],
        *,
        now_unix_s: float,
        expires_in_s: int | None = None,
        limits: CallerLimits = TOKEN_LIMITS,
    ) -> tuple[TokenList, str]:
        """Return the list with one token more, and its text, which is nowhere else.

        Raises:
            ConfigError: the name is malformed or taken, a scope is unknown, or there are too many.
        """
        check_name(name)
        if any(token.name == name for token in self.tokens):
            raise ConfigError(f"a token named {name!r} exists; revoke it first, or use another name")
        if len(self.tokens) >= MAX_TOKENS:
            raise ConfigError(f"there are {MAX_TOKENS} tokens, as many as are allowed; revoke some")
        text = TOKEN_PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
        now = int(now_unix_s)
        expires = None if expires_in_s is None else now + expires_in_s
        token = Token(name, self._digest(text), check_scopes(scopes), now, expires, limits)
        return replace(self, tokens=(*self.tokens, token)), text

    def revoked(self, name: str) -> TokenList:
        """Return the list without a token.

        Raises:
            ConfigError: there is none of this name.
        """
        kept = tuple(token for token in self.tokens if token.name != name)
        if len(kept) == len(self.tokens):
            names = ", ".join(token.name for token in self.tokens) or "none"
            raise ConfigError(f"no token is named {name!r}; there are: {names}")
        return replace(self, tokens=kept)

    def to_json(self) -> str:
        """Return the text of a file."""
        tokens = [
            {
                "name": token.name,
                "digest": token.digest,
                "scopes": [scope for scope in SCOPES if scope in token.scopes],
                "created": _to_text(token.created_unix_s),
                "expires": None if token.expires_unix_s is None else _to_text(token.expires_unix_s),
                "limits": {
                    name: value for name, value in asdict(token.limits).items() if value != getattr(TOKEN_LIMITS, name)
                },
            }
            for token in self.tokens
        ]
        return json.dumps({"version": _VERSION, "salt": self.salt.hex(), "tokens": tokens}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> TokenList:
        """Return the list that a file holds.

        Raises:
            ConfigError: it is no such file. The text quotes nothing of it but names and limits.
        """
        try:
            whole = json.loads(text)
            if whole["version"] != _VERSION:
                raise ConfigError(f"version {whole['version']!r} is unknown; this program writes {_VERSION}")
            tokens = tuple(_token(entry) for entry in whole["tokens"])
            names = {token.name for token in tokens}
            if len(names) != len(tokens) or len(tokens) > MAX_TOKENS:
                raise ConfigError(f"two tokens have one name, or there are more than {MAX_TOKENS}")
            return cls(bytes.fromhex(whole["salt"]), tokens)
        except ConfigError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise ConfigError("not a list of tokens as `liqscape token` writes it") from None

    def _digest(self, text: str) -> str:
        return hashlib.blake2b(text.encode(), digest_size=32, salt=self.salt, person=b"liqscape-token").hexdigest()


def is_token(text: str) -> bool:
    """Return whether a text has the form of a token."""
    return _TOKEN.fullmatch(text) is not None


def check_name(name: str) -> None:
    """Raise ConfigError unless a name is one that can stand in a line of a log."""
    if not _NAME.fullmatch(name):
        raise ConfigError(f"token name {name!r} is not allowed; use up to 64 letters, digits, '.', '_' and '-'")


def check_scopes(scopes: Iterable[str]) -> frozenset[str]:
    """Return scopes as a set; raise ConfigError if one is unknown or there is none."""
    chosen = frozenset(scopes)
    unknown = sorted(chosen - set(SCOPES))
    if unknown or not chosen:
        raise ConfigError(
            f"scope {', '.join(map(repr, unknown)) or 'none'} is unknown; use some of {', '.join(SCOPES)}"
        )
    return chosen


def parse_duration(text: str) -> int:
    """Return seconds of a duration as 12h, 90d or 8w.

    Raises:
        ConfigError: it is none.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ConfigError(f"duration {text!r} is invalid; use for example 12h, 90d or 8w")
    return int(match[1]) * _SECONDS[match[2]]


def check_limits(limits: dict[str, Any]) -> CallerLimits:
    """Return the usual limits with some replaced; raise ConfigError if one is unknown or no positive whole number."""
    known = [field.name for field in fields(CallerLimits)]
    for name, value in limits.items():
        if name not in known:
            raise ConfigError(f"limit {name!r} is unknown; use some of {', '.join(known)}")
        if type(value) is not int or not 0 < value < _MAX_LIMIT:
            raise ConfigError(f"limit {name} is {value!r}; use a whole number from 1 to {_MAX_LIMIT - 1}")
    return replace(TOKEN_LIMITS, **limits)


def _token(entry: dict[str, Any]) -> Token:
    check_name(entry["name"])
    if len(bytes.fromhex(entry["digest"])) != TOKEN_BYTES:
        raise ValueError
    expires = entry["expires"]
    return Token(
        entry["name"],
        entry["digest"].lower(),
        check_scopes(entry["scopes"]),
        _from_text(entry["created"]),
        None if expires is None else _from_text(expires),
        check_limits(entry.get("limits", {})),
    )


def _to_text(unix_s: int) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _from_text(text: str) -> int:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ConfigError(f"time {text!r} names no zone; end it with Z")
    return int(moment.timestamp())

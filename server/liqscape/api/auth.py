"""Who calls, and what may they do. Decides from the metadata of a call, the peer's address and a clock; no socket."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from liqscape.api.limits import ADDRESS_LIMITS, CallerLimits
from liqscape.api.token_file import TokenFile
from liqscape.api.tokens import SCOPES, Token, is_token
from liqscape.errors import ConfigError, PermissionDenied, Unauthenticated

AUTHORIZATION_KEY: Final = "authorization"
BEARER: Final = "Bearer "

NO_TOKEN_TEXT: Final = "no valid token; send one as metadata 'authorization: Bearer liqs_...'"
"""The same for none, an unknown, an expired and a revoked one."""

_HEALTH: Final = "/grpc.health.v1.Health/"
_SCOPE_OF_SERVICE: Final = {"liqscape.v1.StreamService": "stream", "liqscape.v1.QueryService": "query"}

Metadata = Iterable[tuple[str, str | bytes]]


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever shares limits: a token, or an address. Equal keys are one caller.

    Attributes:
        key: of the limits' books; never the token itself.
        name: for people and logs.
        limits: what it gets.
        token: None where no token is needed.
    """

    key: str
    name: str
    limits: CallerLimits
    token: Token | None = None


def scope_of(method: str) -> str | None:
    """Return the scope a method needs, by its whole name; None for health, which needs no token.

    What is not ours (reflection, and what may come) tells about the server itself: admin.
    """
    if method.startswith(_HEALTH):
        return None
    return _SCOPE_OF_SERVICE.get(method.strip("/").partition("/")[0], "admin")


class Authenticator:
    """Turns metadata into a token.

    Args:
        file: the tokens; None = none are needed.
        now: unix seconds.
    """

    def __init__(self, file: TokenFile | None = None, now: Callable[[], float] = time.time) -> None:
        self._file = file
        self._now = now

    @property
    def needs_tokens(self) -> bool:
        """Return whether callers without a token are refused."""
        return self._file is not None

    def token_for(self, method: str, metadata: Metadata) -> Token | None:
        """Return the token of a call; None where none is needed.

        Raises:
            Unauthenticated: none that is valid. PermissionDenied: it has not the scope of the method.
        """
        scope = scope_of(method)
        if self._file is None or scope is None:
            return None
        text = bearer(metadata)
        token = self._file.refresh().find(text) if text is not None else None
        if token is None or token.is_expired(self._now()):
            raise Unauthenticated(NO_TOKEN_TEXT)
        if scope not in token.scopes:
            has = ", ".join(name for name in SCOPES if name in token.scopes)
            raise PermissionDenied(f"scope {scope!r} is needed; this token has {has}")
        return token

    def is_valid(self, token: Token, method: str) -> bool:
        """Return whether a token may still do what it was let in for."""
        assert self._file is not None
        now = self._now()
        return any(
            known.digest == token.digest and scope_of(method) in known.scopes and not known.is_expired(now)
            for known in self._file.refresh().tokens
        )


def bearer(metadata: Metadata) -> str | None:
    """Return the token that metadata carry; None where there is none, one that is none, or more than one."""
    values = [value for key, value in metadata if key == AUTHORIZATION_KEY]
    if len(values) != 1 or not isinstance(values[0], str) or not values[0].startswith(BEARER):
        return None
    text = values[0][len(BEARER) :]
    return text if is_token(text) else None


def caller_of(token: Token | None, peer: str, per_address: CallerLimits = ADDRESS_LIMITS) -> Caller:
    """Return the caller behind a token, or without one behind a peer as gRPC names it."""
    if token is not None:
        return Caller(f"token {token.digest}", f"token {token.name!r}", token.limits, token)
    address = address_of(peer)
    return Caller(f"address {address}", f"address {address}", per_address)


def address_of(peer: str) -> str:
    """Return what of a peer one owner can not change at will: an IPv4 address, an IPv6 /64, or else its kind."""
    kind, _, rest = peer.partition(":")
    if kind not in ("ipv4", "ipv6"):
        return kind
    host = unquote(rest).rpartition(":")[0].strip("[]").partition("%")[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return kind
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def check_exposure(address: str, *, loopback: bool, tls: bool, tokens: bool, insecure: bool) -> None:
    """Refuse an address that other machines reach without encryption, or without being asked who they are.

    Raises:
        ConfigError: says what is missing and how to add it.
    """
    if loopback or insecure or (tls and tokens):
        return
    missing = [
        (not tls, "without encryption", "--tls-cert FILE and --tls-key FILE"),
        (not tokens, "without tokens", "--tokens FILE (liqscape token add)"),
    ]
    lacks = " and ".join(words for is_missing, words, _ in missing if is_missing)
    add = ", ".join(flags for is_missing, _, flags in missing if is_missing)
    raise ConfigError(
        f"address {address!r} is reachable from other machines {lacks}; add {add}, or use 127.0.0.1,"
        " or say --insecure if something else protects it"
    )

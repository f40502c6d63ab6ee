"""Errors a user of the client can meet. Text: what, the value, what is allowed, what to do."""

from __future__ import annotations


class ClientError(Exception):
    """Base of every error this package raises on purpose."""


class DecodeError(ClientError):
    """Bytes from the server break the protocol; what they belong to is out of sync."""


class NotServed(ClientError):
    """A channel or symbol that this stream does not carry; the text lists those it does."""


class NotInSync(ClientError):
    """The stream did not come into sync in the time allowed; the text says how far it came."""


class ChangeRefused(ClientError):
    """Other channels were asked for in vain; the text is the server's. The stream goes on as before."""


class MissingPackage(ClientError):
    """An optional package is absent; the text says what to install."""


class ServerError(ClientError):
    """The server refused or failed.

    Attributes:
        code: name of the gRPC status, for example "NOT_FOUND".
        details: the server's own words.
    """

    def __init__(self, code: str, details: str) -> None:
        self.code = code
        self.details = details
        super().__init__(f"{details or 'no details given'} ({code})")


class InvalidRequest(ServerError):
    """The request is wrong; the text names the field and what is allowed."""


class NotFound(ServerError):
    """The symbol or timeframe does not exist; the text lists those that do."""


class NotAllowed(ServerError):
    """The token is not valid, or lacks the scope that the text names."""


class NotReady(ServerError):
    """The server is still building history; the text carries its progress."""


class Unreachable(ServerError):
    """Nobody answers at the address, or the connection broke, or the time allowed ran out."""

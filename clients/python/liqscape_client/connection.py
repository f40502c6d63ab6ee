"""How a client reaches its server: address, encryption, token. A token is never printed, logged or sent in clear."""

from __future__ import annotations

import argparse
import ipaddress
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc

from liqscape_client.errors import ClientError

DEFAULT_ADDRESS: Final = "127.0.0.1:50051"
TOKEN_VARIABLE: Final = "LIQSCAPE_TOKEN"
"""Not a flag: what is on a command line can be read by every user of a machine."""

_TOKEN_CHARACTERS: Final = re.compile(r"[A-Za-z0-9._~+/=-]{1,512}")


@dataclass(frozen=True, slots=True)
class Tls:
    """Encryption of a connection. Files in PEM.

    Attributes:
        ca: who may have signed the server's certificate; None = those the system trusts.
        certificate, key: of the client, where the server asks for one.
    """

    ca: Path | str | None = None
    certificate: Path | str | None = None
    key: Path | str | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        """Return what a channel takes.

        Raises:
            ClientError: a file cannot be read, or certificate and key are not both given.
        """
        if (self.certificate is None) != (self.key is None):
            raise ClientError("a client certificate needs its key, and a key its certificate; give both or none")
        return grpc.ssl_channel_credentials(_read(self.ca), _read(self.key), _read(self.certificate))


def to_credentials(tls: Tls | bool | None) -> grpc.ChannelCredentials | None:
    """Return the credentials that `tls` of a client stands for; None = clear text."""
    if tls is None or tls is False:
        return None
    return (Tls() if tls is True else tls).credentials()


def token_metadata(token: str | None, address: str, *, encrypted: bool) -> tuple[tuple[str, str], ...]:
    """Return what is sent with each call.

    Raises:
        ClientError: the token holds what no token does, or would cross a network in clear. Does not quote it.
    """
    if token is None:
        return ()
    if not _TOKEN_CHARACTERS.fullmatch(token):
        raise ClientError("the token holds characters that no token has, or is too long; copy it again, without spaces")
    if not encrypted and not is_this_host(address):
        raise ClientError(
            f"the token would cross the network to {address!r} in clear text; use TLS (tls=True, or --tls)"
        )
    return (("authorization", f"Bearer {token}"),)


def is_this_host(address: str) -> bool:
    """Return whether an address is certain to be this machine: loopback or a unix socket."""
    if address.startswith("unix:"):
        return True
    host = address.removeprefix("ipv4:").removeprefix("ipv6:").rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def add_connection_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how a command reaches its server. The token comes from the environment."""
    parser.add_argument("--address", default=DEFAULT_ADDRESS, help=f"HOST:PORT (default {DEFAULT_ADDRESS})")
    parser.add_argument("--tls", action="store_true", help="encrypt; trust the authorities of this system")
    parser.add_argument("--tls-ca", type=Path, metavar="FILE", help="encrypt; trust this authority (PEM)")
    parser.add_argument("--tls-cert", type=Path, metavar="FILE", help="certificate of this client (PEM)")
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="key of the certificate (PEM)")


def client_options(namespace: argparse.Namespace) -> dict[str, Any]:
    """Return address, token and TLS for Client(...), from a command line and the environment."""
    files: Sequence[Path | None] = (namespace.tls_ca, namespace.tls_cert, namespace.tls_key)
    encrypted = namespace.tls or any(file is not None for file in files)
    return {
        "address": namespace.address,
        "token": os.environ.get(TOKEN_VARIABLE, "").strip() or None,
        "tls": Tls(*files) if encrypted else None,
    }


def _read(path: Path | str | None) -> bytes | None:
    if path is None:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ClientError(f"TLS file {path} cannot be read: {error.strerror}") from None

"""Certificate, key and client CA of a server: checked at the start, read again when the files change.

The checks use the ssl module of Python, because gRPC says of bad files only that a handshake failed.
"""

from __future__ import annotations

import logging
import os
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, cast

import grpc

from liqscape.config import TlsFiles
from liqscape.errors import ConfigError

_LOG = logging.getLogger(__name__)

_EXPIRED: Final = 10
_NOT_YET_VALID: Final = 9
"""Verification results of OpenSSL (X509_V_ERR_...)."""

Signature = tuple[tuple[int, int, int], ...]


class ServerTls:
    """Credentials of a server that follow their files.

    Files that no longer fit (half of a renewal is there) leave the last good ones in use; it is logged, once.
    """

    def __init__(self, files: TlsFiles) -> None:
        """Read the files.

        Raises:
            ConfigError: one cannot be read, is expired, or does not fit; names it.
        """
        self._files = files
        self._signature = _look(files)
        self._first = load(files)

    def credentials(self) -> grpc.ServerCredentials:
        """Return what a server's port takes; with a client CA, clients must show a certificate of it."""
        # None, for "as before", is allowed; the stubs do not say so.
        fetch = cast("Callable[[], grpc.ServerCertificateConfiguration]", self._renewed)
        return grpc.dynamic_ssl_server_credentials(
            self._first, fetch, require_client_authentication=self._files.client_ca is not None
        )

    def _renewed(self) -> grpc.ServerCertificateConfiguration | None:
        """Return the files of now if they have changed; called by gRPC at each handshake, on a thread of its own."""
        signature = _look(self._files)
        if signature == self._signature:
            return None
        self._signature = signature
        try:
            configuration = load(self._files)
        except ConfigError as error:
            _LOG.error("the TLS files in use stay: %s", error)
            return None
        _LOG.info("TLS: the certificate was renewed from %s", self._files.certificate)
        return configuration


class HttpTls:
    """The same for a server of asyncio: a context that follows its files."""

    def __init__(self, files: TlsFiles) -> None:
        """Read the files.

        Raises:
            ConfigError: as ServerTls.
        """
        self._files = files
        self._signature = _look(files)
        load(files)
        self._current = self._made()

    @property
    def context(self) -> ssl.SSLContext:
        """Return what a server takes, once."""
        return self._current

    def _made(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._files.certificate, self._files.key)
        if self._files.client_ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self._files.client_ca)
        context.sni_callback = self._renew
        return context

    def _renew(self, connection: ssl.SSLObject, _name: str, _context: ssl.SSLContext) -> None:
        """Use the files of now; called at each handshake, with a name or without one."""
        signature = _look(self._files)
        if signature != self._signature:
            self._signature = signature
            try:
                load(self._files)
                self._current = self._made()
            except (ConfigError, OSError) as error:
                _LOG.error("the TLS files in use stay: %s", error)
        connection.context = self._current


def _look(files: TlsFiles) -> Signature:
    signatures = []
    for path in files.paths():
        try:
            about = os.stat(path)
            signatures.append((about.st_ino, about.st_size, about.st_mtime_ns))
        except OSError:
            signatures.append((0, 0, 0))
    return tuple(signatures)


def load(files: TlsFiles) -> grpc.ServerCertificateConfiguration:
    """Return what gRPC takes, once it is certain that clients can use it.

    Raises:
        ConfigError: names the file and what is wrong.
    """
    certificate = _read("certificate", files.certificate)
    key = _read("key", files.key)
    _check_pair(files, certificate)
    if files.client_ca is None:
        return grpc.ssl_server_certificate_configuration([(key, certificate)])
    client_ca = _read("client CA", files.client_ca)
    _check_client_ca(files.client_ca, client_ca)
    return grpc.ssl_server_certificate_configuration([(key, certificate)], client_ca)


def _read(what: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"TLS {what} {path} cannot be read: {error.strerror}") from None


def _check_pair(files: TlsFiles, certificate: bytes) -> None:
    def no_passphrase() -> str:
        raise ConfigError(f"TLS key {files.key} has a passphrase; give one without, readable by the server alone")

    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False  # the name is the client's business: only it knows what it dialled
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # the certificate itself is trusted here, not its issuer
    try:
        client.load_verify_locations(cadata=certificate.decode("ascii"))
    except (ssl.SSLError, ValueError):
        raise ConfigError(f"TLS certificate {files.certificate} holds no certificate in PEM") from None
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        server.load_cert_chain(files.certificate, files.key, no_passphrase)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ConfigError(f"TLS key {files.key} is not the key of certificate {files.certificate}") from None
        raise ConfigError(f"TLS key {files.key} holds no private key in PEM, or {files.certificate} is weak") from None
    except OSError as error:
        raise ConfigError(f"TLS key {files.key} cannot be read: {error.strerror}") from None
    try:
        _shake_hands(client, server)
    except ssl.SSLCertVerificationError as error:
        words = {_EXPIRED: "has expired", _NOT_YET_VALID: "is not valid yet"}
        why = words.get(error.verify_code, f"cannot be used: {error.verify_message}")
        raise ConfigError(f"TLS certificate {files.certificate} {why}") from None
    except ssl.SSLError as error:
        raise ConfigError(f"TLS certificate {files.certificate} cannot be used: {error.reason}") from None


def _shake_hands(client: ssl.SSLContext, server: ssl.SSLContext) -> None:
    """Let both speak in memory until the client has verified the server, or raise SSLError."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(to_client, to_server), server.wrap_bio(to_server, to_client, server_side=True)]
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
                if end is ends[0]:
                    return
            except ssl.SSLWantReadError:
                continue


def _check_client_ca(path: Path, data: bytes) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=data.decode("ascii"))
    except (ssl.SSLError, ValueError):
        raise ConfigError(f"TLS client CA {path} holds no certificate in PEM") from None
    authorities = context.get_ca_certs()
    if not authorities:
        raise ConfigError(f"TLS client CA {path} holds no certificate of an authority")
    now = time.time()
    if all(ssl.cert_time_to_seconds(str(authority["notAfter"])) <= now for authority in authorities):
        raise ConfigError(f"TLS client CA {path} has expired")

"""A port that several processes listen on: the system spreads connections over them (SO_REUSEPORT)."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

from liqscape.api.grpc_service import split_address
from liqscape.errors import ConfigError


@contextlib.contextmanager
def reserved_port(address: str) -> Iterator[str]:
    """Hold a port without listening until the block is left; yield host:port, a free one where 0 was asked for.

    While it is held no other program gets it, even when no edge listens for a moment; edges of this user do.

    Raises:
        ConfigError: the address is malformed, in use or not of this machine.
    """
    host, port = split_address(address)
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, place = found[0]
        if port:
            # Another server that shares its port would let us in: only one that does not share finds out.
            with socket.socket(family, socket.SOCK_STREAM) as alone:
                alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                alone.bind(place)
        held = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise ConfigError(_in_use(address)) from error
    with held:
        try:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            held.bind(place)
        except OSError as error:
            raise ConfigError(_in_use(address)) from error
        yield f"{host}:{held.getsockname()[1]}"


def _in_use(address: str) -> str:
    return f"cannot listen on {address!r}; the port is in use or the address is not of this machine"

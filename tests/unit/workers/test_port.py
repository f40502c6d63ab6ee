"""A port held for processes that share it, and kept from all others."""

from __future__ import annotations

import socket

import pytest

from liqscape.errors import ConfigError
from liqscape.workers.port import reserved_port


def bound(address: str, *, shared: bool) -> socket.socket:
    host, _, port = address.rpartition(":")
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(shared))
    try:
        made.bind((host, int(port)))
    except OSError:
        made.close()
        raise
    return made


def test_free_port_is_chosen_and_can_be_shared() -> None:
    with (
        reserved_port("127.0.0.1:0") as address,
        bound(address, shared=True) as one,
        bound(address, shared=True) as two,
    ):
        one.listen()
        two.listen()
        same = one.getsockname() == two.getsockname()

    assert same
    assert not address.endswith(":0")


def test_second_server_of_the_same_kind_is_refused_while_an_edge_listens() -> None:
    with reserved_port("127.0.0.1:0") as address, bound(address, shared=True) as edge:
        edge.listen()

        with pytest.raises(ConfigError, match="the port is in use"), reserved_port(address):
            pass


def test_server_that_shares_with_nobody_is_refused_while_an_edge_listens() -> None:
    with reserved_port("127.0.0.1:0") as address, bound(address, shared=True) as edge:
        edge.listen()

        with pytest.raises(OSError, match="in use"):
            bound(address, shared=False)


def test_port_is_free_again_afterwards() -> None:
    with reserved_port("127.0.0.1:0") as address:
        pass

    with bound(address, shared=False) as alone:
        alone.listen()


def test_address_of_another_machine_is_refused() -> None:
    with pytest.raises(ConfigError, match="not of this machine"), reserved_port("192.0.2.1:0"):
        pass


def test_malformed_address_is_refused() -> None:
    with pytest.raises(ConfigError, match="is not host:port"), reserved_port("5000"):
        pass

"""How a client reaches its server, and how its token stays out of everything else."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from liqscape_client import Client, ClientError, SyncClient, Tls
from liqscape_client.bench import add_bench_arguments
from liqscape_client.connection import client_options, token_metadata
from liqscape_client.watch import add_watch_arguments

TOKEN = "liqs_" + "a" * 43


@pytest.mark.parametrize("address", ["127.0.0.1:1", "localhost:1", "[::1]:1", "unix:/run/liqscape", "ipv4:127.0.0.9:1"])
def test_token_goes_in_clear_to_this_machine(address: str) -> None:
    assert token_metadata(TOKEN, address, encrypted=False) == (("authorization", f"Bearer {TOKEN}"),)


@pytest.mark.parametrize(
    "address",
    ["example.org:1", "192.0.2.1:1", "0.0.0.0:1", "dns:///localhost:1", "localhost.example.org:1", "[::]:1", "x", ""],
)
def test_token_goes_nowhere_else_in_clear(address: str) -> None:
    with pytest.raises(ClientError, match="in clear text; use TLS") as caught:
        Client(address, token=TOKEN)

    assert TOKEN not in str(caught.value)
    assert Client(address, token=TOKEN, tls=True).metadata == (("authorization", f"Bearer {TOKEN}"),)


def test_plain_client_refuses_too() -> None:
    with pytest.raises(ClientError, match="in clear text"):
        SyncClient("example.org:1", token=TOKEN)


@pytest.mark.parametrize("token", ["", "a b", "a\nx-admin: 1", "a\r", "a\x00", "é", "a" * 513])
def test_token_that_would_forge_a_header_is_refused_and_not_quoted(token: str) -> None:
    with pytest.raises(ClientError, match="the token holds characters") as caught:
        Client("127.0.0.1:1", token=token)

    assert repr(token)[1:-1] not in str(caught.value) or len(token) < 4


def test_client_without_a_token_sends_none() -> None:
    assert Client("example.org:1").metadata == ()


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    with pytest.raises(ClientError, match=r"absent\.pem cannot be read: No such file"):
        Client("example.org:1", tls=Tls(ca=tmp_path / "absent.pem"))
    with pytest.raises(ClientError, match="needs its key"):
        Client("example.org:1", tls=Tls(certificate=tmp_path / "c.pem"))


@pytest.mark.parametrize("declare", [add_watch_arguments, add_bench_arguments])
def test_commands_take_the_token_from_the_environment_alone(declare: object, monkeypatch: pytest.MonkeyPatch) -> None:
    parser = argparse.ArgumentParser()
    assert callable(declare)
    declare(parser)
    monkeypatch.setenv("LIQSCAPE_TOKEN", f" {TOKEN}\n")

    plain = client_options(parser.parse_args([]))
    own = client_options(parser.parse_args(["--address", "example.org:1", "--tls-ca", "ca.pem"]))
    system = client_options(parser.parse_args(["--tls"]))

    assert plain == {"address": "127.0.0.1:50051", "token": TOKEN, "tls": None}
    assert own == {"address": "example.org:1", "token": TOKEN, "tls": Tls(ca=Path("ca.pem"))}
    assert system["tls"] == Tls()
    assert "--token" not in parser.format_help()
    assert TOKEN not in parser.format_help()
    monkeypatch.setenv("LIQSCAPE_TOKEN", "")
    assert client_options(parser.parse_args([]))["token"] is None

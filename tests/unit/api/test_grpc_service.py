"""Where a server may listen."""

from __future__ import annotations

import pytest

from liqscape.api.grpc_service import is_loopback, serve_grpc, split_address
from liqscape.broadcast.hub import Hub
from liqscape.broadcast.in_process import InProcessFrameSource
from liqscape.errors import ConfigError
from tests.fake_engine import FakeEngine, FakeQueries


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("127.0.0.1:50051", ("127.0.0.1", 50051)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:7", ("[::1]", 7)),
        ("example.org:65535", ("example.org", 65535)),
    ],
)
def test_address_is_host_and_port(address: str, parts: tuple[str, int]) -> None:
    assert split_address(address) == parts


@pytest.mark.parametrize(
    "address", ["", ":", "127.0.0.1", ":50051", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "127.0.0.1:-1", "::1:7"]
)
def test_malformed_address_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match=r"is not host:port with a port of 0\.\.65535"):
        split_address(address)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("[::1]", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("[::]", False),
        ("192.168.1.2", False),
        ("localhost.example.org", False),
        ("", False),
    ],
)
def test_only_this_machine_is_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", "192.0.2.1:50051"])
async def test_address_beyond_this_machine_needs_the_word_insecure(address: str) -> None:
    engine = FakeEngine()
    hub = Hub(InProcessFrameSource(engine.shard))

    with pytest.raises(ConfigError, match="reachable from other machines without encryption"):
        await serve_grpc(address, hub, FakeQueries(engine))


async def test_word_insecure_opens_every_interface() -> None:
    engine = FakeEngine()
    hub = Hub(InProcessFrameSource(engine.shard))

    running = await serve_grpc("0.0.0.0:0", hub, FakeQueries(engine), insecure=True)

    assert running.address.startswith("0.0.0.0:")
    assert not running.address.endswith(":0")
    await running.stop(0)


async def test_address_of_another_machine_cannot_be_listened_on() -> None:
    engine = FakeEngine()
    hub = Hub(InProcessFrameSource(engine.shard))

    with pytest.raises(ConfigError, match=r"cannot listen on '192\.0\.2\.1:0'"):
        await serve_grpc("192.0.2.1:0", hub, FakeQueries(engine), insecure=True)

"""A server and its backend: what it says of it, and when it refuses to start."""

from __future__ import annotations

from functools import partial

import pytest

from liqscape.app import RunningServer, serve
from liqscape.config import ServeConfig, SourceConfig
from liqscape.device.choice import Chosen, choose_backend
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.device.probe import Probe
from liqscape.errors import ConfigError

NO_GPU = Probe(backend=None, reason="no NVIDIA driver: install it")
CHOOSE = partial(choose_backend, find=lambda device: NO_GPU)
SOURCE = SourceConfig(symbols=("BTC", "ETH"))


async def nobody(server: RunningServer) -> None:
    raise AssertionError("it must not start")


def small_device(name: str, device: int) -> Chosen:
    """Return a device with room for one symbol."""
    return Chosen(NumpyBackend(), "a small device", free_bytes=2_600_000_000)


async def test_server_says_what_it_computes_with_and_why() -> None:
    said: list[str] = []

    async def ask(server: RunningServer) -> None:
        said.extend((server.backend, (await server.status()).backend))

    await serve(ServeConfig(source=SOURCE, listen="127.0.0.1:0"), ask, choose=CHOOSE)

    assert said == ["numpy: no NVIDIA driver: install it", "numpy"]


async def test_forced_gpu_that_is_not_there_ends_the_start_with_what_is_missing() -> None:
    config = ServeConfig(source=SOURCE, listen="127.0.0.1:0", backend="cupy")

    with pytest.raises(ConfigError, match="backend 'cupy' cannot run: no NVIDIA driver: install it"):
        await serve(config, nobody, choose=CHOOSE)


async def test_symbols_that_do_not_fit_a_device_together_end_the_start() -> None:
    with pytest.raises(ConfigError, match=r"books of 'ETH' need .* are left .* --no-open-only, .* --backend numpy"):
        await serve(ServeConfig(source=SOURCE, listen="127.0.0.1:0"), nobody, choose=small_device)


async def test_symbols_that_fit_without_the_open_only_book_are_served() -> None:
    started: list[str] = []

    async def note(server: RunningServer) -> None:
        started.append(server.backend)

    config = ServeConfig(source=SOURCE, listen="127.0.0.1:0", with_open_only=False)
    await serve(config, note, choose=small_device)

    assert started == ["numpy: a small device"]

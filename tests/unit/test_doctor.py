"""What the doctor command prints, and how it ends."""

from __future__ import annotations

import argparse
import io

import pytest
from rich.console import Console

from liqscape.device.memory_budget import needs
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.device.probe import Probe, Software
from liqscape.device.runtime import DeviceFacts
from liqscape.doctor import add_doctor_arguments, report
from liqscape.errors import ConfigError
from liqscape.instruments import find_instrument

SOFTWARE = Software("knows CUDA 13.0", "14.2.0 (cupy-cuda13x)", "NVRTC 13.0, /lib/libnvrtc.so.13")
NO_SOFTWARE = Software("none: not found", "none; install it with: pip install 'liqscape[gpu]'", "none: not found")
FACTS = DeviceFacts("NVIDIA Example", 90, 132, 80_000_000_000, 13_000)
NOTHING = Probe(backend=None, reason="no NVIDIA driver; pip install 'liqscape[gpu]'")
WRONG = Probe(
    backend=None,
    reason="the self-test on NVIDIA Example failed: sweep differs",
    facts=FACTS,
    self_test="sweep differs",
    self_test_ms=12.0,
    is_broken=True,
)


class FakeGpu(NumpyBackend):
    """A backend by the name of the one on a GPU."""

    name = "cupy"


def gpu(free_bytes: int) -> Probe:
    return Probe(
        backend=FakeGpu(),
        reason="NVIDIA Example",
        facts=FACTS,
        free_bytes=free_bytes,
        self_test="equal to NumPy, bit for bit",
        self_test_ms=7.4,
    )


def doctor(found: Probe, *arguments: str, software: Software = NO_SOFTWARE) -> tuple[int, list[str]]:
    """Return exit status and lines of words."""
    parser = argparse.ArgumentParser()
    add_doctor_arguments(parser)
    console = Console(file=io.StringIO(), width=120, color_system=None)
    asked: list[int] = []

    def find(device: int) -> Probe:
        asked.append(device)
        return found

    namespace = parser.parse_args(list(arguments))
    status = report(namespace, console, find, lambda: software)
    assert asked == [namespace.device]
    assert isinstance(console.file, io.StringIO)
    return status, [" ".join(line.split()) for line in console.file.getvalue().splitlines()]


def test_machine_without_a_gpu_is_well_and_says_what_is_missing() -> None:
    status, lines = doctor(NOTHING)

    assert status == 0
    assert "driver none: not found" in lines
    assert "CuPy none; install it with: pip install 'liqscape[gpu]'" in lines
    assert "device 0 none that can be used" in lines
    assert "self-test not run" in lines
    assert "backend auto numpy: no NVIDIA driver; pip install 'liqscape[gpu]'" in lines
    assert [line.split()[0] for line in lines[-2:]] == ["BTC", "ETH"]
    assert all(line.endswith(" no GPU") for line in lines[-2:])


def test_gpu_is_described_and_symbols_that_fit_are_told() -> None:
    status, lines = doctor(gpu(79_000_000_000), "--device", "1", software=SOFTWARE)

    assert status == 0
    assert "driver knows CUDA 13.0" in lines
    assert "CuPy 14.2.0 (cupy-cuda13x)" in lines
    assert "compiler NVRTC 13.0, /lib/libnvrtc.so.13" in lines
    assert "device 1 NVIDIA Example, compute capability 9.0, 132 multiprocessors" in lines
    assert "memory 80.0 GB, 79.0 GB free" in lines
    assert "self-test equal to NumPy, bit for bit, 7 ms" in lines
    assert "backend auto cupy: NVIDIA Example" in lines
    assert all(line.endswith(" yes") for line in lines[-2:])


def test_symbol_that_does_not_fit_beside_the_first_is_told() -> None:
    need = needs((find_instrument("binance:BTCUSDT"),), with_open_only=True)["BTC"]

    _, lines = doctor(gpu(2 * need.total))

    assert lines[-2].endswith(" yes")
    assert " no, " in lines[-1]


def test_venues_are_those_of_serve() -> None:
    _, many = doctor(NOTHING, "--venues", "many", "--symbols", "btc")
    _, named = doctor(NOTHING, "--venues", "bybit:ETHUSDT,binance:ETHUSD_PERP")

    assert many[-1].startswith("BTC 7 ")
    assert named[-1].startswith("ETH 2 ")


def test_unknown_symbol_is_refused() -> None:
    with pytest.raises(ConfigError, match="DOGE"):
        doctor(NOTHING, "--symbols", "DOGE")


def test_device_that_computes_wrongly_is_a_failure() -> None:
    status, lines = doctor(WRONG)

    assert status == 1
    assert "memory 80.0 GB" in lines
    assert "self-test sweep differs, 12 ms" in lines
    assert "backend auto numpy: the self-test on NVIDIA Example failed: sweep differs" in lines

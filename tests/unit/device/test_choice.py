"""Which backend computes, and why."""

from __future__ import annotations

import pytest

from liqscape.device.choice import choose_backend
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.device.probe import Probe
from liqscape.errors import ConfigError


class FakeGpu(NumpyBackend):
    """A backend by the name of the one on a GPU."""

    name = "cupy"


GPU = Probe(backend=FakeGpu(), reason="a fake GPU", free_bytes=1 << 30)
NOTHING = Probe(backend=None, reason="no NVIDIA driver: install it")


@pytest.mark.parametrize("wanted", ["auto", "cupy"])
def test_gpu_that_can_be_used_is_used(wanted: str) -> None:
    chosen = choose_backend(wanted, 2, lambda device: GPU if device == 2 else NOTHING)

    assert chosen.backend is GPU.backend
    assert chosen.free_bytes == 1 << 30
    assert str(chosen) == "cupy: a fake GPU"


def test_auto_without_a_gpu_is_numpy_and_says_why() -> None:
    chosen = choose_backend("auto", 0, lambda device: NOTHING)

    assert chosen.free_bytes is None
    assert str(chosen) == "numpy: no NVIDIA driver: install it"


def test_cupy_that_cannot_run_is_an_error_that_says_what_is_missing() -> None:
    with pytest.raises(ConfigError, match=r"'cupy' cannot run: no NVIDIA driver: install it; or use --backend numpy"):
        choose_backend("cupy", 0, lambda device: NOTHING)


def test_numpy_looks_for_no_gpu() -> None:
    def fail(device: int) -> Probe:
        raise AssertionError("nobody asked for a GPU")

    assert str(choose_backend("numpy", 0, fail)) == "numpy: as configured"


def test_unknown_backend_is_refused_and_the_text_lists_those_that_exist() -> None:
    with pytest.raises(ConfigError, match="backend 'cuda' is unknown; use one of auto, numpy, cupy"):
        choose_backend("cuda")

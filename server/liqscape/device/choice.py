"""Which backend computes: what was asked for, or the best one there is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from liqscape.config import BACKENDS
from liqscape.device.backend import Backend
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.device.probe import Probe, probe
from liqscape.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Chosen:
    """A backend, and why it is that one.

    Attributes:
        backend: what computes.
        reason: in words, for people.
        free_bytes: of its device before there is any book; None where it computes on the host.
    """

    backend: Backend
    reason: str
    free_bytes: int | None = None

    def __str__(self) -> str:
        return f"{self.backend.name}: {self.reason}"


def choose_backend(wanted: str, device: int = 0, find: Callable[[int], Probe] = probe) -> Chosen:
    """Return a backend.

    Args:
        wanted: one of BACKENDS.
        device: number of the GPU.
        find: looks for it; not asked for numpy.

    Raises:
        ConfigError: the name is unknown, or cupy cannot run: says what is missing.
    """
    if wanted not in BACKENDS:
        raise ConfigError(f"backend {wanted!r} is unknown; use one of {', '.join(BACKENDS)}")
    if wanted == "numpy":
        return Chosen(NumpyBackend(), "as configured")
    found = find(device)
    if found.backend is not None:
        return Chosen(found.backend, found.reason, found.free_bytes)
    if wanted == "cupy":
        raise ConfigError(f"backend 'cupy' cannot run: {found.reason}; or use --backend numpy")
    return Chosen(NumpyBackend(), found.reason)

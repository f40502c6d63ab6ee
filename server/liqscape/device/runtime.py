"""What a backend on a GPU needs of CUDA, as protocols: memory, streams, launches. It knows no table, ledger or grid.

cupy_runtime.py is the one for real GPUs. Tests have another, which runs the very same kernels on the CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from liqscape.errors import LiqscapeError


class OutOfDeviceMemory(LiqscapeError):
    """The device has no room for what was asked for; says how much that was."""


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """What people want to know of a device.

    Attributes:
        name: as its driver says.
        compute_capability: 10 x major + minor: 90 for 9.0.
        multiprocessors: how many it has.
        total_bytes: of its memory.
        driver_version: the newest CUDA version the driver knows, 1000 x major + 10 x minor; 0: no driver.
    """

    name: str
    compute_capability: int
    multiprocessors: int
    total_bytes: int
    driver_version: int


class Memory(Protocol):
    """Bytes on the device, uninitialised at first; given back when nobody refers to it any more."""

    @property
    def address(self) -> int:
        """Return where they begin."""
        ...

    @property
    def nbytes(self) -> int:
        """Return how many there are."""
        ...


class Moment(Protocol):
    """A place in the order of a stream's work."""

    def ms_since(self, earlier: Self) -> float:
        """Return the device's own time between two moments that have passed, in milliseconds."""
        ...


class Stream(Protocol):
    """Work in order. Every method but synchronize returns before its work is done; one thread at a time uses it."""

    def upload(self, address: int, host: NDArray[Any]) -> None:
        """Copy a contiguous array, which must stay as it is until the work is done, to the device."""
        ...

    def download(self, host: NDArray[Any], address: int) -> None:
        """Copy from the device to a contiguous array, which must not be read until the work is done."""
        ...

    def copy(self, to_address: int, address: int, nbytes: int) -> None:
        """Copy within the device; the two places do not overlap."""
        ...

    def fill(self, address: int, byte: int, nbytes: int) -> None:
        """Set every byte."""
        ...

    def launch(self, kernel: str, blocks: int, threads: int, arguments: Sequence[np.generic]) -> None:
        """Run a kernel; addresses are np.uint64."""
        ...

    def moment(self) -> Moment:
        """Return the moment at which everything asked for until now is done."""
        ...

    def synchronize(self) -> None:
        """Wait until everything is done.

        Raises:
            DeviceError: a kernel did what it must not.
        """
        ...


class DeviceError(LiqscapeError):
    """The device refused or broke off the work; nothing on it can be trusted afterwards."""


class Runtime(Protocol):
    """A device and the kernels loaded on it. Its methods may be called from any thread."""

    @property
    def facts(self) -> DeviceFacts:
        """Return what is known of the device."""
        ...

    def allocate(self, nbytes: int) -> Memory:
        """Return memory aligned to 256 bytes.

        Raises:
            OutOfDeviceMemory: there is not enough.
        """
        ...

    def pinned(self, nbytes: int) -> NDArray[np.uint8]:
        """Return host memory that copies to and from the device may use directly."""
        ...

    def stream(self, *, urgent: bool) -> Stream:
        """Return a new stream. The blocks of an urgent one go before those of others that wait."""
        ...

    def free_bytes(self) -> int:
        """Return how much more could be allocated now."""
        ...

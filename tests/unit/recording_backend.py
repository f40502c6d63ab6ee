"""A backend that does what NumPy does and remembers which batches it was asked for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from liqscape.device.backend import AdvanceRequest, AppendRequest, CloseRequest, EndedCohorts, SweepRequest
from liqscape.device.numpy_backend import NumpyBackend


class RecordingBackend(NumpyBackend):
    """See above.

    Attributes:
        calls: the name of each batched operation and how many requests it was given.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []

    def sweep(self, asked: Sequence[SweepRequest]) -> list[EndedCohorts]:
        self._note("sweep", [one.table for one in asked])
        return super().sweep(asked)

    def close(self, asked: Sequence[CloseRequest]) -> list[tuple[EndedCohorts, NDArray[np.int64]]]:
        self._note("close", [one.table for one in asked])
        return super().close(asked)

    def append(self, asked: Sequence[AppendRequest]) -> list[NDArray[np.int64]]:
        self._note("append", [one.table for one in asked])
        return super().append(asked)

    def advance(self, asked: Sequence[AdvanceRequest]) -> list[tuple[NDArray[np.uint32], NDArray[np.uint8]]]:
        self._note("advance", [one.buffer for one in asked])
        return super().advance(asked)

    def _note(self, name: str, targets: Sequence[object]) -> None:
        assert len({id(target) for target in targets}) == len(targets), "a table or channel came twice in one call"
        self.calls.append((name, len(targets)))

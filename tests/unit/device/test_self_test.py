"""The self-test finds nothing where there is nothing to find, and names the operation that differs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from liqscape.device.backend import AdvanceRequest, AppendRequest, EndedCohorts, SweepRequest
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.device.self_test import first_difference


class OneMore(NumpyBackend):
    """Says of what was appended that the last cohort holds one lot more."""

    def append(self, asked: Sequence[AppendRequest]) -> list[NDArray[np.int64]]:
        held = super().append(asked)
        held[-1] = held[-1] + (np.arange(len(held[-1])) == len(held[-1]) - 1)
        return held


class Reluctant(NumpyBackend):
    """Leaves the last cohort that is swept."""

    def sweep(self, asked: Sequence[SweepRequest]) -> list[EndedCohorts]:
        return [
            EndedCohorts(e.open_minute[:-1], e.row[:-1], e.key[:-1], e.lots[:-1], e.left[:-1])
            for e in super().sweep(asked)
        ]


class Shortened(NumpyBackend):
    """Forgets the newest column of a grid."""

    def project(self, *arguments: Any) -> NDArray[np.int64]:
        return super().project(*arguments)[:-1]


class Lazy(NumpyBackend):
    """Says that nothing has changed."""

    def advance(self, asked: Sequence[AdvanceRequest]) -> list[tuple[NDArray[np.uint32], NDArray[np.uint8]]]:
        return [(index[:0], level[:0]) for index, level in super().advance(asked)]


def test_definition_equals_itself() -> None:
    assert first_difference(NumpyBackend()) is None


@pytest.mark.parametrize(
    ("backend", "said"),
    [
        (OneMore(), "append differs from NumPy in 1 of 1500 values"),
        (Reluctant(), "sweep has "),
        (Shortened(), "project has "),
        (Lazy(), "advance has 0 values, NumPy "),
    ],
)
def test_backend_that_differs_is_found_out(backend: NumpyBackend, said: str) -> None:
    difference = first_difference(backend)

    assert difference is not None
    assert difference.startswith(said)

"""The checksum of a ring, whole and column by column."""

from __future__ import annotations

import numpy as np

from liqscape.broadcast.checksum import RingChecksum
from tests.wire_decoder import checksum


def test_checksum_equals_the_plain_definition_after_any_changes() -> None:
    random = np.random.default_rng(3)
    ring = np.zeros((11, 6), dtype=np.uint8)
    sums = RingChecksum(11)

    for step in range(20):
        changed = np.unique(random.integers(0, ring.size, size=step))
        ring.reshape(-1)[changed] = random.integers(0, 256, size=changed.size)
        sums.mark(changed // 6)
        if step % 3 == 0:
            assert sums.value(ring, 1000 + step) == checksum(ring.tobytes(), 11, 6, 1000 + step)


def test_only_marked_columns_are_summed_again() -> None:
    ring = np.zeros((4, 3), dtype=np.uint8)
    sums = RingChecksum(4)
    before = sums.value(ring, 9)

    ring[2, 1] = 5

    assert sums.value(ring, 9) == before
    sums.mark(np.array([2]))
    assert sums.value(ring, 9) == checksum(ring.tobytes(), 4, 3, 9) != before


def test_newest_column_is_part_of_the_checksum() -> None:
    ring = np.zeros((4, 3), dtype=np.uint8)
    sums = RingChecksum(4)

    assert sums.value(ring, 9) != sums.value(ring, 10)

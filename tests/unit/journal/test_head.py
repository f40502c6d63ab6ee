"""The witness of the newest commit."""

from __future__ import annotations

from pathlib import Path

import pytest

from liqscape.journal.head import Head
from liqscape.journal.store import StoreDamaged, StoreUnavailable


def test_newest_tick_is_read_back(tmp_path: Path) -> None:
    head = Head(tmp_path / "head")
    assert head.read() is None

    for tick in (1, 1 << 40, 7):
        head.write(tick)
        assert Head(head.path).read() == tick
    head.close()


@pytest.mark.parametrize("bit", range(128))
def test_every_flipped_bit_is_found(tmp_path: Path, bit: int) -> None:
    head = Head(tmp_path / "head")
    head.write(12_345)
    head.close()
    data = bytearray(head.path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    head.path.write_bytes(data)

    with pytest.raises(StoreDamaged, match="head fails its checksum"):
        head.read()


def test_cut_off_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "head").write_bytes(b"LQH1")

    with pytest.raises(StoreDamaged, match="fails its checksum"):
        Head(tmp_path / "head").read()


def test_file_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="No such file"):
        Head(tmp_path / "missing" / "head").write(1)

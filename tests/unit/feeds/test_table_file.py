"""Told margin tables kept for the next start: whole or not at all, and nothing damaged or outdated is used."""

from __future__ import annotations

import json
import logging
import zlib
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from liqscape.feeds.table_file import NAME, TableFile, TablesNotKept
from liqscape.feeds.tables import ToldTable
from liqscape.instruments import Instrument, MaintenanceTier, find_instrument

OKX, GATE = find_instrument("okx:BTC-USDT-SWAP"), find_instrument("gate:BTC_USDT")

SHIPPED = {i.instrument_id: i for i in (OKX, GATE)}

READ_NS = 1_795_219_200_000_000_000
"""2026-11-21."""


def table(instrument: Instrument, read_ns: int = READ_NS, **changed: object) -> ToldTable:
    tiers = (
        MaintenanceTier(0, 1000, Fraction(1, 300), Fraction(0), 100),
        MaintenanceTier(1000, 2000, Fraction("0.005"), Fraction(5, 3), 50),
    )
    told = ToldTable(
        instrument_id=instrument.instrument_id, tiers=tiers, since="2026-11-20", read_ns=read_ns, where="https://a"
    )
    return replace(told, **changed)  # type: ignore[arg-type]


def test_tables_are_read_as_they_were_written_to_the_last_fraction(tmp_path: Path) -> None:
    tables = [table(OKX), table(GATE, tiers=GATE.maintenance_tiers)]

    TableFile(tmp_path).write(tables)

    assert TableFile(tmp_path).read(SHIPPED) == tables
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_factors_by_leverage_are_read_as_they_were_written(tmp_path: Path) -> None:
    htx = find_instrument("htx:BTC-USDT")
    now_ns = READ_NS + 86_400 * 10**9
    kept = table(htx, read_ns=now_ns, tiers=htx.maintenance_tiers, adjustments=htx.adjustments)

    TableFile(tmp_path).write([kept])

    assert TableFile(tmp_path).read({htx.instrument_id: htx}) == [kept]


def test_writing_again_takes_the_place_of_what_was_there(tmp_path: Path) -> None:
    file = TableFile(tmp_path)
    file.write([table(OKX), table(GATE, tiers=GATE.maintenance_tiers)])

    file.write([table(OKX, since="2026-11-21")])

    assert file.read(SHIPPED) == [table(OKX, since="2026-11-21")]


def test_where_nothing_was_kept_nothing_is_read(tmp_path: Path) -> None:
    assert TableFile(tmp_path).read(SHIPPED) == []


def spoil(text: str) -> str:
    return text.replace("1/300", "1/200")


def without_crc(text: str) -> str:
    return json.dumps({"tables": json.loads(text)["tables"]})


def with_table(change: dict[str, Any]) -> str:
    """Return a file whose checksum is right and whose table is none."""
    plain = {"since": "2026-11-20", "read_ns": READ_NS, "where": "x", "tiers": [[0, 10, "1/100", "0", 50]]} | change
    tables = {OKX.instrument_id: plain}
    return json.dumps({"tables": tables, "crc32": zlib.crc32(json.dumps(tables, sort_keys=True).encode())})


@pytest.mark.parametrize(
    "damaged",
    [
        spoil,
        without_crc,
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: "[]",
        lambda text: "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
        lambda text: with_table({"read_ns": -1}),
        lambda text: with_table({"since": "yesterday"}),
        lambda text: with_table({"tiers": []}),
        lambda text: with_table({"adjustments": [[10, [[0, "1"]]]]}),
        lambda text: with_table({"tiers": [[0, 10, "1/0", "0", 50]]}),
        lambda text: with_table({"tiers": [[5, 10, "1/100", "0", 50]]}),
    ],
)
def test_damaged_file_is_set_aside_and_said(tmp_path: Path, damaged: Any, caplog: pytest.LogCaptureFixture) -> None:
    file = TableFile(tmp_path)
    file.write([table(OKX)])
    text = damaged(file.path.read_text("utf-8"))
    file.path.write_bytes(text.encode("latin-1"))

    found = file.read(SHIPPED)

    assert found == []
    assert [path.name for path in tmp_path.iterdir()] == [NAME + ".bad"]
    assert "cannot be used and is set aside" in caplog.text
    file.write([table(OKX)])
    assert file.read(SHIPPED) == [table(OKX)]


def test_table_older_than_the_shipped_rules_or_of_nobody_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = TableFile(tmp_path)
    file.write([table(OKX, read_ns=READ_NS - 60 * 86_400 * 10**9), table(GATE, instrument_id="gate:GONE")])

    with caplog.at_level(logging.INFO):
        found = file.read(SHIPPED)

    assert found == []
    assert "okx:BTC-USDT-SWAP: what was told on 2026-09-22 is older than what is shipped" in caplog.text


def test_table_that_would_not_be_believed_today_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = TableFile(tmp_path)
    file.write([table(OKX, tiers=(MaintenanceTier(0, 1000, Fraction("0.05"), Fraction(0), 10),)), table(GATE)])

    found = file.read(SHIPPED)

    assert found == [table(GATE)]
    assert "okx:BTC-USDT-SWAP: the table that was kept is not believed: another unit of rates" in caplog.text


def test_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / (NAME + ".tmp")).mkdir()

    with pytest.raises(TablesNotKept, match=r"margin_tables.json cannot be written: Is a directory"):
        TableFile(tmp_path).write([table(OKX)])

"""--margin-tables: from text to a source that asks venues for their tables, or nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

from liqscape.clock import ManualClock
from liqscape.config import SourceConfig, parse_margin_tables
from liqscape.errors import ConfigError
from liqscape.feeds.build import build_source
from liqscape.feeds.table_file import TableFile
from liqscape.feeds.tables import TableBoard, ToldTable, board_of
from liqscape.instruments import find_instrument

CLOCK = ManualClock(1_795_219_200_000_000_000)

OKX = find_instrument("okx:BTC-USDT-SWAP")

TOLD = ToldTable(
    instrument_id=OKX.instrument_id,
    tiers=OKX.maintenance_tiers,
    since="2026-11-21",
    read_ns=1_795_219_200_000_000_000,
    where="https://a",
)


def board(**settings: object) -> TableBoard | None:
    return board_of(build_source(SourceConfig(**settings), CLOCK))  # type: ignore[arg-type]


def live(**settings: object) -> TableBoard:
    found = board(kind="live", venues=("okx",), symbols=("BTC",), **settings)
    assert found is not None
    return found


def test_live_venues_are_asked_and_others_go_by_what_is_shipped() -> None:
    assert parse_margin_tables(None, "live") == "fetch"
    assert parse_margin_tables("shipped", "live") == "shipped"
    for kind in ("simulate", "history", "replay"):
        assert parse_margin_tables(None, kind) == "shipped"
        assert parse_margin_tables("shipped", kind) == "shipped"


def test_asking_nobody_there_is_and_a_word_of_ones_own_are_refused() -> None:
    with pytest.raises(ConfigError, match="margin-tables fetch is of live venues; use --source live, or shipped"):
        parse_margin_tables("fetch", "replay")
    with pytest.raises(ConfigError, match="margin-tables 'always' is unknown; use fetch or shipped"):
        parse_margin_tables("always", "live")


def test_what_was_kept_is_there_at_the_start_unless_nobody_is_asked(tmp_path: Path) -> None:
    TableFile(tmp_path).write([TOLD])

    asked, with_past = live(kept_tables=tmp_path), live(kept_tables=tmp_path, past=tmp_path)
    shipped, forgetful = live(kept_tables=tmp_path, margin_tables="shipped"), live()

    assert asked.told() == with_past.told() == {OKX.instrument_id: TOLD}
    assert shipped.told() == forgetful.told() == {}
    notes = [status.note for status in shipped.statuses(sorted(shipped.shipped))]
    assert set(notes) == {"no venue is asked: margin-tables is shipped"}


def test_replays_and_simulations_tell_no_tables(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"recv_ns":1,"kind":"connect","conn":"","msg":null}\n')

    assert board(kind="simulate") is None
    assert board(kind="replay", manifest=path, venues=("okx",), symbols=("BTC",)) is None

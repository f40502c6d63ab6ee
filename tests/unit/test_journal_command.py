"""The journal command says what is in a folder and what is wrong with it, and changes only what it is told to."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from liqscape.__main__ import main
from liqscape.axes import MINUTE_NS
from liqscape.config import ServeConfig, SourceConfig
from liqscape.durability import keeper_of, open_data_folder
from liqscape.errors import ConfigError
from liqscape.feeds.source import SourceDescription
from liqscape.instruments import Instrument
from liqscape.journal.data_folder import DataFolder
from liqscape.market.terms import terms_of_plain
from liqscape.positions.inflow import all_terms
from tests.crash.small_market import INSTRUMENTS
from tests.kept_shard import KeptShard, market_ticks

LAST = 40


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with snapshots of ticks 9, 19 and 30, say, and a journal to tick 40."""
    folder = tmp_path_factory.mktemp("made") / "data"
    kept, ticks = KeptShard(folder, snapshot_seconds=10), market_ticks(LAST)
    kept.folder.keep_settings({"made": "up"})
    for second in range(LAST + 1):
        kept.now = second
        kept.take(ticks, second)
        kept.let_snapshots_end()
    kept.stop()
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "data"))


def snapshots(folder: Path) -> list[Path]:
    return sorted((folder / "snapshots").glob("*.snapshot"))


def tick_of(snapshot: Path) -> int:
    return int(snapshot.name.split("-")[1].split(".")[0])


def break_tick(folder: Path, tick: int) -> None:
    with closing(sqlite3.connect(folder / "journal.sqlite")) as connection, connection:
        connection.execute("UPDATE ticks SET crc = crc + 1 WHERE tick = ?", (tick,))


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(p.relative_to(folder)): p.read_bytes() for p in files if not p.name.endswith(("-shm", "-wal"))}


def run(action: str, folder: Path, *more: str) -> int:
    return main(["journal", action, "--data", str(folder), *more])


def test_whole_folder_is_said_to_be_whole(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(folder)

    assert run("check", folder) == 0
    assert run("repair", folder, "--dry-run") == 0

    lines = capsys.readouterr().out.splitlines()
    newest = tick_of(snapshots(folder)[-1])
    assert [line.split("  ")[-1] for line in lines[:3]] == ["good"] * 3
    assert lines[3].startswith("journal   1 to 40  ")
    assert lines[3].endswith(f"after the newest good snapshot: {newest + 1} to 40")
    assert lines[4:] == ["everything is as it was written", "nothing is damaged"]
    assert contents(folder) == before


def test_damage_is_named_and_repaired_when_asked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    *_, bad = snapshots(folder)
    bad.write_bytes(bad.read_bytes()[:-1])
    base = tick_of(snapshots(folder)[-2])
    break_tick(folder, base + 5)
    before = contents(folder)

    assert run("check", folder) == 1
    said = capsys.readouterr().out
    assert f"DAMAGED: {bad}: its arrays are cut off" in said
    assert f"tick {base + 5} fails its checksum" in said
    assert run("repair", folder, "--dry-run") == 1
    said = capsys.readouterr().out
    assert f"snapshot of tick {tick_of(bad)} would be set aside" in said
    assert f"journal would be set aside, ticks {base + 1} to {base + 4} would be kept" in said
    assert contents(folder) == before

    assert run("repair", folder) == 1

    assert run("check", folder) == 0
    assert bad.with_name(bad.name + ".bad").exists()
    assert (folder / "journal.sqlite.bad").exists()
    again = KeptShard(folder)
    assert (again.shard.tick, again.keeper.counters["damaged_files"]) == (base + 4, 0)
    again.stop()


def test_ticks_that_cannot_be_taken_are_given_up_when_asked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    snapshots(folder)[-1].unlink()
    base = tick_of(snapshots(folder)[-1])
    before = contents(folder)

    assert run("repair", folder, "--before", str(LAST - 2), "--dry-run") == 1
    assert f"ticks {LAST - 2} to {LAST} are given up" in capsys.readouterr().out
    assert contents(folder) == before
    assert run("repair", folder, "--before", str(base)) == 2
    assert f"the snapshot of tick {base} holds that tick already" in capsys.readouterr().err

    assert run("repair", folder, "--before", str(LAST - 2)) == 1

    assert run("check", folder) == 0
    again = KeptShard(folder)
    assert (again.shard.tick, again.keeper.counters["damaged_files"]) == (LAST - 3, 0)
    again.stop()


def test_damage_that_no_start_would_meet_is_told_as_such(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = tick_of(snapshots(folder)[-1])
    break_tick(folder, 3)

    assert run("check", folder) == 1

    said = capsys.readouterr().out
    assert f"tick 3 fails its checksum; nothing needs that tick while the snapshot of tick {base} is good" in said


def test_missing_journal_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "journal.sqlite").unlink()

    assert run("check", folder) == 1
    assert "journal.sqlite is missing, and ticks up to 40 were committed to it" in capsys.readouterr().out


def test_compaction_drops_what_no_snapshot_needs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    oldest = tick_of(snapshots(folder)[0])

    assert run("compact", folder) == 0

    assert f"dropped {oldest} ticks and 0 files" in capsys.readouterr().out
    assert run("check", folder) == 0
    assert f"journal   {oldest + 1} to 40" in capsys.readouterr().out


def test_damaged_folder_is_not_compacted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    break_tick(folder, 40)

    assert run("compact", folder) == 1
    assert "repair it first" in capsys.readouterr().out


def test_folder_that_does_not_exist_is_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", tmp_path / "none") == 2
    assert "does not exist" in capsys.readouterr().err


def correct(folder: Path, *more: str) -> int:
    return run("correct", folder, "--instrument", "venue:BTCUSDT", "--reason", "the venue has said so", *more)


def last_instant(folder: Path) -> str:
    again = KeptShard(folder)
    again.stop()
    return datetime.fromtimestamp((again.shard.end_ns - 1) / 1e9, UTC).isoformat()


def test_correction_is_one_more_tick_that_the_next_start_takes(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    instant = last_instant(folder)
    before = dict(ticks_of(folder))

    assert correct(folder, "--to", instant, "--open-interest", "12.5") == 0

    assert capsys.readouterr().out == f"corrected in tick {LAST + 1}: it is a sample now\n"
    after = dict(ticks_of(folder))
    assert {tick: body for tick, body in after.items() if tick <= LAST} == before
    again = KeptShard(folder)
    (side, _) = (0, 0)
    account = again.shard.book("BTC").account("venue:BTCUSDT")
    assert (again.shard.tick, again.keeper.counters["damaged_files"]) == (LAST + 1, 0)
    assert account.last_sample == account.live[side] + account.uncovered[side] == 1_250_000
    again.take(market_ticks(LAST + 20), LAST + 20)
    again.stop()
    assert run("check", folder) == 0


def test_correction_of_prices_is_a_gap_and_both_are_in_the_log_for_good(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    instant = last_instant(folder)
    assert correct(folder, "--to", instant) == 0
    assert correct(folder, "--to", instant, "--open-interest", "0") == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"corrected in tick {LAST + 1}: it is noted, and changes no position"
    with closing(DataFolder(folder)) as data, closing(data.open_journal()) as journal:
        assert journal.truncate_before(LAST + 9) > 0

    assert run("log", folder) == 0

    *_, first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"tick {LAST + 1}  correction  venue:BTCUSDT: prices and trades of ")
    assert first.endswith(": the venue has said so")
    assert "open interest 0 of" in second


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--to", "2999-01-01T00:00Z"), "is no span before the end of the last tick"),
        (("--to", "2025-01-01T00:00"), "use ISO 8601 with a zone"),
        (("--to", "2025-01-01T00:00Z", "--open-interest", "1e-9"), "up to 8 decimals"),
        (("--to", "2025-01-01T00:00Z", "--from", "2025-01-02T00:00Z"), "is no span before"),
        (("--to", "2025-01-01T00:00Z", "--instrument", "venue:NONE"), "instrument 'venue:NONE' is not in"),
    ],
)
def test_wrong_correction_is_refused_and_changes_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], words: str
) -> None:
    before = ticks_of(folder)

    assert correct(folder, *more) == 2

    assert words in capsys.readouterr().err
    assert ticks_of(folder) == before


def test_damaged_note_is_named_and_the_good_ones_outlive_a_repair(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    instant = last_instant(folder)
    for _ in range(2):
        correct(folder, "--to", instant)
    with closing(sqlite3.connect(folder / "journal.sqlite")) as connection, connection:
        connection.execute("UPDATE notes SET text = '{}' WHERE tick = ?", (LAST + 2,))

    assert run("check", folder) == 1
    assert f"a note of tick {LAST + 2} fails its checksum" in capsys.readouterr().out
    assert run("repair", folder) == 1

    capsys.readouterr()
    assert (run("check", folder), run("log", folder)) == (0, 0)
    assert f"tick {LAST + 1}  correction" in capsys.readouterr().out


def ticks_of(folder: Path) -> list[tuple[int, bytes]]:
    with closing(sqlite3.connect(folder / "journal.sqlite")) as connection:
        return list(connection.execute("SELECT tick, body FROM ticks ORDER BY tick"))


def test_settings_of_a_folder_are_those_of_its_first_server(tmp_path: Path) -> None:
    def start(seed: int, start_minute: int, instruments: Sequence[Instrument] = INSTRUMENTS) -> int | None:
        config = ServeConfig(source=SourceConfig(seed=seed), data=tmp_path)
        folder, start_ns = open_data_folder(config)
        assert folder is not None
        # A simulation that goes on begins when it began; one that is new, now.
        began = start_minute * MINUTE_NS if start_ns is None else start_ns
        about = SourceDescription(
            name="a simulation", instruments=tuple(instruments), tick_ms=1000, simulated=True, start_ns=began
        )
        try:
            keeper_of(folder, config, about, all_terms(about.instruments), 4)
        finally:
            folder.close()
        return start_ns

    assert start(1, 1_000) is None
    assert start(1, 2_000) == 1_000 * MINUTE_NS
    with pytest.raises(ConfigError, match="other settings of seed; start with those, or with another folder"):
        start(2, 2_000)
    with pytest.raises(ConfigError, match="other settings of instruments;"):
        start(1, 2_000, INSTRUMENTS[1:])
    with pytest.raises(ConfigError, match=r"other settings of trigger of venue:BTCUSDT, which cannot change"):
        start(1, 2_000, (replace(INSTRUMENTS[0], trigger="last"), *INSTRUMENTS[1:]))
    assert start(1, 2_000, (replace(INSTRUMENTS[0], rules_date="2026-01-01"), *INSTRUMENTS[1:])) is not None


def test_folder_of_an_older_version_keeps_its_mixes_and_is_refused_other_rules(tmp_path: Path) -> None:
    mix = {INSTRUMENTS[0].instrument_id: (111_112, *[111_111] * 8)}
    config = ServeConfig(source=SourceConfig(), data=tmp_path)
    about = SourceDescription(name="a simulation", instruments=INSTRUMENTS, tick_ms=1000, simulated=True, start_ns=0)
    with closing(DataFolder(tmp_path)) as folder:
        old = {
            "source": "simulate",
            "seed": config.source.seed,
            "scenario": config.source.scenario,
            "instruments": {i.instrument_id: hashlib.sha256(repr(i).encode()).hexdigest()[:16] for i in INSTRUMENTS},
            "inflow_mixes": {name: list(shares) for name, shares in mix.items()},
            "size_mixes": {},
            "with_open_only": True,
            "rolls_per_tick": 4,
            "start_ns": 0,
        }
        folder.keep_settings(old)
        others = (replace(INSTRUMENTS[0], rules_date="2026-01-01"), *INSTRUMENTS[1:])
        with pytest.raises(ConfigError, match="other settings of instruments;"):
            keeper_of(folder, config, replace(about, instruments=others), all_terms(others), 4)

        keeper_of(folder, config, about, all_terms(INSTRUMENTS), 4)

        kept = folder.settings()
        assert kept is not None
        assert terms_of_plain(kept["terms"]) == {t.instrument_id: t for t in all_terms(INSTRUMENTS, mix)}


def test_server_without_a_folder_keeps_nothing() -> None:
    assert open_data_folder(ServeConfig(source=SourceConfig())) == (None, None)

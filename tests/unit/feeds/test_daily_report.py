"""The file or folder of --cme: read, read again when it changes, and kept when a change cannot be taken."""

from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path

import pytest

from liqscape.errors import ConfigError
from liqscape.feeds import daily_report
from liqscape.feeds.daily_report import DailyReport
from liqscape.feeds.venues.cme import COLUMNS

FIRST = ",".join(COLUMNS) + "\n"
FRIDAY = "2026-11-20,BTC,2026-11,64310,1,100,F\n"
MONDAY = "2026-11-23,BTC,2026-11,66000,1,120,P\n"
MONDAY_FINAL = "2026-11-23,BTC,2026-11,66010,1,121,F\n"

NOW_NS = 1_795_600_000 * 10**9
"""2026-11-25."""


def report(path: Path) -> DailyReport:
    return DailyReport(path, lambda: NOW_NS)


def newest(found: DailyReport) -> tuple[str, int, Fraction | None]:
    day = found.state.days["BTC"][-1]
    return day.label, day.open_interest // 10**8, day.settle


def test_a_file_is_read_at_the_start(tmp_path: Path) -> None:
    file = tmp_path / "cme.csv"
    file.write_text(FIRST + FRIDAY + MONDAY + "2026-11-20,CL,2026-12,61,1,1,F\n")

    found = report(file)

    assert newest(found) == ("CME, 2026-11-23, daily report, preliminary", 600, Fraction(66000))
    status = found.state.status
    assert (status.files, status.rows, status.ignored, status.read_ns, status.failures, status.message) == (
        1,
        2,
        1,
        NOW_NS,
        0,
        "",
    )


def test_a_folder_is_read_whole_in_the_order_of_names_and_other_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text(FIRST + MONDAY_FINAL)
    (tmp_path / "2.csv").write_text(FIRST + FRIDAY)
    (tmp_path / "3.csv").write_text(FIRST + MONDAY)
    (tmp_path / "notes.txt").write_text("nothing")
    (tmp_path / ".4.csv").write_text("half a fi")

    found = report(tmp_path)

    assert newest(found) == ("CME, 2026-11-23, daily report, final", 605, Fraction(66010))
    assert found.state.days["BTC"][-1].change == 105
    assert (found.state.status.files, found.state.status.rows) == (3, 3)


def test_a_folder_may_be_empty_and_fill_later(tmp_path: Path) -> None:
    found = report(tmp_path)
    assert (found.state.days, found.state.status.files) == ({}, 0)

    (tmp_path / "cme.csv").write_text(FIRST + FRIDAY)
    found.look()

    assert newest(found)[1] == 500


def test_a_change_is_read_and_a_look_without_one_is_not_a_reading(tmp_path: Path) -> None:
    file = tmp_path / "cme.csv"
    file.write_text(FIRST + FRIDAY)
    found = report(file)
    before = found.state

    found.look()
    assert found.state is before

    file.write_text(FIRST + FRIDAY + MONDAY)
    found.look()
    assert newest(found) == ("CME, 2026-11-23, daily report, preliminary", 600, Fraction(66000))
    assert found.state.number == before.number + 1


def test_a_change_that_is_wrong_changes_nothing_but_the_status_and_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "cme.csv"
    file.write_text(FIRST + FRIDAY)
    found = report(file)
    days = found.state.days

    file.write_text(FIRST + FRIDAY + MONDAY.replace("120", "-120"))
    with caplog.at_level(logging.ERROR):
        found.look()
        found.look()

    assert found.state.days is days
    assert found.state.status.failures == 1
    assert found.state.status.message == (
        "cme.csv, line 3, column open_interest: '-120' is not allowed; use a whole number of contracts from 0 to"
        " 1000000000; what was read before stays"
    )
    assert [str(tmp_path) in record.getMessage() for record in caplog.records] == [True]
    assert str(tmp_path) not in found.state.status.message

    file.write_text(FIRST + FRIDAY + MONDAY_FINAL)
    found.look()
    assert newest(found)[1] == 605
    assert (found.state.status.failures, found.state.status.message) == (1, "")


def test_a_bad_file_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text(FIRST + FRIDAY)
    found = report(tmp_path)

    (tmp_path / "2.csv").write_text("no such thing\n")
    found.look()

    assert f"{tmp_path.name}/2.csv, line 1 is 'no such thing'; it must be trade_date," in found.state.status.message
    assert newest(found)[1] == 500


def test_a_file_that_goes_and_comes_again_is_told_once_and_read(tmp_path: Path) -> None:
    file = tmp_path / "cme.csv"
    file.write_text(FIRST + FRIDAY)
    found = report(file)

    kept = file.rename(tmp_path / "away")
    found.look()
    found.look()
    assert newest(found)[1] == 500
    assert found.state.status.failures == 1
    assert "cme.csv does not exist" in found.state.status.message

    kept.rename(file)
    found.look()
    assert (newest(found)[1], found.state.status.message) == (500, "")


def test_nothing_to_read_at_the_start_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"daily report .*none\.csv does not exist; name a file, or a folder"):
        report(tmp_path / "none.csv")


def test_a_bad_file_at_the_start_is_an_error_with_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(FIRST + FRIDAY.replace("F", "f"))

    with pytest.raises(ConfigError, match=r"daily report /.*/a\.csv, line 2, column status: 'f' is not allowed"):
        report(tmp_path)


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daily_report, "MAX_FILES", 1)
    for name in "ab":
        (tmp_path / f"{name}.csv").write_text(FIRST + FRIDAY)

    with pytest.raises(ConfigError, match=r"has 2 files of \d+ bytes; at most 1 and"):
        report(tmp_path)


def test_its_thread_looks_until_it_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "cme.csv"
    file.write_text(FIRST + FRIDAY)
    found = report(file)
    monkeypatch.setattr(daily_report, "LOOK_EVERY_S", 0.001)
    looks: list[int] = []

    def look() -> None:
        looks.append(1)
        if len(looks) == 3:
            found._stopping.set()

    monkeypatch.setattr(found, "look", look)
    found.start()
    found._thread.join(10)
    found.stop()

    assert len(looks) == 3

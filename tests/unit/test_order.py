"""The order of a worker's tests: files that take long come first, and none of them is a file that is gone."""

from __future__ import annotations

from tests.conftest import LONG_FIRST, ROOT, place_of


def test_every_file_that_takes_long_is_there() -> None:
    assert [name for name in LONG_FIRST if not (ROOT / "tests" / name).is_file()] == []
    assert len(set(LONG_FIRST)) == len(LONG_FIRST)


def test_long_files_stand_before_all_others_and_among_them_the_longest_first() -> None:
    tests = ROOT / "tests"

    places = [place_of(tests / name) for name in (*LONG_FIRST, "unit/test_axes.py", "browser/no_such_file.py")]

    assert places == sorted(places)
    assert places[-2:] == [len(LONG_FIRST)] * 2
    assert place_of(ROOT.parent / "elsewhere.py") == len(LONG_FIRST)

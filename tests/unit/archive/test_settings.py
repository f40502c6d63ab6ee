"""Settings of the archive as they are typed."""

from __future__ import annotations

import pytest

from liqscape.config import parse_archive_days, parse_archive_gb
from liqscape.errors import ConfigError


def test_days_and_gigabytes_are_read() -> None:
    assert [parse_archive_days(text) for text in ("0", "31", "36600")] == [0, 31, 36_600]
    assert [parse_archive_gb(text) for text in (None, "0.5", "1000000")] == [None, 500_000_000, 10**15]


@pytest.mark.parametrize("text", ["", "-1", "1.5", "36601", "many", "\u0663", "999999999999"])
def test_days_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="use a whole number from 0 to 36600"):
        parse_archive_days(text)


@pytest.mark.parametrize("text", ["", "0", "-1", "nan", "inf", "1e7", "some"])
def test_gigabytes_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"use gigabytes from 0\.001 to 1000000"):
        parse_archive_gb(text)

"""Who accepts gzip, by the words of the header."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import make_mocked_request

from liqscape.api.web_compression import accepts_gzip


@pytest.mark.parametrize(
    ("said", "accepts"),
    [
        ("gzip", True),
        ("deflate, GZip, br", True),
        ("gzip;q=0.5", True),
        ("br, *", True),
        ("*;q=0.1", True),
        ("gzip; q=0", False),
        ("gzip;q=0, *", False),
        ("gzip;q=nonsense", False),
        ("*;q=0", False),
        ("xgzip, gzipped", False),
        ("identity", False),
        ("", False),
        (None, False),
    ],
)
def test_gzip_is_accepted_as_the_header_says(said: str | None, accepts: bool) -> None:
    request = make_mocked_request("GET", "/", headers={} if said is None else {"Accept-Encoding": said})

    assert accepts_gzip(request) is accepts

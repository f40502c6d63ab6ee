"""Kept answers: whole or not at all, found when damaged, and one writer at a time."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from liqscape.errors import ConfigError
from liqscape.feeds.backfill.page_store import PageDamaged, PageStore, SeriesKey, StoreFull
from liqscape.feeds.backfill.spans import Span
from liqscape.feeds.venues.dialect import Request

KEY = SeriesKey("binance-usdm", "BTC/USDT:x", "candles 1m")
SPAN = Span(60_000_000_000, 180_000_000_000)
ASKED = Request("https://example.test/klines", {"symbol": "BTC"})
BODY = b'[["1", 2]]' * 50


def test_page_is_read_as_it_came(tmp_path: Path) -> None:
    with closing(PageStore(tmp_path)) as store:
        store.write(KEY, SPAN, ASKED, BODY, 2, 5)
        store.write(KEY, Span(0, 60_000_000_000), ASKED, b"[]", 0, 6)

    found = PageStore(tmp_path, read_only=True)

    assert [(page.span.from_ns, page.rows) for page in found.pages(KEY)] == [(0, 0), (60_000_000_000, 2)]
    assert [found.read(page) for page in found.pages(KEY)] == [b"[]", BODY]
    assert found.pages(SeriesKey("binance-usdm", "ETHUSDT", "candles 1m")) == []


@pytest.mark.parametrize("place", [0, 30, -1, -40])
def test_flipped_byte_is_found(tmp_path: Path, place: int) -> None:
    store = PageStore(tmp_path)
    page = store.write(KEY, SPAN, ASKED, BODY, 2, 5)
    content = bytearray(page.path.read_bytes())
    content[place] ^= 0x55
    page.path.write_bytes(content)

    # A flip in what was asked changes the head alone; everything that matters is checked.
    if place == 30:
        content[place] ^= 0x55
        at = content.index(b'"sha256": "') + 12
        content[at] ^= 1
        page.path.write_bytes(content)
    with pytest.raises(PageDamaged):
        store.read(page)
    store.close()


@pytest.mark.parametrize("kept", [0, 20, 200, -1])
def test_torn_page_is_found_and_set_aside(tmp_path: Path, kept: int) -> None:
    store = PageStore(tmp_path)
    page = store.write(KEY, SPAN, ASKED, BODY, 2, 5)
    page.path.write_bytes(page.path.read_bytes()[:kept])

    with pytest.raises(PageDamaged, match="60-180-2"):
        store.read(page)
    aside = store.set_aside(page)

    assert aside.name == "60-180-2.page.damaged"
    assert store.pages(KEY) == []
    store.close()


def test_page_that_unpacks_to_more_than_was_written_is_refused_unread(tmp_path: Path) -> None:
    store = PageStore(tmp_path)
    page = store.write(KEY, SPAN, ASKED, b" " * (16 << 20), 2, 5)

    with pytest.raises(PageDamaged, match="fails its checksum"):
        store.read(page)
    store.close()


def test_files_of_other_names_are_no_pages(tmp_path: Path) -> None:
    store = PageStore(tmp_path)
    folder = store.write(KEY, SPAN, ASKED, BODY, 2, 5).path.parent
    for name in ("60-180-2.page.tmp", "notes.page", "180-60-2.page", "60-180-x.page", "60-180.page"):
        (folder / name).write_bytes(b"")

    assert [page.path.name for page in store.pages(KEY)] == ["60-180-2.page"]
    store.close()


def test_second_writer_is_refused_and_readers_are_not(tmp_path: Path) -> None:
    with closing(PageStore(tmp_path)):
        with pytest.raises(ConfigError, match="in use by another backfill"):
            PageStore(tmp_path)
        assert PageStore(tmp_path, read_only=True).pages(KEY) == []

    PageStore(tmp_path).close()


def test_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "backfill").write_text("a file")

    with pytest.raises(ConfigError, match="backfill cannot be used"):
        PageStore(tmp_path)


def test_page_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with closing(PageStore(tmp_path)) as store:
        (tmp_path / "backfill" / "binance-usdm").write_text("in the way")

        with pytest.raises(StoreFull, match=r"60-180-2\.page cannot be written"):
            store.write(KEY, SPAN, ASKED, BODY, 2, 5)

"""A frame of the terminal heatmap, as the text and the colours that come out."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.segment import Segment

from liqscape_client.candles import Candles
from liqscape_client.colours import SCALES
from liqscape_client.grids import Heatmap
from liqscape_client.terminal_frame import WatchState, compact_usd, render_frame
from tests.unit.client.test_picture import heatmap

IN_SYNC = WatchState(
    symbol="BTC",
    timeframe="24h",
    in_sync=True,
    status="in sync",
    mark_price=89_040.6,
    price_decimals=1,
    tags=("SIMULATED",),
    data_unix_ns=1_765_809_299_000_000_000,
    heard_s=0.2,
    covered_share=0.41,
    source="simulate seed 1",
)


def filled() -> Heatmap:
    """Return a heatmap with a bright band, a price path, and nothing elsewhere."""
    close = np.linspace(86_000, 89_040, 720)
    shown = replace(heatmap(), candles=Candles(close, close, close, close))
    shown.levels[200:, 100:110] = 120
    return shown


def console(width: int, height: int, *, colours: bool) -> Console:
    if colours:
        return Console(width=width, height=height, force_terminal=True, color_system="truecolor", file=io.StringIO())
    return Console(width=width, height=height, color_system=None, file=io.StringIO())


def lines(
    shown: Heatmap | None, state: WatchState, width: int = 80, height: int = 24, scale: str = "yellow"
) -> list[str]:
    """Return the lines of a frame without colours."""
    rendered = console(width, height, colours=False).render(render_frame(shown, state, width, height, scale))
    return "".join(segment.text for segment in rendered).split("\n")


def coloured(
    shown: Heatmap | None, state: WatchState, width: int = 80, height: int = 24, scale: str = "yellow"
) -> list[Segment]:
    return list(console(width, height, colours=True).render(render_frame(shown, state, width, height, scale)))


def backgrounds(segments: list[Segment]) -> set[tuple[int, int, int]]:
    """Return every background colour."""
    found = set()
    for segment in segments:
        if segment.style is not None and segment.style.bgcolor is not None:
            red, green, blue = segment.style.bgcolor.get_truecolor()
            found.add((red, green, blue))
    return found


@pytest.mark.parametrize(("width", "height"), [(80, 24), (40, 10), (200, 60), (81, 25)])
@pytest.mark.parametrize("in_sync", [True, False])
def test_frame_fills_its_size_exactly(width: int, height: int, in_sync: bool) -> None:
    state = replace(IN_SYNC, in_sync=in_sync, status="out of sync: " + "a very long reason " * 20)

    for shown in (filled(), None):
        text = lines(shown, state, width, height)
        in_colour = "".join(segment.text for segment in coloured(shown, state, width, height)).split("\n")

        assert [cell_len(line) for line in text] == [width] * height
        assert [cell_len(line) for line in in_colour] == [width] * height


def test_header_names_what_is_watched() -> None:
    header = lines(filled(), IN_SYNC)

    assert header[0].startswith(" BTC 24h  89,040.6   SIMULATED ")
    assert header[0].endswith(" IN SYNC ")
    assert "NOT" not in header[0]
    assert header[1].startswith(" ESTIMATE · as of 2025-12-15 14:34:59 UTC · 41% of OI covered · heard 0.2 s ago")


def test_live_data_show_their_age() -> None:
    facts = lines(filled(), replace(IN_SYNC, tags=(), age_s=0.4))[1]

    assert "age 0.4 s" in facts


def test_old_live_data_stand_out() -> None:
    segments = coloured(filled(), replace(IN_SYNC, tags=(), age_s=200.0))

    age = next(segment for segment in segments if "age 3 min" in segment.text)
    assert age.style is not None
    assert age.style.bgcolor is not None
    assert age.style.bgcolor.name == "red"


def test_stale_tag_stands_out() -> None:
    segments = coloured(filled(), replace(IN_SYNC, tags=("REPLAY", "STALE")))

    colours = {
        segment.text.strip(): segment.style.bgcolor.name
        for segment in segments
        if segment.style is not None and segment.style.bgcolor is not None and segment.text.strip()
    }
    assert colours["STALE"] == "red"
    assert colours["REPLAY"] == "blue"


def test_frame_out_of_sync_says_so_loudly_and_loses_its_colours() -> None:
    state = replace(IN_SYNC, in_sync=False, status="out of sync: nothing heard for 3.2 s")

    header = lines(filled(), state)
    grey = backgrounds(coloured(filled(), state))

    assert header[0].endswith(" NOT IN SYNC ")
    assert header[1].startswith(" out of sync: nothing heard for 3.2 s. What is drawn is not current.")
    assert "age" not in header[1]
    assert "ESTIMATE" not in header[1]
    assert not grey & set(SCALES["yellow"].colours[1:])


def test_frame_without_levels_says_what_is_waited_for() -> None:
    state = replace(IN_SYNC, in_sync=False, status="building: history 42 %", reason="history 42 %", mark_price=None)

    text = lines(None, state)

    assert "history 42 %" in text[13]
    assert text[0].endswith(" NOT IN SYNC ")


def test_band_is_drawn_at_its_price_and_time() -> None:
    text = lines(filled(), IN_SYNC)

    # Rows 100..109 of 400 lie a quarter above the foot of the 20 lines of the chart: line 14 from its top.
    band = text[2 + 14]
    assert set(band[:15]) == {" "}
    assert set(band[25:65]) == {"@"}


def test_price_path_and_price_line_are_drawn() -> None:
    text = lines(filled(), IN_SYNC)

    now = next(line for line in text if "◄89,040.6" in line)
    assert now.startswith("- - - -")
    assert any("o" in line for line in text[2:22])


def test_axes_carry_labels() -> None:
    text = lines(filled(), IN_SYNC)

    labels = [float(line[70:].replace(",", "")) for line in text[2:22] if line[70:].strip() and "◄" not in line]
    assert labels == sorted(labels, reverse=True)
    assert len(labels) >= 5
    assert "|21:00" in text[22]
    assert "|15 Dec" in text[22]
    assert text[22].rstrip().endswith("UTC")


def test_legend_is_in_usd_and_says_estimate() -> None:
    legend = lines(filled(), IN_SYNC)[23]

    assert legend.startswith(" USD a cell, estimate  0 ")
    assert legend.rstrip().endswith(compact_usd(8.9e6)[-1])


def test_empty_grid_says_that_nothing_is_at_risk() -> None:
    assert "no positions at risk" in lines(heatmap(), IN_SYNC)[23]


@pytest.mark.parametrize("scale", sorted(SCALES))
def test_scale_gives_its_colours(scale: str) -> None:
    used = backgrounds(coloured(filled(), IN_SYNC, scale=scale))

    assert SCALES[scale].colours[0] in used
    assert SCALES[scale].colours[-1] in used


def test_two_prices_share_a_character() -> None:
    shown = heatmap(rows=40)
    shown.levels[:, 21] = 200  # the upper of the two rows of a line, in a chart of 20 lines

    segments = [s for s in coloured(shown, replace(IN_SYNC, mark_price=None)) if s.text.startswith("▀")]

    assert len(segments) == 1
    style = segments[0].style
    assert style is not None
    assert style.color is not None
    assert style.bgcolor is not None
    assert tuple(style.color.get_truecolor()) == SCALES["yellow"].colours[-1]
    assert tuple(style.bgcolor.get_truecolor()) == SCALES["yellow"].colours[0]


@pytest.mark.parametrize(("width", "height"), [(39, 24), (80, 9), (1, 1), (5, 3)])
def test_window_too_small_says_so(width: int, height: int) -> None:
    text = lines(filled(), IN_SYNC, width, height)

    assert [cell_len(line) for line in text] == [width] * height
    if width > 38:
        assert "too small" in "".join(text)


def test_text_of_the_server_cannot_command_the_terminal() -> None:
    state = replace(IN_SYNC, source="evil\x1b]0;title\x07\x1b[2J", status="\x1b[31m", symbol="B\x1bTC")

    for in_sync in (True, False):
        assert "\x1b" not in "\n".join(lines(filled(), replace(state, in_sync=in_sync)))


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        (0, "0"),
        (850.4, "850"),
        (999.6, "1.0k"),
        (12_345, "12.3k"),
        (999_999, "1.0M"),
        (99_960, "100k"),
        (450_887, "451k"),
        (4.0e6, "4.0M"),
        (1.25e9, "1.2B"),
        (1.03e12, "1.0T"),
    ],
)
def test_amounts_are_short(usd: float, text: str) -> None:
    assert compact_usd(usd) == text


@pytest.mark.parametrize(("price", "decimals", "label"), [(0.123456, 6, "◄0.123456"), (3_312.89, 2, "◄3,312.89")])
def test_price_has_the_decimals_of_its_symbol(price: float, decimals: int, label: str) -> None:
    shown = heatmap()
    axes = replace(shown.axes, first_row=0, row_height=int(price * 10**decimals) // 200, price_decimals=decimals)

    text = lines(replace(shown, axes=axes), replace(IN_SYNC, mark_price=price, price_decimals=decimals))

    assert label in "".join(text)


def test_price_far_outside_the_rows_draws_no_line() -> None:
    text = "".join(lines(filled(), replace(IN_SYNC, mark_price=10.0)))

    assert "◄" not in text

"""One frame of the terminal heatmap: a pure function of a heatmap and a state. Two prices a character (half blocks)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

import numpy as np
from rich.color import Color
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.style import Style

from liqscape_client.colours import (
    DEFAULT_SCALE,
    EXPONENT,
    SCALES,
    STALE_SCALE,
    STEPS,
    Colour,
    ColourScale,
    level_shades,
)
from liqscape_client.decoding import LEVEL_USD
from liqscape_client.grids import Heatmap
from liqscape_client.picture import Picture, draw, price_decimals, price_marks, time_marks

MIN_WIDTH: Final = 40
MIN_HEIGHT: Final = 10
OLD_DATA_S: Final = 10.0
"""Market data older than this are pointed out: in a cascade the price moves 1-2 % a minute."""

_HEADER_LINES: Final = 2
_FOOTER_LINES: Final = 2
_RAMP: Final = " .:;=+*x#%@"  # where there are no colours
_PATH_SIGN: Final = "o"
_LINE_SIGN: Final = "-"

_PLAIN: Final = Style()
_DIM: Final = Style(dim=True)
_BOLD: Final = Style(bold=True)
_GOOD: Final = Style(color="black", bgcolor="green", bold=True)
_BAD: Final = Style(color="white", bgcolor="red", bold=True)
_TAG: Final = Style(color="white", bgcolor="blue", bold=True)

Line = list[Segment]


@dataclass(frozen=True, slots=True)
class WatchState:
    """Everything a frame says beside the levels.

    Attributes:
        symbol, timeframe: what is watched.
        in_sync: whether the picture is what the server holds.
        status: where the stream stands, in words.
        reason: why it is not in sync.
        mark_price: trigger price now, quote currency; None before the first.
        price_decimals: decimal places it is given in.
        tags: SIMULATED, REPLAY, STALE, ENDED.
        data_unix_ns: newest market event included; 0 = unknown.
        age_s: how old that is; None where its clock is not the wall clock (simulated, replayed).
        heard_s: seconds since anything came from the server.
        covered_share: of open interest, 0..1; None = not known.
        source: the server's words on its input.
    """

    symbol: str
    timeframe: str
    in_sync: bool
    status: str
    reason: str = ""
    mark_price: float | None = None
    price_decimals: int = 0
    tags: tuple[str, ...] = ()
    data_unix_ns: int = 0
    age_s: float | None = None
    heard_s: float = float("inf")
    covered_share: float | None = None
    source: str = ""


def render_frame(
    heatmap: Heatmap | None,
    state: WatchState,
    width: int,
    height: int,
    scale: str = DEFAULT_SCALE,
    span_percent: float | None = None,
) -> RenderableType:
    """Return a frame of exactly width x height characters.

    Args:
        heatmap: levels and axes; None while nothing has come.
        state: everything else.
        width: characters.
        height: lines.
        scale: name of a colour scale; ignored while not in sync, which is grey.
        span_percent: prices shown on each side of the price; None = all.
    """
    return _Frame(heatmap, state, width, height, SCALES[scale] if state.in_sync else STALE_SCALE, span_percent)


@dataclass(frozen=True, slots=True, eq=False)
class _Frame:
    heatmap: Heatmap | None
    state: WatchState
    width: int
    height: int
    scale: ColourScale
    span_percent: float | None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        has_colours = console.color_system is not None and not console.no_color
        for number, line in enumerate(self._lines(has_colours)):
            if number:
                yield Segment.line()
            yield from Segment.adjust_line_length(line, self.width)

    def _lines(self, has_colours: bool) -> Iterator[Line]:
        if self.width < MIN_WIDTH or self.height < MIN_HEIGHT:
            message = f"{self.width} x {self.height} is too small; {MIN_WIDTH} x {MIN_HEIGHT} is the least"
            yield from self._message([Segment(message)], 0)
            return
        yield _title(self.state, self.width)
        yield _facts(self.state, self.width)
        if self.heatmap is None:
            said = self.state.reason or self.state.status
            yield from self._message([Segment(_printable(said))], _HEADER_LINES)
            return
        yield from self._chart(self.heatmap, has_colours)

    def _message(self, message: Line, lines_above: int) -> Iterator[Line]:
        lines = self.height - lines_above
        left = max(0, (self.width - sum(segment.cell_length for segment in message)) // 2)
        for number in range(lines):
            yield [Segment(" " * left), *message] if number == lines // 2 else []

    def _chart(self, heatmap: Heatmap, has_colours: bool) -> Iterator[Line]:
        state = self.state
        lines = self.height - _HEADER_LINES - _FOOTER_LINES
        most = heatmap.axes.price_decimals
        # The width of the axis follows from its labels, and they do not depend on the width of the picture.
        sketch = draw(heatmap, 1, 2 * lines, price=state.mark_price, span_percent=self.span_percent)
        decimals = price_decimals(sketch, lines, most)
        labels = {line: f"{price:,.{decimals}f}" for line, price in price_marks(sketch, lines, 3).items()}
        now = None if state.mark_price is None else f"{state.mark_price:,.{state.price_decimals}f}"
        axis_width = max(len(label) for label in [*labels.values(), now or ""]) + 2
        width = self.width - axis_width
        picture = draw(heatmap, width, 2 * lines, price=state.mark_price, span_percent=self.span_percent)
        now_line = None if picture.price_y is None else lines - 1 - picture.price_y // 2
        paint = _coloured_lines if has_colours else _plain_lines
        for number, line in enumerate(paint(picture, self.scale)):
            if number == now_line and now is not None:
                yield [*line, Segment(f"◄{now}".ljust(axis_width), _BOLD)]
            else:
                yield [*line, Segment(f" {labels.get(number, '')}".ljust(axis_width), _DIM)]
        yield [Segment(_time_axis(heatmap, width).ljust(width), _DIM), Segment(" UTC", _DIM)]
        yield _legend(picture, self.scale, self.width, has_colours)


def _title(state: WatchState, width: int) -> Line:
    """Return what is watched, its price and what the data are; at the right whether it is in sync."""
    price = "" if state.mark_price is None else f"  {state.mark_price:,.{state.price_decimals}f}"
    left = [Segment(f" {_printable(state.symbol)} {_printable(state.timeframe)}{price}  ", _BOLD)]
    for tag in state.tags:
        left += [Segment(f" {_printable(tag)} ", _BAD if tag in ("STALE", "ENDED") else _TAG), Segment(" ")]
    right = Segment(" IN SYNC ", _GOOD) if state.in_sync else Segment(" NOT IN SYNC ", _BAD)
    room = width - right.cell_length
    return [*Segment.adjust_line_length(left, room), right]


def _facts(state: WatchState, width: int) -> Line:
    """Return how old and how good the picture is; or, over the whole line, that it is not current."""
    if not state.in_sync:
        text = f" {_printable(state.status)}. What is drawn is not current."
        return Segment.adjust_line_length([Segment(text, _BAD)], width, style=_BAD)
    facts: Line = [Segment(" ESTIMATE", _BOLD)]
    if state.age_s is not None:
        style = _BAD if state.age_s > OLD_DATA_S else _PLAIN
        facts += [Segment(" · ", _DIM), Segment(f"age {_duration(state.age_s)}", style)]
    if state.data_unix_ns:
        facts += [Segment(" · ", _DIM), Segment(f"as of {_instant(state.data_unix_ns)} UTC")]
    if state.covered_share is not None:
        facts += [Segment(" · ", _DIM), Segment(f"{state.covered_share:.0%} of OI covered")]
    if state.heard_s < float("inf"):
        facts += [Segment(" · ", _DIM), Segment(f"heard {_duration(state.heard_s)} ago")]
    if state.source:
        facts += [Segment(" · ", _DIM), Segment(_printable(state.source), _DIM)]
    return facts


def _coloured_lines(picture: Picture, scale: ColourScale) -> Iterator[Line]:
    """Yield text lines, highest price first, each of two rows of points."""
    palette = (*scale.colours, scale.path, scale.line)
    points = level_shades(picture.top_level)[picture.levels]
    if picture.price_y is not None:
        points[::2, picture.price_y] = STEPS + 1  # dashed, so that what lies under the line can be seen
    points[picture.on_path] = STEPS
    for y in range(points.shape[1] - 2, -1, -2):
        yield list(_runs(points[:, y + 1].tolist(), points[:, y].tolist(), palette))


def _runs(upper: list[int], lower: list[int], palette: tuple[Colour, ...]) -> Iterator[Segment]:
    """Yield a line of half blocks, equal neighbours joined."""
    start = 0
    for x in range(1, len(upper) + 1):
        if x == len(upper) or (upper[x], lower[x]) != (upper[start], lower[start]):
            top, bottom = palette[upper[start]], palette[lower[start]]
            yield Segment((" " if top == bottom else "▀") * (x - start), _half_block(top, bottom))
            start = x


@lru_cache(maxsize=8192)
def _half_block(top: Colour, bottom: Colour) -> Style:
    return Style.from_color(Color.from_rgb(*top), Color.from_rgb(*bottom))


def _plain_lines(picture: Picture, scale: ColourScale) -> Iterator[Line]:
    """Yield text lines without colours: denser signs for more."""
    shades = level_shades(picture.top_level).astype(np.int64)[picture.levels]
    steps = -(-shades * (len(_RAMP) - 1) // (len(scale.colours) - 1))
    for y in range(steps.shape[1] - 2, -1, -2):
        signs = [_RAMP[step] for step in np.maximum(steps[:, y], steps[:, y + 1])]
        if picture.price_y in (y, y + 1):
            signs[::2] = _LINE_SIGN * len(signs[::2])
        path = picture.on_path[:, y] | picture.on_path[:, y + 1]
        yield [Segment("".join(_PATH_SIGN if on else sign for sign, on in zip(signs, path, strict=True)))]


def _time_axis(heatmap: Heatmap, width: int) -> str:
    axis = [" "] * width
    for x, minute, is_day in time_marks(heatmap, width, len("|00 Mmm ")):
        instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
        label = "|" + instant.strftime("%d %b" if is_day or minute % 1440 == 0 else "%H:%M")
        if x + len(label) <= width:
            axis[x : x + len(label)] = label
    return "".join(axis)


def _legend(picture: Picture, scale: ColourScale, width: int, has_colours: bool) -> Line:
    """Return the scale with the USD that each quarter of it ends at."""
    if not picture.top_level:
        return [Segment(" no positions at risk in this window (estimate)", _DIM)]
    top_usd = float(LEVEL_USD[picture.top_level])
    caption = " USD a cell, estimate  0 " if width >= 64 else " USD 0 "
    part = max(2, min(10, (width - len(caption) - 4 * 7) // 4))
    line = [Segment(caption, _DIM)]
    for quarter in range(4):
        shades = [round((quarter + (i + 0.5) / part) / 4 * (STEPS - 1)) for i in range(part)]
        if has_colours:
            line += [Segment(" ", _half_block(scale.colours[shade], scale.colours[shade])) for shade in shades]
        else:
            line.append(Segment("".join(_RAMP[-(-shade * (len(_RAMP) - 1) // (STEPS - 1))] for shade in shades)))
        line.append(Segment(f" {compact_usd(top_usd * ((quarter + 1) / 4) ** (1 / EXPONENT))} ", _DIM))
    return line


def compact_usd(usd: float) -> str:
    """Return an amount in at most five characters: 850, 12.3k, 4.0M, 1.2B."""
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if usd >= size * 0.9995:
            amount = usd / size
            return f"{amount:.0f}{letter}" if amount >= 99.95 else f"{amount:.1f}{letter}"
    return f"{usd:.0f}"


def _duration(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.1f} s"


def _instant(unix_ns: int) -> str:
    seconds = min(unix_ns // 1_000_000_000, 253_402_300_799)  # the last second of the year 9999
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _printable(text: str) -> str:
    """Return text from outside without anything a terminal might obey."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)

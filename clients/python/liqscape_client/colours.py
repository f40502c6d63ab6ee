"""Colour scales of a heatmap, from nothing to the most, as 24-bit colours; knows nothing of terminals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqscape_client.decoding import LEVEL_USD

STEPS: Final = 64
"""Colours of a scale: more than an eye tells apart, few enough that a terminal line is made of few runs."""

EXPONENT: Final = 2 / 3

Colour = tuple[int, int, int]
"""Red, green, blue, 0..255 each."""


@dataclass(frozen=True, slots=True)
class ColourScale:
    """A scale and the colours that stand out on all of it.

    Attributes:
        name: what users call it.
        colours: from nothing to the most.
        path: colour of the price path.
        line: colour of the line at the price now.
    """

    name: str
    colours: tuple[Colour, ...]
    path: Colour
    line: Colour


def _between(anchors: str) -> tuple[Colour, ...]:
    """Return STEPS colours, interpolated linearly between hexadecimal anchors at equal distances."""
    stops = np.array([[int(anchor[i : i + 2], 16) for i in (0, 2, 4)] for anchor in anchors.split()], dtype=np.float64)
    place = np.linspace(0, len(stops) - 1, STEPS)
    channels = [np.rint(np.interp(place, np.arange(len(stops)), stops[:, channel])) for channel in range(3)]
    return tuple((int(red), int(green), int(blue)) for red, green, blue in zip(*channels, strict=True))


SCALES: Final[dict[str, ColourScale]] = {
    scale.name: scale
    for scale in (
        ColourScale(
            "yellow", _between("000000 2e2700 5c4f00 948000 cdb100 ffe100 fff8b0"), (90, 200, 255), (150, 150, 150)
        ),
        # Even steps of lightness, and told apart by every common form of colour blindness.
        ColourScale(
            "viridis",
            _between("440154 472d7b 3b528b 2c728e 21918c 28ae80 5ec962 addc30 fde725"),
            (255, 255, 255),
            (200, 200, 200),
        ),
        ColourScale(
            "purple",
            _between("0b0724 2a0f54 571a7c 8d2a81 c43c75 ef6a4c fbb14a fff6b3"),
            (90, 220, 255),
            (170, 170, 170),
        ),
        ColourScale(
            "heat", _between("07142f 0b3b6f 0e7f6d 3fae49 e6d22e f28c1c d7191c"), (255, 255, 255), (190, 190, 190)
        ),
    )
}
"""By name: black to yellow; viridis; dark blue over purple to yellow; blue and green over yellow to red."""

DEFAULT_SCALE: Final = "yellow"

STALE_SCALE: Final = ColourScale("grey", _between("000000 202020 707070"), (140, 140, 140), (90, 90, 90))
"""What is drawn while not in sync: nobody takes it for a live picture."""


def level_shades(top_level: int) -> NDArray[np.uint8]:
    """Return the step of a scale for each level, uint8[256], where top_level is the most that is shown.

    The step goes with USD to the power of EXPONENT: linear would leave all but the very largest cells black,
    logarithmic (as levels are) would drown them in noise.
    """
    top_usd = LEVEL_USD[max(1, top_level)]
    shades: NDArray[np.uint8] = np.rint(np.minimum(1.0, LEVEL_USD / top_usd) ** EXPONENT * (STEPS - 1)).astype(np.uint8)
    shades[1:] = np.maximum(shades[1:], 1)  # something is never drawn as nothing
    return shades

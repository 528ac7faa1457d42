"""Ink that can be read on its background, by the contrast of WCAG 2. Needs Matplotlib."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib import colors
from matplotlib.axes import Axes
from numpy.typing import NDArray

READABLE = 4.5  # contrast of text and its background: level AA of WCAG 2


def _luminance(colour: Any) -> float:
    """Relative luminance of WCAG 2."""
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in colors.to_rgb(colour)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: Any, other: Any) -> float:
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def background(ax: Axes) -> NDArray[np.float64]:
    """The colour behind what is drawn: where the Axes is transparent, the figure's, or paper's."""
    behind = np.ones(3)
    for over in (ax.figure.get_facecolor(), ax.get_facecolor()):
        *colour, opacity = colors.to_rgba(over)
        behind = opacity * np.array(colour) + (1 - opacity) * behind
    return behind


def black_or_white(background: Any) -> str:
    """The ink that stands out more from this colour."""
    return max("black", "white", key=lambda ink: _contrast(ink, background))


def readable(colour: Any, background: Any) -> NDArray[np.float64]:
    """The colour, mixed with black or white until it stands out from the background."""
    ink = np.array(colors.to_rgb(black_or_white(background)))
    own = np.array(colors.to_rgb(colour))
    mixtures = (own + part * (ink - own) for part in np.linspace(0, 1, 101))
    return next(mixed for mixed in mixtures if _contrast(mixed, background) >= READABLE)

"""The ReLU explorer: a gate, its kink, and what a nudge says about both.

Chapter ``relu``, equations relu-forward, relu-elementwise and relu-backward; the numbers are those
of :func:`companion.relu`, :func:`companion.relu_backward` and :func:`companion.numerical_gradient`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from companion.gradcheck import numerical_gradient
from companion.relu import relu, relu_backward
from companion.shapes import as_gradient

from ._controls import Settings, Slider, Table, plain
from ._display import Explorer, Frame, Part, present, tabulate

if TYPE_CHECKING:
    from .live import LiveExplorer

AT = Slider("at", "z", -3, 3, 0.25)
INCOMING = Slider("incoming", "Incoming da", -2, 2, 0.5)
STEP = Slider("step", "Nudge", 0.125, 1, 0.125)
TABLES = (Table("z", "n", most=8), Table("da", "n", most=8))

# The example by hand of the chapter: closed, on the kink, open; the digits of da tell the places.
EXAMPLE = (-2.0, 0.0, 3.0, -1.0, 5.0)
EDGE = AT.high + STEP.high
"""How far the curves are drawn to both sides."""


class ReLUExplorer(Explorer):
    """The ReLU explorer; see :func:`companion.widgets.explore_relu`."""

    kind = "relu"
    label = "ReLU explorer"
    uses = ("grid", "plot")

    def frame(self, settings: Settings) -> Frame:
        """The point on the curve with its slopes, and the row of numbers below it."""
        z, da = np.asarray(settings["z"], float), np.asarray(settings["da"], float)
        if len(z) != len(da):
            return {"problem": f"z has {len(z)} numbers and da has {len(da)}: each z needs its da."}
        at, step = settings["at"], settings["step"]
        nudged = np.array([at - step, at, at + step])
        below, a, above = relu(nudged)
        used = relu_backward(1.0, at)
        slopes = np.array([used, (a - below) / step, central(at, step), (above - a) / step])
        corners = np.array([-EDGE, -step, 0.0, step, EDGE])
        nudges = [central(v, step) for v in z]
        opened = relu_backward(np.ones_like(z), z)
        return {
            "points": plain(np.transpose([nudged, relu(nudged)])),
            "subgradients": plain([0.0, 1.0] if at == 0 else [used, used]),
            "curve": plain(np.transpose([corners, relu(corners)])),
            "ramp": plain(np.transpose([corners, [central(v, step) for v in corners]])),
            "slopes": plain([slopes, slopes * settings["incoming"]]),
            "row": plain([z, da, relu(z), opened, relu_backward(da, z), da * nudges]),
        }

    def parts(self, settings: Settings) -> list[Part]:
        """Slopes at every value of z and every nudge; the row as it is for the numbers given."""

        def of(*names: str) -> Part:
            def make(settings: Settings) -> Frame:
                frame = self.frame(settings)
                return {name: frame[name] for name in names if name in frame}

            sliders = [AT, STEP] if "slopes" in names else [STEP]
            also = ["incoming"] if "slopes" in names else ["z", "da"]
            return tabulate(sliders, settings, make, also=also)

        return [of("slopes"), of("ramp", "row")]

    def captions(self, settings: Settings) -> dict[str, str]:  # noqa: ARG002
        """The two tables."""
        return {
            "slopes": "Slope at z (used, left, central, right), and times da",
            "row": "Rows z, da, a, gate, dz, central difference",
        }


def central(z: float, step: float) -> float:
    """The central difference of the ReLU, gradcheck-central."""
    return float(numerical_gradient(relu, float(z), step=step))


def explore_relu(
    z: ArrayLike | None = None,
    da: ArrayLike | None = None,
    *,
    at: float = 0.5,
    incoming: float = 2,
    step: float = 1,
) -> ReLUExplorer | LiveExplorer:
    """Show the ReLU at one number and for a row of numbers: curve, gate, kink, and nudges.

    Parameters
    ----------
    z : array_like, (n,), optional
        A row of at most 8 numbers, shown below the curve. Default: the chapter's example.
    da : array_like, (n,), optional
        Gradient of the loss with respect to the row's outputs. Default: powers of ten.
    at : float, -3 to 3 in steps of 0.25
        The number at which the curve is looked at, to begin with.
    incoming : float, -2 to 2 in steps of 0.5
        The gradient that comes in there.
    step : float, 0.125 to 1 in steps of 0.125
        The nudge of the finite differences.

    Returns
    -------
    LiveExplorer or ReLUExplorer
        A live widget where anywidget is installed, else the same thing as HTML, with its numbers
        inside. Every argument is a trait of the widget, and so is ``frame``, the tables shown.

    Raises
    ------
    TypeError, ValueError
        If an array or a setting is not what is listed above, or the rows differ in length.

    Notes
    -----
    Chapter ``relu``, equations relu-forward, relu-elementwise and relu-backward; the finite
    differences are those of equation gradcheck-central and its two halves.

    Examples
    --------
    >>> explore_relu(at=0, step=0.5)
    explore_relu(at=0.0, incoming=2.0, step=0.5)
    """
    row = TABLES[0].check(EXAMPLE if z is None else z)
    gradient = 10.0 ** np.arange(len(row)) if da is None else da
    if da is not None:
        gradient = as_gradient("da", da, (len(row),), "z")
    settings: Settings = {
        "z": row,
        "da": gradient,
        "at": at,
        "incoming": incoming,
        "step": step,
    }
    return present(ReLUExplorer([AT, INCOMING, STEP, *TABLES], settings))

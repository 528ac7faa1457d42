"""The softmax explorer: probabilities, their derivatives, the cross-entropy and its gradient.

Chapter ``softmax``, equations softmax-forward, softmax-jacobian, softmax-backward, softmax-loss,
softmax-da and softmax-fused; the numbers are those of :mod:`companion.softmax`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from companion.shapes import FloatArray
from companion.softmax import cross_entropy, cross_entropy_backward, softmax, softmax_backward

from ._controls import Cell, Choice, Control, Row, Settings, Slider, plain
from ._display import Explorer, Frame, Part, present, tabulate, with_cell_in

if TYPE_CHECKING:
    from .live import LiveExplorer

FEWEST, MOST = 2, 6
SCORES = Row("z", "K", MOST, label="z", low=-4, high=4, step=0.5)
CLASSES = Slider("classes", "Classes", FEWEST, MOST)
SHIFT = Slider("shift", "Shift \N{GREEK SMALL LETTER THETA} of all scores", -1000, 1000, 20)
MODE = Choice(
    "mode",
    "See",
    (
        ("forward", "probabilities"),
        ("jacobian", "derivatives (Jacobian)"),
        ("backward", "gradients"),
        ("overflow", "overflow"),
    ),
    view=True,
)

# The chapter's row first. However many are taken, the probabilities have few digits.
EXAMPLE = np.log([1.0, 2.0, 5.0, 8.0, 4.0, 20.0])


class SoftmaxExplorer(Explorer):
    """The softmax explorer; see :func:`companion.widgets.explore_softmax`."""

    kind = "softmax"
    label = "Softmax explorer"
    uses = ("grid", "bargrid", "row")

    def frame(self, settings: Settings) -> Frame:
        """All tables of one setting; None where a number is not finite."""
        z = np.asarray(settings["z"], dtype=np.float64)[: settings["classes"]]
        K = len(z)
        label = min(settings["right_class"], K - 1)
        scores = z + settings["shift"]
        a = softmax(scores)
        y = np.eye(K)[label]
        da = _of_the_loss(a, y)
        naive, stable = _naive(scores), _stable(scores)
        return {
            "limits": {"right_class": K - 1},
            "label": label,
            "shift": settings["shift"],
            "z": plain(z),
            "exponentials": plain(stable[:, 1]),
            "a": plain(a),
            # One backward pass for each probability gives its row of the table.
            "jacobian": plain(softmax_backward(np.eye(K), np.broadcast_to(a, (K, K)))),
            "loss": cross_entropy([scores], [label]),
            "da": _finite(da),
            "through": _finite(softmax_backward(da, a)),
            "dz": plain(cross_entropy_backward([scores], [label])[0]),
            "squared": plain(softmax_backward(a - y, a)),
            "naive": _finite(naive),
            "naive_a": _finite(naive[:, 2]),
            "stable": plain(stable),
        }

    def parts(self, settings: Settings) -> list[Part]:
        """The first row of scores with every label; the page computes all else."""
        labels = [c for c in self.controls if isinstance(c, Slider) and c.name == "right_class"]

        def results(settings: Settings) -> Frame:
            frame = self.frame(settings)
            return {name: frame[name] for name in ("a", "dz", "loss")}

        return [tabulate(labels, settings, results, also=["classes", "shift"])]

    def captions(self, settings: Settings) -> dict[str, str]:
        """The tables of the first view."""
        more = {
            "forward": {},
            "jacobian": {"jacobian": "Derivatives of a (rows) by z (columns)"},
            "backward": {"dz": "Gradient dz"},
            "overflow": {"stable": "Scores less the largest, their exponentials, a"},
        }
        return {"z": "Scores z", "a": "Probabilities a", **more[settings["mode"]]}

    def settle(self, settings: Settings, frame: Frame) -> Settings:
        """The settings with the cell on the table that is pointed at."""
        columns = {"jacobian": len(frame["a"]), "overflow": 3}.get(settings["mode"], 1)
        return with_cell_in((len(frame["a"]), columns), settings)


def explore_softmax(
    z: ArrayLike | None = None,
    *,
    classes: int | None = None,
    right_class: int = 1,
    shift: int = 0,
    mode: str = "forward",
) -> SoftmaxExplorer | LiveExplorer:
    """Show how scores become probabilities, and what a loss sends back to the scores.

    Parameters
    ----------
    z : array_like, (K,), optional
        The scores of one example, of 2 to 6 classes; their number is then fixed. Default: the
        row log 1, log 2, log 5 of the chapter, and more where more classes are asked for.
    classes : int, 2 to 6, optional
        How many of the example's scores to take, to begin with. Default 3. Not together with
        ``z``.
    right_class : int, 0 to K - 1
        The label, to begin with. Default 1.
    shift : int, -1000 to 1000, a multiple of 20
        What to add to all scores, to begin with. Default 0.
    mode : {"forward", "jacobian", "backward", "overflow"}
        What to show first: the probabilities, their derivatives, the gradients of the loss, or
        the softmax with and without the largest score subtracted.

    Returns
    -------
    LiveExplorer or SoftmaxExplorer
        A live widget where anywidget is installed, else the same thing as HTML. Every argument is
        a trait of the widget, and so are ``cell``, the row and column pointed at, and ``frame``,
        the tables shown, with None where a number is not finite.

    Raises
    ------
    TypeError, ValueError
        If ``z`` is not a row of 2 to 6 finite numbers, or a setting is not what is listed above.

    Notes
    -----
    Chapter ``softmax``, equations softmax-forward, softmax-jacobian, softmax-backward, softmax-da
    and softmax-fused, for one example.

    Examples
    --------
    >>> explore_softmax([2.0, -1.0, 0.5, 0.0], right_class=3)
    explore_softmax(right_class=3, shift=0, mode='forward')
    """
    own = None if z is None else SCORES.check(z)
    if own is not None and classes is not None:
        raise ValueError(f"classes must be left out where z is given: z has {len(own)} entries")
    if own is not None and len(own) < FEWEST:
        raise ValueError(f"z must have at least {FEWEST} entries, got {len(own)}")
    K = 3 if own is None and classes is None else classes
    controls: list[Control] = [
        *([CLASSES] if own is None else []),
        replace(SCORES, size=np.shape(EXAMPLE if own is None else own)),
        Slider(
            "right_class", "Right class", 0, (MOST if own is None else len(own)) - 1, index=True
        ),
        SHIFT,
        MODE,
        Cell(),
    ]
    settings: Settings = {
        "z": EXAMPLE if own is None else own,
        "classes": K,
        "right_class": right_class,
        "shift": shift,
        "mode": mode,
        "cell": [1, 0],
    }
    explorer = SoftmaxExplorer(controls, settings)
    if K is not None and explorer.settings["right_class"] >= K:
        raise ValueError(f"right_class must be from 0 to {K - 1}, got {right_class!r}")
    return present(explorer)


def _of_the_loss(a: FloatArray, y: FloatArray) -> FloatArray:
    """Gradient of the cross-entropy by the probabilities, (K,): -inf where one rounds to zero."""
    with np.errstate(divide="ignore", over="ignore"):
        return np.divide(-y, a, out=np.zeros_like(a), where=y != 0)  # softmax-da


def _stable(scores: FloatArray) -> FloatArray:
    """Scores less the largest, their exponentials, and the share of each in the sum, (K, 3)."""
    shifted = scores - scores.max()
    return np.stack([shifted, np.exp(shifted), softmax(scores)], axis=1)


def _naive(scores: FloatArray) -> FloatArray:
    """The same of the scores as they stand, (K, 3): inf and NaN where they are large."""
    with np.errstate(all="ignore"):
        exponentials = np.exp(scores)
        return np.stack([scores, exponentials, exponentials / exponentials.sum()], axis=1)


def _finite(array: FloatArray) -> list[Any]:
    """An array as lists for JSON, which has no inf and no NaN: None stands for both."""
    finite = np.isfinite(array)
    if finite.all():
        return plain(array)
    entries = array.astype(object)
    entries[~finite] = None
    lists: list[Any] = entries.tolist()
    return lists

"""The explorer of finite differences: how long the nudge should be.

Chapter ``gradcheck``, equations gradcheck-central, gradcheck-truncation, gradcheck-step,
gradcheck-richardson and gradcheck-complex; the slopes are those of
:func:`companion.gradcheck.numerical_gradient`.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from companion.gradcheck import numerical_gradient
from companion.shapes import FloatArray

from ._controls import Choice, Settings, Slider
from ._display import Explorer, Frame, Part, present, tabulate

if TYPE_CHECKING:
    from .live import LiveExplorer

    Function = Callable[[Any], Any]


@dataclass(frozen=True)
class Example:
    """A function and a place; ``derivative(n, x)`` is the n-th derivative at ``x``."""

    text: str
    at: float
    f: Function
    derivative: Callable[[int, float], float]


@dataclass(frozen=True)
class Method:
    """A way to take a slope, and the error expected of it.

    Truncation is ``share * |f^(order)| * step**power``, rounding ``noise * mu * |f| / step``.
    """

    text: str
    power: int
    order: int
    share: float
    noise: float


def _of_numbers(f: Callable[[Any, Any], Any]) -> Function:
    """``f(m, x)`` of a Python number, ``m`` being ``math`` or ``cmath``, in the precision of ``x``.

    The explorer shows what rounding leaves of a difference, and the last digit of NumPy's own
    functions and products depends on the processor, and on NumPy's version.
    """

    def rounded(x: ArrayLike) -> Any:
        x = np.asarray(x)
        return x.dtype.type(f(cmath, complex(x)) if np.iscomplexobj(x) else f(math, float(x)))

    return rounded


FUNCTIONS = {
    "product": Example(
        "e\u02e3 sin 2x at 0.7",
        0.7,
        _of_numbers(lambda m, x: m.exp(x) * m.sin(2 * x)),
        lambda n, x: float(((1 + 2j) ** n * np.exp((1 + 2j) * x)).imag),
    ),
    "cube": Example(
        "x\u00b3 at 0.7",
        0.7,
        _of_numbers(lambda _, x: x * x * x),
        lambda n, x: math.perm(3, n) * x ** max(3 - n, 0),
    ),
    "log": Example(
        "ln x at 100",
        100.0,
        _of_numbers(lambda m, x: m.log(x)),
        lambda n, x: (-1) ** (n - 1) * math.factorial(n - 1) / x**n,
    ),
    "root": Example(
        "\u221ax at 0.01",
        0.01,
        _of_numbers(lambda m, x: m.sqrt(x)),
        lambda n, x: math.prod(0.5 - k for k in range(n)) * x ** (0.5 - n),
    ),
    "abs": Example(
        "|x| at 0.0001, beside its kink",
        1e-4,
        lambda x: np.abs(x) + 0 * x,  # complex for a complex x, or the package would refuse it
        lambda n, x: float(np.sign(x)) if n == 1 else 0.0,
    ),
}
METHODS = {
    "forward": Method("one-sided", 1, 2, 1 / 2, 2),
    "central": Method("central", 2, 3, 1 / 6, 1),
    "richardson": Method("Richardson", 4, 5, 1 / 30, 3 / 2),
    "complex": Method("complex step", 2, 3, 1 / 6, 0),
}
FUNCTION = Choice("function", "Slope of", tuple((k, e.text) for k, e in FUNCTIONS.items()))
PRECISION = Choice("precision", "Numbers", (("float64", "float64"), ("float32", "float32")))
METHOD = Choice("method", "Method", tuple((k, m.text) for k, m in METHODS.items()), view=True)
EXPONENT = Slider("exponent", "Nudge \u03b5 = 10 to the power", -13, -1, 0.5)


class GradcheckExplorer(Explorer):
    """The explorer of finite differences; see :func:`companion.widgets.explore_gradcheck`."""

    kind = "gradcheck"
    label = "Finite difference explorer"
    uses = ("plot",)

    def frame(self, settings: Settings) -> Frame:
        """Errors of every method at every nudge, and what is expected of them.

        Errors are kept to two digits, and None where there is no slope; what is expected of them is
        kept to three.
        """
        example = FUNCTIONS[settings["function"]]
        x = np.asarray(example.at, settings["precision"])
        place, mu = float(x), float(np.finfo(x.dtype).eps)
        exact = example.derivative(1, place)
        steps = [10.0**exponent for exponent in EXPONENT.values()]
        return {
            "n": EXPONENT.values().index(settings["exponent"]),
            "x": place,
            "slope": exact,
            "errors": [
                [_error(slope_by(method, example.f, x, step), exact) for method in METHODS]
                for step in steps
            ],
            "truncation": [
                _rounded(m.share * abs(example.derivative(m.order, place)), 3)
                for m in METHODS.values()
            ],
            "rounding": [
                _rounded(m.noise * mu * abs(float(example.f(place))), 3) for m in METHODS.values()
            ],
            "rule": [_rounded(rule_of_thumb(method, place, mu), 3) for method in METHODS],
        }

    def parts(self, settings: Settings) -> list[Part]:
        """All but the position of the present nudge among the others, which the page finds."""

        def curves(settings: Settings) -> Frame:
            return {name: v for name, v in self.frame(settings).items() if name != "n"}

        return [tabulate([FUNCTION, PRECISION], settings, curves)]

    def captions(self, settings: Settings) -> dict[str, str]:  # noqa: ARG002
        """The errors."""
        methods = ", ".join(method.text for method in METHODS.values())
        return {"errors": f"Error with nudges of 1e-13 to 0.1 (rows), by {methods}"}


def slope_by(method: str, f: Function, x: FloatArray, step: float) -> float | None:
    """The slope of ``f`` at ``x`` that a method finds, or None where it finds none."""
    try:
        if method == "forward":
            slope = forward(f, x, step)
        else:
            slope = float(numerical_gradient(f, x, step=step, method=method))  # type: ignore[arg-type]
    except ValueError:  # the nudge is too small to change x, or the root of a negative number
        return None
    return slope if math.isfinite(slope) else None


def forward(f: Function, x: FloatArray, step: float) -> float:
    """The one-sided difference in the precision of ``x``, over the nudge as it was rounded."""
    nudged = x + x.dtype.type(step)
    width = float(nudged - x)
    if width == 0:
        raise ValueError(f"step must be large enough to change x, got {step!r}")
    return (float(f(nudged)) - float(f(x))) / width


def rule_of_thumb(method: str, x: float, mu: float) -> float:
    """The nudge that suits a precision where nothing is known of f: gradcheck-step."""
    rule = {
        "forward": mu ** (1 / 2),
        "central": mu ** (1 / 3),
        "richardson": 30 * mu ** (1 / 3),
        "complex": 1e-15 * mu ** (1 / 3),
    }[method]
    return float(rule * max(1.0, abs(x)))


def explore_gradcheck(
    *,
    function: str = "product",
    precision: str = "float64",
    method: str = "central",
    exponent: float = -3,
) -> GradcheckExplorer | LiveExplorer:
    """Show the error of a finite difference against its nudge, and the nudge that is best.

    Parameters
    ----------
    function : {"product", "cube", "log", "root", "abs"}
        What to differentiate first: exp(x) sin(2 x) or x**3 at 0.7, ln x at 100, the square root at
        0.01, or the absolute value at 0.0001.
    precision : {"float64", "float32"}
        Of x and of all that is computed from it.
    method : {"forward", "central", "richardson", "complex"}
        The way to take the slope; ``"forward"`` nudges to one side, the others are those of
        :func:`companion.gradcheck.numerical_gradient`.
    exponent : float, -13 to -1 in steps of 0.5
        The nudge is ten to this power.

    Returns
    -------
    LiveExplorer or GradcheckExplorer
        A live widget where anywidget is installed, else the same thing as HTML, with its numbers
        inside. Every argument is a trait of the widget, and so is ``frame``, the errors shown.

    Raises
    ------
    TypeError, ValueError
        If a setting is not what is listed above.

    Notes
    -----
    Chapter ``gradcheck``, equations gradcheck-central, gradcheck-truncation, gradcheck-step,
    gradcheck-richardson and gradcheck-complex.

    Examples
    --------
    >>> explore_gradcheck(function="cube", exponent=-5.5)
    explore_gradcheck(function='cube', precision='float64', method='central', exponent=-5.5)
    """
    settings = {
        "function": function,
        "precision": precision,
        "method": method,
        "exponent": exponent,
    }
    return present(GradcheckExplorer([FUNCTION, PRECISION, METHOD, EXPONENT], settings))


def _error(slope: float | None, exact: float) -> float | None:
    return None if slope is None else _rounded(slope - exact, 2)


def _rounded(value: float, digits: int) -> float:
    """To so many digits, as a page can store it."""
    return float(f"{value:.{digits}g}")

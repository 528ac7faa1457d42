"""The network explorer: a small network at moments of its training, layer by layer and back.

Chapter ``network``, equations network-forward, network-backward and network-dtheta; the numbers
are those of :class:`companion.Sequential`, of :func:`companion.softmax` and of
:func:`companion.cross_entropy`.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from companion.datasets import load_digits
from companion.shapes import FloatArray, as_classes, as_float, check_classes
from companion.softmax import cross_entropy, cross_entropy_backward, softmax

from ._controls import Cell, Choice, Control, Settings, Slider, plain
from ._display import Explorer, Frame, Part, present
from .make_network_run import EIGHTHS, KEPT, RUN, network_of, rounded, shrink

if TYPE_CHECKING:
    from .live import LiveExplorer

SIDE, CLASSES = 14, 10
MOST = 20
"""The largest number of images."""
LAYER = Choice(
    "layer",
    "Show",
    (
        ("x0", "input x₀"),
        ("w0", "kernels w₀"),
        ("x1", "convolution x₁"),
        ("x2", "ReLU x₂"),
        ("x3", "max pooling x₃"),
        ("x5", "scores x₅"),
    ),
    view=True,
)
GRADIENT = Choice("gradient", "Gradients of", (("loss", "the loss"), ("score", "the right score")))
SNAPSHOT = Slider("snapshot", "Snapshot", 0, len(KEPT) - 1)
CURVES = ("train_loss", "test_loss", "dw0_norm", "dw4_norm")


@cache
def recorded() -> dict[str, list[Any]]:
    """The recorded run: measures by name and ``weights`` in eighths, along the snapshots."""
    run: dict[str, list[Any]] = json.loads(RUN.read_text(encoding="ascii"))
    return run


@cache
def _examples() -> FloatArray:
    """The first held-out image of each digit, (10, 14, 14, 1)."""
    digits = load_digits()
    first = [int(np.argmax(digits.y_test == digit)) for digit in range(CLASSES)]
    return shrink(digits.x_test[first])


class NetworkExplorer(Explorer):
    """The network explorer; see :func:`companion.widgets.explore_network`."""

    kind = "network"
    label = "Network explorer"
    uses = ("bars", "plot", "pixels")

    def __init__(self, controls: Iterable[Control], settings: Settings, images: FloatArray) -> None:
        super().__init__(controls, settings)
        self.images = images  # (n, 14, 14, 1), in whole eighths

    def frame(self, settings: Settings) -> Frame:
        """Every array of one image's forward and backward pass, maps side by side."""
        network = network_of(recorded()["weights"][settings["snapshot"]])
        x = self.images[settings["digit"]][np.newaxis]  # (1, 14, 14, 1)
        label = int(settings["labels"][settings["digit"]])

        outputs: list[FloatArray] = [x]
        for layer in network.layers:
            outputs.append(layer.forward(outputs[-1]))  # network-forward
        scores = outputs[-1]
        if settings["gradient"] == "loss":
            gradients: list[FloatArray] = [cross_entropy_backward(scores, [label])]
        else:
            gradients = [np.eye(CLASSES)[[label]]]  # of the right score
        for layer in reversed(network.layers):
            gradients.insert(0, layer.backward(gradients[0]))  # network-backward

        frame: Frame = {f"x{l}": _beside(outputs[l]) for l in range(4)}
        frame |= {f"dx{l}": _beside(gradients[l]) for l in range(4)}
        return {
            **frame,
            **_measured(),
            "label": label,
            "w0": _beside(network.params["0.w"].transpose(2, 0, 1, 3)),
            "dw0": _beside(network.grads["0.w"].transpose(2, 0, 1, 3)),
            "b0": plain(network.params["0.b"]),
            "w4": plain(network.params["4.w"]),
            "x5": plain(scores[0]),
            "dx5": plain(gradients[-1][0]),
            "a": plain(softmax(scores)[0]),
            "loss": cross_entropy(scores, [label]),
        }

    def parts(self, settings: Settings) -> list[Part]:  # noqa: ARG002
        """What was measured; the page computes the rest, from the weights in the settings."""
        return [Part({}, [_measured()])]

    def captions(self, settings: Settings) -> dict[str, str]:  # noqa: ARG002
        """The answer."""
        return {"a": "Probabilities a"}

    def pointed(self, settings: Settings) -> str | None:
        """The table that the present mode looks into."""
        return None if settings["layer"] == "x5" else settings["layer"]


def explore_network(
    images: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    *,
    digit: int | None = None,
    snapshot: int = 0,
    layer: str = "x0",
    gradient: str = "loss",
) -> NetworkExplorer | LiveExplorer:
    """Show a small network at moments of its training: what it makes of a digit, and the way back.

    The network is ``Conv2D(1, 3, 3)``, ``ReLU()``, ``MaxPool2D(3)``, ``Flatten()``,
    ``Dense(48, 10)``. It was trained once on the digits of :func:`companion.datasets.load_digits`,
    shrunk to 14 x 14 pixels, and its weights were kept before some of the steps. They are rounded
    to eighths, and so are the pixels: what is shown is the network with those weights, computed
    exactly.

    Parameters
    ----------
    images : array_like, (n, 14, 14) or (n, 28, 28), optional
        At most 20 images to look at, from 0 (paper) to 1 (ink). Those of 28 x 28 pixels are
        shrunk by average pooling. Default: the first held-out image of each digit.
    labels : array_like of int, (n,), optional
        Their classes, 0 to 9. Together with ``images``.
    digit : int, optional
        Number of the image, to begin with. Default: the first of ``images``, or a 3.
    snapshot : int, 0 to 6
        Which weights, to begin with: those before step 0, 3, 7, 15, 31, 127 or 1023 of the
        training. Default 0: untrained.
    layer : {"x0", "w0", "x1", "x2", "x3", "x5"}
        What to show first, with its gradient: the input, the kernels, or what comes out of the
        convolution, the ReLU, the max pooling or the last layer.
    gradient : {"loss", "score"}
        Whether the gradients are those of the loss or of the score of the right class.

    Returns
    -------
    LiveExplorer or NetworkExplorer
        A live widget where anywidget is installed, else the same thing as HTML. Every argument is
        a trait of the widget, and so are ``cell``, the row and column pointed at (maps stand side
        by side), and ``frame``, the tables shown.

    Raises
    ------
    TypeError, ValueError
        If an array or a setting is not what is listed above.

    Notes
    -----
    Chapter ``network``, equations network-forward, network-backward and network-dtheta. The
    run is kept in a file, made by ``companion/widgets/make_network_run.py``, so that the weights
    are the same on every machine.

    Examples
    --------
    >>> explore_network(digit=7, snapshot=6)
    explore_network(snapshot=6, digit=7, gradient='loss', layer='x0')
    """
    pixels, classes = _door(images, labels)
    number = "Digit" if images is None else "Image"
    controls: list[Control] = [
        SNAPSHOT,
        Slider("digit", number, 0, len(pixels) - 1),
        GRADIENT,
        LAYER,
        Cell(),
    ]
    changes = np.diff(recorded()["weights"], axis=0, prepend=0)  # most of them are small
    settings: Settings = {
        "images": _pack(rounded(pixels)),
        "labels": "".join(map(str, classes)),
        "run": _pack(changes),
        "digit": (3 if images is None else 0) if digit is None else digit,
        "snapshot": snapshot,
        "layer": layer,
        "gradient": gradient,
        "cell": [4, 6],  # amid the stroke
    }
    return present(NetworkExplorer(controls, settings, pixels))


def _door(images: ArrayLike | None, labels: ArrayLike | None) -> tuple[FloatArray, list[int]]:
    """Images (n, 14, 14, 1) and their classes, checked; the examples by default."""
    if (images is None) != (labels is None):
        given, missing = ("images", "labels") if labels is None else ("labels", "images")
        raise ValueError(f"{missing} must be given where {given} are")
    if images is None or labels is None:
        return _examples(), list(range(CLASSES))
    x = as_float("images", images, "n H W")
    if x.shape[1:] not in ((SIDE, SIDE), (2 * SIDE, 2 * SIDE)):
        raise ValueError(f"images must have shape (n, 14, 14) or (n, 28, 28), got {x.shape}")
    if not 0 < len(x) <= MOST:
        raise ValueError(f"images must hold 1 to {MOST} images, got {len(x)}")
    wrong = x[~((x >= 0) & (x <= 1))]
    if wrong.size:
        raise ValueError(f"images must hold numbers from 0 to 1, got {wrong[0]}")
    y = check_classes("labels", as_classes("labels", labels, len(x)), CLASSES)
    x = x[..., np.newaxis]
    return shrink(x) if x.shape[1] > SIDE else rounded(x) / EIGHTHS, y.tolist()


def _beside(maps: FloatArray) -> list[Any]:
    """Maps (1, H, W, K) as a table (H, K * W): one map beside the other."""
    _, H, W, K = maps.shape
    return plain(maps[0].transpose(0, 2, 1).reshape(H, K * W))


def _measured() -> Frame:
    """The steps of the snapshots, and the losses and norms along the run."""
    run = recorded()
    return {"steps": run["steps"], "curves": [run[name] for name in CURVES]}


def _pack(numbers: NDArray[np.int64]) -> str:
    """Small whole numbers as bits, in base64: zero takes one bit, any other n takes abs(n) + 2."""
    bits = "".join(
        "0" if n == 0 else f"1{'1' if n < 0 else '0'}{'1' * (abs(n) - 1)}0"
        for n in numbers.ravel().tolist()
    )
    bits += "0" * (-len(bits) % 8)
    return b64encode(bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))).decode()

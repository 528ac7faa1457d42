"""Every public function and layer that takes arrays, with arguments that it accepts.

The tests of the public door spoil one argument at a time; those of the edges exchange one
array for another kind that must give the same.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import companion

_rng = np.random.default_rng(0)


def normal(*shape):
    """Normal numbers."""
    return _rng.standard_normal(shape)


@dataclass(frozen=True)
class Door:
    """A function, its arrays and its other arguments."""

    call: Callable[..., Any]
    arrays: dict[str, Any]
    settings: dict[str, Any] = field(default_factory=dict)

    def __call__(self, **changed):
        return self.call(**{**self.arrays, **self.settings, **changed})


def forward(make):
    """The layer's forward pass, as a function."""
    return lambda x: make().forward(x)


def backward(make, x):
    """The layer's backward pass and its gradients after a forward pass over ``x``."""

    def call(dz):
        layer = make()
        layer.forward(x)
        return layer.backward(dz), *layer.grads.values()

    return call


def both(make):
    """Everything that a layer computes."""

    def call(x, dz):
        layer = make()
        return layer.forward(x), layer.backward(dz), *layer.grads.values()

    return call


def conv_layer():
    return companion.Conv2D(3, 4, (2, 3), padding=(1, 0), rng=np.random.default_rng(0))


def transposed_layer():
    return companion.ConvTranspose2D(
        4, 3, (2, 3), stride=2, padding=1, output_padding=(1, 0), rng=np.random.default_rng(0)
    )


def dense_layer():
    return companion.Dense(4, 5, rng=np.random.default_rng(0))


def network():
    return companion.Sequential(
        [conv_layer(), companion.ReLU(), companion.MaxPool2D(2), companion.Flatten()]
    )


X, W, B, DZ = normal(2, 5, 6, 3), normal(2, 3, 3, 4), normal(4), normal(2, 3, 3, 4)
Z, V = normal(2, 3, 4, 4), normal(3)
BACK = {
    "stride": (3, 2),
    "padding": ((1, 0), (2, 1)),
    "output_padding": (2, 1),
    "dilation": (1, 2),
}
CONV = {"stride": (2, 1), "padding": ((1, 0), (0, 1)), "dilation": (1, 2)}
POOL = {"kernel_size": (2, 3), "stride": (2, 1), "padding": ((1, 0), (0, 1))}
LOOK = {"network": companion.Sequential([network(), companion.Dense(24, 3, rng=_rng)])}
LABELS, SOFT = np.array([2, 0, 1]), _rng.dirichlet(np.ones(5), 3)

FUNCTIONS = {
    "conv2d": Door(companion.conv2d, {"x": X, "w": W, "b": B}, CONV),
    "conv2d_backward": Door(companion.conv2d_backward, {"dz": DZ, "x": X, "w": W}, CONV),
    "conv_transpose2d": Door(companion.conv_transpose2d, {"x": Z, "w": W, "b": V}, BACK),
    "conv_transpose2d_backward": Door(
        companion.conv_transpose2d_backward, {"dz": normal(2, 9, 9, 3), "x": Z, "w": W}, BACK
    ),
    "im2col": Door(companion.im2col, {"x": X}, {"kernel_size": (2, 3), **CONV}),
    "col2im": Door(
        companion.col2im,
        {"cols": normal(2 * 3 * 3, 2 * 3 * 3)},
        {"input_shape": (2, 5, 6, 3), "kernel_size": (2, 3), **CONV},
    ),
    "relu": Door(companion.relu, {"z": normal(3, 4)}),
    "relu_backward": Door(companion.relu_backward, {"da": normal(3, 4), "z": normal(3, 4)}),
    "max_pool2d": Door(companion.max_pool2d, {"x": X}, POOL),
    "max_pool2d_backward": Door(
        companion.max_pool2d_backward, {"dy": normal(2, 3, 5, 3), "x": X}, POOL
    ),
    "avg_pool2d": Door(companion.avg_pool2d, {"x": X}, POOL),
    "avg_pool2d_backward": Door(
        companion.avg_pool2d_backward, {"dy": normal(2, 3, 5, 3), "x": X}, POOL
    ),
    "dense": Door(companion.dense, {"x": normal(3, 4), "w": normal(4, 5), "b": normal(5)}),
    "dense_backward": Door(
        companion.dense_backward, {"dz": normal(3, 5), "x": normal(3, 4), "w": normal(4, 5)}
    ),
    "softmax": Door(companion.softmax, {"z": normal(3, 5)}),
    "log_softmax": Door(companion.log_softmax, {"z": normal(3, 5)}),
    "softmax_backward": Door(
        companion.softmax_backward, {"da": normal(3, 5), "a": companion.softmax(normal(3, 5))}
    ),
    "cross_entropy": Door(companion.cross_entropy, {"z": normal(3, 5)}, {"labels": LABELS}),
    "cross_entropy_backward": Door(
        companion.cross_entropy_backward, {"z": normal(3, 5), "labels": SOFT}
    ),
    "cross_entropy_with_gradient": Door(
        companion.cross_entropy_with_gradient, {"z": normal(3, 5)}, {"labels": LABELS}
    ),
    "activations": Door(lambda **given: tuple(companion.activations(**given)), {"x": X}, LOOK),
    "saliency": Door(companion.saliency, {"x": X}, LOOK),
    "occlusion": Door(companion.occlusion, {"x": X}, {**LOOK, "kernel_size": 2, "stride": 2}),
}

LAYERS = {
    "Conv2D": Door(both(conv_layer), {"x": X, "dz": normal(2, 6, 4, 4)}),
    "ConvTranspose2D": Door(both(transposed_layer), {"x": Z, "dz": normal(2, 5, 7, 3)}),
    "Dense": Door(both(dense_layer), {"x": normal(3, 4), "dz": normal(3, 5)}),
    "Flatten": Door(both(companion.Flatten), {"x": X, "dz": normal(2, 90)}),
    "ReLU": Door(both(companion.ReLU), {"x": X, "dz": normal(*X.shape)}),
    "MaxPool2D": Door(
        both(lambda: companion.MaxPool2D(**POOL)), {"x": X, "dz": normal(2, 3, 5, 3)}
    ),
    "AvgPool2D": Door(
        both(lambda: companion.AvgPool2D(**POOL)), {"x": X, "dz": normal(2, 3, 5, 3)}
    ),
    "Sequential": Door(both(network), {"x": X, "dz": normal(2, 24)}),
}

EVERY = {**FUNCTIONS, **LAYERS}


def results(outcome):
    """What a call returned, as a list of arrays."""
    return [np.asarray(r) for r in (outcome if isinstance(outcome, tuple) else (outcome,))]

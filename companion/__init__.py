"""The layers of a convolutional network and their gradients, in NumPy.

The companion of a book that derives each of them index by index. One module is one chapter; the
public names are here.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .augment import random_shift
    from .conv import Conv2D, conv2d, conv2d_backward
    from .datasets import Dataset, load_digits, load_fashion_mnist, load_mnist
    from .dense import Dense, Flatten, dense, dense_backward
    from .diagnose import Diagnosis, Mistake, diagnose, known_mistakes
    from .digits import digits_network, read_picture, train_digits
    from .fetch import DownloadError
    from .gradcheck import (
        AdjointReport,
        ArgumentReport,
        GradientError,
        GradientReport,
        check_adjoint,
        check_gradient,
        check_layer,
        numerical_gradient,
    )
    from .im2col import col2im, im2col
    from .inside import (
        Misclassified,
        Projection,
        activations,
        confusion_matrix,
        most_confident_mistakes,
        occlusion,
        principal_components,
        saliency,
    )
    from .network import Layer, Sequential, he_normal
    from .optim import SGD, Adam, Optimizer, cosine_decay
    from .pool import (
        AvgPool2D,
        MaxPool2D,
        avg_pool2d,
        avg_pool2d_backward,
        max_pool2d,
        max_pool2d_backward,
    )
    from .relu import ReLU, relu, relu_backward
    from .shapes import output_size
    from .softmax import (
        cross_entropy,
        cross_entropy_backward,
        cross_entropy_with_gradient,
        log_softmax,
        softmax,
        softmax_backward,
    )
    from .train import Evaluation, History, evaluate, fit
    from .transposed import ConvTranspose2D, conv_transpose2d, conv_transpose2d_backward

__version__ = "0.1.0"

# Each module is loaded with the first of its names that somebody asks for.
_MODULES = {
    "augment": "random_shift",
    "conv": "Conv2D conv2d conv2d_backward",
    "datasets": "Dataset load_digits load_fashion_mnist load_mnist",
    "dense": "Dense Flatten dense dense_backward",
    "diagnose": "Diagnosis Mistake diagnose known_mistakes",
    "digits": "digits_network read_picture train_digits",
    "fetch": "DownloadError",
    "gradcheck": (
        "AdjointReport ArgumentReport GradientError GradientReport check_adjoint "
        "check_gradient check_layer numerical_gradient"
    ),
    "im2col": "col2im im2col",
    "inside": (
        "Misclassified Projection activations confusion_matrix most_confident_mistakes "
        "occlusion principal_components saliency"
    ),
    "network": "Layer Sequential he_normal",
    "optim": "SGD Adam Optimizer cosine_decay",
    "pool": "AvgPool2D MaxPool2D avg_pool2d avg_pool2d_backward max_pool2d max_pool2d_backward",
    "relu": "ReLU relu relu_backward",
    "shapes": "output_size",
    "softmax": (
        "cross_entropy cross_entropy_backward cross_entropy_with_gradient log_softmax softmax "
        "softmax_backward"
    ),
    "train": "Evaluation History evaluate fit",
    "transposed": "ConvTranspose2D conv_transpose2d conv_transpose2d_backward",
}
_HOME = {name: module for module, names in _MODULES.items() for name in names.split()}

__all__ = [
    "SGD",
    "Adam",
    "AdjointReport",
    "ArgumentReport",
    "AvgPool2D",
    "Conv2D",
    "ConvTranspose2D",
    "Dataset",
    "Dense",
    "Diagnosis",
    "DownloadError",
    "Evaluation",
    "Flatten",
    "GradientError",
    "GradientReport",
    "History",
    "Layer",
    "MaxPool2D",
    "Misclassified",
    "Mistake",
    "Optimizer",
    "Projection",
    "ReLU",
    "Sequential",
    "activations",
    "avg_pool2d",
    "avg_pool2d_backward",
    "check_adjoint",
    "check_gradient",
    "check_layer",
    "col2im",
    "confusion_matrix",
    "conv2d",
    "conv2d_backward",
    "conv_transpose2d",
    "conv_transpose2d_backward",
    "cosine_decay",
    "cross_entropy",
    "cross_entropy_backward",
    "cross_entropy_with_gradient",
    "dense",
    "dense_backward",
    "diagnose",
    "digits_network",
    "evaluate",
    "fit",
    "he_normal",
    "im2col",
    "known_mistakes",
    "load_digits",
    "load_fashion_mnist",
    "load_mnist",
    "log_softmax",
    "max_pool2d",
    "max_pool2d_backward",
    "most_confident_mistakes",
    "numerical_gradient",
    "occlusion",
    "output_size",
    "principal_components",
    "random_shift",
    "read_picture",
    "relu",
    "relu_backward",
    "saliency",
    "softmax",
    "softmax_backward",
    "train_digits",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = globals()[name] = getattr(import_module(f".{_HOME[name]}", __name__), name)
        return value
    if not name.startswith("_"):
        try:
            return import_module(f".{name}", __name__)
        except ModuleNotFoundError as error:
            if error.name != f"{__name__}.{name}":  # it is there, but lacks a module it needs
                raise
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """Where a function and its module share a name, keeps that name for the function."""

    def __setattr__(self, name: str, value: object) -> None:  # by Python for a loaded module
        if _HOME.get(name) == name and isinstance(value, ModuleType):
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package

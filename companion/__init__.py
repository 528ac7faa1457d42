"""The layers of a convolutional network and their gradients, in NumPy.

The companion of a book that derives each of them index by index. One module is one chapter; the
public names are here.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .conv import Conv2D, conv2d, conv2d_backward
from .dense import Dense, Flatten, dense, dense_backward
from .diagnose import Diagnosis, diagnose
from .im2col import col2im, im2col
from .network import Layer, Sequential, he_normal
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
from .transposed import ConvTranspose2D, conv_transpose2d, conv_transpose2d_backward

if TYPE_CHECKING:
    from .augment import random_shift
    from .datasets import Dataset, load_digits, load_fashion_mnist, load_mnist
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
    from .optim import SGD, Adam, Optimizer, cosine_decay
    from .train import Evaluation, History, evaluate, fit

__version__ = "0.1.0"

# The layers are there at once. Training, checks and data are loaded with the first of their names
# that somebody asks for: `import companion` takes hardly longer than `import numpy`.
_LATER = {
    "augment": "random_shift",
    "datasets": "Dataset load_digits load_fashion_mnist load_mnist",
    "digits": "digits_network read_picture train_digits",
    "fetch": "DownloadError",
    "gradcheck": (
        "AdjointReport ArgumentReport GradientError GradientReport check_adjoint "
        "check_gradient check_layer numerical_gradient"
    ),
    "inside": (
        "Misclassified Projection activations confusion_matrix most_confident_mistakes "
        "occlusion principal_components saliency"
    ),
    "optim": "SGD Adam Optimizer cosine_decay",
    "train": "Evaluation History evaluate fit",
}
_HOME = {name: module for module, names in _LATER.items() for name in names.split()}

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
    if name in _LATER:
        return import_module(f".{name}", __name__)
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f".{_HOME[name]}", __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

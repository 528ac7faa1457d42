"""The layers of a convolutional network and their gradients, in NumPy.

The companion of a book that derives each of them index by index. One module is one chapter; the
public names are here.
"""

from .augment import random_shift
from .conv import Conv2D, conv2d, conv2d_backward
from .datasets import Dataset, load_digits, load_fashion_mnist, load_mnist
from .dense import Dense, Flatten, dense, dense_backward
from .diagnose import Diagnosis, diagnose
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
    log_softmax,
    softmax,
    softmax_backward,
)
from .train import Evaluation, History, evaluate, fit
from .transposed import ConvTranspose2D, conv_transpose2d, conv_transpose2d_backward

__version__ = "0.1.0"

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

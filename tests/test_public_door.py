"""Bad input is refused by name: which argument, what came, what was expected."""

import re

import numpy as np
import pytest
from doors import (
    DZ,
    EVERY,
    FUNCTIONS,
    LAYERS,
    B,
    Door,
    W,
    X,
    Z,
    backward,
    conv_layer,
    dense_layer,
    forward,
    network,
    normal,
    transposed_layer,
)

import companion
from companion import (
    SGD,
    Adam,
    AvgPool2D,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Flatten,
    MaxPool2D,
    ReLU,
    Sequential,
)

# What no array argument may be: the spoilt array, and what the message must say of it.
SPOILT = {
    "strings": (lambda a: np.full(a.shape, "1.5"), TypeError, "got dtype <U3"),
    "complex": (lambda a: a * 1j, TypeError, "got dtype complex128"),
    "objects": (lambda a: a.astype(object), TypeError, "got dtype object"),
    "float16": (lambda a: a.astype(np.float16), TypeError, "got dtype float16"),
    "dates": (lambda a: a.astype("M8[s]"), TypeError, "got dtype datetime64[s]"),
    "None": (lambda a: np.full(a.shape, None), TypeError, "got dtype object"),
    "ragged": (lambda _: [[1.0, 2.0], [3.0]], ValueError, "rows of equal length, got [["),
    "masked": (lambda a: np.ma.masked_less(a, a.mean()), TypeError, "got masked values"),
}

# (function, changed arguments, exception, the argument it names, what it says that came)
BAD = [
    # numbers of axes and shapes
    ("conv2d", {"x": normal(5, 6, 3)}, ValueError, "x", "got shape (5, 6, 3)"),
    ("conv2d", {"x": 1.0}, ValueError, "x", "got shape ()"),
    ("conv2d", {"w": normal(2, 3, 4)}, ValueError, "w", "got shape (2, 3, 4)"),
    ("conv2d", {"w": normal(2, 3, 2, 4)}, ValueError, "w", "got 2: x has shape (2, 5, 6, 3)"),
    ("conv2d", {"w": normal(2, 3, 1, 4)}, ValueError, "w", "got 1: x has shape (2, 5, 6, 3)"),
    ("conv2d", {"x": normal(2, 5, 6, 1)}, ValueError, "w", "w has shape (2, 3, 3, 4)"),
    ("conv2d", {"b": normal(1)}, ValueError, "b", "got shape (1,)"),
    ("conv2d", {"b": 0.5}, ValueError, "b", "got shape ()"),
    ("conv2d", {"b": normal(1, 1, 1, 4)}, ValueError, "b", "got shape (1, 1, 1, 4)"),
    ("conv2d", {"w": normal(0, 3, 3, 4)}, ValueError, "w", "got 0"),
    ("conv2d", {"x": normal(2, 0, 6, 3)}, ValueError, "x", "got 0"),
    ("conv2d_backward", {"dz": normal(2, 3, 3, 1)}, ValueError, "dz", "got shape (2, 3, 3, 1)"),
    ("conv2d_backward", {"dz": normal(1, 3, 3, 4)}, ValueError, "dz", "got shape (1, 3, 3, 4)"),
    ("conv2d_backward", {"dz": normal(3, 3, 4)}, ValueError, "dz", "got shape (3, 3, 4)"),
    ("conv2d_backward", {"dz": 1.0}, ValueError, "dz", "got shape ()"),
    ("conv2d_backward", {"x": normal(2, 5, 3)}, ValueError, "x", "got shape (2, 5, 3)"),
    ("conv2d_backward", {"w": normal(2, 3, 2, 4)}, ValueError, "w", "got 2"),
    ("conv_transpose2d", {"x": normal(3, 4, 4)}, ValueError, "x", "got shape (3, 4, 4)"),
    ("conv_transpose2d", {"w": normal(2, 3, 4)}, ValueError, "w", "got shape (2, 3, 4)"),
    ("conv_transpose2d", {"w": normal(2, 3, 4, 3)}, ValueError, "w", "got 3: x has shape"),
    ("conv_transpose2d", {"w": normal(2, 3, 3, 1)}, ValueError, "w", "got 1: x has shape"),
    ("conv_transpose2d", {"x": normal(2, 3, 4, 1)}, ValueError, "w", "w has shape (2, 3, 3, 4)"),
    ("conv_transpose2d", {"b": normal(4)}, ValueError, "b", "got shape (4,)"),
    ("conv_transpose2d", {"b": normal(1)}, ValueError, "b", "got shape (1,)"),
    ("conv_transpose2d", {"w": normal(2, 0, 3, 4)}, ValueError, "w", "got 0"),
    ("conv_transpose2d", {"x": normal(2, 0, 4, 4)}, ValueError, "x", "rows, got 0"),
    ("conv_transpose2d", {"x": normal(2, 3, 0, 4)}, ValueError, "x", "columns, got 0"),
    (
        "conv_transpose2d_backward",
        {"dz": normal(2, 7, 9, 3)},
        ValueError,
        "dz",
        "got shape (2, 7, 9, 3)",
    ),
    (
        "conv_transpose2d_backward",
        {"dz": normal(2, 9, 9, 1)},
        ValueError,
        "dz",
        "got shape (2, 9, 9, 1)",
    ),
    ("conv_transpose2d_backward", {"dz": 1.0}, ValueError, "dz", "got shape ()"),
    ("conv_transpose2d_backward", {"x": Z[0]}, ValueError, "x", "got shape (3, 4, 4)"),
    ("conv_transpose2d_backward", {"w": normal(2, 3, 4, 3)}, ValueError, "w", "got 3"),
    ("im2col", {"x": normal(5, 6, 3)}, ValueError, "x", "got shape (5, 6, 3)"),
    ("im2col", {"x": normal(2, 5, 0, 3)}, ValueError, "x", "got 0"),
    ("col2im", {"cols": normal(18, 17)}, ValueError, "cols", "got shape (18, 17)"),
    ("col2im", {"cols": normal(1, 18)}, ValueError, "cols", "got shape (1, 18)"),
    ("col2im", {"cols": normal(18)}, ValueError, "cols", "got shape (18,)"),
    ("col2im", {"input_shape": (2, 5, 6)}, ValueError, "input_shape", "got (2, 5, 6)"),
    ("col2im", {"input_shape": 5}, TypeError, "input_shape", "got 5"),
    ("col2im", {"input_shape": (2, 5, 6.0, 3)}, TypeError, "input_shape", "got 6.0"),
    ("col2im", {"input_shape": (2, -5, 6, 3)}, ValueError, "input_shape", "got -5"),
    ("col2im", {"input_shape": (2, 0, 6, 3)}, ValueError, "input_shape", "got 0"),
    ("col2im", {"input_shape": (2, 5, 7, 3)}, ValueError, "input_shape", "(2, 5, 7, 3)"),
    ("relu_backward", {"da": normal(3, 1)}, ValueError, "da", "got shape (3, 1)"),
    ("relu_backward", {"da": 1.0}, ValueError, "da", "got shape ()"),
    ("max_pool2d", {"x": normal(5, 6)}, ValueError, "x", "got shape (5, 6)"),
    ("avg_pool2d", {"x": normal(5, 6)}, ValueError, "x", "got shape (5, 6)"),
    ("max_pool2d_backward", {"dy": normal(2, 3, 5, 1)}, ValueError, "dy", "got shape (2, 3, 5, 1)"),
    ("avg_pool2d_backward", {"dy": normal(1, 3, 5, 3)}, ValueError, "dy", "got shape (1, 3, 5, 3)"),
    ("dense", {"x": normal(4)}, ValueError, "x", "got shape (4,)"),
    ("dense", {"x": normal(2, 3, 4)}, ValueError, "x", "got shape (2, 3, 4)"),
    ("dense", {"w": normal(4)}, ValueError, "w", "got shape (4,)"),
    ("dense", {"w": normal(5, 4)}, ValueError, "w", "got 5: x has shape (3, 4)"),
    ("dense", {"b": normal(1)}, ValueError, "b", "got shape (1,)"),
    ("dense", {"b": normal(1, 5)}, ValueError, "b", "got shape (1, 5)"),
    ("dense", {"b": normal(3, 1)}, ValueError, "b", "got shape (3, 1)"),
    ("dense_backward", {"dz": normal(1, 5)}, ValueError, "dz", "got shape (1, 5)"),
    ("dense_backward", {"dz": normal(3, 1)}, ValueError, "dz", "got shape (3, 1)"),
    ("softmax", {"z": 1.0}, ValueError, "z", "got shape ()"),
    ("softmax", {"z": normal(3, 0)}, ValueError, "z", "got shape (3, 0)"),
    ("log_softmax", {"z": []}, ValueError, "z", "got shape (0,)"),
    ("softmax_backward", {"da": normal(3, 1)}, ValueError, "da", "got shape (3, 1)"),
    ("softmax_backward", {"a": 1.0, "da": 1.0}, ValueError, "a", "got shape ()"),
    ("cross_entropy", {"z": normal(5)}, ValueError, "z", "got shape (5,)"),
    ("cross_entropy", {"z": normal(0, 0)}, ValueError, "z", "got shape (0, 0)"),
    # strides, paddings, dilations, kernels
    ("conv2d", {"stride": 0}, ValueError, "stride", "got 0"),
    ("conv2d", {"stride": -1}, ValueError, "stride", "got -1"),
    ("conv2d", {"stride": 1.0}, TypeError, "stride", "got 1.0"),
    ("conv2d", {"stride": True}, TypeError, "stride", "got True"),
    ("conv2d", {"stride": np.True_}, TypeError, "stride", "True"),
    ("conv2d", {"stride": (1, 2, 1)}, ValueError, "stride", "got (1, 2, 1)"),
    ("conv2d", {"stride": (1,)}, ValueError, "stride", "got (1,)"),
    ("conv2d", {"stride": np.array([1])}, ValueError, "stride", "got [1]"),
    ("conv2d", {"stride": "2"}, TypeError, "stride", "got '2'"),
    ("conv2d", {"stride": None}, TypeError, "stride", "got None"),
    ("conv2d", {"stride": ((1, 1), (1, 1))}, TypeError, "stride", "got (1, 1)"),
    ("conv2d", {"dilation": 0}, ValueError, "dilation", "got 0"),
    ("conv2d", {"dilation": (1, 1.5)}, TypeError, "dilation", "got 1.5"),
    ("conv2d", {"padding": -1}, ValueError, "padding", "got -1"),
    ("conv2d", {"padding": ((0, 0), (0, -2))}, ValueError, "padding", "got -2"),
    ("conv2d", {"padding": 0.5}, TypeError, "padding", "got 0.5"),
    ("conv2d", {"padding": True}, TypeError, "padding", "got True"),
    ("conv2d", {"padding": "SAME"}, ValueError, "padding", "got 'SAME'"),
    ("conv2d", {"padding": "smae"}, ValueError, "padding", "got 'smae'"),
    ("conv2d", {"padding": None}, TypeError, "padding", "got None"),
    ("conv2d", {"padding": (1, 2, 3)}, ValueError, "padding", "got (1, 2, 3)"),
    ("conv2d", {"padding": (1, 2, 3, 4)}, ValueError, "padding", "got (1, 2, 3, 4)"),
    ("conv2d", {"padding": ((1, 2),)}, ValueError, "padding", "got ((1, 2),)"),
    ("conv2d", {"padding": ((1, 2, 0), (1, 1))}, ValueError, "padding", "got (1, 2, 0)"),
    ("conv2d", {"padding": ((1, 2), 1)}, ValueError, "padding", "got ((1, 2), 1)"),
    ("conv2d", {"padding": (((1, 0), 0), (1, 1))}, TypeError, "padding", "got (1, 0)"),
    ("conv2d", {"padding": ("same", "valid")}, TypeError, "padding", "got 'same'"),
    (
        "conv2d",
        {"w": normal(7, 3, 3, 4)},
        ValueError,
        "w",
        "only 6 (5 and padding 1 + 0)",
    ),
    ("conv2d", {"dilation": (1, 4)}, ValueError, "dilation", "covers 9 columns"),
    ("conv2d_backward", {"stride": (0, 1)}, ValueError, "stride", "got 0"),
    ("conv2d_backward", {"padding": "none"}, ValueError, "padding", "got 'none'"),
    ("conv2d_backward", {"dilation": 9}, ValueError, "dilation", "dilation 9 covers 10 rows"),
    ("conv_transpose2d", {"stride": 0}, ValueError, "stride", "got 0"),
    ("conv_transpose2d", {"stride": 2.0}, TypeError, "stride", "got 2.0"),
    ("conv_transpose2d", {"dilation": (0, 1)}, ValueError, "dilation", "got 0"),
    ("conv_transpose2d", {"padding": -1}, ValueError, "padding", "got -1"),
    ("conv_transpose2d", {"padding": "full"}, ValueError, "padding", "got 'full'"),
    ("conv_transpose2d", {"padding": (1, 2, 3)}, ValueError, "padding", "got (1, 2, 3)"),
    ("conv_transpose2d", {"padding": 5}, ValueError, "padding", "got 5, which leaves 0"),
    (
        "conv_transpose2d",
        {"padding": ((0, 0), (9, 9))},
        ValueError,
        "padding",
        "columns, got ((0, 0), (9, 9)), which leaves -6: x has 3 x 4 pixels, w 2 x 3",
    ),
    ("conv_transpose2d", {"output_padding": -1}, ValueError, "output_padding", "got -1"),
    ("conv_transpose2d", {"output_padding": 0.5}, TypeError, "output_padding", "got 0.5"),
    ("conv_transpose2d", {"output_padding": (1, 2)}, ValueError, "output_padding", "got (1, 2)"),
    ("conv_transpose2d", {"output_padding": (3, 0)}, ValueError, "output_padding", "got (3, 0)"),
    ("conv_transpose2d", {"output_padding": (1, 1, 1)}, ValueError, "output_padding", "(1, 1, 1)"),
    ("conv_transpose2d", {"output_padding": "same"}, TypeError, "output_padding", "got 'same'"),
    (
        "conv_transpose2d",
        {"padding": "same", "output_padding": (0, 1)},
        ValueError,
        "output_padding",
        "got (0, 1)",
    ),
    (
        "conv_transpose2d",
        {"padding": "same", "output_padding": (1, 0)},
        ValueError,
        "output_padding",
        "got (1, 0)",
    ),
    ("conv_transpose2d_backward", {"stride": (0, 1)}, ValueError, "stride", "got 0"),
    ("conv_transpose2d_backward", {"padding": "none"}, ValueError, "padding", "got 'none'"),
    ("conv_transpose2d_backward", {"dilation": None}, TypeError, "dilation", "got None"),
    ("conv_transpose2d_backward", {"output_padding": 2}, ValueError, "output_padding", "got 2"),
    ("im2col", {"kernel_size": 0}, ValueError, "kernel_size", "got 0"),
    ("im2col", {"kernel_size": (2, 3, 3)}, ValueError, "kernel_size", "got (2, 3, 3)"),
    ("im2col", {"kernel_size": 7}, ValueError, "kernel_size", "kernel_size 7"),
    ("im2col", {"stride": 2.5}, TypeError, "stride", "got 2.5"),
    ("col2im", {"kernel_size": (9, 1)}, ValueError, "kernel_size", "kernel_size (9, 1)"),
    ("col2im", {"padding": "full"}, ValueError, "padding", "got 'full'"),
    ("max_pool2d", {"kernel_size": 2.0}, TypeError, "kernel_size", "got 2.0"),
    ("max_pool2d", {"kernel_size": 9}, ValueError, "kernel_size", "kernel_size 9"),
    ("max_pool2d", {"stride": 0}, ValueError, "stride", "got 0"),
    ("max_pool2d", {"padding": (2, 0)}, ValueError, "padding", "got padding (2, 0)"),
    ("max_pool2d_backward", {"padding": (0, 2)}, ValueError, "padding", "got padding (0, 2)"),
    ("avg_pool2d", {"kernel_size": -2}, ValueError, "kernel_size", "got -2"),
    ("avg_pool2d", {"stride": (1, False)}, TypeError, "stride", "got False"),
    ("avg_pool2d_backward", {"padding": "sam"}, ValueError, "padding", "got 'sam'"),
    # labels
    ("cross_entropy", {"labels": [0, 1, 5]}, ValueError, "labels", "got 5 at position 2"),
    ("cross_entropy", {"labels": [0, -1, 2]}, ValueError, "labels", "got -1 at position 1"),
    ("cross_entropy", {"labels": [0, -100, 2]}, ValueError, "labels", "got -100"),
    ("cross_entropy", {"labels": [0.0, 1.0, 2.0]}, TypeError, "labels", "got dtype float64"),
    ("cross_entropy", {"labels": [True, False, True]}, TypeError, "labels", "got dtype bool"),
    ("cross_entropy", {"labels": ["a", "b", "c"]}, TypeError, "labels", "got dtype <U1"),
    ("cross_entropy", {"labels": [0, 1]}, ValueError, "labels", "got shape (2,)"),
    ("cross_entropy", {"labels": 1}, ValueError, "labels", "got shape ()"),
    ("cross_entropy", {"labels": [[0], [1], [2]]}, ValueError, "labels", "got shape (3, 1)"),
    (
        "cross_entropy",
        {"labels": [[0, 1], [2]]},
        ValueError,
        "labels",
        "rows of equal length, got [[",
    ),
    ("cross_entropy", {"labels": np.full((3, 5), 0.3)}, ValueError, "labels", "got [0.3, 0.3"),
    ("cross_entropy", {"labels": np.eye(5)[:3] * 1j}, TypeError, "labels", "got dtype complex128"),
    (
        "cross_entropy",
        {"labels": [[1, 0, 0, 0, 0], [2, -1, 0, 0, 0], [0, 1, 0, 0, 0]]},
        ValueError,
        "labels",
        "got [2.0, -1.0, 0.0, 0.0, 0.0] in row 1",
    ),
    ("cross_entropy", {"labels": np.full((3, 5), np.nan)}, ValueError, "labels", "got [nan"),
    ("cross_entropy_backward", {"labels": [0, 1, 9]}, ValueError, "labels", "got 9"),
    ("cross_entropy_backward", {"labels": [0, 1, 2.5]}, TypeError, "labels", "got dtype float64"),
    # layers
    ("Conv2D()", {"in_channels": 0}, ValueError, "in_channels", "got 0"),
    ("Conv2D()", {"out_channels": 4.0}, TypeError, "out_channels", "got 4.0"),
    ("Conv2D()", {"kernel_size": "3"}, TypeError, "kernel_size", "got '3'"),
    ("Conv2D()", {"stride": (1, 0)}, ValueError, "stride", "got 0"),
    ("Conv2D()", {"padding": "typo"}, ValueError, "padding", "got 'typo'"),
    ("Conv2D()", {"dilation": -1}, ValueError, "dilation", "got -1"),
    ("Conv2D()", {"rng": 0}, TypeError, "rng", "got 0"),
    ("Conv2D()", {"rng": np.random.RandomState(0)}, TypeError, "rng", "got RandomState"),
    ("Conv2D.forward", {"x": normal(2, 5, 6)}, ValueError, "x", "got shape (2, 5, 6)"),
    ("Conv2D.forward", {"x": normal(2, 5, 6, 2)}, ValueError, "x", "got 2 (shape (2, 5, 6, 2))"),
    ("Conv2D.backward", {"dz": normal(2, 6, 4, 1)}, ValueError, "dz", "got shape (2, 6, 4, 1)"),
    ("ConvTranspose2D()", {"in_channels": 0}, ValueError, "in_channels", "got 0"),
    ("ConvTranspose2D()", {"out_channels": 4.0}, TypeError, "out_channels", "got 4.0"),
    ("ConvTranspose2D()", {"kernel_size": "3"}, TypeError, "kernel_size", "got '3'"),
    ("ConvTranspose2D()", {"stride": (1, 0)}, ValueError, "stride", "got 0"),
    ("ConvTranspose2D()", {"padding": "typo"}, ValueError, "padding", "got 'typo'"),
    ("ConvTranspose2D()", {"output_padding": 1}, ValueError, "output_padding", "got 1"),
    (
        "ConvTranspose2D()",
        {"stride": 2, "padding": "same", "output_padding": 1},
        ValueError,
        "output_padding",
        "got 1",
    ),
    ("ConvTranspose2D()", {"dilation": -1}, ValueError, "dilation", "got -1"),
    ("ConvTranspose2D()", {"rng": 0}, TypeError, "rng", "got 0"),
    ("ConvTranspose2D.forward", {"x": Z[0]}, ValueError, "x", "got shape (3, 4, 4)"),
    ("ConvTranspose2D.forward", {"x": X}, ValueError, "x", "got 3 (shape (2, 5, 6, 3))"),
    ("ConvTranspose2D.backward", {"dz": Z}, ValueError, "dz", "got shape (2, 3, 4, 4)"),
    ("Dense()", {"in_features": -3}, ValueError, "in_features", "got -3"),
    ("Dense()", {"out_features": True}, TypeError, "out_features", "got True"),
    ("Dense()", {"rng": "seed"}, TypeError, "rng", "got 'seed'"),
    ("Dense.forward", {"x": X}, ValueError, "x", "got shape (2, 5, 6, 3)"),
    ("Dense.backward", {"dz": normal(3, 1)}, ValueError, "dz", "got shape (3, 1)"),
    ("Flatten.forward", {"x": [1.0, 2.0]}, ValueError, "x", "got shape (2,)"),
    ("Flatten.backward", {"dz": normal(2, 5, 6, 3)}, ValueError, "dz", "got shape (2, 5, 6, 3)"),
    ("ReLU.backward", {"dz": normal(3, 1)}, ValueError, "dz", "got shape (3, 1)"),
    ("MaxPool2D()", {"kernel_size": 0}, ValueError, "kernel_size", "got 0"),
    ("MaxPool2D()", {"stride": 1.5}, TypeError, "stride", "got 1.5"),
    ("AvgPool2D()", {"padding": (0, 0, 0)}, ValueError, "padding", "got (0, 0, 0)"),
    ("AvgPool2D()", {"count_include_pad": "no"}, TypeError, "count_include_pad", "got 'no'"),
    ("avg_pool2d", {"count_include_pad": 1}, TypeError, "count_include_pad", "got 1"),
    ("MaxPool2D.forward", {"x": normal(2, 6)}, ValueError, "x", "got shape (2, 6)"),
    ("MaxPool2D.backward", {"dz": normal(2, 2, 3, 1)}, ValueError, "dz", "got shape (2, 2, 3, 1)"),
    ("Sequential()", {"layers": []}, ValueError, "layers", "got none"),
    ("Sequential()", {"layers": [ReLU(), np.tanh]}, TypeError, "layers[1]", "got <ufunc 'tanh'>"),
    ("Sequential()", {"layers": [ReLU]}, TypeError, "layers[0]", "got <class"),
    ("Sequential()", {"layers": ReLU()}, TypeError, "layers", "got ReLU()"),
    ("Sequential.forward", {"x": "image"}, TypeError, "x", "got dtype <U5"),
    ("Sequential.backward", {"dz": normal(2, 1)}, ValueError, "dz", "got shape (2, 1)"),
    ("Sequential.predict", {"batch_size": 0}, ValueError, "batch_size", "got 0"),
    ("Sequential.predict", {"batch_size": 2.0}, TypeError, "batch_size", "got 2.0"),
    ("Sequential.predict", {"x": 1.0}, ValueError, "x", "got shape ()"),
    # the rest
    ("output_size", {"image_size": (5, 6, 3)}, ValueError, "image_size", "got (5, 6, 3)"),
    ("output_size", {"image_size": (0, 5)}, ValueError, "image_size", "got 0"),
    ("output_size", {"image_size": (5.0, 5)}, TypeError, "image_size", "got 5.0"),
    ("output_size", {"kernel_size": 7}, ValueError, "kernel_size", "kernel_size 7"),
    ("output_size", {"padding": "Valid"}, ValueError, "padding", "got 'Valid'"),
    ("output_size", {"stride": {1, 2}}, TypeError, "stride", "got {1, 2}"),
    ("he_normal", {"fan_in": 0}, ValueError, "fan_in", "got 0"),
    ("he_normal", {"fan_in": 2.5}, TypeError, "fan_in", "got 2.5"),
    ("he_normal", {"shape": (2, -3)}, ValueError, "shape", "got -3"),
    ("he_normal", {"shape": 5.5}, TypeError, "shape", "got 5.5"),
    ("he_normal", {"rng": 3}, TypeError, "rng", "got 3"),
    ("numerical_gradient", {"x": "0"}, TypeError, "x", "got dtype <U1"),
    ("numerical_gradient", {"f": np.sin}, ValueError, "f", "shape (2,)"),
    ("numerical_gradient", {"step": 0.0}, ValueError, "step", "got 0.0"),
    ("numerical_gradient", {"step": -1e-5}, ValueError, "step", "got -1e-05"),
    ("numerical_gradient", {"step": np.nan}, ValueError, "step", "got nan"),
    ("numerical_gradient", {"step": np.inf}, ValueError, "step", "got inf"),
    ("numerical_gradient", {"step": "small"}, TypeError, "step", "got 'small'"),
    ("numerical_gradient", {"step": 1e-20}, ValueError, "step", "1e-20"),
    ("check_gradient", {"cotangent": [1.0]}, ValueError, "cotangent", "got shape (1,)"),
    ("check_gradient", {"names": ["x", "y"]}, ValueError, "names", "got ['x', 'y']"),
    ("check_gradient", {"step": 0}, ValueError, "step", "got 0"),
    ("check_gradient", {"rtol": -1.0}, ValueError, "rtol", "got -1.0"),
    ("check_gradient", {"rng": 0}, TypeError, "rng", "got 0"),
    (
        "check_gradient",
        {"backward": lambda dz, _: (dz, dz)},
        ValueError,
        "backward",
        "one gradient, that of argument 0, got a tuple of 2",
    ),
    (
        "check_gradient",
        {"backward": lambda dz, _: dz[:1]},
        ValueError,
        "the gradient of argument 0",
        "got shape (1,)",
    ),
    ("check_layer", {"layer": 3}, TypeError, "layer", "got 3"),
    ("check_layer", {"layer": companion.Dense}, TypeError, "layer", "companion.dense.Dense"),
    ("check_layer", {"x": [1.0]}, ValueError, "x", "got shape (1,)"),
    ("check_layer", {"entries": 1.5}, TypeError, "entries", "got 1.5"),
    ("check_layer", {"rng": 0}, TypeError, "rng", "got 0"),
    ("check_adjoint", {"y": [1.0]}, ValueError, "y", "got shape (1,)"),
    ("check_adjoint", {"backward": lambda y: y[:1]}, ValueError, "backward(y)", "got shape (1,)"),
    ("check_adjoint", {"rng": 0}, TypeError, "rng", "got 0"),
    ("check_adjoint", {"x": [1j]}, TypeError, "x", "got dtype complex128"),
    ("SGD", {"learning_rate": 0.0}, ValueError, "learning_rate", "got 0.0"),
    ("SGD", {"learning_rate": np.nan}, ValueError, "learning_rate", "got nan"),
    ("SGD", {"learning_rate": None}, TypeError, "learning_rate", "got None"),
    ("SGD", {"momentum": 1.0}, ValueError, "momentum", "got 1.0"),
    ("SGD", {"momentum": -0.1}, ValueError, "momentum", "got -0.1"),
    ("Adam", {"learning_rate": np.inf}, ValueError, "learning_rate", "got inf"),
    ("Adam", {"beta1": 1}, ValueError, "beta1", "got 1"),
    ("Adam", {"beta2": -0.5}, ValueError, "beta2", "got -0.5"),
    ("Adam", {"beta2": 1.0}, ValueError, "beta2", "got 1.0"),
    ("Adam", {"eps": 0.0}, ValueError, "eps", "got 0.0"),
    ("Adam", {"beta1": "high"}, TypeError, "beta1", "got 'high'"),
    ("fit", {"x": normal(3)}, ValueError, "x", "got shape (3,)"),
    ("fit", {"x": np.full((3, 4), "a")}, TypeError, "x", "got dtype <U1"),
    ("fit", {"x": normal(0, 4), "y": np.zeros(0, int)}, ValueError, "x", "got none"),
    ("fit", {"y": [0, 1]}, ValueError, "y", "got shape (2,)"),
    ("fit", {"y": [0.0, 1.0, 2.0]}, TypeError, "y", "got dtype float64"),
    ("fit", {"y": [0, 1, 5]}, ValueError, "labels", "got 5"),
    ("fit", {"epochs": -1}, ValueError, "epochs", "got -1"),
    ("fit", {"epochs": 1.5}, TypeError, "epochs", "got 1.5"),
    ("fit", {"rng": 0}, TypeError, "rng", "got 0"),
    ("fit", {"y": [[0], [1, 2], [3]]}, ValueError, "y", "must be an array of numbers"),
    ("SGD", {"learning_rate": "0.1"}, TypeError, "learning_rate", "got '0.1'"),
    ("Adam", {"beta1": True}, TypeError, "beta1", "got True"),
    ("fit", {"batch_size": 0}, ValueError, "batch_size", "got 0"),
    ("evaluate", {"x": normal(3)}, ValueError, "x", "got shape (3,)"),
    ("evaluate", {"y": [[0], [1], [2]]}, ValueError, "y", "got shape (3, 1)"),
    ("evaluate", {"y": ["a", "b", "c"]}, TypeError, "y", "got dtype <U1"),
    ("evaluate", {"batch_size": True}, TypeError, "batch_size", "got True"),
]

OTHERS = {
    "Conv2D()": Door(Conv2D, {}, {"in_channels": 3, "out_channels": 4, "kernel_size": (2, 3)}),
    "Conv2D.forward": Door(forward(conv_layer), {"x": X}),
    "Conv2D.backward": Door(backward(conv_layer, X), {"dz": normal(2, 6, 4, 4)}),
    "ConvTranspose2D()": Door(
        ConvTranspose2D, {}, {"in_channels": 3, "out_channels": 4, "kernel_size": (2, 3)}
    ),
    "ConvTranspose2D.forward": Door(forward(transposed_layer), {"x": Z}),
    "ConvTranspose2D.backward": Door(backward(transposed_layer, Z), {"dz": normal(2, 5, 7, 3)}),
    "Dense()": Door(Dense, {}, {"in_features": 4, "out_features": 5}),
    "Dense.forward": Door(forward(dense_layer), {"x": normal(3, 4)}),
    "Dense.backward": Door(backward(dense_layer, normal(3, 4)), {"dz": normal(3, 5)}),
    "Flatten.forward": Door(forward(Flatten), {"x": X}),
    "Flatten.backward": Door(backward(Flatten, X), {"dz": normal(2, 90)}),
    "ReLU.forward": Door(forward(ReLU), {"x": X}),
    "ReLU.backward": Door(backward(ReLU, normal(3, 4)), {"dz": normal(3, 4)}),
    "MaxPool2D()": Door(MaxPool2D, {}, {"kernel_size": 2}),
    "MaxPool2D.forward": Door(forward(lambda: MaxPool2D(2)), {"x": X}),
    "MaxPool2D.backward": Door(backward(lambda: MaxPool2D(2), X), {"dz": normal(2, 2, 3, 3)}),
    "AvgPool2D()": Door(AvgPool2D, {}, {"kernel_size": 2}),
    "AvgPool2D.forward": Door(forward(lambda: AvgPool2D(2)), {"x": X}),
    "AvgPool2D.backward": Door(backward(lambda: AvgPool2D(2), X), {"dz": normal(2, 2, 3, 3)}),
    "Sequential()": Door(Sequential, {}, {"layers": [ReLU()]}),
    "Sequential.forward": Door(forward(network), {"x": X}),
    "Sequential.backward": Door(backward(network, X), {"dz": normal(2, 24)}),
    "Sequential.predict": Door(lambda **given: network().predict(**given), {"x": X}),
    "output_size": Door(companion.output_size, {}, {"image_size": (5, 6), "kernel_size": 2}),
    "he_normal": Door(companion.he_normal, {}, {"shape": (2, 3), "fan_in": 2}),
    "numerical_gradient": Door(
        companion.numerical_gradient, {"x": normal(2)}, {"f": lambda x: (x**2).sum()}
    ),
    "check_gradient": Door(
        lambda forward, backward, x, **given: companion.check_gradient(
            forward, backward, x, **given
        ),
        {"x": normal(2)},
        {"forward": np.sin, "backward": lambda dz, x: dz * np.cos(x)},
    ),
    "check_layer": Door(
        lambda layer, x, **given: companion.check_layer(layer, x, **given),
        {"x": normal(2, 4)},
        {"layer": dense_layer()},
    ),
    "check_adjoint": Door(
        companion.check_adjoint,
        {"x": normal(2)},
        {"forward": np.negative, "backward": np.negative},
    ),
    "SGD": Door(SGD, {}),
    "Adam": Door(Adam, {}),
    "fit": Door(
        lambda **given: companion.fit(dense_layer(), **given),
        {"x": normal(3, 4)},
        {"y": [0, 1, 2], "progress": False},
    ),
    "evaluate": Door(
        lambda **given: companion.evaluate(dense_layer(), **given),
        {"x": normal(3, 4)},
        {"y": [0, 1, 2]},
    ),
}
DOORS = {**EVERY, **OTHERS}
ELSEWHERE = {  # files and directories: test_datasets.py; the reports are results
    *("load_digits", "load_mnist", "Dataset", "Evaluation", "History", "Layer"),
    *("load_fashion_mnist", "DownloadError"),  # test_fetch.py
    *("AdjointReport", "ArgumentReport", "GradientReport", "GradientError"),
    *("Optimizer", "cosine_decay"),  # test_optim.py
    "random_shift",  # test_augment.py
    *("digits_network", "train_digits", "read_picture"),  # test_command.py
    *("diagnose", "Diagnosis", "Mistake", "known_mistakes"),  # test_diagnose.py
    *("confusion_matrix", "most_confident_mistakes", "Misclassified"),  # test_inside.py
    *("principal_components", "Projection"),
}


def refused(door, changed, error, name, came):
    with pytest.raises(error) as caught:
        DOORS[door](**changed)
    assert type(caught.value) is error
    message = str(caught.value)
    assert re.search(rf"(?<!\w){re.escape(name)}(?!\w)", message), message
    assert came in message, message
    return message


@pytest.mark.parametrize(("door", "changed", "error", "name", "came"), BAD)
def test_refused_by_name(door, changed, error, name, came):
    refused(door, changed, error, name, came)


@pytest.mark.parametrize("kind", SPOILT)
@pytest.mark.parametrize(
    ("door", "name"), [(door, name) for door in FUNCTIONS for name in FUNCTIONS[door].arrays]
)
def test_what_is_no_array_of_numbers_is_refused(door, name, kind):
    spoil, error, came = SPOILT[kind]
    refused(door, {name: spoil(DOORS[door].arrays[name])}, error, name, came)


@pytest.mark.parametrize("kind", SPOILT)
@pytest.mark.parametrize("door", [name for name in OTHERS if name.endswith("ward")])
def test_layers_refuse_what_is_no_array_of_numbers(door, kind):
    spoil, error, came = SPOILT[kind]
    ((name, array),) = OTHERS[door].arrays.items()
    with pytest.raises(error, match=re.escape(came)) as caught:
        OTHERS[door].call(spoil(array))
    assert re.search(rf"\b{name}\b", str(caught.value))


@pytest.mark.parametrize("door", DOORS)
def test_the_table_spoils_what_was_good(door):
    DOORS[door]()


def test_every_public_name_is_tried():
    tried = {door for door, *_ in BAD} | set(FUNCTIONS)
    tried = {re.sub(r"\W.*", "", door) for door in tried}
    assert tried | ELSEWHERE >= set(companion.__all__)
    assert len(BAD) >= 60


@pytest.mark.parametrize("name", LAYERS)
def test_backward_before_forward(name):
    layer = {
        "Conv2D": conv_layer,
        "ConvTranspose2D": transposed_layer,
        "Dense": dense_layer,
        "Flatten": Flatten,
        "ReLU": ReLU,
        "MaxPool2D": lambda: MaxPool2D(2),
        "AvgPool2D": lambda: AvgPool2D(2),
        "Sequential": network,
    }[name]()
    with pytest.raises(RuntimeError, match=r"backward was called before forward"):
        layer.backward(LAYERS[name].arrays["dz"])


def test_settings_are_by_keyword_only():
    with pytest.raises(TypeError, match="positional"):
        companion.conv2d(X, W, B, 2)
    with pytest.raises(TypeError, match="positional"):
        companion.conv2d_backward(DZ, X, W, 2)
    with pytest.raises(TypeError, match="positional"):
        companion.conv_transpose2d(Z, W, None, 2)
    with pytest.raises(TypeError, match="positional"):
        companion.max_pool2d(X, 2, 2)


class Tensor:
    """Of a library that says in its own way that NumPy cannot read it."""

    def __array__(self, *_, **__):
        raise RuntimeError("detach it first")


def test_a_tensor_that_numpy_cannot_read_is_refused_by_name():
    for call, name in ((companion.relu, "z"), (companion.softmax, "z")):
        says = f"{name} must be an array of numbers, got a Tensor: detach it first"
        with pytest.raises(TypeError, match=says):
            call(Tensor())
    with pytest.raises(TypeError, match="digits must be a Dataset, got a tuple"):
        companion.train_digits(companion.digits_network(), tuple(companion.load_digits()))

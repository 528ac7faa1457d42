"""What :func:`companion.diagnose` tries a function on: small inputs for each of the companion's.

They go from the plainest to the rarest, so that the first wrong number is found where it is easiest
to follow. Rows and columns differ in size, strides leave a remainder, and some maxima tie.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, wraps
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .conv import conv2d, conv2d_backward
from .dense import dense, dense_backward
from .im2col import col2im, im2col
from .pool import avg_pool2d, avg_pool2d_backward, max_pool2d, max_pool2d_backward
from .relu import relu, relu_backward
from .softmax import (
    cross_entropy,
    cross_entropy_backward,
    log_softmax,
    softmax,
    softmax_backward,
)
from .transposed import conv_transpose2d, conv_transpose2d_backward

Array = NDArray[Any]

SINGLE = 1e-4  # rounding to forgive numbers in float32

# Where each axis of images, and of kernels, is in the other layout.
Layout = tuple[tuple[int, ...], tuple[int, ...]]
FIRST: Layout = (0, 3, 1, 2), (3, 2, 0, 1)  # (N, H, W, C), (kh, kw, C, K) -> NCHW, (K, C, kh, kw)
LAST: Layout = (0, 2, 3, 1), (2, 3, 1, 0)


class Probe(NamedTuple):
    """Arguments to try a function on: arrays and other positional ones, then settings by name."""

    arguments: Mapping[str, Any]
    settings: Mapping[str, Any] = MappingProxyType({})

    @property
    def forms(self) -> frozenset[str]:
        """The forms of argument in it that a correct function may refuse to take."""
        forms = set()
        for name, value in (*self.arguments.items(), *self.settings.items()):
            if name == "labels":
                forms.add("labels (N,)" if value.ndim == 1 else "labels (N, K)")
            elif isinstance(value, str):
                strided = value == "same" and "stride" in self.settings
                forms.add(f"{name}={value!r}{' and a stride' if strided else ''}")
            elif isinstance(value, tuple) and name != "input_shape":
                uneven = isinstance(value[0], tuple)
                forms.add(f"{name} of four sides" if uneven else f"{name} as a pair")
        return frozenset(forms)

    @property
    def rtol(self) -> float:
        """Rounding to forgive, relative to the largest entry: more for float32 probes."""
        single = any(getattr(v, "dtype", None) == np.float32 for v in self.arguments.values())
        return SINGLE if single else 1e-8

    def with_channels_first(self) -> Probe:
        """The same numbers in the other layout."""
        return self._in(FIRST)

    def with_channels_last(self) -> Probe:
        """The same numbers in the layout of this package again."""
        return self._in(LAST)

    def _in(self, layout: Layout) -> Probe:
        moved = {name: _moved(name, value, layout) for name, value in self.arguments.items()}
        return self._replace(arguments=moved)

    @property
    def examples(self) -> int:
        """How many examples there are in the batch."""
        return len(next(iter(self.arguments.values())))

    @property
    def simple(self) -> bool:
        """Whether every size is a single integer, the same for rows and columns."""
        sizes = [*self.settings.values(), self.arguments.get("kernel_size", 1)]
        return all(isinstance(size, int) for size in sizes)

    def __str__(self) -> str:
        arguments = [f"{name} {_summary(value)}" for name, value in self.arguments.items()]
        settings = [
            f"{name}={_summary(value) if isinstance(value, np.ndarray) else repr(value)}"
            for name, value in self.settings.items()
        ]
        return ", ".join(arguments + settings)


class Target(NamedTuple):
    """One of the companion's functions: what it returns, its equation, and where to probe it."""

    function: Callable[..., Any]
    outputs: tuple[str, ...]
    equation: str
    probes: tuple[Probe, ...]
    channels_first: bool = False

    @property
    def name(self) -> str:
        """What the companion calls it."""
        return self.function.__name__

    @property
    def has_other_layout(self) -> bool:
        """Whether it takes images or kernels, and no patches, which are of one layout only."""
        arguments = self.probes[0].arguments
        return "cols" not in (*self.outputs, *arguments) and any(
            isinstance(value, np.ndarray) and value.ndim == 4 for value in arguments.values()
        )

    def with_channels_first(self) -> Target:
        """The same for images (N, C, H, W) and kernels (K, C, kh, kw)."""
        there = self._replace(channels_first=True)
        return there._replace(
            function=there.in_layout(self.function),
            probes=tuple(probe.with_channels_first() for probe in self.probes),
        )

    def in_layout(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function of images (N, H, W, C), made one of the images that this target takes."""
        if not self.channels_first:
            return function

        @wraps(function)
        def moved(*arguments: Any, **settings: Any) -> Any:
            last = {
                name: _moved(name, value, LAST)
                for name, value in zip(self.probes[0].arguments, arguments, strict=False)
            }
            returned = function(*last.values(), **settings)
            if not isinstance(returned, tuple):
                return _moved(self.outputs[0], returned, FIRST)
            kernel = np.shape(last.get("w", 0))  # by its shape dw is known in any place
            return tuple(
                _moved("dw" if np.shape(value) == kernel else "dx", value, FIRST)
                for value in returned
            )

        return moved


def _moved(name: str, value: Any, layout: Layout) -> Any:
    """Images or kernels in another layout; what has other than four axes stays as it is."""
    if not isinstance(value, np.ndarray) or value.ndim != 4:
        return value
    of_images, of_kernels = layout
    axes = of_kernels if name in ("w", "dw") else of_images
    return np.ascontiguousarray(value.transpose(axes))


def _summary(value: Any) -> str:
    return f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else str(value)


def _conv_probes(*, backward: bool) -> Iterator[Probe]:
    rng = np.random.default_rng(0)
    geometries: list[dict[str, Any]] = [  # from simple to crooked; two have C == K
        {"x": (2, 5, 6, 2), "w": (3, 3, 2, 3)},
        {"x": (2, 5, 6, 2), "w": (2, 3, 2, 3)},
        {"x": (2, 5, 6, 2), "w": (3, 3, 2, 3), "padding": 1},
        {"x": (2, 5, 6, 2), "w": (2, 3, 2, 3), "padding": (0, 1)},
        {"x": (3, 5, 6, 2), "w": (2, 4, 2, 3), "padding": "same"},
        {"x": (2, 6, 5, 2), "w": (3, 2, 2, 3), "stride": 2, "padding": "same"},
        {"x": (2, 7, 6, 2), "w": (3, 2, 2, 3), "stride": 2},
        {"x": (2, 6, 7, 2), "w": (3, 2, 2, 3), "padding": "same", "dilation": (2, 1)},
        {"x": (2, 5, 6, 2), "w": (2, 3, 2, 3), "padding": "valid"},
        {"x": (2, 6, 6, 2), "w": (3, 3, 2, 3), "stride": 2},
        {"x": (2, 7, 8, 2), "w": (3, 2, 2, 3), "stride": (2, 3), "padding": ((1, 0), (0, 2))},
        {"x": (2, 5, 6, 2), "w": (3, 3, 2, 3), "padding": ((2, 0), (1, 1))},
        {"x": (2, 7, 7, 2), "w": (2, 3, 2, 3), "dilation": 2},
        {"x": (2, 8, 7, 2), "w": (3, 2, 2, 3), "stride": 2, "padding": 1, "dilation": (1, 2)},
        {"x": (2, 5, 5, 3), "w": (3, 3, 3, 3)},
        {"x": (2, 5, 5, 1), "w": (2, 2, 1, 1), "dtype": np.float32},
        {"x": (1, 5, 6, 2), "w": (2, 3, 2, 3)},
        {"x": (2, 6, 7, 2), "w": (3, 2, 2, 3), "stride": (1, 2)},
        {"x": (2, 6, 7, 2), "w": (3, 2, 2, 3), "dilation": (1, 2)},
        # the wrong way round these give as many outputs
        {"x": (2, 6, 5, 2), "w": (3, 2, 2, 3), "stride": (2, 3)},
        {"x": (2, 6, 5, 2), "w": (3, 2, 2, 3), "stride": 3, "padding": (0, 1)},
        {"x": (2, 5, 5, 2), "w": (2, 2, 2, 3), "stride": 2, "dilation": (1, 2)},
    ]
    yield from _kernel_probes(conv2d, geometries, rng, bias_axis=3, backward=backward)


def _transposed_probes(*, backward: bool) -> Iterator[Probe]:
    rng = np.random.default_rng(8)
    geometries: list[dict[str, Any]] = [  # from simple to crooked; three have C == K
        {"x": (2, 3, 4, 3), "w": (3, 3, 2, 3)},
        {"x": (2, 3, 4, 3), "w": (2, 3, 2, 3)},
        {"x": (2, 3, 4, 3), "w": (2, 2, 2, 3), "stride": 2},
        {"x": (3, 3, 4, 3), "w": (3, 3, 2, 3), "stride": 2},
        {"x": (2, 3, 4, 3), "w": (3, 3, 2, 3), "padding": 1},
        {"x": (2, 3, 4, 3), "w": (4, 4, 2, 3), "stride": 2, "padding": 1},
        {"x": (2, 3, 4, 3), "w": (3, 3, 2, 3), "stride": 2, "output_padding": 1},
        {"x": (2, 3, 4, 3), "w": (3, 3, 2, 3), "stride": 2, "padding": 1, "output_padding": 1},
        {"x": (2, 3, 4, 3), "w": (4, 3, 2, 3), "stride": 2, "padding": "same"},
        {"x": (2, 4, 3, 3), "w": (2, 3, 2, 3), "padding": ((1, 0), (0, 2))},
        {"x": (2, 3, 4, 3), "w": (3, 2, 2, 3), "stride": (2, 3), "output_padding": (1, 2)},
        {"x": (2, 3, 4, 3), "w": (2, 3, 2, 3), "dilation": 2},
        {
            "x": (2, 3, 4, 3),
            "w": (3, 2, 2, 3),
            "stride": (3, 2),
            "padding": ((1, 2), (0, 1)),
            "output_padding": (2, 1),
            "dilation": (1, 2),
        },
        {"x": (2, 4, 4, 3), "w": (3, 3, 3, 3)},
        {"x": (2, 3, 3, 2), "w": (3, 3, 2, 2), "stride": 2, "padding": 1},
        {"x": (2, 4, 3, 1), "w": (2, 2, 1, 1), "dtype": np.float32},
        {"x": (1, 3, 4, 3), "w": (2, 3, 2, 3)},
        {"x": (2, 3, 4, 3), "w": (3, 2, 2, 3), "stride": (1, 2)},
        {"x": (2, 3, 4, 3), "w": (3, 2, 2, 3), "padding": (0, 1)},
        {"x": (2, 3, 4, 3), "w": (3, 2, 2, 3), "dilation": (1, 2)},
        # pairs that are no others the wrong way round: who takes pairs takes these
        {"x": (2, 3, 4, 3), "w": (2, 3, 2, 3), "stride": (2, 2)},
        {"x": (2, 3, 4, 3), "w": (2, 3, 2, 3), "padding": (1, 1)},
        {"x": (2, 3, 4, 3), "w": (2, 3, 2, 3), "dilation": (2, 2)},
        {"x": (2, 3, 4, 3), "w": (3, 3, 2, 3), "stride": 2, "output_padding": (1, 1)},
        # the wrong way round this reads as much
        {"x": (2, 2, 2, 3), "w": (3, 2, 2, 3), "stride": (2, 3), "output_padding": (1, 0)},
        {
            "x": (2, 2, 2, 3),
            "w": (3, 2, 2, 3),
            "stride": 3,
            "padding": (0, 1),
            "output_padding": (0, 2),
        },
        {
            "x": (2, 2, 2, 3),
            "w": (2, 2, 2, 3),
            "stride": 2,
            "dilation": (1, 2),
            "output_padding": (1, 0),
        },
    ]
    yield from _kernel_probes(conv_transpose2d, geometries, rng, bias_axis=2, backward=backward)


def _kernel_probes(
    forward: Callable[..., Any],
    geometries: list[dict[str, Any]],
    rng: np.random.Generator,
    *,
    bias_axis: int,
    backward: bool,
) -> Iterator[Probe]:
    """Random arrays of these shapes; ``bias_axis`` of the kernel is that of the output channels."""
    for geometry in geometries:
        dtype = geometry.pop("dtype", np.float64)
        x = rng.normal(size=geometry.pop("x")).astype(dtype)
        w = rng.normal(size=geometry.pop("w")).astype(dtype)
        b = rng.normal(size=w.shape[bias_axis]).astype(dtype)
        if backward:
            dz = rng.normal(size=forward(x, w, **geometry).shape).astype(dtype)
            yield Probe({"dz": dz, "x": x, "w": w}, geometry)
        else:
            yield Probe({"x": x, "w": w, "b": b}, geometry)
    if not backward:
        yield Probe({"x": x, "w": w})  # the bias may be left out


def _im2col_probes(*, backward: bool) -> Iterator[Probe]:
    rng = np.random.default_rng(1)
    geometries: list[tuple[tuple[int, ...], Any, dict[str, Any]]] = [
        ((2, 4, 5, 2), 2, {}),
        ((2, 4, 5, 3), (3, 2), {}),
        ((2, 4, 5, 2), (3, 2), {"stride": 2}),
        ((2, 4, 5, 2), (2, 3), {"padding": ((1, 0), (0, 1))}),
        ((2, 6, 5, 2), (3, 2), {"stride": (1, 2), "dilation": 2}),
        ((2, 5, 6, 3), 3, {"stride": 2, "padding": 1}),
        ((2, 6, 5, 2), 2, {"stride": 2, "dilation": 2}),
        ((1, 4, 5, 2), 2, {}),
        ((2, 4, 5, 2), 2, {"stride": (1, 2)}),
        ((2, 4, 5, 2), 2, {"padding": (0, 1)}),
        ((2, 4, 5, 2), 2, {"dilation": (1, 2)}),
        # the wrong way round these give as many patches
        ((2, 6, 5, 2), (3, 2), {"stride": (2, 3)}),
        ((2, 6, 5, 2), (3, 2), {"stride": 3, "padding": (0, 1)}),
        ((2, 5, 5, 2), 2, {"stride": 2, "dilation": (1, 2)}),
    ]
    for shape, kernel_size, settings in geometries:
        x = rng.normal(size=shape)
        cols = im2col(x, kernel_size, **settings)
        if backward:
            cols = rng.normal(size=cols.shape)
            arguments = {"cols": cols, "input_shape": shape, "kernel_size": kernel_size}
            yield Probe(arguments, settings)
        else:
            yield Probe({"x": x, "kernel_size": kernel_size}, settings)


def _pool_probes(forward: Callable[..., Any], *, backward: bool) -> Iterator[Probe]:
    rng = np.random.default_rng(2)
    distinct = rng.permutation(2 * 6 * 6 * 3).reshape(2, 6, 6, 3) - 150.0
    tied = rng.integers(0, 3, (2, 6, 6, 3)).astype(float)
    near = 1.0 + 1e-6 * distinct
    blank = np.zeros((2, 6, 6, 3))
    across = np.tile([[0.0, 1.0], [1.0, 0.0]], (3, 3))  # the ties are neither in a row nor a column
    geometries: list[tuple[Array, Any, dict[str, Any]]] = [
        (distinct, 2, {}),
        (distinct, (2, 3), {}),
        (distinct, 3, {"stride": 2}),
        (distinct, (3, 2), {"stride": 1}),
        (tied, 2, {}),
        (near, 2, {}),
        (distinct, 2, {"padding": 1}),
        (distinct, (3, 4), {"stride": (2, 1), "padding": ((1, 0), (2, 1))}),
        (distinct[:, :5], (2, 3), {"stride": 2}),
        (distinct.astype(np.float32), 2, {}),
        (distinct, 2, {"stride": 3}),
        (distinct[:, :5], (3, 2), {"stride": 2, "padding": "same"}),
        (distinct, 2, {"padding": "valid"}),
        (distinct[:1, :, :4], 2, {}),
        (distinct, 2, {"stride": (1, 2)}),
        (distinct, 2, {"padding": (0, 1)}),
        # the wrong way round these give as many outputs
        (distinct[:, :5, :5], 2, {"stride": (2, 3)}),
        (distinct[:, :5, :5], 2, {"stride": 3, "padding": (0, 1)}),
        (distinct[:, :5, :5], (2, 3), {"stride": 2}),
    ]
    if forward is max_pool2d:
        geometries += [
            (np.stack([across] * 6, axis=-1).reshape(1, 6, 6, 6), 2, {}),
            (blank, 2, {"padding": 1}),
            (distinct - 1e5, 2, {}),
        ]
    else:
        geometries += [
            (distinct, 2, {"padding": 1, "count_include_pad": True}),
            (distinct, 3, {"stride": 2, "padding": (1, 0), "count_include_pad": True}),
        ]
    for x, kernel_size, settings in geometries:
        if backward:
            dy = rng.normal(size=forward(x, kernel_size, **settings).shape).astype(x.dtype)
            yield Probe({"dy": dy, "x": x, "kernel_size": kernel_size}, settings)
        else:
            yield Probe({"x": x, "kernel_size": kernel_size}, settings)


def _relu_probes(*, backward: bool) -> Iterator[Probe]:
    rng = np.random.default_rng(3)
    at_the_kink = np.array([[-1.0, 0.0, 2.0], [0.0, 3.0, -2.0]])
    for z in (
        rng.normal(size=(2, 3, 4)),
        at_the_kink,
        np.array([-np.inf, -1.0, 1.0, 50.0]),
        rng.normal(size=5).astype(np.float32),
        np.array([1e-9, -1e-9, 2.0]),
        np.array([[0.5, -0.25, 1.5]]),
    ):
        da = rng.normal(size=z.shape).astype(z.dtype)
        yield Probe({"da": da, "z": z} if backward else {"z": z})
    if backward:
        yield Probe({"da": np.array([np.inf, 1.0, -2.0]), "z": np.array([-1.0, 1.0, -2.0])})


def _dense_probes(*, backward: bool) -> Iterator[Probe]:
    rng = np.random.default_rng(4)
    for (N, I, O), dtype in (
        ((2, 3, 4), "f8"),
        ((5, 4, 2), "f8"),
        ((3, 4, 4), "f8"),
        ((3, 2, 4), "f4"),
        ((1, 3, 2), "f8"),
    ):
        dz, x, w, b = (rng.normal(size=s).astype(dtype) for s in ((N, O), (N, I), (I, O), (O,)))
        yield Probe({"dz": dz, "x": x, "w": w} if backward else {"x": x, "w": w, "b": b})
    if not backward:
        yield Probe({"x": x, "w": w})  # the bias may be left out


def _logits() -> Iterator[Array]:
    rng = np.random.default_rng(5)
    yield rng.normal(size=(3, 4))
    yield 3 * rng.normal(size=(2, 5))
    yield rng.normal(size=(3, 5)) + 1000.0 * np.array([[1.0], [-1.0], [0.0]])
    yield np.array([[1000.0, 0.0, -1000.0], [0.0, 1.0, 2.0]])
    yield rng.normal(size=(4, 3)).astype(np.float32)
    yield rng.normal(size=(1, 4))


def _softmax_backward_probes() -> Iterator[Probe]:
    rng = np.random.default_rng(6)
    for z in _logits():
        yield Probe({"da": rng.normal(size=z.shape).astype(z.dtype), "a": softmax(z)})


def _loss_probes() -> Iterator[Probe]:
    rng = np.random.default_rng(7)
    for z in _logits():
        labels = rng.integers(0, z.shape[1], len(z))
        if z.min() == -1000:
            labels[0] = 2  # whose probability underflows to zero
        yield Probe({"z": z, "labels": labels})
    for z in _logits():
        shares = rng.dirichlet(np.ones(z.shape[1]), len(z))
        yield Probe({"z": z, "labels": shares.astype(z.dtype)})


@cache
def targets() -> dict[str, Target]:
    """Everything that can be diagnosed, by name."""
    gradients = ("dx", "dw", "db")
    logits = [Probe({"z": z}) for z in _logits()]
    losses = list(_loss_probes())

    everything: list[tuple[Callable[..., Any], tuple[str, ...], str, Iterable[Probe]]] = [
        (conv2d, ("z",), "conv-forward", _conv_probes(backward=False)),
        (conv2d_backward, gradients, "conv-dx", _conv_probes(backward=True)),
        (conv_transpose2d, ("z",), "transposed-forward", _transposed_probes(backward=False)),
        (
            conv_transpose2d_backward,
            gradients,
            "transposed-dx",
            _transposed_probes(backward=True),
        ),
        (im2col, ("cols",), "im2col-patches", _im2col_probes(backward=False)),
        (col2im, ("x",), "im2col-back", _im2col_probes(backward=True)),
        (relu, ("a",), "relu-forward", _relu_probes(backward=False)),
        (relu_backward, ("dz",), "relu-backward", _relu_probes(backward=True)),
        (max_pool2d, ("y",), "pool-max", _pool_probes(max_pool2d, backward=False)),
        (
            max_pool2d_backward,
            ("dx",),
            "pool-max-backward",
            _pool_probes(max_pool2d, backward=True),
        ),
        (avg_pool2d, ("y",), "pool-avg", _pool_probes(avg_pool2d, backward=False)),
        (
            avg_pool2d_backward,
            ("dx",),
            "pool-avg-backward",
            _pool_probes(avg_pool2d, backward=True),
        ),
        (dense, ("z",), "dense-forward", _dense_probes(backward=False)),
        (dense_backward, gradients, "dense-dx", _dense_probes(backward=True)),
        (softmax, ("a",), "softmax-forward", logits),
        (softmax_backward, ("dz",), "softmax-backward", _softmax_backward_probes()),
        (log_softmax, ("log_a",), "softmax-log", logits),
        (cross_entropy, ("the loss",), "softmax-loss", losses),
        (cross_entropy_backward, ("dz",), "softmax-fused", losses),
    ]
    return {
        function.__name__: Target(function, outputs, equation, tuple(probes))
        for function, outputs, equation, probes in everything
    }

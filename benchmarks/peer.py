"""The same work in PyTorch, in two layouts. Imported only where PyTorch is installed."""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

VERSION = str(torch.__version__)
LAYOUTS = {"torch": torch.contiguous_format, "torch-last": torch.channels_last}

F = nn.functional
Array: TypeAlias = NDArray[Any]
Call = Callable[[], object]
Step = Callable[[Any, Any], object]


def set_threads(threads: int) -> None:
    """How many threads PyTorch may use."""
    torch.set_num_threads(threads)


def images(array: Array, layout: Any) -> Any:
    """Images (N, H, W, C) as a tensor of shape (N, C, H, W), in memory as the layout says."""
    first = torch.tensor(np.ascontiguousarray(array.transpose(0, 3, 1, 2)))
    return first.contiguous(memory_format=layout)


def both_ways(function: Callable[..., Any], dz: Any, *inputs: Any) -> Call:
    """Forward, and the gradients of all inputs."""
    leaves = [tensor.requires_grad_() for tensor in inputs]
    return lambda: torch.autograd.grad(function(*leaves), leaves, dz)


def in_layouts(calls: Callable[[Any], Call]) -> dict[str, Call]:
    """A contestant for each layout."""
    return {name: calls(layout) for name, layout in LAYOUTS.items()}


def convolution(
    dz: Array, x: Array, w: Array, b: Array, *, stride: int, padding: int
) -> dict[str, Call]:
    """Convolution; the kernels come as (kh, kw, C, K)."""

    def call(layout: Any) -> Call:
        kernels = images(w.transpose(3, 0, 1, 2), layout)
        return both_ways(
            lambda x, w, b: F.conv2d(x, w, b, stride=stride, padding=padding),
            images(dz, layout),
            images(x, layout),
            kernels,
            torch.tensor(b),
        )

    return in_layouts(call)


def pooling(kind: str, dy: Array, x: Array) -> dict[str, Call]:
    """Pooling by windows of 2."""
    function = getattr(F, f"{kind}_pool2d")
    return in_layouts(
        lambda layout: both_ways(lambda x: function(x, 2), images(dy, layout), images(x, layout))
    )


def relu(da: Array, z: Array) -> dict[str, Call]:
    """The rectifier, to which the layout is all the same."""
    return {"torch": both_ways(F.relu, torch.tensor(da), torch.tensor(z))}


def dense(dz: Array, x: Array, w: Array, b: Array) -> dict[str, Call]:
    """A fully connected layer; the weights come as (I, O)."""
    inputs = torch.tensor(x), torch.tensor(w.T.copy()), torch.tensor(b)
    return {"torch": both_ways(F.linear, torch.tensor(dz), *inputs)}


def cross_entropy(z: Array, labels: Array) -> dict[str, Call]:
    """Softmax with the loss, and the gradient for the logits."""
    y = torch.tensor(labels)
    return {"torch": both_ways(lambda z: F.cross_entropy(z, y), None, torch.tensor(z))}


def digits_network(layout: Any) -> Any:
    """The network of the chapter ``digits``, layer by layer as ``companion.digits_network``."""
    network = nn.Sequential(
        nn.Conv2d(1, 8, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 32, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(512, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )
    return network.to(memory_format=layout)


def stepper(network: Any, **settings: float) -> Step:
    """A training step on a batch of tensors: loss, gradients, optimiser."""
    optimizer = torch.optim.SGD(network.parameters(), **settings)

    def step(x: Any, y: Any) -> None:
        loss = F.cross_entropy(network(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def training_step(x: Array, labels: Array, **settings: float) -> dict[str, Call]:
    """A training step of the digits network on one batch."""

    def call(layout: Any) -> Call:
        step, inputs, y = (
            stepper(digits_network(layout), **settings),
            images(x, layout),
            torch.tensor(labels),
        )
        return lambda: step(inputs, y)

    return in_layouts(call)


def epoch(
    x: Array, labels: Array, batches: list[Array], **settings: float
) -> dict[str, Iterator[object]]:
    """An epoch of the digits network, as steps to be taken one at a time."""

    def steps(layout: Any) -> Iterator[object]:
        step = stepper(digits_network(layout), **settings)
        inputs, y = images(x, layout), torch.tensor(labels)
        chosen = [torch.tensor(batch) for batch in batches]
        return (step(inputs[c].contiguous(memory_format=layout), y[c]) for c in chosen)

    return {name: steps(layout) for name, layout in LAYOUTS.items()}

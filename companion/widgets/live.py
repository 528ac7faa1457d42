"""The live form of the explorers: widgets whose numbers come from the kernel. Needs anywidget."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import anywidget
import numpy as np
import traitlets as t

from ._display import Explorer, Settings, Slider, read_front, script
from .conv import DILATION, KERNEL_SIZE, MODES, PADDING, STRIDE, ConvExplorer

_EXPORT = "\nexport default { render };\n"


def _limits(slider: Slider) -> dict[str, Any]:
    return {"min": slider.low, "max": slider.high, "help": slider.label}


class LiveExplorer(anywidget.AnyWidget):
    """A widget over an explorer: its settings are traits, its frame follows them.

    Assign to a setting, or observe it, as to any trait: ``widget.stride = 2``.
    """

    _css = read_front("explorer.css")
    label = t.Unicode(help="Name of the explorer.").tag(sync=True)
    controls: t.List[Any] = t.List(help="What the reader can move.").tag(sync=True)
    frame = t.Dict(help="All that the present setting shows, by name.").tag(sync=True)

    def __init__(self, explorer: Explorer) -> None:
        self._explorer = explorer
        super().__init__(
            label=explorer.label,
            controls=[asdict(control) for control in explorer.controls],
            frame=explorer.frame(explorer.settings),
            **explorer.settings,
        )
        self.observe(self._follow, names=[control.name for control in explorer.controls])

    def settings(self) -> Settings:
        """The present value of every setting."""
        return {name: getattr(self, name) for name in self._explorer.settings}

    def _follow(self, _: Any) -> None:
        self.frame = self._explorer.frame(self.settings())
        self._after_frame()

    def _after_frame(self) -> None:
        """Bring other traits in line with the new frame."""

    def __repr__(self) -> str:
        return self._explorer.describe(self.settings())

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        data, metadata = super()._repr_mimebundle_(**kwargs) or ({}, {})
        return {**data, "text/html": self._explorer.html(self.settings())}, metadata


class _KernelSize(t.Int):  # type: ignore[type-arg]
    """A size of the example kernel; None, and nothing else, beside the reader's own."""

    def validate(self, obj: Any, value: Any) -> int | None:
        own = obj._explorer.w
        if own is None:
            value = super().validate(obj, value)
        elif value is not None:
            raise t.TraitError(f"kernel_size is fixed by w, of shape {own.shape}, got {value!r}")
        return value  # type: ignore[no-any-return]


class ConvWidget(LiveExplorer):
    """The live convolution explorer; see :func:`companion.widgets.explore_conv`.

    Attributes
    ----------
    kernel_size : int, 1 to 5, or None
        Rows and columns of the example kernel; None where the reader gave one.
    stride : int, 1 to 3
    padding : int, 0 to 2
    dilation : int, 1 or 2
    mode : {"forward", "backward"}
        Whether outputs or inputs are pointed at.
    cell : (int, int)
        Row and column of the output or input pointed at; the nearest one that there is.
    frame : dict
        The tables shown, read only: ``x``, ``w``, ``z``, ``dz``, ``dx`` as nested lists.
    """

    _esm = script("conv") + _EXPORT
    kernel_size = _KernelSize(KERNEL_SIZE.low, **_limits(KERNEL_SIZE)).tag(sync=True)
    stride = t.Int(**_limits(STRIDE)).tag(sync=True)
    padding = t.Int(**_limits(PADDING)).tag(sync=True)
    dilation = t.Int(**_limits(DILATION)).tag(sync=True)
    mode = t.Enum(MODES, MODES[0], help="Point at outputs or at inputs.").tag(sync=True)
    cell: t.List[int] = t.List(
        t.Int(), [0, 0], minlen=2, maxlen=2, help="Row and column of the cell pointed at."
    ).tag(sync=True)
    _explorer: ConvExplorer

    def _after_frame(self) -> None:
        self.cell = list(self.cell)  # checked anew: there may be fewer cells now

    @t.validate("cell")
    def _nearest(self, proposal: Any) -> list[int]:
        table = self.frame.get("z" if self.mode == "forward" else "dx")
        cell: list[int] = proposal["value"]
        if table is None:
            return cell
        return [min(max(at, 0), n - 1) for at, n in zip(cell, np.shape(table), strict=True)]

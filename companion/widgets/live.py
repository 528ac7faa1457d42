"""The live form of the explorers: widgets whose numbers come from the kernel. Needs anywidget."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets as t

from ._controls import Control, Settings, for_page
from ._display import Explorer, Frame, read_front, script, style


class LiveExplorer(anywidget.AnyWidget):
    """A widget over an explorer: its settings are traits, its frame follows them.

    Every argument of the function that made it is a trait of the same name. Assign to it, observe
    it, or link it to another widget's: ``widget.stride = 2``,
    ``ipywidgets.link((slider, "value"), (widget, "stride"))``. A table may be given as any array
    and is kept as nested lists. What the function would refuse raises
    :class:`traitlets.TraitError`.

    Attributes
    ----------
    frame : dict
        The tables of numbers shown, by name, as nested lists; read only.
    label : str
        Name of the explorer.
    controls : list of dict
        What the reader can move.
    """

    label = t.Unicode(help="Name of the explorer.").tag(sync=True)
    controls: t.List[Any] = t.List(help="What the reader can move.").tag(sync=True)
    frame = t.Dict(read_only=True, help="All that the present setting shows, by name.").tag(
        sync=True
    )

    if TYPE_CHECKING:  # the settings are traits, which differ from explorer to explorer

        def __getattr__(self, name: str) -> Any: ...

    def __init__(self, explorer: Explorer) -> None:
        self._explorer = explorer
        super().__init__(
            label=explorer.label,
            controls=[for_page(control) for control in explorer.controls],
            **explorer.settings,
        )
        self.observe(self._follow, names=[control.name for control in explorer.controls])

    @t.default("frame")
    def _first(self) -> Frame:
        return self._explorer.frame(self._explorer.settings)

    def settings(self) -> Settings:
        """The present value of every setting."""
        return {name: getattr(self, name) for name in self._explorer.settings}

    def _follow(self, _: Any) -> None:
        self.set_trait("frame", self._explorer.frame(self.settings()))
        for name, value in self._explorer.settle(self.settings(), self.frame).items():
            if value != getattr(self, name):
                self.set_trait(name, value)

    def __repr__(self) -> str:
        return self._explorer.describe(self.settings())

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        data, metadata = super()._repr_mimebundle_(**kwargs) or ({}, {})
        return {**data, "text/html": self._explorer.html(self.settings())}, metadata


class _Setting(t.TraitType[Any, Any]):
    """A setting: what its control lets pass."""

    def __init__(self, control: Control) -> None:
        super().__init__(help=getattr(control, "label", control.name))
        self.control = control

    def validate(self, _: Any, value: Any) -> Any:
        try:
            return self.control.check(value)
        except (TypeError, ValueError) as error:
            raise t.TraitError(str(error)) from error


class _Fixed(t.TraitType[Any, Any]):
    """A setting that the reader's own arrays have decided."""

    def __init__(self, value: Any) -> None:
        super().__init__(value, help="Fixed by the arrays given.", allow_none=True)
        self.value = value

    def validate(self, _: Any, value: Any) -> Any:
        if not (type(value) is type(self.value) and value == self.value):
            raise t.TraitError(f"{self.name} is fixed by the arrays given, got {value!r}")
        return value


@functools.lru_cache(maxsize=16)  # the reader's own arrays make classes of their own
def _widget_class(
    kind: type[Explorer], controls: tuple[Control, ...], fixed: tuple[tuple[str, Any], ...]
) -> type[LiveExplorer]:
    """The class of widgets with these settings as traits."""
    traits: dict[str, t.TraitType[Any, Any]] = {c.name: _Setting(c) for c in controls}
    traits |= {name: _Fixed(value) for name, value in fixed}
    synced = {name: trait.tag(sync=True) for name, trait in traits.items()}
    name = kind.__name__.replace("Explorer", "Widget")
    front = {"_esm": script(kind) + read_front("live.js"), "_css": style(kind.uses)}
    about = {"__module__": __name__, "__doc__": kind.__doc__}
    return type(name, (LiveExplorer,), {**about, **front, **synced})


def live(explorer: Explorer) -> LiveExplorer:
    """The widget over an explorer."""
    moved = {control.name for control in explorer.controls}
    fixed = tuple((n, v) for n, v in explorer.settings.items() if n not in moved)
    return _widget_class(type(explorer), explorer.controls, fixed)(explorer)

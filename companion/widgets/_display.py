"""What all explorers share: settings, frames of numbers, and the HTML that needs no kernel.

An explorer is two files. ``<kind>.py``, the module of its chapter, holds a subclass of
:class:`Explorer`, which computes a frame (the tables of numbers that one setting shows) with the
package. ``front/<kind>.js`` draws frames with the library in ``front``: its ``render`` is one and
the same in a live notebook and in a static page; only the model behind it differs.

In a live notebook every frame comes from the kernel (``live.py``, ``front/live.js``). A static page
carries the frames of the settings it can list (:meth:`Explorer.parts`); for values that the reader
types, the script's own ``compute`` fills in, and tests hold it to the package
(``front/static.js``).
"""

from __future__ import annotations

import html
import itertools
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, TypeVar

import numpy as np

from ._controls import Choice, Control, Settings, Slider, for_page

if TYPE_CHECKING:
    from .live import LiveExplorer

Frame: TypeAlias = dict[str, Any]
"""What one setting shows, in JSON's types: tables of numbers by name.

Two names are not tables: ``problem``, a text that says why there is nothing to show, and
``limits``, the present upper ends of sliders that depend on other settings.
"""
ExplorerType = TypeVar("ExplorerType", bound="Explorer")


@dataclass(frozen=True)
class Part:
    """The share of the frames that depends only on the settings named in ``by``.

    ``by`` gives the values of each; ``of`` has a frame for every combination, the last setting
    changing first. A static page puts a frame together from one entry of each part, so that
    nothing is stored twice.
    """

    by: Mapping[str, Sequence[Any]]
    of: Sequence[Frame]

    def for_page(self) -> dict[str, Any]:
        """The part by tables: each a list along the combinations, or packed."""
        names = dict.fromkeys(name for frame in self.of for name in frame)
        packed = {name: _pack([frame.get(name) for frame in self.of]) for name in names}
        return {"by": list(self.by.items()), "of": packed}


class Explorer(ABC):
    """An explorer as HTML with its frames inside; subclasses compute the frames."""

    kind: ClassVar[str]
    """Name of the script in ``front``, and of the explorer in a page's address."""
    label: ClassVar[str]
    uses: ClassVar[tuple[str, ...]] = ("grid",)
    """Scripts of the library that the explorer's own needs, beside ``lib``."""

    def __init__(self, controls: Iterable[Control], settings: Settings) -> None:
        self.controls = tuple(controls)
        checked = {control.name: control.check(settings[control.name]) for control in self.controls}
        self.settings: Settings = {**settings, **checked}

    @abstractmethod
    def frame(self, settings: Settings) -> Frame:
        """All that one setting shows."""

    @abstractmethod
    def parts(self, settings: Settings) -> list[Part]:
        """The frames that a static page carries: one entry of each part makes a frame."""

    @abstractmethod
    def captions(self, settings: Settings) -> dict[str, str]:
        """Which tables of the frame to show where no script runs, and what to call them."""

    def pointed(self, settings: Settings) -> str | None:  # noqa: ARG002
        """Name of the table that the cell is in, if the explorer has a cell."""
        return None

    def settle(self, settings: Settings, frame: Frame) -> Settings:
        """The settings with the cell moved to the nearest one of its table; a row is a table."""
        name = self.pointed(settings)
        if name not in frame:
            return settings
        return with_cell_in(np.atleast_2d(frame[name]).shape, settings)

    def html(self, settings: Settings) -> str:
        """The static form, beginning with these settings."""
        state = {
            "settings": settings,
            "label": self.label,
            "controls": [for_page(control) for control in self.controls],
            "parts": [part.for_page() for part in self.parts(settings)],
        }
        frame = self.frame(settings)
        tables = "".join(
            _table(caption, frame[name])
            for name, caption in self.captions(settings).items()
            if name in frame
        )
        limits = frame.get("limits", {}).items()
        shown = settings | {name: min(settings[name], limit) for name, limit in limits}
        said = ", ".join(map(self._say, self._moved(), self._values(shown)))
        return (
            f'<div class="cx-static" data-explorer="{self.kind}">'
            f'<script type="application/json">{_json(state)}</script>'
            f'<div class="cx-fallback"><p>{self.label}: {said}.</p>{tables}</div></div>'
            f"<style>{style(self.uses)}</style>"
            f'<script type="module">{script(self)}{read_front("static.js")}</script>'
        )

    def describe(self, settings: Settings) -> str:
        """The call that shows these settings."""
        given = map("{}={!r}".format, [c.name for c in self._moved()], self._values(settings))
        return f"explore_{self.kind}({', '.join(given)})"

    def _moved(self) -> list[Slider | Choice]:
        return [c for c in self.controls if isinstance(c, Slider | Choice)]

    def _values(self, settings: Settings) -> list[Any]:
        return [settings[control.name] for control in self._moved()]

    @staticmethod
    def _say(control: Slider | Choice, value: Any) -> str:
        if isinstance(control, Choice):
            return f"{control.label.lower()} {dict(control.options)[value]}"
        return f"{control.label.lower()} {value:g}"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self.html(self.settings)}

    def __repr__(self) -> str:
        return self.describe(self.settings)


def with_cell_in(size: Sequence[int], settings: Settings) -> Settings:
    """The settings with the cell moved into a table of this size."""
    cell = [min(at, n - 1) for at, n in zip(settings["cell"], size, strict=True)]
    return {**settings, "cell": cell}


def kernel_misfit(
    image_size: Sequence[int],
    kernel_size: Sequence[int],
    settings: Settings,
    kernel: str = "kernel",
) -> str | None:
    """Why there is nothing to show, in the words of the page: the kernel is too large."""
    sizes = zip(("rows", "columns"), image_size, kernel_size, strict=True)
    for name, n, k in sizes:
        covered, there = settings.get("dilation", 1) * (k - 1) + 1, n + 2 * settings["padding"]
        if covered > there:
            return (
                f"These settings do not fit: the {kernel} covers {covered} {name}, "
                f"and the padded image has {there}."
            )
    return None


def gradient_misfit(name: str, size: tuple[int, int], settings: Settings) -> str | None:
    """Why there is nothing to show: the gradient is smaller than the output it belongs to."""
    if np.any(np.less(np.shape(settings[name]), size)):
        return f"These settings give an output of shape {size}; {name} is smaller."
    return None


def too_small(explorer: Explorer, name: str, size: tuple[int, int], of: str) -> ValueError:
    """The error for a table of the reader's with fewer rows or columns than ``size``."""
    given = np.shape(explorer.settings[name])
    return ValueError(f"{name} must have at least the shape {size} of {of}, got shape {given}")


def present(explorer: ExplorerType, frame: Frame | None = None) -> ExplorerType | LiveExplorer:
    """The explorer, its cell settled, as a live widget where anywidget is installed.

    ``frame`` is the frame of its settings, if that is known already.
    """
    frame = explorer.frame(explorer.settings) if frame is None else frame
    explorer.settings = explorer.settle(explorer.settings, frame)
    if find_spec("anywidget") is None:
        return explorer
    from .live import live

    return live(explorer)


def tabulate(
    controls: Iterable[Slider | Choice],
    settings: Settings,
    make: Callable[[Settings], Frame],
    *,
    also: Iterable[str] = (),
) -> Part:
    """A part with what ``make`` returns for every combination of the controls' values.

    It holds for the present values of the settings named in ``also``; for others the page computes.
    """
    by = {control.name: control.values() for control in controls}
    by |= {name: [settings[name]] for name in also}
    combinations = itertools.product(*by.values())
    return Part(by, [make({**settings, **dict(zip(by, c, strict=True))}) for c in combinations])


def read_front(name: str) -> str:
    """A file of the front end, without the comments and spaces that a page can spare.

    Comments must stand on lines of their own, and no string may run over several lines.
    """
    text = files(__package__).joinpath("front", name).read_text(encoding="utf-8")
    text = re.sub(r"^\s*//.*$|/\*[^*]*(?:\*(?!/)[^*]*)*\*/", "", text, flags=re.MULTILINE)
    text = re.sub(r"\n\s*", "\n", text).lstrip()
    if name.endswith(".css"):
        return re.sub(r"(?<=[:,;{])\s+|;?\s+(?=[{}])", "", text)
    # Outside strings, no script needs the spaces around these, nor a semicolon or a comma before a
    # brace, and what is never assigned to again need not be const.
    parts = re.split(r"(\"[^\"\n]*\"|`[^`\n]*`)", text)
    spared = (
        r"\s*([=,:?{(\[<>&|*;!])\s*",
        r",?\s*([})\]]) *",
        r"(?<=[\w)\]]) ([+/%-]) (?=[\w(\[])",
        r";(\})",
    )
    parts[::2] = [re.sub(r"\bconst\b", "let", part) for part in parts[::2]]
    for pattern in spared:
        parts[::2] = [re.sub(pattern, r"\1", part) for part in parts[::2]]
    return "".join(parts)


def style(uses: Iterable[str]) -> str:
    """The style sheet of all explorers and those of the scripts that one uses."""
    front = files(__package__).joinpath("front")
    names = (f"{name}.css" for name in ("lib", *uses))
    return "".join(read_front(name) for name in names if front.joinpath(name).is_file())


def script(explorer: Explorer | type[Explorer]) -> str:
    """The library and one explorer's ``render`` and ``compute``, as one script."""
    names = ("lib", *explorer.uses, explorer.kind)
    return f'let KIND = "{explorer.kind}";\n' + "".join(read_front(f"{n}.js") for n in names)


def _pack(tables: list[Any]) -> str | list[Any]:
    """Tables of small whole numbers as text: a number a character, a row a word, ! between tables.

    It is a third of what JSON takes; any other tables are returned as they are.
    """
    texts = []
    for table in tables:
        if not (table is None or _is_small(table)):
            return tables
        texts.append(" ".join("".join(chr(80 + v) for v in row) for row in table or []))
    return "!".join(texts)


def _is_small(table: Any) -> bool:
    rows = isinstance(table, list) and all(isinstance(row, list) and row for row in table)
    return rows and all(isinstance(v, int) and -45 <= v <= 175 for row in table for v in row)


def _json(state: Any) -> str:
    """JSON that cannot close the script it stands in."""
    return json.dumps(state, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _table(caption: str, values: list[Any]) -> str:
    rows = values if isinstance(values[0], list) else [values]
    body = "".join(
        "<tr>" + "".join(f"<td>{_cell(value)}</td>" for value in row) + "</tr>" for row in rows
    )
    head = f"<caption>{html.escape(caption)}</caption>"
    return f'<table class="cx-table">{head}<tbody>{body}</tbody></table>'


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"

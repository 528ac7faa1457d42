"""What all explorers share: controls, numbers for the page, and the HTML that needs no kernel.

An explorer is three things: a subclass of :class:`Explorer` in the module of its chapter, which
computes frames with the package; ``front/<kind>.js``, whose ``render({ model, el })`` draws them
with ``front/lib.js``; and a class of traits in ``live.py``. The script is one and the same in a
live notebook and in a static page; only the model behind it differs (``front/static.js``).
"""

from __future__ import annotations

import html
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

Settings: TypeAlias = dict[str, Any]
Frame: TypeAlias = dict[str, Any]
"""What one setting shows, in JSON's types: tables of numbers by name."""


@dataclass(frozen=True)
class Slider:
    """A whole number from ``low`` to ``high`` that the reader moves."""

    name: str
    label: str
    low: int
    high: int


@dataclass(frozen=True)
class Choice:
    """A few options, each a value and its text, of which the reader picks one."""

    name: str
    label: str
    options: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Part:
    """The share of the frames that depends only on the settings named in ``by``.

    ``of`` is keyed by those settings' values, joined by commas. A static page puts a frame
    together from one entry of each part, so that nothing is stored twice.
    """

    by: tuple[str, ...]
    of: Mapping[str, Frame]


class Explorer(ABC):
    """An explorer as HTML with its frames inside; subclasses compute the frames."""

    kind: ClassVar[str]
    """Name of the script in ``front``, and of the explorer in a page's address."""
    label: ClassVar[str]

    def __init__(self, controls: Sequence[Slider | Choice], settings: Settings) -> None:
        self.controls = tuple(controls)
        self.settings = settings

    @abstractmethod
    def frame(self, settings: Settings) -> Frame:
        """All that one setting shows."""

    @abstractmethod
    def parts(self, settings: Settings) -> list[Part]:
        """The frames of every setting that a static page can show, beginning with this one."""

    @abstractmethod
    def tables(self, settings: Settings) -> dict[str, list[list[float]]]:
        """What to show where no script runs, by caption."""

    def html(self, settings: Settings) -> str:
        """The static form, beginning with these settings."""
        parts = self.parts(settings)
        stored = {name for part in parts for name in part.by}
        movable = [c for c in self.controls if isinstance(c, Choice) or c.name in stored]
        fixed = [self._say(c, settings) for c in self.controls if c not in movable]
        said = ", ".join(self._say(c, settings) for c in self.controls)
        state = {
            **settings,
            "label": self.label,
            "controls": [asdict(c) for c in movable],
            "note": fixed and f"This page shows {', '.join(fixed)}; others need a live notebook.",
            "parts": [asdict(part) for part in parts],
        }
        tables = "".join(_table(name, rows) for name, rows in self.tables(settings).items())
        return (
            f'<div class="cx-static" data-explorer="{self.kind}">'
            f'<script type="application/json">{_json(state)}</script>'
            f'<div class="cx-fallback"><p>{self.label}: {said}.</p>{tables}</div></div>'
            f"<style>{read_front('explorer.css')}</style>"
            f'<script type="module">{script(self.kind)}{read_front("static.js")}</script>'
        )

    @staticmethod
    def _say(control: Slider | Choice, settings: Settings) -> str:
        name = control.label.lower() if isinstance(control, Slider) else control.name
        return f"{name} {settings[control.name]}"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self.html(self.settings)}

    def describe(self, settings: Settings) -> str:
        """The call that shows these settings."""
        given = ", ".join(f"{c.name}={settings[c.name]!r}" for c in self.controls)
        return f"explore_{self.kind}({given})"

    def __repr__(self) -> str:
        return self.describe(self.settings)


def read_front(name: str) -> str:
    """A file of the front end."""
    return files(__package__).joinpath("front", name).read_text(encoding="utf-8")


def script(kind: str) -> str:
    """The library and one explorer's ``render``, as one script."""
    return f'const KIND = "{kind}";\n{read_front("lib.js")}{read_front(f"{kind}.js")}'


def plain(array: ArrayLike) -> list[Any]:
    """An array as lists for JSON: whole numbers without a point, no negative zero."""
    values = np.asarray(array, dtype=np.float64) + 0.0
    whole = np.all(values == np.rint(values)) and np.all(np.abs(values) < 2**53)
    lists: list[Any] = (values.astype(np.int64) if whole else values).tolist()
    return lists


def _json(state: Any) -> str:
    """JSON that cannot close the script it stands in."""
    return json.dumps(state, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _table(caption: str, rows: list[list[float]]) -> str:
    body = "".join(
        "<tr>" + "".join(f"<td>{value:.4g}</td>" for value in row) + "</tr>" for row in rows
    )
    head = f"<caption>{html.escape(caption)}</caption>"
    return f'<table class="cx-table">{head}<tbody>{body}</tbody></table>'

"""What a reader can move in an explorer: each control checks its values and tells the page.

A control is one setting: an argument of ``explore_<kind>``, a trait of the live widget, an input
of the page, and an entry of the page's address, all under the same name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from companion.shapes import FloatArray, as_float, as_int, in_range

LARGEST = 1e9
"""The largest number that a reader can type."""


@dataclass(frozen=True)
class Slider:
    """A number from ``low`` to ``high`` in steps; whole numbers where the step is one.

    ``index`` says that it counts from 0 and chooses one of several: "1 of 2" would mislead.
    """

    type: ClassVar[str] = "slider"
    name: str
    label: str
    low: float
    high: float
    step: float = 1
    index: bool = False

    def check(self, value: Any) -> float:
        """The value, if it lies on the scale; TypeError or ValueError that says why not."""
        if isinstance(self.step, int):
            number: float = as_int(self.name, value, minimum=int(self.low))
        else:
            number = in_range(self.name, value, low=self.low)
        if number > self.high:
            raise ValueError(f"{self.name} must be at most {self.high}, got {value!r}")
        nearest = self.values()[round((number - self.low) / self.step)]
        if abs(nearest - number) > 1e-9:
            raise ValueError(
                f"{self.name} must go in steps of {self.step} from {self.low}, got {value!r}"
            )
        return nearest

    def values(self) -> list[float]:
        """Every value on the scale."""
        count = round((self.high - self.low) / self.step) + 1
        return [round(self.low + n * self.step, 9) for n in range(count)]


@dataclass(frozen=True)
class Choice:
    """A few options, each a value and its text, of which the reader picks one.

    ``view`` says that it changes only what is drawn, none of the frame's numbers.
    """

    type: ClassVar[str] = "choice"
    name: str
    label: str
    options: tuple[tuple[str, str], ...]
    view: bool = False

    def check(self, value: Any) -> str:
        """The value, if it is one of the options."""
        if not isinstance(value, str) or value not in self.values():
            options = " or ".join(f'"{option}"' for option in self.values())
            raise ValueError(f"{self.name} must be {options}, got {value!r}")
        return str(value)

    def values(self) -> list[str]:
        """Every option."""
        return [value for value, _ in self.options]


@dataclass(frozen=True)
class Table:
    """A table of numbers, or a row of them, whose entries the reader types.

    ``axes`` names them for errors, such as ``"H W"``; ``most`` is the largest length of an axis,
    and ``size`` its shape where the other controls depend on it.
    """

    type: ClassVar[str] = "table"
    name: str
    axes: str
    most: int = 32
    size: tuple[int, ...] | None = None

    def check(self, value: ArrayLike) -> list[Any]:
        """The values as nested lists."""
        array = as_float(self.name, value, self.axes)
        if not 0 < min(array.shape) <= max(array.shape) <= self.most:
            what = "rows and columns" if array.ndim == 2 else "entries"
            raise ValueError(
                f"{self.name} must have 1 to {self.most} {what}, got shape {array.shape}"
            )
        if self.size not in (None, array.shape):
            raise ValueError(f"{self.name} must keep its shape {self.size}, got {array.shape}")
        if not np.all(np.isfinite(array)):
            wrong = array[~np.isfinite(array)][0]
            raise ValueError(f"{self.name} must hold finite numbers, got {wrong}")
        if np.abs(array).max() > LARGEST:
            raise ValueError(
                f"{self.name} must hold numbers from {-LARGEST:g} to {LARGEST:g}, "
                f"got {np.abs(array).max():g} in size"
            )
        return plain(array)


def sized(tables: Iterable[Table], **arrays: NDArray[Any] | None) -> list[Table]:
    """The tables; those named must keep the shape of their array: other controls depend on it."""
    shapes = {name: array.shape for name, array in arrays.items() if array is not None}
    return [replace(table, size=shapes.get(table.name)) for table in tables]


@dataclass(frozen=True)
class Row(Table):
    """A row of numbers that the reader types, or moves by a slider for each.

    The row alone holds the numbers. A slider shows the nearest value on its scale, from ``low`` to
    ``high`` in steps; what is typed may lie between its steps or beyond its ends.
    """

    label: str = ""
    low: float = -1
    high: float = 1
    step: float = 1


@dataclass(frozen=True)
class Cell:
    """The row and column that the reader points at."""

    type: ClassVar[str] = "cell"
    name: str = "cell"

    def check(self, value: Any) -> list[int]:
        """The value as a list; whether there is such a cell depends on what is shown."""
        if isinstance(value, np.ndarray):
            value = value.tolist()
        if isinstance(value, str) or not isinstance(value, Sequence) or len(value) != 2:
            raise ValueError(f"{self.name} must be a row and a column, got {value!r}")
        return [as_int(self.name, at, minimum=0) for at in value]


Control: TypeAlias = Slider | Choice | Table | Cell
Settings: TypeAlias = dict[str, Any]


def for_page(control: Control) -> dict[str, Any]:
    """What the page needs of a control, in JSON's types, with its type."""
    told = {
        name: v
        for name, v in asdict(control).items()
        if name not in ("axes", "most", "size") and v is not False
    }
    return {"type": control.type, **told}


def plain(array: ArrayLike) -> list[Any]:
    """An array as lists for JSON: whole numbers without a point, no negative zero."""
    values: FloatArray = np.asarray(array, dtype=np.float64) + 0.0
    whole = np.all(values == np.rint(values)) and np.all(np.abs(values) < 2**53)
    lists: list[Any] = (values.astype(np.int64) if whole else values).tolist()
    return lists


def tiled(pattern: NDArray[Any], rows: int, columns: int) -> NDArray[Any]:
    """The pattern, repeated until it has this size."""
    i, j = np.indices((rows, columns))
    repeated: NDArray[Any] = pattern[i % len(pattern), j % len(pattern[0])]
    return repeated

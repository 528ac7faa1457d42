"""A progress bar where tqdm is installed."""

from __future__ import annotations

from contextlib import AbstractContextManager, closing
from typing import Any


class _NoBar:
    """What is used of tqdm's bar, but shows nothing."""

    def update(self, n: float = 1) -> None: ...

    def set_postfix(self, *_: Any, **__: Any) -> None: ...

    def close(self) -> None: ...


def progress_bar(*, shown: bool, **settings: Any) -> AbstractContextManager[Any]:
    """A tqdm bar, or one that shows nothing where tqdm is not installed or no bar is wanted."""
    if shown:
        try:
            from tqdm import tqdm
        except ImportError:
            return closing(_NoBar())
        return closing(tqdm(**settings))
    return closing(_NoBar())

"""A progress bar where tqdm is installed."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, closing, suppress
from typing import Any


class _NoBar:
    """What is used of tqdm's bar, but shows nothing."""

    def update(self, n: float = 1) -> None: ...

    def set_postfix(self, *_: Any, **__: Any) -> None: ...

    def close(self) -> None: ...


def progress_bar(*, shown: bool, **settings: Any) -> AbstractContextManager[Any]:
    """A tqdm bar, or one that shows nothing: not wanted, no tqdm, or nowhere to show it."""
    if shown and sys.stderr is not None:  # None if it was closed from the start
        with suppress(ImportError):
            from tqdm import tqdm

            return closing(tqdm(**settings))
    return closing(_NoBar())

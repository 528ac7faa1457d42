"""Explorers: a layer and its gradient under the reader's hand, one for each chapter.

In a notebook with the extra ``widgets`` installed they are live widgets, backed by the kernel; in a
static page, or without the extra, the same front end shows what was computed when the cell ran.
"""

from .conv import explore_conv
from .network import explore_network

__all__ = ["explore_conv", "explore_network"]

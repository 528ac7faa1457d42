"""Explorers: a layer and its gradient under the reader's hand, one for each chapter.

In a notebook with the extra ``widgets`` installed they are live widgets, backed by the kernel; in a
static page, or without the extra, the same front end shows what was computed when the cell ran.
"""

from .conv import explore_conv
from .dense import explore_dense
from .gradcheck import explore_gradcheck
from .im2col import explore_im2col
from .network import explore_network
from .pool import explore_pool
from .relu import explore_relu
from .softmax import explore_softmax
from .transposed import explore_transposed

__all__ = [
    "explore_conv",
    "explore_dense",
    "explore_gradcheck",
    "explore_im2col",
    "explore_network",
    "explore_pool",
    "explore_relu",
    "explore_softmax",
    "explore_transposed",
]

"""Plant small bugs in the package, one at a time, and see whether the tests notice.

    python tests/mutants.py [MODULE ...] [--jobs 2] [--every 1]

Each mutant changes one operator, number, branch or statement of one module. It lives in the memory
of one process, which runs the tests of that module until one fails; no file is changed. What
survives is listed with its line: a test is missing, or the change makes no difference.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib.abc
import importlib.util
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parent / "companion"
TIME_LIMIT = 300.0  # seconds

GENERAL = ["hard_cases", "edges", "public_door"]
TESTS = {  # module: the tests that must notice, the fastest first
    "conv": [*GENERAL, "conv"],
    "im2col": [*GENERAL, "im2col"],
    "relu": [*GENERAL, "relu"],
    "pool": [*GENERAL, "pool"],
    "dense": [*GENERAL, "dense"],
    "softmax": [*GENERAL, "softmax"],
    "shapes": ["shapes", *GENERAL, "im2col", "conv", "pool"],
    "transposed": [*GENERAL, "transposed"],
    "gradcheck": ["gradcheck", "public_door"],
    "network": ["network", *GENERAL],
    "optim": ["optim", "public_door"],
    "train": ["train", "public_door"],
    "inside": ["inside", "public_door"],
    "datasets": ["datasets"],

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
    "taps": ["taps"],
    "blocks": ["blocks", *GENERAL, "conv"],
    "threads": ["threads", "costs"],
    "im2col": [*GENERAL, "im2col"],
    "relu": [*GENERAL, "relu"],
    "pool": [*GENERAL, "pool"],
    "dense": [*GENERAL, "dense"],
    "softmax": [*GENERAL, "softmax"],
    "shapes": ["shapes", *GENERAL, "im2col", "conv", "pool"],
    "transposed": [*GENERAL, "transposed"],
    "gradcheck": ["gradcheck", "gradcheck_hints", "public_door"],
    "slopes": ["gradcheck", "gradcheck_hints"],
    "hints": ["gradcheck_hints", "diagnose"],
    "network": ["network", *GENERAL],
    "optim": ["optim", "public_door"],
    "train": ["train", "checkpoint", "public_door"],
    "checkpoint": ["checkpoint"],
    "augment": ["augment"],
    "digits": ["digits", "command"],
    "plots": ["plots"],
    "contrast": ["plots"],
    "__main__": ["command"],
    "fetch": ["fetch"],
    "progress": ["fetch", "train"],
    "inside": ["inside", "public_door"],
    "datasets": ["datasets", "fetch"],
    "diagnose": ["diagnose", "diagnose_channels_first"],
    "probes": ["diagnose", "diagnose_channels_first"],
}

SWAPS: dict[type[ast.AST], tuple[type[ast.AST], ...]] = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div,),
    ast.Div: (ast.Mult,),
    ast.FloorDiv: (ast.Mult,),
    ast.Mod: (ast.FloorDiv,),
    ast.Pow: (ast.Mult,),
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.And: (ast.Or,),
    ast.Or: (ast.And,),
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd,),
    ast.In: (ast.NotIn,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
NAMES = {"max": "min", "min": "max", "maximum": "minimum", "all": "any", "any": "all",
         "zeros": "ones", "zeros_like": "ones_like", "low": "high", "high": "low",
         "rows": "columns", "columns": "rows"}  # fmt: skip


def variants(node: ast.AST) -> Iterator[ast.AST]:
    """Everything that one small slip could make of a node."""
    if isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp):
        for other in SWAPS.get(type(node.op), ()):
            yield changed(node, op=other())
    if isinstance(node, ast.AugAssign):
        assigned = ast.Assign([node.target], node.value)  # where it should be added
        yield ast.copy_location(assigned, node)
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        for other in SWAPS.get(type(node.ops[0]), ()):
            yield changed(node, ops=[other()])
    if isinstance(node, ast.UnaryOp):
        yield node.operand
    if isinstance(node, ast.Constant):
        if isinstance(node.value, bool):
            yield changed(node, value=not node.value)
        elif isinstance(node.value, int | float):
            yield changed(node, value=node.value + 1)
    if isinstance(node, ast.IfExp):
        yield changed(node, body=node.orelse, orelse=node.body)
    if isinstance(node, ast.If):
        yield changed(node, test=ast.UnaryOp(ast.Not(), node.test))
    if isinstance(node, ast.Raise):
        yield ast.Pass()
    if isinstance(node, ast.Name) and node.id in NAMES:
        yield changed(node, id=NAMES[node.id])
    if isinstance(node, ast.Attribute) and node.attr in NAMES:
        yield changed(node, attr=NAMES[node.attr])
    if isinstance(node, ast.Attribute) and node.attr == "T":
        yield node.value


def changed(node: ast.AST, **fields: object) -> ast.AST:
    """A copy of a node with other fields."""
    other = copy.copy(node)
    for name, value in fields.items():
        setattr(other, name, value)
    return other


class Planter(ast.NodeTransformer):
    """Replace one node of a tree: that which is the ``wanted``-th variant counted."""

    def __init__(self, wanted: int) -> None:
        self.wanted, self.count = wanted, 0
        self.line, self.before, self.after = 0, "", ""

    def visit(self, node: ast.AST) -> ast.AST:
        """Count the variants of a node; plant the wanted one, or go on below."""
        if isinstance(node, ast.JoinedStr | ast.Import | ast.ImportFrom):
            return node  # a message's wording is free
        if isinstance(node, ast.AnnAssign) and "TypeAlias" in ast.unparse(node.annotation):
            return node
        for variant in variants(node):
            if self.count == self.wanted:
                self.line = node.lineno  # type: ignore[attr-defined]
                self.before, self.after = ast.unparse(node), ast.unparse(variant)
                self.count += 1
                return ast.copy_location(variant, node)
            self.count += 1
        return self.generic_visit(node)


class Unannotated(ast.NodeTransformer):
    """Drop the annotations: they compute nothing."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        for argument in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]:
            argument.annotation = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if "TypeAlias" not in ast.unparse(node.annotation):
            node.annotation = ast.Constant(None)
        return self.generic_visit(node)


def source_tree(module: str) -> ast.Module:
    """The module without its annotations."""
    tree = ast.parse((PACKAGE / f"{module}.py").read_text(encoding="utf-8"))
    return ast.fix_missing_locations(Unannotated().visit(tree))


def mutants(module: str) -> Iterator[tuple[Planter, ast.Module]]:
    """Every mutant of a module: what was planted, and the tree."""
    wanted = 0
    while True:
        planter = Planter(wanted)
        tree = planter.visit(source_tree(module))
        if planter.count <= wanted:
            return
        yield planter, ast.fix_missing_locations(tree)
        wanted += 1


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Give the mutant where its module is imported."""

    def __init__(self, module: str, tree: ast.Module) -> None:
        self.name, self.tree = f"companion.{module}", tree
        self.path = str(PACKAGE / f"{module}.py")

    def find_spec(self, fullname, path, target=None):  # noqa: ARG002
        """Only the mutant's own name."""
        if fullname != self.name:
            return None
        return importlib.util.spec_from_file_location(fullname, self.path, loader=self)

    def exec_module(self, module) -> None:
        """Run the changed code."""
        exec(compile(self.tree, self.path, "exec"), module.__dict__)  # noqa: S102


def run_tests(module: str, tree: ast.Module) -> None:
    """End the process with pytest's exit code: 0 if no test noticed."""
    import pytest

    with Path(os.devnull).open("w") as nothing:
        os.dup2(nothing.fileno(), 1)
        os.dup2(nothing.fileno(), 2)
    sys.meta_path.insert(0, Finder(module, tree))
    sys.path.insert(0, str(PACKAGE.parent))
    files = [str(HERE / f"test_{name}.py") for name in TESTS[module]]
    options = [
        "-x",
        "-q",
        "-p",
        "no:cacheprovider",
        "-o",
        "addopts=",
        "--hypothesis-profile=mutants",
        f"--rootdir={HERE.parent}",
    ]
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # hypothesis is here already
    os._exit(pytest.main([*options, "-k", "not pytorch", *files]))


def survivors(module: str, every: int, jobs: int) -> tuple[int, list[str]]:
    """How many mutants were tried, and a line for each that no test noticed."""
    context = multiprocessing.get_context("fork")
    waiting = list(mutants(module))[::every]
    tried, lines = len(waiting), []
    sound = context.Process(target=run_tests, args=(module, source_tree(module)))
    sound.start()
    sound.join()
    if sound.exitcode != 0:
        raise SystemExit(f"{module}: its tests must pass before a mutant can fail them")
    running: dict[BaseProcess, tuple[Planter, float]] = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            planter, tree = waiting.pop()
            process = context.Process(target=run_tests, args=(module, tree))
            process.start()
            running[process] = planter, time.monotonic()
        for process, (planter, started) in list(running.items()):
            process.join(0.05)
            stopped = process.is_alive() and time.monotonic() - started > TIME_LIMIT
            if stopped:
                process.kill()
                process.join()
            if not process.is_alive():
                del running[process]
                if process.exitcode == 0 or stopped:  # an endless loop is for the reader to judge
                    before, after = (t.split("\n")[0] for t in (planter.before, planter.after))
                    note = f" (stopped after {TIME_LIMIT:.0f} s)" if stopped else ""
                    lines.append(f"{module}.py:{planter.line}: {before}  ->  {after}{note}")
                    print(f"\n{lines[-1]}", file=sys.stderr)
        done = tried - len(waiting) - len(running)
        print(f"\r{module}: {done}/{tried}, {len(lines)} survive", end="", file=sys.stderr)
    print(file=sys.stderr)
    return tried, sorted(lines)


def main() -> None:
    """Print the survivors of each module, and the share that was noticed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("modules", nargs="*", choices=[*TESTS, []], metavar="MODULE")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--every", type=int, default=1, help="try only each n-th mutant")
    arguments = parser.parse_args()

    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the tests' own, before NumPy is loaded
    import hypothesis  # noqa: F401  loaded once, for all the processes
    import numpy as np  # noqa: F401
    import pytest  # noqa: F401

    total = alive = 0
    for module in arguments.modules or TESTS:
        tried, lines = survivors(module, arguments.every, arguments.jobs)
        total, alive = total + tried, alive + len(lines)
        print(f"{module}: {tried - len(lines)} of {tried} noticed", *lines, sep="\n    ")
    print(f"all: {total - alive} of {total} noticed ({(total - alive) / total:.1%})")


if __name__ == "__main__":
    main()

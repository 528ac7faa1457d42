"""A checker that names the mistake.

It runs a reader's function on small probing inputs beside the companion's own. If the answers
differ, it looks for a mistake of the catalogue (``companion.mistakes``) that gives the same wrong
numbers: in all results, or else in each by itself.
"""

from __future__ import annotations

import inspect
import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import hints
from .probes import FIRST, LAST, SINGLE, Array, Probe, Target, targets
from .shapes import as_bool, largest

Shape = tuple[int, ...]

_NUMBERS = "iufb"  # kinds of dtype that can be compared


class Answer(NamedTuple):
    """What a function made of a probe: arrays, or an exception; and arguments that it changed."""

    outputs: tuple[Array, ...]
    error: Exception | None = None
    overwritten: tuple[str, ...] = ()


@dataclass(frozen=True)
class Mistake:
    """One known mistake.

    Attributes
    ----------
    target : str
        The companion's function that it gets wrong.
    name : str
        What it is called.
    reason : str
        One sentence: what was done, and what should be.
    equation : str
        Label of the equation to compare with; it begins with the chapter's name.
    ways : tuple of callable
        Code that makes the mistake; empty for one that is recognised by itself.
    """

    target: str
    name: str
    reason: str
    equation: str
    ways: tuple[Callable[..., Any], ...] = ()

    @property
    def chapter(self) -> str:
        """Chapter of the book that explains it."""
        return self.equation.partition("-")[0]

    def __str__(self) -> str:
        return f"{self.name}: {self.reason} (chapter {self.chapter}, equation {self.equation})"

    def __reduce__(self) -> tuple[Callable[..., Mistake], tuple[Any, ...]]:
        """Pickle it as an entry of the catalogue, for its ways have no names."""
        if self.ways:
            return _known, (self.target, self.name)
        return Mistake, (self.target, self.name, self.reason, self.equation)


class Explanation(NamedTuple):
    """The known mistakes, the results that have each, and the results without a known one.

    ``outputs`` and ``unexplained`` are empty where the mistakes explain all results.
    """

    mistakes: tuple[Mistake, ...] = ()
    outputs: tuple[tuple[str, ...], ...] = ()
    unexplained: tuple[str, ...] = ()


def _known(target: str, name: str) -> Mistake:
    return next(entry for entry in known_mistakes(target) if entry.name == name)


@dataclass(frozen=True)
class Diagnosis:
    """What :func:`diagnose` found; true where the function is right.

    Attributes
    ----------
    target : str
        The companion's function that was compared with.
    ok : bool
        Whether every answer was right.
    mistakes : tuple of Mistake
        The known mistakes that give the same wrong numbers: one; or several, made together or not
        told apart by the probes that could be run. Empty if ``ok``, or if none does.
    outputs : tuple of tuple of str
        For each of ``mistakes`` the results it is in, where no single mistake explains all results;
        else empty.
    unexplained : tuple of str
        The wrong results for which no mistake is known.
    finding : str
        The first thing that was wrong, and where; empty if ``ok``.
    probes : int
        How many inputs were tried.
    skipped : tuple of str
        Settings that the function does not take, and forms of arguments that it refuses. They were
        not probed.
    """

    target: str
    ok: bool
    mistakes: tuple[Mistake, ...]
    finding: str
    probes: int
    skipped: tuple[str, ...]
    outputs: tuple[tuple[str, ...], ...] = ()
    unexplained: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        lines = [f"{self.target}: right on all {self.probes} probes"] if self.ok else []
        wheres = self.outputs or ((),) * len(self.mistakes)
        for mistake, where in zip(self.mistakes, wheres, strict=True):
            lines.append(f"{', '.join([self.target, *where])}: {mistake}")
        if self.unexplained:
            which = self.unexplained if self.mistakes else ()
            lines.append(
                f"{', '.join([self.target, *which])}: wrong, and not a mistake that is known here"
            )
        lines += [f"first seen: {self.finding}"] if self.finding else []
        if self.skipped:
            lines.append(f"not probed, since it takes no such argument: {', '.join(self.skipped)}")
        return "\n".join(lines)


def diagnose(
    function: Callable[..., Any],
    target: str | Callable[..., Any],
    *,
    simple: bool = False,
    check_dtype: bool = True,
    channels_first: bool = False,
) -> Diagnosis:
    """Compare a function of your own with one of the companion's, and name what is wrong with it.

    Parameters
    ----------
    function : callable
        Takes the arguments of ``target`` and returns what it returns. Settings that it does not
        take (``stride``, ``padding``, ``dilation``, ...) are not probed, nor is a form of argument
        with which it always raises: a pair, a padding by name, labels as distributions.
    target : callable or str
        The companion's function, or its name: ``conv2d``, ``conv2d_backward``,
        ``conv_transpose2d``, ``conv_transpose2d_backward``, ``im2col``, ``col2im``, ``relu``,
        ``relu_backward``, ``max_pool2d``, ``max_pool2d_backward``, ``avg_pool2d``,
        ``avg_pool2d_backward``, ``dense``, ``dense_backward``, ``softmax``,
        ``softmax_backward``, ``log_softmax``, ``cross_entropy`` or ``cross_entropy_backward``.
    simple : bool
        Probe with whole numbers only, the same for rows and columns: for a function that takes no
        pairs. Default False.
    check_dtype : bool
        Whether results for float32 must be float32, and those for float64 float64. Default True.
    channels_first : bool
        Whether ``function`` takes and returns images as (N, C, H, W) and kernels as
        (K, C, kh, kw), as PyTorch does. Not for ``im2col`` and ``col2im``. Default False.

    Returns
    -------
    Diagnosis
        Its text is the answer: right; or known mistakes that reproduce the wrong numbers, with the
        chapter and equation to compare; or the first wrong entry, what was expected there, and what
        may have made it. Two mistakes at once are named where they are in different results, or
        where one of them is a lost sign or a factor such as 1/N.

    Raises
    ------
    TypeError, ValueError
        If ``function`` cannot be called, or there is no such target, or it has no such layout.

    Notes
    -----
    Every chapter's exercises end with it. Softmax and what follows it are probed on rows, (N, K).

    Examples
    --------
    >>> import companion
    >>> def my_relu_backward(da, z):
    ...     return da * (da > 0)
    >>> print(diagnose(my_relu_backward, companion.relu_backward))  # doctest: +ELLIPSIS
    relu_backward: mask taken from the gradient: what decides is the sign of ...
    """
    if not callable(function):
        raise TypeError(f"function must be callable, got {function!r}")
    about, simple = _target(target), as_bool("simple", simple)
    name = about.name
    check_dtype = as_bool("check_dtype", check_dtype)
    if as_bool("channels_first", channels_first):
        if "cols" in (*about.outputs, *about.probes[0].arguments):
            raise ValueError(f"channels_first says nothing of the columns of {name}: move the axes")
        about = about.with_channels_first()

    probes, not_taken = _usable(function, about, simple=simple)
    given = [_answer(function, probe, several=len(about.outputs) > 1) for probe in probes]
    refused = _refused_forms(probes, given)
    kept = [n for n, probe in enumerate(probes) if not probe.forms & refused.keys()]
    probes, given = [probes[n] for n in kept], [given[n] for n in kept]
    expected = [_answer(about.function, probe) for probe in probes]

    skipped = (*not_taken, *refused.values())
    if finding := _first_difference(function, about, probes, expected, given):
        found = _explained(about, probes, expected, given, not_taken)
        of_all_results = found.mistakes and not found.outputs
        if not of_all_results and (
            hint := _order_hint(function, probes[0], expected[0])
            or _layout_hint(function, about, probes[0], given[0])
        ):
            found, finding = Explanation(unexplained=about.outputs), hint + finding
        changed = sorted({name for answer in given for name in answer.overwritten})
        if changed and not found.mistakes:
            finding += f"; it also writes into {', '.join(changed)}"
        return Diagnosis(
            name,
            False,
            found.mistakes,
            finding,
            len(probes),
            skipped,
            outputs=found.outputs,
            unexplained=found.unexplained,
        )
    finding, mistakes = _side_effect(about, probes, expected, given, check_dtype=check_dtype)
    if not finding:
        finding, mistakes = _called_again(function, about, probes[0])
    return Diagnosis(name, not finding, mistakes, finding, len(probes), skipped)


def known_mistakes(target: str | Callable[..., Any]) -> list[Mistake]:
    """The catalogue's entries for one of the companion's functions.

    Parameters
    ----------
    target : callable or str
        The function, or its name: one of those that :func:`diagnose` takes.

    Returns
    -------
    list of Mistake

    Raises
    ------
    ValueError
        If there is no such target.

    Notes
    -----
    Chapter ``mistakes``.

    Examples
    --------
    >>> import companion
    >>> mistake = known_mistakes(companion.relu_backward)[0]
    >>> mistake.name
    'mask taken from the gradient'
    >>> mistake.ways[0](np.array([2.0, -3.0]), np.array([1.0, 1.0]))
    array([2., 0.])
    """
    from .mistakes import CATALOGUE

    name = _target(target).function.__name__
    return [entry for entry in CATALOGUE.values() if entry.target == name]


def _target(target: str | Callable[..., Any]) -> Target:
    """The target of this name, or with this function."""
    name = target if isinstance(target, str) else getattr(target, "__name__", "")
    found = targets().get(name) if isinstance(name, str) else None
    if found is None or (callable(target) and target is not found.function):
        raise ValueError(f"target must be one of {', '.join(targets())}, got {target!r}")
    return found


def _refused_forms(probes: list[Probe], given: list[Answer]) -> dict[str, str]:
    """Forms with which the function always raised, and without which it did not; each with what.

    A batch of one does not count: it broadcasts where several examples raise.
    """
    refused = {}
    of_several = [(p, a) for p, a in zip(probes, given, strict=True) if p.examples > 1]
    bare = [answer.error for probe, answer in of_several if not probe.forms]
    for form in sorted({form for probe in probes for form in probe.forms}):
        with_it, without = (
            [a.error for p, a in of_several if (form in p.forms) == there]
            for there in (True, False)
        )
        if with_it and all(with_it) and not all(without) and not any(bare):
            refused[form] = f"{form} (it raised {type(with_it[0]).__name__})"
    return refused


def _usable(
    function: Callable[..., Any], about: Target, *, simple: bool
) -> tuple[list[Probe], tuple[str, ...]]:
    """The probes whose settings the function takes, and the names of those it does not."""
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(about.function).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    taken = _keywords(function, defaults)
    unlike = [name for name in taken if _default_is_another(function, name, defaults[name])]
    skipped = tuple(name for name in defaults if name not in taken)
    has_bias = "b" in about.probes[0].arguments
    b_by_position = not has_bias or _takes_a_third(function, defaults)
    b_by_name = not b_by_position and _names_a_bias(function)
    needs_b = has_bias and _needs_a_bias(function)

    def can_be_tried(probe: Probe) -> bool:
        return (
            (probe.simple or not simple)
            and ("b" in probe.arguments or not needs_b)
            and all(probe.settings.get(name, defaults[name]) == defaults[name] for name in skipped)
        )

    def as_it_takes(probe: Probe) -> Probe:
        settings = {name: value for name, value in probe.settings.items() if name in taken}
        for name in unlike:  # a pool's stride, if none is given, is its window's size
            fallback = probe.arguments.get("kernel_size")
            settings.setdefault(name, fallback if defaults[name] is None else defaults[name])
        arguments = dict(probe.arguments)
        bias = arguments.pop("b", None)
        if bias is not None and b_by_position:
            arguments["b"] = bias
        elif bias is not None and b_by_name:
            settings["b"] = bias
        return Probe(arguments, settings)

    probes = [as_it_takes(probe) for probe in about.probes if can_be_tried(probe)]
    return probes, skipped if b_by_position or b_by_name else (*skipped, "b")


def _parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Its parameters by name; none where there is nothing to inspect, as in some built-ins."""
    try:
        return dict(inspect.signature(function).parameters)
    except ValueError:
        return {}


def _takes_a_third(function: Callable[..., Any], settings: Mapping[str, Any]) -> bool:
    """Whether it takes a third array by position, such as a bias, in a place of no setting."""
    parameters = _parameters(function)
    if not parameters:
        return not isinstance(function, np.ufunc)
    try:
        bound = inspect.signature(function).bind_partial(1, 2, 3)
    except TypeError:  # one too many
        return False
    third = [*bound.arguments][-1]
    needed = parameters[third].default is inspect.Parameter.empty
    return third not in settings and (needed or third.lower().startswith("b"))


def _names_a_bias(function: Callable[..., Any]) -> bool:
    """Whether a bias can be handed over as ``b=``."""
    parameter = _parameters(function).get("b")
    return parameter is not None and parameter.kind is not parameter.POSITIONAL_ONLY


def _needs_a_bias(function: Callable[..., Any]) -> bool:
    """Whether there is no default for the bias: what is called ``b``, or else comes third."""
    parameters = _parameters(function)
    bias = parameters.get("b") or next(iter([*parameters.values()][2:]), None)
    return not parameters or (bias is not None and bias.default is bias.empty)


def _keywords(function: Callable[..., Any], names: Mapping[str, Any]) -> set[str]:
    parameters = _parameters(function)
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return set(names)
    return {
        name
        for name in names
        if name in parameters and parameters[name].kind is not parameters[name].POSITIONAL_ONLY
    }


def _default_is_another(function: Callable[..., Any], name: str, default: Any) -> bool:
    """Whether a setting that the function names has another default there, or none."""
    parameter = _parameters(function).get(name)
    if parameter is None:
        return False
    sides = np.ravel(np.array(parameter.default, dtype=object))  # of a pair, for instance
    return not all(side == default for side in sides)


def _answer(function: Callable[..., Any], probe: Probe, *, several: bool = True) -> Answer:
    """What the function returns; a list is several arrays where several are expected."""
    arguments = {name: _copy(value) for name, value in probe.arguments.items()}
    try:
        returned = _called(function, arguments.values(), probe.settings)
        is_several = isinstance(returned, tuple | list if several else tuple)
    except Exception as error:  # whatever it is, the reader wants to see it
        return Answer((), error)
    outputs = tuple(map(_as_array, returned if is_several else (returned,)))
    overwritten = tuple(
        name
        for name, value in probe.arguments.items()
        if not np.array_equal(value, arguments[name], equal_nan=isinstance(value, np.ndarray))
    )
    return Answer(outputs, None, overwritten)


def _called(
    function: Callable[..., Any], arguments: Iterable[Any], settings: Mapping[str, Any]
) -> Any:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return function(*arguments, **settings)


def _called_again(
    function: Callable[..., Any], about: Target, probe: Probe
) -> tuple[str, tuple[Mistake, ...]]:
    """What is wrong with two calls more: an exception, or results in one piece of memory."""
    results = []
    for _ in range(2):
        try:
            returned = _called(function, map(_copy, probe.arguments.values()), probe.settings)
        except Exception as error:  # as in _answer
            return f"called again, it raised {type(error).__name__}: {error} (for {probe})", ()
        several = returned if isinstance(returned, tuple | list) else (returned,)
        results.append([each for each in several if isinstance(each, np.ndarray)])
    if not any(np.shares_memory(one, other) for one, other in itertools.product(*results)):
        return "", ()
    name = "memory of a result used again"
    reason = "the next call wrote over this one's result; make a new array for each."
    found = Mistake(about.name, name, reason, about.equation)
    return f"two calls returned one piece of memory (for {probe})", (found,)


def _as_array(value: Any) -> Array:
    """A copy as an array, which holds the value itself where NumPy cannot read it as numbers."""
    try:
        return np.array(value)
    except Exception:  # whatever its library raises: it is no array
        array = np.empty((), object)
        array[()] = value
        return array


def _copy(value: Any) -> Any:
    return value.copy() if isinstance(value, np.ndarray) else value


def _first_difference(
    function: Callable[..., Any],
    about: Target,
    probes: list[Probe],
    expected: list[Answer],
    given: list[Answer],
) -> str:
    """Where the first wrong number is, in words; nothing if there is none."""
    for probe, right, answer in zip(probes, expected, given, strict=True):
        if answer.error is not None:
            raised = f"it raised {type(answer.error).__name__}: {answer.error}"
            return f"{raised}{_call_hint(function, about, probe)} (for {probe})"
        if difference := _difference(about, probe, right, answer):
            return f"{difference} (for {probe})"
    return ""


def _call_hint(function: Callable[..., Any], about: Target, probe: Probe) -> str:
    """How to call the function's arguments, if it cannot be called with those of the target."""
    try:
        inspect.signature(function).bind(*probe.arguments.values(), **probe.settings)
    except TypeError:
        signature = inspect.signature(about.function)
        names = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
        signature = signature.replace(parameters=names, return_annotation=signature.empty)
        return f"; it is called as {about.name}{signature}"
    except ValueError:  # there is nothing to inspect
        pass
    return ""


def _difference(about: Target, probe: Probe, right: Answer, answer: Answer) -> str:
    if len(answer.outputs) != len(right.outputs):
        names = ", ".join(about.outputs)
        nothing = [array.tolist() for array in answer.outputs] == [None]
        hint = "; is a return missing?" if nothing else ""
        count = len(answer.outputs)
        return f"it returned {count} results, expected {len(right.outputs)}: {names}{hint}"
    for name, expected, given in zip(about.outputs, right.outputs, answer.outputs, strict=True):
        if given.dtype == object and given.ndim == 0:
            what: Any = given[()]
            alone = what is None and len(right.outputs) == 1
            kind = "None: is a return missing?" if alone else f"a {type(what).__name__}"
            return f"{name} is {kind}, expected an array of shape {expected.shape}"
        if given.dtype.kind not in _NUMBERS:
            return f"{name} has dtype {given.dtype}, expected {expected.dtype}"
        if given.shape != expected.shape:
            hint = _shape_hint(about, name, given.shape, expected.shape)
            return f"{name} has shape {given.shape}, expected {expected.shape}{hint}"
        wrong = ~_close(given, expected, probe.rtol)
        if wrong.any():
            index = tuple(int(i) for i in np.argwhere(wrong)[0])
            place = f"{name}{list(index)}" if index else name
            numbers = _told_apart(float(given[index]), float(expected[index]))
            hint = _value_hint(given, expected, probe.rtol)
            return f"{place} is {numbers[0]}, expected {numbers[1]}{hint}"
    return ""


def _shape_hint(about: Target, output: str, given: Shape, expected: Shape) -> str:
    """What may have made this shape of the other, if it is plain to see."""
    if reordered := _reordered_images(about, output, given, expected):
        return f": {' or '.join(reordered)}"
    return hints.of_shape(given, expected)


def _reordered_images(about: Target, output: str, given: Shape, expected: Shape) -> list[str]:
    """Which axes of images may have been mistaken for each other."""
    if len(given) != 4 or len(expected) != 4 or output == "dw":
        return []
    if about.channels_first:
        orders = {"rows and columns exchanged": (0, 1, 3, 2), "channels come first here": LAST[0]}
    else:
        orders = {"rows and columns exchanged": (0, 2, 1, 3), "channels come last here": FIRST[0]}
    return [
        what for what, order in orders.items() if given == tuple(expected[axis] for axis in order)
    ]


def _value_hint(given: Array, expected: Array, rtol: float) -> str:
    """What may have made these numbers of the others, if it is plain to see."""
    if not given.any():
        return "; all of it is zero"
    if np.array_equal(given, np.trunc(expected)):
        return "; it holds whole numbers only, as an array of integers does"
    if hint := hints.of_factor(given.ravel(), expected.ravel(), rtol * largest(expected)):
        return f"; every entry {hint}"
    hint = hints.of_places(given, expected, lambda a, b: bool(_close(a, b, rtol).all()))
    return f"; {hint}" if hint else ""


def _order_hint(function: Callable[..., Any], probe: Probe, right: Answer) -> str:
    """The order of arguments in which the function is right, if it is another."""
    several = len(right.outputs) > 1
    for order in itertools.permutations(probe.arguments):
        exchanged = Probe({name: probe.arguments[name] for name in order}, probe.settings)
        if order != tuple(probe.arguments) and _same(
            _answer(function, exchanged, several=several), right, probe.rtol
        ):
            return (
                f"it is right for {', '.join(order)}, and is given {', '.join(probe.arguments)}; "
            )
    return ""


def _layout_hint(function: Callable[..., Any], about: Target, probe: Probe, answer: Answer) -> str:
    """Whether the function fits the other layout, by the shapes that it returns, and not this."""
    if not about.has_other_layout:
        return ""
    if about.channels_first:
        other, moved = targets()[about.name], probe.with_channels_last()
        says = "last: leave channels_first out"
    else:
        other, moved = about.with_channels_first(), probe.with_channels_first()
        says = "first: say channels_first=True"
    fits = _shapes(_answer(function, moved)) == _shapes(_answer(other.function, moved))
    if not fits or _shapes(answer) == _shapes(_answer(about.function, probe)):
        return ""
    return f"it seems to take channels {says}; "


def _shapes(answer: Answer) -> list[Shape]:
    return [output.shape for output in answer.outputs]


def _told_apart(given: float, expected: float) -> tuple[str, str]:
    """Two numbers with as many digits as it takes to see that they differ."""
    for digits in (6, 9, 17):
        shown = f"{given + 0.0:.{digits}g}", f"{expected + 0.0:.{digits}g}"  # -0 is 0
        if shown[0] != shown[1]:
            break
    return shown


def _side_effect(
    about: Target,
    probes: list[Probe],
    expected: list[Answer],
    given: list[Answer],
    *,
    check_dtype: bool,
) -> tuple[str, tuple[Mistake, ...]]:
    """What else is wrong where all numbers are right: nothing, or the first such mistake."""
    name = about.name
    for probe, right, answer in zip(probes, expected, given, strict=True):
        for argument in answer.overwritten:
            reason = "an argument was written into; the caller still needs it, so work on a copy."
            found = Mistake(name, "argument overwritten", reason, about.equation)
            return f"{argument} was changed (for {probe})", (found,)
        for output, wanted, got in zip(about.outputs, right.outputs, answer.outputs, strict=True):
            if check_dtype and got.ndim and got.dtype != wanted.dtype:
                reason = "float32 in gives float32 out, and float64 stays float64."
                found = Mistake(name, "dtype lost", reason, about.equation)
                return f"{output} is {got.dtype}, expected {wanted.dtype} (for {probe})", (found,)
    return "", ()


def _close(given: Array, expected: Array, rtol: float) -> NDArray[np.bool_]:
    """Where two arrays agree, up to rounding of numbers as large as these."""
    if given.dtype == np.float32:  # if it should be float64, that is another mistake
        rtol = SINGLE
    scale = float(np.abs(expected[np.isfinite(expected)]).max(initial=0.0))
    return np.isclose(given, expected, rtol=rtol, atol=rtol * scale, equal_nan=True)


def _explained(
    about: Target,
    probes: list[Probe],
    expected: list[Answer],
    given: list[Answer],
    not_taken: tuple[str, ...],
) -> Explanation:
    """What explains the wrong results.

    Where the function raised, it gave no numbers to compare: it may not take pairs, say.
    """
    ran = [n for n, answer in enumerate(given) if answer.error is None]
    probes = [probes[n] for n in ran]
    expected, given = ([each[n] for n in ran] for each in (expected, given))
    known = [
        (entry, about.in_layout(way)) for entry in known_mistakes(about.name) for way in entry.ways
    ]

    once = cache(lambda way, n: _answer(way, probes[n]))

    def answers(way: Callable[..., Any]) -> Iterator[Answer]:
        return (once(way, n) for n in range(len(probes)))  # as far as they are compared

    def result(way: Callable[..., Any], position: int) -> Iterator[Answer]:
        return _result(answers(way), position)

    whole = dict.fromkeys(
        entry
        for entry, way in known
        if _all_same(given, answers(way), probes) and not _all_same(answers(way), expected, probes)
    )
    # A mistake in a setting that the function does not take may look like another.
    if whole:
        of_what_it_takes = [e for e in whole if not set(e.name.split()) & set(not_taken)]
        return Explanation(tuple(of_what_it_takes or whole))
    right = _all_same(given, expected, probes)  # wherever it did not raise
    if not right and all(_same(*pair, SINGLE) for pair in zip(given, expected, strict=True)):
        return Explanation((_slight(about, given, expected),))
    if right or any(len(answer.outputs) != len(about.outputs) for answer in given):
        return Explanation(unexplained=about.outputs)

    mistakes: dict[Mistake, tuple[str, ...]] = {}
    unexplained = []
    for position, name in enumerate(about.outputs):
        mine, wanted = (list(_result(all_, position)) for all_ in (given, expected))
        if _all_same(mine, wanted, probes):
            continue
        ways = [(entry, partial(result, way, position)) for entry, way in known]
        found = _explained_result(mine, wanted, ways, probes)
        for entry in found:
            mistakes[entry] = (*mistakes.get(entry, ()), name)
        unexplained += [] if found else [name]
    return Explanation(tuple(mistakes), tuple(mistakes.values()), tuple(unexplained))


def _slight(about: Target, given: list[Answer], expected: list[Answer]) -> Mistake:
    """What a difference too small for another mistake may come from."""
    outputs = [output for answer in given for output in answer.outputs]
    singles = [output.astype(np.float32) for answer in expected for output in answer.outputs]
    if all(
        np.array_equal(o, o.astype(np.float32), equal_nan=True) and _close(o, single, 1e-6).all()
        for o, single in zip(outputs, singles, strict=True)
    ):
        name = "computed in float32"
        reason = "float32 holds all of the numbers without rounding: float64 was lost on the way."
    else:
        name = "a small difference"
        reason = (
            "four digits or more agree: something was rounded, clipped or computed in float32, or "
            "a small constant added."
        )
    return Mistake(about.name, name, reason, about.equation)


def _explained_result(
    mine: list[Answer],
    right: list[Answer],
    ways: Sequence[tuple[Mistake, Callable[[], Iterator[Answer]]]],
    probes: list[Probe],
) -> tuple[Mistake, ...]:
    """The mistakes in one result: one, or one together with a wrong factor."""
    wrong = [(entry, way) for entry, way in ways if not _all_same(way(), right, probes)]
    alone = dict.fromkeys(entry for entry, way in wrong if _all_same(mine, way(), probes))
    if alone:
        return tuple(alone)
    factors = {entry: FACTORS[entry.name] for entry, _ in wrong if entry.name in FACTORS}
    for entry, way in wrong:
        for other, factor in factors.items():
            if other is not entry and _all_same(mine, _times(way(), factor, probes), probes):
                return entry, other
    return ()


# Mistakes that only scale a result, and so hide no other: by their names in the catalogue.
FACTORS: dict[str, Callable[[Probe], float]] = {
    "sign lost": lambda _: -1.0,
    "1/N applied in the layer": lambda probe: 1 / probe.examples,
    "1/N applied twice": lambda probe: 1 / probe.examples,
    "1/N forgotten": lambda probe: probe.examples,
    "summed over the batch": lambda probe: probe.examples,
}


def _times(
    answers: Iterable[Answer], factor: Callable[[Probe], float], probes: list[Probe]
) -> Iterator[Answer]:
    return (
        answer._replace(outputs=tuple(factor(probe) * output for output in answer.outputs))
        for answer, probe in zip(answers, probes, strict=True)
    )


def _result(answers: Iterable[Answer], position: int) -> Iterator[Answer]:
    """One of several results, or none where the function raised or returned fewer."""
    return (each._replace(outputs=each.outputs[position : position + 1]) for each in answers)


def _all_same(given: Iterable[Answer], expected: Iterable[Answer], probes: list[Probe]) -> bool:
    return all(map(_same, given, expected, (probe.rtol for probe in probes)))


def _same(given: Answer, expected: Answer, rtol: float) -> bool:
    return (
        (given.error is None) == (expected.error is None)
        and len(given.outputs) == len(expected.outputs)
        and all(
            a.dtype.kind in _NUMBERS and a.shape == b.shape and bool(_close(a, b, rtol).all())
            for a, b in zip(given.outputs, expected.outputs, strict=True)
        )
    )

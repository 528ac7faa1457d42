"""The checker names each known mistake, and no mistake in what is right."""

import inspect
import pickle
import re

import numpy as np
import pytest

import companion
from companion.diagnose import FACTORS, diagnose
from companion.mistakes import CATALOGUE
from companion.probes import targets
from companion.reference import EQUATIONS

WAYS = [
    pytest.param(entry, way, id=f"{entry.target}-{entry.name}-{number}".replace(" ", "_"))
    for entry in CATALOGUE.values()
    for number, way in enumerate(entry.ways)
]


@pytest.mark.parametrize("name", targets())
def test_right_is_right(name):
    diagnosis = diagnose(targets()[name].function, name)
    assert diagnosis.ok
    assert diagnosis.mistakes == ()
    assert str(diagnosis) == f"{name}: right on all {diagnosis.probes} probes"


@pytest.mark.parametrize("name", [n for n in targets() if n not in ("im2col", "cross_entropy")])
def test_a_batch_of_one_keeps_its_axis(name):
    """The two left out return no batch: rows of all examples, and one number."""
    right = targets()[name].function

    def mine(first, *rest, **settings):
        answers = right(first, *rest, **settings)
        whole = answers if isinstance(answers, tuple) else (answers,)
        squeezed = [a[0] if first.ndim > 1 and len(a) == 1 else a for a in whole[:1]]
        return (*squeezed, *whole[1:]) if isinstance(answers, tuple) else squeezed[0]

    finding = diagnose(mine, name, simple=True).finding
    assert re.search(r"has shape \(.*\), expected \(1, ", finding)


@pytest.mark.parametrize(
    ("name", "mine", "says"),
    [
        (
            "conv2d",
            lambda x, w, b: np.moveaxis(companion.conv2d(x, w, b), 3, 1),
            "z has shape (2, 3, 3, 4), expected (2, 3, 4, 3): channels come last here",
        ),
        (
            "conv2d_backward",
            lambda dz, x, w: (
                (gradients := companion.conv2d_backward(dz, x, w))[0],
                gradients[1].swapaxes(2, 3),
                gradients[2],
            ),
            "dw has shape (3, 3, 3, 2), expected (3, 3, 2, 3): the same axes in another order",
        ),
        (
            "relu",
            lambda z: companion.relu(z)[None, None],
            "a has shape (1, 1, 2, 3, 4), expected (2, 3, 4) (for",
        ),
        (
            "dense_backward",
            lambda dz, x, w: (dz @ w.T, dz.T @ x, dz.sum(axis=0)),
            "dw has shape (4, 3), expected (3, 4): the same axes in another order",
        ),
        (
            "dense_backward",
            lambda dz, x, w: (dz @ w.T, x.T @ dz, dz.sum(axis=0, keepdims=True)),
            "db has shape (1, 4), expected (4,): an axis of length 1 too many",
        ),
        (
            "cross_entropy",
            lambda z, labels: np.atleast_1d(companion.cross_entropy(z, labels)),
            "the loss has shape (1,), expected (): an axis of length 1 too many",
        ),
        (
            "dense",
            lambda x, w, b: (x @ w + b).squeeze(),
            "z has shape (2,), expected (1, 2): an axis of length 1 too few",
        ),
        (
            "dense",
            lambda x, w, b: x @ w[:, 1:] + b[1:],
            "z has shape (2, 3), expected (2, 4) (for",
        ),
    ],
)
def test_a_shape_says_what_may_have_made_it(name, mine, says):
    assert diagnose(mine, name).finding.startswith(says)


@pytest.mark.parametrize(
    ("name", "mine", "says"),
    [
        (
            "dense_backward",
            lambda X, dZ, W: companion.dense_backward(dZ, X, W),
            "it is right for x, dz, w, and is given dz, x, w; it raised",
        ),
        ("dense", lambda w, x: x @ w, "it is right for w, x, and is given x, w; it raised"),
        ("dense", lambda b, x, y: x @ y @ b, "it raised"),
        (
            "relu",
            lambda z: np.zeros_like(z),
            "a[0, 0, 0] is 0, expected 2.04092; all of it is zero",
        ),
        (
            "relu",
            lambda z: np.trunc(np.maximum(z, 0)),
            "a[0, 0, 0] is 2, expected 2.04092; it holds whole numbers only, as an array of",
        ),
        (
            "im2col",
            lambda x, k: companion.im2col(x, k)[::-1],
            "cols[0, 0] is 0.235506, expected 0.345584; it is right but turned round along axis 0",
        ),
        (
            "im2col",
            lambda x, k: np.roll(companion.im2col(x, k), 1),
            "cols[0, 0] is -0.445828, expected 0.345584; the same numbers are there, in other",
        ),
        (
            "relu",
            lambda z: 3 * np.maximum(z, 0),
            "a[0, 0, 0] is 6.12276, expected 2.04092; every entry is 3 times what it should be",
        ),
    ],
)
def test_numbers_and_orders_say_what_may_have_made_them(name, mine, says):
    assert diagnose(mine, name).finding.startswith(says)


@pytest.mark.parametrize(
    ("name", "mine"),
    [
        ("dense", lambda x, w, activation=None: x @ w if activation is None else activation(x @ w)),
        ("dense", np.matmul),
        ("conv2d", lambda x, w, pad=0: companion.conv2d(x, w, padding=pad)),
        ("dense", lambda x, w, bias=0: x @ w + bias),
        (
            "conv2d",
            lambda x, w, b=None, stride=np.array([1, 1]): companion.conv2d(  # noqa: B008
                x, w, b, stride=stride.tolist() if isinstance(stride, np.ndarray) else stride
            ),
        ),
    ],
)
def test_what_comes_third_is_a_bias_only_if_it_looks_like_one(name, mine):
    assert diagnose(mine, name)


@pytest.mark.parametrize("name", [n for n in targets() if n != "cross_entropy"])
def test_a_result_in_memory_that_is_used_again_is_seen(name):
    kept, right = {}, targets()[name].function

    def hasty(*arguments, **settings):
        answers = right(*arguments, **settings)
        *others, last = answers if isinstance(answers, tuple) else (answers,)
        out = kept.setdefault((last.shape, last.dtype), last)
        out[...] = last
        return (*others, out) if others else out

    hasty.__signature__ = inspect.signature(right)
    diagnosis = diagnose(hasty, name)
    assert [entry.name for entry in diagnosis.mistakes] == ["memory of a result used again"]
    assert diagnosis.finding.startswith("two calls returned one piece of memory (for ")


def test_a_rounded_result_is_no_single_precision():
    (entry,) = diagnose(lambda x, k: companion.max_pool2d(x.round(), k), "max_pool2d").mistakes
    assert entry.name == "a small difference"


def test_forms_are_not_refused_where_the_plainest_call_fails():
    def mine(x, w, b=None, **settings):
        return companion.conv2d(x, w.swapaxes(2, 3), b, **settings)

    diagnosis = diagnose(mine, "conv2d")
    assert [entry.name for entry in diagnosis.mistakes] == ["input and output channels exchanged"]
    assert diagnosis.skipped == ()


def test_none_among_several_results_is_not_a_missing_return():
    def mine(dz, x, w):
        return None, x.T @ dz, dz.sum(axis=0)

    assert diagnose(mine, "dense_backward").finding.startswith("dx is a NoneType, expected an")
    finding = diagnose(lambda *_: None, "dense_backward").finding
    assert finding.startswith("it returned 1 results, expected 3: dx, dw, db; is a return missing?")


def test_a_setting_that_is_not_taken_is_not_named():
    def counted(x, kernel_size, stride=None, padding=0):
        return companion.avg_pool2d(
            x, kernel_size, stride=stride, padding=padding, count_include_pad=True
        )

    (entry,) = diagnose(counted, "avg_pool2d").mistakes
    assert entry.name == "divided by the wrong count"


@pytest.mark.parametrize(("entry", "way"), WAYS)
def test_each_way_is_recognised_as_its_mistake_and_no_other(entry, way):
    diagnosis = diagnose(way, entry.target)
    assert not diagnosis.ok
    seen = [mistake.name for mistake in diagnosis.mistakes]
    assert seen == [entry.name], f"seen as {seen}: a probe in companion/probes.py may tell apart"
    assert diagnosis.finding


def test_at_least_fifteen_mistakes_and_one_for_each_function():
    assert len(CATALOGUE) >= 15
    assert {entry.target for entry in CATALOGUE.values()} == targets().keys()


@pytest.mark.parametrize("entry", CATALOGUE.values(), ids=lambda e: f"{e.target}-{e.name}")
def test_an_entry_has_one_sentence_and_an_equation(entry):
    assert entry.reason.endswith(".")
    assert entry.equation in EQUATIONS
    assert f"chapter {entry.chapter}, equation {entry.equation}" in str(entry)


def independent_backward(dz, x, w, *, stride=1, padding=0, dilation=1):
    """A right answer that shares no code with the companion's: window by window, by einsum."""
    window = companion.shapes.Window.over(
        x.shape[1:3], w.shape[:2], stride=stride, padding=padding, dilation=dilation
    )
    rows, columns = window.rows, window.columns
    padded = np.pad(
        x, ((0, 0), (rows.low, rows.high), (columns.low, columns.high), (0, 0)), mode="constant"
    )
    dx, dw = np.zeros_like(padded), np.zeros_like(w)
    for i in range(dz.shape[1]):
        for j in range(dz.shape[2]):
            h = rows.stride * i + rows.dilation * np.arange(w.shape[0])
            q = columns.stride * j + columns.dilation * np.arange(w.shape[1])
            at = np.ix_(range(len(x)), h, q, range(x.shape[3]))
            dx[at] += np.einsum("nk,uvck->nuvc", dz[:, i, j], w)
            dw += np.einsum("nk,nuvc->uvck", dz[:, i, j], padded[at])
    dx = dx[:, rows.low : rows.low + rows.size, columns.low : columns.low + columns.size]
    return dx, dw, np.einsum("nijk->k", dz)


def test_another_right_implementation_is_right():
    assert diagnose(independent_backward, companion.conv2d_backward).ok


def test_settings_that_are_not_taken_are_not_probed():
    def only_padding(dz, x, w, padding=0):
        return companion.conv2d_backward(dz, x, w, padding=padding)

    diagnosis = diagnose(only_padding, "conv2d_backward")
    assert diagnosis.ok
    assert diagnosis.skipped == ("stride", "dilation")
    assert 3 <= diagnosis.probes < diagnose(companion.conv2d_backward, "conv2d_backward").probes
    assert "not probed, since it takes no such argument: stride, dilation" in str(diagnosis)


def test_a_learners_unrotated_kernel_without_settings():
    def mine(dz, x, w):
        kh, kw = w.shape[:2]
        framed = np.pad(dz, ((0, 0), (kh - 1, kh - 1), (kw - 1, kw - 1), (0, 0)))
        dx = companion.conv2d(framed, w.swapaxes(2, 3))
        return (dx, *companion.conv2d_backward(dz, x, w)[1:])

    diagnosis = diagnose(mine, companion.conv2d_backward)
    assert [entry.name for entry in diagnosis.mistakes] == ["kernel not rotated in dx"]
    assert "conv-dx-correlation" in str(diagnosis)


def test_a_learners_strided_scatter_that_assigns():
    def mine(dz, x, w, stride=1):
        dx, dw, db = np.zeros_like(x), np.zeros_like(w), dz.sum(axis=(0, 1, 2))
        sh, sw = stride if isinstance(stride, tuple) else (stride, stride)
        for n, i, j in np.ndindex(dz.shape[:3]):
            rows = slice(sh * i, sh * i + w.shape[0])
            columns = slice(sw * j, sw * j + w.shape[1])
            dx[n, rows, columns] = w @ dz[n, i, j]
            dw += x[n, rows, columns, :, None] * dz[n, i, j]
        return dx, dw, db

    (entry,) = diagnose(mine, "conv2d_backward").mistakes
    assert entry.name == "overlaps assigned instead of added"


def stuffed_correlation(x, w, *, stride=1, padding=0, output_padding=0, rotated=True):
    """A transposed convolution by zero-stuffing, as learners write it: whole numbers only."""
    N, H, W, K = x.shape
    stuffed = np.zeros((N, stride * (H - 1) + 1, stride * (W - 1) + 1, K), x.dtype)
    stuffed[:, ::stride, ::stride] = x
    low = [k - 1 - padding for k in w.shape[:2]]
    framed = np.pad(stuffed, ((0, 0), *((p, p + output_padding) for p in low), (0, 0)))
    return companion.conv2d(framed, (w[::-1, ::-1] if rotated else w).swapaxes(2, 3))


def test_a_learners_transposed_convolution():
    assert diagnose(stuffed_correlation, companion.conv_transpose2d, simple=True).ok

    def without_remainder(x, w, *, stride=1, padding=0, output_padding=0):
        return stuffed_correlation(x, w, stride=stride, padding=padding)

    def unrotated(x, w, *, stride=1, padding=0):
        return stuffed_correlation(x, w, stride=stride, padding=padding, rotated=False)

    for mine, name in (
        (without_remainder, "remainder lost"),
        (unrotated, "kernel rotated when stamping"),
    ):
        (entry,) = diagnose(mine, "conv_transpose2d", simple=True).mistakes
        assert entry.name == name


def test_an_overwritten_argument():
    def mine(da, z):
        da[z <= 0] = 0
        return da

    diagnosis = diagnose(mine, "relu_backward")
    assert [entry.name for entry in diagnosis.mistakes] == ["argument overwritten"]
    assert diagnosis.finding.startswith("da was changed")


def test_a_lost_dtype():
    def mine(x, w, b=0):
        return (x.astype(float) @ w.astype(float)) + b

    diagnosis = diagnose(mine, "dense")
    assert [entry.name for entry in diagnosis.mistakes] == ["dtype lost"]
    assert diagnosis.finding.startswith("z is float64, expected float32")


def test_single_precision_is_named_and_so_is_a_mistake_in_it():
    def mine(da, z, mask=None):
        dz = np.zeros(z.shape, np.float32)
        mask = z > 0 if mask is None else mask
        dz[mask] = da[mask]
        return dz

    diagnosis = diagnose(mine, "relu_backward")
    assert [entry.name for entry in diagnosis.mistakes] == ["dtype lost"]
    assert diagnosis.finding.startswith("dz is float32, expected float64")
    diagnosis = diagnose(lambda da, z: mine(da, z, da > 0), "relu_backward")
    assert [entry.name for entry in diagnosis.mistakes] == ["mask taken from the gradient"]


@pytest.mark.parametrize("wrong", [lambda z: abs(z), lambda z: z.clip(0, out=z)])
def test_a_diagnosis_can_be_sent_to_another_process(wrong):
    diagnosis = diagnose(wrong, "relu")
    assert diagnosis.mistakes
    assert pickle.loads(pickle.dumps(diagnosis)) == diagnosis  # noqa: S301


def test_known_mistakes_are_those_of_a_function():
    known = companion.known_mistakes(companion.relu_backward)
    assert known == companion.known_mistakes("relu_backward")
    assert {mistake.target for mistake in known} == {"relu_backward"}
    assert sum(len(companion.known_mistakes(name)) for name in targets()) == len(CATALOGUE)

    def relu_backward(da, z):
        return da * z

    for nothing in ("relu_forward", companion.fit, 3, np.zeros(2), relu_backward):
        with pytest.raises(ValueError, match=r"target must be one of conv2d, .*, got "):
            companion.known_mistakes(nothing)


def test_numbers_that_differ_are_shown_so():
    diagnosis = diagnose(lambda z: companion.relu(z) * (1 + 1e-7), "relu")
    found = re.match(r"a\[.*\] is (\S+), expected (\S+); every", diagnosis.finding)
    assert found
    assert found[1] != found[2]
    assert float(found[1]) == pytest.approx(float(found[2]), rel=1e-6)


def test_a_function_that_is_right_up_to_a_bound_is_wrong():
    assert not diagnose(lambda z: np.clip(z, 0, 6), "relu").ok
    assert not diagnose(lambda da, z: da * ((z > 0) & (z < 6)), "relu_backward").ok


def test_an_unknown_mistake_is_shown_where_it_is():
    def mine(da, z):
        dz = companion.relu_backward(da, z)
        dz[..., -1] += 1
        return dz

    diagnosis = diagnose(mine, "relu_backward")
    assert diagnosis.mistakes == ()
    assert "wrong, and not a mistake that is known here" in str(diagnosis)
    found = re.match(r"dz\[0, 0, 3\] is (\S+), expected (\S+) ", diagnosis.finding)
    assert found
    assert float(found[1]) == pytest.approx(float(found[2]) + 1, abs=1e-4)


@pytest.mark.parametrize(
    ("function", "finding"),
    [
        (lambda *arrays: arrays[:2], "it returned 2 results, expected 3: dx, dw, db"),
        (lambda dz, x, w: (x[:, 1:], w, dz[:0]), "dx has shape (2, 2), expected (2, 3)"),
        (lambda *arrays: len(arrays) / 0, "it raised ZeroDivisionError: division by zero"),
        (lambda dz, x, w: (x.astype(str), w, dz[:0]), "dx has dtype <U32, expected float64"),
        (lambda dz, x: (dz, x), "it raised TypeError: "),
    ],
)
def test_what_is_not_even_an_answer(function, finding):
    diagnosis = diagnose(function, "dense_backward")
    assert not diagnosis.ok
    assert diagnosis.finding.startswith(finding)
    assert diagnosis.mistakes == ()


@pytest.mark.parametrize(
    ("function", "finding"),
    [
        (lambda z: None, "z is None: is a return missing?"),  # noqa: ARG005
        (lambda z: {"z": z}, "z is a dict, expected an array of shape"),
        (lambda z: (z, [z, 1]), "it returned 2 results, expected 1: a"),
    ],
)
def test_what_is_no_array(function, finding):
    finding = finding.replace("z is", "a is")
    assert diagnose(function, "relu").finding.startswith(finding)


def test_true_where_right():
    assert diagnose(companion.relu, "relu")
    assert not diagnose(np.abs, "relu")


def test_dtypes_need_not_be_checked():
    def in_double(da, z):
        return np.where(z > 0, da, 0).astype(np.float64)

    (found,) = diagnose(in_double, "relu_backward").mistakes
    assert found.name == "dtype lost"
    assert diagnose(in_double, "relu_backward", check_dtype=False)
    assert not diagnose(lambda da, z: -in_double(da, z), "relu_backward", check_dtype=False)
    with pytest.raises(TypeError, match="check_dtype must be True or False"):
        diagnose(in_double, "relu_backward", check_dtype=1)


def test_a_setting_without_a_default_is_given():
    def mine(x, w, b, stride):
        return companion.conv2d(x, w, b, stride=stride)

    diagnosis = diagnose(mine, "conv2d")
    assert diagnosis.ok
    assert {"padding", "dilation"} <= set(diagnosis.skipped)


def test_a_stride_without_a_default_is_the_size_of_the_window():
    def mine(x, kernel_size, stride):
        return companion.max_pool2d(x, kernel_size, stride=int(stride))

    assert diagnose(mine, "max_pool2d", simple=True)


def test_a_loss_may_be_a_number_or_an_array():
    assert diagnose(
        lambda z, labels: np.asarray(companion.cross_entropy(z, labels)), "cross_entropy"
    ).ok


def test_no_warning_leaks():
    with np.errstate(all="raise"):
        diagnosis = diagnose(lambda z: np.exp(z) / np.exp(z).sum(-1, keepdims=True), "softmax")
    assert [entry.name for entry in diagnosis.mistakes] == ["largest logit not subtracted"]


@pytest.mark.parametrize(
    ("shift", "of_softmax", "of_log_softmax"),
    [
        (lambda z: z.max(-1, keepdims=True), [], []),  # right
        (lambda z: z.mean(-1, keepdims=True), *2 * [["mean subtracted instead of the largest"]]),
        (lambda z: 0 * z, *2 * [["largest logit not subtracted"]]),
        (lambda z: z.max(), ["largest of the whole batch subtracted"], []),
    ],
)
def test_what_a_learner_subtracts_from_the_logits(shift, of_softmax, of_log_softmax):
    def my_softmax(z):
        return np.exp(z - shift(z)) / np.exp(z - shift(z)).sum(-1, keepdims=True)

    def my_log_softmax(z):
        return z - shift(z) - np.log(np.exp(z - shift(z)).sum(-1, keepdims=True))

    for mine, target, names in (
        (my_softmax, "softmax", of_softmax),
        (my_log_softmax, "log_softmax", of_log_softmax),
    ):
        assert [entry.name for entry in diagnose(mine, target).mistakes] == names


@pytest.mark.parametrize(
    ("target", "mine", "named"),
    [
        ("relu_backward", lambda da, z: da * (z > 0), "product with the mask"),
        ("relu_backward", lambda da, z: np.where(z > 1e-8, da, 0), "nearly zero taken for zero"),
        (
            "dense_backward",
            lambda dz, x, w: (x.T @ dz, dz @ w.T, dz.sum(0)),
            "results in another order",
        ),
        (
            "dense_backward",
            lambda dz, x, w: (dz @ w.T, x.T @ dz, dz.mean(0)),
            "1/N applied in the layer",
        ),
    ],
)
def test_what_learners_write_is_named(target, mine, named):
    assert [entry.name for entry in diagnose(mine, target).mistakes] == [named]


def pooled_back(order, pad):
    """A learner's max pooling of windows of 2 by 2, going back."""

    def mine(dy, x, kernel_size, *, padding=0):
        if kernel_size != 2:
            return companion.max_pool2d_backward(dy, x, kernel_size, padding=padding)
        edge = (padding, padding)
        padded = np.pad(x, ((0, 0), edge, edge, (0, 0)), constant_values=pad(x))
        dx = np.zeros_like(padded)
        for n, i, j, c in np.ndindex(dy.shape):
            window = padded[n, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2, c]
            u, v = np.unravel_index(window.ravel(order).argmax(), (2, 2), order)
            dx[n, 2 * i + u, 2 * j + v, c] += dy[n, i, j, c]
        return dx[:, padding : padding + x.shape[1], padding : padding + x.shape[2]]

    return mine


@pytest.mark.parametrize(
    ("order", "pad", "named"),
    [
        ("C", lambda _: -np.inf, []),
        ("F", lambda _: -np.inf, ["first of the ties by columns rewarded"]),
        ("C", lambda x: x.min(), ["padding ties with the smallest value"]),
        ("C", lambda _: 0.0, ["zero padding wins the maximum"]),
    ],
)
def test_a_learners_ties_and_padding(order, pad, named):
    diagnosis = diagnose(pooled_back(order, pad), "max_pool2d_backward")
    assert diagnosis.ok is not bool(named)
    assert [entry.name for entry in diagnosis.mistakes] == named


def test_a_learners_sum_over_k_with_one_kernel():
    def mine(dz, x, w):
        _, dw, db = companion.conv2d_backward(dz, x, w)
        return companion.conv2d_backward(dz.sum(-1, keepdims=True), x, w[..., :1])[0], dw, db

    (entry,) = diagnose(mine, "conv2d_backward").mistakes
    assert entry.name == "one kernel used for all k in dx"


def test_a_builtin_function_without_a_signature():
    assert diagnose(np.maximum, "relu").finding.startswith("it raised TypeError")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((3, "relu"), TypeError, "function must be callable, got 3"),
        ((abs, "sigmoid"), ValueError, "target must be one of conv2d, .*, got 'sigmoid'"),
        ((abs, np.sin), ValueError, "target must be one of conv2d, .*, got <ufunc 'sin'>"),
    ],
)
def test_bad_calls_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        diagnose(*arguments)


def test_simple_is_yes_or_no():
    with pytest.raises(TypeError, match="simple must be True or False, got 1"):
        diagnose(abs, "relu", simple=1)


def test_a_function_that_takes_no_pairs_is_diagnosed_on_the_rest():
    def mine(dz, x, w, stride=1, padding=0):
        if not (isinstance(stride, int) and isinstance(padding, int)):
            raise TypeError("whole numbers only")
        settings = {"stride": stride, "padding": padding}
        _, dw, db = companion.conv2d_backward(dz, x, w, **settings)
        return companion.conv2d_backward(dz, x, w[::-1, ::-1], **settings)[0], dw, db

    (entry,) = diagnose(mine, "conv2d_backward").mistakes
    assert entry.name == "kernel not rotated in dx"


def test_a_right_function_that_refuses_a_probe_is_not_called_imprecise():
    def mine(x, w, b=None, *, stride=1, padding=0, dilation=1):
        if np.max(dilation) > 1:
            raise RuntimeError("no dilation")
        return companion.conv2d(x, w, b, stride=stride, padding=padding)

    diagnosis = diagnose(mine, "conv2d")
    assert not diagnosis.ok
    assert not diagnosis.mistakes
    assert "RuntimeError: no dilation" in diagnosis.finding


def test_a_bias_is_not_given_for_a_setting():
    def mine(x, w, stride=1, padding=0):
        return companion.conv2d(x, w, stride=stride, padding=padding)

    diagnosis = diagnose(mine, "conv2d")
    assert diagnosis.ok
    assert diagnosis.skipped == ("dilation", "b")


@pytest.mark.parametrize("factor", [1, 7])
@pytest.mark.parametrize("last", [True, False])
def test_a_bias_after_the_settings_is_handed_over_by_name(factor, last):
    def after(x, w, stride=1, padding=0, b=None):
        b = None if b is None else factor * b
        return companion.conv2d(x, w, b, stride=stride, padding=padding)

    def alone(x, w, *, b=None, stride=1, padding=0):
        return after(x, w, stride, padding, b)

    diagnosis = diagnose(after if last else alone, "conv2d")
    assert diagnosis.ok == (factor == 1)
    assert diagnosis.skipped == ("dilation",)
    assert "b=float64 (" in diagnosis.finding or diagnosis.ok


PAIRS = {
    "conv2d": ("stride", "padding", "dilation"),
    "conv2d_backward": ("stride", "padding", "dilation"),
    "conv_transpose2d": ("stride", "padding", "dilation"),
    "conv_transpose2d_backward": ("stride", "padding", "dilation"),
    "im2col": ("stride", "padding", "dilation"),
    "col2im": ("stride", "padding", "dilation"),
    "max_pool2d": ("stride", "padding"),
    "max_pool2d_backward": ("stride", "padding"),
    "avg_pool2d": ("stride", "padding"),
    "avg_pool2d_backward": ("stride", "padding"),
}


@pytest.mark.parametrize(("name", "setting"), [(n, s) for n, all_ in PAIRS.items() for s in all_])
def test_a_pair_the_wrong_way_round_is_seen_where_no_other_setting_is_taken(name, setting):
    right = targets()[name].function

    def mine(*arguments, **settings):
        exchanged = {k: v[::-1] if isinstance(v, tuple) else v for k, v in settings.items()}
        return right(*arguments, **exchanged)

    mine.__signature__ = inspect.Signature(
        [
            parameter
            for parameter in inspect.signature(right).parameters.values()
            if parameter.kind is parameter.POSITIONAL_OR_KEYWORD or parameter.name == setting
        ]
    )
    diagnosis = diagnose(mine, name)  # a gradient that no longer fits is an error
    assert not diagnosis or f"{setting} as a pair (it raised ValueError)" in diagnosis.skipped
    assert not diagnosis or not name.endswith("2d")


@pytest.mark.parametrize(
    "mine",
    [
        lambda z: np.clip(companion.softmax(z), 1e-7, 1),
        lambda z: (
            np.exp(z - z.max(1, keepdims=True))
            / (np.exp(z - z.max(1, keepdims=True)).sum(1, keepdims=True) + 1e-6)
        ),
    ],
)
def test_a_small_difference_is_not_called_single_precision(mine):
    (entry,) = diagnose(mine, "softmax").mistakes
    assert entry.name == "a small difference"


@pytest.mark.parametrize(
    ("name", "mine"),
    [
        (
            "conv2d",
            lambda x, w, b, stride=2, padding="same": companion.conv2d(
                x, w, b, stride=stride, padding=padding
            ),
        ),
        (
            "max_pool2d",
            lambda x, kernel_size, stride=2, padding=1: companion.max_pool2d(
                x, kernel_size, stride=stride, padding=padding
            ),
        ),
    ],
)
def test_other_defaults_are_no_mistake(name, mine):
    assert diagnose(mine, name)


@pytest.mark.parametrize("name", ["conv2d", "conv_transpose2d", "dense"])
def test_a_bias_that_may_be_left_out_is_left_out_once(name):
    right = targets()[name].function
    finding = diagnose(
        lambda x, w, b=None, **settings: right(x, w, b + 0, **settings), name
    ).finding
    assert re.match(r"it raised TypeError: .*NoneType.* \(for x [^b]*, w [^b]*\)", finding)
    assert diagnose(lambda x, w, b, **settings: right(x, w, b, **settings), name)


def test_an_argument_that_is_written_into_is_told_beside_wrong_numbers():
    def mine(dz, x, w):
        dw = x.T @ dz
        w -= 0.1 * dw
        return dz @ w.T, dw, dz.sum(axis=0)

    assert diagnose(mine, "dense_backward").finding.endswith("; it also writes into w")


def test_simple_probes_have_no_pairs():
    def mine(x, kernel_size, stride=None, padding=0):
        assert isinstance(kernel_size, int)
        assert stride is None or isinstance(stride, int)
        assert isinstance(padding, int)
        return companion.max_pool2d(x, kernel_size, stride=stride, padding=padding)

    diagnosis = diagnose(mine, "max_pool2d", simple=True)
    assert diagnosis.ok
    assert diagnosis.probes >= 4
    whole = diagnose(mine, "max_pool2d")
    assert whole.ok
    assert whole.skipped == tuple(
        f"{form} (it raised AssertionError)"
        for form in (
            "kernel_size as a pair",
            "padding as a pair",
            "padding of four sides",
            "padding='same' and a stride",
            "padding='valid'",
            "stride as a pair",
        )
    )


def test_a_function_that_only_raises_has_no_known_mistake():
    def mine(dz, x, w):
        raise NotADirectoryError

    diagnosis = diagnose(mine, "conv2d_backward")
    assert diagnosis.mistakes == ()
    assert diagnosis.finding.startswith("it raised NotADirectoryError")


def test_a_function_without_a_bias_is_probed_without_one():
    diagnosis = diagnose(lambda x, w: companion.conv2d(x, w), "conv2d")
    assert diagnosis.ok
    assert diagnosis.skipped == ("stride", "padding", "dilation", "b")
    assert diagnose(lambda x, w: x @ w.T, "dense").mistakes[0].name == "weights transposed"


def test_a_target_of_the_same_name_is_not_the_companion_s():
    def relu(z):
        return z

    with pytest.raises(ValueError, match="target must be one of"):
        diagnose(companion.relu, relu)


def test_a_function_whose_signature_nobody_knows_gets_arrays_alone(monkeypatch):
    def mine(*arrays):
        return companion.conv2d(*arrays)

    def signature(function, known=inspect.signature):
        if function is mine:  # as some functions written in C have none
            raise ValueError("no signature found")
        return known(function)

    monkeypatch.setattr(inspect, "signature", signature)
    diagnosis = diagnose(mine, "conv2d")
    assert diagnosis.ok
    assert diagnosis.skipped == ("stride", "padding", "dilation")


def test_several_arrays_may_come_as_a_list():
    assert diagnose(lambda *arrays: list(companion.dense_backward(*arrays)), "dense_backward").ok


def test_a_loss_may_be_a_number_in_the_precision_of_its_logits():
    def mine(z, labels):
        return z.dtype.type(companion.cross_entropy(z, labels))

    assert diagnose(mine, "cross_entropy").ok


def test_a_setting_that_cannot_be_named_is_not_probed():
    def mine(x, w, b, stride=1, /, *, padding=0):
        return companion.conv2d(x, w, b, stride=stride, padding=padding)

    diagnosis = diagnose(mine, "conv2d")
    assert diagnosis.ok
    assert diagnosis.skipped == ("stride", "dilation")


def test_a_negative_zero_is_shown_as_zero():
    assert " is 0, expected " in diagnose(lambda z: -0.0 * abs(z.clip(-9, 9)), "relu").finding


@pytest.mark.parametrize(
    ("made", "named"),
    [
        (
            lambda N, dx, dw, db: (-dx, dw / N, db / N),
            {"sign lost": ("dx",), "1/N applied in the layer": ("dw", "db")},
        ),
        (
            lambda N, dx, dw, db: (dx, dw[::-1, ::-1] / N, db),
            {"kernel rotated in dw": ("dw",), "1/N applied in the layer": ("dw",)},
        ),
        (
            lambda N, dx, dw, db: (dx / N, dw / N, db / N),
            {"1/N applied in the layer": ("dx", "dw", "db")},
        ),
    ],
)
def test_mistakes_made_together_are_named_with_the_results_that_have_them(made, named):
    def mine(dz, x, w, **settings):
        return made(len(x), *companion.conv2d_backward(dz, x, w, **settings))

    diagnosis = diagnose(mine, "conv2d_backward")
    assert {m.name: o for m, o in zip(diagnosis.mistakes, diagnosis.outputs, strict=True)} == named
    assert diagnosis.unexplained == ()
    for name, outputs in named.items():
        assert f"conv2d_backward, {', '.join(outputs)}: {name}: " in str(diagnosis)


def test_factors_go_by_names_of_the_catalogue():
    assert FACTORS.keys() <= {name for _, name in CATALOGUE}


@pytest.mark.parametrize(("entry", "way"), [way for way in WAYS if way.values[0].name in FACTORS])
def test_a_mistake_that_is_called_a_factor_is_one(entry, way):
    """In each result, or it would be found together with mistakes that it is not made with."""
    target = targets()[entry.target]
    for probe in target.probes:
        factor = FACTORS[entry.name](probe)
        arguments, settings = probe.arguments.values(), probe.settings
        right, wrong = target.function(*arguments, **settings), way(*arguments, **settings)
        results = (
            [(right, wrong)] if not isinstance(right, tuple) else zip(right, wrong, strict=True)
        )
        for one, other in results:
            is_scaled = np.allclose(other, factor * one, rtol=1e-4, equal_nan=True)
            assert is_scaled or np.array_equal(other, one)


def test_a_function_that_raises_when_it_is_called_again_is_told():
    calls = []

    def mine(z):
        calls.append(z)
        if len(calls) > len(targets()["relu"].probes):
            raise RuntimeError("used up")
        return companion.relu(z)

    found = diagnose(mine, "relu")
    assert not found.ok
    assert found.mistakes == ()
    assert found.finding.startswith("called again, it raised RuntimeError: used up (for z")


def test_two_mistakes_in_one_result():
    def mine(z, labels):
        return companion.softmax(z).dtype.type(-1) * companion.cross_entropy_backward(
            companion.softmax(z), labels
        )

    diagnosis = diagnose(mine, "cross_entropy_backward")
    assert {m.name for m in diagnosis.mistakes} == {"softmax applied twice", "sign lost"}
    assert diagnosis.outputs == (("dz",), ("dz",))


def test_what_is_known_is_said_and_what_is_not_too():
    def mine(dz, x, w):
        dx, dw, db = companion.dense_backward(dz, x, w)
        return np.cos(dx), dw.T, db

    diagnosis = diagnose(mine, "dense_backward")
    assert [m.name for m in diagnosis.mistakes] == ["dw transposed"]
    assert diagnosis.unexplained == ("dx",)
    assert "dense_backward, dx: wrong, and not a mistake that is known here" in str(diagnosis)
    nothing = diagnose(lambda *_: (1.0, 2.0, 3.0), "dense_backward")
    assert "dense_backward: wrong, and not a mistake that is known here" in str(nothing)
    assert nothing.unexplained == ("dx", "dw", "db")


@pytest.mark.parametrize(
    ("target", "mine", "form"),
    [
        (
            "cross_entropy_backward",
            lambda z, y: (companion.softmax(z) - np.eye(z.shape[1], dtype=z.dtype)[y]) / len(z),
            "labels (N, K) (it raised IndexError)",
        ),
        (
            "cross_entropy_backward",
            lambda z, y: (companion.softmax(z) - y) / z.dtype.type(len(z)),
            "labels (N,) (it raised ValueError)",
        ),
        (
            "cross_entropy",
            lambda z, y: -(y * companion.log_softmax(z)).sum(axis=1).mean(),
            "labels (N,) (it raised ValueError)",
        ),
    ],
)
def test_labels_of_one_form_will_do(target, mine, form):
    diagnosis = diagnose(mine, target)
    assert diagnosis.ok
    assert diagnosis.skipped == (form,)
    assert diagnosis.probes == 6
    assert str(diagnosis).endswith(f"takes no such argument: {form}")


def test_distributions_that_are_rounded_to_a_class_are_seen():
    def mine(z, y):
        a = companion.softmax(z)
        a[np.arange(len(z)), y.argmax(axis=1) if y.ndim == 2 else y] -= 1
        return a / len(z)

    (entry,) = diagnose(mine, "cross_entropy_backward").mistakes
    assert entry.name == "distributions taken for classes"


def test_a_fault_that_is_not_of_one_form_is_a_fault():
    def mine(x, kernel_size, stride=None, padding=0):
        if stride == 3:
            raise KeyError("three")
        return companion.max_pool2d(x, kernel_size, stride=stride, padding=padding)

    diagnosis = diagnose(mine, "max_pool2d")
    assert not diagnosis.ok
    assert diagnosis.finding.startswith("it raised KeyError: 'three'")
    assert diagnosis.skipped == ()


def test_numbers_in_float32_that_were_made_float64_again():
    def mine(dz, x, w):
        arrays = companion.dense_backward(*(a.astype(np.float32) for a in (dz, x, w)))
        return tuple(a.astype(dz.dtype) for a in arrays)

    (entry,) = diagnose(mine, "dense_backward").mistakes
    assert entry.name == "computed in float32"


def test_one_result_may_be_a_list():
    (entry,) = diagnose(lambda z: np.maximum(z, 0).tolist(), "relu").mistakes
    assert entry.name == "dtype lost"


@pytest.mark.parametrize(
    ("target", "mine", "named"),
    [
        (
            "conv2d",
            lambda x, w, b, *, stride=1, padding=0, dilation=1: companion.conv2d(
                x,
                w,
                b,
                stride=stride,
                padding=1 if padding == "valid" else padding,
                dilation=dilation,
            ),
            [],
        ),
        (
            "max_pool2d",
            lambda x, kernel_size, *, stride=None, padding=0: companion.max_pool2d(
                x, kernel_size, stride=stride, padding=0 if padding == "same" else padding
            ),
            [],
        ),
        (
            "max_pool2d",
            lambda x, kernel_size, *, stride=None, padding=0: companion.max_pool2d(
                x, kernel_size, stride=stride and np.minimum(stride, kernel_size), padding=padding
            ),
            [],
        ),
    ],
)
def test_rare_settings_are_probed_too(target, mine, named):
    diagnosis = diagnose(mine, target)
    assert not diagnosis.ok
    assert [entry.name for entry in diagnosis.mistakes] == named


def test_a_call_that_does_not_fit_says_how_it_is_called():
    for mine, called in (
        (
            lambda x, w, b, stride, pad: x @ w + b + stride + pad,
            "'pad'; it is called as conv2d(x, w, b=None, *, stride=1, padding=0, dilation=1) (for",
        ),
        (lambda x: x, "it is called as conv2d(x, w, b=None, *, stride=1, padding=0, dilation=1)"),
    ):
        assert called in diagnose(mine, companion.conv2d).finding

    def raises_within(x, w):
        raise TypeError("of its own")

    assert "it is called as" not in diagnose(raises_within, companion.conv2d).finding

"""What the checks say besides right and wrong: where a mistake may lie, or was hardly tested."""

import numpy as np
import pytest

import companion
from companion import GradientError, check_adjoint, check_gradient, check_layer, numerical_gradient
from companion.slopes import roughness

XWB = [np.random.default_rng(3).normal(size=shape) for shape in ((4, 3), (3, 5), (5,))]


def affine(x, w, b):
    return x @ w + b


def affine_backward(dz, x, w, b, scale=1.0, shift=0.0):
    return dz @ w.T, scale * x.T @ dz + shift, dz.sum(axis=0)


@pytest.mark.parametrize(
    ("scale", "shift", "hint"),
    [
        (0.25, 0.0, "every entry is 0.25 times what it should be"),
        (-1.0, 0.0, "every entry has the wrong sign"),
        (-2.0, 0.0, "every entry is -2 times what it should be"),
        (-1.001, 0.0, "every entry is -1.001 times what it should be"),
        (0.0, 0.0, "all of the gradient is zero"),
        (1.0, 0.1, "backward adds what is not multiplied by dz: it is not zero where dz is"),
        (2.0, 0.1, "backward adds what is not multiplied by dz: it is not zero where dz is"),
    ],
)
def test_a_gradient_that_is_off_by_one_factor_says_which(scale, shift, hint):
    def backward(dz, x, w, b):
        return affine_backward(dz, x, w, b, scale, shift)

    with pytest.raises(GradientError) as caught:
        check_gradient(affine, backward, *XWB, names=["x", "w", "b"])
    assert [argument.hint for argument in caught.value.report.arguments] == ["", hint, ""]
    assert (f"; {hint}" in str(caught.value)) == bool(hint)


@pytest.mark.parametrize(("x", "hint"), [([0.5, 1.0], "every entry is 2 times"), ([0.5], "")])
def test_one_entry_is_too_few_for_a_factor(x, hint):
    with pytest.raises(GradientError) as caught:
        check_gradient(np.sin, lambda dz, x: 2 * dz * np.cos(x), x)
    assert caught.value.report.arguments[0].hint.startswith(hint)
    assert bool(caught.value.report.arguments[0].hint) == bool(hint)


def test_a_factor_is_seen_beside_kinks():
    z = np.array([[-1.0, 0.0, 2.0], [0.0, 3.0, 1.5], [2.5, -0.5, 0.5]])
    with pytest.raises(GradientError, match="every entry is 3 times what it should be"):
        check_gradient(companion.relu, lambda da, z: 3 * da * (z > 0), z)


def test_an_argument_that_is_not_used_is_told():
    with pytest.raises(GradientError) as caught:
        check_gradient(lambda x, w, _: x @ w, affine_backward, *XWB, names=["x", "w", "b"])
    assert caught.value.report.arguments[2].hint == (
        "forward does not change within a step: is it used, and not rounded?"
    )


class KeptAside(companion.Dense):
    """Keeps the array of a parameter, and does not look again."""

    def __init__(self):
        super().__init__(3, 5, rng=np.random.default_rng(0))
        self.w = self.params["w"]

    def forward(self, x):
        self.x = x
        return x @ self.w + self.params["b"]

    def backward(self, dz):
        self.grads = {"w": self.x.T @ dz, "b": dz.sum(axis=0)}
        return dz @ self.w.T


def test_a_layer_that_keeps_a_parameter_aside_is_told():
    with pytest.raises(
        GradientError, match=r"w: WRONG.*not change within a step: does it read layer.params\['w'\]"
    ):
        check_layer(KeptAside(), XWB[0])


def test_a_gradient_of_zeros_tests_nothing():
    report = check_gradient(companion.relu, lambda da, z: 0 * da * z, -np.ones((2, 3)))
    assert str(report).endswith("; all of the gradient is zero here: try other numbers")
    assert check_gradient(np.sin, lambda dz, x: dz * np.cos(x), [0.0, 1.0]).arguments[0].hint == ""


@pytest.mark.parametrize("cotangent", [[0.0, 0.0], [np.nan, 1.0], [np.inf, 1.0]])
def test_a_cotangent_must_tell_something(cotangent):
    with pytest.raises(ValueError, match="cotangent must be finite, and not zero everywhere"):
        check_gradient(np.sin, lambda dz, x: dz * np.cos(x), [0.1, 0.2], cotangent=cotangent)


def test_a_function_that_ends_within_a_step_asks_for_a_smaller_one():
    def backward(dz, x):
        return dz * 0.5 / np.sqrt(x)

    with pytest.raises(GradientError, match="not finite everywhere within a step: give a smaller"):
        check_gradient(np.sqrt, backward, [1e-7, 1.0])
    assert check_gradient(np.sqrt, backward, [1e-7, 1.0], step=1e-10, rtol=1e-4).ok


SINGLE = np.float32


@pytest.mark.parametrize(
    "product",
    [
        lambda x, w: (x @ w.astype(SINGLE)).astype(float),
        lambda x, w: (x @ w).astype(SINGLE).astype(float),
        lambda x, w: x.astype(SINGLE).astype(float) @ w,
        lambda x, w: x.astype(SINGLE) @ w.astype(SINGLE),
    ],
)
def test_single_precision_inside_is_checked_as_such(product):
    def backward(dz, x, w, scale=1.0):
        return scale * dz @ w.T, x.T @ dz

    report = check_gradient(product, backward, *XWB[:2], names=["x", "w"])
    assert all(argument.relative < 1e-3 and not argument.kinks for argument in report.arguments)
    with pytest.raises(GradientError) as caught:
        check_gradient(product, lambda *given: backward(*given, scale=1.01), *XWB[:2])
    x, w = caught.value.report.arguments
    assert (x.wrong, w.wrong) == (12, 0)
    assert x.hint.startswith("every entry is 1.01")


def test_what_rounds_an_argument_is_told():
    with pytest.raises(GradientError) as caught:
        check_gradient(lambda x: np.round(x, 3), lambda dz, _: dz, XWB[0])
    assert "forward does not change within a step" in caught.value.report.arguments[0].hint

    with pytest.raises(GradientError, match=r"note: forward is exact to .*e-08 of its result: lea"):
        check_gradient(
            lambda x: 3 * x.astype(SINGLE).astype(float), lambda dz, _: 3 * dz, XWB[2], step=1e-7
        )


X, W = (np.random.default_rng(5).normal(size=(4, 4)) for _ in range(2))
W = W + 2 * np.eye(4)[::-1]
WRONG = {
    "it is the gradient of w": lambda dz, x, _: (x.T @ dz, x.T @ dz),
    "which is that of transpose(1, 0)": lambda dz, x, w: (w @ dz.T, x.T @ dz),
    "turned round along axis 0": lambda dz, x, w: ((dz @ w.T)[::-1], x.T @ dz),
    "turned round along axes 0 and 1": lambda dz, x, w: ((dz @ w.T)[::-1, ::-1], x.T @ dz),
    "the same numbers are there, in other places": lambda dz, x, w: (
        np.roll(dz @ w.T, 3),
        x.T @ dz,
    ),
    "has the wrong sign": lambda dz, x, w: (-dz @ w.T, x.T @ dz),
    "too large by 0.01 times the argument itself": lambda dz, x, w: (
        dz @ w.T + 0.01 * x,
        x.T @ dz,
    ),
    "too small by 0.3 times the argument itself": lambda dz, x, w: (dz @ w.T - 0.3 * x, x.T @ dz),
    "backward does not use dz": lambda dz, x, w: (np.ones_like(dz) @ w.T, x.T @ dz),
    "backward adds what is not multiplied by dz": lambda dz, x, w: (dz @ w.T + w, x.T @ dz),
    "backward(-dz) is not -backward(dz)": lambda dz, x, w: ((dz * (dz > 0)) @ w.T, x.T @ dz),
    "backward is not linear in dz": lambda dz, x, w: (np.clip(dz, -0.5, 0.5) @ w.T, x.T @ dz),
    "whole numbers only": lambda dz, x, w: (np.trunc(dz @ w.T), x.T @ dz),
    "the gradient is not finite": lambda dz, x, w: (dz @ w.T / 0, x.T @ dz),
    "all of the gradient is zero": lambda dz, x, _: (0 * x, x.T @ dz),
    "the wrong entries are zero": lambda dz, x, w: ((dz @ w.T) * np.eye(4), x.T @ dz),
    "each of the wrong entries is 10 times what it should be": lambda dz, x, w: (
        (dz @ w.T) * np.where(np.eye(4), 1, 10),
        x.T @ dz,
    ),
}


@pytest.mark.parametrize("hint", WRONG)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_what_the_numbers_give_away_is_told(hint):
    with pytest.raises(GradientError) as caught:
        check_gradient(np.matmul, WRONG[hint], X, W, names=["x", "w"])
    x, w = caught.value.report.arguments
    assert hint in x.hint
    assert w.ok


def test_a_backward_pass_that_draws_anew_is_told():
    rng = np.random.default_rng(0)
    with pytest.raises(GradientError, match="backward gives another result for the same argum"):
        check_gradient(np.tanh, lambda dz, _: dz * rng.random(dz.shape), X)


def test_a_missing_mask_is_told():
    with pytest.raises(GradientError, match="where it is wrong, the slope is zero: is a mask"):
        check_gradient(companion.relu, lambda dz, _: dz, X)


def test_how_many_entries_are_wrong_is_told():
    some = np.eye(4)[1]
    with pytest.raises(GradientError, match="WRONG in 4 of 16 entries, most at"):
        check_gradient(np.tanh, lambda dz, x: dz * (1 - np.tanh(x) ** 2) + some, X)
    with pytest.raises(GradientError, match="x: WRONG, most at"):
        check_gradient(np.tanh, lambda dz, _: dz, [0.5], names=["x"])


def test_of_an_entry_at_a_kink_alone_no_factor_is_told():
    def backward(dz, x):
        return dz * np.where(x == 0, 5.0, np.sign(x))

    with pytest.raises(GradientError) as caught:
        check_gradient(np.abs, backward, [0.0, 1.0, -2.0, 3.0, 0.5])
    assert caught.value.report.arguments[0].hint.startswith("right beside this point")


def test_where_many_kinks_meet_noise_is_asked_for():
    """Images with blank pixels, and biases of zero: the sum of several slopes is none of them."""
    x = np.zeros((2, 3))
    x[1] = 1.0, -2.0, 0.5
    rng = np.random.default_rng(1)
    network = companion.Sequential(
        [companion.Dense(3, 4, rng=rng), companion.ReLU(), companion.Dense(4, 2, rng=rng)]
    )
    with pytest.raises(GradientError, match="right beside this point, where kinks or ties meet"):
        check_layer(network, x)
    assert check_layer(network, x + 0.01).ok

    class NoMask(companion.ReLU):
        def backward(self, dz):
            return dz

    network = companion.Sequential([network[0], NoMask(), network[2]])
    with pytest.raises(GradientError) as caught:
        check_layer(network, x)
    assert "right beside" not in str(caught.value)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("of", ["values", "sum"])
def test_rounding_is_taken_for_no_kink(seed, of):
    x = np.random.default_rng(seed).normal(size=(5, 4))
    w = np.random.default_rng(seed + 9).normal(size=(4, 3)).astype(SINGLE)
    if of == "values":
        report = check_gradient(lambda x: x.astype(SINGLE) @ w, lambda dz, _: dz @ w.T, x)
    else:
        report = check_gradient(lambda x: 1e8 + (x**2).sum(), lambda dz, x: 2 * dz * x, x)
    assert report.arguments[0].kinks == ()


@pytest.mark.parametrize("sure", [14, 18, 20])
def test_a_loss_that_is_nearly_zero_is_checked_with_the_precision_it_has(sure):
    z, labels = sure * np.eye(3)[:2], [0, 1]

    def check(scale):
        def backward(d, z):
            return scale * d * companion.cross_entropy_backward(z, labels)

        return check_gradient(lambda z: companion.cross_entropy(z, labels), backward, z)

    assert check(1.0).ok
    with pytest.raises(GradientError, match=r"every entry is 1\.1 times"):
        check(1.1)


def test_a_result_that_is_too_small_to_differentiate_is_told():
    with pytest.raises(GradientError, match="forward's result is so small"):
        check_gradient(
            lambda z: companion.cross_entropy(z, [0, 1]),
            lambda d, z: d * companion.cross_entropy_backward(z, [0, 1]),
            30 * np.eye(3)[:2],
        )


@pytest.mark.parametrize(
    ("gradients", "message"),
    [
        (lambda dx, dw: (dw, dx), "in the order of the arguments, x, w of shapes"),
        (lambda dx, dw: (dx, np.stack([dw, dw])), "is a sum over axis 0 missing"),
        (lambda dx, dw: (dx, dw.T), "the same axes in another order"),
        (lambda dx, dw: (dx, dw[None]), "an axis of length 1 too many"),
        (lambda *_: None, "backward must return the gradients, got None: is a return"),
        (lambda dx, dw: {"x": dx, "w": dw}, "2 gradients, a tuple of those of x, w, got a dict"),
        (lambda dx, _: dx, "got one array, of shape"),
        (lambda dx, _: (dx,), "got a tuple of 1"),
    ],
)
def test_gradients_that_do_not_fit_say_why(gradients, message):
    with pytest.raises(ValueError, match=message):
        check_gradient(
            np.matmul,
            lambda dz, x, w: gradients(dz @ w.T, x.T @ dz),
            *XWB[:2],
            names=["x", "w"],
        )


def test_what_is_written_into_is_noted_and_not_called_wrong():
    def relu_in_place(z):
        z[z < 0] = 0
        return z

    def backward(da, z):
        da[z < 0] = 0
        return da

    report = check_gradient(relu_in_place, backward, XWB[0], names=["z"])
    assert report.ok
    assert report.notes == (
        "forward writes into z, which its caller may still need: work on a copy",
        "backward writes into dz, which its caller may still need: work on a copy",
    )
    assert str(report).count("\nnote: ") == 2
    assert check_gradient(affine, affine_backward, *XWB).notes == ()

    class InPlace(companion.Layer):
        def forward(self, x):
            self.z = x.copy()
            return relu_in_place(x)

        def backward(self, dz):
            return backward(dz, self.z)

    assert [note.split(",")[0] for note in check_layer(InPlace(), XWB[0]).notes] == [
        "forward writes into x",
        "backward writes into dz",
    ]
    assert check_layer(companion.Dense(3, 2), XWB[0]).notes == ()


class OtherAlone(companion.Dense):
    """Right in ``backward``, and not in what training calls."""

    def backward_params(self, dz):
        super().backward_params(dz)
        self.grads = {name: -gradient for name, gradient in self.grads.items()}


def test_what_training_calls_is_checked_too():
    with pytest.raises(ValueError, match=r"backward_params leaves another grads\['w'\] than backw"):
        check_layer(OtherAlone(3, 2), XWB[0])
    network = companion.Sequential([companion.Dense(3, 3), OtherAlone(3, 2)])
    assert check_layer(network, XWB[0]).ok  # only the first of a network is asked for less
    with pytest.raises(ValueError, match=r"another grads\['0.w'\] than backward"):
        check_layer(companion.Sequential([OtherAlone(3, 2), companion.Dense(2, 2)]), XWB[0])


def test_a_call_that_does_not_fit_says_which_check_does():
    layer = companion.ReLU()
    with pytest.raises(TypeError) as caught:
        check_gradient(layer.forward, layer.backward, XWB[0], names=["x"])
    (note,) = caught.value.__notes__
    assert note.startswith("backward was called as backward(dz, x); a layer, whose backward takes ")
    with pytest.raises(TypeError) as caught:
        check_layer(np.tanh, XWB[0])
    assert "check_gradient a function" in caught.value.__notes__[0]


def test_a_look_up_says_what_it_gets():
    class Table(companion.Dense):
        def forward(self, x):
            self.x = x
            return self.params["w"][x]

    with pytest.raises(IndexError) as caught:
        check_layer(Table(3, 2), np.array([0, 2]))
    assert "look up with x.astype(int)" in caught.value.__notes__[0]


@pytest.mark.parametrize("f", [np.linalg.norm, lambda z: (z.real**2).sum(), np.abs])
def test_a_complex_step_needs_a_complex_result(f):
    x = [3.0, -4.0] if f is not np.abs else [3.0]
    with pytest.raises(TypeError, match="f must return a complex number for complex x, got float"):
        numerical_gradient(f, x, method="complex")


def test_an_adjoint_in_single_precision_is_as_exact_as_that():
    x, w, _ = XWB
    single = w.astype(np.float32)
    report = check_adjoint(lambda x: x.astype(np.float32) @ single, lambda y: y @ w.T, x)
    assert 1e-12 < report.relative < 8e-6
    with pytest.raises(GradientError):
        check_adjoint(lambda x: (x @ single).astype(np.float32), lambda y: y @ w.T * 1.001, x)


def test_a_map_with_a_bias_is_told_from_a_linear_one():
    x, w, b = XWB
    with pytest.raises(GradientError, match="forward\\(0\\) is not 0: leave out what is added"):
        check_adjoint(lambda x: x @ w + b, lambda y: y @ w.T, x)
    with pytest.raises(GradientError) as caught:
        check_adjoint(lambda x: x @ w, lambda y: 2 * y @ w.T, x)
    assert caught.value.report.hint == ""


class Lazy(companion.Dense):
    """Leaves what the last ``backward`` left."""

    def backward_params(self, dz):
        pass


def test_gradients_that_are_left_over_are_seen():
    with pytest.raises(ValueError, match=r"backward_params leaves another grads\['w'\]"):
        check_layer(Lazy(3, 2), XWB[0])


@pytest.mark.parametrize("factor", [1.00001, 1.00004, 0.9999])
def test_a_factor_near_one_is_told_from_it(factor):
    x = np.random.default_rng(0).normal(size=(3, 4))
    with pytest.raises(GradientError, match=f"every entry is {factor} times what it should be"):
        check_gradient(np.sin, lambda dz, x: factor * dz * np.cos(x), x)


@pytest.mark.parametrize(
    ("f", "df", "x"),
    [
        (np.cos, lambda x: np.ones_like(x), np.zeros(3)),
        (np.square, lambda x: 2 * x + 1, np.zeros(3)),
    ],
)
def test_a_function_that_is_level_here_is_not_called_unused(f, df, x):
    with pytest.raises(GradientError) as caught:
        check_gradient(f, lambda dz, x: dz * df(x), x)
    assert "is it used" not in str(caught.value)


def test_of_kinks_alone_no_hint_is_given():
    with pytest.raises(GradientError) as caught:
        check_gradient(companion.relu, lambda da, _: 3 * da, np.zeros(2), cotangent=[1.0, -1.0])
    assert caught.value.report.arguments[0].hint == ""


def test_a_logarithm_that_ends_within_a_step_asks_for_a_smaller_one():
    """Its slopes of the smaller steps are finite."""
    with pytest.raises(GradientError, match="give a smaller step"):
        check_gradient(np.log, lambda dz, x: dz / x, [1e-6, 1.0])


def test_an_error_inside_a_layer_gets_no_advice():
    class Wrong(companion.Dense):
        def backward(self, dz):
            return dz + "a"

    with pytest.raises(TypeError) as caught:
        check_layer(Wrong(3, 2), XWB[0])
    assert not hasattr(caught.value, "__notes__")

    class Outside(companion.Dense):
        def forward(self, x):
            return x[:, [7]]

    with pytest.raises(IndexError) as caught:
        check_layer(Outside(3, 2), XWB[0])
    assert not hasattr(caught.value, "__notes__")


def test_an_adjoint_of_what_bends_is_told():
    x, w, _ = XWB
    for forward in (lambda x: np.maximum(x @ w, 0), lambda x: (x @ w) ** 2):
        with pytest.raises(GradientError, match="forward is not linear, and has no transpose"):
            check_adjoint(forward, lambda y: y @ w.T, x)


def test_a_hint_for_an_adjoint_costs_no_report():
    def not_of_zero(x):
        if not x.any():
            raise ZeroDivisionError
        return 2 * x

    with pytest.raises(GradientError) as caught:
        check_adjoint(not_of_zero, lambda y: y, XWB[0])
    assert caught.value.report.hint == ""
    with pytest.raises(GradientError) as caught:
        check_adjoint(lambda x: x / np.linalg.norm(x), lambda y: y, XWB[0])
    assert "bias" not in caught.value.report.hint


def test_an_adjoint_whose_way_back_is_single_is_as_exact_as_that():
    x, w, _ = XWB
    assert check_adjoint(lambda x: x @ w, lambda y: (y @ w.T).astype(np.float32), x).ok


class Reusing(companion.Dense):
    """Hands out the same memory for dx each time, and trains without it."""

    def backward(self, dz):
        dx = super().backward(dz)
        self.dx = getattr(self, "dx", np.empty_like(dx))
        self.dx[...] = dx
        return self.dx

    def backward_params(self, dz):
        self.grads = {"w": self._recall().T @ dz, "b": dz.sum(axis=0)}


def test_a_gradient_in_memory_that_is_used_again_is_read_in_time():
    assert check_layer(Reusing(3, 2), XWB[0]).ok


class Kept(companion.Dense):
    """Goes back through an input that it kept in another way."""

    def __init__(self, keep):
        super().__init__(4, 3, rng=np.random.default_rng(0))
        self.keep, self.kept = keep, []

    def forward(self, x):
        self.keep(self.kept, x)
        return super().forward(x)

    def backward(self, dz):
        dx = super().backward(dz)
        self.grads["w"] = self.kept[0].T @ dz
        return dx


@pytest.mark.parametrize(
    "keep",
    [
        lambda kept, x: kept.append(x),  # the first of all
        lambda kept, x: kept.__setitem__(slice(None), [*kept, x][-2:]),  # that before the last
    ],
)
def test_a_layer_that_keeps_the_input_of_another_call_is_refused(keep):
    with pytest.raises(GradientError, match="w: WRONG"):
        check_layer(Kept(keep), X)
    last = Kept(lambda kept, x: kept.__setitem__(slice(None), [x]))
    assert check_layer(last, X).ok


def test_a_layer_that_takes_a_step_on_the_way_back_is_noted():
    class Hasty(companion.Dense):
        def backward(self, dz):
            dx = super().backward(dz)
            self.params["w"] = self.params["w"] - 0.1 * self.grads["w"]
            return dx

    report = check_layer(Hasty(4, 3, rng=np.random.default_rng(0)), X)
    assert report.notes == ("layer.backward changes w: leave that to an optimiser",)


def test_a_layer_that_returns_all_gradients_is_told_where_they_belong():
    class All(companion.Dense):
        def backward(self, dz):
            return super().backward(dz), self.grads["w"], self.grads["b"]

    with pytest.raises(TypeError, match=r"alone, got a tuple of 3: .* belong into layer.grads"):
        check_layer(All(4, 3), X)


def test_gradients_by_other_names_are_told():
    class Other(companion.Dense):
        def backward(self, dz):
            dx = super().backward(dz)
            self.grads = {"d" + name: gradient for name, gradient in self.grads.items()}
            return dx

    with pytest.raises(ValueError, match=r"lacks the parameters b, w, and has db, dw: use the n"):
        check_layer(Other(4, 3), X)


def test_an_adjoint_of_what_draws_anew_is_told():
    rng = np.random.default_rng(0)
    with pytest.raises(GradientError, match="forward gives another result for the same x"):
        check_adjoint(lambda x: x * (rng.random(x.shape) < 0.5), lambda y: y, X)


def test_an_adjoint_of_zeros_tests_nothing():
    report = check_adjoint(lambda x: 2 * x, lambda y: 5 * y, np.zeros(3))
    assert report.ok
    assert str(report).endswith("; both sides are zero: try other numbers")


def test_a_layer_that_goes_back_through_the_input_of_the_last_way_back_is_refused():
    class Late(companion.Dense):
        last = None

        def backward(self, dz):
            dx, x = super().backward(dz), self._recall()
            self.grads["w"] = (x if self.last is None else self.last).T @ dz
            self.last = x
            return dx

    with pytest.raises((GradientError, ValueError), match=r"w: WRONG|another grads\['w'\]"):
        check_layer(Late(4, 3), X)


def test_what_is_wrong_by_a_constant_is_no_decay():
    with pytest.raises(GradientError) as caught:
        check_gradient(np.sin, lambda dz, x: dz * np.cos(x) + 0.1, np.full(5, 0.5))
    assert "adds what is not multiplied by dz" in caught.value.report.arguments[0].hint


def test_a_gradient_that_is_infinite_beside_the_entries_drawn_is_not_called_random():
    def backward(dz, x):
        gradient = 1.5 * dz * np.cos(x)
        gradient[:3] *= 2
        gradient[9] = np.inf
        return gradient

    with pytest.raises(GradientError) as caught:
        check_gradient(np.sin, backward, np.linspace(0.1, 1, 10), entries=4)
    assert caught.value.report.arguments[0].hint == ""


def test_a_function_that_moves_faster_than_a_step_is_not_called_inexact():
    """Nor is its gradient said to be off by a multiple of the argument, or without a mask."""
    x = np.array([1.3, -0.7, 2.1, 0.4])
    with pytest.raises(GradientError) as caught:
        check_gradient(lambda x: np.sin(1e9 * x), lambda dz, x: 1e9 * dz * np.cos(1e9 * x), x)
    report = caught.value.report
    assert (report.notes, report.arguments[0].hint) == ((), "")


def test_a_single_entry_that_is_hard_to_differentiate_is_no_factor():
    def backward(dz, x):
        return dz * np.cos(x) * np.where(x == 0.5, 1 + 1e-5, 1)

    with pytest.raises(GradientError) as caught:
        check_gradient(np.sin, backward, [0.5, 1.0, 2.0])
    assert (caught.value.report.arguments[0].wrong, caught.value.report.arguments[0].hint) == (
        1,
        "",
    )


def test_a_layer_whose_output_has_a_length_by_the_order_of_examples_is_checked():
    class Prefix(companion.Layer):
        """The examples before the first that begins with a negative number."""

        def forward(self, x):
            self.size, self.count = x.shape, int(np.argmax(np.append(x[:, 0] < 0, True)))
            return 2 * x[: self.count]

        def backward(self, dz):
            dx = np.zeros(self.size)
            dx[: self.count] = 2 * dz
            return dx

    x = np.array([[1.0, 2.0], [3.0, -1.0], [-1.0, 2.0], [4.0, 1.0]])
    assert check_layer(Prefix(), x).ok


def test_a_layer_that_refuses_another_order_of_examples_is_checked():
    class Rising(companion.Layer):
        def forward(self, x):
            if (np.diff(x[:, 0]) < 0).any():
                raise ValueError("the examples must rise")
            return 2 * self._remember(x)

        def backward(self, dz):
            return 2 * dz

    assert check_layer(Rising(), np.array([[1.0, 5.0], [2.0, 3.0]])).ok


def test_what_a_wrong_entry_at_a_kink_denies_is_not_said_of_the_others():
    def backward(dz, x):
        return dz * np.where(x == 0, 9, 4 * (x > 0))

    with pytest.raises(GradientError) as caught:
        check_gradient(lambda x: np.abs(x) + x, backward, [0.0, 0.5, -0.5, 0.3])
    assert caught.value.report.arguments[0].kinks == ((0,),)
    assert "every entry" not in caught.value.report.arguments[0].hint


@pytest.mark.parametrize("inside", [False, True])
def test_where_kinks_meet_in_single_precision_noise_is_asked_for_too(inside):
    rng = np.random.default_rng(0)
    v, w = rng.normal(size=(3, 4)), rng.normal(size=(4, 2))

    def forward(x):
        z = np.maximum(x @ v, 0).astype(SINGLE) @ w.astype(SINGLE)
        return z.astype(float) if inside else z

    def backward(dz, x):
        return dz @ w.T * (x @ v > 0) @ v.T

    with pytest.raises(GradientError, match="right beside this point"):
        check_gradient(forward, backward, np.zeros((2, 3)))
    assert check_gradient(forward, backward, np.zeros((2, 3)) + 0.1).ok


def test_a_factor_is_told_in_small_units_too():
    with pytest.raises(GradientError, match="every entry is 2 times"):
        check_gradient(lambda x: 1e-12 * x**2, lambda dz, x: 4e-12 * dz * x, X)


def test_of_a_single_number_the_wrong_sign_is_told():
    with pytest.raises(GradientError, match="every entry has the wrong sign"):
        check_gradient(np.cos, lambda dz, x: dz * np.sin(x), 0.5)


def test_a_dictionary_for_one_gradient_is_called_one():
    with pytest.raises(ValueError, match="one gradient, that of x, got a dict"):
        check_gradient(np.sin, lambda dz, x: {"x": dz * np.cos(x)}, [0.5], names=["x"])


@pytest.mark.parametrize(
    ("f", "least", "most"),
    [
        (lambda t: 3 * t, 0, 0),
        (lambda t: np.sin(1e3 * t), 0, 0),
        (np.abs, 0, 0),
        (lambda t: np.nan if t > 0 else t, 0, 0),
        (lambda t: float(SINGLE(1 + t)), 3e-8, 5e-7),
        (lambda t: round(1 + t, 9), 1e-10, 5e-9),
    ],
)
def test_how_exact_a_function_is_is_measured(f, least, most):
    assert least <= roughness(f) <= most


@pytest.mark.parametrize("seed", range(40))
def test_a_sum_that_nearly_cancels_is_not_called_inexact(seed):
    x = np.random.default_rng(seed).normal(size=(20, 10))
    with pytest.raises(GradientError) as caught:
        check_gradient(np.mean, lambda dz, x: dz * np.ones_like(x), x)
    assert caught.value.report.notes == ()


def test_what_is_less_exact_than_single_precision_gets_no_wider_steps():
    def rough(x):
        return np.sin(x) + 1e-5 * np.sin(1e12 * x)

    with pytest.raises(GradientError) as caught:
        check_gradient(rough, lambda dz, x: dz * np.cos(x), XWB[0])
    assert caught.value.report.notes == ()


@pytest.mark.parametrize("height", [1.0, 1e-6, 1e-7])
def test_a_jump_is_not_taken_for_rounding(height):
    x = np.array([1.0, 2.0, 0.3])
    with pytest.raises(GradientError) as caught:
        check_gradient(lambda x: x + height * (x >= 1), lambda dz, _: 1.001 * dz, x)
    assert caught.value.report.notes == ()


def test_a_mask_is_named_only_where_the_sign_of_dz_decides():
    def stepped(dz, x, w):
        return dz @ (w - 0.5 * x.T @ dz).T, x.T @ dz

    with pytest.raises(GradientError, match="backward is not linear in dz"):
        check_gradient(np.matmul, stepped, X, W)


def test_a_huge_gradient_of_the_other_argument_is_no_measure():
    def backward(dz, x, w):
        return 1.7 * dz * x + 0.3, 1e9 * dz * w

    with pytest.raises(GradientError) as caught:
        check_gradient(lambda x, w: x**2 + w**3, backward, X, W, names=["x", "w"])
    assert "gradient of w" not in caught.value.report.arguments[0].hint


def test_a_gradient_of_zeros_is_told_beside_kinks_too():
    x = np.array([0.0, 0.5, -0.5, 0.3])
    with pytest.raises(GradientError, match="all of the gradient is zero"):
        check_gradient(lambda x: np.abs(x) + 2 * x, lambda _, x: 0 * x, x)

"""What the checks say besides right and wrong: where a mistake may lie, or was hardly tested."""

import numpy as np
import pytest

import companion
from companion import GradientError, check_adjoint, check_gradient, check_layer, numerical_gradient

XWB = [np.random.default_rng(3).normal(size=shape) for shape in ((4, 3), (3, 5), (5,))]


def affine(x, w, b):
    return x @ w + b


def affine_backward(dz, x, w, b, scale=1.0, shift=0.0):
    return dz @ w.T, scale * x.T @ dz + shift, dz.sum(axis=0)


@pytest.mark.parametrize(
    ("scale", "shift", "hint"),
    [
        (0.25, 0.0, "every entry is 0.25 times what it should be"),
        (-1.0, 0.0, "every entry is -1 times what it should be"),
        (0.0, 0.0, "all of the gradient is zero"),
        (1.0, 0.1, ""),
        (2.0, 0.1, ""),
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
    with pytest.raises(GradientError, match=r"w: WRONG.*not change within a step: is it used"):
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


def test_single_precision_inside_is_told_for_each_argument():
    def product(x, w):
        return (x @ w.astype(np.float32)).astype(np.float64)

    def backward(dz, x, w):
        return dz @ w.T, x.T @ dz

    with pytest.raises(GradientError) as caught:
        check_gradient(product, backward, *XWB[:2])
    x, w = caught.value.report.arguments
    assert x.hint == ""
    assert w.hint == "forward rounds it to float32: compute in float64"


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

"""Every numbered equation, as the loops of companion.reference, against the fast code."""

import functools
import math
import re
from pathlib import Path

import numpy as np
import pytest
from closeness import assert_close
from strategies import seeded_geometry

import companion
from companion import reference
from companion.reference import EQUATIONS


def windows(seed):
    """A geometry, and its x, w, b and dz."""
    case = seeded_geometry(1000 + seed)
    return case, *case.arrays(seed)


def pools(seed):
    """The arguments of a pooling, and its x and dy."""
    case = seeded_geometry(1000 + seed, pool=True)
    return (case.kernel, case.stride, case.padding), case.pooling, *case.pool_arrays(seed)


def rows(seed):
    """Arrays (N, I), (I, O), (O,) and (N, O)."""
    rng = np.random.default_rng(seed)
    N, I, O = rng.integers(1, 6, 3)
    return [rng.standard_normal(shape) for shape in ((N, I), (I, O), (O,), (N, O))]


def conv_size(f, seed):
    case, *_ = windows(seed)
    counted = tuple(map(f, case.x_shape[1:3], case.kernel, *case.literal))
    return companion.output_size(case.x_shape[1:3], case.kernel, **case.settings), counted


def conv_remainder(f, seed):
    case, *_ = windows(seed)
    window = companion.shapes.Window.over(case.x_shape[1:3], case.kernel, **case.settings)
    counted = tuple(map(f, case.x_shape[1:3], case.kernel, *case.literal))
    return (window.rows.remainder, window.columns.remainder), counted


def conv_forward(f, seed):
    case, x, w, b, _ = windows(seed)
    return companion.conv2d(x, w, b, **case.settings), f(x, w, b, *case.literal)


def conv_dx(f, seed):
    case, x, w, _, dz = windows(seed)
    dx, _, _ = companion.conv2d_backward(dz, x, w, **case.settings)
    return dx, f(dz, w, x.shape, *case.literal)


def conv_dw(f, seed):
    case, x, w, _, dz = windows(seed)
    _, dw, _ = companion.conv2d_backward(dz, x, w, **case.settings)
    return dw, f(dz, x, case.kernel, *case.literal)


def conv_db(f, seed):
    case, x, w, _, dz = windows(seed)
    return companion.conv2d_backward(dz, x, w, **case.settings)[2], f(dz)


def conv_matrix(f, seed):
    """Its product is the forward pass, that of its transpose the backward pass."""
    case, x, w, _, dz = windows(seed)
    T = f(w, x.shape, *case.literal)
    dx, _, _ = companion.conv2d_backward(dz, x, w, **case.settings)
    fast = companion.conv2d(x, w, **case.settings), dx
    literal = (x.reshape(len(x), -1) @ T.T).reshape(dz.shape), dz.reshape(len(x), -1) @ T
    return np.append(*fast), np.append(*literal)


def im2col_patches(f, seed):
    case, x, *_ = windows(seed)
    return companion.im2col(x, case.kernel, **case.settings), f(x, case.kernel, *case.literal)


def im2col_back(f, seed):
    case, x, *_ = windows(seed)
    cols = companion.im2col(x, case.kernel, **case.settings) + 1.0
    fast = companion.col2im(cols, x.shape, case.kernel, **case.settings)
    return fast, f(cols, x.shape, case.kernel, *case.literal)


def im2col_matrix(f, seed):
    """Its product is im2col, that of its transpose col2im."""
    case, x, *_ = windows(seed)
    P = f(x.shape, case.kernel, *case.literal)
    cols = companion.im2col(x, case.kernel, **case.settings)
    other = np.cos(cols)
    back = companion.col2im(other, x.shape, case.kernel, **case.settings)
    literal = x.reshape(len(x), -1) @ P.T, other.reshape(len(x), -1) @ P
    return np.append(cols, back), np.append(*literal)


def im2col_index(f, seed):
    case, x, *_ = windows(seed)
    padded = np.pad(x, ((0, 0), *case.padding, (0, 0)))
    index = f(padded.shape, case.kernel, case.stride, case.dilation)
    return companion.im2col(x, case.kernel, **case.settings), padded.ravel()[index]


def patch_product(seed):
    """The geometry and its arrays; and the matrices X, W and dZ of its convolution."""
    case, x, w, b, dz = windows(seed)
    X = companion.im2col(x, case.kernel, **case.settings)
    return case, (x, w, b, dz), X, w.reshape(-1, case.K), dz.reshape(-1, case.K)


def im2col_forward(f, seed):
    case, (x, w, b, dz), X, W, _ = patch_product(seed)
    return companion.conv2d(x, w, b, **case.settings), f(X, W, b).reshape(dz.shape)


def im2col_dw(f, seed):
    case, (x, w, _, dz), X, _, dZ = patch_product(seed)
    return companion.conv2d_backward(dz, x, w, **case.settings)[1], f(dZ, X).reshape(w.shape)


def im2col_db(f, seed):
    case, (x, w, _, dz), *_, dZ = patch_product(seed)
    return companion.conv2d_backward(dz, x, w, **case.settings)[2], f(dZ)


def im2col_dx(f, seed):
    case, (x, w, _, dz), _, W, dZ = patch_product(seed)
    dx = companion.col2im(f(dZ, W), x.shape, case.kernel, **case.settings)
    return companion.conv2d_backward(dz, x, w, **case.settings)[0], dx


def relu_forward(f, seed):
    x, *_ = rows(seed)
    return companion.relu(x), f(x)


def relu_elementwise(f, seed):
    _, _, _, z = rows(seed)
    da = np.random.default_rng(seed).standard_normal(z.shape)
    fast = companion.relu_backward(da, z)
    return fast, f(da, z, lambda v: 1.0 if v > 0 else 0.0)


def relu_backward(f, seed):
    _, _, _, z = rows(seed)
    da = np.random.default_rng(seed).standard_normal(z.shape)
    return companion.relu_backward(da, z), f(da, z)


def pool_max(f, seed):
    geometry, options, x, _ = pools(seed)
    return companion.max_pool2d(x, geometry[0], **options), f(x, *geometry)


def pool_max_backward(f, seed):
    geometry, options, x, dy = pools(seed)
    x = x.round()
    return companion.max_pool2d_backward(dy, x, geometry[0], **options), f(dy, x, *geometry)


def pool_avg(f, seed):
    geometry, options, x, _ = pools(seed)
    count = bool(seed % 2)
    fast = companion.avg_pool2d(x, geometry[0], **options, count_include_pad=count)
    return fast, f(x, *geometry, count)


def pool_avg_backward(f, seed):
    geometry, options, x, dy = pools(seed)
    count = bool(seed % 2)
    fast = companion.avg_pool2d_backward(dy, x, geometry[0], **options, count_include_pad=count)
    return fast, f(dy, x.shape, *geometry, count)


def pool_total(f, seed):
    """What both poolings hand back, where padding does not count, is what they were handed."""
    geometry, options, x, dy = pools(seed)
    backward = (companion.max_pool2d_backward, companion.avg_pool2d_backward)[seed % 2]
    return backward(dy, x.round(), geometry[0], **options).sum(axis=(1, 2)), f(dy)


def pool_tie(f, seed):
    """Whole numbers tie often; a step below their distance changes no winner but among ties."""
    geometry, options, x, _ = pools(seed)
    x, step = x.round(), 2.0**-10
    e = np.random.default_rng(seed).uniform(-1, 1, x.shape)
    y, moved = (companion.max_pool2d(at, geometry[0], **options) for at in (x, x + step * e))
    return (moved - y) / step, f(x, e, *geometry)


def dense_forward(f, seed):
    x, w, b, _ = rows(seed)
    return companion.dense(x, w, b), f(x, w, b)


def dense_dx(f, seed):
    x, w, _, dz = rows(seed)
    return companion.dense_backward(dz, x, w)[0], f(dz, w)


def dense_dw(f, seed):
    x, w, _, dz = rows(seed)
    return companion.dense_backward(dz, x, w)[1], f(dz, x)


def dense_db(f, seed):
    x, w, _, dz = rows(seed)
    return companion.dense_backward(dz, x, w)[2], f(dz)


def dense_flatten(f, seed):
    _, x, *_ = windows(seed)
    return companion.Flatten().forward(x), f(x)


def dense_flatten_backward(f, seed):
    _, x, *_ = windows(seed)
    layer = companion.Flatten()
    dz = np.random.default_rng(seed).standard_normal(layer.forward(x).shape)
    return layer.backward(dz), f(dz, x.shape)


def softmax_forward(f, seed):
    z, *_ = rows(seed)
    return companion.softmax(z), f(z)


def softmax_log(f, seed):
    z, *_ = rows(seed)
    return companion.log_softmax(z), f(z)


def softmax_jacobian(f, seed):
    """Row k' of each table is the backward pass of the probability k' alone."""
    z, *_ = rows(seed)
    a = companion.softmax(z)
    picks = np.eye(z.shape[1])
    backward = [companion.softmax_backward(np.broadcast_to(row, a.shape), a) for row in picks]
    return np.stack(backward, axis=1), f(a)


def softmax_backward(f, seed):
    z, *_ = rows(seed)
    a, da = companion.softmax(z), np.cos(z)
    return companion.softmax_backward(da, a), f(da, a)


def soft_labels(z, seed):
    return np.random.default_rng(seed).dirichlet(np.ones(z.shape[1]), len(z))


def weighed_labels(z, seed):
    """Rows that sum to one, and a weight for each."""
    return soft_labels(z, seed), np.random.default_rng(seed).uniform(0, 3, (len(z), 1))


def softmax_loss(f, seed):
    z, *_ = rows(seed)
    y = soft_labels(z, seed)
    return companion.cross_entropy(z, y), f(z, y)


def softmax_da(f, seed):
    """Taken back through the softmax, it is the gradient of the loss."""
    z, *_ = rows(seed)
    y, a = soft_labels(z, seed), companion.softmax(z)
    return companion.cross_entropy_backward(z, y), companion.softmax_backward(f(a, y), a)


def softmax_loss_logits(f, seed):
    """A row of labels with the sum W counts W times."""
    z, *_ = rows(seed)
    y, weights = weighed_labels(z, seed)
    losses = [companion.cross_entropy(z[n : n + 1], y[n : n + 1]) for n in range(len(z))]
    return np.mean(weights[:, 0] * losses), f(z, weights * y)


def softmax_fused_general(f, seed):
    z, *_ = rows(seed)
    y, weights = weighed_labels(z, seed)
    return weights * companion.cross_entropy_backward(z, y), f(z, weights * y)


def softmax_fused(f, seed):
    z, *_ = rows(seed)
    y = soft_labels(z, seed)
    return companion.cross_entropy_backward(z, y), f(z, y)


def gradcheck_sum_rule(f, seed):
    """One weight, used at every position of every image: its gradient is that entry of dw."""
    case, x, w, _, dz = windows(seed)
    entry = tuple(n - 1 for n in w.shape)
    only = np.zeros_like(w)
    only[entry] = 1.0
    slopes = companion.conv2d(x, only, **case.settings)
    dw = companion.conv2d_backward(dz, x, w, **case.settings)[1]
    return dw[entry], f(dz.ravel(), slopes.ravel())


def gradcheck_vjp(f, seed):
    """The rows of softmax, each with the table of all its derivatives."""
    z, *_ = rows(seed)
    a, da = companion.softmax(z), np.cos(z)
    tables = [np.diag(row) - np.outer(row, row) for row in a]
    literal = [f(incoming, table) for incoming, table in zip(da, tables, strict=True)]
    return companion.softmax_backward(da, a), np.array(literal)


def cube(x):
    return (x**3).sum()


def back(seed):
    """A geometry, and x, w, b and dz of its transposed convolution."""
    case = seeded_geometry(1000 + seed)
    return case, *case.arrays_back(seed)


def transposed_size(f, seed):
    case, x, w, _, _ = back(seed)
    counted = tuple(map(f, x.shape[1:3], case.kernel, *case.literal_back))
    return companion.conv_transpose2d(x, w, **case.back).shape[1:3], counted


def transposed_forward(f, seed):
    case, x, w, b, _ = back(seed)
    return companion.conv_transpose2d(x, w, b, **case.back), f(x, w, b, *case.literal_back)


def transposed_dx(f, seed):
    case, x, w, _, dz = back(seed)
    dx, _, _ = companion.conv_transpose2d_backward(dz, x, w, **case.back)
    return dx, f(dz, w, x.shape, *case.literal)


def transposed_dw(f, seed):
    case, x, w, _, dz = back(seed)
    _, dw, _ = companion.conv_transpose2d_backward(dz, x, w, **case.back)
    return dw, f(dz, x, case.kernel, *case.literal)


def transposed_db(f, seed):
    case, x, w, _, dz = back(seed)
    return companion.conv_transpose2d_backward(dz, x, w, **case.back)[2], f(dz)


def gradcheck_central(f, seed):
    x, *_ = rows(seed)
    return companion.numerical_gradient(cube, x, step=2.0**-10), f(cube, x, 2.0**-10)


def gradcheck_truncation(f, seed):
    """The third derivative of a cube is 6 everywhere. On this grid nothing is rounded."""
    x = np.round(8 * rows(seed)[0]) / 8
    step = 2.0 ** -(seed % 5)
    off = companion.numerical_gradient(cube, x, step=step) - 3 * x**2
    return off, np.full(x.shape, f(6.0, step))


def gradcheck_step(f, seed):
    """The default: the best step where the third derivative is three times the function."""
    precision = [np.float64, np.float32][seed % 2]
    seen = []

    def spy(x):
        seen.append(float(x))
        return 0.0

    companion.numerical_gradient(spy, precision(0.0))
    literal = float(precision(f(float(np.finfo(precision).eps), 1.0, 3.0)))
    return np.log([max(seen)]), np.log([literal])


def gradcheck_richardson(f, seed):
    x, *_ = rows(seed)

    def smooth(x):
        return np.sin(x).sum()

    step = 2.0**-4
    fast = companion.numerical_gradient(smooth, x, step=step, method="richardson")
    return fast, f(smooth, x, step)


def gradcheck_complex(f, seed):
    x, *_ = rows(seed)
    return companion.numerical_gradient(cube, x, step=0.125, method="complex"), f(cube, x, 0.125)


def gradcheck_direction(f, seed):
    """Of a linear function, whose differences are exact at any step."""
    x, w, b, dz = rows(seed)
    e = np.random.default_rng(seed).standard_normal(x.shape)
    dx, _, _ = companion.dense_backward(dz, x, w)

    def loss(x):
        return float((dz * companion.dense(x, w, b)).sum())

    return [(dx * e).sum()] * 2, f(loss, dx, x, e, 0.5)


def gradcheck_adjoint(f, seed):
    _, A, _, _ = rows(seed)
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal(A.shape[1]), rng.standard_normal(A.shape[0])
    report = companion.check_adjoint(lambda x: A @ x, lambda y: A.T @ y, x, y)
    return (report.left, report.right), f(A, x, y)


def affine_jacobian(f, shape):
    """All derivatives of an affine function, one column for each number that it reads."""
    zero = f(np.zeros(shape))
    columns = []
    for index in np.ndindex(shape):
        unit = np.zeros(shape)
        unit[index] = 1.0
        columns.append((f(unit) - zero).ravel())
    return np.array(columns).T


def networks(seed):
    """A network, its input and cotangent, and the layers as functions of (x, w, b) from the loops.

    Half of them begin with a convolution and a flattening, and all have one to three dense layers.
    """
    rng = np.random.default_rng(seed)
    N, width = (int(n) for n in rng.integers(1, 4, 2))
    x = rng.standard_normal((N, width))
    layers, literal = [], []
    if seed % 2:
        C, K = (int(n) for n in rng.integers(1, 3, 2))
        x = rng.standard_normal((N, 3, 4, C))
        geometry = (1, 1), ((1, 0), (0, 0)), (1, 1)
        layers += [companion.Conv2D(C, K, (2, 3), padding=geometry[1], rng=rng)]
        layers += [companion.Flatten()]
        literal += [lambda x, w, b: reference.conv_forward(x, w, b, *geometry)]
        literal += [lambda x: x.reshape(len(x), -1)]
        width = 3 * 2 * K
    for _ in range(rng.integers(1, 4)):
        layers += [companion.ReLU()]
        literal += [reference.relu_forward]
        wider = int(rng.integers(1, 6))
        layers += [companion.Dense(width, wider, rng=rng)]
        literal += [reference.dense_forward]
        width = wider
    network = companion.Sequential(layers)
    network.params = {
        name: p + rng.standard_normal(p.shape) / 4 for name, p in network.params.items()
    }
    literal = [
        functools.partial(f, **layer.params) for f, layer in zip(literal, layers, strict=True)
    ]
    return network, literal, x, rng.standard_normal((N, width))


def inputs_and_jacobians(literal, x):
    """Every ``x_l`` and ``J_l``; all layers but the ReLU are affine."""
    xs = reference.network_forward(x, literal)
    jacobians = [
        np.diag(np.where(x.ravel() > 0, 1.0, 0.0))
        if f.func is reference.relu_forward
        else affine_jacobian(f, x.shape)
        for f, x in zip(literal, xs, strict=False)
    ]
    return xs, jacobians


def network_forward(f, seed):
    network, literal, x, _ = networks(seed)
    fast = [x]
    for layer in network.layers:
        fast.append(layer.forward(fast[-1]))
    assert np.array_equal(fast[-1], network.forward(x))
    return one_row(fast), one_row(f(x, literal))


def network_backward(f, seed):
    network, literal, x, dz = networks(seed)
    _, jacobians = inputs_and_jacobians(literal, x)
    network.forward(x)
    fast = [dz]
    for layer in reversed(network.layers):
        fast.insert(0, layer.backward(fast[0]))
    assert np.array_equal(fast[0], network.backward(dz))
    return one_row(fast), one_row(f(dz.ravel(), jacobians))


def network_dtheta(f, seed):
    network, literal, x, dz = networks(seed)
    xs, jacobians = inputs_and_jacobians(literal, x)
    dxs = reference.network_backward(dz.ravel(), jacobians)
    network.forward(x)
    network.backward(dz)
    fast, slow = [], []
    for l, function in enumerate(literal):
        for name, p in function.keywords.items():

            def of_parameter(value, function=function, name=name, x=xs[l]):
                return function(x, **{name: value})

            fast.append(network.grads[f"{l}.{name}"])
            slow.append(f(dxs[l + 1], affine_jacobian(of_parameter, p.shape)))
    return one_row(fast), one_row(slow)


def network_step(f, seed):
    x, w, _, dz = rows(seed)
    layer = companion.Dense(*w.shape)
    layer.forward(x)
    layer.backward(dz)
    before, gradients, rate = layer.params, layer.grads, 0.1 * (seed + 1)
    companion.SGD(rate).step(layer)
    fast = [layer.params[name] for name in before]
    return one_row(fast), one_row(f(before[name], gradients[name], rate) for name in before)


def digits_momentum(f, seed):
    kept, eta = (seed % 10) / 10, 0.1 * (seed + 1)
    x, w, _, dz = rows(seed)
    layer, optimizer = companion.Dense(*w.shape), companion.SGD(eta, momentum=kept)
    expected = dict(layer.params)
    velocity = {name: np.zeros(p.shape) for name, p in expected.items()}
    for scale in (1.0, -2.0, 0.5):
        layer.forward(x)
        layer.backward(scale * dz)
        for name, p in expected.items():
            expected[name], velocity[name] = f(p, velocity[name], layer.grads[name], kept, eta)
        optimizer.step(layer)
    remembered = [optimizer.state[f"velocity.{name}"] for name in velocity] if kept else velocity
    fast = [*layer.params.values(), *remembered] if kept else layer.params.values()
    literal = [*expected.values(), *velocity.values()] if kept else expected.values()
    return one_row(fast), one_row(literal)


def digits_decrease(f, seed):
    """Of a loss that is linear in the parameters, whatever the step."""
    eta = 0.1 * (seed + 1)
    x, w, _, dz = rows(seed)
    layer = companion.Dense(*w.shape)
    before = (dz * layer.forward(x)).sum()
    layer.backward(dz)
    promised = sum(f(gradient, eta) for gradient in layer.grads.values())
    companion.SGD(eta).step(layer)
    return before - (dz * layer.forward(x)).sum(), promised


def network_he(f, seed):
    shape = tuple(int(n) for n in np.random.default_rng(seed).integers(1, 4, 4))
    fan_in = math.prod(shape[:3])
    layer = companion.Conv2D(shape[2], shape[3], shape[:2], rng=np.random.default_rng(seed))
    return layer.params["w"], f(shape, fan_in, np.random.default_rng(seed))


def one_row(arrays):
    """The numbers of all arrays, one after the other."""
    return np.concatenate([np.ravel(a) for a in arrays])


COMPARISONS = {
    "conv-size": conv_size,
    "conv-remainder": conv_remainder,
    "conv-forward": conv_forward,
    "conv-dx": conv_dx,
    "conv-dx-correlation": conv_dx,
    "conv-dw": conv_dw,
    "conv-dw-correlation": conv_dw,
    "conv-db": conv_db,
    "conv-matrix": conv_matrix,
    "im2col-patches": im2col_patches,
    "im2col-back": im2col_back,
    "im2col-matrix": im2col_matrix,
    "im2col-index": im2col_index,
    "im2col-forward": im2col_forward,
    "im2col-dw": im2col_dw,
    "im2col-db": im2col_db,
    "im2col-dx": im2col_dx,
    "relu-forward": relu_forward,
    "relu-elementwise": relu_elementwise,
    "relu-backward": relu_backward,
    "pool-max": pool_max,
    "pool-max-backward": pool_max_backward,
    "pool-avg": pool_avg,
    "pool-avg-backward": pool_avg_backward,
    "pool-total": pool_total,
    "pool-tie": pool_tie,
    "dense-forward": dense_forward,
    "dense-dx": dense_dx,
    "dense-dw": dense_dw,
    "dense-db": dense_db,
    "dense-flatten": dense_flatten,
    "dense-flatten-backward": dense_flatten_backward,
    "softmax-forward": softmax_forward,
    "softmax-log": softmax_log,
    "softmax-jacobian": softmax_jacobian,
    "softmax-backward": softmax_backward,
    "softmax-loss": softmax_loss,
    "softmax-da": softmax_da,
    "softmax-loss-logits": softmax_loss_logits,
    "softmax-fused": softmax_fused,
    "softmax-fused-general": softmax_fused_general,
    "gradcheck-sum-rule": gradcheck_sum_rule,
    "gradcheck-vjp": gradcheck_vjp,
    "transposed-size": transposed_size,
    "transposed-forward": transposed_forward,
    "transposed-gather": transposed_forward,
    "transposed-dx": transposed_dx,
    "transposed-dw": transposed_dw,
    "transposed-db": transposed_db,
    "gradcheck-central": gradcheck_central,
    "gradcheck-truncation": gradcheck_truncation,
    "gradcheck-step": gradcheck_step,
    "gradcheck-richardson": gradcheck_richardson,
    "gradcheck-complex": gradcheck_complex,
    "gradcheck-direction": gradcheck_direction,
    "gradcheck-adjoint": gradcheck_adjoint,
    "network-forward": network_forward,
    "network-backward": network_backward,
    "network-dtheta": network_dtheta,
    "network-step": network_step,
    "network-he": network_he,
    "digits-momentum": digits_momentum,
    "digits-decrease": digits_decrease,
}


def test_every_equation_is_compared():
    assert sorted(COMPARISONS) == sorted(EQUATIONS)


@pytest.mark.parametrize("label", sorted(COMPARISONS))
def test_equation_is_what_the_fast_code_computes(label):
    for seed in range(30):
        fast, literal = COMPARISONS[label](EQUATIONS[label], seed)
        assert_close(f"equation {label}", fast, literal)


def test_the_best_step_has_the_smallest_error():
    """Of truncation and rounding together, as the chapter adds them."""
    for seed in range(30):
        mu, F0, F3 = 10 ** np.random.default_rng(seed).uniform([-16, -3, -3], [-4, 3, 3])

        def error(step, mu=mu, F0=F0, F3=F3):
            return reference.gradcheck_truncation(F3, step) + mu * F0 / step

        best = reference.gradcheck_step(mu, F0, F3)
        assert error(best) < min(error(0.99 * best), error(1.01 * best))


@pytest.mark.parametrize("seed", range(30))
def test_gather_and_correlation_are_the_same_sum(seed):
    """Where padding exceeds the kernel, the correlation crops instead of padding."""
    case, _, w, _, dz = windows(seed)
    arguments = dz, w, case.x_shape, *case.literal
    assert_close(
        "conv-dx-correlation: conv-dx",
        reference.conv_dx_correlation(*arguments),
        reference.conv_dx(*arguments),
    )


def test_both_branches_of_the_correlation_are_met():
    cropped = [
        low > d * (k - 1)
        for case in (windows(seed)[0] for seed in range(30))
        for k, (low, _), d in zip(case.kernel, case.padding, case.dilation, strict=True)
    ]
    assert 5 < sum(cropped) < len(cropped) - 5


def test_the_code_names_equations_that_exist():
    """A comment or docstring that points to an equation points to one of the registry."""
    package = Path(companion.__file__).parent
    chapters = "|".join(sorted({label.split("-")[0] for label in EQUATIONS}))
    for path in sorted(package.glob("*.py")):
        text = path.read_text(encoding="utf-8")
        cited = re.findall(rf"[Ee]quations? ((?:{chapters})-[a-z-]+)", text)
        cited += re.findall(rf"# ((?:{chapters})-[a-z-]+)", text)
        assert set(cited) <= set(EQUATIONS), f"{path.name}: {set(cited) - set(EQUATIONS)}"

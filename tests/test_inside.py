"""What is computed about a network from outside: its outputs, its mistakes, its sensitivities."""

import subprocess
import sys

import numpy as np
import pytest

from companion import (
    AvgPool2D,
    Conv2D,
    Dense,
    Flatten,
    Layer,
    Misclassified,
    ReLU,
    Sequential,
    activations,
    confusion_matrix,
    log_softmax,
    most_confident_mistakes,
    numerical_gradient,
    occlusion,
    output_size,
    principal_components,
    saliency,
    softmax,
)

pytestmark = pytest.mark.filterwarnings("error")

H, W, C, K = 5, 7, 2, 3


def network(seed=0):
    """A network of images (N, 5, 7, 2) that no axis can be exchanged in unseen."""
    rng = np.random.default_rng(seed)
    head = Sequential([Flatten(), Dense(2 * 3 * 4, K, rng=rng)])
    return Sequential([Conv2D(C, 4, (2, 3), rng=rng), ReLU(), AvgPool2D((2, 1)), Last(), head])


class Last(Layer):
    """Keeps columns 1 to 3."""

    def forward(self, x):
        return self._remember(np.asarray(x))[:, :, 1:4]

    def backward(self, dz):
        dx = np.zeros(self._recall().shape, np.asarray(dz).dtype)
        dx[:, :, 1:4] = dz
        return dx


def images(n=4, seed=1):
    return np.random.default_rng(seed).standard_normal((n, H, W, C))


def linear(w):
    layer = Dense(*w.shape)
    layer.params = {"w": w, "b": np.arange(float(w.shape[1]))}
    return layer


# --- the network is the caller's ------------------------------------------------------------------

RUNS = {
    "activations": lambda net, x: activations(net, x, batch_size=3),
    "most_confident_mistakes": lambda net, x: most_confident_mistakes(net, x, [0] * len(x)),
    "saliency": saliency,
    "occlusion": lambda net, x: occlusion(net, x, 3, stride=2),
}


@pytest.mark.parametrize("name", RUNS)
def test_the_network_is_left_as_it_was(name):
    net, twin, x, dz = network(), network(), images(2), np.ones((2, K))
    for each in (net, twin):
        each.forward(x)
        each.backward(dz)
    params, grads = net.params, net.grads
    RUNS[name](net, images(4, seed=2))
    assert all(net.params[key] is value for key, value in params.items())
    assert all(net.grads[key] is value for key, value in grads.items())
    np.testing.assert_array_equal(net.backward(2 * dz), twin.backward(2 * dz))  # input remembered


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("net", [None, Dense, 3])
def test_what_is_no_network_is_refused(name, net):
    with pytest.raises(TypeError, match="network must be a layer, with forward, got"):
        RUNS[name](net, images())


class Count(Layer):
    """Logits are the first ``K`` values; how many examples came is kept outside of any copy."""

    sizes: list[int] = []  # noqa: RUF012

    def forward(self, x):
        self.sizes.append(len(x))
        return self._remember(np.asarray(x)).reshape(len(x), -1)[:, :K]

    def backward(self, dz):
        dx = np.zeros(self._recall().shape)
        dx.reshape(len(dx), -1)[:, :K] = dz
        return dx


@pytest.mark.parametrize(
    ("call", "sizes"),
    [
        (lambda x: activations(Count(), x, batch_size=3), [3, 3, 1]),
        (lambda x: saliency(Count(), x, batch_size=3), [3, 3, 1]),
        (
            lambda x: most_confident_mistakes(Count(), x, [0] * 7, batch_size=4),
            [4, 3],
        ),
        # 7 images, whole, then 7 times 4 places
        (lambda x: occlusion(Count(), x, 4, stride=4, batch_size=10), [7, 10, 10, 8]),
    ],
)
def test_no_more_than_batch_size_at_once(call, sizes):
    Count.sizes.clear()
    call(images(7))
    assert Count.sizes == sizes


@pytest.mark.parametrize("size", [1, 3, 4, 100])
def test_batches_change_nothing(size):
    net, x, y = network(), images(), [0, 1, 2, 0]
    for one, other in zip(activations(net, x), activations(net, x, batch_size=size), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    for target in (None, [2, 0, 1, 1]):
        np.testing.assert_allclose(
            saliency(net, x, target=target),
            saliency(net, x, target=target, batch_size=size),
            rtol=1e-12,
        )
        np.testing.assert_allclose(
            occlusion(net, x, 3, target=target),
            occlusion(net, x, 3, target=target, batch_size=size),
            rtol=1e-9,
            atol=1e-12,
        )
    for one, other in zip(
        most_confident_mistakes(net, x, y),
        most_confident_mistakes(net, x, y, batch_size=size),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, rtol=1e-12)


# --- activations ----------------------------------------------------------------------------------


def test_activations_are_the_outputs_layer_by_layer():
    net, out = network(), images()
    outputs = activations(net, out)
    assert len(outputs) == 5  # the network in the network is one layer
    for layer, seen in zip(net.layers, outputs, strict=True):
        out = layer.forward(out)
        np.testing.assert_array_equal(seen, out)
    assert [seen.shape[1:] for seen in outputs] == [
        (4, 5, 4),
        (4, 5, 4),
        (2, 5, 4),
        (2, 3, 4),
        (3,),
    ]


def test_a_layer_alone_has_one_output():
    (out,) = activations(ReLU(), [[-1.0, 2.0]])
    np.testing.assert_array_equal(out, [[0.0, 2.0]])


# --- confusion ------------------------------------------------------------------------------------


def test_confusion_matrix_counts():
    rng = np.random.default_rng(0)
    labels, said = rng.integers(0, 4, 200), rng.integers(0, 5, 200)
    counts = np.zeros((5, 5), int)
    for label, prediction in zip(labels, said, strict=True):
        counts[label, prediction] += 1
    matrix = confusion_matrix(labels, said)
    np.testing.assert_array_equal(matrix, counts)
    assert matrix.dtype == np.int64
    assert confusion_matrix(labels.astype(np.uint8), said.astype(np.uint8)).tolist() == (
        matrix.tolist()
    )


def test_classes_of_one_byte_are_counted_too():
    labels = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(confusion_matrix(labels, labels), np.eye(256))


def test_confusion_matrix_has_a_row_for_classes_that_do_not_occur():
    matrix = confusion_matrix([1], [0], num_classes=4)
    assert matrix.shape == (4, 4)
    assert np.argwhere(matrix).tolist() == [[1, 0]]
    np.testing.assert_array_equal(confusion_matrix([], [], num_classes=2), np.zeros((2, 2)))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"labels": [[0, 1]]}, ValueError, r"labels must have shape \(N,\).*got shape \(1, 2\)"),
        ({"predictions": [0]}, ValueError, r"predictions must have shape \(2,\).*got shape \(1,\)"),
        ({"labels": [0.0, 1.0]}, TypeError, "labels must be integers, got dtype float64"),
        ({"labels": [True, False]}, TypeError, "labels must be integers, got dtype bool"),
        ({"labels": [0, -1]}, ValueError, "labels must be classes from 0 to 1, got -1 at posi.* 1"),
        ({"labels": [-1, -1], "predictions": [-1, -1]}, ValueError, "labels must be .*, got -1 at"),
        (
            {"labels": np.array([0, 2**64 - 1], np.uint64), "num_classes": 3},
            ValueError,
            "labels must be classes from 0 to 2, got 18446744073709551615 at position 1",
        ),
        ({"num_classes": 1}, ValueError, "predictions must be classes from 0 to 0, got 1 at pos"),
        ({"num_classes": 2.0}, TypeError, "num_classes must be an integer"),
        ({"labels": [], "predictions": []}, ValueError, "num_classes must be given where there"),
    ],
)
def test_confusion_matrix_refuses(arguments, error, message):
    with pytest.raises(error, match=message):
        confusion_matrix(**{"labels": [0, 0], "predictions": [0, 1], **arguments})


# --- mistakes -------------------------------------------------------------------------------------


def test_the_surest_mistakes_come_first():
    rng = np.random.default_rng(0)
    z, y = rng.standard_normal((50, 4)), rng.integers(0, 4, 50)
    found = most_confident_mistakes(linear(np.eye(4)), z, y)
    a = softmax(z + np.arange(4.0))
    wrong = [n for n in range(50) if a[n].argmax() != y[n]]
    assert 10 < len(wrong) < 50
    wrong.sort(key=lambda n: -a[n].max())
    assert isinstance(found, Misclassified)
    assert found.positions.tolist() == wrong
    assert found.labels.tolist() == y[wrong].tolist()
    assert found.predictions.tolist() == a[wrong].argmax(axis=1).tolist()
    np.testing.assert_allclose(found.confidences, a[wrong].max(axis=1), rtol=1e-12)
    for few, all_of_them in zip(
        most_confident_mistakes(linear(np.eye(4)), z, y, count=3), found, strict=True
    ):
        np.testing.assert_array_equal(few, all_of_them[:3])


def test_single_precision_does_not_make_the_surest_equal():
    z = np.array([[20, 0], [22, 0], [21, 0], [21, 0]], np.float32)
    found = most_confident_mistakes(ReLU(), z, [1, 1, 1, 1])
    assert found.positions.tolist() == [1, 2, 3, 0]


def test_there_is_no_class_where_a_logit_is_nan():
    x = np.zeros((7, 2))
    x[5, 1] = np.nan
    with pytest.raises(FloatingPointError, match="example 5 has a logit that is NaN"):
        most_confident_mistakes(ReLU(), x, np.zeros(7, int), batch_size=2)


def test_a_network_without_mistakes():
    for values in most_confident_mistakes(ReLU(), np.eye(3), [0, 1, 2]):
        assert values.shape == (0,)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"x": [1.0, 2.0]}, ValueError, r"x must have the axes \(N, ...\), got shape \(2,\)"),
        ({"y": [0]}, ValueError, r"y must have shape \(2,\).*got shape \(1,\)"),
        ({"y": [0.0, 1.0]}, TypeError, "y must be integers, got dtype float64"),
        ({"y": [0, 2]}, ValueError, "y must be classes from 0 to 1, got 2 at position 1"),
        ({"count": 0}, ValueError, "count must be at least 1, got 0"),
        ({"count": 1.5}, TypeError, "count must be an integer, got 1.5"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
        ({"x": np.ones((2, 2, 1))}, ValueError, r"output must have the axes \(N, K\)"),
    ],
)
def test_most_confident_mistakes_refuses(arguments, error, message):
    good = {"network": ReLU(), "x": np.eye(2), "y": [0, 1]}
    with pytest.raises(error, match=message):
        most_confident_mistakes(**{**good, **arguments})


# --- saliency -------------------------------------------------------------------------------------


def test_saliency_of_a_linear_network_is_its_weights():
    w = np.random.default_rng(0).standard_normal((6, K))
    x = np.random.default_rng(1).standard_normal((4, 6))
    np.testing.assert_array_equal(saliency(linear(w), x, target=1), np.tile(w[:, 1], (4, 1)))
    np.testing.assert_array_equal(saliency(linear(w), x, target=[2, 0, 1, 0]), w.T[[2, 0, 1, 0]])
    largest = (x @ w + np.arange(K)).argmax(axis=1)
    assert len(set(largest)) > 1
    np.testing.assert_array_equal(saliency(linear(w), x), w.T[largest])


def test_saliency_is_the_slope_of_each_logit():
    net, x, target = network(), images(), np.array([2, 0, 1, 1])
    gradient = saliency(net, x, target=target)
    slope = numerical_gradient(lambda x: net.forward(x)[np.arange(4), target].sum(), x)
    assert gradient.shape == (4, H, W, C)
    np.testing.assert_allclose(gradient, slope, rtol=1e-6, atol=1e-8)


def test_the_default_target_is_the_largest_logit():
    net, x = network(), images(9)
    said = net.predict(x)
    assert len(set(said)) > 1
    np.testing.assert_array_equal(saliency(net, x), saliency(net, x, target=said))
    np.testing.assert_array_equal(occlusion(net, x, 2), occlusion(net, x, 2, target=said))


class Short(Count):
    """Loses the gradient's last example."""

    def backward(self, dz):
        return super().backward(dz)[:-1]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"target": 3}, ValueError, "target must be classes from 0 to 2, got 3"),
        ({"target": -1}, ValueError, "target must be at least 0, got -1"),
        ({"target": 1.0}, TypeError, "target must be an integer, got 1.0"),
        ({"target": [0, 1]}, ValueError, r"target must have shape \(4,\).*got shape \(2,\)"),
        ({"target": [0, 1, 2, 3]}, ValueError, "target must be .* 2, got 3 at position 3"),
        ({"target": [0.0] * 4}, TypeError, "target must be integers, got dtype float64"),
        ({"batch_size": 2.0}, TypeError, "batch_size must be an integer"),
        ({"network": ReLU()}, ValueError, r"network's output must have the axes \(N, K\)"),
    ],
)
@pytest.mark.parametrize("function", [saliency, lambda **given: occlusion(kernel_size=2, **given)])
def test_targets_that_are_refused(function, arguments, error, message):
    with pytest.raises(error, match=message):
        function(**{"network": network(), "x": images(), **arguments})


def test_a_gradient_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"network.backward\(dz\) must have the shape \(4, 5"):
        saliency(Short(), images())


# --- occlusion ------------------------------------------------------------------------------------


def covered_one_by_one(net, x, k, s, top, left, size, fill, target):
    """The map as the loops say it: cover, run, take the difference."""
    falls = np.empty((len(x), *size))
    for n, i, j in np.ndindex(falls.shape):
        image = x[n].copy()
        for h in range(s[0] * i - top, s[0] * i - top + k[0]):
            for q in range(s[1] * j - left, s[1] * j - left + k[1]):
                if 0 <= h < H and 0 <= q < W:
                    image[h, q] = fill
        before, after = (log_softmax(net.forward(im[np.newaxis]))[0] for im in (x[n], image))
        falls[n, i, j] = before[target[n]] - after[target[n]]
    return falls


@pytest.mark.parametrize(
    ("kernel_size", "stride", "padding", "low"),
    [
        ((2, 3), (1, 2), "valid", (0, 0)),
        ((2, 3), (2, 1), ((1, 0), (2, 1)), (1, 2)),
        ((2, 4), (1, 1), "same", (0, 1)),
        ((5, 7), (1, 1), 0, (0, 0)),
        ((1, 1), (1, 1), "same", (0, 0)),
    ],
)
def test_occlusion_covers_and_runs(kernel_size, stride, padding, low):
    net, x, target = network(), images(3), [2, 0, 2]
    got = occlusion(net, x, kernel_size, stride=stride, padding=padding, fill=0.7, target=target)
    size = output_size((H, W), kernel_size, stride=stride, padding=padding)
    want = covered_one_by_one(net, x, kernel_size, stride, *low, size, 0.7, target)
    assert got.shape == (3, *size)
    assert np.abs(want).max() > 0.1
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12)


def test_occlusion_by_default_has_a_value_for_each_pixel_and_covers_with_zero():
    net, x = network(), images(2)
    want = occlusion(net, x, 3, stride=1, padding="same", fill=0.0, target=net.predict(x))
    assert want.shape == (2, H, W)
    np.testing.assert_array_equal(occlusion(net, x, 3), want)


def test_what_the_network_does_not_see_costs_nothing():
    x = images(2)
    falls = occlusion(network(), x, 1)  # columns 1 to 5 reach the last layer
    assert falls[:, :, 1:6].any(axis=(0, 1)).all()
    np.testing.assert_allclose(falls[:, :, [0, 6]], 0, atol=1e-14)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"x": images()[0]}, ValueError, r"x must have the axes \(N, H, W, C\)"),
        ({"kernel_size": 0}, ValueError, "kernel_size must be at least 1"),
        ({"kernel_size": (6, 1), "padding": 0}, ValueError, "kernel_size .* covers 6 rows"),
        ({"stride": 0}, ValueError, "stride must be at least 1"),
        ({"padding": "full"}, ValueError, "padding must be"),
        ({"fill": np.nan}, ValueError, "fill must be finite, got nan"),
        ({"fill": "mean"}, TypeError, "fill must be a number, got 'mean'"),
    ],
)
def test_occlusion_refuses(arguments, error, message):
    with pytest.raises(error, match=message):
        occlusion(**{"network": network(), "x": images(), "kernel_size": 2, **arguments})


# --- principal components -------------------------------------------------------------------------


def test_points_in_a_plane_are_turned_and_nothing_else():
    rng = np.random.default_rng(0)
    flat = rng.standard_normal((30, 2)) * [3.0, 1.0]
    flat -= flat.mean(axis=0)
    basis = np.linalg.qr(rng.standard_normal((6, 2)))[0].T  # (2, 6), orthonormal rows
    points, components, ratio = principal_components(flat @ basis + 5.0)
    turn = flat.T @ points / (points**2).sum(axis=0)
    np.testing.assert_allclose(flat @ np.linalg.inv(turn).T, points, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(turn @ turn.T, np.eye(2), atol=1e-9)  # neither longer nor skew
    np.testing.assert_allclose(points @ components, flat @ basis, atol=1e-9)
    np.testing.assert_allclose(ratio.sum(), 1)


def test_components_are_eigenvectors_of_the_covariance_in_order():
    x = np.random.default_rng(0).standard_normal((40, 5)) * [1, 5, 2, 0.5, 3]
    points, components, ratio = principal_components(x, dimensions=5)
    np.testing.assert_allclose(components @ components.T, np.eye(5), atol=1e-12)
    covariance = np.cov(x.T)
    variances = points.var(axis=0, ddof=1)
    np.testing.assert_allclose(covariance @ components.T, components.T * variances, atol=1e-10)
    assert np.all(np.diff(variances) < 0)
    np.testing.assert_allclose(ratio, variances / np.trace(covariance))
    np.testing.assert_allclose(points, (x - x.mean(axis=0)) @ components.T, atol=1e-12)
    two = principal_components(x)
    for whole, part in zip((points[:, :2], components[:2], ratio[:2]), two, strict=True):
        np.testing.assert_allclose(part, whole)


def test_the_sign_of_a_component_is_fixed():
    for seed in range(5):
        x = np.random.default_rng(seed).standard_normal((12, 4))
        points, components, _ = principal_components(x, dimensions=3)
        assert np.all(components[range(3), np.abs(components).argmax(axis=1)] > 0)
        shuffled = np.random.default_rng(9).permutation(12)
        again = principal_components(x[shuffled], dimensions=3)
        np.testing.assert_allclose(again.points, points[shuffled], atol=1e-12)
        mirrored = principal_components(-x, dimensions=3)
        np.testing.assert_allclose(mirrored.components, components, atol=1e-12)
        np.testing.assert_allclose(mirrored.points, -points, atol=1e-12)


def test_components_keep_single_precision_and_the_argument():
    x = np.random.default_rng(0).standard_normal((12, 4))
    single = x.astype(np.float32)
    kept = single.copy()
    for one, other in zip(principal_components(single), principal_components(x), strict=True):
        assert one.dtype == np.float32
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(single, kept)
    assert principal_components([[0, 1], [2, 0]]).points.dtype == np.float64


def test_rows_that_are_equal_have_no_directions():
    rounded = principal_components(np.full((3, 2), 0.1))  # whose mean is not 0.1
    assert np.isnan(rounded.explained_variance_ratio).all()
    assert not rounded.points.any()
    points, _, ratio = principal_components(np.ones((3, 4)))
    np.testing.assert_array_equal(points, np.zeros((3, 2)))
    assert np.isnan(ratio).all()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"features": np.ones((4, 2, 2))}, ValueError, r"features must have the axes \(N, I\)"),
        ({"features": np.full((3, 3), np.inf)}, ValueError, "features must be finite"),
        ({"features": [["a"]]}, TypeError, "features must hold float32"),
        ({"dimensions": 4}, ValueError, r"at most 3 for features of shape \(3, 5\), got 4"),
        ({"dimensions": 0}, ValueError, "dimensions must be at least 1"),
        ({"features": np.ones((0, 5))}, ValueError, "dimensions must be at most 0"),
    ],
)
def test_principal_components_refuses(arguments, error, message):
    with pytest.raises(error, match=message):
        principal_components(**{"features": np.eye(3, 5), **arguments})


# --- plots are an extra ---------------------------------------------------------------------------


def run(code):
    """Run ``code`` in a Python of its own."""
    return subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )


def test_the_package_does_not_need_matplotlib():
    loaded = "any(name.startswith('matplotlib') for name in sys.modules)"
    done = run(f"import sys; from companion import *; print({loaded})")
    assert done.stdout.strip() == "False", done.stderr


def test_plots_say_what_they_need():
    done = run("import sys; sys.modules['matplotlib'] = None; import companion.plots")
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: companion.plots needs Matplotlib")
    assert last.endswith(': pip install "convnet-companion[plots]"')


@pytest.mark.parametrize(("labels", "said"), [([0, 3], [0, 1]), ([0, 1], [0, 3])])
def test_confusion_matrix_has_as_many_classes_as_the_largest_on_either_side(labels, said):
    assert confusion_matrix(labels, said).shape == (4, 4)


class Cut(ReLU):
    """Logits without the last example, or without a class."""

    def __init__(self, *part):
        super().__init__()
        self.part = part

    def forward(self, x):
        return super().forward(x)[self.part]


@pytest.mark.parametrize(
    ("part", "shape"), [((slice(0, 1),), r"\(1, 2\)"), ((slice(None), slice(0, 0)), r"\(2, 0\)")]
)
def test_logits_of_other_examples_and_of_no_class_are_refused(part, shape):
    with pytest.raises(ValueError, match=rf"must have shape \(2, K\), K >= 1, got shape {shape}"):
        most_confident_mistakes(Cut(*part), np.eye(2), [0, 1])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_one_feature_that_is_not_finite_is_refused(value):
    features = np.eye(3, 5)
    features[2, 4] = value
    with pytest.raises(ValueError, match="features must be finite, got NaN or infinity"):
        principal_components(features)

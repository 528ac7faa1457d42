"""Plots: what was given can be read back from the Axes, and nothing else is touched."""

import itertools

import numpy as np
import pytest

from companion import (
    Conv2D,
    ConvTranspose2D,
    Dense,
    Flatten,
    History,
    Misclassified,
    Projection,
    ReLU,
    activations,
    confusion_matrix,
    most_confident_mistakes,
    occlusion,
    principal_components,
    saliency,
)

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

from companion import plots  # noqa: E402

# Not what an old Matplotlib asks of a new pyparsing.
pytestmark = pytest.mark.filterwarnings("error", "default::DeprecationWarning:(?!companion)")

STYLES = {"default": "default", "the book's": "companion.book", "dark": "dark_background"}

_rng = np.random.default_rng(0)
X = _rng.random((7, 5, 6, 1))  # H != W
W = _rng.standard_normal((3, 2, 4, 5))
COUNTS = np.array([[84, 0, 2], [1, 120, 0], [0, 11, 3]])
FOUND = Misclassified(
    np.array([5, 0, 3]), np.array([1, 0, 2]), np.array([2, 1, 0]), np.array([0.998, 0.873, 0.5])
)
HISTORY = History(
    np.linspace(2, 1, 120) + 0.1 * _rng.random(120),
    np.array([1.9, 1.5, 1.1]),
    np.array([0.5, 0.7, 0.9]),
    np.array([1.8, 1.4, 1.2]),
    np.array([0.6, 0.75, 0.8]),
)
POINTS, LABELS = _rng.standard_normal((40, 2)), np.arange(40) % 12

CALLS = {
    "images": lambda **given: plots.images(X, range(7), columns=3, **given),
    "filters": lambda **given: plots.filters(W[:, :, :1], **given),
    "filters of many channels": lambda **given: plots.filters(W, **given),
    "activations": lambda **given: plots.activations(W[:, :, 0], range(5), **given),
    "confusion_matrix": lambda **given: plots.confusion_matrix(COUNTS, **given),
    "mistakes": lambda **given: plots.mistakes(X, FOUND, **given),
    "no mistakes": lambda **given: plots.mistakes(
        X, Misclassified(*(f[:0] for f in FOUND)), **given
    ),
    "saliency": lambda **given: plots.saliency(X[0], X[1] - 0.5, **given),
    "occlusion": lambda **given: plots.occlusion(X[0], X[1, :3, :2, 0] - 0.2, **given),
    "projection": lambda **given: plots.projection(POINTS, LABELS, **given),
    "learning_curves": lambda **given: plots.learning_curves(HISTORY, **given),
    "learning_curves of accuracy": lambda **given: plots.learning_curves(
        HISTORY, "accuracy", **given
    ),
    "probabilities": lambda **given: plots.probabilities({"a": [0.2, 0.8], "b": [1, 0]}, **given),
}
every = pytest.mark.parametrize("name", CALLS)


@pytest.fixture(autouse=True)
def no_figure_is_left_and_none_is_shown(monkeypatch):
    def show(*_, **__):
        pytest.fail("a plot must not call show")

    monkeypatch.setattr(plt, "show", show)
    assert not plt.get_fignums()
    with plt.style.context("default"):
        yield
    plt.close("all")


def shown(ax):
    """The pictures on an Axes."""
    return [np.asarray(image.get_array()) for image in ax.images]


def texts(ax):
    return [text.get_text() for text in ax.texts]


def assert_pictures(ax, expected):
    assert len(ax.images) == len(expected)
    for got, want in zip(shown(ax), expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12)


def middle(image):
    left, right, bottom, top = image.get_extent()
    return (left + right) / 2, (bottom + top) / 2


# --- what holds for all ---------------------------------------------------------------------------


@every
@pytest.mark.parametrize("style", STYLES)
def test_a_new_figure_as_wide_as_a_page_holds_all_of_it(name, style):
    with plt.style.context(STYLES[style]):
        settings = dict(matplotlib.rcParams)
        ax = CALLS[name]()
        assert isinstance(ax, matplotlib.axes.Axes)
        assert len(plt.get_fignums()) == 1
        assert dict(matplotlib.rcParams) == settings
        figure = ax.figure
        assert figure is plt.gcf()
        assert figure.get_figwidth() == plots.WIDTH == 5
        figure.draw_without_rendering()
        for part in figure.axes:
            box = part.get_tightbbox()
            assert box.x0 >= -1
            assert box.y0 >= -1
            assert box.x1 <= figure.bbox.x1 + 1
            assert box.y1 <= figure.bbox.y1 + 1


@every
def test_a_given_axes_is_drawn_into_and_returned(name):
    figure, axes = plt.subplots(1, 2, figsize=(9, 4))
    assert CALLS[name](ax=axes[1]) is axes[1]
    assert plt.get_fignums() == [figure.number]
    assert not axes[0].has_data()
    assert axes[1].has_data() or axes[1].texts
    with pytest.raises(TypeError, match=r"ax must be one Matplotlib Axes, got ndarray"):
        CALLS[name](ax=axes)


@every
def test_a_subfigure_will_do(name):
    _, right = plt.figure(figsize=(9, 4), layout="constrained").subfigures(1, 2)
    ax = right.subplots()
    assert CALLS[name](ax=ax) is ax
    plt.gcf().draw_without_rendering()


@pytest.mark.parametrize(
    "name", ["images", "filters", "activations", "mistakes", "saliency", "occlusion"]
)
@pytest.mark.parametrize("style", STYLES)
def test_pictures_fill_the_page_and_no_title_lies_on_one(name, style):
    with plt.style.context(STYLES[style]):
        ax = CALLS[name]()
    ax.figure.draw_without_rendering()
    assert ax.get_window_extent().width > 0.9 * ax.figure.bbox.width
    assert ax.texts
    for text in ax.texts:
        box = text.get_window_extent()
        for image in ax.images:
            left, right, bottom, top = image.get_extent()
            (x0, y0), (x1, y1) = ax.transData.transform([(left, bottom), (right, top)])
            assert not (box.x0 < x1 and x0 < box.x1 and box.y0 < y1 - 1 and y0 < box.y1), text


@every
def test_nothing_is_written_into_the_arguments(name):
    before = [array.copy() for array in (X, W, COUNTS, POINTS, LABELS, *HISTORY, *FOUND)]
    CALLS[name]()
    for array, kept in zip((X, W, COUNTS, POINTS, LABELS, *HISTORY, *FOUND), before, strict=True):
        np.testing.assert_array_equal(array, kept)


def test_what_the_package_computes_can_be_drawn():
    net = Flatten()  # its input as logits: enough of a network
    x = X[:, :1, :2]
    y = np.zeros(7, int)
    plots.activations(activations(Conv2D(1, 3, 2), X)[0][0])
    plots.confusion_matrix(confusion_matrix(y, x.reshape(7, 2).argmax(axis=1)))
    plots.mistakes(x, most_confident_mistakes(net, x, y))
    plots.saliency(x[0], saliency(net, x)[0])
    plots.occlusion(x[0], occlusion(net, x, 1)[0])
    plots.projection(principal_components(X.reshape(7, -1)), y)


# --- pictures -------------------------------------------------------------------------------------


def test_images_in_rows():
    ax = plots.images(X, "abcdefg", columns=3)
    assert_pictures(ax, X[..., 0])
    assert texts(ax) == list("abcdefg")
    places = [middle(image) for image in ax.images]
    across, down = zip(*places, strict=True)
    assert across[:3] == across[3:6]
    assert across[0] == across[6]
    assert across[0] < across[1] < across[2]
    assert len(set(down[:3])) == len(set(down[3:6])) == 1
    assert down[0] < down[3] < down[6]
    low, high = ax.get_ylim()
    assert low > high  # rows go down
    for image, text in zip(ax.images, ax.texts, strict=True):
        left, right, bottom, top = image.get_extent()
        assert (right - left, bottom - top) == pytest.approx((6, 5))  # pixels are square
        assert ax.get_aspect() == 1
        assert text.xy == (pytest.approx((left + right) / 2), top)  # above its own
        assert image.get_clim() == (0, X.max())
        assert image.get_interpolation() == "none"


def test_images_in_colour_and_images_below_zero():
    colours = _rng.random((2, 4, 3, 3))
    assert_pictures(plots.images(colours), colours)
    ax = plots.images(X - 0.5)
    assert ax.images[0].get_clim() == ((X - 0.5).min(), (X - 0.5).max())
    assert plots.images(np.zeros((1, 2, 2, 1))).images[0].get_clim() == (0, 1)
    blank = np.full((1, 2, 2, 1), np.nan)
    blank[0, 0, 0] = 3
    assert plots.images(blank).images[0].get_clim() == (0, 3)


@pytest.mark.parametrize(("n", "columns"), [(1, 1), (8, 8), (9, 8), (64, 8), (65, 16)])
def test_rows_of_a_suitable_length(n, columns):
    ax = plots.images(np.ones((n, 1, 1, 1)))
    assert len({middle(image)[0] for image in ax.images}) == columns


def test_filters_of_one_channel():
    ax = plots.filters(W[:, :, :1])
    assert_pictures(ax, [W[:, :, 0, k] for k in range(5)])
    assert texts(ax) == ["0", "1", "2", "3", "4"]
    largest = np.abs(W[:, :, 0]).max()
    assert {image.get_clim() for image in ax.images} == {(-largest, largest)}
    assert_pictures(plots.filters(W, channel=2), [W[:, :, 2, k] for k in range(5)])


def test_filters_of_many_channels_are_a_table():
    ax = plots.filters(W)
    assert_pictures(ax, [W[:, :, c, k] for c in range(4) for k in range(5)])
    places = np.array([middle(image) for image in ax.images]).reshape(4, 5, 2)
    np.testing.assert_allclose(ax.get_xticks(), places[0, :, 0])
    np.testing.assert_allclose(ax.get_yticks(), places[:, 0, 1])
    assert np.ptp(places[:, :, 0], axis=0).max() == np.ptp(places[:, :, 1], axis=1).max() == 0
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0", "1", "2", "3", "4"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["0", "1", "2", "3"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("kernel", "input channel")
    assert {image.get_clim() for image in ax.images} == {(-np.abs(W).max(), np.abs(W).max())}


def test_numbers_of_many_kernels_keep_to_their_own():
    ax = plots.filters(_rng.standard_normal((2, 2, 2, 40)))
    numbers = [int(label.get_text()) for label in ax.get_xticklabels()]
    assert len(numbers) <= 12
    places = [middle(ax.images[k])[0] for k in numbers]
    np.testing.assert_allclose(ax.get_xticks(), places)


def test_filters_of_a_layer():
    layer = Conv2D(1, 3, (2, 4))
    assert_pictures(plots.filters(layer), np.moveaxis(layer.params["w"][:, :, 0], 2, 0))
    dense = Dense(12, 3)
    ax = plots.filters(dense, input_shape=(3, 4, 1), columns=2, limit=9, colorbar=False)
    assert_pictures(ax, [dense.params["w"][:, k].reshape(3, 4) for k in range(3)])
    assert ax.images[0].get_clim() == (-9, 9)
    assert ax.figure.axes == [ax]
    per_channel = plots.filters(dense, input_shape=(3, 2, 2), channel=1)
    assert_pictures(per_channel, [dense.params["w"][1::2, k].reshape(3, 2) for k in range(3)])


def test_filters_of_a_transposed_convolution_are_read_by_input_and_output():
    layer = ConvTranspose2D(2, 3, (2, 4))  # w (kh, kw, C, K), from K to C
    ax = plots.filters(layer)
    assert (len(ax.get_yticks()), len(ax.get_xticks())) == (2, 3)
    assert_pictures(ax, [layer.params["w"][:, :, c, k] for k in range(2) for c in range(3)])


def test_the_colour_bar_is_that_of_the_weights():
    ax = plots.filters(W, limit=3)
    _, bar = ax.figure.axes
    assert bar.get_xlim() == (-3, 3)
    assert bar.get_xlabel() == "weight"


def test_maps_share_one_scale():
    maps = _rng.random((4, 3, 6))
    ax = plots.activations(maps)
    assert_pictures(ax, np.moveaxis(maps, 2, 0))
    assert {image.get_clim() for image in ax.images} == {(0, maps.max())}
    assert ax.images[0].get_cmap().name == "gray_r"
    signed = plots.activations(maps - 0.5)
    largest = np.abs(maps - 0.5).max()
    assert {image.get_clim() for image in signed.images} == {(-largest, largest)}
    assert signed.images[0].get_cmap() == plots.SIGNED
    assert not texts(ax)


def test_mistakes_under_what_was_said():
    ax = plots.mistakes(X, FOUND, names=["cat", "dog", "cow"])
    assert_pictures(ax, X[[5, 0, 3], :, :, 0])
    assert texts(ax) == [
        "is dog, said cow\nover 99% sure",
        "is cat, said dog\n87% sure",
        "is cow, said cat\n50% sure",
    ]
    assert texts(plots.mistakes(X, FOUND))[1] == "is 0, said 1\n87% sure"


def test_no_mistakes():
    ax = plots.mistakes(X, Misclassified(*(field[:0] for field in FOUND)))
    assert texts(ax) == ["no mistakes"]


def test_saliency_beside_its_image():
    gradient = X[1] - 0.4
    ax = plots.saliency(X[0], gradient)
    assert_pictures(ax, [X[0, :, :, 0], gradient[:, :, 0]])
    assert ax.images[1].get_clim() == (-np.abs(gradient).max(), np.abs(gradient).max())
    assert ax.figure.axes[1].get_xlabel() == "gradient of the logit"
    np.testing.assert_allclose(
        ax.images[1].to_rgba(np.zeros(1))[0], plots.SIGNED(0.5), atol=0.01
    )  # zero is in the middle
    assert plots.saliency(X[0], gradient, limit=7).images[1].get_clim() == (-7, 7)


def test_saliency_adds_up_channels():
    image, gradient = _rng.random((4, 3, 3)), _rng.standard_normal((4, 3, 3))
    assert_pictures(plots.saliency(image, gradient), [image, gradient.sum(axis=2)])


def test_occlusion_is_drawn_as_large_as_its_image():
    falls = _rng.standard_normal((3, 2))
    ax = plots.occlusion(X[0], falls)
    assert_pictures(ax, [X[0, :, :, 0], falls])
    for image in ax.images:
        left, right, bottom, top = image.get_extent()
        assert (right - left, bottom - top) == pytest.approx((6, 5))
    assert ax.images[1].get_clim() == (-np.abs(falls).max(), np.abs(falls).max())
    assert ax.figure.axes[1].get_xlabel() == "fall of the log-probability, nats"


# --- numbers --------------------------------------------------------------------------------------


def luminance(colour):
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in matplotlib.colors.to_rgb(colour)
    ]
    return np.dot(linear, [0.2126, 0.7152, 0.0722])


def contrast(one, other):
    dark, light = sorted([luminance(one), luminance(other)])
    return (light + 0.05) / (dark + 0.05)


def test_the_signed_scale_darkens_all_the_way():
    steps = [luminance(plots.SIGNED(step)) for step in range(plots.SIGNED.N)]
    assert np.all(np.diff(steps) < 0)


@pytest.mark.parametrize("cmap", ["Blues", "viridis", "gray_r"])
def test_counts_stand_in_their_cells(cmap):
    ax = plots.confusion_matrix(COUNTS, ["a", "b", "c"], cmap=cmap)
    assert_pictures(ax, [COUNTS])
    written = {text.get_position(): text for text in ax.texts}
    assert len(written) == np.count_nonzero(COUNTS)
    for (j, i), text in written.items():
        assert text.get_text() == str(COUNTS[i, j])
        cell = ax.images[0].to_rgba(COUNTS[i, j])
        assert contrast(text.get_color(), cell) >= 4.5
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("true class", "predicted class")
    for axis in (ax.xaxis, ax.yaxis):
        assert [label.get_text() for label in axis.get_ticklabels()] == ["a", "b", "c"]
    low, high = ax.get_ylim()
    assert low > high  # class 0 above


def test_many_classes_and_large_counts_stay_apart():
    rng = np.random.default_rng(0)
    for K, largest in [(10, 9999), (26, 99)]:
        ax = plots.confusion_matrix(rng.integers(largest // 2, largest, (K, K)))
        ax.figure.draw_without_rendering()
        pitch = ax.get_window_extent().width / K
        widest = max(text.get_window_extent().width for text in ax.texts)
        assert 0.4 * pitch < widest < pitch


def test_an_empty_confusion_matrix_and_default_names():
    ax = plots.confusion_matrix(np.zeros((2, 2), int))
    assert texts(ax) == []
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0", "1"]


@pytest.mark.parametrize("style", STYLES)
def test_points_are_their_digits_in_readable_colours(style):
    with plt.style.context(STYLES[style]):
        ax = plots.projection(POINTS, LABELS)
    assert [points.get_label() for points in ax.collections] == [str(k) for k in range(12)]
    for k, points in enumerate(ax.collections):
        np.testing.assert_array_equal(points.get_offsets(), POINTS[k == LABELS])
        assert contrast(points.get_facecolor()[0], ax.get_facecolor()) >= 4.5
        expected = matplotlib.markers.MarkerStyle(f"${k}$")
        (path,) = points.get_paths()
        expected = expected.get_path().transformed(expected.get_transform())
        np.testing.assert_allclose(path.vertices, expected.vertices)
    colours = {tuple(points.get_facecolor()[0]) for points in ax.collections[:10]}
    assert len(colours) == 10


def test_parts_of_the_variance_at_the_axes():
    ax = plots.projection(Projection(POINTS, np.eye(2), np.array([0.617, 0.2])), LABELS)
    assert ax.get_xlabel() == "component 1 (62% of the variance)"
    assert ax.get_ylabel() == "component 2 (20% of the variance)"
    plain = plots.projection(POINTS, LABELS)
    assert (plain.get_xlabel(), plain.get_ylabel()) == ("component 1", "component 2")


def test_losses_batch_by_batch():
    ax = plots.learning_curves(HISTORY, window=5)
    batches, means, validation = ax.lines
    np.testing.assert_allclose(batches.get_xdata(), np.arange(120) / 40)
    np.testing.assert_array_equal(batches.get_ydata(), HISTORY.step_loss)
    of_five = [HISTORY.step_loss[t - 2 : t + 3].mean() for t in range(2, 118)]
    np.testing.assert_allclose(means.get_xdata(), np.arange(2, 118) / 40)
    np.testing.assert_allclose(means.get_ydata(), of_five)
    np.testing.assert_array_equal(validation.get_xdata(), [1, 2, 3])
    np.testing.assert_array_equal(validation.get_ydata(), HISTORY.validation_loss)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "one batch",
        "mean of 5 batches",
        "validation",
    ]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "loss")


def test_too_few_batches_for_a_mean():
    history = HISTORY._replace(step_loss=HISTORY.step_loss[:24], validation_loss=np.array([]))
    (batches,) = plots.learning_curves(history).lines
    np.testing.assert_array_equal(batches.get_ydata(), history.step_loss)
    assert len(plots.learning_curves(HISTORY, window=120).lines) == 3
    assert len(plots.learning_curves(HISTORY, window=1).lines) == 2


def test_several_histories_in_one_axes():
    ax = plots.learning_curves(HISTORY, label="right", batches=False)
    plots.learning_curves(HISTORY, label="wrong", batches=False, ax=ax)
    assert [line.get_label() for line in ax.lines] == [
        "right, mean of 25 batches",
        "right, validation",
        "wrong, mean of 25 batches",
        "wrong, validation",
    ]
    assert len({line.get_color() for line in ax.lines}) == 4


def test_accuracies_where_they_were_taken():
    training, validation = (ax := plots.learning_curves(HISTORY, "accuracy")).lines
    np.testing.assert_array_equal(training.get_xdata(), [0.5, 1.5, 2.5])
    np.testing.assert_array_equal(training.get_ydata(), HISTORY.train_accuracy)
    np.testing.assert_array_equal(validation.get_xdata(), [1, 2, 3])
    np.testing.assert_array_equal(validation.get_ydata(), HISTORY.validation_accuracy)
    assert training.get_marker() != validation.get_marker()
    assert ax.yaxis.get_major_formatter()(0.5, 0).startswith("50")
    alone = HISTORY._replace(validation_accuracy=np.array([]))
    assert len(plots.learning_curves(alone, "accuracy").lines) == 1


def test_bars_side_by_side():
    rows = {"before": [0.2, 0.5, 0.3], "after": [0.9, 0.1, 0.0]}
    ax = plots.probabilities(rows, ["cat", "dog", "cow"])
    edges = []
    for (name, row), bars in zip(rows.items(), ax.containers, strict=True):
        assert bars.get_label() == name
        assert [bar.get_height() for bar in bars] == row
        for k, bar in enumerate(bars):
            assert bar.get_hatch() == bars[0].get_hatch()
            edges.append((bar.get_x(), bar.get_x() + bar.get_width(), k))
    for left, right, k in edges:
        assert k - 0.5 < left < right < k + 0.5
    edges.sort()
    assert all(one[1] <= other[0] + 1e-9 for one, other in itertools.pairwise(edges))
    assert ax.containers[0][0].get_hatch() != ax.containers[1][0].get_hatch()
    assert [label.get_text() for label in ax.get_xticklabels()] == ["cat", "dog", "cow"]
    alone = plots.probabilities([0.25, 0.75])
    assert [bar.get_x() + bar.get_width() / 2 for bar in alone.patches] == pytest.approx([0, 1])
    assert alone.get_legend() is None


# --- the door -------------------------------------------------------------------------------------

REFUSED = [
    (plots.images, (X[0],), {}, ValueError, r"x must have the axes \(N, H, W, C\), got shape"),
    (plots.images, (X[:0],), {}, ValueError, r"x must not be empty, got shape \(0, 5, 6, 1\)"),
    (plots.images, (W,), {}, ValueError, "x must have 1 channel or 3, got 5"),
    (plots.images, (X, ["one"]), {}, ValueError, "titles must have 7 entries, got 1"),
    (plots.images, (X,), {"columns": 0}, ValueError, "columns must be at least 1, got 0"),
    (plots.images, (X * 1j,), {}, TypeError, "x must hold float32"),
    (plots.filters, (ReLU(),), {}, ValueError, 'weights must be a layer with the parameter "w"'),
    (plots.filters, (Dense(4, 2),), {}, ValueError, r"weights must have the axes .* \(4, 2\)"),
    (plots.filters, (W,), {"input_shape": (3, 2, 4)}, ValueError, "weights must have the axes"),
    (
        plots.filters,
        (Dense(4, 2),),
        {"input_shape": (2, 3, 1)},
        ValueError,
        r"input_shape must be .* = 4, the rows of weights, got \(2, 3, 1\)",
    ),
    (plots.filters, (Dense(4, 2),), {"input_shape": (2, 2)}, ValueError, "input_shape must be"),
    (plots.filters, (Dense(4, 2),), {"input_shape": 4}, TypeError, "input_shape must be a tuple"),
    (plots.filters, (W,), {"channel": 4}, ValueError, "channel must be below the 4 input ch.* 4"),
    (plots.filters, (W,), {"channel": -1}, ValueError, "channel must be at least 0, got -1"),
    (plots.filters, (W,), {"limit": 0}, ValueError, "limit must be above 0 and finite, got 0"),
    (plots.filters, (W,), {"colorbar": "no"}, TypeError, "colorbar must be True or False"),
    (plots.activations, (X,), {}, ValueError, r"maps must have the axes \(H, W, K\), got shape"),
    (plots.activations, (W[..., 0], "ab"), {}, ValueError, "titles must have 4 entries, got 2"),
    (plots.confusion_matrix, (COUNTS[:2],), {}, ValueError, r"matrix must have shape \(K, K\)"),
    (plots.confusion_matrix, (COUNTS / 2,), {}, TypeError, "matrix must be integers, got dtype fl"),
    (plots.confusion_matrix, (-COUNTS,), {}, ValueError, "counts of at least 0, got -120"),
    (plots.confusion_matrix, (COUNTS, "ab"), {}, ValueError, "names must have 3 entries, got 2"),
    (plots.confusion_matrix, (COUNTS[:0, :0],), {}, ValueError, "matrix must not be empty"),
    (plots.mistakes, (X, FOUND.positions), {}, TypeError, "found must be the Misclassified of"),
    (plots.mistakes, (X[:5], FOUND), {}, ValueError, "x must be the images .* 5, got 5 images"),
    (plots.mistakes, (X, FOUND), {"names": "ab"}, ValueError, "names must name at least 3 cl.* 2"),
    (plots.mistakes, (X, FOUND), {"columns": 1.5}, TypeError, "columns must be an integer"),
    (plots.saliency, (X, X), {}, ValueError, r"image must have the axes \(H, W, C\), got shape"),
    (plots.saliency, (X[0], X[0, :4]), {}, ValueError, r"gradient must have the shape \(5, 6, 1\)"),
    (plots.saliency, (X[0], X[0]), {"limit": -1}, ValueError, "limit must be above 0"),
    (plots.occlusion, (X[0], X[0]), {}, ValueError, r"falls must have the axes \(Ho, Wo\)"),
    (plots.occlusion, (W[0], X[0, :, :, 0]), {}, ValueError, "image must have 1 channel or 3"),
    (plots.projection, (X[0, :, :, 0], LABELS), {}, ValueError, r"points must have shape \(N, 2"),
    (plots.projection, (POINTS[:0], LABELS[:0]), {}, ValueError, "points must have shape"),
    (plots.projection, (POINTS, LABELS[:3]), {}, ValueError, r"labels must have shape \(40,\)"),
    (plots.projection, (POINTS, LABELS / 2), {}, TypeError, "labels must be integers, got dtype"),
    (plots.learning_curves, ([1, 2],), {}, TypeError, "history must be the History of fit, got li"),
    (plots.learning_curves, (HISTORY, "error"), {}, ValueError, "what must be .*, got 'error'"),
    (plots.learning_curves, (HISTORY,), {"window": 0}, ValueError, "window must be at least 1"),
    (plots.learning_curves, (HISTORY,), {"batches": 1}, TypeError, "batches must be True or False"),
    (
        plots.learning_curves,
        (History(*[np.array([])] * 5),),
        {},
        ValueError,
        "history must hold at least one epoch, got none",
    ),
    (plots.probabilities, ([[0.5, 0.5]],), {}, ValueError, r"a must have the axes \(K\)"),
    (plots.probabilities, ([0.5, 1.5],), {}, ValueError, r"a must hold probab.*\[0.5, 1.5\]"),
    (plots.probabilities, ({},), {}, ValueError, "a must hold at least one row"),
    (plots.probabilities, ({"u": [1], "v": [0, 1]},), {}, ValueError, "one length .* 2 in 'v'"),
    (plots.probabilities, ([0.5, 0.5], ["x"]), {}, ValueError, "names must have 2 entries, got 1"),
]


@pytest.mark.parametrize(("function", "arguments", "settings", "error", "message"), REFUSED)
def test_refused_before_a_figure_is_made(function, arguments, settings, error, message):
    with pytest.raises(error, match=message):
        function(*arguments, **settings)
    assert not plt.get_fignums()


@pytest.mark.parametrize(
    ("call", "count"),
    [
        (lambda **given: plots.images(X, **given), 7),
        (lambda **given: plots.filters(W, **given), 20),
        (lambda **given: plots.activations(W[..., 0], **given), 4),
        (lambda **given: plots.confusion_matrix(COUNTS, **given), 1),
        (lambda **given: plots.mistakes(X, FOUND, **given), 3),
        (lambda **given: plots.saliency(X[0], X[1], **given), 1),
        (lambda **given: plots.occlusion(X[0], X[1, :3, :2, 0], **given), 1),
    ],
)
def test_the_colours_asked_for_are_those_of_every_picture_but_an_image_beside(call, count):
    assert [image.get_cmap().name for image in call(cmap="plasma").images][-count:] == (
        ["plasma"] * count
    )


def test_the_scale_is_that_of_what_is_shown():
    w = np.ones((2, 2, 2, 3))
    w[:, :, 1] = 9
    assert plots.filters(w, channel=0).images[0].get_clim() == (-1, 1)
    x = X.copy()
    x[1] = 50  # an image that was read well
    assert plots.mistakes(x, FOUND).images[0].get_clim() == (0, X[[5, 0, 3]].max())
    falls = np.array([[0.5, -2.0]])
    assert plots.occlusion(X[0], falls, limit=7).images[1].get_clim() == (-7, 7)


def test_a_scale_of_zeros_and_one_of_numbers_that_are_not_finite():
    assert plots.activations(np.zeros((2, 2, 1))).images[0].get_clim() == (0, 1)
    w = np.array([np.nan, np.inf, -3.0, 1.0]).reshape(2, 2, 1, 1)
    assert plots.filters(w).images[0].get_clim() == (-3, 3)


def test_a_frame_around_each_picture_and_none_in_a_table():
    assert len(plots.images(X).patches) == 7
    assert len(plots.filters(W[:, :, :1]).patches) == 5
    assert len(plots.filters(W).patches) == 0


def test_pictures_without_a_colour_bar_need_no_room_for_one():
    with_bar, without = (plots.filters(W[:, :, :1], colorbar=bar) for bar in (True, False))
    assert with_bar.figure.get_figheight() - without.figure.get_figheight() == pytest.approx(0.65)


@pytest.mark.parametrize("size", [(9, 4), (3, 8), (8, 2)])
def test_no_title_lies_on_a_picture_of_a_given_axes(size):
    _, ax = plt.subplots(figsize=size, layout="constrained")
    plots.images(X, [*"abcd", "two\nlines", *"fg"], columns=3, ax=ax)
    ax.figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in ax.texts]
    for image in ax.images:
        left, right, bottom, top = image.get_extent()
        (x0, y0), (x1, y1) = ax.transData.transform([(left, bottom), (right, top)])
        for box in boxes:
            assert not (box.x0 < x1 and x0 < box.x1 and box.y0 < y1 - 1 and y0 < box.y1)


def test_the_titles_with_most_lines_decide_the_room_above():
    def height(titles):
        return plots.images(X[:2], titles).figure.get_figheight()

    assert height(["one", "two\nlines"]) == height(["two\nlines"] * 2) > height(["one", "one"])


def test_the_middle_of_the_colours_is_at_a_quarter_of_the_largest_count():
    assert plots.confusion_matrix([[80, 0], [0, 4]]).images[0].norm(20) == pytest.approx(0.5)


def test_few_classes_are_written_no_larger_than_other_text_and_long_names_aslant():
    short, long = (
        plots.confusion_matrix(np.eye(2, dtype=int), n) for n in (["a"] * 2, ["long"] * 2)
    )
    assert {text.get_fontsize() for text in short.texts} == {plt.rcParams["font.size"]}
    for ax, turned in ((short, 0), (long, 45)):
        assert {label.get_rotation() for label in ax.get_xticklabels()} == {turned}
        assert {label.get_rotation() for label in ax.get_yticklabels()} == {0}


def extents(texts, figure):
    """Where texts stand, from left to right and from bottom to top, once they are drawn."""
    figure.draw_without_rendering()
    return [text.get_window_extent() for text in texts if text.get_text()]


def apart(boxes):
    return not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))


@pytest.mark.parametrize("names", [None, ["automobile", "aeroplane", *"abcdefghijkl"]])
def test_titles_of_mistakes_stand_apart(names):
    found = Misclassified(*(np.tile(field, 3) for field in FOUND))
    ax = plots.mistakes(X, found, names=names)
    assert apart(extents(ax.texts, ax.figure))
    usual = {text.get_fontsize() for text in ax.texts} == {plt.rcParams["font.size"]}
    assert usual == (names is None)


@pytest.mark.parametrize(
    ("K", "names"), [(10, None), (150, None), (4, ["automobile", "aeroplane", "ship", "cat"])]
)
def test_names_under_bars_stand_apart(K, names):
    names = names and names * 5
    ax = plots.probabilities(np.full(len(names or range(K)), 0.01), names)
    labels = ax.get_xticklabels()
    assert apart(extents(labels, ax.figure))
    assert len(labels) == (len(names) if names else min(K, 12))
    assert [label.get_text() for label in labels] == (
        names or [str(int(place)) for place in ax.get_xticks()]
    )


def test_colours_are_readable_on_the_paper_behind_a_transparent_axes():
    figure, ax = plt.subplots(facecolor="none")
    ax.set_facecolor("none")
    plots.projection(POINTS, LABELS, ax=ax)
    assert all(contrast(points.get_facecolor()[0], "white") >= 4.5 for points in ax.collections)
    figure.set_facecolor("black")
    ax.clear()
    ax.set_facecolor((1, 1, 1, 0.1))
    plots.projection(POINTS, LABELS, ax=ax)
    assert all(contrast(points.get_facecolor()[0], "black") >= 4.5 for points in ax.collections)


def test_a_curve_of_one_point_is_seen():
    one = History(*(np.array(values) for values in ([0.7], [0.7], [0.5], [], [])))
    for what, marker in (("loss", "o"), ("accuracy", "o")):
        (line,) = plots.learning_curves(one, what, window=1).lines
        assert line.get_marker() == marker
    (line,) = plots.learning_curves(one._replace(step_loss=np.ones(2)), window=1).lines
    assert line.get_marker() == "None"
    *_, line = plots.learning_curves(one._replace(step_loss=np.ones(9)), window=9).lines
    assert line.get_marker() == "o"


def test_mistakes_stand_three_in_a_row_unless_told():
    found = Misclassified(*(np.tile(field, 2) for field in FOUND))
    assert len({middle(image)[0] for image in plots.mistakes(X, found).images}) == 3


@pytest.mark.parametrize(("right", "said"), [(3, 0), (0, 3)])
def test_mistakes_name_the_classes_that_occur_and_more_names_may_be_given(right, said):
    found = Misclassified(*(np.array([v]) for v in (0, right, said, 0.6)))
    assert texts(plots.mistakes(X, found)) == [f"is {right}, said {said}\n60% sure"]
    assert texts(plots.mistakes(X, found, names="abcdef")) == [
        f"is {'abcd'[right]}, said {'abcd'[said]}\n60% sure"
    ]
    with pytest.raises(ValueError, match="names must name at least 4 classes, got 3"):
        plots.mistakes(X, found, names="abc")


@pytest.mark.parametrize(
    ("confidence", "says"),
    [(0.991, "99%"), (0.9949, "99%"), (0.995, "over 99%"), (0.99999, "over 99%"), (1.0, "100%")],
)
def test_only_the_sure_are_a_hundred_percent_sure(confidence, says):
    found = Misclassified(*(np.array([v]) for v in (0, 1, 2, confidence)))
    assert texts(plots.mistakes(X, found)) == [f"is 1, said 2\n{says} sure"]


def test_no_mistakes_have_no_axes():
    assert not plots.mistakes(X, Misclassified(*(field[:0] for field in FOUND))).axison


def test_a_point_of_two_digits_is_as_high_as_one_of_one():
    one, two = plots.projection([[0, 0], [1, 1]], [7, 12]).collections
    assert (one.get_label(), two.get_label()) == ("7", "12")
    assert two.get_sizes() == 2 * one.get_sizes()


def test_a_label_comes_before_every_name_of_the_legend():
    def names(**given):
        legend = plots.learning_curves(HISTORY, label="mine", **given).get_legend()
        return [text.get_text() for text in legend.get_texts()]

    assert names() == ["mine, one batch", "mine, mean of 25 batches", "mine, validation"]
    assert names(window=1) == ["mine, one batch", "mine, validation"]
    assert names(what="accuracy") == ["mine, training", "mine, validation"]


def test_epochs_are_whole_numbers():
    for what in ("loss", "accuracy"):
        ticks = plots.learning_curves(HISTORY, what).get_xticks()
        np.testing.assert_array_equal(ticks, np.rint(ticks))


def test_bars_stand_from_left_to_right_under_their_names_and_go_up_to_one():
    ax = plots.probabilities({"before": [0.5, 0.5], "after": [0.1, 0.9]})
    first, second = (bars[0].get_x() for bars in ax.containers)
    assert first < second
    assert ax.get_ylim() == (0, 1.05)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("class", "probability")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["before", "after"]


@pytest.mark.parametrize(
    ("backend", "asked"), [("agg", []), ("module://matplotlib_inline.backend_inline", ["svg"])]
)
def test_only_a_notebook_is_asked_for_svg(monkeypatch, backend, asked):
    inline = pytest.importorskip("matplotlib_inline.backend_inline")
    formats = []
    monkeypatch.setattr(inline, "set_matplotlib_formats", lambda *f, **_: formats.extend(f))
    monkeypatch.setattr(plt, "get_backend", lambda: backend)
    with plt.rc_context():
        plots.use_style()
        assert plt.rcParams["svg.hashsalt"] == "companion"
    assert formats == asked


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (plots.activations, (X[:0, :, :, 0],), r"maps must not be empty, got shape \(0, 5, 6\)"),
        (plots.occlusion, (X[0], X[0, :0, :, 0]), r"falls must not be empty, got shape \(0, 6\)"),
    ],
)
def test_nothing_to_draw_is_refused(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        function(*arguments)
    assert not plt.get_fignums()

"""The explorers without a browser: their numbers, their HTML, their doors, their live traits."""

import gzip
import itertools
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec

import numpy as np
import pytest

from companion import conv2d, conv2d_backward
from companion.widgets import explore_conv
from companion.widgets.conv import ConvExplorer

SETTINGS = list(itertools.product(range(1, 6), range(1, 4), range(3), range(1, 3)))
NAMES = ("kernel_size", "stride", "padding", "dilation")
RNG = np.random.default_rng(5)
X = RNG.normal(size=(5, 8))
W = RNG.normal(size=(2, 3))
DZ = RNG.normal(size=(8, 11))

live = pytest.mark.skipif(find_spec("anywidget") is None, reason="the extra widgets is absent")


def static(monkeypatch, *arguments, **settings):
    """Return the explorer that a kernel without anywidget shows."""
    monkeypatch.setattr("companion.widgets.conv.find_spec", lambda _: None)
    explorer = explore_conv(*arguments, **settings)
    assert isinstance(explorer, ConvExplorer)
    return explorer


def bundle(explorer):
    """Return the data that a notebook keeps, by MIME type."""
    data = explorer._repr_mimebundle_()
    return data[0] if isinstance(data, tuple) else data


def state(html):
    """Return what the HTML carries for its script."""
    return json.loads(re.search(r'<script type="application/json">(.*?)</script>', html)[1])


def looked_up(state, settings):
    """Put a frame together as the page does."""
    frame = {}
    for part in state["parts"]:
        frame |= part["of"][",".join(str(settings[name]) for name in part["by"])]
    return frame


def test_the_page_carries_the_packages_numbers_for_every_setting(monkeypatch):
    stored = state(bundle(static(monkeypatch))["text/html"])
    fitting = 0
    for values in SETTINGS:
        settings = dict(zip(NAMES, values, strict=True))
        frame = looked_up(stored, settings)
        geometry = {name: settings[name] for name in NAMES[1:]}
        x, w = np.array(frame["x"]), np.array(frame["w"])
        assert x.shape == (6, 6)
        assert w.shape == (settings["kernel_size"],) * 2
        if 6 + 2 * geometry["padding"] < geometry["dilation"] * (len(w) - 1) + 1:
            assert set(frame["problem"]) == {"forward", "backward"}
            assert "kernel_size" in frame["problem"]["forward"]
            continue
        fitting += 1
        z = conv2d(x[None, ..., None], w[..., None, None], **geometry)
        np.testing.assert_array_equal(np.array(frame["z"]), z[0, ..., 0])
        Ho, Wo = z.shape[1:3]
        dz = np.array(frame["dz"])[None, :Ho, :Wo, None]
        dx, _, _ = conv2d_backward(dz, x[None, ..., None], w[..., None, None], **geometry)
        np.testing.assert_array_equal(np.array(frame["dx"]), dx[0, ..., 0])
    assert fitting == 81


def test_the_examples_tell_every_place_and_direction_apart(monkeypatch):
    frame = looked_up(
        state(bundle(static(monkeypatch))["text/html"]),
        {"kernel_size": 3, "stride": 1, "padding": 0, "dilation": 1},
    )
    for name in ("x", "w", "dz"):
        table = np.array(frame[name])
        turned = [np.rot90(table, k) for k in (1, 2, 3)]
        others = [*turned, *(t.T for t in (table, *turned))]
        assert not any(np.array_equal(table, other) for other in others)
    assert 0 not in np.array(frame["dz"])
    assert len(np.unique(frame["dz"])) > 2


def test_the_readers_arrays(monkeypatch):
    explorer = static(monkeypatch, X, W, DZ, stride=2, padding=1)
    frame = looked_up(
        state(bundle(explorer)["text/html"]), {"stride": 2, "padding": 1, "dilation": 1}
    )
    assert frame["x"] == X.tolist()
    assert frame["w"] == W.tolist()
    z = conv2d(X[None, ..., None], W[..., None, None], stride=2, padding=1)[0, ..., 0]
    np.testing.assert_array_equal(frame["z"], z)
    dz = DZ[: z.shape[0], : z.shape[1]]
    dx, _, _ = conv2d_backward(
        dz[None, ..., None], X[None, ..., None], W[..., None, None], stride=2, padding=1
    )
    np.testing.assert_array_equal(frame["dx"], dx[0, ..., 0])


def test_later_changes_to_the_readers_arrays_do_not_matter(monkeypatch):
    x = X.copy()
    explorer = static(monkeypatch, x)
    before = bundle(explorer)
    x[0, 0] = 100
    assert bundle(explorer) == before


def test_a_gradient_too_small_for_a_setting_leaves_the_forward_view(monkeypatch):
    explorer = static(monkeypatch, X, W, np.ones((2, 3)), stride=2)
    frame = explorer.frame({"stride": 1, "padding": 0, "dilation": 1})
    assert list(frame["problem"]) == ["backward"]
    assert np.shape(frame["z"]) == (4, 6)


def test_a_large_image_is_stored_for_one_setting(monkeypatch):
    stored = state(bundle(static(monkeypatch, np.ones((28, 28)), stride=2))["text/html"])
    assert [control["name"] for control in stored["controls"]] == ["mode"]
    assert "stride 2" in stored["note"]
    assert np.shape(looked_up(stored, {})["z"]) == (13, 13)


class Markup(HTMLParser):
    """Reads text outside scripts and styles; knows what each tag opened."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self._silent = [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._silent = tag in ("script", "style")

    def handle_endtag(self, _):
        self._silent = False

    def handle_data(self, data):
        if not self._silent:
            self.text.append(data)


def test_the_html_is_light_and_stands_alone(monkeypatch):
    html = bundle(static(monkeypatch))["text/html"]
    assert len(html.encode()) <= 40_000
    assert len(gzip.compress(html.encode())) <= 12_000
    assert "http" not in html
    assert re.search(r"\b(import|fetch)\b\s*\(", html) is None
    assert [attrs.get("src") for tag, attrs in Markup(html).tags if tag == "script"] == [None, None]


@pytest.mark.parametrize(
    ("mode", "captions"),
    [
        ("forward", ["Input x", "Kernel w", "Output z"]),
        ("backward", ["Input x", "Kernel w", "Incoming dz", "Gradient dx"]),
    ],
)
def test_without_scripts_there_are_tables(monkeypatch, mode, captions):
    markup = Markup(bundle(static(monkeypatch, mode=mode))["text/html"])
    text = "".join(f" {part} " for part in markup.text)
    assert f"kernel size 3, stride 1, padding 0, dilation 1, mode {mode}." in text
    assert [part for part in markup.text if re.match("[A-Z][a-z]+ [a-z]+$", part)] == captions
    cells = sum(tag == "td" for tag, _ in markup.tags)
    assert cells == 36 + 9 + (16 if mode == "forward" else 16 + 36)


def test_the_bundle_is_the_same_each_time_and_names_the_call(monkeypatch):
    first, second = (bundle(static(monkeypatch, stride=2)) for _ in range(2))
    assert first == second
    call = "explore_conv(kernel_size=3, stride=2, padding=0, dilation=1, mode='forward')"
    assert first["text/plain"] == call


BAD = [
    ({"x": np.ones((2, 3, 4))}, ValueError, "x must have the axes (H, W)"),
    ({"x": np.ones((0, 3))}, ValueError, "x must have 1 to 32 rows"),
    ({"x": np.ones((33, 3))}, ValueError, "x must have 1 to 32 rows"),
    ({"x": [[1.0, np.nan]]}, ValueError, "x must hold finite numbers, got nan"),
    ({"x": [["a"]]}, TypeError, "x must hold"),
    ({"x": [[1], [2, 3]]}, ValueError, "x must be an array of numbers"),
    ({"x": np.ones((2, 9))}, ValueError, "kernel_size (3, 3)"),
    ({"w": np.ones(3)}, ValueError, "w must have the axes (kh, kw)"),
    ({"w": [[np.inf]]}, ValueError, "w must hold finite numbers, got inf"),
    ({"w": np.ones((7, 2))}, ValueError, "kernel_size (7, 2)"),
    ({"w": W, "kernel_size": 2}, ValueError, "kernel_size must be left out"),
    ({"dz": np.ones((4, 3))}, ValueError, "dz must have at least the shape (4, 4)"),
    ({"dz": np.ones(4)}, ValueError, "dz must have the axes (Ho, Wo)"),
    ({"kernel_size": 0}, ValueError, "kernel_size must be at least 1"),
    ({"kernel_size": 6}, ValueError, "kernel_size must be at most 5"),
    ({"stride": 4}, ValueError, "stride must be at most 3"),
    ({"stride": 1.5}, TypeError, "stride must be made of integers"),
    ({"padding": -1}, ValueError, "padding must be at least 0"),
    ({"padding": 3}, ValueError, "padding must be at most 2"),
    ({"dilation": 3}, ValueError, "dilation must be at most 2"),
    ({"kernel_size": 5, "dilation": 2}, ValueError, "kernel_size (5, 5) with dilation 2"),
    ({"mode": "sideways"}, ValueError, 'mode must be "forward" or "backward"'),
]


@pytest.mark.parametrize(("arguments", "error", "message"), BAD, ids=lambda value: str(value)[:40])
def test_bad_input_is_refused_by_name(arguments, error, message):
    with pytest.raises(error, match=re.escape(message)):
        explore_conv(**arguments)


def test_the_package_does_not_load_its_widgets():
    check = "import companion, sys; assert not [m for m in sys.modules if 'widget' in m]"
    subprocess.run([sys.executable, "-c", check], check=True)  # noqa: S603


@live
class TestLive:
    def test_bundle_has_both_forms(self, monkeypatch):
        data = bundle(explore_conv(padding=1))
        assert "model_id" in data["application/vnd.jupyter.widget-view+json"]
        still = bundle(static(monkeypatch, padding=1))
        assert {key: data[key] for key in still} == still

    def test_the_frame_follows_the_settings(self):
        widget = explore_conv()
        seen = []
        widget.observe(lambda change: seen.append(change["new"]["z"]), names="frame")
        widget.stride = 2
        widget.kernel_size = 2
        x, w = np.array(widget.frame["x"]), np.array(widget.frame["w"])
        z = conv2d(x[None, ..., None], w[..., None, None], stride=2)[0, ..., 0]
        assert w.shape == (2, 2)
        np.testing.assert_array_equal(widget.frame["z"], z)
        assert [np.shape(table) for table in seen] == [(2, 2), (3, 3)]
        assert "stride=2" in repr(widget)
        assert state(bundle(widget)["text/html"])["stride"] == 2

    def test_the_cell_stays_on_the_grid(self):
        widget = explore_conv()
        widget.cell = (9, 2)
        assert widget.cell == [3, 2]
        widget.stride = 3
        assert widget.cell == [1, 1]
        widget.mode = "backward"
        widget.cell = (5, -1)
        assert widget.cell == [5, 0]

    def test_settings_that_do_not_fit_are_a_message_not_an_error(self):
        widget = explore_conv(X)
        widget.set_trait("dilation", 2)
        widget.kernel_size = 5
        assert "covers 9 rows" in widget.frame["problem"]["forward"]
        widget.dilation = 1
        assert "problem" not in widget.frame

    def test_what_is_no_setting_is_refused(self):
        from traitlets import TraitError

        widget = explore_conv()
        for name, value in [
            ("stride", 4),
            ("padding", -1),
            ("kernel_size", None),
            ("dilation", "2"),
            ("mode", "up"),
            ("cell", [1]),
        ]:
            with pytest.raises(TraitError):
                setattr(widget, name, value)
        assert (widget.stride, widget.kernel_size, widget.mode) == (1, 3, "forward")

    def test_the_readers_kernel_fixes_its_size(self):
        from traitlets import TraitError

        widget = explore_conv(X, W, DZ)
        assert widget.kernel_size is None
        assert "kernel_size" not in [control["name"] for control in widget.controls]
        with pytest.raises(TraitError, match=r"fixed by w, of shape \(2, 3\)"):
            widget.kernel_size = 2
        widget.padding = 2
        assert np.shape(widget.frame["z"]) == (8, 10)

"""What all explorers promise without a browser: their HTML, their controls, their live traits."""

import gzip
import inspect
import itertools
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec

import numpy as np
import pytest

from companion import widgets
from companion.widgets import _controls, _display

NAMES = [name for name in widgets.__all__ if name.startswith("explore_")]
live = pytest.mark.skipif(find_spec("anywidget") is None, reason="the extra widgets is absent")


@pytest.fixture(params=NAMES)
def explore(request):
    return getattr(widgets, request.param)


@pytest.fixture
def explorer(explore):
    """The explorer that a kernel without anywidget shows."""
    shown = explore()
    return getattr(shown, "_explorer", shown)


def bundle(explorer):
    """Return the data that a notebook keeps, by MIME type."""
    data = explorer._repr_mimebundle_()
    return data[0] if isinstance(data, tuple) else data


def state(html):
    """Return what the HTML carries for its script."""
    return json.loads(re.search(r'<script type="application/json">(.*?)</script>', html)[1])


def unpack(tables, n):
    """Undo what a static page undoes: a number a character, a row a word, ! between tables."""
    if not isinstance(tables, str):
        return tables[n]
    rows = tables.split("!")[n].split(" ")
    return None if rows == [""] else [[ord(letter) - 80 for letter in row] for row in rows]


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


def test_the_page_carries_the_frames_that_the_package_computes(explorer):
    html = bundle(explorer)["text/html"]
    carried = state(html)
    assert carried["settings"] == json.loads(json.dumps(explorer.settings))
    seen = 0
    for part in carried["parts"]:
        names = [name for name, _ in part["by"]]
        for n, values in enumerate(itertools.product(*(values for _, values in part["by"]))):
            frame = explorer.frame({**explorer.settings, **dict(zip(names, values, strict=True))})
            for name, tables in part["of"].items():
                stored = unpack(tables, n)
                assert stored == json.loads(json.dumps(frame.get(name))), (name, values)
                seen += 1
    assert seen > 0


def test_small_numbers_are_packed_and_others_are_not():
    small = [[[1, -45], [175, 0]], [[3]], None]
    packed = _display._pack(small)
    assert isinstance(packed, str)
    assert [unpack(packed, n) for n in range(3)] == small
    for table in ([[176]], [[-46]], [[0.5]], [1, 2], "text", [[]], 3):
        assert _display._pack([[[1]], table]) == [[[1]], table]


def test_the_html_is_light_and_stands_alone(explorer):
    html = bundle(explorer)["text/html"]
    assert len(html.encode()) <= 40_000
    assert len(gzip.compress(html.encode())) <= 12_000
    assert "http" not in html.replace("http://www.w3.org/2000/svg", "")  # a name, not an address
    assert re.search(r"\b(import|fetch|eval)\b\s*\(", html) is None
    assert [attrs.get("src") for tag, attrs in Markup(html).tags if tag == "script"] == [None, None]


def test_scripts_lose_comments_and_nothing_else(tmp_path, monkeypatch):
    front = tmp_path / "front"
    front.mkdir()
    (front / "a.js").write_text(
        '// a comment\n/** two\n * lines */\nconst a = { b: "x , y // z" };\n'
        "  const c = `${ a } = b`; \nif (a - b > -c - +e) {\n  d( [ 1, 2 ] );\n}\nlet e;\n"
    )
    (front / "a.css").write_text("/* c */\n.a, .b {\n  color: red;\n  margin: 0 -1px;\n}\n")
    monkeypatch.setattr(_display, "files", lambda _: tmp_path)
    assert _display.read_front("a.js") == (
        'let a={b:"x , y // z"};let c=`${ a } = b`;if(a-b>-c - +e){d([1,2])}\nlet e;'
    )
    assert _display.read_front("a.css") == ".a,.b{color:red;margin:0 -1px}\n"


def test_without_scripts_there_are_tables(explorer):
    markup = Markup(bundle(explorer)["text/html"])
    captions = explorer.captions(explorer.settings)
    frame = explorer.frame(explorer.settings)
    assert captions
    for name, caption in captions.items():
        assert caption in markup.text
        assert name in frame
    numbers = sum(np.size(frame[name]) for name in captions)
    assert sum(tag == "td" for tag, _ in markup.tags) == numbers
    assert any(explorer.label in text for text in markup.text)


def test_the_bundle_is_the_same_each_time_and_names_a_call_that_makes_it(explore, explorer):
    first, second = bundle(explorer), bundle(explorer)
    assert first == second
    name, arguments = re.fullmatch(r"(explore_\w+)\((.*)\)", first["text/plain"]).groups()
    assert name == explore.__name__
    again = explore(**eval(f"dict({arguments})"))  # noqa: S307
    assert bundle(getattr(again, "_explorer", again)) == first


def test_every_argument_is_a_control_and_every_control_is_documented(explore, explorer):
    arguments = set(inspect.signature(explore).parameters)
    controls = {control.name for control in explorer.controls}
    assert controls - {"cell"} <= arguments
    for name in arguments:
        assert re.search(
            rf"^([\w, ]*, )?{name}(, [\w, ]*)? : ", inspect.getdoc(explore), re.MULTILINE
        ), name
    for section in ("Returns", "Raises", "Notes", "Examples"):
        assert f"\n{section}\n---" in inspect.getdoc(explore)


def test_every_label_is_a_text_of_its_own(explorer):
    labels = [control.label for control in explorer.controls if hasattr(control, "label")]
    assert len(set(labels)) == len(labels)
    # A capital, or a letter of the book on its own, such as z(1).
    assert all(re.match(r"[A-Z]|[a-z](\W|$)", label) for label in labels)


def test_the_package_does_not_load_its_widgets():
    check = (
        "import sys; from companion import *; assert not [m for m in sys.modules if 'widget' in m]"
    )
    subprocess.run([sys.executable, "-c", check], check=True)  # noqa: S603


SLIDER = _controls.Slider("steps", "Steps", 0, 1, 0.25)
CONTROLS = [
    (SLIDER, 0.75, 0.75),
    (SLIDER, 0.3, "steps must go in steps of 0.25 from 0, got 0.3"),
    (SLIDER, 1.25, "steps must be at most 1, got 1.25"),
    (SLIDER, -0.25, "steps must be at least 0"),
    (SLIDER, "a", "steps must be a number, got 'a'"),
    (_controls.Table("a", "n", 3), (1, 2.5), [1, 2.5]),
    (_controls.Table("a", "n", 3), np.arange(4), "a must have 1 to 3 entries, got shape (4,)"),
    (_controls.Table("a", "n", 3), [], "a must have 1 to 3 entries"),
    (_controls.Cell(), (1, np.int64(2)), [1, 2]),
    (_controls.Cell(), 3, "cell must be a row and a column, got 3"),
    (_controls.Cell(), "12", "cell must be a row and a column, got '12'"),
    (_controls.Cell(), [1, -1], "cell must be at least 0"),
    (_controls.Cell(), [1, 2, 3], "cell must be a row and a column"),
]


@pytest.mark.parametrize(("control", "value", "wanted"), CONTROLS, ids=lambda v: str(v)[:30])
def test_controls_check_their_values(control, value, wanted):
    if isinstance(wanted, str):
        with pytest.raises((TypeError, ValueError), match=re.escape(wanted)):
            control.check(value)
    else:
        assert control.check(value) == wanted


def test_a_slider_lists_its_scale():
    assert SLIDER.values() == [0, 0.25, 0.5, 0.75, 1]
    assert _controls.Slider("n", "N", 1, 3).values() == [1, 2, 3]
    assert _controls.Slider("n", "N", -0.3, 0.3, 0.1).values()[3] == 0


def test_without_anywidget_there_is_the_page_form(explore, monkeypatch):
    monkeypatch.setattr(_display, "find_spec", lambda _: None)
    assert isinstance(explore(), _display.Explorer)


def other(control, now):
    """Another value that a control lets pass."""
    if control.type == "table":
        return (np.asarray(now, dtype=float) + 0.5).tolist()
    if control.type == "cell":
        return [0, 0] if now != [0, 0] else [0, 1]
    return next(value for value in control.values() if value != now)


@live
class TestLive:
    def test_bundle_has_both_forms(self, explore, explorer):
        data = bundle(explore())
        assert "model_id" in data["application/vnd.jupyter.widget-view+json"]
        still = bundle(explorer)
        assert {key: data[key] for key in still} == still

    def test_every_control_is_a_trait_and_the_frame_follows(self, explore, explorer):
        for control in explorer.controls:
            widget = explore()
            assert widget.trait_metadata(control.name, "sync")
            assert widget.traits()[control.name].help
            before = getattr(widget, control.name)
            seen = []
            widget.observe(lambda change, seen=seen: seen.append(change["new"]), names=control.name)
            value = other(control, before)
            setattr(widget, control.name, value)
            assert seen[:1] == [value]
            wanted = explorer.frame(widget.settings())
            assert widget.frame == wanted
            assert json.loads(json.dumps(widget.frame, allow_nan=False)) is not None

    def test_what_is_no_setting_is_refused_and_nothing_changes(self, explore, explorer):
        from traitlets import TraitError

        widget = explore()
        before = widget.settings()
        for control in explorer.controls:
            for value in (None, "nonsense", [[np.nan]], 1e12, object()):
                with pytest.raises(TraitError, match=control.name):
                    setattr(widget, control.name, value)
        assert widget.settings() == before

    def test_plain_controls_can_be_linked(self, explore, explorer):
        import ipywidgets

        control = next(c for c in explorer.controls if isinstance(c, _controls.Slider))
        widget = explore()
        kind = ipywidgets.IntSlider if isinstance(control.step, int) else ipywidgets.FloatSlider
        slider = kind(min=control.low, max=control.high, step=control.step)
        ipywidgets.link((widget, control.name), (slider, "value"))
        slider.value = other(control, getattr(widget, control.name))
        assert getattr(widget, control.name) == slider.value
        assert widget.frame == explorer.frame(widget.settings())

    def test_repr_and_page_follow(self, explore, explorer):
        widget = explore()
        control = next(c for c in explorer.controls if isinstance(c, _controls.Slider))
        value = other(control, getattr(widget, control.name))
        setattr(widget, control.name, value)
        assert f"{control.name}={value!r}" in repr(widget)
        state = re.search(
            r'<script type="application/json">(.*?)</script>', bundle(widget)["text/html"]
        )
        assert json.loads(state[1])["settings"][control.name] == value

    def test_the_class_says_what_it_is(self, explore):
        widget = explore()
        assert explore.__name__ in type(widget).__mro__[1].__doc__
        assert type(widget).__name__.endswith("Widget")


@live
class TestLiveConv:
    def test_the_cell_stays_on_the_grid(self):
        widget = widgets.explore_conv()
        widget.cell = (9, 2)
        assert widget.cell == [2, 2]
        widget.stride = 3
        assert widget.cell == [0, 1]
        widget.mode = "backward"
        widget.cell = (5, 1)
        assert widget.cell == [4, 1]

    def test_settings_that_do_not_fit_are_a_message_not_an_error(self):
        widget = widgets.explore_conv()
        widget.dilation = 2
        widget.kernel_size = 5
        assert "covers 9 rows" in widget.frame["problem"]
        widget.padding = 2
        assert "problem" not in widget.frame

    def test_arrays_become_lists_and_own_kernels_fix_their_size(self):
        from traitlets import TraitError

        widget = widgets.explore_conv(np.ones((5, 8)), [[1, 2, 3], [4, 5, 6]], np.ones((9, 12)))
        widget.x = np.eye(6)
        assert widget.x == np.eye(6).tolist()
        assert np.shape(widget.frame["z"]) == (5, 4)
        assert widget.kernel_size is None
        assert "kernel_size" not in [control["name"] for control in widget.controls]
        with pytest.raises(TraitError, match="kernel_size is fixed by the arrays given"):
            widget.kernel_size = 2
        with pytest.raises(TraitError, match="kernel_size is fixed by the arrays given"):
            widget.kernel_size = np.array([2, 3])


@pytest.mark.parametrize(
    ("array", "wanted"),
    [
        ([-0.0, 0.5], "[0.0, 0.5]"),
        ([-0.0, 2.0], "[0, 2]"),
        ([2.0**53, 0], "[9007199254740992.0, 0.0]"),
        ([1e300, -1e300], "[1e+300, -1e+300]"),
    ],
)
def test_numbers_for_the_page_have_no_negative_zero_and_none_overflows(array, wanted):
    assert json.dumps(_controls.plain(np.array(array))) == wanted


def test_no_text_closes_the_script_or_opens_a_tag():
    told = _display._json({"a": "</script>"})
    assert "<" not in told
    assert json.loads(told) == {"a": "</script>"}
    table = _display._table("z < 0 & <b>", [1])
    assert "<caption>z &lt; 0 &amp; &lt;b&gt;</caption>" in table


def test_without_scripts_a_slider_beyond_its_present_end_is_said_to_be_at_it():
    shown = widgets.explore_softmax()
    explorer = getattr(shown, "_explorer", shown)
    html = explorer.html({**explorer.settings, "classes": 4, "right_class": 5})
    assert "Softmax explorer: classes 4, right class 3, " in html


def test_arrays_keep_the_shape_that_other_settings_depend_on():
    traitlets = pytest.importorskip("traitlets")
    pytest.importorskip("anywidget")
    conv = widgets.explore_conv(x=np.ones((5, 5)), w=[[1, 2], [3, 4]])
    transposed, softmax = widgets.explore_transposed(), widgets.explore_softmax([1.0, 2, 3])
    for explorer, name, array in (
        (conv, "w", np.ones((3, 3))),
        (transposed, "x", np.ones((4, 5))),
        (softmax, "z", [5.0]),
        (softmax, "z", [5.0, 1, 2, 3]),
    ):
        before = getattr(explorer, name)
        with pytest.raises(traitlets.TraitError, match=f"^{name} must keep its shape"):
            setattr(explorer, name, array)
        assert getattr(explorer, name) == before
    conv.w = [[0, 1], [2, 3]]
    assert conv.frame["w"] == [[0, 1], [2, 3]]


def test_a_frame_is_read_only_and_settings_say_what_is_wrong_with_an_array():
    traitlets = pytest.importorskip("traitlets")
    pytest.importorskip("anywidget")
    explorer = widgets.explore_conv()
    with pytest.raises(traitlets.TraitError, match="frame"):
        explorer.frame = {}
    explorer.cell = np.array([1, 2])
    assert explorer.cell == [1, 2]
    with pytest.raises(traitlets.TraitError, match="mode must be "):
        explorer.mode = np.array(["forward", "weight"])

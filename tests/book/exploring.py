"""An explorer on a page: what it shows, and the keys that move it."""

import itertools
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from browsing import DESKTOP, Opened
from playwright.sync_api import Browser, ElementHandle, Locator, Page

from companion import widgets
from companion.widgets._controls import Choice, Control, Slider
from companion.widgets._display import Explorer

KINDS = [name.removeprefix("explore_") for name in widgets.__all__ if name.startswith("explore_")]

# Everything that an explorer shows, as one object; numbers with their true minus signs undone.
READ = r"""(root) => {
    const plain = (text) => text.replaceAll("\u2212", "-");
    const tables = [...root.querySelectorAll(".cx [data-grid]")];
    const marked = (grid, css) => Object.fromEntries(
        [...grid.querySelectorAll(css)].map((td) => [td.dataset.at, td.dataset.letter ?? ""]));
    return {
        grids: Object.fromEntries(tables.map((grid) => [
            grid.dataset.grid,
            [...grid.tBodies[0].rows].map((row) => [...row.querySelectorAll("td[data-at]")]
                .map((td) => Number(plain(td.textContent))))])),
        origins: Object.fromEntries(tables.map((grid) => [
            grid.dataset.grid,
            grid.querySelector("td[data-at]").dataset.at.split(",").map(Number)])),
        marks: Object.fromEntries(tables.map((grid) => [
            grid.dataset.grid, {
                at: Object.keys(marked(grid, ".cx-at")),
                hit: marked(grid, ".cx-hit"),
                unread: Object.keys(marked(grid, ".cx-unread")),
                padding: Object.keys(marked(grid, ".cx-padding")),
            }])),
        plots: [...root.querySelectorAll(".cx [data-plot]")].map((plot) => plot.dataset.plot),
        status: plain(root.querySelector("[role=status]").textContent),
        formula: [...root.querySelectorAll(".cx-formula p")].map((p) => plain(p.textContent)),
        legend: root.querySelector(".cx-legend").textContent,
        focus: root.querySelector(":focus")?.dataset.at,
    };
}"""

# Settings in, what a script answers out, through the model that the page's own controls use. Away
# from the page nothing is laid out in between, which takes most of the time.
EACH = """(root, states) => {
    const { model } = root, place = document.createElement("div");
    root.replaceWith(place);
    const answers = states.map((state) => {
        for (const [name, value] of Object.entries(state)) model.set(name, value);
        model.save_changes();
        return (ANSWER)(root);
    });
    place.replaceWith(root);
    return answers;
}"""
FRAMES = EACH.replace("ANSWER", "({ model }) => model.get('frame')")
VIEWS = EACH.replace("ANSWER", READ)


# In the page: a slider moved, a choice made, a grid's cells gone through, without a key.
SLIDE = """(root, [name, value]) => {
    const slider = root.querySelector(`input[data-name=${name}]`);
    slider.focus();
    slider.value = value;
    slider.dispatchEvent(new Event("input", {bubbles: true}));
}"""
CHOOSE = """(root, [name, value]) => {
    const radios = [...root.querySelectorAll(`fieldset[data-name=${name}] input`)];
    radios.find((radio) => radio.value === value).click();
}"""
GO = """(link) => new Promise((heard) => {
    addEventListener("hashchange", heard, {once: true});
    location.hash = link;
})"""
POINT = f"""(root, [selector, groups]) => {{
    root.querySelector(selector).focus();
    return groups.map((keys) => {{
        for (const key of keys)
            document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {{
                key: key.split("+").at(-1), ctrlKey: key.startsWith("Control+"),
                bubbles: true, cancelable: true,
            }}));
        return ({READ})(root);
    }});
}}"""


class Driver:
    """One explorer on a page, moved by events that are made in the page.

    A real key waits for the next picture on the screen. :class:`Keyboard` presses those.
    """

    def __init__(self, page: Page, root: Locator) -> None:
        self.page, self.root = page, root
        root.locator(".cx").wait_for()

    @cached_property
    def element(self) -> ElementHandle:
        """The explorer itself, which need not be looked for again."""
        return self.root.element_handle()

    def ask(self, script: str, given: Any = None) -> Any:
        """What a script of the explorer answers, as text on its way: much quicker than as it is."""
        text = f"(root, given) => JSON.stringify(({script})(root, JSON.parse(given)) ?? null)"
        return json.loads(self.element.evaluate(text, json.dumps(given)))

    def read(self) -> dict[str, Any]:
        return self.ask(READ)

    def views(self, states: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """What is shown in each state, each changed from the last, with the cell pointed at."""
        return self.ask(VIEWS, list(states))

    def get(self, name: str) -> Any:
        """A setting, or the frame, as the page has it."""
        return self.ask("(root, name) => root.model.get(name)", name)

    def go(self, link: str) -> None:
        """Follow a link on the page to a view of an explorer."""
        self.page.evaluate(GO, link)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def slide(self, name: str, value: float) -> None:
        self.ask(SLIDE, [name, value])

    def choose(self, name: str, value: str) -> None:
        self.ask(CHOOSE, [name, value])

    def move(self, control: Control, value: Any) -> None:
        """Bring a slider or a choice to a value."""
        if isinstance(control, Choice):
            self.choose(control.name, value)
        else:
            self.slide(control.name, value)

    def point(self, *keys: str, grid: str = "") -> dict[str, Any]:
        """Go to the grid whose cells can be pointed at and press keys in it."""
        return self.points([keys], grid)[0]

    def points(self, groups: Iterable[Sequence[str]], grid: str = "") -> list[dict[str, Any]]:
        """What is shown after each group of keys, pressed one after the other in a grid."""
        return self.ask(POINT, [stop(grid), list(groups)])

    def type(self, grid: str, cell: tuple[int, int], text: str) -> None:
        """Type a number into a cell of a grid, by keyboard alone."""
        at = self.root.locator(f"table[data-grid={grid}] td[data-at='{cell[0]},{cell[1]}']")
        at.focus()
        self.press("Enter")
        self.page.keyboard.type(text)
        self.press("Enter")


def stop(grid: str) -> str:
    """The cell that Tab reaches, of a named grid or the first that can be pointed at."""
    table = f"table[data-grid={grid}]" if grid else ":is([aria-readonly], .cx-editable)"
    return f"{table} [aria-selected][tabindex='0']"


class Keyboard(Driver):
    """One explorer on a page, moved by the keys alone that a reader presses."""

    def slide(self, name: str, value: float) -> None:
        slider = self.root.locator(f"input[data-name={name}]")
        now, step, low = slider.evaluate(
            "e => { e.focus(); return [e.valueAsNumber, Number(e.step || 1), Number(e.min)]; }"
        )
        if value == low:
            self.press("Home")
            return
        steps = round((value - now) / step)
        self.press(*["ArrowRight" if steps > 0 else "ArrowLeft"] * abs(steps))

    def choose(self, name: str, value: str) -> None:
        values, checked = self.root.locator(f"fieldset[data-name={name}] input").evaluate_all(
            """all => {
                const checked = all.findIndex((radio) => radio.checked);
                all[checked].focus();
                return [all.map((radio) => radio.value), checked];
            }"""
        )
        steps = values.index(value) - checked
        self.press(*["ArrowRight" if steps > 0 else "ArrowLeft"] * abs(steps))

    def point(self, *keys: str, grid: str = "") -> dict[str, Any]:
        self.root.locator(stop(grid)).first.focus()
        self.press(*keys)
        return self.read()


# Of a page the article, and what it stands in for its styles.
STRIP = """() => {
    for (let e = document.querySelector("article"); e !== document.body; e = e.parentElement)
        for (const other of [...e.parentElement.children]) if (other !== e) other.remove();
}"""
# The explorer as the page's source has it, in place of the one that a test has moved.
RENEW = """([source, link]) => {
    history.replaceState(null, "", link || location.pathname);
    document.documentElement.dataset.theme = "auto";
    const explorer = document.createRange().createContextualFragment(source);
    document.querySelector("article").replaceChildren(explorer);
}"""


class Stage:
    """A tab in which an explorer of the book stands alone, as new for every test.

    Another tab, or the page once more, takes ten times as long.
    """

    def __init__(self, opened: Opened, html: Path, path: str, kind: str) -> None:
        self.opened, self.page = opened, opened.alone(path, kind)
        self.page.evaluate(STRIP)
        self.source = explorer_of((html / path).read_text("utf-8"), kind)

    def renewed(self, link: str = "") -> Driver:
        """The explorer as a reader first sees it, who followed a link to a view of it or none."""
        self.opened.wrong.clear()
        if self.page.viewport_size != DESKTOP:
            self.page.set_viewport_size(DESKTOP)
        self.page.evaluate(RENEW, [self.source, link])
        return Driver(self.page, self.page.locator(".cx-static"))


@contextmanager
def staged(
    browser: Browser, html: Path, path: str, kind: str, base: str | None = None
) -> Iterator[Stage]:
    """Open a page of the book, from disk or a server, of which an explorer is left."""
    with browser.new_context(viewport=DESKTOP, reduced_motion="reduce") as context:
        yield Stage(Opened(context.new_page(), base or html.as_uri()), html, path, kind)


def explorer_of(page: str, kind: str) -> str:
    """The source of a page's first explorer of a kind, with its styles and its script."""
    start = f'<div class="cx-static" data-explorer="{kind}">'
    found = re.search(rf'{start}.*?<script type="module">.*?</script>', page, re.DOTALL)
    assert found, f"no explorer of {kind}"
    return found[0]


@contextmanager
def own_page_of(browser: Browser, folder: Path, explorers: Iterable[Explorer]) -> Iterator[Opened]:
    """Open a page that holds these explorers and nothing else."""
    html = "".join(explorer.html(explorer.settings) for explorer in explorers)
    page = f"<!doctype html><html lang=en><title>Own</title><main>{html}"
    (folder / "own.html").write_text(page, "utf-8")
    with browser.new_context(viewport=DESKTOP) as context:
        opened = Opened(context.new_page(), folder.as_uri())
        opened.page.goto(f"{opened.base}/own.html", wait_until="load")
        yield opened


def still(kind: str, *arguments: Any, **settings: Any) -> Explorer:
    """Return an explorer without its live form."""
    explorer = getattr(widgets, f"explore_{kind}")(*arguments, **settings)
    return getattr(explorer, "_explorer", explorer)


def shown(value: float) -> float:
    """Return a number as it is shown: whole numbers in full, others to four digits."""
    if float(value).is_integer() and abs(value) < 2**53:
        return float(value)
    return float(Context(prec=4, rounding=ROUND_HALF_UP).plus(Decimal(value)))


def check_frame(seen: dict[str, Any], frame: dict[str, Any]) -> set[str]:
    """Hold every number that a page shows to the package's frame; return the tables seen."""
    if "problem" in frame:
        assert seen["status"] == frame["problem"]
        assert seen["grids"] == {}
        return set()
    assert seen["grids"] or seen["plots"], seen
    for name, table in seen["grids"].items():
        assert name in frame, f"{name} is shown, but no table of this frame"
        wanted = np.vectorize(shown)(np.asarray(frame[name], dtype=float))
        # Where the frame has None, the page has a text, such as inf.
        same = np.array_equal(np.ravel(np.array(table, float)), wanted.ravel(), equal_nan=True)
        assert same, (name, table, wanted)
    return set(seen["grids"])


def listed(explorer: Explorer) -> list[Slider | Choice]:
    """Return the controls whose every value a static page has stored, and those of the view."""
    first = explorer.settings
    stored = {
        name
        for part in explorer.parts(first)
        for name, values in part.by.items()
        if len(values) > 1
    }
    return [
        control
        for control in explorer.controls
        if control.name in stored or (isinstance(control, Choice) and control.view)
    ]


def walk(controls: Iterable[Slider | Choice]) -> Iterator[dict[str, Any]]:
    """Every combination of values, each a step of one control from the last."""
    controls = list(controls)
    scales = [control.values() for control in controls]
    forward = [True] * len(scales)
    for values in itertools.product(*(range(len(scale)) for scale in scales)):
        if any(values):
            n = max(i for i, at in enumerate(values) if at)
            for later in range(n + 1, len(scales)):
                forward[later] = not forward[later]
        yield {
            control.name: scale[at if ahead else len(scale) - 1 - at]
            for control, scale, at, ahead in zip(controls, scales, values, forward, strict=True)
        }


def sample(explorer: Explorer, rng: np.random.Generator) -> dict[str, Any]:
    """Random settings: any value of every control, and any numbers in the tables."""
    state: dict[str, Any] = {}
    for control in explorer.controls:
        first = explorer.settings[control.name]
        if control.type == "table":
            value: Any = rng.normal(size=np.shape(first)).tolist()
        elif control.type == "cell":
            value = first
        else:
            value = control.values()[rng.integers(len(control.values()))]
        state[control.name] = value
    return state

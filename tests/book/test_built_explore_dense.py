"""The fully connected explorer in the built book: marks, sums and shapes are the equations'."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import Opened
from exploring import FRAMES, Driver, Stage, check_frame, own_page_of, staged, still
from playwright.sync_api import Browser

TIMES = "\N{MULTIPLICATION SIGN}"
RIGHT = {"dw": "x.T @ dz", "dx": "dz @ w.T"}
OWNER = {"dw": "w", "dx": "x"}


@pytest.fixture(scope="module")
def stage(browser: Browser, html: Path) -> Iterator[Stage]:
    with staged(browser, html, "book/dense.html", "dense") as stage:
        yield stage


@pytest.fixture
def driver(stage: Stage) -> Driver:
    return stage.renewed()


def go(driver: Driver, sizes: tuple[int, int, int] | None = None, **settings: Any) -> None:
    """Bring the explorer to a setting through its model."""
    named = dict(zip(("examples", "inputs", "outputs"), sizes, strict=True)) if sizes else {}
    driver.ask(FRAMES, [{**named, **settings}])


def key(*cell: int) -> str:
    return ",".join(map(str, cell))


def number(seen: dict[str, Any], name: str, *at: int) -> float:
    return seen["grids"][name][at[0] if len(at) == 2 else 0][at[-1]]


def product(sizes: list[int]) -> str:
    """Return "2 x 3 times 3 x 4 gives 2 x 4." """
    p, q, r, s = sizes
    outcome = f" gives {p} {TIMES} {s}." if q == r else ": no product."
    return f"{p} {TIMES} {q} times {r} {TIMES} {s}{outcome}"


Term = list[tuple[str, tuple[int, ...]]]


def terms_of(mode: str, cell: tuple[int, int], N: int, I: int, O: int) -> list[Term]:
    """Which entries meet, from the equations of the chapter."""
    r, c = cell
    if mode == "z":  # dense-forward
        return [*([("x", (r, t)), ("w", (t, c))] for t in range(I)), [("b", (c,))]]
    if mode == "db":  # dense-db
        return [[("dz", (n, c))] for n in range(N)]
    if mode == "dx":  # dense-dx
        return [[("dz", (r, o)), ("w", (c, o))] for o in range(O)]
    return [[("x", (n, r)), ("dz", (n, c))] for n in range(N)]  # dense-dw


def shapes_of(mode: str, N: int, I: int, O: int) -> str:
    return {
        "z": f"z (N, O) = x (N, I) @ w (I, O) + b (O,): {product([N, I, I, O])}",
        "dw": f"dw (I, O) = x.T (I, N) @ dz (N, O): {product([I, N, N, O])}",
        "db": f"db (O,) = a row of ones (1, N) @ dz (N, O): {product([1, N, N, O])}",
        "dx": f"dx (N, I) = dz (N, O) @ w.T (O, I): {product([N, O, O, I])}",
    }[mode]


def explained(mode: str, r: int, c: int) -> str:
    return {
        "z": f"Row {r} of x meets column {c} of w, and b({c}) is added.",
        "dw": f"Column {r} of x, which is row {r} of x.T, meets column {c} of dz: "
        "a sum over the examples.",
        "db": f"Column {c} of dz: a sum over the examples.",
        "dx": f"Row {r} of dz meets row {c} of w, which is column {c} of w.T: "
        "a sum over the outputs, within one example.",
    }[mode]


def check_terms(seen: dict[str, Any], terms: list[Term], left: str, value: float) -> None:
    """Hold the letters and the three lines of the sum to its terms."""
    for name, marks in seen["marks"].items():
        wanted = {}
        for n, term in enumerate(terms):
            letter = chr(97 + n) if len(term) > 1 else ""
            wanted |= {key(*at if len(at) > 1 else (0, *at)): letter for f, at in term if f == name}
        assert marks["hit"] == wanted, name
    *_, symbols, numbers, result = seen["formula"]
    written = " + ".join(
        f" {TIMES} ".join(f"{name}({', '.join(map(str, at))})" for name, at in t) for t in terms
    )
    assert symbols == f"{left} = {written}"
    values = [[number(seen, name, *at) for name, at in term] for term in terms]
    read = [
        [float(factor.strip("()")) for factor in term.split(f" {TIMES} ")]
        for term in numbers.removeprefix("= ").split(" + ")
    ]
    assert read == values
    assert sum(np.prod(term) for term in values) == value
    assert result == f"= {value:g}"


@pytest.mark.parametrize("sizes", [(2, 3, 4), (3, 2, 1), (1, 5, 2), (4, 1, 3)], ids=str)
@pytest.mark.parametrize("mode", ["z", "dw", "db", "dx"])
def test_every_entry(driver: Driver, mode: str, sizes: tuple[int, int, int]) -> None:
    N, I, O = sizes
    go(driver, sizes)
    driver.choose("mode", mode)
    rows, columns = {"z": (N, O), "dw": (I, O), "db": (1, O), "dx": (N, I)}[mode]
    cells = list(itertools.product(range(rows), range(columns)))
    for (r, c), seen in zip(cells, driver.views({"cell": cell} for cell in cells), strict=True):
        assert seen["marks"][mode]["at"] == [key(r, c)]
        beside = {"dw": "w", "db": "b", "dx": "x"}.get(mode)
        if beside:
            assert seen["marks"][beside]["at"] == [key(r, c)]
        left = f"{mode}({c})" if mode == "db" else f"{mode}({r}, {c})"
        value = number(seen, mode, r, c)
        check_terms(seen, terms_of(mode, (r, c), *sizes), left, value)
        assert seen["formula"][0] == shapes_of(mode, *sizes)
        why = f"{left} = {value:g}. {explained(mode, r, c)}"
        blank = mode == "dw" and not any(np.array(seen["grids"]["x"])[:, r])
        wanted = f"{why} Input {r} is 0 in every example, so row {r} of dw is 0."
        assert seen["status"] == (wanted if blank else why)


def test_the_inner_sizes_stand_out(driver: Driver) -> None:
    for mode, inner in {"z": "I3", "dw": "N2", "db": "N2", "dx": "O4"}.items():
        driver.choose("mode", mode)
        marked = driver.root.locator(".cx-formula u strong").all_inner_texts()
        assert marked == [inner[0], inner[0], inner[1], inner[1]]


def test_dw_builds_up_one_outer_product_at_a_time(driver: Driver) -> None:
    explorer = still("dense")
    go(driver, (3, 5, 2))
    driver.choose("mode", "dw_so_far")
    for added in (3, 2, 1, 0):
        driver.slide("added", added)
        settings = {**explorer.settings, "examples": 3, "inputs": 5, "outputs": 2, "added": added}
        seen = driver.point("Control+Home", "ArrowDown", "ArrowRight", grid="dw_so_far")
        tables = check_frame(seen, explorer.frame(settings))
        assert ("outer" in tables) == (added > 0)
        hatched = {
            name: {key(n, c) for n in range(added, 3) for c in range(columns)}
            for name, columns in (("x", 5), ("dz", 2))
        }
        for name, wanted in hatched.items():
            assert set(seen["marks"][name]["unread"]) == wanted
        assert ("Hatched: not yet added." in seen["legend"]) == (added < 3)
        if not added:
            assert seen["formula"] == ["dw(1, 1) so far = 0, an empty sum."]
            assert seen["status"] == "dw(1, 1) so far = 0. No example is added yet."
            continue
        value = number(seen, "dw_so_far", 1, 1)
        check_terms(seen, terms_of("dw", (1, 1), added, 5, 2), "dw(1, 1) so far", value)
        last = added - 1
        assert seen["formula"][0] == (
            f"Example {last} = its x as a column (I, 1) @ its dz as a row (1, O): "
            + product([5, 1, 1, 2])
        )
        assert seen["marks"]["outer"]["at"] == ["1,1"]
        done = "All are added: this is dw." if added == 3 else f"{added} of 3 are added."
        assert seen["status"] == (
            f"dw(1, 1) so far = {value:g}. Example {last} came last: row 1 of its outer product is "
            f"{number(seen, 'x', last, 1):g} times row {last} of dz. {done}"
        )
        # As in the chapter's picture: x beside the outer product, dz above it.
        heads = driver.root.locator("[data-grid=outer] th").all_inner_texts()
        heads = [float(text.replace("\N{MINUS SIGN}", "-")) for text in heads]
        assert heads == [*seen["grids"]["dz"][last], *seen["grids"]["x"][last]]


def test_the_slider_of_the_examples_added_is_idle_where_it_does_nothing(driver: Driver) -> None:
    slider = driver.root.locator("input[data-name=added]")
    (modes,) = driver.ask(
        """(root) => root.model.get("controls").filter((c) => c.name === "mode")
            .map((c) => c.options.map(([value]) => value))"""
    )
    enabled = []
    for mode in modes:
        driver.choose("mode", mode)
        if slider.is_enabled():
            enabled.append(mode)
    assert len(modes) > 1
    assert enabled == ["dw_so_far"]


def test_examples_added_follow_the_number_of_examples(driver: Driver) -> None:
    driver.choose("mode", "dw_so_far")
    value = driver.root.locator("label", has=driver.page.locator("[data-name=added]"))
    for N in (2, 4, 1):
        driver.slide("examples", N)
        assert f"{N} of {N}" in value.inner_text()
        seen = driver.read()
        assert np.shape(seen["grids"]["x"])[0] == N
        assert "All are added" in seen["status"]


def accidents(product: str, target: str) -> str:
    """Return which letters must be equal for a wrong product to have the right shape."""
    letters = {"x": "NI", "dz": "NO", "w": "IO"}
    sides = [
        letters[s[:-2]][::-1] if s.endswith(".T") else letters[s] for s in product.split(" @ ")
    ]
    (a, b), (c, d) = sides
    goal = letters[OWNER[target]]
    pairs = [pair for pair in ((b, c), (a, goal[0]), (d, goal[1])) if pair[0] != pair[1]]
    return " = ".join(sorted(set().union(*pairs)))


@pytest.mark.parametrize("target", ["dw", "dx"])
@pytest.mark.parametrize(
    "sizes", [(2, 3, 4), (3, 3, 4), (2, 4, 4), (3, 5, 3), (3, 3, 3), (1, 2, 1)], ids=str
)
def test_the_shape_puzzle(driver: Driver, sizes: tuple[int, int, int], target: str) -> None:
    N, I, O = sizes
    go(driver, sizes, mode=f"{target}_products")
    shapes = {"x": (N, I), "dz": (N, O), "w": (I, O)}
    letters = {"x": "N, I", "dz": "N, O", "w": "I, O"}
    for name in list(shapes):
        shapes[f"{name}.T"] = shapes[name][::-1]
        letters[f"{name}.T"] = letters[name][::-1].replace(" ,", ", ")
    explorer = still("dense")
    settings = {**explorer.settings, "examples": N, "inputs": I, "outputs": O}
    frame = explorer.frame(settings)
    tables = check_frame(driver.read(), frame)
    goal = shapes[OWNER[target]]
    first, second = RIGHT[target].replace(".T", "").split(" @ ")
    products = [
        (a, b)
        for left, right in ((first, second), (second, first))
        for a, b in itertools.product((left, f"{left}.T"), (right, f"{right}.T"))
    ]
    names = driver.root.locator(f"[data-grid={target}_products] tbody th").all_inner_texts()
    fitting = 0
    said = []
    views = driver.views({"cell": [row, 0]} for row in range(len(products)))
    for row, ((a, b), seen) in enumerate(zip(products, views, strict=True)):
        (p, q), (r, s) = shapes[a], shapes[b]
        name = f"{a} @ {b}"
        assert seen["grids"][f"{target}_products"][row] == [p, q, r, s]
        marks = seen["marks"][f"{target}_products"]
        sign = "=" if q == r else "\N{NOT EQUAL TO}"
        assert marks["hit"] == {key(row, 1): sign, key(row, 2): sign}
        hatched = {at for at in marks["unread"] if at.startswith(f"{row},")}
        assert re.sub(r"\s", " ", seen["formula"][0]) == (
            f"{a} ({letters[a]}) @ {b} ({letters[b]}): {product([p, q, r, s])}"
        )
        said.append(seen["status"])
        head = names[row].replace("\u00a0", " ")
        assert (name in tables) == (q == r and (p, s) == goal)
        if q != r:
            assert head == f"{name}: no"
            assert hatched == {key(row, 1), key(row, 2)}
            wanted = f"{name} does not fit: the inner sizes {q} and {r} differ."
        elif (p, s) != goal:
            assert head == f"{name}: other shape"
            wrong = {0: p != goal[0], 3: s != goal[1]}
            assert hatched == {key(row, c) for c, bad in wrong.items() if bad}
            wanted = (
                f"{name} fits, but gives {p} {TIMES} {s}; "
                f"{OWNER[target]} is {goal[0]} {TIMES} {goal[1]}."
            )
        else:
            fitting += 1
            assert head == f"{name}: fits"
            assert hatched == set()
            same = np.array(frame[name]) == np.array(frame[target])
            off = {key(int(i), int(j)) for i, j in np.argwhere(~same)}
            assert set(seen["marks"][name]["unread"]) == off
            right = name == RIGHT[target]
            assert not (right and off)
            why = "whatever the sizes" if right else f"by accident: {accidents(name, target)}"
            wanted = (
                f"{name} fits and gives the shape of {OWNER[target]}, {why}. "
                f"{same.sum()} of its {same.size} numbers are those of {target}."
            )
            label = driver.root.locator(f"[data-grid='{name}']").get_attribute("aria-label")
            assert label == f"{name}: {'not' if off else 'the numbers of'} {target}"
        assert seen["status"].startswith(wanted + " ")
    end = f"Products with the shape of {OWNER[target]}: {fitting} of 8."
    end += " Shapes alone do not decide." * (fitting > 1)
    assert all(status.endswith(end) for status in said)
    assert fitting == {(2, 3, 4): 1, (3, 3, 3): 8}.get(sizes, fitting)


def test_typed_values_reach_what_they_should(driver: Driver) -> None:
    explorer = still("dense")
    settings = dict(explorer.settings)
    for mode, name, cell, text in [
        ("z", "x", (1, 2), "-7.5"),
        ("z", "w", (2, 3), "0.125"),
        ("z", "b", (0, 1), "40"),
        ("dx", "dz", (0, 3), "1e3"),
        ("db", "b", (0, 3), "-2"),
        ("dw", "x", (0, 0), "0"),
    ]:
        driver.choose("mode", mode)
        driver.type(name, cell, text)
        table = np.array(settings[name], dtype=float)
        table[cell if table.ndim == 2 else cell[1]] = float(text)
        settings[name] = table.tolist()
        check_frame(driver.read(), explorer.frame(settings))
        assert driver.page.evaluate("document.activeElement.dataset.at") == key(*cell)
    for mode in ("dw_so_far", "dw_products", "dx_products", "dx"):
        driver.choose("mode", mode)
        check_frame(driver.read(), explorer.frame(settings))
    # The page computed it all: each number that was typed survives a change of size and back.
    driver.slide("inputs", 1)
    driver.slide("inputs", 3)
    check_frame(driver.read(), explorer.frame(settings))


def test_what_the_chapter_asks_to_try(driver: Driver) -> None:
    """The answers to the tasks beside the explorer."""
    driver.slide("outputs", 2)
    driver.choose("mode", "dw")
    seen = driver.read()
    assert "= 2 \N{MULTIPLICATION SIGN} 1 + 1 \N{MULTIPLICATION SIGN} 100" in seen["formula"]
    driver.slide("examples", 1)
    assert driver.read()["grids"]["dw"][2] == [0, 0]
    assert "Input 2 is 0 in every example" in driver.point("Control+End", grid="dw")["status"]
    driver.choose("mode", "db")
    assert driver.read()["grids"]["db"] == driver.read()["grids"]["dz"]
    driver.slide("examples", 3)
    driver.choose("mode", "dx_products")
    seen = driver.point("Control+Home", *["ArrowDown"] * 5, grid="dx_products")
    assert "w @ dz.T" in seen["status"]
    assert "3 of its 9 numbers" in seen["status"]
    driver.slide("examples", 2)
    driver.choose("mode", "dw")
    before = driver.get("frame")["dx"]
    for n in range(2):
        driver.type("x", (n, 1), "0")
    assert driver.read()["grids"]["dw"][1] == [0, 0]
    assert driver.get("frame")["dx"] == before


# Explorers of the reader's own arrays, on a page of their own.

RNG = np.random.default_rng(3)
X, W, B, DZ = (RNG.normal(size=size).round(3) for size in [(3, 28), (28, 2), (2,), (3, 2)])


@pytest.fixture
def own_page(browser: Browser, tmp_path: Path) -> Iterator[Opened]:
    shown = [still("dense"), still("dense", X, W, B, DZ, added=2), still("dense", w=W[:3])]
    with own_page_of(browser, tmp_path, shown) as opened:
        yield opened


def test_several_on_a_page_with_the_readers_arrays(own_page: Opened) -> None:
    first, own, weights = (
        Driver(own_page.page, root) for root in own_page.page.locator(".cx-static").all()
    )
    before = first.read()
    explorer = still("dense", X, W, B, DZ, added=2)
    frame = explorer.frame(explorer.settings)
    for mode in ("z", "dw", "dw_so_far", "db", "dx", "dw_products", "dx_products"):
        own.choose("mode", mode)
        check_frame(own.read(), frame)
    # The right product is told from rounding, though the page adds up in its own order.
    seen = own.point("Control+Home", "ArrowDown", grid="dx_products")
    assert "whatever the sizes. 84 of its 84 numbers are those of dx." in seen["status"]
    assert seen["marks"]["dz @ w.T"]["unread"] == []
    own.choose("mode", "z")
    seen = own.read()
    assert "\N{ALMOST EQUAL TO}" in seen["status"]
    assert set(seen["marks"]["x"]["hit"].values()) == {""}  # more terms than letters
    assert own.root.locator("[data-name=examples], [data-name=inputs]").count() == 0
    assert first.read() == before

    weights.slide("examples", 4)
    assert weights.root.locator("[data-name=outputs]").count() == 0
    explorer = still("dense", w=W[:3], examples=4)
    check_frame(weights.read(), explorer.frame(explorer.settings))
    assert own_page.wrong == []


def test_arrays_that_became_too_small(own_page: Opened) -> None:
    """A notebook can replace an array: the page says what the package's frame says."""
    first = Driver(own_page.page, own_page.page.locator(".cx-static").first)
    explorer = still("dense")
    for name, small in [("x", [[1, 2]]), ("b", [1, 2]), ("dz", [[1, 2, 3, 4]])]:
        first.ask(FRAMES, [{**explorer.settings, name: small}])
        check_frame(first.read(), explorer.frame({**explorer.settings, name: small}))
        assert first.read()["status"].startswith(f"{name} has shape (")

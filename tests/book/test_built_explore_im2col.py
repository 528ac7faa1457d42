"""The im2col explorer in the built book: marks, letters and texts are those of the equations."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import PHONE, Opened
from exploring import Driver, Stage, check_frame, own_page_of, shown, staged, still
from playwright.sync_api import Browser

PAGE = "book/im2col.html"
SLIDERS = ("kh", "kw", "stride", "padding", "dilation")
SHAPE = (4, 5)
# Uneven kernels with padding, gaps between the windows, holes of a dilation, a single column.
GEOMETRIES = [(2, 3, 2, 1, 1), (2, 2, 3, 0, 1), (2, 2, 2, 0, 2), (3, 1, 1, 0, 1)]
geometries = pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)

Pair = tuple[int, int]


@pytest.fixture(scope="module")
def stage(browser: Browser, html: Path) -> Iterator[Stage]:
    with staged(browser, html, PAGE, "im2col") as stage:
        yield stage


@pytest.fixture
def driver(stage: Stage) -> Driver:
    return stage.renewed()


def slide(driver: Driver, geometry: tuple[int, ...]) -> dict[str, Any]:
    """Move the sliders; return the package's frame."""
    for name, value in zip(SLIDERS, geometry, strict=True):
        driver.slide(name, value)
    explorer = still("im2col")
    return explorer.frame({**explorer.settings, **dict(zip(SLIDERS, geometry, strict=True))})


def matrix(geometry: tuple[int, ...]) -> dict[Pair, tuple[Pair, Pair, Pair]]:
    """Row and column of every entry, with its output, kernel entry and pixel, by counting."""
    kh, kw, s, p, d = geometry
    H, W = (n + 2 * p for n in SHAPE)
    outputs = [
        (i, j)
        for i, j in itertools.product(range(H), range(W))
        if s * i + d * (kh - 1) < H and s * j + d * (kw - 1) < W
    ]
    taps = list(itertools.product(range(kh), range(kw)))
    return {
        (m, t): (ij, uv, (s * ij[0] + d * uv[0] - p, s * ij[1] + d * uv[1] - p))
        for m, ij in enumerate(outputs)
        for t, uv in enumerate(taps)
    }


def is_inside(pixel: Pair) -> bool:
    return 0 <= pixel[0] < SHAPE[0] and 0 <= pixel[1] < SHAPE[1]


def key(cell: Pair) -> str:
    return f"{cell[0]},{cell[1]}"


def numbered(cells: list[Pair]) -> dict[str, str]:
    """Return the cells with their letters."""
    letters = "abcdefghijklmnopqrstuvwxyz" if len(cells) <= 26 else ""
    return {key(cell): letters[n : n + 1] for n, cell in enumerate(cells)}


def entry(seen: dict[str, Any], name: str, cell: Pair) -> float:
    """Return the number that a table shows at its own indices."""
    r, c = (at - start for at, start in zip(cell, seen["origins"][name], strict=True))
    number: float = seen["grids"][name][r][c]
    return number


def plain(lines: list[str]) -> list[str]:
    """Return lines of a formula with * for times."""
    return [line.replace("\N{MULTIPLICATION SIGN}", "*") for line in lines]


def check_entry(seen: dict[str, Any], mode: str, geometry: tuple[int, ...]) -> Pair:
    """Hold the view of an entry of the matrix to the equation; return the entry."""
    places = matrix(geometry)
    (at,) = seen["marks"]["patches"]["at"]
    m, t = map(int, at.split(","))
    (i, j), (u, v), pixel = places[m, t]
    line = [at for at in places if (at[0] == m if mode == "patch" else at[1] == t)]
    assert seen["marks"]["patches"]["hit"] == numbered(line)
    assert seen["marks"]["x"]["hit"] == numbered([places[at][2] for at in line])
    assert seen["marks"]["x"]["at"] == [key(pixel)]

    value = entry(seen, "x", pixel)
    assert entry(seen, "patches", (m, t)) == value
    kh, kw, s, p, d = geometry
    Wo = 1 + max(ij[1] for ij, _, _ in places.values())
    Ho = len(places) // (Wo * kh * kw)
    formula = plain(seen["formula"])
    assert formula[:4] == [
        f"m = (n Ho + i) Wo + j = (0 * {Ho} + {i}) * {Wo} + {j} = {m}",
        f"t = (u kw + v) C + c = ({u} * {kw} + {v}) * 1 + 0 = {t}",
        f"h = s i + d u - p = {s} * {i} + {d} * {u} - {p} = {pixel[0]}",
        f"q = s j + d v - p = {s} * {j} + {d} * {v} - {p} = {pixel[1]}",
    ]
    assert formula[4:] == [f"X[{m}, {t}] = x({pixel[0]}, {pixel[1]}) = {value:g}"]
    rows, columns = (
        ", ".join(str(n) for n in dict.fromkeys(places[at][2][axis] for at in line))
        for axis in (0, 1)
    )
    where = "" if is_inside(pixel) else "the padding at "
    why = (
        f"Its row is the patch of output ({i}, {j})"
        if mode == "patch"
        else f"Its column is what kernel entry ({u}, {v}) meets"
    )
    assert seen["status"] == (
        f"X[({i}, {j}), ({u}, {v})] = {value:g}, copied from {where}x({pixel[0]}, {pixel[1]}). "
        f"{why}: rows {rows} and columns {columns} of the image."
    )
    return m, t


def check_pixel(seen: dict[str, Any], mode: str, pixel: Pair, geometry: tuple[int, ...]) -> int:
    """Hold the view of a pixel to the equation; return how many copies it has."""
    places = matrix(geometry)
    copies = [at for at, (_, _, read) in places.items() if read == pixel]
    table = "cols" if mode == "col2im" else "patches"
    for name in {"counts": ("x", "counts"), "col2im": ("dx",)}[mode]:
        assert seen["marks"][name]["at"] == [key(pixel)]
    assert seen["marks"][table]["hit"] == {key(at): "" for at in copies}
    assert seen["marks"][table]["at"] == []
    h, q = pixel
    many = f"{len(copies)} {'copy' if len(copies) == 1 else 'copies'}"
    # The rows, and the columns, that some window reads.
    read_at = [{read[axis] for _, _, read in places.values()} for axis in (0, 1)]
    if mode == "counts":
        assert entry(seen, "counts", pixel) == len(copies)
        down = len({(places[at][0][0], places[at][1][0]) for at in copies})
        across = len({(places[at][0][1], places[at][1][1]) for at in copies})
        assert seen["status"].startswith(f"x({h}, {q}) has {many}")
        if copies:
            assert f"{down} down times {across} across." in seen["status"]
            assert down * across == len(copies)
            *ways, product = plain(seen["formula"])
            for axis, (way, letters) in enumerate(zip(ways, ("hiu", "qjv"), strict=True)):
                met = dict.fromkeys((places[at][0][axis], places[at][1][axis]) for at in copies)
                a, b, c = letters
                assert way == f"{a} = {pixel[axis]}: ({b}, {c}) = {' or '.join(map(str, met))}"
            assert product == f"copies of x({h}, {q}) = {down} * {across} = {len(copies)}"
        else:
            assert "no window" in " ".join(seen["formula"])
    else:
        values = [entry(seen, "cols", at) for at in copies]
        value = entry(seen, "dx", pixel)
        assert value == sum(values)
        told = f"adds up the gradients of {many}." if copies else "has no copy."
        assert seen["status"].startswith(f"dx({h}, {q}) = {value:g}. It {told}")
        if copies:
            names = [f"dX[({i}, {j}), ({u}, {v})]" for (i, j), (u, v), _ in map(places.get, copies)]
            written = [f"({n:g})" if n < 0 else f"{n:g}" for n in values]
            assert seen["formula"] == [
                f"dx({h}, {q}) = {' + '.join(names)}",
                f"= {' + '.join(written)}",
                f"= {value:g}",
            ]
        else:
            assert seen["formula"] == [f"dx({h}, {q}) = 0, an empty sum."]
    hatched = set(np.ndindex(*SHAPE)) - {read for _, _, read in places.values()}
    for name in {"counts": ("x", "counts"), "col2im": ("dx",)}[mode]:
        assert set(seen["marks"][name]["unread"]) == set(map(key, hatched))
    assert ("Hatched" in seen["legend"]) == bool(hatched)
    for axis, name in ((0, f"Row {h} lies"), (1, f"Column {q} lies")):
        assert (name in seen["status"]) == (pixel[axis] not in read_at[axis])
    return len(copies)


def rows(size: Pair) -> list[list[str]]:
    """The keys that lead from one cell of a table to the next, row by row."""
    cells = itertools.product(range(size[0]), range(size[1]))
    return [
        ["ArrowRight"] if c else ["ArrowDown", "Home"] if r else ["Control+Home"] for r, c in cells
    ]


@geometries
@pytest.mark.parametrize("mode", ["patch", "tap"])
def test_every_entry(driver: Driver, mode: str, geometry: tuple[int, ...]) -> None:
    driver.choose("mode", mode)
    frame = slide(driver, geometry)
    M, I = np.shape(frame["patches"])
    cells = list(itertools.product(range(M), range(I)))
    for cell, seen in zip(cells, driver.views({"cell": cell} for cell in cells), strict=True):
        assert check_entry(seen, mode, geometry) == cell
    check_frame(seen, frame)


@geometries
@pytest.mark.parametrize("mode", ["counts", "col2im"])
def test_every_pixel(driver: Driver, mode: str, geometry: tuple[int, ...]) -> None:
    driver.choose("mode", mode)
    frame = slide(driver, geometry)
    grid = {"counts": "counts", "col2im": "dx"}[mode]
    counts = np.zeros(SHAPE, int)
    views = driver.points(rows(SHAPE), grid)
    for pixel, seen in zip(np.ndindex(*SHAPE), views, strict=True):
        counts[pixel] = check_pixel(seen, mode, pixel, geometry)
    assert np.array_equal(counts, frame["counts"])


@geometries
def test_the_window_comes_along_with_a_pixel(driver: Driver, geometry: tuple[int, ...]) -> None:
    """Held at the same entry, or where that cannot be at the nearest; it is always a copy."""
    frame = slide(driver, geometry)
    places = matrix(geometry)
    seen = driver.point("Control+Home", *["ArrowRight"] * (geometry[1] - 1), grid="patches")
    last = check_entry(seen, "patch", geometry)
    presses = [[press] for keys in rows(SHAPE) for press in keys]
    for seen in driver.points(presses, "x"):
        # Each press has pointed at a pixel of its own.
        pixel = tuple(map(int, seen["focus"].split(",")))
        at = check_entry(seen, "patch", geometry)
        copies = [at for at, (_, _, read) in places.items() if read == pixel]
        if not copies:
            assert at == last
            continue
        held = places[last][1]
        far = [sum(np.abs(np.subtract(places[copy][1], held))) for copy in copies]
        assert at == copies[int(np.argmin(far))]
        last = at
    assert pixel == (SHAPE[0] - 1, SHAPE[1] - 1)
    assert np.sum(np.equal(frame["counts"], 0)) == sum(
        key(pixel) in seen["marks"]["x"]["unread"] for pixel in np.ndindex(*SHAPE)
    )


def test_the_matrix_leads_to_its_pixels(driver: Driver) -> None:
    """Where pixels are pointed at, an entry of the matrix points at its own, if it has one."""
    geometry = (2, 3, 2, 1, 1)
    for mode, grid in (("counts", "patches"), ("col2im", "cols")):
        driver.choose("mode", mode)
        slide(driver, geometry)
        pixel = (0, 0)
        driver.point("Control+Home", grid={"counts": "counts", "col2im": "dx"}[mode])
        padded = 0
        places = matrix(geometry)
        size = tuple(n + 1 for n in max(places))
        presses = [[press] for keys in rows(size) for press in keys]
        reached = set()
        for seen in driver.points(presses, grid):
            m, t = map(int, seen["focus"].split(","))
            read = places[m, t][2]
            pixel = read if is_inside(read) else pixel
            padded += not is_inside(read)
            check_pixel(seen, mode, pixel, geometry)
            reached.add((m, t))
        assert reached == set(places)
        assert padded > 10


def test_dashes_are_the_padding(driver: Driver) -> None:
    geometry = (2, 3, 2, 1, 1)
    slide(driver, geometry)
    dashed = {key(at) for at, (_, _, pixel) in matrix(geometry).items() if not is_inside(pixel)}
    seen = driver.read()
    assert set(seen["marks"]["patches"]["padding"]) == dashed
    assert len(seen["marks"]["x"]["padding"]) == 6 * 7 - 4 * 5
    assert "Dashed: padding, always 0." in seen["legend"]
    driver.choose("mode", "col2im")
    seen = driver.read()
    assert set(seen["marks"]["cols"]["padding"]) == dashed
    assert "added to no pixel" in seen["legend"]
    driver.slide("padding", 0)
    assert "Dashed" not in driver.read()["legend"]


def test_heads_and_order_of_the_matrix(driver: Driver) -> None:
    geometry = (2, 3, 1, 0, 1)
    slide(driver, geometry)
    table = driver.root.locator("table[data-grid=patches]")
    places = matrix(geometry)
    rows = [f"({i},{j})" for i, j in dict.fromkeys(ij for ij, _, _ in places.values())]
    columns = [f"({u},{v})" for u, v in dict.fromkeys(uv for _, uv, _ in places.values())]
    assert table.locator("tbody th").all_inner_texts() == rows
    assert table.locator("thead th").all_inner_texts() == columns
    assert table.get_attribute("aria-label") == "Patches X, 9 × 6: rows (i, j), columns (u, v)"  # noqa: RUF001
    assert "c first, then v, then u." in driver.read()["legend"]


def test_a_typed_pixel_moves_its_copies_and_a_typed_gradient_one_pixel(driver: Driver) -> None:
    explorer = still("im2col")
    settings = dict(explorer.settings)
    before = driver.read()["grids"]["patches"]
    driver.type("x", (1, 2), "-7.5")
    settings["x"] = np.array(settings["x"], dtype=float)
    settings["x"][1, 2] = -7.5
    seen = driver.read()
    frame = explorer.frame({**settings, "x": settings["x"].tolist()})
    check_frame(seen, frame)
    changed = np.not_equal(before, seen["grids"]["patches"])
    assert changed.sum() == frame["counts"][1][2] == 4
    assert "X[(1, 1), (0, 1)] = -7.5, copied from x(1, 2)" in seen["status"]

    driver.choose("mode", "col2im")
    before = driver.read()["grids"]["dx"]
    driver.point("Control+Home", "ArrowRight", "Enter", grid="cols")
    field = driver.root.locator("td input")
    assert field.get_attribute("aria-label") == "dX[(0, 0), (0, 1)]"
    driver.press("Escape")
    driver.type("cols", (2, 3), "100.25")
    cols = np.array(settings["cols"], dtype=float)
    cols[2, 3] = 100.25
    seen = driver.read()
    check_frame(seen, explorer.frame({**settings, "cols": cols.tolist()}))
    moved = np.argwhere(np.not_equal(before, seen["grids"]["dx"]))
    # Row 2 is output (0, 2); column 3 is kernel entry (1, 1).
    assert moved.tolist() == [[1, 3]]
    assert seen["status"].startswith("dx(1, 3) \N{ALMOST EQUAL TO} ")
    assert "100.3" in seen["formula"][1]
    total = explorer.frame({**settings, "cols": cols.tolist()})["dx"][1][3]
    assert seen["formula"][2] == f"\N{ALMOST EQUAL TO} {shown(total):g}"


def test_why_a_pixel_is_copied_nowhere(driver: Driver) -> None:
    slide(driver, (2, 2, 3, 0, 1))
    driver.choose("mode", "counts")
    seen = driver.point("Control+End", grid="counts")
    assert seen["status"] == "x(3, 4) has 0 copies. Row 3 lies past the last window."
    assert seen["formula"][:2] == ["h = 3: no window", "q = 4: (j, v) = (1, 1)"]
    seen = driver.point("ArrowLeft", "ArrowLeft", grid="counts")
    assert "Row 3 lies past the last window. Column 2 lies between what" in seen["status"]
    driver.choose("mode", "col2im")
    seen = driver.read()
    assert seen["status"].startswith("dx(3, 2) = 0. It has no copy. Row 3 lies past")
    driver.slide("dilation", 2)
    driver.slide("kh", 3)
    seen = driver.read()
    assert seen["grids"] == {}
    assert "the kernel covers 5 rows, and the padded image has 4." in seen["status"]


def test_mouse_and_touch(driver: Driver, browser: Browser, html: Path) -> None:
    driver.root.locator("table[data-grid=patches] td[data-at='6,3']").hover()
    assert check_entry(driver.read(), "patch", (3, 2, 1, 0, 1)) == (6, 3)
    driver.root.locator("table[data-grid=x] td[data-at='2,3']").hover()
    seen = driver.read()
    assert check_entry(seen, "patch", (3, 2, 1, 0, 1)) == (6, 3)
    driver.root.locator("table[data-grid=x] td[data-at='1,4']").hover()
    assert check_entry(driver.read(), "patch", (3, 2, 1, 0, 1)) == (3, 3)
    with browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True) as context:
        page = Opened(context.new_page(), html.as_uri()).alone(PAGE, "im2col")
        phone = Driver(page, page.locator(".cx-static[data-explorer=im2col]").first)
        phone.root.locator("label", has_text="col2im").tap()
        cell = phone.root.locator("table[data-grid=cols] td[data-at='3,1']")
        cell.tap()
        assert phone.read()["marks"]["dx"]["at"] == ["0,4"]
        cell.tap()
        phone.page.keyboard.type("8")
        phone.press("Enter")
        assert phone.read()["grids"]["cols"][3][1] == 8
        # The widest matrix scrolls in its own box.
        phone.slide("kw", 3)
        assert page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")


# Explorers of the reader's own arrays, on a page of their own.

X = np.random.default_rng(3).normal(size=(8, 6)).round(3)
COLS = np.random.default_rng(4).normal(size=(30, 6)).round(3)


@pytest.fixture
def own_page(browser: Browser, tmp_path: Path) -> Iterator[Opened]:
    explorers = [
        still("im2col", X, kh=2, mode="col2im"),
        still("im2col", X, COLS, mode="tap"),
    ]
    with own_page_of(browser, tmp_path, explorers) as opened:
        yield opened


def test_the_readers_arrays(own_page: Opened) -> None:
    """Too many numbers to store: the page computes."""
    first, second = (
        Driver(own_page.page, root) for root in own_page.page.locator(".cx-static").all()
    )
    explorer = still("im2col", X, kh=2, mode="col2im")
    first.slide("stride", 2)
    first.slide("padding", 1)
    check_frame(first.read(), explorer.frame({**explorer.settings, "stride": 2, "padding": 1}))
    seen = second.read()
    explorer = still("im2col", X, COLS, mode="tap")
    check_frame(seen, explorer.frame(explorer.settings))
    assert len(seen["marks"]["patches"]["hit"]) == 30
    assert set(seen["marks"]["patches"]["hit"].values()) == {""}  # more than there are letters
    second.slide("padding", 1)
    assert (
        second.read()["status"] == "These settings give a matrix of shape (56, 6); cols is smaller."
    )
    assert own_page.wrong == []

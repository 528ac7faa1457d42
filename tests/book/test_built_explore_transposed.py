"""The transposed convolution explorer: marks, letters and sums against a walk over all stamps."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import Opened
from exploring import Driver, Stage, check_frame, own_page_of, shown, staged, still
from playwright.sync_api import Browser

PAGE = "book/transposed.html"
SLIDERS = ("kernel_size", "stride", "padding", "output_padding")
MODES = ("scatter", "gather", "stuffing", "gradient", "backward", "weight")

# By view: what is pointed at and marked, the tables that meet, and the letter of the sum.
POINTED = {
    "scatter": ("x",),
    "gather": ("uncut", "counts"),
    "stuffing": ("z",),
    "gradient": ("conv_dx", "z"),
    "backward": ("dx", "x"),
    "weight": ("dw", "w"),
}
MET = {
    "scatter": ("w", "uncut"),
    "gather": ("x", "w"),
    "stuffing": ("stuffed", "turned"),
    "gradient": ("x", "w"),
    "backward": ("dz", "w"),
    "weight": ("dz", "x"),
}
LEFT = dict(zip(MODES, ("x", "z", "z", "dx", "dx", "dw"), strict=True))
OF = dict(zip(MODES, ("x", "z", "z", "z", "x", "w"), strict=True))
INDEX = {"uncut": "z", "dz": "z"}
TIMES = " \N{MULTIPLICATION SIGN} "

Cell = tuple[int, ...]


@pytest.fixture(scope="module")
def stage(browser: Browser, html: Path) -> Iterator[Stage]:
    with staged(browser, html, PAGE, "transposed") as stage:
        yield stage


@pytest.fixture
def driver(stage: Stage) -> Driver:
    return stage.renewed()


def key(cell: Cell) -> str:
    return ",".join(map(str, cell))


def pair(cell: Cell) -> str:
    return f"({cell[0]}, {cell[1]})"


def number(value: float) -> str:
    text = f"{shown(value):g}"
    return f"({text})" if value < 0 else text


def products(frame: dict[str, Any]) -> Iterator[dict[str, Cell]]:
    """Every product of the forward pass so far: its input, its weight, and where it lands."""
    inputs = list(itertools.product(*map(range, np.shape(frame["x"]))))[: frame["stamps"]]
    for hq in inputs:
        for uv in itertools.product(*map(range, np.shape(frame["w"]))):
            lands = (
                frame["stride"] * h + u - frame["padding"] for h, u in zip(hq, uv, strict=True)
            )
            yield {"x": hq, "w": uv, "z": tuple(lands)}


def exists(frame: dict[str, Any], cell: Cell) -> bool:
    return all(0 <= at < n for at, n in zip(cell, np.shape(frame["z"]), strict=True))


def meetings(frame: dict[str, Any], mode: str, cell: Cell) -> list[tuple[Cell, ...]]:
    """By letter, the places in the two tables that meet."""
    if mode == "stuffing":
        first = [frame["padding"] - (k - 1) for k in np.shape(frame["w"])]
        entries = itertools.product(*map(range, np.shape(frame["w"])))
        return [
            (tuple(c + a + u for c, a, u in zip(cell, first, uv, strict=True)), uv)
            for uv in entries
        ]
    met = [m for m in products(frame) if m[OF[mode]] == cell]
    if mode in ("backward", "weight"):
        met = [m for m in met if exists(frame, m["z"])]
    return [tuple(m[INDEX.get(name, name)] for name in MET[mode]) for m in met]


def entry(frame: dict[str, Any], name: str, cell: Cell) -> float:
    first = (0, 0)
    if name == "uncut":
        first = (-frame["padding"],) * 2
    if name == "stuffed":
        first = tuple(frame["padding"] - (k - 1) for k in np.shape(frame["w"]))
    r, c = (at - a for at, a in zip(cell, first, strict=True))
    return frame[name][r][c]


def check_view(seen: dict[str, Any], frame: dict[str, Any], mode: str, cell: Cell) -> None:
    """Hold marks, letters, formula and status to the stamps, one by one."""
    check_frame(seen, frame)
    for name in POINTED[mode]:
        assert seen["marks"][name]["at"] == [key(cell)]
    met = meetings(frame, mode, cell)
    lettered = len(met) <= 26
    for side, name in enumerate(MET[mode]):
        wanted = {key(at[side]): chr(97 + n) if lettered else "" for n, at in enumerate(met)}
        assert seen["marks"][name]["hit"] == wanted, (mode, cell, name)
    for name in set(seen["marks"]) - set(MET[mode]):
        assert seen["marks"][name]["hit"] == {}

    result = entry(frame, POINTED[mode][0], cell)
    values = [[entry(frame, n, at) for n, at in zip(MET[mode], m, strict=True)] for m in met]
    numbers = [result] if mode == "scatter" else [result, *itertools.chain(*values)]
    whole = all(shown(v) == v for v in numbers)  # shown in full
    sign = "=" if whole else "\N{ALMOST EQUAL TO}"
    said = f"{LEFT[mode]}{pair(cell)} {sign} {shown(result):g}. {explained(frame, mode, cell, met)}"
    total = np.size(frame["x"])
    if frame["stamps"] < total:
        said += f" So far {frame['stamps']} of {total} inputs have stamped."
    assert seen["status"] == said
    if mode == "scatter":
        check_stamp(seen["formula"], frame, met, result)
        return
    if not met:
        assert result == 0
        assert seen["formula"] == [f"{LEFT[mode]}{pair(cell)} = 0, an empty sum."]
        return
    called = {"stuffed": "x°", "turned": "w\N{PRIME}"} | ({"x": "dz"} if mode == "gradient" else {})
    symbols = [
        TIMES.join(called.get(n, n) + pair(at) for n, at in zip(MET[mode], m, strict=True))
        for m in met
    ]
    more = [f"{len(met) - 30} more"] if len(met) > 30 else []
    assert seen["formula"] == [
        f"{LEFT[mode]}{pair(cell)} = " + " + ".join(symbols[:30] + more),
        f"{sign} " + " + ".join([TIMES.join(map(number, v)) for v in values[:30]] + more),
        f"{sign} {shown(result):g}",
    ]
    np.testing.assert_allclose(sum(a * b for a, b in values), result, atol=1e-9)


def check_stamp(
    formula: list[str], frame: dict[str, Any], met: list[tuple[Cell, ...]], value: float
) -> None:
    entries = []
    for n, (uv, at) in enumerate(met[:30]):
        weight = entry(frame, "w", uv)
        whole = all(shown(v) == v for v in (value, weight, value * weight))
        sign = "=" if whole else "≈"
        product = f"{number(value)}{TIMES}{number(weight)} {sign} {shown(value * weight):g}"
        where = f" to z{pair(at)}" if exists(frame, at) else ", cut off"
        entries.append(f"{chr(97 + n) if len(met) <= 26 else pair(uv)}: {product}{where}")
    if len(met) > 30:
        entries.append(f"{len(met) - 30} more")
    assert formula == ["; ".join(entries)]


def explained(frame: dict[str, Any], mode: str, cell: Cell, met: list[tuple[Cell, ...]]) -> str:
    """Return what the status says beside the value."""
    s, p, k, n = frame["stride"], frame["padding"], np.shape(frame["w"]), len(met)

    def many(count: int, what: str) -> str:
        return f"{count} {what}{'' if count == 1 else 's'}"

    def lines(first: Iterator[int]) -> str:
        rows, columns = (
            ", ".join(str(a + u) for u in range(k[axis])) for axis, a in enumerate(first)
        )
        return f"rows {rows} and columns {columns}"

    every = {**frame, "stamps": np.size(frame["x"])}
    waits = list(np.ndindex(np.shape(frame["x"])))[: frame["stamps"]]
    if mode in ("scatter", "backward") and cell not in waits:
        return "It has not stamped yet."
    if mode == "scatter":
        cut = sum(not exists(frame, at) for _, at in met)
        where = lines(s * h - p for h in cell)
        lost = f" Cut off: {cut} of its {n} entries." if cut else ""
        return f"Its stamp lies on {where} of the output.{lost}"
    if mode == "gather":
        if not n:
            why = ""
            for axis, name in enumerate(("Row", "Column")):
                on_axis = {m["z"][axis] for m in products(every)}
                if cell[axis] not in on_axis:
                    past = cell[axis] > max(on_axis)
                    where = "past the last stamp" if past else "between the stamps"
                    why += f" {name} {cell[axis]} lies {where}."
            return f"No stamp lies on it.{why}"
        met_at_last = [at for at, _ in meetings(every, mode, cell)]
        rows, columns = (len({at[axis] for at in met_at_last}) for axis in (0, 1))
        of = f", of {rows} \N{MULTIPLICATION SIGN} {columns} inputs" if n == rows * columns else ""
        return f"{n} stamp{' lies' if n == 1 else 's lie'} on it{of}."
    if mode == "stuffing":
        inputs = len(meetings(frame, "gather", cell))
        where = lines(c + p - (size - 1) for c, size in zip(cell, k, strict=True))
        return f"The turned kernel lies on {where} of x°, and meets {many(inputs, 'input')}."
    if mode == "gradient":
        sizes = [TIMES.join(map(str, np.shape(frame[name]))) for name in ("z", "x")]
        return (
            f"z{pair(cell)} is {shown(entry(frame, 'z', cell)):g}. A convolution with these "
            f"settings takes {sizes[0]} to {sizes[1]}; its dx and z are equal everywhere."
        )
    if mode == "backward":
        return f"The gradient is read where its stamp lies, on {many(n, 'output')}."
    return f"It lands on {many(n, 'output')}."


def set_to(driver: Driver, explorer: Any, **settings: Any) -> dict[str, Any]:
    """Move the sliders there and return the package's frame."""
    for name, value in settings.items():
        driver.slide(name, value)
    return explorer.frame({**explorer.settings, **settings})


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("setting", "stamps"),
    [((3, 2, 1, 0), 12), ((2, 3, 1, 2), 12), ((1, 2, 2, 1), 12), ((4, 1, 2, 0), 7)],
    ids=str,
)
def test_every_cell(driver: Driver, mode: str, setting: tuple[int, ...], stamps: int) -> None:
    explorer = still("transposed")
    driver.choose("mode", mode)
    settings = dict(zip(SLIDERS, setting, strict=True))
    frame = set_to(driver, explorer, **settings, stamps=stamps)
    rows, columns = np.shape(frame[OF[mode]])
    cells = list(itertools.product(range(rows), range(columns)))
    for cell, seen in zip(cells, driver.views({"cell": cell} for cell in cells), strict=True):
        check_view(seen, frame, mode, cell)


@pytest.mark.parametrize("mode", MODES)
def test_the_ends_of_every_fifth_setting(driver: Driver, mode: str) -> None:
    explorer = still("transposed")
    driver.choose("mode", mode)
    shown_settings = 0
    everything = itertools.product(range(1, 5), range(1, 4), range(3), range(3))
    for values in list(everything)[::5]:
        settings = dict(zip(SLIDERS, values, strict=True))
        frame = explorer.frame({**explorer.settings, **settings})
        if "problem" in frame:
            check_frame(driver.views([settings])[0], frame)
            continue
        shown_settings += 1
        rows, columns = np.shape(frame[OF[mode]])
        cells = [(rows - 1, columns - 1), (0, min(1, columns - 1))]
        states = [{**settings, "cell": cell} for cell in cells]
        for cell, seen in zip(cells, driver.views(states), strict=True):
            check_view(seen, frame, mode, cell)
    assert shown_settings > 10


def test_the_output_is_built_up_stamp_by_stamp(driver: Driver) -> None:
    explorer = still("transposed")
    before = set_to(driver, explorer, padding=1, output_padding=1, stamps=0)
    assert not np.any(driver.read()["grids"]["uncut"])
    for n in range(1, 13):
        frame = set_to(driver, explorer, padding=1, output_padding=1, stamps=n)
        seen = driver.read()
        check_view(seen, frame, "scatter", (0, 1))
        changed = np.argwhere(np.array(frame["uncut"]) != np.array(before["uncut"])) - 1
        newest = divmod(n - 1, 4)
        lands = [m["z"] for m in products(frame) if m["x"] == newest]
        assert set(map(tuple, changed)) == set(lands)
        waiting = [key(cell) for cell in list(np.ndindex(3, 4))[n:]]
        assert seen["marks"]["x"]["unread"] == waiting
        assert ("Hatched in x: has not stamped yet." in seen["legend"]) == (n < 12)
        before = frame


def test_the_chapters_first_example(driver: Driver) -> None:
    driver.slide("stamps", 2)
    seen = driver.point("Control+Home")
    assert seen["grids"]["uncut"][0] == [1, 2, 13, 20, 30, 0, 0, 0, 0]
    formula = seen["formula"][0].replace(TIMES, " * ")
    assert formula.startswith("a: 1 * 1 = 1 to z(0, 0); b: 1 * 2 = 2 to z(0, 1); c: ")
    driver.choose("mode", "gather")
    seen = driver.point("Control+Home", "ArrowRight", "ArrowRight", grid="uncut")
    assert [line.replace(TIMES, " * ") for line in seen["formula"]] == [
        "z(0, 2) = x(0, 0) * w(0, 2) + x(0, 1) * w(0, 0)",
        "= 1 * 3 + 10 * 1",
        "= 13",
    ]


def test_what_is_cut_off_and_what_no_stamp_reaches(driver: Driver) -> None:
    explorer = still("transposed")
    driver.choose("mode", "gather")
    for values in [(3, 2, 1, 0), (2, 3, 0, 0), (3, 2, 0, 1), (2, 3, 2, 2), (1, 3, 2, 2)]:
        frame = set_to(driver, explorer, **dict(zip(SLIDERS, values, strict=True)))
        seen = driver.read()
        everywhere = [
            tuple(at - frame["padding"] for at in place)
            for place in np.ndindex(np.shape(frame["uncut"]))
        ]
        outside = {key(at) for at in everywhere if not exists(frame, at)}
        assert set(seen["marks"]["uncut"]["padding"]) == outside
        assert ("Dashed: cut off by the padding." in seen["legend"]) == (frame["padding"] > 0)
        reached = {m["z"] for m in products(frame)}
        empty = {key(at) for at in everywhere if exists(frame, at) and at not in reached}
        for name in ("uncut", "counts"):
            assert set(seen["marks"][name]["unread"]) == empty
        counts = np.array(seen["grids"]["counts"])
        assert {key(at) for at in zip(*np.nonzero(counts == 0), strict=True)} == empty
        hatched = "Hatched in the output: no stamp reaches it." in seen["legend"]
        assert hatched == bool(empty)


def test_output_padding_brings_back_what_was_cut_or_nothing(driver: Driver) -> None:
    explorer = still("transposed")
    cut = set_to(driver, explorer, padding=1, output_padding=0)
    driver.slide("output_padding", 1)
    seen = driver.read()
    assert np.shape(cut["z"]) == (5, 7)
    last = [line[-2] for line in seen["grids"]["uncut"][:-1]]
    assert last == [line[-1] for line in cut["uncut"]]
    assert np.any(last)
    driver.slide("padding", 0)
    seen = driver.point("Control+End")
    assert not np.any(seen["grids"]["uncut"][-1])
    assert "Hatched in the output" in seen["legend"]


def test_zeros_are_put_between_and_around(driver: Driver) -> None:
    explorer = still("transposed")
    driver.choose("mode", "stuffing")
    for values in [(3, 2, 0, 1), (4, 3, 1, 2), (2, 1, 0, 0), (1, 2, 2, 0)]:
        frame = set_to(driver, explorer, **dict(zip(SLIDERS, values, strict=True)))
        seen = driver.read()
        kernel_size, stride, padding, _ = values
        assert seen["origins"]["stuffed"] == [padding - (kernel_size - 1)] * 2
        stuffed = np.array(seen["grids"]["stuffed"])
        assert stuffed.shape == tuple(n + kernel_size - 1 for n in np.shape(frame["z"]))
        first = padding - (kernel_size - 1)
        inputs = {
            key((stride * h, stride * q)): frame["x"][h][q]
            for h, q in itertools.product(range(3), range(4))
        }
        put_in = set(seen["marks"]["stuffed"]["padding"])
        for place in np.ndindex(stuffed.shape):
            at = key(tuple(n + first for n in place))
            assert (at in put_in) == (at not in inputs)
            assert stuffed[place] == inputs.get(at, 0)
        assert ("is cut, too" in seen["legend"]) == (padding >= kernel_size)


@pytest.mark.parametrize("mode", MODES)
def test_typed_values_change_what_they_should(driver: Driver, mode: str) -> None:
    explorer = still("transposed")
    settings = {**explorer.settings, "padding": 1, "stamps": 11}
    driver.slide("padding", 1)
    driver.slide("stamps", 11)
    driver.choose("mode", "backward")  # the three tables are there to be typed into
    for name, at, text in [("x", (0, 1), "-7.5"), ("w", (1, 0), "0.125"), ("dz", (2, 1), "11")]:
        driver.type(name, at, text)
        table = np.array(settings[name], dtype=float)
        table[at] = float(text)
        settings[name] = table.tolist()
        check_view(driver.read(), explorer.frame(settings), "backward", (0, 1))
        assert driver.page.evaluate("document.activeElement.dataset.at") == key(at)
    driver.choose("mode", mode)
    check_view(driver.read(), explorer.frame(settings), mode, (0, 1))


def test_the_two_tables_are_compared_and_not_only_said_to_be_equal(driver: Driver) -> None:
    """A nudge to one entry of the convolution's dx is seen, wherever the cell is."""
    driver.choose("mode", "gradient")
    assert driver.point("Control+Home")["status"].endswith("its dx and z are equal everywhere.")
    driver.ask(
        """({ model }) => {
            const { get } = model;
            const frame = structuredClone(get("frame"));
            frame.conv_dx[4][6] += 0.25;
            model.get = (name) => (name === "frame" ? frame : get(name));
        }"""
    )
    driver.choose("mode", "gather")  # and back: drawn anew
    driver.choose("mode", "gradient")
    assert driver.point("ArrowRight")["status"].endswith("its dx and z differ by at most 0.25.")


def test_what_does_not_fit_says_why(driver: Driver) -> None:
    explorer = still("transposed")
    for settings, why in [
        ({"stride": 1, "output_padding": 1}, "must be below the stride (1, 1)"),
        ({"output_padding": 0, "padding": 2, "kernel_size": 2}, "leaves 0: x has 3 x 4 pixels"),
        ({"kernel_size": 1}, "leaves -1"),
    ]:
        for name, value in settings.items():
            driver.slide(name, value)
            explorer.settings[name] = value
        seen = driver.read()
        check_frame(seen, explorer.frame(explorer.settings))
        assert why in seen["status"]
        assert seen["formula"] == []
    driver.slide("stride", 2)
    assert "problem" not in driver.get("frame")
    assert driver.read()["grids"]


def test_mouse_points_and_a_click_types(driver: Driver) -> None:
    cell = driver.root.locator("table[data-grid=x] td[data-at='2,1']")
    cell.hover()
    assert driver.read()["marks"]["x"]["at"] == ["2,1"]
    cell.click()
    driver.page.keyboard.type("5")
    driver.press("Enter")
    seen = driver.read()
    assert seen["grids"]["x"][2][1] == 5
    assert seen["status"].startswith(
        "x(2, 1) = 5. Its stamp lies on rows 4, 5, 6 and columns 2, 3, 4"
    )


# The reader's own arrays, on a page of their own.

RNG = np.random.default_rng(4)
X = RNG.normal(size=(3, 2)).round(2)
W = RNG.normal(size=(2, 4)).round(2)


@pytest.fixture
def own_page(browser: Browser, tmp_path: Path) -> Iterator[Opened]:
    shown_here = [
        still("transposed", X, W, stride=3, padding=1, output_padding=1, mode="gather"),
        still("transposed", np.ones((12, 12)), np.arange(64).reshape(8, 8), mode="scatter"),
        still("transposed", X, W, np.ones((8, 7)), stride=3),
    ]
    with own_page_of(browser, tmp_path, shown_here) as opened:
        yield opened


def test_the_readers_arrays(own_page: Opened) -> None:
    own, large, short = (
        Driver(own_page.page, root) for root in own_page.page.locator(".cx-static").all()
    )
    explorer = still("transposed", X, W, stride=3, padding=1, output_padding=1, mode="gather")
    frame = explorer.frame(explorer.settings)
    assert np.shape(frame["z"]) == (7, 6)
    check_view(own.point("Control+End", grid="uncut"), frame, "gather", (6, 5))
    assert own.root.locator("[data-name=kernel_size]").count() == 0
    own.choose("mode", "backward")
    check_view(own.point("Control+End", grid="dx"), frame, "backward", (2, 1))

    # More entries than letters, and more than a formula shows; the page computes what it lacks.
    explorer = still("transposed", np.ones((12, 12)), np.arange(64).reshape(8, 8))
    frame = explorer.frame(explorer.settings)
    seen = large.point("Control+Home", "ArrowRight")
    check_view(seen, frame, "scatter", (0, 1))
    assert seen["formula"][0].endswith("; 34 more")
    large.slide("stride", 3)
    check_frame(large.read(), explorer.frame({**explorer.settings, "stride": 3}))

    short.slide("output_padding", 1)
    assert short.read()["status"].endswith("an output of shape (9, 8); dz is smaller.")
    assert own_page.wrong == []

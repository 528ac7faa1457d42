"""The pooling explorer in the built book: windows, winners, ties and shares are the equations'."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import Opened
from exploring import READ, Driver, Stage, check_frame, own_page_of, shown, staged, still
from playwright.sync_api import Browser

from companion import max_pool2d_backward

POOL = "book/pool.html"
NAMES = ("kernel_size", "stride", "padding")
POOLINGS = ("max", "average", "counted")
TIMES = "\N{MULTIPLICATION SIGN}"
# Remainder; overlaps and padding; window of 3 and padding; gaps; gaps and padding; single values.
SETTINGS = [(2, 2, 0), (2, 1, 1), (3, 2, 1), (2, 3, 0), (2, 3, 1), (3, 1, 0), (1, 2, 0)]

# What the reader sees for each of some cells, with the dashed marks and texts in place of numbers.
POINT = f"""(root, cells) => cells.map((cell) => {{
    root.model.set("cell", cell);
    root.model.save_changes();
    const seen = ({READ})(root);
    seen.near = Object.fromEntries([...root.querySelectorAll(".cx [data-grid]")].map((grid) => [
        grid.dataset.grid, Object.fromEntries([...grid.querySelectorAll(".cx-near")].map((td) =>
            [td.dataset.at, td.dataset.letter ?? ""]))]));
    return seen;
}})"""


@pytest.fixture(scope="module")
def stage(browser: Browser, html: Path) -> Iterator[Stage]:
    with staged(browser, html, POOL, "pool") as stage:
        yield stage


@pytest.fixture
def driver(stage: Stage) -> Driver:
    return stage.renewed()


Place = tuple[int, int]


class Expected:
    """What marks and texts should be, from the numbers of a frame and the equations alone."""

    def __init__(self, frame: dict[str, Any]) -> None:
        self.k, self.s, self.p = (frame[name] for name in NAMES)
        self.pooling = frame["pooling"]
        padded = np.array(frame["x"], dtype=float)
        self.H, self.W = (n - 2 * self.p for n in padded.shape)
        self.x = padded[self.p : self.p + self.H, self.p : self.p + self.W]
        self.dy = np.array(frame["dy"], dtype=float)
        self.Ho, self.Wo = self.dy.shape

    def places(self, i: int, j: int) -> list[Place]:
        rows, columns = ([self.s * at - self.p + u for u in range(self.k)] for at in (i, j))
        return list(itertools.product(rows, columns))

    def real(self, i: int, j: int) -> list[Place]:
        return [(h, q) for h, q in self.places(i, j) if 0 <= h < self.H and 0 <= q < self.W]

    def tied(self, i: int, j: int) -> list[Place]:
        """All places with the largest value, the winner first."""
        most = max(self.x[place] for place in self.real(i, j))
        return [place for place in self.real(i, j) if self.x[place] == most]

    def divisor(self, i: int, j: int) -> int:
        return self.k**2 if self.pooling == "counted" else len(self.real(i, j))

    def outputs(self) -> list[Place]:
        return list(itertools.product(range(self.Ho), range(self.Wo)))

    def holders(self, place: Place) -> list[Place]:
        return [window for window in self.outputs() if place in self.places(*window)]

    def forward(self, i: int, j: int) -> tuple[str, list[str], dict[str, Any]]:
        real, places = self.real(i, j), self.places(i, j)
        values = [self.x[place] for place in real]
        padding = len(places) - len(real)
        if self.pooling == "max":
            tied = self.tied(i, j)
            y = self.x[tied[0]]
            many = plural(len(real), "value")
            names = listing(tied)
            first = f"x{tied[0]}"
            said = (
                f"{names} tie for the largest of {many}; "
                f"{first} comes first in row-major order and wins."
                if len(tied) > 1
                else f"{names} is the {f'largest of {many}' if len(real) > 1 else 'only value'}."
            ) + (f" The {padding} places of padding, -\u221e, never win." if padding else "")
            letters = dict.fromkeys(real, "") | dict.fromkeys(tied, "tie") | {tied[0]: "max"}
            lines = [
                f"max({', '.join(f'x{place}' for place in real)})",
                f"max({', '.join(map(number, values))})",
            ]
            marks = {"hit": {"x": letters}, "at": {"x": [tied[0]], "y": [(i, j)]}}
        else:
            D = self.divisor(i, j)
            y = sum(values) / D
            many = plural(len(real), "value")
            habit = "count as 0" if self.pooling == "counted" else "are absent"
            said = (
                f"Its window holds {many} and {padding} places of padding, which {habit}: "
                f"the sum is divided by {D}."
                if padding
                else f"The sum of {many}, divided by {D}."
            )
            terms = [[f"x{place}" for place in real], [factor(v) for v in values]]
            sums = [" + ".join(term) for term in terms]
            lines = [f"({s}) / {D}" if len(real) > 1 else f"{s} / {D}" for s in sums]
            hit = places if self.pooling == "counted" else real
            marks = {"hit": {"x": dict.fromkeys(hit, "")}, "at": {"y": [(i, j)], "D": [(i, j)]}}
        near = [place for place in places if place not in marks["hit"]["x"]]
        marks["near"] = {"x": dict.fromkeys(near, "")}
        equals = relation(y, *values)
        formula = [
            f"y{(i, j)} = {lines[0]}",
            f"{relation(*values)} {lines[1]}",
            f"{equals} {number(y)}",
        ]
        return f"y{(i, j)} {equals} {number(y)}. {said}", formula, marks

    def backward(self, h: int, q: int) -> tuple[str, list[str], dict[str, Any]]:
        place, held = (h, q), self.holders((h, q))
        incoming = [self.dy[window] for window in held]
        marks: dict[str, Any] = {"at": {"x": [place], "dx": [place]}}
        if self.pooling == "max":
            slopes = [float(self.tied(*window)[0] == place) for window in held]
            terms = [
                [f"{s:g} {TIMES} dy{window}" for s, window in zip(slopes, held, strict=True)],
                [f"{s:g} {TIMES} {factor(v)}" for s, v in zip(slopes, incoming, strict=True)],
            ]
            lost = [window for s, window in zip(slopes, held, strict=True) if not s]
            ties = [window for window in lost if place in self.tied(*window)]
            rivals = list(dict.fromkeys(self.tied(*window)[0] for window in lost))
            marks["hit"] = {"dy": {window: "won" for window in held if window not in lost}}
            marks["near"] = {
                "dy": {window: "tie" if window in ties else "lost" for window in lost},
                "x": dict.fromkeys(rivals, "max"),
            }
            won = len(held) - len(lost)
            whole = "it" if len(held) == 1 else "them all"
            said = f" and wins {whole if not lost else won or 'none'}."
            if lost:
                what = "the rest" if won else "it" if len(held) == 1 else "them"
                said += f" {listing(rivals)} {'win' if len(rivals) > 1 else 'wins'} {what}."
            if ties:
                said += f" It ties in {len(ties)} of these, but comes later."
        else:
            D = [self.divisor(*window) for window in held]
            slopes = [1 / d for d in D]
            terms = [
                [f"dy{window} / D{window}" for window in held],
                [f"{factor(v)} / {d}" for v, d in zip(incoming, D, strict=True)],
            ]
            shares = {window: f"1/{d}" for window, d in zip(held, D, strict=True)}
            marks["hit"] = {"dy": shares, "D": dict.fromkeys(held, "")}
            said = " and gets a share of each gradient."
        dx = sum(s * v for s, v in zip(slopes, incoming, strict=True))
        equals = relation(dx, *incoming)
        head = f"dx{place} {equals} {number(dx)}. x{place} lies in "
        if not held:
            return (
                head + f"no window: its gradient is 0. {self.why(place)}",
                [f"dx{place} = 0, an empty sum."],
                marks,
            )
        formula = [
            f"dx{place} = {' + '.join(terms[0])}",
            f"{relation(*incoming)} {' + '.join(terms[1])}",
            f"{equals} {number(dx)}",
        ]
        return head + plural(len(held), "window") + said, formula, marks

    def why(self, place: Place) -> str:
        """Why no window holds a place."""
        said = []
        for name, at, out in zip(("Row", "Column"), place, (self.Ho, self.Wo), strict=True):
            read = {self.s * i - self.p + u for i in range(out) for u in range(self.k)}
            if at not in read:
                where = "past the last window" if at > max(read) else "between the windows"
                said.append(f"{name} {at} lies {where}.")
        return " ".join(said)

    def route(self, i: int, j: int) -> tuple[str, list[str], dict[str, Any]]:
        v, real, places = self.dy[i, j], self.real(i, j), self.places(i, j)
        D = self.divisor(i, j)
        kept = self.dy.sum()
        if self.pooling == "max":
            winners = [self.tied(*window)[0] for window in self.outputs()]
            mine = self.tied(i, j)[0]
            letters = {place: f"{winners.count(place)}{TIMES}" for place in winners}
            more = winners.count(mine) - 1
            said = f"All of it goes to x{mine}, which wins this window"
            said += f" and {more} more." if more else "."
            line = f"To dx{mine}: 1 {TIMES} dy{(i, j)} = 1 {TIMES} {factor(v)}"
            marks = {
                "at": {"dy": [(i, j)], "x": [mine], "dx": [mine]},
                "hit": {"x": letters, "dx": letters},
                "near": {
                    "x": {place: letters.get(place, "") for place in places},
                    "dx": {place: letters.get(place, "") for place in real},
                },
            }
        else:
            verb = "each get" if len(real) > 1 else "gets"
            said = f"{plural(len(real), 'value')} {verb} 1/{D} of it."
            if len(real) < D:
                said += f" The {D - len(real)} shares of the padding are dropped."
            line = (
                f"To each: dy{(i, j)} / D{(i, j)} = {number(v)} / {D} "
                f"{relation(v, v / D)} {number(v / D)}"
            )
            counted = self.pooling == "counted"
            hit = places if counted else real
            near = {} if counted else {place: "" for place in places if place not in real}
            marks = {
                "at": {"dy": [(i, j)], "D": [(i, j)]},
                "hit": {
                    "x": dict.fromkeys(hit, f"1/{D}"),
                    "dx": dict.fromkeys(real, f"1/{D}"),
                },
                "near": {"x": near},
            }
            kept = sum(
                self.dy[window] * len(self.real(*window)) / self.divisor(*window)
                for window in self.outputs()
            )
        formula = [
            line,
            f"All dy together: {number(self.dy.sum())}. All dx together: {number(kept)}.",
            "The difference went to the padding."
            if self.pooling == "counted" and self.p
            else "Nothing is lost.",
        ]
        return f"dy{(i, j)} {relation(v)} {number(v)}. {said}", formula, marks

    def unread(self) -> set[str]:
        cells = itertools.product(range(self.H), range(self.W))
        return {key(place) for place in cells if not self.holders(place)}


def plural(n: int, what: str) -> str:
    return f"{n} {what}" + ("" if n == 1 else "s")


def listing(places: list[Place]) -> str:
    *before, last = [f"x{place}" for place in places]
    return f"{', '.join(before)} and {last}" if before else last


def number(value: float) -> str:
    return f"{shown(value):.12g}"


def factor(value: float) -> str:
    return f"({number(value)})" if value < 0 else number(value)


def relation(*values: float) -> str:
    return "=" if all(shown(v) == v for v in values) else "\N{ALMOST EQUAL TO}"


def key(cell: tuple[int, ...]) -> str:
    return ",".join(map(str, cell))


def keyed(marks: dict[Place, str]) -> dict[str, str]:
    return {key(place): letter for place, letter in marks.items()}


def check(seen: dict[str, Any], frame: dict[str, Any], mode: str, cell: Place) -> None:
    """Hold texts and marks to the equations."""
    expected = Expected(frame)
    status, formula, marks = getattr(expected, mode)(*cell)
    assert seen["status"] == status
    assert seen["formula"] == formula
    for name, found in seen["marks"].items():
        at = marks["at"].get(name, [])
        assert found["at"] == list(map(key, at)), name
        assert found["hit"] == keyed(marks["hit"].get(name, {})), name
        assert seen["near"][name] == keyed(marks.get("near", {}).get(name, {})), name
        assert set(found["unread"]) == (expected.unread() if name in ("x", "dx") else set())


def seen_at(driver: Driver, cells: list[Place]) -> list[dict[str, Any]]:
    seen: list[dict[str, Any]] = driver.ask(POINT, [list(cell) for cell in cells])
    return seen


def move(driver: Driver, **state: Any) -> dict[str, Any]:
    """Change settings; return all of them."""
    for name, value in state.items():
        if isinstance(value, str):
            driver.choose(name, value)
        else:
            driver.slide(name, value)
    names = ("x", "dy", *NAMES, "pooling", "mode")
    values = driver.ask("(root, names) => names.map((name) => root.model.get(name))", names)
    return dict(zip(names, values, strict=True))


@pytest.mark.parametrize("mode", ["forward", "backward", "route"])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_every_cell_of_many_settings(driver: Driver, pooling: str, mode: str) -> None:
    explorer = still("pool")
    move(driver, pooling=pooling, mode=mode)
    ties = 0
    for values in SETTINGS:
        settings = move(driver, **dict(zip(NAMES, values, strict=True)))
        frame = explorer.frame(settings)
        target = np.shape(frame["dx" if mode == "backward" else "y"])
        cells = list(itertools.product(*map(range, target)))
        for cell, seen in zip(cells, seen_at(driver, cells), strict=True):
            check_frame(seen, frame)
            check(seen, frame, mode, cell)
            ties += " tie" in seen["status"]
    assert bool(ties) == (pooling == "max" and mode != "route")


def test_arrow_keys_point_at_outputs_inputs_and_gradients(driver: Driver) -> None:
    explorer = still("pool")
    for mode, grid, others in [
        ("forward", "y", ["x"]),
        ("backward", "dx", ["dy"]),
        ("backward", "x", ["dy"]),
        ("route", "dy", ["x", "dx"]),
    ]:
        frame = explorer.frame(move(driver, mode=mode))
        rows, columns = np.shape(frame[grid])
        for keys, cell in [
            (["Control+Home"], (0, 0)),
            (["ArrowRight", "ArrowDown"], (1, 1)),
            (["End"], (1, columns - 1)),
            (["Control+End", "ArrowDown"], (rows - 1, columns - 1)),
        ]:
            driver.point(*keys, grid=grid)
            assert driver.get("cell") == list(cell)
            check(seen_at(driver, [cell])[0], frame, mode, cell)
        for other in others:  # not to be pointed at
            selectable = f"table[data-grid={other}] td[aria-selected]"
            assert driver.root.locator(selectable).count() == 0


def test_a_tie_is_made_and_broken_by_typing(driver: Driver) -> None:
    explorer = still("pool")
    seen = driver.point("Control+Home", grid="y")
    assert "x(0, 1) and x(1, 1) tie for the largest of 4 values; x(0, 1) comes" in seen["status"]
    assert seen["marks"]["x"]["hit"]["0,1"] == "max"
    # The second of the tied a little larger: the whole gradient moves.
    driver.type("x", (1, 1), "3.1")
    assert driver.read()["status"] == "y(0, 0) = 3.1. x(1, 1) is the largest of 4 values."
    settings = move(driver, mode="backward")
    dx = np.array(explorer.frame(settings)["dx"])
    assert (dx[0, 1], dx[1, 1]) == (0, 4)
    check_frame(driver.read(), explorer.frame(settings))
    # All four alike: the first.
    for place in [(0, 0), (0, 1), (1, 0), (1, 1)]:
        driver.type("x", place, "-7")
    settings = move(driver, mode="route")
    frame = explorer.frame(settings)
    seen = seen_at(driver, [(0, 0)])[0]
    check_frame(seen, frame)
    check(seen, frame, "route", (0, 0))
    assert seen["marks"]["dx"]["at"] == ["0,0"]
    settings = move(driver, mode="forward")
    assert seen_at(driver, [(0, 0)])[0]["status"] == (
        "y(0, 0) = -7. x(0, 0), x(0, 1), x(1, 0) and x(1, 1) tie for the largest of 4 values; "
        "x(0, 0) comes first in row-major order and wins."
    )


def test_typed_images_route_as_the_package_does(driver: Driver) -> None:
    """Whole numbers from 0 to 2: nearly every window ties, and the page computes alone."""
    rng = np.random.default_rng(4)
    explorer = still("pool")
    for k, s, p in [(2, 1, 0), (3, 1, 1), (3, 2, 0), (2, 2, 1)]:
        x = rng.integers(-1, 2, (5, 6))
        driver.ask(
            "(root, x) => { root.model.set('x', x); root.model.save_changes(); }", x.tolist()
        )
        settings = move(driver, kernel_size=k, stride=s, padding=p, mode="backward")
        seen = driver.read()
        check_frame(seen, explorer.frame(settings))
        Ho, Wo = ((n + 2 * p - k) // s + 1 for n in x.shape)
        dy = np.array(settings["dy"], dtype=float)[None, :Ho, :Wo, None]
        dx = max_pool2d_backward(dy, x[None, :, :, None] * 1.0, k, stride=s, padding=p)
        np.testing.assert_array_equal(seen["grids"]["dx"], dx[0, :, :, 0])


def test_the_gradient_of_an_average_does_not_follow_the_image(driver: Driver) -> None:
    move(driver, mode="backward", stride=1)
    for pooling, follows in [("max", True), ("average", False), ("counted", False)]:
        move(driver, pooling=pooling)
        before = driver.read()["grids"]["dx"]
        driver.type("x", (1, 2), "-20" if follows else "20")
        assert (driver.read()["grids"]["dx"] != before) == follows


def test_a_typed_gradient_arrives_where_it_belongs(driver: Driver) -> None:
    explorer = still("pool")
    move(driver, mode="route", kernel_size=3, stride=2)
    driver.type("dy", (1, 1), "-0.5")
    settings = move(driver, pooling="max")
    assert settings["dy"][1][1] == -0.5
    assert len(settings["dy"]) == 6  # the part that this setting does not use stays
    check_frame(driver.read(), explorer.frame(settings))
    move(driver, pooling="average")
    seen = driver.point("Control+End", grid="dy")
    assert seen["formula"][0] == "To each: dy(1, 1) / D(1, 1) = -0.5 / 9 ≈ -0.05556"


def test_padding_says_what_it_counts_as(driver: Driver) -> None:
    move(driver, padding=1)
    corner = driver.root.locator("table[data-grid=x] td[data-at='-1,-1']")
    content = "td => getComputedStyle(td, '::before').content"
    for pooling, text, before, legend in [
        ("max", "", '"\u2212\u221e"', "Dashed: padding, \u2212\u221e: it never wins."),
        ("average", "", "none", "Dashed: padding, absent."),
        ("counted", "0", "none", "Dashed: padding, counted as 0."),
    ]:
        move(driver, pooling=pooling)
        seen = driver.read()
        assert (corner.inner_text(), corner.evaluate(content)) == (text, before)
        assert legend in seen["legend"]
        assert len(seen["marks"]["x"]["padding"]) == 7 * 8 - 30
        assert corner.get_attribute("tabindex") is None
    # Its values are negative, and stay so where padding never wins.
    move(driver, pooling="max")
    assert [row[-1] for row in driver.read()["grids"]["y"]] == [-1, -2, -1]


def test_half_the_window_is_the_most_padding(driver: Driver) -> None:
    move(driver, padding=1, kernel_size=1)
    seen = driver.read()
    assert seen["grids"] == {}
    assert seen["status"] == (
        "Padding 1 is more than half of a window of 1: padding must be at most half the window."
    )
    assert seen["formula"] == []
    move(driver, padding=0)
    assert driver.read()["grids"]["y"] == [[1, 2, 6], [4, 1, 7], [5, 0, 8]]


def test_settings_and_cell_may_come_together(driver: Driver, stage: Stage) -> None:
    """As from another link to this page: the larger picture is drawn before it is marked."""
    move(driver, mode="route")
    for state, status in [
        ("stride=1,padding=1,cell=5-6", "dy(5, 6) = 8."),
        ("stride=3,padding=0,cell=1-1", "dy(1, 1) = 12."),
        ("kernel_size=3,stride=1,padding=1,cell=0-5", "dy(0, 5) = 4."),
    ]:
        driver.go(f"#pool-explorer:kernel_size=2,{state}")
        assert driver.read()["status"].startswith(status)
    assert stage.opened.wrong == []


# Explorers of the reader's own arrays, on a page of their own.

X = np.random.default_rng(3).normal(size=(3, 7)).round(3)
DY = np.random.default_rng(4).normal(size=(4, 8))


@pytest.fixture
def own_page(browser: Browser, tmp_path: Path) -> Iterator[Opened]:
    explorers = [
        still("pool"),
        still("pool", X, DY, stride=1, pooling="average", mode="backward"),
        still("pool", np.ones((20, 20))),
    ]
    with own_page_of(browser, tmp_path, explorers) as opened:
        yield opened


def test_several_on_a_page_with_the_readers_arrays(own_page: Opened) -> None:
    first, own, large = (
        Driver(own_page.page, root) for root in own_page.page.locator(".cx-static").all()
    )
    before = first.read()
    explorer = still("pool", X, DY)
    frame = explorer.frame(move(own, mode="backward"))
    seen = seen_at(own, [(1, 3)])[0]
    check_frame(seen, frame)
    check(seen, frame, "backward", (1, 3))
    assert "\N{ALMOST EQUAL TO}" in seen["status"]
    assert first.read() == before
    for pooling, k, s, p in zip(POOLINGS, (3, 2, 3), (1, 2, 2), (0, 1, 1), strict=True):
        frame = explorer.frame(move(own, pooling=pooling, kernel_size=k, stride=s, padding=p))
        check_frame(own.read(), frame)

    # Too many numbers to store: the page computes.
    move(large, kernel_size=3, stride=1, padding=1, mode="route")
    seen = seen_at(large, [(0, 0)])[0]
    assert np.shape(seen["grids"]["dy"]) == (20, 20)
    # All tie: each window is won by its first value.
    assert set(seen["marks"]["dx"]["hit"]) == {f"{r},{c}" for r in range(19) for c in range(19)}
    assert seen["marks"]["dx"]["hit"]["0,0"] == f"4{TIMES}"
    assert own_page.wrong == []


def test_nothing_is_lost_of_large_gradients_either(driver: Driver) -> None:
    for control, value in (("kernel_size", 3), ("stride", 1)):
        driver.slide(control, value)
    driver.choose("pooling", "average")
    driver.choose("mode", "route")
    driver.type("dy", (0, 0), "12345")
    *_, totals, verdict = driver.point("Home", grid="dy")["formula"]
    before, after = re.findall(r"together: (\d+)", totals)
    assert before == after
    assert verdict == "Nothing is lost."

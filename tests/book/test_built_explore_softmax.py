"""The softmax explorer in the built book: marks, sums and sentences against NumPy's own numbers."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import PHONE, Opened
from exploring import Driver, Stage, check_frame, own_page_of, shown, staged, still
from playwright.sync_api import Browser

SOFTMAX = "book/softmax.html"
TIMES = "\N{MULTIPLICATION SIGN}"
NUMBER = r"-?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|inf|nan)"


@pytest.fixture(scope="module")
def stage(browser: Browser, html: Path) -> Iterator[Stage]:
    with staged(browser, html, SOFTMAX, "softmax") as stage:
        yield stage


@pytest.fixture
def driver(stage: Stage) -> Driver:
    return stage.renewed()


def numbers(text: str) -> list[float]:
    """Return the numbers of a text that are no index and no condition."""
    return [float(n) for n in re.findall(NUMBER, re.sub(r"\w?\(\d\)|\[.*?\]", "", text))]


def near(values: Any) -> list[float]:
    return [shown(float(value)) for value in np.ravel(values)]


def softmax_of(z: list[float]) -> np.ndarray:
    return np.exp(z) / np.exp(z).sum()


def set_row(driver: Driver, *values: float) -> None:
    driver.slide("classes", len(values))
    for k, value in enumerate(values):
        driver.root.locator(f"[data-name=z{k}]").focus()
        driver.press("Home")  # log 8 shows as 2: to 2 exactly, it must move
        driver.slide(f"z{k}", value)


def sums(driver: Driver, grid: str) -> list[str]:
    cells = driver.root.locator(f"table[data-grid={grid}] .cx-sum").all_inner_texts()
    return [text.replace("\N{MINUS SIGN}", "-") for text in cells]


@pytest.mark.parametrize(
    "row", [(0.5, -1.0), (1.5, -0.5, 3.0, 2.0), (-4, 4, 1, 0, 2.5, -3)], ids=len
)
def test_probabilities_class_by_class(driver: Driver, row: tuple[float, ...]) -> None:
    set_row(driver, *row)
    a = softmax_of(row)
    shifted = np.subtract(row, max(row))
    driver.slide("right_class", 0)
    for k in range(len(row)):
        seen = driver.point("Control+Home", *["ArrowDown"] * k, grid="a")
        assert seen["grids"]["z"] == [[value] for value in row]
        assert np.ravel(seen["grids"]["a"]).tolist() == near(a)
        for name in ("z", "a", "exponentials"):
            assert seen["marks"][name]["at"] == [f"{k},0"]
        assert list(seen["marks"]["exponentials"]["hit"]) == [f"{i},0" for i in range(len(row))]
        assert sums(driver, "a") == ["1"]
        assert [float(text) for text in sums(driver, "exponentials")] == near(np.exp(shifted).sum())
        symbols, fraction, share, loss = seen["formula"]
        assert symbols == f"a({k}) = exp(z({k}) - max) / sum"
        assert numbers(fraction) == near([np.exp(shifted[k]), np.exp(shifted).sum()])
        assert numbers(share) == near(a[k])
        assert numbers(loss) == near([np.log(np.exp(shifted).sum()), shifted[0], -np.log(a[0])])
        assert seen["status"] == (
            f"Class {k} has probability {shown(a[k]):.12g}. The right class is 0: "
            f"the loss is {shown(-np.log(a[0])):.12g}."
        )


def test_a_shift_moves_no_number_of_the_first_three_views(driver: Driver) -> None:
    set_row(driver, 1.5, -0.5, 3.0, 2.0)
    for mode in ("forward", "jacobian", "backward"):
        driver.choose("mode", mode)
        driver.slide("shift", 0)
        before = driver.read()
        for shift in (1000, -1000):
            driver.slide("shift", shift)
            seen = driver.read()
            assert seen["grids"] == before["grids"]
            if mode == "forward":
                assert f"The shift θ = {shift} changes none of this." in seen["status"]
                assert seen["formula"][0] == "a(1) = exp(z(1) + θ - max) / sum"


@pytest.mark.parametrize("row", [(0.0, 0.0), (1.5, -0.5, 3.0), (0.5, -2, 1, 2, 0)], ids=len)
def test_the_jacobian_entry_by_entry(driver: Driver, row: tuple[float, ...]) -> None:
    driver.choose("mode", "jacobian")
    set_row(driver, *row)
    a = softmax_of(row)
    K = len(row)
    entries = list(np.ndindex(K, K))
    keys = [["Control+Home", *["ArrowDown"] * i, *["ArrowRight"] * j] for i, j in entries]
    for (i, j), seen in zip(entries, driver.points(keys, "jacobian"), strict=True):
        assert seen["marks"]["jacobian"]["at"] == [f"{i},{j}"]
        letters = {f"{i},0": "i", f"{j},0": "j"} if i != j else {f"{i},0": "i = j"}
        assert seen["marks"]["a"]["hit"] == letters
        slope = a[i] * ((i == j) - a[j])
        symbols, product, result, line = seen["formula"]
        assert symbols == f"∂a({i})/∂z({j}) = a({i}) {TIMES} ([{i} = {j}] - a({j}))"
        assert numbers(product.replace("- ", "")) == near([a[i], i == j, a[j]])
        assert numbers(result) == near(slope)
        assert numbers(line.removeprefix(f"Row {i}:")) == [
            *near(a[i] * ((np.arange(K) == i) - a)),
            0,
        ]
        verb = "rises" if i == j else "falls"
        assert seen["status"] == (
            f"Nudge score {j} up by a little: probability {i} {verb} by "
            f"{shown(abs(slope)):.12g} times as much."
        )
    assert len(sums(driver, "jacobian")) == 2 * K + 1
    assert set(sums(driver, "jacobian")) <= {"0", "≈ 0", ""}


def test_gradients_for_every_label(driver: Driver) -> None:
    driver.choose("mode", "backward")
    row = (1.5, -0.5, 3.0, 2.0)
    set_row(driver, *row)
    a = softmax_of(row)
    for right in range(4):
        driver.slide("right_class", right)
        y = np.eye(4)[right]
        squared = np.diag(a) @ (a - y) - a * (a @ (a - y))
        heads = driver.root.locator("table[data-grid=dz] th").all_inner_texts()
        assert [head for head in heads if "✓" in head] == [f"{right} ✓"]
        for k in range(4):
            seen = driver.point("Control+Home", *["ArrowDown"] * k, grid="dz")
            for name, wanted in {
                "dz": a - y,
                "through": a - y,
                "da": -y / a,
                "squared": squared,
            }.items():
                assert np.ravel(seen["grids"][name]).tolist() == near(wanted), name
            for name in ("z", "a", "dz", "through", "squared"):
                assert seen["marks"][name]["at"] == [f"{k},0"]
            assert len(seen["marks"]["da"]["hit"]) == 4
            fused, symbols, products, result = seen["formula"]
            assert fused.startswith(f"dz({k}) = a({k}) - y({k}) ≈")
            assert numbers(fused.replace(" - ", " ")) == near([a[k], y[k], a[k] - y[k]])
            assert re.findall(rf"da\((\d)\) {TIMES} ∂a\((\d)\)/∂z\((\d)\)", symbols) == [
                (str(i), str(i), str(k)) for i in range(4)
            ]
            slopes = a * ((np.arange(4) == k) - a[k])
            assert numbers(products) == near(np.stack([-y / a, slopes], axis=1))
            assert numbers(result) == near(a[k] - y[k])
            way = (
                "up, as it is the right class"
                if k == right
                else "down, in proportion to its probability"
            )
            assert seen["status"] == (
                f"dz({k}) ≈ {shown(a[k] - y[k]):.12g}. Descent moves score {k} {way}. "
                "The incoming da through the Jacobian gives the same."
            )
        for name in ("dz", "through", "squared"):
            assert sums(driver, name)[0] in {"0", "≈ 0"}


FITS = "Both ways agree."
TOO_LARGE = "exp is inf above 709.78, and so is the sum: every share is 0 or nan."
SENTENCES = [
    (0, FITS),
    (700, FITS),
    (720, TOO_LARGE),
    (1000, TOO_LARGE),
    (-700, FITS),
    (-740, "Every exp is so small that few of its digits are left, so the shares are off."),
    (-760, "Every exp has rounded to 0: each share is 0 / 0, which is nan."),
]


def test_overflow_and_underflow(driver: Driver) -> None:
    driver.choose("mode", "overflow")
    for shift, sentence in SENTENCES:
        driver.slide("shift", shift)
        scores = np.log([1.0, 2.0, 5.0]) + shift
        with np.errstate(all="ignore"):
            e = np.exp(scores)
            shares = e / e.sum()
            loss = -np.log(shares[1])
        seen = driver.point("Control+Home", "ArrowDown", "End", grid="naive")
        for name in ("naive", "stable"):
            assert seen["marks"][name]["at"] == ["1,2"]
        texts = driver.root.locator("table[data-grid=naive] td[data-at]").all_inner_texts()
        got = [float(text.replace("\N{MINUS SIGN}", "-")) for text in texts]
        np.testing.assert_array_equal(got, near(np.stack([scores, e, shares], axis=1)))
        np.testing.assert_array_equal(
            [float(text) for text in sums(driver, "naive")[1:]], near([e.sum(), shares.sum()])
        )
        assert sums(driver, "stable") == ["", "1.6", "1"]
        assert seen["status"] == f"θ = {shift}. {sentence} Less the largest, a(1) ≈ 0.25."
        naive, stable, losses = seen["formula"]
        np.testing.assert_array_equal(
            numbers(naive.replace("exp(", "")), near([scores[1], e[1], e.sum(), shares[1]])
        )
        assert numbers(stable.replace("exp(", "")) == near([scores[1] - scores[2], 0.4, 1.6, 0.25])
        np.testing.assert_array_equal(numbers(losses.split(",", 1)[1]), near([loss, np.log(4)]))


def test_scores_beyond_the_sliders(driver: Driver) -> None:
    """The chapter's row: the steps one after the other give nan, a - y does not."""
    for k, text in enumerate(["1000", "0", "-1000"]):
        driver.type("z", (k, 0), text)
    driver.slide("right_class", 2)
    driver.choose("mode", "backward")
    seen = driver.point("Control+End", grid="dz")
    assert seen["grids"]["dz"] == [[1], [0], [-1]]
    assert np.isnan(np.array(seen["grids"]["through"], dtype=float)).all()
    for name, text in (("da", "\N{MINUS SIGN}inf"), ("through", "nan")):
        cell = driver.root.locator(f"table[data-grid={name}] td[data-at='2,0']")
        assert cell.inner_text() == text
    assert sums(driver, "through") == ["nan"]
    assert seen["formula"][-1] == "≈ nan"
    assert "a(2) has rounded to 0, and da is -inf" in seen["status"]
    seen = driver.point("ArrowUp", grid="dz")
    assert "Nothing moves score 1." in seen["status"]
    driver.choose("mode", "forward")
    assert "the loss is 2000." in driver.read()["status"]
    driver.choose("mode", "overflow")
    assert "from the scores, 2000." in driver.read()["formula"][2]
    assert driver.root.locator("table[data-grid=naive] td[data-at='0,1']").inner_text() == "inf"
    assert driver.root.locator("table[data-grid=naive] td[data-at='1,2']").inner_text() == "0"


def test_one_row_of_numbers_for_sliders_and_typing(driver: Driver) -> None:
    explorer = still("softmax")
    slider = driver.root.locator("[data-name=z1]")
    driver.type("z", (1, 0), "7.25")
    assert (slider.input_value(), slider.get_attribute("aria-valuetext")) == ("4", "7.25")
    assert "7.25" in slider.locator("xpath=..").inner_text()
    settings = {**explorer.settings, "z": [0, 7.25, *explorer.settings["z"][2:]]}
    check_frame(driver.read(), explorer.frame(settings))
    slider.focus()
    driver.press("ArrowLeft", "ArrowLeft")
    assert driver.page.evaluate("document.activeElement.dataset.name") == "z1"
    settings["z"][1] = 3
    check_frame(driver.read(), explorer.frame(settings))
    cell = driver.root.locator("table[data-grid=z] td[data-at='1,0']")
    cell.focus()
    driver.press("Enter")
    field = driver.root.locator("td input")
    assert (field.get_attribute("aria-label"), field.input_value()) == ("z(1)", "3")
    driver.press("Escape")


def test_classes_come_and_go(driver: Driver) -> None:
    driver.slide("right_class", 2)
    for classes in (2, 6, 3):
        driver.slide("classes", classes)
        assert driver.root.locator(".cx-row input").count() == classes
        seen = driver.read()
        assert len(seen["grids"]["a"]) == classes
        assert f"The right class is {min(2, classes - 1)}:" in seen["status"]
    names = driver.root.locator(".cx-row input").evaluate_all(
        "all => all.map((e) => e.dataset.name)"
    )
    assert names == ["z0", "z1", "z2"]


def test_equal_scores_cost_log_k(driver: Driver) -> None:
    for K in range(2, 7):
        set_row(driver, *[0.0] * K)
        assert f"the loss is {shown(np.log(K)):.12g}." in driver.read()["status"]


def test_touch_on_a_phone(browser: Browser, html: Path) -> None:
    with browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True) as context:
        page = Opened(context.new_page(), html.as_uri()).alone(SOFTMAX, "softmax")
        driver = Driver(page, page.locator(".cx-static[data-explorer=softmax]").first)
        cell = driver.root.locator("table[data-grid=z] td[data-at='2,0']")
        cell.tap()
        assert driver.read()["marks"]["a"]["at"] == ["2,0"]
        cell.tap()
        driver.page.keyboard.type("-1")
        driver.press("Enter")
        assert driver.read()["grids"]["z"][2] == [-1]


OWN = [0.25, -1.5, 3.125, 2.0]


@pytest.fixture
def own_page(browser: Browser, tmp_path: Path) -> Iterator[Opened]:
    shown_here = [
        still("softmax"),
        still("softmax", OWN, right_class=3, shift=800, mode="overflow"),
    ]
    with own_page_of(browser, tmp_path, shown_here) as opened:
        yield opened


def test_the_readers_scores(own_page: Opened) -> None:
    first, own = (Driver(own_page.page, root) for root in own_page.page.locator(".cx-static").all())
    before = first.read()
    assert own.root.locator("[data-name=classes]").count() == 0
    assert own.root.locator("[data-name=right_class]").get_attribute("max") == "3"
    assert own.read()["status"].startswith("θ = 800. exp is inf")
    own.choose("mode", "backward")
    explorer = still("softmax", OWN, right_class=3, shift=800)
    check_frame(own.read(), explorer.frame(explorer.settings))
    own.type("z", (3, 0), "-2")
    settings = {**explorer.settings, "z": [*OWN[:3], -2]}
    check_frame(own.read(), explorer.frame(settings))
    assert first.read() == before
    assert own_page.wrong == []

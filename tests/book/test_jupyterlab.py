"""The explorers in a real JupyterLab: the same front end, and the kernel's numbers."""

import json
import os
import shutil
import socket
import subprocess
import sysconfig
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from browsing import ROOT, missing
from exploring import KINDS, Keyboard, check_frame, shown, still
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import Browser, Page, expect

from companion.widgets._controls import Choice, Slider, Table

SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},  # cells out of sight are there too
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}
HIDE_ALL_BUT = """(shown) => document.querySelectorAll(".jp-Cell")
    .forEach((cell) => { cell.style.display = !shown || cell === shown ? "" : "none"; })"""
LINKED = """plain = ipywidgets.IntSlider(min=0, max=2, description="linked")
ipywidgets.link((conv, "padding"), (plain, "value"))
plain"""
CELLS = [
    "import ipywidgets\nfrom companion import widgets",
    *(f"{kind} = widgets.explore_{kind}()\n{kind}" for kind in KINDS),
    LINKED,
]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with one notebook of all explorers, not run yet; its address."""
    program = Path(sysconfig.get_path("scripts")) / "jupyter-lab"
    if not program.exists():
        missing("JupyterLab is not installed")
    folder = tmp_path_factory.mktemp("lab")
    for name, values in SETTINGS.items():
        path = folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values), "utf-8")
    notebook = new_notebook(
        cells=[new_code_cell(source) for source in CELLS],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    (folder / "work").mkdir()
    nbformat.write(notebook, folder / "work" / "all.ipynb")
    shutil.copy(ROOT / "book" / "conv.ipynb", folder / "work")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        "JUPYTERLAB_SETTINGS_DIR": folder / "settings",
        "JUPYTERLAB_WORKSPACES_DIR": folder / "workspaces",
        "JUPYTER_CONFIG_DIR": folder / "config",
        "JUPYTER_RUNTIME_DIR": folder / "runtime",
        "IPYTHONDIR": folder / "ipython",
        "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
    }
    command = [program, "--no-browser", "--allow-root", "--expose-app-in-browser", f"--port={port}"]
    command += ["--ip=127.0.0.1", "--IdentityProvider.token=", "--ServerApp.password="]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(  # noqa: S603
            [*command, f"--ServerApp.root_dir={folder / 'work'}"],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **{name: str(value) for name, value in environment.items()}},
        )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{address}/api", timeout=5).close()  # noqa: S310
                break
            except OSError:
                assert server.poll() is None, (folder / "log").read_text()
                time.sleep(0.25)
        yield address
    finally:
        server.terminate()
        server.wait(timeout=30)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def notebook(lab: str, browser: Browser) -> Iterator[Page]:
    """The notebook, open and run from top to bottom."""
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        page = context.new_page()
        page.set_default_timeout(120_000)
        page.goto(f"{lab}/lab/tree/all.ipynb?reset")
        page.locator(".jp-Notebook .jp-CodeCell").nth(len(CELLS) - 1).wait_for(state="attached")
        page.wait_for_function(
            "() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel"
        )
        page.evaluate("() => jupyterapp.commands.execute('notebook:run-all-cells')")
        page.locator(".jp-CodeCell").last.locator(".widget-slider").wait_for()
        yield page


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def driver(kind: str, notebook: Page) -> Iterator[Keyboard]:
    """One explorer; the other cells are out of sight, or each key would lay all of them out."""
    cell = notebook.locator(".jp-CodeCell").nth(1 + KINDS.index(kind))
    element = cell.element_handle()
    notebook.evaluate(HIDE_ALL_BUT, element)
    yield Keyboard(notebook, cell.locator(".jp-Cell-outputArea"))
    notebook.evaluate(HIDE_ALL_BUT, None)


def soon(driver: Keyboard, frame: dict[str, Any]) -> None:
    """The kernel's answer takes a moment."""
    for wait in [10] * 5 + [50] * 100:
        try:
            check_frame(driver.read(), frame)
        except AssertionError:
            driver.page.wait_for_timeout(wait)
        else:
            return
    check_frame(driver.read(), frame)


def test_live_by_keyboard(kind: str, driver: Keyboard) -> None:
    explorer = still(kind)
    settings = dict(explorer.settings)
    soon(driver, explorer.frame(settings))
    for control in explorer.controls:
        if not isinstance(control, Slider | Choice):
            continue
        if control.name == "added":  # idle in every other view
            view = next(c for c in explorer.controls if c.name == "mode")
            settings["mode"] = "dw_so_far"
            driver.move(view, settings["mode"])
        limit = explorer.frame(settings).get("limits", {}).get(control.name, np.inf)
        values = [v for v in control.values() if isinstance(v, str) or v <= limit]
        for value in dict.fromkeys([values[-1], values[0], values[len(values) // 2]]):
            driver.move(control, value)
            settings[control.name] = value
            soon(driver, explorer.frame(settings))
    assert len(driver.root.locator(".cx-static").all()) == 0


def test_a_typed_value_reaches_the_kernel(notebook: Page) -> None:
    cell = notebook.locator(".jp-CodeCell").nth(1 + KINDS.index("conv"))
    driver = Keyboard(notebook, cell.locator(".jp-Cell-outputArea"))
    explorer = still("conv")
    settings = dict(explorer.settings)
    for control in explorer.controls:
        if isinstance(control, Slider | Choice) and control.name != "taps":
            driver.move(control, settings[control.name])
    driver.slide("taps", 9)
    driver.type("x", (1, 2), "-7.5")
    table = np.array(settings["x"], dtype=float)
    table[1, 2] = -7.5
    assert isinstance(explorer.controls[0], Table)
    soon(driver, explorer.frame({**settings, "x": table.tolist()}))


def test_a_plain_control_is_linked(notebook: Page) -> None:
    cells = notebook.locator(".jp-CodeCell")
    explorer = Keyboard(notebook, cells.nth(1 + KINDS.index("conv")).locator(".jp-Cell-outputArea"))
    explorer.slide("padding", 0)
    handle = cells.last.locator(".noUi-handle")
    handle.scroll_into_view_if_needed()
    handle.focus()
    notebook.keyboard.press("ArrowRight")
    notebook.wait_for_function(
        "(root) => root.querySelector('[data-name=padding]').value === '1'",
        arg=explorer.root.element_handle(),
    )
    assert "padding 1" in explorer.root.inner_text()


def test_a_notebook_that_was_saved_and_not_run_shows_tables(lab: str, browser: Browser) -> None:
    """A fresh clone's notebook is not trusted: no script of it runs before its cells do."""
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.goto(f"{lab}/lab/workspaces/unrun/tree/conv.ipynb?reset")
        tables = page.locator(".jp-OutputArea .cx-fallback table")
        tables.first.wait_for()
        assert page.locator(".cx").count() == 0
        explorer = still("conv")
        captions = explorer.captions(explorer.settings)
        assert tables.locator("caption").all_inner_texts() == list(captions.values())
        for n, name in enumerate(captions):
            numbers = [float(text) for text in tables.nth(n).locator("td").all_inner_texts()]
            assert numbers == [shown(v) for v in np.ravel(explorer.frame(explorer.settings)[name])]
        output = page.locator(".jp-OutputArea:has(.cx-fallback)").first.inner_text()
        assert "{" not in output  # neither script nor style is shown as text


def test_a_restarted_kernel_is_missed(notebook: Page) -> None:
    said = notebook.locator(".jp-CodeCell").nth(1).get_by_role("alert")
    expect(said).to_be_empty()
    notebook.evaluate(
        "() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"
    )
    expect(said).to_contain_text("run this cell again")

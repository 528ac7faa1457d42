"""book/publish.py makes a site of the built book, and leaves the former one if a step fails."""

import importlib.util
import json
import shutil
import subprocess
import tempfile
import tomllib
from pathlib import Path

import pytest
from browsing import ROOT, missing, served
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from playwright.sync_api import Browser

SOURCE = ROOT / "book" / "publish.py"
spec = importlib.util.spec_from_file_location("publish", SOURCE)
assert spec is not None
assert spec.loader is not None
publish = importlib.util.module_from_spec(spec)
spec.loader.exec_module(publish)

NOTEBOOKS = {path.name for path in ROOT.glob("book/*.ipynb")}


def files(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def site(html: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of the book."""
    folder = tmp_path_factory.mktemp("publish")
    site = Path(shutil.copytree(html, folder / "site"))
    (site / ".buildinfo.bak").touch()  # Sphinx's, of a build over another
    publish.finish(site, folder)
    return site


@pytest.fixture(scope="module")
def lite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is added to the site with JupyterLite."""
    if not importlib.util.find_spec("jupyterlite_pyodide_kernel"):
        missing("JupyterLite is not installed")
    folder = tmp_path_factory.mktemp("lite")
    (folder / "site").mkdir()
    publish.finish(folder / "site", folder, lite=True)
    return folder / "site" / "lite"


def test_the_site_is_the_book(html: Path, site: Path) -> None:
    assert files(site) == files(html) - {".buildinfo"} | {".nojekyll"}


@pytest.mark.parametrize("part", ["site", pytest.param("lite", marks=pytest.mark.publish)])
def test_no_cache_and_no_name_of_a_folder_of_this_machine(
    part: str, request: pytest.FixtureRequest
) -> None:
    site = request.getfixturevalue(part)
    folders = [str(folder).encode() for folder in (ROOT, Path.home(), tempfile.gettempdir())]
    caches = (".buildinfo", ".doctrees", ".jupyter_cache", ".cache", ".doit", ".ipynb_checkpoints")
    assert [name for name in files(site) if any(cache in name for cache in caches)] == []
    texts = [p for p in site.rglob("*") if p.suffix in {".html", ".js", ".json", ".ipynb", ".md"}]
    assert texts
    assert [p for p in texts if any(folder + b"/" in p.read_bytes() for folder in folders)] == []


@pytest.mark.publish
def test_jupyterlite_has_the_notebooks_and_the_package(lite: Path) -> None:
    listing = json.loads((lite / "api" / "contents" / "book" / "all.json").read_text("utf-8"))
    assert {entry["name"] for entry in listing["content"]} == NOTEBOOKS
    for name in NOTEBOOKS:
        assert (lite / "files" / "book" / name).read_bytes() == (ROOT / "book" / name).read_bytes()
    (package,) = json.loads((lite / "pypi" / "all.json").read_text("utf-8")).items()
    assert package[0] == "convnet-companion"
    extensions = {path.parent.name for path in lite.glob("extensions/**/package.json")}
    assert {"anywidget", "jupyterlab-manager"} <= extensions  # the explorers are live
    assert list(ROOT.glob(".jupyterlite*")) == []  # its notes stay out of the tree


@pytest.mark.publish
def test_a_notebook_opens_in_jupyterlite(lite: Path, browser: Browser) -> None:
    """Its Python is not tried: it comes from the network, and this test does without."""
    with served(lite) as address, browser.new_context() as context:
        context.route(lambda url: not url.startswith(address), lambda route: route.abort())
        page = context.new_page()
        page.set_default_timeout(120_000)
        page.goto(f"{address}/lab/index.html?path=book/conv.ipynb")
        assert page.locator(".jp-Notebook h1").first.inner_text() == "Convolution"
        page.locator(".jp-DirListing-item").nth(len(NOTEBOOKS) - 1).wait_for()
        assert set(page.locator(".jp-DirListing-itemText").all_inner_texts()) == NOTEBOOKS


@pytest.mark.parametrize("step", ["build_book", "finish"])
def test_a_failed_step_leaves_the_former_site(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def built(work: Path, **options: bool) -> Path:
        (work / "html").mkdir()
        (work / "html" / "index.html").write_text("new")
        return work / "html"

    def fail(*args: object, **options: bool) -> None:
        raise subprocess.CalledProcessError(1, "step")

    monkeypatch.setattr(publish, "build_book", built)
    site = tmp_path / "site"
    publish.publish(site)
    (site / "index.html").write_text("former")
    with monkeypatch.context() as patched:
        patched.setattr(publish, step, fail)
        with pytest.raises(subprocess.CalledProcessError):
            publish.publish(site)
    assert (site / "index.html").read_text() == "former"
    publish.publish(site)
    assert (site / "index.html").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_binder_installs_the_package_with_extras_that_it_has() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    (line,) = (ROOT / ".binder" / "requirements.txt").read_text("utf-8").splitlines()
    assert line.startswith(".[")  # seen from the root of the repository
    named = Requirement(project["name"] + line[1:]).extras
    assert named == set(project["optional-dependencies"]) - {"test"}
    version = (ROOT / ".binder" / "runtime.txt").read_text("utf-8").strip().removeprefix("python-")
    assert version in SpecifierSet(project["requires-python"])

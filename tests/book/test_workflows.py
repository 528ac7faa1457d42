"""The workflows do what a person can do from the tree, and no more than they must."""

import re
from typing import Any

import pytest
import yaml
from browsing import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SCRIPTS = {path.relative_to(ROOT).as_posix() for path in (ROOT / ".ci").iterdir()}
# minute, hour, day, month, day of the week
CRON = [range(60), range(24), range(1, 32), range(1, 13), range(7)]


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.stem)
def text(request: pytest.FixtureRequest) -> str:
    return request.param.read_text(encoding="utf-8")


@pytest.fixture
def workflow(text: str) -> dict[Any, Any]:
    return yaml.safe_load(text)


def scripts(text: str) -> set[str]:
    return set(re.findall(r"\.ci/[\w-]+", text))


def test_scripts_are_there(text: str) -> None:
    assert scripts(text)
    assert [name for name in scripts(text) if not (ROOT / name).is_file()] == []


def test_no_script_is_left_out() -> None:
    assert set.union(*(scripts(path.read_text("utf-8")) for path in WORKFLOWS)) == SCRIPTS


def test_each_step_is_the_forges_own_or_one_command(workflow: dict[Any, Any]) -> None:
    for job in workflow["jobs"].values():
        for step in job["steps"]:
            assert re.fullmatch(r"actions/[a-z-]+@v\d+", step.get("uses", "actions/none@v0"))
            assert "\n" not in step.get("run", "").strip(), "more than a command: put it into .ci/"


def test_rights_and_time_are_bounded(workflow: dict[Any, Any]) -> None:
    assert workflow["permissions"] == {"contents": "read"}
    assert "concurrency" in workflow
    for job in workflow["jobs"].values():
        assert "permissions" not in job
        assert job["timeout-minutes"] <= 90


def test_one_workflow_runs_every_week() -> None:
    # YAML 1.1 reads the key `on` as true.
    triggers = [yaml.safe_load(path.read_text("utf-8"))[True] for path in WORKFLOWS]
    (schedule,) = [trigger["schedule"] for trigger in triggers if "schedule" in trigger]
    fields = schedule[0]["cron"].split()
    assert len(fields) == len(CRON)
    assert fields[2:4] == ["*", "*"]
    for field, values in zip(fields, CRON, strict=True):
        assert field == "*" or int(field) in values

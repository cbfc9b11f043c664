"""What the workflows of CI promise."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def _load(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    return found


def _steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in _load(path)["jobs"].values() for step in job["steps"]]


CI = ROOT / ".github" / "workflows" / "ci.yml"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_may_read_and_nothing_else(path: Path) -> None:
    workflow = _load(path)
    assert workflow["permissions"] == {"contents": "read"}
    assert "group" in workflow["concurrency"] and "cancel-in-progress" in workflow["concurrency"]
    for job in workflow["jobs"].values():
        assert "permissions" not in job and job["timeout-minutes"] <= 90
    for step in _steps(path):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_actions_are_pinned_to_a_major_version(path: Path) -> None:
    for step in _steps(path):
        assert "uses" not in step or re.fullmatch(r"(actions|docker)/[\w-]+@v\d+", step["uses"])


def test_calls_words_that_the_makefile_knows() -> None:
    words = _load(CI)["jobs"]["make"]["strategy"]["matrix"]["word"]
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(words) == {"check", "test", "eval"} <= targets


def test_installs_the_packages_that_the_projects_own_script_installs() -> None:
    script = re.search(r"^packages=\((.*)\)$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    step = next(step for step in _steps(CI) if "apt-get install" in step.get("run", ""))
    assert script is not None
    assert step["run"].split("--no-install-recommends ")[1].split() == script[1].split()


def test_runs_on_the_python_and_the_debian_of_the_image() -> None:
    image = re.search(r"^ARG PYTHON_IMAGE=(\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert image is not None
    assert _load(CI)["jobs"]["make"]["container"]["image"] == image[1].replace("-slim", "")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_nothing_that_others_can_name_becomes_part_of_a_command(path: Path) -> None:
    for step in _steps(path):
        assert "${{" not in step.get("run", "")

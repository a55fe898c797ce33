"""The CI recipes do what they say: their own shell lines run here, with the services they talk to replaced."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from tests.unit.reports import suite

# PyYAML ships no types.
yaml: Any = importlib.import_module("yaml")
ROOT = Path(__file__).parents[2]
ACTION = ROOT / "action.yml"
WORKFLOW = ROOT / "docs" / "ci" / "edgebench.github.yml"
GITLAB = ROOT / "docs" / "ci" / "edgebench.gitlab-ci.yml"

# Measuring is replaced by a report that is there; everything else is edgebench itself.
EDGEBENCH = """#!/bin/sh
if [ "$1" = suite ]; then
  [ "$2" = "$SUITE" ] && [ "$3" = -o ] && [ -f "$MEASURED" ] || exit 2
  cp "$MEASURED" "$4"
  exit "${MEASURING_ENDS:-0}"
fi
exec "$PYTHON" -m edgebench "$@"
"""
GH = """#!/bin/sh
echo "gh $*" >> "$CALLS"
case "$1 $2" in
  "api repos/o/r/actions/artifacts"*) [ ! -d "$KEPT" ] || echo 17;;
  "run download") [ -d "$KEPT" ] || exit 1; cp "$KEPT"/*.json reports/;;
  "pr comment") [ -z "$FORK" ] || exit 1; cp verdict.md "$CALLS.comment";;
esac
"""
CURL = """#!/bin/sh
echo "curl $*" >> "$CALLS"
case "$*" in
  *artifacts*) [ -f "$KEPT.zip" ] || exit 22; cp "$KEPT.zip" reports.zip;;
  *notes*) cp verdict.md "$CALLS.comment";;
esac
"""


class Place:
    """A checkout with the tools that a recipe calls; `run` executes shell lines there."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.work = folder, folder / "work"
        tools = folder / "tools"
        for path in (self.work, tools):
            path.mkdir()
        for name, text in (("edgebench", EDGEBENCH), ("gh", GH), ("curl", CURL)):
            (tools / name).write_text(text, encoding="utf-8")
            (tools / name).chmod(0o755)
        (tools / "python3").symlink_to(sys.executable)
        self.environment = {
            "PATH": f"{tools}:{os.environ['PATH']}",
            "PYTHON": sys.executable,
            "CALLS": str(folder / "calls"),
            "KEPT": str(folder / "kept"),
            "MEASURED": str(folder / "measured.json"),
            "GITHUB_STEP_SUMMARY": str(folder / "summary"),
            "LC_ALL": "C.UTF-8",
        }

    def keep(self, count: int) -> None:
        """Keep reports of the default branch, as artifacts of earlier jobs."""
        kept = self.folder / "kept"
        kept.mkdir()
        for seed in range(count):
            data = suite(seed, created=f"2026-01-{seed + 1:02}T00:00:00Z")
            (kept / f"202601{seed + 1:02}T000000Z.json").write_text(json.dumps(data), encoding="utf-8")
        with zipfile.ZipFile(self.folder / "kept.zip", "w") as file:
            for path in kept.iterdir():
                file.write(path, f"reports/{path.name}")

    def measured(self, **fields: Any) -> None:
        """Say what measuring gives."""
        (self.folder / "measured.json").write_text(json.dumps(suite(50, **fields)), encoding="utf-8")

    def run(self, lines: str, extra: dict[str, str]) -> int:
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", lines], cwd=self.work, env={**self.environment, **extra}, check=False
        )
        return done.returncode

    def comment(self) -> str:
        path = self.folder / "calls.comment"
        return path.read_text(encoding="utf-8") if path.exists() else ""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def github(place: Place, *, pull_request: str = "5", **extra: str) -> dict[str, int]:
    """Run the action's own steps as the runner would: those without a condition stop at a failure."""
    steps = [step for step in yaml.safe_load(ACTION.read_text(encoding="utf-8"))["runs"]["steps"] if "run" in step]
    values = {"SUITE": "smoke", "ALLOW": "inconclusive", "KEEP": "4", "DEFAULT_BRANCH": "main", "NAME": "n150-reports"}
    values |= {"PULL_REQUEST": pull_request, "GH_TOKEN": "t", "GH_REPO": "o/r"}
    output = place.folder / "output"
    values |= {"GITHUB_OUTPUT": str(output)} | extra
    codes: dict[str, int] = {}
    for step in steps:
        if step["name"] == "Install" or ("if" not in step and any(codes.values())):
            continue
        said: dict[str, str] = {}
        for name in step["env"]:
            assert name in values or name in ("MEASURED", "JUDGED"), f"{name} is given nowhere"
        if step["name"] == "End":
            told = [line.partition("=")[2] for line in output.read_text(encoding="utf-8").splitlines()]
            said = {"MEASURED": told[0], "JUDGED": told[1] if len(told) > 1 else ""}
        codes[step["name"]] = place.run(step["run"], {**values, **said})
    return codes


def gitlab(place: Place, *, branch: str = "", **extra: str) -> int:
    job = yaml.safe_load(GITLAB.read_text(encoding="utf-8"))[".edgebench"]
    values = {**job["variables"], "KEEP": "4", "CI_JOB_TOKEN": "t", "CI_API_V4_URL": "https://gitlab.example/api/v4"}
    values |= {
        "CI_PROJECT_ID": "1",
        "CI_DEFAULT_BRANCH": "main",
        "CI_JOB_NAME": "edgebench",
        "CI_COMMIT_BRANCH": branch,
    }
    values |= {"CI_MERGE_REQUEST_IID": "" if branch else "5", "EDGEBENCH_TOKEN": "t"}
    return place.run("\n".join(job["script"]), {**values, **extra})


def test_github_passes_comments_and_keeps_the_newest_reports(place: Place) -> None:
    place.keep(6)
    place.measured()
    assert set(github(place).values()) == {0}
    assert "edgebench PASS" in place.comment().split("\n")[0]
    assert (place.work / "verdict.xml").is_file()
    assert (place.folder / "summary").read_text(encoding="utf-8") == place.comment()
    kept = sorted(path.name for path in (place.work / "reports").iterdir())
    assert len(kept) == 4
    assert kept[:3] == ["20260104T000000Z.json", "20260105T000000Z.json", "20260106T000000Z.json"]


def test_github_fails_for_a_regression_and_still_tells(place: Place) -> None:
    place.keep(6)
    place.measured(slower={1: 1.3})
    codes = github(place)
    assert codes.pop("End") == 1
    assert set(codes.values()) == {0}
    assert "REGRESSED" in place.comment().split("\n")[0]


def test_github_judges_although_a_benchmark_failed_and_fails_then(place: Place) -> None:
    place.keep(6)
    place.measured()
    codes = github(place, MEASURING_ENDS="1")
    assert codes.pop("End") == 1
    assert set(codes.values()) == {0}
    assert "edgebench PASS" in place.comment().split("\n")[0]


def test_github_without_a_report_tells_so(place: Place) -> None:
    place.keep(6)
    codes = github(place)
    assert codes["Measure"] == 1
    assert "gave no verdict" in place.comment()


def test_github_passes_for_a_fork_that_may_not_comment(place: Place) -> None:
    place.keep(6)
    place.measured()
    assert set(github(place, FORK="1").values()) == {0}
    assert place.comment() == ""
    assert "edgebench PASS" in (place.folder / "summary").read_text(encoding="utf-8")


def test_the_workflow_gives_the_action_what_it_takes_and_rights_for_it() -> None:
    job = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["jobs"]["edgebench"]
    given = next(step["with"] for step in job["steps"] if step["uses"].startswith("OWNER/edgebench@"))
    assert set(given) <= set(yaml.safe_load(ACTION.read_text(encoding="utf-8"))["inputs"])
    assert job["permissions"] == {"contents": "read", "actions": "read", "pull-requests": "write"}
    assert "head.repo.full_name == github.repository" in job["if"]


def test_github_without_an_earlier_report_passes_and_says_so(place: Place) -> None:
    place.measured()
    assert set(github(place, pull_request="").values()) == {0}
    assert "nothing to judge against" in (place.work / "verdict.md").read_text(encoding="utf-8")
    assert place.comment() == ""


@pytest.mark.parametrize(
    ("kept", "slower", "code", "told"), [(6, 1.0, 0, "PASS"), (6, 1.3, 1, "REGRESSED"), (0, 1.0, 0, "")]
)
def test_gitlab(place: Place, kept: int, slower: float, code: int, told: str) -> None:
    if kept:
        place.keep(kept)
    place.measured(slower={1: slower})
    assert gitlab(place) == code
    assert told in place.comment().split("\n")[0]
    assert len(list((place.work / "reports").iterdir())) == min(kept + 1, 4)


def test_gitlab_s_level_is_what_was_merged(place: Place) -> None:
    place.keep(6)
    place.measured(slower={1: 1.3})
    assert gitlab(place, branch="main") == 0
    assert "REGRESSED" in (place.work / "verdict.md").read_text(encoding="utf-8")


def test_gitlab_judges_although_a_benchmark_failed_and_fails_then(place: Place) -> None:
    place.keep(6)
    place.measured()
    assert gitlab(place, MEASURING_ENDS="1") == 1
    assert "PASS" in place.comment().split("\n")[0]


def test_boards_of_a_shelf_each_have_a_label_and_a_past_of_their_own() -> None:
    given = yaml.safe_load((ROOT / "docs" / "ci" / "boards.github.yml").read_text(encoding="utf-8"))["jobs"]["measure"]
    board = "${{ matrix.board }}"
    assert given["runs-on"] == ["self-hosted", board]
    assert given["concurrency"]["group"] == f"edgebench-{board}"
    assert given["strategy"]["fail-fast"] is False
    asked = given["steps"][-1]["with"]
    assert asked["name"] == board
    assert set(asked) <= set(yaml.safe_load(ACTION.read_text(encoding="utf-8"))["inputs"])
    shelf = yaml.safe_load((ROOT / "docs" / "ci" / "boards.gitlab-ci.yml").read_text(encoding="utf-8"))
    assert shelf["include"] == [{"local": str(GITLAB.relative_to(ROOT))}]
    jobs = [job for name, job in shelf.items() if name != "include"]
    assert len({job["tags"][0] for job in jobs}) == len({job["resource_group"] for job in jobs}) == len(jobs)
    assert all(job["extends"] == ".edgebench" for job in jobs)

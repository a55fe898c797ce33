"""The commit of a user's project: named or told by a pipeline, with a word on who told it, and never guessed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.unit.records import start

from edgebench.commands.commit import commit_asked
from edgebench.errors import UsageError
from edgebench.session.ground import same_ground

ID = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is told, with no pipeline around."""
    for name in ("EDGEBENCH_COMMIT", "GITHUB_SHA", "CI_COMMIT_SHA"):
        monkeypatch.delenv(name, raising=False)
    return []


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of two commits, the first of them with a tag."""
    monkeypatch.chdir(tmp_path)
    git("init", "-q")
    for number in (1, 2):
        (tmp_path / "model.txt").write_text(str(number), encoding="utf-8")
        git("add", "model.txt")
        git("-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-q", "-m", str(number))
        if number == 1:
            git("tag", "v1")
    return tmp_path


def git(*words: str) -> str:
    return subprocess.run(("git", *words), check=True, capture_output=True, text=True).stdout.strip()


def test_git_is_asked_in_the_project_and_says_what_was_changed(project: Path, told: list[str]) -> None:
    head = git("rev-parse", "HEAD")
    (project / "new.txt").write_text("nobody's", encoding="utf-8")
    assert commit_asked("HEAD", told.append) == head
    assert told == [f"commit: {head} (--commit HEAD)"]
    (project / "model.txt").write_text("3", encoding="utf-8")
    assert commit_asked("HEAD", told.append) == f"{head}-dirty"
    # What lies in the folder is no other commit's.
    assert commit_asked("v1", told.append) == git("rev-parse", "v1")
    for wrong in ("nowhere", "-x"):
        with pytest.raises(UsageError, match="git does not find it here"):
            commit_asked(wrong, told.append)


def test_a_pipeline_tells_it_and_the_user_has_the_last_word(
    tmp_path: Path, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert commit_asked(None, told.append) is None
    monkeypatch.setenv("CI_COMMIT_SHA", ID)
    assert commit_asked(None, told.append) == ID
    assert told == [f"commit: {ID} (CI_COMMIT_SHA)"]
    monkeypatch.setenv("EDGEBENCH_COMMIT", "abcdef0-dirty")
    assert commit_asked(None, told.append) == "abcdef0-dirty"
    assert commit_asked("1234567", told.append) == "1234567"
    assert commit_asked("", told.append) is None
    monkeypatch.setenv("EDGEBENCH_COMMIT", "")
    assert commit_asked(None, told.append) is None
    with pytest.raises(UsageError, match="--commit HEAD: git does not find it here"):
        commit_asked("HEAD", told.append)


def test_a_stopped_session_goes_on_with_its_own_commit_only() -> None:
    same_ground(start(commit=ID), start(commit=ID))
    with pytest.raises(UsageError, match=f"ran with commit {ID}, now it is none"):
        same_ground(start(commit=ID), start())

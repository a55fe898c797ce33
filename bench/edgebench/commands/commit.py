"""The commit of the user's project that a report is of: named, or told by a pipeline; never guessed."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Sequence

from edgebench.errors import UsageError
from edgebench.machine.child import run_child
from edgebench.report.base import COMMIT

# Ours, which counts as the option does; then what GitHub's and GitLab's pipelines set.
_VARIABLES = ("EDGEBENCH_COMMIT", "GITHUB_SHA", "CI_COMMIT_SHA")
_GIT_LIMIT_S = 60.0


def commit_asked(given: str | None, tell: Callable[[str], None]) -> str | None:
    """Return the commit that the command line, else the environment names, and tell who named it; None of none.

    A commit is taken as it is; of anything else git is asked, in the current folder. An empty text is none, whatever
    the pipeline says. Raises UsageError where git does not know it.
    """
    source = "--commit"
    if given is None:
        source = next((name for name in _VARIABLES if name in os.environ), "")
        given = os.environ.get(source, "")
    if not given:
        return None
    if re.fullmatch(COMMIT, given):
        tell(f"commit: {given} ({source})")
        return given
    found = _of_git(given, source)
    tell(f"commit: {found} ({source} {given})")
    return found


def _of_git(revision: str, source: str) -> str:
    """Return the commit of a revision of the repository here; "-dirty" where it is checked out and files differ."""
    commit, head = (
        _git(("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"), revision, source)[0]
        for name in (revision, "HEAD")
    )
    changed = commit == head and _git(("status", "--porcelain", "--untracked-files=no"), revision, source)
    return f"{commit}-dirty" if changed else commit


def _git(arguments: Sequence[str], revision: str, source: str) -> list[str]:
    """Return the lines that git says; UsageError where it cannot."""
    if shutil.which("git") is None:
        raise UsageError(f"{source} {revision}: git is not installed here: give the commit itself, as 40 hex digits")
    lines: list[str] = []
    outcome = run_child(["git", *arguments], environment=os.environ, limit_s=_GIT_LIMIT_S, on_line=lines.append)
    if outcome.returncode:
        said = next((line for line in outcome.tail if line.strip()), "no such revision")
        raise UsageError(
            f"{source} {revision}: git does not find it here ({said[:200]}): "
            "run this in your project's folder, or give the commit itself, as 40 hex digits"
        )
    return lines

"""An environment of a git revision of edgebench: its files, installed by its own `install.py`, once."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from edgebench.artifacts.store import cache_folder
from edgebench.errors import UsageError
from edgebench.machine.child import run_child

EXTRAS = "x86"
_GIT_LIMIT_S, _INSTALL_LIMIT_S = 60.0, 3600.0
# Stands in the environment once it is whole.
_DONE = "edgebench-revision"


def environment_of_revision(revision: str, tell: Callable[[str], None]) -> Path:
    """Return the folder of the environment of a revision of the repository here, made if it is not there yet.

    It is kept in the cache, by the commit. `tell` gets what happens. Raises UsageError where there is no such revision,
    where it is none of edgebench, or where it does not install.
    """
    commit = _git(("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"), revision)
    folder = cache_folder().absolute() / "revisions" / commit
    venv = folder / "venv"
    if (venv / _DONE).is_file():
        return venv
    shutil.rmtree(folder, ignore_errors=True)
    source = folder / "source"
    source.mkdir(parents=True)
    tell(f"installing {revision} ({commit[:12]}) with the extra {EXTRAS}: this takes minutes, once")
    archive = folder / "source.tar"
    _git(("archive", "--output", str(archive), commit), revision)
    shutil.unpack_archive(archive, source, "tar", filter="data")
    archive.unlink()
    if not (source / "install.py").is_file() or not (source / "bench" / "edgebench").is_dir():
        raise UsageError(f"rev:{revision}: is no revision of edgebench: run this in a clone of it")
    command = [sys.executable, str(source / "install.py"), "--venv", str(venv), "--extras", EXTRAS]
    outcome = run_child(command, environment=os.environ, limit_s=_INSTALL_LIMIT_S, on_line=tell)
    if (reason := outcome.failure(_INSTALL_LIMIT_S)) is not None:
        raise UsageError(f"rev:{revision}: does not install ({reason.rstrip('.')}): mend that, or name a venv:DIR")
    shutil.rmtree(source)
    (venv / _DONE).write_text(f"{commit}\n", encoding="ascii")
    return venv


def _git(arguments: Sequence[str], revision: str) -> str:
    """Return what git says; UsageError where it cannot."""
    if shutil.which("git") is None:
        raise UsageError(f"rev:{revision}: git is not installed: install it, or name a venv:DIR")
    lines: list[str] = []
    outcome = run_child(["git", *arguments], environment=os.environ, limit_s=_GIT_LIMIT_S, on_line=lines.append)
    if outcome.returncode:
        said = next((line for line in outcome.tail if line.strip()), "no such revision")
        raise UsageError(f"rev:{revision}: git does not find it here ({said[:200]}): run this in a clone of edgebench")
    return lines[0].strip() if lines else ""

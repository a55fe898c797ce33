"""The source tree that an image is built from: where it is, which version and which revision it is."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

from edgebench.errors import ContainerError, UsageError

# pip makes an environment for the build's own tools first.
_LIMIT_S = 300.0


def find_source(given: Path | None, platform: str) -> Path:
    """Return the source tree to build from: the one named, the one this edgebench runs from, or the working folder."""
    candidates = [given] if given is not None else [Path(__file__).parents[3], Path.cwd()]
    for folder in candidates:
        if (folder / "containers" / platform / "Dockerfile").is_file() and (folder / "pyproject.toml").is_file():
            return folder.resolve()
    where = f"{given} is none: name another" if given is not None else "name one"
    raise UsageError(
        f"an image is built from edgebench's source tree (with containers/{platform}/Dockerfile); {where} with --source"
    )


def source_facts(source: Path, given: Collection[str]) -> dict[str, str]:
    """Return the build arguments VERSION and REVISION of a source tree, without those that were `given`.

    The build itself has no git to ask: its context is the source alone. Raises ContainerError.
    """
    facts = {}
    if "VERSION" not in given:
        facts["VERSION"] = _version(source)
    git = shutil.which("git")
    if git is not None and "REVISION" not in given:
        asked = subprocess.run(
            [git, "-C", str(source), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            capture_output=True,
            text=True,
            check=False,
        )
        if asked.returncode == 0:
            facts["REVISION"] = asked.stdout.strip()
    return facts


def _version(source: Path) -> str:
    """Return the version as which pip would install a source tree, so that image and wheel never differ."""
    words = ["install", "--quiet", "--dry-run", "--no-deps", "--ignore-installed", "--report=-", str(source)]
    try:
        asked = subprocess.run(
            [sys.executable, "-m", "pip", "--disable-pip-version-check", *words],
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=False,
        )
        return str(json.loads(asked.stdout)["install"][0]["metadata"]["version"])
    except subprocess.TimeoutExpired:
        reason = f"pip did not answer within {_LIMIT_S:g} s"
    except (ValueError, LookupError, TypeError):
        said = [line.strip() for line in asked.stderr.splitlines() if line.strip()]
        reason = next((line for line in said if "error" in line.lower()), said[-1] if said else "pip said nothing")
    raise ContainerError(
        f"which version {source} is cannot be told ({reason[:300].rstrip('.')}): mend that, or give it with "
        "--build-arg VERSION=X.Y.Z"
    )

"""Advice fits the place where it is read, and the reason of a failure stands last."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What BuildKit's plain progress says of a step that fails.
TRANSCRIPT = """\
#7 [stage-1 3/5] RUN apt-get install nothing
#7 0.210 E: Unable to locate package nothing
#7 ERROR: process "/bin/sh -c apt-get install nothing" did not complete successfully: exit code: 100
------
 > [stage-1 3/5] RUN apt-get install nothing:
0.180 Reading package lists...
0.210 E: Unable to locate package nothing
------
Dockerfile:3
--------------------
   3 | >>> RUN apt-get install nothing
--------------------
ERROR: failed to solve: process "/bin/sh -c apt-get install nothing" did not complete successfully: exit code: 100
"""


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edgebench", *map(str, arguments)],
        env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


@pytest.mark.parametrize("image", ["", "edgebench-n150"])
def test_only_outside_an_image_one_is_told_to_install(tmp_path: Path, image: str) -> None:
    # Stands where the package does, and is not there.
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['serial'] = None\n", encoding="utf-8")
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = run("probes", "--json", "--probe", "shizuku:/dev/null", PYTHONPATH=path, EDGEBENCH_IMAGE_NAME=image)
    assert "pyserial is not installed" in done.stdout
    assert ("python3 install.py --extras meters" in done.stdout) is not bool(image)
    assert ("this image does not have it" in done.stdout) is bool(image)


def test_a_build_that_fails_ends_with_the_words_of_the_step_that_did(tmp_path: Path) -> None:
    # Stands where Docker does, and fails as it does.
    docker = tmp_path / "docker"
    docker.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && echo "Docker version 27.0.0" && exit 0\n'
        f'[ "$1" = buildx ] && exit 0\ncat >&2 <<"END"\n{TRANSCRIPT}END\nexit 1\n',
        encoding="utf-8",
    )
    docker.chmod(0o755)
    done = run("image", "build", "n150", "--source", ROOT, PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert done.returncode == 1, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("edgebench: ")
    assert last.endswith(": E: Unable to locate package nothing")

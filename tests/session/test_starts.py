"""Starting and ending: ctrl-C before anything runs, reports that would be lost, what a killed build leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edgebench.commands.targets import report_target
from edgebench.errors import UsageError
from edgebench.machine.facts import Mount
from tests.session.kills import SUITE, command, records, start, until

pytestmark = pytest.mark.session
# The command line, interrupted where a session looks at its machine.
INTERRUPTED = """
import sys
from edgebench.session import session
def interrupt(*_):
    raise KeyboardInterrupt
session.check_machine = interrupt
from edgebench.commands.main import main
sys.exit(main(sys.argv[1:]))
"""


def test_ctrl_c_while_a_resumed_session_starts_writes_what_is_there(
    environment: dict[str, str], tmp_path: Path
) -> None:
    suite, target = tmp_path / "kills.toml", tmp_path / "report.json"
    suite.write_text(SUITE, encoding="utf-8")
    line = [sys.executable, "-c", INTERRUPTED, *command(suite, target, "--resume")[3:]]

    first = subprocess.run(line, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert (first.returncode, list(tmp_path.glob("*.json*"))) == (130, []), "there is nothing to report yet"
    process = start(suite, target, environment)
    until(lambda: len(records(tmp_path)) == 2)
    process.kill()
    process.communicate()
    assert not target.exists()
    again = subprocess.run(line, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert again.returncode == 130, again.stderr
    report = json.loads(target.read_text(encoding="utf-8"))
    assert report["status"] == "partial"
    assert sum(len(cell.get("order", [])) for cell in report["benchmarks"]) == 2


# A signal while a class is made: Python 3.11 makes a RuntimeError of what it raises. Before and within a session.
MADE = """
import os, sys
from edgebench.commands import suite
from edgebench.session import session
class Field:
    def __set_name__(self, owner, name):
        os.kill(os.getpid(), 15)
def interrupt(*_, **__):
    type("Owner", (), {"field": Field()})
if sys.argv[1] == "before":
    suite.make_plan = interrupt
else:
    session.idle = interrupt
from edgebench.commands.main import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize("when", ["before", "within"])
def test_a_signal_of_which_python_makes_another_error_interrupts(
    environment: dict[str, str], tmp_path: Path, when: str
) -> None:
    suite, target = tmp_path / "kills.toml", tmp_path / "report.json"
    suite.write_text(SUITE, encoding="utf-8")
    line = [sys.executable, "-c", MADE, when, *command(suite, target)[3:]]
    done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 130, done.stderr
    assert "interrupted" in done.stderr
    assert "fault" not in done.stderr
    assert target.exists() == (when == "within")


def test_ctrl_c_before_the_command_line_is_there_shows_no_traceback() -> None:
    code = (
        "import edgebench.__main__, os, signal, sys; print(*sys.modules); sys.stdout.flush(); os.kill(os.getpid(), 2)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == -signal.SIGINT
    assert done.stderr == ""
    known = {"edgebench.__main__", "edgebench._version"}
    assert not [name for name in done.stdout.split() if name.startswith("edgebench.") and name not in known]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_the_interpreter_ends_leaves_the_exit_code(number: signal.Signals) -> None:
    code = (
        "import atexit, os, sys; from edgebench.__main__ import main; sys.argv[1:] = ['show', 'nowhere.json']\n"
        f"atexit.register(os.kill, os.getpid(), {int(number)}); sys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("edgebench: ")


@pytest.mark.parametrize(
    ("mount", "lost"),
    [
        (Mount("/", "overlay", "/"), True),
        (Mount("/tmp", "tmpfs", "/"), True),  # noqa: S108  # --tmpfs /tmp
        (Mount("/tmp", "tmpfs", "/of-the-host"), False),  # noqa: S108
        (Mount("/reports", "ext4", "/home/me"), False),
    ],
)
def test_in_an_image_a_file_on_no_mount_is_refused_with_the_mount_to_add(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mount: Mount, *, lost: bool
) -> None:
    monkeypatch.setenv("EDGEBENCH_IMAGE", "edgebench-n150@sha256:1")
    monkeypatch.setattr("edgebench.machine.facts.mount_of", lambda _: mount)
    target = tmp_path / "report.json"
    if lost:
        with pytest.raises(UsageError, match=f'mount a folder for it with -v "\\$PWD:{tmp_path}"'):
            report_target(str(target), "smoke")
    else:
        assert report_target(str(target), "smoke") == (target, tmp_path)
    monkeypatch.delenv("EDGEBENCH_IMAGE")
    assert report_target(str(target), "smoke") == (target, tmp_path), "somebody may be working in another container"


DOCKER = """#!/bin/sh
case "$1" in
--version) echo "Docker version 20.10" ;;
build) echo "$@" >"$ASKED"; [ -e "$GO" ] || exec sleep 60 ;;
esac
"""


def test_secrets_of_a_killed_build_are_swept_by_the_next(environment: dict[str, str], tmp_path: Path) -> None:
    docker, scratch, asked, go = (tmp_path / name for name in ("bin/docker", "scratch", "asked", "go"))
    docker.parent.mkdir()
    scratch.mkdir()
    docker.write_text(DOCKER, encoding="utf-8")
    docker.chmod(0o755)
    path = f"{docker.parent}:{os.environ['PATH']}"
    given = {"PATH": path, "TMPDIR": str(scratch), "ASKED": str(asked), "GO": str(go), "PIP_INDEX_URL": "https://me@x"}
    source = str(Path(__file__).parents[2])
    line = [sys.executable, "-m", "edgebench", "image", "build", "n150", "--source", source]
    line += ["--build-arg", "VERSION=9.8.7"]  # pip, which would tell it, has no index here
    process = subprocess.Popen(line, env={**environment, **given}, start_new_session=True)
    until(asked.exists)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert "me@x" in next(scratch.rglob("pip.conf")).read_text(encoding="utf-8")
    go.touch()
    subprocess.run(line, env={**environment, **given}, check=True, capture_output=True, timeout=60)
    assert list(scratch.iterdir()) == []

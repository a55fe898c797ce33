"""Child processes: a result, a reason, or a kill; never a process left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgebench.machine.child import run_child


def python(code: str, *, limit_s: float = 60.0, lines: list[str] | None = None) -> str | None:
    outcome = run_child(
        [sys.executable, "-c", code],
        environment=os.environ,
        limit_s=limit_s,
        on_line=None if lines is None else lines.append,
    )
    return outcome.failure(limit_s)


def test_a_good_child_has_no_reason_and_its_lines_arrive_in_order() -> None:
    lines: list[str] = []
    assert python("for i in range(100): print(i)", lines=lines) is None
    assert lines == [str(i) for i in range(100)]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise ValueError('the width is odd')", "ValueError: the width is odd"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "ended by SIGSEGV"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "ended by SIGKILL"),
        ("raise SystemExit(3)", "said nothing"),
    ],
)
def test_a_failed_child_has_its_reason_in_words(code: str, words: str) -> None:
    reason = python(code)
    assert reason is not None
    assert words in reason
    assert "Traceback" not in reason


@pytest.mark.parametrize(
    ("limit", "rise", "words"),
    [
        ("536870912", 1, "it needed more memory than its limit of 512 MiB allows: raise the limit"),
        ("max", 1, "it needed more memory than this machine has: add swap"),
        ("536870912", 0, "ended by SIGKILL from outside"),
        ("536870912", None, "(out of memory?, the limit is 512 MiB)"),
    ],
)
def test_a_killed_child_names_the_memory_that_it_had(tmp_path: Path, limit: str, rise: int | None, words: str) -> None:
    # Stands where the kernel's files do; the child counts itself as the kernel would.
    events = tmp_path / "memory.events"
    (tmp_path / "memory.max").write_text(f"{limit}\n", encoding="utf-8")
    code = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    if rise is not None:
        events.write_text("low 0\noom 4\noom_kill 3\n", encoding="utf-8")
        code = f"open({str(events)!r}, 'w').write('low 0\\noom 5\\noom_kill {3 + rise}\\n'); {code}"
    outcome = run_child([sys.executable, "-c", code], environment=os.environ, limit_s=60, cgroup=tmp_path)
    assert words in str(outcome.failure(60))


def test_a_hanging_child_is_killed_with_its_own_children(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    code = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen(['sleep', '1000'])\nopen({str(pid_file)!r}, 'w').write(str(child.pid))\n"
        "time.sleep(1000)"
    )
    reason = python(code, limit_s=3.0)
    assert reason == "no result within the time limit of 3 s"
    until(lambda: not alive(int(pid_file.read_text())))


@pytest.mark.parametrize("early", [False, True])
def test_a_killed_parent_takes_its_worker_along(tmp_path: Path, *, early: bool) -> None:
    pid_file = tmp_path / "pid"
    asking = "from edgebench.machine.child import die_with_parent; die_with_parent()"
    telling = f"open({str(pid_file)!r}, 'w').write(str(os.getpid()))"
    # A worker imports for seconds before it can ask for anything.
    steps = [telling, "time.sleep(1)", asking] if early else [asking, telling]
    worker = "; ".join(["import os, time", *steps, "time.sleep(1000)"])
    code = (
        "import os, sys; from edgebench.machine.child import run_child; "
        f"run_child([sys.executable, '-c', {worker!r}], environment=os.environ, limit_s=1000)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code])
    try:
        until(lambda: pid_file.exists() and pid_file.read_text() != "")
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    worker_pid = int(pid_file.read_text())
    until(lambda: not alive(worker_pid))


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def until(condition: object, seconds: float = 20.0) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)

"""Start one child process, wait for it within a limit, and never leave it behind."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from edgebench.machine.memory import oom_kills, own_cgroup, why_killed

_PR_SET_PDEATHSIG = 1  # prctl(2)
_TAIL_LINES = 200
# Tells a child who started it.
PARENT = "EDGEBENCH_PARENT"
_CRASHED = " (a crash in native code: another version of the runtime or converter, or another backend, may take it)"
_HINTS = {"SIGSEGV": _CRASHED, "SIGABRT": _CRASHED, "SIGILL": _CRASHED}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a child ended. `cpu_s` is its processor time and that of its own children; `tail` its last stderr lines.

    `killed` is what the kernel tells of a SIGKILL.
    """

    returncode: int
    timed_out: bool
    seconds: float
    cpu_s: float
    tail: tuple[str, ...]
    killed: str = ""

    def failure(self, limit_s: float, longer: str = "") -> str | None:
        """Why the child failed, in words, or None when it ended well; `longer` says how a limit is raised."""
        if self.timed_out:
            return f"no result within the time limit of {limit_s:g} s" + (longer and f": {longer}")
        if self.returncode < 0:
            name = signal.Signals(-self.returncode).name
            return f"the process was ended by {name}{self.killed or _HINTS.get(name, '')}"
        if self.returncode:
            last = next((line for line in reversed(self.tail) if line.strip()), "it said nothing")
            return f"the process failed: {last.strip()[:300]}"
        return None


def run_child(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    limit_s: float,
    on_line: Callable[[str], None] | None = None,
    cgroup: Path | None = None,
) -> Outcome:
    """Run `argv` to its end; `on_line` gets each stdout line. An exception in between (ctrl-C) kills the child."""
    started = time.monotonic()
    cgroup = own_cgroup() if cgroup is None else cgroup
    kills = oom_kills(cgroup)
    process = subprocess.Popen(
        argv,
        env={**environment, PARENT: str(os.getpid())},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    tail: list[str] = []
    assert process.stdout is not None  # noqa: S101  # both are pipes, as asked for above
    assert process.stderr is not None  # noqa: S101
    readers = [
        threading.Thread(target=_drain, args=(process.stdout, on_line or (lambda _: None)), daemon=True),
        threading.Thread(target=_drain, args=(process.stderr, lambda line: _keep(tail, line)), daemon=True),
    ]
    for reader in readers:
        reader.start()
    timed_out = False
    try:
        status, cpu_s = _wait(process, started + limit_s)
        if status is None:
            timed_out = True
            _kill(process)
            status, cpu_s = _wait(process, None)
    except BaseException:
        _kill(process)
        _wait(process, None)
        raise
    for reader in readers:
        reader.join(timeout=5)
    killed = why_killed(cgroup, kills) if status == -signal.SIGKILL and not timed_out else ""
    return Outcome(status or 0, timed_out, time.monotonic() - started, cpu_s, tuple(tail), killed)


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent dies, so that a killed session leaves nothing running."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # It died before this, while we were starting: the kernel sends nothing for that (prctl(2)). A parent outside our
    # process namespace has the number 0.
    if (parent := os.environ.get(PARENT)) is not None and os.getppid() not in {int(parent), 0}:
        os.kill(os.getpid(), signal.SIGKILL)


def _wait(process: subprocess.Popen[str], until: float | None) -> tuple[int | None, float]:
    """Reap the child with its resource use; (None, 0) when `until` (monotonic seconds) passes first."""
    pidfd = os.pidfd_open(process.pid)
    try:
        with contextlib.ExitStack() as stack:
            import select

            poller = stack.enter_context(contextlib.closing(select.epoll()))
            poller.register(pidfd, select.EPOLLIN)
            while True:
                left = -1.0 if until is None else max(0.0, until - time.monotonic())
                if poller.poll(left):
                    break
                if until is not None and time.monotonic() >= until:
                    return None, 0.0
        _, status, usage = os.wait4(process.pid, 0)
    finally:
        os.close(pidfd)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_utime + usage.ru_stime


def _kill(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _drain(stream: IO[str], sink: Callable[[str], None]) -> None:
    with stream, contextlib.suppress(ValueError):
        for line in stream:
            sink(line.rstrip("\n"))


def _keep(tail: list[str], line: str) -> None:
    tail.append(line[:1000])
    del tail[:-_TAIL_LINES]

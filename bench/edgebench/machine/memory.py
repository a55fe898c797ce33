"""What the kernel tells of memory that ran out: the limit of this process's cgroup, and whom it killed.

The files are those of the kernel's document admin-guide/cgroup-v2: ``memory.max`` and the count ``oom_kill`` of
``memory.events``, which counts the processes of the cgroup that any out-of-memory killer ended. Where version 1 is
still in use (L4T), ``memory.limit_in_bytes`` and ``memory.oom_control`` tell the same.
"""

from __future__ import annotations

from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
_COUNTS, _LIMITS = ("memory.events", "memory.oom_control"), ("memory.max", "memory.limit_in_bytes")
_NO_LIMIT = 2**62  # version 1 has the largest number of pages for "none"


def own_cgroup() -> Path:
    """Return the folder of this process's memory cgroup, version 2 or 1; in a container it is the root."""
    lines = _lines(Path("/proc/self/cgroup"))
    for mark, root in (("0::", ROOT), (":memory:", ROOT / "memory")):
        for line in lines:
            _, found, path = line.partition(mark)
            for folder in (root / path.strip("/"), root):
                if found and _first(folder, _COUNTS):
                    return folder
    return ROOT


def oom_kills(cgroup: Path) -> int | None:
    """Return how many processes of a cgroup were killed for lack of memory; None where the kernel does not tell."""
    counts = dict(line.split() for line in _first(cgroup, _COUNTS) if len(line.split()) == 2)
    return int(counts["oom_kill"]) if counts.get("oom_kill", "").isdigit() else None


def limit_of(cgroup: Path) -> int | None:
    """Return the limit of a cgroup in bytes; None without one."""
    text = "".join(_first(cgroup, _LIMITS)).strip()
    return int(text) if text.isdigit() and int(text) < _NO_LIMIT else None


def _first(folder: Path, names: tuple[str, ...]) -> list[str]:
    return next((lines for name in names if (lines := _lines(folder / name))), [])


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def why_killed(cgroup: Path, kills_before: int | None) -> str:
    """Say what the kernel tells of a SIGKILL, and what to raise; `kills_before` was read before the process began."""
    kills, limit = oom_kills(cgroup), limit_of(cgroup)
    under = "this machine has" if limit is None else f"its limit of {limit / 2**20:.0f} MiB allows"
    fix = "add swap" if limit is None else "raise the limit (docker run --memory)"
    if kills is None or kills_before is None:
        bound = "" if limit is None else f", the limit is {limit / 2**20:.0f} MiB"
        return f" (out of memory?{bound})"
    if kills > kills_before:
        return f": it needed more memory than {under}: {fix}, or measure a smaller model or batch (--only)"
    return " from outside: the kernel counts no lack of memory"


def free_bytes() -> int | None:
    """Return how much a process may still take: what the kernel counts as available, within the cgroup's limit."""
    told = dict(line.split(":", 1) for line in _lines(Path("/proc/meminfo")) if ":" in line)
    available = told.get("MemAvailable", "").split()
    if not available or not available[0].isdigit():
        return None
    free = int(available[0]) * 1024
    limit = limit_of(own_cgroup())
    return free if limit is None else min(free, limit)

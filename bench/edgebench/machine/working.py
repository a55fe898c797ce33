"""How many threads of this process work while something runs: what a runtime does, whatever it was told."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

# A thread that works has the processor for more than this share of the time; one that wakes for a moment has not.
_LEAST_SHARE = 0.05
_TASKS = Path("/proc/self/task")


def working_threads(run: Callable[[], object], seconds: float = 0.3) -> int | None:
    """Return how many threads of this process worked while `run` was called again and again for so many seconds.

    None where the kernel does not count the time of a thread.
    """
    before = _busy_ns()
    begun = time.perf_counter_ns()
    while (lasted := time.perf_counter_ns() - begun) < seconds * 1e9:
        run()
    after = _busy_ns()
    if not before or not after:
        return None
    return sum(busy - before.get(thread, 0) > _LEAST_SHARE * lasted for thread, busy in after.items())


def _busy_ns() -> dict[str, int]:
    """Return {thread: nanoseconds on a processor}; empty where they are not told."""
    found = {}
    for task in _TASKS.glob("*"):
        try:
            found[task.name] = int((task / "schedstat").read_text(encoding="ascii").split()[0])
        except (OSError, ValueError, IndexError):
            continue  # a thread that has just ended
    return found

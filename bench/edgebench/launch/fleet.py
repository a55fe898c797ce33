"""Several boards at once: each in a thread, none waits for another, one that fails stops no other."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from edgebench.errors import EXIT_INTERRUPTED, EdgebenchError
from edgebench.launch.outcome import Outcome, Tell

KILL_S = 1
_POLL_S = 0.2


class Runner(Protocol):
    """A board: an engine, or a node of a swarm. `key` tells it from others before it was reached."""

    name: str
    key: str

    def run(self, tell: Tell) -> Outcome:
        """Run the suite to its report."""

    def stop(self, grace_s: int | None = None) -> None:
        """End it with a partial report within the grace."""


@dataclass(frozen=True, slots=True)
class Watcher:
    """Whom to tell: `tell` gets a board's index and a line, `done` its index and outcome (or the error). Any thread."""

    tell: Callable[[int, str], None]
    done: Callable[[int, Outcome | Exception], None]


def run_all(boards: Sequence[Runner], watcher: Watcher) -> list[Outcome | Exception]:
    """Run every board to its end and return the outcomes in order.

    A first ctrl-C (KeyboardInterrupt) asks all containers to end with their partial reports, a second kills them.
    """
    results: list[Outcome | Exception] = [Outcome(EXIT_INTERRUPTED) for _ in boards]

    finished: queue.SimpleQueue[int] = queue.SimpleQueue()

    def run(index: int) -> None:
        try:
            results[index] = boards[index].run(lambda line: watcher.tell(index, line))
        except Exception as error:  # noqa: BLE001  # goes to the caller, which knows which are a user's
            results[index] = error
        try:
            watcher.done(index, results[index])
        finally:
            finished.put(index)

    for index in range(len(boards)):
        threading.Thread(target=run, args=(index,), name=f"board {index}").start()
    left, interrupts = len(boards), 0
    while left:
        # Not Thread.join: a KeyboardInterrupt within it takes the thread for ended (CPython issue 90882).
        try:
            finished.get(timeout=_POLL_S)
            left -= 1
        except queue.Empty:
            continue
        except KeyboardInterrupt:
            interrupts += 1
            _stop(boards, None if interrupts == 1 else KILL_S)
            if interrupts == 1:
                for index in range(len(boards)):
                    watcher.tell(index, "interrupted: waiting for the partial report (once more kills the container)")
    return results


def _stop(boards: Sequence[Runner], grace_s: int | None) -> None:
    for board in boards:
        threading.Thread(target=board.stop, args=(grace_s,), daemon=True).start()


def exit_code(results: Sequence[Outcome | Exception]) -> int:
    """Return the worst exit code: interrupted above all, then the highest."""
    codes = [_code(result) for result in results]
    return EXIT_INTERRUPTED if EXIT_INTERRUPTED in codes else max(codes, default=0)


def _code(result: Outcome | Exception) -> int:
    if isinstance(result, Outcome):
        return result.code
    return result.exit_code if isinstance(result, EdgebenchError) else 2

"""Runs of `ab` that are on the disk: one that was stopped goes on where it stood.

The order of runs follows from the seed and from what earlier runs gave, so they are kept as they came and given again.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import msgspec

from edgebench.ab.messages import SidePlan
from edgebench.errors import UsageError
from edgebench.measure.results import InferenceResult
from edgebench.plan.digest import digest_of
from edgebench.report.journal import Journal


class KeptRun(msgspec.Struct, frozen=True, omit_defaults=True):
    """One finished run: whose, of what, and its result, or why there is none; `disturbed` counts what was repeated.

    `kept_disturbed`: the last try was disturbed too, and kept.
    """

    side: str
    cell: str
    first: bool
    result: InferenceResult | None = None
    error: str = ""
    disturbed: int = 0
    kept_disturbed: bool = False


class Kept:
    """The runs of one comparison; a context that keeps them unless `done` was called."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._waiting = deque(msgspec.convert(record["run"], KeptRun) for record in journal.records())

    @classmethod
    def open(cls, folder: Path, plans: Sequence[SidePlan], asked: Any, *, resume: bool) -> Self:
        """Open the runs of these plans and options in `folder`; what is there is dropped unless one resumes.

        Raises ReportError where it cannot be written, or another process is at it.
        """
        told: list[dict[str, Any]] = [msgspec.to_builtins(plan) for plan in plans]
        for plan in told:
            del plan["clock"]  # when it was planned says nothing of what
        key = digest_of([told, asked])
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{key[:32]}.journal"
        if not resume:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
        return cls(Journal.open(path, key))

    @property
    def waiting(self) -> int:
        """How many runs are there to be given again."""
        return len(self._waiting)

    def next(self, side: str, cell: str, *, first: bool) -> KeptRun | None:
        """Return the run that was made in this place, None where it is yet to be made."""
        if not self._waiting:
            return None
        run = self._waiting.popleft()
        if (run.side, run.cell, run.first) != (side, cell, first):
            raise UsageError("--resume: the runs that are kept are those of another order: start without --resume")
        return run

    def add(self, run: KeptRun) -> None:
        """Keep a run; it is on the disk when this returns."""
        self._journal.append({"type": "run", "run": msgspec.to_builtins(run)})

    def done(self) -> None:
        """Remove them: the verdict is out."""
        self._journal.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._journal.close()

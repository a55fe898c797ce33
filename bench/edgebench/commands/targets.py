"""Where a report goes: a file, standard output, or a file a board."""

from __future__ import annotations

import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.errors import UsageError

if TYPE_CHECKING:
    from edgebench.launch.board import Outcome


def report_target(output: str | None, suite: str) -> tuple[Path | None, Path]:
    """Return where the report goes (None: standard output) and the folder that holds the journal meanwhile."""
    from edgebench.artifacts.store import cache_folder

    if output == "-" or (output is None and not sys.stdout.isatty()):
        folder = cache_folder() / "journals"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{folder}: cannot be made ({error.strerror}): set EDGEBENCH_CACHE") from None
        return None, folder
    if output is not None:
        target = Path(output)
        if target.is_dir():
            raise UsageError(f"-o {output}: is a folder: name a file in it")
        if not target.parent.is_dir():
            raise UsageError(f"-o {output}: its folder does not exist: make it first")
        return target, target.parent
    reports = Path("/reports")
    folder = reports if reports.is_dir() else Path.cwd()
    return folder / f"edgebench-{suite}-{_stamp()}.json", folder


class Targets:
    """Where the reports go: one by the rule of `suite`, several to files named after their boards."""

    def __init__(self, output: str | None, suite: str, *, several: bool) -> None:
        self._suite = suite
        self._stamp = _stamp()
        self._taken: set[Path] = set()
        self._lock = threading.Lock()
        self._file: Path | None = None
        self._boards: Path | None = None
        # The folder that needs room for a report; None when standard output takes it.
        self.folder: Path | None
        if several:
            self.folder = self._boards = Path(output or ".")
            if output == "-" or not self._boards.is_dir():
                raise UsageError(f"-o {output}: with several boards name a folder that exists: each writes a report")
            return
        self._file, folder = report_target(output, suite)
        self.folder = None if self._file is None else folder

    def write(self, board: str, outcome: Outcome) -> list[str]:
        """Write what a board brought; return what is to be said of it. Any thread."""
        with self._lock:
            return self._written(board, outcome)

    def _written(self, board: str, outcome: Outcome) -> list[str]:
        from edgebench.report.io import dumps, write_report

        if outcome.report is None:
            sys.stdout.write(outcome.text)
            sys.stdout.flush()
            return []
        target = self._file if self._boards is None else self._free(self._boards, board)
        if target is None:
            sys.stdout.write(dumps(outcome.report))
            sys.stdout.flush()
            return []
        write_report(outcome.report, target)
        partial = " (partial)" if outcome.report.status == "partial" else ""
        return [f"report: {target}{partial}"]

    def _free(self, folder: Path, board: str) -> Path:
        """Return a file that no other board of this command has: two boards may bear one name."""
        stem = f"edgebench-{self._suite}-{board}-{self._stamp}"
        target, number = folder / f"{stem}.json", 2
        while target in self._taken:
            target, number = folder / f"{stem}-{number}.json", number + 1
        self._taken.add(target)
        return target


def _stamp() -> str:
    """Return the time in UTC as the name of a report has it."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"

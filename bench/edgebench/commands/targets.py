"""Where a report goes: a file, standard output, or a file a board."""

from __future__ import annotations

import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.commands.console import drop
from edgebench.errors import ReportError, UsageError

if TYPE_CHECKING:
    from edgebench.launch.outcome import Outcome
    from edgebench.report.model import Report

# Where a container's reports go when it is mounted.
REPORTS = Path("/reports")


def report_target(output: str | None, suite: str) -> tuple[Path | None, Path]:
    """Return where the report goes (None: standard output) and the folder that holds the journal meanwhile.

    Raises UsageError, before anything is measured, where the report would be lost.
    """
    if output is None and (folder := _folder()) is not None:
        return folder / f"edgebench-{suite}-{_stamp()}.json", folder
    if output in (None, "-"):
        if sys.stdout is None:
            raise UsageError("standard output is closed, so that the report would be lost: name a file with -o")
        return None, _journals()
    target = Path(str(output))
    if target.is_dir():
        raise UsageError(f"-o {output}: is a folder: name a file in it")
    if not target.parent.is_dir():
        raise UsageError(f"-o {output}: its folder does not exist: make it first")
    if (target.is_file() or not target.exists()) and _goes_with_the_container(folder := target.resolve().parent):
        raise UsageError(
            f'-o {output}: would be lost with this container: mount a folder for it with -v "$PWD:{folder}", or leave '
            "-o and -t out and redirect standard output to a file"
        )
    return target, target.parent if target.is_file() or not target.exists() else _journals()


def _folder() -> Path | None:
    """Return the folder for a report without -o, None for standard output.

    A container's own file system is gone with it: there only what is mounted keeps a report.
    """
    from edgebench.machine.facts import in_container

    inside, terminal = in_container(), sys.stdout is not None and sys.stdout.isatty()
    if REPORTS.is_mount() if inside else terminal and REPORTS.is_dir():
        return REPORTS
    if not terminal:
        return None
    if inside and Path.cwd().stat().st_dev == Path("/").stat().st_dev:
        raise UsageError(
            f'the report would be lost with this container: mount a folder for it with -v "$PWD:{REPORTS}", '
            "or leave -t out and redirect standard output to a file"
        )
    return Path.cwd()


def _goes_with_the_container(folder: Path) -> bool:
    """Tell whether a folder ends with the container of an image of ours: its root, or memory that it was given.

    In other containers somebody may be working.
    """
    from edgebench.machine.facts import image, mount_of

    if image() is None:
        return False
    mount = mount_of(folder)
    return mount.point == "/" or (mount.kind in {"tmpfs", "ramfs"} and mount.root == "/")


def _journals() -> Path:
    """Return the folder for the journals of reports that go to no folder."""
    from edgebench.artifacts.store import cache_folder

    folder = cache_folder() / "journals"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be made ({error.strerror}): set EDGEBENCH_CACHE") from None
    return folder


def to_stdout(report: Report) -> None:
    """Write a report to standard output. Raises ReportError when nobody takes it."""
    from edgebench.report.io import dumps

    try:
        sys.stdout.write(dumps(report))
        sys.stdout.flush()
    except OSError as error:
        drop(sys.stdout)
        raise ReportError(f"The report could not be written to standard output ({error.strerror})") from None


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

    def write(self, board: str, outcome: Outcome) -> tuple[Path | None, list[str]]:
        """Write what a board brought; return the file, and what is to be said of it. Any thread."""
        with self._lock:
            return self._written(board, outcome)

    def _written(self, board: str, outcome: Outcome) -> tuple[Path | None, list[str]]:
        from edgebench.report.io import write_report

        if outcome.report is None:
            sys.stdout.write(outcome.text)
            sys.stdout.flush()
            return None, []
        target = self._file if self._boards is None else self._free(self._boards, board)
        if target is None:
            try:
                to_stdout(outcome.report)
            except ReportError as error:
                kept = _journals() / f"edgebench-{self._suite}-{self._stamp}.json"
                write_report(outcome.report, kept)
                raise ReportError(f"{error}; it is kept as {kept}.") from None
            return None, []
        write_report(outcome.report, target)
        partial = " (partial)" if outcome.report.status == "partial" else ""
        failed = sum(cell.status == "failed" for cell in outcome.report.benchmarks)
        told = f" ({failed} of {len(outcome.report.benchmarks)} benchmarks failed)" if failed else ""
        return target, [f"report: {target}{partial}{told}"]

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

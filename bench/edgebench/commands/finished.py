"""What a run of many boards finished, kept beside the reports: `--resume` measures the other boards only."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edgebench.errors import ReportError

if TYPE_CHECKING:
    from edgebench.launch.order import Order


class _Kept(msgspec.Struct, frozen=True):
    """The order's digest, and the name of each board's complete report."""

    order: str
    reports: dict[str, str] = {}


class Finished:
    """The complete reports of one order in a folder. A file of another order, or that is none, counts as empty."""

    def __init__(self, folder: Path, order: Order) -> None:
        self._path = folder / f".edgebench-{order.suite}-{order.profile.platform}.json"
        self._lock = threading.Lock()
        self._kept = _Kept(order.digest)
        if order.resume:
            try:
                kept = msgspec.json.decode(self._path.read_bytes(), type=_Kept)
            except (OSError, msgspec.MsgspecError):
                return
            if kept.order == order.digest:
                self._kept = kept

    def report_of(self, board: str) -> Path | None:
        """Return a board's complete report, or None."""
        name = self._kept.reports.get(board)
        path = None if name is None else self._path.parent / name
        return path if path is not None and path.is_file() else None

    def add(self, board: str, report: Path) -> None:
        """Remember a report that was written. Any thread. Raises ReportError."""
        with self._lock:
            self._kept = _Kept(self._kept.order, {**self._kept.reports, board: report.name})
            part = self._path.with_suffix(".part")
            try:
                part.write_bytes(msgspec.json.format(msgspec.json.encode(self._kept)))
                part.replace(self._path)
            except OSError as error:
                raise ReportError(f"{self._path}: cannot be written ({error.strerror}): --resume needs it") from None

"""Writing a site: only what changed since the last time, nothing that is not its own."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from edgebench.compare.lean import uncollected
from edgebench.compare.trend import trend_of
from edgebench.errors import UsageError
from edgebench.history.condensed import Head, heads, reports
from edgebench.history.read import read_history
from edgebench.render.site.pages import board_page, report_page
from edgebench.render.site.parts import Links
from edgebench.render.site.shelf import METRICS, Board, Turn, report_path, shelf, turns_of
from edgebench.render.site.start import search_page, start_page
from edgebench.render.templates import text_of

# What the site's folder remembers of its last making; raise the number when pages change with the same reports.
_STATE, _EDITION = ".edgebench-site.json", 2
# Starting another process costs about what making this many pages does.
_PAGES_A_PROCESS = 30


@dataclass(slots=True)
class Built:
    """What became of the pages: how many were written, were as they are already, and were taken away."""

    written: int = 0
    kept: int = 0
    removed: int = 0


@dataclass(slots=True)
class _State:
    """The key of every page as it was made, and each board's changes, so that the start page needs no other board."""

    pages: dict[str, str] = field(default_factory=dict)
    turns: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


def build_site(history: Path, folder: Path, links: Links) -> Built:
    """Write the site of a history into a folder, which is new, empty, or that of an earlier site.

    Raises HistoryError, and UsageError for a folder that holds something else or cannot be written.
    """
    before = _state_of(folder)
    found = heads(history)
    boards = shelf(found)
    digests = {head.id: head.digest for head in found}
    site = _Site(history, folder, links, before, _State())
    try:
        for part in (folder / "boards", folder / "reports"):
            part.mkdir(parents=True, exist_ok=True)
        site.add_boards(boards, digests)
        site.add_reports(boards, digests)
        site.add_start(boards, digests)
        return site.finish()
    except OSError as error:
        raise UsageError(
            f"{error.filename or folder}: cannot be written ({error.strerror}): name another folder"
        ) from None


def _state_of(folder: Path) -> _State:
    state = folder / _STATE
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: is no folder: name one for the site")
    if not state.is_file():
        if folder.is_dir() and any(folder.iterdir()):
            raise UsageError(f"{folder}: holds other files: name an empty folder for the site, or a new one")
        return _State()
    try:
        data = json.loads(state.read_text(encoding="utf-8"))
        return _State({str(k): str(v) for k, v in data["pages"].items()}, dict(data["turns"]))
    except (OSError, ValueError, LookupError, AttributeError, TypeError):
        return _State()  # made anew


@dataclass(slots=True)
class _Site:
    history: Path
    folder: Path
    links: Links
    before: _State
    now: _State
    built: Built = field(default_factory=Built)

    def add_boards(self, boards: Sequence[Board], digests: Mapping[str, str]) -> None:
        """Write the pages of boards whose reports are others than the last time."""
        stale = [board for board in boards if self._stale(board.path, [digests[head.id] for head in board.heads])]
        for board in boards:
            self.now.turns[board.path] = self.before.turns.get(board.path, [])
        if not stale:
            return
        sessions = {session.id: session for session in read_history(self.history, METRICS)}
        for board in stale:
            own = [sessions[head.id] for head in board.heads]
            trend = trend_of(own, METRICS)
            turns = turns_of(board, trend, own)
            self.now.turns[board.path] = [asdict(turn) for turn in turns]
            self._write(board.path, board_page(board, trend, own, turns, self.links))

    def add_reports(self, boards: Sequence[Board], digests: Mapping[str, str]) -> None:
        """Write the pages of reports that are new or others, in as many processes as there are processors."""
        stale = {
            head.id: board
            for board in boards
            for head in board.heads
            if self._stale(report_path(head.id), [digests[head.id]])
        }
        ids = sorted(stale)
        workers = min(len(os.sched_getaffinity(0)), 1 + len(ids) // _PAGES_A_PROCESS)
        if workers < 2:
            _write_reports(self.history, self.folder, stale, self.links)
        else:
            shares = [{one: stale[one] for one in ids[number::workers]} for number in range(workers)]
            with ProcessPoolExecutor(workers) as pool:
                tasks = [pool.submit(_write_reports, self.history, self.folder, share, self.links) for share in shares]
                for task in tasks:
                    task.result()
        self.built.written += len(ids)

    def add_start(self, boards: Sequence[Board], digests: Mapping[str, str]) -> None:
        """Write the start page and the search, where any report is another."""
        everything = [digests[head.id] for board in boards for head in board.heads]
        stale = [path for path in ("index.html", "search.html") if self._stale(path, everything)]
        if not stale:
            return
        last = {board.heads[-1].id: place for place, board in enumerate(boards)}
        newest = sorted(reports(self.history, lambda head: head.id in last), key=lambda report: last[report.id])
        turns = [Turn(**turn) for board in boards for turn in self.now.turns[board.path]]
        turns.sort(key=lambda turn: turn.created, reverse=True)
        names = [[row.name for row in report.benchmarks] for report in newest]
        pages: dict[str, Callable[[], str]] = {
            "index.html": lambda: start_page(boards, newest, turns, self.links),
            "search.html": lambda: search_page(boards, names),
        }
        for path in stale:
            self._write(path, pages[path]())

    def finish(self) -> Built:
        """Take away what no page is any more, and remember the rest."""
        for path in self.before.pages.keys() - self.now.pages.keys():
            target = (self.folder / path).resolve()
            if target.suffix == ".html" and target.is_relative_to(self.folder.resolve()):
                target.unlink(missing_ok=True)
                self.built.removed += 1
        (self.folder / ".nojekyll").touch()  # GitHub Pages takes the files as they are
        _replace(self.folder / _STATE, json.dumps(asdict(self.now)))
        return self.built

    def _stale(self, path: str, digests: Sequence[str]) -> bool:
        """Tell whether a page has to be made, and remember what it is made of."""
        parts = (str(_EDITION), _template_key(), self.links.commit, *digests)
        key = hashlib.sha256("\0".join(parts).encode()).hexdigest()
        self.now.pages[path] = key
        if self.before.pages.get(path) == key and (self.folder / path).is_file():
            self.built.kept += 1
            return False
        return True

    def _write(self, path: str, text: str) -> None:
        _replace(self.folder / path, text)
        self.built.written += 1


def _write_reports(history: Path, folder: Path, boards: Mapping[str, Board], links: Links) -> None:
    def wanted(head: Head) -> bool:
        return head.id in boards

    labels = {head.id: head.label for board in boards.values() for head in board.heads}
    with uncollected():
        for report in reports(history, wanted):
            _replace(folder / report_path(report.id), report_page(report, boards[report.id], labels[report.id], links))


def _replace(target: Path, text: str) -> None:
    """Write a file so that whoever reads it meanwhile has the old one or the new one."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(target)


def _template_key() -> str:
    return hashlib.sha256("".join(map(text_of, ("page.css", "page.js", "document.html.j2"))).encode()).hexdigest()

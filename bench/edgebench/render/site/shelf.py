"""What a site is made of: boards with their releases, and what changed on them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from edgebench.compare.cells import Session
from edgebench.compare.trend import Trend
from edgebench.history.condensed import Head

# What a board's page follows over releases.
METRICS = ("latency_s", "energy_gross_j", "size_bytes", "accuracy_top1", "peak_memory_bytes")
_SLUG = 40


@dataclass(frozen=True, slots=True)
class Board:
    """A board under one suite: its name, platform, suite, reports (oldest first), and the address of its page."""

    name: str
    platform: str
    suite: str
    heads: tuple[Head, ...]

    @property
    def path(self) -> str:
        """Address of its page from the site's folder."""
        return f"boards/{slug(self.name, self.platform, self.suite)}.html"

    @property
    def title(self) -> str:
        """What the site calls it."""
        return f"{self.name} · {self.suite}"


@dataclass(frozen=True, slots=True)
class Turn:
    """A figure that changed: where, by how much (relative, of a share in its unit), and the first report of it."""

    board: str
    path: str
    benchmark: str
    metric: str
    before: float
    after: float
    absolute: bool
    better: bool
    created: str
    report: str
    label: str
    commit: str | None

    @property
    def change(self) -> float:
        """What it changed by: after - before of a share, else after/before - 1."""
        return self.after - self.before if self.absolute else self.after / self.before - 1


@dataclass(frozen=True, slots=True)
class Event:
    """What changed on a board with one report: `turns`, all of that board and report, the largest change first.

    A change for the worse is before all others.
    """

    turns: tuple[Turn, ...]


def events_of(turns: Sequence[Turn]) -> list[Event]:
    """Return changes by board and report, the newest first, as `turns` are."""
    found: dict[tuple[str, str], list[Turn]] = {}
    for turn in turns:
        found.setdefault((turn.path, turn.report), []).append(turn)
    return [Event(tuple(sorted(own, key=lambda turn: (turn.better, -abs(turn.change))))) for own in found.values()]


def shelf(heads: Sequence[Head]) -> list[Board]:
    """Return the boards of reports that are ordered by time, in the order of their names."""
    found: dict[tuple[str, str, str], list[Head]] = {}
    for head in heads:
        found.setdefault((head.board, head.platform, head.suite), []).append(head)
    return [Board(*key, tuple(own)) for key, own in sorted(found.items())]


def slug(*parts: str) -> str:
    """Return a file name of letters, digits and dashes; what differs in anything else differs by the digest in it."""
    text = re.sub(r"[^A-Za-z0-9]+", "-", "-".join(parts))[:_SLUG].strip("-").lower()
    digest = hashlib.sha256("\0".join(parts).encode(errors="replace")).hexdigest()
    return f"{text}-{digest[:8]}"


def report_path(report: str) -> str:
    """Return the address of a report's page from the site's folder, whatever a stranger's history calls its id."""
    plain = re.fullmatch(r"[0-9a-fA-F-]{36}", report)
    return f"reports/{report.lower() if plain else slug(report)}.html"


def turns_of(board: Board, trend: Trend, sessions: Sequence[Session]) -> list[Turn]:
    """Return what changed on a board, the newest first."""
    found = []
    for one in trend.series:
        for change in one.changes:
            session = sessions[one.places[change.place]]
            found.append(
                Turn(
                    board=board.title,
                    path=board.path,
                    benchmark=one.cell,
                    metric=one.metric,
                    before=change.before,
                    after=change.after,
                    absolute=one.absolute,
                    better=one.improved(change),
                    created=change.created,
                    report=report_path(session.id),
                    label=change.label,
                    commit=change.commit,
                )
            )
    return sorted(found, key=lambda turn: turn.created, reverse=True)

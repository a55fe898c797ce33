"""What pages of a site have in common: links to commits, the words for a change, the way back to the start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edgebench.render.page.listing import Cell
from edgebench.render.site.shelf import Turn
from edgebench.render.templates import filled_in
from edgebench.render.units import NONE, points, short, signed

if TYPE_CHECKING:
    from markupsafe import Markup

START: Final = ("All boards", "index.html")


@dataclass(frozen=True, slots=True)
class Links:
    """Where commits are shown: an https address with ``{commit}`` in it, or nowhere."""

    commit: str = ""

    def of(self, revision: str | None) -> Cell:
        """Return a commit as a cell."""
        if not revision:
            return Cell(NONE)
        commit = revision.partition("-")[0]
        plain = commit.isalnum() and commit.isascii()
        return Cell(short(revision), self.commit.replace("{commit}", commit) if self.commit and plain else "")


def change_text(turn: Turn) -> str:
    """Return what a figure changed by, in per cent, or of a share in points."""
    return f"{points(turn.change)} points" if turn.absolute else f"{signed(100 * turn.change, 1)} %"


def no_answer() -> Markup:
    """Return the answer of a page that has none."""
    return filled_in("figures.html.j2", figures=(), kind="plots")

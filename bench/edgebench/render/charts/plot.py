"""What stands in a drawing with two axes. Across, places are per cent of the width; down, pixels from the top."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgebench.render.charts.scale import Scale

# Numbers closer than this (per cent across, pixels down) would stand on each other.
_NEAR = (5.0, 13.0)


@dataclass(frozen=True, slots=True)
class Dot:
    """A mark: a CSS class, a number beside it (at `text_y`), and the ends of its bars along either axis.

    `href` is where it leads, a relative address made by us.
    """

    x: float
    y: float
    title: str
    kind: str = ""
    text: str = ""
    text_y: float = 0.0
    x_ends: tuple[float, float] | None = None
    y_ends: tuple[float, float] | None = None
    href: str = ""


@dataclass(frozen=True, slots=True)
class Path:
    """Straight strokes from point to point, with a CSS class."""

    points: tuple[tuple[float, float], ...]
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Words:
    """A few words inside a drawing; `anchor` is the SVG's (start, middle, end)."""

    x: float
    y: float
    text: str
    anchor: str = "start"


@dataclass(frozen=True, slots=True)
class Key:
    """One line of the legend: the CSS class of the mark, and what it means."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis: what it shows, and where its values stand."""

    label: str
    scale: Scale


@dataclass(frozen=True, slots=True)
class Plot:
    """A drawing with two axes.

    `title` is its caption, `summary` what somebody who does not see it is told. `listed` names numbered marks, as
    (number, words); `notes` is small print.
    """

    title: str
    summary: str
    x: Axis
    y: Axis
    height: float
    dots: tuple[Dot, ...] = ()
    paths: tuple[Path, ...] = ()
    words: tuple[Words, ...] = ()
    keys: tuple[Key, ...] = ()
    listed: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def linked(self) -> bool:
        """Whether a mark leads somewhere."""
        return any(dot.href for dot in self.dots)

    def down(self, value: float) -> float:
        """Return the place of a value of the upright axis."""
        return down(self.y.scale, value, self.height)


def down(scale: Scale, value: float, height: float) -> float:
    """Return how many pixels below the top of a drawing a value stands."""
    return round(height * (1 - scale.at(value) / 100), 1)


def apart(dots: Sequence[Dot]) -> tuple[Dot, ...]:
    """Return dots whose numbers do not stand on each other: those of near dots stand above one another."""
    taken: list[tuple[float, float]] = []
    placed: dict[int, Dot] = {}
    for index in sorted(range(len(dots)), key=lambda index: -dots[index].y):
        dot = dots[index]
        y = dot.y - 5
        while dot.text and any(abs(dot.x - x) < _NEAR[0] and abs(y - other) < _NEAR[1] for x, other in taken):
            y -= _NEAR[1]
        if dot.text:
            taken.append((dot.x, y))
        placed[index] = replace(dot, text_y=round(y, 1))
    return tuple(placed[index] for index in range(len(dots)))

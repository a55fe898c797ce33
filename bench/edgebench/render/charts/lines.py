"""A figure over releases or days: one line a series, with its intervals, and marks where its level changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgebench.render.charts.extent import Extent
from edgebench.render.charts.plot import Axis, Dot, Key, Path, Plot, down
from edgebench.render.charts.scale import Scale, Tick, scale
from edgebench.render.charts.words import on_axis, words_of

HEIGHT = 170.0
# Colours there are for lines (s0 … s3 of the page).
COLOURS = 4
_LABELS = 3
# Of longer courses only the first, the last and those that changed have a mark: the line has them all.
_DOTS = 100


@dataclass(frozen=True, slots=True)
class Course:
    """One line: its name, the place of each figure among the moments, the figures, and the places of new levels.

    `better` are those of the new levels that are so; `hrefs` says where each figure leads, where it leads anywhere.
    """

    name: str
    places: tuple[int, ...]
    values: tuple[Extent, ...]
    changes: tuple[int, ...] = ()
    better: tuple[int, ...] = ()
    hrefs: tuple[str, ...] = ()


def over_time(title: str, metric: str, moments: Sequence[str], courses: Sequence[Course], unit_note: str = "") -> Plot:
    """Return figures of one metric over `moments` (each a word or two: a date, a version), oldest first.

    Every course has at least one figure; places are those of `moments`. Raises ValueError without any course.
    """
    if not courses:
        raise ValueError("a drawing over time needs a figure")
    words = words_of(metric)
    ends = [end for course in courses for one in course.values for end in (one.low, one.high)]
    up = scale(ends, on_axis(metric))
    across = _moments(moments)
    dots: list[Dot] = []
    paths: list[Path] = []
    for number, course in enumerate(courses):
        kind = f"l{number % COLOURS}"
        spots = [
            (_place(place, len(moments)), down(up, one.value, HEIGHT))
            for place, one in zip(course.places, course.values, strict=True)
        ]
        paths.append(Path(tuple(spots), kind))
        hrefs = course.hrefs or ("",) * len(spots)
        for (x, y), place, one, href in zip(spots, course.places, course.values, hrefs, strict=True):
            changed = place in course.changes
            if len(spots) > _DOTS and not changed and place not in {course.places[0], course.places[-1]}:
                continue
            bars = (down(up, one.high, HEIGHT), down(up, one.low, HEIGHT)) if one.drawn else None
            said = f"{course.name}, {moments[place]}: {words(one.value)}"
            dots.append(Dot(x, y, said, f"{kind}{' changed' if changed else ''}", y_ends=bars, href=href))
            if changed:
                way = "better" if place in course.better else "worse"
                paths.append(Path(((x, 0.0), (x, HEIGHT)), f"moment {way}"))
    summary = "; ".join(
        f"{course.name}: {words(course.values[0].value)} at first, {words(course.values[-1].value)} at last, "
        f"{len(course.changes)} change{'' if len(course.changes) == 1 else 's'}"
        for course in courses
    )
    label = f"{unit_note}{', log scale' if up.log else ''}".removeprefix(", ")
    return Plot(
        title=title,
        summary=f"{title}. {summary}.",
        x=Axis("", across),
        y=Axis(label, up),
        height=HEIGHT,
        dots=tuple(dots),
        paths=tuple(paths),
        # The title says what a single line is.
        keys=tuple(Key(f"l{number % COLOURS}", one.name) for number, one in enumerate(courses) if len(courses) > 1),
    )


def _place(place: int, count: int) -> float:
    return 50.0 if count < 2 else round(3 + 94 * place / (count - 1), 2)


def _moments(moments: Sequence[str]) -> Scale:
    """Return an axis with the first word of a few moments, their days, the first and the last among them."""
    count = len(moments)
    most = min(count, _LABELS)
    shown = sorted({round(index * (count - 1) / max(1, most - 1)) for index in range(most)})
    ticks = tuple(Tick(_place(index, count), moments[index].partition(" ")[0]) for index in shown)
    return Scale(low=0.0, high=float(max(1, count - 1)), log=False, ticks=ticks)

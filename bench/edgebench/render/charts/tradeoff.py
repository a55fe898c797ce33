"""Quality against cost: one drawing for each kind of cost that benchmarks of one task have, with the front drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from edgebench.render import cells
from edgebench.render.charts.extent import Extent, extent
from edgebench.render.charts.pareto import Candidate, Standing, standings
from edgebench.render.charts.plot import Axis, Dot, Key, Path, Plot, apart, down
from edgebench.render.charts.scale import LOG_FROM, scale
from edgebench.render.charts.words import on_axis, words_of
from edgebench.report.catalogue import METRICS, Better, Wins, info_of
from edgebench.report.model import Benchmark

# What the best in each cost is called: the catalogue says which metrics win it, the first that a group has counts.
COSTS: tuple[Wins, ...] = ("fastest", "most frugal", "smallest")
# Where there is no labelled data, agreement with FP32 stands for the quality.
AGREEMENT = ("agreement_top1", "agreement_cosine")
HEIGHT = 230.0
# So many marks are numbered, those of the front first.
_NUMBERED = 12


def trade_offs(benchmarks: Sequence[Benchmark]) -> list[Plot]:
    """Return the drawings of all benchmarks that have a quality and a cost, task by task."""
    groups: dict[tuple[str, ...], list[Benchmark]] = {}
    for row in benchmarks:
        quality = next((name for name in (*_winning("most accurate"), *AGREEMENT) if name in row.metrics), None)
        if quality is not None:
            same = tuple(str(row.params.get(key, "")) for key in ("task", "data", "batch"))
            groups.setdefault((quality, *same), []).append(row)
    return [plot for (quality, *_), rows in groups.items() for plot in _of_group(rows, quality, len(groups) > 1)]


def _of_group(rows: Sequence[Benchmark], quality: str, several: bool) -> Iterator[Plot]:  # noqa: FBT001
    for wins in COSTS:
        cost = next((name for name in _winning(wins) if sum(name in row.metrics for row in rows) > 1), "")
        shown = [row for row in rows if cost in row.metrics]
        # Joules of two scopes are no axis.
        if len(shown) > 1 and len({row.metrics[cost].scope for row in shown}) == 1:
            yield trade_off(shown, cost, quality, several=several)


def _winning(wins: Wins) -> list[str]:
    return [name for name, info in METRICS.items() if info.wins == wins]


def trade_off(rows: Sequence[Benchmark], cost: str, quality: str, *, several: bool = False) -> Plot:
    """Return quality against cost of at least two benchmarks that have both; `several` groups are told apart."""
    labels = cells.labels(rows)
    better = info_of(cost).better, info_of(quality).better
    candidates = [
        Candidate(row.name, extent(cost, row.metrics[cost]), extent(quality, row.metrics[quality])) for row in rows
    ]
    found = standings(candidates, *better)
    across = _axis(cost, [one.cost for one in candidates], rows)
    up = _axis(quality, [one.quality for one in candidates], rows)
    numbers = _numbers(candidates, found)
    spoken = (words_of(cost), words_of(quality))
    said = {
        one.name: f"{labels.names[one.name]}: {spoken[0](one.cost.value)}, {spoken[1](one.quality.value)}"
        for one in candidates
    }
    baselines = {row.name for row in rows if row.params.get("variant") == "baseline"}
    dots = tuple(
        _dot(one, (across, up), f"{found[one.name]}{' baseline' if one.name in baselines else ''}", said, numbers)
        # The front last, so that it lies on top.
        for one in sorted(candidates, key=lambda one: ("behind", "open", "front").index(found[one.name]))
    )
    front = sorted((one for one in candidates if found[one.name] == "front"), key=lambda one: one.cost.value)
    where = f", {labels.common}" if several and labels.common else ""
    title = f"{cells.title(quality)} against {cells.title(cost)}{where}"
    best = "; ".join(said[one.name] for one in front)
    return Plot(
        title=title[:1].upper() + title[1:],
        summary=f"{title} of {len(rows)} benchmarks. On the front: {best}.",
        x=across,
        y=up,
        height=HEIGHT,
        dots=apart(dots),
        paths=(Path(_staircase(front, (across, up), better), "front"),),
        keys=_keys(set(found.values()), some_baseline=bool(baselines)),
        listed=tuple((number, said[name]) for name, number in numbers.items()),
        notes=_notes(candidates),
    )


def _axis(name: str, extents: Sequence[Extent], rows: Sequence[Benchmark]) -> Axis:
    ends = [end for one in extents for end in (one.low, one.high)]
    # An interval that reaches to zero or below must not take the logarithm from the figures themselves.
    positive = [end for end in ends if end > 0]
    values = [one.value for one in extents]
    logarithmic = min(values) > 0 and max(values) / min(values) >= LOG_FROM
    drawn = scale(positive if logarithmic else ends, on_axis(name), log=logarithmic)
    scope = cells.scope_of(rows, name)
    told = [cells.title(name) + (f" ({scope})" if scope else ""), f"{info_of(name).better} is better"]
    return Axis(", ".join([*told, *(["log scale"] if drawn.log else [])]), drawn)


def _numbers(candidates: Sequence[Candidate], found: Mapping[str, Standing]) -> dict[str, str]:
    """Number the front by what it costs, then those that cannot be told from it."""
    told = [one for one in candidates if found[one.name] != "behind"]
    told.sort(key=lambda one: (found[one.name] != "front", one.cost.value))
    return {one.name: str(number) for number, one in enumerate(told[:_NUMBERED], start=1)}


def _dot(
    one: Candidate, axes: tuple[Axis, Axis], kind: str, said: Mapping[str, str], numbers: Mapping[str, str]
) -> Dot:
    across, up = axes[0].scale, axes[1].scale
    cost, quality = one.cost, one.quality
    return Dot(
        x=across.at(cost.value),
        y=down(up, quality.value, HEIGHT),
        title=said[one.name],
        kind=kind,
        text=numbers.get(one.name, ""),
        x_ends=(across.at(cost.low), across.at(cost.high)) if cost.drawn else None,
        y_ends=(down(up, quality.high, HEIGHT), down(up, quality.low, HEIGHT)) if quality.drawn else None,
    )


def _staircase(
    front: Sequence[Candidate], axes: tuple[Axis, Axis], better: tuple[Better, Better]
) -> tuple[tuple[float, float], ...]:
    """Return the border of what some member of the front beats, from one edge of the drawing to the other."""
    cheap_first = front if better[0] == "lower" else front[::-1]
    places = [(axes[0].scale.at(one.cost.value), down(axes[1].scale, one.quality.value, HEIGHT)) for one in cheap_first]
    bad_quality, bad_cost = (HEIGHT if better[1] == "higher" else 0.0), (100.0 if better[0] == "lower" else 0.0)
    points = [(places[0][0], bad_quality)]
    for x, y in places:
        # Up to here the cheaper one is the best that can be had.
        points += [(x, points[-1][1]), (x, y)]
    return (*points, (bad_cost, points[-1][1]))


def _keys(found: set[Standing], *, some_baseline: bool) -> tuple[Key, ...]:
    texts: Mapping[Standing, str] = {
        "front": "on the front: nothing here is better in both",
        "open": "cannot be told from the front",
        "behind": "surely behind it",
    }
    keys = [Key(standing, text) for standing, text in texts.items() if standing in found]
    return (*keys, *([Key("baseline", "baseline")] if some_baseline else []))


def _notes(candidates: Sequence[Candidate]) -> tuple[str, ...]:
    kinds = {side.kind for one in candidates for side in (one.cost, one.quality) if side.drawn}
    told = [
        text
        for kind, text in (("interval", "95 % intervals"), ("range", "least and highest of fewer than five runs"))
        if kind in kinds
    ]
    return (f"bars: {', or '.join(told)}",) if told else ()

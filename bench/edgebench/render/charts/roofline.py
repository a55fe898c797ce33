"""The roofline: what each benchmark reaches, below what this machine can do at most."""

from __future__ import annotations

from collections.abc import Sequence

from edgebench.render import cells
from edgebench.render.charts.extent import extent
from edgebench.render.charts.plot import Axis, Dot, Key, Path, Plot, Words, apart, down
from edgebench.render.charts.scale import Scale, scale
from edgebench.render.charts.words import on_axis, words_of
from edgebench.report.model import Benchmark, Report
from edgebench.report.roofs import Roof

HEIGHT = 320.0
_NUMBERED = 40


def roofline_plot(report: Report) -> Plot | None:
    """Return operations a second over operations a byte, both logarithmic; None where no benchmark has a roof."""
    needed = {"operations_per_s", "roofline_fraction"}
    rows = [row for row in report.benchmarks if row.roofline is not None and needed <= row.metrics.keys()]
    # What is not positive has no place on a logarithmic axis.
    rows = [row for row in rows if row.metrics["operations_per_s"].median > 0]
    roofs = [roof for roof in report.roofs or () if roof.operations_per_s > 0 < roof.bytes_per_s]
    if not rows or not roofs:
        return None
    rows.sort(key=_intensity)
    attained = [extent("operations_per_s", row.metrics["operations_per_s"]) for row in rows]
    reached = [end for one in attained for end in (one.low, one.high)]
    ridges = [roof.operations_per_s / roof.bytes_per_s for roof in roofs]
    words = words_of("operations_per_s")
    across = scale([*map(_intensity, rows), *ridges], on_axis("operational_intensity"), log=True, pad=0.1)
    up = scale([*reached, *(roof.operations_per_s for roof in roofs)], on_axis("operations_per_s"), log=True, pad=0.08)
    labels = cells.labels(rows)
    dots, listed = [], []
    for number, (row, one) in enumerate(zip(rows, attained, strict=True), start=1):
        said = f"{labels.names[row.name]}: {words(one.value)}, {_share(row)}"
        ends = (down(up, one.high, HEIGHT), down(up, one.low, HEIGHT)) if one.drawn else None
        text = str(number) if number <= _NUMBERED else ""
        listed += [(text, said)] if text else []
        kind = "" if row.roofline is None else _kind(row.roofline.precision, roofs)
        dots.append(Dot(across.at(_intensity(row)), down(up, one.value, HEIGHT), said, kind, text, y_ends=ends))
    best = max(rows, key=lambda row: row.metrics["roofline_fraction"].median)
    return Plot(
        title="What each pass reaches, below the roof of this machine",
        summary=f"Roofline of {len(rows)} benchmarks. Nearest to its roof: {labels.names[best.name]}, {_share(best)}.",
        x=Axis("operations a byte of memory traffic, log scale", across),
        y=Axis("operations a second, log scale", up),
        height=HEIGHT,
        dots=apart(dots),
        paths=tuple(_roof_path(roof, across, up, f"roof {_kind(roof.precision, roofs)}") for roof in roofs),
        words=tuple(_roof_words(roof, up, several=len({one.threads for one in roofs}) > 1) for roof in roofs),
        keys=tuple(Key(f"l{number % 4}", precision.upper()) for number, precision in enumerate(_precisions(roofs))),
        listed=tuple(listed),
        notes=_notes(roofs, labels.common, len(rows) - len(listed)),
    )


def _intensity(row: Benchmark) -> float:
    work = row.roofline
    return 1.0 if work is None else max(work.operations, 1) / max(work.bytes, 1)


def _kind(precision: str, roofs: Sequence[Roof]) -> str:
    """Return the colour of a precision; none of a roof that another report has."""
    known = _precisions(roofs)
    return f"l{known.index(precision) % 4}" if precision in known else ""


def _precisions(roofs: Sequence[Roof]) -> list[str]:
    return list(dict.fromkeys(roof.precision for roof in roofs))


def _share(row: Benchmark) -> str:
    shown = cells.metric_cell(row, "roofline_fraction").replace("\n", " ")
    return f"{shown} of its roof ({'' if row.roofline is None else row.roofline.bound})"


def _roof_path(roof: Roof, across: Scale, up: Scale, kind: str) -> Path:
    """Return a roof from the left edge over its ridge to the right edge: on two logarithmic axes both are straight."""
    ridge = roof.operations_per_s / roof.bytes_per_s
    left = 10**across.low
    points = [(0.0, left * roof.bytes_per_s)] if left < ridge else []
    points += [(across.at(ridge), roof.operations_per_s), (100.0, roof.operations_per_s)]
    lowest = 10**up.low
    if points[0][1] < lowest:  # the slope comes in from below the drawing
        points[0] = (across.at(lowest / roof.bytes_per_s), lowest)
    return Path(tuple((x, down(up, y, HEIGHT)) for x, y in points), kind)


def _roof_words(roof: Roof, up: Scale, *, several: bool) -> Words:
    threads = f", {roof.threads} threads" if several else ""
    text = f"{roof.precision.upper()}{threads}: {words_of('operations_per_s')(roof.operations_per_s)}"
    return Words(99.0, down(up, roof.operations_per_s, HEIGHT) - 5, text, "end")


def _notes(roofs: Sequence[Roof], common: str, left_out: int) -> tuple[str, ...]:
    words = words_of("bytes_per_s")
    streams = dict.fromkeys(
        f"{words(roof.bytes_per_s)} ({' to '.join(map(words, roof.bytes_range))}), {roof.threads} threads"
        for roof in roofs
    )
    through = ", ".join(dict.fromkeys(roof.backend for roof in roofs))
    told = [
        f"slope: memory at {'; '.join(streams)}; flat: a large matrix product",
        f"both measured on this machine through {through} on {roofs[0].created[:10]}",
        "memory traffic is the least there can be (weights and inputs, each once), so a share is the least it can be",
    ]
    told += [f"all: {common}"] if common else []
    return (*told, *([f"{left_out} more benchmarks have no number"] if left_out > 0 else []))

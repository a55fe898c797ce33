"""Sustained load for people: cold against hot as a table, and the course of each run as a drawing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgebench.render import cells
from edgebench.render.sparkline import sparkline
from edgebench.render.tables import Column, Section
from edgebench.render.timeline import Band, Timeline, place, said, stack
from edgebench.render.units import NONE, duration, percent, quantity
from edgebench.report.course import Change, ResourceSeries, Sustained
from edgebench.report.metric import SCOPES_BY_WIDTH
from edgebench.report.model import Benchmark, Report

_SPARK = 30
# What a table shows cold and hot: the words above the columns and the metric; of a language model its tokens.
_PASSES = (("throughput", "throughput_per_s"), ("energy", "energy_gross_j"))
_TOKENS = (
    ("generating", "decode_tokens_per_s"),
    ("reading", "prefill_tokens_per_s"),
    ("energy a\ngenerated token", "energy_per_generated_token_j"),
)
_Rows = Sequence[tuple[Benchmark, Sustained]]


def section(report: Report, *, sparks: bool = True) -> Section | None:
    """Return a row a sustained run, with the course of its throughput (`sparks`); None without any."""
    rows = [(row, run) for row in _measured(report) for run in row.sustained or ()]
    if not rows:
        return None
    labels = cells.labels([row for row, _ in rows], without=("precision",))
    tables = [
        _columns(some, labels, shown, sparks=sparks)
        for some, shown in (
            ([one for one in rows if one[0].generated is None], _PASSES),
            ([one for one in rows if one[0].generated is not None], _TOKENS),
        )
        if some
    ]
    notes = [f"{labels.names[row.name]}: {run.verdict_text}" for row, run in rows]
    cold, hot = rows[0][1].cold, rows[0][1].hot
    notes.append(
        f"cold is the first {duration(cold[1] - cold[0])}, hot the last {duration(hot[1] - hot[0])}; "
        "[95 % interval] of a ratio from the windows of both, which are of one run"
    )
    notes += [
        f"{labels.names[row.name]}: generated other tokens in another request, though always the likeliest"
        for row in {row.name: row for row, _ in rows}.values()
        if row.generated is not None and not row.generated.repeats
    ]
    notes += [f"all: {labels.common}"] if labels.common else []
    return Section("Sustained load", tuple(tables), notes=tuple(notes))


def _columns(
    rows: _Rows, labels: cells.Labels, shown: Sequence[tuple[str, str]], *, sparks: bool
) -> tuple[Column, ...]:
    columns = [
        Column("benchmark", tuple(labels.names[row.name] for row, _ in rows), "left"),
        Column("precision", tuple(str(row.params.get("precision", "")) for row, _ in rows), "left"),
        Column("load", tuple(duration(run.seconds) for _, run in rows)),
    ]
    for words, name in shown:
        columns += [
            Column(f"{words}\n{phase}", tuple(_metric(row, f"{name}.{phase}") for row, _ in rows))
            for phase in ("cold", "hot")
        ]
        columns.append(Column(f"{words}\nhot : cold", tuple(_of_run(run, name) for _, run in rows)))
    columns += [
        Column("temperature", tuple(_ends(run, "temperature_c") for _, run in rows)),
        Column("throttling", tuple(_throttling(run) for _, run in rows), "left"),
    ]
    if sparks:
        heading = f"{shown[0][0]} over time"
        columns.append(Column(heading, tuple(_spark(run, shown[0][1]) for _, run in rows), "left"))
    return tuple(columns)


def sentence(row: Benchmark, run: Sustained) -> str:
    """Return a run in short: how fast it was hot and cold, where a language model's is known, and its verdict."""
    name = "decode_tokens_per_s"
    cold, hot = (row.metrics.get(f"{name}.{phase}") for phase in ("cold", "hot"))
    if cold is None or hot is None:
        return run.verdict_text
    speeds = f"{quantity(cells.headline(hot), hot.unit)} hot, {quantity(cells.headline(cold), cold.unit)} cold"
    return f"generating {speeds}: {run.verdict_text}"


def timelines(report: Report) -> Iterator[Timeline]:
    """Yield the drawing of each run: throughput, power, temperature and frequency, cold and hot shaded, the onset."""
    rows = _measured(report)
    names = cells.labels(rows).names
    for row in rows:
        for number, run in enumerate(row.sustained or (), start=1):
            title = f"Sustained load: {names[row.name]}" + (f", run {number}" if len(row.sustained or ()) > 1 else "")
            bands = [_band("cold", run.cold, run.seconds), _band("hot", run.hot, run.seconds)]
            marks = [] if run.onset_s is None else [(run.onset_s, f"onset at {run.onset_s:.0f} s")]
            yield stack(title, run.series, run.seconds, bands, marks=marks, note=run.verdict_text)


def _measured(report: Report) -> list[Benchmark]:
    return [row for row in report.benchmarks if row.kind == "sustained" and row.status == "ok" and row.sustained]


def _band(name: str, ends: tuple[float, float], end_s: float) -> Band:
    x = place(ends[0], end_s)
    title = f"{name}: {duration(ends[1] - ends[0])}"
    return Band(x, place(ends[1], end_s) - x, "run" if name == "cold" else "prepare", name, title, 0)


def _metric(row: Benchmark, name: str) -> str:
    metric = row.metrics.get(name)
    return NONE if metric is None else cells.metric_cell(row, name)


def _change(change: Change | None) -> str:
    if change is None:
        return NONE
    ends = "" if change.ci95 is None else f"\n[{', '.join(percent(end)[:-2] for end in change.ci95)}]"
    return percent(change.ratio) + ends


def _of_run(run: Sustained, name: str) -> str:
    """Return the change of a rate, or of joules in the widest scope that was measured."""
    keys = (name, *(f"{name}.{scope}" for scope in SCOPES_BY_WIDTH))
    return _change(next((run.hot_over_cold[key] for key in keys if key in run.hot_over_cold), None))


def _spark(run: Sustained, name: str) -> str:
    found = [series for series in run.series if series.name == name]
    return sparkline(found[0], _SPARK) if found else NONE


def _ends(run: Sustained, name: str) -> str:
    found: Sequence[ResourceSeries] = [series for series in run.series if series.name == name and series.t_s]
    if not found:
        return NONE
    return f"{said(found[0].value[0], found[0].unit)} → {said(found[0].value[-1], found[0].unit)}"


def _throttling(run: Sustained) -> str:
    words = {"none": "none seen", "throttled": "throttled", "slowed": "slowed", "disturbed": "cannot tell"}
    onset = "" if run.onset_s is None else f" from {quantity(run.onset_s, 's')}"
    return words[run.verdict] + onset

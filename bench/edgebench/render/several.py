"""Several reports side by side: boards or releases in columns, variants in rows, a table a metric."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence

from edgebench.errors import UsageError
from edgebench.render import cells
from edgebench.render.answer import told
from edgebench.render.tables import Column, Section
from edgebench.render.units import NONE
from edgebench.render.view import FACTS, GAIN, View, cell_of, chosen, column_named, metric_named
from edgebench.report.answer import answer_of
from edgebench.report.catalogue import METRICS
from edgebench.report.model import Benchmark, Report

_HEADER = 18
# What tells reports apart, the most telling first.
_TELLING: tuple[Callable[[Report], str], ...] = (
    lambda report: report.machine.board or report.machine.cpu,
    lambda report: report.machine.unit or "",
    lambda report: report.platform,
    lambda report: report.suite.name,
    lambda report: f"edgebench {report.generator.version}",
)
# Shown where nothing is asked for and some report has it.
_METRICS = ("latency_s", "energy_gross_j")


def report_names(reports: Sequence[Report], files: Sequence[str]) -> list[str]:
    """Return what each report is called: what differs between them, else the names of their files."""
    days = [report.created[:10] for report in reports]
    minutes = [report.created[:16].replace("T", " ") for report in reports]
    telling = [[tell(report) for report in reports] for tell in _TELLING]
    for when in (days, minutes):
        shown = [""] * len(reports)
        for found in (*telling, when):
            if len(set(found)) > 1 and len(set(shown)) < len(reports):
                shown = [" ".join(part for part in pair if part) for pair in zip(shown, found, strict=True)]
        if len(set(shown)) == len(reports):
            return shown
    return list(files)


def several(reports: Sequence[Report], files: Sequence[str], view: View) -> tuple[list[tuple[str, str]], list[Section]]:
    """Return (name, first sentence of its answer) of each report, and a table a metric.

    UsageError where `view` names what no report has.
    """
    reports = _chosen(reports, view)
    names = report_names(reports, files)
    answers = []
    for name, report in zip(names, reports, strict=True):
        sentences = [one.sentences[0] for one in told(report, answer_of(report)) if one.sentences]
        more = f" (and {len(sentences) - 1} more models or settings)" if len(sentences) > 1 else ""
        partial = "partial: " if report.status == "partial" else ""
        answers.append((name, partial + (sentences[0] if sentences else "nothing was measured.") + more))
    if view.metric:
        metrics = [metric_named(reports, view.metric, "--metric")]
    else:
        metrics = [column_named(reports, name) for name in view.columns]
    metrics = metrics or [
        name for name in _METRICS if any(name in row.metrics for one in reports for row in one.benchmarks)
    ]
    if GAIN in metrics:
        raise UsageError("--columns gain: of several reports it is not shown: name a metric")
    order = (
        metric_named(reports, view.sort, "--sort")
        if view.sort
        else next((m for m in metrics if m not in FACTS), "latency_s")
    )
    return answers, [_table(reports, names, metric, order) for metric in metrics]


def _chosen(reports: Sequence[Report], view: View) -> list[Report]:
    if not view.only:
        return list(reports)
    matching = [report for report in reports if _matches(report, view)]
    if not matching:
        return [chosen(reports[0], view)]
    return [
        chosen(report, view) if report in matching else report.model_copy(update={"benchmarks": (), "contrasts": ()})
        for report in reports
    ]


def _matches(report: Report, view: View) -> bool:
    try:
        chosen(report, view)
    except UsageError:
        return False
    return True


def _table(reports: Sequence[Report], names: Sequence[str], metric: str, order: str) -> Section:
    rows: dict[str, Benchmark] = {}
    for report in reports:
        for row in report.benchmarks:
            if row.status == "ok" and (metric in row.metrics or metric in FACTS):
                rows.setdefault(row.name, row)
    placed = sorted(
        rows.values(),
        key=lambda row: (row.kind, _group(row), row.params.get("variant") != "baseline", *_place(row, order)),
    )
    labels = cells.labels(placed, without=("threads",))
    columns = [Column("benchmark", tuple(labels.names[row.name] for row in placed), "left")]
    for report, name in zip(reports, names, strict=True):
        here: Mapping[str, Benchmark] = {row.name: row for row in report.benchmarks}
        scope = cells.scope_of(here.values(), metric)
        header = "\n".join([*(textwrap.wrap(name, _HEADER) or [""]), *([f"({scope})"] if scope else [])])
        columns.append(Column(header, tuple(_cell(here.get(row.name), metric) for row in placed)))
    title = cells.title(metric) if metric not in FACTS else metric
    notes = (f"all: {labels.common}",) if labels.common else ()
    return Section(title, (tuple(columns),), notes=notes)


def _cell(row: Benchmark | None, metric: str) -> str:
    if row is None:
        return NONE
    return cell_of(metric, row) if row.status == "ok" else row.status


def _group(row: Benchmark) -> str:
    return row.name.partition("/")[0]


def _place(row: Benchmark, order: str) -> tuple[bool, float]:
    """Return where a row stands among its model's: the best figure first, in the first report that has it."""
    metric = row.metrics.get(order)
    if metric is None:
        return True, 0.0
    info = METRICS.get(order.partition(".")[0])
    return False, -metric.median if info is not None and info.better == "higher" else metric.median

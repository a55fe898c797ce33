"""What of a report is shown: which benchmarks, by which metric sorted, in which columns; and what these are called."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from edgebench.errors import UsageError
from edgebench.render import cells
from edgebench.render.quality import SHARES
from edgebench.render.units import NONE, quantity
from edgebench.report.catalogue import METRICS
from edgebench.report.model import Benchmark, Report

# What people call a metric on the command line beside its title and its name in the report.
_SHORT = {"energy": "energy_gross_j", "memory": "peak_memory_bytes", "map": "map50"}


def _percentile(row: Benchmark, which: str) -> str:
    metric = row.metrics.get("latency_s")
    return NONE if metric is None or metric.passes is None else quantity(getattr(metric, which, None), metric.unit)


def _sparsity(row: Benchmark) -> str:
    found = None if row.artifact is None else row.artifact.sparsity
    return NONE if found is None else f"{found:.0%}"


def _runs(row: Benchmark) -> str:
    metric = row.metrics.get("latency_s")
    return NONE if metric is None or metric.runs is None else str(len(metric.runs))


# Columns that are no metrics.
FACTS: Mapping[str, Callable[[Benchmark], str]] = {
    "p50": lambda row: _percentile(row, "p50"),
    "p90": lambda row: _percentile(row, "p90"),
    "p95": lambda row: _percentile(row, "p95"),
    "p99": lambda row: _percentile(row, "p99"),
    "int8 layers": cells.layers_cell,
    "precision": lambda row: str(row.params.get("precision", NONE)),
    "runtime": lambda row: str(row.params.get("backend", NONE)),
    "variant": lambda row: str(row.params.get("variant", NONE)),
    "threads": lambda row: str(row.params.get("threads", NONE)),
    "batch": lambda row: str(row.params.get("batch", NONE)),
    "sparsity": _sparsity,
    "runs": _runs,
}
# The column of how many times better than the baseline.
GAIN = "gain"


@dataclass(frozen=True, slots=True)
class View:
    """What to show. Names are as people give them; an empty one leaves the choice to the report.

    `metric` is what is ranked and set against the baseline, `sort` orders rows otherwise, `columns` are all there are
    beside the names, `only` a pattern of benchmarks' names, `everything` adds every detail.
    """

    metric: str = ""
    sort: str = ""
    columns: tuple[str, ...] = ()
    only: str = ""
    everything: bool = False


def chosen(report: Report, view: View) -> Report:
    """Return the report with the benchmarks that `view.only` names; UsageError where it names none."""
    if not view.only:
        return report
    kept = [row for row in report.benchmarks if fnmatchcase(row.name, view.only)]
    if not kept:
        names = ", ".join(row.name for row in report.benchmarks[:3])
        raise UsageError(f"--only {view.only}: no benchmark is called so: they are called like {names}")
    names_kept = {row.name for row in kept}
    contrasts = [one for one in report.contrasts if one.head in names_kept and one.base in names_kept]
    return report.model_copy(update={"benchmarks": tuple(kept), "contrasts": tuple(contrasts)})


def metric_named(reports: Sequence[Report], name: str, option: str) -> str:
    """Return the metric that people call so; UsageError names those that the reports have."""
    found = _column(reports, name)
    if found is None or found in FACTS or found == GAIN:
        raise UsageError(f"{option} {name}: no benchmark here has it: choose from {_choices(_metrics(reports))}")
    return found


def column_named(reports: Sequence[Report], name: str) -> str:
    """Return the metric or fact that people call so; UsageError names what the reports have."""
    found = _column(reports, name)
    if found is None:
        names = [*_metrics(reports), GAIN, *FACTS]
        raise UsageError(f"--columns {name}: no benchmark here has it: choose from {_choices(names)}")
    return found


def header_of(name: str, rows: Sequence[Benchmark]) -> str:
    """Return the header of a column; an energy has its scope with it where all rows share it."""
    if name in FACTS:
        return name.replace("int8", "INT8").replace(" ", "\n", 1)
    scope = cells.scope_of(rows, name)
    shown = SHARES.get(
        name, cells.title(name).replace(" ", "\n", 1) if len(cells.title(name)) > 12 else cells.title(name)
    )
    return f"{shown}\n({scope})" if scope else shown


def cell_of(name: str, row: Benchmark) -> str:
    """Return a metric or a fact of a row; the scope of an energy stands with the figure where rows differ in it."""
    if name in FACTS:
        return FACTS[name](row)
    return cells.size_cell(row) if name == "size_bytes" else cells.metric_cell(row, name)


def _column(reports: Sequence[Report], name: str) -> str | None:
    wanted = name.strip().lower().replace("-", " ").replace("_", " ")
    if wanted in (*FACTS, GAIN):
        return wanted
    for metric in _metrics(reports):
        called = {metric.lower().replace("_", " "), cells.title(metric).lower().replace("-", " ")}
        if wanted in called or _SHORT.get(wanted) == metric:
            return metric
    return None


def _metrics(reports: Sequence[Report]) -> list[str]:
    found = dict.fromkeys(name for report in reports for row in report.benchmarks for name in row.metrics)
    return sorted(
        found, key=lambda name: list(METRICS).index(base) if (base := name.partition(".")[0]) in METRICS else 99
    )


def _choices(names: Sequence[str]) -> str:
    return ", ".join(cells.title(name).replace(" ", "-") if "." not in name else name for name in names)

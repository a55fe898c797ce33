"""Reports as CSV: one row a benchmark and metric; what is missing has a row with its reason."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

from edgebench.report.model import Benchmark, Report
from edgebench.report.text import spreadsheet_cell

PARAMS = (
    *("model", "variant", "backend", "precision", "batch", "threads", "image_size", "operator"),
    *("prompt_tokens", "generate"),
)
FIGURES = ("value", "count", "mean", "median", "stdev", "min", "max", "p90", "p95", "p99")
LABELS = ("scope", "probe", "uncertainty", "systematic")
ORIGIN = ("report", "board", "date", "version", "board_unit")
HEADER = (
    *(*ORIGIN, "benchmark", "kind", "status", *PARAMS),
    *("metric", "unit", "better", "runs", *FIGURES, "ci95_low", "ci95_high", *LABELS, "reason", "fix"),
)


def rows(*reports: Report) -> str:
    """Return reports as CSV text with a header line; figures unrounded in SI units, empty where there is none.

    Each row names its report (the id), its board, or the processor where that is not known, date, version and unit
    (which of several equal boards). Text that a spreadsheet would take for a formula is preceded by an apostrophe.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, HEADER, restval="", lineterminator="\n")
    writer.writeheader()
    for report in reports:
        board = report.machine.board or report.machine.cpu
        told = (report.id, board, report.created, report.generator.version, report.machine.unit)
        origin = dict(zip(ORIGIN, told, strict=True))
        for benchmark in report.benchmarks:
            for row in _rows_of(benchmark):
                writer.writerow({key: spreadsheet_cell(value) for key, value in (origin | row).items()})
    return text.getvalue()


def _rows_of(benchmark: Benchmark) -> Iterator[dict[str, Any]]:
    head = {
        "benchmark": benchmark.name,
        "kind": benchmark.kind,
        "status": benchmark.status,
        **{key: benchmark.params.get(key) for key in PARAMS},
    }
    if benchmark.status != "ok":
        yield {**head, "reason": benchmark.reason}
    for name, metric in benchmark.metrics.items():
        low, high = metric.ci95 or (None, None)
        yield {
            **head,
            "metric": name,
            "unit": metric.unit,
            "better": metric.better,
            "runs": None if metric.runs is None else len(metric.runs),
            **{key: getattr(metric, key) for key in (*FIGURES, *LABELS)},
            "ci95_low": low,
            "ci95_high": high,
        }
    for name, missing in benchmark.missing.items():
        yield {**head, "metric": name, "reason": missing.reason, "fix": missing.fix}

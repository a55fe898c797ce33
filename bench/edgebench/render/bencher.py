"""A report in the Bencher Metric Format (bencher.dev): a benchmark, its measures, each with its 95 % interval."""

from __future__ import annotations

from edgebench.compare.policy import GAUGES
from edgebench.render.cells import headline
from edgebench.report.model import Report
from edgebench.report.quantity import Metric
from edgebench.report.text import clean, json_text

# What Bencher takes as the names of a benchmark and of a measure.
_NAME, _MEASURE = 1024, 64


def metrics_json(report: Report) -> str:
    """Return every metric that `compare` can judge, of the benchmarks that were measured, in SI units.

    A measure is called as the metric is (``latency_s``): Bencher's own ``latency`` is in nanoseconds.
    """
    found: dict[str, dict[str, dict[str, float]]] = {}
    for row in report.benchmarks:
        measures = {
            clean(name)[:_MEASURE]: _values(metric)
            for name, metric in row.metrics.items()
            if name.partition(".")[0] in GAUGES
        }
        if row.status == "ok" and measures:
            found[clean(row.name)[:_NAME]] = measures
    return json_text(found) + "\n"


def _values(metric: Metric) -> dict[str, float]:
    values = {"value": headline(metric)}
    return values if metric.ci95 is None else {**values, "lower_value": metric.ci95[0], "upper_value": metric.ci95[1]}

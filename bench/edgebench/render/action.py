"""A report for github-action-benchmark: one list of figures of which less is better, one of which more is."""

from __future__ import annotations

from edgebench.compare.policy import GAUGES
from edgebench.render.cells import headline
from edgebench.report.catalogue import Better
from edgebench.report.model import Report
from edgebench.report.text import clean, json_text


def smaller_json(report: Report) -> str:
    """Return what its tool ``customSmallerIsBetter`` reads: times, joules, sizes, in SI units."""
    return _figures(report, "lower")


def bigger_json(report: Report) -> str:
    """Return what its tool ``customBiggerIsBetter`` reads: rates and accuracies."""
    return _figures(report, "higher")


def _figures(report: Report, better: Better) -> str:
    found = []
    for row in report.benchmarks:
        for name, metric in row.metrics.items() if row.status == "ok" else ():
            if metric.better != better or name.partition(".")[0] not in GAUGES:
                continue
            value = headline(metric)
            figure: dict[str, str | float] = {"name": clean(f"{row.name} {name}"), "unit": clean(metric.unit)}
            figure["value"] = value
            if metric.ci95 is not None:
                # The format has one word for both sides: the farther end of the interval.
                reach = max(metric.ci95[1] - value, value - metric.ci95[0])
                figure["range"] = f"± {reach:.3g}"
            of = f"{metric.scope}, {metric.probe}\n" if metric.scope and metric.probe else ""
            figure["extra"] = f"{of}{clean(report.platform)}, edgebench {clean(report.generator.version)}"
            found.append(figure)
    return json_text(found) + "\n"

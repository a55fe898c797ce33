"""Latency as a pyperf benchmark suite, for `python -m pyperf stats FILE` and `compare_to`.

Latency alone: pyperf's units are a closed set without the joule.
"""

from __future__ import annotations

import io
from typing import Any

from edgebench.errors import ReportError
from edgebench.report.model import Benchmark, Report
from edgebench.report.quantity import Metric
from edgebench.report.text import clean


def suite_json(report: Report) -> str:
    """Return the latencies of a report as a pyperf suite, one pyperf run a run.

    Raises ReportError when no benchmark has a latency with its runs.
    """
    import pyperf

    found = [
        bench for number, row in enumerate(report.benchmarks) if (bench := _benchmark(row, report, number)) is not None
    ]
    names = [bench.get_name() for bench in found]
    if len(set(names)) < len(names):
        raise ReportError("Two benchmarks have the same printable name, which pyperf refuses; rename one of them.")
    if not found:
        raise ReportError("The report has no latency to export; run a suite with inference or operator benchmarks.")
    text = io.StringIO()
    pyperf.BenchmarkSuite(found).dump(text)
    return text.getvalue()


def _benchmark(row: Benchmark, report: Report, number: int) -> Any:
    """Return a pyperf.Benchmark, or None for a row without a latency that pyperf can hold (values above zero)."""
    import pyperf

    metric = row.metrics.get("latency_s")
    if metric is None:
        return None
    runs = [
        pyperf.Run(
            list(values),
            warmups=_warmups(metric, index),
            metadata={
                **_metadata(row, metric, report, index),
                "name": clean(row.name).strip() or f"benchmark {number}",
            },
            collect_metadata=False,
        )
        for index, values in enumerate(metric.runs or ())
        if values and min(values) > 0
    ]
    return pyperf.Benchmark(runs) if runs else None


def _warmups(metric: Metric, index: int) -> list[tuple[int, float]] | None:
    if metric.warmups is None or index >= len(metric.warmups):
        return None
    return [(_loops(metric, index) or 1, value) for value in metric.warmups[index] if value >= 0]


def _loops(metric: Metric, index: int) -> int | None:
    return metric.loops[index] if metric.loops is not None and index < len(metric.loops) else None


def _metadata(row: Benchmark, metric: Metric, report: Report, index: int) -> dict[str, Any]:
    texts: dict[str, Any] = {
        "cpu_model_name": report.machine.cpu,
        "platform": report.platform,
        "description": f"edgebench {report.generator.version}, suite {report.suite.name}, report {report.id}",
        **{
            f"edgebench_{key}": row.params[key]
            for key in ("model", "variant", "backend", "precision")
            if key in row.params
        },
    }
    metadata: dict[str, Any] = {key: text for key, value in texts.items() if (text := clean(str(value)).strip())}
    metadata["unit"] = "second"
    metadata["cpu_count"] = report.machine.cores
    if (loops := _loops(metric, index)) is not None:
        metadata["loops"] = loops
    if row.order is not None and index < len(row.order):
        metadata["edgebench_order"] = row.order[index]
    return metadata

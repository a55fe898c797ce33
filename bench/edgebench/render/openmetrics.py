"""A report as OpenMetrics text: for the textfile collector of Prometheus's node exporter, and what else scrapes it.

A gauge a metric with its base unit in its name. No line has a time: the collector refuses them; when the report was
made is a figure of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from edgebench.compare.policy import GAUGES
from edgebench.render.cells import headline, title
from edgebench.report.model import Benchmark, Report
from edgebench.report.text import clean

# Of a metric's unit: how our name ends, and the word that OpenMetrics has for it.
_UNITS = {"s": ("_s", "seconds"), "J": ("_j", "joules"), "W": ("_w", "watts"), "B": ("_bytes", "bytes")}
_PARAMS = ("model", "variant", "backend", "precision", "batch", "threads")
_TAILS = ("p90", "p95", "p99")


@dataclass(slots=True)
class _Family:
    help: str
    unit: str = ""
    lines: list[str] = field(default_factory=list)


def metrics_text(report: Report) -> str:
    """Return every metric that `compare` can judge, the percentiles of latency, and what the report is of."""
    families: dict[str, _Family] = {}
    for row in report.benchmarks:
        if row.status == "ok":
            _add(families, report, row)
    at = datetime.fromisoformat(report.created).timestamp()
    board = {"platform": report.platform, "suite": report.suite.name}
    families["edgebench_report_created_seconds"] = _Family("When the report was made, Unix time", "seconds")
    families["edgebench_report_created_seconds"].lines.append(f"{_labels(board)} {at!r}")
    lines = [line for name, family in families.items() for line in _written(name, family)]
    facts = {
        "id": report.id,
        "version": report.generator.version,
        "cpu": report.machine.cpu,
        "board": report.machine.board or "",
        "status": report.status,
    }
    lines += ["# HELP edgebench_report What made the report", "# TYPE edgebench_report info"]
    lines.append(f"edgebench_report_info{_labels({**board, **facts})} 1")
    return "\n".join([*lines, "# EOF", ""])


def _add(families: dict[str, _Family], report: Report, row: Benchmark) -> None:
    labels = {"platform": report.platform, "suite": report.suite.name, "benchmark": row.name}
    labels |= {name: str(row.params[name]) for name in _PARAMS if row.params.get(name) is not None}
    for name, metric in row.metrics.items():
        base, _, part = name.partition(".")
        if base not in GAUGES:
            continue
        own = {**labels, "part": part, "scope": metric.scope or "", "probe": metric.probe or ""}
        ending, unit = _UNITS.get(metric.unit, ("", ""))
        stem = re.sub(r"\W", "_", f"edgebench_{base.removesuffix(ending)}", flags=re.ASCII)
        _family(families, stem, unit, title(base)).lines.append(f"{_labels(own)} {headline(metric)!r}")
        for tail in _TAILS if name == "latency_s" else ():
            if (value := getattr(metric, tail)) is not None:
                found = _family(families, f"{stem}_{tail}", unit, f"{title(base)}, {tail} of single passes")
                found.lines.append(f"{_labels(own)} {value!r}")


def _family(families: dict[str, _Family], stem: str, unit: str, told: str) -> _Family:
    return families.setdefault(f"{stem}_{unit}" if unit else stem, _Family(told, unit))


def _written(name: str, family: _Family) -> list[str]:
    unit = [f"# UNIT {name} {family.unit}"] if family.unit else []
    head = [f"# HELP {name} {_escaped(family.help)}", f"# TYPE {name} gauge", *unit]
    return [*head, *(f"{name}{line}" for line in family.lines)]


def _labels(labels: Mapping[str, str]) -> str:
    """Return labels in braces; an empty one is as good as none in this format, and left out."""
    return "{" + ",".join(f'{name}="{_escaped(text)}"' for name, text in labels.items() if text) + "}"


def _escaped(text: str) -> str:
    return clean(text).replace("\\", "\\\\").replace('"', '\\"')

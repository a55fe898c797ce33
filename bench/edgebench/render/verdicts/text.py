"""Words of a verdict that every format shares: order, short names, changes with their intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence

from edgebench.compare.policy import PERCENTILES
from edgebench.compare.verdict import Comparison, Finding, Verdict
from edgebench.render.cells import title
from edgebench.render.units import NONE, points, quantity, share, signed
from edgebench.report.catalogue import METRICS
from edgebench.report.text import clean

ORDER = (Verdict.REGRESSED, Verdict.INCOMPARABLE, Verdict.INCONCLUSIVE, Verdict.IMPROVED, Verdict.PASS)
_NAMES_SHOWN = 20


def by_severity(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings, failures first, the largest change for the worse first among them."""
    return sorted(findings, key=lambda finding: (ORDER.index(finding.verdict), -abs(finding.change or 0.0)))


def metric_title(metric: str) -> str:
    """Return a metric's name for people; ``*`` is the whole cell."""
    name, _, suffix = metric.partition(".")
    if metric == "*":
        return "the cell"
    return f"{title(name)} {suffix}" if suffix in PERCENTILES else title(metric)


def verdict_text(finding: Finding) -> str:
    """Return a finding's verdict; what is surely worse and surely inside its budget is ``PASS (worse)``."""
    return f"{finding.verdict} (worse)" if finding.worse else finding.verdict.value


def change_text(finding: Finding) -> str:
    """Return a change with its interval: ``+5.6 % [+4.9, +6.3]``, accuracy in points."""
    if finding.change is None:
        return NONE
    if finding.absolute:
        return f"{points(finding.change)} points"
    if finding.exact:
        digits = 0 if finding.change == 0 else 2
        return f"{signed(100 * finding.change, digits)} %"
    return _with_ends(finding.change, finding.interval)


def level_text(finding: Finding) -> str:
    """Return the head against the level of a history, with its interval; a dash where there is none."""
    return NONE if finding.level_change is None else _with_ends(finding.level_change, finding.level_interval)


def _with_ends(change: float, ends: tuple[float, float] | None) -> str:
    shown = f"{signed(100 * change, 1)} %"
    return shown if ends is None else f"{shown} [{signed(100 * ends[0], 1)}, {signed(100 * ends[1], 1)}]"


def disturbed_text(finding: Finding) -> str:
    """Return how many of the runs that prove a change were disturbed; nothing where none was, or none is proven."""
    if not finding.disturbed_runs or finding.verdict not in {Verdict.REGRESSED, Verdict.IMPROVED}:
        return ""
    return f"disturbed runs: {finding.disturbed_runs} of {(finding.base_runs or 0) + (finding.head_runs or 0)}"


def value_text(value: float | None, finding: Finding) -> str:
    """Return a value with its unit; an accuracy in per cent."""
    if value is None:
        return NONE
    return share(value) if finding.absolute else quantity(value, finding.unit)


def budget_text(finding: Finding) -> str:
    """Return the budget: ``5 %`` or ``1 point``."""
    if finding.budget is None:
        return NONE
    unit = "point" if finding.budget == 0.01 else "points"
    return f"{100 * finding.budget:g} {unit if finding.absolute else '%'}"


def detectable_text(finding: Finding) -> str:
    """Return the change that would have been found in 80 % of such comparisons."""
    return NONE if finding.detectable is None else f"{signed(100 * finding.detectable, 1)} %"


def headline(comparison: Comparison) -> str:
    """Return the verdict and why, in one line."""
    counts = comparison.counts
    verdict = comparison.verdict
    if comparison.hard:
        return f"{verdict}: the two reports are not of the same system ({comparison.hard[0].field} differs)"
    if not comparison.findings:
        return f"{verdict}: the two have no metric of any benchmark in common"
    parts = [f"{counts[name]} {_word(name)}{_most(comparison, name)}" for name in ORDER if counts[name]]
    if worse := sum(finding.worse for finding in comparison.findings):
        parts[-1] += f" ({worse} of them worse, inside the budget)"
    if comparison.removed:
        parts.append(f"{len(comparison.removed)} removed")
    cells = len({finding.cell for finding in comparison.findings})
    more = ""
    if verdict is Verdict.INCONCLUSIVE and comparison.exit_code == 0:
        more = " (inconclusive is allowed)"
    told = [f"{', '.join(parts)} in {_benchmarks(cells)}{more}"]
    told += [f"{line.verdict} as a whole: {metric_title(line.metric)}" for line in _failed(comparison)]
    if found := _findable(comparison):
        told.append(found)
    if comparison.cautions:
        told.append(f"the reports warn of {', '.join(comparison.cautions)}")
    return f"{verdict}: {'; '.join(told)}"


def _most(comparison: Comparison, verdict: Verdict) -> str:
    """Return which of the regressed changed most."""
    if verdict is not Verdict.REGRESSED:
        return ""
    worst = next(one for one in by_severity(comparison.findings) if one.verdict is verdict)
    return f" (most: {clean(worst.cell, 200)}, {metric_title(worst.metric)} {change_text(worst)})"


def passed_lines(findings: Sequence[Finding]) -> list[str]:
    """Return a line a metric of what passed: how many benchmarks, and between which changes they lie."""
    by_metric: dict[str, list[Finding]] = {}
    for finding in findings:
        by_metric.setdefault(finding.metric, []).append(finding)
    return [
        f"{metric_title(metric)}: {_benchmarks(len(group))}, {_between(group)}" for metric, group in by_metric.items()
    ]


def _between(group: Sequence[Finding]) -> str:
    known = sorted(finding.change for finding in group if finding.change is not None)
    if not known or known[0] == known[-1] == 0:
        return "unchanged"
    digits = 2 if group[0].absolute else 1
    low, high = (signed(100 * change, digits) for change in (known[0], known[-1]))
    unit = "points" if group[0].absolute else "%"
    return f"changed by {low} {unit}" if low == high else f"changed by {low} to {high} {unit}"


def assumed_lines(comparison: Comparison) -> list[str]:
    """Return what the verdicts rest on; a sentence that begins with a metric's name has what people call it."""
    lines = []
    for line in comparison.assumptions:
        name, colon, rest = line.partition(":")
        known = name.partition(".")[0] in METRICS
        lines.append(f"{metric_title(name)}{colon}{rest}" if known else line)
    return lines


def whole_lines(comparison: Comparison) -> list[str]:
    """Return a line a metric about all benchmarks together: the geometric mean's change, and its verdict."""
    lines = []
    for finding in comparison.whole:
        history = f", against its history {level_text(finding)}" if finding.level_change is not None else ""
        lines.append(
            f"{finding.cell}, {metric_title(finding.metric)}: {verdict_text(finding)}, geometric mean "
            f"{change_text(finding)}{history}, could find {detectable_text(finding)}"
        )
    return lines


def answer_lines(comparison: Comparison) -> list[str]:
    """Return who wins in the reports, a line a group of benchmarks."""
    return [f"Answer: {line}" for line in comparison.answers]


def _failed(comparison: Comparison) -> list[Finding]:
    """Return the lines of all benchmarks that are as bad as the verdict."""
    bad = {Verdict.REGRESSED, Verdict.INCONCLUSIVE} & {comparison.verdict}
    return [line for line in comparison.whole if line.verdict in bad]


def _findable(comparison: Comparison) -> str:
    """Say which change would have been found in the first metric that varies: in one benchmark, and in all."""
    measured = [finding for finding in comparison.findings if finding.interval is not None]
    if not measured:
        return ""
    metric = measured[0].metric
    known = [finding.detectable for finding in measured if finding.metric == metric]
    changes = sorted(math.inf if change is None else change for change in known)
    single = changes[len(changes) // 2]
    told = f"{signed(100 * single, 1)} % in one benchmark" if single < math.inf else "nothing in a single benchmark"
    line = next((line for line in comparison.whole if line.metric == metric), None)
    whole = "" if line is None or line.detectable is None else f", {detectable_text(line)} in all of them"
    return f"could find {metric_title(metric)} {told}{whole}"


def names_text(names: Sequence[str]) -> str:
    """Return a list of cells, shortened when it is long."""
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return ", ".join(clean(name, 200) for name in names[:_NAMES_SHOWN]) + more


def remarks(comparison: Comparison) -> list[str]:
    """Return what a reader must know beside the findings: cells that came and went, soft fields, notes."""
    lines = []
    if comparison.removed:
        lines.append(f"removed (in base only): {names_text(comparison.removed)}")
    if comparison.added:
        lines.append(f"added (in head only): {names_text(comparison.added)}")
    lines += [f"{entry.field}: {entry.base} → {entry.head}" for entry in comparison.soft]
    return [clean(line) for line in [*lines, *comparison.notes]]


def _benchmarks(count: int) -> str:
    return f"{count} benchmark{'' if count == 1 else 's'}"


def _word(verdict: Verdict) -> str:
    return {Verdict.PASS: "passed"}.get(verdict, verdict.value.lower())

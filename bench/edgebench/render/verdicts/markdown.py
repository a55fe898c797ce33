"""A verdict for a pull request: the verdict in the first line, failures first, under 60,000 characters whatever comes.

A comment on GitHub may have 65,536 characters; what does not fit is counted, never cut in the middle of a table.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgebench.compare.verdict import Finding, Verdict
from edgebench.render.verdicts.text import (
    ORDER,
    answer_lines,
    assumed_lines,
    budget_text,
    by_severity,
    change_text,
    disturbed_text,
    headline,
    level_text,
    metric_title,
    remarks,
    value_text,
    verdict_text,
    whole_lines,
)
from edgebench.report.text import clean

if TYPE_CHECKING:
    from edgebench.compare.verdict import Comparison

MAX_CHARACTERS = 60_000
# Kept for the parts that stand after the tables.
_FOR_REMARKS = 12_000
_MARKS = {
    Verdict.REGRESSED: "❌",
    Verdict.INCOMPARABLE: "🚫",
    Verdict.INCONCLUSIVE: "❔",
    Verdict.IMPROVED: "🚀",
    Verdict.PASS: "✅",
}
_HEADER = "| benchmark | metric | change [95 %] | base | head | budget |\n|---|---|--:|--:|--:|--:|\n"
_TITLES = {
    Verdict.REGRESSED: "Regressed",
    Verdict.INCOMPARABLE: "Cannot be compared",
    Verdict.INCONCLUSIVE: "Inconclusive",
    Verdict.IMPROVED: "Improved",
    Verdict.PASS: "Passed",
}


def markdown(comparison: Comparison) -> str:
    """Return the comment's text; every name from a report is escaped and cannot add markup or mention anyone."""
    first = f"{_MARKS[comparison.verdict]} **edgebench {_plain(headline(comparison))}**\n"
    parts = [first]
    told = f"\nbase {_plain(comparison.base.label, 200)}, head {_plain(comparison.head.label, 200)}"
    common = ", ".join(f"{key} {value}" for key, value in comparison.common)
    parts.append(told + (f"; all cells: {_plain(common)}\n" if common else "\n"))
    parts += [f"- {_plain(line)}\n" for line in (*whole_lines(comparison), *answer_lines(comparison))]
    if comparison.hard:
        rows = [(entry.field, entry.base, entry.head) for entry in comparison.hard[:40]]
        parts.append("\n| must be equal | base | head |\n|---|---|---|\n" + "".join(_row(row) for row in rows))
    remaining = MAX_CHARACTERS - _FOR_REMARKS - sum(map(len, parts))
    for verdict in ORDER:
        found = [finding for finding in by_severity(comparison.findings) if finding.verdict is verdict]
        if found:
            section = _section(verdict, found, remaining)
            remaining -= len(section)
            parts.append(section)
    lines = [f"- {_plain(line)}\n" for line in remarks(comparison)]
    parts.append(_details("Beside the verdict", lines, _FOR_REMARKS // 2))
    parts.append(
        _details("What the verdict rests on", [f"- {_plain(line)}\n" for line in assumed_lines(comparison)], 5000)
    )
    return "".join(parts)


def _section(verdict: Verdict, findings: Sequence[Finding], room: int) -> str:
    folded = verdict in {Verdict.PASS, Verdict.IMPROVED}
    head = f"\n### {_TITLES[verdict]}\n\n{_HEADER}"
    if folded:
        head = f"\n<details><summary>{_TITLES[verdict]}: {len(findings)}</summary>\n\n{_HEADER}"
    foot = "\n</details>\n" if folded else ""
    room -= len(head) + len(foot) + 60
    rows: list[str] = []
    for finding in findings:
        row = _row(_cells(finding))
        if len(row) > room:
            break
        room -= len(row)
        rows.append(row)
    left = len(findings) - len(rows)
    more = f"\nand {left} more that do not fit here\n" if left else ""
    if not rows:
        return f"\n{_TITLES[verdict]}: {len(findings)}\n"
    return head + "".join(rows) + more + foot


def _cells(finding: Finding) -> tuple[str, ...]:
    change = change_text(finding)
    if finding.verdict is Verdict.INCOMPARABLE:
        change = finding.reason or change
    elif finding.level_change is not None:
        change += f", vs history {level_text(finding)}"
    if disturbed := disturbed_text(finding):
        change += f", {disturbed}"
    if finding.worse:
        change = f"{verdict_text(finding)}: {change}"
    return (
        finding.cell,
        metric_title(finding.metric),
        change,
        value_text(finding.base, finding),
        value_text(finding.head, finding),
        budget_text(finding),
    )


def _details(title: str, lines: Sequence[str], room: int) -> str:
    if not lines:
        return ""
    shown: list[str] = []
    for line in lines:
        if sum(map(len, shown)) + len(line) > room:
            shown.append(f"- and {len(lines) - len(shown)} more\n")
            break
        shown.append(line)
    return f"\n<details><summary>{title}</summary>\n\n{''.join(shown)}\n</details>\n"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_plain(cell, 300) for cell in cells) + " |\n"


def _plain(text: str, limit: int = 600) -> str:
    """Escape what Markdown and HTML would read; a zero-width space keeps ``@name`` and ``#1`` from linking."""
    shown = clean(text, limit).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    shown = re.sub(r"([\\`*_{}\[\]()|~!])", r"\\\1", shown)
    # GitHub links an address, a bare www., a name and a number by themselves.
    shown = shown.replace("://", ":\N{ZERO WIDTH SPACE}//")
    return re.sub(r"([@#]|www\.)(?=\w)", "\\1\N{ZERO WIDTH SPACE}", shown, flags=re.IGNORECASE)

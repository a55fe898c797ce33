"""A verdict as JUnit XML, a test case a cell and metric.

REGRESSED is a failure, INCOMPARABLE an error, INCONCLUSIVE skipped; the dialect is the one that GitLab, Jenkins and
the GitHub reporters read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, indent, tostring  # writing only; nothing is parsed here

from edgebench.compare.verdict import Finding, Verdict
from edgebench.render.verdicts.text import (
    assumed_lines,
    budget_text,
    change_text,
    disturbed_text,
    headline,
    level_text,
    metric_title,
    remarks,
    value_text,
    verdict_text,
)
from edgebench.report.text import clean

if TYPE_CHECKING:
    from edgebench.compare.verdict import Comparison


def junit(comparison: Comparison) -> str:
    """Return the XML document; a difference of the fingerprint or a removed cell is a test case of its own."""
    cases = [_case(finding, comparison.allowed) for finding in (*comparison.whole, *comparison.findings)]
    cases += [
        _named("fingerprint", entry.field, "error", f"{entry.base} in base, {entry.head} in head")
        for entry in comparison.hard
    ]
    for name in comparison.removed:
        kind = "skipped" if "removed" in comparison.allowed else "error"
        cases.append(_named(name, "the cell", kind, "the benchmark is in the base only"))
    if not cases:
        cases.append(_named("comparison", "verdict", "error", headline(comparison)))
    counts = _counts(cases)
    root = Element("testsuites", {"name": "edgebench", **counts})
    suite = SubElement(root, "testsuite", {"name": f"edgebench {comparison.mode}", **counts})
    suite.extend(cases)
    SubElement(suite, "system-out").text = "\n".join(
        _text(line) for line in (headline(comparison), *remarks(comparison), *assumed_lines(comparison))
    )
    indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _case(finding: Finding, allowed: Sequence[str]) -> Element:
    case = Element("testcase", {"classname": _text(finding.cell), "name": _text(metric_title(finding.metric))})
    against = "" if finding.level_change is None else f", against its history {level_text(finding)}"
    disturbed = disturbed_text(finding) and f", {disturbed_text(finding)}"
    told = f"{change_text(finding)}{against}, budget {budget_text(finding)}{disturbed}"
    reason = finding.reason or told
    details = (
        f"{finding.metric}: base {value_text(finding.base, finding)}, head {value_text(finding.head, finding)}, {told}"
    )
    kinds = {Verdict.REGRESSED: "failure", Verdict.INCOMPARABLE: "error", Verdict.INCONCLUSIVE: "skipped"}
    if (kind := kinds.get(finding.verdict)) is not None:
        told = f"{finding.verdict}: {reason}" + (
            " (allowed)" if kind == "skipped" and "inconclusive" in allowed else ""
        )
        child = SubElement(case, kind, {"message": _text(told)})
        if kind != "skipped":
            child.set("type", finding.verdict.value)
            child.text = _text(details)
    elif finding.change:
        SubElement(case, "system-out").text = _text(f"{verdict_text(finding)}: {details}")
    return case


def _named(classname: str, name: str, kind: str, message: str) -> Element:
    case = Element("testcase", {"classname": _text(classname), "name": _text(name)})
    SubElement(case, kind, {"message": _text(message)})
    return case


def _counts(cases: Sequence[Element]) -> dict[str, str]:
    def count(kind: str) -> str:
        return str(sum(case.find(kind) is not None for case in cases))

    return {
        "tests": str(len(cases)),
        "failures": count("failure"),
        "errors": count("error"),
        "skipped": count("skipped"),
    }


def _text(text: str) -> str:
    """Make text fit for XML 1.0, which has no control characters and no lone surrogates."""
    return "".join(char if ord(char) < 0xFFFE or ord(char) > 0xFFFF else "?" for char in clean(text))

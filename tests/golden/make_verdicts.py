"""Write the golden verdicts beside this file; run it after a change of what is shown and read the difference.

`python -m tests.golden.make_verdicts`
"""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

from rich.console import Console, RenderableType
from tests.golden.make_sample import SAMPLE
from tests.unit.reports import HARD, suite

from edgebench.compare.cells import session_of
from edgebench.compare.policy import Policy
from edgebench.compare.stored import compare_stored
from edgebench.compare.verdict import Comparison
from edgebench.render.verdicts.answers import answers_of
from edgebench.render.verdicts.junit import junit
from edgebench.render.verdicts.markdown import markdown
from edgebench.render.verdicts.table import verdict_table
from edgebench.report.answer import answer_of
from edgebench.report.io import read_report
from edgebench.report.model import Report

FOLDER = Path(__file__).parent


def comparison() -> Comparison:
    """Return a comparison with every verdict but INCONCLUSIVE in it, a kernel that differs and a missing metric."""
    other = {"hard": HARD, "soft": {"kernel": "6.2"}}
    head = suite(21, slower={2: 1.2, 3: 0.8}, fingerprint=other)
    head["benchmarks"][1]["metrics"].pop("energy_gross_j")
    policy = Policy()
    base = session_of(Report.model_validate(suite(20)), "base.json", policy.metrics)
    return compare_stored(base, session_of(Report.model_validate(head), "head.json", policy.metrics), (), policy)


def outputs() -> dict[str, str]:
    """Return every golden file's text by its name."""
    found = comparison()
    tables = {"verdict.txt": _terminal(verdict_table(found), 80), "verdict-answer.txt": _answers()}
    tables["verdict-all.txt"] = _terminal(verdict_table(found, everything=True), 120)
    return {**tables, "verdict.md": markdown(found), "verdict.xml": junit(found)}


def _answers() -> str:
    """Return what 80 columns show of the golden report against itself, and against one that lost its winner."""
    report = read_report(SAMPLE)
    first = answer_of(report).groups[0].winners[0].name
    left = tuple(row for row in report.benchmarks if row.name != first)
    poorer = report.model_copy(update={"benchmarks": left})
    policy = Policy()
    shown = []
    for head in (report, poorer):
        sides = [session_of(one, name, policy.metrics) for one, name in ((report, "base.json"), (head, "head.json"))]
        found = compare_stored(sides[0], sides[1], (), policy)
        shown.append(_terminal(verdict_table(replace(found, answers=answers_of(report, head))), 80))
    return "\n".join(text.partition("\n\n")[0] + "\n" for text in shown)


def _terminal(shown: RenderableType, width: int) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False, color_system=None)
    with console.capture() as capture:
        console.print(shown)
    return "".join(line.rstrip() + "\n" for line in capture.get().splitlines())


if __name__ == "__main__":
    for name, text in outputs().items():
        (FOLDER / name).write_text(text, encoding="utf-8")

"""What two reports answer, beside a verdict on them: who wins, and whether that is another than before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from edgebench.render.answer import told
from edgebench.report.answer import answer_of

if TYPE_CHECKING:
    from edgebench.report.model import Report

# Of a report with more groups these many are told: `show` has the others.
_GROUPS = 3


def answers_of(base: Report, head: Report) -> tuple[str, ...]:
    """Return who wins in the head, a line a group of which both reports say it, and who did where that changed."""
    lines = list(_lines(base, head))
    more = len(lines) - _GROUPS
    return (*lines[:_GROUPS], f"and {more} more: edgebench show tells them") if more > 0 else tuple(lines)


def _lines(base: Report, head: Report) -> Iterator[str]:
    before, now = (_leading(report) for report in (base, head))
    for name, (about, sentence) in now.items():
        if name not in before:
            continue
        _, earlier = before[name]
        where = f"{about}: " if len(now) > 1 else ""
        if _who(earlier) == _who(sentence):
            yield f"{where}still {sentence}"
        else:
            yield f"{where}now {sentence} In base, {_who(earlier).rstrip('.')}."


def _leading(report: Report) -> dict[tuple[str, str], tuple[str, str]]:
    """Return the first sentence of each group that has a winner, and what it is about, by the group's kind and name."""
    answer = answer_of(report)
    groups = [group for group in answer.groups if group.kind != "operator"] or list(answer.groups)
    return {
        (group.kind, group.name): (about.about, _inside(about.sentences[0]))
        for group, about in zip(groups, told(report, answer), strict=True)
        if group.winners
    }


def _inside(sentence: str) -> str:
    """Return a sentence as it goes on after a word of ours."""
    return f"the {sentence[4:]}" if sentence.startswith("The ") else sentence


def _who(sentence: str) -> str:
    """Return the part of a sentence that says who wins, without the figures."""
    return sentence.partition(":")[0]

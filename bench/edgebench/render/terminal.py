"""A report on a terminal, readable from 80 columns up; every text from the report is shown literally."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgebench.render.head import head
from edgebench.render.sections import sections
from edgebench.render.several import several
from edgebench.render.summary import Summary, summary
from edgebench.render.tables import FittingTable, Section
from edgebench.render.view import View, chosen
from edgebench.report.model import Report
from edgebench.report.text import clean

_BULLET_STYLES = {"plain": "", "warning": "yellow", "error": "red"}
_NOTE_STYLES = {"Missing": "bold red", "Beware": "bold yellow", "Sustained": "bold", "Study": "bold"}
_MORE = (
    "--all: each benchmark's percentiles, net energy, memory and layers, operators, compression, contrasts, probes, "
    "resources, and every warning and reason in full"
)
# A title's line is drawn so far, however wide the terminal or the file is.
_RULE = 80


def show(report: Report, view: View | None = None) -> RenderableType:
    """Return a report: what it is of, the answer, what is missing, the table; every detail where `view` asks for it.

    UsageError where `view` names what the report has not.
    """
    view = view or View()
    report = chosen(report, view)
    found = summary(report, view)
    parts: list[RenderableType] = [
        Text(clean(line), style="" if number else "bold") for number, line in enumerate(found.head)
    ]
    parts += [Text(), *_answer(found)]
    if view.everything or not found.tables:
        parts += [Text(), _head(report)]
        for section in sections(report, told=found.reasons):
            parts += [Text(), _titled(section.title), *_body(section)]
    else:
        parts += [Text(), Text(_MORE, style="dim")]
    return Group(*parts)


def show_several(reports: Sequence[Report], files: Sequence[str], view: View | None = None) -> RenderableType:
    """Return several reports, of the named files, side by side: the answer of each, then a table a metric.

    UsageError where `view` names what no report has.
    """
    answers, tables = several(reports, files, view or View())
    parts: list[RenderableType] = [Text.assemble((f"{clean(name)}: ", "bold"), clean(text)) for name, text in answers]
    for section in tables:
        parts += [Text(), _titled(section.title), *_body(section)]
    parts += [Text(), Text("edgebench compare BASE HEAD gives a verdict on two of one machine", style="dim")]
    return Group(*parts)


def closing(report: Report) -> RenderableType:
    """Return the end of a session in short: the answer, what is missing, the table."""
    found = summary(report)
    parts = list(_answer(found))
    if not found.tables:
        for section in sections(report, told=found.reasons):
            parts += [Text(), _titled(section.title), *_body(section)]
    return Group(*parts)


def _answer(found: Summary) -> Iterator[RenderableType]:
    for one in found.groups:
        if len(found.groups) > 1:
            yield Text(clean(one.about), style="bold")
        for number, sentence in enumerate(one.sentences):
            yield Text(clean(sentence), style="" if number else "bold green")
    for word, text in found.notes:
        yield Text.assemble((f"{word}: ", _NOTE_STYLES[word]), clean(text, 400))
    for section in found.tables:
        yield Text()
        if section.title:
            yield Text(clean(section.title), style="bold")
        yield from _body(section)


def _titled(title: str) -> Text:
    line = Text(clean(title), style="bold")
    return line.append(" " + "─" * max(0, _RULE - line.cell_len - 1), style="dim")


def _head(report: Report) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in head(report):
        grid.add_row(name, Text(clean(text, 400)))
    return grid


def _body(section: Section) -> list[RenderableType]:
    parts: list[RenderableType] = []
    for index, columns in enumerate(section.tables):
        parts += [Text()] if index else []
        parts.append(FittingTable(columns))
    if section.bullets:
        parts.append(_bullets(section))
    parts += [Text(clean(note), style="dim") for note in section.notes]
    return parts


def _bullets(section: Section) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True, style=_BULLET_STYLES[section.tone])
    grid.add_column(overflow="fold")
    for text, fix in section.bullets:
        body = Text(clean(text))
        if fix:
            body.append("\n" + clean(fix), style="bold")
        grid.add_row("•", body)
    return grid

"""A report on a terminal, readable from 80 columns up; every text from the report is shown literally."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from edgebench.render.head import head
from edgebench.render.sections import essentials, remarks, sections
from edgebench.render.tables import FittingTable, Section
from edgebench.report.model import Report
from edgebench.report.text import clean

_BULLET_STYLES = {"plain": "", "warning": "yellow", "error": "red"}


def show(report: Report) -> RenderableType:
    """Return the whole report: head, a table a kind, contrasts, the study, warnings, what is missing."""
    parts: list[RenderableType] = [_head(report)]
    for section in sections(report):
        title = Rule(Text(section.title, style="bold"), align="left", style="dim")
        parts += [Text(), title, *_body(section)]
    return Group(*parts)


def closing(report: Report) -> RenderableType:
    """Return the end of a session in short: the essentials of every benchmark, warnings, what is missing."""
    parts: list[RenderableType] = []
    if (table := essentials(report)) is not None:
        parts += _body(table)
    for section in remarks(report):
        parts += [Text(), Text(section.title, style="bold"), *_body(section)]
    return Group(*parts)


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

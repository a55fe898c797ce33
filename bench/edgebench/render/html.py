"""A report as one HTML file that needs nothing else: no network, no script, light and dark."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from edgebench.render import charts, timeline
from edgebench.render.head import head
from edgebench.render.sections import sections
from edgebench.render.sustained import timelines
from edgebench.render.tables import Section, filled
from edgebench.report.model import Report
from edgebench.report.text import clean, clean_lines

if TYPE_CHECKING:
    from jinja2 import Template


def page(report: Report) -> str:
    """Return the whole report as one HTML document; every text from the report is escaped."""
    inference = [row for row in report.benchmarks if row.kind == "inference" and row.status == "ok"]
    drawn = [charts.latency_chart(inference), charts.energy_chart(inference)]
    session = timeline.session_timeline(report)
    drawings = [*timelines(report), *([] if session is None else [session])]
    return _template("report.html.j2").render(
        report=report,
        head=head(report),
        sections=[(section, _tables(section)) for section in sections(report, sparks=False)],
        timelines=[_drawn(one) for one in drawings],
        charts=[chart for chart in drawn if chart is not None],
        label_width=charts.LABEL_WIDTH,
        bar_width=charts.BAR_WIDTH,
        strip_width=charts.STRIP_WIDTH,
        row_height=charts.ROW_HEIGHT,
    )


def _tables(section: Section) -> list[tuple[list[tuple[str, str]], list[list[tuple[str, str]]]]]:
    """Return each table as (header cells, rows), a cell being (how it stands, text)."""
    found = []
    for columns in map(filled, section.tables):
        header = [(str(column.justify), column.header) for column in columns]
        rows = [
            [(str(column.justify), column.cells[row]) for column in columns] for row in range(len(columns[0].cells))
        ]
        found.append((header, rows))
    return found


def _drawn(one: timeline.Timeline) -> str:
    """Return a timeline as SVG with its notes; every text in it is escaped."""
    from markupsafe import Markup

    sizes = {"left": timeline.LEFT, "width": timeline.WIDTH, "right": timeline.RIGHT}
    text = _template("timeline.html.j2").render(t=one, lane=timeline.LANE, gap=timeline.GAP, **sizes)
    return Markup(text)  # noqa: S704  # from the template above, which escapes


def _template(name: str) -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["clean"] = clean
    environment.filters["clean_lines"] = clean_lines
    return environment.from_string(files(__package__).joinpath(name).read_text(encoding="utf-8"))

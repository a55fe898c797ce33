"""Charts as markup: one template for each kind of drawing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgebench.render.charts.bars import Bars
from edgebench.render.charts.changes import Changes
from edgebench.render.charts.plot import Plot
from edgebench.render.templates import filled_in
from edgebench.render.timeline import GAP, LANE, PANEL_HEIGHT, WIDTH, Timeline

if TYPE_CHECKING:
    from markupsafe import Markup


def drawn(chart: Plot | Bars | Changes | Timeline) -> Markup:
    """Return a chart as an HTML figure; every text in it is escaped."""
    match chart:
        case Plot():
            return filled_in("plot.html.j2", p=chart)
        case Bars():
            return filled_in("bars.html.j2", b=chart)
        case Changes():
            return filled_in("changes.html.j2", c=chart)
        case Timeline():
            sizes = {"lane": LANE, "gap": GAP, "width": WIDTH, "panel_height": PANEL_HEIGHT}
            return filled_in("timeline.html.j2", t=chart, across=lambda x: round(100 * x / WIDTH, 2), **sizes)

"""A trend on a terminal and as JSON: what changed where, with a sparkline a series; advisory only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from rich.console import Group, RenderableType
from rich.text import Text

from edgebench.compare.trend import MIN_REPORTS, Change, Series
from edgebench.render.tables import Column, FittingTable
from edgebench.render.units import NONE, points, quantity, share, short, signed
from edgebench.render.verdicts.text import metric_title
from edgebench.report.text import clean, json_text

if TYPE_CHECKING:
    from edgebench.compare.trend import Trend

SCHEMA: Final = "edgebench.trend/1"
_BARS = "▁▂▃▄▅▆▇█"
_WIDTH = 16
_ROWS = 60


def trend_table(trend: Trend) -> RenderableType:
    """Return the series that changed, latest change first, and a count of those that did not."""
    first, last = trend.reports[0], trend.reports[-1]
    reports = len(trend.reports)
    title = f"{reports} report{'s' if reports > 1 else ''}, {first[1][:10]} to {last[1][:10]}"
    parts: list[RenderableType] = [Text(clean(title), style="bold")]
    changed, still = changed_first(trend)
    systems = [f"system {number}: {text}" for number, text in enumerate(trend.systems, start=1)]
    parts += [Text(clean(line), style="dim") for line in systems] if len(systems) > 1 else []
    if changed:
        parts += [Text(), _table(changed[:_ROWS], several=len(systems) > 1)]
    if len(changed) > _ROWS:
        parts.append(Text(f"and {len(changed) - _ROWS} more that changed: --format json has all", style="dim"))
    if not changed and still:
        parts += [Text(), _table(still[: _ROWS // 3], several=len(systems) > 1)]
    parts.append(Text())
    parts += [Text(line, style="dim") for line in said_of(trend)]
    parts += [Text(clean(note), style="dim") for note in trend.notes]
    return Group(*parts)


def _table(rows: Sequence[Series], *, several: bool) -> FittingTable:
    """Return series as a terminal shows them: what no figure is stands beneath each row, so that a row fits."""
    keyed = {column.header: column for column in series_columns(rows, several=several)}
    beneath = Column("where", tuple(_where(row, several=several) for row in rows), justify="left", below=True)
    names = ("benchmark", "metric", "trend", "now", "last change")
    return FittingTable([*(keyed[name] for name in names), beneath], keys=2)


def _where(row: Series, *, several: bool) -> str:
    """Say on which system a series is, and since when its last level holds."""
    parts = [f"system {row.system + 1}"] if several else []
    if row.changes:
        last = row.changes[-1]
        commit = f", commit {short(last.commit)}" if last.commit else ""
        more = f" ({len(row.changes)} changes in all)" if len(row.changes) > 1 else ""
        parts.append(f"since {last.created[:10]}, {last.label}{commit}{more}")
    return clean(": ".join(parts))


def changed_first(trend: Trend) -> tuple[list[Series], list[Series]]:
    """Return the series that changed, the latest change first, and those that did not."""
    changed = sorted(
        (series for series in trend.series if series.changes),
        key=lambda series: (-series.places[series.changes[-1].place], series.cell, series.metric),
    )
    return changed, [series for series in trend.series if not series.changes]


def said_of(trend: Trend) -> list[str]:
    """Return how many series changed, and how many are too short to tell."""
    changed, still = changed_first(trend)
    short = sum(len(series.values) < MIN_REPORTS for series in still)
    told = [
        f"{len(changed)} of {len(trend.series)} series changed; advisory: 'edgebench compare' and 'ab' give verdicts"
    ]
    if short:
        told.append(f"{short} series have fewer than {MIN_REPORTS} reports, too few to find a change of what varies")
    return told


def trend_json(trend: Trend) -> str:
    """Return the trend as JSON text, `edgebench.trend/1`."""
    return json_text({"schema": SCHEMA, **asdict(trend)}, None) + "\n"


def sparkline(values: tuple[float, ...], width: int = _WIDTH) -> str:
    """Draw a series with one character a report, or the mean of several where there are more than `width`."""
    count = min(width, len(values))
    edges = [round(index * len(values) / count) for index in range(count + 1)]
    means = [sum(values[low:high]) / (high - low) for low, high in pairwise(edges) if high > low]
    low, high = min(means), max(means)
    # Less than half a per cent in all is a flat line, not a mountain of noise.
    if high - low <= 0.005 * abs(high):
        return _BARS[0] * len(means)
    return "".join(_BARS[min(7, int(8 * (mean - low) / (high - low)))] for mean in means)


def series_columns(rows: Sequence[Series], *, several: bool) -> list[Column]:
    """Return the columns of series; `several` systems have a column that tells them apart."""

    def column(header: str, cells: list[str], *, left: bool = False) -> Column:
        return Column(header, tuple(map(clean, cells)), justify="left" if left else "right")

    last = [row.changes[-1] if row.changes else None for row in rows]
    return [
        column("benchmark", [row.cell for row in rows], left=True),
        column("system", [str(row.system + 1) if several else "" for row in rows]),
        column("metric", [metric_title(row.metric) for row in rows], left=True),
        column("trend", [sparkline(row.values) for row in rows], left=True),
        column("now", [_value(row.values[-1], row) for row in rows]),
        column("last change", [_change(row, change) for row, change in zip(rows, last, strict=True)]),
        column("since", [NONE if change is None else change.created[:10] for change in last], left=True),
        column("first report", [NONE if change is None else change.label for change in last], left=True),
        column("its commit", [NONE if change is None else short(change.commit) for change in last], left=True),
        column("changes", [str(len(row.changes)) for row in rows]),
    ]


def _value(value: float, row: Series) -> str:
    return share(value) if row.absolute else quantity(value, row.unit)


def _change(row: Series, change: Change | None) -> str:
    if change is None:
        return NONE
    if row.absolute:
        return f"{points(change.after - change.before)} points"
    return f"{signed(100 * change.change, 1)} %"

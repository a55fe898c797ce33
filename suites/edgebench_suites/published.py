"""What the three studies published, as data beside the suites that repeat them; nothing here is measured or computed.

A figure carries the rounding of its print: half a unit of its last digit.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any

# A printed column, the report's metric that stands for it, and how many of the metric's unit one of the column is.
_COLUMNS: Mapping[str, tuple[str, Decimal]] = {
    "accuracy_percent": ("accuracy_top1", Decimal("0.01")),
    "latency_s": ("latency_s", Decimal(1)),
    "energy_j": ("energy_gross_j", Decimal(1)),
    "size_mib": ("size_bytes", Decimal(1024) ** 2),
    "size_kib": ("size_bytes", Decimal(1024)),
}


@dataclass(frozen=True, slots=True)
class Figure:
    """One printed figure and half a unit of its last digit, both in the metric's unit."""

    value: float
    rounding: float


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a study's table: its `name` there, the model and variant that stand for it, figures by metric."""

    name: str
    model: str
    variant: str
    figures: Mapping[str, Figure]


@dataclass(frozen=True, slots=True)
class Bound:
    """The greatest changes published for a variant against FP32, in per cent or percentage points."""

    name: str
    variant: str
    size_percent: Figure
    accuracy_points: float
    latency_percent: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Study:
    """A published study: what it ran on, and its rows or bounds."""

    title: str
    year: int
    hardware: str
    rows: tuple[Row, ...]
    bounds: tuple[Bound, ...]

    def row(self, model: str, variant: str) -> Row | None:
        """Return the row of a model's variant, or None where the study has none."""
        return next((row for row in self.rows if (row.model, row.variant) == (model, variant)), None)


@cache
def study(name: str) -> Study:
    """Return the study ``n150``, ``jetson`` or ``pi``."""
    text = files("edgebench_suites").joinpath("studies", f"{name}.toml").read_text(encoding="utf-8")
    data = tomllib.loads(text)
    return Study(
        data["title"],
        data["year"],
        data["hardware"],
        tuple(_row(entry) for entry in data.get("row", ())),
        tuple(_bound(entry) for entry in data.get("bound", ())),
    )


def _row(entry: Mapping[str, Any]) -> Row:
    figures = {_COLUMNS[key][0]: _figure(entry[key], _COLUMNS[key][1]) for key in _COLUMNS if key in entry}
    return Row(entry["name"], entry["model"], entry["variant"], figures)


def _bound(entry: Mapping[str, Any]) -> Bound:
    low, high = map(float, entry["latency_percent"])
    size = _figure(entry["size_percent"], Decimal(1))
    return Bound(entry["name"], entry["variant"], size, float(entry["accuracy_points"]), (low, high))


def _figure(text: str, unit: Decimal) -> Figure:
    printed = Decimal(text)
    last_digit = Decimal(1).scaleb(int(printed.as_tuple().exponent))
    return Figure(float(printed * unit), float(last_digit / 2 * unit))

"""Figures, not tests: each is printed with its target; a noisy machine makes a figure miss, never a build fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.session.conftest import cache, edgebench, environment, seven_watts

__all__ = ["cache", "edgebench", "environment", "seven_watts"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure; `met` says whether it reaches the target."""

    name: str
    value: str
    target: str
    met: bool


Record = Callable[[str, str, str, bool], None]
_figures: list[Figure] = []


@pytest.fixture
def figure() -> Record:
    """Record one figure for the table at the end."""

    def record(name: str, value: str, target: str, met: bool) -> None:  # noqa: FBT001  # a fixture's plain call
        _figures.append(Figure(name, value, target, met))

    return record


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.bench)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not _figures:
        return
    terminalreporter.section("figures")
    for found in _figures:
        state = "reached" if found.met else "MISSED"
        terminalreporter.line(f"{state:8} {found.name}: {found.value} (target {found.target})")

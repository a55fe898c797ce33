"""Progress on stderr: a live line with benchmark, ETA and watts on a terminal, plain lines when piped."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

from edgebench.render.eta import Eta
from edgebench.render.plan import duration

if TYPE_CHECKING:
    from rich.console import Console

# Redrawing takes processor time from what is being measured: once a second is enough for a person.
REFRESH_PER_SECOND = 1


class LiveProgress:
    """For a terminal: one bar over the session's work, weighted by estimated seconds."""

    def __init__(self, console: Console, weights: Mapping[str, float], total: float) -> None:
        self._weights = weights
        self._eta = Eta(total)
        self._began_s = time.monotonic()
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("[bold]{task.fields[stage]}"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            _Left(self.left_s),
            TextColumn("{task.fields[watts]}"),
            console=console,
            refresh_per_second=REFRESH_PER_SECOND,
            transient=True,
        )
        self._task = self._bar.add_task("", total=total, stage="start", watts="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._bar.stop()

    def step(self, stage: str, text: str) -> None:
        """Show what happens now."""
        self._bar.update(self._task, stage=stage, description=text)

    def advance(self, name: str) -> None:
        """Count one unit of work as done."""
        estimated_s = self._weights.get(name, 0.0)
        self._eta.advance(estimated_s, time.monotonic() - self._began_s)
        self._bar.advance(self._task, estimated_s)

    def spare(self, name: str) -> None:
        """Leave one unit of work out."""
        self._eta.spare(self._weights.get(name, 0.0))
        self._bar.update(self._task, total=self._eta.total_s)

    def left_s(self) -> float | None:
        """Return the seconds that are left by the speed until now."""
        return self._eta.left_s(time.monotonic() - self._began_s)

    def power(self, watts: float, scope: str) -> None:
        """Show the latest power."""
        self._bar.update(self._task, watts=f"{watts:.1f} W {scope}")

    def note(self, text: str) -> None:
        """Print a sentence above the bar."""
        self._bar.console.print(f"[yellow]![/yellow] {text}", highlight=False)


class _Left(ProgressColumn):
    """The time that is left, as far as the first steps have told of it."""

    def __init__(self, left_s: Callable[[], float | None]) -> None:
        super().__init__(table_column=Column(no_wrap=True))
        self._left_s = left_s

    def render(self, task: Task) -> Text:
        """Show it."""
        del task
        left_s = self._left_s()
        return Text("" if left_s is None else f"{timedelta(seconds=round(left_s))} left", "cyan")


class PlainProgress:
    """For a pipe or a log: one line an event, with the seconds since the start."""

    def __init__(self, console: Console, weights: Mapping[str, float], total: float) -> None:
        self._console = console
        self._weights = weights
        self._eta = Eta(total)
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        pass

    def step(self, stage: str, text: str) -> None:
        """Print what happens now, and how long all of it still takes once that is known."""
        left_s = self._eta.left_s(time.monotonic() - self._began)
        self._line(f"{stage}: {text}" + ("" if left_s is None else f" (about {duration(left_s)} left)"))

    def advance(self, name: str) -> None:
        """Count one unit of work as done: the next step's line tells that this one is over."""
        self._eta.advance(self._weights.get(name, 0.0), time.monotonic() - self._began)

    def spare(self, name: str) -> None:
        """Leave one unit of work out."""
        self._eta.spare(self._weights.get(name, 0.0))

    def power(self, watts: float, scope: str) -> None:
        """Print the latest power."""
        self._line(f"power: {watts:.2f} W ({scope})")

    def note(self, text: str) -> None:
        """Print a sentence."""
        self._line(f"note: {text}")

    def _line(self, text: str) -> None:
        seconds = time.monotonic() - self._began
        self._console.print(f"[{seconds:7.1f} s] {text}", markup=False, highlight=False, soft_wrap=True)

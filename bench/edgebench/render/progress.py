"""Progress on stderr: a live line with benchmark, ETA and watts on a terminal, plain lines when piped."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
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

    from edgebench.report.metric import Watts

# Redrawing takes processor time from what is being measured: once a second is enough for a person.
REFRESH_PER_SECOND = 1


class _Watched(ABC):
    """What both kinds of progress know: the time since the start, what is left, the power."""

    def __init__(self, console: Console, units: Mapping[str, float]) -> None:
        """`units` has the estimated seconds of one unit of work of each name."""
        self._console = console
        self._eta = Eta(units)
        self._began_s = time.monotonic()
        self._read: Callable[[], Watts | None] = lambda: None
        self._latest: Watts | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:  # noqa: B027 - most have nothing to end
        pass

    @property
    def now_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began_s

    def left_s(self) -> float:
        """Return the seconds that are left, as far as is known."""
        return self._eta.left_s(self.now_s)

    def watts(self) -> str:
        """Return the present power and what it covers, empty where nothing tells."""
        found = self._read() or self._latest
        return "" if found is None else f"{found.power_w:.1f} W {found.scope}"

    def step(self, stage: str, text: str, unit: str = "") -> None:
        """Show what happens now."""
        self._eta.begin(unit, self.now_s)
        self._show(stage, text)

    def expect(self, left: Mapping[str, int]) -> None:
        """Take over how many units are still to be done."""
        self._eta.expect(left)

    def advance(self, name: str) -> None:
        """Count one unit of work as done."""
        self._eta.advance(name, self.now_s)

    def meter(self, read: Callable[[], Watts | None]) -> None:
        """Show the power that is read there."""
        self._read = read

    def power(self, watts: Watts) -> None:
        """Keep the power of the last windows, for where nothing tells it at every moment."""
        self._latest = watts

    @abstractmethod
    def note(self, text: str) -> None:
        """Print a sentence."""

    @abstractmethod
    def _show(self, stage: str, text: str) -> None:
        """Print what happens now."""


class LiveProgress(_Watched):
    """For a terminal: one bar over the session's work, in seconds."""

    def __init__(self, console: Console, units: Mapping[str, float]) -> None:
        super().__init__(console, units)
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("[bold]{task.fields[stage]}"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            _Told(self._tell),
            console=console,
            refresh_per_second=REFRESH_PER_SECOND,
            transient=True,
        )
        self._task = self._bar.add_task("", total=1.0, stage="start")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._bar.stop()

    def note(self, text: str) -> None:
        """Print a sentence above the bar."""
        self._bar.console.print(f"[yellow]![/yellow] {text}", highlight=False)

    def _show(self, stage: str, text: str) -> None:
        self._bar.update(self._task, stage=stage, description=text)

    def _tell(self) -> str:
        self._bar.update(self._task, completed=self._eta.share(self.now_s))
        return f"{timedelta(seconds=round(self.left_s()))} left {self.watts()}".rstrip()


class _Told(ProgressColumn):
    """What is told anew whenever the bar is drawn."""

    def __init__(self, tell: Callable[[], str]) -> None:
        super().__init__(table_column=Column(no_wrap=True))
        self._tell = tell

    def render(self, task: Task) -> Text:
        """Show it."""
        del task
        return Text(self._tell(), "cyan")


class PlainProgress(_Watched):
    """For a pipe or a log: one line an event, with the seconds since the start."""

    def note(self, text: str) -> None:
        """Print a sentence."""
        self._line(f"note: {text}")

    def _show(self, stage: str, text: str) -> None:
        """Print what happens now, how long all of it still takes, and the power; the next line tells of the end."""
        known = ", ".join(filter(None, (f"about {duration(self.left_s())} left", self.watts())))
        self._line(f"{stage}: {text} ({known})")

    def _line(self, text: str) -> None:
        self._console.print(f"[{self.now_s:7.1f} s] {text}", markup=False, highlight=False, soft_wrap=True)


class QuietProgress(_Watched):
    """For who asked for silence: remarks alone, as they tell what went wrong."""

    def note(self, text: str) -> None:
        """Print a sentence."""
        self._console.print(f"note: {text}", markup=False, highlight=False, soft_wrap=True)

    def _show(self, stage: str, text: str) -> None:
        pass


def progress_on(
    console: Console, units: Mapping[str, float], volume: str
) -> LiveProgress | PlainProgress | QuietProgress:
    """Return what tells of the work on a console; `volume` is `quiet`, `normal` or `verbose`."""
    if volume == "quiet":
        return QuietProgress(console, units)
    if volume == "normal" and console.is_terminal:
        return LiveProgress(console, units)
    return PlainProgress(console, units)

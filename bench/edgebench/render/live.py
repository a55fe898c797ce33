"""A part of the terminal that is drawn anew in place, for the time of a block."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.live import Live

if TYPE_CHECKING:
    from rich.console import Console


class LiveBlock:
    """Base of what is drawn so on a terminal, where `_live` is, and told line by line elsewhere, where it is None."""

    def __init__(self, console: Console, *, wanted: bool = True) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False) if wanted and console.is_terminal else None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()

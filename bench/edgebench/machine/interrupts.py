"""ctrl-C, SIGTERM and SIGHUP end a command alike, and never in the middle of what must be whole."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from dataclasses import dataclass

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(slots=True)
class _Interrupts:
    """What becomes of a signal: `deaf` ignores it, `whole` keeps it until the block that must be whole is over.

    `came`: one has interrupted.
    """

    came: bool = False
    deaf: bool = False
    ends: bool = False
    whole: int = 0
    waiting: bool = False

    def take(self, number: int, frame: object) -> None:
        """Raise KeyboardInterrupt, at once or later."""
        del number, frame
        if self.deaf:
            return
        if self.whole:
            self.waiting = True
            return
        # A session that is ending is left to end: a second signal would tear its report.
        self.deaf = self.ends
        self.came = True
        raise KeyboardInterrupt


_INTERRUPTS = _Interrupts()


def install() -> None:
    """Take the signals, but those that this process was told to ignore (nohup, a shell's background)."""
    _INTERRUPTS.came = False
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _INTERRUPTS.take)


def did(error: BaseException) -> bool:
    """Tell whether an error is the doing of a signal.

    Besides KeyboardInterrupt it is any that follows one: where it comes in a call from C, while a class is made or an
    extension is imported, Python and libraries make an error of their own of it (Python 3.11: RuntimeError).
    """
    return isinstance(error, KeyboardInterrupt) or _INTERRUPTS.came


def leave() -> None:
    """Ignore the signals from here on.

    The interpreter's own end gives them back to the system: one that comes then would take the place of the exit code.
    """
    for number in _SIGNALS:
        if signal.getsignal(number) == _INTERRUPTS.take:
            signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def once() -> Iterator[None]:
    """In this block only one signal interrupts; what follows it in the block runs to its end."""
    _INTERRUPTS.ends = True
    try:
        yield
    finally:
        _INTERRUPTS.ends = _INTERRUPTS.deaf = False


def no_more() -> None:
    """Within `once`: from here on nothing interrupts."""
    _INTERRUPTS.deaf = _INTERRUPTS.ends


@contextlib.contextmanager
def whole() -> Iterator[None]:
    """Run a short block to its end; a signal that came meanwhile interrupts after it."""
    _INTERRUPTS.whole += 1
    try:
        yield
    finally:
        _INTERRUPTS.whole -= 1
        if _INTERRUPTS.waiting and not _INTERRUPTS.whole:
            _INTERRUPTS.waiting = False
            _INTERRUPTS.take(0, None)

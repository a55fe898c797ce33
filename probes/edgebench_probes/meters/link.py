"""How bytes get to a meter and back: a serial line, or HID reports through the kernel's hidraw.

hidraw needs no package: a read gives one report, a write takes the report's number (0: there are none) and the report
(Documentation/hid/hidraw.rst of the kernel).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import importlib
import os
import select
import termios
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgebench_probes.advice import extra
from edgebench_probes.base import ProbeError
from edgebench_probes.meters import usb
from edgebench_probes.sampling.source import SourceLost

CHUNK = 4096
WRITE_TIMEOUT_S = 1.0


class Link(ABC):
    """A way to one meter."""

    node: Path

    @abstractmethod
    def open(self) -> None:
        """Open and lock the node; raises ProbeError with the fix."""

    @abstractmethod
    def read(self, timeout_s: float) -> bytes:
        """Return what has come, waiting for the first byte; b"" when the time is over. Raises SourceLost."""

    def more(self) -> bytes:
        """Return what else has come already, b"" for nothing. Raises SourceLost."""
        return self.read(0.0)

    @abstractmethod
    def write(self, data: bytes) -> None:
        """Send bytes, or one report; raises SourceLost."""

    @abstractmethod
    def close(self) -> None:
        """Close the node; harmless when it is not open."""

    def lost(self, error: Exception | None = None) -> SourceLost:
        """Say that the meter is gone."""
        code = getattr(error, "errno", None)
        detail = f" ({errno.errorcode.get(code, code)})" if code else ""
        return SourceLost(f"the meter at {self.node} was unplugged or its node has failed{detail}", "plug it in again")


def open_error(error: OSError, node: Path, kind: str) -> ProbeError:
    """Say why a node cannot be opened. pyserial says in words, and without a number, that it could not lock."""
    if error.errno is None and "lock" in str(error):
        return usb.busy(node)
    if error.errno == errno.ENOTTY or "Inappropriate ioctl" in str(error):
        return ProbeError(f"{node} is no serial line", "check that it is the node of the meter")
    if error.errno in (errno.ENOENT, errno.ENXIO, errno.ENODEV):
        return usb.missing(node)
    if error.errno in (errno.EACCES, errno.EPERM):
        return usb.refused(node, kind, usb.identity_of(node))
    if error.errno in (errno.EBUSY, errno.EAGAIN, errno.EWOULDBLOCK):
        return usb.busy(node)
    text = os.strerror(error.errno) if error.errno else str(error)
    return ProbeError(f"{node} cannot be opened: {text}", "check that it is the node of the meter")


class SerialLink(Link):
    """A serial line through pyserial, locked against other programs (flock, and TIOCEXCL against all but root)."""

    def __init__(self, node: Path, baud: int = 115_200) -> None:
        self.node = node
        self._baud = baud
        self._port: Any = None

    def open(self) -> None:
        """Open the line raw, 8N1; raises ProbeError."""
        try:
            serial = importlib.import_module("serial")
        except ImportError:
            raise ProbeError("the package pyserial is not installed", extra("meters")) from None
        try:
            self._port = serial.Serial(
                str(self.node), self._baud, timeout=0, write_timeout=WRITE_TIMEOUT_S, exclusive=True
            )
            fcntl.ioctl(self._port.fileno(), termios.TIOCEXCL)
            self._port.reset_input_buffer()
        except OSError as error:  # a SerialException is one
            self.close()
            raise open_error(error, self.node, "tty") from None
        except termios.error as error:
            self.close()
            raise ProbeError(f"{self.node} is no serial line: {error.args[-1]}", "check the meter's node") from None

    def read(self, timeout_s: float) -> bytes:
        """Return what has come."""
        port = self._port
        if port is None:
            raise self.lost()
        try:
            ready, _, _ = select.select([port.fileno()], [], [], max(0.0, timeout_s))
            if not ready:
                return b""
            data = os.read(port.fileno(), CHUNK)
        except BlockingIOError:
            return b""
        except (OSError, ValueError) as error:
            raise self.lost(error) from None
        if not data:  # ready, and nothing there: hung up
            raise self.lost()
        return data

    def write(self, data: bytes) -> None:
        """Send bytes."""
        if self._port is None:
            raise self.lost()
        try:
            self._port.write(data)
        except (OSError, termios.error) as error:
            raise self.lost(error) from None

    def close(self) -> None:
        """Close the line."""
        if self._port is not None:
            with contextlib.suppress(OSError, termios.error):
                fcntl.ioctl(self._port.fileno(), termios.TIOCNXCL)
            with contextlib.suppress(OSError, termios.error):
                self._port.close()
            self._port = None


class HidLink(Link):
    """HID reports of one size without numbers, through /dev/hidrawN or any descriptor that `opener` gives."""

    def __init__(self, node: Path, size: int = 64, opener: Callable[[], int] | None = None) -> None:
        self.node = node
        self._size = size
        self._opener = opener
        self._fd = -1

    def open(self) -> None:
        """Open and lock the node, which other programs could otherwise read along; raises ProbeError."""
        try:
            if self._opener is None:
                self._fd = os.open(self.node, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
            else:
                self._fd = self._opener()
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.close()
            raise open_error(error, self.node, "hidraw") from None

    def read(self, timeout_s: float) -> bytes:
        """Return one report."""
        try:
            ready, _, _ = select.select([self._fd], [], [], max(0.0, timeout_s))
            if not ready:
                return b""
            data = os.read(self._fd, self._size)
        except BlockingIOError:
            return b""
        except (OSError, ValueError) as error:
            raise self.lost(error) from None
        if not data:
            raise self.lost()
        return data

    def more(self) -> bytes:
        """Return one more report, without asking first whether there is one."""
        try:
            return os.read(self._fd, self._size)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise self.lost(error) from None

    def write(self, data: bytes) -> None:
        """Send one report."""
        try:
            os.write(self._fd, b"\0" + data)
        except OSError as error:
            raise self.lost(error) from None

    def close(self) -> None:
        """Close the descriptor."""
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                os.close(self._fd)
            self._fd = -1

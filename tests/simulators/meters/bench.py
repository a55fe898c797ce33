"""What all simulated meters share: known power over time, a transport, faults."""

from __future__ import annotations

import contextlib
import math
import os
import select
import socket
import threading
import time
import tty
from collections.abc import Callable
from dataclasses import dataclass

FAULTS = ("ok", "garbage", "truncate", "checksum", "reorder", "stop")
BUS_VOLTS = 5.0


@dataclass(frozen=True, slots=True)
class Wave:
    """Power over time: `low` W, and with a period (s) `high` W in its second half, from `origin_s` on."""

    low: float = 5.0
    high: float = 5.0
    period_s: float = 1.0
    origin_s: float = 0.0

    def power(self, t_s: float) -> float:
        """Power at a time of CLOCK_MONOTONIC."""
        return self.high if (t_s - self.origin_s) / self.period_s % 1 >= 0.5 else self.low

    def energy(self, start_s: float, end_s: float) -> float:
        """Energy between two times, exactly."""
        return self._since(end_s) - self._since(start_s)

    def _since(self, t_s: float) -> float:
        periods, part = divmod((t_s - self.origin_s) / self.period_s, 1)
        loaded = math.fsum((periods * 0.5, max(0.0, part - 0.5))) * self.period_s
        return self.low * ((t_s - self.origin_s) - loaded) + self.high * loaded


class Pty:
    """A serial line: `path` is the end that programs open. Raw, as the driver of a USB serial port sets it."""

    def __init__(self) -> None:
        self.fd, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self.fd, False)
        self.path = os.ttyname(self._slave)

    def read(self) -> list[bytes]:
        """Return what was written there."""
        with contextlib.suppress(BlockingIOError):
            return [os.read(self.fd, 4096)]
        return []

    def write(self, data: bytes) -> None:
        """Send; what does not fit for 50 ms is dropped, as a port does without flow control."""
        while data and select.select([], [self.fd], [], 0.05)[1]:
            try:
                data = data[os.write(self.fd, data) :]
            except BlockingIOError:
                return

    def close(self) -> None:
        """Unplug."""
        for fd in (self.fd, self._slave):
            with contextlib.suppress(OSError):
                os.close(fd)


class HidPty(Pty):
    """HID reports over a pty: 64 bytes one way, 65 with the report's number the other, so that a path can be opened."""

    def read(self) -> list[bytes]:
        """Return reports without their number."""
        data = b"".join(super().read())
        return [data[at + 1 : at + 65] for at in range(0, len(data), 65)]


class HidPair:
    """HID reports as messages: `opener` gives the end that hidraw would."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._ours.settimeout(0)
        self.fd = self._ours.fileno()
        self.path = "hidraw"

    def opener(self) -> int:
        """Open the other end."""
        fd = os.dup(self._theirs.fileno())
        os.set_blocking(fd, False)
        return fd

    def read(self) -> list[bytes]:
        """Return one report without its number."""
        with contextlib.suppress(BlockingIOError):
            return [self._ours.recv(4096)[1:]]
        return []

    def write(self, data: bytes) -> None:
        """Send a report, or drop it when nobody reads."""
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            self._ours.send(data)

    def close(self) -> None:
        """Unplug."""
        with contextlib.suppress(OSError):
            self._ours.shutdown(socket.SHUT_RDWR)
        self._ours.close()
        self._theirs.close()


class Meter(threading.Thread):
    """A meter on a transport, in a thread of its own until `unplug`."""

    period_s = math.inf  # between two calls of `tick`

    def __init__(self, wave: Wave, transport: Pty | HidPair) -> None:
        super().__init__(name=type(self).__name__, daemon=True)
        self.wave, self.transport = wave, transport
        self.fault = "ok"
        self.clock_offset_s = 0.0
        self.clock_rate = 1.0
        self.frames = 0
        self._held: bytes | None = None
        self._over = threading.Event()
        self._since_s = time.monotonic()

    @property
    def path(self) -> str:
        """Node to open."""
        return self.transport.path

    def device_s(self, t_s: float) -> float:
        """The meter's own clock."""
        return (t_s - self._since_s) * self.clock_rate + 1000.0 + self.clock_offset_s

    def run(self) -> None:
        """Answer what is asked and send what is due."""
        due = time.monotonic()
        with contextlib.suppress(OSError, ValueError):  # unplugged
            while not self._over.is_set():
                wait_s = min(max(0.0, due - time.monotonic()), 0.05)
                if select.select([self.transport.fd], [], [], wait_s)[0]:
                    for message in self.transport.read():
                        self.asked(message)
                if time.monotonic() >= due:
                    self.tick(due)
                    due += self.period_s

    def asked(self, message: bytes) -> None:
        """Take what the program wrote."""

    def tick(self, t_s: float) -> None:
        """Send what is due at a time."""

    def emit(self, frame: bytes) -> None:
        """Send a frame, or what the present fault makes of it."""
        if self.fault == "stop":
            return
        self.frames += 1
        if self.fault == "garbage":
            frame = os.urandom(len(frame))
        elif self.fault == "truncate":
            frame = frame[: len(frame) * 2 // 3]
        elif self.fault == "checksum":
            at = len(frame) // 3
            frame = frame[:at] + bytes([frame[at] ^ 0x40]) + frame[at + 1 :]
        elif self.fault == "reorder":
            if self._held is None:
                self._held = frame
                return
            frame, self._held = frame + self._held, None
        self.transport.write(frame)

    def command(self, text: str) -> None:
        """Change it: `power W`, `jump SECONDS`, one of the faults, or `unplug`."""
        word, *rest = text.split()
        if word == "power":
            self.wave = Wave(float(rest[0]), float(rest[0]))
        elif word == "jump":
            self.clock_offset_s += float(rest[0])
        elif word == "unplug":
            self.unplug()
        elif word in FAULTS:
            self.fault = word
        else:
            raise ValueError(text)

    def unplug(self) -> None:
        """Pull it out."""
        self._over.set()
        self.transport.close()
        if threading.current_thread() is not self:
            self.join(2)

    def __enter__(self) -> Meter:  # noqa: PYI034 - the subclass does not matter to users
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.unplug()


Maker = Callable[[Wave], Meter]

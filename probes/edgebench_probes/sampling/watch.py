"""The watch over open windows: one process for all probes of this one, which sees what two edges cannot.

What it looks for, how often, and what it can and cannot prove stand in docs/energy.md.
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from types import FrameType
from typing import TYPE_CHECKING, Any

from edgebench_probes.base import ProbeError, WindowInvalid
from edgebench_probes.sampling.watcher import MESSAGE, STOPPED, Event, Tick, Told

if TYPE_CHECKING:
    from edgebench_probes.counter import Counter

PROGRAM = "from edgebench_probes.sampling.watcher import main; main()"
ANSWER_S = 5.0
START_S = 30.0  # a busy or emulated board takes many seconds to start a process
SUSPEND_NS = 5_000_000
AROUND_NS = 300_000_000  # what is told of the time before and after a window: its neighbouring stretches
STAMP_NS = 2_000_000  # an edge is stamped up to a refresh before it was read
KEPT = 100
NOTHING = "tell", None, sys.maxsize, sys.maxsize  # asked to know that all before it has been done


def slept_ns() -> int:
    """Time this machine has been suspended since boot."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.monotonic_ns()


def check_awake(before_ns: int, after_ns: int) -> None:
    """Compare two values of `slept_ns`; raises WindowInvalid."""
    if after_ns - before_ns > SUSPEND_NS:
        raise WindowInvalid(f"the machine was suspended for {(after_ns - before_ns) / 1e9:.3f} s within the window")


class Watch:
    """The measuring process's end; opened and closed with each probe, running while one is open."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._users = 0
        self._pid = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._link: socket.socket | None = None
        self._counters: dict[int, Counter] = {}
        self._next = 0
        self._since = (0.0, 0.0)
        self._length_ns = 0  # of the last window
        self._continued: list[int] = []
        self._previous: Any = None
        self._handles = False

    def open(self) -> None:
        """Start it unless it runs; raises ProbeError."""
        with self._lock:
            if self._pid != os.getpid():  # a fork shares neither the process nor its answers
                self._users, self._process, self._link, self._counters = 0, None, None, {}
                self._pid = os.getpid()
            if not self._users:
                self._start()
                self._take_signal()
            self._users += 1

    def close(self) -> None:
        """End it when nobody is left."""
        with self._lock:
            if self._users and self._pid == os.getpid():
                self._users -= 1
                if not self._users:
                    self._end()
                    self._leave_signal()

    def add(self, counter: Counter) -> int:
        """Watch an open counter, from before this returns; returns its key."""
        with self._lock:
            self._next += 1
            self._counters[self._next] = counter
            self._send_counter(self._next, counter)
            self._ask(NOTHING)
            self._since = self._cpu_s(), time.monotonic()
            return self._next

    def drop(self, key: int) -> None:
        """Watch it no more."""
        with self._lock:
            if self._counters.pop(key, None) is not None:
                self._send(("drop", key))

    def mark(self) -> None:
        """Say that a window begins here; starts a watch that died again, which voids the windows that are open."""
        with self._lock:
            if not self._send(("mark", self._length_ns)):
                self._start()

    def told(self, key: int | None, since_ns: int, until_ns: int) -> Told:
        """Return one counter's ticks between two times (key None: of none), and standstills since the first of them.

        Raises WindowInvalid if the watch is dead.
        """
        with self._lock:
            data = self._ask(("tell", key, since_ns, until_ns))
            begun, ticks, events = pickle.loads(data)  # noqa: S301 - from our own child
            seen = [Event(t, 0, STOPPED["T"]) for t in self._continued if t >= since_ns]
            return Told(begun, [Tick(*tick) for tick in ticks], seen + [Event(*event) for event in events])

    def check(self, begin_ns: float, end_ns: float, key: int | None = None) -> Told:
        """Raise WindowInvalid for a standstill or a failed read within a window; else return what was seen."""
        told = self.told(key, round(begin_ns) - AROUND_NS, round(end_ns) + AROUND_NS)
        self._length_ns = round(end_ns - begin_ns)
        if told.begun_ns > begin_ns + STAMP_NS:
            raise WindowInvalid("the watch over this window died and was started again")
        for event in told.events:
            if event.t_ns >= begin_ns and event.t_ns - event.length_ns <= end_ns:
                raise WindowInvalid(_sentence(event))
        return told

    def share(self) -> float:
        """Share of one processor that the watch has taken since it began, or got its last counter."""
        with self._lock:
            cpu_s, begun = self._since
            return max(0.0, self._cpu_s() - cpu_s) / max(time.monotonic() - begun, 1e-9)

    def _cpu_s(self) -> float:
        """Processor seconds of the watch, by its own clock."""
        try:
            return time.clock_gettime(~self._process.pid << 3 | 2) if self._process else 0.0  # clock_getcpuclockid(3)
        except OSError:
            return 0.0

    def _start(self) -> None:
        self._end()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-c", PROGRAM, str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                )
        except OSError as error:
            ours.close()
            raise ProbeError(f"the watch process cannot be started: {error}", "check this user's limits") from None
        ours.settimeout(START_S)
        self._link = ours
        for key, counter in self._counters.items():
            self._send_counter(key, counter)
        try:
            self._ask(NOTHING)  # it runs before the first window begins
        except WindowInvalid:
            self._end()
            raise ProbeError("the watch process does not start", "check this user's limits") from None
        ours.settimeout(ANSWER_S)
        self._since = self._cpu_s(), time.monotonic()

    def _end(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None
        if self._process is not None:
            try:
                self._process.wait(ANSWER_S / 5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def _send(self, message: tuple[Any, ...], handle: int | None = None) -> bool:
        try:
            if self._link is None:
                return False
            socket.send_fds(self._link, [pickle.dumps(message)], [] if handle is None else [handle])
        except OSError:
            return False
        return True

    def _send_counter(self, key: int, counter: Counter) -> None:
        self._send(("add", key, counter.watched()), counter.handle if counter.handle >= 0 else None)

    def _ask(self, message: tuple[Any, ...]) -> bytes:
        try:
            if self._link is not None and self._send(message) and (head := self._link.recv(8)):
                length, data = int.from_bytes(head, "little"), b""
                while len(data) < length and (part := self._link.recv(MESSAGE)):
                    data += part
                if len(data) == length:
                    return data
        except OSError:
            pass
        self._end()  # a late answer must not be taken for that of the next question
        raise WindowInvalid("the watch over this window did not answer, so nothing proves what lies inside")

    # A stopped process learns of it when it goes on: SIGCONT tells also of a stop too short for the watch to see.

    def _take_signal(self) -> None:
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGCONT, self._on_continue)
            signal.siginterrupt(signal.SIGCONT, False)  # noqa: FBT003 - the module's own signature
            self._handles = True

    def _leave_signal(self) -> None:
        if self._handles and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGCONT, self._previous or signal.SIG_DFL)
            self._handles = False
        self._continued.clear()

    def _on_continue(self, number: int, frame: FrameType | None) -> None:
        self._continued = [*self._continued[-KEPT:], time.monotonic_ns()]
        if callable(self._previous):
            self._previous(number, frame)


def _sentence(event: Event) -> str:
    if event.length_ns:
        return f"this process did not run for {event.length_ns / 1e9:.3f} s within the window: {event.reason}"
    return (
        event.reason
        if not event.reason.startswith("it was")
        else f"this process did not run throughout: {event.reason}"
    )


WATCH = Watch()

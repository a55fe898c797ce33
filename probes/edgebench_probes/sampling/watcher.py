"""The watch process: reads counters at a low rate, and tells when it, or the process that measures, stood still.

`main`, started by `watch.py` with a socket as its argument, carries out the messages that come over it: ("add", key,
counter) with the counter's file descriptor, ("drop", key), ("mark", expected length), and ("tell", key, since, until),
which is answered with one pickle. Both ends are the same program: no pickle comes from outside. Light on purpose: no
numpy, no thread.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import signal
import socket
import sys
import time
from bisect import bisect_left
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from edgebench_probes.base import ProbeError
from edgebench_probes.sampling.process import keep_off
from edgebench_probes.stretches import possible

if TYPE_CHECKING:
    from edgebench_probes.counter import Counter

# Windows come in rows: as many ticks as the last one needs. Where that is not known, dense where a window begins, then
# ever wider: each stretch is a share of its window, and a second costs little.
TICKS = 16
SHARE = 8
SHORTEST_NS, LONGEST_NS = 10_000_000, 200_000_000
LOOK_NS = 150_000_000  # between two looks at the state of the process that measures
WRAP_SHARE = 6  # ticks in the time of a wrap: some may be late
HELD = 1 << 15  # ticks; then the older half is thinned
STALL_NS = 30_000_000  # a wake-up this late that no run queue explains: frozen, suspended, or the machine was
MESSAGE = 1 << 16
STOPPED = {
    "T": "the measuring process was stopped by a signal within the window",
    "t": "the measuring process was stopped by a debugger within the window",
}
GROUP = "the control group of the measuring process was frozen within the window"
V2_ROOTS = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
FROZEN = (
    "do_freezer_trap",
    "get_signal",
)  # where the kernel keeps a stopped process, and one of a frozen control group (version 2)


def interval_ns(age_ns: int, expected_ns: int) -> int:
    """Return the time to the next tick in a window of this age; the last one was `expected_ns` long (0: not known)."""
    wanted = min(expected_ns // TICKS, age_ns // 2) if age_ns < expected_ns else age_ns // SHARE
    return min(max(wanted, SHORTEST_NS), LONGEST_NS)


class Tick(NamedTuple):
    """One read of a counter, between two times of CLOCK_MONOTONIC."""

    before_ns: int
    after_ns: int
    raw: int


class Event(NamedTuple):
    """Something that voids the windows it lies in: seen at `t_ns`, begun `length_ns` before."""

    t_ns: int
    length_ns: int
    reason: str


class Told(NamedTuple):
    """What the watch has seen since a time; nothing from before `begun_ns`."""

    begun_ns: int
    ticks: list[Tick]
    events: list[Event]


@dataclass(slots=True)
class Series:
    """The ticks and failed reads of one counter."""

    counter: Counter
    begun_ns: int
    ticks: list[Tick] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    @property
    def wraps_ns(self) -> int:
        """Time in which the counter can wrap."""
        scale = self.counter.scale
        return int(min(scale.modulus * scale.joules / scale.max_power_w, 1e6) * 1e9)

    def read(self) -> None:
        """Take one tick."""
        before = time.monotonic_ns()
        try:
            raw = self.counter.read()
            if self.ticks and not self._possible(before, raw):
                before, raw = time.monotonic_ns(), self.counter.read()  # the read may have been torn
        except ProbeError as error:
            self.events.append(Event(time.monotonic_ns(), 0, error.reason))
            thin(self.events)
            return
        self.ticks.append(Tick(before, time.monotonic_ns(), raw))
        thin(self.ticks)

    def _possible(self, now_ns: int, raw: int) -> bool:
        last, scale = self.ticks[-1], self.counter.scale
        seconds = (now_ns - last.before_ns) / 1e9
        # What nearly every read shows, first: a tick that wakes up on a cold processor is dear.
        return last.raw < raw < last.raw + scale.max_power_w * seconds / scale.joules or possible(
            last.raw, raw, seconds, scale
        )


def thin(seen: list[Tick] | list[Event]) -> None:
    """Keep an hour and more: the older half gets sparser when the list is full."""
    if len(seen) >= HELD:
        del seen[1 : HELD // 2 : 2]


class Standstill:
    """Finds stretches in which this process, the machine, or the process that measures did not run."""

    def __init__(self, parent: int) -> None:
        self._parent = parent
        self._state = os.open(f"/proc/{parent}/stat", os.O_RDONLY | os.O_CLOEXEC)
        self._wchan = -1
        self._own = -1
        with contextlib.suppress(OSError):  # a kernel without scheduler statistics, or without symbols
            self._own = os.open("/proc/self/schedstat", os.O_RDONLY | os.O_CLOEXEC)
            self._wchan = os.open(f"/proc/{parent}/wchan", os.O_RDONLY | os.O_CLOEXEC)
        self._queued_ns = self._queue_ns()
        self._frozen_us = self._count_frozen()
        self._last_ns = self._looked_ns = self._asked_ns = time.monotonic_ns()

    def _queue_ns(self) -> int:
        """Time spent waiting for a processor: on a busy machine that is why one wakes up late."""
        return int(os.pread(self._own, 64, 0).split()[1]) if self._own >= 0 else 0

    def look(self, due_ns: int) -> Event | None:
        """Look now; `due_ns` is when this look should have been. Most are cheap: waking in time proves much."""
        now, last = time.monotonic_ns(), self._last_ns
        late, looked = now - max(due_ns, last), self._looked_ns
        self._last_ns = now
        if late <= STALL_NS and now - looked < LOOK_NS:
            return None
        queued = self._queue_ns()
        late -= queued - self._queued_ns
        self._queued_ns, self._looked_ns = queued, now
        if late > STALL_NS:
            return Event(now, late, "the measuring process was frozen, or the machine stood still, within the window")
        reason = self._parent_stopped()
        return Event(now, now - looked, reason) if reason else None

    def _parent_stopped(self) -> str | None:
        stat = os.pread(self._state, 512, 0)
        state = stat[stat.rfind(b")") + 2 :][:1].decode()
        if state in STOPPED:
            return STOPPED[state]
        if state == "D":
            frozen = self._frozen_v1()
        else:
            frozen = state != "R" and self._wchan >= 0 and os.pread(self._wchan, 64, 0).decode() in FROZEN
        if frozen:
            return GROUP
        return None

    def frozen(self) -> Event | None:
        """Return what the kernel counted since the last call: exact, where it does (version 2, `frozen_usec`)."""
        now, last, before = time.monotonic_ns(), self._asked_ns, self._frozen_us
        self._asked_ns, self._frozen_us = now, self._count_frozen()
        return Event(now, now - last, GROUP) if self._frozen_us > before else None

    def _count_frozen(self) -> int:
        with contextlib.suppress(OSError):
            groups = Path(f"/proc/{self._parent}/cgroup").read_text(encoding="utf-8").splitlines()
            path = next((line[3:] for line in groups if line.startswith("0::")), "")
            for root in V2_ROOTS:
                file = Path(f"{root}{path}/cgroup.stat.local")
                if path and file.exists():
                    found = dict(line.split() for line in file.read_text(encoding="utf-8").splitlines())
                    return int(found.get("frozen_usec", 0))
        return 0

    def _frozen_v1(self) -> bool:
        """Whether the parent's control group of version 1 is frozen: its processes stay where they were."""
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{self._parent}/cgroup").read_text(encoding="utf-8").splitlines():
                _, kinds, path = line.split(":", 2)
                if "freezer" in kinds.split(","):
                    state = Path(f"/sys/fs/cgroup/freezer{path}/freezer.state")
                    return state.read_text(encoding="utf-8").strip() != "THAWED"
        return False


class Watcher:
    """The loop."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._series: dict[int, Series] = {}
        self._stops: list[Event] = []
        self._standstill = Standstill(os.getppid())
        self._begun_ns = self._marked_ns = time.monotonic_ns()
        self._expected_ns = 0

    def run(self) -> None:
        """Tick and answer until the other end is closed."""
        poller = select.poll()
        poller.register(self._link, select.POLLIN)
        due = self._next_ns()
        while True:
            wait_ms = max(0, due - time.monotonic_ns()) / 1e6
            if poller.poll(wait_ms) and time.monotonic_ns() < due + STALL_NS:
                if not self._serve():
                    return
                due = min(due, self._next_ns())
            else:
                self._tick(due)
                due = self._next_ns()

    def _next_ns(self) -> int:
        now = time.monotonic_ns()
        wraps_ns = min((series.wraps_ns for series in self._series.values()), default=LONGEST_NS)
        return now + min(interval_ns(now - self._marked_ns, self._expected_ns), wraps_ns // WRAP_SHARE)

    def _tick(self, due_ns: int) -> None:
        self._stop(self._standstill.look(due_ns))
        for series in self._series.values():
            series.read()

    def _stop(self, stop: Event | None) -> None:
        if stop is not None:
            self._stops.append(stop)
            thin(self._stops)

    def _serve(self) -> bool:
        data, handles, _, _ = socket.recv_fds(self._link, MESSAGE, 1)
        if not data:
            return False
        what, *rest = pickle.loads(data)  # noqa: S301 - from our parent
        if what == "mark":
            self._stop(self._standstill.frozen())
            self._marked_ns, self._expected_ns = time.monotonic_ns(), rest[0]
        elif what == "add":
            key, counter = rest
            if handles:
                counter.adopt(handles[0])
            else:
                counter.open()
            self._series[key] = Series(counter, time.monotonic_ns())
            self._series[key].read()
        elif what == "drop":
            self._series.pop(rest[0]).counter.close()
        else:
            self._tick(time.monotonic_ns())
            self._stop(self._standstill.frozen())
            self._tell(*rest)
        return True

    def _tell(self, key: int | None, since_ns: int, until_ns: int) -> None:
        series = self._series.get(key) if key is not None else None
        found = [event for event in self._stops if event.t_ns >= since_ns]
        ticks: list[Tick] = []
        begun = self._begun_ns
        if series is not None:
            first, last = (
                bisect_left(series.ticks, at, key=lambda tick: tick.before_ns) for at in (since_ns, until_ns)
            )
            ticks = series.ticks[first:last]
            found += [event for event in series.events if event.t_ns >= since_ns]
            begun = series.begun_ns
        data = pickle.dumps((begun, [tuple(tick) for tick in ticks], [tuple(event) for event in found]))
        self._link.send(len(data).to_bytes(8, "little"))
        for at in range(0, len(data), MESSAGE):
            self._link.send(data[at : at + MESSAGE])


def main() -> None:
    """Watch until the process that measures closes its end, or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the measuring process's: the last window still closes
    with contextlib.suppress(OSError), socket.socket(fileno=int(sys.argv[1])) as link:
        keep_off(frozenset(os.sched_getaffinity(os.getppid())))
        Watcher(link).run()

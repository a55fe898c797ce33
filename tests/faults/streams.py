"""Faults on the way from a meter: bytes of its frames, answers of a plug, lines of a recorded trace."""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from edgebench_probes.base import ProbeError, ProbeInfo, Scope, WindowInvalid
from edgebench_probes.meters import METERS, meter, usbmeters
from edgebench_probes.meters.link import Link
from edgebench_probes.sampling import source as source_module
from edgebench_probes.sampling.integrate import integrate
from edgebench_probes.sampling.probe import _on_our_clock
from edgebench_probes.sampling.source import Sample, Source, SourceInfo
from edgebench_probes.sources.replay import load, save
from edgebench_probes.spec import parse_spec
from tests.faults.counters import Outcome
from tests.faults.virtual import Clock
from tests.simulators.meters import bench, devices
from tests.simulators.meters.bench import Wave

Change = Callable[[bytes, random.Random], list[bytes]]


def flipped(data: bytes, rng: random.Random) -> list[bytes]:
    at = rng.randrange(len(data))
    return [data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]]


def scrambled(data: bytes, rng: random.Random) -> list[bytes]:
    at, length = rng.randrange(len(data)), rng.randrange(1, 8)
    return [data[:at] + rng.randbytes(length) + data[at + length :]]


def cut(data: bytes, rng: random.Random) -> list[bytes]:
    return [data[: rng.randrange(len(data))]]


def inserted(data: bytes, rng: random.Random) -> list[bytes]:
    at = rng.randrange(len(data))
    return [data[:at] + rng.randbytes(rng.randrange(1, 8)) + data[at:]]


def doubled(data: bytes, _rng: random.Random) -> list[bytes]:
    return [data, data]


def dropped(_data: bytes, _rng: random.Random) -> list[bytes]:
    return []


def noise(data: bytes, rng: random.Random) -> list[bytes]:
    return [rng.randbytes(len(data))]


def whole(data: bytes, _rng: random.Random) -> list[bytes]:
    return [data]


def other_digit(data: bytes, rng: random.Random) -> list[bytes]:
    """Another digit at the place of one: what no grammar sees."""
    places = [at for at, byte in enumerate(data) if chr(byte).isdigit()]
    if not places:
        return [data]
    at = rng.choice(places)
    return [data[:at] + b"%d" % rng.randrange(10) + data[at + 1 :]]


CHANGES: tuple[Change, ...] = (flipped, scrambled, cut, inserted, doubled, dropped, noise, other_digit, whole)


class VirtualLink(Link):
    """A simulated meter, without its thread, on a virtual clock: each message takes 1 to 2 ms."""

    def __init__(self, clock: Clock, sim: bench.Meter, rng: random.Random, reports: bool) -> None:  # noqa: FBT001
        self.node = Path("virtual")
        self.clock, self.sim, self.rng, self.reports = clock, sim, rng, reports
        self.change: Change = whole
        self.during = (0, 0)
        self._queue: list[tuple[int, bytes]] = []
        self._due = clock.now
        sim.transport = self  # type: ignore[assignment]

    def open(self) -> None:
        self._queue.clear()

    def close(self) -> None: ...

    def write(self, data: bytes) -> None:
        """Take what the program sends, and what the meter sends: the simulator has this for its transport."""
        if self._sending:
            faulty = self.during[0] <= self._at < self.during[1]
            for part in self.change(data, self.rng) if faulty else [data]:
                sent = self._at + self.rng.randrange(1_000_000, 2_000_000)
                self._queue.append((max(sent, self._queue[-1][0] if self._queue else 0), part))
            return
        before = self.sim.period_s
        self._sending, self._at = True, self.clock.now
        self.sim.asked(data)
        self._sending = False
        if self.sim.period_s != before:  # it streams from now on
            self._due = self.clock.now

    _sending, _at = False, 0

    def read(self, timeout_s: float) -> bytes:
        deadline = self.clock.now + round(max(0.0, timeout_s) * 1e9)
        while True:
            period_ns = self.sim.period_s * 1e9
            while self.sim.period_s < 1e4 and self._due <= self.clock.now:
                self._sending, self._at = True, self._due
                self._due = round(self._due + period_ns)
                self.sim.tick(self._at / 1e9)
                self._sending = False
            if self._queue and self._queue[0][0] <= self.clock.now:
                if self.reports:
                    return self._queue.pop(0)[1]
                data = b"".join(part for at, part in self._queue if at <= self.clock.now)
                self._queue = [item for item in self._queue if item[0] > self.clock.now]
                return data
            upcoming = min([self._due if self.sim.period_s < 1e4 else deadline, *(at for at, _ in self._queue[:1])])
            if upcoming >= deadline:
                self.clock.now = max(self.clock.now, deadline) + 1000
                return b""
            self.clock.now = max(self.clock.now, upcoming)


SPECS = {
    "shizuku": "shizuku:/dev/x?interval_ms=10",
    "fnirsi": "fnirsi:/dev/x?model=fnb58",
    "witrn": "witrn:/dev/x",
    "rd_um": "rd_um:/dev/x?interval_ms=100",
    "um34c": "rd_um:/dev/x?interval_ms=100",
    "tc66": "tc66:/dev/x?interval_ms=50",
    "yzx": "yzx:/dev/x",
}


@contextlib.contextmanager
def on_the_clock(clock: Clock) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for module in (meter, usbmeters, devices, bench, source_module):
            stack.enter_context(mock.patch.object(module, "time", clock))
        yield


def collected(source: Source, clock: Clock, until_ns: int) -> list[tuple[int, Sample]]:
    """Samples with their stretch, as the sampler process would have written them."""
    epoch, found = 0, []
    opened = False
    while clock.now < until_ns:
        try:
            if not opened:
                source.open()
                opened = True
            found += [(epoch, sample) for sample in source.read()]
        except ProbeError:
            epoch += 1
            source.close()
            opened = False
            clock.sleep(0.05)
    source.close()
    return found


def energy_of(
    outcome: Outcome, found: list[tuple[int, Sample]], info: SourceInfo, wave: Wave, span: tuple[float, float]
) -> Outcome:
    """Energy of a window in what was collected, as the probe would give it."""
    start_s, end_s = span
    try:
        stretch = next((epoch for epoch, sample in reversed(found) if sample.t_ns <= start_s * 1e9), None)
        kept = [sample for epoch, sample in found if epoch == stretch]
        if stretch is None or not kept or kept[-1].t_ns < end_s * 1e9:
            raise WindowInvalid("the source was lost in the window")
        fields = [("t_ns", "<i8"), ("power", "<f8"), ("device", "<f8")]
        rows = [(s.t_ns, s.power_w, s.device_s if s.device_s is not None else float("nan")) for s in kept]
        t_s, power_w, timing = _on_our_clock(np.array(rows, dtype=fields), info)
        if t_s[-1] < end_s:
            raise WindowInvalid("the samples stopped before the window ended")
        window = integrate(t_s, power_w, start_s, end_s, info, timing)
    except ProbeError as error:
        outcome.reason = error.reason
        return outcome
    outcome.energy_j = window.energy_j
    outcome.error_j = window.energy_j - wave.energy(start_s, end_s)
    outcome.interval_j = 2 * window.uncertainty_j + info.info.resolution * window.seconds
    return outcome


def frames(name: str, change: Change, seed: int) -> Outcome:
    """Measure one window of a meter whose frames are changed for a while."""
    rng = random.Random(seed)  # noqa: S311 - reproducible
    clock = Clock(rng)
    power_w = rng.uniform(2, 15)
    wave = Wave(power_w, power_w)
    with on_the_clock(clock):
        sim = devices.DEVICES[name](wave, mock.Mock())
        sim._since_s = clock.now / 1e9
        sim.period_s = min(sim.period_s, 1e4)
        link = VirtualLink(clock, sim, rng, reports=name in ("fnirsi", "witrn"))
        spec = parse_spec(SPECS[name])
        source: Any = METERS[spec.name](spec)
        source._link = link
        about = source.describe()
        refresh_s = about.info.refresh_s
        seconds = max(1.0, 24 * refresh_s, 12 * about.smoothing_s)
        begin_s = clock.now / 1e9 + max(1.0, 6 * refresh_s)
        at = begin_s + rng.uniform(-0.2, seconds)
        link.change = change
        link.during = (round(at * 1e9), round((at + 10 ** rng.uniform(-2, 0) * max(1.0, refresh_s * 4)) * 1e9))
        found = collected(source, clock, round((begin_s + seconds + max(0.5, 4 * refresh_s)) * 1e9))
    outcome = Outcome(f"{name} {change.__name__}", detail=f"seed {seed}")
    return energy_of(outcome, found, source.describe(), wave, (begin_s, begin_s + seconds))


# A plug


Answer = Callable[[dict[str, Any], random.Random], tuple[int, bytes]]


def _with(watts: Any) -> Answer:
    def answer(body: dict[str, Any], _rng: random.Random) -> tuple[int, bytes]:
        return 200, json.dumps(_replaced(body, watts)).encode()

    return answer


def _replaced(body: dict[str, Any], watts: Any) -> dict[str, Any]:
    return {
        key: _replaced(value, watts) if isinstance(value, dict) else watts if "ower" in key else value
        for key, value in body.items()
    }


def _bytes(change: Change) -> Answer:
    return lambda body, rng: (200, b"".join(change(json.dumps(body).encode(), rng)))


def _error(body: dict[str, Any], rng: random.Random) -> tuple[int, bytes]:
    return rng.choice([404, 500, 503]), json.dumps(body).encode()


ANSWERS: dict[str, Answer] = {
    "no fault": lambda body, _rng: (200, json.dumps(body).encode()),
    "zero": _with(0),
    "negative": _with(-7.0),
    "huge": _with(1e300),
    "other unit": _with(7000.0),
    "text": _with("7.0"),
    "null": _with(None),
    "true": _with(True),  # noqa: FBT003
    "a list": _with([7.0, 7.0]),  # of one channel, Tasmota's is as good as a number
    "not a number": lambda body, _rng: (200, json.dumps(_replaced(body, float("nan"))).encode()),
    "an error": _error,
    "empty": lambda _body, _rng: (200, b""),
    "too long": lambda _body, _rng: (200, b"9" * 70_000),
    "other digit": _bytes(other_digit),
    "cut": _bytes(cut),
    "flipped": _bytes(flipped),
    "scrambled": _bytes(scrambled),
}


class Plug:
    """What a plug's connection answers; the power is rounded as the makers do."""

    def __init__(self, clock: Clock, wave: Wave, answer: Answer, during: tuple[float, float], seed: int) -> None:
        self.clock, self.wave, self.answer, self.during = clock, wave, answer, during
        self.rng = random.Random(seed)  # noqa: S311 - reproducible
        self.status = 200
        self._path = ""

    def request(self, _method: str, path: str, headers: dict[str, str]) -> None:
        del headers
        self._path = path
        self.clock.sleep(0.02)

    def getresponse(self) -> Plug:
        return self

    def read(self, _most: int) -> bytes:
        now = self.clock.now / 1e9
        watts = round(self.wave.power(now) + self.rng.gauss(0, 0.1), 1)
        body: dict[str, Any] = {"apower": watts, "output": True}
        if self._path.startswith("/meter"):
            body = {"power": watts, "is_valid": True}
        elif self._path.startswith("/cm"):
            body = {"StatusSNS": {"ENERGY": {"Total": 1.2, "Power": round(watts)}}}
        answer = self.answer if self.during[0] <= now < self.during[1] else ANSWERS["no fault"]
        self.status, data = answer(body, self.rng)
        return data

    def getheader(self, _name: str, default: str) -> str:
        return default

    def close(self) -> None: ...


def plug(text: str, fault: str, seed: int) -> Outcome:
    """Measure one window of a plug that answers wrongly for a while."""
    rng = random.Random(seed)  # noqa: S311 - reproducible
    clock = Clock(rng)
    power_w = rng.uniform(4, 15)
    wave = Wave(power_w, power_w)
    spec = parse_spec(text)
    seconds = rng.uniform(62, 90)
    begin_s = clock.now / 1e9 + 20
    at = begin_s + rng.uniform(-3, seconds)
    lasts = 1.0 if fault == "other digit" else rng.uniform(1, 20)  # HTTP over TCP: one is much already
    connection = Plug(clock, wave, ANSWERS[fault], (at, at + lasts), seed)
    with on_the_clock(clock), mock.patch("http.client.HTTPConnection", return_value=connection):
        source = METERS[spec.name](spec)
        found = collected(source, clock, round((begin_s + seconds + 5) * 1e9))
        info = source.describe()
    outcome = Outcome(f"{spec.name} {fault}", detail=f"seed {seed}")
    return energy_of(outcome, found, info, wave, (begin_s, begin_s + seconds))


# A trace


def trace(folder: Path, change: Change, seed: int) -> Outcome:
    """Read one window of a recorded trace, one line of which was changed."""
    rng = random.Random(seed)  # noqa: S311 - reproducible
    wave = Wave(*(2 * [rng.uniform(2, 15)]))
    info = SourceInfo(ProbeInfo("m", "m", Scope.BOARD_DC, "power", 0.01, 0.01))
    path = folder / "trace"
    samples = [Sample(index * 10**7, round(wave.low + rng.gauss(0, 0.015), 2)) for index in range(1, 401)]
    save(path, info, samples)
    lines = path.read_bytes().splitlines(keepends=True)
    at = rng.randrange(len(lines)) if rng.random() < 0.9 else 0
    lines[at : at + 1] = change(lines[at], rng)
    path.write_bytes(b"".join(lines))
    outcome = Outcome(f"trace {change.__name__}", detail=f"seed {seed}, line {at}")
    try:
        read = load(path)
    except ProbeError as error:
        outcome.reason = error.reason
        return outcome
    found = [(0, sample) for sample in read.samples]
    return energy_of(outcome, found, read.info, wave, (0.5, 3.5))

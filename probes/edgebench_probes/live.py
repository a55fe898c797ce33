"""Present power of some probes, again and again, and recordings: `edgebench probes --watch` and `--record`."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from edgebench_probes.base import Mark, Probe, ProbeError, Scope, WindowInvalid
from edgebench_probes.catalogue.discover import open_probes
from edgebench_probes.host import Host
from edgebench_probes.sampling.probe import SampledProbe
from edgebench_probes.sources.replay import record as record_probe

INTERVAL_S = 0.5
STALE_REFRESHES = 5


class Live(NamedTuple):
    """Power of one probe: the latest sample, or a counter's mean since the last look; None with its reason."""

    name: str
    scope: Scope
    watts: float | None
    reason: str | None = None


def live(
    specs: Sequence[str] = (), sysfs: Path = Path("/sys"), host: Host | None = None, interval_s: float = INTERVAL_S
) -> Generator[Live, None, None]:
    """Power of the probes asked for, one after the other, for ever; closing the iterator closes them.

    Raises ProbeError when none of them can be opened.
    """
    probes, missing = open_probes(specs, sysfs, host)
    try:
        if not probes:
            first = missing[0] if missing else None
            raise (
                ProbeError(first.reason or "no probe", first.fix) if first else ProbeError("this machine has no probe")
            )
        yield from watch(probes, interval_s)
    finally:
        for probe in probes:
            probe.close()


def watch(probes: Sequence[Probe], interval_s: float = INTERVAL_S) -> Iterator[Live]:
    """Power of open probes, in turns of one interval."""
    marks: dict[int, Mark] = {}
    while True:
        for index, probe in enumerate(probes):
            info = probe.info
            try:
                watts = _latest(probe) if isinstance(probe, SampledProbe) else _since(probe, index, marks)
            except ProbeError as error:
                marks.pop(index, None)
                yield Live(info.name, info.scope, None, error.reason)
            else:
                yield Live(info.name, info.scope, watts, None if watts is not None else "no value yet")
        time.sleep(interval_s)


def _latest(probe: SampledProbe) -> float | None:
    sample = probe.latest()
    if sample is None:
        return None
    age_s = (time.monotonic_ns() - sample.t_ns) / 1e9
    if age_s > max(1.0, STALE_REFRESHES * probe.info.refresh_s):
        raise WindowInvalid(f"the last value is {age_s:.1f} s old")
    return sample.power_w


def _since(probe: Probe, index: int, marks: dict[int, Mark]) -> float | None:
    now = probe.mark()
    before = marks.get(index)
    marks[index] = now
    return None if before is None else probe.energy(before, now).power_w


def record(spec: str, path: Path, seconds: float, sysfs: Path = Path("/sys"), host: Host | None = None) -> int:
    """Record one probe to a trace; returns the number of samples. Raises ProbeError, WindowInvalid among it."""
    probes, missing = open_probes([spec], sysfs, host)
    try:
        if not probes:
            raise ProbeError(missing[0].reason or "no probe", missing[0].fix)
        if len(probes) > 1:
            scopes = ", ".join(probe.info.scope for probe in probes)
            raise ProbeError(f"{spec!r} is {len(probes)} probes ({scopes})", "choose one, as in `rapl?scope=package`")
        try:
            return record_probe(probes[0], path, seconds)
        except OSError as error:
            raise ProbeError(f"{path} cannot be written: {error.strerror}", "choose another file") from None
    finally:
        for probe in probes:
            probe.close()

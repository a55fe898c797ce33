"""Probes as a session asks for them: opened, described, and what reading them costs."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edgebench.errors import ProbeGoneError, UsageError
from edgebench.measure.ledger import MissingProbe, ProbeFacts
from edgebench.measure.messages import ProbeSettings
from edgebench.measure.results import Windows, place
from edgebench_probes.base import ProbeError
from edgebench_probes.catalogue.discover import open_probes
from edgebench_probes.sampling.probe import SampledProbe
from edgebench_probes.summed import CounterProbe

if TYPE_CHECKING:
    from edgebench_probes.base import Probe


def open_all(settings: ProbeSettings, workload_cpus: Sequence[int] = ()) -> tuple[list[Probe], list[MissingProbe]]:
    """Open the probes that are asked for; return the open ones and those that cannot be used.

    Samplers keep off `workload_cpus` where the machine has a processor to spare.
    """
    probes, findings = open_probes(settings.specs, Path(settings.sysfs), workload_cpus=workload_cpus)
    missing = [
        MissingProbe(name=found.name, reason=found.reason or "not usable here", fix=found.fix or None)
        for found in findings
    ]
    return probes, missing


def require(settings: ProbeSettings) -> None:
    """Raise UsageError unless each probe that was asked for by name opens here: found before anything runs."""
    for spec in settings.specs:
        try:
            probes, findings = open_probes((spec,), Path(settings.sysfs))
        except ProbeError as error:
            raise UsageError(f"--probe {spec}: {error}") from None
        for probe in probes:
            probe.close()
        if not probes:
            why = ProbeError(findings[0].reason or "it cannot be used here", findings[0].fix)
            raise UsageError(f"--probe {spec}: {why} (--probe-optional measures without it)")


@dataclass(frozen=True, slots=True)
class Opened:
    """Open probes, and by name those that the session had and that do not open here, with the reason of each."""

    probes: Sequence[Probe]
    refused: Mapping[str, str]

    def told(self, windows: Windows) -> Windows:
        """Return the windows with what did not open among what gave none."""
        return msgspec.structs.replace(windows, failed={**self.refused, **windows.failed})


@contextlib.contextmanager
def opened(settings: ProbeSettings, workload_cpus: Sequence[int] = ()) -> Iterator[Opened]:
    """Open the probes for a block and close them after it. Raises ProbeGoneError for one that was asked for."""
    with contextlib.ExitStack() as stack:
        try:
            probes, findings = open_probes(settings.specs, Path(settings.sysfs), workload_cpus=workload_cpus)
        except ProbeError as error:
            raise ProbeGoneError(str(error)) from None
        for probe in probes:
            stack.callback(probe.close)
        # A source none of whose scopes opens has no scope of its own.
        refused = {
            place(found.name, str(found.scope)) if found.scope else found.name: found.reason or "not usable here"
            for found in findings
        }
        yield Opened(probes, refused)


def read_cost_s(probe: Probe, reads: int = 50) -> float:
    """Return the seconds one unsynchronised read of a probe costs: the median of `reads`."""
    costs = []
    for _ in range(reads):
        begun = time.perf_counter()
        probe.mark(sync=False)
        costs.append(time.perf_counter() - begun)
    return sorted(costs)[len(costs) // 2]


def place_of(probe: Probe) -> str:
    """Return what a probe's figures are of, ``probe:scope``."""
    return place(probe.info.name, str(probe.info.scope))


def sampler_share(probe: Probe) -> float | None:
    """Return the share of one processor that a probe's sampler, or its watch, used since it was opened."""
    if isinstance(probe, CounterProbe):
        return probe.watch_share()
    return probe.sampler_share() if isinstance(probe, SampledProbe) else None


def describe(probe: Probe) -> ProbeFacts:
    """Return what an open probe says of itself, with the measured cost of a read."""
    info = probe.info
    about = probe.source_info if isinstance(probe, SampledProbe) else None
    return ProbeFacts(
        name=info.name,
        source=info.source,
        scope=str(info.scope),
        kind=info.kind,
        resolution=info.resolution,
        refresh_s=info.refresh_s,
        overhead_s=read_cost_s(probe),
        accuracy=info.accuracy or None,
        accuracy_source=None if about is None else about.accuracy_source or None,
        notes={} if about is None else dict(about.notes),
    )

"""Probes as a session asks for them: opened, described, and what reading them costs."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench_probes.catalogue.discover import open_probes
from edgebench_probes.sampling.probe import SampledProbe

if TYPE_CHECKING:
    from edgebench_probes.base import Probe


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """Which probes to open, as named by the user (none: the machine's own), and where sysfs is mounted."""

    specs: tuple[str, ...] = ()
    sysfs: str = "/sys"

    def open(self, workload_cpus: Sequence[int] = ()) -> tuple[list[Probe], list[dict[str, Any]]]:
        """Open them; return the open probes and what is missing as `{name, reason, fix}`.

        Samplers keep off `workload_cpus` where the machine has a processor to spare.
        """
        probes, findings = open_probes(self.specs, Path(self.sysfs), workload_cpus=workload_cpus)
        missing = [
            {
                "name": found.name,
                "reason": found.reason or "not usable here",
                **({"fix": found.fix} if found.fix else {}),
            }
            for found in findings
        ]
        return probes, missing


@contextlib.contextmanager
def opened(settings: ProbeSettings, workload_cpus: Sequence[int] = ()) -> Iterator[list[Probe]]:
    """Open the probes for a block and close them after it."""
    with contextlib.ExitStack() as stack:
        probes, _ = settings.open(workload_cpus)
        for probe in probes:
            stack.callback(probe.close)
        yield probes


def read_cost_s(probe: Probe, reads: int = 50) -> float:
    """Return the seconds one unsynchronised read of a probe costs: the median of `reads`."""
    costs = []
    for _ in range(reads):
        begun = time.perf_counter()
        probe.mark(sync=False)
        costs.append(time.perf_counter() - begun)
    return sorted(costs)[len(costs) // 2]


def sampler_share(probe: Probe) -> float | None:
    """Return the share of one processor that a probe's sampler used since it was opened; None without a sampler."""
    return probe.sampler_share() if isinstance(probe, SampledProbe) else None


def describe(probe: Probe) -> dict[str, Any]:
    """Return the report's entry of an open probe, with the measured cost of a read."""
    info = probe.info
    found: dict[str, Any] = {
        "name": info.name,
        "source": info.source,
        "scope": str(info.scope),
        "kind": info.kind,
        "resolution": info.resolution,
        "refresh_s": info.refresh_s,
        "overhead": read_cost_s(probe),
    }
    if info.accuracy:
        found["accuracy"] = info.accuracy
    if isinstance(probe, SampledProbe):
        about = probe.source_info
        found |= {"accuracy_source": about.accuracy_source} if about.accuracy_source else {}
        found |= {"notes": dict(about.notes)} if about.notes else {}
    return found

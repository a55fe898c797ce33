"""A phase of making an artifact: its seconds, joules and peak memory."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.measure.ledger import Absence, LedgerPhase, PhaseEnergy
from edgebench_probes.base import ProbeError
from edgebench_probes.labels import labels_of

if TYPE_CHECKING:
    from edgebench_probes.base import Probe


@contextlib.contextmanager
def phase(name: str, ledger: list[LedgerPhase], probes: Sequence[Probe], note: str | None = None) -> Iterator[None]:
    """Measure one phase of making an artifact: seconds, peak memory of this process, joules a scope."""
    reset_peak_memory()
    labels = labels_of((probe.info.name, str(probe.info.scope)) for probe in probes)
    marks = []
    missing: dict[str, Absence] = {}
    for probe in probes:
        try:
            marks.append((probe, probe.mark()))
        except ProbeError as error:
            missing[labels[probe.info.name, str(probe.info.scope)]] = Absence(str(error))
    begun_s = time.monotonic()
    yield
    ended_s = time.monotonic()
    energy = {}
    for probe, start in marks:
        try:
            window = probe.energy(start, probe.mark())
        except ProbeError as error:
            missing[labels[probe.info.name, str(probe.info.scope)]] = Absence(str(error))
            continue
        # The edges wait for the counter's refresh, and for a processor on a busy machine: that belongs to no phase.
        share = min(1.0, (ended_s - begun_s) / window.seconds)
        energy[labels[probe.info.name, str(probe.info.scope)]] = PhaseEnergy(
            energy_j=window.energy_j * share, uncertainty_j=window.uncertainty_j * share, probe=probe.info.name
        )
    if not probes:
        missing["energy"] = Absence("no energy probe was usable when this phase ran")
    ledger.append(
        LedgerPhase(
            phase=name,
            seconds=ended_s - begun_s,
            begin_s=begun_s,
            end_s=ended_s,
            peak_memory_bytes=peak_memory_bytes(),
            energy=energy,
            missing=missing,
            note=note,
        )
    )


def reset_peak_memory() -> None:
    """Reset this process's peak resident size (proc(5), clear_refs 5); without the right the peak is since start."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_memory_bytes() -> int | None:
    """Return this process's peak resident size since the last reset (proc(5), VmHWM), in bytes."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None

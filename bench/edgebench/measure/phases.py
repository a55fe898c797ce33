"""A phase of making an artifact: its seconds, joules and peak memory."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench_probes.base import ProbeError

if TYPE_CHECKING:
    from edgebench_probes.base import Probe


@contextlib.contextmanager
def phase(name: str, ledger: list[dict[str, Any]], probes: Sequence[Probe], note: str | None = None) -> Iterator[None]:
    """Measure one phase of making an artifact: seconds, peak memory of this process, joules a scope."""
    reset_peak_memory()
    marks = []
    missing: dict[str, dict[str, str]] = {}
    for probe in probes:
        try:
            marks.append((probe, probe.mark()))
        except ProbeError as error:
            missing[str(probe.info.scope)] = {"reason": str(error)}
    begun_s = time.monotonic()
    yield
    ended_s = time.monotonic()
    # The clock places the phase in the session that ran it; in a later one it means nothing.
    entry: dict[str, Any] = {"phase": name, "seconds": ended_s - begun_s, "clock": [begun_s, ended_s]}
    energy = {}
    for probe, start in marks:
        try:
            window = probe.energy(start, probe.mark())
            energy[str(probe.info.scope)] = {
                "energy_j": window.energy_j,
                "uncertainty_j": window.uncertainty_j,
                "probe": probe.info.name,
            }
        except ProbeError as error:
            missing[str(probe.info.scope)] = {"reason": str(error)}
    if (peak := peak_memory_bytes()) is not None:
        entry["peak_memory_bytes"] = peak
    if not probes:
        missing["energy"] = {"reason": "no energy probe was usable when this phase ran"}
    entry |= {"energy": energy} if energy else {}
    entry |= {"missing": missing} if missing else {}
    entry |= {"note": note} if note else {}
    ledger.append(entry)


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

"""What must be the same when a stopped session goes on: its report would else mix two machines or versions."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from edgebench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edgebench.report.records import BundleFacts, StartRecord
    from edgebench.session.options import Options


def same_ground(before: StartRecord, now: StartRecord) -> None:
    """Refuse to go on elsewhere or otherwise than the stopped session did, naming what differs."""
    first, second = _facts(before), _facts(now)
    for name, told in first.items():
        if second[name] != told:
            raise UsageError(
                f"--resume: the stopped session ran with {name} {told or 'none'}, now it is {second[name] or 'none'}: "
                "go on as it did, or start without --resume (its journal is kept)"
            )


def _facts(start: StartRecord) -> Mapping[str, str]:
    """Return what the figures rest on, each with its name."""
    machine = start.machine
    found = {
        "edgebench": start.edgebench,
        "processor": machine.cpu,
        "board": machine.board,
        "unit": machine.unit,
        "architecture": machine.architecture,
        "logical processors": ",".join(map(str, machine.cpus_used)),
        "processor quota": machine.cpu_quota,
        "memory limit": machine.memory_limit_bytes,
        "governor": machine.governor,
        "power mode": machine.power_mode,
        "emulation": machine.emulated,
        "weights": start.weights,
        "commit": start.commit,
        "probes": " ".join(sorted(f"{probe.name}:{probe.scope}" for probe in start.probes)),
    }
    return {name: "" if fact is None else str(fact) for name, fact in found.items()}


def same_bundle(before: BundleFacts | None, options: Options) -> None:
    """Refuse to go on with other artifacts than those that were measured before."""
    if before != (None if options.bundle is None else options.bundle.facts()):
        what = "without a bundle" if before is None else f"from the bundle with digest {before.digest[7:19]}"
        raise UsageError(f"--resume: the stopped session measured {what}: go on as it did, or start without --resume")


def weights_digest(path: Path | None) -> str | None:
    """Return the SHA-256 of a user's state dict, by which it is known whatever its file is called."""
    if path is None:
        return None
    with path.open("rb") as stream:
        return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()[:12]}"

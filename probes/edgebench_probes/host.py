"""What decides whether this process may read an energy source: the machine, a container around it, its rights."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path

CAP_SYS_ADMIN = 21
CAP_PERFMON = 38


@dataclass(frozen=True, slots=True)
class Host:
    """`vendor` as in /proc/cpuinfo; `paranoid` is kernel.perf_event_paranoid; `perfmon`: CAP_PERFMON or a superset.

    `board` is the model of the device tree, "" where there is none; EDGEBENCH_BOARD tells it to a container.
    """

    machine: str
    vendor: str
    virtual: bool
    container: bool
    paranoid: int | None
    perfmon: bool
    board: str = ""

    @property
    def x86(self) -> bool:
        """Whether RAPL can exist."""
        return self.machine in ("x86_64", "i686", "i386", "amd64")


def read_host(root: Path = Path("/")) -> Host:
    """Read it from the files under `root`; what cannot be read counts as absent."""
    cpuinfo = _text(root / "proc/cpuinfo")
    vendor = re.search(r"^vendor_id\s*:\s*(\S+)", cpuinfo, re.MULTILINE)
    flags = re.search(r"^flags\s*:(.*)", cpuinfo, re.MULTILINE)
    paranoid = _text(root / "proc/sys/kernel/perf_event_paranoid").strip()
    capabilities = re.search(r"^CapEff:\s*([0-9a-f]+)", _text(root / "proc/self/status"), re.MULTILINE)
    effective = int(capabilities[1], 16) if capabilities else 0
    return Host(
        machine=platform.machine(),
        vendor=vendor[1] if vendor else "",
        virtual=bool(flags and "hypervisor" in flags[1].split()),
        container=in_container(root),
        paranoid=int(paranoid) if re.fullmatch(r"-?\d+", paranoid) else None,
        perfmon=bool(effective >> CAP_PERFMON & 1 or effective >> CAP_SYS_ADMIN & 1),
        board=os.environ.get("EDGEBENCH_BOARD", "") or _text(root / "proc/device-tree/model").strip("\0\n "),
    )


def in_container(root: Path = Path("/")) -> bool:
    """Whether Docker, Podman, containerd or Kubernetes runs this process."""
    if (root / ".dockerenv").exists() or (root / "run/.containerenv").exists():
        return True
    return bool(re.search(r"/(docker|kubepods|containerd|libpod|lxc)[/.-]", _text(root / "proc/self/cgroup")))


def masked(path: Path) -> bool:
    """Whether something is mounted over this path: an empty tmpfs over a folder, a device over a file."""
    try:
        return os.path.ismount(path) or path.is_char_device()
    except OSError:
        return False


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""

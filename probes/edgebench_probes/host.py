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
    `inside` is what runs this process: the engine of a container (`docker`, `kubernetes`, `lxc`, `systemd-nspawn`,
    or the name it gives itself), or `wsl`, which is no container but a virtual machine in Windows; else "".
    """

    machine: str
    vendor: str
    virtual: bool
    container: bool
    paranoid: int | None
    perfmon: bool
    board: str = ""
    inside: str = ""

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
    within = inside(root)
    return Host(
        machine=platform.machine(),
        vendor=vendor[1] if vendor else "",
        virtual=bool(flags and "hypervisor" in flags[1].split()) or within == "wsl",
        container=within not in ("", "wsl"),
        paranoid=int(paranoid) if re.fullmatch(r"-?\d+", paranoid) else None,
        perfmon=bool(effective >> CAP_PERFMON & 1 or effective >> CAP_SYS_ADMIN & 1),
        board=os.environ.get("EDGEBENCH_BOARD", "") or _text(root / "proc/device-tree/model").strip("\0\n "),
        inside=within,
    )


def in_container(root: Path = Path("/")) -> bool:
    """Whether a container engine runs this process."""
    return inside(root) not in ("", "wsl")


def inside(root: Path = Path("/")) -> str:
    """What runs this process (see `Host.inside`): what engines leave for it to find, else its cgroups and mounts.

    A container with a cgroup namespace of its own sees `0::/` and no name there.
    """
    found = _pod(root) or _marked(root) or _traced(root)
    if not found and re.search("microsoft|wsl", _text(root / "proc/sys/kernel/osrelease"), re.IGNORECASE):
        return "wsl"
    return found


def _pod(root: Path) -> str:
    """Kubernetes: its service account, cgroup, or the files its agent mounts into every container of a pod."""
    mounted = r"^\d+ \d+ \S+ \S*/kubelet/pods/\S* /(etc/hosts|dev/termination-log) "
    pod = (root / "var/run/secrets/kubernetes.io").exists() or "kubepods" in _text(root / "proc/self/cgroup")
    return "kubernetes" if pod or re.search(mounted, _text(root / "proc/self/mountinfo"), re.MULTILINE) else ""


def _marked(root: Path) -> str:
    """A marker file, or the name that systemd.io/CONTAINER_INTERFACE wants of every engine."""
    for file, name in ((".dockerenv", "docker"), ("run/.containerenv", "podman"), ("dev/lxd/sock", "lxc")):
        if (root / file).exists():
            return name
    environment = re.search(r"(?:^|\0)container=([\w.-]+)", _text(root / "proc/1/environ"))
    files = (_text(root / file).strip() for file in ("run/host/container-manager", "run/systemd/container"))
    named = environment[1] if environment else next(filter(None, files), "")
    return "lxc" if named.startswith("lxc") else named


def _traced(root: Path) -> str:
    """An engine's name in the cgroup, or its folder as the root file system."""
    found = re.search(r"/(docker|containerd|libpod|lxc|systemd-nspawn)[/.@-]", _text(root / "proc/self/cgroup"))
    mounts = _text(root / "proc/self/mountinfo")
    found = found or re.search(
        r"^\d+ \d+ \S+ \S+ / .* overlay .*/(containerd|docker|containers)/", mounts, re.MULTILINE
    )
    if found:
        return "podman" if found[1] in ("libpod", "containers") else found[1]
    return "lxc" if re.search(r" /proc/\S+ .* fuse\.lxcfs ", mounts) else ""


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

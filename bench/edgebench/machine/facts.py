"""What this machine is, and the state it is in: read, never changed."""

from __future__ import annotations

import hashlib
import hmac
import os
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from edgebench_probes.sources.jetson import clocks, power_mode

# What a ceiling turns into for each runtime. OpenVINO and oneDNN read the first, torch's own kernels the second;
# ONNX Runtime reads neither (its backend says so in the report).
ISA_ENVIRONMENT: Mapping[str, Mapping[str, str]] = {
    "none": {},
    "avx2": {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"},
    "avx2_vnni": {"ONEDNN_MAX_CPU_ISA": "AVX2_VNNI", "ATEN_CPU_CAPABILITY": "avx2"},
    "avx512_core": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"},
    "avx512_core_vnni": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_VNNI"},
}

# The flags of /proc/cpuinfo that decide which kernels a runtime picks, x86 and Arm.
_ISA_FLAGS = (
    "sse4_2", "avx", "avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16",
    "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16", "asimd", "asimddp", "asimdhp", "i8mm", "bf16", "sve", "sve2",
)  # fmt: skip
# Characters of a unit's name that are kept.
_UNIT = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineFacts:
    """What a machine is; what it does not tell is None. `cpu_quota` is in processors, `cpus_used` are logical CPUs.

    `board` is its model, `unit` which of several equal boards it is.
    """

    cpu: str
    cores: int
    cpus_used: tuple[int, ...]
    isa: tuple[str, ...]
    architecture: str
    memory_bytes: int
    governor: str | None = None
    power_mode: str | None = None
    clocks: Mapping[str, str] | None = None
    virtualised: bool
    emulated: str | None = None
    container: bool
    cpu_quota: float | None = None
    memory_limit_bytes: int | None = None
    os: str
    kernel: str
    board: str | None = None
    unit: str | None = None

    @property
    def usable_bytes(self) -> int:
        """The memory a process may use: the cgroup's limit, else all there is."""
        return self.memory_limit_bytes or self.memory_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """A container image; `of` tells what the digest is over: the engine's "image", or the "content" installed in it."""

    name: str
    digest: str
    of: Literal["image", "content"]


def usable_cpus() -> list[int]:
    """Return one logical CPU for each physical core this process may use (affinity and cgroup quota), in order."""
    allowed = sorted(os.sched_getaffinity(0))
    first_of_core: dict[tuple[str, str], int] = {}
    for cpu in allowed:
        topology = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology")
        key = (_text(topology / "physical_package_id") or "0", _text(topology / "core_id") or f"cpu{cpu}")
        first_of_core.setdefault(key, cpu)
    cpus = sorted(first_of_core.values())
    quota = cpu_quota()
    return cpus if quota is None else cpus[: max(1, int(quota))]


def cpus_for(threads: int, cores: Sequence[int]) -> list[int]:
    """Return the CPUs that `threads` threads are bound to: one a core of `cores`, siblings only when cores run out."""
    siblings = [cpu for cpu in sorted(os.sched_getaffinity(0)) if cpu not in cores]
    return [*cores, *siblings][:threads]


def cpu_quota() -> float | None:
    """Return the cgroup's CPU quota in processors (v2 ``cpu.max``, v1 ``cpu.cfs_*``), or None without a limit."""
    if text := _text(Path("/sys/fs/cgroup/cpu.max")):
        limit, _, period = text.partition(" ")
        return None if limit == "max" else int(limit) / int(period)
    limit_us = _text(Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"))
    period_us = _text(Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us"))
    if limit_us and period_us and int(limit_us) > 0:
        return int(limit_us) / int(period_us)
    return None


def memory_limit() -> int | None:
    """Return the cgroup's memory limit in bytes (v2 or v1), or None without one."""
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        text = _text(Path(file))
        if text and text.isdigit() and int(text) < psutil.virtual_memory().total:
            return int(text)
    return None


def describe(cpus: Iterable[int]) -> MachineFacts:
    """Return what this machine is."""
    info = _cpuinfo()
    flags = set((info.get("flags") or info.get("Features") or "").split())
    return MachineFacts(
        cpu=info.get("model name") or info.get("Model") or platform.processor() or platform.machine(),
        cores=psutil.cpu_count(logical=False) or os.cpu_count() or 1,
        cpus_used=tuple(cpus),
        isa=tuple(flag for flag in _ISA_FLAGS if flag in flags),
        architecture=platform.machine(),
        memory_bytes=psutil.virtual_memory().total,
        governor=_text(Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")),
        power_mode=power_mode() or _text(Path("/sys/firmware/acpi/platform_profile")),
        clocks=clocks() or None,
        virtualised="hypervisor" in flags,
        emulated=emulator(),
        container=in_container(),
        cpu_quota=cpu_quota(),
        memory_limit_bytes=memory_limit(),
        os=_os_name(),
        kernel=platform.release(),
        board=board(),
        unit=unit(),
    )


def board() -> str | None:
    """Return the board's model: EDGEBENCH_BOARD (a container cannot see it), the device tree, or DMI."""
    if given := os.environ.get("EDGEBENCH_BOARD"):
        return given
    if model := _text(Path("/proc/device-tree/model")):
        return model.rstrip("\0")
    dmi = Path("/sys/class/dmi/id")
    parts = [_text(dmi / "sys_vendor"), _text(dmi / "product_name")]
    return " ".join(part for part in parts if part) or None


def unit() -> str | None:
    """Return which of several equal boards this is: EDGEBENCH_UNIT, else a digest of its machine id (machine-id(5)).

    The id itself cannot be told from the digest. A container has none of its own: EDGEBENCH_MACHINE_ID names the file
    that has the board's. An empty EDGEBENCH_UNIT leaves it out.
    """
    if (given := os.environ.get("EDGEBENCH_UNIT")) is not None:
        return given[:_UNIT] or None
    file = os.environ.get("EDGEBENCH_MACHINE_ID") or (None if in_container() else "/etc/machine-id")
    known = file and _text(Path(file))
    if not known or not re.fullmatch(r"[0-9a-f]{32}", known):
        return None
    return f"id-{hmac.digest(known.encode(), b'edgebench: which board', hashlib.sha256).hex()[:12]}"


def platform_name(machine: MachineFacts) -> str:
    """Return the report's `platform`: a board edgebench knows, else ``generic-<architecture>``."""
    text = f"{machine.board or ''} {machine.cpu}".lower()
    for needle, name in (("n150", "n150"), ("jetson", "jetson"), ("raspberry pi", "pi")):
        if needle in text:
            return name
    return f"generic-{machine.architecture}"


def in_container() -> bool:
    """Tell whether this process runs in a container (Docker's or Podman's marker file, or the init cgroup)."""
    return any(Path(marker).exists() for marker in ("/.dockerenv", "/run/.containerenv"))


@dataclass(frozen=True, slots=True)
class Mount:
    """A mount: where, of what kind, and which folder of its file system stands there (proc(5), mountinfo)."""

    point: str
    kind: str
    root: str


def mount_of(folder: Path, table: Path = Path("/proc/self/mountinfo")) -> Mount:
    """Return the mount that a folder lies in."""
    found = Mount("/", "", "/")
    for line in (_text(table) or "").splitlines():
        fields, _, rest = line.partition(" - ")
        root, point = (re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), text) for text in fields.split()[3:5])
        if folder.is_relative_to(point) and len(point) >= len(found.point):
            found = Mount(point, rest.split()[0], root)
    return found


def emulator() -> str | None:
    """Return the program that emulates this processor (QEMU's user mode), or None on a real one.

    QEMU answers for ``/proc/self/exe`` as the kernel would; the calling thread's own entry it passes to the kernel,
    which names what really runs.
    """
    try:
        program = Path("/proc/thread-self/exe").readlink().name
    except OSError:
        return None
    return program if program.startswith("qemu-") else None


def image() -> ImageFacts | None:
    """Return the container image this runs in, or None outside one of edgebench's.

    ``EDGEBENCH_IMAGE`` (NAME@sha256:..., from whoever starts the container) gives the engine's digest (`of` is
    "image"). An image cannot hold its own digest: without that, it is the one over the files that were installed when
    it was built (`of` is "content").
    """
    name, _, digest = os.environ.get("EDGEBENCH_IMAGE", "").partition("@")
    if name and digest:
        return ImageFacts(name=name, digest=digest, of="image")
    name = os.environ.get("EDGEBENCH_IMAGE_NAME", "")
    content = _text(Path("/opt/edgebench/digest"))
    return ImageFacts(name=name, digest=content, of="content") if name and content else None


def _cpuinfo() -> dict[str, str]:
    found: dict[str, str] = {}
    for line in (_text(Path("/proc/cpuinfo")) or "").splitlines():
        key, _, value = line.partition(":")
        found.setdefault(key.strip(), value.strip())
    return found


def _os_name() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip() or None
    except OSError:
        return None

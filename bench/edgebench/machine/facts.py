"""What this machine is, and the state it is in: read, never changed."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from edgebench_probes.base import ProbeError
from edgebench_probes.sources import pmic
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


@dataclass(frozen=True, slots=True)
class State:
    """The machine at one moment; what it does not tell is None. Temperatures in degrees Celsius, times in seconds.

    `limits` names what a Raspberry Pi's firmware says limits it now (under-voltage, throttling).
    """

    time_s: float
    temperature_c: float | None
    throttle_count: int | None
    busy_s: float
    steal_s: float
    limits: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineFacts:
    """What a machine is; what it does not tell is None. `cpu_quota` is in processors, `cpus_used` are logical CPUs."""

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


@dataclass(frozen=True, slots=True)
class Disturbance:
    """What else happened between two states: `other_cores` are processors busy with anything but the benchmark."""

    other_cores: float
    stolen_cores: float
    throttled: bool
    limits: tuple[str, ...] = ()

    @property
    def reason(self) -> str | None:
        """Why a measurement between the two states is not to be trusted, or None."""
        if self.throttled:
            return "the processor throttled (its throttle counter rose)"
        if self.limits:
            return f"the firmware limited the board ({', '.join(self.limits)})"
        if self.other_cores > 0.5:
            return f"other programs used {self.other_cores:.1f} processors"
        if self.stolen_cores > 0.25:
            return f"the hypervisor took {self.stolen_cores:.2f} processors away"
        return None


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


def read_state() -> State:
    """Read the machine's state once; costs about a millisecond."""
    times = psutil.cpu_times()
    busy = times.user + times.nice + times.system + getattr(times, "irq", 0.0) + getattr(times, "softirq", 0.0)
    return State(
        time_s=time.monotonic(),
        temperature_c=_temperature(),
        throttle_count=_throttle_count(),
        busy_s=busy,
        steal_s=getattr(times, "steal", 0.0),
        limits=_pi_limits(),
    )


def disturbance(before: State, after: State, own_cpu_s: float) -> Disturbance:
    """What happened besides `own_cpu_s` seconds of processor time of the benchmark's own."""
    seconds = max(after.time_s - before.time_s, 1e-9)
    # /proc/stat counts in ticks of 10 ms a processor: below that nothing can be said of others.
    slack_s = 0.02 * (os.cpu_count() or 1)
    other_s = max(0.0, after.busy_s - before.busy_s - own_cpu_s - slack_s)
    counts = (before.throttle_count, after.throttle_count)
    throttled = counts[0] is not None and counts[1] is not None and counts[1] > counts[0]
    limits = tuple(sorted({*(before.limits or ()), *(after.limits or ())}))
    return Disturbance(other_s / seconds, max(0.0, after.steal_s - before.steal_s) / seconds, throttled, limits)


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


def _temperature() -> float | None:
    try:
        sensors = psutil.sensors_temperatures()
    except (OSError, AttributeError):
        return None
    for name in ("coretemp", "k10temp", "cpu_thermal", "soc_thermal", "acpitz"):
        if readings := [entry.current for entry in sensors.get(name, []) if entry.current]:
            return max(readings)
    zones = [_text(zone / "temp") for zone in Path("/sys/class/thermal").glob("thermal_zone*")]
    milli = [int(text) for text in zones if text and text.lstrip("-").isdigit()]
    return max(milli) / 1000 if milli else None


def _throttle_count() -> int | None:
    files = Path("/sys/devices/system/cpu").glob("cpu[0-9]*/thermal_throttle/*_throttle_count")
    counts = [int(text) for text in map(_text, files) if text and text.isdigit()]
    return sum(counts) if counts else None


def _pi_limits() -> tuple[str, ...] | None:
    if "Raspberry Pi" not in (board() or ""):
        return None
    for firmware in (pmic.Mailbox(), pmic.Vcgencmd()):
        try:
            firmware.open()
            try:
                return tuple(sorted(pmic.throttled(firmware)[0]))
            finally:
                firmware.close()
        except ProbeError:
            continue
    # Without a way to the firmware (a container), the kernel still tells of the supply.
    alarm = pmic.under_voltage(Path("/sys"))
    return None if alarm is None else ("under-voltage",) * alarm


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip() or None
    except OSError:
        return None

"""What the channels of hwmon drivers measure, as their documents say: labels decide, numbers do not.

amdgpu: Documentation/gpu/amdgpu/thermal.rst (drivers/gpu/drm/amd/pm/amdgpu_pm.c): the power of an APU includes the CPU.
xe, i915: Documentation/ABI/testing/sysfs-driver-intel-{xe,i915}-hwmon: channel 1 is the card, further ones its parts.
powerz, corsair-psu, fam15h_power, amd_energy, ina2xx, ina238, ltc4151: Documentation/hwmon/*.rst. ACPI meter: ACPI 6.0,
10.4. zenpower (github.com/ocerman/zenpower) labels one channel of the cores' rail and one of the SoC's.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgebench_probes.base import Scope
from edgebench_probes.sources.rails import text

CARD_LABELS = {"mclk", "junction", "mem"}
# Monitors of a current that flows either way.
_TI = (209, 219, 220, 226, 228, 230, 231, 232, 233, 234, 237, 238, 260, 700, 780)
DIRECTED = {*(f"ina{number}" for number in _TI), "sq52206", "powerz", "ltc2947", "ltc4151"}
# Voltage and current of one rail, where the driver's document says that they are. Elsewhere inN and currN may be
# different rails (corsair-psu: in0 the mains, curr1 the total; PMBus: in1 vin, curr1 iin or iout).
PAIRS = {"powerz": (("in0", "curr1"),), "ltc4151": (("in1", "curr1"),)}  # powerz: VBUS and IBUS
OWN = ("ina3221", "ina3221x")  # has a probe of its own, which knows the rails
REPEATED = {("amdgpu", "power2")}  # amdgpu_pm.c: it has a limit of its own, and shows the power of channel 1
ZENPOWER = {"SVI2_P_Core": Scope.CORE, "SVI2_P_SoC": Scope.UNCORE}


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a channel covers; `scope` None: `why` says that no document tells, or what it does tell.

    `firm`: the user's word does not make it another scope.
    """

    scope: Scope | None = None
    why: str = ""
    firm: bool = False


def meaning(driver: str, channel: str, folder: Path) -> Meaning:
    """What one channel (`power1`, `in0*curr1`, `energy2`) of a driver's chip covers."""
    label = text(folder / f"{channel}_label")
    first = channel.endswith("1")
    if driver == "amdgpu":
        return _amdgpu(folder, label)
    if driver == "zenpower":
        scope = ZENPOWER.get(label)
        return Meaning(scope, "" if scope else "zenpower labels no such channel")
    if driver in ("xe", "i915"):
        return Meaning(Scope.GPU) if first else Meaning(why=f"it is a part of the card ({label or channel})")
    if driver == "amd_energy":
        return _amd_energy(folder, label)
    if driver == "power_meter" and text(folder / "power1_is_battery") == "1":
        return Meaning(why="this ACPI meter says that it measures a battery")
    known = {
        "powerz": Scope.BOARD_DC,  # in the USB supply
        "nouveau": Scope.GPU,
        "power_meter": Scope.WALL_AC,  # the input of the machine
        "fam15h_power": Scope.PACKAGE,  # the entire package, also of several nodes
    }
    return Meaning(known.get(driver))


def _amdgpu(folder: Path, label: str) -> Meaning:
    """Tell an APU, whose figure covers the processor cores too, from a card.

    As amdgpu_pm.c shows them: fans, a memory clock and memory temperatures on cards, the voltage vddnb on APUs, and the
    labels slowPPT and fastPPT, since February 2022, on Van Gogh (an APU) only; before, on all that had one. The metrics
    table says it, too (kgd_pp_interface.h): format 1 is that of cards, 2 and 3 of APUs, from 1.4 on of the MI300, of
    which one kind is an APU that looks like a card.
    """
    apu = Meaning(Scope.PACKAGE, "the kernel says that the power of an APU includes the CPU", firm=True)
    unclear = Meaning(why="whether this is a card or an APU, whose figure includes the CPU, is not told")
    revision = _metrics_revision(folder / "device/gpu_metrics")
    if revision is not None:
        return apu if revision >= (2, 0) else Meaning(Scope.GPU) if revision < (1, 4) else unclear
    if {"fan1_input", "pwm1"} & {file.name for file in folder.iterdir()} or _labels(folder) & CARD_LABELS:
        return Meaning(Scope.GPU)
    if "vddnb" in _labels(folder) or label in ("slowPPT", "fastPPT"):
        return apu
    return unclear if label else Meaning(Scope.GPU)


def _amd_energy(folder: Path, label: str) -> Meaning:
    """A counter of one core, or of a socket: the package where it is the only one."""
    if not label.startswith("Esocket"):
        return Meaning(why="it is one core of several")
    sockets = [name for name in _labels(folder) if name.startswith("Esocket")]
    return Meaning(Scope.PACKAGE) if len(sockets) == 1 else Meaning(why=f"it is one socket of {len(sockets)}")


def _labels(folder: Path) -> set[str]:
    return {text(file) for file in folder.glob("*_label")}


def _metrics_revision(file: Path) -> tuple[int, int] | None:
    """Revisions of format and content in the metrics table's header; None where there is none."""
    try:
        with file.open("rb") as stream:
            head = stream.read(4)
    except OSError:
        return None
    return (head[2], head[3]) if len(head) == 4 else None

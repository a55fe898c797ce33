"""Which meters are plugged in, at which node, and what to do when a node cannot be opened. Reads sysfs only."""

from __future__ import annotations

import grp
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgebench_probes import engines
from edgebench_probes.base import ProbeError
from edgebench_probes.host import in_container, inside
from edgebench_probes.meters.known import ROWS, Device, Kind, MeterRow

RULES = "/etc/udev/rules.d/70-edgebench-meters.rules"


@dataclass(frozen=True, slots=True)
class Plugged:
    """A known meter on the bus; `node` None: the kernel made none of the kind it needs."""

    meter: MeterRow
    device: Device
    vendor: int
    product: int
    node: Path | None


def plugged(sysfs: Path = Path("/sys"), dev: Path = Path("/dev")) -> list[Plugged]:
    """All meters of the catalogue on this machine's USB buses, in the order of the bus."""
    found: list[Plugged] = []
    for device in _listed(sysfs / "bus/usb/devices"):
        identity = _identity(device)
        if identity is None:
            continue
        known = ((row, one) for row in ROWS for one in row.usb)
        for row, one in known:
            if identity[0] == one.vendor and one.product in (None, identity[1]):
                found.append(Plugged(row, one, *identity, _node(device, one.kind, dev)))
                break
    return found


def address_of(meter: str, sysfs: Path = Path("/sys"), dev: Path = Path("/dev")) -> Path:
    """Node of the only meter of this kind; raises ProbeError when there is none or more than one."""
    nodes = [p.node for p in plugged(sysfs, dev) if p.meter.name == meter and p.node is not None]
    if not nodes:
        raise ProbeError(f"no {meter} meter is on the USB buses", f"plug it in, or name its node as in `{meter}:NODE`")
    if len(nodes) > 1:
        names = ", ".join(map(str, nodes))
        raise ProbeError(f"there are several {meter} meters, {names}", f"name one, as in `{meter}:{nodes[0]}`")
    return nodes[0]


def identity_of(node: Path, sysfs: Path = Path("/sys")) -> tuple[int, int] | None:
    """USB identity behind a /dev node, or None where sysfs does not tell."""
    for group in ("tty", "hidraw"):
        device = sysfs / "class" / group / node.name / "device"
        if device.exists():
            for folder in (device.resolve(), *device.resolve().parents):
                identity = _identity(folder)
                if identity is not None:
                    return identity
    return None


def _identity(device: Path) -> tuple[int, int] | None:
    try:
        return int((device / "idVendor").read_text(), 16), int((device / "idProduct").read_text(), 16)
    except (OSError, ValueError):
        return None


def _node(device: Path, kind: Kind, dev: Path) -> Path | None:
    """First node below a USB device: .../tty/ttyACM0, .../hidraw/hidraw0; of the kind `usb` the bus's own."""
    if kind == "usb":
        try:
            numbers = [int((device / name).read_text()) for name in ("busnum", "devnum")]
        except (OSError, ValueError):
            return None
        return dev / f"bus/usb/{numbers[0]:03}/{numbers[1]:03}"
    pattern = {"tty": r"tty(ACM|USB)\d+", "hidraw": r"hidraw\d+", "hwmon": r"hwmon\d+"}[kind]
    names = sorted({path.name for path in _below(device.resolve()) if re.fullmatch(pattern, path.name)})
    if not names:
        return None
    return Path("/sys/class/hwmon", names[0]) if kind == "hwmon" else dev / names[0]


def _below(folder: Path, depth: int = 5) -> Iterator[Path]:
    """Folders under a device; links lead out of it and are not followed."""
    for entry in _listed(folder):
        if entry.is_dir() and not entry.is_symlink():
            yield entry
            if depth:
                yield from _below(entry, depth - 1)


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def udev_fix(kind: str, identity: tuple[int, int] | None) -> str:
    """Return the command that lets users open a device of this identity, now and after a reboot."""
    if identity is None:
        return "give yourself the right with `sudo setfacl -m u:$USER:rw NODE`"
    vendor, product = identity
    match = f'SUBSYSTEM=="{kind}", ATTRS{{idVendor}}=="{vendor:04x}", ATTRS{{idProduct}}=="{product:04x}"'
    return (
        f"run `echo '{match}, MODE=\"0666\"' | sudo tee -a {RULES} && sudo udevadm control --reload"
        " && sudo udevadm trigger`"
    )


def refused(node: Path, kind: str, identity: tuple[int, int] | None) -> ProbeError:
    """Why a node may not be opened, and the fix: a group where the node has one that helps, else a udev rule."""
    reason = f"{node} may not be opened by this user"
    if in_container():
        return ProbeError(reason, f"start the container with {engines.device(inside(), node, group=True)}")
    fix = udev_fix(kind, identity).replace("NODE", str(node))
    try:
        status = node.stat()
        name = grp.getgrgid(status.st_gid).gr_name
    except (OSError, KeyError):
        return ProbeError(reason, fix)
    if status.st_gid != 0 and status.st_mode & 0o060 == 0o060:
        return ProbeError(reason, f"run `sudo usermod -aG {name} $USER` and log in again, or {fix}")
    return ProbeError(reason, fix)


def missing(node: Path) -> ProbeError:
    """Why a node is not there."""
    reason = f"{node} does not exist"
    if in_container():
        return ProbeError(
            reason, f"start the container with {engines.device(inside(), node)} while the meter is plugged in"
        )
    if inside() == "wsl":
        return ProbeError(reason, "attach the meter to WSL: `usbipd attach --wsl --busid BUSID` in Windows")
    return ProbeError(reason, "plug the meter in, and see its node with `edgebench probes` or `sudo dmesg | tail`")


def busy(node: Path) -> ProbeError:
    """Another program holds the node."""
    return ProbeError(
        f"{node} is in use by another program", f"end the one that `sudo fuser -v {node}` names (often ModemManager)"
    )

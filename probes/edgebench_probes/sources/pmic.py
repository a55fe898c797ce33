"""The power management chip (PMIC) of the Raspberry Pi 5, asked through the firmware; throttling of every Pi.

The firmware is asked through /dev/vcio (the mailbox's property interface, tag 0x00030080, as raspberrypi/utils'
vcgencmd does) or by running `vcgencmd`.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import struct
import subprocess
from abc import ABC, abstractmethod
from pathlib import Path

from edgebench_probes.base import ProbeError, ProbeInfo, Scope
from edgebench_probes.sampling.source import PolledSource, SourceInfo, SourceLost

IOCTL_PROPERTY = 0xC0086400  # _IOWR(100, 0, char *) of a 64-bit kernel
GENCMD = 0x00030080
REPLIED = 0x80000000
TEXT_SIZE = 4096  # as vcgencmd's MAX_STRING; pmic_read_adc's answer is above 1 KiB
_HEADER = struct.Struct("<6I")  # size, code, tag, buffer size, response size, error
LSB_A = 4 / 4096  # the currents printed are multiples of 0.976 mA on all rails but VDD_CORE, whose step is not known
RATE_HZ = 10.0  # one question takes the firmware about 23 ms
UDEV = 'SUBSYSTEM=="bcm2708_vcio", GROUP="video", MODE="0660"'
THROTTLE_BITS = {0: "under-voltage", 1: "frequency capped", 2: "throttled", 3: "soft temperature limit"}
_LINE = re.compile(r"^\s*(\w+)_([AV]) (?:current|volt)\(\d+\)=(-?\d+(?:\.\d+)?)[AV]\s*$", re.MULTILINE)


class Device:
    """A character device that is asked by ioctl."""

    def __init__(self, path: Path = Path("/dev/vcio")) -> None:
        self.path = path
        self._fd = -1

    def open(self) -> None:
        """Open it; raises OSError."""
        self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)

    def ioctl(self, request: int, buffer: bytearray) -> None:
        """Send the buffer, which the answer replaces; raises OSError."""
        fcntl.ioctl(self._fd, request, buffer)

    def close(self) -> None:
        """Close it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Firmware(ABC):
    """A way to ask the firmware."""

    @abstractmethod
    def open(self) -> None:
        """Raise ProbeError with the fix where it cannot be used."""

    @abstractmethod
    def ask(self, command: str) -> str:
        """Answer of a command such as `get_throttled`; raises SourceLost."""

    @abstractmethod
    def close(self) -> None:
        """Give everything back."""


class Mailbox(Firmware):
    """The firmware through /dev/vcio."""

    def __init__(self, device: Device | None = None) -> None:
        self.device = device or Device()

    def open(self) -> None:
        """Open the device; raises ProbeError."""
        path = self.device.path
        try:
            self.device.open()
        except FileNotFoundError:
            raise ProbeError(
                f"{path} is not there", f"in a container add `--device {path}`; on the Pi load its kernel's own modules"
            ) from None
        except PermissionError:
            raise ProbeError(
                f"{path} may not be opened by this user",
                "run `sudo usermod -aG video $USER` and log in again, in a container add `--group-add video`; should"
                f" the device have no group, write the udev rule `{UDEV}`",
            ) from None
        except OSError as error:
            raise ProbeError(f"{path} cannot be opened: {error.strerror}") from None

    def ask(self, command: str) -> str:
        """Answer of a command; raises SourceLost."""
        size = _HEADER.size + TEXT_SIZE + 4
        buffer = bytearray(size)
        _HEADER.pack_into(buffer, 0, size, 0, GENCMD, TEXT_SIZE, 0, 0)
        text = command.encode("ascii")
        buffer[_HEADER.size : _HEADER.size + len(text)] = text
        try:
            self.device.ioctl(IOCTL_PROPERTY, buffer)
        except OSError as error:
            gone = error.errno in (errno.ENODEV, errno.ENXIO)
            raise SourceLost(f"{self.device.path} {'is gone' if gone else f'failed: {error.strerror}'}") from None
        _, code, _, _, _, failed = _HEADER.unpack_from(buffer)
        if code != REPLIED or failed:
            raise SourceLost(f"the firmware refused `{command}` (code {code:#x}, error {failed})")
        return bytes(buffer[_HEADER.size : _HEADER.size + TEXT_SIZE]).split(b"\0", 1)[0].decode("ascii", "replace")

    def close(self) -> None:
        """Close the device."""
        self.device.close()


class Vcgencmd(Firmware):
    """The firmware through the program `vcgencmd`: a process a question."""

    def open(self) -> None:
        """Look for the program; raises ProbeError."""
        if shutil.which("vcgencmd") is None:
            raise ProbeError("the program vcgencmd is not installed", "run `sudo apt install raspi-utils`")

    def ask(self, command: str) -> str:
        """Answer of a command; raises SourceLost."""
        program = shutil.which("vcgencmd")
        if program is None:
            raise SourceLost("the program vcgencmd is gone")
        try:
            done = subprocess.run([program, *command.split()], capture_output=True, text=True, timeout=2, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SourceLost(f"vcgencmd did not answer: {error}") from None
        if done.returncode or "error" in done.stdout[:40]:
            raise SourceLost(f"vcgencmd {command} failed: {(done.stderr or done.stdout).strip()[:200]}")
        return done.stdout

    def close(self) -> None:
        """Nothing is open."""


class PmicSource(PolledSource):
    """The sum of the PMIC's rails. USB peripherals and what else hangs on the 5 V input are not in it."""

    shared = True

    def __init__(self, firmware: Firmware, rate_hz: float = RATE_HZ) -> None:
        self._firmware = firmware
        self.period_s = max(1 / rate_hz, 1 / RATE_HZ)
        self._info: SourceInfo | None = None

    def describe(self) -> SourceInfo:
        """What this source is; to be called once it is open."""
        if self._info is None:
            raise ProbeError("the PMIC is not open")
        return self._info

    def open(self) -> None:
        """Ask once; raises ProbeError."""
        self._firmware.open()
        try:
            rails = parse_adc(self._firmware.ask("pmic_read_adc"))
        except SourceLost as error:
            self.close()
            raise ProbeError(error.reason, "the PMIC with current sensing is the Pi 5's: else attach a meter") from None
        resolution = LSB_A * sum(volts**2 for volts, _ in rails.values()) ** 0.5
        info = ProbeInfo("pmic", f"PMIC, {len(rails)} rails", Scope.MODULE, "power", resolution, self.period_s)
        self._info = SourceInfo(info, accuracy_source="none is published")

    def poll(self) -> float:
        """Sum of all rails now; raises SourceLost."""
        return sum(volts * amps for volts, amps in parse_adc(self._firmware.ask("pmic_read_adc")).values())

    def close(self) -> None:
        """Close the way to the firmware."""
        self._firmware.close()


def parse_adc(text: str) -> dict[str, tuple[float, float]]:
    """Voltage and current (V, A) of each rail of `pmic_read_adc` that has both, paired by name; raises SourceLost."""
    values: dict[str, dict[str, float]] = {}
    for name, kind, value in _LINE.findall(text):
        values.setdefault(name, {})[kind] = float(value)
    rails = {name: (pair["V"], pair["A"]) for name, pair in values.items() if len(pair) == 2}
    if not rails:
        raise SourceLost("the firmware's answer names no rail with voltage and current")
    return rails


def throttled(firmware: Firmware) -> tuple[frozenset[str], frozenset[str]]:
    """What limits this Pi now, and what has since it started; raises SourceLost for an answer that says neither."""
    answer = re.fullmatch(r"\s*throttled=0x([0-9a-fA-F]{1,8})\s*", firmware.ask("get_throttled"))
    if answer is None:
        raise SourceLost("the firmware did not answer `get_throttled` with its bits")
    bits = int(answer[1], 16)
    now, past = (
        frozenset(name for bit, name in THROTTLE_BITS.items() if bits >> (bit + shift) & 1) for shift in (0, 16)
    )
    return now, past


def under_voltage(sysfs: Path) -> bool | None:
    """Whether the kernel's `rpi_volt` has seen an under-voltage; None where it is not loaded."""
    for folder in (sysfs / "class/hwmon").glob("hwmon*"):
        try:
            if (folder / "name").read_text(encoding="ascii").strip() == "rpi_volt":
                return (folder / "in0_lcrit_alarm").read_text(encoding="ascii").strip() != "0"
        except (OSError, UnicodeDecodeError):
            continue
    return None

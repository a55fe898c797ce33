"""A live sysfs of a board whose power is known: INA3221 by hwmon and by iio, hwmon chips, power supplies.

    python -m tests.simulators.board MOUNTPOINT --kind orin-nx --power 5

`MOUNTPOINT` stands for /sys. Values follow the power at the time they are read, on the chip's own grid and in its own
steps. Commands written to `MOUNTPOINT/control`: `power W`, `eio`, `vanish`, `garble`, `stall SECONDS` (each read takes
that long), `ok` (ends the faults). `MOUNTPOINT/truth` tells CLOCK_MONOTONIC (ns) and the energy (J) until then.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import errno
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

MILLIVOLTS = 4984  # 623 steps of 8 mV
INA_STEP_MA = 8
INA_CYCLE_NS = 6_600_000
COMMANDS = ("power", "eio", "vanish", "garble", "stall", "ok")
I2C = "bus/i2c/devices"

# Shares of the module's power: rails behind VDD_IN, or the rails whose sum is the module.
NX = {"VDD_IN": 1.0, "VDD_CPU_GPU_CV": 0.4, "VDD_SOC": 0.3}
AGX = {
    "1-0040/hwmon/hwmon4": {"VDD_GPU_SOC": 0.4, "VDD_CPU_CV": 0.3, "VIN_SYS_5V0": 0.2},
    "1-0041/hwmon/hwmon5": {"NC": 0.0, "VDDQ_VDD2_1V8AO": 0.1},
}
Node = str | Callable[[], str] | None


class Power:
    """Piecewise constant power, its history, and its exact integral."""

    def __init__(self, watts: float) -> None:
        self.steps = [(time.monotonic_ns(), watts)]
        self.energy_j = 0.0

    def set(self, watts: float) -> None:
        """From now on."""
        now = time.monotonic_ns()
        self.energy_j += (now - self.steps[-1][0]) / 1e9 * self.steps[-1][1]
        self.steps.append((now, watts))

    def at(self, t_ns: int) -> float:
        """Power at a time in the past."""
        return next((watts for since, watts in reversed(self.steps) if since <= t_ns), self.steps[0][1])

    def truth(self) -> str:
        """Time and energy."""
        now = time.monotonic_ns()
        return f"{now} {self.energy_j + (now - self.steps[-1][0]) / 1e9 * self.steps[-1][1]!r}\n"


class Board:
    """The tree, as FUSE operations."""

    use_ns = True

    def __init__(self, kind: str, watts: float) -> None:
        self.power = Power(watts)
        self.fault = "ok"
        self.stall_s = 0.0
        self.nodes: dict[str, Node] = {"control": f"one of: {', '.join(COMMANDS)}\n", "truth": self.power.truth}
        for name in kind.split(","):
            getattr(self, "_" + name.replace("-", "_"))()
        for path in [*self.nodes]:
            for parent in Path(path).parents:
                self.nodes.setdefault(str(parent), None)

    def _milliamps(self, share: float, step: int, grid_ns: int) -> Callable[[], str]:
        def read() -> str:
            now = time.monotonic_ns()
            milliamps = self.power.at(now - now % grid_ns) * share / MILLIVOLTS * 1e6
            return f"{round(milliamps / step) * step}\n"

        return read

    def _ina(self, folder: str, rails: dict[str, float]) -> None:
        for index, (label, share) in enumerate(rails.items(), 1):
            self.nodes |= {
                f"{folder}/in{index}_label": f"{label}\n",
                f"{folder}/in{index}_input": f"{MILLIVOLTS}\n",
                f"{folder}/curr{index}_input": self._milliamps(share, INA_STEP_MA, INA_CYCLE_NS),
                f"{folder}/shunt{index}_resistor": "5000\n",
            }
        self.nodes |= {f"{folder}/in7_label": "sum of shunt voltages\n", f"{folder}/in7_input": "123\n"}

    def _orin_nx(self) -> None:
        self.nodes[f"{I2C}/1-0040/name"] = "ina3221\n"
        self._ina(f"{I2C}/1-0040/hwmon/hwmon3", NX)

    def _agx_orin(self) -> None:
        for folder, rails in AGX.items():
            self.nodes[f"{I2C}/{folder.partition('/')[0]}/name"] = "ina3221\n"
            self._ina(f"{I2C}/{folder}", rails)

    def _xavier_nx_iio(self) -> None:
        device = f"{I2C}/7-0040"
        self.nodes[f"{device}/name"] = "ina3221x\n"
        for index, (label, share) in enumerate(NX.items()):
            self.nodes |= {
                f"{device}/iio:device0/rail_name_{index}": f"{label}\n",
                f"{device}/iio:device0/in_voltage{index}_input": f"{MILLIVOLTS}\n",
                f"{device}/iio:device0/in_current{index}_input": self._milliamps(share, INA_STEP_MA, INA_CYCLE_NS),
            }

    def _no_driver(self) -> None:
        self.nodes[f"{I2C}/1-0040/name"] = "ina3221\n"

    def _powerz(self) -> None:
        folder = "class/hwmon/hwmon7"
        self.nodes |= {
            f"{folder}/name": "powerz\n",
            f"{folder}/in0_input": f"{MILLIVOLTS}\n",
            f"{folder}/in1_input": "3300\n",
            f"{folder}/curr1_input": self._milliamps(1.0, 1, 10_000_000),
        }

    def _amdgpu(self) -> None:
        def microwatts() -> str:
            now = time.monotonic_ns()
            return f"{round(self.power.at(now - now % 1_000_000) * 1e3) * 1000}\n"

        self.nodes |= {"class/hwmon/hwmon2/name": "amdgpu\n", "class/hwmon/hwmon2/power1_average": microwatts}

    def _ina219(self) -> None:
        folder = "class/hwmon/hwmon9"
        self.nodes |= {
            f"{folder}/name": "ina219\n",
            f"{folder}/power1_input": lambda: f"{self.power.at(0) * 1e6:.0f}\n",
        }

    def _energy(self) -> None:
        def microjoules() -> str:
            return f"{int(float(self.power.truth().split()[1]) * 1e6) // 15 * 15}\n"

        self.nodes |= {"class/hwmon/hwmon4/name": "amd_energy\n", "class/hwmon/hwmon4/energy1_input": microjoules}

    def _battery(self) -> None:
        folder = "class/power_supply/BAT0"
        self.nodes |= {
            f"{folder}/type": "Battery\n",
            f"{folder}/status": "Discharging\n",
            f"{folder}/voltage_now": f"{MILLIVOLTS}000\n",
            f"{folder}/current_now": lambda: f"{self._milliamps(1.0, 1, 1_000_000)().strip()}000\n",
            "class/power_supply/ucsi-source-psy-1/voltage_now": "5000000\n",
            "class/power_supply/ucsi-source-psy-1/current_now": "3000000\n",
        }

    def command(self, text: str) -> None:
        """Carry out one line written to the control file."""
        word, *rest = text.split()
        if word == "power":
            self.power.set(float(rest[0]))
        elif word in COMMANDS:
            self.fault, self.stall_s = word, float(rest[0]) if word == "stall" else 0.0
        else:
            raise OSError(errno.EINVAL, text)

    def _find(self, path: str) -> str:
        name = path.strip("/") or "."
        gone = self.fault == "vanish" and name not in (".", "control", "truth")
        if gone or name not in self.nodes:
            raise OSError(errno.ENOENT, path)
        return name

    # The signatures below are FUSE's.

    def getattr(self, path: str, fh: int | None = None) -> dict[str, int]:  # noqa: ARG002
        name = self._find(path)
        folder = self.nodes[name] is None
        mode = stat.S_IFDIR | 0o755 if folder else stat.S_IFREG | (0o666 if name == "control" else 0o444)
        return {"st_mode": mode, "st_size": 4096, "st_nlink": 1}

    def readdir(self, path: str, fh: int) -> list[str]:  # noqa: ARG002
        parent = self._find(path)
        return [
            ".",
            "..",
            *(Path(name).name for name in self.nodes if name != "." and str(Path(name).parent) == parent),
        ]

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:  # noqa: ARG002
        node = self.nodes[path.strip("/")]
        live = callable(node) and path != "/truth"
        if live and self.fault == "eio":
            raise OSError(errno.EIO, "fault")
        if live and self.fault == "vanish":
            raise OSError(errno.ENODEV, "fault")
        if live and self.fault == "stall":
            time.sleep(self.stall_s)
        text = "garbage\n" if live and self.fault == "garble" else node() if callable(node) else node or ""
        return text.encode()[offset : offset + size]

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:  # noqa: ARG002
        try:
            self.command(data.decode())
        except (ValueError, IndexError):
            raise OSError(errno.EINVAL, "no such command") from None
        return len(data)

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:  # noqa: ARG002
        return 0


@dataclass(frozen=True, slots=True)
class Simulator:
    """A running board; `root` stands for /sys."""

    root: Path

    def control(self, command: str) -> None:
        """Change the board while it runs; it has changed when this returns."""
        (self.root / "control").write_text(command, encoding="ascii")

    def truth(self) -> tuple[int, float]:
        """CLOCK_MONOTONIC (ns) and the energy (J) until then."""
        fd = os.open(self.root / "truth", os.O_RDONLY)
        t_ns, energy_j = os.read(fd, 100).split()  # once: a second read would tell another moment
        os.close(fd)
        return int(t_ns), float(energy_j)


@contextlib.contextmanager
def board(mountpoint: Path, kind: str, watts: float = 5.0) -> Iterator[Simulator]:
    """Run a board (`orin-nx`, or several kinds with commas) in a process of its own while the context lasts."""
    mountpoint.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tests.simulators.board", str(mountpoint), f"--kind={kind}", f"--power={watts}"]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[2], stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 20
        while not os.path.ismount(mountpoint):
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                _, stderr = process.communicate()
                raise RuntimeError(f"the simulator did not mount: {stderr.decode()[-500:]}")
            time.sleep(0.01)
        yield Simulator(mountpoint)
    finally:
        process.terminate()
        try:
            process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        if os.path.ismount(mountpoint):  # a killed server leaves a dead mount
            subprocess.run(["/bin/umount", "-l", str(mountpoint)], check=False)


def main() -> None:
    """Serve a board as the command line says, until it is stopped or its parent dies."""
    parser = argparse.ArgumentParser(prog="board", description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("mountpoint", type=Path)
    parser.add_argument("--kind", default="orin-nx")
    parser.add_argument("--power", type=float, default=5.0, help="W")
    arguments = parser.parse_args()
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG: a killed test run leaves no mount
    import mfusepy

    mfusepy.FUSE(
        Board(arguments.kind, arguments.power),
        str(arguments.mountpoint),
        foreground=True,
        nothreads=False,  # a stalled read must not stall the controls
        allow_other=os.geteuid() == 0,
        default_permissions=True,
        direct_io=True,
        entry_timeout=0,
        attr_timeout=0,
        fsname="board-simulator",
    )


if __name__ == "__main__":
    main()

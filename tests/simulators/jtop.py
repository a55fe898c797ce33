"""The real jtop service of jetson-stats on faked board files, in a root of its own.

    python -m tests.simulators.jtop FOLDER PROGRAM [ARGUMENT...]

needs root and a mount namespace. `FOLDER` gets the board's files (`board/`, live: change them while it runs) and the
new root; PROGRAM runs in that root beside the service and finds `/run/jtop.sock` there (the machine itself: in
`FOLDER/run`, of the group 4711). A line `stop`, `start` or
`hang` written to `FOLDER/board/service` acts on the service.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

RAILS = {"VDD_IN": (4984, 1600), "VDD_CPU_GPU_CV": (4984, 400), "VDD_SOC": (4984, 200)}
SERVER = (
    "import os, sys; os.environ['JTOP_TESTING'] = 'true'\n"
    "sys.path.insert(0, '/fake_sys/package')  # of another version, if there is one\n"
    "from jtop.service import JtopServer\n"
    "JtopServer(force=True).loop_for_ever()\n"
)


def board_files(folder: Path, rails: dict[str, tuple[int, int]] | None = None) -> Path:
    """Write the files the service reads in its test mode; returns the folder of the INA3221."""
    chip = folder / "bus/i2c/devices/1-0040"
    monitor = chip / "hwmon/hwmon3"
    monitor.mkdir(parents=True)
    (chip / "name").write_text("ina3221\n")
    for index, (label, (volts, amps)) in enumerate((RAILS if rails is None else rails).items(), 1):
        (monitor / f"in{index}_label").write_text(f"{label}\n")
        (monitor / f"in{index}_input").write_text(f"{volts}\n")
        (monitor / f"curr{index}_input").write_text(f"{amps}\n")
        (monitor / f"curr{index}_max").write_text("32760\n")
        (monitor / f"curr{index}_crit").write_text("32760\n")
    (folder / "stat").write_text("cpu  10 0 10 1000 0 0 0 0 0 0\ncpu0 10 0 10 1000 0 0 0 0 0 0\n")
    frequency = folder / "devices/system/cpu/cpu0/cpufreq"
    frequency.mkdir(parents=True)
    (frequency / "scaling_governor").write_text("schedutil\n")
    for name in ("scaling_min_freq", "scaling_max_freq", "scaling_cur_freq", "cpuinfo_min_freq", "cpuinfo_max_freq"):
        (frequency / name).write_text("729600\n")
    for empty in ("class/power_supply", "class/devfreq", "class/hwmon", "class/thermal", "kernel/debug/clk"):
        (folder / empty).mkdir(parents=True)
    return monitor


def new_root(folder: Path) -> Path:
    """Make a root out of the present one, with a /run, an /etc/group and a /fake_sys of its own; needs a namespace."""
    root = folder / "root"
    root.mkdir()
    mount = ["/bin/mount"]
    subprocess.run([*mount, "-t", "tmpfs", "none", str(root)], check=True)
    for entry in Path("/").iterdir():
        target = root / entry.name
        if entry.is_symlink():
            target.symlink_to(entry.readlink())
        elif entry.name == "run":
            (folder / "run").mkdir()
            target.mkdir()
            subprocess.run([*mount, "--bind", str(folder / "run"), str(target)], check=True)
        elif entry.is_dir():
            target.mkdir()
            subprocess.run([*mount, "--rbind", str(entry), str(target)], check=True)
    (root / "fake_sys").mkdir()
    subprocess.run([*mount, "--bind", str(folder / "board"), str(root / "fake_sys")], check=True)
    group = folder / "group"
    group.write_text(Path("/etc/group").read_text() + "jtop:x:4711:\n")
    subprocess.run([*mount, "--bind", str(group), str(root / "etc/group")], check=True)
    identity = root / "sys/devices/virtual/dmi/id"
    if not identity.is_dir():
        devices = folder / "virtual"
        (devices / "dmi/id").mkdir(parents=True)
        subprocess.run([*mount, "--bind", str(devices), str(root / "sys/devices/virtual")], check=True)
    return root


class Service:
    """The service's process, in a group of its own, as it forks."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        Path("/run/jtop.sock").unlink(missing_ok=True)  # a killed service leaves it
        self.process = subprocess.Popen([sys.executable, "-c", SERVER], start_new_session=True)
        end = time.monotonic() + 20
        while not Path("/run/jtop.sock").exists() and self.process.poll() is None and time.monotonic() < end:
            time.sleep(0.05)

    def signal(self, number: signal.Signals) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, number)
            if number == signal.SIGKILL:
                self.process.wait()

    def obey(self, order: str) -> None:
        if order == "start":
            self.start()
        elif order == "stop":
            self.signal(signal.SIGKILL)
        elif order == "hang":
            self.signal(signal.SIGSTOP)


def main() -> int:
    """Run a program beside the service."""
    folder = Path(sys.argv[1])
    root = new_root(folder)
    os.chroot(root)
    os.chdir("/")
    service = Service()
    service.start()
    program = subprocess.Popen(sys.argv[2:])
    order = Path("/fake_sys/service")
    try:
        while program.poll() is None:
            if order.exists():
                text = order.read_text().strip()
                service.obey(text)
                order.unlink()
            time.sleep(0.05)
    finally:
        service.signal(signal.SIGKILL)
    return program.returncode


if __name__ == "__main__":
    sys.exit(main())
